#!/bin/bash
# Programs that are cut off: the set always opens, what was committed is whole,
# nothing is left behind that the next command does not clear.
#
#     crash_test.sh REEL CUT.SO WORKDIR [--long]
#
# `reel backup` is cut at every call that changes the set (cut.c says how), or
# at 400 evenly among more, `init` and `catalog rebuild` at 30; --long leaves
# none out. `lost`: the power fails there, and what was not synced is gone
# (replay.py). Then 200 kills at random moments.
#
# A line of the plan is: what, base, its sessions, mode, number of the call;
# ONLY='^backup one 1 eio 21$' in the environment runs those that match.
set -u
export LC_ALL=C
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
cut=$(realpath "$2")
work=$3
most=400
kills=200
long=
[ "${4:-}" != --long ] || {
	most=1000000
	long=1
}
# should REEL be built with sanitizers
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0

# ---- trees and sets ----

make_tree()
{
	local n
	mkdir -p "$1/a/b" "$1/c"
	for n in $(seq 12); do
		head -c $((n * 997)) /dev/urandom >"$1/a/f$n"
		cp "$1/a/f$n" "$1/c/copy$n"
	done
	head -c 1200000 /dev/urandom >"$1/a/b/large"
	ln "$1/a/f1" "$1/c/link"
}

change_tree()
{
	rm "$1/a/f3"
	head -c 1100000 /dev/urandom >"$1/a/b/new"
	cp "$1/a/b/large" "$1/c/large again"
	chmod 600 "$1/a/f5"
	mv "$1/a/b" "$1/moved"
}

same()
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >differences 2>&1
	[ ! -s differences ]
}

# A fresh copy of a set to hurt, always at one place.
fresh()
{
	rm -rf set
	[ "$1" = - ] || cp -a "$work/$1" set
}

with_cut() # MODE N COMMAND...
{
	local mode=$1 n=$2
	shift 2
	CUT_DIR=$PWD/set CUT_MODE=$mode CUT_AT=$n LD_PRELOAD=$cut "$@"
}

# ---- what must hold ----

wrong() # TEXT: and the log's first lines
{
	bad=1
	echo "	$*"
	[ ! -s log ] || head -n 4 log | sed 's/^/		/'
}

sessions()
{
	"$reel" snapshots --json set >list 2>log ||
		wrong "reel snapshots ends with $?"
	count=$(wc -l <list)
}

restores() # SNAPSHOT TREE
{
	rm -rf out
	"$reel" restore "set@$1" --to out >log 2>&1 &&
		same "$work/$2" out && return
	wrong "snapshot $1 differs: $(head -n 3 differences)"
}

whole()
{
	"$reel" verify set >log 2>&1 || wrong "reel verify ends with $?"
}

tidy()
{
	local left
	left=$(find set \( -name '*.partial' -o -name '*.new' -o \
		-path 'set/spool/*' -o -name '*-journal' \) | tr '\n' ' ')
	[ -z "$left" ] || wrong "left behind: $left"
}

# Nothing but the volumes of so many sessions; the last one may be one more.
volumes_are() # BASE EXTRA
{
	local want n
	want=$(cat "$work/$1.volumes")
	for n in $(seq $((want + $2))); do
		ls "set/volumes/$(printf %06d "$n").tar"* >/dev/null 2>&1 ||
			wrong "volume $n is missing"
	done
	n=$(find set/volumes -type f | wc -l)
	[ "$n" = $((want + $2)) ] ||
		wrong "$n volume files, of which $((want + $2)) are owned"
}

# The catalogue is a cache: made anew it answers the same.
rebuilt_same()
{
	"$reel" ls -R set >before 2>log
	"$reel" snapshots --json set >>before 2>log
	rm -f set/catalog.db*
	"$reel" catalog rebuild set >log 2>&1 || wrong "reel catalog rebuild: $?"
	"$reel" ls -R set >behind 2>log
	"$reel" snapshots --json set >>behind 2>log
	cmp -s before behind || wrong "a rebuilt catalogue answers otherwise"
}

