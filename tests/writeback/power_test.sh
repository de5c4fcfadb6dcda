#!/bin/bash
# The power fails at every write to the set that a mount makes: the set opens,
# all that was acknowledged is there, no snapshot changed, verify is clean and
# the spool has no orphans.
#
#     power_test.sh REEL CUT.SO WORKDIR [--long]
#
# A load (tests/posix/durable) and commits run in a mount whose calls, and what
# the load had acknowledged between them, are recorded (tests/crash/cut.c).
# For a sample of 20 cuts (two ways each), with --long of 2,000 calls (six ways
# each), spread evenly, the set is made as the disk may have it then (replay.py):
# all that was not synced is lost, or only bytes, or only names, or some at
# random. MOST=N takes N calls; LOAD=N loads with N operations, not for seconds,
# so that --long cuts at every one. ONLY='^both 17$' runs those cases.
set -u
reel=$(realpath "$1")
cut=$(realpath "$2")
mkdir -p "$3"
work=$(realpath "$3")
long=${4:-}
most=20
[ "$long" != --long ] || most=2000
most=${MOST:-$most}
load="-t 4"
[ -z "${LOAD:-}" ] || load="-n $LOAD"
family=power
. "$(dirname "$0")/current.sh"
durable=$(realpath "$(dirname "$reel")/../tests")/durable
replay=$here/../crash/replay.py
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0

recorded() # COMMAND...
{
	CUT_DIR=$set CUT_RECORD=$work/record CUT_SAYS=1 LD_PRELOAD=$cut "$@"
}

# The load goes on while two commits run.
record_load()
{
	local n bad=0
	mkdir "$now/load" && sync "$now/load"
	recorded "$durable" run -s "${SEED:-1}" $load "$now/load" \
		>"$work/acks" 2>"$work/log" &
	n=$!
	sleep 0.7
	"$reel" commit "$mnt" >"$work/commit" 2>&1 || bad=1
	sleep 0.7
	"$reel" commit "$mnt" >"$work/commit" 2>&1 || bad=1
	sleep 0.3
	# the load ends quietly when its mount goes
	kill -9 $(daemon)
	wait $n || bad=1
	umount -l "$now" "$mnt" 2>/dev/null
	ok "recorded: $(python3 -ES "$replay" "$work/record" - - count -) calls" \
		$bad || cat "$work/commit" "$work/log"
}

wrong() # TEXT
{
	bad=1
	echo "	$*"
	head -n 5 log 2>/dev/null | cut -c 1-200 | sed 's/^/		/'
}

# The state after a cut at call N, and what must hold.
one_cut() # VARIANT N
{
	bad=0
	rm -rf set out
	cp -a "$work/before" set
	python3 -ES "$replay" "$work/record" "$set" set "$2" "$1" >log 2>&1 ||
		wrong "replay.py"
	# the kernel tells FUSE filesystems nothing of syncfs (a)
	python3 -ES "$replay" "$work/record" - - said "$2" | grep -v ^a >acks
	# the machine was started anew
	[ ! -d set/spool/current ] || echo another >set/spool/current/boot
	"$reel" commit set >log 2>&1 || wrong "reel commit SET ends with $?"
	[ "$("$reel" ls -R --json set@1 | sha256sum)" = "$snapshot" ] ||
		wrong "snapshot 1 changed"
	"$reel" verify set >log 2>&1 || wrong "reel verify ends with $?"
	python3 -ES "$here/orphans.py" set >log 2>&1 || wrong "orphans"
	"$reel" restore set --to out >log 2>&1 || wrong "reel restore: $?"
	if grep -q . acks || [ -d out/load ]; then
		"$durable" check out/load <acks >log 2>&1 ||
			wrong "what was acknowledged is missing"
	fi
	[ $bad = 0 ] && echo "ok     cut $1 at $2" || echo "FAILED cut $1 at $2"
}

plan()
{
	python3 -ES "$replay" "$work/record" - - plan - >"$work/calls"
	awk -v all="$(wc -l <"$work/calls")" -v most="$most" '
		all <= most || int(NR * most / all) != int((NR - 1) * most / all)
	' "$work/calls" | awk -v long="$long" '
		{
			split("both data names 1 2 3", v, " ")
			for (n = 1; n <= 6; n++)
				if (long || n == 1 || n == 2 + NR % 5)
					print v[n], $1
		}' | grep -E "${ONLY:-}"
}

worker() # K JOBS
{
	local variant n
	mkdir -p "$work/w$1"
	cd "$work/w$1" || exit 2
	awk -v k="$1" -v j="$2" 'NR % j == k' "$work/plan" |
		while read -r variant n; do
			one_cut "$variant" "$n" 2>&1
			alive
		done
}

begin
"$reel" init "$set" --compress zstd >/dev/null
"$reel" backup "$set" -C "$here/.." set tree >"$work/log" 2>&1
snapshot=$("$reel" ls -R --json "$set@1" | sha256sum)
cp -a "$set" "$work/before"
recorded "$reel" mount "$set" "$mnt" >"$work/log" 2>&1 || {
	ok "mounting" 1
	say
	end
}
record_load
rm -rf "$set"
plan >"$work/plan"
[ -s "$work/plan" ]
n=$?
ok "$(wc -l <"$work/plan") cuts" $n || end
jobs=$(nproc)
for k in $(seq 0 $((jobs - 1))); do
	worker "$k" "$jobs" >"$work/results.$k" &
	pids="${pids:-} $!"
done
wait $pids
cat "$work"/results.*
good=$(cat "$work"/results.* | grep -c '^ok ')
passed=$((passed + good))
failed=$((failed + $(wc -l <"$work/plan") - good))
end
