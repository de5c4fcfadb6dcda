# What the scripts here share that try MNT/restore: a set $set, mounted at $mnt,
# whose restore/, $now, is $to. The script sets $reel, $work and $family first.
LC_ALL=C.UTF-8
export LC_ALL
umask 022
here=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0
skipped=0
set=$work/set
mnt=$work/mnt
to=$work/target
now=$mnt/restore
children=
watchdog=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok     $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		[ ! -s "$work/log" ] || head -n 12 "$work/log" |
			cut -c 1-200 | sed 's/^/	/'
	fi
	return "$2"
}

skip()
{
	skipped=$((skipped + 1))
	echo "skip   $1"
}

try() # NAME COMMAND...
{
	local name=$1
	shift
	timeout 300 "$@" >"$work/log" 2>&1
	ok "$name" $?
}

refused() # NAME COMMAND...: it fails
{
	local name=$1
	shift
	timeout 300 "$@" >"$work/log" 2>&1
	[ $? != 0 ]
	ok "$name" $?
}

said() # NAME PATTERN [FILE]
{
	grep -q -e "$2" "${3:-$work/log}"
	ok "$1" $?
}

# The process that serves the mount has the mountpoint in its command line.
daemon()
{
	pgrep -f "^$reel mount .*$mnt"
}

abort_hung()
{
	local device
	sleep "${LIMIT:-900}" >/dev/null 2>&1
	echo "FAILED $family hangs; its connections are aborted"
	mount -t fusectl none /sys/fs/fuse/connections 2>/dev/null
	awk -v mnt="$mnt" 'index($5, mnt) == 1 {sub(/.*:/, "", $3); print $3}' \
		/proc/self/mountinfo | while read -r device; do
		echo 1 >"/sys/fs/fuse/connections/$device/abort"
	done
}

gone() # the mount, whatever became of it
{
	local m
	for m in "$now" "$mnt/current" "$mnt"; do
		umount -l "$m" 2>/dev/null || fusermount3 -uqz "$m" 2>/dev/null
	done
}

at_end()
{
	local p
	cd / || true
	[ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
	for p in $children; do
		kill -9 "$p" 2>/dev/null
	done
	gone
	for p in $(daemon); do
		kill -9 "$p" 2>/dev/null
	done
	umount "$to/other" "$work/jail/proc" "$work/jail" 2>/dev/null
	chattr -R -i "$to" 2>/dev/null
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
}

rules() # LINE...
{
	printf '%s\n' "$@" >"$set/rules"
}

view() # [OPTIONS]: mounted
{
	"$reel" mount "$set" "$mnt" -o "restore=$to${1:+,$1}" \
		>"$work/log" 2>&1 || ok "mount" 1
}

sound() # no sanitizer complains
{
	! grep -q -e 'Sanitizer' -e 'runtime error' "$set/mount.log" || {
		grep -A 20 -e 'Sanitizer' -e 'runtime error' \
			"$set/mount.log" >"$work/log"
		ok "the daemon is sound" 1
		: >"$set/mount.log"
	}
}

down() # its report in $work/report
{
	"$reel" umount "$mnt" --no-commit >"$work/report" 2>"$work/log" || {
		ok "umount" 1
		gone
	}
	sound
}

# Trees are the same but for the times of directories, into which more came.
same() # NAME A B [OPTIONS...]
{
	local name=$1 a=$2 b=$3
	shift 3
	rsync -aHAXOn --numeric-ids --checksum --delete --itemize-changes \
		--exclude=/var "$@" "$a/" "$b/" >"$work/log" 2>&1 &&
		[ ! -s "$work/log" ]
	ok "$name" $?
}

kept_files() # how many lie in the kept area
{
	find "$set/kept" -mindepth 2 ! -type d 2>/dev/null | wc -l
}

kept_has() # NAME CONTENT
{
	local f
	f=$(find "$set/kept" -name "${2##*/}" -type f 2>/dev/null)
	[ -n "$f" ] && cmp -s "$1" "$f"
}

begin()
{
	if [ ! -w /dev/fuse ]; then
		echo "/dev/fuse cannot be used here: nothing is tried"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "only root mounts within a mount: nothing is tried"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
	trap at_end EXIT
	gone
	rm -rf "$work"
	mkdir -p "$mnt" "$work/src/etc"
	chmod 755 "$work"
	abort_hung &
	watchdog=$!
	cd "$work" || exit 2
}

end()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}
