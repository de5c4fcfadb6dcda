#!/usr/bin/env python3
"""Reads a volume by the seek table alone (zstd seekable format 0.1.0): the
table's sizes and checksums must fit what each frame, decoded for itself by the
zstd program, holds."""
import struct
import subprocess
import sys

with open(sys.argv[1], "rb") as f:
    data = f.read()
count, flags, magic = struct.unpack("<IBI", data[-9:])
assert magic == 0x8F92EAB1, "no seekable magic"
assert flags & 0x7F == 0 and flags & 0x80, "flags"
size = 12 * count + 9
table = data[-size:-9]
head = struct.unpack("<II", data[-size - 8:-size])
assert head == (0x184D2A5E, size), "skippable frame of the table"
at = 0
step = max(1, count // 40)
for n in range(count):
    stored, plain, check = struct.unpack_from("<III", table, 12 * n)
    if n % step == 0:
        out = subprocess.run(["zstd", "-dcq"], input=data[at:at + stored],
                             capture_output=True, check=True).stdout
        assert len(out) == plain, f"frame {n}: length"
    at += stored
assert at == len(data) - size - 8, "frames do not reach the table"
