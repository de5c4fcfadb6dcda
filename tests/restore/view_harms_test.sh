#!/bin/bash
# MNT/restore: what did harm once, each by its harm.
#
#     view_harms_test.sh REEL WORKDIR
#
# LIMIT (900) seconds after which a mount that hangs is aborted.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
family=restore-view-harms
. "$(dirname "$0")/view.sh"
begin
src=$work/src

afresh() # RULE...: an empty target and an empty set, mounted
{
	rm -rf "$to" "$set" "$src" "$work/new"
	mkdir -p "$to" "$src"
	"$reel" init "$set" >/dev/null &&
		"$reel" backup "$set" -C "$src" . >/dev/null
	rules "$@"
	[ ! -d "$work/before" ] || cp -a "$work/before/." "$to/"
	view
}

target() # COMMAND: run in what the target is at first
{
	rm -rf "$work/before"
	mkdir "$work/before"
	(cd "$work/before" && sh -ec "$1")
}

boot() # what was delayed is carried out
{
	[ ! -d "$now" ] || down
	try "the next boot" "$reel" delayed run --root "$to"
}

# ---- a preserved file in a delayed directory was replaced at the next boot:
# its temporary name was delayed, and so stayed the name it was renamed to

target 'mkdir d; echo old >d/kept; echo old >d/put-off'
afresh 'delay /d' 'preserve /d/kept'
mkdir "$work/new"
echo a newer one | tee "$work/new/kept" >"$work/new/put-off"
try "rsync into a delayed directory" rsync -a "$work/new/" "$now/d/"
boot
[ "$(cat "$to/d/kept")" = old ]
ok "a preserved file stays at boot, too" $?
cmp -s "$work/new/put-off" "$to/d/put-off"
ok "the one beside it comes" $?
kept_has "$work/new/kept" d/kept
ok "what was kept out is in the kept area" $?

# ---- a preserved or excluded name below a directory that is made at the next
# boot was made with it

target true
afresh 'delay /d' 'preserve kept' 'exclude out' 'preserve kept-too/'
try "a delayed tree with names to be kept out" sh -ec '
	mkdir -p "$1/d/sub/kept/deep" "$1/d/kept-too"
	for f in kept out put-off sub/kept/f kept-too/f; do
		echo "$f" >"$1/d/$f"
	done' - "$now"
try "status" "$reel" status -v "$mnt"
said "keeps the one" '^kept  *d/kept  (preserve kept (line 2))'
said "leaves out the other" '^excluded  *d/out  (exclude out (line 3))'
said "and what is in a kept directory" '^kept  *d/sub/kept/f  (preserve kept'
boot
[ "$(cd "$to" && find d | sort | tr '\n' ' ')" = 'd d/put-off d/sub ' ]
ok "nothing of them comes at boot" $?

# ---- what was renamed after it had been handed over came at the next boot by
# its old name

target true
afresh 'delay /d'
mkdir "$now/d"
echo content >"$now/d/old"
"$reel" status "$mnt" >/dev/null # hands over
mv "$now/d/old" "$now/d/new"
boot
[ "$(cd "$to/d" && echo *)" = new ]
ok "a renamed file comes by its new name alone" $?

target true
afresh 'delay /d'
mkdir -p "$now/d/old/sub"
echo content >"$now/d/old/sub/f"
"$reel" status "$mnt" >/dev/null
try "a directory is renamed" mv "$now/d/old" "$now/d/new"
boot
[ "$(cd "$to" && find d | sort | tr '\n' ' ')" = \
	'd d/new d/new/sub d/new/sub/f ' ]
ok "a renamed directory comes by its new name alone" $?

# ---- names kept the verdict of the name that they were renamed or exchanged
# from

target true
afresh 'delay /d' 'preserve /d/kept' 'preserve /d/put-off/secret'
mkdir -p "$now/d/tmp" "$now/d/tmp2/sub"
echo content >"$now/d/tmp/f"
echo content >"$now/d/tmp2/sub/f"
echo content >"$now/d/tmp2/secret"
try "a delayed directory gets a kept name" mv -T "$now/d/tmp" "$now/d/kept"
try "another a delayed one" mv -T "$now/d/tmp2" "$now/d/put-off"
boot
[ "$(cd "$to" && find d | sort | tr '\n' ' ')" = \
	'd d/put-off d/put-off/sub d/put-off/sub/f ' ]
