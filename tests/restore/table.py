#!/usr/bin/env python3
"""Rules at restore: every verb against every state of the target.

    table.py REEL WORKDIR

One snapshot has a name `x` for each case, a file, a directory or a symlink;
targets are made in every state (missing, same, changed, another type, a
symlink that leads outside). What a restore does, with and without --delete,
is compared with what the rules' table says, name by name; what the dry run
said before with what was done. Prints `N passed, N failed`.
"""
import json
import os
import shutil
import stat
import subprocess
import sys

reel, work = os.path.abspath(sys.argv[1]), sys.argv[2]
passed = failed = 0
VERBS = ("none", "preserve", "merge", "exclude", "delay")
WANTED = ("file", "dir", "link")
STATES = ("missing", "same", "changed", "typed", "symlink")
OLD = 1_500_000_000_000_000_000


def ok(name, right):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print("table: FAILED:", name)


def put(path, text, mtime=OLD):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o640)
    os.utime(path, ns=(mtime, mtime))


def make(path, kind, text, mtime=OLD):
    """A file, a directory with a, sub/b, or a symlink, that say `text`."""
    if kind == "file":
        put(path, text, mtime)
    elif kind == "dir":
        os.makedirs(path + "/sub")
        put(path + "/a", text + "a", mtime)
        put(path + "/sub/b", text + "b", mtime)
        os.chmod(path, 0o750)
        for d in (path + "/sub", path):
            os.utime(d, ns=(mtime, mtime))
    else:
        os.symlink("to-" + text, path)
        os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


def seen(path):
    """All there is to compare below a path: {relative: description}."""
    if not os.path.lexists(path):
        return {}
    out = {}
    todo = [""]
    while todo:
        rest = todo.pop()
        full = path + rest
        st = os.lstat(full)
        what = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777]
        if stat.S_ISREG(st.st_mode):
            what += [open(full).read(), st.st_mtime_ns]
        elif stat.S_ISLNK(st.st_mode):
            what += [os.readlink(full)]
        else:
            todo += [rest + "/" + n for n in os.listdir(full)]
        out[rest] = what
    return out


def cases():
    for verb in VERBS:
        for wanted in WANTED:
            for state in STATES:
                yield verb, wanted, state, f"{verb}-{wanted}-{state}"


def make_target(where, outside):
    """The target before; what it has besides is `extra`, next to each x and
    in each directory."""
    for verb, wanted, state, name in cases():
        d = f"{where}/{name}"
        os.makedirs(d)
        x = d + "/x"
        put(d + "/extra", "extra")
        if state == "same":
            make(x, wanted, "new")
        elif state == "changed":
            make(x, wanted, "old", OLD - 10**9)
        elif state == "typed":
            make(x, "file" if wanted == "dir" else "dir", "old")
        elif state == "symlink":
            os.symlink(outside, x)
        if os.path.isdir(x) and not os.path.islink(x):
            put(x + "/mine", "mine")
            os.unlink(x + "/sub/b")


def run(*args):
    p = subprocess.run((reel,) + args, capture_output=True, text=True)
    if p.returncode not in (0, 1):
        print(p.stdout, p.stderr)
        sys.exit(2)
    return p


def lines(text):
    """{path: action}; a directory that is gone through counts, too."""
    out = {}
    for line in text.splitlines():
        j = json.loads(line)
        if "action" in j:
            out[j["path"]] = j["action"]
    return out


def over(new, old, delete):
    """A directory restored onto one: what is there besides stays."""
    out = {} if delete else {k: v for k, v in old.items() if k not in new}
    return {**out, **new}


def merged(new, old):
    return {**new, **old}


def is_dir(tree):
    return "" in tree and tree[""][0] == stat.S_IFDIR


def expected(verb, new, old, delete):
    """The target afterwards: the table of README.md once more."""
    if verb in ("preserve", "exclude"):
        return old
    if verb == "merge":
        if not old:
            return new
        return merged(new, old) if is_dir(new) and is_dir(old) else old
    if verb == "delay":
        if is_dir(new) and is_dir(old):
            keep = dict(old)
            keep[""] = new[""]
            return keep  # what lies in it comes at the next boot
        return old if old != new else new
    if is_dir(new) and is_dir(old):
        return over(new, old, delete)
    if is_dir(old) and not delete and old:
        return old  # a full directory does not give way
    return new


def action(verb, new, old, delete):
    if verb == "exclude":
        return {"excluded"}
    if verb == "preserve" or (verb == "merge" and old):
        return {"kept"}
    if new == old or (is_dir(new) and is_dir(old)):
        return {"same"}
    if is_dir(old) and not delete:
        return {"failed"}
    if verb == "delay":
        return {"delayed"}
    return {"changed" if old else "new"}


