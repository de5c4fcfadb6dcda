#!/usr/bin/env python3
"""Makes a tree of hard cases, and changes it.

    make.py DIR STEP [--long] [--calm] [--tame]

STEP 1 makes it; 2, 3, 4 and 5 each change what is there. Ends silently. With
--long paths beyond 4,096 bytes come in, which GNU tar cannot extract. With
--calm no time makes GNU tar talk. With --tame besides no directory with
something in it becomes anything else: plain tar then extracts all steps in
order. What needs root (owners, devices, some xattrs) is left out for others.
"""
import errno
import os
import random
import shutil
import socket
import stat
import subprocess
import sys

ROOT = os.geteuid() == 0
TAME = "--tame" in sys.argv
CALM = TAME or "--calm" in sys.argv
WORDS = ("the quick brown fox jumps over a lazy dog while many small files "
         "wait for their turn to be stored once and only once").split()


def text(seed, size):
    rng = random.Random(seed)
    out = []
    have = 0
    while have < size:
        word = rng.choice(WORDS) + (" " if rng.random() < 0.9 else "\n")
        out.append(word)
        have += len(word)
    return "".join(out).encode()[:size]


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def write(path, data, mode=None, mtime=None):
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.write(data)
    if mode is not None:
        os.chmod(path, mode)
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))


def xattr(path, name, value):
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as e:
        if e.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
            raise


def no_xattr(path, name):
    try:
        os.removexattr(path, name, follow_symlinks=False)
    except OSError:
        pass


def acl(*args):
    subprocess.run(["setfacl", *args], check=False,
                   stderr=subprocess.DEVNULL)


def mknod(path, mode, major=0, minor=0):
    if ROOT:
        os.mknod(path, mode, os.makedev(major, minor))


def own(path, uid, gid):
    if ROOT:
        os.chown(path, uid, gid, follow_symlinks=False)


# ---- what each folder of the tree shows ----

NAMES = [b"plain", b"with space", b" leading", b"trailing ", b"-dash", b"--help",
         b"tab\there", b"line\nbreak", b"line\n", b"back\\slash", b"\\0101",
         b"quote'\"`", b"glob*?[a]", b"$HOME", b"per%cent", b"equal=sign",
         b"\xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x9f", b"latin\xe4\xf6",
         b"\xff\xfe\xfd", b"\x01\x02\x7f\x1b[31m", b"e\xcc\x81", b"@at", b"@@at",
         b"#hash", b"~tilde", b"a" * 99, b"b" * 100, b"c" * 101, b"d" * 255,
         b"\xc3\xa9" * 127, b"\xe9" * 255, b"..dots", b"...", b".hidden",
         b"semi;colon&amp|", b"cr\rlf\r\n"]


def make_names(base):
    d = os.path.join(base, b"names")
    os.makedirs(d)
    for n, name in enumerate(NAMES):
        write(os.path.join(d, name), b"file %d\n" % n)
    d = os.path.join(base, b"named directories")
    for n, name in enumerate(NAMES):
        sub = os.path.join(d, name + b"d" if len(name) < 255 else name)
        os.makedirs(sub)
        write(os.path.join(sub, b"inside"), text(n, 300))
    for n, name in enumerate(NAMES):
        os.symlink(name, os.path.join(d, b"l%d" % n))


def make_deep(base):
    d = base
    for n in range(6):
        d = os.path.join(d, b"deep%d-" % n + b"x" * 40)
    os.makedirs(d)
    write(os.path.join(d, b"file"), text(7, 2000))
    write(os.path.join(d, b"copy"), text(7, 2000))
    os.link(os.path.join(d, b"file"), os.path.join(base, b"shallow link"))
    d = base
    for n in range(3):
        d = os.path.join(d, b"latin\xe4%d-" % n + b"\xe4" * 80)
    os.makedirs(d)
    write(os.path.join(d, b"file"), text(8, 2000))
    write(os.path.join(d, b"copy"), text(8, 2000))


def make_very_deep(base):
    """A path beyond 4,096 bytes, made step by step."""
    here = os.open(base, os.O_RDONLY)
    for n in range(30):
        name = b"level%02d-" % n + b"y" * 180
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    f = os.open(b"bottom", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here)
    os.write(f, b"very deep\n")
    os.close(f)
    os.close(here)


