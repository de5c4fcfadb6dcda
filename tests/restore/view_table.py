#!/usr/bin/env python3
"""Every change that a program can make in MNT/restore, under every rule, to
names that the target has, lacks, or has as something else.

    view_table.py REEL WORKDIR

The program must see what it did. The target must have it where the rules let
it come, and be as it was else; what is delayed must come with `delayed run`.
As root; LIMIT (600) seconds after which it gives up."""
import os
import shutil
import signal
import stat
import subprocess
import sys

REEL = os.path.realpath(sys.argv[1])
WORK = os.path.realpath(sys.argv[2])
MNT, SET, TO = WORK + "/mnt", WORK + "/set", WORK + "/target"
NOW = MNT + "/restore"
passed = failed = 0


def ok(name, good, why=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED", name, why)


def run(*argv, check=True):
    done = subprocess.run(argv, capture_output=True, timeout=300)
    if check and done.returncode:
        raise RuntimeError("%s: %s" % (argv, done.stderr))
    return done


def dump(path):
    """All about what stands there, or None."""
    try:
        st = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(st.st_mode):
        return ("symlink", os.readlink(path))
    meta = (stat.S_IMODE(st.st_mode), st.st_uid, int(st.st_mtime))
    xattrs = tuple((x, os.getxattr(path, x)) for x in os.listxattr(path)
                   if x.startswith("user."))
    if stat.S_ISDIR(st.st_mode):
        names = {n: dump(path + "/" + n) for n in os.listdir(path)}
        return ("directory", meta[:2], xattrs, tuple(sorted(names.items())))
    with open(path, "rb") as f:
        return ("file", meta, xattrs, f.read())


# ---- what the target has ----

def have_file(p):
    with open(p, "w") as f:
        f.write("the target's\n" * 100)
    os.utime(p, (10 ** 9, 10 ** 9))


def have_directory(p):
    os.mkdir(p)


def have_full(p):
    os.mkdir(p)
    have_file(p + "/below")


def have_symlink(p):
    os.symlink("below-nothing", p)


def have_nothing(p):
    pass


STATES = {"file": have_file, "directory": have_directory, "full": have_full,
          "symlink": have_symlink, "nothing": have_nothing}


# ---- what a program does: new content, or only metadata ----

def write(p):
    with open(p, "w") as f:
        f.write("new")


def write_over(p):
    tmp = os.path.dirname(p) + "/.tmp"
    write(tmp)
    os.chmod(tmp, 0o640)
    os.utime(tmp, (1234567890, 1234567890))
    os.rename(tmp, p)


def append(p):
    with open(p, "a") as f:
        f.write("more")


def patch(p):
    with open(p, "r+b") as f:
        f.seek(3)
        f.write(b"patched")


def mapped(p):
    import mmap
    with open(p, "r+b") as f:
        with mmap.mmap(f.fileno(), 0) as m:
            m[0:4] = b"mmap"
            m.flush()


def truncate(p):
    os.truncate(p, 5)


def grow(p):
    fd = os.open(p, os.O_RDWR)
    os.posix_fallocate(fd, 0, 4000)
    os.close(fd)


def empty(p):
    os.truncate(p, 0)


def unlink(p):
    os.unlink(p)


def anew(p):
    os.unlink(p)
    write(p)


def turn_link(p):
    os.unlink(p)
    os.symlink("elsewhere", p)


def turn_directory(p):
    os.unlink(p)
    os.mkdir(p)
    write(p + "/in it")


def make_link(p):
    os.symlink("elsewhere", p)


def make_directory(p):
    os.mkdir(p, 0o751)
    write(p + "/one")
    os.mkdir(p + "/sub")
    write_over(p + "/sub/two")


def hard_link(p):
    other = os.path.dirname(p) + "/other"
    os.link(other, p)


def move_away(p):
    os.rename(p, os.path.dirname(p) + "/moved")


def chmod(p):
    os.chmod(p, 0o711)


def chown(p):
    os.chown(p, 7, 8)


def utime(p):
    os.utime(p, (1500000000, 1500000000))


def xattr(p):
    os.setxattr(p, "user.word", b"said")


def rmdir(p):
    os.rmdir(p)


CHANGES = {
    "file": [write, write_over, append, patch, mapped, truncate, grow, empty,
             unlink, anew, turn_link, turn_directory, move_away, chmod, chown,
             utime, xattr],
    "directory": [chmod, chown, utime, xattr, rmdir],
    "full": [chmod, utime],
    "symlink": [unlink, turn_directory, write_over, move_away],
    "nothing": [write, write_over, make_link, make_directory, hard_link],
}
METADATA = (chmod, chown, utime, xattr)
VERBS = ("none", "preserve", "merge", "exclude", "delay")


def comes(verb, state, change):
    if verb == "none":
        return True
    if verb == "merge":
        return state == "nothing"
    return verb == "delay" and change in METADATA


def refused(verb, state, change):
    return change is rmdir and verb in ("preserve", "merge", "exclude")


def cases():
    for verb in VERBS:
        for state, changes in CHANGES.items():
            for change in changes:
                yield verb, state, change


def set_up():
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(MNT)
    os.makedirs(TO)
    os.mkdir(WORK + "/src")
    write(WORK + "/src/f")
    run(REEL, "init", SET)
    run(REEL, "backup", SET, "-C", WORK + "/src", ".")
    with open(SET + "/rules", "w") as f:
        for verb in VERBS[1:]:
            f.write("%s /%s-*/x\n" % (verb, verb))


def name_of(verb, state, change):
    return "%s-%s-%s" % (verb, state, change.__name__)


def try_one(verb, state, change):
    name = name_of(verb, state, change)
    at, under = NOW + "/" + name + "/x", TO + "/" + name + "/x"
    model = WORK + "/model/" + name + "/x"
    before = dump(under)
    try:
        change(at)
        err = None
    except OSError as e:
        err = e.strerror
    if refused(verb, state, change):
        ok(name + ": is refused", err == "Directory not empty", err)
        ok(name + ": and stays", dump(under) == before, dump(under))
        return
    ok(name + ": goes through", not err, err)
    change(model)
    want = dump(os.path.dirname(model))
    seen = dump(os.path.dirname(at))
    forget = lambda d: repr(d) if change in METADATA else repr(times_off(d))
    ok(name + ": shows", forget(seen) == forget(want),
       "\n\t%s\n\t%s" % (forget(seen), forget(want)))
    after = dump(under)
    if comes(verb, state, change):
        ok(name + ": comes", times_off(after) == times_off(dump(model)),
           "\n\t%s\n\t%s" % (after, dump(model)))
    else:
        ok(name + ": the target stays", after == before,
           "\n\t%s\n\t%s" % (after, before))


def times_off(d):
    if d is None or d[0] == "symlink":
        return d
    if d[0] == "file":
        return d[:1] + (d[1][:2],) + d[2:]
    return d[:3] + (tuple((n, times_off(e)) for n, e in d[3]),)


def table():
    for root in (TO, WORK + "/model"):
        for verb, state, change in cases():
            p = root + "/" + name_of(verb, state, change)
            os.makedirs(p)
            STATES[state](p + "/x")
            have_file(p + "/other")
    mount()
    for case in cases():
        try_one(*case)
    before = {case: dump(TO + "/" + name_of(*case) + "/x")
              for case in cases()}
    umount()
    for case in cases():
        d = dump(TO + "/" + name_of(*case) + "/x")
        ok(name_of(*case) + ": after unmounting", d == before[case])
    run(REEL, "delayed", "run", "--root", TO)
    for case in cases():
        verb, state, change = case
        name = name_of(*case)
        d = dump(TO + "/" + name + "/x")
        if verb == "delay":
            want = dump(WORK + "/model/" + name + "/x")
            ok(name + ": delayed, then done",
               times_off(d) == times_off(want),
               "\n\t%s\n\t%s" % (d, want))
        else:
            ok(name + ": and stays", d == before[case])
    rest = []
    for base, _, files in os.walk(TO):
        rest += [f for f in files if ".reel-tmp" in f or f == ".tmp"]
    ok("no temporary file is left", not rest, rest)


def mount(options=""):
    run(REEL, "mount", SET, MNT, "-o", "restore=" + TO + options)


def umount():
    said = run(REEL, "umount", MNT, "--no-commit").stdout.decode()
    with open(SET + "/mount.log", errors="replace") as f:
        log = f.read()
    ok("no sanitizer complains", "Sanitizer" not in log and
       "runtime error" not in log, log[:2000])
    return said


def fresh(*rules):
    shutil.rmtree(TO)
    shutil.rmtree(SET + "/kept", ignore_errors=True)
    os.mkdir(TO)
    with open(SET + "/rules", "w") as f:
        f.write("".join(r + "\n" for r in rules))


# ---- rules within rules, and symlinks ----

def nested():
    fresh("merge /a", "preserve /a/p", "preserve /b", "merge /b/m",
          "delay /c", "preserve /c/p", "exclude /d/*", "include /d/in",
          "exclude /e", "include /e/in")
    for d in "abcde":
        for n in ("", "/p", "/m", "/in"):
            os.makedirs(TO + "/" + d + n)
        have_file(TO + "/" + d + "/there")
        for n in ("p", "m", "in"):
            have_file(TO + "/" + d + "/" + n + "/there")
    before = dump(TO)
    mount()
    for d in "abcde":
        for n in ("", "/p", "/m", "/in"):
            write(NOW + "/" + d + n + "/there")
            write(NOW + "/" + d + n + "/missing")
    for d in "abcde":
        for n in ("", "/p", "/m", "/in"):
            for f in ("/there", "/missing"):
                ok("nested: %s shows" % (d + n + f),
                   open(NOW + "/" + d + n + f).read() == "new")
    comes = {"a/missing", "a/m/missing", "a/in/missing", "d/in/missing",
             "d/in/there"}
    umount()
    for d in "abcde":
        for n in ("", "/p", "/m", "/in"):
            for f in ("there", "missing"):
                p = (d + n + "/" + f)
                got = dump(TO + "/" + p)
                if p in comes:
                    ok("nested: %s comes" % p, got and got[3] == b"new", got)
                else:
                    ok("nested: %s stays" % p,
                       (got is None) == (f == "missing") and
                       (not got or got[3] != b"new"), got)
    run(REEL, "delayed", "run", "--root", TO)
    for p, want in (("c/missing", b"new"), ("c/m/there", b"new"),
                    ("c/p/missing", None), ("c/p/there", None)):
        got = dump(TO + "/" + p)
        ok("nested: %s after the boot" % p,
           (got and got[3] == b"new") == (want is not None) or
           (want is None and (not got or got[3] != b"new")), got)
    ok("nested: the rest", bool(before))


def symlinks():
    """Rules judge names, never what a symlink points to."""
    fresh("preserve /kept/", "preserve /link")
    os.mkdir(TO + "/kept")
    have_file(TO + "/kept/f")
    os.symlink("kept", TO + "/way")
    have_file(TO + "/real")
    os.symlink("real", TO + "/link")
    os.symlink("link", TO + "/free")
    os.symlink("/etc/passwd", TO + "/out")
    mount()
    write(NOW + "/way/f")
    ok("through a symlink into a kept directory",
       open(NOW + "/way/f").read() == "new" and
       dump(TO + "/kept/f")[3] != b"new")
    write(NOW + "/link")
    ok("what a kept symlink points to is another name",
       dump(TO + "/real")[3] == b"new" and os.readlink(TO + "/link") == "real")
    os.unlink(NOW + "/link")
    write(NOW + "/link")
    ok("a kept symlink that became a file",
       os.readlink(TO + "/link") == "real" and
       stat.S_ISREG(os.lstat(NOW + "/link").st_mode))
    tmp = NOW + "/.tmp"
    os.symlink("other", tmp)
    os.rename(tmp, NOW + "/free")
    ok("a symlink that comes", os.readlink(TO + "/free") == "other")
    os.rename(NOW + "/out", NOW + "/out2")
    ok("one that leads outside is a name like any",
       os.readlink(TO + "/out2") == "/etc/passwd")
    said = umount()
    ok("the report names what was kept", "kept      link " in said and
       "kept      kept/f " in said, said)


# ---- renaming ----

def renames():
    fresh("preserve /kept/", "delay /late/", "merge /merge")
    for d in ("kept", "late", "merge", "free", "free/sub", "kept/sub"):
        os.mkdir(TO + "/" + d)
        for n in "ab":
            have_file(TO + "/" + d + "/" + n)
    before = dump(TO + "/kept")
    mount()
    os.rename(NOW + "/kept/a", NOW + "/free/from-kept")
    ok("a kept file goes: a copy comes",
       dump(TO + "/free/from-kept")[3] == dump(TO + "/kept/a")[3] and
       not os.path.exists(NOW + "/kept/a"))
    os.rename(NOW + "/free/a", NOW + "/kept/a")
    ok("and comes back: a shadow",
       os.path.exists(NOW + "/kept/a") and not os.path.exists(TO + "/free/a"))
    write(NOW + "/kept/made")
    os.rename(NOW + "/kept/made", NOW + "/free/made")
    ok("a shadow that comes into the target",
       dump(TO + "/free/made")[3] == b"new")
    os.rename(NOW + "/free/made", NOW + "/late/made")
    os.rename(NOW + "/late/made", NOW + "/kept/made")
    ok("shadow to shadow", open(NOW + "/kept/made").read() == "new" and
       not os.path.exists(NOW + "/late/made"))
    for way, want in (((NOW + "/free", NOW + "/kept/free"), 18),
                      ((NOW + "/kept/sub", NOW + "/sub"), 18)):
        try:
            os.rename(*way)
            err = 0
        except OSError as e:
            err = e.errno
        ok("%s: EXDEV" % (way,), err == want, err)
    os.rename(NOW + "/free/sub", NOW + "/free/other")
    ok("a directory that no rule fits", os.path.isdir(TO + "/free/other"))
    os.mkdir(NOW + "/kept/new2")
    for n in "ab":
        write(NOW + "/kept/new2/" + n)
    os.mkdir(NOW + "/kept/new")
    write(NOW + "/kept/new/f")
    os.rename(NOW + "/kept/new", NOW + "/kept/renamed")
    ok("a directory that is all shadow",
       os.listdir(NOW + "/kept/renamed") == ["f"])
    shutil.move(NOW + "/kept/new2", NOW + "/moved")
    ok("moved out of it, as mv does: copied", sorted(os.listdir(TO + "/moved")) == ["a", "b"])
    exchange(NOW + "/free/b", NOW + "/free/from-kept", 0)
    exchange(NOW + "/free/b", NOW + "/kept/b", 22)
    write(NOW + "/merge/tmp")
    os.rename(NOW + "/merge/tmp", NOW + "/merge/c")
    os.chmod(NOW + "/merge/c", 0o600)
    write(NOW + "/merge/c")
    ok("what came into a merged directory can be finished",
       dump(TO + "/merge/c")[3] == b"new" and
       stat.S_IMODE(os.stat(TO + "/merge/c").st_mode) == 0o600)
    write(NOW + "/merge/tmp")
    os.rename(NOW + "/merge/tmp", NOW + "/merge/a")
    ok("what is there stays, without a temporary file",
       dump(TO + "/merge/a")[3] != b"new" and
       not os.path.exists(TO + "/merge/tmp") and
       open(NOW + "/merge/a").read() == "new")
    umount()
    ok("the kept directory is as it was", dump(TO + "/kept") == before)


def exchange(a, b, want):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    one, two = open(a).read(), open(b).read()
    err = libc.renameat2(-100, a.encode(), -100, b.encode(), 2)
    err = ctypes.get_errno() if err else 0
    ok("exchange %s: errno %d" % (b, err), err == want)
    if not err:
        ok("exchanged", open(a).read() == two and open(b).read() == one)


# ---- other names of a file ----

def links():
    fresh("preserve /kept/")
    os.mkdir(TO + "/kept")
    have_file(WORK + "/outside")
    have_file(TO + "/inside")
    for n, of in (("out1", "outside"), ("out2", "outside"), ("out3",
                                                             "outside")):
        os.link(WORK + "/" + of, TO + "/" + n)
    os.link(TO + "/inside", TO + "/kept/name")
    outside, kept = dump(WORK + "/outside"), dump(TO + "/kept/name")
    mount()
    append(NOW + "/out1")
    chmod(NOW + "/out2")
    truncate(NOW + "/out3")
    append(NOW + "/inside")
    ok("a name of a file outside", dump(WORK + "/outside") == outside)
    ok("a name of a kept file", dump(TO + "/kept/name") == kept)
    ok("what came", dump(TO + "/out1")[3] == outside[3] + b"more" and
       dump(TO + "/out2")[1][0] == 0o711 and len(dump(TO + "/out3")[3]) == 5)
    write(NOW + "/one")
    os.link(NOW + "/one", NOW + "/two")
    append(NOW + "/one")
    ok("names that were made here are one file",
       dump(TO + "/two")[3] == b"newmore" and
       os.path.samefile(TO + "/one", TO + "/two"))
    write(NOW + "/kept/one")
    os.link(NOW + "/kept/one", NOW + "/kept/two")
    append(NOW + "/kept/one")
    ok("shadows, too", open(NOW + "/kept/two").read() == "newmore" and
       os.stat(NOW + "/kept/two").st_nlink == 2)
    os.link(NOW + "/kept/name", NOW + "/copy")
    append(NOW + "/copy")
    ok("a link to a kept file is a copy", dump(TO + "/kept/name") == kept)
    umount()


def open_files():
    """What is open stays so, whatever becomes of the name."""
    fresh("preserve /kept")
    have_file(TO + "/kept")
    mount()
    old = open(NOW + "/kept", "rb")
    new = open(NOW + "/kept", "r+b")
    new.write(b"HERE")
    new.flush()
    old.seek(0)
    ok("who reads sees what is written", old.read(4) == b"HERE")
    ok("the target does not", dump(TO + "/kept")[3][:4] != b"HERE")
    f = open(NOW + "/tmp", "w+b")
    f.write(b"x" * 100000)
    f.flush()
    os.rename(NOW + "/tmp", NOW + "/kept")
    f.write(b"y")
    f.flush()
    f.seek(0)
    ok("renamed over a kept name while open", f.read() ==
       b"x" * 100000 + b"y" and os.stat(NOW + "/kept").st_size == 100001)
    os.unlink(NOW + "/kept")
    f.seek(0)
    ok("removed while open", f.read(1) == b"x" and
       os.fstat(f.fileno()).st_size == 100001)
    for one in (old, new, f):
        one.close()
    umount()
    ok("the target stays", dump(TO + "/kept")[3][:4] == b"the ")


def strict():
    fresh("preserve /p", "delay /d", "exclude /e")
    have_file(TO + "/p")
    mount(",restore-strict")
    for n in "pde":
        for change in (write, write_over):
            try:
                change(NOW + "/" + n)
                err = 0
            except OSError as e:
                err = e.errno
            ok("strict: %s %s" % (n, change.__name__), err == 1, err)
    write(NOW + "/free")
    ok("strict: what may come comes", dump(TO + "/free")[3] == b"new")
    umount()


def busy():
    """A running program is not replaced, what is made here is not in use."""
    fresh("delay busy")
    shutil.copy("/bin/sleep", TO + "/program")
    have_file(TO + "/quiet")
    have_file(TO + "/written")
    program = subprocess.Popen([TO + "/program", "100"])
    writer = open(TO + "/written", "a")
    mount()
    for n in ("program", "written", "quiet", "new"):
        write_over(NOW + "/" + n)
        ok("busy: %s shows" % n, open(NOW + "/" + n).read() == "new")
    said = umount()
    program.kill()
    program.wait()
    writer.close()
    ok("busy: what is in use is delayed", "delayed   program  (is running" in
       said and "delayed   written  (is open for writing" in said and
       dump(TO + "/program")[3] != b"new", said)
    ok("busy: the rest is not", dump(TO + "/quiet")[3] == b"new" and
       dump(TO + "/new")[3] == b"new" and said.count("delayed  ") == 2, said)
    run(REEL, "delayed", "run", "--root", TO)
    ok("busy: after the boot", dump(TO + "/program")[3] == b"new" and
       dump(TO + "/written")[3] == b"new")


def give_up(*_):
    print("FAILED: it hangs")
    run("umount", "-l", NOW, MNT, check=False)
    os._exit(1)


def main():
    if os.geteuid() or not os.access("/dev/fuse", os.W_OK):
        print("restore/ cannot be mounted here: nothing is tried\n"
              "0 passed, 0 failed, 1 skipped")
        return 0
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(os.environ.get("LIMIT", "600")))
    os.umask(0o022)
    try:
        set_up()
        for part in (table, nested, symlinks, renames, links, open_files,
                     strict, busy):
            part()
    finally:
        run("umount", "-l", NOW, MNT + "/current", MNT, check=False)
        shutil.rmtree(WORK, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


sys.exit(main())
