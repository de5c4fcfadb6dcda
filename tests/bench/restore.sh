#!/bin/bash
# What a restore costs, beside tar, rsync and the peers that are installed.
#
#     restore.sh REEL WORKDIR [TREE [RUNS]]
#
# TREE (/usr/share) is a real tree; WORKDIR is best on tmpfs with room for six
# of it. RUNS (3) of each in turn, medians; what is compared with is in the last
# column. As root duplicates are restored onto XFS and btrfs, too: the space
# used, and how much of it is shared extents.
set -u
LC_ALL=C
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
tree=$(realpath "${3:-/usr/share}")
runs=${4:-3}
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes RESTIC_PASSWORD=x \
	BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR=$work/borgbase \
	XDG_CACHE_HOME=$work/cache

have()
{
	command -v "$1" >/dev/null 2>&1
}

at_end()
{
	"$reel" umount "$work/mnt" 2>/dev/null
	mountpoint -q "$work/fs" && umount "$work/fs"
	rm -rf "$work/new" "$work/same" "$work/fs.img"
}
trap at_end EXIT

# One run of a COMMAND that restores into $work/new; seconds to NAME.
once() # NAME COMMAND
{
	rm -rf "$work/new"
	mkdir -p "$work/new"
	sync
	/usr/bin/time -o "$work/time" -f '%e %U %S %M' bash -c "cd '$work/new' &&
		$2" >"$work/log" 2>&1 || {
		echo "$1 failed:" >&2
		head -n 3 "$work/log" >&2
	}
	tail -n 1 "$work/time" >>"$work/m.$1"
}

median() # NAME: its line
{
	sort -n "$work/m.$1" | awk '{l[NR] = $0} END {print l[int((NR + 1) / 2)]}'
}

