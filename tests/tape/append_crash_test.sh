#!/bin/bash
# Backups to tape that are cut short: a drive that fails at its Nth command in
# every way that it knows (tape/drive_fault.c), the cartridge's end at every
# block, programs killed. After each: the sessions before are whole, the next
# backup succeeds, and what the cartridges alone tell is the same.
#
#     append_crash_test.sh REEL WORKDIR [--long]
set -u
reel=$1
work=$2
long=${3:-}
passed=0
failed=0
run=$work/run
stride=9
[ "$long" != --long ] || stride=1
turn=0
buffer=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "append: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 6
		[ $failed -lt 30 ] || exit 1
	fi
}

finish()
{
	[ -n "${KEEP:-}" ] || rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

drives() # A [B]: what the set's drives are
{
	sed -i -e '/^drive = /d' "$run/set/set.conf"
	printf 'drive = %s\n' "$1" "${2:-$run/b.tap}" >>"$run/set/set.conf"
}

again() # a set with one session, and two more cartridges
{
	chmod -R u+rwX "$run" 2>/dev/null
	rm -rf "$run"
	cp -a "$work/base" "$run"
}

base() # COMPRESSION
{
	rm -rf "$run" "$work/base" "$work/one" "$work/two"
	mkdir -p "$run" "$work/one/d"
	head -c 300000 /dev/urandom >"$work/one/large"
	for i in 1 2 3 4 5 6 7 8; do
		head -c $((i * 700)) /dev/urandom >"$work/one/d/f$i"
	done
	cp -a "$work/one" "$work/two"
	head -c 700000 /dev/urandom >"$work/two/new"
	cp "$work/two/d/f3" "$work/two/d/copy"
	rm "$work/two/d/f5"
	seq 20000 >"$work/two/d/f6"
	"$reel" init "$run/set" --media "$run/a.tap,$run/b.tap" \
		--block-size 64K --compress "$1" >"$work/log" 2>&1 &&
		"$reel" backup "$run/set" -C "$work/one" . \
			>"$work/log" 2>&1
	ok "$1: a first session" $?
	"$reel" ls -lR "$run/set@1" --json >"$work/first" 2>&1
	cp -a "$run" "$work/base"
}

snapshots()
{
	"$reel" snapshots "$1" --json 2>/dev/null | wc -l
}

restored() # SNAPSHOT TREE
{
	rm -rf "$work/out"
	"$reel" restore "$run/set@$1" --to "$work/out" >"$work/log" 2>&1 &&
		diff -r "$work/out" "$2" >"$work/log" 2>&1
}

answers() # SET
{
	"$reel" ls -lR "$1@1" --json
	"$reel" ls -lR "$1" --json
	"$reel" snapshots "$1" --json
}

imported()
{
	"$reel" import "$run/b.tap" "$run/a.tap" "$run/new" >"$work/log" 2>&1
	case $? in 0 | 1) ;; *) return 1 ;; esac
	answers "$run/set" >"$work/x" 2>&1
	answers "$run/new" >"$work/y" 2>&1
	diff "$work/x" "$work/y" >"$work/log" 2>&1
}

# After a backup that ended with status RC: prints what is wrong, if anything.
judge() # RC
{
	local rc=$1 had

	drives "$run/a.tap"
	case $rc in
	0 | 137) ;;
	2 | 4) grep -q "no snapshot was made\|is written, but" "$work/log" ||
		echo "it does not say what became of the backup" ;;
	*) echo "status $rc" ;;
	esac
	! grep -q "^reel: .*AddressSan\|runtime error" "$work/log" ||
		echo "sanitizer"
	"$reel" verify "$run/set" >"$work/log" 2>&1 || echo "verify"
	had=$(snapshots "$run/set")
	[ "$rc" != 0 ] || [ "$had" -ge 2 ] ||
		echo "a backup that succeeded is not there"
	"$reel" ls -lR "$run/set@1" --json 2>&1 | cmp -s - "$work/first" ||
		echo "the first session is another"
	"$reel" backup "$run/set" -C "$work/two" . >"$work/log" 2>&1 ||
		echo "the next backup"
	[ "$(snapshots "$run/set")" -ge $((had + 1)) ] ||
		echo "the next backup is not there"
	"$reel" verify "$run/set" >"$work/log" 2>&1 || echo "verify again"
	[ ! -e "$run/set/spool/intent" ] || echo "an intent is left"
	turn=$((turn + 1))
	[ $((turn % 5)) = 0 ] || return
	restored 1 "$work/one" || echo "restore of the first"
	restored latest "$work/two" || echo "restore of the newest"
	imported || echo "import"
}

