#!/bin/bash
# Volumes that are larger than a cartridge, copied: a session goes on inside a
# volume and inside a file. On images: from disk to tape and back, from tape to
# smaller tape; the copy alone, in any order, by hand, and cut short.
#
#     parts_test.sh REEL WORKDIR [--long]
set -u
reel=$1
work=$2
long=${3:-}
passed=0
failed=0
mnt=$work/mnt

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "parts: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
	fi
}

finish()
{
	"$reel" umount "$mnt" >/dev/null 2>&1
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

cartridges() # LETTER CAPACITY COUNT: a list for --media
{
	local n list=

	for n in $(seq "$3"); do
		list=$list,$work/$1$n.tap?capacity=$2
	done
	echo "${list#,}"
}

images() # LETTER: those that were written to
{
	find "$work" -maxdepth 1 -name "$1*.tap" -size +0 | sort -V
}

# Fresh each time: nothing of it comes from a cache.
restores() # NAME SET
{
	rm -rf "$work/out"
	"$reel" restore "$2" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/src" "$work/out" >>"$work/log" 2>&1
	ok "$1" $?
}

answers() # SET: what it tells
{
	"$reel" ls -lR "$1@1"
	"$reel" ls -lR "$1"
	"$reel" snapshots "$1" --json
	"$reel" find "$1" --all --json
}

same_answers() # NAME SET SET
{
	answers "$2" >"$work/one" 2>/dev/null
	answers "$3" >"$work/two" 2>/dev/null
	[ -s "$work/one" ] && cmp "$work/one" "$work/two" >"$work/log" 2>&1
	ok "$1" $?
}

# The sessions by hand: parts from the last table, with `reel tape`, and tar.
by_hand() # NAME COMPRESSION IMAGE...: into $work/hand
{
	local name=$1 how=$2 image table part file=2
	shift 2

	rm -rf "$work/hand" "$work/bytes"
	mkdir "$work/hand" "$work/bytes"
	for image; do
		"$reel" tape seek "$image" --file 0 >/dev/null 2>&1
		table=$("$reel" tape read "$image" 2>/dev/null |
			tar -xOf - 2>/dev/null | grep -a '^cartridge ')
		part=${table#cartridge }
		echo "${part%% *} $image"
	done >"$work/places"
	# the last table of the last one lists all
	image=$(sort -n "$work/places" | tail -n 1 | cut -d ' ' -f 2-)
	while "$reel" tape seek "$image" --file $file >/dev/null 2>&1 &&
		"$reel" tape read "$image" >"$work/table" 2>/dev/null &&
		[ -s "$work/table" ]; do
		tar -xOf "$work/table" 2>/dev/null |
			grep -aE '^(volume|part) ' >"$work/lines"
		file=$((file + 2))
	done
	while read -r _ volume number _ at _ size _ _ _ begin _; do
		image=$(sed -n "s/^$number //p" "$work/places")
		"$reel" tape seek "$image" --file "$at" >/dev/null 2>&1
		"$reel" tape read "$image" 2>/dev/null | head -c "$size" |
			dd of="$work/bytes/$(printf %06d "$volume")" bs=64K \
				seek="${begin:-0}" oflag=seek_bytes \
				iflag=fullblock conv=notrunc status=none
	done <"$work/lines"
	if [ "$how" = zstd ]; then
		cat "$work"/bytes/* | zstd -dcq
	else
		cat "$work"/bytes/*
	fi | tar -xif - -C "$work/hand" >"$work/log" 2>&1 &&
		(cd "$work/hand" && cat .reel-*/s*/deleted | xargs rm) &&
		diff -r -x '.reel-*' "$work/src" "$work/hand" >>"$work/log" 2>&1
	ok "$name" $?
}

grow() # more of a source, with one name gone
{
	rm -f "$work/src/d/file7"
	head -c 11000000 /dev/urandom >"$work/src/later"
	echo more >>"$work/src/d/file9"
}

rm -rf "$work"
mkdir -p "$work" "$mnt" || exit 2
trap finish EXIT

for how in none zstd; do
	rm -rf "$work"/src "$work"/*.tap* "$work"/set "$work"/copy
	mkdir -p "$work/src/d"
	for i in $(seq 300); do
		head -c $((i * 130)) /dev/urandom >"$work/src/d/file$i"
	done
	head -c 23000000 /dev/urandom >"$work/src/large"
	seq 400000 >"$work/src/text"
	do_it "$how: init" "$reel" init "$work/set" --compress $how
	do_it "$how: backup" "$reel" backup "$work/set" -C "$work/src" .
	do_it "$how: copy to small cartridges" "$reel" copy "$work/set" \
		"$work/copy" --media "$(cartridges a 6M 9)"
	grow
	do_it "$how: backup again" "$reel" backup "$work/set" -C "$work/src" .
	do_it "$how: copy again" "$reel" copy "$work/set" "$work/copy"
	[ "$("$reel" info "$work/copy" 2>/dev/null | grep -c full)" -ge 5 ]
	ok "$how: on several cartridges" $?
	same_answers "$how: the same answers" "$work/set" "$work/copy"
	restores "$how: restore from the copy" "$work/copy"
	do_it "$how: verify" "$reel" verify "$work/copy"
	# shellcheck disable=SC2046
	by_hand "$how: by hand" $how $(images a)
	for i in $(images a); do
		"$reel" verify "$i" >"$work/log" 2>&1 </dev/null
		case $? in 0 | 4) true ;; *) false ;; esac
		ok "$how: verify ${i##*/} alone" $?
	done
	do_it "$how: rebuild" "$reel" catalog rebuild "$work/copy"
	same_answers "$how: the same after it" "$work/set" "$work/copy"
	"$reel" ls --media "$work/copy" large >"$work/log" 2>&1
	[ "$(grep -o 'copy-[0-9]*\|set-[0-9]*' "$work/log" | sort -u |
		wc -l)" -ge 4 ]
	ok "$how: ls --media names its cartridges" $?
	for order in sort tac; do
		rm -rf "$work/again"
		# shellcheck disable=SC2046
		do_it "$how: import ($order)" "$reel" import \
			$(images a | $order) "$work/again"
		same_answers "$how: import ($order) knows the same" \
			"$work/set" "$work/again"
		restores "$how: import ($order) restores" "$work/again"
	done
	do_it "$how: copy back to disk" "$reel" copy "$work/again" "$work/disk"
	diff -r "$work/set/volumes" "$work/disk/volumes" >"$work/log" 2>&1
	ok "$how: the same bytes" $?
	rm -rf "$work/again" "$work/disk"

	# another copy with cartridges of another size, of the tape set: both
	# stand side by side
	do_it "$how: from tape to smaller tape" "$reel" copy "$work/copy" \
		"$work/second" --media "$(cartridges b 4M 14)"
	restores "$how: the second restores" "$work/second"
	mkdir "$work/away"
	mv "$work"/a*.tap "$work/away"
	restores "$how: the first is gone" "$work/copy"
	mv "$work"/away/* "$work"
	mv "$work"/a2.tap "$work"/a5.tap "$work"/b1.tap "$work"/b9.tap \
		"$work/away"
	"$reel" restore "$work/copy" --to "$work/none" >"$work/log" 2>&1 \
		</dev/null
	case $? in
	0) diff -r "$work/src" "$work/none" >>"$work/log" 2>&1 ;;
	4) grep -q " or .* is needed" "$work/log" ;;
	*) false ;;
	esac
	ok "$how: some of each are gone" $?
	mv "$work"/away/* "$work"
	rm -rf "$work/away" "$work/none" "$work"/b*.tap* "$work/second"
	if [ -c /dev/fuse ]; then
		do_it "$how: mount" "$reel" mount "$work/copy" "$mnt"
		diff -r "$work/src" "$mnt/snapshots/latest" >"$work/log" 2>&1
		ok "$how: the mount reads" $?
		echo new >"$mnt/current/new" && echo new >"$work/src/new"
		do_it "$how: umount, with a commit" "$reel" umount "$mnt"
		restores "$how: the copy writes on" "$work/copy"
		do_it "$how: and back to the set" "$reel" copy "$work/copy" \
			"$work/set"
		restores "$how: which has it" "$work/set"
	fi
done

# a cartridge that ends without a warning
for how in none zstd; do
	rm -rf "$work"/src "$work"/*.tap* "$work"/set "$work"/copy
	mkdir -p "$work/src/d"
	head -c 9000000 /dev/urandom >"$work/src/large"
	"$reel" init "$work/set" --compress $how >/dev/null 2>&1
	"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
	do_it "$how: no early warning" "$reel" copy "$work/set" "$work/copy" \
		--media "$(cartridges c 3M 6 | sed 's/3M/3M\&early=0/g')"
	restores "$how: no early warning: restores" "$work/copy"
	do_it "$how: no early warning: verify" "$reel" verify "$work/copy"
	# shellcheck disable=SC2046
	do_it "$how: no early warning: import" "$reel" import $(images c) \
		"$work/again"
	restores "$how: no early warning: import restores" "$work/again"
	rm -rf "$work/again"
done
rm -rf "$work/copy" "$work"/c*.tap*
"$reel" copy "$work/set" "$work/copy" --media \
	"$(cartridges c 96K 3 | sed 's/96K/96K\&early=0/g')" \
	>"$work/log" 2>&1 </dev/null
[ $? = 2 ] && grep -q "too small" "$work/log"
ok "cartridges that are too small for anything" $?

# cut off before all of its cartridges were made
rm -rf "$work/copy" "$work"/k*.tap*
do_it "a copy" "$reel" copy "$work/set" "$work/copy" \
	--media "$(cartridges k 3M 7)"
rm -rf "$work"/copy/catalog.db* "$work"/k*.tap*
do_it "begun alone: it goes on" "$reel" copy "$work/set" "$work/copy"
restores "begun alone: it restores" "$work/copy"

# interrupted at any moment: the copy goes on, and is whole
rounds=6
[ "$long" != --long ] || rounds=50
for i in $(seq $rounds); do
	rm -rf "$work/copy" "$work"/k*.tap*
	"$reel" copy "$work/set" "$work/copy" --media "$(cartridges k 3M 7)" \
		>/dev/null 2>&1 </dev/null &
	pid=$!
	sleep 0.$(printf %03d $((RANDOM % 120 + 5)))
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ -f "$work/copy/set.conf" ] || continue
	do_it "killed copy $i goes on" "$reel" copy "$work/set" "$work/copy"
	restores "killed copy $i restores" "$work/copy"
done