# Each of the commands in turn, RUNS times; then a table with ratios to the
# first.
compare() # TITLE NAME COMMAND [NAME COMMAND]...
{
	local title=$1 n i first=
	shift
	for n in $(seq "$runs"); do
		i=1
		while [ $i -lt $# ]; do
			once "${!i}" "${@:i+1:1}"
			i=$((i + 2))
		done
	done
	printf '\n| %s | s | cpu s | MB | reel / it |\n|--|--|--|--|--|\n' \
		"$title"
	while [ $# -gt 0 ]; do
		[ -n "$first" ] || first=$(median "$1")
		median "$1" | awk -v n="$1" -v f="${first%% *}" '{
			printf "| %s | %.2f | %.2f | %.0f | %.2f |\n", n, $1,
				$2 + $3, $4 / 1024, ($1 > 0 ? f / $1 : 0)}'
		rm -f "$work/m.$1"
		shift 2
	done
}

# ---- what is restored from ----

rm -rf "$work/set" "$work/set0" "$work/borg" "$work/restic" "$work/x.tar"* \
	"$work"/m.* "$work/new" "$work/same"
"$reel" init "$work/set" >/dev/null &&
	"$reel" backup "$work/set" -C "$tree" . >/dev/null || exit 2
"$reel" init "$work/set0" --compress none >/dev/null &&
	"$reel" backup "$work/set0" -C "$tree" . >/dev/null || exit 2
tar -C "$tree" -cf "$work/x.tar" .
zstd -q -3 -T0 "$work/x.tar" -o "$work/x.tar.zst"
whole=(reel "'$reel' restore '$work/set' --to ."
	"reel, uncompressed" "'$reel' restore '$work/set0' --to ."
	"tar -x" "tar -xf '$work/x.tar'"
	"tar -x of zstd" "tar --zstd -xf '$work/x.tar.zst'"
	"cp -a" "cp -a '$tree/.' .")
if have borg && borg init -e none "$work/borg" >/dev/null 2>&1; then
	(cd "$tree" && borg create -C zstd,3 "$work/borg::a" .) >/dev/null 2>&1
	whole+=("borg extract" "borg extract '$work/borg::a'")
fi
if have restic && restic -r "$work/restic" init >/dev/null 2>&1; then
	(cd "$tree" && restic -r "$work/restic" backup .) >/dev/null 2>&1
	whole+=("restic restore"
		"restic -r '$work/restic' restore latest --target .")
fi
echo "tree: $tree, $(find "$tree" | wc -l) names," \
	"$(($(du -sb --apparent-size "$tree" | cut -f 1) / 1000000)) MB," \
	"$(df --output=fstype "$work" | tail -n 1)"

compare "whole, into an empty directory" "${whole[@]}"

mkdir -p "$work/same" "$work/mnt"
"$reel" restore "$work/set" --to "$work/same" >/dev/null
compare "over an equal tree" \
	reel "'$reel' restore '$work/set' --to '$work/same'" \
	"rsync -aHAX of a plain tree" "rsync -aHAX '$tree/' '$work/same/'" \
	"rsync -a of a plain tree" "rsync -a '$tree/' '$work/same/'"

if "$reel" mount "$work/set" "$work/mnt" 2>/dev/null; then
	from=$work/mnt/snapshots/latest
	compare "out of the mount" \
		"rsync -a from the mount" "rsync -a '$from/' ." \
		"rsync -a of a plain tree" "rsync -a '$tree/' ." \
		"cp -a from the mount" "cp -a '$from/.' ." \
		"reel restore" "'$reel' restore '$work/set' --to ."
	"$reel" umount "$work/mnt"
fi
rm -rf "$work/same" "$work/borg" "$work/restic"

# Into the view of a target.
mkdir -p "$work/view"
if "$reel" mount "$work/set" "$work/mnt" -o restore="$work/view" 2>/dev/null
then
	into=$work/mnt/restore
	clean="find '$work/view' -mindepth 1 -delete"
	compare "into MNT/restore" \
		"rsync -a into it" "$clean; rsync -a '$tree/' '$into/'" \
		"rsync -a onto a plain directory" \
		"$clean; rsync -a '$tree/' '$work/view/'" \
		"cp -a into it" "$clean; cp -a '$tree/.' '$into/'" \
		"cp -a onto a plain directory" \
		"$clean; cp -a '$tree/.' '$work/view/'"
	"$reel" umount "$work/mnt"
fi
rm -rf "$work/view"

# ---- duplicates ----

used() # kB of the filesystem
{
	sync "$work/fs"
	df -k --output=used "$work/fs" | tail -n 1
}

shared() # MB in shared extents
{
	find "$work/fs" -type f -size +0 -exec filefrag -v {} + 2>/dev/null |
		awk '/shared/ {gsub(/[.:]/, " "); kb += $6 * 4}
			END {printf "%.0f", kb / 1024}'
}

on() # FILESYSTEM NAME COMMAND
{
	local before
	truncate -s 4G "$work/fs.img"
	mkfs."$1" -q -f "$work/fs.img" >/dev/null 2>&1 &&
		mkdir -p "$work/fs" &&
		mount -o loop "$work/fs.img" "$work/fs" 2>/dev/null || {
		echo "$1: cannot be mounted"
		return 1
	}
	before=$(used)
	mkdir "$work/fs/t"
	/usr/bin/time -o "$work/time" -f %e bash -c "cd '$work/fs/t' && $3 &&
		sync -f ." >"$work/log" 2>&1
	printf '| %s, %s | %.2f | %.0f | %s |\n' "$1" "$2" \
		"$(tail -n 1 "$work/time")" \
		$((($(used) - before) / 1024)) "$(shared)"
	umount "$work/fs"
	rm -f "$work/fs.img"
}

[ "$(id -u)" = 0 ] && have filefrag || exit 0
mkdir -p "$work/twice/a" "$work/twice/b"
for n in $(seq 2000); do
	head -c $((8192 + n * 37 % 60000)) /dev/urandom >"$work/twice/a/$n"
done
for n in 1 2 3 4; do
	head -c 64M /dev/urandom >"$work/twice/a/large$n"
done
cp -a "$work/twice/a/." "$work/twice/b/"
"$reel" init "$work/twiceset" >/dev/null &&
	"$reel" backup "$work/twiceset" -C "$work/twice" . >/dev/null || exit 2
tar -C "$work/twice" -cf "$work/x.tar" .
printf '\n| half duplicates, %s MB | s | MB used | MB shared |\n|--|--|--|--|\n' \
	$(($(du -sb "$work/twice" | cut -f 1) / 1048576))
for fs in xfs btrfs; do
	have mkfs.$fs || continue
	on $fs "reel restore" "'$reel' restore '$work/twiceset' --to ." &&
		on $fs "tar -x" "tar -xf '$work/x.tar'"
done
rm -rf "$work/twice" "$work/twiceset" "$work/x.tar"*
