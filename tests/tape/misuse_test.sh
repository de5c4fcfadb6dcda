#!/bin/bash
# What a slip of the pen must not do to a tape: each case here once lost data,
# hung or passed for success.
#
#     misuse_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
passed=0
failed=0
image=$work/a.tap

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "misuse: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 5
	fi
}

finish()
{
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

# Two tape files of blocks of 1000 bytes; the tape is at its beginning.
fresh()
{
	rm -f "$image"*
	: >"$image"
	for size in 5000 3000; do
		head -c $size "$work/bytes" |
			"$reel" tape write -q -b 1000 "$image" 2>/dev/null
	done
	"$reel" tape seek "$image" 0
	cp "$image" "$work/good"
}

untouched() # NAME
{
	cmp -s "$image" "$work/good"
	ok "$1: the tape is as it was" $?
}

at() # OBJECT: whether the tape is there
{
	"$reel" tape tell "$image" --json 2>/dev/null |
		grep -q "\"object\":$1,"
}

trap finish EXIT
rm -rf "$work"
mkdir -p "$work" || exit 2
head -c 100000 /dev/urandom >"$work/bytes"

# ---- an input or output that is closed ----

fresh
"$reel" tape read "$image" 2>"$work/log" >&-
[ $? = 2 ] && grep -q "output cannot be written" "$work/log"
ok "read without an output" $?
untouched "read without an output"
fresh
timeout 20 "$reel" tape write "$image" 2>"$work/log" <&-
[ $? = 2 ] && grep -q "input cannot be read" "$work/log"
ok "write without an input" $?
untouched "write without an input"
fresh
"$reel" tape space "$image" filemarks 99 2>&-
[ $? = 1 ]
ok "space without a place for messages" $?
untouched "space without a place for messages"
fresh
"$reel" tape read "$image" >/dev/null 2>&-
untouched "read without a place for messages"

# ---- the image itself as input or output ----

fresh
"$reel" tape read --all "$image" 1<>"$image" 2>"$work/log"
[ $? = 2 ] && grep -q "the image is the output, too" "$work/log"
ok "read into itself" $?
untouched "read into itself"
"$reel" tape write "$image" <"$image" 2>"$work/log"
[ $? = 2 ] && grep -q "the image is the input, too" "$work/log"
ok "write from itself" $?
untouched "write from itself"

# ---- inputs that end early ----

fresh
false | "$reel" tape write "$image" 2>"$work/log"
[ $? = 2 ] && grep -q "the input is empty: nothing was written" "$work/log"
ok "an empty input" $?
untouched "an empty input"
"$reel" tape seek "$image" --end
mkfifo "$work/fifo"
for signal in INT TERM; do
	python3 - "$reel" "$image" "$work/fifo" "$signal" >"$work/log" 2>&1 <<-'P'
	import os, signal, subprocess, sys, time
	reel, image, fifo, name = sys.argv[1:]
	p = subprocess.Popen([reel, "tape", "write", image, "-b", "1000"],
	    stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
	p.stdin.write(b"x" * 1500)
	p.stdin.flush()
	time.sleep(0.5)
	p.send_signal(getattr(signal, "SIG" + name)) # it waits for input
	sys.exit(0 if p.wait(20) == 130 else 1)
	P
	ok "SIG$signal ends a write that waits, with 130" $?
	grep -q "only the first 1000 bytes of the input" "$work/log"
	ok "SIG$signal: which says what is on the tape" $?
done
python3 - "$reel" "$image" >"$work/log" 2>&1 <<'P'
import signal, subprocess, sys, time
reel, image = sys.argv[1:]
p = subprocess.Popen([reel, "tape", "write", image, "-b", "1000"],
    stdin=subprocess.PIPE)
time.sleep(0.5)
p.send_signal(signal.SIGSTOP) # Ctrl-C reaches both; the other is quicker
p.stdin.write(b"x" * 1500)
p.send_signal(signal.SIGINT)
time.sleep(0.2)
p.stdin.close()
p.send_signal(signal.SIGCONT)
sys.exit(0 if p.wait(20) == 130 else 1)
P
ok "an input that the same Ctrl-C ended is no whole one" $?
"$reel" tape seek "$image" 0
python3 - "$reel" "$image" >"$work/log" 2>&1 <<'P'
import signal, subprocess, sys, time
reel, image = sys.argv[1:]
big = subprocess.run([reel, "tape", "write", image, "-q"], input=b"y" * 400000)
subprocess.run([reel, "tape", "seek", image, "0"])
p = subprocess.Popen([reel, "tape", "read", "-q", image],
    stdout=subprocess.PIPE)
time.sleep(0.5) # the pipe is full
p.send_signal(signal.SIGTERM)
sys.exit(0 if p.wait(20) == 130 else 1)
P
ok "SIGTERM ends a read whose output is not taken" $?

# ---- damage ----

fresh
printf '\5' | dd of="$image" bs=1 seek=2016 conv=notrunc status=none
"$reel" tape seek "$image" --end 2>/dev/null
cp "$image" "$work/good"
"$reel" tape erase "$image" --long --yes >"$work/log" 2>&1
[ $? = 5 ] && grep -q "nothing is written over it" "$work/log"
ok "erase --long behind damage" $?
untouched "erase --long behind damage"

# ---- files that are no images ----

rm -f "$image"*
gzip -c "$work/bytes" >"$image"
cp "$image" "$work/good"
echo hi | "$reel" tape write "$image" 2>"$work/log"
[ $? = 5 ] && grep -q "not a tape image" "$work/log"
ok "a compressed file" $?
untouched "a compressed file"
{ head -c 1024 /dev/zero; cat "$work/bytes"; } >"$image"
cp "$image" "$work/good"
echo hi | "$reel" tape write "$image" 2>"$work/log"
[ $? = 5 ] && grep -q "not a tape image" "$work/log"
ok "a filesystem" $?
untouched "a filesystem"
rm -f "$image"
truncate -s 1T "$image"
timeout 60 "$reel" tape status "$image" >"$work/log" 2>&1
[ $? != 124 ]
ok "a large file of nothing is opened soon" $?
fresh
mkfifo "$image.conf.pipe" && mv "$image.conf.pipe" "$image.conf"
timeout 20 "$reel" tape tell "$image" >"$work/log" 2>&1
[ $? != 124 ]
ok "a pipe in the place of the settings is not waited for" $?

# ---- marks ----

fresh
"$reel" tape mark "$image" 4294967295 2>"$work/log"
[ $? = 2 ] && grep -q "not a number of marks" "$work/log"
ok "more marks than a tape has" $?
untouched "more marks than a tape has"
rm -f "$image"*
: >"$image"
echo "setmarks yes" >"$image.conf"
for mark in --setmarks ""; do
	head -c 90000 "$work/bytes" | "$reel" tape write -q -b 1000 --no-mark \
		"$image" 2>/dev/null
	# shellcheck disable=SC2086
	"$reel" tape mark "$image" $mark
done
"$reel" tape seek "$image" 0
"$reel" tape read -b 1000 "$image" 2>"$work/log" | head -c 10 >/dev/null
[ "${PIPESTATUS[0]}" = 0 ] && at 182
ok "who reads wants no more: to behind the filemark, over setmarks" $?

# ---- places ----

fresh
"$reel" tape seek "$image" 3 --block 7 2>/dev/null ||
	"$reel" tape seek "$image" --end --block 7 2>/dev/null ||
	"$reel" tape space "$image" end 5 2>/dev/null
[ $? = 2 ] && at 0
ok "a place that is said in two ways" $?

# ---- an ordinary user ----

as_user()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	work_was=$work
	open=$(mktemp -d /tmp/reel-misuse.XXXXXX)
	image=$open/a.tap
	cp "$reel" "$open/reel"
	fresh
	chown 65534 "$open" "$image"
	chmod 755 "$open"
	chmod 444 "$image"
	as_user "$open/reel" tape seek "$image" --file 1 2>"$work/log" && at 6
	ok "a read-only image: the tape stays where it was moved" $?
	chmod 555 "$open"
	as_user "$open/reel" tape seek "$image" 0 2>"$work/log"
	[ $? = 2 ] && grep -q "cannot be kept" "$work/log"
	ok "a read-only directory: a move that is not kept is none" $?
	as_user "$open/reel" tape read -q "$image" 2>"$work/log" |
		cmp -s - <(tail -c +1 "$work/bytes" | head -c 3000)
	[ "${PIPESTATUS[0]}" = 0 ]
	ok "which can be read nevertheless" $?
	chmod 644 "$image"
	for verb in "format --yes" "partition --count 2 --yes" \
		"erase --yes" "mark 1"; do
		# shellcheck disable=SC2086
		set -- $verb
		as_user "$open/reel" tape "$1" "$image" "${@:2}" \
			>"$work/log" 2>&1
		[ $? = 2 ] && grep -q "cannot be kept" "$work/log"
		ok "a read-only directory: $1" $?
		untouched "a read-only directory: $1"
	done
	rm -rf "$open"
	image=$work_was/a.tap
fi

# ---- sets ----

for two in "x.tap,./x.tap" "y.tap,y.tap"; do
	(cd "$work" && "$reel" init "$work/set" --media "$two") \
		>"$work/log" 2>&1
	[ $? = 2 ] && grep -q "is named twice" "$work/log" &&
		[ ! -e "$work/set" ]
	ok "one drive twice: $two" $?
done
"$reel" init "$work/set" --media "$work/z.tap" --block-size 16M \
	>"$work/log" 2>&1
[ $? = 2 ] && grep -q "takes blocks of up to" "$work/log" &&
	[ ! -e "$work/set" ]
ok "blocks that an image does not take" $?
"$reel" ls "$work/no
such"$'\e[31m' >/dev/null 2>"$work/log"
[ "$(wc -l <"$work/log")" = 1 ] && ! grep -q $'\e' "$work/log"
ok "a message is one line without control characters" $?