ok "nothing comes there at boot that a rule keeps out" $?

target true
afresh 'delay /d' 'preserve /d/kept'
mkdir "$now/d"
echo first >"$now/d/kept"
echo second >"$now/d/put-off"
"$reel" status "$mnt" >/dev/null
try "a kept and a delayed file are exchanged" python3 -c '
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
assert not libc.renameat2(-100, sys.argv[1].encode(), -100,
                          sys.argv[2].encode(), 2), ctypes.get_errno()' \
	"$now/d/kept" "$now/d/put-off"
[ "$(cat "$now/d/kept" "$now/d/put-off")" = "second
first" ]
ok "the view shows it" $?
boot
[ ! -e "$to/d/kept" ] && [ "$(cat "$to/d/put-off")" = first ]
ok "names keep what rules say of them" $?

# ---- a delayed directory was to be removed at boot with a kept file in it:
# that failed, and all that was to come behind it waited for ever

target 'mkdir -p d/old; echo mine >d/old/kept; echo old >d/old/gone; echo 1 >d/f'
afresh 'delay /d' 'preserve kept'
try "what is in it goes" rm "$now/d/old/kept" "$now/d/old/gone"
refused "the directory does not" rmdir "$now/d/old"
echo two >"$now/d/f"
boot
[ "$(cat "$to/d/old/kept" "$to/d/f")" = "mine
two" ] && [ ! -e "$to/d/old/gone" ]
ok "what else is delayed comes" $?

# ---- a file that was being written slowly was handed over half, and would
# have come so if the machine had gone down then

target 'mkdir d; echo whole >d/f'
afresh 'delay /d'
exec 9>"$now/d/f"
echo half >&9
sleep 7
"$reel" status "$mnt" >/dev/null
! "$reel" delayed list --root "$to" 2>&1 | grep -q d/f
ok "half a file is not handed over" $?
echo rest >&9
exec 9>&-
boot
[ "$(cat "$to/d/f")" = "half
rest" ]
ok "it comes when it was closed" $?

# ---- a new file in an immutable directory was refused, not delayed

target 'mkdir d; echo old >d/f'
afresh 'delay busy'
if chattr +i "$to/d" 2>/dev/null; then
	try "a new file, and another" sh -ec \
		'echo new >"$1/d/new"; echo newer >"$1/d/f"' - "$now"
	boot
	[ "$(cat "$to/d/new" "$to/d/f")" = "new
newer" ]
	ok "both come at boot" $?
	chattr -i "$to/d"
else
	skip "an immutable directory"
fi

# ---- rsync -H set an xattr of a file with several names by one of them, when
# it had found the others linked to it: they kept the old file

names() # NAME...: all are names of one file, whose xattr is user.new
{
	local n one
	one=$(stat -c %d:%i "$to/$1")
	for n in "$@"; do
		[ "$(stat -c %d:%i "$to/$n")" = "$one" ] &&
			[ "$(getfattr --only-values -n user.new \
				"$to/$n" 2>/dev/null)" = value ] || return 1
	done
}

linked='mkdir -p d/sub z; echo one >d/a; chmod 640 d/a
	for n in d/b d/sub/c z/e; do ln d/a $n; done'
target "$linked"
for rule in '# none' 'preserve /d/b' 'merge /d/b' 'exclude /z'; do
	afresh "$rule"
	ln "$to/d/a" "$work/outside"
	was=$(stat -c '%i %a %Z' "$work/outside")
	cp -a "$work/before" "$work/new"
	setfattr -n user.new -v value "$work/new/d/a"
	chmod 600 "$work/new/d/a"
	[ "$rule" != '# none' ] || chmod 640 "$work/new/d/a"
	try "rsync -H over linked files, with '$rule'" \
		rsync -aHAX --delete "$work/new/" "$now/"
	down
	case $rule in
	*b) names d/a d/sub/c z/e ;;
	*z) names d/a d/b d/sub/c ;;
	*) names d/a d/b d/sub/c z/e ;;
	esac
	ok "all that may change are names of one file still" $?
	! getfattr -n user.new "$work/outside" >/dev/null 2>&1 &&
		[ "$(stat -c '%i %a' "$work/outside")" = "${was% *}" ]
	ok "the one that lies outside is what it was" $?
	case $rule in
	*b) [ "$to/d/b" -ef "$work/outside" ] ;;
	*z) [ "$to/z/e" -ef "$work/outside" ] ;;
	esac
	ok "so is what the rule keeps" $?
	rm -f "$work/outside"
