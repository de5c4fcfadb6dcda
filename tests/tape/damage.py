# One object of a tape image is made wrong.
#
#     damage.py IMAGE unreadable FILE   the first block of that tape file is
#                                       marked as its writer could not read it
#     damage.py IMAGE head FILE [N]     one bit changes in the length before the
#                                       Nth (0) block of that tape file
#     damage.py IMAGE tail FILE [N]     in the length behind it
#     damage.py IMAGE both FILE [N]     in both
#     damage.py IMAGE data FILE [N]     in the middle of the block
import struct, sys

path, what, file = sys.argv[1], sys.argv[2], int(sys.argv[3])
number = int(sys.argv[4]) if len(sys.argv) > 4 else 0
data = bytearray(open(path, "rb").read())
at = 0
while file or number:
    length, = struct.unpack_from("<I", data, at)
    if file:
        file -= length == 0
    else:
        number -= 1
    at += 4 if length == 0 else 8 + length + length % 2
length, = struct.unpack_from("<I", data, at)
behind = at + 4 + length + length % 2
if what == "unreadable":
    for word in at, behind:
        struct.pack_into("<I", data, word, length | 1 << 31)
if what in ("head", "both"):
    data[at + 1] ^= 0x04
if what in ("tail", "both"):
    data[behind + 1] ^= 0x10
if what == "data":
    data[at + 4 + length // 2 // 512 * 512 + 7] ^= 0x5a
open(path, "wb").write(data)