def make_sizes(base):
    d = os.path.join(base, b"sizes")
    os.makedirs(d)
    for size in (0, 1, 159, 160, 161, 511, 512, 513, 1023, 1024, 1025, 4095,
                 4096, 4097, 65535, 65536, 65537, 262143, 262144, 262145,
                 300000, 1048577, 3000000):
        write(os.path.join(d, b"%d" % size), noise(size, size))
        write(os.path.join(d, b"text%d" % size), text(size, size))


def make_sparse(base):
    d = os.path.join(base, b"sparse")
    os.makedirs(d)

    def sparse(name, size, parts):
        with open(os.path.join(d, name), "wb") as f:
            for at, data in parts:
                f.seek(at)
                f.write(data)
            f.truncate(size)

    mb = 1 << 20
    sparse(b"all hole", 5 * mb, [])
    sparse(b"begin", 5 * mb, [(4 * mb, noise(1, 5000))])
    sparse(b"middle", 5 * mb, [(0, noise(2, 5000)), (4 * mb, noise(3, mb))])
    sparse(b"end", 5 * mb, [(0, noise(4, 5000))])
    sparse(b"many", 40 * mb, [(n * mb, noise(n, 4096)) for n in range(40)])
    sparse(b"copy of many", 40 * mb,
           [(n * mb, noise(n, 4096)) for n in range(40)])
    sparse(b"latin\xe4", 2 * mb, [(mb, b"x")])
    sparse(b"large", 256 * mb, [(128 * mb, b"in the middle of nowhere")])
    write(os.path.join(d, b"dense zeros"), bytes(mb))


def make_links(base):
    d = os.path.join(base, b"links")
    os.makedirs(os.path.join(d, b"one"))
    os.makedirs(os.path.join(d, b"two"))
    for size in (0, 10, 1000, 100000):
        first = os.path.join(d, b"one/first%d" % size)
        write(first, text(size + 1, size))
        os.link(first, os.path.join(d, b"one/second%d" % size))
        os.link(first, os.path.join(d, b"two/third%d" % size))
        write(os.path.join(d, b"two/copy%d" % size), text(size + 1, size),
              0o600)
        other = os.path.join(d, b"two/group%d" % size)
        write(other, text(size + 1, size), 0o640)
        os.link(other, os.path.join(d, b"one/group%d" % size))
    os.symlink(b"first10", os.path.join(d, b"one/symlink"))
    os.link(os.path.join(d, b"one/symlink"), os.path.join(d, b"two/hard symlink"),
            follow_symlinks=False)
    os.symlink(b"nowhere", os.path.join(d, b"dangling"))
    os.symlink(b"t" * 3000, os.path.join(d, b"long target"))
    os.symlink(b"\xe4" * 200, os.path.join(d, b"latin target"))
    os.symlink(b"/" + b"u" * 98, os.path.join(d, b"target of 99"))
    os.symlink(b"v" * 100, os.path.join(d, b"target of 100"))


def make_kinds(base):
    d = os.path.join(base, b"kinds")
    os.makedirs(d)
    os.mkfifo(os.path.join(d, b"fifo"), 0o640)
    mknod(os.path.join(d, b"character"), stat.S_IFCHR | 0o620, 5, 1)
    mknod(os.path.join(d, b"block"), stat.S_IFBLK | 0o660, 259, 70000)
    s = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(d)
    s.bind("socket")
    os.chdir(here)
    s.close()
    os.unlink(os.path.join(d, b"socket"))  # rsync copies it, reel does not
    for mode in (0o000, 0o400, 0o444, 0o4755, 0o2755, 0o1777, 0o6711, 0o777):
        path = os.path.join(d, b"mode%o" % mode)
        if ROOT or mode & 0o400:
            write(path, text(mode, 700), mode)
    os.mkdir(os.path.join(d, b"sticky"), 0o777)
    os.chmod(os.path.join(d, b"sticky"), 0o1777)
    os.mkdir(os.path.join(d, b"setgid"))
    os.chmod(os.path.join(d, b"setgid"), 0o2755)
    os.mkdir(os.path.join(d, b"closed"))
    write(os.path.join(d, b"closed/inside"), b"closed\n")
    os.chmod(os.path.join(d, b"closed"), 0o500)
    for n, ns in enumerate((0, 1, 999999999, 1000000000, -1, -1000000000,
                            -1500000000, 1 << 32, 4102444800123456789,
                            1234567890000000000, 86400 * 10**9,
                            8589934591 * 10**9, 8589934592000000001)):
        if CALM and not 86400 * 10**9 <= ns <= 1700000000 * 10**9:
            continue
        write(os.path.join(d, b"time%d" % n), text(n, 50), mtime=ns)
    for n, uid in enumerate((1, 65534, 2097151, 2097152, 4294967294)):
        path = os.path.join(d, b"owner%d" % n)
        write(path, text(n, 400))
        own(path, uid, uid)


