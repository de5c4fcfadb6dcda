#!/bin/bash
# Archives that other programs wrote, mounted: what GNU tar extracts is what the
# mount shows. In files, packed, on a tape of any blocking factor; hostile,
# damaged and cut ones.
#
#     foreign_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0
mnt=$work/mnt

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "foreign: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 5
	fi
}

finish()
{
	"$reel" umount "$mnt" >/dev/null 2>&1
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

mount_it() # ARCHIVE: also says whether a directory of ours is left over
{
	"$reel" mount "$@" "$mnt" >"$work/log" 2>&1
}

umount_it()
{
	"$reel" umount "$mnt" >>"$work/log" 2>&1 &&
		[ -z "$(ls "$TMPDIR")" ]
}

# all that lstat and read tell, but fifos' contents and what tar does not keep
look() # DIRECTORY
{
	(cd "$1" && {
		find . -mindepth 1 -type d -printf '%P d %m %Ts\n'
		find . ! -type d -printf '%P %y %m %s %n %l %Ts\n'
	} | sort &&
		find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

same() # NAME ARCHIVE [TAR]: mounted, it is what tar extracts
{
	rm -rf "$work/out"
	mkdir "$work/out"
	"${3:-tar}" --no-same-owner -xpf "$2" -C "$work/out" 2>/dev/null
	mount_it "$2" && look "$mnt" >"$work/is"
	ok "$1: mount" $?
	look "$work/out" >"$work/should"
	diff "$work/should" "$work/is" >>"$work/log" 2>&1
	ok "$1: the same" $?
	umount_it
	ok "$1: umount, nothing left" $?
}

refuses() # NAME STATUS TEXT FILE
{
	"$reel" mount "$4" "$mnt" 2>"$work/log"
	[ $? = "$2" ] && grep -q "$3" "$work/log" &&
		[ "$(wc -l <"$work/log")" = 1 ] && [ -z "$(ls "$TMPDIR")" ]
	ok "$1" $?
}

[ -c /dev/fuse ] && [ -w /dev/fuse ] || {
	echo "foreign: no /dev/fuse here: skipped"
	echo "1 passed, 0 failed"
	exit 0
}
rm -rf "$work"
mkdir -p "$mnt" "$work/src/d/e" "$work/tmp" || exit 2
export TMPDIR=$work/tmp
trap finish EXIT

cd "$work/src" || exit 2
echo hello >a
ln a d/hard
ln -s a sym
: >empty
head -c 700001 /dev/urandom >d/e/large
truncate -s 9M sparse
echo x | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
for i in 1 2 3 4 5 6 7 8; do
	head -c 65536 /dev/urandom |
		dd of=holes bs=64K seek=$((i * 16)) conv=notrunc status=none
done
truncate -s 20M holes
mkfifo d/fifo
printf x >"$(printf '%0200d' 5)"
mkdir -p "$(printf '%060d/' 1 2 3)"
printf y >"$(printf '%060d/' 1 2 3)$(printf '%0150d' 7)"
ln -s "$(printf '%0180d' 1)" long-link
chmod 640 a
chmod 4755 d/e/large
touch -d '1999-12-31 23:59:59' empty
cd "$work" || exit 2

for format in gnu oldgnu posix; do
	tar --format=$format -C src -cf $format.tar .
	same "$format" $format.tar
	tar --format=$format -S -C src -cf sparse-$format.tar .
	same "$format, sparse" sparse-$format.tar
done
for version in 0.0 0.1 1.0; do
	tar --format=posix --sparse-version=$version -S -C src \
		-cf sparse-$version.tar .
	same "sparse $version" sparse-$version.tar
done
for format in ustar v7; do
	tar --format=$format -C src -cf $format.tar a d sym empty 2>/dev/null
	same "$format" $format.tar
done
(cd src && find . | cpio -o -H ustar 2>/dev/null) >cpio.tar
if [ -s cpio.tar ]; then
	same "cpio" cpio.tar
fi
if command -v bsdtar >/dev/null; then
	bsdtar -C src -cf bsd.tar .
	same "bsdtar" bsd.tar bsdtar
fi
cp posix.tar appended.tar
echo changed >src/a
tar -C src -rf appended.tar ./a
same "appended to" appended.tar
tar -C src -rf appended.tar d/e sym 2>/dev/null
same "appended to, other names" appended.tar

# ---- packed ----

zstd -q posix.tar -o single.tar.zst
same "zstd, one frame" single.tar.zst
(head -c 1000000 posix.tar | zstd -q && tail -c +1000001 posix.tar | zstd -q) \
	>two.tar.zst
same "zstd, two frames, no sizes" two.tar.zst
"$reel" init v.set >/dev/null && "$reel" backup v.set -C src . >"$work/log" 2>&1
ok "a volume of ours to look at" $?
cp v.set/volumes/000001.tar.zst ours
mount_it ours && cmp -s "$mnt/d/e/large" src/d/e/large
ok "zstd with a seek table" $?
umount_it
head -c 400000 single.tar.zst >cut.tar.zst
mount_it cut.tar.zst && grep -q "cut off" "$work/log" && ls "$mnt" >/dev/null
ok "zstd, cut off: what is whole is shown" $?
umount_it
gzip -k posix.tar
refuses "gzip" 2 "gzip -dc" posix.tar.gz
zstd -q --long=30 posix.tar -o long.tar.zst
mount_it long.tar.zst
case $? in
0) umount_it ;;
*) grep -q "long=31" "$work/log" ;;
esac
ok "zstd with a large window" $?

# ---- hostile ----

python3 "$here/hostile.py" "$work" || exit 2
mount_it names.tar
[ "$(cd "$mnt" && find . -type f | sort | tr '\n' ' ')" = \
	"./absolute/file ./ok ./symlink/below ./x/y/z " ] &&
	[ "$(cat "$mnt/symlink/below")" = "not in /etc" ] &&
	[ "$(grep -c 'is left out' "$work/log")" = 7 ]
ok "names that lead elsewhere are left out, and said" $?
umount_it
mount_it twice.tar
[ "$(cat "$mnt/file" "$mnt/link" "$mnt/was-file/in" "$mnt/directory/in" \
	"$mnt/implied/in")" = secondfirstininin ] &&
	[ "$(stat -c %h "$mnt/file" "$mnt/link" | tr '\n' ' ')" = "1 1 " ]
ok "the last of a name wins, a directory stays one" $?
umount_it
mount_it deep.tar && [ "$(cat "$mnt/ok")" = ok ] && [ -d "$mnt/d/d/d" ]
ok "a path of 20,000 directories" $?
umount_it
mount_it unknown.tar && [ "$(cd "$mnt" && echo *)" = "odd ok" ] &&
	[ "$(cat "$mnt/odd")" = odd ]
ok "types of other programs" $?
umount_it
mount_it sparse-liar.tar && [ "$(cat "$mnt/ok")" = ok ]
ok "a map that lies" $?
umount_it
for n in 1 600 5000 400000 900000; do
	head -c $n posix.tar >cut.tar
	mount_it cut.tar
	case $n:$? in
	1:2) ;;
	*:0) umount_it ;;
	*) false ;;
	esac
	ok "cut off behind $n bytes" $?
