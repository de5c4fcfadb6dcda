#!/bin/bash
# A backup to tape, or a copy to it, that is killed at each call that changes a
# file of the set: whatever its catalogue shows right after that can be read,
# before any other program repairs anything; and the next backup succeeds.
#
#     cut_test.sh REEL CUT WORKDIR
#
# CUT is cut.so (tests/crash/cut.c).
set -u
reel=$1
cut=$2
work=$3
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "cut: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
		[ $failed -lt 20 ] || exit 1
	fi
}

finish()
{
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

quiet()
{
	"$@" >"$work/log" 2>&1 </dev/null
}

# As it was before what is cut.
again() # NAME
{
	rm -rf "$work/set" "$work/copy" "$work"/*.tap*
	cp -a "$work/kept.$1"/. "$work"
}

keep() # NAME
{
	mkdir "$work/kept.$1"
	cp -a "$work/set" "$work"/*.tap* "$work/kept.$1"
	[ ! -e "$work/copy" ] || cp -a "$work/copy" "$work/kept.$1"
}

# NAME SET COMMAND...: COMMAND writes to SET
each()
{
	local name=$1 set=$2 n calls before after
	shift 2
	again "$name"
	CUT_DIR=$set CUT_LOG=$work/calls LD_PRELOAD=$cut quiet "$@"
	ok "$name: as a whole" $?
	calls=$(cat "$work/calls")
	[ "$calls" -gt 20 ]
	ok "$name: $calls calls" $?
	for n in $(seq "$calls"); do
		again "$name"
		before=$("$reel" snapshots "$set" --json 2>/dev/null | wc -l)
		CUT_DIR=$set CUT_MODE=kill CUT_AT=$n LD_PRELOAD=$cut \
			quiet "$@" 2>/dev/null
		after=$("$reel" snapshots "$set" --json 2>/dev/null | wc -l)
		[ "$after" -ge "$before" ] && quiet "$reel" verify "$set"
		ok "$name: cut at $n: $after snapshots, verified at once" $?
		quiet "$reel" backup "$set" -C "$work/src" . &&
			quiet "$reel" verify "$set"
		ok "$name: cut at $n: the next backup" $?
	done
}

trap finish EXIT
rm -rf "$work"
mkdir -p "$work/src" || exit 2
for i in $(seq 5); do
	head -c $((i * 70000)) /dev/urandom >"$work/src/f$i"
done
quiet "$reel" init "$work/set" --media "$work/a.tap" --volume-size 1M
ok "init" $?
keep first
each first "$work/set" "$reel" backup "$work/set" -C "$work/src" .
again first
quiet "$reel" backup "$work/set" -C "$work/src" .
ok "backup" $?
echo more >"$work/src/more"
keep second
each second "$work/set" "$reel" backup "$work/set" -C "$work/src" .
again second
quiet "$reel" copy "$work/set" "$work/copy" --media "$work/b.tap"
ok "copy" $?
quiet "$reel" backup "$work/set" -C "$work/src" .
ok "backup of more" $?
keep copy
each copy "$work/copy" "$reel" copy "$work/set" "$work/copy"
