#!/bin/bash
# The life of a set on tape: backed up, mounted, copied out, verified, imported
# on a new machine from the cartridge alone, and read by hand with tar. On
# images, on a drive emulated over iSCSI, and (--long) on the kernel's own tape
# driver in a virtual machine; what was written through one kind is read through
# the others.
#
#     set_test.sh REEL WORKDIR [--long]
#
# STAGE=DEVICE (inside the virtual machine) lives the life there alone, after a
# cartridge of a set (SEEN) was imported from another drive (OTHER).
set -u
reel=$1
work=$2
long=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
passed=0
failed=0
running=
mnt=$work/mnt

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "set on tape: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n ${TAIL:-8}
	fi
}

finish()
{
	"$reel" umount "$mnt" >/dev/null 2>&1
	[ -z "$running" ] || bash "$rig/vtl.sh" stop "$running"
	running=
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

tree() # a small tree with all that there is
{
	rm -rf "$work/src"
	mkdir -p "$work/src/d/e"
	(
		cd "$work/src" || exit 2
		for i in $(seq 200); do
			head -c $((i * 37)) /dev/urandom >d/file$i
		done
		head -c 5000000 /dev/urandom >large
		truncate -s 3M sparse
		echo x >>sparse
		ln d/file1 d/e/hard
		ln -s large symlink
		cp d/file7 d/e/copy
		mkfifo fifo
		echo one >changes
	)
}

change()
{
	echo two >"$work/src/changes"
	cp "$work/src/d/file9" "$work/src/d/e/again"
	rm "$work/src/d/file3"
	head -c 400000 /dev/urandom >"$work/src/new"
}

# SET: what it tells, without its volumes' names; CARTRIDGES=no: nor these
answers()
{
	"$reel" ls -lR "$1@1"
	"$reel" ls -lR "$1"
	"$reel" snapshots "$1" --json
	"$reel" history "$1" changes --json
	"$reel" find "$1" --all --json
	"$reel" info "$1@1" --json
	"$reel" info "$1" --json | sed "${CARTRIDGES:+/^.\"cartridge\"/d}"
}

same_tree() # MOUNTED SOURCE
{
	rm -rf "$work/out"
	rsync -aHAXS "$1/" "$work/out/" >"$work/log" 2>&1 &&
		rsync -aHAXnic --delete "$2/" "$work/out/" >"$work/log" 2>&1 &&
		[ ! -s "$work/log" ]
}

by_hand() # NAME DEVICE: every session with tar alone
{
	local d=$2 n

	for n in 1 2; do
		rm -rf "$work/hand"
		mkdir "$work/hand"
		case $d in
		/dev/nst*)
			mt -f "$d" rewind && mt -f "$d" setblk 0 &&
				mt -f "$d" fsf "$(file_of "$n")" &&
				tar -b 512 -tf "$d" >"$work/log" 2>&1 &&
				! grep -q "/table$" "$work/log" &&
				mt -f "$d" rewind &&
				mt -f "$d" fsf "$(file_of "$n")" &&
				tar -b 512 -xf "$d" -C "$work/hand" \
					>"$work/log" 2>&1
			ok "$1: session $n, tar -tf and -xf" $?
			;;
		*)
			"$reel" tape seek "$d" --file "$(file_of "$n")" \
				>"$work/log" 2>&1 &&
				"$reel" tape read "$d" -q 2>>"$work/log" |
				tar -b 512 -xif - -C "$work/hand" \
					>>"$work/log" 2>&1
			;;
		esac
		ls "$work/hand" >/dev/null
		case $n in
		1) cmp -s "$work/hand/large" "$work/src/large" &&
			[ "$(cat "$work/hand/changes")" = one ] ;;
		2) [ "$(cat "$work/hand/changes")" = two ] ;;
		esac
		ok "$1: session $n by hand" $?
	done
}

