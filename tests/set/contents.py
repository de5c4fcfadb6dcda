#!/usr/bin/env python3
"""Compares what regular files hold: contents.py TRUTH EXTRACTED TOOL

pax writes the stored form of sparse members out, so those are passed over."""
import os
import sys

truth, out, tool = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2]), sys.argv[3]


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        while True:
            x, y = f.read(1 << 20), g.read(1 << 20)
            if x != y:
                return False
            if not x:
                return True


bad = []
for base, dirs, files in os.walk(truth):
    for name in files:
        path = os.path.join(base, name)
        st = os.lstat(path)
        rel = os.path.relpath(path, truth)
        if not os.path.isfile(path) or os.path.islink(path):
            continue
        sparse = st.st_blocks * 512 + 65536 <= st.st_size
        if sparse and tool == "pax":
            continue
        other = os.path.join(out, rel)
        try:
            if os.lstat(other).st_size != st.st_size:
                bad.append((rel, "size"))
            elif st.st_size < (1 << 32) and not same(path, other):
                bad.append((rel, "content"))
        except OSError as e:
            bad.append((rel, e.strerror))
for rel, why in bad[:10]:
    print(rel, why)
sys.exit(bool(bad))
