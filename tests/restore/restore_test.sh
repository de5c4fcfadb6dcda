#!/bin/bash
# Restoring: what goes wrong file by file, interruptions, what is in use,
# shared extents.
#
#     restore_test.sh REEL WORKDIR
#
# What the machine cannot do (mounts, quota, filesystems) is skipped and said.
set -u
LC_ALL=C
export LC_ALL
reel=$(realpath "$1")
work=$2
here=$(cd "$(dirname "$0")" && pwd)
passed=0
failed=0
mounted=
holders=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "restore: FAILED: $1"
		[ ! -s "$work/log" ] || head -n 8 "$work/log"
	fi
	return "$2"
}

skip()
{
	echo "restore: skipped: $1"
}

expect() # NAME, status wanted, COMMAND...: status, output in $work/log
{
	local name=$1 want=$2 rc
	shift 2
	timeout 300 "$@" >"$work/log" 2>&1
	rc=$?
	[ $rc = "$want" ]
	ok "$name: status $rc" $?
}

said() # NAME PATTERN
{
	grep -q -e "$2" "$work/log"
	ok "$1" $?
}

same() # SOURCE TARGET [OPTION...]
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"${@:3}" "$1/" "$2/" >"$work/log" 2>&1 && [ ! -s "$work/log" ]
}

at_end()
{
	local m p
	for p in $holders; do
		kill "$p" 2>/dev/null
	done
	[ ! -f "$work/big/swap" ] || swapoff "$work/big/swap" 2>/dev/null
	for m in $mounted; do
		umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null
	done
	chattr -R -i "$work/big" 2>/dev/null
	rm -rf "$work"
}
trap at_end EXIT

mount_image() # NAME SIZE MKFS OPTIONS...: mounted at $work/NAME
{
	local name=$1 size=$2
	shift 2
	[ "$(id -u)" = 0 ] || return 1
	rm -f "$work/$name.img"
	truncate -s "$size" "$work/$name.img" && mkdir -p "$work/$name" &&
		"$@" "$work/$name.img" >/dev/null 2>&1 &&
		mount -o "loop${options:+,$options}" "$work/$name.img" \
			"$work/$name" 2>/dev/null || return 1
	mounted="$work/$name $mounted"
}

# Files that are not in the target and that the log does not name.
unnamed() # SOURCE TARGET
{
	local name
	find "$1" -type f -printf '%P\n' | while read -r name; do
		cmp -s "$1/$name" "$2/$name" ||
			grep -qF " $name: " "$work/log" || echo "$name"
	done
}

leftovers() # DIR: none
{
	[ -z "$(find "$1" -name '.reel-tmp-*' -print -quit)" ]
}

chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
mkdir -p "$work/src/dir/sub"
chmod 755 "$work"
cd "$work" || exit 2
for n in $(seq 40); do
	head -c $((n * 3000)) /dev/urandom >"src/dir/f$n"
	cp "src/dir/f$n" "src/dir/sub/copy$n"
