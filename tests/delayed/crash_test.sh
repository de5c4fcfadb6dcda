#!/bin/bash
# Delaying and carrying out are cut off at every write, sync, rename and
# removal, then run again: the same end, nothing staged left, every status
# right.
#
#     crash_test.sh REEL DELAY CUT.SO WORKDIR [--long]
set -u
LC_ALL=C
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
delay=$(realpath "$2")
cut=$(realpath "$3")
work=$4
long=${5:-}
journal=var/lib/reel/delayed

wrong() # TEXT
{
	bad=1
	echo "	$1"
}

# Contents and names; with `all`, metadata, too.
picture() # DIR [all]
{
	(
		cd "$1" || exit 1
		find . -path ./var -prune -o -type f -print0 | sort -z |
			xargs -0r sha256sum
		if [ "${2:-}" = all ]; then
			find . -path ./var -prune -o -mindepth 1 \
				-printf '%p %y %m %U %G %T@ %l\n'
		else
			find . -path ./var -prune -o -mindepth 1 \
				-printf '%p %y\n'
		fi | sort
	)
}

make_target()
{
	mkdir -p target/etc/conf.d target/usr/lib target/old/deep target/was
	for n in 1 2 3 4; do
		echo "old $n" >target/usr/lib/lib$n
	done
	echo keep >target/etc/keep
	echo gone >target/old/deep/file
	echo gone >target/old/other
	echo gone >target/etc/conf.d/stale
	echo file >target/type
	find target -exec touch -d '2020-02-02 02:02:02' {} +
}

add_all() # TARGET
{
	"$delay" "$1" "${words[@]}"
}

fresh() # BASE
{
	chmod -R u+rwX target 2>/dev/null
	rm -rf target
	cp -a "$work/$1" target
}

with_cut() # MODE N COMMAND...
{
	local mode=$1 n=$2
	shift 2
	CUT_DIR=$PWD/target CUT_MODE=$mode CUT_AT=$n LD_PRELOAD=$cut "$@"
}

nothing_left()
{
	local left
	left=$(find target -path "*/$journal/files*" -o -name .reel-delayed \
		-o -path "*/$journal/journal" -o -path "*/$journal/progress" \
		-o -name '*.new')
	[ -z "$left" ] || wrong "left behind: $left"
}

ends_well() # KIND
{
	picture target "$1" >now
	cmp -s now "$work/want-$1" ||
		wrong "another end: $(diff now "$work/want-$1" | head -n 4)"
	nothing_left
}

# All records of the run are told as done.
all_done()
{
	"$reel" delayed status --root target --json >status 2>&1
	[ "$(grep -c '"state":"done"' status)" = "$records" ] ||
		wrong "not every status: $(head -n 3 status)"
	grep -q '"RestoreStatusResult":"00000000"' status ||
		wrong "the result: $(head -n 1 status)"
}

case_run() # MODE N
{
	local kind=all
	fresh waiting
	case $1 in
	lost-*)
		kind=names
		python3 -ES "$here/../crash/replay.py" "$work/run.record" \
			"$work/base/target" target "$2" "${1#lost-}" ||
			wrong replay.py
		;;
	*)
		with_cut "$1" "$2" "$reel" delayed run --root target >log 2>&1
		;;
	esac
	"$reel" delayed run --root target >log 2>&1 ||
		wrong "run again ends with $?: $(head -n 3 log)"
	ends_well $kind
	case $1 in
	kill | after | short | lost-*) all_done ;;
	esac
}

# Cut while it is delayed: all of it waits, or none.
case_add() # MODE N
{
	local kind=all
	fresh plain
	case $1 in
	lost-*)
		kind=names
		python3 -ES "$here/../crash/replay.py" "$work/add.record" \
			"$work/base/target" target "$2" "${1#lost-}" ||
			wrong replay.py
		;;
	*)
		with_cut "$1" "$2" "$delay" target \
			"${words[@]}" >log 2>&1
		;;
	esac
	"$reel" delayed run --root target >log 2>&1 ||
		wrong "run ends with $?: $(head -n 3 log)"
	picture target $kind >now
	if ! cmp -s now "$work/want-$kind" && ! cmp -s now "$work/were-$kind"
	then
		wrong "neither all nor nothing: $(diff now \
			"$work/want-$kind" | head -n 3)"
	fi
	nothing_left
	add_all target >log 2>&1 || wrong "cannot be delayed again"
	"$reel" delayed run --root target >log 2>&1 || wrong "the run after"
	ends_well $kind
}

# A list of srdelayed, whose records build on each other.
case_list() # MODE N
{
	fresh listed
	with_cut "$1" "$2" "$reel" delayed run --root target >log 2>&1
	"$reel" delayed run --root target >log 2>&1 ||
		wrong "run again ends with $?: $(head -n 3 log)"
	picture target names >now
	cmp -s now "$work/want-list" ||
		wrong "another end: $(diff now "$work/want-list" | head -n 4)"
	nothing_left
	cmp -s target/list "$work/answered" || wrong "the list's states"
}

# Cut while it is taken back.
case_cancel() # MODE N
{
	fresh waiting
	with_cut "$1" "$2" "$reel" delayed cancel --all --root target \
		>log 2>&1
	"$reel" delayed cancel --all --root target >log 2>&1 ||
		wrong "cancel again ends with $?"
	picture target all >now
	cmp -s now "$work/were-all" || wrong "the target was changed"
	nothing_left
}