done
python3 - <<'P'
data = bytearray(open("posix.tar", "rb").read())
at = data.index(b"d/e/large\0")
data[at + 20:at + 60] = b"?" * 40
open("damaged.tar", "wb").write(data)
P
mount_it damaged.tar && grep -q "damaged" "$work/log" &&
	[ "$(cat "$mnt/d/hard")" = hello ] && [ ! -e "$mnt/d/e/large" ] &&
	[ "$(readlink "$mnt/sym")" = a ]
ok "a damaged header: what follows is shown" $?
umount_it
# ACLs that stand there as text: the mask is not the group's right
mkdir acls && echo x >acls/f && mkdir acls/d && chmod 640 acls/f
if setfacl -m u:1234:rw,g:games:r,u:daemon:--- acls/f 2>/dev/null &&
	setfacl -d -m u:77:rwx acls/d; then
	for with in "tar --acls" "tar --acls --xattrs" "bsdtar --acls"; do
		$with -cf acls.tar acls
		mount_it acls.tar
		getfacl -nRp acls >should
		(cd "$mnt" && getfacl -nRp acls) >is 2>"$work/log"
		diff should is >"$work/log"
		ok "the ACLs that $with wrote" $?
		umount_it
	done
fi
# one archive over several volumes: the rest of a file is named
head -c 3000000 /dev/urandom >long
printf 'n v2.tar\nn v3.tar\n' |
	tar --format=gnu -M -L 1500 -cf v1.tar long a.txt posix.tar \
		>"$work/log" 2>&1