# After a cut backup of tree2 onto a set of $2 sessions; it ended with $3.
after_backup() # BASE SESSIONS EXIT N
{
	local extra
	sessions
	[ "$count" = "$2" ] || [ "$count" = $(($2 + 1)) ] ||
		wrong "$count sessions, were $2"
	whole
	[ "$2" = 0 ] || restores 1 tree1
	[ "$count" = "$2" ] || restores "$count" tree2
	"$reel" backup set -C "$work/tree2" . >log 2>&1 ||
		wrong "the next backup ends with $?"
	sessions
	extra=$((count - $2 - 1))
	if [ $extra != 0 ] && [ $extra != 1 ]; then
		wrong "$count sessions after the next backup, were $2"
	fi
	[ "$3" != 0 ] || [ $extra = 1 ] || wrong "it ended well for nothing"
	if grep -q "no snapshot was made" cut.log && [ $extra = 1 ]; then
		wrong "it denied a snapshot: $(cat cut.log)"
	fi
	restores "$count" tree2
	tidy
	volumes_are "$1" $extra
	[ $(($4 % 8)) != 0 ] || rebuilt_same
}

# An error is said once, and what became of the backup.
clear_words() # MODE EXIT
{
	local lines
	case $1 in
	enospc | eio | once) ;;
	*) return ;;
	esac
	[ "$2" != 0 ] || return
	[ "$2" = 2 ] || wrong "exit $2: $(cat cut.log)"
	lines=$(grep -cv "warning:" cut.log)
	if [ "$lines" -lt 1 ] || [ "$lines" -gt 2 ]; then
		wrong "$lines lines: $(cat cut.log)"
	fi
	grep -qi "no space\|I/O error\|input/output\|cannot be written\|disk full" \
		cut.log ||
		wrong "no cause is named: $(cat cut.log)"
}

# ---- one case each ----

case_backup() # BASE SESSIONS MODE N
{
	local rc
	fresh "$1"
	case $3 in
	lost-*)
		python3 -ES "$here/replay.py" "$work/$1.record" \
			"$(cat "$work/$1.recorded")" set "$4" "${3#lost-}" ||
			wrong "replay.py"
		rc=137
		: >cut.log
		;;
	rebuild)
		with_cut kill "$4" "$reel" backup "$PWD/set" \
			-C "$work/tree2" . >cut.log 2>&1
		rc=$?
		"$reel" catalog rebuild set >log 2>&1 ||
			wrong "reel catalog rebuild ends with $?"
		;;
	*)
		with_cut "$3" "$4" "$reel" backup "$PWD/set" \
			-C "$work/tree2" . >cut.log 2>&1
		rc=$?
		;;
	esac
	grep -v '^snapshot \|added,\|files;' cut.log >words
	mv words cut.log
	clear_words "$3" $rc
	after_backup "$1" "$2" $rc "$4"
}

case_kill() # BASE SESSIONS MICROSECONDS N
{
	local pid rc
	fresh "$1"
	: >cut.log
	"$reel" backup set -C "$work/tree2" . >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf 0.%06d "$3")"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	rc=$?
	after_backup "$1" "$2" $rc "$4"
}

# A rebuild that is cut leaves the old catalogue or makes the new one.
case_rebuild() # BASE SESSIONS MODE N
{
	local rc
	fresh "$1"
	with_cut "$3" "$4" "$reel" catalog rebuild "$PWD/set" >cut.log 2>&1
	rc=$?
	clear_words "$3" $rc
	if [ -e set/catalog.db ] || [ "$1" = two ]; then
		"$reel" ls -R set >list 2>log && cmp -s list "$work/want" ||
			wrong "the catalogue is gone"
		whole
	fi
	"$reel" catalog rebuild set >log 2>&1 ||
		wrong "the next rebuild ends with $?"
	"$reel" ls -R set >list 2>log && cmp -s list "$work/want" ||
		wrong "the next rebuild makes something else"
	whole
	tidy
	"$reel" backup set -C "$work/tree2" . >log 2>&1 ||
		wrong "the next backup ends with $?"
	tidy
	restores latest tree2
}

# What a cut init leaves is no obstacle to the next.
case_init() # - 0 MODE N
{
	local rc
	fresh -
	with_cut "$3" "$4" "$reel" init "$PWD/set" --volume-size 1M \
		>cut.log 2>&1
	rc=$?
	clear_words "$3" $rc
	"$reel" init set --volume-size 1M >log 2>&1
	rc=$?
	if [ $rc != 0 ] && ! grep -q "is a set" log; then
		wrong "the next init ends with $rc"
	fi
	"$reel" backup set -C "$work/tree2" . >log 2>&1 ||
		wrong "the next backup ends with $?"
	whole
	tidy
	restores latest tree2
	volumes_are empty 0
}

# ---- all of them ----

