#!/bin/bash
# Things go wrong: each gives one clear sentence, the right exit status, and
# nothing is lost.
#
#     trouble_test.sh REEL WORKDIR
set -u
LC_ALL=C
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
		echo "trouble: FAILED: $1"
		head -n 4 "$work/err"
	fi
	return "$2"
}

# The last command's stderr names this; it ended so.
expect() # NAME EXIT WANTED-EXIT TEXT
{
	[ "$2" = "$3" ] && grep -q -- "$4" "$work/err"
	ok "$1 (exit $2, wanted $3 and \"$4\")" $?
}

run() # COMMAND...: stderr to $work/err
{
	"$@" >"$work/out.txt" 2>"$work/err"
}

as_user()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

clean_up()
{
	umount "$work/small" "$work/ro" 2>/dev/null
	rm -rf "$work"
}

trap clean_up EXIT
rm -rf "$work"
mkdir -p "$work/tree/sub"
work=$(realpath "$work")
chmod 755 "$work"
for n in 1 2 3 4 5 6; do
	head -c 400000 /dev/urandom >"$work/tree/sub/f$n"
done
set=$work/set
"$reel" init "$set" --volume-size 1M >/dev/null
"$reel" backup "$set" -C "$work" tree >/dev/null 2>&1

# two at once
mkfifo "$work/hold"
head -c 300000000 /dev/zero | tr '\0' 'x' >"$work/tree/long"
"$reel" backup "$set" -C "$work" tree >/dev/null 2>&1 &
pid=$!
sleep 0.15
run "$reel" backup "$set" -C "$work" tree
rc=$?
if kill -0 $pid 2>/dev/null || [ $rc = 3 ]; then
	expect "a second backup" $rc 3 "$pid"
fi
run "$reel" backup "$set" -C "$work" tree --wait
ok "a second backup that waits" $?
wait $pid
rm "$work/tree/long" "$work/hold"

# not a set, no such set, misuse
run "$reel" ls "$work/tree"
expect "no set" $? 2 "$work/tree"
run "$reel" ls "$work/nothing"
expect "nothing there" $? 2 "$work/nothing"
run "$reel" init "$set"
expect "init over a set" $? 2 "$set"
run "$reel" ls "$set@99"
expect "no such snapshot" $? 2 99
run "$reel" restore "$set" no/such/path --to "$work/out"
expect "no such path" $? 2 no/such/path
run "$reel" backup "$set" -C "$work" nowhere
rc=$?
[ $rc = 1 ] || [ $rc = 2 ]
ok "a source that is not there" $?
grep -q nowhere "$work/err"
ok "which is named" $?
run "$reel" frobnicate
expect "no such command" $? 2 frobnicate
run "$reel" ls --frobnicate "$set"
expect "no such option" $? 2 frobnicate

# a newer version
cp "$set/set.conf" "$work/conf"
sed -i 's/^format = .*/format = 2/' "$set/set.conf"
run "$reel" ls "$set"
expect "a newer format" $? 2 newer
cp "$work/conf" "$set/set.conf"
echo "shape = round" >>"$set/set.conf"
run "$reel" ls "$set"
expect "an unknown key" $? 2 shape
cp "$work/conf" "$set/set.conf"

# a corrupt catalogue
cp "$set/catalog.db" "$work/catalog.db"
head -c 3000 /dev/urandom |
	dd of="$set/catalog.db" bs=1000 seek=1 conv=notrunc status=none
for command in "ls -R" snapshots info "verify" "find" "restore --to $work/out"; do
	# shellcheck disable=SC2086
	run "$reel" $command "$set"
	expect "a corrupt catalogue: $command" $? 5 "catalog rebuild"
done
run "$reel" catalog rebuild "$set"
ok "rebuild heals it" $?
"$reel" ls -R "$set" >"$work/a" 2>&1
ok "and it answers" $?
head -c 100 /dev/urandom >"$set/catalog.db"
run "$reel" ls "$set"
expect "a catalogue that is none" $? 5 "catalog rebuild"
run "$reel" catalog rebuild "$set"
ok "rebuild heals that too" $?