try() # NAME DRIVE-A [DRIVE-B]
{
	local wrong

	again
	drives "$2" "${3:-}"
	rc=$(
		"$reel" backup "$run/set" -C "$work/two" . $buffer \
			>"$work/log" 2>&1
		echo $?
	) 2>/dev/null
	cp "$work/log" "$work/said"
	[ -z "${SAID:-}" ] || {
		echo "== $1: $rc"
		cat "$work/said"
	} >>"$SAID"
	wrong=$(judge $rc)
	[ -z "$wrong" ]
	ok "$1: $wrong [$(tail -n 1 "$work/said")]" $?
}

# Commands of kind OP until a backup is through; `total`.
count() # OP DRIVE-A RULES DEVICE
{
	for total in $(seq 400); do
		again
		case $2 in
		a) drives "fault:$3$1@$total=error:$4" ;;
		b) drives "$run/a.tap?capacity=700K&early=100K" \
			"fault:$3$1@$total=error:$4" ;;
		esac
		"$reel" backup "$run/set" -C "$work/two" . \
			>"$work/log" 2>&1 && return
	done
	false
}

# ---- every way to fail, at every command ----

every() # NAME WHICH RULES DEVICE KINDS...: on drive WHICH
{
	local name=$1 which=$2 rules=$3 device=$4 kind n
	shift 4
	count any "$which" "$rules" "$device"
	ok "$name: a backup has $total commands" $?
	for kind in "$@"; do
		for n in $(seq $((1 + RANDOM % stride)) $stride $total); do
			case $which in
			a) try "$name, $kind at $n" \
				"fault:${rules}any@$n=$kind:$device" ;;
			b) try "$name, $kind at $n" \
				"$run/a.tap?capacity=700K&early=100K" \
				"fault:${rules}any@$n=$kind:$device" ;;
			esac
		done
	done
}

mkdir -p "$work" || exit 2
trap finish EXIT
for compression in none zstd; do
	base $compression
	every $compression a "" "$run/a.tap" \
		error late reset gone cut kill damaged short
	every "$compression, small buffer" a "buffer=150K," "$run/a.tap" \
		error late reset gone cut kill
	every "$compression, on the second cartridge" b "" "$run/b.tap" \
		error late reset gone cut kill

	# ---- the cartridge's end at every block ----

	count write a "" "$run/a.tap"
	for kind in early eom; do
		for n in $(seq $total); do
			try "$compression, $kind at block $n" \
				"fault:write@$n=$kind:$run/a.tap"
			[ $rc = 0 ]
			ok "$compression, $kind at block $n: goes on" $?
		done
	done
	for n in $(seq 1 4 $((total + 8))); do
		for early in 0 70K 200K; do
			try "$compression, room for $n blocks" \
				"$run/a.tap?capacity=$((400 + n * 64))K&early=$early"
			[ $rc = 0 ]
			ok "$compression, $n blocks, $early: goes on" $?
		done
	done
done

# ---- more than the ring holds ----

# What the drive took and lost is no more in memory then: the backup fails, or
# goes on; it never succeeds with a hole.
base none
head -c 14000000 /dev/urandom >"$work/two/huge"
buffer="--buffer 4M"
for early in 0 100K 2M; do
	try "$early early, small ring" "$run/a.tap?capacity=7M&early=$early"
	[ $rc = 0 ]
	ok "$early early, small ring: goes on" $?
done
for size in 200K 3M 20M; do
	for n in $(seq 40 $((10 * stride)) 200); do
		try "eom at block $n, the drive's buffer $size" \
			"fault:buffer=$size,write@$n=eom:$run/a.tap"
		try "late error at block $n, buffer $size" \
			"fault:buffer=$size,write@$n=late:$run/a.tap"
	done
done
