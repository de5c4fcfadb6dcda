"""Compares `reel rules test` with `git check-ignore`.

    gitignore.py REEL WORKDIR

Both are asked about every path of a tree, under many lists of patterns: each
of PATTERNS alone, and random lists of them with some taken back.
Left out, since reel refuses or reads
them as they look: a slash within [...], ranges that run backwards ([z-a] fits
z for git).
"""
import os
import random
import subprocess
import sys

PATTERNS = """
foo
foo/
/foo
/foo/
foo*
*foo
*.o
*.[oa]
*.[!o]
*.[^o]
?.c
??
a?c
[a-c]*
[[:digit:]]*
[[:upper:]][[:lower:]]*
[]x]y
[!]]y
\\*star
\\?
*\\?*
sp\\ ace
sp ace
\\#hash
#hash
a/b
/a/b
a/b/
a/*
a/*/c
a/**
a/**/c
a/**/c/d
**/c
**/c/d
**/a/b
**/b/**
*/b
*/*/c
*/*
*
**
/*
/**
**/
a**c
**c
a/**b
x/**/y/**/z
x/**/**/z
b/**/
/a/**/d
deep/**/file
deep/*/*/file
d*p/**/f*e
*.tar.*
*.tar.gz
.*
.*.sw[a-p]
*~
.#*
#*#
\\a
a\\/b
caf\\é
café
caf?
caf??
long-*-name-*-end
*-*-*-*
[a-]
[-a]
[\\]]y
foo**
foo/**/bar
/foo/*/bar/
""".strip("\n").split("\n")

FILES = """
foo/foo foo/bar/x foo/x/bar/y foo/x/bar2 a/b/c/d a/b/d a/c a/d/c/d/e a/x b/a/b/c
b/foo c x/y/z x/1/y/2/z x/z x/1/2/z deep/1/2/file deep/file deep/1/2/3/file
dump/file main.o main.a main.c a.c m.tar.gz m.tar.xz m.tar .hidden .x.swp .x.swq
back~ .#lock #auto# *star ? q?q Upper lower 9lives 10 ab abc axc ac []y ]y xy yy
\\a zz/a/b long-1-name-2-end l-o-n-g #hash fooz zfoo z/foo/z -a ay a\\b d/e/f/g/h
""".split() + ["sp ace", "café", "d/sp ace", "caf\u00e9s"]


def make(top):
    for path in FILES:
        path = os.path.join(top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.isdir(path):
            open(path, "w").close()
    found = []
    for folder, folders, names in os.walk(top):
        if ".git" in folders:
            folders.remove(".git")
        at = os.path.relpath(folder, top)
        for name in folders + names:
            path = os.path.normpath(os.path.join(at, name))
            found.append((path, name in folders))
    return sorted(found)


def ask_git(top, lines, paths):
    with open(os.path.join(top, ".git/info/exclude"), "w") as f:
        for taken_back, pattern in lines:
            lead = "!" if taken_back else ""
            if not lead and pattern[0] in "#!":
                pattern = "\\" + pattern
            f.write(lead + pattern + "\n")
    given = b"".join(os.fsencode(p) + b"\0" for p, _ in paths)
    out = subprocess.run(
        ["git", "-C", top, "check-ignore", "--no-index", "-v", "-n", "-z",
         "--stdin"], input=given, stdout=subprocess.PIPE, check=False).stdout
    fields = out.split(b"\0")[:-1]
    answer = {}
    for n in range(0, len(fields), 4):
        pattern, path = fields[n + 2], fields[n + 3]
        answer[os.fsdecode(path)] = bool(pattern) and \
            not pattern.startswith(b"!")
    return answer


def ask_reel(reel, group, lines, paths):
    with open(os.path.join(group, "rules"), "w") as f:
        for taken_back, pattern in lines:
            f.write(("include " if taken_back else "exclude ") + pattern +
                    "\n")
    given = [p + ("/" if d else "") for p, d in paths]
    out = subprocess.run([reel, "rules", "test", group, "--"] + given,
                         stdout=subprocess.PIPE, check=True).stdout
    rows = out.decode("utf-8", "surrogateescape").split("\n")[:-1]
    assert len(rows) == len(paths), (len(rows), len(paths))
    return {p: ": left out: " in r for (p, _), r in zip(paths, rows)}


def main():
    reel, work = sys.argv[1:]
    top = os.path.join(work, "tree")
    group = os.path.join(work, "set")
    subprocess.run(["git", "init", "-q", top], check=True)
    subprocess.run([reel, "init", group], check=True)
    paths = make(top)
    rng = random.Random(1)
    lists = [[(False, p)] for p in PATTERNS]
    for _ in range(150):
        some = rng.sample(PATTERNS, rng.randrange(2, 12))
        lists.append([(rng.random() < 0.35, p) for p in some])
    cases = wrong = 0
    for lines in lists:
        git = ask_git(top, lines, paths)
        ours = ask_reel(reel, group, lines, paths)
        for path, _ in paths:
            cases += 1
            if git.get(path, False) != ours[path]:
                wrong += 1
                if wrong < 40:
                    print("%s: git %s, reel %s, rules %s" %
                          (path, git.get(path, False), ours[path], lines))
    print("%d cases, %d differ" % (cases, wrong))
    sys.exit(1 if wrong or cases < 200 else 0)


main()
