#!/bin/bash
# A set on tape and a copy of it on other cartridges, on images: the set reads
# from either, asks for either, and finds both again from the cartridges alone.
#
#     copies_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
passed=0
failed=0
mnt=$work/mnt

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "copies on tape: FAILED: $1"
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

away() # IMAGE
{
	mv "$work/$1.tap" "$work/$1.away"
}

back() # IMAGE
{
	mv "$work/$1.away" "$work/$1.tap"
}

# Fresh each time: nothing of it comes from a cache.
restores() # NAME SET
{
	rm -rf "$work/out"
	"$reel" restore "$2" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/src" "$work/out" >>"$work/log" 2>&1
	ok "$1" $?
}

names() # SET: of its cartridges
{
	"$reel" info "$1" 2>/dev/null | grep -o 'set-[0-9]*' | sort -u | xargs
}

rm -rf "$work"
mkdir -p "$work/src/d" "$mnt" || exit 2
trap finish EXIT

for i in $(seq 60); do
	head -c $((i * 701)) /dev/urandom >"$work/src/d/file$i"
done
head -c 3000000 /dev/urandom >"$work/src/large"
do_it "init" "$reel" init "$work/set" --media "$work/a.tap" --volume-size 1M
do_it "backup" "$reel" backup "$work/set" -C "$work/src" .
do_it "copy" "$reel" copy "$work/set" "$work/copy" --media "$work/b.tap"
[ "$(names "$work/set")" = "set-0001 set-100001" ]
ok "the set knows both: $(names "$work/set")" $?
[ "$(names "$work/copy")" = "set-100001" ]
ok "the copy knows its own: $(names "$work/copy")" $?
do_it "all is well" "$reel" verify "$work/set"
do_it "the copy, too" "$reel" verify "$work/copy"

# another session of each
echo more >"$work/src/more"
do_it "backup again" "$reel" backup "$work/set" -C "$work/src" .
[ "$("$reel" info "$work/set" --json | grep -c '"number":100002')" = 0 ]
ok "it goes on on its own cartridge" $?
do_it "copy again" "$reel" copy "$work/set" "$work/copy"
[ "$(names "$work/set")" = "set-0001 set-100001" ]
ok "no cartridge more" $?
for i in a b; do
	[ "$(tar -tf <(dd if="$work/$i.tap" bs=4 skip=1 2>/dev/null) \
		2>/dev/null | wc -l)" -gt 0 ]
	ok "$i: tar reads what the image begins with" $?
done

for i in set-0001 set-100001; do
	[ "$("$reel" find "$work/set" --type f --medium $i 2>"$work/log" |
		wc -l)" = 62 ]
	ok "find --medium $i" $?
done
"$reel" ls --media "$work/set" large >"$work/log" 2>&1
grep -q "set-0001 or set-100001" "$work/log"
ok "ls --media names both" $?

# one or the other is missing
away a
restores "the first is missing" "$work/set"
back a
away b
restores "the copy is missing" "$work/set"
away a
"$reel" restore "$work/set" --to "$work/none" >"$work/log" 2>&1 </dev/null
[ $? != 0 ] && grep -q "set-0001 or set-100001 is needed" "$work/log"
ok "both are missing: either is asked for" $?
back a
back b

restores "both are there" "$work/set"

# a block of the first cannot be read: one of the largest file's
spoil() # IMAGE BLOCK: that full one gets the mark of damage of such images
{
	local at=0 n=0 length

	while length=$(od -An -tu4 -j $at -N 4 "$1") && [ -n "$length" ]; do
		length=$((length))
		if [ $length = 262144 ] && [ $((++n)) = "$2" ]; then
			for at in $((at + 3)) $((at + 4 + length + 3)); do
				printf '\200' | dd of="$1" bs=1 seek=$at \
					conv=notrunc status=none
			done
			return 0
		fi
		at=$((at + (length ? length + length % 2 + 8 : 4)))
	done
	return 1
}
cp "$work/a.tap" "$work/good"
do_it "a block is damaged" spoil "$work/a.tap" 5
away b
"$reel" restore "$work/set" --to "$work/none" >"$work/log" 2>&1 </dev/null
[ $? = 5 ]
ok "it is, when the copy is missing" $?
rm -rf "$work/none"
back b
restores "the first is damaged" "$work/set"
mv "$work/good" "$work/a.tap"

# bytes of the first are wrong, and its drive does not say so
rot() # IMAGE BLOCK: one byte in that full one
{
	local at=0 n=0 length

	while length=$(od -An -tu4 -j $at -N 4 "$1") && [ -n "$length" ]; do
		length=$((length))
		if [ $length = 262144 ] && [ $((++n)) = "$2" ]; then
			printf '\377\252' | dd of="$1" bs=1 \
				seek=$((at + 70000)) conv=notrunc status=none
			return 0
		fi
		at=$((at + (length ? length + length % 2 + 8 : 4)))
	done
	return 1
}
cp "$work/a.tap" "$work/good"
do_it "a block has rotted" rot "$work/a.tap" 5
do_it "and another" rot "$work/a.tap" 9
restores "the first has rotted" "$work/set"
"$reel" verify "$work/set" >"$work/log" 2>&1 </dev/null
[ $? = 5 ] && [ "$(grep -c 'cartridge set-0001 is damaged (tape file' \
	"$work/log")" = 2 ] && grep -q "damaged: 0 files, 2 places" "$work/log"
