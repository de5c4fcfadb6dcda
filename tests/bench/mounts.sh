# The part of bench.sh that measures mounts; sourced by it. What is compared
# is mounted at once and measured in turn, caches dropped before each.

user() # COMMAND...: as an ordinary user
{
	if [ "$(id -u)" = 0 ] && have setpriv; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

umount_all()
{
	local m
	"$reel" umount "$work/mnt" 2>/dev/null
	for m in "$work"/mnt?*; do
		mountpoint -q "$m" 2>/dev/null || continue
		umount "$m" 2>/dev/null || fusermount3 -u "$m"
	done
}

# The process that answers a mount of WORKDIR, by its command.
daemon()
{
	pgrep -nf "^[^ ]*$1"
}

resident() # FIELD TEXT
{
	grep "$1" "/proc/$(daemon "$(basename "$reel") mount.* $work/mnt")/status" |
		awk -v t="$2" '{printf "| %s | | | %.0f | |\n", t, $2 / 1024}'
}

where() # WHAT: its tree
{
	case $1 in
	reel) echo "$work/mnt/snapshots/latest" ;;
	squashfuse) echo "$work/mnt2" ;;
	"kernel squashfs") echo "$work/mnt3" ;;
	archivemount) echo "$work/mnt4" ;;
	erofsfuse) echo "$work/mnt5" ;;
	esac
}

