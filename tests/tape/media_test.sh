#!/bin/bash
# Cartridges that come and go: a set over five of them, read with one drive by
# hand in any order; one missing, a wrong one, a drive that goes and comes,
# waits that are interrupted or run out; and through a changer.
#
#     media_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
mnt=$work/mnt
set=$work/set
link=$work/drive.tap
passed=0
failed=0
running=
person=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "media: FAILED: $1"
		tail -n 8 "$work/log" 2>/dev/null | sed 's/^/    /'
	fi
}

finish()
{
	trap - EXIT
	[ -z "$person" ] || kill "$person" 2>/dev/null
	"$reel" umount "$mnt" >/dev/null 2>&1
	[ -z "$running" ] || bash "$rig/vtl.sh" stop "$running" >/dev/null 2>&1
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}
trap finish EXIT

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	"$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

now() # ms
{
	echo $(($(date +%s%N) / 1000000))
}

turn() # the drive gets cartridge N
{
	ln -sfn "$work/c$1.tap" "$work/drive.new"
	mv -T "$work/drive.new" "$link"
}

mounted() # OPTIONS
{
	: >"$set/mount.log"
	"$reel" mount "$set" "$mnt" -o "$1" >"$work/log" 2>&1 </dev/null
	ok "mount -o $1" $?
}

unmount()
{
	do_it "umount" "$reel" umount "$mnt"
}

volume() # FILE: the cartridges that it is on
{
	getfattr --only-values -n user.reel.volume \
		"$mnt/snapshots/latest/$1" 2>/dev/null
}

same() # FILE
{
	cmp -s "$work/src/$1" "$mnt/snapshots/latest/$1" 2>/dev/null
}

if [ ! -c /dev/fuse ]; then
	echo "media: no /dev/fuse here: skipped"
	exit 0
fi
rm -rf "$work"
mkdir -p "$work/src/small" "$mnt"
for i in $(seq -w 20); do
	head -c 1600000 /dev/urandom >"$work/src/f$i"
done
head -c 3000000 /dev/urandom | (cd "$work/src/small" && split -b 3000 -a 3 - s)

# five cartridges, each in its drive
drives=
for i in 1 2 3 4 5; do
	drives="$drives${drives:+,}$work/c$i.tap?capacity=8M"
done
do_it "init" "$reel" init "$set" --media "$drives" --name daily
do_it "backup over five cartridges" "$reel" backup "$set" -C "$work/src" .
"$reel" media list "$set" >"$work/log" 2>&1
[ "$(grep -c 'daily-000[1-5]' "$work/log")" = 5 ]
ok "media list names five" $?

# from now on one drive, and a person who turns a link
sed -i '/^drive = /d' "$set/set.conf"
echo "drive = $link" >>"$set/set.conf"
turn 1
"$reel" media needed "$set" >"$work/log" 2>&1
[ "$(wc -l <"$work/log")" = 4 ] && ! grep -q daily-0001 "$work/log"
ok "media needed names the other four" $?

# what is not at hand
"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1 </dev/null
[ $? = 4 ]
ok "restore without the cartridges: status 4" $?
grep -q "daily-0002.* is needed.*has daily-0001" "$work/log"
ok "and the wrong one and the right one are named" $?
[ "$(grep -c 'daily-0002.* is needed' "$work/log")" = 1 ]
ok "once" $?
rm -rf "$work/out"

mounted offline=fail
on=$(volume f01)
[ -n "$on" ] && [ "$on" = daily-0001 ]
ok "user.reel.volume names the cartridge" $?
for f in $(cd "$work/src" && ls f??); do
	echo "$(volume "$f")"
done >"$work/log"
grep -q "^daily-0001.*, daily-0002" "$work/log"
ok "and both where a file goes on" $?
third= fifth=
for f in $(cd "$work/src" && ls f??); do
	case $(volume "$f") in
	daily-0003) : "${third:=$f}" ;;
	daily-0005) : "${fifth:=$f}" ;;
	esac
done
same f01
ok "what is in the drive reads" $?
began=$(now)
cat "$mnt/snapshots/latest/$third" 2>"$work/log" >/dev/null
grep -q "No medium found" "$work/log" && [ $(($(now) - began)) -lt 1500 ]
ok "offline=fail: no medium, at once" $?
ls -lR "$mnt/snapshots/latest" >/dev/null 2>"$work/log"
ok "all of it is browsed" $?
unmount

