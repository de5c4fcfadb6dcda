#!/bin/bash
# Measures reel beside its peers in one run and prints medians and ratios.
#
#     bench.sh REEL WORKDIR [RUNS]
#
# WORKDIR is best on tmpfs with 12 GB free; RUNS (3) of each, what is compared
# in turn; what takes minutes (peers' backups, cp -a) is measured once. Peers
# that are not installed are left out. As root caches are dropped where a cold
# walk is measured; otherwise those numbers are of warm caches, and so marked.
# SMALL_ONLY=1: without the large files. HUGE=1: mounts 2,000,000 files, too.
# SLOW_PEERS=1: with archivemount, which takes minutes.
set -u
LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2
runs=${3:-3}
mkdir -p "$work"
work=$(realpath "$work")
cold=cold
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes RESTIC_PASSWORD=x \
	BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BUP_DIR=$work/bup \
	BORG_BASE_DIR=$work/borgbase XDG_CACHE_HOME=$work/cache

have()
{
	command -v "$1" >/dev/null 2>&1
}

drop()
{
	sync
	[ -w /proc/sys/vm/drop_caches ] && echo 3 >/proc/sys/vm/drop_caches ||
		cold=warm
}

# Runs a command; "seconds cpu-seconds peak-MB" on stdout.
measure()
{
	/usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" \
		>"$work/stdout" 2>"$work/stderr"
	awk 'END {printf "%.2f %.1f %.0f\n", $1, $2 + $3, $4 / 1024}' \
		"$work/time"
}

# Memory that nobody used lately is slow at first, where the machine is a guest
# that gives it back. So what is about to be filled is used once before.
warm() # TREE
{
	head -c "$(du -sb "$1" | cut -f 1)" /dev/zero >"$work/warm"
	rm -f "$work/warm"
}

median() # of lines "seconds cpu MB", by seconds
{
	sort -n | awk '{l[NR] = $0} END {print l[int((NR + 1) / 2)]}'
}

row() # TABLE-NAME WHAT SIZE < measurements
{
	local m
	m=$(median)
	printf '| %s | %s | %s |\n' "$2" "${m// / | }" "${3:-}"
	echo "${m%% *}" >"$work/result.$1"
}

size()
{
	du -sb --apparent-size "$@" | awk '{s += $1} END {printf "%.1f", s / 1e6}'
}

repeat() # COMMAND...: runs times
{
	local n
	for n in $(seq "$runs"); do
		"$@"
	done
}

ratio() # A B
{
	awk -v a="$(cat "$work/result.$1")" -v b="$(cat "$work/result.$2")" \
		'BEGIN {if (b > 0) printf "%.2f", a / b; else print "-"}'
}

# ---- backing up ----

one_tar()
{
	rm -f "$work/x.tar"
	warm "$1"
	measure tar -cf "$work/x.tar" --format=gnu -C "$1" .
}

one_reel() # TREE COMPRESSION
{
	rm -rf "$work/set"
	"$reel" init "$work/set" --compress "$2" >/dev/null
	warm "$1"
	measure "$reel" backup "$work/set" -C "$1" .
}

one_squash()
{
	rm -f "$work/x.sq"
	warm "$1"
	measure mksquashfs "$1" "$work/x.sq" -comp zstd \
		-Xcompression-level 3 -no-progress -quiet
}

# One set of figures for each pair, taken in turn.
backups() # NAME TREE
{
	local name=$1 tree=$2 n
	echo
	echo "### First backup: $name"
	echo
	echo "| tool | s | CPU s | peak MB | output MB |"
	echo "|---|---|---|---|---|"
	: >"$work/m.tar"; : >"$work/m.none"; : >"$work/m.zstd"; : >"$work/m.sq"
	find "$tree" -type f -exec cat {} + >/dev/null
	for n in $(seq "$runs"); do
		one_tar "$tree" >>"$work/m.tar"
		size "$work/x.tar" >"$work/s.tar"
		rm -f "$work/x.tar"
		one_reel "$tree" none >>"$work/m.none"
		size "$work/set/volumes" >"$work/s.none"
		if have mksquashfs; then
			one_squash "$tree" >>"$work/m.sq"
			size "$work/x.sq" >"$work/s.sq"
			rm -f "$work/x.sq"
		fi
		one_reel "$tree" zstd >>"$work/m.zstd"
		size "$work/set/volumes" >"$work/s.zstd"
	done
	row tar "tar -cf FILE" "$(cat "$work/s.tar")" <"$work/m.tar"
	row none "reel, no compression" "$(cat "$work/s.none")" <"$work/m.none"
	if have mksquashfs; then
		row sq "mksquashfs zstd 3" "$(cat "$work/s.sq")" <"$work/m.sq"
	fi
	row zstd "reel, zstd" "$(cat "$work/s.zstd")" <"$work/m.zstd"
	if have borg; then
		rm -rf "$work/borg"
		borg init -e none "$work/borg" 2>/dev/null
		measure borg create -C zstd,3 "$work/borg::1" "$tree" \
			>"$work/m"
		row borg "borg zstd 3" "$(size "$work/borg")" <"$work/m"
	fi
	if have restic; then
		rm -rf "$work/restic"
		restic init -q -r "$work/restic" >/dev/null
		measure restic backup -q -r "$work/restic" "$tree" >"$work/m"
		row restic "restic" "$(size "$work/restic")" <"$work/m"
	fi
	if have wimlib-imagex; then
		measure wimlib-imagex capture "$tree" "$work/x.wim" \
			--compress=XPRESS --unix-data >"$work/m"
		row wim "wimlib XPRESS" "$(size "$work/x.wim")" <"$work/m"
	fi
	if have bup; then
		rm -rf "$work/bup"
		bup init 2>/dev/null
		measure sh -c "bup index '$tree' && bup save -n x '$tree'" \
			>"$work/m"
		row bup "bup" "$(size "$work/bup")" <"$work/m"
	fi
	echo
	echo "reel without compression / tar: $(ratio none tar);" \
		"zstd / mksquashfs: $(ratio zstd sq)," \
		"size $(awk -v a="$(cat "$work/s.zstd")" \
			-v b="$(cat "$work/s.sq")" \
			'BEGIN {printf "%.3f", a / b}')"
}

