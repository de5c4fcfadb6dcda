#!/bin/bash
# One drive and several who want it: a backup beside a mount that is read from
# without a pause, a commit that waits for a cartridge and is stopped, a person
# at a terminal who puts in the next cartridge.
#
#     share_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
rig=$here/../rig
mnt=$work/mnt
set=$work/set
passed=0
failed=0
readers=

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "share: FAILED: $1"
		tail -n 8 "$work/log" 2>/dev/null | sed 's/^/    /'
	fi
}

finish()
{
	trap - EXIT
	# shellcheck disable=SC2086
	[ -z "$readers" ] || kill $readers 2>/dev/null
	"$reel" umount --no-commit "$mnt" >/dev/null 2>&1
	[ ! -e "$work/vtl/tgtd.pid" ] || bash "$rig/vtl.sh" stop "$work/vtl"
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

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

rm -rf "$work"
mkdir -p "$work/src" "$mnt" || exit 2
work=$(cd "$work" && pwd)
trap finish EXIT
for n in $(seq -w 50); do
	head -c 3000000 /dev/urandom >"$work/src/f$n"
done

# a backup beside readers who never stop
beside() # NAME DEVICE SAYINGS
{
	local name=$1 first r i began took before

	rm -rf "$set" "$work"/rounds.* "$work/bad"
	do_it "$name: init" "$reel" init "$set" --name one --media "$2"
	do_it "$name: backup" "$reel" backup "$set" -C "$work/src" .
	do_it "$name: mount" "$reel" mount "$set" "$mnt" \
		-o cache=16M,media-timeout=60
	first=$(ls "$mnt/snapshots" | grep -v latest)
	for r in 1 2; do
		(
			trap 'exit 0' TERM
			while :; do
				for f in $(cd "$work/src" && ls f?? | shuf); do
					dd if="$mnt/snapshots/$first/$f" \
						bs=1M iflag=direct \
						status=none |
						cmp -s - "$work/src/$f" ||
						echo "$f" >>"$work/bad"
					echo >>"$work/rounds.$r"
				done
			done
		) 2>/dev/null &
		readers="$readers $!"
	done
	sleep 2
	head -c 4000000 /dev/urandom >"$work/new"
	began=$(now)
	timeout 120 "$reel" backup "$set" -C "$work" new >"$work/log" 2>&1 \
		</dev/null
	ok "$name: a backup beside readers" $?
	[ "$(grep -c 'another program uses it' "$work/log")" -le "$3" ]
	ok "$name: and says so once each time it waits" $?
	took=$(($(now) - began))
	[ $took -lt 20000 ]
	ok "$name: which does not starve ($took ms)" $?
	before=$(cat "$work"/rounds.* 2>/dev/null | wc -l)
	for i in $(seq 100); do
		[ "$(cat "$work"/rounds.* 2>/dev/null | wc -l)" -le \
			$((before + 2)) ] || break
		sleep 0.2
	done
	[ "$(cat "$work"/rounds.* 2>/dev/null | wc -l)" -gt $((before + 2)) ]
	ok "$name: the readers go on" $?
	# shellcheck disable=SC2086
	kill $readers 2>/dev/null
	# shellcheck disable=SC2086
	wait $readers 2>/dev/null
	readers=
	[ ! -e "$work/bad" ]
	ok "$name: all that they read was right" $?
	do_it "$name: umount" "$reel" umount "$mnt"
}

in_use() # DEVICE
{
	"$reel" tape status "$1" 2>&1 | grep -q "another program uses it"
}

# a program stopped while it has the drive: one that was done with it before
# it was stopped is begun anew
hold() # DEVICE
{
	local i

	for i in $(seq 20); do
		"$reel" verify "$set" >/dev/null 2>&1 &
		holder=$!
		while kill -0 $holder 2>/dev/null && ! in_use "$1"; do
			sleep 0.02
		done
		kill -STOP $holder 2>/dev/null && in_use "$1" && return 0
		kill -CONT $holder 2>/dev/null
		wait $holder
	done
	return 1
}

# a program keeps the drive for long while another waits for it
kept() # NAME DEVICE
{
	local holder waiter

	hold "$2"
	ok "$1: a program stopped while it has the drive" $?
	timeout 60 "$reel" verify "$set" >"$work/log" 2>&1 </dev/null &
	waiter=$!
	sleep 8
	kill -CONT $holder
	wait $holder
	wait $waiter
	ok "$1: it waits for a drive that another program keeps" $?
	[ "$(grep -c 'another program uses it' "$work/log")" = 1 ]
	ok "$1: and says so once" $?
}

if [ -c /dev/fuse ] && command -v tgtd >/dev/null &&
	! "$reel" tape status iscsi://127.0.0.1:1/x/1 2>&1 |
	grep -q "without libiscsi"; then
	VTL_PORT=$((20000 + $$ % 9000)) VTL_DRIVES=1 VTL_CARTS=1 \
		bash "$rig/vtl.sh" start "$work/vtl" >"$work/log" 2>&1
	ok "an emulated drive" $?
	beside iscsi "$(sed -n 's/^tape //p' "$work/vtl/urls")" 3
	kept iscsi "$(sed -n 's/^tape //p' "$work/vtl/urls")"
	bash "$rig/vtl.sh" stop "$work/vtl"
	"$reel" verify "$set" >"$work/log" 2>&1 </dev/null
	[ $? = 4 ] && grep -q "cannot be reached" "$work/log" &&
		! grep -q "damage" "$work/log"
	ok "a drive that is not there is not taken for damage" $?
	"$reel" restore "$set" --to "$work/none" >"$work/log" 2>&1 </dev/null
	ok "nor by restore ($?)" $(($? != 4))
else
	echo "share: no libiscsi or tgt here: iSCSI is skipped"
fi
if [ -c /dev/fuse ]; then
	beside image "$work/a.tap" 3
	kept image "$work/a.tap"

	# a commit that waits for its cartridge is stopped
	mv "$work/a.tap" "$work/away"
	do_it "mount without the cartridge" "$reel" mount "$set" "$mnt" \
		-o media-timeout=100,commit=1
	echo more >"$mnt/current/more"
	for i in $(seq 50); do
		"$reel" media needed "$mnt" 2>/dev/null | grep -q one-0001 &&
			break
		sleep 0.1
	done
	"$reel" media needed "$mnt" 2>/dev/null | grep -q one-0001
	ok "the commit waits for it" $?
	began=$(now)
	timeout 60 "$reel" umount --no-commit "$mnt" >"$work/log" 2>&1
	ok "umount meanwhile" $?
	took=$(($(now) - began))
	[ $took -lt 5000 ]
	ok "soon ($took ms)" $?
	mv "$work/away" "$work/a.tap"
	do_it "the commit is done later" "$reel" commit "$set"
	[ "$("$reel" ls "$set" more 2>/dev/null | grep -c more)" = 1 ]
	ok "and has what was written" $?
fi

# a person at a terminal, one drive and a pile of cartridges
cat >"$work/person.py" <<'P'
import os, pty, re, select, signal, subprocess, sys, time

work, reel, how = sys.argv[1:4]
command = sys.argv[4:]
said = b""
asked = []


def turn(name):
    """The drive gets the cartridge of that name."""
    for end in (".tap", ".tap.conf"):
        new = os.path.join(work, "turned")
        os.symlink(os.path.join(work, name + end), new)
        os.rename(new, os.path.join(work, "drive" + end))


def answer(text):
    """What a person does who is asked: the barcode's last digit is the
    cartridge's."""
    wanted = re.search(rb"barcode PILE0(\d)L8\) is needed", text)
    if wanted:
        n = int(wanted.group(1))
    elif b"a blank cartridge is needed" in text:
        n = len(asked) + 2
    else:
        return False
    asked.append(n)
    if how == "break":
        return os.write(terminal, b"\x03")
    time.sleep(0.3)
    turn("c%d" % n)
    os.write(terminal, b"\n")
    return True


child, terminal = pty.fork()
if child == 0:
    os.execv(reel, [reel] + command)
begin, end = 0, time.time() + 90
while time.time() < end:
    if not select.select([terminal], [], [], 0.5)[0]:
        continue
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    at = said.rfind(b"\n") + 1
    if answer(said[begin:at]):
        begin = at
else:
    os.kill(child, signal.SIGKILL)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.buffer.write(said.replace(b"\r", b""))
print("asked:", *asked)
sys.exit(status if status >= 0 else 128 - status)
P

person() # HOW COMMAND...
{
	timeout 100 python3 "$work/person.py" "$work" "$reel" "$@" \
		>"$work/log" 2>&1
}

turn() # CARTRIDGE
{
	ln -sfn "$work/$1.tap" "$work/drive.tap"
	ln -sfn "$work/$1.tap.conf" "$work/drive.tap.conf"
}

for n in 1 2 3 4 5; do
	: >"$work/c$n.tap"
	printf 'capacity 6M\nbarcode PILE0%dL8\n' $n >"$work/c$n.tap.conf"
done
rm -f "$work"/src/f[1-5]*
turn c1
do_it "init with one drive" "$reel" init "$work/pile" --name pile \
	--media "$work/drive.tap"
person go backup "$work/pile" -C "$work/src" .
ok "a backup over a pile of cartridges, by hand" $?
grep -q "^asked: 2 3 4 5" "$work/log" &&
	grep -q "a blank cartridge is needed; .* has pile-0001; waiting" \
		"$work/log"
ok "which asks for each" $?
turn c5
person go restore "$work/pile" --to "$work/out"
ok "a restore by hand" $?
grep -q "cartridge pile-0001 (barcode PILE01L8) is needed; .* has pile-0005" \
	"$work/log" && grep -q "^asked: 1 2 3 4" "$work/log"
ok "which names cartridge and barcode" $?
diff -r "$work/src" "$work/out" >"$work/log" 2>&1
ok "and is right" $?
rm -rf "$work/out"
turn c5
person break restore "$work/pile" --to "$work/out"
rc=$?
[ $rc = 130 ]
ok "Ctrl-C ends the wait (status $rc)" $?
