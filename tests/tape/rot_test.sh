#!/bin/bash
# Bytes of a cartridge that are wrong though its drive reads them without
# complaint: what else tells of the same is used.
#
#     rot_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(dirname "$0")
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "rot: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
	fi
}

finish()
{
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

rot() # IMAGE index|end N
{
	python3 "$here/rot.py" "$@"
}

whole() # IMAGE...: as they were
{
	for i; do
		cp "$work/$i.whole" "$work/$i.tap"
	done
}

answers()
{
	"$reel" ls -lR "$1@1"
	"$reel" ls -lR "$1"
	"$reel" snapshots "$1" --json
}

# What an archive alone tells: all but times of change.
contents()
{
	rm -rf "$work/out"
	"$reel" restore "$1" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/src" "$work/out" >>"$work/log" 2>&1
}

trap finish EXIT
rm -rf "$work"
mkdir -p "$work" || exit 2
for c in zstd none; do
	rm -rf "$work"/*
	mkdir -p "$work/src/d"
	for i in $(seq 60); do
		head -c $((i * 701)) /dev/urandom >"$work/src/d/file$i"
	done
	head -c 900000 /dev/urandom >"$work/src/large"
	do_it "$c: init" "$reel" init "$work/set" --media "$work/a.tap" \
		--compress "$c" --volume-size 1M
	do_it "$c: backup" "$reel" backup "$work/set" -C "$work/src" .
	echo more >"$work/src/more"
	do_it "$c: another" "$reel" backup "$work/set" -C "$work/src" .
	do_it "$c: copy" "$reel" copy "$work/set" "$work/copy" \
		--media "$work/b.tap"
	answers "$work/set" >"$work/good" 2>/dev/null
	cp "$work/a.tap" "$work/a.whole"
	cp "$work/b.tap" "$work/b.whole"

	# an index, or the end that leads to it: in the first session, the last
	for what in "index 1" "index -1" "end 1" "end -2"; do
		[ "$c" = none ] || [ "${what% *}" = index ] || continue
		for order in "a b" "b a"; do
			first=${order% *}
			whole a b
			# shellcheck disable=SC2086
			do_it "$c: rot" rot "$work/$first.tap" $what
			rm -rf "$work/new"
			# shellcheck disable=SC2086
			do_it "$c: $what rotted: import of $order" "$reel" \
				import $(printf "$work/%s.tap " $order) \
				"$work/new"
			[ "$(grep -c "its index on cartridge .* is damaged" \
				"$work/log")" = 1 ]
			ok "$c: $what rotted: said once ($order)" $?
			! grep -q "reading its archive" "$work/log"
			ok "$c: $what rotted: not from the archive ($order)" $?
			answers "$work/new" >"$work/now" 2>/dev/null
			do_it "$c: $what rotted: $order: nothing is missing" \
				cmp "$work/good" "$work/now"
		done
		whole a b
		for i in a b; do
			# shellcheck disable=SC2086
			do_it "$c: rot" rot "$work/$i.tap" $what
		done
		for order in "a b" a; do
			rm -rf "$work/new"
			# shellcheck disable=SC2086
			do_it "$c: $what rotted everywhere: import of $order" \
				"$reel" import \
				$(printf "$work/%s.tap " $order) "$work/new"
			grep -q "reading its archive" "$work/log"
			ok "$c: $what rotted everywhere: archive ($order)" $?
			contents "$work/new"
			ok "$c: $what rotted everywhere: nothing is missing" $?
			do_it "$c: $what rotted everywhere: rebuild" "$reel" \
				catalog rebuild "$work/new"
			contents "$work/new"
			ok "$c: $what rotted everywhere: rebuilt" $?
		done
	done
done
