#!/bin/bash
# Two files of the snapshot that are one name to the target (FILE and file,
# name. and name): neither may be written over the other in silence. And what
# the target cannot take: each is said, the rest is restored.
#
#     two_names_one_file_test.sh REEL FOLDFS WORKDIR
#
# FOLDFS is a filesystem for this test; vfat, ext4 with casefold and ntfs are
# tried besides where they can be mounted.
set -u
LC_ALL=C
export LC_ALL
reel=$(realpath "$1")
foldfs=$(realpath "$2")
work=$3
passed=0
failed=0
mounted=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "two names: FAILED: $1"
		[ ! -s "$work/log" ] || head -n 8 "$work/log"
	fi
	return "$2"
}

expect() # NAME, status wanted, COMMAND...: status, output in $work/log
{
	local name=$1 want=$2 rc
	shift 2
	timeout 120 "$@" >"$work/log" 2>&1
	rc=$?
	[ $rc = "$want" ]
	ok "$name: status $rc" $?
}

said() # NAME PATTERN: in one line
{
	[ "$(grep -c -e "$2" "$work/log")" = 1 ]
	ok "$1" $?
}

at_end()
{
	local m
	cd /
	for m in $mounted; do
		umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null
	done
	rm -rf "$work"
}
trap at_end EXIT

rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 2
mkdir -p src/Pair src/pair src/deep/er
echo upper >src/FILE
echo lower >src/file
echo equal >src/EQUAL
echo equal >src/equal # the same size, the same time
echo plain >src/name
echo dot >src/name.
echo 1 >src/Pair/same
echo 2 >src/pair/same
echo 3 >src/pair/other
ln src/deep/er/../../name src/deep/er/LINK
ln src/name src/deep/er/link
echo b >src/deep/er/b
find src -exec touch -h -d 2020-01-02 {} +
"$reel" init set >/dev/null && "$reel" backup set -C src . >/dev/null
ok "a set" $?
mkdir one && echo lower >one/file
"$reel" init oneset >/dev/null && "$reel" backup oneset -C one . >/dev/null
ok "a set of one file" $?
echo c >one/c:d && echo e >one/e
"$reel" init colon >/dev/null && "$reel" backup colon -C one . >/dev/null
ok "a set with a colon" $?

has() # FILE TEXT
{
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
	ok "$1 is $2" $?
}

# Each of the pairs: one is there whole, the other is said, both by name.
pairs_are_told() # DIR DOTS
{
	has "$1/FILE" upper
	said "file, and whose it is" " file: not .* that of FILE"
	said "equal, even if it is equal" " equal: not .* that of EQUAL"
	has "$1/Pair/same" 1
	[ ! -e "$1/Pair/other" ]
	ok "directories are not mixed" $?
	said "pair" " pair: not .* that of Pair"
	said "what is below it" " pair: nor was .*names: 2"
	said "link" "er/link: not .* that of deep/er/LINK"
	has "$1/deep/er/b" b
	[ "$2" = 0 ] || said "name." " name\.: not .* that of name,"
	has "$1/name" plain
	[ -z "$(find "$1" -name '.reel-tmp-*' -print -quit)" ]
	ok "nothing half" $?
}