mounted media-timeout=2
began=$(now)
cat "$mnt/snapshots/latest/$third" 2>"$work/log" >/dev/null
took=$(($(now) - began))
grep -q "No medium found" "$work/log" && [ $took -ge 1900 ] &&
	[ $took -lt 3500 ]
ok "media-timeout=2: no medium, after 2 s, not twice as long" $?
unmount

# waits
mounted media-timeout=20
timeout -s KILL 30 cat "$mnt/snapshots/latest/$third" >"$work/third" 2>/dev/null &
reader=$!
sleep 0.6
timeout 5 "$reel" media needed "$mnt" >"$work/log" 2>&1
grep -q "daily-0003.* is needed" "$work/log"
ok "media needed says what is waited for" $?
timeout 5 "$reel" media needed "$mnt" --json 2>&1 | grep -q '^{"needed":'
ok "as JSON" $?
timeout 5 cmp -s "$work/src/f02" "$mnt/snapshots/latest/f02"
ok "others read meanwhile" $?
turn 2
sleep 0.7
kill -0 $reader 2>/dev/null
ok "a wrong one does not end the wait" $?
rm "$link" # no drive at all
sleep 0.7
turn 3
wait $reader 2>/dev/null
cmp -s "$work/src/$third" "$work/third"
ok "the right one does" $?
[ -z "$(timeout 5 "$reel" media needed "$mnt" 2>&1)" ]
ok "nothing is needed then" $?

began=$(now)
timeout -s INT 1 cat "$mnt/snapshots/latest/$fifth" >/dev/null 2>&1
took=$(($(now) - began))
[ $took -lt 2500 ]
ok "Ctrl-C ends a wait" $?
timeout -s KILL 30 cat "$mnt/snapshots/latest/$fifth" >/dev/null 2>&1 &
reader=$!
sleep 0.5
began=$(now)
pkill -9 -P "$reader"
wait $reader 2>/dev/null
timeout 20 "$reel" umount "$mnt" >"$work/log" 2>&1
ok "umount after a killed wait" $?
[ $(($(now) - began)) -lt 5000 ]
ok "soon" $?

# a person who does what is asked: all of it, in any order
mounted media-timeout=60
(
	while sleep 0.1; do
		n=$("$reel" media needed "$mnt" 2>/dev/null |
			sed -n 's/.*daily-000\([1-5]\).*/\1/p' | head -n 1)
		[ -z "$n" ] || turn "$n"
	done
) &
person=$!
bad=0
for f in $(cd "$work/src" && ls f?? | shuf --random-source="$work/src/f01" |
	head -n 8); do
	same "$f" || bad=1
done
ok "files in any order, by hand" $bad
timeout 60 diff -r "$work/src" "$mnt/snapshots/latest" >"$work/log" 2>&1
ok "all of it, by hand" $?
kill $person
wait $person 2>/dev/null
person=
unmount

# a lost one: all that is not on it still reads
mv "$work/c3.tap" "$work/lost.tap"
sed -i '/^drive = /d' "$set/set.conf"
for i in 1 2 3 4 5; do
	echo "drive = $work/c$i.tap" >>"$set/set.conf"
done
mounted media-timeout=0
bad=0
for f in $(cd "$work/src" && ls f??); do
	if ! same "$f"; then
		bad=$((bad + 1))
		case $(volume "$f") in
		*daily-0002* | *daily-0003*) ;;
		*) bad=100 ;;
		esac
	fi
done
[ $bad -gt 0 ] && [ $bad -lt 9 ]
ok "one lost: what is not on it reads" $?
unmount
mv "$work/lost.tap" "$work/c3.tap"

# small files: few repositionings
mounted media-timeout=0
cp -r "$mnt/snapshots/latest/small" "$work/small"
diff -r "$work/src/small" "$work/small" >"$work/log" 2>&1
ok "a directory of 1000 files" $?
moves=$(getfattr --only-values -n user.reel.moves "$mnt" 2>/dev/null)
[ -n "$moves" ] && [ "$moves" -le 6 ]
ok "with few repositionings ($moves)" $?
unmount