def make_attributes(base):
    d = os.path.join(base, b"attributes")
    os.makedirs(d)
    for n in range(8):
        path = os.path.join(d, b"file%d" % n)
        write(path, text(99, 900))  # all are copies of one content
        xattr(path, "user.number", b"%d" % n)
    xattr(os.path.join(d, b"file1"), "user.with=equals", b"x=y")
    xattr(os.path.join(d, b"file1"), "user.with%25percent%", b"%41")
    xattr(os.path.join(d, b"file2"), "user.binary", bytes(range(256)))
    xattr(os.path.join(d, b"file3"), "user.empty", b"")
    xattr(os.path.join(d, b"file4"), "user.\u00e4\u00f6", b"utf")
    xattr(os.path.join(d, b"file5"), "user.large", noise(5, 3000))
    xattr(os.path.join(d, b"file6"), "trusted.secret", b"t")
    xattr(os.path.join(d, b"file7"), "security.capability",
          bytes.fromhex("0100000200040000000000000000000000000000"))
    for n in range(3):  # of symlinks themselves, root's
        link = os.path.join(d, b"link%d" % n)
        os.symlink(b"file%d" % n, link)
        xattr(link, "trusted.of", b"link\0%d" % n)
    acl("-m", "u:65534:rw,g:100:r,m:rwx", os.path.join(d, b"file0"))
    os.mkdir(os.path.join(d, b"directory"))
    xattr(os.path.join(d, b"directory"), "user.of", b"directory")
    acl("-m", "u:1:rwx", os.path.join(d, b"directory"))
    acl("-d", "-m", "u:2:rx,g:3:r", os.path.join(d, b"directory"))
    write(os.path.join(d, b"directory/inherits"), text(98, 500))


def make_duplicates(base):
    d = os.path.join(base, b"duplicates")
    for sub in (b"a", b"b", b"c"):
        os.makedirs(os.path.join(d, sub))
        for n in range(6):
            path = os.path.join(d, sub, b"same%d" % n)
            write(path, text(500 + n, 100 + 3000 * n), 0o600 + n,
                  1600000000000000000 + n * 123456789 + len(sub))
            own(path, 1000 + n, 100)
    write(os.path.join(d, b"large original"), noise(77, 200000))
    write(os.path.join(d, b"large copy"), noise(77, 200000), 0o400)
    write(os.path.join(d, b"leaves"), noise(78, 150000))


def make_shifting(base):
    d = os.path.join(base, b"shifting")
    os.makedirs(os.path.join(d, b"dir to file/below/below"))
    write(os.path.join(d, b"dir to file/below/needed"), noise(90, 90000))
    write(os.path.join(d, b"dir to file/below/below/small"), text(91, 400))
    write(os.path.join(d, b"file to dir"), noise(92, 70000))
    write(os.path.join(d, b"file to link"), noise(93, 70000))
    os.makedirs(os.path.join(d, b"dir to link"))
    write(os.path.join(d, b"dir to link/x"), noise(94, 80000))
    os.symlink(b"file to dir", os.path.join(d, b"link to dir"))
    os.symlink(b"file to dir", os.path.join(d, b"link to file"))
    write(os.path.join(d, b"overwritten"), noise(95, 80000))
    write(os.path.join(d, b"overwritten small"), text(96, 800))
    write(os.path.join(d, b"renamed"), text(97, 60000))
    os.makedirs(os.path.join(d, b"moved tree/sub"))
    for n in range(20):
        write(os.path.join(d, b"moved tree/sub/f%d" % n), text(600 + n, 2000))
    os.makedirs(os.path.join(d, b"goes away/with/all"))
    write(os.path.join(d, b"goes away/with/all/this"), noise(89, 80000))


