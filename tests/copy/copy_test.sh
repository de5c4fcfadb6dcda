#!/bin/bash
# A set copied into another directory: the same bytes, the same answers; gone on
# with after a kill at any moment; damage said; other sets refused.
#
#     copy_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "copy: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 5
	fi
}

answers() # SET: what it tells, all of it
{
	local s

	for s in 1 2 3 4; do
		"$reel" ls -lR "$1@$s"
	done 2>/dev/null
	"$reel" snapshots "$1" --json
	"$reel" history "$1" a/changes --json
	"$reel" find "$1" --all --json
}

same() # NAME SET SET
{
	answers "$2" >"$work/one"
	answers "$3" >"$work/two"
	[ -s "$work/one" ] && cmp -s "$work/one" "$work/two" &&
		diff -r "$2/volumes" "$3/volumes" >"$work/log" 2>&1 &&
		"$reel" verify "$3" >"$work/log" 2>&1
	ok "$1" $?
}

rm -rf "$work"
mkdir -p "$work/src/a" || exit 2
cd "$work" || exit 2
trap 'rm -rf "$work"; echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]; exit $?' EXIT

backup() # SET
{
	"$reel" backup "$1" -C src . >log 2>&1
}

for how in none zstd; do
	rm -rf src set.$how
	mkdir -p src/a
	for i in $(seq 50); do
		head -c $((i * 700)) /dev/urandom >src/a/file$i
	done
	head -c 5000000 /dev/urandom >src/large
	truncate -s 3M src/sparse
	echo x >>src/sparse
	echo 1 >src/a/changes
	"$reel" init set.$how --compress $how --volume-size 1M
	backup set.$how
	cp src/a/file9 src/a/copy
	echo 2 >src/a/changes
	backup set.$how
	"$reel" copy set.$how copy.$how >log 2>&1
	ok "$how: copy" $?
	same "$how: the same" set.$how copy.$how
	rm src/a/file3
	ln src/a/file4 src/a/link
	echo 3 >src/a/changes
	backup set.$how
	"$reel" copy set.$how copy.$how >log 2>&1
	ok "$how: what is new" $?
	same "$how: the same again" set.$how copy.$how
	"$reel" copy set.$how copy.$how 2>&1 | grep -q "0 snapshots copied"
	ok "$how: nothing is new" $?
	backup copy.$how
	ok "$how: a backup into the copy" $?
	"$reel" copy set.$how copy.$how >log 2>&1
	[ $? = 2 ] && grep -q "other way round" log
	ok "$how: which is then ahead" $?
	"$reel" copy copy.$how set.$how >log 2>&1
	ok "$how: and back" $?
	same "$how: the same both ways" set.$how copy.$how
done

# killed at any moment
for i in $(seq 8); do
	"$reel" copy set.none killed >log 2>&1 &
	pid=$!
	sleep 0.0$((RANDOM % 8 + 1))
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
done
"$reel" copy set.none killed >log 2>&1
ok "after kills" $?
same "the same after kills" set.none killed

# damage in the source
cp -r set.none damaged
printf '\377\377\377' |
	dd of=damaged/volumes/000002.tar bs=1 seek=500000 conv=notrunc status=none
"$reel" copy damaged out >log 2>&1
[ $? = 5 ] && grep -q "000002.tar, byte .*: damaged" log
ok "damage is said" $?
cmp -s damaged/volumes/000002.tar out/volumes/000002.tar
ok "and copied as it is" $?
rm damaged/volumes/000003.tar
rm -rf out
"$reel" copy damaged out >log 2>&1
[ $? = 4 ] && grep -q "000003.tar is missing" log
ok "a volume is missing" $?

# what is no copy
"$reel" init other
"$reel" copy set.none other >log 2>&1
[ $? = 2 ] && grep -q "is another set" log
ok "another set" $?
cp -r set.none left
cp -r set.none right
echo l >src/a/changes
backup left
echo r >src/a/changes
backup right
"$reel" copy left right >log 2>&1
[ $? = 2 ] && grep -q "another session" log
ok "copies that went apart" $?
"$reel" copy set.none@1 out >log 2>&1
[ $? = 2 ]
ok "a snapshot is no set" $?
