#!/bin/bash
# The wrong cartridge, and a catalogue that is not what the cartridge is: each
# misuse ends with the right status and a sentence, writes nothing to what is
# not the set's, and when all is as it should be again, all is well.
#
#     cartridge_test.sh REEL WORKDIR
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
		echo "cartridge: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 6
	fi
}

finish()
{
	[ -n "${KEEP:-}" ] || rm -rf "$work"
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

# NAME STATUS TEXT COMMAND...: ends with STATUS and says TEXT
refuses()
{
	local name=$1 status=$2 text=$3 got
	shift 3
	"$@" >"$work/log" 2>&1 </dev/null
	got=$?
	[ $got = "$status" ] && grep -q -e "$text" "$work/log"
	ok "$name (status $got)" $?
}

same() # FILE...: no byte of them has changed since keep
{
	local f

	for f in "$@"; do
		cmp -s "$f" "$f.kept" || return 1
	done
}

keep()
{
	local f

	for f in "$@"; do
		cp "$f" "$f.kept"
	done
}

backup() # SET
{
	"$reel" backup "$1" -C "$work/src" .
}

change()
{
	head -c "${1:-30000}" /dev/urandom >"$work/src/changing"
}

count()
{
	"$reel" snapshots "$1" --json 2>/dev/null | wc -l
}

answers() # SET
{
	"$reel" ls -lR "$1" --json
	"$reel" snapshots "$1" --json
	"$reel" history "$1" changing --json
}

# A new set NAME on the drives that follow, with one session.
new_set()
{
	local name=$1 drives=$2
	shift 2
	rm -rf "${work:?}/$name"
	"$reel" init "$work/$name" --media "$drives" "$@" >"$work/log" 2>&1 &&
		backup "$work/$name" >"$work/log" 2>&1
	ok "$name: made" $?
}

rm -rf "$work"
mkdir -p "$work/src" || exit 2
trap finish EXIT
for i in 1 2 3; do
	head -c $((i * 30000)) /dev/urandom >"$work/src/f$i"
done
change

# ---- another cartridge in the drive ----

new_set one "$work/one.tap"
new_set two "$work/two.tap"
mv "$work/one.tap" "$work/one.true"
cp "$work/two.tap" "$work/one.tap"
keep "$work/one.tap" "$work/one.true"
change
refuses "backup to another set's cartridge" 4 "one-0001" backup "$work/one"
same "$work/one.tap"
ok "it is as it was" $?
refuses "restore from it" 4 "one-0001" \
	"$reel" restore "$work/one" --to "$work/out"
refuses "verify with it" 4 "one-0001" "$reel" verify "$work/one"
refuses "rebuild with it" 4 "cartridge" "$reel" catalog rebuild "$work/one"
do_it "the catalogue is there all the same" "$reel" ls -lR "$work/one"
mv "$work/one.true" "$work/one.tap"
do_it "the right one is back" backup "$work/one"
do_it "and all is well" "$reel" verify "$work/one"
rm -rf "$work/out"

# ---- a block size that another program left in the drive ----

"$reel" tape set "$work/one.tap" block-size 512
do_it "blocks of 512: the set's cartridge is known" "$reel" verify "$work/one"
change
do_it "blocks of 512: backup" backup "$work/one"
for kind in 512 1M; do
	"$reel" tape set "$work/one.tap" block-size $kind
	do_it "blocks of $kind: verify by itself" "$reel" verify "$work/one.tap"
	do_it "blocks of $kind: import" \
		"$reel" import "$work/one.tap" "$work/again"
	rm -rf "$work/again"
	rm -f "$work/fixed.tap"*
	: >"$work/fixed.tap"
	"$reel" tape set "$work/fixed.tap" block-size $kind
	new_set fixed "$work/fixed.tap"
	do_it "blocks of $kind: a new set" "$reel" verify "$work/fixed"
done

# ---- what is not reel's ----

rm -f "$work/foreign.tap"
: >"$work/foreign.tap"
tar -b 20 -cf - -C "$work/src" . |
	"$reel" tape write -q "$work/foreign.tap" -b 10K >"$work/log" 2>&1
keep "$work/foreign.tap"
"$reel" init "$work/foreign" --media "$work/foreign.tap" >"$work/log" 2>&1
refuses "backup to a foreign tape" 4 "needed" backup "$work/foreign"
same "$work/foreign.tap"
ok "it is as it was" $?
refuses "import of a foreign tape" 4 "no label" \
	"$reel" import "$work/foreign.tap" "$work/new"
[ ! -e "$work/new" ]
ok "no set is left of it" $?

# ---- overwriting by name ----

cp "$work/two.tap" "$work/old.tap"
"$reel" init "$work/over" --media "$work/old.tap" >"$work/log" 2>&1
keep "$work/old.tap"
refuses "another name" 4 "needed" "$reel" backup "$work/over" \
	--overwrite two-0002 -C "$work/src" .
same "$work/old.tap"
ok "it is as it was" $?
do_it "its own name" "$reel" backup "$work/over" --overwrite two-0001 \
	-C "$work/src" .
! grep -q "was not written over" "$work/log"
ok "nothing is said of a name that was needed" $?
do_it "is the set's now" "$reel" verify "$work/over"
change
refuses "a name that is not needed" 0 "two-0001 was not written over" \
	"$reel" backup "$work/over" --overwrite two-0001 -C "$work/src" .
keep "$work/old.tap"
change
refuses "the set's own is not written over" 2 "this very set" \
	"$reel" backup "$work/over" --full --overwrite over-0001 \
	-C "$work/src" .
same "$work/old.tap"
ok "it is as it was" $?

# ---- one cartridge under two names ----

ln -s one.tap "$work/again.tap"
sed -i "s|^drive = .*|&\\ndrive = $work/again.tap|" "$work/one/set.conf"
change
do_it "one cartridge in two drives" backup "$work/one"
do_it "all is well" "$reel" verify "$work/one"
do_it "imported from both names" "$reel" import "$work/one.tap" \
	"$work/again.tap" "$work/new"
answers "$work/one" >"$work/x" 2>&1
answers "$work/new" >"$work/y" 2>&1
do_it "it is the same" diff "$work/x" "$work/y"
rm -rf "$work/new" "$work/again.tap"
sed -i "/again.tap/d" "$work/one/set.conf"

# ---- two sets with the same drives ----

new_set left "$work/l1.tap?capacity=300K&early=30K,$work/l2.tap"
new_set right "$work/l1.tap?capacity=300K&early=30K,$work/l2.tap"
change
do_it "left goes on" backup "$work/left"
change
do_it "right goes on" backup "$work/right"
keep "$work/l2.tap"
change 200000
refuses "left is full and takes no cartridge of right" 4 "needed" \
	backup "$work/left"
same "$work/l2.tap"
ok "right's is as it was" $?
do_it "left is well" "$reel" verify "$work/left"
do_it "right is well" "$reel" verify "$work/right"
sed -i "s|^drive = .*l2.*|&\\ndrive = $work/l3.tap|" "$work/left/set.conf"
: >"$work/l3.tap"
do_it "left gets another one" backup "$work/left"
do_it "left is well again" "$reel" verify "$work/left"

# ---- too small ----

rm -rf "$work/tiny"*
"$reel" init "$work/tiny" --block-size 32K \
	--media "$work/tiny1.tap?capacity=1K,$work/tiny2.tap?capacity=20K" \
	>"$work/log" 2>&1
refuses "not even a label" 4 "too small" backup "$work/tiny"
grep -q "too early" "$work/log"
ok "nor a volume" $?
sed -i "s|^drive = .*tiny2.*|&\\ndrive = $work/tiny3.tap|" \
	"$work/tiny/set.conf"
: >"$work/tiny3.tap"
do_it "one that is large enough behind them" backup "$work/tiny"
do_it "all is well" "$reel" verify "$work/tiny"

# ---- a label alone ----

"$reel" init "$work/only" --media "$work/only1.tap" >"$work/log" 2>&1
sed -i "s|^drive = .*|drive = fault:write@2=error:$work/only1.tap|" \
	"$work/only/set.conf"
refuses "a cartridge takes its label and no more" 2 "on purpose" \
	backup "$work/only"
cp -a "$work/only" "$work/only.before"
sed -i "s|^drive = .*|drive = $work/only2.tap|" "$work/only/set.conf"
: >"$work/only2.tap"
do_it "a blank one is as good" backup "$work/only"
do_it "all is well" "$reel" verify "$work/only"
for order in "1 2" "2 1"; do
	# shellcheck disable=SC2086
	set -- $order
	do_it "import beside the bad one" "$reel" import \
		"$work/only$1.tap" "$work/only$2.tap" "$work/new"
	answers "$work/only" >"$work/x" 2>&1
	answers "$work/new" >"$work/y" 2>&1
	do_it "it is the same" diff "$work/x" "$work/y"
	rm -rf "$work/new"
done
rm -rf "$work/only"
mv "$work/only.before" "$work/only"
sed -i "s|^drive = .*|drive = $work/only1.tap|" "$work/only/set.conf"
do_it "and so is the labelled one" backup "$work/only"
do_it "all is well with it" "$reel" verify "$work/only"
"$reel" info "$work/only" --json | grep -q '"cartridge":"only-0001"'
ok "it kept its name" $?

# ---- write protection, block sizes, no drive ----

keep "$work/one.tap"
echo protected >"$work/one.tap.conf"
change
refuses "write-protected" 2 "write-protected" backup "$work/one"
do_it "it reads" "$reel" verify "$work/one"
same "$work/one.tap"
ok "it is as it was" $?
rm "$work/one.tap.conf"
refuses "blocks larger than the drive's" 2 "block-size" \
	"$reel" init "$work/large" --media "$work/large.tap" --block-size 16M
[ ! -e "$work/large.tap" ]
ok "nothing was made" $?
sed -i "s|^drive = .*|drive = $work/nowhere/one.tap|" "$work/one/set.conf"
refuses "no drive" 4 "one-0001" backup "$work/one"
sed -i "s|^drive = .*|drive = $work/one.tap|" "$work/one/set.conf"
do_it "all is as it should be" backup "$work/one"

# ---- import ----

: >"$work/blank.tap"
refuses "import of a blank one" 4 "no label" \
	"$reel" import "$work/blank.tap" "$work/new"
refuses "and beside one" 0 "no label" \
	"$reel" import "$work/blank.tap" "$work/one.tap" "$work/new"
do_it "which is all the set" "$reel" verify "$work/new"
rm -rf "$work/new"
refuses "import of two sets" 1 "another set" \
	"$reel" import "$work/one.tap" "$work/two.tap" "$work/new"
do_it "the first is taken" "$reel" verify "$work/new"
rm -rf "$work/new"
# a label and nothing behind it: as good as blank for the set whose label it is
# and that knows nothing of it (its writer was cut off), for no other
label_alone() # IMAGE
{
	python3 - "$1" <<-'P'
	import struct, sys
	data = open(sys.argv[1], "rb").read()
	at = 0
	while (length := struct.unpack_from("<I", data, at)[0]):
	    at += 8 + length + length % 2
	open(sys.argv[1], "wb").write(data[:at + 4])
	P
}
for n in ours other; do
	"$reel" init "$work/l$n" --name same --media "$work/l.tap" \
		>"$work/log" 2>&1
done
cp -a "$work/lours" "$work/lnew"
do_it "a set of the same name" backup "$work/lours"
cp "$work/l.tap" "$work/before"
for n in other new; do
	refuses "the name alone is not enough ($n)" 4 "blank cartridge" \
		backup "$work/l$n"
	cmp "$work/before" "$work/l.tap" >"$work/log" 2>&1
	ok "nothing was written ($n)" $?
done
label_alone "$work/l.tap"
cp "$work/l.tap" "$work/before"
refuses "another set's label" 4 "blank cartridge" backup "$work/lother"
cmp "$work/before" "$work/l.tap" >"$work/log" 2>&1
ok "nothing was written over another set's label" $?
do_it "the set's own label" backup "$work/lnew"
do_it "is written on" "$reel" verify "$work/lnew"
mkdir "$work/taken"
touch "$work/taken/file"
for i in taken taken/file/new none/new; do
	refuses "import to $i" 2 "$work/$i" \
		"$reel" import "$work/one.tap" "$work/$i"
	! grep -q "load one" "$work/log" && [ ! -e "$work/none" ]
	ok "import to $i: no cartridge is asked for" $?
done
refuses "init on no drive" 2 "no drive is named" \
	"$reel" init "$work/never" --media ,
refuses "init on what is not understood" 2 "not understood" \
	"$reel" init "$work/never" --media "$work/n.tap?speed=9"
refuses "init on an image in no folder" 2 "cannot be opened" \
	"$reel" init "$work/never" --media "$work/none/n.tap"
refuses "copy to an image in no folder" 2 "cannot be opened" \
	"$reel" copy "$work/one" "$work/never" --media "$work/none/n.tap"
[ ! -e "$work/never" ]
ok "no set is left of them" $?
refuses "import of nothing" 2 "none" \
	"$reel" import "$work/none.tap" "$work/new"

# ---- catalogues that are behind ----

rm -rf "$work/behind"
cp -a "$work/one" "$work/behind"
change
do_it "one goes on" backup "$work/one"
change
do_it "one goes on again" backup "$work/one"
before=$(count "$work/behind")
change
do_it "the catalogue from before takes both in" backup "$work/behind"
[ "$(count "$work/behind")" = $((before + 3)) ]
ok "it has all of them" $?
do_it "all is well" "$reel" verify "$work/behind"
do_it "one takes that in" backup "$work/one"
[ "$(count "$work/one")" = $((before + 4)) ]
ok "one has all of them" $?
do_it "all is well with one" "$reel" verify "$work/one"
answers "$work/one" >"$work/x" 2>&1
rm "$work/one/catalog.db"
do_it "the catalogue is lost and made anew" "$reel" catalog rebuild "$work/one"
answers "$work/one" >"$work/y" 2>&1
do_it "it tells the same" diff "$work/x" "$work/y"
change
do_it "and goes on" backup "$work/one"

# A part of a session on the cartridge, its rest on another, cut off there.
rm -rf "$work/half"*
new_set half "$work/half1.tap?capacity=500K&early=60K,$work/half2.tap"
rm -rf "$work/half.before"
cp -a "$work/half" "$work/half.before"
change 600000
sed -i "s|^drive = .*half2.*|drive = fault:write@4=kill:$work/half2.tap|" \
	"$work/half/set.conf"
(backup "$work/half" >"$work/log" 2>&1) 2>/dev/null
[ -e "$work/half/spool/intent" ]
ok "a backup that was killed left its intent" $?
keep "$work/half1.tap" "$work/half2.tap"
refuses "another catalogue does not write over it" 2 "part of a session" \
	backup "$work/half.before"
same "$work/half1.tap" "$work/half2.tap"
ok "both are as they were" $?
sed -i "s|^drive = fault:.*|drive = $work/half2.tap|" "$work/half/set.conf"
do_it "its own does" backup "$work/half"
do_it "all is well" "$reel" verify "$work/half"
do_it "import" "$reel" import "$work/half1.tap" "$work/half2.tap" "$work/new"
answers "$work/half" >"$work/x" 2>&1
answers "$work/new" >"$work/y" 2>&1
do_it "it is the same" diff "$work/x" "$work/y"
rm -rf "$work/new"

# The same on a new machine, where nobody knows what was interrupted.
cp "$work/half1.tap.kept" "$work/half1.tap"
cp "$work/half2.tap.kept" "$work/half2.tap"
refuses "import of what was cut off" 1 "never finished" \
	"$reel" import "$work/half1.tap" "$work/half2.tap" "$work/new"
sed -i "s|^drive = .*half1.tap|&?capacity=500K\&early=60K|" \
	"$work/new/set.conf"
refuses "nobody knows whether that is all" 2 "with --all" backup "$work/new"
do_it "a rebuild does not" "$reel" catalog rebuild "$work/new"
refuses "and says so again" 2 "with --all" backup "$work/new"
do_it "unless it is told" "$reel" catalog rebuild "$work/new" --all
do_it "then the next goes there" backup "$work/new"
do_it "all is well" "$reel" verify "$work/new"
change
do_it "and on" backup "$work/new"
rm -rf "$work/half.new"
do_it "import again" "$reel" import "$work/half1.tap" "$work/half2.tap" \
	"$work/half.new"
answers "$work/half.new" >"$work/x" 2>&1
answers "$work/new" >"$work/y" 2>&1
do_it "it is the same" diff "$work/x" "$work/y"
rm -rf "$work/new" "$work/half.new"

# ---- a damaged table ----

hurt() # FILE, the Nth table in it
{
	python3 - "$1" "$2" <<-'P'
	import sys
	data = bytearray(open(sys.argv[1], "rb").read())
	at = -1
	for n in range(int(sys.argv[2])):
	    at = data.index(b"REEL table", at + 1)
	data[at + 20] ^= 1
	open(sys.argv[1], "wb").write(data)
	P
}
tables()
{
	grep -c -a "REEL table" "$1"
}
answers "$work/one" >"$work/x" 2>&1
cp "$work/one.tap" "$work/whole.tap"
hurt "$work/one.tap" 3
do_it "import past a damaged table" "$reel" import "$work/one.tap" "$work/new"
answers "$work/new" >"$work/y" 2>&1
do_it "nothing is missing" diff "$work/x" "$work/y"
do_it "all is well" "$reel" verify "$work/new"
rm -rf "$work/new"
cp "$work/whole.tap" "$work/one.tap"
hurt "$work/one.tap" "$(tables "$work/one.tap")"
refuses "backup behind a damaged table" 0 "damaged" backup "$work/one"
do_it "import of that" "$reel" import "$work/one.tap" "$work/new"
answers "$work/one" >"$work/x" 2>&1
answers "$work/new" >"$work/y" 2>&1
do_it "nothing is missing then" diff "$work/x" "$work/y"
do_it "all is well then" "$reel" verify "$work/one"

# ---- one cartridge of several by itself ----

# FILE BEFORE OFFSET: a bit changes OFFSET bytes behind the first BEFORE
flip()
{
	python3 - "$@" <<-'P'
	import sys
	data = bytearray(open(sys.argv[1], "rb").read())
	at = data.index(bytes.fromhex(sys.argv[2])) + int(sys.argv[3])
	data[at] ^= 1
	open(sys.argv[1], "wb").write(data)
	P
}
frame=28b52ffd
cp "$work/src/changing" "$work/changing"
head -c 900000 /dev/urandom >"$work/src/spans"
for c in zstd none; do
	new_set "$c" "$work/${c}1.tap?capacity=500K&early=60K,$work/${c}2.tap\
?capacity=500K&early=60K,$work/${c}3.tap" --compress "$c" --block-size 64K
	change
	do_it "$c: another" backup "$work/$c"
	[ -s "$work/${c}3.tap" ]
	ok "$c: on three cartridges" $?
	for n in 1 2 3; do
		keep "$work/$c$n.tap"
		refuses "$c: cartridge $n alone" 4 "what lies here is well" \
			"$reel" verify "$work/$c$n.tap"
		grep -q "$c-000$n alone: [1-9]" "$work/log"
		ok "$c: its name" $?
		same "$work/$c$n.tap"
		ok "$c: it is as it was" $?
	done
	grep -q "need $c-0001, $c-0002$" "$work/log"
	ok "$c: the others are named" $?
	refuses "$c: as an object" 4 '"needs":"the one behind' \
		"$reel" verify --json "$work/${c}1.tap"
done
for n in 1 2 3; do
	flip "$work/zstd$n.tap" $frame 100000
	refuses "a frame on cartridge $n is damaged" 5 "damaged" \
		"$reel" verify "$work/zstd$n.tap"
	[ $n = 3 ] || grep -q "volume 00000$n, byte 0: a frame is damaged \
(cartridge zstd-000$n, tape file 1, block 0)" "$work/log"
	ok "and where is said" $?
	cp "$work/zstd$n.tap.kept" "$work/zstd$n.tap"
done
flip "$work/zstd2.tap" b1ea928f -3
refuses "the seek table's foot" 5 "seek table" "$reel" verify "$work/zstd2.tap"
cp "$work/zstd2.tap.kept" "$work/zstd2.tap"
flip "$work/none1.tap" 7370616e730000 100
refuses "a member's header" 5 "header" "$reel" verify "$work/none1.tap"
cp "$work/none1.tap.kept" "$work/none1.tap"
for c in zstd none; do
	hurt "$work/${c}1.tap" 1
	refuses "$c: a table" 5 "table is damaged (cartridge $c-0001" \
		"$reel" verify "$work/${c}1.tap"
	cp "$work/${c}1.tap.kept" "$work/${c}1.tap"
done
truncate -s 200000 "$work/zstd2.tap"
refuses "one that was cut off has nothing that counts" 0 "is not checked" \
	"$reel" verify "$work/zstd2.tap"
cp "$work/zstd2.tap.kept" "$work/zstd2.tap"
do_it "all of them: all is well" "$reel" verify "$work/zstd"
rm "$work/src/spans"

# Sessions that are whole on it, upon others that are not there.
mkdir -p "$work/deep/a/b"
head -c 300000 /dev/urandom >"$work/deep/a/b/one"
"$reel" init "$work/upon" --media \
	"$work/upon1.tap?capacity=500K&early=60K,$work/upon2.tap" \
	>"$work/log" 2>&1
for n in 1 2 3 4; do
	head -c 90000 /dev/urandom >"$work/deep/a/b/new$n"
	cp "$work/deep/a/b/one" "$work/deep/a/copy$n"
	rm -f "$work/deep/a/b/new$((n - 2))"
	do_it "session $n" "$reel" backup "$work/upon" -C "$work/deep" .
done
keep "$work/upon2.tap"
refuses "what builds upon a missing one" 0 "its names are not" \
	"$reel" verify "$work/upon2.tap"
grep -q "all is well" "$work/log"
ok "is no damage" $?
flip "$work/upon2.tap" 6e6577340000 20000
refuses "but what is damaged is" 5 "damaged" "$reel" verify "$work/upon2.tap"
cp "$work/upon2.tap.kept" "$work/upon2.tap"
do_it "with all: all is well" "$reel" verify "$work/upon"
mv "$work/changing" "$work/src/changing"

# ---- drives that fail while they are read ----

# Whatever fails: no file is brought back wrong, and a restore that says it is
# whole is.
cp "$work/one/set.conf" "$work/conf"
for kind in error damaged short reset gone cut; do
	wrong=
	for n in 1 2 3 4 5 6 8 10 13 17 22; do
		rm -rf "$work/out"
		sed -i "s|^drive = .*|drive = fault:any@$n=$kind:$work/one.tap|" \
			"$work/one/set.conf"
		"$reel" restore "$work/one" --to "$work/out" >"$work/log" 2>&1
		rc=$?
		cp "$work/conf" "$work/one/set.conf"
		[ $rc != 0 ] || diff -r "$work/out" "$work/src" >/dev/null ||
			wrong="$wrong $n"
		[ ! -d "$work/out" ] || for f in "$work"/out/*; do
			[ ! -f "$f" ] || cmp -s "$f" "$work/src/${f##*/}" ||
				wrong="$wrong $n:${f##*/}"
		done
	done
	[ -z "$wrong" ]
	ok "restore, $kind:$wrong" $?
done
rm -rf "$work/out"
do_it "a drive that works: all is well" "$reel" verify "$work/one"
