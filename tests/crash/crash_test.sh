#!/bin/bash
# Backups that are cut off: the set always opens, what was committed is whole,
# nothing is left behind that the next command does not clear.
#
#     crash_test.sh REEL CUT.SO WORKDIR [--long]
set -u
LC_ALL=C
reel=$(realpath "$1")
cut=$(realpath "$2")
work=$3
sample=40
kills=60
[ "${4:-}" != --long ] || {
	sample=100000
	kills=200
}
passed=0
failed=0
RANDOM=7

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "crash: FAILED: $1"
	fi
	return "$2"
}

make_tree()
{
	local n
	mkdir -p "$1/a/b" "$1/c"
	for n in $(seq 30); do
		head -c $((n * 997)) /dev/urandom >"$1/a/f$n"
		cp "$1/a/f$n" "$1/c/copy$n"
	done
	head -c 3000000 /dev/urandom >"$1/a/b/large"
	ln "$1/a/f1" "$1/c/link"
}

change_tree()
{
	rm "$1/a/f3"
	head -c 500000 /dev/urandom >"$1/a/b/new"
	cp "$1/a/b/large" "$1/c/large again"
	chmod 600 "$1/a/f5"
	mv "$1/a/b" "$1/moved"
}

same()
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	[ ! -s "$work/differences" ]
}

# After a cut: everything that must hold. The number of sessions may be what
# it was, or one more.
check_set() # NAME SET BEFORE
{
	local set=$2 count good=0
	count=$("$reel" snapshots --json "$set" 2>"$work/log" | wc -l) ||
		good=1
	[ "$count" -ge "$3" ] && [ "$count" -le $(($3 + 1)) ] || {
		echo "$1: $count sessions, were $3"
		good=1
	}
	if [ "$count" -gt 0 ]; then
		"$reel" verify "$set" >"$work/log" 2>&1 || {
			echo "$1: verify:"
			head -n 3 "$work/log"
			good=1
		}
	fi
	if [ "$3" -gt 0 ]; then
		rm -rf "$work/out"
		"$reel" restore "$set@1" --to "$work/out" >"$work/log" 2>&1 &&
			same "$work/tree1" "$work/out" || {
			echo "$1: the first session differs"
			head -n 3 "$work/log" "$work/differences"
			good=1
		}
	fi
	"$reel" backup "$set" -C "$work/tree2" . >"$work/log" 2>&1 || {
		echo "$1: the next backup ends with $?"
		head -n 3 "$work/log"
		good=1
	}
	rm -rf "$work/out"
	"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
	same "$work/tree2" "$work/out" || {
		echo "$1: the next backup is wrong"
		head -n 3 "$work/differences"
		good=1
	}
	left=$(ls "$set"/volumes/*.partial "$set"/spool/* "$set"/*.new \
		2>/dev/null)
	[ -z "$left" ] || {
		echo "$1: left behind: $left"
		good=1
	}
	ok "$1" $good
}

# Runs a backup that is cut at call N.
cut_backup() # SET TREE MODE N
{
	CUT_DIR=$1 CUT_MODE=$3 CUT_AT=$4 LD_PRELOAD=$cut \
		"$reel" backup "$1" -C "$2" . >"$work/cut.log" 2>&1
}

# A fresh copy of a set to hurt.
fresh()
{
	rm -rf "$work/set"
	cp -a "$1" "$work/set"
}

matrix() # NAME BASE-SET TREE SESSIONS
{
	local calls n step mode rc
	fresh "$2"
	CUT_DIR=$work/set CUT_COUNT=$work/count LD_PRELOAD=$cut \
		"$reel" backup "$work/set" -C "$3" . >"$work/log" 2>&1
	ok "$1: uncut" $?
	calls=$(cat "$work/count")
	step=$(((calls + sample - 1) / sample))
	for mode in kill after short enospc eio; do
		for n in $(seq $((1 + RANDOM % step)) $step "$calls"); do
			fresh "$2"
			cut_backup "$work/set" "$3" $mode "$n" 2>/dev/null
			rc=$?
			case $mode in
			enospc | eio)
				[ $rc = 137 ] &&
					ok "$1: $mode at $n: killed" 1
				if [ $rc != 0 ] && [ $rc != 2 ]; then
					cat "$work/cut.log"
					ok "$1: $mode at $n: exit $rc" 1
				fi
				if [ $rc = 2 ] && [ ! -s "$work/cut.log" ]; then
					ok "$1: $mode at $n: silent" 1
				fi
				;;
			esac
			check_set "$1: $mode at $n of $calls" "$work/set" "$4"
		done
	done
}

random_kills() # NAME BASE-SET TREE SESSIONS
{
	local n pid
	for n in $(seq $((kills / 2))); do
		fresh "$2"
		"$reel" backup "$work/set" -C "$3" . >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$((RANDOM % 60 + 10))"
		kill -9 $pid 2>/dev/null
		wait $pid 2>/dev/null
		check_set "$1: kill -9, number $n" "$work/set" "$4"
	done
}

# A rebuild that is cut leaves the old catalogue or makes the new one.
rebuilds()
{
	local calls n
	fresh "$work/two"
	CUT_DIR=$work/set CUT_COUNT=$work/count LD_PRELOAD=$cut \
		"$reel" catalog rebuild "$work/set" >"$work/log" 2>&1
	ok "rebuild: uncut" $?
	calls=$(cat "$work/count")
	for n in $(seq 1 $(((calls + 19) / 20)) "$calls"); do
		fresh "$work/two"
		CUT_DIR=$work/set CUT_MODE=kill CUT_AT=$n LD_PRELOAD=$cut \
			"$reel" catalog rebuild "$work/set" \
			>"$work/log" 2>&1
		"$reel" ls -R "$work/set" >"$work/list" 2>&1 &&
			cmp -s "$work/list" "$work/want"
		ok "rebuild: kill at $n" $?
	done
}

rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
make_tree "$work/tree1"
cp -a "$work/tree1" "$work/tree2"
change_tree "$work/tree2"
"$reel" init "$work/empty" --volume-size 1M >/dev/null
cp -a "$work/empty" "$work/one"
"$reel" backup "$work/one" -C "$work/tree1" . >/dev/null 2>&1
cp -a "$work/one" "$work/two"
"$reel" backup "$work/two" -C "$work/tree2" . >/dev/null 2>&1
"$reel" ls -R "$work/two" >"$work/want"
{
	matrix "first session" "$work/empty" "$work/tree2" 0
	matrix "second session" "$work/one" "$work/tree2" 1
	random_kills "first session" "$work/empty" "$work/tree2" 0
	random_kills "second session" "$work/one" "$work/tree2" 1
	rebuilds
} 2>/dev/null
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
