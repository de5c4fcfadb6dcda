#!/bin/bash
# Five sessions of a tree of hard cases: restored by reel, by the recipe, and
# by plain tars, each compared with the tree as it stood.
#
#     set_test.sh REEL WORKDIR [--long]
#
# WORKDIR is made and removed; best on a filesystem with all xattrs.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2
long=${3:-}
passed=0
failed=0
sessions=5

ok() # NAME, status of the command before
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "set: FAILED: $1"
	fi
	return "$2"
}

same() # SOURCE TARGET: nothing to copy
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	if [ -s "$work/differences" ]; then
		head -n 12 "$work/differences"
		return 1
	fi
}

quiet() # LOG: nothing was said
{
	[ ! -s "$1" ] || {
		head -n 5 "$1"
		return 1
	}
}

# The sessions of a set, a line each: number, then its volumes.
session_volumes()
{
	local v number=0 line=
	for v in "$1"/volumes/[0-9]*.tar*; do
		if decode "$v" 2>/dev/null | head -c 1024 | tail -c 512 |
			grep -aq 'REEL 1 set='; then
			[ -z "$line" ] || echo "$line"
			number=$((number + 1))
			line=$number
		fi
		line="$line $v"
	done
	echo "$line"
}

decode()
{
	local v
	for v; do
		case $v in
		*.zst) zstd -dcq -- "$v" ;;
		*) cat -- "$v" ;;
		esac
	done
}

extract() # TOOL DIR, the archive on stdin
{
	case $1 in
	tar) tar -x -f - -C "$2" ;;
	bsdtar) bsdtar -x -f - -C "$2" ;;
	pax) (cd "$2" && pax -r -pe) ;;
	esac
}

plain() # SET TOOL LOCALE
{
	local out=$work/plain log=$work/plain.log line number
	rm -rf "$out"
	mkdir "$out"
	: >"$log"
	while read -r number line; do
		# shellcheck disable=SC2086
		decode $line | LC_ALL=$3 extract "$2" "$out" >>"$log" 2>&1 ||
			echo "session $number: exit status $?" >>"$log"
	done < <(session_volumes "$1")
	quiet "$log"
	ok "$1: $2 ($3) says nothing" $?
	python3 "$here/contents.py" "$work/tame" "$out" "$2"
	ok "$1: $2 ($3) gives every content" $?
	rm -rf "$out"
}

recipe() # SET N
{
	rm -rf "$work/out"
	dash "$here/../../tape/recover.sh" "$1/volumes" "$work/out" "$2" \
		2>"$work/recipe.log"
	ok "$1: the recipe up to session $2 ends well" $? ||
		cat "$work/recipe.log"
	same "$work/state$2" "$work/out"
	ok "$1: the recipe up to session $2" $?
	rm -rf "$work/out"
}

questions() # SET
{
	local n
	for n in $(seq $sessions); do
		"$reel" ls -R --json "$1@$n"
		"$reel" find --json "$1@$n"
	done
	"$reel" info --json "$1"
	"$reel" snapshots --json "$1"
	"$reel" history --json "$1" 'shifting/dir to file'
	"$reel" history --json "$1" duplicates/a/same1
	"$reel" diff --json "$1@1" 5
}