done
head -c 3000000 /dev/urandom >src/large
cp src/large src/large2
head -c 200000 /dev/zero | tr '\0' x >src/text
ln src/dir/f1 src/dir/sub/linked
ln -s dir/f2 src/symlink
setfattr -n user.word -v thing src/text 2>/dev/null
touch -d 2020-01-01 src/large* src/dir/* src/dir/sub/*
"$reel" init set >/dev/null && "$reel" backup set -C src . >/dev/null
ok "a set" $?

# ---- options, the report ----

expect "restore" 0 "$reel" restore set --to out --verify
same src out
ok "is the same" $?
expect "again" 0 "$reel" restore set --to out
said "nothing is written" "^restored: 0 files"
touch out/extra out/dir/extra
mkdir out/dir/full && touch out/dir/full/x
echo longer >>out/text
expect "dry run" 0 "$reel" restore set --to out --delete -n
said "says what is changed" "^changed *text$"
said "and extra" "^extra *dir/full/x$"
[ -e out/extra ]
ok "and does nothing" $?
expect "json" 0 "$reel" restore set --to out --delete -n --json
python3 -c 'import json, sys
names = [json.loads(l) for l in sys.stdin]
assert {"action": "extra", "path": "dir/full"} in names
assert names[-1]["extra"] == 4, names[-1]' <"$work/log"
ok "json is right" $?
expect "--delete" 0 "$reel" restore set --to out --delete --report report
same src out
ok "--delete: is the same" $?
[ "$(grep -c '"extra"' report)" = 5 ] # four and the sums
ok "the report names them" $?
touch out/dir/extra out/extra
expect "--delete in one path" 0 "$reel" restore set dir --to out --delete
[ -e out/extra ] && [ ! -e out/dir/extra ]
ok "leaves what is outside it" $?
rm out/extra
printf '%s\n' 'preserve /text' 'nonsense' >bad
expect "rules with a mistake" 2 "$reel" restore set --to out --rules bad
said "name the line" "bad:2: nonsense"
expect "misuse" 2 "$reel" restore set --to out --overwrite sometimes

rm -rf out && mkdir out
expect "--hard-link-duplicates" 0 "$reel" restore set --to out \
	--hard-link-duplicates
[ out/large -ef out/large2 ]
ok "makes equal files one" $?
[ out/dir/f5 -ef out/dir/sub/copy5 ] && [ ! out/dir/f5 -ef out/dir/f6 ]
ok "and only these" $?
expect "again" 0 "$reel" restore set --to out --hard-link-duplicates
said "they stay" "^restored: 0 files"
expect "without it" 0 "$reel" restore set --to out
same src out
ok "they are parted again" $?

# Copies that several threads meet at once, some written just before the backup.
mkdir -p copies/a copies/b copies/c
for n in $(seq 40); do
	head -c $((n * 7000)) /dev/urandom >"copies/a/f$n"
	cp "copies/a/f$n" copies/b/
	cp "copies/a/f$n" "copies/c/g$n"
done
touch -d 2020-01-01 copies/*/*
"$reel" init copyset >/dev/null && "$reel" backup copyset -C copies . >/dev/null
for n in $(seq 20); do
	rm -rf out
	"$reel" restore copyset --to out --hard-link-duplicates >log 2>&1
	[ -z "$(find out -type f ! -links 3)" ] || break
done
[ "$n" = 20 ]
ok "no copy is missed in 20 runs" $?

# ---- hard links under rules ----

rm -rf out && mkdir -p out/dir
echo mine >out/dir/f1
echo 'merge /dir/f1' >merge
expect "the first name of two is kept" 0 "$reel" restore set --to out \
	--rules merge
[ "$(cat out/dir/f1)" = mine ] && cmp -s src/dir/f1 out/dir/sub/linked
ok "the other has the content" $?
rm -rf out && mkdir -p out/dir/sub
echo mine >out/dir/sub/linked
echo 'merge /dir/sub/linked' >merge
expect "the second name is kept" 0 "$reel" restore set --to out --rules merge
[ "$(cat out/dir/sub/linked)" = mine ] && cmp -s src/dir/f1 out/dir/f1
ok "the first has the content" $?
rm -rf out
echo 'delay /dir' >delay
expect "both are delayed" 0 "$reel" restore set --to out --rules delay
[ ! -e out/dir ]
ok "nothing is there yet" $?
expect "and carried out" 0 "$reel" delayed run --root out
rsync -rlHn --checksum --delete --itemize-changes --exclude /var src/ out/ \
	>log 2>&1
[ ! -s log ] && [ out/dir/f1 -ef out/dir/sub/linked ]
ok "are the same, and linked" $?

# ---- interrupted ----

rm -rf out
for n in $(seq 12); do
	"$reel" restore set --to out >/dev/null 2>&1 &
	pid=$!
	sleep "0.00$((RANDOM % 10))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ $((n % 4)) != 0 ] || rm -rf out
done
expect "after kill -9, --overwrite never" 0 "$reel" restore set --to out \
	--overwrite never
same src out
ok "nothing unfinished is taken for kept" $?
"$reel" backup set -C src dir --reread >/dev/null
for n in $(seq 40); do
	echo changed >>"out/dir/f$n"
