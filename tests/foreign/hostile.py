#!/usr/bin/env python3
"""Archives as nobody should write them.

    hostile.py DIRECTORY
"""
import io
import os
import sys
import tarfile

top = sys.argv[1]


def member(name, kind=tarfile.REGTYPE, data=b"", link=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(data)
    return info, io.BytesIO(data)


def write(name, members, fmt=tarfile.GNU_FORMAT):
    with tarfile.open(os.path.join(top, name), "w", format=fmt) as tar:
        for info, data in members:
            tar.addfile(info, data if info.size else None)


write("names.tar", [
    member("/absolute/file", data=b"absolute"),
    member("../../up", data=b"up"),
    member("a/../../up", data=b"up"),
    member("./x//y/./z", data=b"z"),
    member("n" * 300, data=b"long"),
    member("link-up", tarfile.LNKTYPE, link="../../etc/passwd"),
    member("nowhere", tarfile.LNKTYPE, link="not/there"),
    member("itself", tarfile.LNKTYPE, link="itself"),
    member("to-directory", tarfile.LNKTYPE, link="x"),
    member("symlink", tarfile.SYMTYPE, link="/etc"),
    member("symlink/below", data=b"not in /etc"),
    member("ok", data=b"ok"),
])
write("twice.tar", [
    member("file", data=b"first"),
    member("link", tarfile.LNKTYPE, link="file"),
    member("file", data=b"second"),
    member("was-file", data=b"x"),
    member("was-file", tarfile.DIRTYPE),
    member("was-file/in", data=b"in"),
    member("directory/in", data=b"in"),
    member("directory", data=b"no"),
    member("implied", data=b"x"),
    member("implied/in", data=b"in"),
])
write("deep.tar", [member("d/" * 20000 + "f", data=b"deep"),
                   member("ok", data=b"ok")])
write("unknown.tar", [member("volume", b"V"), member("multi", b"M", b"m" * 600),
                      member("odd", b"Z", b"odd"), member("ok", data=b"ok")])
with open(os.path.join(top, "sparse-liar.tar"), "wb") as out:
    info = tarfile.TarInfo("liar")
    info.size = 512
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1",
                        "GNU.sparse.map": "0,512,9223372036854775000,900",
                        "GNU.sparse.size": "9223372036854775807"}
    out.write(info.tobuf(tarfile.PAX_FORMAT) + b"x" * 512)
    out.write(member("ok", data=b"ok")[0].tobuf() + b"ok" + b"\0" * 510)
