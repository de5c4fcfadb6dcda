#!/usr/bin/env python3
"""Whether a spool that nobody has open is whole: orphans.py SET

Every file of bytes is named by a row, every row's file is there; every entry
leads to a node. A line for each that is not, and status 1."""
import os
import sqlite3
import sys

spool = os.path.join(sys.argv[1], "spool", "current")
if not os.path.exists(os.path.join(spool, "spool.db")):
    if os.path.isdir(os.path.join(spool, "files")) and \
            os.listdir(os.path.join(spool, "files")):
        print("files without a log")
        sys.exit(1)
    sys.exit(0)
db = sqlite3.connect(os.path.join(spool, "spool.db"))
bad = 0
if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
    print("the log is damaged")
    bad += 1
named = {str(n) for (n,) in db.execute(
    "SELECT file FROM node WHERE file != 0")}
there = set(os.listdir(os.path.join(spool, "files")))
for name in sorted(there - named):
    print("no row names the file", name)
    bad += 1
for name in sorted(named - there):
    print("a row names a file that is not there:", name)
    bad += 1
for parent, name in db.execute(
        "SELECT parent, name FROM entry WHERE node != 0 AND node NOT IN "
        "(SELECT id FROM node) LIMIT 5"):
    print("a name without a node:", parent, name)
    bad += 1
sys.exit(1 if bad else 0)
