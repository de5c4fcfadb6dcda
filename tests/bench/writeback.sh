#!/bin/bash
# Writing into current/, beside the plain directory and beside a FUSE
# pass-through of the same kernel; and what the commit costs.
#
#     writeback.sh REEL WORKDIR [RUNS]
#
# WORKDIR is best on the filesystem that spools lie on, with 8 GB free. RUNS
# (3) of each, one after the other in turns; medians. The pass-throughs are
# libfuse's examples passthrough_ll (it looks inodes up in a list) and
# passthrough_fh, built from where libfuse3-dev installs them.
# FILES (50000) in the tar, SIZE (1024) MiB in one large file, LIMIT (1800)
# seconds for all.
set -u
LC_ALL=C
# passthrough_ll keeps one open for each inode
ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
runs=${3:-3}
files=${FILES:-50000}
size=${SIZE:-1024}
examples=/usr/share/doc/libfuse3-dev/examples
watchdog=

clean_up()
{
	[ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
	umount -l "$work/mnt/current" "$work/mnt" "$work/pass" 2>/dev/null
	fusermount3 -uqz "$work/mnt/current" 2>/dev/null
	fusermount3 -uqz "$work/mnt" 2>/dev/null
	fusermount3 -uqz "$work/pass" 2>/dev/null
	rm -rf "$work/native" "$work/set" "$work/backup.set" "$work/mnt" \
		"$work/pass" "$work/peer" "$work/tree" "$work/tree.tar" \
		"$work/peak" "$work"/times.*
}

# Only this benchmark's own mounts are taken down, and it ends.
too_long()
{
	sleep "${LIMIT:-1800}" >/dev/null 2>&1
	echo "it takes too long"
	umount -lf "$work/mnt/current" "$work/mnt" "$work/pass" 2>/dev/null
	kill $$
}

now()
{
	date +%s.%N
}

# Runs a command, and adds its wall clock seconds to the list NAME.
timed() # NAME COMMAND...
{
	local name=$1 from
	shift
	from=$(now)
	"$@" >"$work/stdout" 2>"$work/stderr" || {
		echo "$name failed:"
		head -n 3 "$work/stderr"
		return 1
	}
	echo "$from $(now)" | awk '{printf "%.3f\n", $2 - $1}' \
		>>"$work/times.$name"
}

median() # NAME
{
	sort -n "$work/times.$1" 2>/dev/null |
		awk '{t[NR] = $0} END {
			if (!NR) print "nan"
			else print t[int((NR + 1) / 2)]}'
}

ratio() # A B
{
	awk -v a="$(median "$1")" -v b="$(median "$2")" \
		'BEGIN {printf "%.2f", a / b}'
}

daemon() # MOUNTPOINT: the process of reel that serves it
{
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$reel" ] &&
			tr '\0' '\n' <"$p/cmdline" | grep -qxF "$1" &&
			echo "${p##*/}"
	done
}

peak_of() # PID, MiB
{
	awk '/^VmHWM/ {printf "%d", $2 / 1024}' "/proc/$1/status"
}

# NAME of an example: $work/peer/NAME, where it builds.
build_peer()
{
	local f
	mkdir -p "$work/peer"
	for f in "$1.c" passthrough_helpers.h; do
		if [ -f "$examples/$f.gz" ]; then
			gzip -dc "$examples/$f.gz" >"$work/peer/$f"
		else
			cp "$examples/$f" "$work/peer/" 2>/dev/null
		fi
	done
	# shellcheck disable=SC2046
	cc -O2 -w -DHAVE_UTIMENSAT -o "$work/peer/$1" "$work/peer/$1.c" \
		$(pkg-config --cflags --libs fuse3) 2>"$work/stderr" || {
		echo "$1 is not built:"
		head -n 3 "$work/stderr"
	}
}

mount_peer() # NAME
{
	mkdir -p "$work/native/behind" "$work/pass"
	case $1 in
	passthrough_ll)
		"$work/peer/$1" -o source="$work/native/behind" "$work/pass"
		;;
	passthrough_fh)
		"$work/peer/$1" "$work/pass" \
			-o modules=subdir,subdir="$work/native/behind"
		;;
	esac 2>/dev/null
	mountpoint -q "$work/pass"
}

mount_reel()
{
	rm -rf "$work/set"
	"$reel" init "$work/set" --compress zstd >/dev/null &&
		"$reel" mount "$work/set" "$work/mnt" >/dev/null &&
		touch "$work/mnt/current/probe" &&
		rm "$work/mnt/current/probe" || {
		echo "current/ cannot be written"
		exit 2
	}
}

