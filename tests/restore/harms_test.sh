#!/bin/bash
# Restoring: what did harm once, each by its harm.
#
#     harms_test.sh REEL WORKDIR
#
# What the machine cannot do (mounts, filesystems) is skipped and said.
set -u
LC_ALL=C
export LC_ALL
reel=$(realpath "$1")
work=$2
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "restore harms: FAILED: $1"
		[ ! -s "$work/log" ] || head -n 8 "$work/log"
	fi
	return "$2"
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

skip()
{
	echo "restore harms: skipped: $1"
}

said() # NAME PATTERN
{
	grep -q -e "$2" "$work/log"
	ok "$1" $?
}

mounted=
trap 'umount $mounted 2>/dev/null; chattr -i "$work/out/d" 2>/dev/null
rm -rf "$work"' EXIT
chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 2

fresh_set() # a set of src, in `set`
{
	rm -rf set
	"$reel" init set >/dev/null && "$reel" backup set -C src . >/dev/null
}

# ---- a directory that is kept got new times whenever its extras were looked at

rm -rf src out && mkdir -p src/dir out/dir
touch src/dir/one out/dir/one out/dir/extra
touch -d 2020-01-01 out/dir
fresh_set
echo 'merge /dir' >rules
expect "a kept directory with an extra" 0 "$reel" restore set --to out \
	--rules rules --delete
[ "$(stat -c %Y out/dir)" = "$(date -d 2020-01-01 +%s)" ]
ok "kept: has the times that it had" $?

# ---- the second name of a file did not wait for a directory that goes at boot

rm -rf src out && mkdir -p src out/second
echo content >src/first
ln src/first src/second
touch out/second/now out/second/later
fresh_set
echo 'delay later' >rules
expect "a directory in the way of a second name" 0 "$reel" restore set \
	--to out --rules rules --delete
[ -e out/second/now ] && [ -e out/second/later ]
ok "nothing in it goes before the rest can" $?
expect "a second name at the next boot" 0 "$reel" delayed run --root out
[ out/first -ef out/second ]
ok "is the first's file" $?

# ---- a file of which one name waited for the next boot was changed meanwhile
# by another: the run stopped there, and all behind it waited for ever

for late in first second; do
	rm -rf src out && mkdir -p src
	echo content >src/first
	ln src/first src/second
	echo other >src/third
	fresh_set
	printf 'delay %s\n' $late third >rules
	expect "one name of a file is delayed" 0 "$reel" restore set \
		--to out --rules rules
	echo more >>out/[fs]*
	expect "its other name is written to, and the next boot" 0 \
		"$reel" delayed run --root out
	[ out/first -ef out/second ] && [ "$(tail -n 1 out/$late)" = more ]
	ok "it is one file, as it is now" $?
	[ -e out/third ]
	ok "what waited behind it comes" $?
done

# A staged file that went bad is still not moved, when both names wait.
rm -rf src out && mkdir -p src
echo content >src/first
ln src/first src/second
fresh_set
printf 'delay %s\n' first second >rules
expect "both names are delayed" 0 "$reel" restore set --to out --rules rules
for f in $(find out/var/lib/reel/delayed -type f -links 2 | head -n 1); do
	echo more >>"$f"
done
expect "a staged file went bad" 2 "$reel" delayed run --root out
[ ! -e out/first ] && [ ! -e out/second ]
ok "it is not moved" $?

# ---- --overwrite never: a new name became a link to a file with other xattrs

rm -rf src out && mkdir -p src out
echo content >src/first
touch -d 2020-01-01 src/first
ln src/first src/second
fresh_set
cp -p src/first out/first
if setfattr -n user.word -v other out/first 2>/dev/null; then
	expect "never: xattrs differ" 0 "$reel" restore set --to out \
		--overwrite never -v
	said "that is not the same" "^kept *first"
	[ -z "$(getfattr -d out/second 2>/dev/null)" ] &&
		[ "$(cat out/second)" = content ]
	ok "the new name has the snapshot's" $?
else
	skip "xattrs"
fi

# ---- a dry run did not say that a second name gets the first one's new file