# a volume vanishes
mv "$set/volumes/000002.tar.zst" "$work/"
run "$reel" verify "$set"
expect "verify without a volume" $? 4 000002
rm -rf "$work/out"
run "$reel" restore "$set" --to "$work/out"
expect "restore without a volume" $? 4 000002
[ "$(find "$work/out" -type f | wc -l)" -ge 3 ]
ok "the other files are restored" $?
mv "$work/000002.tar.zst" "$set/volumes/"
run "$reel" verify "$set"
ok "and back" $?
mv "$set/volumes/000001.tar.zst" "$work/"
run "$reel" catalog rebuild "$set"
rc=$?
[ $rc != 0 ] && grep -q 000001 "$work/err" || grep -q "session" "$work/err"
ok "rebuild without a volume says so" $?
mv "$work/000001.tar.zst" "$set/volumes/"
run "$reel" catalog rebuild "$set"
ok "rebuild with it" $?
run "$reel" verify "$set"
ok "all is there" $?

# a set inside the tree it backs up
"$reel" init "$work/tree/inner" >/dev/null
run "$reel" backup "$work/tree/inner" -C "$work" tree
ok "a set inside its tree" $?
! "$reel" find "$work/tree/inner" | grep -q volumes
ok "it leaves itself out" $?
rm -rf "$work/tree/inner"

# a file that changes while it is read
head -c 200000000 /dev/zero >"$work/tree/moving"
(while :; do
	echo more >>"$work/tree/moving"
done) &
writer=$!
run "$reel" backup "$set" -C "$work" tree
rc=$?
kill $writer
wait $writer 2>/dev/null
expect "a file that changes" $rc 1 moving
rm -f "$work/tree/moving"

if [ "$(id -u)" = 0 ]; then
	# a full disk
	mkdir "$work/small"
	if mount -t tmpfs -o size=2m none "$work/small"; then
		"$reel" init "$work/small/set" >/dev/null
		"$reel" backup "$work/small/set" -C "$work/tree/sub" f1 \
			>/dev/null 2>&1
		ok "a small disk, first backup" $?
		run "$reel" backup "$work/small/set" -C "$work" tree
		expect "a full disk" $? 2 "no space"
		run "$reel" verify "$work/small/set"
		ok "what was there is whole" $?
		run "$reel" restore "$work/small/set" --to "$work/o2"
		cmp -s "$work/o2/f1" "$work/tree/sub/f1"
		ok "and comes back" $?
		! ls "$work/small/set/volumes"/*.partial >/dev/null 2>&1
		ok "nothing is left of the other" $?
		umount "$work/small"
	fi
	# a read-only set
	mkdir "$work/ro"
	if mount --bind "$work" "$work/ro" &&
		mount -o remount,ro,bind "$work/ro"; then
		run "$reel" ls -R "$work/ro/set"
		ok "a read-only set is read" $?
		run "$reel" verify "$work/ro/set"
		ok "and verified" $?
		run "$reel" backup "$work/ro/set" -C "$work" tree
		rc=$?
		[ $rc = 2 ] && grep -qi "read-only\|cannot be written" \
			"$work/err"
		ok "but not written" $?
		umount "$work/ro"
	fi
	# another user's files
	chmod 000 "$work/tree/sub/f2"
	mkdir "$work/private"
	chown 65534 "$work/private"
	chmod 755 "$work/tree" "$work/tree/sub"
	as_user "$reel" init "$work/private/set" >/dev/null
	as_user "$reel" backup "$work/private/set" -C "$work" tree \
		>"$work/out.txt" 2>"$work/err"
	expect "an unreadable file" $? 1 f2
	[ "$("$reel" find "$work/private/set" --type f | wc -l)" = 5 ]
	ok "the others are stored" $?
	as_user "$reel" ls "$set" >/dev/null 2>"$work/err"
	rc=$?
	[ $rc = 2 ] && grep -qi "permission\|denied" "$work/err"
	ok "another's set cannot be read" $?
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
