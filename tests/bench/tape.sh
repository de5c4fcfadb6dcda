#!/bin/bash
# What a set on a tape image costs, beside dd and tar on the same filesystem;
# and over iSCSI (as root, with tgtd) beside what only writes the bytes there.
#
#     tape.sh REEL WORKDIR [MIB]
#
# Each figure is the best of three; `ratio` is a rate beside another, more is
# better, and `resident` the most memory that a backup of the large file had.
# LTFS's file backend, once measured on such a machine (no seeks either): 634
# MB/s written, 566 read, 470 small files a second, mounted in 0.03 s.
set -u
reel=$1
work=$2
mib=${3:-512}
ram=$(mktemp -d /dev/shm/reel-tape.XXXXXX) || exit 2
rig=$(cd "$(dirname "$0")/../rig" && pwd)
library=
finish()
{
	"$reel" umount "$work/mnt" >/dev/null 2>&1
	[ -z "$library" ] || bash "$rig/vtl.sh" stop "$library"
	rm -rf "$ram" "$work"
}
trap finish EXIT
rm -rf "$work"
mkdir -p "$work/mnt" "$ram/large" "$ram/small" "$ram/many" || exit 2

now()
{
	date +%s.%N
}

best() # PREPARE COMMAND: seconds of COMMAND, the best of three
{
	local i begin end all=

	for i in 1 2 3; do
		eval "$1" >/dev/null 2>&1
		sync
		begin=$(now)
		eval "$2" >"$work/log" 2>&1 || {
			cat "$work/log" >&2
			exit 1
		}
		end=$(now)
		all="$all $(echo "$end - $begin" | bc)"
	done
	echo "$all" | tr ' ' '\n' | sed '/^$/d' | sort -n | head -n 1
}

say() # NAME SECONDS AMOUNT UNIT; keeps SECONDS in `took`
{
	[ -n "$2" ] || exit 1 # best() has said why
	took=$2
	printf '%-44s %7.3f s  %8.1f %s\n' "$1" "$2" \
		"$(echo "$3 / $2" | bc -l)" "$4"
}

ratio() # NAME SECONDS OTHER-SECONDS
{
	printf '%-44s %7s    %8.2f ratio\n' "$1" "" "$(echo "$3 / $2" | bc -l)"
}

by_cp() # NAME DRIVE: the set's many files; keeps tar's seconds in `tar`
{
	local copied

	say "${1}10,000 files: tar -x, streaming" "$(best "rm -rf $ram/out
		mkdir $ram/out; $reel tape seek $2 --file 1
		echo 1 >/proc/sys/vm/drop_caches" \
		"$reel tape read -q $2 | tar -b 512 -xif - -C $ram/out")" \
		10000 files/s
	tar=$took
	say "${1}10,000 files: cp -r from the mount" "$(best "rm -rf $ram/out
		$reel umount $work/mnt; $reel mount $work/set $work/mnt
		echo 1 >/proc/sys/vm/drop_caches" \
		"cp -r $work/mnt/snapshots/latest/many $ram/out")" 10000 files/s
	ratio "  cp -r beside tar -x" "$took" "$tar"
	copied=$took
	say "${1}the same again, out of the kernel's cache" "$(best \
		"rm -rf $ram/out" \
		"cp -r $work/mnt/snapshots/latest/many $ram/out")" 10000 files/s
	ratio "  cp -r out of the cache beside tar -x" "$took" "$tar"
	ratio "  cp -r beside cp -r out of the cache" "$copied" "$took"
	"$reel" umount "$work/mnt" >/dev/null 2>&1
	[ -d "$work/plain" ] || cp -r "$ram/many" "$work/plain"
	say "${1}the same files out of a plain directory" "$(best \
		"rm -rf $ram/out; cp -r $work/plain $ram/read; rm -rf $ram/read" \
		"cp -r $work/plain $ram/out")" 10000 files/s
	ratio "  cp -r beside cp -r out of that" "$copied" "$took"
}

scattered() # DRIVE: as many small files, and a large one behind each directory
{
	local d all

	mkdir "$ram/scattered"
	for d in $(seq 100); do
		cp -r "$ram/many/$d" "$ram/scattered/$((1000 + d))"
		mkdir "$ram/scattered/$((1000 + d))l"
		head -c 4M /dev/urandom >"$ram/scattered/$((1000 + d))l/file"
	done
	eval "$new" >/dev/null 2>&1
	"$reel" backup "$work/set" -C "$ram" scattered >/dev/null 2>&1
	say "the same, scattered over 500 MB: tar -x of all" "$(best \
		"rm -rf $ram/out; mkdir $ram/out; $reel tape seek $1 --file 1
		echo 1 >/proc/sys/vm/drop_caches" \
		"$reel tape read -q $1 | tar -b 512 -xif - -C $ram/out")" \
		10000 files/s
	all=$took
	say "the same, scattered: cp -r of the small files" "$(best \
		"rm -rf $ram/out; mkdir $ram/out
		$reel umount $work/mnt; $reel mount $work/set $work/mnt
		echo 1 >/proc/sys/vm/drop_caches" \
		"cp -r $work/mnt/snapshots/latest/scattered/???? $ram/out")" \
		10000 files/s
	ratio "  cp -r beside tar -x" "$took" "$all"
	"$reel" umount "$work/mnt" >/dev/null 2>&1
	rm -rf "$ram/scattered"
	eval "$new" >/dev/null 2>&1
	"$reel" backup "$work/set" -C "$ram" many >/dev/null 2>&1
}

head -c $((mib << 20)) /dev/urandom >"$ram/large/file"
for i in $(seq 2000); do
	head -c 3000 /dev/urandom >"$ram/small/$i"