# The recipe that lies on the tape, on its tape files.
recipe() # NAME DEVICE
{
	local name=$1 d=$2 n

	rm -rf "$work/hand" "$work/volumes"
	mkdir "$work/volumes"
	for n in 1 2 3 4; do
		case $d in
		/dev/nst*)
			mt -f "$d" rewind && mt -f "$d" setblk 0 &&
				mt -f "$d" fsf $((2 * n - 1)) &&
				dd if="$d" of="$work/volumes/00000$n.tar" \
					bs=512k
			;;
		*)
			"$reel" tape seek "$d" --file $((2 * n - 1)) &&
				"$reel" tape read "$d" -q \
					>"$work/volumes/00000$n.tar"
			;;
		esac
	done >"$work/log" 2>&1
	tar -xOf "$work/volumes/000001.tar" --wildcards '.reel-*/recover.sh' \
		>"$work/recover.sh" 2>>"$work/log" &&
		sh "$work/recover.sh" "$work/volumes" "$work/hand" \
			>>"$work/log" 2>&1 &&
		same_tree "$work/hand" "$work/src"
	ok "$name: its recipe" $?
}

# A session is the volume, its table, the index, its table: files 1 and 5.
file_of() # SESSION
{
	echo $((4 * $1 - 3))
}

life() # NAME DEVICE
{
	local name=$1 d=$2

	rm -rf "$work/set" "$work/again"
	tree
	cp -a "$work/src" "$work/before"
	do_it "$name: init" "$reel" init "$work/set" --media "$d"
	do_it "$name: backup" "$reel" backup "$work/set" -C "$work/src" .
	rm -rf "$work/before"
	cp -a "$work/src" "$work/before"
	change
	do_it "$name: another" "$reel" backup "$work/set" -C "$work/src" .
	do_it "$name: verify" "$reel" verify "$work/set"
	do_it "$name: mount" "$reel" mount "$work/set" "$mnt"
	same_tree "$mnt/snapshots/latest" "$work/src"
	ok "$name: rsync" $?
	[ "$(cat "$mnt"/versions/changes/@1-*)" = one ]
	ok "$name: the version before" $?
	do_it "$name: umount" "$reel" umount "$mnt"
	by_hand "$name" "$d"
	recipe "$name" "$d"
	import_it "$name" "$d"
}

import_it() # NAME DEVICE: on a new machine
{
	local name=$1 d=$2 before

	rm -rf "$work/again"
	do_it "$name: import" "$reel" import "$d" "$work/again"
	answers "$work/set" >"$work/one" 2>&1
	answers "$work/again" >"$work/two" 2>&1
	diff "$work/one" "$work/two" >"$work/log" 2>&1
	ok "$name: the same answers" $?
	do_it "$name: its cartridge is mounted" "$reel" mount "$d" "$mnt"
	same_tree "$mnt/snapshots/latest" "$work/src"
	ok "$name: and read" $?
	do_it "$name: and let go" "$reel" umount "$mnt"
	do_it "$name: verify of a cartridge" "$reel" verify "$d"
	! grep -q "has no table" "$work/log"
	ok "$name: and nothing more is said to lie on it" $?
	before=$("$reel" snapshots "$work/again" --json | wc -l)
	echo three >"$work/src/changes"
	do_it "$name: backup into the new set" \
		"$reel" backup "$work/again" -C "$work/src" .
	[ "$("$reel" snapshots "$work/again" --json | wc -l)" = \
		$((before + 1)) ]
	ok "$name: one more snapshot" $?
	do_it "$name: all is well" "$reel" verify "$work/again"
}

mkdir -p "$mnt" "$work/tmp" || exit 2
export TMPDIR=$work/tmp
trap finish EXIT

if [ -n "${STAGE:-}" ]; then
	[ -z "${SEEN:-}" ] || {
		tar -xf "$SEEN" -C "$work"
		import_it "iscsi to st" "$OTHER"
	}
	life st "$STAGE"
	tar -cf "$SHARE/out.tar" -C "$work" again src
	exit
