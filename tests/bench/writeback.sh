#!/bin/bash
# Writing into current/, beside the plain directory and beside a FUSE
# pass-through of the same kernel; and what the commit costs.
#
#     writeback.sh REEL WORKDIR [RUNS]
#
# WORKDIR is best on the filesystem that spools lie on, with 8 GB free. RUNS
# (3) of each, one after the other in turns; medians. The pass-through is
# libfuse's example passthrough_ll, built from where libfuse3-dev installs it.
# FILES (50000) in the tar, SIZE (1024) MiB in one large file, LIMIT (1800)
# seconds for all.
set -u
LC_ALL=C
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
runs=${3:-3}
files=${FILES:-50000}
size=${SIZE:-1024}
examples=/usr/share/doc/libfuse3-dev/examples
peer=
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

build_peer()
{
	local source=$examples/passthrough_ll.c
	mkdir -p "$work/peer"
	if [ -f "$source.gz" ]; then
		gzip -dc "$source.gz" >"$work/peer/passthrough_ll.c"
	elif [ -f "$source" ]; then
		cp "$source" "$work/peer/"
	else
		return
	fi
	for source in "$examples"/passthrough_helpers.h*; do
		case $source in
		*.gz) gzip -dc "$source" >"$work/peer/passthrough_helpers.h" ;;
		*) cp "$source" "$work/peer/" ;;
		esac
	done
	# shellcheck disable=SC2046
	cc -O2 -w -o "$work/peer/pass" "$work/peer/passthrough_ll.c" \
		$(pkg-config --cflags --libs fuse3) 2>"$work/stderr" ||
		{
			head -n 3 "$work/stderr"
			return
		}
	peer=$work/peer/pass
}

mount_peer()
{
	[ -n "$peer" ] || return 1
	mkdir -p "$work/native/behind" "$work/pass"
	"$peer" -o source="$work/native/behind" "$work/pass" 2>/dev/null
	mountpoint -q "$work/pass"
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
	rm -rf "$work/set" "$work/backup.set"
	"$reel" init "$work/set" --compress zstd >/dev/null
	"$reel" init "$work/backup.set" --compress zstd >/dev/null
	"$reel" mount "$work/set" "$work/mnt" >/dev/null
	small "$work/mnt/current"
	sync
	timed commit "$reel" commit "$work/mnt"
	timed backup "$reel" backup "$work/backup.set" -C "$work" tree
	peak_of "$(daemon "$work/mnt")" >>"$work/peak"
	echo >>"$work/peak"
	timed umount "$reel" umount "$work/mnt"
}

row() # WHAT NAME
{
	local beside="-"
	[ ! -s "$work/times.$2.pass" ] || beside=$(ratio "$2.reel" "$2.pass")
	printf '| %s | %s | %s | %s | %s | %s |\n' "$1" \
		"$(median "$2.native")" "$(median "$2.pass")" \
		"$(median "$2.reel")" "$(ratio "$2.reel" "$2.native")" "$beside"
}

trap clean_up EXIT
clean_up
mkdir -p "$work/native" "$work/mnt"
too_long &
watchdog=$!
build_peer
echo "$(uname -r), $(nproc) processors, $(stat -f -c %T "$work")," \
	"$runs runs, $(make_tree) KiB in $files files"

for _ in $(seq "$runs"); do
	one_place native "$work/native"
	if mount_peer; then
		one_place pass "$work/pass"
		umount "$work/pass"
	else
		echo "no pass-through to compare with"
	fi
	rm -rf "$work/set"
	"$reel" init "$work/set" --compress zstd >/dev/null
	"$reel" mount "$work/set" "$work/mnt" >/dev/null
	one_place reel "$work/mnt/current"
	peak_of "$(daemon "$work/mnt")" >>"$work/peak"
	echo >>"$work/peak"
	"$reel" umount --no-commit "$work/mnt" >/dev/null
	one_commit
done

echo
echo "Seconds (less is better); ratios are times: reel / the other"
echo
echo "| what | native | pass-through | current/ | / native | / pass |"
echo "|---|---|---|---|---|---|"
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
