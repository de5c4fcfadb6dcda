#!/bin/bash
# Installs what is missing, builds, and runs all tests.
#
#     tests/run.sh [--long]
#
# As root or as an ordinary user; what needs root is skipped then. --long
# tries more cuts, kills and flips. Logs are kept in build-tests/logs.
set -u
cd "$(dirname "$0")/.." || exit 2
export LC_ALL=C.UTF-8
long=${1:-}
build=$PWD/build-tests
logs=$build/logs

install_packages()
{
	local names missing= name kinds='build|test'
	[ "$long" != --long ] || kinds="$kinds|long"
	names=$(sed -nE "s/^($kinds)[ \t]+([^ \t]+).*/\2/p" tools/packages)
	for name in $names; do
		dpkg-query -W -f '${Status}' "$name" 2>/dev/null |
			grep -q '^install ok installed' || missing="$missing $name"
	done
	[ -n "$missing" ] || return 0
	echo "installing:$missing"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		as_root=sudo
	else
		echo "these packages are missing:$missing; install them as root"
		exit 2
	fi
	# shellcheck disable=SC2086
	$as_root apt-get update -q &&
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install \
			-qy --no-install-recommends $missing >/dev/null || {
		echo "apt-get could not install$missing"
		exit 2
	}
}

build_one() # NAME OPTIONS...
{
	local name=$1
	shift
	echo "building $name"
	cmake -S . -B "$build/$name" "$@" >"$logs/build-$name" 2>&1 &&
		cmake --build "$build/$name" -j "$(nproc)" \
			>>"$logs/build-$name" 2>&1 || {
		tail -n 30 "$logs/build-$name"
		echo "the build failed"
		exit 2
	}
}

step() # NAME SECONDS COMMAND...
{
	local name=$1 limit=$2 begin=$SECONDS rc
	shift 2
	timeout -k 20 "$limit" "$@" >"$logs/$name" 2>&1 </dev/null
	rc=$?
	! grep -qE '^[0-9]+ passed, [1-9]' "$logs/$name" || [ $rc != 0 ] || rc=1
	if [ $rc = 0 ]; then
		echo "$name" >>"$work/passed"
		echo "ok    $name ($((SECONDS - begin)) s)" \
			"$(grep -E '^[0-9]+ passed' "$logs/$name" | tail -n 1)"
	else
		echo "$name" >>"$work/failed"
		printf 'FAIL  %s (exit status %d)\n%s\n' "$name" "$rc" \
			"$(tail -n 40 "$logs/$name" | cut -c 1-300)"
	fi
}

install_packages
mkdir -p "$logs"
# on memory where there is some: the disk is not what is tried
work=$(mktemp -d /dev/shm/reel-tests.XXXXXX 2>/dev/null ||
	mktemp -d "${TMPDIR:-/tmp}/reel-tests.XXXXXX")
trap 'chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT
if [ "$(df -Pk "$work" | awk 'NR == 2 {print $4}')" -lt 1500000 ]; then
	rm -rf "$work"
	work=$(mktemp -d "${TMPDIR:-/tmp}/reel-tests.XXXXXX")
fi
chmod 755 "$work" # other users are tried, too

build_one release -DCMAKE_BUILD_TYPE=Release
build_one asan -DCMAKE_BUILD_TYPE=Debug -DREEL_SANITIZE=address,undefined
build_one tsan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DREEL_SANITIZE=thread
build_one collide -DCMAKE_BUILD_TYPE=Release -DREEL_WEAK_DIGEST=ON \
	-DBUILD_TESTING=OFF
reel=$build/release/tools/reel
asan=$build/asan/tools/reel
cut=$build/release/tests/cut.so
flips=30
kills=5
races=5000
rounds=40
pulls=3
[ "$long" != --long ] || {
	flips=1000
	kills=200
	races=100000
	rounds=600
	pulls=50
}
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