rm -rf src out && mkdir -p src out
echo content >src/first
touch -d 2020-01-01 src/first
ln src/first src/second
fresh_set
cp -p src/first out/second
ln out/second out/third
echo other >out/first
expect "a dry run of two names" 0 "$reel" restore set --to out -n
said "the second changes" "^changed *second"
expect "the run of two names" 0 "$reel" restore set --to out -v
said "the second changes, too" "^changed *second"

# ---- extras deeper than 400 directories stayed, and nothing was said

deep() # DIR DEPTH
{
	python3 -c 'import os, sys
os.makedirs(sys.argv[1])
os.chdir(sys.argv[1])
for n in range(int(sys.argv[2])):
    os.mkdir("a")
    os.chdir("a")
open("file", "w")' "$@"
}

rm -rf src out && mkdir src && touch src/f
fresh_set
deep out/deep 3000
expect "deep extras" 0 sh -c 'ulimit -n 200; exec "$@"' - "$reel" restore set \
	--to out --delete
[ "$(ls out)" = f ]
ok "are removed" $?
deep out/deep 5000
expect "extras too deep" 1 "$reel" restore set --to out --delete
said "are told" "lies too deep"
rm -rf out

# ---- what is in an immutable directory could not be replaced, and was not
# delayed

rm -rf src out && mkdir -p src/d/sub out/d
echo new >src/d/changed
echo new >src/d/new
echo new >src/d/sub/f
touch -r src/d out/d
fresh_set
echo 'delay busy' >rules
echo old >out/d/changed
touch -d 2020-01-01 out/d/changed
touch out/d/extra
touch -r src/d out/d
if chattr +i out/d 2>/dev/null; then
	expect "an immutable directory" 0 "$reel" restore set --to out \
		--rules rules --delete -v
	for n in changed new sub extra; do
		said "$n is delayed" "^delayed *d/$n  (its directory is imm"
	done
	expect "at the next boot" 0 "$reel" delayed run --root out
	cmp -s src/d/changed out/d/changed && cmp -s src/d/new out/d/new &&
		cmp -s src/d/sub/f out/d/sub/f && [ ! -e out/d/extra ]
	ok "it is as in the snapshot" $?
	lsattr -d out/d | grep -q '^[^ ]*i'
	ok "and immutable as before" $?
	chattr -i out/d
else
	skip "an immutable directory"
fi

# ---- an ordinary user's read-only directories could not be removed by that
# user

rm -rf src out user && mkdir src && touch src/file src/way
fresh_set
mkdir user && mkdir -p user/out/way/sub/deep user/out/extra/one/two \
	user/out/extra/kept
touch user/out/way/sub/f user/out/extra/one/two/f user/out/extra/kept/mine
chmod 555 user/out/way/sub/deep user/out/way/sub user/out/way
chmod 0 user/out/extra/one/two
chmod 500 user/out/extra/one user/out/extra
as=
if [ "$(id -u)" = 0 ]; then
	chown -R 65534:65534 user
	chmod -R a+rX set && chmod a+rx "$work"
	as="setpriv --reuid 65534 --regid 65534 --clear-groups"
fi
if $as test -r set/catalog.db; then
	echo 'preserve mine' >rules
	$as "$reel" restore set --to user/out --rules rules --delete \
		>log 2>&1 # 1: root's files
	[ -f user/out/way ] && [ ! -e user/out/extra/one ]
	ok "read-only directories are removed" $?
	[ -e user/out/extra/kept/mine ] &&
		[ "$(stat -c %a user/out/extra)" = 500 ]
	ok "those that stay are read-only as before" $?
else
	skip "an ordinary user"
fi

# ---- --delete removed the set itself, when it lay in the target

rm -rf src out && mkdir -p src out/backup
echo content >src/f
"$reel" init out/backup/set >/dev/null &&
	"$reel" backup out/backup/set -C src . >/dev/null
expect "a dry run over the set" 0 "$reel" restore out/backup/set --to out \
	--delete -n
said "keeps it" "^kept *backup/set  (the set itself)"
expect "--delete over the set" 0 "$reel" restore out/backup/set --to out \
	--delete
