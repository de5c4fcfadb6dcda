#!/bin/bash
# current/ of a set on tape, in one drive: what a commit needs of the cartridge
# that it writes to does not make it wait for itself; Ctrl-C ends it.
#
#     commit_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
set=$work/set
mnt=$work/mnt
now=$mnt/current
image=$work/a.tap
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "commit on tape: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
	fi
}

# A commit that waits for ever is killed with its mount.
clear_up()
{
	local pid

	pid=$(getfattr --only-values -n user.reel.pid "$mnt" 2>/dev/null)
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
	umount -l "$now" "$mnt" 2>/dev/null
	rm -rf "$set" "$work/src" "$image"*
}

finish()
{
	clear_up
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

do_it() # NAME COMMAND...
{
	local name=$1
	shift
	timeout 60 "$@" >"$work/log" 2>&1 </dev/null
	ok "$name" $?
}

# A set with small files and a large one, mounted; new bytes are in current/.
fresh()
{
	clear_up
	mkdir -p "$work/src/z"
	for i in $(seq 20); do
		echo "tiny $i" >"$work/src/z/t$i"
	done
	for i in $(seq 5); do
		head -c $((i * 25000)) /dev/urandom >"$work/src/z/m$i"
	done
	head -c 8000000 /dev/urandom >"$work/src/a"
	"$reel" init "$set" --media "$image" "$@" >"$work/log" 2>&1
	"$reel" backup "$set" -C "$work/src" . >"$work/log" 2>&1
	"$reel" mount "$set" "$mnt" >"$work/log" 2>&1
	ok "mount" $?
	head -c 2000000 /dev/urandom >"$now/0new"
}

listed() # DIRECTORY
{
	(cd "$1" && find . -printf '%P %m %n %s %T@ %l\n' | sort)
}

change() # WHAT
{
	case $1 in
	touch) touch "$now/z/t1" ;;
	chmod) chmod 600 "$now/z/t2" ;;
	move) mv "$now/z/t3" "$now/z/moved" ;;
	link) ln "$now/z/t4" "$now/z/link" ;;
	rewrite) echo "tiny 5" >"$now/z/t5" ;;
	copy) cp "$mnt/snapshots/latest/z/t6" "$now/z/copy" ;;
	"copy and remove")
		cp "$mnt/snapshots/latest/z/t7" "$now/z/copy"
		rm "$now/z/t7"
		;;
	"move all") mkdir "$now/y" && mv "$now"/z/t* "$now/y" ;;
	"move the large one") mv "$now/a" "$now/z/a" ;;
	"copy what was deleted") # has no name to link to: its bytes are needed
		rm "$now/z/m"* "$now/z/t"*
		"$reel" commit "$mnt" >/dev/null 2>&1
		head -c 2000000 /dev/urandom >"$now/1new"
		mkdir "$now/back"
		cp "$(find "$mnt/snapshots" -mindepth 1 -maxdepth 1 |
			sort | head -n 1)"/z/* "$now/back"
		;;
	esac
}

same() # NAME SET
{
	rm -rf "$work/out"
	"$reel" restore "$2" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/want" "$work/out" >"$work/log" 2>&1
	ok "$1: the bytes" $?
	listed "$work/out" | diff "$work/wanted" - >"$work/log"
	ok "$1: the names" $?
}

# Each tape file is a tar of its own, wherever a volume ended.
listable()
{
	local file=1

	while "$reel" tape seek "$image" --file $file 2>/dev/null &&
		"$reel" tape read -q "$image" 2>"$work/log" >"$work/file"; do
		tar -b 512 -tf "$work/file" >"$work/log" 2>&1 || return 1
		file=$((file + 1))
	done
	[ $file -gt 8 ]
}

# ---- ----

if [ ! -c /dev/fuse ] || [ "$(id -u)" != 0 ]; then
	echo "0 passed, 0 failed, 1 skipped: current/ needs /dev/fuse and root"
	exit 0
fi
trap finish EXIT
rm -rf "$work"
mkdir -p "$mnt" || exit 2
for compress in none zstd; do
	for what in touch chmod move link rewrite copy "copy and remove" \
		"move all" "move the large one" "copy what was deleted"; do
		fresh --compress "$compress"
		change "$what"
		do_it "$compress: $what: commit" "$reel" commit "$mnt"
		rm -rf "$work/want"
		cp -a "$now" "$work/want"
		listed "$work/want" >"$work/wanted"
		do_it "$compress: $what: umount" "$reel" umount "$mnt"
		do_it "$compress: $what: verify" "$reel" verify "$set"
		same "$compress: $what" "$set"
		listable
		ok "$compress: $what: plain tar lists it" $?
		rm -rf "$work/new"
		do_it "$compress: $what: import" "$reel" import "$image" \
			"$work/new"
		same "$compress: $what: import" "$work/new"
	done
done

# ---- Ctrl-C ----

fresh
mv "$image" "$work/away"
for signal in INT TERM; do
	for verb in commit umount; do
		python3 - "$signal" "$reel" "$verb" "$mnt" >"$work/log" 2>&1 <<-'P'
		import signal, subprocess, sys, time
		p = subprocess.Popen(sys.argv[2:])
		time.sleep(1)
		p.send_signal(getattr(signal, "SIG" + sys.argv[1]))
		sys.exit(0 if p.wait(10) == 130 else 1)
		P
		ok "SIG$signal ends a $verb that waits for a cartridge" $?
	done
done
[ -e "$now/0new" ]
ok "what was written is there" $?
python3 - "$reel" "$mnt" >"$work/log" 2>&1 <<'P'
import signal, subprocess, sys, time
p = subprocess.Popen([sys.argv[1], "commit", sys.argv[2]])
time.sleep(1)
p.send_signal(signal.SIGTSTP)
time.sleep(0.5)
p.send_signal(signal.SIGCONT)
time.sleep(0.7)
if p.poll() is not None:
    sys.exit("a stop ended it")
p.send_signal(signal.SIGINT)
sys.exit(0 if p.wait(10) == 130 else 1)
P
ok "Ctrl-Z does not end a commit" $?
mv "$work/away" "$image"
do_it "the commit goes on with its cartridge" "$reel" commit "$mnt"
cmp -s "$now/0new" "$mnt/snapshots/latest/0new"
ok "and has all" $?
do_it "umount" "$reel" umount "$mnt"
