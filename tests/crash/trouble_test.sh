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
		echo "ok     $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		head -n 6 "$work/err" | sed 's/^/	/'
	fi
	return "$2"
}

# The last command's stderr names this, in few words; it ended so.
expect() # NAME EXIT WANTED-EXIT TEXT [LINES]
{
	[ "$2" = "$3" ] && grep -q -- "$4" "$work/err" &&
		[ "$(wc -l <"$work/err")" -le "${5:-1}" ]
	ok "$1 (exit $2, wanted $3 and \"$4\" in ${5:-1} lines)" $?
}

# Nothing was lost: SET verifies, and its first snapshot is as it was.
unhurt() # NAME SET
{
	run "$reel" verify "$2"
	ok "$1: verify" $?
	rm -rf "$work/back"
	run "$reel" restore "$2@1" --to "$work/back"
	ok "$1: the first snapshot" $?
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$work/first/" "$work/back/tree/" >"$work/err" 2>&1
	[ ! -s "$work/err" ]
	ok "$1: is as it was" $?
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

cp -a "$work/tree" "$work/first"

# commands of two words, of which the first alone was given
for word in rules delayed catalog media; do
	run "$reel" $word --help && grep -q "reel $word VERB" "$work/out.txt"
	ok "reel $word --help" $?
	run "$reel" $word
	expect "reel $word" $? 2 "reel help $word"
done

# two at once: the first is stopped while it holds the lock
head -c 100000000 /dev/zero | tr '\0' 'x' >"$work/tree/long"
: >"$set/lock"
"$reel" backup "$set" -C "$work" tree >/dev/null 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q "pid $pid " "$set/lock"; do
	sleep 0.005
done
kill -STOP $pid
run "$reel" backup "$set" -C "$work" tree
expect "a second backup" $? 3 "pid $pid "
run "$reel" catalog rebuild "$set"
expect "a rebuild meanwhile" $? 3 "pid $pid "
run "$reel" ls -R "$set"
ok "readers do not wait" $?
"$reel" backup "$set" -C "$work" tree --wait >/dev/null 2>&1 &
waiter=$!
sleep 0.3
kill -0 $waiter 2>/dev/null
ok "a second backup with --wait waits" $?
kill -CONT $pid
wait $pid
ok "the first goes on" $?
wait $waiter
ok "and then the second" $?
[ "$("$reel" snapshots --json "$set" | wc -l)" = 3 ]
ok "both are there" $?
rm "$work/tree/long"
unhurt "two at once" "$set"

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
expect "no such path" $? 2 no/such/path 2
run "$reel" backup "$set" -C "$work" nowhere
expect "a source that is not there" $? 2 nowhere 2
run "$reel" backup "$set" -C "$work" ""
expect "an empty path is not all of the directory" $? 2 "empty path" 2
[ "$("$reel" snapshots --json "$set" | wc -l)" = 3 ]
ok "neither makes a snapshot" $?
run "$reel" backup "$set" -C "$work" nowhere tree
expect "one source of two that is not there" $? 1 nowhere 2
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
run "$reel" backup "$set" -C "$work" tree
expect "an unknown key: backup" $? 2 shape
cp "$work/conf" "$set/set.conf"
unhurt "a newer version" "$set"
cp "$set/catalog.db" "$work/catalog.db"
printf '\020' | dd of="$set/catalog.db" bs=1 seek=60 conv=notrunc status=none
run "$reel" ls "$set"
expect "a newer catalogue" $? 2 newer
run "$reel" catalog rebuild "$set"
ok "or one of which a bit turned over: rebuild heals it" $?
cp "$work/catalog.db" "$set/catalog.db"
unhurt "a newer catalogue" "$set"

# a corrupt catalogue
cp "$set/catalog.db" "$work/catalog.db"
head -c 3000 /dev/urandom |
	dd of="$set/catalog.db" bs=1000 seek=1 conv=notrunc status=none
for command in "ls -R SET" "snapshots SET" "info SET" "verify SET" "find SET" \
	"restore SET --to $work/out" "diff SET@1 SET@2" \
	"history SET tree/sub/f1" \
	"backup SET -C $work tree" "mount SET $work/back"; do
	# shellcheck disable=SC2086
	run "$reel" ${command//SET/$set}
	rc=$?
	case $command in
	diff*) expect "a corrupt catalogue: diff" $rc 2 "catalog rebuild" ;;
	*) expect "a corrupt catalogue: $command" $rc 5 "catalog rebuild" 2 ;;
	esac
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
"$reel" init "$work/other" >/dev/null
for n in 1 2 3 4; do
	"$reel" backup "$work/other" -C "$work" tree >/dev/null 2>&1
