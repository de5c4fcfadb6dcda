#!/bin/bash
# Disks are full, lost or read-only, and others hold the set: the right call
# fails with the right error, the mount stays readable, nothing that was
# acknowledged is lost, and the same commit succeeds once the cause is gone.
#
#     trouble_test.sh REEL WORKDIR
#
# As root, for small filesystems.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
family=trouble
. "$(dirname "$0")/current.sh"

[ "$(id -u)" = 0 ] || {
	echo "small filesystems need root: nothing is tried"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

# What a program gets: python names the errno.
fails_with() # ERRNO PYTHON
{
	python3 - "$now" "$1" "$2" <<'END' >"$work/log" 2>&1
import errno, os, sys
now, wanted, code = sys.argv[1:]
try:
    exec(code)
except OSError as e:
    print("got", errno.errorcode.get(e.errno, e.errno))
    sys.exit(0 if errno.errorcode.get(e.errno) == wanted else 1)
print("got success")
sys.exit(1)
END
}

readable() # NAME
{
	cmp -s "$now/kept" "$work/kept" && ls -R "$now" >/dev/null &&
		cmp -s "$mnt/snapshots/latest/base" "$work/base"
	ok "$1: the mount stays readable" $?
}

# reel commit fails with a sentence that says what is wrong.
commit_fails() # NAME TEXT
{
	local rc
	"$reel" commit "$mnt" >"$work/log" 2>&1
	rc=$?
	[ $rc != 0 ] && [ $rc -lt 126 ] && grep -qiE -- "$2" "$work/log"
	ok "$1: the commit fails and says why (exit $rc)" $? || say
	"$reel" status "$mnt" >"$work/status" 2>&1
	ok "$1: status answers" $?
}

commit_succeeds() # NAME
{
	try "$1: the same commit succeeds then" "$reel" commit "$mnt"
	find "$now" -type f -printf '%P\n' | sort | while read -r f; do
		cmp "$now/$f" "$mnt/snapshots/latest/$f" || echo "$f"
	done >"$work/log" 2>&1
	[ ! -s "$work/log" ]
	ok "$1: and has all that was written" $? || say
}

new_set() # OPTIONS OF INIT...
{
	"$reel" init "$set" "$@" >/dev/null || return
	mkdir -p "$work/src"
	head -c 200000 /dev/urandom >"$work/base"
	head -c 150000 /dev/urandom >"$work/kept"
	cp "$work/base" "$work/src/base"
	"$reel" backup "$set" -C "$work/src" . >"$work/log" 2>&1
	mount_set || return
	cp "$work/kept" "$now/kept"
	sync "$now/kept"
}

gone_set() # NAME
{
	try "$1: umount" "$reel" umount "$mnt"
	try "$1: verify" "$reel" verify "$set"
	rm -rf "$set"
}

full_spool()
{
	# the spool is a directory of the set: a filesystem is mounted there
	"$reel" init "$set" >/dev/null
	mkdir -p "$set/spool/current"
	mount -t tmpfs -o size=6m none "$set/spool/current"
	mkdir -p "$work/src"
	head -c 200000 /dev/urandom >"$work/base"
	head -c 150000 /dev/urandom >"$work/kept"
	cp "$work/base" "$work/src/base"
	"$reel" backup "$set" -C "$work/src" . >"$work/log" 2>&1
	mount_set || return
	cp "$work/kept" "$now/kept"
	sync "$now/kept"
	fails_with ENOSPC '
f = os.open(now + "/big", os.O_CREAT | os.O_WRONLY)
for n in range(200):
    os.write(f, os.urandom(100000))
    os.fsync(f)
'
	ok "full spool: write or fsync fails with ENOSPC" $? || say
	readable "full spool"
	rm "$now/big"
	ok "full spool: what is in the way can be removed" $?
	try "full spool: then there is room" cp "$work/kept" "$now/again"
	sync "$now/again"
	# full again, with something to commit
	fails_with ENOSPC '
f = os.open(now + "/big", os.O_CREAT | os.O_WRONLY)
while True:
    os.write(f, os.urandom(50000))
'
	ok "full spool: write fails with ENOSPC again" $? || say
	try "full spool: a commit makes room" "$reel" commit "$mnt"
	try "full spool: and there is some" cp "$work/base" "$now/more"
	commit_succeeds "full spool"
	try "full spool: umount" "$reel" umount "$mnt"
	umount "$set/spool/current"
	try "full spool: verify" "$reel" verify "$set"
	rm -rf "$set"
}

full_volumes()
{
	"$reel" init "$set" --compress none >/dev/null
	mount -t tmpfs -o size=5m none "$set/volumes"
	mkdir -p "$work/src"
	cp "$work/base" "$work/src/base"
	"$reel" backup "$set" -C "$work/src" . >"$work/log" 2>&1
	mount_set || return
	cp "$work/kept" "$now/kept"
	head -c 9000000 /dev/urandom >"$now/big"
	ok "full volumes: writing goes on" $?
	commit_fails "full volumes" 'space|room|full'
	readable "full volumes"
	echo meanwhile >"$now/meanwhile"
	ok "full volumes: and writing, too" $?
	[ "$(sessions)" = 1 ]
	ok "full volumes: no half session" $?
	mount -o remount,size=50m none "$set/volumes"
	commit_succeeds "full volumes"
	try "full volumes: umount" "$reel" umount "$mnt"
	try "full volumes: verify" "$reel" verify "$set"
	umount "$set/volumes"
	rm -rf "$set"
}

lost_volumes()
{
	new_set
	# the daemon holds the directory; its files are what is lost
	mkdir "$set/volumes.away"
	mv "$set"/volumes/* "$set/volumes.away/"
	fails_with ENOMEDIUM 'open(now + "/base", "rb").read()'
	ok "lost volumes: reading what is there alone: ENOMEDIUM" $? || say
	cmp -s "$now/kept" "$work/kept"
	ok "lost volumes: what is in the spool is read" $?
	echo new >"$now/new"
	ok "lost volumes: writing goes on" $?
	commit_fails "lost volumes" 'volume'
	mv "$set"/volumes.away/* "$set/volumes/"
	rmdir "$set/volumes.away"
	readable "lost volumes"
	commit_succeeds "lost volumes"
	gone_set "lost volumes"
}

read_only_medium()
{
	new_set
	echo 'then read-only' >"$now/new"
	mount --bind "$set/volumes" "$set/volumes"
	mount -o remount,ro,bind "$set/volumes"
	commit_fails "read-only medium" 'read-only'
	readable "read-only medium"
	umount "$set/volumes"
	commit_succeeds "read-only medium"
	gone_set "read-only medium"
}

read_only_set()
{
	new_set
	try "read-only set: umount" "$reel" umount "$mnt"
	mount --bind "$set" "$set"
	mount -o remount,ro,bind "$set"
	mount_set
	fails_with EROFS 'open(now + "/x", "w")'
	ok "read-only set: open to write fails with EROFS" $? || say
	fails_with EROFS 'os.unlink(now + "/base")'
	ok "read-only set: unlink fails with EROFS" $? || say
	readable "read-only set"
	try "read-only set: umount of the mount" "$reel" umount "$mnt"
	umount "$set"
	mount_set -o ro
	fails_with EROFS 'open(now + "/x", "w")'
	ok "-o ro: open to write fails with EROFS" $? || say
	gone_set "read-only set"
}

# Another writer has the set: the commit says who, or waits; it loses nothing.
held_set()
{
	local pid n
	new_set
	mkdir "$work/large"
	head -c 80000000 /dev/zero | tr '\0' 'x' >"$work/large/f"
	: >"$set/lock"
	"$reel" backup "$set" -C "$work/large" . >/dev/null 2>&1 &
	pid=$!
	for n in $(seq 2000); do
		grep -q "pid $pid " "$set/lock" 2>/dev/null && break
		sleep 0.002
	done
	kill -STOP $pid
	timeout 20 "$reel" commit "$mnt" >"$work/log" 2>&1
	n=$?
	[ $n = 3 ] && grep -q "pid $pid" "$work/log"
	ok "held set: the commit names the holder (exit $n)" $? || say
	readable "held set"
	echo meanwhile >"$now/meanwhile"
	ok "held set: writing goes on" $?
	timeout 30 "$reel" umount "$mnt" >"$work/log" 2>&1
	n=$?
	# it must not end as if all were committed
	[ $n != 0 ]
	ok "held set: umount says that it did not commit (exit $n)" $? || say
	kill -CONT $pid
	wait $pid
	mountpoint -q "$now" || mount_set
	[ "$(cat "$now/meanwhile")" = meanwhile ]
	ok "held set: nothing is lost" $?
	try "held set: the same commit succeeds then" "$reel" commit "$mnt"
	cmp -s "$mnt/snapshots/latest/kept" "$work/kept" &&
		cmp -s "$mnt/snapshots/latest/f" "$work/large/f"
	ok "held set: and stands on the other's snapshot" $?
	# the catalogue is locked by another connection
	echo again >"$now/again"
	python3 - "$set/catalog.db" <<'END' &
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
time.sleep(4)
END
	pid=$!
	sleep 1
	timeout 60 "$reel" commit "$mnt" >"$work/log" 2>&1
	n=$?
	wait $pid
	if [ $n != 0 ]; then
		[ -s "$work/log" ]
		ok "locked catalogue: the commit says why (exit $n)" $?
		readable "locked catalogue"
	fi
	try "locked catalogue: the commit succeeds" "$reel" commit "$mnt"
	[ "$(cat "$mnt/snapshots/latest/again")" = again ]
	ok "locked catalogue: all is there" $?
	rm -rf "$work/large"
	gone_set "held set"
}

# A second mount of the same set cannot have its spool.
second_mount()
{
	new_set
	mkdir -p "$work/mnt2"
	"$reel" mount "$set" "$work/mnt2" >"$work/log" 2>&1
	grep -q "$mnt" "$work/log"
	ok "second mount: says who has current/" $? || say
	! touch "$work/mnt2/current/x" 2>/dev/null
	ok "second mount: cannot write" $?
	"$reel" umount --no-commit "$work/mnt2" >/dev/null 2>&1
	umount -l "$work/mnt2/current" "$work/mnt2" 2>/dev/null
	"$reel" commit "$set" >"$work/log" 2>&1
	[ $? = 3 ] || cmp -s "$mnt/snapshots/latest/kept" "$work/kept"
	ok "commit SET of a mounted set commits or says who has it" $? || say
	readable "second mount"
	gone_set "second mount"
}

# Rules with a mistake: the mount comes up, commits wait.
wrong_rules()
{
	new_set
	try "wrong rules: umount" "$reel" umount "$mnt"
	cp "$set/rules" "$work/rules"
	echo 'exclude' >>"$set/rules"
	"$reel" mount "$set" "$mnt" >"$work/log" 2>&1
	ok "wrong rules: the mount comes up" $?
	grep -q rules "$work/log"
	ok "wrong rules: and says so" $? || say
	echo new >"$now/new"
	commit_fails "wrong rules" 'rules'
	readable "wrong rules"
	cp "$work/rules" "$set/rules"
	commit_succeeds "wrong rules"
	gone_set "wrong rules"
}

# A program reads in snapshots/ while its mount is to go: all of it stays.
busy_mount()
{
	new_set
	sleep 30 <"$mnt/snapshots/latest/base" &
	sleep 0.3
	"$reel" umount "$mnt" >"$work/log" 2>&1
	[ $? = 3 ] && grep -q "a program uses it" "$work/log"
	ok "busy mount: umount says so" $? || say
	echo more >"$now/more"
	ok "busy mount: current/ can be written all the same" $?
	readable "busy mount"
	commit_succeeds "busy mount"
	kill %%
	wait %% 2>/dev/null
	gone_set "busy mount"
}

begin
busy_mount
full_spool
full_volumes
lost_volumes
read_only_medium
read_only_set
held_set
second_mount
wrong_rules
end