sets_and_mounts()
{
	step layers 60 sh tests/layers.sh
	step format 60 sh tests/format.sh
	step unit 300 "$build/asan/tests/unit"
	step unit-threads 300 "$build/tsan/tests/unit"
	for replay in "$build"/asan/tests/replay_*; do
		[ -x "$replay" ] || continue
		name=${replay##*/replay_}
		step "fuzz-$name" 120 "$replay" "tests/fuzz/corpus/$name"
	done
	step set 600 bash tests/set/set_test.sh "$reel" "$work/set"
	step set-asan 900 bash tests/set/set_test.sh "$asan" "$work/set"
	step random 400 bash tests/set/random_test.sh "$reel" \
		"$work/random" 1 15
	step deep 200 python3 tests/set/deep.py "$reel" "$work/deep"
	step changing 300 bash tests/set/changing_test.sh "$reel" \
		"$build/release/tests/meanwhile.so" "$work/changing"
	step instance 300 bash tests/instance/instance_test.sh "$reel" \
		"$build/collide/tools/reel" "$work/instance"
	step mount 400 bash tests/mount/mount_test.sh "$reel" "$work/mount"
	step mount-asan 400 bash tests/mount/mount_test.sh "$asan" "$work/mount"
	step posix 200 bash tests/posix/posix_test.sh "$build/release/tests" \
		"$work/posix"
	step writeback-posix 9000 bash tests/writeback/posix_test.sh "$reel" \
		"$work/wb-posix" $long
	step writeback 900 bash tests/writeback/writeback_test.sh "$reel" \
		"$work/writeback" $long
	step writeback-commit 300 bash tests/writeback/commit_test.sh "$asan" \
		"$work/writeback-commit"
	step writeback-spool 300 bash tests/writeback/spool_test.sh "$asan" \
		"$work/wb-spool"
	step writeback-threads 300 env PARTS=stressed bash \
		tests/writeback/posix_test.sh "$build/tsan/tools/reel" \
		"$work/wb-threads"
	step writeback-trouble 300 bash tests/writeback/trouble_test.sh \
		"$reel" "$work/wb-trouble"
	step writeback-crash 9000 bash tests/writeback/crash_test.sh "$asan" \
		"$work/wb-crash" "$kills"
	step writeback-power 20000 bash tests/writeback/power_test.sh "$reel" \
		"$cut" "$work/wb-power" $long
	[ "$long" != --long ] || LOAD=20 step writeback-power-every 20000 \
		bash tests/writeback/power_test.sh "$reel" "$cut" \
			"$work/wb-every" $long
	step backup-threads 300 bash tests/set/threads_test.sh \
		"$build/tsan/tools/reel" "$work/threads"
	step trouble 300 bash tests/crash/trouble_test.sh "$reel" \
		"$work/trouble"
	step damage 9000 env FLIPS=$flips bash tests/damage/damage_test.sh \
		"$asan" "$work/damage"
	step try 600 env TMPDIR="$work" sh tools/try.sh tests
}

restores_and_tapes()
{
	step rules 300 bash tests/rules/rules_test.sh "$asan" "$work/rules"
	step restore-rules 300 python3 tests/restore/table.py "$asan" \
		"$work/restore-rules"
	step restore 400 bash tests/restore/restore_test.sh "$reel" \
		"$work/restore"
	step restore-harms 200 bash tests/restore/harms_test.sh "$reel" \
		"$work/restore-harms"
	step restore-two-names 200 bash \
		tests/restore/two_names_one_file_test.sh "$reel" \
		"$build/release/tests/foldfs" "$work/restore-two-names"
	step restore-ntfs 200 bash tests/restore/ntfs_test.sh "$reel" \
		"$build/release/tests/delay" "$work/restore-ntfs"
	step restore-race 400 "$build/release/tests/race" \
		"$build/release/tests/racer" "$work/race" $races
	step restore-hostile 1600 python3 tests/restore/hostile.py "$reel" \
		"$build/release/tests/racer" "$work/hostile" $races
	step restore-view 300 bash tests/restore/view_test.sh "$asan" \
		"$work/restore-view"
	step restore-view-table 300 python3 tests/restore/view_table.py \
		"$asan" "$work/view-table"
	step restore-view-random 900 python3 tests/restore/view_random.py \
		"$asan" "$work/view-random" $rounds
	step restore-view-posix 300 bash tests/restore/view_posix_test.sh \
		"$reel" "$work/view-posix"
	step restore-view-harms 300 bash tests/restore/view_harms_test.sh \
		"$asan" "$work/restore-view-harms"
	step restore-view-trouble 1600 bash tests/restore/view_trouble_test.sh \
		"$reel" "$build/release/tests/racer" "$work/view-trouble" \
			$races $kills
	step tape 700 bash tests/tape/tape_test.sh "$reel" "$work/tape" $long
	step tape-asan 300 bash tests/tape/tape_test.sh "$asan" \
		"$work/tape-asan"
	step tape-commit 300 bash tests/tape/commit_test.sh "$asan" \
		"$work/tape-commit"
	step tape-misuse 100 bash tests/tape/misuse_test.sh "$asan" \
		"$work/tape-misuse"
	step tape-set 3000 bash tests/tape/set_test.sh "$reel" \
		"$work/tape-set" $long
	step tape-media 150 bash tests/tape/media_test.sh "$reel" \
		"$work/tape-media"
	step tape-copies 150 bash tests/tape/copies_test.sh "$asan" \
		"$work/tape-copies"
	step tape-rot 200 bash tests/tape/rot_test.sh "$asan" "$work/tape-rot"
	step tape-damage 200 bash tests/tape/damage_test.sh "$asan" \
		"$work/tape-damage"
	step tape-cut 600 bash tests/tape/cut_test.sh "$reel" "$cut" \
		"$work/tape-cut"
	step tape-share 300 bash tests/tape/share_test.sh "$reel" \
		"$work/tape-share"
	step tape-changers 200 bash tests/tape/changers_test.sh "$reel" \
		"$work/tape-changers"
	step tape-parts 600 bash tests/tape/parts_test.sh "$asan" \
		"$work/tape-parts" $long
	step tape-append 600 bash tests/tape/append_crash_test.sh "$reel" \
		"$work/tape-append" $long
	step tape-pulls 3600 bash tests/tape/pulls_test.sh "$reel" \
		"$work/tape-pulls" $pulls
	step tape-cartridge 300 bash tests/tape/cartridge_test.sh "$asan" \
		"$work/tape-cartridge"
	step tape-set-asan 300 env PARTS="image several" bash \
		tests/tape/set_test.sh "$asan" "$work/tape-set-asan"
	step delayed 300 bash tests/delayed/delayed_test.sh "$asan" \
		"$build/asan/tests/delay" "$work/delayed" "$build/release"
	step delayed-crash 3000 bash tests/delayed/crash_test.sh "$reel" \
		"$build/release/tests/delay" "$cut" "$work/delayed-crash" $long
	step foreign 300 bash tests/foreign/foreign_test.sh "$asan" \
		"$work/foreign"
	step copy 300 bash tests/copy/copy_test.sh "$asan" "$work/copy"
	step crash 3000 bash tests/crash/crash_test.sh "$reel" "$cut" \
		"$work/crash" $long
	[ "$long" != --long ] || {
		step delayed-boot 9000 bash tests/delayed/vm_test.sh "$reel" \
			"$build/release/tests/delay" "$work/delayed-boot" 50
		step delayed-system 5000 bash tests/delayed/system_test.sh \
			"$build/release" "$work/delayed-system" 5
		step restore-kernel 3600 bash tests/restore/kernel_test.sh \
			"$reel" "$build/release/tests/foldfs" \
			"$work/restore-kernel"
	}
}

# two at a time: most wait more than they compute
sets_and_mounts &
restores_and_tapes &
wait
passed=$(cat "$work/passed" 2>/dev/null | wc -l)
failed=$(cat "$work/failed" 2>/dev/null | wc -l)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
