#!/bin/bash
# Every verb of `reel tape`, on images, on a drive emulated over iSCSI (where
# tgtd can run), and with --long on the kernel's own tape driver in a virtual
# machine; what is written through one is read through the others; misuse.
#
#     tape_test.sh REEL WORKDIR [--long]
#
# STAGE=st DEVICE (inside the virtual machine) runs the verbs alone.
set -u
reel=$1
work=$2
long=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
passed=0
failed=0
running=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "tape: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 5
	fi
}

tape()
{
	"$reel" tape "$@" >"$work/log" 2>&1
}

# NAME STATUS TEXT VERB...: ends with STATUS and says TEXT in one line
refuses()
{
	local name=$1 status=$2 text=$3 got
	shift 3
	"$reel" tape "$@" >"$work/out" 2>"$work/log" </dev/null
	got=$?
	[ $got = "$status" ] && grep -q -e "$text" "$work/log" &&
		[ "$(wc -l <"$work/log")" = 1 ]
	ok "$name (status $got)" $?
}

value() # DEVICE KEY: of `params`
{
	"$reel" tape params "$1" 2>/dev/null | sed -n "s/^$2  *//p"
}

has() # DEVICE FEATURE
{
	value "$1" features | grep -qw -e "$2"
}

same() # FILE DEVICE OPTIONS...: the tape file that comes next
{
	local file=$1
	shift
	"$reel" tape read -q "$@" 2>"$work/log" | cmp -s - "$file"
}

# ---- what every drive does ----

blocks() # DEVICE
{
	local d=$1

	tape seek "$d" 0
	ok "$d: to the beginning" $?
	"$reel" tape write "$d" -b 10K -q <"$work/a" 2>"$work/log"
	ok "$d: write blocks of 10K" $?
	"$reel" tape write "$d" -b 64K --json <"$work/b" >"$work/log" 2>&1
	ok "$d: and of 64K behind them" $?
	grep -q '"size":700001,"blocks":11,' "$work/log"
	ok "$d: it says how much" $?
	tape mark "$d" 2
	ok "$d: two more filemarks" $?
	tape mark "$d" 0
	ok "$d: flush" $?
	tape seek "$d" --file 0
	ok "$d: to file 0" $?
	same "$work/a" "$d"
	ok "$d: read it" $?
	same "$work/b" "$d" -b 512
	ok "$d: read it into a buffer that is too small" $?
	tape read "$d" -q
	ok "$d: an empty file" $?
	tape read "$d" -q
	ok "$d: another" $?
	refuses "$d: nothing follows" 2 "the tape ends here" read "$d"
	tape seek "$d" --file 1
	same "$work/b" "$d" -b 1M
	ok "$d: to file 1, into a buffer that is too large" $?
	tape seek "$d" --file 1 --block 3
	tail -c +196609 "$work/b" >"$work/tail"
	same "$work/tail" "$d"
	ok "$d: to a block of it" $?
	tape space "$d" filemarks -- -1 && tape space "$d" blocks -- -2 &&
		tail -c 110177 "$work/b" >"$work/tail" &&
		same "$work/tail" "$d"
	ok "$d: back over a filemark and two blocks" $?
	tape seek "$d" --file 0 && tape space "$d" blocks 2 &&
		tail -c +20481 "$work/a" >"$work/tail" &&
		same "$work/tail" "$d"
	ok "$d: over two blocks" $?
	tape seek "$d" --file 0 && tape space "$d" filemarks &&
		same "$work/b" "$d"
	ok "$d: over a filemark" $?
	tape space "$d" end
	ok "$d: to the end of the data" $?
	tape seek "$d" --end && "$reel" tape write "$d" -q <"$work/c" &&
		tape seek "$d" --file 4 && same "$work/c" "$d"
	ok "$d: append" $?
	tape seek "$d" --file 0 &&
		"$reel" tape read "$d" -b 4K --json 2>"$work/log" |
		head -c 1000 >/dev/null
	ok "$d: who reads wants no more" "${PIPESTATUS[0]}"
	grep -q '"blocks":[0-9]*,"files":1}$' "$work/log"
	ok "$d: it says how much, as JSON" $?
	same "$work/b" "$d"
	ok "$d: the next tape file comes next" $?
	cat "$work/a" "$work/b" "$work/c" >"$work/all"
	tape seek "$d" 0 && "$reel" tape read "$d" --all -q 2>"$work/log" |
		cmp -s - "$work/all"
	ok "$d: all files" $?
}

