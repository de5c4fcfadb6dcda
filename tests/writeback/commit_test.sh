#!/bin/bash
# Commits of trees that were turned about: the snapshot is current/, and so is
# what the recipe makes of the volumes; the catalogue can be made anew.
#
#     commit_test.sh REEL WORKDIR
set -u
reel=$(realpath "$1")
work=$2
family=commit
. "$(dirname "$0")/current.sh"

same() # A B
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	[ ! -s "$work/differences" ] || {
		head -n 12 "$work/differences"
		return 1
	}
}

commit()
{
	"$reel" commit "$mnt" >"$work/said" 2>&1
}

exchange() # A B
{
	python3 - "$1" "$2" <<'END'
import ctypes, os, sys
a, b = (os.fsencode(p) for p in sys.argv[1:])
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, a, -100, b, 2):
    sys.exit(os.strerror(ctypes.get_errno()))
END
}

answers()
{
	"$reel" ls -R --json "$set"
	"$reel" find "$set" --all
	"$reel" history "$set" q/sub/f1
	"$reel" info "$set"
}

begin
"$reel" init "$set" --compress none >/dev/null
mkdir -p "$work/seed"
echo 0 >"$work/seed/zero"
setfattr -n user.first -v 1 "$work/seed/zero"
"$reel" backup "$set" -C "$work/seed" . >/dev/null
"$reel" mount "$set" "$mnt"

# a tree of two hundred files, some alike, one of them large
mkdir -p "$now/p/sub" "$now/g"
for n in $(seq 200); do
	seq $((n % 50)) $((n % 50 + 400)) >"$now/p/sub/f$n"
done
head -c 300000 /dev/urandom >"$now/g/big"
cp "$now/g/big" "$now/p/big too"
try "a tree is committed" commit
mv "$now/p" "$now/q"
mkdir "$now/p"
mv "$now/g" "$now/p/"
ln "$now/q/sub/f1" "$now/hard"
try "renamed directories are committed" commit
size=$(stat -c %s "$set/volumes/000003.tar")
[ "$size" -lt 400000 ] # 600,000 are one file and its copy
ok "a renamed tree is not stored again ($size bytes)" $?
exchange "$now/p" "$now/q"
rm -r "$now/q/g"
echo file >"$now/q.new"
mv "$now/q.new" "$now/p/sub/f2"
try "exchanged directories are committed" commit
rm -r "$now/q"
echo file >"$now/q"
commit
rm "$now/q"
mkdir "$now/q"
mv "$now/p"/* "$now/q/"
setfattr -n user.x -v y "$now/q"
chmod 711 "$now/p"
try "a directory that was a file meanwhile is committed" commit
truncate -s 100 "$now/q/big too"
mv "$now/q/sub/f7" "$now/f7"
commit
try "the snapshot is what was there" same "$now" "$mnt/snapshots/latest"
mkdir "$work/x"
tar -xf "$set/volumes/000001.tar" -C "$work/x"
sh "$work"/x/.reel-*/recover.sh "$set/volumes" "$work/recovered" >/dev/null
try "the recipe makes the same of the volumes" same "$now" "$work/recovered"

# killed between the last rename and what the spool notes of it: the old spool
# is put back under a set that has the commit
mkdir -p "$now/d/e"
echo new >"$now/d/e/f"
ln -s f "$now/d/e/l"
mkfifo "$now/d/p"
"$reel" umount --no-commit "$mnt"
cp -a "$set/spool" "$work/spool"
"$reel" commit "$set" >/dev/null
rm -rf "$set/spool"
mv "$work/spool" "$set/spool"
"$reel" commit "$set" >"$work/said" 2>&1
grep -q "nothing to commit" "$work/said"
ok "a commit that the spool did not hear of is not made twice" $?

answers >"$work/before"
rm -f "$set"/catalog.db*
"$reel" catalog rebuild "$set" >/dev/null 2>&1
answers >"$work/after"
try "a rebuilt catalogue answers the same" cmp "$work/before" "$work/after"
try "everything can be read back" "$reel" verify "$set"

# the archives alone: no catalogue, and no index that can be read
"$reel" ls -R "$set" >"$work/before"
"$reel" restore "$set" --to "$work/out" >/dev/null
for volume in "$set"/volumes/*; do
	python3 - "$volume" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    at = (data.rfind(b"/index.zst\0") // 512 + 1) * 512 + 600
    f.seek(at)
    f.write(bytes(255 - b for b in data[at:at + 64]))
END
done
rm -f "$set"/catalog.db*
"$reel" catalog rebuild "$set" >"$work/said" 2>&1
"$reel" ls -R "$set" >"$work/after"
try "the archives alone name the same" cmp "$work/before" "$work/after"
"$reel" restore "$set" --to "$work/again" >"$work/said" 2>&1
try "and give the same back" same "$work/out" "$work/again"
# current/ alone, as an ordinary user has it
"$reel" mount "$set" "$mnt" -o current
echo alone >"$mnt/alone"
try "current/ alone is committed" commit
echo more >>"$mnt/alone"
try "and when it is unmounted" "$reel" umount "$mnt"
"$reel" restore "$set" --to "$work/last" >/dev/null 2>&1
[ "$(cat "$work/last/alone")" = "$(printf 'alone\nmore')" ]
ok "as it was" $?
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
