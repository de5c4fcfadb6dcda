#!/bin/bash
# The plug is pulled at random moments of an append: the writer is killed, or
# the emulated drive. On images and over iSCSI, through a changer, one append
# after the other on the same cartridges. After each: no snapshot that was
# committed is lost, an unfinished tail is written over by the next append, and
# what the cartridges alone tell is what the catalogue says.
#
#     pulls_test.sh REEL WORKDIR [PULLS]
#
# PULLS that cut an append short, of each kind (50).
set -u
reel=$1
work=$2
pulls=${3:-50}
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
round=10 # pulls of one set
passed=0
failed=0
running=
cut=0 # backups that did not come to their end
whole=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "pulls: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
		[ $failed -lt 20 ] || exit 1
	fi
}

finish()
{
	trap - EXIT
	stop_library
	[ -n "${KEEP:-}" ] || rm -rf "$work"
	echo "$cut appends were cut short, $whole were not"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

# ---- the kinds: where the cartridges are ----

start_library()
{
	VTL_PORT=$port VTL_DRIVES=2 VTL_CARTS=6 VTL_SIZE_MB=12 VTL_LOAD=0 \
		bash "$rig/vtl.sh" start "$work/vtl" >"$work/library" 2>&1
	running=$work/vtl
	[ -s "$work/vtl/urls" ] || {
		echo "pulls: the emulated library does not start"
		cat "$work/library"
		failed=$((failed + 1))
		exit 1
	}
}

stop_library()
{
	[ -z "$running" ] || bash "$rig/vtl.sh" stop "$running" >/dev/null 2>&1
	running=
}

begin_image()
{
	local n list=

	for n in 1 2 3 4 5; do
		list=$list,$work/c$n.tap?capacity=12M
	done
	rm -f "$work"/c*.tap*
	"$reel" init "$work/set" --media "${list#,}" --compress "$1" \
		>"$work/log" 2>&1
}

begin_iscsi()
{
	stop_library
	rm -rf "$work/vtl"
	start_library || return
	"$reel" init "$work/set" --compress "$1" --media \
		"$(sed -n 's/^tape //p' "$work/vtl/urls" | paste -sd,)" \
		--changer "$(sed -n 's/^changer //p' "$work/vtl/urls")" \
		>"$work/log" 2>&1
}

import_image() # SET
{
	# shellcheck disable=SC2046
	"$reel" import $(find "$work" -maxdepth 1 -name 'c*.tap' -size +0 |
		shuf) "$1"
}

import_iscsi()
{
	# shellcheck disable=SC2046
	"$reel" import $(sed -n 's/^tape //p' "$work/vtl/urls") "$1" \
		--changer "$(sed -n 's/^changer //p' "$work/vtl/urls")"
}

# ---- an append ----

grow() # what is new in this append
{
	local n

	for n in $(seq 20); do
		head -c $((RANDOM + 1)) /dev/urandom \
			>"$work/src/d$((RANDOM % 4))/f$n"
	done
	head -c $((RANDOM * 50 + 1)) /dev/urandom >"$work/src/large"
	rm -f "$work/src/d$((RANDOM % 4))/f$((RANDOM % 20 + 1))"
}

backup()
{
	"$reel" backup "$work/set" -C "$work/src" .
}

sessions()
{
	"$reel" snapshots "$work/set" --json 2>/dev/null |
		sed -n 's/.*"session":\([0-9]*\).*/\1/p' | sort -n
}

tell() # SET N: what session N is
{
	"$reel" ls -lR "$1@$2" --json 2>&1 | md5sum
}

# From now on these may not change.
remember()
{
	local n

	for n in $(sessions); do
		[ -e "$work/known/$n" ] || tell "$work/set" "$n" \
			>"$work/known/$n"
	done
}

lost() # SET: prints sessions that it lacks or has otherwise
{
	local n

	for n in $(ls "$work/known"); do
		tell "$1" "$n" | cmp -s - "$work/known/$n" || echo "$n"
	done | xargs
}

# ---- a pull ----

measure() # ms that an append takes
{
	local began

	grow
	began=$(date +%s%N)
	backup >"$work/log" 2>&1 </dev/null
	ok "$1: an append that nothing disturbs" $?
	took=$((($(date +%s%N) - began) / 1000000))
	remember
}

pull() # WHAT: rc of the backup; what was said is in said
{
	local at=$((RANDOM * 32768 + RANDOM)) pid
	at=$((at % (took * 1000 + 1))) # us

	if [ "$1" = drive ]; then
		timeout -s KILL 120 "$reel" backup "$work/set" -C "$work/src" \
			. >"$work/said" 2>&1 </dev/null &
		pid=$!
		sleep $((at / 1000000)).$(printf %06d $((at % 1000000)))
		stop_library
		wait $pid
		rc=$?
		start_library
	else
		"$reel" backup "$work/set" -C "$work/src" . \
			>"$work/said" 2>&1 </dev/null &
		pid=$!
		sleep $((at / 1000000)).$(printf %06d $((at % 1000000)))
		kill -KILL $pid 2>/dev/null
		wait $pid 2>/dev/null
		rc=$?
	fi
	if [ $rc = 0 ]; then
		whole=$((whole + 1))
	else
		cut=$((cut + 1))
	fi
}

# What is wrong after a backup that ended with RC.
judge() # KIND RC BEFORE
{
	local kind=$1 rc=$2 before=$3 had

	case $rc in 0 | 2 | 4 | 124 | 137) ;; *) cat "$work/said" ;; esac
	"$reel" verify "$work/set" >"$work/log" 2>&1 </dev/null ||
		echo "verify (status $?): $(grep -v ': cartridge' "$work/log")"
	had=$(sessions | wc -l)
	[ "$rc" != 0 ] || [ "$had" -gt "$before" ] ||
		echo "a backup that succeeded is not there"
	backup >"$work/log" 2>&1 </dev/null || echo "the next append"
	[ "$(sessions | wc -l)" -gt "$had" ] ||
		echo "the next append is not there"
	[ ! -e "$work/set/spool/intent" ] || echo "an intent is left"
	[ -z "$(lost "$work/set")" ] || echo "lost: $(lost "$work/set")"
	remember
	"$reel" verify "$work/set" >"$work/log" 2>&1 </dev/null ||
		echo "verify again"
	rm -rf "$work/new"
	"import_$kind" "$work/new" >"$work/log" 2>&1 </dev/null
	case $? in 0 | 1) ;; *) echo "import" ;; esac
	[ "$("$reel" snapshots "$work/new" --json 2>&1 | md5sum)" = \
		"$("$reel" snapshots "$work/set" --json 2>&1 | md5sum)" ] ||
		echo "import has other snapshots"
	[ -z "$(lost "$work/new")" ] || echo "import lacks: $(lost "$work/new")"
}