sizes() # DEVICE
{
	local d=$1 max

	max=$(value "$d" block_max)
	[ "$max" -ge 1048576 ]
	ok "$d: blocks of 1M" $?
	tape seek "$d" 0
	head -c $((max + 1)) /dev/zero >"$work/large"
	"$reel" tape write "$d" -b $((max + 1)) <"$work/large" \
		>/dev/null 2>"$work/log"
	[ $? = 2 ] && grep -q "blocks have at most\|to $max bytes\|$max bytes" \
		"$work/log"
	ok "$d: a block beyond the limit" $?
	tape seek "$d" 0 && same "$work/a" "$d"
	ok "$d: wrote nothing" $?
	tape set "$d" block-size 512
	ok "$d: blocks of 512" $?
	[ "$(value "$d" block_size)" = 512 ]
	ok "$d: it says so" $?
	tape seek "$d" 0 && head -c 10000 "$work/a" >"$work/part" &&
		"$reel" tape write "$d" -q <"$work/part" 2>"$work/log"
	ok "$d: write them" $?
	head -c 240 /dev/zero >>"$work/part"
	tape seek "$d" 0 && same "$work/part" "$d"
	ok "$d: the last was filled up" $?
	tape set "$d" block-size 0
	ok "$d: of any size again" $?
}

optional() # DEVICE
{
	local d=$1

	tape status "$d" --json && grep -q '"state":"ready"' "$work/log"
	ok "$d: status" $?
	tape params "$d" --json && grep -q '"block_max":' "$work/log"
	ok "$d: params" $?
	tape lock "$d"
	ok "$d: lock" $?
	tape unlock "$d"
	ok "$d: unlock" $?
	tape tension "$d"
	ok "$d: tension" $?
	tape unload "$d"
	ok "$d: unload" $?
	tape load "$d" --json && grep -q '"verb":"load","done":true' "$work/log"
	ok "$d: load" $?
	[ "$(wc -l <"$work/log")" = 1 ]
	ok "$d: load, and nothing else is said" $?
	refuses "$d: ecc" 2 "cannot have its error correction set" \
		set "$d" ecc on
	refuses "$d: padding" 2 "cannot have its padding set" \
		set "$d" padding on
	refuses "$d: long filemarks" 2 "cannot write long filemarks" \
		mark "$d" --long
	refuses "$d: erase asks" 2 "give --yes" erase "$d"
	refuses "$d: format asks" 2 "give --yes" format "$d"
	refuses "$d: partition asks" 2 "give --yes" partition "$d" --count 2
	refuses "$d: setmarks" 2 "cannot write setmarks" mark "$d" --setmarks
	has "$d" tell || {
		refuses "$d: tell" 2 "cannot tell where" tell "$d"
		refuses "$d: seek by number" 2 "cannot seek by" seek "$d" 5
		refuses "$d: attribute" 2 "cannot read a cartridge's memory" \
			attribute "$d" 0806
		refuses "$d: partition" 2 "cannot create partitions" \
			partition "$d" --count 2 --yes
	}
}

verbs() # DEVICE
{
	blocks "$1"
	sizes "$1"
	optional "$1"
}

sources()
{
	mkdir -p "$work"
	head -c 500000 /dev/urandom >"$work/a"
	head -c 700001 /dev/urandom >"$work/b"
	head -c 300000 /dev/urandom >"$work/c"
}

