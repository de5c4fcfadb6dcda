"""Writes or shows a list of srdelayed.

    list.py FILE [--bom] [--tail HEX] [--cut BYTES] 'OP|FIELD|FIELD|STATUS'...
    list.py FILE                       prints its strings, one a line
"""
import sys

path, *words = sys.argv[1:]
if not words:
    data = open(path, "rb").read()
    print(data.decode("utf-16-le", "surrogatepass").replace("\0", "\n"))
    sys.exit()
out, tail, cut = b"", b"", 0
while words and words[0].startswith("--"):
    option = words.pop(0)
    if option == "--bom":
        out += b"\xff\xfe"
    elif option == "--tail":
        tail = bytes.fromhex(words.pop(0))
    else:
        cut = int(words.pop(0))
for record in words:
    for field in record.split("|"):
        out += field.encode("utf-16-le") + b"\0\0"
out += b"\0\0" + tail
open(path, "wb").write(out[:len(out) - cut])
