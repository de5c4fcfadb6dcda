#!/bin/bash
# Sessions from elsewhere while current/ waits in the spool, and a spool that
# is another filesystem: nothing is lost, and what is done is said.
#
#     spool_test.sh REEL WORKDIR
set -u
reel=$(realpath "$1")
work=$2
family=spool
. "$(dirname "$0")/current.sh"

same() # A B
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	[ ! -s "$work/differences" ] || {
		head -n 12 "$work/differences"
		return 1
	}
}

make_set() # INIT-OPTIONS...
{
	rm -rf "$set" "$work/src" "$work/wanted"
	mkdir -p "$work/src/d"
	for n in 1 2 3; do
		seq "$n" 900 >"$work/src/f$n"
	done
	seq 5000 >"$work/src/d/deep"
	seq 7000 >"$work/src/only here"
	ln "$work/src/f3" "$work/src/d/f3 too"
	"$reel" init "$set" "$@" >/dev/null
}

# What is in current/ then is in $work/wanted, and in the spool.
leave_waiting()
{
	"$reel" mount "$set" "$mnt"
	cp -a "$work/src/f1" "$now/copy of f1"
	echo changed >"$now/f1"
	rm "$now/f2"
	mv "$now/d" "$now/e"
	mv "$now/only here" "$now/e/moved"
	echo new >"$now/new"
	sync "$now/new"
	cp -a "$now" "$work/wanted"
	"$reel" umount --no-commit "$mnt"
}

begin

# a backup of the same names meanwhile
make_set
"$reel" backup "$set" -C "$work/src" . >/dev/null
leave_waiting
echo 'from the source' >"$work/src/f1"
echo other >"$work/src/other"
"$reel" backup "$set" -C "$work/src" . >"$work/out" 2>"$work/log"
ok "a backup into a set whose current/ waits" $? || say
grep -q 'waits in current/ is not in this snapshot' "$work/log"
ok "and says what becomes of it" $? || say
rm -rf "$work/back"
"$reel" restore "$set@2" --to "$work/back" >/dev/null 2>"$work/log"
same "$work/src" "$work/back"
ok "its snapshot is the source" $?
"$reel" mount "$set" "$mnt"
same "$work/wanted" "$now"
ok "current/ is as it was" $?
"$reel" umount "$mnt" >"$work/log" 2>&1
ok "which is committed" $? || say
echo other >"$work/wanted/other"
touch -r "$work/src/other" "$work/wanted/other"
touch -r "$work/back" "$work/wanted"
rm -rf "$work/back"
"$reel" restore "$set" --to "$work/back" >/dev/null 2>"$work/log"
touch -r "$work/back" "$work/wanted"
same "$work/wanted" "$work/back"
ok "over the backup's snapshot" $?
try "verify" "$reel" verify "$set"

# a new epoch meanwhile: what waits must not refer to older volumes
make_set
"$reel" backup "$set" -C "$work/src" . >/dev/null
leave_waiting
"$reel" backup "$set" --full -C "$work/src" d >"$work/out" 2>"$work/log"
ok "a new epoch while current/ waits" $? || say
try "what waits is committed" "$reel" commit "$set"
mkdir "$work/old"
mv "$set"/volumes/000001.* "$work/old"
rm -rf "$work/back"
"$reel" restore "$set@3" --to "$work/back" >/dev/null 2>"$work/log"
ok "the snapshot needs no volume of before" $? || say
for name in 'copy of f1' f1 e/deep e/moved new 'e/f3 too'; do
	cmp "$work/wanted/$name" "$work/back/$name" >"$work/log" 2>&1
	ok "new epoch: $name" $? || say
done
mv "$work"/old/* "$set/volumes"
try "verify, with the volumes of before" "$reel" verify "$set"

# the spool and the volumes on filesystems of their own
if [ "$(id -u)" = 0 ]; then
	make_set
	mount -t tmpfs none "$set/spool"
	mount -t tmpfs none "$set/volumes"
	try "a first backup, the spool elsewhere" \
		"$reel" backup "$set" -C "$work/src" .
	leave_waiting
	try "a commit, the spool elsewhere" "$reel" commit "$set"
	rm "$set/catalog.db"
	try "a rebuild, the spool elsewhere" "$reel" catalog rebuild "$set"
	rm -rf "$work/back"
	"$reel" restore "$set" --to "$work/back" >/dev/null 2>"$work/log"
	same "$work/wanted" "$work/back"
	ok "the spool elsewhere: the snapshot is what was written" $?
	"$reel" mount "$set" "$mnt"
	same "$work/wanted" "$now"
	ok "the spool elsewhere: and so is current/" $?
	"$reel" umount "$mnt" >"$work/log" 2>&1
	try "the spool elsewhere: verify" "$reel" verify "$set"
	umount "$set/spool" "$set/volumes"
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
