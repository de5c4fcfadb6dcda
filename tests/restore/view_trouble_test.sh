#!/bin/bash
# MNT/restore in trouble: a target that changes underneath, kill -9, the root
# filesystem as target, a commit meanwhile, a full area, an ordinary user.
#
#     view_trouble_test.sh REEL RACER WORKDIR [RACES [KILLS]]
#
# What the machine cannot do is skipped and said. LIMIT (900) seconds after
# which a mount that hangs is aborted.
set -u
reel=$(realpath "$1")
racer=$(realpath "$2")
mkdir -p "$3"
work=$(realpath "$3")
races=${4:-5000}
kills=${5:-12}
family=restore-view-trouble
. "$(dirname "$0")/view.sh"
begin
src=$work/src
for n in $(seq 40); do
	head -c $((n * 1000)) /dev/urandom >"$src/etc/f$n"
done
"$reel" init "$set" >/dev/null && "$reel" backup "$set" -C "$src" . >/dev/null
ok "a set" $?

# ---- a target that somebody changes underneath ----

outside_is() # all about what lies outside
{
	find "$work/outside" -printf '%p %m %U %G %s %T@ %y\n' | sort
	cat "$work/outside/theirs" "$work/outside/mine"
	getfattr -d -m - "$work/outside/theirs" "$work/outside/mine" 2>/dev/null
}

# The view shows symlinks as they are, and a program that follows one gets
# outside by itself: where it works, something else lies there.
elsewhere() # COMMAND...
{
	unshare -m sh -c 'mount -t tmpfs -o mode=777 none "$0" && exec "$@"' \
		"$work/outside" "$@"
}

races() # WAY COMMAND...: again and again, while names are swapped
{
	local way=$1 pid before count=0
	shift
	rm -rf "$to" "$work/outside"
	mkdir -p "$to" "$work/outside"
	echo theirs >"$work/outside/theirs"
	echo mine >"$work/outside/mine"
	mkdir "$work/outside/f0"
	chown 4321 "$work/outside/mine"
	chmod 600 "$work/outside/theirs"
	for d in d0 d1 d2 d3; do
		mkdir "$to/$d"
		for f in f0 f1 f2 f3; do
			echo "the target's" >"$to/$d/$f"
		done
	done
	chown -R 4321 "$to"
	chmod 777 "$work/outside"
	before=$(outside_is | sed '1s/ [^ ]* d$//')
	rm -f "$work/counter"
	view
	"$racer" 4321 "$to" "$work/outside" "$work/counter" 4 &
	pid=$!
	children="$children $pid"
	for _ in $(seq 200); do
		elsewhere timeout 60 "$@" >/dev/null 2>&1
		count=$(od -An -td8 "$work/counter" | tr -d ' ')
		[ "${count:-0}" -lt "$races" ] || break
	done
	kill "$pid"
	wait "$pid" 2>/dev/null
	outside_is | sed '1s/ [^ ]* d$//' | diff - <(echo "$before") >"$work/log"
	ok "$way: nothing outside changed in $count swaps" $?
	[ "$count" -ge $((races / 5)) ]
	ok "$way: there were some" $?
	ls "$now" >/dev/null
	ok "$way: the mount lives" $?
	down
}

cat >"$work/drop.py" <<'END'
import os, random, sys
now = sys.argv[1]
for n in range(60):
    d, f = "%s/d%d" % (now, random.randrange(4)), "f%d" % random.randrange(4)
    p = d + "/" + f
    def over():
        tmp = d + "/.tmp%d" % random.randrange(3)
        with open(tmp, "w") as to:
            to.write("new" * 50)
        os.chmod(tmp, 0o640)
        os.rename(tmp, p)
    def into():
        with open(p, "w") as to:
            to.write("HARM")
    def more():
        with open(p, "r+") as to:
            to.write("HARM")
    for change in random.sample([
            over, into, more, lambda: os.chmod(p, 0o4777),
            lambda: os.chown(p, 99, 99), lambda: os.truncate(p, 1),
            lambda: os.setxattr(p, "user.harm", b"1"),
            lambda: os.utime(p, (1, 1)), lambda: os.unlink(p),
            lambda: os.mkdir(p), lambda: os.rmdir(p),
            lambda: os.symlink("x", p), lambda: os.link(p, d + "/linked"),
            lambda: os.unlink(d + "/linked"),
            lambda: os.rename(d, now + "/renamed"),
            lambda: os.rename(now + "/renamed", d),
            lambda: os.listdir(d)], 6):
        try:
            change()
        except OSError:
            pass
