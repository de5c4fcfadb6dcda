"""What a power cut leaves: a set as it stood before, and the record that
cut.c made of a program's calls on it.

    replay.py RECORD RECORDED-DIR TARGET-DIR CUT VARIANT

TARGET-DIR holds the set as it was; the calls before number CUT are done to
it, less what was not yet synced:

    data    data since the last fsync of each file is lost, names are kept
    names   creations, renames and removals since the last fsync of each
            directory are lost, data is kept
    both    both are lost
    N       a number: what is lost of either is drawn at random, name by name
            and file by file

With CUT `count`: prints how many calls there are; with `plan`, the numbers of
those that changed files; `said N`: what programs had said before call N.
"""
import os
import random
import shutil
import sys


class File:
    def __init__(self, data=b""):
        self.data = bytearray(data)
        self.synced = bytes(data)


class Folder:
    def __init__(self):
        self.names = {}
        self.synced = {}
        self.pending = []  # name operations since the last sync

    def do(self, operation, move=None):
        operation(self.names)
        self.pending.append((operation, move))

    def sync(self):
        self.synced = dict(self.names)
        for operation, move in self.pending:
            if move:
                move.happened = True
        self.pending = []

    def sync_all(self):
        self.sync()
        for it in self.names.values():
            if isinstance(it, Folder):
                it.sync_all()
            else:
                it.synced = bytes(it.data)


class Move:
    """A rename between folders, which happens in both or in neither: so it is
    with every journal of a filesystem. A sync of one folder is of the move."""

    def __init__(self):
        self.happened = None

    def settle(self, happens):
        if self.happened is None:
            self.happened = happens
        return self.happened


def setter(name, what):
    def operation(names):
        names[name] = what
    return operation


def remover(name):
    def operation(names):
        names.pop(name, None)
    return operation


def mover(old, new, what):
    def operation(names):
        names.pop(old, None)
        names[new] = what
    return operation


def load(path):
    folder = Folder()
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            folder.names[entry.name] = load(entry.path)
        else:
            with open(entry.path, "rb") as f:
                folder.names[entry.name] = File(f.read())
    folder.sync()
    return folder


def read_record(path):
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            return  # the program was killed while it noted this
        fields = data[at:end].split(b"\0")
        at = end + 1
        if fields[0] in (b"W", b"A"):
            n = int(fields[3])
            fields.append(data[at:at + n])
            at += n
        yield fields


class Tree:
    def __init__(self, root, base):
        self.root = root
        self.base = os.fsencode(base)

    def split(self, path):
        """The folder that holds a path, and its name there."""
        assert path.startswith(self.base), path
        parts = [p for p in path[len(self.base):].split(b"/") if p]
        folder = self.root
        for part in parts[:-1]:
            folder = folder.names[os.fsdecode(part)]
        return folder, os.fsdecode(parts[-1]) if parts else None

    def find(self, path):
        folder, name = self.split(path)
        return folder.names.get(name) if name else folder

    def do(self, what, path, *rest):
        if path.endswith(b" (deleted)"):
            return  # what still was open
        if what == b"A":
            return
        if what == b"Y":
            self.root.sync_all()
            return
        folder, name = self.split(path)
        if what == b"C":
            if name not in folder.names:
                folder.do(setter(name, File()))
        elif what == b"M":
            folder.do(setter(name, Folder()))
        elif what == b"U":
            folder.do(remover(name))
        elif what == b"S":
            it = self.find(path)
            if isinstance(it, Folder):
                it.sync()
            elif it:
                it.synced = bytes(it.data)
        elif what in (b"R", b"L"):
            it = folder.names[name]
            there, new = self.split(rest[0])
            if what == b"L":
                there.do(setter(new, it))
            elif there is folder:
                folder.do(mover(name, new, it))
            else:
                move = Move()
                there.do(setter(new, it), move)
                folder.do(remover(name), move)
        elif what == b"T":
            f, n = self.find(path), int(rest[0])
            if f:
                f.data = f.data[:n] + bytes(max(0, n - len(f.data)))
        elif what == b"W":
            f, at, data = self.find(path), int(rest[0]), rest[2]
            if f:  # else it was removed and is still open
                if len(f.data) < at:
                    f.data += bytes(at - len(f.data))
                f.data[at:at + len(data)] = data


def settle(folder, variant, draw):
    """What is there after the cut."""
    if variant == "data":
        names = folder.names
    else:
        names = dict(folder.synced)
        lost = variant in ("names", "both")
        for operation, move in folder.pending:
            happens = not lost and draw.random() < 0.5
            if move.settle(happens) if move else happens:
                operation(names)
    out = {}
    for name, it in names.items():
        if isinstance(it, Folder):
            out[name] = settle(it, variant, draw)
        elif variant == "names" or (variant.isdigit() and
                                    draw.random() < 0.5):
            out[name] = bytes(it.data)
        else:
            out[name] = it.synced
    return out


def store(path, names):
    for entry in os.scandir(path):
        if entry.name not in names:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    for name, it in names.items():
        below = os.path.join(path, name)
        if isinstance(it, dict):
            if os.path.isfile(below):
                os.unlink(below)
            if not os.path.isdir(below):
                os.mkdir(below)
            store(below, it)
            continue
        if os.path.isdir(below):
            shutil.rmtree(below)
        if not os.path.exists(below):
            os.close(os.open(below, os.O_CREAT | os.O_WRONLY, 0o600))
        with open(below, "r+b") as f:
            f.truncate(0)
            f.write(it)


def main():
    record, base, target, cut, variant = sys.argv[1:6]
    calls = read_record(record)
    if cut == "count":
        print(sum(1 for _ in calls))
        return
    if cut == "plan":
        print(*(n for n, fields in enumerate(calls, 1)
                if fields[0] != b"A"), sep="\n")
        return
    if cut == "said":
        for n, fields in enumerate(calls, 1):
            if n < int(variant) and fields[0] == b"A":
                sys.stdout.buffer.write(fields[4])
        return
    root = load(target)
    tree = Tree(root, base)
    for n, fields in enumerate(calls, 1):
        if n >= int(cut):
            break
        tree.do(*fields)
    store(target, settle(root, variant, random.Random(cut + variant)))


main()