said "keeps it, too" "^kept *backup/set  (the set itself)"
expect "the set is whole" 0 "$reel" verify out/backup/set
mkdir -p src/backup && echo a file >src/backup/set
"$reel" backup out/backup/set -C src . >/dev/null
expect "a file of that name" 0 "$reel" restore out/backup/set --to out --delete
expect "the set is whole" 0 "$reel" verify out/backup/set
rm src/backup/set && mkdir -p src/backup/set && echo bad >src/backup/set/catalog.db
"$reel" backup out/backup/set -C src . >/dev/null
expect "a directory of that name" 0 "$reel" restore out/backup/set --to out
expect "the set is whole" 0 "$reel" verify out/backup/set
expect "a restore into the set" 2 "$reel" restore out/backup/set \
	--to out/backup/set/spool
said "is refused" "lies in the set itself"
"$reel" init out/set2 --media "out/tape.tap" >/dev/null 2>&1 &&
	"$reel" backup out/set2 -C src f >/dev/null 2>&1
expect "--delete over a set and its tape image" 0 "$reel" restore out/set2 \
	--to out --delete
[ -s out/tape.tap ] && [ -d out/set2 ] && [ ! -e out/backup ]
ok "keeps both, but no other" $?
"$reel" copy out/set2 "$work/copied" --media "out/copy.tap?capacity=9M" \
	>/dev/null 2>&1
cp out/copy.tap copy.was
expect "--delete over a set and a copy's image" 0 "$reel" restore out/set2 \
	--to out --delete
cmp -s copy.was out/copy.tap && [ -s out/copy.tap ] && [ -s out/tape.tap ] &&
	[ -s out/copy.tap.conf ]
ok "keeps that, and the image's settings" $?

# ---- --delete removed the journal of delayed operations, and what was staged

rm -rf src out && mkdir -p src out/var/lib/other
echo 1 >src/f
fresh_set
echo 'delay /f' >rules
expect "something is delayed" 0 "$reel" restore set --to out --rules rules
touch out/extra
expect "and --delete" 0 "$reel" restore set --to out --rules rules --delete
said "keeps what waits" "^kept *var/lib/reel/delayed  (the delayed"
[ ! -e out/extra ] && [ ! -e out/var/lib/other ]
ok "removes the rest" $?
expect "--delete without it" 0 "$reel" restore set --to out --no-rules --delete
expect "at the next boot" 0 "$reel" delayed run --root out
cmp -s src/f out/f
ok "it comes" $?

# ---- --delete emptied filesystems that are mounted in the target, though the
# backup had been told not to look into them

rm -rf src out && mkdir -p src/apart src/part out/apart out/part
touch src/f src/part/f
fresh_set
if [ "$(id -u)" = 0 ] && mount -t tmpfs none out/apart 2>/dev/null; then
	mounted="$work/out/apart $work/out/part"
	mount -t tmpfs none out/part
	mkdir out/apart/dir && touch out/apart/dir/f out/part/extra
	expect "--delete and mounts, dry" 0 "$reel" restore set --to out \
		--delete -n
	said "keeps what is apart" "^kept *apart/dir  (on another filesystem"
	expect "--delete and mounts" 0 "$reel" restore set --to out --delete
	said "keeps it" "^kept *apart/dir  (on another filesystem"
	[ -e out/apart/dir/f ] && [ ! -e out/part/extra ] && [ -e out/part/f ]
	ok "what was backed up is restored" $?
	umount out/apart out/part
else
	skip "mounts in the target"
fi

# ---- --delete removed what a nosnapshot had kept out of the backup

rm -rf src out && mkdir -p src/mail out/mail
touch src/f out/extra out/mail/box.ost out/mail/extra
touch src/mail/box.ost
"$reel" init set3 >/dev/null && echo 'nosnapshot *.ost' >set3/rules &&
	"$reel" backup set3 -C src . >/dev/null
expect "--delete and nosnapshot" 0 "$reel" restore set3 --to out --delete
said "says what it leaves" "^excluded *mail/box.ost  (nosnapshot"
[ -e out/mail/box.ost ] && [ ! -e out/extra ] && [ ! -e out/mail/extra ]
ok "only what is gone is removed" $?

cd / || exit 2
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