done
cat >killer.py <<'EOF'
# Stops a restore while it writes beside what is there.
import glob, os, signal, subprocess, sys, time
for n in range(400):
    p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    while p.poll() is None:
        if glob.glob("out/dir/.reel-tmp-*"):
            p.kill()
            p.wait()
            if glob.glob("out/dir/.reel-tmp-*"):
                sys.exit(0)
    for k in range(1, 41):
        with open(f"out/dir/f{k}", "a") as f:
            f.write("more")
sys.exit(1)
EOF
python3 killer.py "$reel" restore set --to out
ok "a temporary file was left" $?
touch out/dir/.reel-tmp-00000000-00000000 # somebody's own
expect "the next run" 0 "$reel" restore set --to out
[ "$(find out -name '.reel-tmp-*' | wc -l)" = 1 ] &&
	[ -e out/dir/.reel-tmp-00000000-00000000 ]
ok "removes it, and nobody else's" $?
rm out/dir/.reel-tmp-00000000-00000000
touch -r src/dir out/dir
same src out
ok "and completes" $?

# ---- a system ----

mkdir -p sys/etc sys/home
echo ID=test >sys/etc/os-release
echo x >sys/home/x
"$reel" init sysset >/dev/null && "$reel" backup sysset -C sys . >/dev/null
expect "a system" 0 "$reel" restore sysset --to root
id=$(cat root/var/lib/reel/last-restore-id)
[ ${#id} = 36 ]
ok "has an id of its restore" $?
expect "nothing of it changed" 0 "$reel" restore sysset --to root
[ "$id" = "$(cat root/var/lib/reel/last-restore-id)" ]
ok "the id stays" $?
echo y >root/home/x
expect "no system file changed" 0 "$reel" restore sysset --to root
[ "$id" = "$(cat root/var/lib/reel/last-restore-id)" ]
ok "the id stays" $?
echo y >root/etc/os-release
expect "a system file changed" 0 "$reel" restore sysset --to root
[ "$id" != "$(cat root/var/lib/reel/last-restore-id)" ]
ok "the id is another" $?
[ ! -e out/var ]
ok "other targets have none" $?

# ---- in use ----

busy() # NAME WHY
{
	grep -q "^delayed *$1  ($2: delay busy" "$work/log"
	ok "busy: $1 $2" $?
}

try_busy()
{
	local names="run lib written free reader"
	mkdir use
	for n in $names; do
		cp /bin/sleep "use/$n"
	done
	for n in immutable swap mountpoint loop; do
		head -c 2000000 /dev/urandom >"use/$n"
	done
	"$reel" init useset >/dev/null &&
		"$reel" backup useset -C use . >/dev/null
	options= mount_image big 64M mkfs.ext4 -q || {
		skip "files in use: nothing can be mounted"
		return
	}
	cp use/* big/
	touch big/*
	big/run 300 &
	holders="$holders $!"
	python3 -c 'import mmap, os, time
f = os.open("big/lib", os.O_RDONLY)
m = mmap.mmap(f, 0, prot=mmap.PROT_READ)
os.close(f)
time.sleep(300)' &
	holders="$holders $!"
	for n in $(seq 100); do # python takes its time on a busy machine
		grep -q big/lib "/proc/$!/maps" && break
		sleep 0.1
	done
	sleep 300 >>big/written &
	holders="$holders $!"
	sleep 300 <big/reader &
	holders="$holders $!"
	chattr +i big/immutable
	dd if=/dev/zero of=big/swap bs=1M count=2 status=none
	chmod 600 big/swap
	mkswap big/swap >/dev/null 2>&1 && swapon big/swap 2>/dev/null ||
		skip "a swap file"
	mount --bind big/free big/mountpoint && mounted="$work/big/mountpoint $mounted"
	loop=$(losetup -f --show big/loop 2>/dev/null) || skip "a loop device"
	sleep 0.5
	echo 'delay busy' >busyrules
	expect "busy" 0 "$reel" restore useset --to big --rules busyrules
	busy run "is running"
	busy lib "is mapped by a program"
	busy written "is open for writing"
	busy immutable "is immutable"
	busy mountpoint "is a mount point"
	! grep -q 'big/swap' /proc/swaps || busy swap "is swapped to"
	[ -z "$loop" ] || busy loop "is behind a loop device"
	! grep -q "^delayed *\(free\|reader\)" log
	ok "what is not in use is restored" $?
	cmp -s use/reader big/reader
	ok "at once" $?
	! cmp -s use/swap big/swap
	ok "what is stays as it is" $?
	[ -z "$loop" ] || losetup -d "$loop"
	swapoff big/swap 2>/dev/null
	umount big/mountpoint
	expect "at the next boot" 0 "$reel" delayed run --root big
	for n in $names swap mountpoint immutable; do
		cmp -s "use/$n" "big/$n"
		ok "delayed: $n" $?
	done
	chattr -i big/immutable
}
try_busy

# Something in use where the snapshot has another type.
try_busy_types()
{
	local p
	mkdir -p types/file-to-directory/sub
	echo 1 >types/file-to-directory/a
	echo 2 >types/file-to-directory/sub/b
	echo 3 >types/directory-to-file
	"$reel" init typeset >/dev/null &&
		"$reel" backup typeset -C types . >/dev/null
	options= mount_image busytypes 32M mkfs.ext4 -q || {
		skip "types in use: nothing can be mounted"
		return
	}
	rmdir busytypes/lost+found
	mkdir -p busytypes/directory-to-file/deep busytypes/extra/deep
	touch busytypes/directory-to-file/idle busytypes/extra/idle
	for p in file-to-directory directory-to-file/deep/run extra/deep/run; do
		cp /bin/sleep "busytypes/$p"
		"busytypes/$p" 300 &
		holders="$holders $!"
	done
	sleep 0.3
	expect "dry run with types in use" 0 "$reel" restore typeset \
		--to busytypes --rules busyrules --delete -n
	said "the file is delayed" "^delayed *directory-to-file  (something"
	said "what is in the directory, too" "^delayed *file-to-directory/sub/b "
	[ -e busytypes/directory-to-file/idle ] && [ -e busytypes/extra/idle ]
	ok "a dry run removes nothing" $?
	expect "types in use" 0 "$reel" restore typeset --to busytypes \
		--rules busyrules --delete
	said "a directory that is emptied later" "^delayed *extra "
	[ ! -e busytypes/extra/idle ]
	ok "what is not in use goes at once" $?
	cmp -s /bin/sleep busytypes/file-to-directory &&
		cmp -s /bin/sleep busytypes/directory-to-file/deep/run
	ok "what is in use stays as it is" $?
	expect "types at the next boot" 0 "$reel" delayed run --root busytypes
	same types busytypes --exclude=/var
	ok "are as in the snapshot" $?
}
try_busy_types

# ---- trouble, file by file ----

try_full()
{
	options= mount_image full 20M mkfs.ext4 -q -O ^has_journal || {
		skip "a full target: nothing can be mounted"
		return
	}
	head -c 11000000 /dev/zero >full/filler
	chmod 000 full/filler
	expect "a full target" 1 "$reel" restore set --to full
	said "names the file" ": not restored: No space left"
	[ -z "$(unnamed src full)" ]
	ok "each is there or is named" $?
	[ "$(find full/dir -name 'f*' | wc -l)" -gt 3 ]
	ok "the rest is there" $?
	leftovers full
	ok "and nothing half" $?
	rm full/filler
	expect "with room" 0 "$reel" restore set --to full
	same src full --exclude=lost+found
	ok "it goes on" $?
	echo x >>full/text
	mount -o remount,ro full
	expect "a read-only target" 1 "$reel" restore set --to full
	said "names the file" "text: not restored: Read-only"
}
try_full

try_quota() # NAME MKFS...
{
	local fs=$1 limits
	shift
	options=prjquota mount_image "$fs" 320M "$@" || {
		skip "$fs: nothing can be mounted with it"
		return
	}
	mkdir "$fs/p"
	limits="xfs_quota -f -x -D /dev/null -P /dev/null -c"
	$limits "project -s -p $work/$fs/p 7" -c 'limit -p bhard=4m 7' \
		"$fs" >log 2>&1 || {
		skip "$fs: cannot be set"
		return
	}
	# what ext4 would let root write besides
	expect "$fs" 1 setpriv --bounding-set -sys_resource \
		"$reel" restore set --to "$fs/p"
	said "names the file" "not restored: "
	[ -z "$(unnamed src "$fs/p")" ]
	ok "each is there or is named" $?
	[ "$(find "$fs/p/dir" -name 'f*' | wc -l)" -gt 3 ]
	ok "some are there" $?
	leftovers "$fs"
	ok "and nothing half" $?
	$limits 'limit -p bhard=0 7' "$fs" >log 2>&1
	expect "$fs: with more" 0 setpriv --bounding-set -sys_resource \
		"$reel" restore set --to "$fs/p"
	same src "$fs/p"
	ok "it goes on" $?
}
if command -v xfs_quota >/dev/null; then
	try_quota xfs-quota mkfs.xfs -q
	try_quota ext4-quota mkfs.ext4 -q -O quota,project \
		-E quotatype=prjquota
else
	skip "quotas"
fi

try_poor()
{
	[ "$(id -u)" = 0 ] && mkdir -p poor &&
		mount -t ramfs none poor 2>/dev/null || {
		skip "a filesystem without xattrs"
		return
	}
	mounted="$work/poor $mounted"
	expect "no xattrs" 1 "$reel" restore set --to poor/out
	said "names file and attribute" "text: attribute user.word cannot be set"
	cmp -s src/text poor/out/text
	ok "the file is there" $?
}
getfattr -n user.word src/text >/dev/null 2>&1 && try_poor ||
	skip "a filesystem without xattrs"

try_names()
{
	options= mount_image names 8M mkfs.ext4 -q -O casefold \
		-E encoding=utf8,encoding_flags=strict &&
		mkdir names/out && chattr +F names/out 2>/dev/null || {
		skip "names that cannot be: no casefold here"
		return
	}
	mkdir odd
	echo a >"$(printf 'odd/\377bad')"
	echo b >odd/good
	"$reel" init oddset >/dev/null && "$reel" backup oddset -C odd . >/dev/null
	expect "names the target cannot hold" 1 "$reel" restore oddset \
		--to names/out
	said "are named" "$(printf '\377bad'): not restored: "
	cmp -s odd/good names/out/good
	ok "the rest is there" $?
}
try_names

try_ids()
{
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || {
		skip "an ordinary user: needs root and setpriv"
		return
	}
	chmod -R a+rX set && mkdir user && chown 65534:65534 user
	chmod a+r set/set.conf
	expect "an ordinary user" 1 setpriv --reuid 65534 --regid 65534 \
		--clear-groups "$reel" restore set --to user/out
	said "says whose owner" "owner cannot be set"
	rsync -rlptn --checksum --delete --itemize-changes src/ user/out/ >log
	[ ! -s log ]
	ok "has all the rest" $?
	expect "again" 1 setpriv --reuid 65534 --regid 65534 \
		--clear-groups "$reel" restore set --to user/out
	said "writes nothing" "^restored: 0 files"
}
try_ids

# ---- shared extents ----

shared_kib() # DIR: of extents that are shared
{
	find "$1" -type f -exec filefrag -v {} + 2>/dev/null |
		awk '/shared/ {gsub(/[.:]/, " "); kib += $6 * 4} END {print kib + 0}'
}

try_shared() # NAME MKFS...
{
	local fs=$1
	shift
	options= mount_image "$fs" 512M "$@" || {
		skip "$fs: cannot be mounted"
		return
	}
	expect "$fs: restore" 0 "$reel" restore set --to "$fs/out"
	said "says what is shared" "files shared, not written"
	same src "$fs/out"
	ok "$fs: is the same" $?
	sync "$fs/out/large2"
	filefrag -v "$fs/out/large2" | grep -q shared
	ok "$fs: FIEMAP shows shared extents" $?
	touch "$fs/out/large"
	printf x | dd of="$fs/out/large2" bs=1 seek=1000000 conv=notrunc \
		status=none
	expect "$fs: a changed byte" 0 "$reel" restore set --to "$fs/out"
	said "only that is written" "files shared, not written"
	same src "$fs/out"
	ok "$fs: is the same again" $?
	sync "$fs/out/large"
	filefrag -v "$fs/out/large" | grep -q shared
	ok "$fs: and still shares" $?
}
command -v filefrag >/dev/null && {
	try_shared xfs mkfs.xfs -q
	try_shared btrfs mkfs.btrfs -q
}

cd / || exit 2
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