finish()
{
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

if [ -n "${STAGE:-}" ]; then
	sources
	verbs "$STAGE"
	tape seek "$STAGE" 0
	tar -b 512 -cf "$STAGE" -C "$here" tape_test.sh 2>"$work/log"
	ok "tar writes" $?
	tape seek "$STAGE" 0
	"$reel" tape read "$STAGE" -q 2>/dev/null | tar -xOf - >"$work/out"
	cmp -s "$work/out" "$here/tape_test.sh"
	ok "and reel reads it" $?
	tape seek "$STAGE" 0
	tar -b 512 -cf - -C "$here" tape_test.sh |
		"$reel" tape write "$STAGE" -b 256K -q 2>"$work/log"
	tape seek "$STAGE" 0
	tar -b 512 -xOf "$STAGE" >"$work/out" 2>"$work/log"
	cmp -s "$work/out" "$here/tape_test.sh"
	ok "and the other way round" $?
	refuses "no such device" 2 "cannot be opened" status /dev/nst9
	exec 5<"$STAGE"
	refuses "a busy drive" 2 "another program uses it" status "$STAGE"
	exec 5<&-
	finish
fi

rm -rf "$work"
sources
stop()
{
	[ -z "$running" ] || bash "$rig/vtl.sh" stop "$running"
}
trap stop EXIT

# ---- images ----

image=$work/image.tap
: >"$image"
verbs "$image"
verbs_walking=$work/walking.tap
: >"$verbs_walking"
echo "locate no" >"$verbs_walking.conf"
blocks "$verbs_walking"
tape seek "$image" 0
"$reel" tape write "$image" -q <"$work/a" 2>/dev/null
tape tell "$image" --json &&
	grep -q '"partition":0,"object":3,"file":1,"block":0}' "$work/log"
ok "tell" $?
tape seek "$image" 1 && tail -c +262145 "$work/a" >"$work/tail" &&
	same "$work/tail" "$image"
ok "seek by number" $?
refuses "a number behind the end" 2 "there is no block 99" seek "$image" 99
refuses "a file behind the end" 2 "there is no block 0 in file 9" \
	seek "$image" --file 9
tape space "$image" blocks -- -99
[ $? = 1 ] && grep -q "stopped at the filemark\|stopped at the beginning" \
	"$work/log"
ok "space says what stopped it" $?
tape seek "$image" 1 && tape erase "$image" --yes &&
	[ "$(stat -c %s "$image")" = 262152 ]
ok "erase" $?
tape seek "$image" 0 && tape erase "$image" --long --yes && [ ! -s "$image" ]
ok "erase --long" $?
tape attribute "$image" 0806 --set "$(printf 'A\033[31m\nB')" &&
	[ "$(value "$image" barcode)" = 'A\0033[31m\0012B' ]
ok "a barcode with control characters" $?
tape attribute "$image" 0806 --set TAPE01L8 &&
	[ "$("$reel" tape attribute "$image" 0806)" = TAPE01L8 ]
ok "attribute" $?
[ "$(value "$image" barcode)" = TAPE01L8 ]
ok "the barcode in params" $?
tape set "$image" early-warning 1M
ok "early warning" $?
tape partition "$image" --count 2 --yes && [ "$(value "$image" partitions)" = 2 ]
ok "partition" $?
tape seek "$image" --partition 1 && "$reel" tape write "$image" -q <"$work/b" &&
	tape seek "$image" --partition 0 &&
	"$reel" tape write "$image" -q <"$work/c" &&
	tape seek "$image" --partition 1 && same "$work/b" "$image" &&
	tape seek "$image" --partition 0 && same "$work/c" "$image"
ok "two partitions" $?
refuses "a partition that is not there" 2 "there is no partition 2" \
	seek "$image" --partition 2
tape format "$image" --yes && [ "$(value "$image" partitions)" = 1 ]
ok "format" $?
: >"$work/set.tap"
tape mark "$work/set.tap?setmarks" --setmarks &&
	tape seek "$work/set.tap?setmarks" 0 &&
	tape space "$work/set.tap?setmarks" setmarks 1
ok "setmarks where there are" $?
refuses "alerts" 2 "cannot tell alerts" status --alerts "$image"

# the end of the medium
: >"$work/small.tap"
head -c 1000000 /dev/zero | "$reel" tape write "$work/small.tap?capacity=600K" \
	-b 10K >"$work/out" 2>"$work/log"
[ $? = 2 ] && grep -q "the end of the medium after 604160 bytes" "$work/log"
ok "the end of the medium" $?
tape seek "$work/small.tap" 0
[ "$("$reel" tape read -q "$work/small.tap" | wc -c)" = 604160 ]
ok "what came before is there" $?

# ---- misuse ----

refuses "no verb" 2 "which verb" 
refuses "an unknown verb" 2 "there is no verb wind" wind "$image"
refuses "no device" 2 "too few arguments" status
refuses "no such image" 2 "no such file" status "$work/none.tap"
refuses "no such device file" 2 "cannot be opened" status /dev/nst99
refuses "no drive's name" 2 "is no tape drive" status "$work/a"
refuses "no drive's name, again" 2 "is no tape drive" status /
printf 'This is a text' >"$work/text.tap"
refuses "no image" 5 "not a tape image" status "$work/text.tap"
[ "$(cat "$work/text.tap")" = "This is a text" ]
ok "which is left as it was" $?
mkfifo "$work/pipe.tap" && mkdir "$work/folder.tap"
refuses "a pipe is no image" 2 "not a regular file" status "$work/pipe.tap"
refuses "a folder is no image" 2 "not a regular file" status "$work/folder.tap"
refuses "a wrong option behind the name" 2 "not understood" \
	status "$image?speed=9"
refuses "a wrong URL" 2 "is meant to be\|cannot be reached\|without libiscsi" \
	status iscsi://x
refuses "nobody listens" 2 "cannot be reached\|without libiscsi" \
	status iscsi://127.0.0.1:1/iqn.none/1
refuses "a wrong number" 2 "not a number" seek "$image" x
refuses "a number is no octal one" 2 "there is no block 1000" \
	seek "$image" 01000
refuses "no files" 2 "at least one file" read "$image" --files 0
refuses "a wrong size" 2 "not a size" set "$image" block-size x
refuses "a wrong parameter" 2 "there is no parameter" set "$image" speed 1
tape unload "$image"
tape status "$image"
[ $? = 4 ] && grep -q "^state *empty" "$work/log"
ok "status without a cartridge" $?
"$reel" tape read "$image" >/dev/null 2>"$work/log"
[ $? = 4 ] && grep -q "no cartridge is loaded" "$work/log" &&
	[ "$(wc -l <"$work/log")" = 1 ]
ok "read without a cartridge" $?
"$reel" tape write "$image" <"$work/a" >/dev/null 2>"$work/log"
[ $? = 4 ]
ok "write without a cartridge" $?
tape load "$image"
"$reel" tape write "$image?protected" <"$work/a" >/dev/null 2>"$work/log"
[ $? = 2 ] && grep -q "write-protected" "$work/log"
ok "a write-protected cartridge" $?
tape lock "$image"
refuses "unload while locked" 2 "is locked" unload "$image"
tape unlock "$image"
flock -x "$image" sleep 1 &
sleep 0.2
refuses "a busy drive" 2 "another program uses it" tell "$image"
wait $!
tape seek "$image" --end
"$reel" tape write "fault:write@2=error:$image" -b 10K <"$work/a" \
	>/dev/null 2>"$work/log"
[ $? = 2 ] && grep -q "failed on purpose" "$work/log"
ok "a drive that fails" $?

# ---- over iSCSI ----

# A port of our own, for this run alone.
emulate()
{
	local number=$((100 + $$ % 9000))
	local port=$((20000 + number))

	VTL_PORT=$port VTL_CTL=$number VTL_DRIVES=2 VTL_CARTS=3 VTL_SIZE_MB=64 \
		bash "$rig/vtl.sh" start "$work/vtl" >"$work/log" 2>&1 ||
		return 1
	running=$work/vtl
}

if ! command -v tgtd >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "tape: no iSCSI (tgtd, as root): skipped"
	finish
fi
if "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 | grep -q libiscsi; then
	echo "tape: built without libiscsi: skipped"
	finish
fi
emulate
ok "an emulated library" $?
[ -n "$running" ] || finish
drive=$(sed -n 's/^tape //p' "$work/vtl/urls" | head -n 1)
second=$(sed -n 's/^tape //p' "$work/vtl/urls" | tail -n 1)
changer=$(sed -n 's/^changer //p' "$work/vtl/urls")
verbs "$drive"
refuses "a changer is no drive" 2 "it is a changer" status "$changer"
refuses "no such unit" 2 "there is no unit\|cannot" status "${drive%/*}/9"
refuses "a drive is no changer" 2 "it is no changer" inventory "$drive"
tape inventory "$changer" && grep -q '^drive *100 full  RIG001L8' "$work/log"
ok "inventory" $?
tape inventory "$changer" --json &&
	grep -q '"address":1002,"full":true,"barcode":"RIG003L8"' "$work/log"
ok "inventory --json" $?
tape unload "$second" && tape move "$changer" RIG002L8 1001 &&
	tape move "$changer" RIG003L8 101 --json &&
	grep -q '"verb":"move","from":1002,"to":101,"done":true}' "$work/log" &&
	tape load "$second" &&
	tape inventory "$changer" && grep -q '^drive *101 full  RIG003L8' \
	"$work/log"
ok "another cartridge into a drive" $?
refuses "no such barcode" 2 "is neither a barcode" move "$changer" NONE 101
tape seek "$second" 0 && "$reel" tape write "$second" -q <"$work/a" &&
	tape seek "$second" 0 && same "$work/a" "$second"
ok "two drives" $?
# the emulator dies in the middle, and comes back
bash "$rig/vtl.sh" stop "$work/vtl"
running=
refuses "the drive is gone" 2 "cannot be reached\|cannot log in" status "$drive"
emulate
drive=$(sed -n 's/^tape //p' "$work/vtl/urls" | head -n 1)
tape seek "$drive" 0 && "$reel" tape write "$drive" -q <"$work/b" &&
	tape seek "$drive" 0 && same "$work/b" "$drive"
ok "and here again" $?

# ---- the kernel's own driver ----

if [ "$long" != --long ]; then
	finish
fi
if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "tape: no qemu: the kernel's tape driver is not tried"
	finish
fi
mkdir -p "$work/vm"
tape seek "$drive" 0
"$reel" tape write "$drive" -q -b 64K <"$work/a" 2>/dev/null
cp "$work/a" "$work/vm/written"
bash "$rig/nst-vm.sh" --timeout 500 --vtl "$drive" --share "$work/vm" -- \
	"'$reel' tape seek /dev/nst0 0 &&
	'$reel' tape read -q /dev/nst0 | cmp - '$work/vm/written' &&
	echo READ-BACK; STAGE=/dev/nst0 bash '$here/tape_test.sh' '$reel' \
	'$work/vm/inside'" >"$work/log" 2>&1
grep -q "^READ-BACK" "$work/log"
ok "written over iSCSI, read through the kernel" $?
grep -q "^[1-9][0-9]* passed, 0 failed" "$work/log"
ok "the verbs through the kernel's driver" $?
grep "FAILED" "$work/log"
tape seek "$drive" 0 && "$reel" tape read -q "$drive" 2>/dev/null |
	tar -xOf - 2>/dev/null | cmp -s - "$here/tape_test.sh"
ok "written through the kernel, read over iSCSI" $?
finish