# As it is found in home directories: small files of many sizes, some alike.
make_tree()
{
	python3 - "$work/tree" "$files" <<'END'
import os, random, sys
top, count = sys.argv[1], int(sys.argv[2])
rng = random.Random(1)
words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
         for _ in range(4000)]
for n in range(count):
    if n % 50 == 0:
        d = f"{top}/d{n // 2500:03}/e{n // 50 % 50:02}"
        os.makedirs(d)
    size = min(int(rng.lognormvariate(7.2, 1.4)), 200000)
    text = b" ".join(rng.choices(words, k=size // 6 + 1))[:size]
    with open(f"{d}/f{n:05}", "wb") as f:
        f.write(text)
END
	tar -C "$work" -cf "$work/tree.tar" tree
	du -sk --apparent-size "$work/tree" | cut -f 1
}

large() # DIR
{
	dd if=/dev/zero of="$1/large" bs=1M count="$size" conv=notrunc
}

large_synced()
{
	dd if=/dev/zero of="$1/large" bs=1M count="$size" conv=notrunc,fsync
}

small()
{
	tar -xf "$work/tree.tar" -C "$1"
}

rewrite()
{
	dd if=/dev/zero of="$1/large" bs=4k count=20000 conv=notrunc
}

one_place() # NAME DIR
{
	timed "large.$1" large "$2"
	timed "rewrite.$1" rewrite "$2"
	rm -f "$2/large"
	timed "fsync.$1" large_synced "$2"
	rm -f "$2/large"
	timed "small.$1" small "$2"
	timed "remove.$1" rm -r "$2/tree"
	sync
}

one_commit()
{
	rm -rf "$work/backup.set"
	"$reel" init "$work/backup.set" --compress zstd >/dev/null
	mount_reel
	small "$work/mnt/current" || return
	sync
	timed commit "$reel" commit "$work/mnt"
	timed backup "$reel" backup "$work/backup.set" -C "$work" tree
	peak_of "$(daemon "$work/mnt")" >>"$work/peak"
	echo >>"$work/peak"
	timed umount "$reel" umount "$work/mnt"
}

# The quicker of the two pass-throughs is what is compared with.
row() # WHAT NAME
{
	local peer=passthrough_ll
	[ "$(printf '%s\n' "$(median "$2.passthrough_ll")" \
		"$(median "$2.passthrough_fh")" | sort -n | head -n 1)" = \
		"$(median "$2.passthrough_ll")" ] || peer=passthrough_fh
	printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$1" \
		"$(median "$2.native")" "$(median "$2.passthrough_ll")" \
		"$(median "$2.passthrough_fh")" "$(median "$2.reel")" \
		"$(ratio "$2.reel" "$2.native")" "$(ratio "$2.reel" "$2.$peer")"
}

trap clean_up EXIT
clean_up
mkdir -p "$work/native" "$work/mnt"
too_long &
watchdog=$!
build_peer passthrough_ll
build_peer passthrough_fh
echo "$(uname -r), $(nproc) processors, $(stat -f -c %T "$work")," \
	"$runs runs, $(make_tree) KiB in $files files"

for _ in $(seq "$runs"); do
	one_place native "$work/native"
	for peer in passthrough_ll passthrough_fh; do
		if mount_peer $peer; then
			one_place $peer "$work/pass"
			umount "$work/pass"
		else
			echo "no $peer to compare with"
		fi
	done
	mount_reel
	one_place reel "$work/mnt/current"
	peak_of "$(daemon "$work/mnt")" >>"$work/peak"
	echo >>"$work/peak"
	"$reel" umount --no-commit "$work/mnt" >/dev/null
	one_commit
done

echo
echo "Seconds (less is better); ratios are times: reel / the other"
echo
echo "| what | native | passthrough_ll | passthrough_fh | current/ |" \
	"/ native | / quicker pass-through |"
echo "|---|---|---|---|---|---|---|"
row "dd bs=1M, $size MiB" large
row "the same, with fsync" fsync
row "dd bs=4k, 80 MiB over it" rewrite
row "tar -x of $files files" small
row "rm -r of them" remove
echo
echo "commit $(median commit) s, reel backup of the same $(median backup) s:" \
	"$(ratio commit backup)"
echo "umount after it $(median umount) s"
echo "peak memory of the daemon: $(sort -n "$work/peak" | tail -n 1) MiB"