done
for d in $(seq 100); do
	mkdir "$ram/many/$d"
	for f in $(seq 100); do
		head -c $((RANDOM % 20000)) /dev/urandom >"$ram/many/$d/$f"
	done
done
new="rm -rf $work/set $work/*.tap* $work/raw
	$reel init $work/set --media $work/t.tap"

say "dd bs=256k" "$(best "rm -f $work/raw" \
	"dd if=$ram/large/file of=$work/raw bs=256k conv=fdatasync")" "$mib" MiB/s
dd=$took
say "tar -b 512" "$(best "rm -f $work/raw" \
	"tar -b 512 -cf $work/raw -C $ram large && sync $work/raw")" "$mib" MiB/s
tar=$took
say "backup, a large file" "$(best "$new" \
	"$reel backup $work/set -C $ram large")" "$mib" MiB/s
ratio "  beside dd" "$took" "$dd"
ratio "  beside tar" "$took" "$tar"
eval "$new" >/dev/null 2>&1
/usr/bin/time -f %M -o "$work/rss" "$reel" backup "$work/set" -C "$ram" large \
	>/dev/null 2>&1
printf '%-44s %7s    %8.1f MiB resident\n' "  memory, of which 8 MiB are the ring" "" \
	"$(echo "$(cat "$work/rss") / 1024" | bc -l)"
say "mount" "$(best "$reel umount $work/mnt" \
	"$reel mount $work/set $work/mnt && ls $work/mnt/snapshots/latest")" 1 /s
say "read it through the mount" "$(best "$reel umount $work/mnt
	$reel mount $work/set $work/mnt; echo 1 >/proc/sys/vm/drop_caches" \
	"cat $work/mnt/snapshots/latest/large/file >/dev/null")" "$mib" MiB/s
"$reel" umount "$work/mnt" >/dev/null 2>&1
say "restore it" "$(best "rm -rf $ram/out" \
	"$reel restore $work/set --to $ram/out")" "$mib" MiB/s
restore=$took
say "tar -x of its tape file" "$(best "rm -rf $ram/out; mkdir $ram/out
	$reel tape seek $work/t.tap --file 1" \
	"$reel tape read -q $work/t.tap | tar -b 512 -xif - -C $ram/out")" \
	"$mib" MiB/s
ratio "  restore beside tar -x" "$restore" "$took"
rm -rf "$ram/out"
say "backup, 2,000 files of 3,000 bytes" "$(best "$new" \
	"$reel backup $work/set -C $ram small")" 2000 files/s
say "read them through the mount" "$(best "$reel umount $work/mnt
	$reel mount $work/set $work/mnt; echo 1 >/proc/sys/vm/drop_caches" \
	"cat $work/mnt/snapshots/latest/small/* >/dev/null")" 2000 files/s
"$reel" umount "$work/mnt" >/dev/null 2>&1
eval "$new" >/dev/null 2>&1
"$reel" backup "$work/set" -C "$ram" many >/dev/null 2>&1
by_cp "" "$work/t.tap"
scattered "$work/t.tap"
say "10,000 files: restore" "$(best "rm -rf $ram/out" \
	"$reel restore $work/set --to $ram/out")" 10000 files/s
ratio "  restore beside tar -x" "$took" "$tar"
rm -rf "$ram/out"

# ---- over iSCSI ----

if ! command -v tgtd >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "no tgtd, or not as root: nothing over iSCSI"
	exit 0
fi
fresh() # blank cartridges
{
	local turn

	for turn in 1 2 3; do
		[ -z "$library" ] || bash "$rig/vtl.sh" stop "$library"
		rm -rf "$work/vtl" "$work/set"
		library=$work/vtl
		VTL_PORT=$((20000 + $$ % 9000)) VTL_CTL=$((100 + $$ % 9000)) \
			VTL_SIZE_MB=$((4 * mib)) VTL_DRIVES=1 VTL_CARTS=1 \
			bash "$rig/vtl.sh" start "$work/vtl" && break
		sleep "$turn"
	done
	drive=$(sed -n 's/^tape //p' "$work/vtl/urls")
}
fresh >/dev/null 2>&1
begin="fresh; $reel init $work/set --media \$drive"
say "iSCSI: the bytes alone, blocks of 256K" "$(best fresh \
	"$reel tape write -q -b 256K \$drive <$ram/large/file")" "$mib" MiB/s
raw=$took
say "iSCSI: tar -b 512" "$(best fresh "tar -b 512 -cf - -C $ram large |
	$reel tape write -q -b 256K \$drive")" "$mib" MiB/s
tar=$took
say "iSCSI: backup, a large file" "$(best "$begin" \
	"$reel backup $work/set -C $ram large")" "$mib" MiB/s
ratio "  beside the bytes alone" "$took" "$raw"
ratio "  beside tar" "$took" "$tar"
drive=$(sed -n 's/^tape //p' "$work/vtl/urls")
say "iSCSI: tar -x of its tape file" "$(best "rm -rf $ram/out; mkdir $ram/out
	$reel tape seek $drive --file 1" \
	"$reel tape read -q $drive | tar -b 512 -xif - -C $ram/out")" "$mib" MiB/s
tar=$took
say "iSCSI: restore" "$(best "rm -rf $ram/out" \
	"$reel restore $work/set --to $ram/out")" "$mib" MiB/s
ratio "  beside tar -x" "$took" "$tar"
eval "$begin" >/dev/null 2>&1
"$reel" backup "$work/set" -C "$ram" many >/dev/null 2>&1
by_cp "iSCSI: " "$drive"
