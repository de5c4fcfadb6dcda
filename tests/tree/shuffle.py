#!/usr/bin/env python3
"""Makes and changes a small tree at random, the same for the same SEED.

    shuffle.py DIR SEED STEP

STEP 1 makes it. Contents, owners and attributes come from small pools, so that
copies, links, swaps and changes of type meet each other all the time.
"""
import os
import random
import shutil
import stat
import subprocess
import sys

base, seed, step = os.fsencode(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = random.Random(f"{seed}/{step}")
ROOT = os.geteuid() == 0
CONTENTS = [random.Random(n).randbytes(size) for n, size in enumerate(
    (0, 40, 200, 200, 3000, 3000, 66000, 66000, 70001, 150000))]
NAMES = [b"a", b"b", b"c", b"d", b"-e", b"f g", b"h\ni", b"j\\k", b"l\xe4m",
         b"*", b"n" * 120, b"\xc3\xb6" * 70]
ATTRIBUTES = ["user.one", "user.two=2", "user.th%ree", "trusted.four"]


def everything():
    dirs, files = [base], []
    for at, ds, fs in os.walk(base):
        dirs += [os.path.join(at, d) for d in ds
                 if not os.path.islink(os.path.join(at, d))]
        files += [os.path.join(at, f) for f in fs]
        files += [os.path.join(at, d) for d in ds
                  if os.path.islink(os.path.join(at, d))]
    return sorted(dirs), sorted(files)


def gone(path):
    if os.path.islink(path) or not os.path.isdir(path):
        if os.path.lexists(path):
            os.unlink(path)
    else:
        shutil.rmtree(path)


def place(dirs):
    """A path, free or taken."""
    return os.path.join(rng.choice(dirs), rng.choice(NAMES))


def write(path):
    # in place, or as a file of its own
    if not os.path.isfile(path) or os.path.islink(path) or rng.random() < .5:
        gone(path)
    data = rng.choice(CONTENTS)
    with open(path, "wb") as f:
        if rng.random() < .1:
            f.truncate(200000)
            f.seek(100000)
            data = data[:3000]
        f.write(data)


def special(path):
    gone(path)
    kind = rng.randrange(3 if ROOT else 2)
    if kind == 0:
        os.symlink(rng.choice(NAMES) * rng.choice((1, 5)), path)
    elif kind == 1:
        os.mkfifo(path)
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, rng.randrange(9)))


def metadata(path):
    kind = rng.randrange(6)
    link = os.path.islink(path)
    if kind == 0 and not link:
        mode = rng.choice((0o600, 0o644, 0o755, 0o4755, 0o2711, 0o1777, 0))
        # others than root must still read it
        os.chmod(path, mode if ROOT else mode | 0o700)
    elif kind == 1 and ROOT:
        os.chown(path, rng.choice((0, 7, 3000000)), rng.choice((0, 8)),
                 follow_symlinks=False)
    elif kind == 2:
        ns = rng.choice((0, 10**18, 10**18 + 1, 1600000000123456789, -5))
        os.utime(path, ns=(ns, ns), follow_symlinks=False)
    elif kind == 3:
        for name in os.listxattr(path, follow_symlinks=False):
            if not name.startswith("system."):
                os.removexattr(path, name, follow_symlinks=False)
    elif kind == 4:
        name = rng.choice(ATTRIBUTES)
        try:
            os.setxattr(path, name, rng.randbytes(rng.choice((0, 3, 300))),
                        follow_symlinks=False)
        except OSError:
            pass
    elif not link:
        how = rng.choice((["-b"], ["-m", "u:9:rw"], ["-m", "g:9:r,m:rwx"]))
        if os.path.isdir(path) and rng.random() < .5:
            how = rng.choice((["-k"], ["-d", "-m", "u:9:rwx,o:-"]))
        subprocess.run(["setfacl", *how, "--", path], check=False,
                       stderr=subprocess.DEVNULL)


def swap(x, y):
    if x == y or x.startswith(y + b"/") or y.startswith(x + b"/"):
        return
    os.rename(x, x + b"~")
    os.rename(y, x)
    os.rename(x + b"~", y)


def change():
    dirs, files = everything()
    dice = rng.random()
    if dice < .22 or len(files) < 4:
        path = place(dirs)
        if os.path.islink(path) or not os.path.isdir(path) or \
                rng.random() < .2:
            write(path)
    elif dice < .32:
        path = place(dirs)
        if path.count(b"/") < base.count(b"/") + 5:
            gone(path)
            os.mkdir(path)
    elif dice < .44:
        source, path = rng.choice(files), place(dirs)
        if not os.path.isdir(path) or os.path.islink(path):
            if source != path:
                gone(path)
                os.link(source, path, follow_symlinks=False)
    elif dice < .50:
        gone(rng.choice(files))
    elif dice < .52 and len(dirs) > 1:
        gone(rng.choice(dirs[1:]))
    elif dice < .60:
        source, path = rng.choice(files + dirs[1:]), place(dirs)
        if not path.startswith(source) and not source.startswith(path):
            gone(path)
            os.rename(source, path)
    elif dice < .66:
        swap(rng.choice(files + dirs[1:]), rng.choice(files + dirs[1:]))
    elif dice < .70:
        special(rng.choice(files))
    elif dice < .76:
        source, path = rng.choice(files), place(dirs)
        if source != path and not os.path.isdir(path):
            gone(path)
            subprocess.run([b"cp", b"-a", b"--", source, path], check=True)
    else:
        metadata(rng.choice(files + dirs))


os.umask(0o022)
os.makedirs(base, exist_ok=True)
for _ in range(60 if step == 1 else rng.randrange(1, 30)):
    change()
