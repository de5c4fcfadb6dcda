#!/usr/bin/env python3
"""A tree so deep that its paths together are far larger than its names.

    deep.py REEL WORKDIR [LEVELS]

Each of LEVELS (4,000) directories holds a file and the next directory, whose
names have 15 bytes: the paths of all of them are 120 MB. No command may take
LIMIT of memory for it (twice that where all of it moved), nor SECONDS of a
processor, nor have more than DESCRIPTORS, and what is restored is what was
backed up. So is a tree of many directories side by side, and of many chains
of directories.
"""
import os
import resource
import subprocess
import sys

LIMIT = 64 << 10  # KiB
SECONDS = 8
DESCRIPTORS = 256
WIDE = 5000
CHAINS = 2000
NAME = "fifteen-letters"
checks = [0, 0]


def check(good, what):
    checks[not good] += 1
    print("deep: %s: %s" % ("ok" if good else "FAILED", what))


def make(root, levels):
    """The file of level N says so; every tenth is one content."""
    os.mkdir(root)
    top = os.open(".", os.O_RDONLY)
    os.chdir(root)
    for level in range(levels):
        with open("file", "w", encoding="ascii") as f:
            f.write("%d\n" % (level % 10 and level) * 50)
        os.mkdir(NAME)
        os.chdir(NAME)
    os.fchdir(top)
    os.close(top)


def change(root, levels):
    """Half way down a file goes, at the bottom there is another one."""
    top = os.open(".", os.O_RDONLY)
    os.chdir(root)
    for level in range(levels):
        if level == levels // 2:
            os.unlink("file")
        os.chdir(NAME)
    with open("bottom", "w", encoding="ascii") as f:
        f.write("here\n" * 100)
    os.fchdir(top)
    os.close(top)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def same(one, other):
    """Compares from the top down; a path would be too long for a call."""
    top = os.open(".", os.O_RDONLY)
    seen = []
    for root in one, other:
        os.fchdir(top)
        os.chdir(root)
        levels = []
        while True:
            names = sorted(os.listdir())
            levels.append([(n, None if n == NAME else read(n))
                           for n in names])
            if NAME not in names:
                break
            os.chdir(NAME)
        seen.append(levels)
    os.fchdir(top)
    os.close(top)
    return len(seen[0]) > 1 and seen[0] == seen[1]


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def run(reel, what, *arguments, quiet=True, limit=LIMIT):
    """Runs a command, checks its end and its memory; what it printed."""
    output = subprocess.DEVNULL if quiet else subprocess.PIPE
    with subprocess.Popen([reel, *arguments], stdout=output,
                          preexec_fn=few_descriptors) as child:
        text = None if quiet else child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, "%s ends with 0" % what)
    check(usage.ru_maxrss < limit,
          "%s takes %d KiB" % (what, usage.ru_maxrss))
    seconds = usage.ru_utime + usage.ru_stime
    check(seconds < SECONDS, "%s takes %.1f s" % (what, seconds))
    return text


def try_set(reel, levels):
    make("tree", levels)
    run(reel, "init", "init", "set")
    backup = "backup", "set", "-C", "tree", "."
    run(reel, "the first backup", *backup)
    change("tree", levels)
    run(reel, "the second backup", *backup)
    run(reel, "a backup with rules", *backup, "--full", "--exclude", "/a/**/b",
        "--exclude", "*.o")
    run(reel, "verify", "verify", "set")
    run(reel, "find", "find", "set")
    run(reel, "ls -R", "ls", "-R", "set")
    run(reel, "restore", "restore", "set@2", "--to", "out")
    check(same("tree", "out"), "what was restored is what was backed up")
    before = run(reel, "info", "info", "set", quiet=False)
    for end in "", "-wal", "-shm":
        if os.path.exists("set/catalog.db" + end):
            os.unlink("set/catalog.db" + end)
    run(reel, "catalog rebuild", "catalog", "rebuild", "set")
    after = run(reel, "info again", "info", "set", quiet=False)
    check(before and before == after, "the catalogue answers as before")