fi
[ -c /dev/fuse ] && [ -w /dev/fuse ] || {
	echo "set on tape: no /dev/fuse here: skipped"
	passed=1
	exit 0
}

wanted() # PART: PARTS, when it is set, names those that are run
{
	case " ${PARTS:-$1} " in *" $1 "*) true ;; *) false ;; esac
}

# ---- images ----

! wanted image || life image "$work/a.tap"

# ---- several cartridges ----

# Five small ones, all in drives; a file that is larger than any of them.
span() # NAME MEDIA-OPTIONS...
{
	local name=$1
	shift
	rm -rf "$work/set" "$work/again"
	tree
	head -c 24000000 /dev/urandom >"$work/src/huge"
	do_it "$name: init" "$reel" init "$work/set" "$@"
	do_it "$name: backup" "$reel" backup "$work/set" -C "$work/src" .
	change
	do_it "$name: another" "$reel" backup "$work/set" -C "$work/src" .
	do_it "$name: verify" "$reel" verify "$work/set"
	do_it "$name: mount" "$reel" mount "$work/set" "$mnt"
	same_tree "$mnt/snapshots/latest" "$work/src"
	ok "$name: rsync" $?
	tail -c 1000 "$mnt/snapshots/latest/huge" |
		cmp -s - <(tail -c 1000 "$work/src/huge") &&
		cmp -s "$mnt/snapshots/latest/d/file1" "$work/src/d/file1" &&
		head -c 1000 "$mnt/snapshots/latest/huge" |
		cmp -s - <(head -c 1000 "$work/src/huge")
	ok "$name: in any order" $?
	do_it "$name: umount" "$reel" umount "$mnt"
}

several()
{
	images=
	for i in 1 2 3 4 5; do
		images=$images,$work/c$i.tap?capacity=10M\&early=1M
	done
	span "five images" --media "${images#,}"
	names=$(ls "$work"/c*.tap | wc -l)
	[ "$names" = 5 ]
	ok "five images were made" $?
	shuffled=$(printf '%s\n' "$work"/c*.tap | sort -R)
	# shellcheck disable=SC2086
	do_it "import in any order" "$reel" import $shuffled "$work/again"
	answers "$work/set" >"$work/one" 2>&1
	answers "$work/again" >"$work/two" 2>&1
	diff "$work/one" "$work/two" >"$work/log" 2>&1
	ok "the same answers" $?
	# one is lost: whatever is not on it reads
	mv "$work/c2.tap" "$work/lost"
	rm -rf "$work/again"
	# shellcheck disable=SC2046
	"$reel" import $(ls "$work"/c*.tap) "$work/again" >"$work/log" 2>&1
	case $? in 0 | 1) grep -q -- "-0002 was not looked at" "$work/log" ;; *) false ;; esac
	ok "import without one of them" $?
	do_it "mount without it" "$reel" mount "$work/set" "$mnt" -o offline=fail
	failures=0
	right=0
	for f in "$work"/src/d/file* "$work/src/huge" "$work/src/changes"; do
		n=${f#"$work/src/"}
		if cat "$mnt/snapshots/latest/$n" >"$work/got" 2>/dev/null; then
			cmp -s "$work/got" "$f" && right=$((right + 1))
		else
			failures=$((failures + 1))
		fi
	done
	[ $failures -gt 0 ] && [ $right -gt 0 ] && [ $((right + failures)) = 201 ]
	ok "what is not on the lost one reads ($right files do, $failures do not)" $?
	do_it "umount" "$reel" umount "$mnt"
	mv "$work/lost" "$work/c2.tap"
	do_it "it is back: all is well" "$reel" verify "$work/set"

	# ---- copies ----

	rm -rf "$work/disk" "$work/back"
	do_it "copy to disk" "$reel" copy "$work/set" "$work/disk" --media dir
	CARTRIDGES=no answers "$work/set" >"$work/one" 2>&1
	CARTRIDGES=no answers "$work/disk" >"$work/two" 2>&1
	diff "$work/one" "$work/two" >"$work/log" 2>&1
	ok "copy to disk: the same answers" $?
	do_it "copy to disk: all is well" "$reel" verify "$work/disk"
	do_it "copy to tape" "$reel" copy "$work/disk" "$work/back" \
		--media "$work/b.tap"
	CARTRIDGES=no answers "$work/back" >"$work/two" 2>&1
	diff "$work/one" "$work/two" >"$work/log" 2>&1
	ok "copy to tape: the same answers" $?
	do_it "copy to tape: all is well" "$reel" verify "$work/back"
}