# Every JOBS-th case from the K-th on, in a directory of its own.
worker() # K JOBS
{
	local kind mode n text
	mkdir -p "$work/$1"
	cd "$work/$1" || exit 2
	awk -v k="$1" -v j="$2" 'NR % j == k' "$work/plan" |
		while read -r kind mode n; do
			bad=0
			case_"$kind" "$mode" "$n" >trouble 2>&1
			text=$([ $bad = 0 ] && echo "ok     $kind: $mode at $n" ||
				echo "FAILED $kind: $mode at $n" && cat trouble)
			echo "$text"
		done
}

# An even sample of 1 … CALLS.
sample() # CALLS MOST
{
	if [ "$long" ] || [ "$1" -le "$2" ]; then
		seq "$1"
	else
		seq "$2" | awk -v c="$1" -v m="$2" '{print int($1 * c / m)}'
	fi
}

matrix() # KIND CALLS RECORD
{
	local kind=$1 calls=$2 record=$3 mode n some=${4:-30} count
	for mode in kill after short enospc eio once; do
		for n in $(sample "$calls" $some); do
			echo "$kind $mode $n"
		done
	done
	[ "$record" ] || return 0
	count=$(python3 -ES "$here/../crash/replay.py" "$record" - - count -)
	for mode in lost-both lost-data lost-names lost-1 lost-2; do
		for n in $(sample $((count + 1)) 12); do
			echo "$kind $mode $n"
		done
	done
}

rm -rf "$work"
mkdir -p "$work/base"
work=$(realpath "$work")
trap 'rm -rf "$work"' EXIT
cd "$work/base" || exit 2
echo new1 >"$work/new1"
echo new2 >"$work/new2"
head -c 300000 /dev/urandom >"$work/big"
chmod 640 "$work/new1"
touch -d '2021-01-01' "$work/new1" "$work/new2" "$work/big"
make_target
cp -a target "$work/plain"
# files over files, new ones, a new directory with a file, a file that becomes
# a directory and back, deletes in the wrong order
words=(move "$work/new1" usr/lib/lib1 move "$work/new2" usr/lib/lib2
	move "$work/big" usr/lib/lib3 move "$work/new1" usr/lib/brandnew
	directory 750 fresh move "$work/new2" fresh/in
	directory 755 type move "$work/new1" type/below
	move "$work/new2" was
	delete old delete old/deep delete old/deep/file
	delete old/other delete etc/conf.d/stale commit)
picture target all >"$work/were-all"
picture target names >"$work/were-names"
CUT_DIR=$PWD/target CUT_LOG=$work/add.calls CUT_RECORD=$work/add.record \
	LD_PRELOAD=$cut "$delay" target "${words[@]}" || exit 2
cp -a target "$work/waiting"
records=$("$reel" delayed list --root target --json | wc -l)
[ "$records" = 14 ] || { echo "$records records, not 14"; exit 2; }
CUT_DIR=$PWD/target CUT_LOG=$work/run.calls CUT_RECORD=$work/run.record \
	LD_PRELOAD=$cut "$reel" delayed run --root target || exit 2
# fresh directories have times of their own
picture target all >"$work/want-all"
picture target names >"$work/want-names"
bad=0
nothing_left
all_done
[ $bad = 0 ] || exit 2
[ "$(cat target/usr/lib/lib1 target/was target/type/below)" = \
	"$(cat "$work/new1" "$work/new2" "$work/new1")" ] &&
	[ ! -e target/old ] && [ ! -e target/etc/conf.d/stale ] || {
	echo "the run without a cut does something else"
	exit 2
}
fresh plain
python3 -ES "$here/list.py" target/list \
	'MoveFile|\??\C:\usr\lib\lib1|\??\C:\usr\lib\lib2|NotExecuted' \
	'MoveFile|\??\C:\usr\lib\lib2|\??\C:\etc\keep|NotExecuted' \
	'MoveFile|\??\C:\type|\??\C:\usr\lib\lib1|NotExecuted' \
	'MoveFile|\??\C:\usr\lib\lib3|\??\C:\type|NotExecuted' \
	'DeleteFile|Unused|\??\C:\type|NotExecuted' \
	'DeleteFile|Unused|\??\C:\old\other|NotExecuted' \
	'MoveFile|\??\C:\usr\lib\lib4|\??\C:\old\other|NotExecuted'
"$reel" delayed import --root target target/list >log || exit 2
cp -a target "$work/listed"
CUT_DIR=$PWD/target CUT_LOG=$work/list.calls LD_PRELOAD=$cut \
	"$reel" delayed run --root target >log || exit 2
picture target names >"$work/want-list"
[ "$(cat target/etc/keep target/usr/lib/lib1 target/old/other | tr '\n' ' ')" \
	= "old 1 file old 4 " ] && [ ! -e target/type ] || {
	echo "the list does something else"
	exit 2
}
cp target/list "$work/answered"
fresh waiting
CUT_DIR=$PWD/target CUT_LOG=$work/cancel.calls LD_PRELOAD=$cut \
	"$reel" delayed cancel --all --root target >log || exit 2
{
	matrix run "$(cat "$work/run.calls")" "$work/run.record" 40
	matrix add "$(cat "$work/add.calls")" "$work/add.record" 20
	matrix list "$(cat "$work/list.calls")" "" 15
	matrix cancel "$(cat "$work/cancel.calls")" "" 10
} | grep -E "${ONLY:-}" >"$work/plan" || exit 2
jobs=$(nproc)
for k in $(seq 0 $((jobs - 1))); do
	worker "$k" "$jobs" &
done >"$work/results"
wait
grep -v '^ok ' "$work/results"
passed=$(grep -c '^ok ' "$work/results")
failed=$(($(wc -l <"$work/plan") - passed))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
