#!/bin/bash
# Single instance: a thousand copies are stored once and stay files of their
# own; contents that only share their hash are both kept; savings are told.
#
#     instance_test.sh REEL COLLIDING-REEL WORKDIR
#
# COLLIDING-REEL is built so that all contents of a size have one hash.
set -u
LC_ALL=C
reel=$(realpath "$1")
collide=$(realpath "$2")
work=$3
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "instance: FAILED: $1"
	fi
	return "$2"
}

same()
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	[ ! -s "$work/differences" ] || {
		head -n 5 "$work/differences"
		return 1
	}
}

rm -rf "$work"
mkdir -p "$work/tree"
work=$(realpath "$work")
set=$work/set
"$reel" init "$set" --compress none >/dev/null

# a thousand copies of a MiB over three sessions
head -c 1048576 /dev/urandom >"$work/one"
for session in 1 2 3; do
	mkdir "$work/tree/d$session"
	for n in $(seq 334); do
		f=$work/tree/d$session/f$n
		cp "$work/one" "$f"
		chmod $((600 + n % 8)) "$f"
		touch -d "@$((1600000000 + n)).$n" "$f"
		[ "$(id -u)" != 0 ] || chown $((1000 + n)) "$f"
		setfattr -n user.n -v "$n" "$f" 2>/dev/null
	done
	"$reel" backup "$set" -C "$work/tree" . >"$work/log" 2>&1
	ok "copies: session $session" $? || cat "$work/log"
done
stored=$(du -sb "$set/volumes" | cut -f 1)
[ "$stored" -lt 8000000 ]
ok "1,002 copies of 1 MiB take $stored bytes" $?
"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
same "$work/tree" "$work/out"
ok "each with its own metadata" $?
[ "$(find "$work/out" -type f -links 1 | wc -l)" = 1002 ]
ok "each a file of its own" $?
rm -rf "$work/out"
dash "$(dirname "$0")/../../tape/recover.sh" "$set/volumes" "$work/out" \
	2>"$work/log"
same "$work/tree" "$work/out"
ok "also from the recipe" $? || cat "$work/log"
[ "$(find "$work/out" -type f -links 1 | wc -l)" = 1002 ]
ok "each a file of its own there" $?
rm -rf "$work/out"
echo changed >"$work/tree/d2/f7"
"$reel" backup "$set" -C "$work/tree" . >"$work/log" 2>&1
"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
same "$work/tree" "$work/out"
ok "changing one changes no other" $?
rm -rf "$work/out" "$set"
"$reel" verify "$set" >/dev/null 2>&1

# one size, one hash, many contents: small and large, now and later
"$collide" init "$set" --compress zstd >/dev/null
rm -rf "$work/tree"
mkdir "$work/tree"
for n in $(seq 20); do
	head -c 5000 /dev/urandom >"$work/tree/small$n"
	cp "$work/tree/small$n" "$work/tree/again$n"
	head -c 700000 /dev/urandom >"$work/tree/large$n"
done
cp "$work/tree/large7" "$work/tree/large copy"
"$collide" backup "$set" -C "$work/tree" . >"$work/log" 2>&1
ok "colliding hashes: first session" $? || cat "$work/log"
for n in 1 2 3; do
	head -c 5000 /dev/urandom >"$work/tree/new small$n"
	head -c 700000 /dev/urandom >"$work/tree/new large$n"
	cp "$work/tree/small$n" "$work/tree/later$n"
	cp "$work/tree/large$n" "$work/tree/later large$n"
done
"$collide" backup "$set" -C "$work/tree" . >"$work/log" 2>&1
ok "colliding hashes: second session" $? || cat "$work/log"
"$collide" restore "$set" --to "$work/out" >"$work/log" 2>&1
same "$work/tree" "$work/out"
ok "all are kept" $?
stored=$(du -sb "$set/volumes" | cut -f 1)
[ "$stored" -lt 17500000 ]
ok "and their copies single-instanced ($stored bytes)" $?
"$collide" verify "$set" >"$work/log" 2>&1
ok "verify" $? || cat "$work/log"
rm -rf "$work/out" "$set"

# A copy with two names, and a path that becomes a symlink while it has one
# more name: who counts links by the archive alone may count too many.
linked()
{
	[ "$2" != 1 ] || {
		head -c 9000 /dev/urandom >"$1/one"
		cp "$1/one" "$1/two"
		chmod 600 "$1/two"
		ln "$1/two" "$1/two too"
		head -c 9000 /dev/urandom >"$1/three"
	}
	[ "$2" != 2 ] || {
		mv "$1/three" "$1/has moved"
		ln -s x "$1/three"
	}
}

# What an archive tells of a snapshot: all but numbers of the source, and
# sizes and link counts of directories.
told()
{
	"$reel" ls -R --json "$set@$1" | python3 -c '
import json, sys
for line in sys.stdin:
    entry = json.loads(line)
    if entry["type"] == "directory":
        entry["size"] = entry["links"] = 0
    entry["inode"] = 0
    print(entry)'
	"$reel" info "$set@$1" | grep -E '^ *(files  |directories|logical)'
}

# hash and shape from the archive alone
"$reel" init "$set" --compress none >/dev/null
for n in 1 2 3; do
	python3 "$(dirname "$0")/../tree/make.py" "$work/hard" $n --tame
	linked "$work/hard" $n
	"$reel" backup "$set" -C "$work/hard" . >/dev/null 2>&1
	told $n >"$work/told$n"
done
"$reel" ls -R "$set" >"$work/before"
for v in "$set"/volumes/*; do
	python3 - "$v" <<'END'
import sys
path = sys.argv[1]
with open(path, "r+b") as f:
    data = f.read()
    at = data.rfind(b"/index.zst\0")
    at = (at // 512 + 1) * 512 + 600
    f.seek(at)
    f.write(bytes(255 - b for b in data[at:at + 64]))
END
done
rm "$set/catalog.db"
"$reel" catalog rebuild "$set" >"$work/log" 2>&1
rc=$?
[ $rc = 0 ] || [ $rc = 5 ]
ok "rebuild from archives alone ends with $rc" $? || cat "$work/log"
grep -q "reading its archive" "$work/log"
ok "and says so" $?
"$reel" ls -R "$set" >"$work/after"
cmp -s "$work/before" "$work/after"
ok "ls -R is as before" $? || diff "$work/before" "$work/after" | head -n 5
for n in 1 2 3; do
	told $n >"$work/after"
	cmp -s "$work/told$n" "$work/after"
	ok "session $n: counts and metadata are as before" $? ||
		diff "$work/told$n" "$work/after" | head -n 5
done
"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
same "$work/hard" "$work/out"
ok "and so is what it restores" $?
chmod -R u+rwX "$work"
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
