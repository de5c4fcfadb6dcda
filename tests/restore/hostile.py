#!/usr/bin/env python3
"""A hostile archive restored as root, into a tree that its owner changes
meanwhile: nothing outside is touched.

    hostile.py REEL RACER WORKDIR RACES

Needs root. Prints `N passed, N failed`.
"""
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time

reel, racer = (os.path.abspath(a) for a in sys.argv[1:3])
work, races = sys.argv[3], int(sys.argv[4])
NOBODY = 65534
passed = failed = 0


def ok(name, right):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print("hostile: FAILED:", name)
    return right


def run(*args):
    return subprocess.run((reel,) + args, capture_output=True)


def put(path, data, mode=0o644, uid=0):
    with open(path, "wb") as f:
        f.write(data)
    os.chown(path, uid, uid)
    os.chmod(path, mode)
    os.utime(path, ns=(10**18, 10**18))


def state(top):
    out = {}
    for d, ds, fs in os.walk(top):
        for path in [d] + [os.path.join(d, f) for f in fs + ds]:
            st = os.lstat(path)
            out[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns,
                         open(path, "rb").read()
                         if stat.S_ISREG(st.st_mode) else
                         sorted(os.listdir(path))
                         if stat.S_ISDIR(st.st_mode) else None,
                         tuple(os.listxattr(path, follow_symlinks=False)))
    return out


def make_outside():
    out = work + "/outside"
    os.makedirs(out + "/sub")
    put(out + "/theirs", b"theirs", 0o600)
    put(out + "/mine", b"mine", 0o600, NOBODY)
    put(out + "/passwd", b"root::0:0:::\n")
    for n in range(16):
        put(f"{out}/f{n}", b"outside", 0o600)
    return out


def fill(top, step):
    """Files that one who wants to get out would make."""
    os.chown(top, NOBODY, NOBODY)
    os.chmod(top, 0o777)
    for n in range(64):
        d = f"{top}/d{n}"
        os.makedirs(d, exist_ok=True)
        for k in range(4):
            # of the size and time of what lies outside
            put(f"{d}/f{k}", b"%c" % (97 + step) * (4 + k % 4), 0o4777,
                NOBODY)
            if k % 3 == 0 and step == 0:
                put(f"{d}/link{k}", b"mine", 0o666, NOBODY)
                os.link(f"{d}/link{k}", f"{d}/other{k}")
        for k in range(2):
            name = f"{d}/s{k}"
            if os.path.lexists(name):
                os.unlink(name)
            os.symlink(f"{work}/outside/theirs{step}", name)
            os.chown(name, NOBODY, NOBODY, follow_symlinks=False)
        os.chown(d, NOBODY, NOBODY)
        os.chmod(d, 0o777)


def race(outside):
    source, target = work + "/source", work + "/target"
    os.makedirs(source)
    run("init", work + "/set")
    for step in (0, 1):
        fill(source, step)
        run("backup", work + "/set", "-C", source, ".")
    before = state(outside)
    os.makedirs(target)
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    for n in range(64):
        os.chown(f"{target}/d{n}", NOBODY, NOBODY)
    os.chown(target, NOBODY, NOBODY)
    os.chmod(target, 0o777)
    counter = work + "/counter"
    p = subprocess.Popen((racer, str(NOBODY), target, outside, counter,
                          "64"))
    done = restores = 0
    statuses = set()
    end = time.monotonic() + 1500
    right = True
    while done < races and time.monotonic() < end and right:
        options = (["--delete"], [], ["--overwrite", "newer"],
                   ["--checksum"])[restores % 4]
        r = run("restore", f"{work}/set@{restores % 2 + 1}", "--to", target,
                *options)
        statuses.add(r.returncode)
        restores += 1
        if p.poll() is not None:
            break
        if os.path.exists(counter):
            with open(counter, "rb") as f:
                done = int.from_bytes(f.read(8), sys.byteorder)
        if restores % 8 == 0:
            right = state(outside) == before
    p.terminate()
    p.wait()
    print(f"hostile: {done} names changed during {restores} restores,",
          f"{sorted(statuses)}")
    ok(f"{done} names changed during {restores} restores", done >= races)
    ok("each ended with 0 or 1", statuses <= {0, 1})
    after = state(outside)
    if not ok("nothing outside was touched", after == before):
        for path in sorted(set(after) | set(before)):
            if after.get(path) != before.get(path):
                print("   ", path, before.get(path), after.get(path))


def strange():
    """Names, nodes and modes that do harm elsewhere."""
    source, target = work + "/odd", work + "/oddtarget"
    os.makedirs(source + "/sub")
    names = (b"new\nline", b"\x1b[31mred", b"\xff\xfe", b"-rf", b" ")
    for n in names:
        put(os.fsencode(source) + b"/sub/" + n, b"x")
    put(source + "/suid", b"x", 0o4755)
    put(source + "/sgid", b"x", 0o2755)
    os.symlink("/etc/passwd", source + "/abs")
    os.symlink("../../../../etc", source + "/up")
    nodes = True
    try:
        os.mknod(source + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        nodes = False
    run("init", work + "/oddset")
    run("backup", work + "/oddset", "-C", source, ".")
    r = run("restore", work + "/oddset", "--to", target, "-v")
    ok("strange names are restored", r.returncode == 0 and
       set(os.listdir(os.fsencode(target) + b"/sub")) == set(names))
    ok("and said without their control characters",
       b"\x1b" not in r.stdout and b"new\nline" not in r.stdout)
    ok("suid as root", os.stat(target + "/suid").st_mode & 0o7777 == 0o4755)
    if nodes:
        ok("devices as root",
           stat.S_ISCHR(os.lstat(target + "/null").st_mode))
    shutil.rmtree(target)
    r = run("restore", work + "/oddset", "--to", target, "--no-devices",
            "--no-suid")
    ok("--no-suid", os.stat(target + "/suid").st_mode & 0o7777 == 0o755 and
       os.stat(target + "/sgid").st_mode & 0o7777 == 0o755)
    ok("--no-devices", not os.path.lexists(target + "/null"))


def wrong_names(outside):
    """A catalogue whose names are paths: they are refused."""
    source, target = work + "/plain", work + "/deep/er/target"
    os.makedirs(source + "/dir")
    evil = (b"../evil", b"/evil", b"..", b".", b"a/b", b"")
    for n in range(len(evil)):
        put(f"{source}/dir/f{n}", b"evil%d" % n)
    run("init", work + "/evil")
    run("backup", work + "/evil", "-C", source, ".")
    db = sqlite3.connect(work + "/evil/catalog.db")
    for n, name in enumerate(evil):
        db.execute("update entry set name = ? where name = ?",
                   (name, b"f%d" % n))
    db.commit()
    db.close()
    before = state(outside)
    r = run("restore", work + "/evil", "--to", target)
    ok("names that are paths: said", r.returncode in (1, 5))
    ok("names that are paths: not made",
       os.listdir(target + "/dir") == [] and
       os.listdir(work + "/deep") == ["er"] and
       os.listdir(work + "/deep/er") == ["target"] and
       not os.path.exists("/evil"))
    ok("nothing outside was touched by them", state(outside) == before)


def main():
    if os.geteuid():
        print("hostile: skipped: needs root")
        print("0 passed, 0 failed")
        return 0
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    os.chmod(work, 0o755)
    outside = make_outside()
    strange()
    wrong_names(outside)
    race(outside)
    shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


sys.exit(main())
