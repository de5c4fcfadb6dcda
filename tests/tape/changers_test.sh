#!/bin/bash
# A set with two changers, each with a drive and cartridges of its own: what is
# needed is loaded from whichever has it; every verb of `reel media`; one of
# them is gone.
#
#     changers_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
mnt=$work/mnt
set=$work/set
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "changers: FAILED: $1"
		tail -n 8 "$work/log" 2>/dev/null | sed 's/^/    /'
	fi
}

finish()
{
	trap - EXIT
	"$reel" umount "$mnt" >/dev/null 2>&1
	for lib in one two; do
		bash "$rig/vtl.sh" stop "$work/$lib" >/dev/null 2>&1
	done
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

refused() # STATUS PATTERN NAME COMMAND...
{
	local status=$1 pattern=$2 name=$3 rc
	shift 3
	"$@" >"$work/log" 2>&1 </dev/null
	rc=$?
	[ $rc = "$status" ] && grep -q "$pattern" "$work/log"
	ok "$name (status $rc)" $?
}

library() # NAME PORT PREFIX
{
	VTL_PORT=$2 VTL_PREFIX=$3 VTL_DRIVES=1 VTL_CARTS=3 VTL_SIZE_MB=6 \
		VTL_LOAD=0 bash "$rig/vtl.sh" start "$work/$1" \
		>"$work/log" 2>&1
	ok "the library $1" $?
}

unit() # NAME KIND
{
	sed -n "s/^$2 //p" "$work/$1/urls"
}

list()
{
	"$reel" media list "$set" 2>/dev/null
}

lies() # CARTRIDGE: where
{
	list | sed -n "s/^\(drive\|slot\|port\) \([^ ]*\).* $1 .*/\1 \2/p"
}

free_slot() # LIBRARY: number of one
{
	list | grep "^slot .* of $(unit "$1" changer) *- *- *$" |
		sed -n '1s/^slot \([0-9]*\) .*/\1/p'
}

restores() # NAME
{
	rm -rf "$work/out"
	"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/src" "$work/out" >"$work/log" 2>&1
	ok "$1" $?
}

put_away()
{
	local n

	for n in 1 2 3 4 5 6; do
		"$reel" media unload "$set" "lib-000$n" >/dev/null 2>&1
	done
}

rm -rf "$work"
mkdir -p "$work/src" "$mnt" || exit 2
work=$(cd "$work" && pwd)
if "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 |
	grep -q "without libiscsi" || ! command -v tgtd >/dev/null; then
	echo "changers: no libiscsi or tgt here: skipped"
	exit 0
fi
trap finish EXIT
for n in $(seq -w 32); do
	head -c 1000000 /dev/urandom >"$work/src/f$n"
done
port=$((20000 + $$ % 4500 * 2))
library one $port ONE
library two $((port + 1)) TWO

do_it "init" "$reel" init "$set" --name lib \
	--media "$(unit one tape),$(unit two tape)" \
	--changer "$(unit one changer)" --changer "$(unit two changer)"
do_it "backup over the cartridges of both" "$reel" backup "$set" \
	-C "$work/src" .
list >"$work/log"
[ "$(grep -c 'lib-000.* ONE00[123]L8' "$work/log")" -ge 2 ] &&
	[ "$(grep -c 'lib-000.* TWO00[123]L8' "$work/log")" -ge 2 ]
ok "media list names those of both" $?
[ "$(grep -c "^slot .* of $(unit one changer)" "$work/log")" = 5 ] &&
	[ "$(grep -c "^slot .* of $(unit two changer)" "$work/log")" = 5 ]
ok "and says whose slots they are" $?
"$reel" media list "$set" --json 2>/dev/null |
	python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
sys.exit(len([r for r in rows if r["cartridge"]]) < 4)' >"$work/log" 2>&1
ok "as JSON" $?
restores "restored from both"
put_away

# a new machine: no cartridge that lies in a slot is known there
imported() # NAME
{
	rm -rf "$work/again"
	do_it "$1" "$reel" import "$(unit one tape)" "$(unit two tape)" \
		"$work/again" --changer "$(unit one changer)" \
		--changer "$(unit two changer)"
	[ "$("$reel" ls -lR "$work/again" 2>/dev/null)" = \
		"$("$reel" ls -lR "$set" 2>/dev/null)" ]
	ok "$1: it has all" $?
}
imported "import from slots alone"
put_away
do_it "the first is in a drive" "$reel" media load "$set" lib-0001
imported "import, the first in a drive"
put_away
list | grep '^drive' | grep -q lib-
[ $? = 1 ]
ok "media unload puts all away" $?
do_it "verify fetches all" "$reel" verify "$set"

# a cartridge of each, and where it lies
first=$(list | sed -n 's/.* \(lib-000[0-9]\) *ONE.*/\1/p' | head -n 1)
other=$(list | sed -n 's/.* \(lib-000[0-9]\) *TWO.*/\1/p' | head -n 1)
put_away
for which in "$first one" "$other two"; do
	set -- $which
	do_it "media load $1" "$reel" media load "$set" "$1"
	grep -q "$1 is in $(unit "$2" tape)" "$work/log"
	ok "in the drive of library $2" $?
	[ "$(lies "$1")" = "drive $(unit "$2" tape)" ]
	ok "media list says so" $?
done
do_it "media unload by drive" "$reel" media unload "$set" "$(unit two tape)"
barcode=$(list | sed -n "s/.* $other *\(TWO[^ ]*\).*/\1/p")
do_it "media load by barcode" "$reel" media load "$set" "$barcode"
do_it "media unload by barcode" "$reel" media unload "$set" "$barcode"
[ "$(lies "$other" | cut -d ' ' -f 1)" = slot ]
ok "it is in a slot" $?

# moves
slot=$(free_slot two)
do_it "media move by name" "$reel" media move "$set" "$other" "$slot"
[ "$(lies "$other")" = "slot $slot" ]
ok "it lies there" $?
slot=$(free_slot two)
do_it "media move by barcode" "$reel" media move "$set" "$barcode" "$slot"
[ "$(lies "$other")" = "slot $slot" ]
ok "it lies there, too" $?
do_it "media move into the drive" "$reel" media move "$set" "$other" 100
[ "$(lies "$other")" = "drive $(unit two tape)" ]
ok "it is in the drive, and can be read" $?
slot=$(free_slot two)
do_it "media move out of the drive" "$reel" media move "$set" "$other" "$slot"
[ "$(lies "$other")" = "slot $slot" ]
ok "it is in its slot" $?
do_it "media move to the port" "$reel" media move "$set" "$other" 5
[ "$(lies "$other")" = "port 5" ]
ok "it is in the port" $?
do_it "media move to where it is" "$reel" media move "$set" "$other" 5
slot=$(free_slot two)
do_it "media move back" "$reel" media move "$set" "$other" "$slot"
full=$(list | sed -n "s/^slot \([0-9]*\) of .* $first .*/\1/p")
[ -n "$full" ] || {
	"$reel" media unload "$set" "$first" >/dev/null 2>&1
	full=$(list | sed -n "s/^slot \([0-9]*\) of .* $first .*/\1/p")
}
taken=$(list | grep "^slot .* of $(unit two changer)" |
	sed -n "s/^slot \([0-9]*\) .*TWO.*/\1/p" | grep -vx "$slot" | head -n 1)
refused 2 "holds a cartridge already" "a full slot is none to move to" \
	"$reel" media move "$set" "$other" "$taken"
refused 2 "has no element 4711" "no such slot" \
	"$reel" media move "$set" "$other" 4711
refused 2 "no changer of the set has" "no such cartridge" \
	"$reel" media move "$set" XYZ001L8 "$slot"
refused 2 "several changers\|no changer of the set" \
	"a number that both have" "$reel" media move "$set" 1000 "$slot"

# two drives at once, and a drive that is in use is not emptied
if [ -c /dev/fuse ]; then
	put_away
	do_it "mount" "$reel" mount "$set" "$mnt"
	diff -r "$work/src" "$mnt/snapshots/latest" >"$work/log" 2>&1
	ok "the mount loads from both" $?
	"$reel" umount "$mnt" >/dev/null 2>&1
fi

# one library is gone
put_away
bash "$rig/vtl.sh" stop "$work/one"
began=$SECONDS
[ "$("$reel" find "$set" --type f --medium "$other" 2>/dev/null)" = \
	"$("$reel" find "$set" --type f --medium "$barcode" 2>/dev/null)" ]
ok "find --medium takes a name or a barcode" $?
alone=$("$reel" find "$set" --type f --medium "$other" 2>"$work/log" |
	sed -n '${s/.*\///;p}')
"$reel" restore "$set" "$alone" --to "$work/alone" >"$work/log" 2>&1 </dev/null
[ -n "$alone" ] && cmp "$work/src/$alone" "$work/alone/$alone" >>"$work/log" 2>&1
ok "one library is gone: the other is read ($((SECONDS - began)) s)" $?
"$reel" restore "$set" --to "$work/none" >"$work/log" 2>&1 </dev/null
[ $? != 0 ]
ok "what is in it is missing" $?
library one $port ONE
restores "it is there again"