restored()
{
	rm -rf "$work/out"
	"$reel" restore "$work/set" --to "$work/out" >"$work/log" 2>&1 \
		</dev/null && diff -r "$work/src" "$work/out" >"$work/log" 2>&1
}

fresh() # KIND N
{
	local how=none d

	[ $(($2 / round % 2)) = 0 ] || how=zstd
	chmod -R u+rwX "$work/set" 2>/dev/null
	rm -rf "$work/set" "$work/src" "$work/known" "$work/new" "$work/out"
	mkdir -p "$work/src" "$work/known"
	for d in 0 1 2 3; do
		mkdir "$work/src/d$d"
	done
	grow
	"begin_$1" $how
	ok "$1: a set ($how)" $?
	backup >"$work/log" 2>&1 </dev/null
	ok "$1: the first session" $?
	remember
	measure "$1"
}

series() # KIND
{
	local kind=$1 n what wrong until=$((cut + pulls))

	for n in $(seq 0 $((4 * pulls + 30))); do
		[ $cut -lt $until ] || break
		[ $((n % round)) != 0 ] || fresh "$kind" "$n"
		what=writer
		[ "$kind" = image ] || [ $((n % 2)) = 0 ] || what=drive
		grow
		before=$(sessions | wc -l)
		pull $what
		wrong=$(judge "$kind" $rc "$before")
		[ -z "$wrong" ]
		ok "$kind, pull $n of the $what (status $rc): $wrong" $?
		[ $((n % 5)) != 4 ] || {
			restored
			ok "$kind: restored after pull $n" $?
		}
	done
	[ $cut -ge $until ]
	ok "$kind: $pulls appends were cut short" $?
}

rm -rf "$work"
mkdir -p "$work" || exit 2
work=$(cd "$work" && pwd)
trap finish EXIT
series image
if "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 |
	grep -q "without libiscsi" || ! command -v tgtd >/dev/null; then
	echo "pulls: no libiscsi or tgt here: iSCSI is skipped"
	exit 0
fi
port=$((20000 + $$ % 9000))
series iscsi