ok "verify says which cartridge is damaged" $?
do_it "copied to disk from both" "$reel" copy "$work/set" "$work/disk"
"$reel" verify "$work/disk" >"$work/log" 2>&1
ok "which is well" $?
rm -rf "$work/disk"
if [ -c /dev/fuse ]; then
	do_it "mount" "$reel" mount "$work/set" "$mnt"
	diff -r "$work/src" "$mnt/snapshots/latest" >"$work/log" 2>&1
	ok "the mount reads the copy" $?
	do_it "umount" "$reel" umount "$mnt"
fi
away b
"$reel" restore "$work/set" --to "$work/none" >"$work/log" 2>&1 </dev/null
[ $? = 5 ] && grep -q "set-100001 has the same as one that is damaged" \
	"$work/log"
ok "the copy that may help is named when it is missing" $?
"$reel" verify "$work/set" >"$work/log" 2>&1 </dev/null
[ $? = 5 ] && grep -q "(set-0001)" "$work/log"
ok "verify without it names the cartridge" $?
rm -rf "$work/none"
back b
cp "$work/good" "$work/a.tap"
do_it "rot" python3 "$(dirname "$0")/rot.py" "$work/a.tap" index 1
answers()
{
	"$reel" ls -lR "$1@1"
	"$reel" ls -lR "$1"
	"$reel" snapshots "$1" --json
}
answers "$work/set" >"$work/one" 2>/dev/null
do_it "rebuild: an index has rotted" "$reel" catalog rebuild "$work/set"
answers "$work/set" >"$work/two" 2>/dev/null
cmp "$work/one" "$work/two" >"$work/log" 2>&1
ok "it is read from the copy" $?
mv "$work/good" "$work/a.tap"

# waited for by a mount: either comes
if [ -c /dev/fuse ]; then
	away a
	away b
	do_it "mount" "$reel" mount "$work/set" "$mnt" -o media-timeout=60
	cat "$mnt/snapshots/latest/large" >"$work/got" 2>/dev/null &
	pid=$!
	for i in $(seq 100); do
		"$reel" media needed "$mnt" 2>/dev/null |
			grep -q "set-0001 or set-100001" && break
		sleep 0.1
	done
	"$reel" media needed "$mnt" >"$work/log" 2>&1
	grep -q "set-0001 or set-100001" "$work/log"
	ok "media needed names either" $?
	back b
	wait $pid && cmp -s "$work/got" "$work/src/large"
	ok "the other comes and is read" $?
	do_it "umount" "$reel" umount "$mnt"
	back a
fi

# from the cartridges alone
do_it "rebuild" "$reel" catalog rebuild "$work/set"
[ "$(names "$work/set")" = "set-0001 set-100001" ]
ok "a rebuild finds both: $(names "$work/set")" $?
for order in "a b" "b a"; do
	rm -rf "$work/again"
	# shellcheck disable=SC2086
	do_it "import $order" "$reel" import \
		$(printf "$work/%s.tap " $order) "$work/again"
	[ "$(names "$work/again")" = "set-0001 set-100001" ]
	ok "import $order finds both: $(names "$work/again")" $?
	away a
	restores "import $order: the first is missing" "$work/again"
	back a
	away b
	restores "import $order: the copy is missing" "$work/again"
	back b
done

# a copy that was interrupted does not count, nor harms
head -c 9000000 /dev/urandom >"$work/src/later"
do_it "backup of more" "$reel" backup "$work/set" -C "$work/src" .
"$reel" copy "$work/set" "$work/copy" >/dev/null 2>&1 &
sleep 0.03
kill -KILL $! 2>/dev/null
wait $! 2>/dev/null
do_it "rebuild after a killed copy" "$reel" catalog rebuild "$work/set"
restores "it reads" "$work/set"
do_it "the copy goes on" "$reel" copy "$work/set" "$work/copy"
away a
restores "and is whole" "$work/set"
back a
# the other way round: the first is lost for good
echo last >"$work/src/last"
do_it "a backup into the copy" "$reel" backup "$work/copy" -C "$work/src" .
do_it "and back" "$reel" copy "$work/copy" "$work/set"
away b
restores "which has it, too" "$work/set"
back b
do_it "all is well in the end" "$reel" verify "$work/set"
do_it "and of the copy" "$reel" verify "$work/copy"