done
cp "$work/other/catalog.db" "$set/"
run "$reel" backup "$set" -C "$work" tree
expect "a catalogue of another set" $? 5 "of another set" 2
run "$reel" catalog rebuild "$set"
ok "rebuild heals that too" $?
rm -rf "$work/other"
rm "$set/catalog.db"
run "$reel" ls "$set"
expect "no catalogue" $? 2 "catalog rebuild"
run "$reel" catalog rebuild "$set"
ok "rebuild makes one" $?
unhurt "a corrupt catalogue" "$set"

# a volume vanishes
mv "$set/volumes/000002.tar.zst" "$work/"
run "$reel" verify "$set"
expect "verify without a volume" $? 4 000002 2
rm -rf "$work/out"
run "$reel" restore "$set" --to "$work/out"
expect "restore without a volume" $? 4 000002 9
rest=$(($("$reel" find "$set" --type f | wc -l) -
	$("$reel" find "$set" --type f --medium 000002.tar.zst | wc -l)))
[ $rest -gt 0 ] && [ "$(find "$work/out" -type f | wc -l)" = $rest ]
ok "all files are restored that do not need it" $?
cp -a "$set" "$work/lacking"
run "$reel" backup "$work/lacking" -C "$work" tree
expect "backup without a volume" $? 1 "000002.*missing" 9
run "$reel" backup "$work/lacking" --full -C "$work" tree
expect "--full, which does not need it" $? 0 "000002.*missing" 9
run "$reel" backup "$work/lacking" -C "$work" tree
ok "nor does what comes after it" $?
rm -rf "$work/lacking"
mv "$work/000002.tar.zst" "$set/volumes/"
run "$reel" verify "$set"
ok "and back" $?
mv "$set/volumes/000001.tar.zst" "$work/"
run "$reel" catalog rebuild "$set"
expect "rebuild without a volume says so" $? 0 "000001.*missing" 9
mv "$work/000001.tar.zst" "$set/volumes/"
run "$reel" catalog rebuild "$set"
ok "rebuild with it" $?
unhurt "a vanished volume" "$set"