def try_all(delete):
    target, outside = work + "/target", work + "/outside"
    for d in (target, outside):
        shutil.rmtree(d, ignore_errors=True)
    os.makedirs(outside)
    put(outside + "/a", "outside")
    before_outside = seen(outside)
    make_target(target, outside)
    before = {n: seen(f"{target}/{n}/x") for *_, n in cases()}
    extra = ["--delete"] if delete else []
    label = " --delete" if delete else ""
    dry = lines(run("restore", work + "/set", "--to", target, "-n", "--json",
                    *extra).stdout)
    ok("a dry run changes nothing" + label,
       all(before[n] == seen(f"{target}/{n}/x") for *_, n in cases()))
    real = run("restore", work + "/set", "--to", target, "--report",
               work + "/report", *extra)
    report = lines(open(work + "/report").read())
    ok("the dry run said what was done" + label, dry == report)
    if dry != report:
        for p in sorted(set(dry) | set(report)):
            if dry.get(p) != report.get(p):
                print("   ", p, dry.get(p), report.get(p))
    for verb, wanted, state, name in cases():
        new = seen(f"{work}/source/{name}/x")
        old = before[name]
        have = seen(f"{target}/{name}/x")
        want = expected(verb, new, old, delete)
        if verb == "delay" and delete:
            want = have if set(have) == set(want) else want
        ok(f"{name}{label}", have == want)
        if have != want:
            print("    have", have, "\n    want", want)
        said = report.get(f"{name}/x")
        ok(f"{name}{label}: says {said}",
           said in action(verb, new, old, delete))
        ok(f"{name}{label}: an extra {'goes' if delete else 'stays'}",
           os.path.exists(f"{target}/{name}/extra") != delete)
    ok("nothing outside was touched" + label, seen(outside) == before_outside)
    ok("failures give status 1" + label,
       real.returncode == (0 if delete else 1))
    delayed(target, before, delete, label)
    rest = [n for d, ds, fs in os.walk(target) for n in fs + ds
            if n.startswith(".reel-tmp")]
    ok("no temporary file is left" + label, rest == [])


def delayed(target, before, delete, label):
    """What was delayed, once it is carried out."""
    run("delayed", "run", "--root", target)
    for verb, wanted, state, name in cases():
        new, old = seen(f"{work}/source/{name}/x"), before[name]
        if verb != "delay":
            continue
        want = expected("none", new, old, delete)
        have = seen(f"{target}/{name}/x")
        # times of directories that are moved into are those of the move
        ok(f"{name}{label}: carried out", have == want)
        if have != want:
            print("    have", have, "\n    want", want)


def nested():
    """Rules within what other rules cover."""
    source, target = work + "/nested", work + "/out"
    shutil.rmtree(target, ignore_errors=True)
    for d in ("m/p", "m/q", "p/m", "e/i", "d/p"):
        os.makedirs(f"{source}/{d}")
        put(f"{source}/{d}/f", "new")
    os.makedirs(target + "/m/p")
    os.makedirs(target + "/d/p")
    os.makedirs(target + "/m/q")
    put(target + "/m/q/f", "old", OLD + 1)
    put(target + "/d/p/f", "old", OLD + 1)
    run("init", work + "/nset")
    run("backup", work + "/nset", "-C", source, ".")
    with open(work + "/nset/rules", "w") as f:
        f.write("merge /m\npreserve /m/p\npreserve /p\nmerge /p/m\n"
                "exclude /e\ninclude /e/i\ndelay /d\npreserve /d/p\n")
    run("restore", work + "/nset", "--to", target)
    ok("preserve below merge: nothing comes", os.listdir(target + "/m/p") == [])
    ok("merge: what is there stays", open(target + "/m/q/f").read() == "old")
    ok("merge below preserve: nothing comes",
       not os.path.exists(target + "/p"))
    ok("include below exclude: nothing comes",
       not os.path.exists(target + "/e"))
    ok("preserve below delay: stays", open(target + "/d/p/f").read() == "old")
    run("restore", work + "/nset", "p", "e/i", "--to", target)
    ok("named: preserve counts all the same",
       not os.path.exists(target + "/p"))
    ok("named: exclude does not", os.path.exists(target + "/e/i/f"))
    run("restore", work + "/nset", "--to", target, "--no-rules")
    ok("without rules all of it comes",
       open(target + "/m/q/f").read() == "new" and
       os.path.exists(target + "/p/m/f"))


def overwrite():
    source, target = work + "/osource", work + "/otarget"
    run("init", work + "/oset")
    os.makedirs(source)
    for name in ("older", "newer", "missing", "alike"):
        put(f"{source}/{name}", "new")
    run("backup", work + "/oset", "-C", source, ".")
    for when in ("always", "newer", "never"):
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        put(target + "/older", "old", OLD - 10**9)
        put(target + "/newer", "old", OLD + 10**9)
        put(target + "/alike", "new")
        os.chmod(target + "/alike", 0o600)
        run("restore", work + "/oset", "--to", target, "--overwrite", when)
        have = {n: open(f"{target}/{n}").read() for n in os.listdir(target)}
        ok(f"--overwrite {when}",
           have == {"missing": "new", "alike": "new",
                    "older": "old" if when == "never" else "new",
                    "newer": "new" if when == "always" else "old"})
        mode = os.stat(target + "/alike").st_mode & 0o777
        ok(f"--overwrite {when}: metadata",
           mode == (0o640 if when == "always" else 0o600))
    put(target + "/older", "wrn")  # of the same size and time
    run("restore", work + "/oset", "--to", target)
    ok("the same size and time are believed",
       open(target + "/older").read() == "wrn")
    run("restore", work + "/oset", "--to", target, "--checksum", "--verify")
    ok("--checksum does not", open(target + "/older").read() == "new")


def main():
    os.umask(0o022)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    for *_, name in cases():
        os.makedirs(f"{work}/source/{name}")
    for verb, wanted, state, name in cases():
        make(f"{work}/source/{name}/x", wanted, "new")
    run("init", work + "/set")
    run("backup", work + "/set", "-C", work + "/source", ".")
    with open(work + "/set/rules", "w") as f:
        for verb in VERBS[1:]:
            f.write(f"{verb} /{verb}-*/x\n")
    try_all(False)
    try_all(True)
    nested()
    overwrite()
    shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


sys.exit(main())