def make_lengths(base):
    """Paths of every length around what the fields of a header hold."""
    d = os.path.join(base, b"lengths")
    os.makedirs(d)
    for n in list(range(96, 104)) + list(range(153, 160)) + \
            list(range(252, 260)):
        parts = [b"lengths"]
        left = n - len(parts[0]) - 2
        while left > 200:
            parts.append(b"m" * 150)
            left -= 151
        parts.append(b"%d" % n + b"-" * (left - 3))
        sub = os.path.join(base, *parts)
        os.makedirs(sub)
        # the directory's path has n - 2 bytes, the others' n
        write(os.path.join(sub, b"f"), text(1000 + n, 500))
        os.link(os.path.join(sub, b"f"), os.path.join(sub, b"h"))
        write(os.path.join(sub, b"c"), text(1000 + n, 500), 0o611)
        os.symlink(os.path.relpath(os.path.join(sub, b"f"), base),
                   os.path.join(sub, b"s"))


def make_bare(path, size):
    """A directory with a few things that have no ACL, whatever it hands on."""
    os.mkdir(os.path.join(path, b"directory"))
    write(os.path.join(path, b"directory/small"), text(size, 30))
    write(os.path.join(path, b"plain"), text(size, 1500))
    write(os.path.join(path, b"plain copy"), text(size, 1500), 0o640)
    os.link(os.path.join(path, b"plain"), os.path.join(path, b"plain link"))
    os.mkfifo(os.path.join(path, b"fifo"))
    os.symlink(b"plain", os.path.join(path, b"link"))
    with open(os.path.join(path, b"sparse"), "wb") as f:
        f.truncate(1 << 20)
    for at, dirs, files in os.walk(path):
        for name in dirs + files:
            if name != b"link":
                acl("-b", "-k", "--", os.path.join(at, name))


def make_inherited(base):
    """Directories whose default ACLs nothing in them has."""
    d = os.path.join(base, b"inherited")
    os.makedirs(os.path.join(d, b"later"))
    acl("-d", "-m", "u:2:rwx,g:3:r,o:-", d, os.path.join(d, b"later"))
    os.mkdir(os.path.join(d, b"now"))
    make_bare(os.path.join(d, b"now"), 80)


def make_bits(base):
    """Copies that differ in the bits that a change of owner takes away."""
    d = os.path.join(base, b"bits")
    os.makedirs(d)
    for n, mode in enumerate((0o4755, 0o644, 0o2711, 0o1644, 0o6755, 0o600)):
        path = os.path.join(d, b"copy%d" % n)
        write(path, text(85, 5000), mode)
        own(path, 3000000 + n % 2, 7)
        os.chmod(path, mode)
        if n == 4:
            xattr(path, "security.capability",
                  bytes.fromhex("0100000200040000000000000000000000000000"))
    os.mkdir(os.path.join(d, b"no one"))
    write(os.path.join(d, b"no one/inside"), text(85, 5000), 0)
    os.mkfifo(os.path.join(d, b"fifo"))
    os.link(os.path.join(d, b"fifo"), os.path.join(d, b"linked fifo"))
    xattr(os.path.join(d, b"fifo"), "trusted.fifo", b"1")
    os.symlink(b"here", os.path.join(d, b"symlink"))
    xattr(os.path.join(d, b"symlink"), "trusted.symlink", b"1")
    os.mkdir(os.path.join(d, b"renewed"))
    xattr(os.path.join(d, b"renewed"), "user.gone", b"soon")
    os.mkdir(os.path.join(d, b"renewed/too"))
    xattr(os.path.join(d, b"renewed/too"), "user.gone", b"soon")
    for name in NAMES:
        write(os.path.join(d, b"renewed/too", name), text(85, 5000))
    if ROOT:
        os.chmod(os.path.join(d, b"no one"), 0)


def make_swaps(base):
    d = os.path.join(base, b"swaps")
    for n in (1, 2):
        os.makedirs(os.path.join(d, b"tree%d/below" % n))
        for size in (100, 3000, 70000):
            write(os.path.join(d, b"file%d-%d" % (n, size)),
                  noise(n * size, size))
            write(os.path.join(d, b"tree%d/below/%d" % (n, size)),
                  noise(10 * n * size, size))
    write(os.path.join(d, b"emptied"), noise(79, 66000))
    write(os.path.join(d, b"linked later"), noise(79, 66000))


def swap(x, y):
    os.rename(x, x + b"~")
    os.rename(y, x)
    os.rename(x + b"~", y)


