#!/bin/bash
# Large files that change while a backup reads them: read once more, and the
# set is right for reel and for plain tar; what never holds still is stored as
# read, and said.
#
#     changing_test.sh REEL MEANWHILE.SO WORKDIR
set -u
LC_ALL=C
reel=$(realpath "$1")
meanwhile=$(realpath "$2")
work=$3
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok     $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		[ ! -s "$work/err" ] || head -n 5 "$work/err" | sed 's/^/	/'
	fi
}

trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
tree=$work/tree
mkdir "$tree"

# A backup; when it reads tree/file at byte AT, COMMAND runs before it goes on:
# once, or (MEANWHILE_EACH) whenever it reads the file anew.
backup_meanwhile() # SET AT COMMAND
{
	env MEANWHILE="$3" MEANWHILE_OF=/tree/file MEANWHILE_AT="$2" \
		LD_PRELOAD="$meanwhile" "$reel" backup "$1" -C "$work" tree \
		>"$work/out" 2>"$work/err"
}

# SET's newest snapshot is the tree, for reel and for tars.
right() # NAME SET
{
	local tool
	"$reel" verify "$2" >/dev/null 2>"$work/err"
	ok "$1: verify" $?
	rm -rf "$work/back"
	"$reel" restore "$2" --to "$work/back" >/dev/null 2>"$work/err"
	diff -r "$tree" "$work/back/tree" >"$work/err" 2>&1
	ok "$1: restored" $?
	for tool in tar bsdtar pax; do
		command -v $tool >/dev/null || continue
		rm -rf "$work/plain"
		mkdir "$work/plain"
		(cd "$work/plain" && for volume in "$2"/volumes/*; do
			case $volume in
			*.zst) zstd -dcq "$volume" ;;
			*) cat "$volume" ;;
			esac | case $tool in
			pax) pax -r ;;
			*) $tool -xf - ;;
			esac
		done) 2>"$work/err"
		[ ! -s "$work/err" ] &&
			diff -r "$tree" "$work/plain/tree" >"$work/err"
		ok "$1: $tool" $?
	done
	rm -rf "$work/plain"
}

change="printf changed |
	dd of='$tree/file' bs=1 seek=5 conv=notrunc status=none
	printf longer >>'$tree/file'"
empty=": >'$tree/file'"

one_set() # COMPRESSION
{
	local set=$work/set-$1 n

	"$reel" init "$set" --compress "$1" >/dev/null
	head -c 100000000 /dev/urandom >"$tree/file"
	cp "$tree/file" "$work/first"
	cksum <"$tree/file" >"$work/sum-$1"
	backup_meanwhile "$set" 8000000 "$change"
	n=$?
	ok "$1: a file that changed once is stored, with nothing to say" $n
	cmp -s "$work/first" "$tree/file"
	[ $? = 1 ]
	ok "$1: (it did change)" $?
	n=$(cat "$set"/volumes/* | wc -c)
	[ "$n" -gt 190000000 ]
	ok "$1: (while it was read)" $?
	right "$1, changed once" "$set"

	# a byte of what was read first is wrong
	cp -r "$set" "$work/hurt"
	for n in "$work/hurt"/volumes/*; do
		printf '\125\252\125' |
			dd of="$n" bs=1 seek=3000000 conv=notrunc status=none
	done
	"$reel" verify "$work/hurt" >"$work/out" 2>"$work/err"
	[ $? = 5 ] && ! grep -q 'tree/' "$work/out" "$work/err" &&
		grep -q 'no file' "$work/out" "$work/err"
	ok "$1: damage of the withdrawn reading names no file" $?
	rm -rf "$work/hurt"

	# what was read first is no name's, but may become one's
	cp "$work/first" "$tree/g"
	cp "$work/first" "$tree/h"
	"$reel" backup "$set" -C "$work" tree >/dev/null 2>"$work/err"
	ok "$1: a file like the withdrawn reading" $?
	right "$1, a file like the withdrawn reading" "$set"
	"$reel" ls -lR "$set" >"$work/before"
	rm "$set/catalog.db"
	"$reel" catalog rebuild "$set" >/dev/null 2>"$work/err"
	ok "$1: rebuilt from the indexes" $?
	"$reel" ls -lR "$set" >"$work/after"
	cmp -s "$work/before" "$work/after"
	ok "$1: lists the same" $?

	# its size is known: it is hashed before it is stored
	backup_meanwhile "$set" 40000000 "$change"
	ok "$1: a file that changed while it was compared" $?
	"$reel" backup "$set" -C "$work" tree >/dev/null 2>"$work/err"
	right "$1, changed while it was compared" "$set"

	head -c 70000000 /dev/urandom >"$tree/file"
	backup_meanwhile "$set" 8000000 "$empty"
	ok "$1: a file that was emptied" $?
	[ ! -s "$tree/file" ]
	ok "$1: (it is empty)" $?
	right "$1, emptied" "$set"
}

one_set none
rm "$tree"/*
one_set zstd

# what the archives alone say
set=$work/set-none
"$reel" ls -R "$set" >"$work/before"
python3 - "$set"/volumes/* <<'PY'
import re, sys
for name in sys.argv[1:]:
    with open(name, 'r+b') as f:
        f.seek(-2048, 2)
        text = f.read()
        at = int(re.search(rb'index (\d+) ', text).group(1))
        f.seek(at)
        f.write(b'\xff' * 64)
PY
rm "$set/catalog.db"
"$reel" catalog rebuild "$set" >/dev/null 2>"$work/err"
"$reel" ls -R "$set" >"$work/after" 2>>"$work/err"
cmp -s "$work/before" "$work/after"
ok "made out from the archives: lists the same" $?
rm -rf "$work/back"
"$reel" restore "$set@2" --to "$work/back" >/dev/null 2>"$work/err"
cmp "$work/back/tree/g" "$work/back/tree/h" >>"$work/err" 2>&1 &&
	[ "$(cksum <"$work/back/tree/g")" = "$(cat "$work/sum-none")" ] &&
	[ "$(stat -c %s "$work/back/tree/file")" = 100000006 ]
ok "made out from the archives: contents are right" $?
n=$("$reel" snapshots --json "$set" | head -n 1 |
	sed -n 's/.*"files":\([0-9]*\).*/\1/p')
[ "$n" = 1 ]
ok "made out from the archives: counts one file (${n:-none})" $?

# one that never holds still
rm -rf "$work"/set-*
set=$work/set
"$reel" init "$set" --compress none >/dev/null
head -c 60000000 /dev/urandom >"$tree/file"
MEANWHILE_EACH=1 backup_meanwhile "$set" 8000000 "printf x |
	dd of='$tree/file' bs=1 seek=1000 conv=notrunc status=none"
[ $? = 1 ] && [ "$(grep -c 'tree/file' "$work/err")" = 1 ] &&
	grep -q 'tree/file: changes while it is read; stored as read' \
		"$work/err"
ok "one that never holds still: said once, exit status 1" $?
"$reel" verify "$set" >/dev/null 2>"$work/err"
ok "one that never holds still: verify" $?
"$reel" backup "$set" -C "$work" tree >"$work/out" 2>"$work/err"
ok "and the next backup has it" $?
rm -rf "$work/back"
"$reel" restore "$set" --to "$work/back" >/dev/null 2>"$work/err"
cmp -s "$tree/file" "$work/back/tree/file"
ok "as it is now" $?

echo "$passed passed, $failed failed"
[ $failed = 0 ]