# what is written in set.conf by hand stays; the copy's drives are not the set's
rm -rf "$work"/set "$work"/copy "$work"/again "$work"/*.tap* "$work"/src/l*
do_it "another set" "$reel" init "$work/set" --name set \
	--media "$work/a.tap?capacity=2M"
do_it "its backup" "$reel" backup "$work/set" -C "$work/src" .
sed -i 's/^drive/# by hand, with care\n&/' "$work/set/set.conf"
printf '# the last line' >>"$work/set/set.conf"
do_it "its copy" "$reel" copy "$work/set" "$work/copy" \
	--media "$work/b.tap,$work/b2.tap"
[ "$(grep -c '^# ' "$work/set/set.conf")" = 3 ] &&
	[ "$(grep -c '^copy-drive = .*/b2\?.tap$' "$work/set/set.conf")" = 2 ]
ok "comments of set.conf are kept" $?
do_it "copied once more" "$reel" copy "$work/set" "$work/copy"
[ "$(grep -c '^copy-drive' "$work/set/set.conf")" = 2 ]
ok "the drives are added once" $?
head -c 3000000 /dev/urandom >"$work/src/large"
"$reel" backup "$work/set" -C "$work/src" . >"$work/log" 2>&1 </dev/null
[ $? = 4 ] && grep -q "a blank cartridge is needed" "$work/log" &&
	! grep -q "b2.tap" "$work/log"
ok "a backup takes no blank of the copy's drives" $?
sed -i "s|^drive = .*|&\ndrive = $work/a2.tap\ndrive = $work/a3.tap|" \
	"$work/set/set.conf"
touch "$work/a2.tap" "$work/a3.tap"
do_it "a drive more" "$reel" backup "$work/set" -C "$work/src" .
[ "$(names "$work/set")" = "set-0001 set-0002 set-100001" ]
ok "it goes on there: $(names "$work/set")" $?

# a rebuild without the copy in a drive
mv "$work/b.tap" "$work/b.away"
do_it "rebuild without the copy" "$reel" catalog rebuild "$work/set"
[ "$(names "$work/set")" = "set-0001 set-0002 set-100001" ]
ok "which is not forgotten: $(names "$work/set")" $?
mv "$work/b.away" "$work/b.tap"
mv "$work/a.tap" "$work/a.away"
"$reel" restore "$work/set@1" --to "$work/out" >"$work/log" 2>&1 </dev/null
ok "and is read" $?
mv "$work/a.away" "$work/a.tap"
rm -rf "$work/out"

# imported from the copy first, which is behind
do_it "import, the copy first" "$reel" import "$work/b.tap" "$work/a.tap" \
	"$work/a2.tap" "$work/again"
echo more >"$work/src/more"
do_it "it is written on" "$reel" backup "$work/again" -C "$work/src" .
"$reel" info "$work/again" >"$work/log" 2>&1
grep -q "^set-0002 .* 2-3 *$" "$work/log"
ok "with the set's own cartridges" $?
restores "and is whole" "$work/again"
rm -rf "$work/again"
do_it "import, the copy alone" "$reel" import "$work/b.tap" "$work/again"
cp "$work/b.tap" "$work/b.copy"
do_it "it is written on, too" "$reel" backup "$work/again" -C "$work/src" .
[ "$(names "$work/again")" = set-100001 ]
ok "with the copy's: $(names "$work/again")" $?
mv "$work/b.copy" "$work/b.tap"
rm -rf "$work/again"

# a blank one is taken before the one that may be written over
"$reel" tape write "$work/a3.tap" <"$work/src/large" >"$work/log" 2>&1
ok "a foreign one" $?
"$reel" init "$work/more" --media "$work/m.tap,$work/a3.tap" >/dev/null 2>&1
"$reel" backup "$work/more" -C "$work/src" . --overwrite foreign-00000000 \
	>"$work/log" 2>&1 </dev/null
[ $? = 0 ] && grep -q "foreign-00000000 was not written over" "$work/log"
ok "--overwrite of what is not needed is said" $?

# a copy that ended early is read all the same
rm -rf "$work"/*.tap* "$work/set" "$work/copy" "$work/more" "$work/src" \
	"$work/out"
mkdir "$work/src"
head -c 3M /dev/urandom >"$work/src/first"
do_it "a set on two" "$reel" init "$work/set" --media \
	"$work/a.tap?capacity=4M,$work/b.tap?capacity=4M"
do_it "a session on the first" "$reel" backup "$work/set" -C "$work/src" .
head -c 3M /dev/urandom >"$work/src/second"
do_it "one on the second, too" "$reel" backup "$work/set" -C "$work/src" .
away b
"$reel" copy "$work/set" "$work/copy" --media "$work/c.tap" \
	>"$work/log" 2>&1 </dev/null
[ $? = 4 ] && grep -q "session 2 cannot be copied" "$work/log"
ok "its copy ends where a cartridge is missing" $?
back b
away a
do_it "what was copied stands in for what is lost" \
	"$reel" restore "$work/set@1" --to "$work/out"
cmp -s "$work/src/first" "$work/out/first"
ok "byte for byte" $?
