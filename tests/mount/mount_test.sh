#!/bin/bash
# A set of five sessions through the mount: every tool sees what was there.
#
#     mount_test.sh REEL WORKDIR
#
# A watchdog aborts the connections of mounts in WORKDIR when this takes longer
# than LIMIT (300) seconds, since readers of a hung mount cannot be killed.
set -u
LC_ALL=C.UTF-8
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2
passed=0
failed=0
watchdog=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "mount: FAILED: $1"
	fi
	return "$2"
}

say() # FILE: shows what went wrong
{
	head -n 12 "$1" | cut -c 1-200
}

abort_hung()
{
	local c
	sleep "${LIMIT:-300}" >/dev/null 2>&1
	echo "mount: FAILED: it hangs; its connections are aborted"
	[ -d /sys/fs/fuse/connections ] || return
	mount -t fusectl none /sys/fs/fuse/connections 2>/dev/null
	# nobody else's
	for c in $(grep -F " $work/" /proc/self/mountinfo | cut -d ' ' -f 3); do
		echo 1 >"/sys/fs/fuse/connections/${c#*:}/abort" 2>/dev/null
	done
}

clean_up()
{
	[ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
	umount -l "$work/mnt" 2>/dev/null
	fusermount3 -uqz "$work/mnt" 2>/dev/null
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
}

same() # SOURCE TARGET
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	[ ! -s "$work/differences" ] || {
		say "$work/differences"
		return 1
	}
}

snapshot() # N: its directory in the mount
{
	# shellcheck disable=SC2012
	echo "$work/mnt/snapshots/$(ls "$work/mnt/snapshots" | sed -n "$1p")"
}

# What stat says, a line a name.
facts() # DIR
{
	(cd "$1" && find . -printf '%P %y %m %U %G %s %T@ %b %n %l\n' |
		LC_ALL=C sort)
}

if [ ! -w /dev/fuse ]; then
	echo "mount: /dev/fuse cannot be used here: nothing is tried"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
trap clean_up EXIT
rm -rf "$work"
mkdir -p "$work/mnt"
work=$(realpath "$work")
abort_hung &
watchdog=$!

set=$work/set
"$reel" init "$set" --compress zstd --volume-size 2M >/dev/null
for n in 1 2 3 4 5; do
	python3 "$here/../tree/make.py" "$work/now" $n ||
		exit 2
	"$reel" backup "$set" -C "$work/now" . >"$work/log" 2>&1
	ok "session $n" $? || say "$work/log"
	cp -a "$work/now" "$work/state$n"
	sleep 1.1
done