# Cuts 1 … CALLS, or an even sample of them.
cuts() # KIND BASE SESSIONS CALLS MODE...
{
	local kind=$1 base=$2 sessions=$3 calls=$4 mode some=$most
	shift 4
	[ "$kind" = backup ] || [ "$long" ] || some=30
	for mode in "$@"; do
		if [ "$calls" -le "$some" ]; then
			seq "$calls"
		else
			seq "$some" | awk -v c="$calls" -v m="$some" \
				'{print int($1 * c / m)}'
		fi | if [ "$long" ]; then
			cat
		else # these two repeat much of the others
			case $mode in
			once | rebuild) awk 'NR % 2' ;;
			*) cat ;;
			esac
		fi | sed "s/^/$kind $base $sessions $mode /"
	done
}

# A run without a cut: how many calls it makes.
calls_of() # BASE COMMAND...
{
	local base=$1
	shift
	fresh "$base"
	CUT_DIR=$PWD/set CUT_LOG=$work/calls CUT_RECORD=$work/$base.record \
		LD_PRELOAD=$cut "$@" >log 2>&1 || {
		echo "FAILED $* without a cut"
		cat log
		exit 1
	}
	echo "$PWD/set" >"$work/$base.recorded"
	cat "$work/calls"
}

plan()
{
	local base n calls begin took lost
	RANDOM=7
	cuts init - 0 "$(calls_of - "$reel" init "$PWD/set")" \
		kill short enospc eio once
	cuts rebuild two 2 "$(calls_of two "$reel" catalog rebuild \
		"$PWD/set")" kill short enospc eio once
	cuts rebuild bare 2 "$(calls_of bare "$reel" catalog rebuild \
		"$PWD/set")" kill
	for base in empty one; do
		n=$([ $base = empty ] && echo 0 || echo 1)
		begin=$(date +%s%6N)
		calls=$(calls_of $base "$reel" backup "$PWD/set" \
			-C "$work/tree2" .)
		took=$(($(date +%s%6N) - begin))
		find set/volumes -type f | wc -l >"$work/$base.volumes"
		cuts backup $base $n "$calls" kill after short enospc eio \
			once rebuild
		calls=$(python3 -ES "$here/replay.py" "$work/$base.record" - \
			- count -)
		lost=lost-both
		cuts backup $base $n $((calls + 1)) lost |
			while read -r line; do
				for lost in lost-both lost-data lost-names \
					lost-1 lost-2 lost-3; do
					echo "${line/ lost / $lost }"
				done
			done | if [ "$long" ]; then
				cat
			else
				awk 'NR % 6 == int(NR / 6) % 6'
			fi
		for n in $(seq $((kills / 2))); do
			echo "kill $base $([ $base = empty ] && echo 0 ||
				echo 1) $((RANDOM * 32768 + RANDOM)) $n" |
				awk -v t="$took" '{$4 = $4 % t; print}'
		done
	done
}

# Every JOBS-th case from the K-th on, in a directory of its own.
worker() # K JOBS
{
	local kind base sessions mode n name text
	mkdir -p "$work/$1"
	cd "$work/$1" || exit 2
	awk -v k="$1" -v j="$2" 'NR % j == k' "$work/plan" |
		while read -r kind base sessions mode n; do
			name="$kind, $base: $mode at $n"
			[ "$kind" != kill ] || name="$kind -9, $base: $n"
			bad=0
			case_"$kind" "$base" "$sessions" "$mode" "$n" \
				>trouble 2>/dev/null
			text=$([ $bad = 0 ] && echo "ok     $name" ||
				echo "FAILED $name" && cat trouble)
			echo "$text"
		done
}

rm -rf "$work"
mkdir -p "$work/plans"
work=$(realpath "$work")
trap 'rm -rf "$work"' EXIT
cd "$work/plans" || exit 2
make_tree "$work/tree1"
cp -a "$work/tree1" "$work/tree2"
change_tree "$work/tree2"
{
	"$reel" init "$work/empty" --volume-size 1M &&
		cp -a "$work/empty" "$work/one" &&
		"$reel" backup "$work/one" -C "$work/tree1" . &&
		cp -a "$work/one" "$work/two" &&
		"$reel" backup "$work/two" -C "$work/tree2" . &&
		cp -a "$work/two" "$work/bare" &&
		rm "$work/bare/catalog.db" &&
		"$reel" ls -R "$work/two" >"$work/want"
} >log 2>&1 || {
	cat log
	exit 2
}
plan | grep -E "${ONLY:-}" >"$work/plan" || exit 2
jobs=$(nproc)
for k in $(seq 0 $((jobs - 1))); do
	worker "$k" "$jobs" &
done >"$work/results"
wait
cat "$work/results"
passed=$(grep -c '^ok ' "$work/results")
failed=$(($(wc -l <"$work/plan") - passed))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