again() # NAME TREE
{
	echo
	echo "### Second backup, nothing changed: $1"
	echo
	echo "| tool | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	repeat measure "$reel" backup "$work/set" -C "$2" . | row again "reel"
	repeat measure find "$2" -printf '%p %y %m %U %G %s %T@ %C@ %i %n %l\n' |
		row find "find -printf, all fields"
	have borg && measure borg create -C zstd,3 "$work/borg::2" "$2" |
		row borg2 "borg"
	have restic && measure restic backup -q -r "$work/restic" "$2" |
		row restic2 "restic"
	have wimlib-imagex && measure wimlib-imagex append "$2" "$work/x.wim" \
		--update-of=1 --unix-data | row wim2 "wimlib append --update-of"
	have bup && measure sh -c "bup index '$2' && bup save -n x '$2'" |
		row bup2 "bup"
	rm -rf "$work/borg" "$work/restic" "$work/x.wim" "$work/bup"
	echo
	echo "reel / find: $(ratio again find)"
}

# Ten thousand rules of every kind, none of which leaves anything out.
rules() # TREE
{
	echo
	echo "### Rules: an unchanged backup"
	echo
	echo "| what | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	awk 'BEGIN {for (n = 0; n < 2000; n++) printf "exclude *.x%d\n" \
		"exclude no%d-*\nexclude /home/u%d/**/*.tmp\n" \
		"exclude name%d\nexclude **/a%d/*b*\n", n, n, n, n, n}' \
		>"$work/rules"
	local n
	for n in $(seq "$runs"); do
		measure "$reel" backup "$work/set" -C "$1" . >>"$work/m.without"
		measure "$reel" backup "$work/set" -C "$1" . \
			--rules "$work/rules" >>"$work/m.with"
	done
	row without "no rules" <"$work/m.without"
	row with "10,000 rules" <"$work/m.with"
	rm -f "$work/m.with" "$work/m.without"
	echo
	echo "10,000 rules / none: $(ratio with without)"
}

restores() # TREE
{
	echo
	echo "### Restoring"
	echo
	echo "| tool | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	tar -cf "$work/x.tar" -C "$1" .
	local n
	for n in $(seq "$runs"); do
		rm -rf "$work/out"
		mkdir "$work/out"
		warm "$1"
		measure tar -xf "$work/x.tar" -C "$work/out" >>"$work/m.untar"
		rm -rf "$work/out"
		warm "$1"
		measure "$reel" restore "$work/set" --to "$work/out" \
			>>"$work/m.restore"
	done
	row untar "tar -x" <"$work/m.untar"
	row restore "reel restore, zstd" <"$work/m.restore"
	rm -rf "$work/out" "$work/x.tar" "$work/m.untar" "$work/m.restore"
	echo
	echo "reel / tar -x: $(ratio restore untar)"
}

. "$here/mounts.sh"
trap umount_all EXIT
rm -f "$work"/m.* "$work"/result.*
echo "reel $("$reel" --version | tail -n 1), $(uname -r), $(nproc) cores," \
	"$runs runs, medians; $(date -u +%F)"
[ -d "$work/many" ] || python3 "$here/corpus.py" many "$work/many"
backups "many small files" "$work/many"
again "many small files" "$work/many"
rules "$work/many"
mounts "$work/many"
restores "$work/many"
broad
if [ "${HUGE:-}" ]; then
	huge
fi
if [ "${SMALL_ONLY:-}" = "" ]; then
	rm -rf "$work/set"
	[ -d "$work/large" ] || python3 "$here/corpus.py" large "$work/large"
	backups "few large files" "$work/large"
	again "few large files" "$work/large"
	large_reads "$work/large" zstd
	restores "$work/large"
	one_reel "$work/large" none >/dev/null
	large_reads "$work/large" none
	rm -rf "$work/set"
fi
