#!/usr/bin/env python3
"""An SQLite database in WAL mode: database.py load DB REEL MNT | check DB

load: four processes write and read while a fifth commits the mount; then the
database has exactly what they wrote. check: integrity_check, and every row.
"""
import hashlib
import os
import sqlite3
import subprocess
import sys

WRITERS, ROWS = 4, 150


def payload(writer, n):
    return hashlib.sha256(b"%d/%d" % (writer, n)).digest() * (1 + n % 40)


def connect(path):
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


def write(path, writer):
    db = connect(path)
    for n in range(ROWS):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?, ?, ?)",
                   (writer, n, payload(writer, n)))
        db.execute("UPDATE counts SET n = n + 1")
        db.execute("COMMIT")
        if n % 10 == 0:
            (count,) = db.execute("SELECT count(*) FROM t").fetchone()
            (total,) = db.execute("SELECT n FROM counts").fetchone()
            if count > total:
                return 1
    db.close()
    return 0


def load(path, reel, mnt):
    db = connect(path)
    db.execute("CREATE TABLE t(writer, n, bytes, PRIMARY KEY(writer, n))")
    db.execute("CREATE TABLE counts(n)")
    db.execute("INSERT INTO counts VALUES (0)")
    db.close()
    children = []
    for writer in range(WRITERS):
        pid = os.fork()
        if not pid:
            os._exit(write(path, writer))
        children.append(pid)
    for _ in range(2):
        subprocess.run([reel, "commit", mnt], check=True)
    bad = 0
    for pid in children:
        bad += os.waitpid(pid, 0)[1] != 0
    return bad or check(path)


def check(path):
    db = sqlite3.connect(path, timeout=60)
    (word,) = db.execute("PRAGMA integrity_check").fetchone()
    rows = db.execute("SELECT writer, n, bytes FROM t").fetchall()
    bad = [r[:2] for r in rows if r[2] != payload(*r[:2])]
    (count,) = db.execute("SELECT n FROM counts").fetchone()
    print(word, len(rows), count, bad[:3])
    return 0 if (word == "ok" and not bad and
                 len(rows) == count == WRITERS * ROWS) else 1


if sys.argv[1] == "load":
    sys.exit(1 if load(*sys.argv[2:5]) else 0)
sys.exit(check(sys.argv[2]))
