# Three bytes change in the Nth (-1: the last) index of a tape image, or in the
# Nth end, which is told by its text. An index is the tape file whose first
# member has its name: in a frame, which need not keep the name legible.
#
#     rot.py IMAGE index|end N
import re, struct, subprocess, sys


def tape_files(data):
    at = start = 0
    while at < len(data):
        length, = struct.unpack_from("<I", data, at)
        if length == 0xffffffff:
            return
        if length == 0:
            yield start, data[start + 4:at - 4]
            start = at = at + 4
        else:
            at += 8 + length + length % 2


def plain(data):
    if not data.startswith(b"\x28\xb5\x2f\xfd"):
        return data
    return subprocess.run(["zstd", "-dcq"], input=data,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


path, what, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = bytearray(open(path, "rb").read())
if what == "index":
    found = [start + 600 for start, file in tape_files(data)
        if plain(file)[:100].rstrip(b"\0").endswith(b"/index.zst")]
else:
    found = [m.start() + 20 for m in re.finditer(b"REEL end", data)]
at = found[n - 1 if n > 0 else n]
for b in range(at, at + 3):
    data[b] ^= 0x5a
open(path, "wb").write(data)
