#!/usr/bin/env python3
"""Whether a spool that nobody has open is whole: orphans.py SET

Every file of bytes is named by a row, every row's file is there; every entry
leads to a node. A log that is empty (version 0, as SQLite made it) was never
written to: then there are no files. A line for each that is not, and status
1."""
import os
import sqlite3
import sys

spool = os.path.join(sys.argv[1], "spool", "current")
log = os.path.join(spool, "spool.db")
db = sqlite3.connect(log) if os.path.exists(log) else None
if not db or (db.execute("PRAGMA user_version").fetchone() == (0,) and
              not db.execute("SELECT 1 FROM sqlite_master").fetchone()):
    files = os.path.join(spool, "files")
    if os.path.isdir(files) and os.listdir(files):
        print("files without a log")
        sys.exit(1)
    sys.exit(0)
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
