#!/usr/bin/env python3
"""`rsync -aHAX --delete` of a snapshot onto MNT/restore does what `reel restore
--delete` does: random trees onto random targets under random rules, with what
is delayed carried out.

    view_random.py REEL WORKDIR [ROUNDS [FIRST]]

FIRST: the first round's seed (1). As root; LIMIT (900) seconds after which it
gives up. No rules for directories alone: rsync removes a file before it makes
a directory of that name, and calls are judged one by one. Hard links only
where there are no rules; rsync -H itself hangs on those whose first name cannot
take a directory's place."""
import os
import random
import shutil
import signal
import stat
import subprocess
import sys

REEL = os.path.realpath(sys.argv[1])
WORK = os.path.realpath(sys.argv[2])
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 40
FIRST = int(sys.argv[4]) if len(sys.argv) > 4 else 1
MNT, SET, SRC = WORK + "/mnt", WORK + "/set", WORK + "/src"
NOW, SNAPSHOT = MNT + "/restore", MNT + "/snapshots/latest/"
BY_COMMAND, BY_VIEW = WORK + "/by-command", WORK + "/by-view"
NAMES = "abcd"
VERBS = ("preserve", "merge", "delay", "exclude")
PATTERNS = ("/a", "/b", "a", "b", "c", "d", "/a/b", "/b/*", "/a/*", "/c/d",
            "/*/a")
WAYS = (("--delete",), ("--delete-before", "--no-inc-recursive"),
        ("--delete", "--inplace"))


def run(*argv):
    return subprocess.run(argv, capture_output=True, timeout=120)


def fill_file(r, path, files):
    if files is not None and files and r.random() < 0.2:
        os.link(r.choice(files), path)
        return
    with open(path, "w") as f:
        f.write(r.choice(("", "one", "two" * 3000, "three")))
    os.chmod(path, r.choice((0o644, 0o4755, 0o600)))
    if files is not None:
        files.append(path)


def fill(r, top, depth, files):
    """files: of which some get more names; None: none does."""
    for name in NAMES:
        path, kind = top + "/" + name, r.random()
        if kind < 0.35:
            continue
        if kind < 0.58 and depth < 3:
            os.mkdir(path, 0o700)
            fill(r, path, depth + 1, files)
            os.chmod(path, r.choice((0o755, 0o700, 0o1777)))
        elif kind < 0.62:
            os.symlink(r.choice(("a", "../b", "/etc", "x\ny")), path)
            continue
        elif kind < 0.65:
            os.mkfifo(path, 0o640)
        else:
            fill_file(r, path, files)
        if r.random() < 0.2 and not stat.S_ISFIFO(os.lstat(path).st_mode):
            os.setxattr(path, "user.x", r.choice((b"1", b"2" * 100)))
        if r.random() < 0.2:
            os.chown(path, 7, 8)
        os.utime(path, (10 ** 9, 10 ** 9 + 1000 * r.randrange(3)))


def content_of(path, mode):
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if stat.S_ISREG(mode):
        with open(path) as f:
            return f.read()
    return ""


def dump(top):
    """All about every name; of directories no times, into which more came."""
    out, names = {}, {}
    for directory, below, files in os.walk(top):
        if directory == top and "var" in below:
            below.remove("var")
        for name in below + files:
            path = directory + "/" + name
            st = os.lstat(path)
            key = path[len(top) + 1:]
            timed = stat.S_ISREG(st.st_mode) or stat.S_ISFIFO(st.st_mode)
            xattrs = [(x, os.getxattr(path, x, follow_symlinks=False))
                      for x in os.listxattr(path, follow_symlinks=False)
                      if x.startswith("user.")]
            out[key] = [oct(st.st_mode), st.st_uid, st.st_gid,
                        int(st.st_mtime) if timed else 0, sorted(xattrs),
                        content_of(path, st.st_mode)]
            if not stat.S_ISDIR(st.st_mode):
                names.setdefault(st.st_ino, []).append(key)
    for group in names.values():
        for key in group:
            out[key].append(sorted(group))
    return out


def prepare(seed):
    r = random.Random(seed)
    shutil.rmtree(WORK, ignore_errors=True)
    for path in (MNT, SRC, BY_COMMAND):
        os.makedirs(path)
    rules = [r.choice(VERBS) + " " + r.choice(PATTERNS)
             for _ in range(r.randrange(4))]
    fill(r, SRC, 0, None if rules else [])
    fill(r, BY_COMMAND, 0, None if rules else [])
    for argv in (("cp", "-a", BY_COMMAND, BY_VIEW), (REEL, "init", SET),
                 (REEL, "backup", SET, "-C", SRC, ".")):
        done = run(*argv)
        if done.returncode:
            raise RuntimeError("%s: %s" % (argv, done.stderr))
    with open(SET + "/rules", "w") as f:
        f.write("\n".join(rules) + "\n")
    return rules


def differ(a, b):
    return ["%s: %r, but %r" % (key, a.get(key), b.get(key))
            for key in sorted(set(a) | set(b)) if a.get(key) != b.get(key)]


def try_one(seed):
    """What went wrong, one a line."""
    rules = prepare(seed)
    run(REEL, "restore", SET, "--to", BY_COMMAND, "--delete", "-c")
    done = run(REEL, "mount", SET, MNT, "-o", "restore=" + BY_VIEW)
    if done.returncode:
        return ["mount: %s" % done.stderr]
    run("rsync", "-aHAXc", *WAYS[seed % len(WAYS)], SNAPSHOT, NOW + "/")
    run(REEL, "umount", MNT, "--no-commit")
    wrong = []
    for target in (BY_COMMAND, BY_VIEW):
        done = run(REEL, "delayed", "run", "--root", target)
        if done.returncode:
            wrong.append("delayed run: %s" % done.stderr)
    wrong += differ(dump(BY_COMMAND), dump(BY_VIEW))
    if not rules:
        wrong += differ(dump(SRC), dump(BY_VIEW))
    return ["rules %r" % rules] + wrong if wrong else []


def give_up(*_):
    print("FAILED: it hangs")
    run("umount", "-l", NOW, MNT + "/current", MNT)
    os._exit(1)


def main():
    failed = 0
    if os.geteuid() or not os.access("/dev/fuse", os.W_OK):
        print("restore/ cannot be mounted here: nothing is tried\n"
              "0 passed, 0 failed, 1 skipped")
        return 0
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(os.environ.get("LIMIT", "900")))
    os.umask(0o022)
    try:
        for seed in range(FIRST, FIRST + ROUNDS):
            wrong = try_one(seed)
            failed += bool(wrong)
            if wrong:
                print("FAILED seed %d" % seed)
                print("\n".join("\t" + w[:200] for w in wrong[:9]))
    finally:
        run("umount", "-l", NOW, MNT + "/current", MNT)
        shutil.rmtree(WORK, ignore_errors=True)
    print("%d passed, %d failed" % (ROUNDS - failed, failed))
    return 1 if failed or not ROUNDS else 0


sys.exit(main())