# the newest sessions' numbers must not be given again
mkdir "$work/gone"
mv "$set"/volumes/* "$work/gone/"
run "$reel" catalog rebuild "$set"
expect "rebuild without the newest volumes" $? 4 "000001.tar.zst" 2
mv "$work/gone"/* "$set/volumes/"
unhurt "and with what was known" "$set"

# a volume with contents alone: the index behind it still says what there was
"$reel" ls -R --json "$set" >"$work/a"
mv "$set/volumes/000002.tar.zst" "$work/"
run "$reel" catalog rebuild "$set"
ok "rebuild without a volume in the middle of a session" $?
"$reel" ls -R --json "$set" >"$work/b" 2>&1
cmp -s "$work/a" "$work/b"
ok "from the index on the session's last volume" $?
mv "$work/000002.tar.zst" "$set/volumes/"
unhurt "a volume in the middle" "$set"

# Whole volumes are never taken for rubbish. A copy of the set is hurt, and
# every volume must be there afterwards as it was.
copy=$work/copy
spoil() # NAME COMMAND...: the catalogue is lost, too
{
	rm -rf "$copy"
	cp -a "$set" "$copy"
	rm "$copy/catalog.db"
	(cd "$copy" && shift && "$@")
	(cd "$copy/volumes" && sha256sum ./*) >"$work/sums"
}
kept() # NAME
{
	(cd "$copy/volumes" && sha256sum --quiet -c "$work/sums") \
		>"$work/err" 2>&1
	ok "$1: no volume is removed" $?
}
hurt_end() # the middle of the last frame
{
	python3 - "$(find volumes -type f | sort | tail -n 1)" <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    count = struct.unpack("<I", data[-9:-5])[0]
    table = len(data) - 9 - 12 * count
    sizes = [struct.unpack("<I", data[table + 12 * n:table + 12 * n + 4])[0]
             for n in range(count)]
    at = sum(sizes) - sizes[-1] // 2
    f.seek(at)
    f.write(bytes([data[at] ^ 1]))
END
}
spoil "the end of a session" hurt_end
run "$reel" backup "$copy" -C "$work" tree
expect "a damaged end, and no catalogue" $? 5 "no readable end" 9
kept "a damaged end"
run "$reel" catalog rebuild "$copy"
ok "rebuild reads that session's archive" $?
"$reel" ls -R "$set" >"$work/a"
"$reel" ls -R "$copy" >"$work/b" 2>&1
cmp -s "$work/a" "$work/b"
ok "and finds what there was" $?
run "$reel" backup "$copy" -C "$work" tree
ok "backups go on" $?
kept "a damaged end, rebuilt"
spoil "another uuid" sed -i 's/^uuid = ......../uuid = 00000000/' set.conf
run "$reel" backup "$copy" -C "$work" tree
expect "volumes of another set" $? 2 "another set"
kept "volumes of another set"
spoil "a volume twice" cp volumes/000001.tar.zst volumes/000999.tar.zst
run "$reel" backup "$copy" -C "$work" tree
kept "a stray volume"
spoil "another compression" sed -i 's/^compression = .*/compression = none/' \
	set.conf
run "$reel" backup "$copy" -C "$work" tree
expect "a set.conf with another compression" $? 2 "compression"
kept "another compression"
rm -rf "$copy"

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
expect "a file that changes" $rc 1 moving 2
run "$reel" ls "$set@latest" tree/sub/f6
ok "the rest is stored" $?
rm -f "$work/tree/moving"
unhurt "a file that changes" "$set"

# a directory that goes while it is being backed up
mkdir -p "$work/tree/gone/deep"
for n in $(seq 300); do
	head -c 30000 /dev/urandom >"$work/tree/gone/deep/$n"
done
: >"$set/lock"
"$reel" backup "$set" -C "$work" tree >"$work/out.txt" 2>"$work/err" &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q "pid $pid " "$set/lock"; do
	sleep 0.001
done
mv "$work/tree/gone" "$work/away"
rm -r "$work/away"
wait $pid
rc=$?
[ $rc = 0 ] || { [ $rc = 1 ] && grep -q "gone" "$work/err"; }
ok "a directory that vanishes (exit $rc)" $?
run "$reel" ls "$set@latest" tree/sub/f6
ok "the rest is stored, too" $?
run "$reel" backup "$set" -C "$work" tree
ok "and the next backup is well" $?
unhurt "a directory that vanishes" "$set"

# hard links that change between the looks at their names
mkdir "$work/pairs"
for n in $(seq 100); do
	echo "$n" >"$work/pairs/a$n"
	ln "$work/pairs/a$n" "$work/pairs/z$n"
done
python3 - "$work/pairs" <<'END' &
import os, sys
while os.path.isdir(sys.argv[1]):
    for n in range(1, 101):
        try:
            with open(f"{sys.argv[1]}/a{n}", "r+") as f:
                f.write("x")
        except FileNotFoundError:
            break