if [ -s v2.tar ]; then
	mount_it v2.tar && grep -q "long is left out: it is the rest" "$work/log"
	ok "the rest of a file of several volumes is named" $?
	umount_it
fi
head -c 100000 /dev/urandom >noise
refuses "noise" 2 "neither a set nor a tar archive" noise
: >nothing
refuses "an empty file" 2 "neither a set nor a tar archive" nothing
"$reel" mount posix.tar "$mnt" -o snapshot=1 2>"$work/log"
[ $? = 2 ] && grep -q "has no snapshots" "$work/log"
ok "-o snapshot of an archive" $?

# ---- the mount ----

mount_it posix.tar
rsync -aHn --itemize-changes --no-o --no-g "$mnt/" out/ >"$work/log" 2>&1
ok "rsync" $?
mv posix.tar moved.tar
cmp -s "$mnt/d/e/large" src/d/e/large
ok "the archive is renamed while it is mounted" $?
touch "$mnt/new" 2>/dev/null
[ $? != 0 ]
ok "nothing can be written there" $?
mv moved.tar posix.tar
umount_it

# ---- tapes ----

for blocks in 1 7 20 512; do
	: >t.tap
	"$reel" tape write t.tap -q -b $((blocks * 512)) <posix.tar
	mount_it t.tap && look "$mnt" >"$work/is" && diff should is >>log 2>&1
	rm -rf out && mkdir out && tar --no-same-owner -xpf posix.tar -C out &&
		look out >should && diff should is >log 2>&1
	ok "a tape with blocks of $blocks x 512" $?
	umount_it
done
"$reel" tape seek t.tap --end && "$reel" tape write t.tap -q -b 10K <ustar.tar &&
	"$reel" tape write t.tap -q <noise && "$reel" tape mark t.tap 2 &&
	"$reel" tape write t.tap -q -b 3K <sparse-gnu.tar
mount_it t.tap && [ "$(cd "$mnt" && echo *)" = "file-0 file-1 file-5" ] &&
	grep -q "tape file 2 is no tar archive" log &&
	look "$mnt/file-0" | diff should - >>log 2>&1 &&
	cmp "$mnt/file-5/holes" src/holes
ok "tape files are directories" $?
umount_it
# Blocks that cannot be read, the Nth of the tape: what lies in others is shown.
spoil() # FILE N...
{
	python3 - "$@" <<'P'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = n = 0
while at < len(data):
    length = int.from_bytes(data[at:at + 4], "little")
    end = at + length + (8 if length else 4)
    if str(n) in sys.argv[2:]:
        data[at + 3] |= 0x80
        data[end - 1] |= 0x80
    at = end
    n += 1
open(sys.argv[1], "wb").write(data)
P
}
mkdir parts
for n in 0 1 2 3 4 5; do
	head -c 20000 /dev/urandom >parts/$n
done
rm -f t.tap*
: >t.tap
for n in 1 2 3; do
	tar -b 20 -cf - -C parts . | "$reel" tape write t.tap -q -b 10K
done
# 14 blocks and a mark each: amid the first file, the beginning of the second
spoil t.tap 5 15
mount_it t.tap && [ "$(cd "$mnt" && echo *)" = "file-0 file-1 file-2" ] &&
	diff -r parts "$mnt/file-2" >>log 2>&1 &&
	[ "$(diff -rq parts "$mnt/file-0" 2>&1 | wc -l)" = 1 ] &&
	[ "$(diff -rq parts "$mnt/file-1" 2>&1 | wc -l)" = 1 ]
ok "unreadable blocks cost the files that lie in them, and no others" $?
umount_it
: >t.tap
refuses "a blank tape" 2 "no tar archive on the tape" t.tap
rm -f t.tap*
refuses "no such tape" 2 "cannot be opened" t.tap
