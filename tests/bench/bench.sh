#!/bin/bash
# Measures reel beside its peers in one run and prints medians and ratios.
#
#     bench.sh REEL WORKDIR [RUNS]
#
# WORKDIR is best on tmpfs with 12 GB free; RUNS (3) pairs of each. Peers that
# are not installed are left out. As root caches are dropped where a cold walk
# is measured; otherwise those numbers are of warm caches, and so marked.
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
		'BEGIN {printf "%.2f", a / b}'
}

# ---- backing up ----

one_tar()
{
	rm -f "$work/x.tar"
	measure tar -cf "$work/x.tar" --format=gnu -C "$1" .
}

one_reel() # TREE COMPRESSION
{
	rm -rf "$work/set"
	"$reel" init "$work/set" --compress "$2" >/dev/null
	measure "$reel" backup "$work/set" -C "$1" .
}

one_squash()
{
	rm -f "$work/x.sq"
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

# ---- mounts ----

umount_all()
{
	"$reel" umount "$work/mnt" 2>/dev/null
	umount "$work/mnt" "$work/mnt2" "$work/mnt3" 2>/dev/null
	fusermount3 -uqz "$work/mnt2" 2>/dev/null
}

walks() # WHAT DIR
{
	local n
	for n in $(seq "$runs"); do
		drop
		measure find "$2/" -printf '%s %m %T@\n'
	done | row "find.$1" "find, $cold: $1"
	repeat measure find "$2/" -printf '%s %m %T@\n' |
		row "find2.$1" "find, again: $1"
	drop
	measure rsync -an "$2/" "$work/empty/" | row "rsync.$1" "rsync -an: $1"
	drop
	measure "$work/readlist" "$work/list" "$2" |
		row "rand.$1" "10,000 random files: $1"
	measure "$work/readlist" "$work/list" "$2" |
		row "rand2.$1" "the same again: $1"
	for n in $(seq "$runs"); do
		drop
		measure sh -c "tar -C '$2' -cf - . | cat >/dev/null"
	done | row "tar.$1" "tar of all: $1"
	drop
	rm -rf "$work/copy"
	measure cp -a "$2/." "$work/copy" | row "cp.$1" "cp -a of all: $1"
	rm -rf "$work/copy"
}

mounts() # TREE
{
	echo
	echo "### Mounts of the many small files"
	echo
	echo "| what | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	mkdir -p "$work/mnt" "$work/mnt2" "$work/mnt3" "$work/empty"
	(cd "$1" && find . -type f | LC_ALL=C sort |
		shuf --random-source=<(yes) | head -n 10000) >"$work/list"
	cc -O2 -o "$work/readlist" "$here/readlist.c" || exit 2
	mksquashfs "$1" "$work/x.sq" -comp zstd -Xcompression-level 3 \
		-no-progress -quiet >/dev/null
	drop
	measure sh -c "'$reel' mount '$work/set' '$work/mnt' &&
		ls '$work/mnt/snapshots/latest' >/dev/null" |
		row first "reel: mount to first ls"
	grep VmRSS /proc/"$(pgrep -nf "reel mount $work/set")"/status |
		awk '{printf "| reel: resident after mounting | | | %.0f | |\n", $2 / 1024}'
	walks reel "$work/mnt/snapshots/latest"
	grep VmHWM /proc/"$(pgrep -nf "reel mount $work/set")"/status |
		awk '{printf "| reel: most resident | | | %.0f | |\n", $2 / 1024}'
	"$reel" umount "$work/mnt"
	if have squashfuse_ll; then
		squashfuse_ll "$work/x.sq" "$work/mnt2"
		walks squashfuse "$work/mnt2"
		umount_all
	fi
	if mount -t squashfs -o loop,ro "$work/x.sq" "$work/mnt3" 2>/dev/null
	then
		walks "kernel squashfs" "$work/mnt3"
		umount "$work/mnt3"
	fi
	rm -f "$work/x.sq"
	echo
	have squashfuse_ll && echo "reel / squashfuse: find" \
		"$(ratio find.reel find.squashfuse), rsync -an" \
		"$(ratio rsync.reel rsync.squashfuse), random files" \
		"$(ratio rand.reel rand.squashfuse), again" \
		"$(ratio rand2.reel rand2.squashfuse), tar" \
		"$(ratio tar.reel tar.squashfuse), cp -a" \
		"$(ratio cp.reel cp.squashfuse)"
	[ -f "$work/result.tar.kernel squashfs" ] && echo &&
		echo "reel / kernel squashfs: tar" \
			"$(ratio tar.reel "tar.kernel squashfs")"
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
		measure tar -xf "$work/x.tar" -C "$work/out" >>"$work/m.untar"
		rm -rf "$work/out"
		measure "$reel" restore "$work/set" --to "$work/out" \
			>>"$work/m.restore"
	done
	row untar "tar -x" <"$work/m.untar"
	row restore "reel restore, zstd" <"$work/m.restore"
	rm -rf "$work/out" "$work/x.tar" "$work/m.untar" "$work/m.restore"
	echo
	echo "reel / tar -x: $(ratio restore untar)"
}

large_reads() # TREE
{
	local f n
	echo
	echo "### Reading large files through the mount"
	echo
	echo "| what | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	mkdir -p "$work/mnt" "$work/mnt2"
	mksquashfs "$1" "$work/x.sq" -comp zstd -Xcompression-level 3 \
		-no-progress -quiet >/dev/null
	"$reel" mount "$work/set" "$work/mnt"
	have squashfuse_ll && squashfuse_ll "$work/x.sq" "$work/mnt2"
	for f in file00 file01; do
		for n in $(seq "$runs"); do
			drop
			measure cat "$work/mnt/snapshots/latest/$f"
		done | row "cat.reel.$f" "reel, $f"
		measure cat "$work/mnt/snapshots/latest/$f" |
			row "cat2.reel.$f" "reel, $f again"
		have squashfuse_ll || continue
		for n in $(seq "$runs"); do
			drop
			measure cat "$work/mnt2/$f"
		done | row "cat.sq.$f" "squashfuse, $f"
	done
	umount_all
	rm -f "$work/x.sq"
}

trap umount_all EXIT
echo "reel $("$reel" --version | tail -n 1), $(uname -r), $(nproc) cores," \
	"$runs runs, medians; $(date -u +%F)"
[ -d "$work/many" ] || python3 "$here/corpus.py" many "$work/many"
backups "many small files" "$work/many"
again "many small files" "$work/many"
rules "$work/many"
mounts "$work/many"
restores "$work/many"
if [ "${SMALL_ONLY:-}" = "" ]; then
	rm -rf "$work/set"
	[ -d "$work/large" ] || python3 "$here/corpus.py" large "$work/large"
	backups "few large files" "$work/large"
	again "few large files" "$work/large"
	large_reads "$work/large"
	restores "$work/large"
fi