! wanted several || several

# ---- the plug ----

pulls=${PULLS:-5}
[ "$long" != --long ] || pulls=${PULLS:-50}
pull() # NAME DEVICE
{
	local name=$1 d=$2 i before bad=0

	rm -rf "$work/set"
	tree
	"$reel" init "$work/set" --media "$d" >"$work/log" 2>&1 &&
		"$reel" backup "$work/set" -C "$work/src" . >>"$work/log" 2>&1
	ok "$name: before" $?
	for i in $(seq $pulls); do
		head -c $((RANDOM * 200)) /dev/urandom >"$work/src/new$i"
		echo "$i" >"$work/src/changes"
		before=$("$reel" snapshots "$work/set" --json | wc -l)
		"$reel" backup "$work/set" -C "$work/src" . \
			>"$work/log" 2>&1 &
		sleep 0.$((RANDOM % 3))$((RANDOM % 10))
		kill -KILL $! 2>/dev/null
		wait $! 2>/dev/null
		"$reel" verify "$work/set" >"$work/log" 2>&1 || bad=1
		"$reel" backup "$work/set" -C "$work/src" . \
			>"$work/log" 2>&1 || bad=2
		[ "$("$reel" snapshots "$work/set" --json | wc -l)" -gt \
			"$before" ] || bad=3
		[ $bad = 0 ] || break
	done
	[ $bad = 0 ]
	ok "$name: killed $pulls times while appending ($bad)" $?
	do_it "$name: all is well" "$reel" verify "$work/set"
	import_it "$name" "$d"
}
rm -f "$work"/*.tap*
! wanted plug || pull "image" "$work/p.tap"

# ---- over iSCSI ----

wanted iscsi || exit 0
if ! command -v tgtd >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "set on tape: no iSCSI (tgtd, as root): skipped"
	exit 0
fi
if "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 | grep -q "without libiscsi"
then
	echo "set on tape: built without libiscsi: skipped"
	exit 0
fi

number=$((100 + $$ % 9000))
emulate() # DIRECTORY [SIZE_MB [CARTRIDGES [DRIVES]]]
{
	local turn

	# a busy machine may be slower than vtl.sh waits
	for turn in 1 2 3; do
		VTL_PORT=$((20000 + number)) VTL_CTL=$number \
			VTL_DRIVES=${4:-2} VTL_CARTS=${3:-3} \
			VTL_SIZE_MB=${2:-64} bash "$rig/vtl.sh" start "$1" \
			>"$work/log" 2>&1 && running=$1 && return
		bash "$rig/vtl.sh" stop "$1" >/dev/null 2>&1
		sleep $turn
	done
	false
}
emulate "$work/vtl" 4000 3 3
ok "an emulated library" $?
[ -n "$running" ] || exit
drive=$(sed -n 's/^tape //p' "$work/vtl/urls" | head -n 1)
second=$(sed -n 's/^tape //p' "$work/vtl/urls" | sed -n 2p)
third=$(sed -n 's/^tape //p' "$work/vtl/urls" | tail -n 1)
rm -f "$work"/*.tap*
life iscsi "$drive"

# The library loses its power while a backup runs.
unplug() # DEVICE
{
	local d=$1 i before bad=0

	for i in $(seq $pulls); do
		rm -f "$work"/src/pulled*
		head -c $((RANDOM * 600)) /dev/urandom >"$work/src/pulled$i"
		before=$("$reel" snapshots "$work/set" --json | wc -l)
		"$reel" backup "$work/set" -C "$work/src" . >"$work/log" 2>&1 &
		sleep 0.$((RANDOM % 4))$((RANDOM % 10))
		bash "$rig/vtl.sh" stop "$work/vtl"
		wait $!
		emulate "$work/vtl" 4000 3 3 || bad=1
		[ "$("$reel" snapshots "$work/set" --json | wc -l)" -ge \
			"$before" ] || bad=2
		"$reel" verify "$work/set" >"$work/log" 2>&1 || bad=3
		"$reel" backup "$work/set" -C "$work/src" . \
			>"$work/log" 2>&1 || bad=4
		[ "$("$reel" snapshots "$work/set" --json | wc -l)" -gt \
			"$before" ] || bad=5
		[ $bad = 0 ] || break
	done
	[ $bad = 0 ]
	ok "the library lost its power $pulls times ($bad)" $?
	do_it "the library lost its power: all is well" "$reel" verify "$work/set"
}

# the same bytes on an image: what one kind wrote the others read
through() # NAME FROM TO: the tape as it is, block by block
{
	local f=0

	"$reel" tape seek "$2" 0 >"$work/log" 2>&1
	"$reel" tape seek "$3" 0 >>"$work/log" 2>&1
	while "$reel" tape read "$2" -q >"$work/file" 2>>"$work/log"; do
		"$reel" tape write "$3" -q <"$work/file" 2>>"$work/log" ||
			return 1
		f=$((f + 1))
	done
	[ $f -ge 9 ]
}

: >"$work/t.tap"
through "iscsi to image" "$drive" "$work/t.tap"
ok "the tape, written to an image" $?
"$reel" catalog rebuild "$work/again" >"$work/log" 2>&1
rm -rf "$work/set"
cp -a "$work/again" "$work/set"
import_it "image of it" "$work/t.tap"
through "image to iscsi" "$work/t.tap" "$second"
ok "and back to another drive" $?
rm -rf "$work/set"
cp -a "$work/again" "$work/set"
import_it "iscsi again" "$second"
rm -rf "$work/set"
cp -a "$work/again" "$work/set"
sed -i "s|^drive = .*|drive = $second|" "$work/set/set.conf"
unplug "$second"
import_it "iscsi, after all that" "$second"

# ---- the kernel's own driver ----

[ "$long" = --long ] || exit 0
if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "set on tape: no qemu: the kernel's tape driver is not tried"
	exit 0
fi
mkdir -p "$work/vm"
rm -rf "$work/set"
cp -a "$work/again" "$work/set"
tar -cf "$work/vm/in.tar" -C "$work" set src
bash "$rig/nst-vm.sh" --timeout 900 --mem 2048 --vtl "$second" \
	--vtl "$third" --share "$work/vm" --share "$(dirname "$reel")" -- \
	"STAGE=/dev/nst1 OTHER=/dev/nst0 SEEN=$work/vm/in.tar SHARE=$work/vm \
	TAIL=20 bash '$here/set_test.sh' '$reel' /tmp/set" >"$work/log" 2>&1
grep -q "^[1-9][0-9]* passed, 0 failed" "$work/log"
ok "a set's life on the kernel's driver" $?
grep "^[0-9]* passed" "$work/log" | sed 's/^/set on tape: in the machine: /'
grep -A20 "FAILED" "$work/log" | head -n 100
rm -rf "$work/set" "$work/src" "$work/again"
tar -xf "$work/vm/out.tar" -C "$work"
mv "$work/again" "$work/set"
import_it "st to iscsi" "$third"
: >"$work/s.tap"
through "st to image" "$third" "$work/s.tap"
ok "st to image: written" $?
rm -rf "$work/set"
mv "$work/again" "$work/set"
import_it "st to image" "$work/s.tap"