done

# ---- names that are files apart in what is restored, and one file in the
# target, all became what the last was

target "$linked"
afresh '# none'
mkdir -p "$work/new/d" "$work/new/z"
n=600
for f in d/a d/b z/e; do
	cp -p "$to/d/a" "$work/new/$f"
	chmod $((n += 1)) "$work/new/$f"
done
find "$now" -ls >/dev/null
try "rsync of files apart over linked ones" \
	rsync -aHAX --delete "$work/new/" "$now/"
down
same "each is what it was" "$work/new" "$to"

# ---- directories stayed of which all that was in them was to go at the next
# boot, and what was to come in their place did not

target 'mkdir -p old/deep/er other; for f in old/deep/er old/deep other
	do echo old >$f/late; done; echo kept >other/kept'
afresh 'delay late' 'preserve kept'
mkdir "$work/new"
echo a file now >"$work/new/old"
try "rsync --delete of directories that a rule delays" \
	rsync -aHAX --delete "$work/new/" "$now/"
[ -f "$to/old/deep/er/late" ] && [ -f "$now/old" ]
ok "they wait, and the view shows it" $?
refused "one with a kept file is not removed" rmdir "$now/other"
boot
cmp -s "$work/new/old" "$to/old"
ok "at boot what is new comes in their place" $?
[ "$(ls "$to/other")" = kept ]
ok "what is kept stays" $?

# ---- one file too large for the target's filesystem kept all others from
# being handed over to the next boot

"$reel" umount "$mnt" >/dev/null 2>&1
rm -rf "$to" "$work/before"
mkdir -p "$to"
if mount -t tmpfs -o size=2m none "$to" 2>/dev/null; then
	"$reel" init "$set" >/dev/null 2>&1
	rules 'delay /d' 'delay /new'
	mkdir "$to/d"
	echo old >"$to/d/z"
	view
	try "what has no room, and more" sh -ec '
		mkdir -p "$1/new/sub"
		head -c 8000000 /dev/urandom >"$1/d/huge"
		for f in d/a d/z new/sub/f; do echo new >"$1/$f"; done' - "$now"
	try "status" "$reel" status "$mnt"
	try "what waits for the boot" "$reel" delayed list --root "$to"
	said "has the one before it" ' d/a$'
	said "and the one behind it" ' d/z$'
	said "and a directory's" ' new/sub/f$'
	! grep -q huge "$work/log"
	ok "but not what has no room" $?
	down
	grep -q 'd/huge: not handed over' "$work/log" "$work/report" \
		"$set/mount.log"
	ok "which is told" $?
	[ "$(find "$set/kept" -name huge -size +7M | wc -l)" = 1 ]
	ok "and lies in the kept area" $?
	boot
	[ "$(cat "$to/d/a" "$to/d/z" "$to/new/sub/f" | tr '\n' ' ')" = \
		'new new new ' ]
	ok "all else comes at boot" $?
	umount "$to"
else
	skip "a small target"
fi

# ---- rsync --delete removed the set's tape image, when it lay in the target

"$reel" umount "$mnt" >/dev/null 2>&1
rm -rf "$to" "$set" "$work/new"
mkdir -p "$to" "$work/new"
"$reel" init "$set" --media "$to/tape.tap" >/dev/null 2>&1 &&
	"$reel" backup "$set" -C "$src" . >/dev/null 2>&1
echo extra >"$to/extra"
view
rsync -a --delete "$work/new/" "$now/" >/dev/null 2>&1
down
[ -s "$to/tape.tap" ] && [ ! -e "$to/extra" ]
ok "the image stays, what is extra goes" $?
try "the set is whole" "$reel" verify "$set"
end