def step1(base, long):
    os.makedirs(base, exist_ok=True)
    make_names(base)
    make_deep(base)
    make_sizes(base)
    make_sparse(base)
    make_links(base)
    make_kinds(base)
    make_attributes(base)
    make_duplicates(base)
    make_shifting(base)
    make_lengths(base)
    make_inherited(base)
    make_bits(base)
    make_swaps(base)
    os.makedirs(os.path.join(base, b"empty directory"))
    xattr(base, "user.root", b"1")
    if long:
        make_very_deep(base)


def step2(base):
    s, d = os.path.join(base, b"shifting"), os.path.join(base, b"duplicates")
    a, k = os.path.join(base, b"attributes"), os.path.join(base, b"kinds")
    xattr(os.path.join(a, b"link0"), "trusted.of", b"changed")
    no_xattr(os.path.join(a, b"link1"), "trusted.of")
    # types change while copies still need what was there
    write(os.path.join(s, b"holds needed"), noise(90, 90000), 0o640)
    write(os.path.join(s, b"holds small"), text(91, 400), 0o640)
    if not TAME:
        shutil.rmtree(os.path.join(s, b"dir to file"))
        write(os.path.join(s, b"dir to file"), b"a file now\n")
    write(os.path.join(s, b"zz holds file to dir"), noise(92, 70000))
    os.unlink(os.path.join(s, b"file to dir"))
    os.makedirs(os.path.join(s, b"file to dir"))
    if not TAME:
        write(os.path.join(s, b"file to dir/x"), noise(92, 70000))
    os.unlink(os.path.join(s, b"file to link"))
    os.symlink(b"overwritten", os.path.join(s, b"file to link"))
    if not TAME:
        shutil.rmtree(os.path.join(s, b"dir to link"))
        os.symlink(b"file to dir", os.path.join(s, b"dir to link"))
    os.unlink(os.path.join(s, b"link to dir"))
    os.makedirs(os.path.join(s, b"link to dir"))
    os.unlink(os.path.join(s, b"link to file"))
    write(os.path.join(s, b"link to file"), noise(94, 80000))
    # a content moves to a name before and one behind its old name
    write(os.path.join(s, b"a takes over"), noise(95, 80000))
    write(os.path.join(s, b"overwritten"), noise(950, 80000))
    write(os.path.join(s, b"overwritten small"), text(960, 800))
    os.rename(os.path.join(s, b"renamed"), os.path.join(s, b"renamed away"))
    os.rename(os.path.join(s, b"moved tree"), os.path.join(base, b"moved here"))
    shutil.rmtree(os.path.join(s, b"goes away"))
    # duplicates of earlier sessions
    write(os.path.join(d, b"second large copy"), noise(77, 200000), 0o444)
    os.unlink(os.path.join(d, b"large original"))
    os.unlink(os.path.join(d, b"leaves"))
    for n in range(6):
        write(os.path.join(d, b"again%d" % n), text(500 + n, 100 + 3000 * n))
    # metadata alone
    no_xattr(os.path.join(a, b"file1"), "user.number")
    no_xattr(os.path.join(a, b"file2"), "user.binary")
    acl("-b", os.path.join(a, b"file0"))
    xattr(os.path.join(a, b"file3"), "user.new", b"new")
    no_xattr(os.path.join(a, b"directory"), "user.of")
    acl("-k", os.path.join(a, b"directory"))
    os.chmod(os.path.join(k, b"mode444"), 0o640)
    own(os.path.join(k, b"mode400"), 7, 8)
    own(os.path.join(k, b"fifo"), 7, 8)
    os.chmod(os.path.join(base, b"sizes/3000000"), 0o600)
    os.chmod(os.path.join(base, b"sparse/many"), 0o600)
    os.utime(os.path.join(base, b"sizes/text65536"), ns=(1, 12345678901234567))
    # hard links: broken, made anew, joined
    one, two = os.path.join(base, b"links/one"), os.path.join(base, b"links/two")
    os.unlink(os.path.join(one, b"second1000"))
    write(os.path.join(one, b"second1000"), text(1001, 1000))
    os.unlink(os.path.join(one, b"first100000"))
    os.link(os.path.join(two, b"copy100000"), os.path.join(one, b"joined"))
    os.chmod(os.path.join(one, b"first10"), 0o604)
    os.unlink(os.path.join(two, b"third0"))
    with open(os.path.join(two, b"group1000"), "ab") as f:
        f.write(b"longer\n")
    # what a default ACL would hand on
    make_bare(os.path.join(base, b"inherited/later"), 80)
    acl("-d", "-m", "u:2:rwx,g:3:r", base)
    # bits and xattrs that go
    b = os.path.join(base, b"bits")
    os.chmod(os.path.join(b, b"copy0"), 0o755)
    own(os.path.join(b, b"copy4"), 3000001, 9)
    for name in (b"renewed", b"renewed/too"):
        no_xattr(os.path.join(b, name), "user.gone")
    if ROOT:
        for name, key in ((b"fifo", "trusted.fifo"),
                          (b"symlink", "trusted.symlink")):
            os.removexattr(os.path.join(b, name), key, follow_symlinks=False)
    # contents and whole trees change places
    w = os.path.join(base, b"swaps")
    for size in (b"100", b"3000", b"70000"):
        swap(os.path.join(w, b"file1-" + size), os.path.join(w, b"file2-" + size))
    if not TAME:
        swap(os.path.join(w, b"tree1"), os.path.join(w, b"tree2"))
    write(os.path.join(w, b"emptied"), b"")
    # names
    for name in NAMES[::3]:
        os.unlink(os.path.join(base, b"names", name))
    for name in NAMES[1::3]:
        write(os.path.join(base, b"names", name), b"other " + name[:20])


