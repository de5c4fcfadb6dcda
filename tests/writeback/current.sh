# What the scripts here share: a set $set, mounted at $mnt, and its current/.
# The script sets $reel, $work and $family first.
LC_ALL=C.UTF-8
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0
watchdog=
options=
set=$work/set
mnt=$work/mnt
now=$mnt/current

# Something was done: the watchdog waits anew. Nothing that is tried on an
# aborted mount says anything more.
alive()
{
	if [ -e "$work/hung" ]; then
		echo "FAILED $family did nothing for ${LIMIT:-900} s: aborted"
		failed=$((failed + 1))
		end
	fi
	: >"$work/step"
}

ok() # NAME, status
{
	alive
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok     $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
	fi
	return "$2"
}

say() # what was logged
{
	tail -n 12 "$work/log" | cut -c 1-240 | sed 's/^/	/'
}

try() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1
	ok "$name" $? || say
}

# Readers of a hung mount cannot be killed: LIMIT seconds after the last step
# the connection of this mount, and no other, is aborted, and the test ends.
abort_hung()
{
	local device
	while sleep 5 >/dev/null 2>&1 && [ $(($(date +%s) - \
		$(stat -c %Y "$work/step"))) -lt "${LIMIT:-900}" ]; do
		:
	done
	: >"$work/hung"
	mount -t fusectl none /sys/fs/fuse/connections 2>/dev/null
	awk -v mnt="$mnt" 'index($5, mnt) == 1 {sub(/.*:/, "", $3); print $3}' \
		/proc/self/mountinfo | while read -r device; do
		echo 1 >"/sys/fs/fuse/connections/$device/abort"
	done
}

clean_up()
{
	[ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
	cd / || true
	umount -l "$now" "$mnt" 2>/dev/null
	[ -z "$(daemon)" ] || kill -9 $(daemon) 2>/dev/null
	umount -l "$now" "$mnt" 2>/dev/null
	fusermount3 -uqz "$now" 2>/dev/null
	fusermount3 -uqz "$mnt" 2>/dev/null
	umount "$set/spool/current" "$set/spool" "$set/volumes" "$set" \
		2>/dev/null
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
}

begin()
{
	if [ ! -w /dev/fuse ]; then
		echo "/dev/fuse cannot be used here: nothing is tried"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
	trap clean_up EXIT
	rm -rf "$work"
	mkdir -p "$mnt"
	chmod 755 "$work"
	alive
	abort_hung &
	watchdog=$!
}

end()
{
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

# The process that serves the mount: it alone has the mountpoint in its
# command line.
daemon()
{
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$reel" ] || continue
		tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qxF "$mnt" &&
			echo "${p##*/}"
	done
}

mount_set() # OPTIONS..., besides $options
{
	# shellcheck disable=SC2086
	"$reel" mount "$set" "$mnt" $options "$@" >"$work/log" 2>&1 || {
		ok "mounting" 1
		say
		return 1
	}
}

remount() # NAME: a commit, and all anew
{
	try "$1: umount commits" "$reel" umount "$mnt"
	mount_set
}

same() # NAME SOURCE TARGET
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$2/" "$3/" >"$work/log" 2>&1
	[ ! -s "$work/log" ]
	ok "$1" $? || say
}

sessions()
{
	"$reel" snapshots --json "$set" | wc -l
}

# A field of the newest snapshot.
newest() # FIELD
{
	"$reel" snapshots --json "$set" | tail -n 1 |
		sed -nE "s/.*\"$1\":([0-9]+).*/\1/p"
}