"$reel" mount "$set" "$work/mnt" >"$work/log" 2>&1
ok "mount" $? || say "$work/log"
[ "$(ls "$work/mnt")" = "current
snapshots
versions" ]
ok "the views" $?
for n in 1 2 3 4 5; do
	same "$work/state$n" "$(snapshot $n)"
	ok "session $n through rsync --checksum" $?
done
same "$work/state5" "$work/mnt/snapshots/latest"
ok "latest" $?
same "$work/state5" "$work/mnt/current"
ok "current/" $?

facts "$work/state5" >"$work/a"
facts "$work/mnt/snapshots/latest" >"$work/b"
# blocks of directories and of copies made by cp are the filesystem's matter
sed -i -E 's/^(.* d .*) [0-9]+ ([0-9]+) (.*)$/\1 - \2 \3/' "$work/a" "$work/b"
cmp -s "$work/a" "$work/b"
ok "find -printf of everything" $? ||
	diff "$work/a" "$work/b" | head -n 8 | cut -c 1-150
diff -r --no-dereference "$work/state5/names" "$work/mnt/current/names" \
	>"$work/log" 2>&1
ok "diff -r" $? || say "$work/log"

# inode numbers: links share them, nothing else does
ino=$(stat -c %i "$work/mnt/current/links/one/first1000")
[ "$(find "$work/mnt/current" -inum "$ino" | wc -l)" = 3 ]
ok "find -inum" $?
find "$(snapshot 1)" "$(snapshot 5)" -type f -printf '%i %P\n' | sort |
	uniq >"$work/a"
python3 - "$work" "$(snapshot 1)" "$(snapshot 2)" "$(snapshot 5)" <<'END'
import hashlib, os, sys
seen = {}
for top in sys.argv[2:]:
    for base, dirs, files in os.walk(os.fsencode(top)):
        for name in files:
            path = os.path.join(base, name)
            st = os.lstat(path)
            if not os.path.isfile(path) or os.path.islink(path) or st.st_size > 1 << 22:
                continue
            with open(path, "rb") as f:
                what = (hashlib.md5(f.read()).digest(), st.st_mode, st.st_uid,
                        st.st_mtime_ns)
            if seen.setdefault(st.st_ino, what) != what:
                sys.exit("inode %d has two contents: %r" % (st.st_ino, path))
END
ok "one inode number, one content" $?
find "$(snapshot 2)" -printf '%i %P\0' | sort -z | md5sum >"$work/a"

# everything below snapshots/, copied at once
mkdir "$work/copy"
rsync -aHAX --numeric-ids --exclude=latest --exclude=/*/sparse \
	"$work/mnt/snapshots/" "$work/copy/" >"$work/log" 2>&1
ok "rsync -aHAX of all snapshots" $? || say "$work/log"
for n in 1 3 5; do
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		--exclude=/sparse "$work/state$n/" \
		"$work/copy/$(basename "$(snapshot $n)")/" >"$work/log" 2>&1
	[ ! -s "$work/log" ]
	ok "its copy of session $n" $? || say "$work/log"
done
chmod -R u+rwX "$work/copy"
rm -rf "$work/copy"
tar -C "$work/mnt/snapshots" --exclude=sparse \
	-cf "$work/all.tar" . 2>"$work/log"
ok "tar of all snapshots" $? || say "$work/log"
mkdir "$work/copy"
tar -C "$work/copy" -xpf "$work/all.tar" 2>"$work/log"
diff -r --no-dereference -x sparse -x kinds -x '*fifo*' "$work/state2" \
	"$work/copy/$(basename "$(snapshot 2)")" >"$work/log" 2>&1
ok "its copy of session 2" $? || say "$work/log"
chmod -R u+rwX "$work/copy"
rm -rf "$work/copy" "$work/all.tar"
cp -a "$work/mnt/current" "$work/copy" 2>"$work/log"
ok "cp -a" $? || say "$work/log"
same "$work/state5" "$work/copy"
ok "what cp -a made" $?

# holes
python3 - "$work/mnt/current/sparse/many" "$work/state5/sparse/many" <<'END'
import os, sys
def runs(path):
    out, at, f = [], 0, os.open(path, os.O_RDONLY)
    size = os.fstat(f).st_size
    while at < size:
        try:
            d = os.lseek(f, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(f, d, os.SEEK_HOLE)
        out.append((d, at))
    return out
sys.exit(runs(sys.argv[1]) != runs(sys.argv[2]))
END
ok "SEEK_DATA, SEEK_HOLE" $?

# versions/
v="$work/mnt/versions/duplicates/a/same1"
[ "$(ls "$v" | grep -c '^@')" = 2 ]
ok "versions of a path" $?
cmp -s "$v"/@1-* "$work/state1/duplicates/a/same1"
ok "its first version" $?
cmp -s "$v"/@4-* "$work/state5/duplicates/a/same1"
ok "its last version" $?
[ -d "$work/mnt/versions/shifting/goes away/with" ]
ok "a deleted directory is in versions/" $?
[ -d "$work/mnt/versions/names/@@at" ]
ok "a name that begins with @ is doubled" $?
t=$(echo "$work/mnt/versions/shifting/goes away"/@1-*)
[ -L "$t" ] && [ -f "$t/with/all/this" ]
ok "a directory's version leads into its snapshot" $?
find "$work/mnt/versions/names" -mindepth 1 -maxdepth 1 | wc -l >"$work/b"
ok "versions/ lists" $?

# attributes that only getxattr shows
[ "$(getfattr --only-values -n user.reel.volume \
	"$work/mnt/current/sizes/65536" 2>/dev/null)" != "" ]
ok "user.reel.volume" $?
! getfattr -d -m - "$work/mnt/current/sizes/65536" 2>/dev/null |
	grep -q user.reel
ok "user.reel.* is in no list" $?
! touch "$work/mnt/snapshots/latest/new" 2>/dev/null
ok "nothing can be written to snapshots/" $?

# ACLs hold, as another user
if [ "$(id -u)" = 0 ]; then
	"$reel" umount "$work/mnt"
	"$reel" mount "$set" "$work/mnt" -o allow_other
	chmod 755 "$work"
	f="$(snapshot 1)/attributes/file0"
	setpriv --reuid 65534 --regid 65534 --clear-groups cat "$f" \
		>/dev/null 2>&1
	ok "an ACL lets a user in" $?
	! setpriv --reuid 65534 --regid 65534 --clear-groups \
		cat "$(snapshot 1)/kinds/mode400" >/dev/null 2>&1
	ok "a mode keeps a user out" $?
	! setpriv --reuid 65534 --regid 65534 --clear-groups \
		ls "$(snapshot 1)/kinds/closed" >/dev/null 2>&1
	ok "a closed directory is closed" $?
fi
find "$(snapshot 2)" -printf '%i %P\0' | sort -z | md5sum | cmp -s - "$work/a"
ok "inode numbers are the same after a remount" $?

# a git checkout
if git --version >/dev/null 2>&1; then
	git init -q "$work/repo"
	(cd "$work/repo" && cp -r "$here/../.." src 2>/dev/null
	 rm -rf src/.git src/build*
	 git add -A && git -c user.name=a -c user.email=a@b commit -qm all)
	while stat -L "$work/mnt/snapshots/latest/." >/dev/null; do
		:
	done 2>/dev/null &
	looking=$!
	"$reel" backup "$set" -C "$work" repo >"$work/log" 2>&1
	ok "a git checkout beside the rest" $? || say "$work/log"
	late=0
	for n in $(seq 8); do
		[ -d "$work/mnt/snapshots/latest/repo" ] || late=1
		echo "$n" >"$work/repo/turn"
		"$reel" backup "$set" -C "$work" repo >"$work/log" 2>&1
		[ "$(cat "$work/mnt/snapshots/latest/repo/turn")" = "$n" ] ||
			late=1
	done
	ok "latest leads to it at once, however often it was looked at" $late
	kill $looking
	wait $looking 2>/dev/null
	sleep 1.1 # current/ may lag a second behind
	same "$work/repo" "$work/mnt/current/repo"
	ok "a new session shows in current/" $?
	git -c safe.directory='*' -C "$work/mnt/current/repo" fsck --full \
		>"$work/log" 2>&1
	ok "git fsck" $? || say "$work/log"
	git -c safe.directory='*' -c core.fsmonitor=false \
		-C "$work/mnt/current/repo" --no-optional-locks status -s \
		>"$work/log" 2>&1
	ok "git status" $? || say "$work/log"
fi

# the catalogue made anew below the mount, and then a session more
cat "$work/mnt/current/names/with space" >/dev/null
"$reel" catalog rebuild "$set" >"$work/log" 2>&1
echo "behind the rebuild" >"$work/now/behind"
"$reel" backup "$set" -C "$work/now" . >>"$work/log" 2>&1
sleep 0.5
[ "$(cat "$work/mnt/snapshots/latest/behind" 2>>"$work/log")" = \
	"behind the rebuild" ]
ok "a session after a rebuild is read" $? || say "$work/log"

! "$reel" mount "$set" "$work/mnt" 2>"$work/log" &&
	grep -q "a reel mount is there already" "$work/log"
ok "a mount over a mount, which umount would not end, is refused" $?
"$reel" umount "$work/mnt"
ok "umount" $?
! mountpoint -q "$work/mnt"
ok "it is gone" $?
! pgrep -f "reel mount $set " >/dev/null
ok "its process has ended" $?
"$reel" mount "$set" "$work/mnt" -o snapshot=1
ok "mount -o snapshot" $?
same "$work/state1" "$work/mnt"
ok "one snapshot at the root" $?

# paths beyond 4,096 bytes, which most tools cannot name
python3 "$here/../tree/make.py" "$work/deep" 1 --long
"$reel" umount "$work/mnt"
rm -rf "$work/set2"
"$reel" init "$work/set2" >/dev/null
"$reel" backup "$work/set2" -C "$work/deep" . >"$work/log" 2>&1
ok "very deep: backup" $? || say "$work/log"
"$reel" mount "$work/set2" "$work/mnt" -o snapshot=latest
"$reel" restore "$work/set2" --to "$work/out" >"$work/log" 2>&1
ok "very deep: restore" $? || say "$work/log"
python3 - "$work/mnt" "$work/out" <<'END'
import os, sys
for top in sys.argv[1:]:
    here = os.open(top, os.O_RDONLY)
    while True:
        names = [n for n in os.listdir(here) if n.startswith("level")]
        if not names:
            break
        below = os.open(names[0], os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("bottom", os.O_RDONLY, dir_fd=here)) as f:
        if f.read() != "very deep\n":
            sys.exit(top)
END
ok "very deep: the bottom, in the mount and restored" $?
"$reel" umount "$work/mnt"
"$reel" mount "$set" "$work/mnt" -o snapshot=1

# one wrong byte in an uncompressed volume is one file's, not its neighbours'
hurt=$work/hurt
mkdir "$hurt"
for n in $(seq 9); do
	head -c 5000 /dev/urandom >"$hurt/f$n"
done
cp "$hurt/f5" "$hurt/copy"
python3 - "$hurt/sparse" <<'END'
import os, sys
with open(sys.argv[1], "wb") as f:
    f.truncate(1 << 20)
    f.seek(300000)
    f.write(os.urandom(9000))
END
"$reel" init "$work/set3" --compress none >/dev/null
"$reel" backup "$work/set3" -C "$hurt" . >/dev/null
python3 - "$work/set3/volumes/000001.tar" "$hurt/f5" <<'END'
import sys
with open(sys.argv[1], "r+b") as f, open(sys.argv[2], "rb") as wanted:
    at = f.read().index(wanted.read()) + 2500
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 8]))
END
"$reel" umount "$work/mnt"
"$reel" mount "$work/set3" "$work/mnt"
for n in f5 copy; do
	cat "$work/mnt/current/$n" >"$work/out.txt" 2>"$work/log"
	[ $? = 1 ] && grep -q "Input/output error" "$work/log" &&
		[ ! -s "$work/out.txt" ]
	ok "a damaged file cannot be read: $n" $? || say "$work/log"
done
for n in f1 f4 f6 f9 sparse; do
	cmp "$work/mnt/current/$n" "$hurt/$n" >"$work/log" 2>&1
	ok "its neighbour is read: $n" $? || say "$work/log"
done
grep -q "volume 000001.tar, byte [0-9]*: damaged" "$work/set3/mount.log"
ok "the log has volume and offset" $?
"$reel" umount "$work/mnt"
"$reel" mount "$set" "$work/mnt" -o snapshot=1

# a mount that dies
pkill -9 -f "reel mount $set "
sleep 0.2
! getfattr -n user.reel.pid "$work/mnt" >/dev/null 2>&1
ok "a killed mount answers nothing" $?
"$reel" umount "$work/mnt"
ok "umount clears it" $?
! "$reel" umount "$work/mnt" 2>/dev/null
ok "umount of no mount fails" $?
! "$reel" mount "$set" "$work/mnt" -o snapshot=nothing 2>"$work/log"
ok "a snapshot that is not there" $?
echo mine >"$work/file"
! "$reel" mount "$set" "$work/file" 2>"$work/log" &&
	grep -q "Not a directory" "$work/log" && grep -q mine "$work/file"
ok "a file is not mounted on" $?
[ ! -s "$set/mount.log" ]
ok "nothing was complained about" $? || say "$set/mount.log"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