one_set() # NAME OPTIONS...
{
	local set=$work/$1 n v
	shift
	rm -rf "$set"
	"$reel" init "$set" "$@" >/dev/null
	for n in $(seq $sessions); do
		"$reel" backup "$set" -C "$work/state$n" . >"$work/log" 2>&1
		ok "$set: session $n" $? || cat "$work/log"
	done
	for n in $(seq $sessions); do
		rm -rf "$work/out"
		"$reel" restore "$set@$n" --to "$work/out" >"$work/log" 2>&1
		ok "$set: restoring session $n ends well" $? || cat "$work/log"
		same "$work/state$n" "$work/out"
		ok "$set: restoring session $n" $?
		recipe "$set" "$n"
	done
	"$reel" verify "$set" >"$work/log" 2>&1
	ok "$set: verify" $? || head "$work/log"
	for v in "$set"/volumes/*.zst; do
		[ ! -f "$v" ] || zstd -lvq "$v" >/dev/null 2>&1
		ok "$v: zstd -lv" $?
		[ ! -f "$v" ] || python3 "$here/seekable.py" "$v"
		ok "$v: an independent reader of the seek table" $?
	done
	questions "$set" >"$work/before" 2>&1
	rm "$set/catalog.db"
	"$reel" catalog rebuild "$set" >"$work/log" 2>&1
	ok "$set: rebuild" $? || cat "$work/log"
	questions "$set" >"$work/after" 2>&1
	cmp -s "$work/before" "$work/after"
	ok "$set: a rebuilt catalogue answers the same" $? ||
		diff "$work/before" "$work/after" | head
	rm -rf "$set"
}

# The sessions in order through plain tars.
plain_set() # NAME OPTIONS...
{
	local set=$work/$1 n
	shift
	rm -rf "$set" "$work/tame"
	"$reel" init "$set" "$@" >/dev/null
	for n in $(seq $sessions); do
		python3 "$here/../tree/make.py" "$work/tame" "$n" --tame
		"$reel" backup "$set" -C "$work/tame" . >"$work/log" 2>&1
		ok "$set: session $n" $? || cat "$work/log"
	done
	plain "$set" tar C
	plain "$set" tar C.UTF-8
	plain "$set" bsdtar C
	plain "$set" bsdtar C.UTF-8
	plain "$set" pax C
	plain "$set" pax C.UTF-8
	rm -rf "$set" "$work/tame"
}

# More names of one content than a filesystem can link.
many_copies()
{
	local tree=$work/copies set=$work/many log=$work/log
	rm -rf "$set" "$tree"
	python3 - "$tree" <<'END'
import os, sys
for n in range(70000):
    d = f"{sys.argv[1]}/d{n // 1000:02}"
    os.makedirs(d, exist_ok=True)
    if n < 69990:
        with open(f"{d}/f{n:05}", "w") as f:
            f.write("the same in every one of them; long enough to link " * 5)
END
	"$reel" init "$set" --compress zstd >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$log" 2>&1
	ok "70,000 copies: first session" $?
	python3 - "$tree" <<'END'
import sys
for n in range(69990, 70000):
    with open(f"{sys.argv[1]}/d{n // 1000:02}/f{n:05}", "w") as f:
        f.write("the same in every one of them; long enough to link " * 5)
END
	"$reel" backup "$set" -C "$tree" . >"$log" 2>&1
	ok "70,000 copies: second session" $?
	mkdir "$work/plain"
	for v in "$set"/volumes/*; do
		decode "$v" | tar -x -f - -C "$work/plain" || false
	done >"$log" 2>&1
	ok "70,000 copies: tar" $? || head -n 3 "$log"
	[ "$(find "$work/plain" -name 'f*' -type f -size +100c | wc -l)" = 70000 ]
	ok "70,000 copies: tar gives all" $?
	rm -rf "$work/plain"
	"$reel" restore "$set" --to "$work/out" >"$log" 2>&1
	same "$tree" "$work/out"
	ok "70,000 copies: restore" $?
	rm -rf "$set" "$tree" "$work/out"
}

rm -rf "$work"
mkdir -p "$work"
for n in $(seq $sessions); do
	if [ "$n" -gt 1 ]; then
		# the same inodes go on changing, so that incremental is tried
		cp -a "$work/now" "$work/state$((n - 1))"
	fi
	python3 "$here/../tree/make.py" "$work/now" "$n" || exit 2
done
cp -a "$work/now" "$work/state$sessions"
one_set none --compress none
one_set zstd --compress zstd
one_set split --compress zstd --volume-size 1M
if [ "$long" = --long ]; then
	one_set splitnone --compress none --volume-size 1M
fi
plain_set plainnone --compress none
plain_set plainzstd --compress zstd --volume-size 1M
many_copies
chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