# a listing does not wait for a cartridge with who reads one of its files, nor
# does the rest of the mount; a second reader of that file can be interrupted
for d in a m z; do
	mkdir -p "$work/two/$d"
	for i in $(seq 20); do
		head -c 100000 /dev/urandom >"$work/two/$d/$i"
	done
done
head -c 40000000 /dev/urandom >"$work/two/m/between"
set=$work/twoset
do_it "init of another set" "$reel" init "$set" --media "$work/two.tap"
do_it "its backup" "$reel" backup "$set" -C "$work/two" .
mounted cache=8M,media-timeout=20
cat "$mnt"/snapshots/latest/a/* >/dev/null
sleep 2 # the drive is idle, and closed
mv "$work/two.tap" "$work/two.away"
timeout -s KILL 30 cat "$mnt/snapshots/latest/z/1" >"$work/first" 2>/dev/null &
reader=$!
sleep 0.5
[ -n "$(timeout 5 "$reel" media needed "$mnt" 2>"$work/log")" ]
ok "a read waits" $?
began=$(now)
[ "$(timeout 10 ls "$mnt/snapshots/latest/z" | wc -l)" = 20 ] &&
	timeout 10 ls "$mnt/snapshots/latest/m" >"$work/log" 2>&1
ok "its directory and others are listed meanwhile" $?
[ $(($(now) - began)) -lt 2500 ]
ok "at once" $?
began=$(now)
timeout -s INT 1 cat "$mnt/snapshots/latest/z/1" >/dev/null 2>&1
[ $(($(now) - began)) -lt 2500 ]
ok "Ctrl-C ends the wait of a second reader" $?
mv "$work/two.away" "$work/two.tap"
wait $reader 2>/dev/null
cmp -s "$work/two/z/1" "$work/first"
ok "the first gets its file" $?
unmount
set=$work/set
rm -rf "$work/two" "$work/two.tap"

# a changer
if "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 |
	grep -q "without libiscsi" || ! command -v tgtd >/dev/null; then
	echo "media: no libiscsi or tgt here: the changer is skipped"
	exit 0
fi
port=$((20000 + $$ % 9000))
VTL_PORT=$port VTL_DRIVES=2 VTL_CARTS=4 VTL_SIZE_MB=8 VTL_LOAD=0 \
	bash "$rig/vtl.sh" start "$work/vtl" >"$work/log" 2>&1
ok "an emulated library" $?
running=$work/vtl
one=$(sed -n 's/^tape //p' "$work/vtl/urls" | head -n 1)
two=$(sed -n 's/^tape //p' "$work/vtl/urls" | tail -n 1)
changer=$(sed -n 's/^changer //p' "$work/vtl/urls")
rm -f "$work"/src/f1[0-9] "$work"/src/f20
do_it "init with a changer" "$reel" init "$work/lib" --name lib \
	--media "$one,$two" --changer "$changer"
do_it "backup over its cartridges" "$reel" backup "$work/lib" \
	-C "$work/src" .
"$reel" media list "$work/lib" >"$work/log" 2>&1
ok "media list" $?
[ "$(grep -c 'lib-000[12]' "$work/log")" -ge 2 ]
ok "of both" $?
do_it "restore, both drives" "$reel" restore "$work/lib" --to "$work/back"
diff -r "$work/src" "$work/back" >"$work/log" 2>&1
ok "is the same" $?
in=$("$reel" media list "$work/lib" 2>/dev/null |
	sed -n 's/^drive .* \(lib-000[0-9]\) .*/\1/p' | head -n 1)
do_it "media unload" "$reel" media unload "$work/lib" "$in"
"$reel" media list "$work/lib" >"$work/log" 2>&1
grep -q "^slot .* $in .*RIG" "$work/log"
ok "it is in a slot" $?
do_it "media load" "$reel" media load "$work/lib" "$in"
grep -q "$in is in iscsi" "$work/log"
ok "and in a drive again" $?
for n in 1 2 3; do
	"$reel" media unload "$work/lib" lib-000$n >/dev/null 2>&1
done
do_it "verify fetches all" "$reel" verify "$work/lib"
