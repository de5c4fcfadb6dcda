#!/bin/bash
# Targets that this machine's kernel may not mount: vfat, ext4 with casefold,
# quotas of xfs and ext4. The tests of restoring run in a machine with Debian's
# kernel, this one's files below it, and there nothing may be skipped.
#
#     kernel_test.sh REEL FOLDFS WORKDIR
#
# Needs root and what tests/rig/nst-vm.sh needs.
set -u
LC_ALL=C
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
foldfs=$(realpath "$2")
work=$3
passed=0
failed=0

[ "$(id -u)" = 0 ] || {
	echo "skipped: a virtual machine (not root)"
	echo "0 passed, 0 failed"
	exit 0
}
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
modules=()
for name in loop vfat nls_cp437 nls_ascii nls_utf8 ext4 xfs btrfs quota_v2; do
	modules+=(--module $name)
done
# The work lies on a filesystem with all that the tests want to see.
"$here/../rig/nst-vm.sh" "${modules[@]}" --mem 2500 --timeout 3400 -- "
	truncate -s 3G /tmp/disk && mkfs.ext4 -q /tmp/disk &&
		mkdir /tmp/w && mount -o loop /tmp/disk /tmp/w || exit 3
	bash $here/two_names_one_file_test.sh $reel $foldfs /tmp/w/two
	bash $here/restore_test.sh $reel /tmp/w/restore" >"$work/log" 2>&1
rc=$?
grep -a -e FAILED -e skipped -A 8 "$work/log"
for n in $(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$work/log"); do
	passed=$((passed + n))
done
for n in $(sed -n 's/.* passed, \([0-9]*\) failed$/\1/p' "$work/log"); do
	failed=$((failed + n))
done
[ "$(grep -c ' passed, ' "$work/log")" = 2 ] || {
	echo "the machine did not come to the end ($rc)"
	tail -n 20 "$work/log"
	failed=$((failed + 1))
}
skipped=$(grep -ac 'skipped:' "$work/log")
failed=$((failed + skipped))
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