END
if ! unshare -m true 2>/dev/null; then
	skip "no mount namespaces"
	races=0
fi
rules '# none'
[ "$races" = 0 ] || races "without rules" python3 "$work/drop.py" "$now"
rules 'preserve f1' 'merge f2' 'exclude f3' 'delay /d3/f0'
[ "$races" = 0 ] || races "with rules" python3 "$work/drop.py" "$now"
mkdir -p "$work/four"
for d in d0 d1 d2 d3; do
	mkdir -p "$work/four/$d"
	for f in f0 f1 f2 f3; do
		echo "HARM $d $f" >"$work/four/$d/$f"
	done
done
chmod -R go-w "$work/four"
chown -R 4321 "$work/four" # they stay the racer's
[ "$races" = 0 ] || races "cp -a" cp -a "$work/four/." "$now"
[ "$races" = 0 ] || races "rsync" rsync -aHAX --delete "$work/four/" "$now/"
rm -rf "$set/kept" "$work/four"

# ---- kill -9 in the middle ----

# Moves numbered files, none of which a set has; who is told that a file was
# moved must find it again.
kill_daemon()
{
	local p
	for p in $(daemon); do
		kill -9 "$p"
	done
	gone
	while [ -n "$(daemon)" ]; do
		sleep 0.02
	done
}

rm -rf "$to"
mkdir -p "$to/kept" "$to/late" "$to/free" "$to/merge"
rules 'preserve /kept' 'delay /late' 'merge /merge'
lost=0
moved=0
temporaries=0
for turn in $(seq "$kills"); do
	rm -rf "$work/in" "$work/copy" "$set/kept"
	mkdir "$work/in"
	for n in $(seq 60); do
		head -c $((RANDOM * 3)) /dev/urandom >"$work/in/k$turn-$n"
	done
	cp -a "$work/in" "$work/copy"
	rm -rf "$to"/*/*
	echo there >"$to/outside-name"
	view
	(
		n=0
		for f in "$work"/in/*; do
			n=$((n + 1))
			case $((n % 6)) in
			0) mv "$f" "$now/kept/" ;;
			1) mv "$f" "$now/late/" ;;
			2) mv "$f" "$now/free/" ;;
			3) mv "$f" "$now/kept/.tmp" &&
				mv "$now/kept/.tmp" "$now/free/${f##*/}" ;;
			4) mv "$f" "$now/free/.tmp" &&
				mv "$now/free/.tmp" "$now/kept/${f##*/}" ;;
			5) mv "$f" "$now/merge/" ;;
			esac || break
		done
	) >/dev/null 2>&1 &
	pid=$!
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	kill_daemon
	wait $pid 2>/dev/null
	for f in "$work"/copy/*; do
		[ ! -e "$work/in/${f##*/}" ] || continue
		moved=$((moved + 1))
		find "$to" "$set/kept" -type f -size "$(stat -c %s "$f")c" \
			-exec cmp -s "$f" {} \; -print 2>/dev/null |
			grep -q . || {
			lost=$((lost + 1))
			echo "	lost: ${f##*/}"
		}
	done
	view
	[ -z "$(find "$to" -name '.reel-tmp-*')" ] ||
		temporaries=$((temporaries + 1))
	down
	[ -z "$(find "$set/kept" -name '.*' -type f -maxdepth 1 2>/dev/null)" ] ||
		temporaries=$((temporaries + 1))
	"$reel" delayed cancel --all --root "$to" >/dev/null 2>&1