def try_moved(reel):
    """All of it at another place: where was each content, so far?"""
    os.rename("tree", "below")
    os.mkdir("tree")
    os.rename("below", "tree/below")
    run(reel, "a backup of the moved tree", "backup", "set", "-C", "tree",
        ".", limit=2 * LIMIT)
    run(reel, "find --all", "find", "set", "--all")
    run(reel, "restore of what was moved", "restore", "set", "--to", "moved")
    check(same("tree/below", "moved/below"), "what was moved is restored")


def try_wide(reel):
    for n in range(WIDE):
        os.makedirs("wide/%d" % n)
        with open("wide/%d/file" % n, "w", encoding="ascii") as f:
            f.write("%d\n" % n)
    run(reel, "init", "init", "broad")
    run(reel, "a wide backup", "backup", "broad", "-C", "wide", ".")
    run(reel, "restore of the wide one", "restore", "broad", "--to",
        "out-wide")
    check(all(read("out-wide/%d/file" % n) == b"%d\n" % n
              for n in range(WIDE)), "all %d directories are there" % WIDE)


def try_chains(reel):
    """Each file waits for its writer with five directories."""
    below = "a/b/c/d"
    for n in range(CHAINS):
        os.makedirs("chains/%d/%s" % (n, below))
        with open("chains/%d/%s/file" % (n, below), "w",
                  encoding="ascii") as f:
            f.write("%d\n" % n)
    run(reel, "init", "init", "linked")
    run(reel, "a backup of chains", "backup", "linked", "-C", "chains", ".")
    run(reel, "restore of the chains", "restore", "linked", "--to",
        "out-chains")
    check(all(read("out-chains/%d/%s/file" % (n, below)) == b"%d\n" % n
              for n in range(CHAINS)), "all %d chains are there" % CHAINS)


def processor(mnt):
    """Seconds of a processor that the process of a mount has taken."""
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = read("/proc/%s/cmdline" % p).split(b"\0")
            stat = read("/proc/%s/stat" % p).rsplit(b")", 1)[1].split()
        except OSError:
            continue
        if mnt.encode() in words and b"mount" in words:
            return sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0


def commit(reel, mnt, what):
    before = processor(mnt)
    subprocess.run([reel, "commit", mnt], stdout=subprocess.DEVNULL,
                   check=False)
    seconds = processor(mnt) - before
    check(0 < seconds < SECONDS, "the commit of %s takes %.1f s" %
          (what, seconds))


def try_current(reel, levels):
    if not os.access("/dev/fuse", os.W_OK):
        print("deep: skipped: /dev/fuse cannot be used here")
        return
    mnt = os.path.abspath("mnt")
    os.mkdir(mnt)
    run(reel, "init", "init", "written")
    subprocess.run([reel, "mount", "written", mnt], check=True)
    try:
        make("mnt/current/one", levels)
        commit(reel, mnt, "a new tree")
        os.rename("mnt/current/one", "mnt/current/other")
        commit(reel, mnt, "a renamed tree")
        make("mnt/current/one", levels)
        commit(reel, mnt, "a tree of known files")
        check(same("mnt/current/one", "mnt/current/other"),
              "both are there")
    finally:
        subprocess.run([reel, "umount", mnt], stdout=subprocess.DEVNULL,
                       check=False)
    run(reel, "verify of what was committed", "verify", "written")


def main():
    reel = os.path.realpath(sys.argv[1])
    work = os.path.abspath(sys.argv[2])
    levels = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
    subprocess.run(["rm", "-rf", work], check=True)
    os.makedirs(work)
    os.chdir(work)
    try:
        try_set(reel, levels)
        try_moved(reel)
        try_wide(reel)
        try_chains(reel)
        try_current(reel, levels)
    finally:
        os.chdir("/")
        subprocess.run(["rm", "-rf", work], check=False)
    print("%d passed, %d failed" % tuple(checks))
    return 1 if checks[1] or not checks[0] else 0


if __name__ == "__main__":
    sys.exit(main())