# Measures a COMMAND on each of $mounted, where @ is the tree: TIMES, caches
# dropped before; and, when there is a name for that, once again.
each() # TIMES NAME TITLE COMMAND [AGAIN-NAME]
{
	local n what command
	for n in $(seq "$1"); do
		while read -r what; do
			command=${4//@/$(where "$what")}
			drop
			measure bash -c "$command" >>"$work/m.$2.$what"
			[ $# = 4 ] || measure bash -c "$command" \
				>>"$work/m.$5.$what"
		done <<<"$mounted"
	done
	each_rows "$2" "$3"
	[ $# = 4 ] || each_rows "$5" "$3, again"
}

each_rows() # NAME TITLE
{
	local what
	while read -r what; do
		row "$1.$what" "$2: $what" <"$work/m.$1.$what"
		rm -f "$work/m.$1.$what"
	done <<<"$mounted"
}

ratios() # WHAT NAME TEXT NAME TEXT ...
{
	local what=$1 sep=" " line="reel / $1:"
	shift
	while [ $# -gt 0 ]; do
		if [ -f "$work/result.$1.$what" ]; then
			line+="$sep$2 $(ratio "$1.reel" "$1.$what")"
			sep=", "
		fi
		shift 2
	done
	echo
	echo "$line"
}

# A mount that is slow is given up after a while.
slow_peer() # WHAT COMMAND...
{
	local what=$1
	shift
	"$@" >/dev/null 2>&1 || return
	drop
	measure timeout 300 find "$(where "$what")/" -printf '%s %m %T@\n' |
		row "find.$what" "find, $cold: $what"
	drop
	measure timeout 300 "$work/readlist" "$work/list" "$(where "$what")" |
		row "rand.$what" "10,000 random files: $what"
	umount "$(where "$what")" 2>/dev/null
}

mount_head()
{
	echo
	echo "### $1"
	echo
	echo "| what | s | CPU s | peak MB | |"
	echo "|---|---|---|---|---|"
	mkdir -p "$work/mnt" "$work/mnt2" "$work/mnt3" "$work/mnt4" \
		"$work/mnt5" "$work/empty"
	rm -f "$work"/result.*
}

# Mounts a set and its peers: $mounted says what there is, a line each.
mount_peers() # TREE
{
	local others=
	[ "$(id -u)" = 0 ] && others=allow_other
	mounted=reel
	have mksquashfs && mksquashfs "$1" "$work/x.sq" -comp zstd \
		-Xcompression-level 3 -no-progress -quiet >/dev/null
	drop
	measure sh -c "'$reel' mount '$work/set' '$work/mnt' \
		${others:+-o $others} &&
		ls '$work/mnt/snapshots/latest' >/dev/null" |
		row first "reel: mount to first ls"
	resident VmRSS "reel: resident after mounting"
	have squashfuse_ll && squashfuse_ll ${others:+-o $others} \
		"$work/x.sq" "$work/mnt2" && mounted+=$'\nsquashfuse'
	mount -t squashfs -o loop,ro "$work/x.sq" "$work/mnt3" 2>/dev/null &&
		mounted+=$'\nkernel squashfs'
}

finds()
{
	each "$runs" find "find, $cold" "find @/ -printf '%s %m %T@\\n'" find2
}

as_user() # what both sides read as somebody who is not the owner
{
	local all=$mounted
	mkdir -p "$work/home"
	chmod 777 "$work/home"
	export -f user have
	mounted=$(grep -v '^squashfuse' <<<"$all")
	each 1 usertar "tar of all, ordinary user" \
		"user tar -C @ -cf - . | cat >/dev/null"
	mounted=$(grep -v '^kernel' <<<"$all")
	each 1 usercp "cp -a of all, ordinary user" \
		"rm -rf $work/home/x; user cp -a @/. $work/home/x"
	rm -rf "$work/home"
	mounted=$all
}

mounts() # TREE
{
	local all
	mount_head "Mounts of the many small files"
	(cd "$1" && find . -type f | LC_ALL=C sort |
		shuf --random-source=<(yes) | head -n 10000) >"$work/list"
	cc -O2 -o "$work/readlist" "$here/readlist.c" || exit 2
	mount_peers "$1"
	finds
	each "$runs" rsync "rsync -an" "rsync -an @/ $work/empty/"
	each "$runs" rand "10,000 random files" \
		"$work/readlist $work/list @" rand2
	all=$mounted
	mounted=$(grep -v '^squashfuse' <<<"$all")
	each "$runs" tar "tar of all" "tar -C @ -cf - . | cat >/dev/null"
	mounted=$(grep '^squashfuse' <<<"$all") && each 1 tar "tar of all" \
		"tar -C @ -cf - . | cat >/dev/null"
	mounted=$all
	each 1 cp "cp -a of all" "rm -rf $work/copy; cp -a @/. $work/copy"
	rm -rf "$work/copy"
	[ "$(id -u)" = 0 ] && as_user
	resident VmHWM "reel: most resident"
	umount_all
	if have archivemount && [ "${SLOW_PEERS:-}" ]; then
		tar -cf "$work/x.tar" -C "$1" .
		slow_peer archivemount archivemount "$work/x.tar" "$work/mnt4"
		rm -f "$work/x.tar"
	fi
	if have erofsfuse; then
		mkfs.erofs "$work/x.erofs" "$1" >/dev/null 2>&1
		slow_peer erofsfuse erofsfuse "$work/x.erofs" "$work/mnt5"
		rm -f "$work/x.erofs"
	fi
	rm -f "$work/x.sq"
	ratios squashfuse find "find" find2 "again" rsync "rsync -an" \
		rand "random files" rand2 "again" tar "tar" cp "cp -a" \
		usercp "cp -a as a user"
	ratios "kernel squashfs" find "find" tar "tar" usertar "tar as a user"
}

# Directories of a hundred.
broad()
{
	[ -d "$work/broad" ] || python3 "$here/corpus.py" broad "$work/broad"
	rm -rf "$work/set"
	"$reel" init "$work/set" >/dev/null
	"$reel" backup "$work/set" -C "$work/broad" . >/dev/null
	mount_head "Mounts of 100,000 files in directories of a hundred"
	mount_peers "$work/broad"
	finds
	umount_all
	rm -rf "$work/x.sq" "$work/broad"
	ratios squashfuse find "find" find2 "again"
}

# How long mounting takes does not depend on how much there is.
huge()
{
	local n
	rm -rf "$work/set" "$work/huge"
	mkdir "$work/huge"
	python3 - "$work/huge" <<-'END'
	import os, sys
	for d in range(2000):
	    here = f"{sys.argv[1]}/d{d % 40:02}/e{d:04}"
	    os.makedirs(here)
	    for n in range(1000):
	        os.close(os.open(f"{here}/file{n:03}", os.O_CREAT))
	END
	"$reel" init "$work/set" >/dev/null
	mount_head "Mounting 2,000,000 files"
	measure "$reel" backup "$work/set" -C "$work/huge" . |
		row huge "reel: first backup"
	rm -rf "$work/huge"
	for n in $(seq "$runs"); do
		drop
		measure sh -c "'$reel' mount '$work/set' '$work/mnt' &&
			ls '$work/mnt/snapshots/latest' >/dev/null" \
			>>"$work/m.huge"
		[ "$n" = 1 ] && resident VmRSS "reel: resident after mounting"
		"$reel" umount "$work/mnt"
	done
	row hugemount "reel: mount to first ls" <"$work/m.huge"
	rm -rf "$work/set" "$work/m.huge"
}

# ---- large files ----

# The pass-through that libfuse has among its examples.
build_through()
{
	local from=/usr/share/doc/libfuse3-dev/examples
	[ -f "$from/passthrough_ll.c" ] || return
	# shellcheck disable=SC2046
	cc -O2 -o "$work/through" -I"$from" "$from/passthrough_ll.c" \
		$(pkg-config --cflags --libs fuse3) 2>/dev/null
}

reads() # WHAT FILE PATH
{
	drop
	measure sh -c "cat '$3/$2' >/dev/null" >>"$work/m.$1.$2"
	measure sh -c "cat '$3/$2' >/dev/null" >>"$work/m.$1.again.$2"
}

large_reads() # TREE COMPRESSION
{
	local f n what list=reel
	mount_head "Reading large files through the mount, $2"
	"$reel" mount "$work/set" "$work/mnt"
	if [ "$2" = none ]; then
		build_through && "$work/through" -o source="$1" \
			"$work/mnt2" && list+=" through"
	elif have squashfuse_ll; then
		mksquashfs "$1" "$work/x.sq" -comp zstd \
			-Xcompression-level 3 -no-progress -quiet >/dev/null
		squashfuse_ll "$work/x.sq" "$work/mnt2" && list+=" squashfuse"
	fi
	for f in file00 file05; do
		for n in $(seq "$runs"); do
			for what in $list; do
				case $what in
				reel) reads reel $f \
					"$work/mnt/snapshots/latest" ;;
				*) reads "$what" $f "$work/mnt2" ;;
				esac
			done
		done
		for what in $list; do
			row "$what.$f" "$what, $f" <"$work/m.$what.$f"
			row "$what.again.$f" "$what, $f again" \
				<"$work/m.$what.again.$f"
			rm -f "$work"/m.$what.*
		done
	done
	umount_all
	rm -f "$work/x.sq"
	[ "$list" = reel ] && return
	what=${list#reel }
	echo
	echo "reel / $what: random $(ratio reel.file00 "$what.file00")," \
		"text $(ratio reel.file05 "$what.file05")"
}