try_target() # NAME DIR DOTS: an empty directory that folds names
{
	local name=$1 dir=$2 dots=$3 n
	expect "$name: a new directory" 1 "$reel" restore set --to "$dir/new" \
		--report report
	pairs_are_told "$dir/new" "$dots"
	grep -q '"failed".*"pair/other"' report
	ok "the report has each" $?
	expect "$name: again" 1 "$reel" restore set --to "$dir/new"
	pairs_are_told "$dir/new" "$dots"
	expect "$name: again, --delete" 1 "$reel" restore set --to "$dir/new" \
		--delete
	pairs_are_told "$dir/new" "$dots"
	mkdir "$dir/old"
	for n in $(seq 20); do
		rm -rf "$dir/old"/*
		"$reel" restore set --to "$dir/old" >log 2>&1
		grep -q upper "$dir/old/FILE" &&
			[ "$(grep -c 'not restored' log)" = $((4 + dots)) ] ||
			break
	done
	[ "$n" = 20 ]
	ok "$name: a directory that was there, 20 times" $?
	pairs_are_told "$dir/old" "$dots"
	expect "$name: by name" 1 "$reel" restore set FILE file \
		--to "$dir/named"
	has "$dir/named/FILE" upper
	said "the other is told" " file: not .*FILE"
	mkdir "$dir/mine" && echo mine >"$dir/mine/FILE" &&
		echo extra >"$dir/mine/extra"
	expect "$name: one file over its other name" 0 "$reel" restore \
		oneset --to "$dir/mine" --delete
	has "$dir/mine/file" lower
	[ ! -e "$dir/mine/extra" ]
	ok "$name: and what is extra is gone" $?
	echo mine >"$dir/mine/FILE"
	echo 'merge /file' >rules
	expect "$name: a rule keeps it" 0 "$reel" restore oneset \
		--to "$dir/mine" --rules rules
	has "$dir/mine/file" mine
}

# Staged for the next boot, where only then a name turns out to be another's.
staged_is_kept() # TARGET TEXT: what waits, and what was staged for it
{
	"$reel" delayed list --root "$1" >log 2>&1 &&
		grep -qr --include='*' -x -e "$2" "$1/var/lib/reel/delayed/files"
	ok "$2 is kept where it was staged" $?
}

try_delayed() # NAME DIR: an empty directory that folds names
{
	local name=$1 dir=$2 t
	echo 'delay *' >rules
	t=$dir/both
	mkdir "$t"
	expect "$name: both staged" 1 "$reel" restore set --to "$t" \
		--rules rules
	said "that file will be refused is told at once" \
		" file: delayed, but will be refused .* that of FILE"
	said "and pair" " pair: delayed, but will be refused .* that of Pair"
	for n in 1 2; do
		expect "$name: boot $n" 1 "$reel" delayed run --root "$t"
		said "file is told" " file: move failed: the name is taken"
		said "pair is told" " pair: move failed: the name is taken"
		said "and below it" " pair/same: move failed: the name is taken"
		has "$t/FILE" upper
		has "$t/EQUAL" equal
		has "$t/Pair/same" 1
		has "$t/deep/er/b" b
		[ ! -e "$t/Pair/other" ]
		ok "directories are not mixed" $?
		staged_is_kept "$t" lower
		staged_is_kept "$t" 2
		staged_is_kept "$t" 3
	done
	expect "$name: a dry run tells" 1 "$reel" delayed run --root "$t" \
		--dry-run
	said "file would fail" " file: move would fail: the name is taken"
	said "below it, too" " pair/same: move would fail: the name is taken"
	rm "$t/FILE"
	expect "$name: the name is free" 1 "$reel" delayed run --root "$t"
	has "$t/file" lower
	t=$dir/first
	mkdir "$t" && echo 'delay /FILE' >rules
	expect "$name: FILE is staged, file is not" 1 "$reel" restore set \
		FILE file --to "$t" --rules rules
	expect "$name: boot" 1 "$reel" delayed run --root "$t"
	said "FILE is told" " FILE: move failed: the name is taken"
	has "$t/file" lower
	staged_is_kept "$t" upper
	# When it is told hangs on which of the threads is first.
	t=$dir/second
	mkdir "$t" && echo 'delay /file' >rules
	for n in $(seq 10); do
		rm -rf "$t"/*
		"$reel" restore set FILE file FILE --to "$t" --rules rules \
			>log 2>&1
		"$reel" delayed run --root "$t" >>log 2>&1
		grep -qx upper "$t/FILE" &&
			grep -q 'reel: .*file: ' log &&
			! grep -q 'reel: .*FILE: ' log || break
	done
	[ "$n" = 10 ]
	ok "$name: file is staged, FILE is not, 10 times" $?
	t=$dir/kept
	mkdir "$t"
	echo 'delay /file' >rules
	"$reel" restore oneset --to "$t" --rules rules >log 2>&1
	echo mine >"$t/FILE"
	expect "$name: one came meanwhile" 1 "$reel" delayed run --root "$t"
	has "$t/FILE" mine
	staged_is_kept "$t" lower
	t=$dir/over
	mkdir "$t" && echo mine >"$t/FILE"
	expect "$name: staged over its other name" 0 "$reel" restore oneset \
		--to "$t" --rules rules
	has "$t/FILE" mine
	expect "$name: goes there" 0 "$reel" delayed run --root "$t"
	has "$t/file" lower
}

mount_image() # NAME OPTIONS MKFS...: mounted at ./NAME
{
	local name=$1 options=$2
	shift 2
	[ "$(id -u)" = 0 ] && truncate -s 64M "$name.img" && mkdir -p "$name" &&
		"$@" "$name.img" >/dev/null 2>&1 &&
		mount -o "loop$options" "$name.img" "$name" 2>/dev/null || {
		echo "two names: skipped: $name cannot be mounted"
		return 1
	}
	mounted="$work/$name $mounted"
}

try_vfat()
{
	mount_image vfat ,utf8 mkfs.vfat || return
	mkdir vfat/t
	# No owners, modes or links there: the pairs alone make it 1.
	try_target vfat vfat/t 1
	# 1: what were links there are files of their own
	mkdir vfat/d && try_delayed vfat vfat/d
	expect "vfat: a name it cannot hold" 1 "$reel" restore colon \
		--to vfat/c
	said "is told" "c:d: not restored: Invalid"
	has vfat/c/e e
}

try_casefold()
{
	mount_image casefold "" mkfs.ext4 -q -O casefold &&
		mkdir casefold/t && chattr +F casefold/t || return
	try_target casefold casefold/t 0
	mkdir casefold/d && chattr +F casefold/d && try_delayed casefold casefold/d
}

try_fold() # NAME OPTIONS
{
	mkdir -p "$1.under" "$1"
	"$foldfs" "$1.under" "$1" $2 2>/dev/null && mountpoint -q "$1" || {
		echo "two names: skipped: foldfs cannot be mounted"
		return 1
	}
	mounted="$work/$1 $mounted"
	mkdir "$1/t"
}

# FILE is listed as file there: which of two it is only the snapshot tells.
try_lower() # NAME DIRECTORY
{
	local n
	for n in $(seq 10); do
		rm -rf "$2/new" "$2/old"
		mkdir "$2/old"
		"$reel" restore set --to "$2/new" >log 2>&1
		[ $? = 1 ] && grep -q upper "$2/new/FILE" &&
			grep -q ' file: not restored' log &&
			grep -q ' pair: not .*Pair' log &&
			grep -q 1 "$2/new/Pair/same" || break
		"$reel" restore set --to "$2/old" >log 2>&1
		[ $? = 1 ] && grep -q upper "$2/old/FILE" &&
			grep -q ' file: not restored' log &&
			grep -q ' pair: not .*Pair' log || break
	done
	[ "$n" = 10 ]
	ok "$1: names listed in small letters, 10 times" $?
	"$reel" restore set --to "$2/old" >log 2>&1
	said "$1: FILE or file is told" " \(FILE: not .*file\|file: not .*FILE\)"
}

# The list does not tell whose the name is there: what was moved before does.
try_lower_delayed() # NAME DIRECTORY
{
	local t=$2/delayed n
	mkdir "$t" && echo 'delay *' >rules
	expect "$1: both staged" 1 "$reel" restore set --to "$t" --rules rules
	for n in 1 2; do
		expect "$1: boot $n" 1 "$reel" delayed run --root "$t"
		has "$t/FILE" upper
		has "$t/Pair/same" 1
		staged_is_kept "$t" lower
		staged_is_kept "$t" 2
	done
}

try_ntfs()
{
	truncate -s 64M ntfs.img && mkdir ntfs && mkfs.ntfs -FqQ ntfs.img \
		>/dev/null 2>&1 && lowntfs-3g -o ignore_case ntfs.img ntfs \
		>/dev/null 2>&1 && mountpoint -q ntfs || {
		echo "two names: skipped: ntfs cannot be mounted"
		return
	}
	mounted="$work/ntfs $mounted"
	mkdir ntfs/t
	try_lower ntfs ntfs/t
	try_lower_delayed ntfs ntfs/t
}

# Each said in one line; the rest goes on; what was there stays.
try_trouble() # NAME DIRECTORY
{
	mkdir "$2/old" && echo mine >"$2/old/big"
	touch -d 2019-01-01 "$2/old/big"
	for n in new old; do
		expect "$1, $n" 1 "$reel" restore trouble --to "$2/$n" \
			--report report --json
		said "names what is too big" " big: not restored: Disk quota"
		said "the name it cannot hold" " c:d: not restored: Invalid"
		said "the directory, too" " d:e: the directory cannot be made"
		said "and what is below it" " d:e: nor was .*names: 43"
		[ "$(grep -c '"failed".*"d:e/f' report)" = 43 ] &&
			[ "$(grep -c '"failed".*"d:e/f' log)" = 43 ]
		ok "the report and --json have each" $?
		said "and the reason" '"big","why":"[^"]*Disk quota exceeded'
		has "$2/$n/e" e
		[ -z "$(find "$2/$n" -name '.reel-tmp-*')" ]
		ok "nothing half" $?
	done
	has "$2/old/big" mine
	[ ! -e "$2/new/big" ]
	ok "and nothing of it is new" $?
}
mkdir -p tr/d:e/f && echo e >tr/e && echo c >tr/c:d &&
	head -c 300000 /dev/urandom >tr/big && touch tr/d:e/f{1..42}
"$reel" init trouble >/dev/null && "$reel" backup trouble -C tr . >/dev/null
ok "a set of trouble" $?

try_fold fold "" && try_target fold fold/t 1 &&
	try_delayed fold fold
# Dropped into MNT/restore by another spelling than the target lists.
view() # TARGET RULE
{
	echo "$2" >viewset/rules
	"$reel" mount viewset mnt -o "restore=$1" >log 2>&1 &&
		mounted="mnt mnt/current mnt/restore $mounted"
}

unview()
{
	"$reel" umount mnt --no-commit >log 2>&1
	ok "$1: umount" $?
}

try_view() # NAME DIRECTORY
{
	local name=$1 t=$2/view
	[ "$(id -u)" = 0 ] && [ -w /dev/fuse ] || return
	mkdir -p mnt "$t" && "$reel" init viewset >/dev/null &&
		"$reel" backup viewset -C tr e >/dev/null
	echo old >"$t/FILE"
	view "$t" 'delay /*' || {
		ok "$name: mount" 1
		return
	}
	echo new and longer >mnt/restore/file
	unview "$name"
	expect "$name: dropped by another spelling" 0 "$reel" delayed run \
		--root "$t"
	has "$t/FILE" "new and longer"
	[ "$(find "$t" -iname file | wc -l)" = 1 ] && [ -z "$(ls "$t" | grep file)" ]
	ok "$name: keeps the listed one" $?
	view "$t" 'delay /*'
	echo by the other name >mnt/restore/file
	"$reel" status mnt >log 2>&1 # hands over
	echo by its own name >mnt/restore/FILE
	unview "$name"
	grep -q ' file: delayed, but will be refused' viewset/mount.log
	ok "$name: of both one is told" $?
	expect "$name: and refused" 1 "$reel" delayed run --root "$t"
	has "$t/FILE" "by its own name"
	staged_is_kept "$t" "by the other name"
}
try_fold view "" && try_view view view
try_fold quota "-o quota=100000" && try_trouble "a quota" quota/t
try_fold late "-o quota=100000,late" &&
	try_trouble "a quota that only closing tells" late/t
try_fold old "-o old" && try_target "no RENAME_NOREPLACE" old/t 1
try_fold lower "-o lower" && try_lower lower lower/t &&
	try_lower_delayed lower lower/t
try_casefold
try_vfat
try_ntfs

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