def step3(base):
    s, d = os.path.join(base, b"shifting"), os.path.join(base, b"duplicates")
    # and back again
    if not TAME:
        os.unlink(os.path.join(s, b"dir to file"))
        os.makedirs(os.path.join(s, b"dir to file/below"))
    write(os.path.join(s, b"dir to file/below/needed"), noise(90, 90000))
    shutil.rmtree(os.path.join(s, b"file to dir"))
    write(os.path.join(s, b"file to dir"), noise(92, 70000))
    os.unlink(os.path.join(s, b"file to link"))
    write(os.path.join(s, b"file to link"), noise(93, 70000))
    if not TAME:
        os.unlink(os.path.join(s, b"dir to link"))
        os.makedirs(os.path.join(s, b"dir to link"))
    write(os.path.join(s, b"dir to link/x"), noise(94, 80000))
    os.rmdir(os.path.join(s, b"link to dir"))
    os.symlink(b"file to dir", os.path.join(s, b"link to dir"))
    # deleted two sessions ago, still wanted
    write(os.path.join(d, b"leaves is back"), noise(78, 150000))
    write(os.path.join(d, b"from what went"), noise(89, 80000))
    os.unlink(os.path.join(d, b"large copy"))
    os.unlink(os.path.join(d, b"second large copy"))
    write(os.path.join(d, b"third large copy"), noise(77, 200000))
    shutil.rmtree(os.path.join(base, b"named directories"))
    os.rename(os.path.join(base, b"moved here"), os.path.join(s, b"moved tree"))
    no_xattr(base, "user.root")
    w = os.path.join(base, b"swaps")
    write(os.path.join(w, b"emptied"), noise(79, 66000))
    os.unlink(os.path.join(w, b"linked later"))
    os.link(os.path.join(w, b"emptied"), os.path.join(w, b"linked later"))
    make_bare(os.path.join(base, b"empty directory"), 81)


def step4(base):
    d = os.path.join(base, b"duplicates")
    # every name of a directory is another's content now
    for n in range(6):
        write(os.path.join(d, b"a/same%d" % n),
              text(500 + (n + 1) % 6, 100 + 3000 * ((n + 1) % 6)))
    shutil.rmtree(os.path.join(base, b"links"))
    make_links(base)
    shutil.rmtree(os.path.join(base, b"sparse"))
    if not TAME:
        write(os.path.join(base, b"sparse"), b"no directory any more\n")
    acl("-k", base)
    make_names(os.path.join(base, b"empty directory"))
    os.chmod(base, 0o750)


def step5(base):
    if not TAME:
        os.unlink(os.path.join(base, b"sparse"))
    make_sparse(base)
    shutil.rmtree(os.path.join(base, b"empty directory"))
    os.makedirs(os.path.join(base, b"empty directory"))
    for entry in os.scandir(os.path.join(base, b"duplicates/b")):
        os.utime(entry.path, ns=(5, 5000000005))
        os.chmod(entry.path, 0o755)
    shutil.rmtree(os.path.join(base, b"attributes"))


def main():
    base, step = os.fsencode(sys.argv[1]), int(sys.argv[2])
    os.umask(0o022)
    if step == 1:
        step1(base, "--long" in sys.argv[3:])
    else:
        (step2, step3, step4, step5)[step - 2](base)


main()
