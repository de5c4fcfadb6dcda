#!/bin/bash
# The daemon is killed at random moments under load, sometimes while it commits.
#
#     crash_test.sh REEL WORKDIR [N]
#
# After each of N (20) kills the set is mounted again: all that was
# acknowledged is there (tests/posix/durable), what earlier kills left is
# unchanged, so is every snapshot; the spool has no orphans; verify is clean at
# the end and now and then. Of old kills and snapshots the last 8 are looked at
# each time, all of them now and then. SEED (1) makes the moments and the load.
set -u -o pipefail
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
kills=${3:-20}
seed=${SEED:-1}
family=crash
. "$(dirname "$0")/current.sh"
durable=$(realpath "$(dirname "$reel")/../tests")/durable
RANDOM=$seed
LOADS=3
commits=0

# Load k of kill n writes to its own directory, with its own log.
begin_load() # N
{
	local k
	loads=
	for k in $(seq $LOADS); do
		mkdir -p "$now/kill$1/load$k" || return
		"$durable" run -s $((seed * 10000 + $1 * 10 + k)) -t 20 \
			"$now/kill$1/load$k" >"$work/acks.$1.$k" \
			2>"$work/err.$1.$k" &
		loads="$loads $!"
	done
}

commit_sometimes()
{
	committing=
	[ $((RANDOM % 3)) != 0 ] || return
	(
		sleep 0.$((RANDOM % 5))
		exec "$reel" commit "$mnt"
	) >"$work/commit.log" 2>&1 &
	committing=$!
	commits=$((commits + 1))
}

digest() # DIR
{
	(cd "$1" && find . -type d -printf '%P %y %m %T@\n' \
		-o -printf '%P %y %m %s %T@ %n\n' | sort &&
		find . -type f -print0 | sort -z | xargs -0r sha256sum) |
		sha256sum
}

# What was acknowledged before the mount went; and what is there now is to
# stay.
look() # N
{
	local k bad=0
	for k in $(seq $LOADS); do
		# the kernel tells FUSE filesystems nothing of syncfs (a)
		grep -v ^a "$work/acks.$1.$k" |
			"$durable" check "$now/kill$1/load$k" \
			>"$work/log" 2>&1 || {
			bad=1
			echo "kill $1, load $k:"
			say
		}
	done
	ok "kill $1: all that was acknowledged is there ($(cat \
		"$work"/acks."$1".* | grep -c '^[fy]') times)" $bad
	digest "$now/kill$1" >"$work/digest.$1"
}

oldest() # N MOST: the first of N to be looked at after kill MOST
{
	if [ $(($2 % 20)) = 0 ] || [ "$1" -le 8 ]; then
		echo 1
	else
		echo $(($1 - 7))
	fi
}

unchanged() # N: what the kills before left
{
	local k bad=0
	for k in $(seq "$(oldest $(($1 - 1)) "$1")" $(($1 - 1))); do
		[ "$(digest "$now/kill$k")" = "$(cat "$work/digest.$k")" ] || {
			bad=1
			echo "kill $1 changed what kill $k left"
		}
	done
	ok "kill $1: what was there before is unchanged" $bad
}

snapshot() # N
{
	"$reel" ls -R --json "$set@$1" | sha256sum
}

snapshots_unchanged() # N
{
	local s count bad=0
	count=$(sessions)
	[ "$count" -ge "$known" ] || bad=1
	for s in $(seq "$(oldest "$known" "$1")" "$known"); do
		[ "$(snapshot "$s")" = "$(cat "$work/snapshot.$s")" ] || {
			bad=1
			echo "kill $1 changed snapshot $s"
		}
	done
	ok "kill $1: no snapshot changed" $bad
	note_snapshots "$count"
}

note_snapshots() # COUNT
{
	while [ "$known" -lt "$1" ]; do
		known=$((known + 1))
		snapshot $known >"$work/snapshot.$known" || return
	done
}

one_kill() # N
{
	local k bad=0 pid
	begin_load "$1" || return
	commit_sometimes
	sleep $((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))
	pid=$(daemon)
	[ -n "$pid" ]
	ok "kill $1: the daemon lives" $? || return
	kill -9 $pid
	for k in $loads; do
		wait "$k" || bad=1
	done
	ok "kill $1: the load ended for no other reason" $bad ||
		cat "$work"/err."$1".*
	[ -z "$committing" ] || wait "$committing"
	umount -l "$now" 2>/dev/null
	umount -l "$mnt" 2>/dev/null
	mount_set || return
	look "$1"
	unchanged "$1"
	snapshots_unchanged "$1"
}

# All is taken down without a commit, and looked at where nobody has it open.
rest() # N
{
	try "kill $1: umount --no-commit" "$reel" umount --no-commit "$mnt"
	try "kill $1: no orphans in the spool" python3 "$here/orphans.py" "$set"
	try "kill $1: verify" "$reel" verify "$set"
	[ $((RANDOM % 2)) = 0 ] ||
		try "kill $1: reel commit SET" "$reel" commit "$set"
	mount_set
}

begin
"$reel" init "$set" --compress zstd --volume-size 4M >/dev/null
"$reel" backup "$set" -C "$here/.." set tree >"$work/log" 2>&1
known=0
note_snapshots 1
mount_set || end
for n in $(seq "$kills"); do
	one_kill "$n" || end
	[ $((n % 4)) != 0 ] || rest "$n" || end
done
try "umount commits" "$reel" umount "$mnt"
try "no orphans at the end" python3 "$here/orphans.py" "$set"
try "verify" "$reel" verify "$set"
mount_set || end
for n in $(seq "$kills"); do
	[ "$(digest "$now/kill$n")" = "$(cat "$work/digest.$n")" ] || {
		echo "at the end: kill $n differs"
		bad=1
	}
	alive
done
ok "all is there at the end" ${bad:-0}
bad=0
"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
for n in $(seq "$kills"); do
	[ "$(digest "$work/out/kill$n")" = "$(cat "$work/digest.$n")" ] || {
		echo "restored: kill $n differs"
		bad=1
	}
	alive
done
ok "a restore of the last snapshot is the same" $bad
echo "$kills kills, $commits commits under load, $(sessions) sessions"
end