done
[ "$lost" = 0 ] && [ "$moved" -gt "$kills" ]
ok "$kills kills: of $moved files that were moved $lost are lost" $?
[ "$temporaries" = 0 ]
ok "and the next mount clears temporary names" $?
rm -rf "$set/kept" "$work/in" "$work/copy"

# ---- the root filesystem ----

rules 'preserve /x/y/z'
rm -rf "$to"
to=/
place=${work#/}
mkdir -p "$work/victim"
echo mine >"$work/victim/f"
mountpoint=$(stat -c %m "$work")
also=
[ "$mountpoint" = / ] || also=restore-filesystem=$mountpoint
if [ "$mountpoint" != / ]; then
	view
	[ "$(cat "$now/etc/passwd")" = "$(cat /etc/passwd)" ]
	ok "restore=/ shows the system" $?
	echo new >"$now${mountpoint}/victim" 2>/dev/null
	echo new >"$now/proc/victim"
	[ "$(cat "$work/victim/f")" = mine ] && [ ! -e "$mountpoint/victim" ]
	ok "but no other filesystem that was not named" $?
	down
	said "which the report says" 'kept .*proc/victim .*another filesystem' \
		"$work/report"
	rm -rf "$set/kept"
fi
view "$also"
echo new >"$now/$place/victim/f"
[ "$(cat "$work/victim/f")" = new ]
ok "restore=/ restores to a filesystem that was named" $?
[ -z "$(ls -A "$now/$place/mnt")" ]
ok "it does not contain itself" $?
echo harm >"$now/$place/set/set.conf"
grep -q uuid "$set/set.conf"
ok "nor is the set overwritten" $?
[ -z "$(ls -A "$now/proc")" ] && [ -z "$(ls -A "$now/sys")" ]
ok "/proc and /sys are empty" $?
timeout 60 find "$now/$place" -xdev >/dev/null
ok "a walk ends" $?
down
rm -rf "$set/kept"

# In a root of its own, which has but the program and its libraries.
jail=$work/jail
mkdir -p "$jail"
if mount -t tmpfs none "$jail" 2>/dev/null; then
	mkdir -p "$jail/proc" "$jail/dev" "$jail/bin" "$jail/mnt" "$jail/etc" \
		"$jail/tmp" "$jail/src/etc"
	mount -t proc none "$jail/proc"
	cp "$reel" "$jail/bin/reel"
	cp -a /dev/fuse /dev/null "$jail/dev/"
	ldd "$reel" $(command -v cp) $(command -v sh) | grep -o '/[^ :]*' |
		grep '\.so' | sort -u | while read -r f; do
		mkdir -p "$jail${f%/*}"
		cp -L "$f" "$jail$f"
	done
	cp "$(command -v sh)" "$(command -v cp)" "$jail/bin/"
	echo old >"$jail/etc/a"
	echo old >"$jail/etc/b"
	: >"$jail/etc/fstab"
	echo new >"$jail/src/etc/a"
	echo new >"$jail/src/etc/b"
	cat >"$jail/go" <<'END'
export PATH=/bin
reel init /tmp/set && reel backup /tmp/set -C /src . &&
echo 'preserve /etc/b' >/tmp/set/rules &&
reel mount /tmp/set /mnt -o restore=/ &&
cp -a /mnt/snapshots/latest/etc/. /mnt/restore/etc/ &&
reel umount /mnt
END
	try "restore=/ in a chroot" chroot "$jail" /bin/sh /go
	[ "$(cat "$jail/etc/a" "$jail/etc/b")" = "new
old" ]
	ok "it restored what the rules let come" $?
	grep -qE '^[0-9a-f-]{36}$' "$jail/var/lib/reel/last-restore-id"
	ok "and says that a system was restored" $?
	umount "$jail/proc" "$jail"
else
	skip "a chroot cannot be made"
fi

# ---- a commit meanwhile ----

to=$work/target
mkdir -p "$to/etc"
rules 'preserve /etc/f7'
echo mine >"$to/etc/f7"
view
first=$(find "$mnt/snapshots" -mindepth 1 -type d -prune | head -n 1)
(
	for n in 1 2 3 4; do
		cp -a "$src/etc" "$mnt/current/more$n"
		"$reel" commit "$mnt" -q
	done
) >"$work/commits" 2>&1 &
pid=$!
for n in 1 2 3; do
	rsync -aHAX --checksum "$first/etc/" "$now/etc/" \
		>"$work/log" 2>&1
	ok "rsync onto restore/ while current/ is committed ($n)" $?
	rm "$to/etc/f3" "$to/etc/f9"
	sleep 1.2 # a second is how long the kernel may remember them
done
rsync -a --checksum "$first/etc/" "$now/etc/"
wait $pid
[ "$("$reel" snapshots "$set" --json | wc -l)" = 5 ]
ok "and is" $?
down
same "the target" "$src/etc" "$to/etc" --exclude f7
[ "$(cat "$to/etc/f7")" = mine ]
ok "what was kept" $?

# ---- no room ----

rules 'preserve /kept'
rm -rf "$to"
mkdir -p "$to"
if mkdir -p "$work/small" && mount -t tmpfs -o size=4m none "$work/small"; then
	"$reel" init "$work/small/set" >/dev/null
	head -c 6000000 /dev/urandom >"$work/big"
	"$reel" mount "$work/small/set" "$mnt" -o "restore=$to" >/dev/null 2>&1
	echo 'preserve /kept' >"$work/small/set/rules"
	"$reel" umount "$mnt" >/dev/null 2>&1
	"$reel" mount "$work/small/set" "$mnt" -o "restore=$to" >/dev/null 2>&1
	refused "mv of what the area has no room for" mv "$work/big" "$now/kept"
	[ "$(stat -c %s "$work/big")" = 6000000 ]
	ok "leaves it where it was" $?
	"$reel" umount "$mnt" >/dev/null 2>&1
	umount "$work/small"
else
	skip "a small filesystem cannot be mounted"
fi

# ---- an ordinary user ----

# With a /dev/fuse of its own that it may open.
cat >"$work/user.sh" <<'END'
mount -t tmpfs -o mode=755 none "$u" && mknod -m 666 "$u/fuse" c 10 229 &&
	mount --bind "$u/fuse" /dev/fuse || exit 3
mkdir -p "$u/to/kept" "$u/mnt" "$u/src"
echo new >"$u/src/f"
echo mine >"$u/to/kept/f"
cp "$reel" "$u/reel"
chown -R nobody: "$u/to" "$u/mnt" "$u/src" "$u"
exec setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$u" sh -c '
cd "$u" || exit 2
./reel init set >/dev/null && ./reel backup set -C src . >/dev/null || exit 2
echo "preserve /kept" >set/rules
! ./reel mount set mnt -o restore=to 2>&1 || exit 2
./reel mount set mnt -o restore=to,restore-only || exit 3
cp src/f mnt/f && cp src/f mnt/kept/f && mkdir mnt/d && chmod 700 mnt/d &&
	ln mnt/f mnt/d/linked && cat mnt/kept/f
head -c 70000 /dev/zero | tr "\0" u >only && mv only mnt/kept/only
./reel status mnt
./reel umount mnt
cat to/f to/kept/f; [ to/f -ef to/d/linked ] && echo linked
ls set/kept/*/kept/only'
END
if command -v setpriv >/dev/null && command -v fusermount3 >/dev/null; then
	mkdir -p "$work/user"
	# in a chroot whose root is no mount nothing can be made private
	u=$work/user reel=$reel unshare -m --propagation unchanged sh -c '
		export u reel
		mount --make-rprivate / 2>/dev/null; exec sh "$0"' \
		"$work/user.sh" \
		>"$work/log" 2>&1
	rc=$?
else
	rc=3
fi
if [ $rc = 3 ]; then
	skip "an ordinary user cannot mount here"
else
	ok "an ordinary user's restore/ alone" $rc
	said "a mount within a mount is refused" 'restore-only'
	said "what is kept is told" '^kept  *kept/f  (preserve /kept'
	said "and is what is there" '^mine$'
	said "links are made" '^linked$'
	said "what only was there is kept" 'set/kept/.*/kept/only$'
fi
end