END
writer=$!
"$reel" init "$work/linked" >/dev/null
for n in 1 2 3 4 5; do
	"$reel" backup "$work/linked" -C "$work" pairs >/dev/null 2>&1
done
rm -r "$work/pairs"
wait $writer
run "$reel" verify "$work/linked"
ok "hard links that change meanwhile: verify" $?
rm -rf "$work/linked"

# what a rebuild and a backup leave when they are killed
for left in catalog.db.new catalog.db.new-journal catalog.db.new-wal \
	catalog.db.new.new catalog.db.new.new-journal list.tmp \
	spool/index.db spool/ingest.db-journal; do
	: >"$set/$left"
done
run "$reel" backup "$set" -C "$work" tree
ok "a backup over an interrupted rebuild's remains" $?
[ -z "$(find "$set" -name '*.new*' -o -name list.tmp -o -path '*/spool/*')" ]
ok "clears them" $?

# the source itself is gone
run "$reel" backup "$set" -C "$work/nowhere" .
expect "no directory to back up from" $? 2 nowhere 2
unhurt "no source" "$set"

if [ "$(id -u)" = 0 ]; then
	# a full disk
	mkdir "$work/small"
	if mount -t tmpfs -o size=2m none "$work/small"; then
		"$reel" init "$work/small/set" >/dev/null
		"$reel" backup "$work/small/set" -C "$work/tree/sub" f1 \
			>/dev/null 2>&1
		ok "a small disk, first backup" $?
		run "$reel" backup "$work/small/set" -C "$work" tree
		expect "a full disk" $? 2 "No space left.*make room" 2
		run "$reel" verify "$work/small/set"
		ok "what was there is whole" $?
		run "$reel" restore "$work/small/set" --to "$work/o2"
		cmp -s "$work/o2/f1" "$work/tree/sub/f1"
		ok "and comes back" $?
		! ls "$work/small/set/volumes"/*.partial >/dev/null 2>&1
		ok "nothing is left of the other" $?
		# not a byte is left
		cat /dev/zero >"$work/small/fill" 2>/dev/null
		run "$reel" ls "$work/small/set"
		expect "not a byte is left: ls" $? 2 "No space left.*make room"
		mkdir "$work/mnt"
		run timeout 20 "$reel" mount "$work/small/set" "$work/mnt"
		expect "and mount" $? 2 "No space left.*make room"
		rmdir "$work/mnt"
		rm "$work/small/fill"
		run "$reel" verify "$work/small/set"
		ok "with some room it is well" $?
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
		expect "but not written" $? 2 "cannot be written: Read-only"
		run "$reel" catalog rebuild "$work/ro/set"
		expect "nor rebuilt" $? 2 "cannot be written: Read-only"
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
	expect "an unreadable file" $? 1 f2 2
	[ "$("$reel" find "$work/private/set" --type f | wc -l)" = 5 ]
	ok "the others are stored" $?
	[ "$("$reel" snapshots "$work/private/set" | wc -l)" = 2 ]
	ok "in a snapshot" $?
	theirs=$work/private/set
	run as_user "$reel" verify "$theirs"
	ok "which verifies" $?
	chmod 500 "$theirs"
	run as_user "$reel" ls -R "$theirs"
	ok "a set without write permission is read" $?
	run as_user "$reel" restore "$theirs" --to "$work/private/out"
	cmp -s "$work/private/out/tree/sub/f6" "$work/tree/sub/f6"
	ok "and restored, but for its owners" $?
	run as_user "$reel" backup "$theirs" -C "$work" tree
	expect "but not written to" $? 2 "cannot be written"
	chmod 700 "$theirs"
	as_user "$reel" ls "$set" >/dev/null 2>"$work/err"
	rc=$?
	[ $rc = 2 ] && grep -qi "permission\|denied" "$work/err"
	ok "another's set cannot be read" $?
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
