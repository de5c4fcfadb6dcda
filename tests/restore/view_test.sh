#!/bin/bash
# MNT/restore: dragging a snapshot onto the target, and what no set has.
#
#     view_test.sh REEL WORKDIR
#
# What the machine cannot do is skipped and said. LIMIT (900) seconds after
# which a mount that hangs is aborted.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
family=restore-view
. "$(dirname "$0")/view.sh"
begin

# ---- the snapshot ----

src=$work/src
for d in keep merge late plain plain/deep old; do
	mkdir -p "$src/etc/$d"
	for n in 1 2 3 4; do
		head -c $((n * 5000)) /dev/urandom >"$src/etc/$d/f$n"
	done
done
echo "root:x:0" >"$src/etc/passwd"
echo late >"$src/etc/late.conf"
echo cache >"$src/etc/x.tmp"
: >"$src/etc/empty"
head -c 3000000 /dev/urandom >"$src/etc/large"
ln "$src/etc/plain/f1" "$src/etc/plain/linked"
ln -s passwd "$src/etc/symlink"
ln -s ../plain "$src/etc/plain/deep/way"
cp /bin/true "$src/etc/plain/suid"
chown 1:2 "$src/etc/plain/suid"
chmod 4755 "$src/etc/plain/suid"
chmod 1777 "$src/etc/plain/deep"
mkfifo "$src/etc/plain/fifo"
truncate -s 5M "$src/etc/plain/sparse"
echo end >>"$src/etc/plain/sparse"
printf 'x' >"$src/etc/plain/$(printf 'new\nline\t\001')"
setfattr -n user.word -v thing "$src/etc/plain/f2" 2>/dev/null
setfacl -m u:3:r "$src/etc/plain/f3" 2>/dev/null
setfacl -d -m u:3:rx "$src/etc/old" 2>/dev/null
chown -R 5:6 "$src/etc/old"
find "$src" -exec touch -h -d 2021-02-03T04:05:06.789 {} +
"$reel" init "$set" >/dev/null && "$reel" backup "$set" -C "$src" . >/dev/null
ok "a set" $?

target() # what a system has, some of it unlike the snapshot
{
	rm -rf "$1"
	mkdir "$1"
	cp -a "$src/etc" "$1/"
	echo mine >"$1/etc/keep/f1"
	echo mine >"$1/etc/keep/extra"
	rm "$1/etc/keep/f2"
	echo mine >"$1/etc/merge/f1"
	rm "$1/etc/merge/f2"
	echo mine >"$1/etc/late/f1"
	rm "$1/etc/late/f2"
	echo mine >"$1/etc/late.conf"
	echo mine >"$1/etc/x.tmp"
	echo mine >"$1/etc/passwd"
	echo mine >"$1/etc/plain/f1" # and, by its other name, linked
	rm "$1/etc/plain/f4" "$1/etc/plain/fifo" "$1/etc/plain/suid"
	chmod 600 "$1/etc/plain/f2"
	setfattr -x user.word "$1/etc/plain/f2" 2>/dev/null
	rm -r "$1/etc/plain/deep"
	touch "$1/etc/old/f1"
	ln "$1/etc/old/f2" "$1/outside-name"
	equally_old "$1"
}

equally_old()
{
	find "$1" -newermt 2022-01-01 -exec touch -h -d 2024-05-06 {} +
}

more() # what only a tool that deletes can overcome
{
	rm "$1/etc/plain/f3"
	mkdir "$1/etc/plain/f3"
	echo mine >"$1/etc/plain/f3/below"
	rm -r "$1/etc/old"
	echo mine >"$1/etc/old"
	echo mine >"$1/etc/plain/extra"
	mkdir "$1/etc/plain/more"
	echo mine >"$1/etc/plain/more/extra"
	echo mine >"$1/etc/late/extra"
	equally_old "$1"
}

drag_rules()
{
	rules 'preserve /etc/keep/' 'preserve /etc/passwd' 'merge /etc/merge' \
		'exclude *.tmp' 'delay /etc/late' 'delay /etc/late.conf'
}

# ---- 1. dragging ----

# A file manager: each file beside its place, its metadata, renamed over.
cat >"$work/manager.py" <<'END'
import os, shutil, stat, sys

def one(src, dst):
    st = os.lstat(src)
    if stat.S_ISDIR(st.st_mode):
        if not os.path.isdir(dst):
            os.mkdir(dst)
        for name in sorted(os.listdir(src)):
            one(src + "/" + name, dst + "/" + name)
        meta(src, dst, st)
        return
    key = (st.st_dev, st.st_ino)
    new = os.path.dirname(dst) + "/.goutputstream-%06d" % os.getpid()
    if st.st_nlink > 1 and key in links:
        os.link(links[key], new)
    else:
        if stat.S_ISLNK(st.st_mode):
            os.symlink(os.readlink(src), new)
        elif stat.S_ISFIFO(st.st_mode):
            os.mkfifo(new)
        else:
            shutil.copyfile(src, new)
        meta(src, new, st)
        links[key] = dst
    os.rename(new, dst)

def meta(src, dst, st):
    os.chown(dst, st.st_uid, st.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(st.st_mode):
        for x in os.listxattr(dst):
            if x not in os.listxattr(src):
                os.removexattr(dst, x)
        for x in os.listxattr(src):
            os.setxattr(dst, x, os.getxattr(src, x))
        os.chmod(dst, stat.S_IMODE(st.st_mode))
    os.utime(dst, ns=(st.st_mtime_ns, st.st_mtime_ns),
             follow_symlinks=False)

links = {}
one(sys.argv[1], sys.argv[2])
END

listed() # WAY: everything that was kept or delayed is in the report
{
	local p
	for p in keep/f1 passwd merge/f1; do
		said "$1: the report says that $p is kept" \
			"^kept  *etc/$p  (" "$work/report"
	done
	for p in late/f1 late/f2 late.conf; do
		said "$1: and $p delayed" "^delayed  *etc/$p  (" "$work/report"
	done
	said "$1: and x.tmp left out" "^excluded  *etc/x.tmp  (" \
		"$work/report"
}

drag() # WAY OPTIONS-OF-RESTORE COMMAND...
{
	local way=$1 with=$2 p
	shift 2
	target "$to"
	target "$work/twin"
	[ -z "$with" ] || more "$to"
	[ -z "$with" ] || more "$work/twin"
	drag_rules
	# shellcheck disable=SC2086
	"$reel" restore "$set" etc --to "$work/twin" $with >/dev/null 2>&1
	view
	try "$way: onto restore/etc" "$@"
	# what the program did is seen; it saw nothing of the rules
	if [ "$way" = rsync ]; then
		same "$way: the view is the snapshot" \
			"$mnt/snapshots/latest/etc" "$now/etc"
	fi
	for p in passwd keep/f1 late.conf late/f2; do
		cmp -s "$src/etc/$p" "$now/etc/$p"
		ok "$way: $p shows" $?
	done
	getfattr -n user.reel.kept --only-values "$now/etc/passwd" \
		>"$work/log" 2>/dev/null
	said "$way: passwd says why" 'preserve /etc/passwd (line 2)'
	"$reel" status "$mnt" -v >"$work/report" 2>&1
	listed "$way: status"
	down
	listed "$way"
	[ "$(kept_files)" = 0 ]
	ok "$way: nothing is kept that the set has" $?
	same "$way: the target is what reel restore makes of it" \
		"$work/twin" "$to"
	[ "$(stat -c %Y "$src/etc/plain")" = "$(stat -c %Y "$to/etc/plain")" ]
	ok "$way: times of directories, too" $?
	"$reel" delayed run --root "$work/twin" >/dev/null 2>&1
	try "$way: what is delayed is carried out" \
		"$reel" delayed run --root "$to"
	same "$way: and the same again" "$work/twin" "$to"
	cmp -s "$to/etc/late/f2" "$src/etc/late/f2"
	ok "$way: with what was delayed" $?
	[ "$(cat "$to/etc/passwd")" = mine ]
	ok "$way: without what was kept" $?
	[ -z "$(find "$to" -name '.reel-tmp-*' -o -name '.goutput*')" ]
	ok "$way: no temporary file is left" $?
}

drag "cp -a" "" cp -a --no-target-directory "$mnt/snapshots/latest/etc" \
	"$now/etc"
drag "rsync" "--delete" rsync -aHAX --numeric-ids --delete --checksum \
	"$mnt/snapshots/latest/etc/" "$now/etc/"
drag "a file manager" "" python3 "$work/manager.py" \
	"$mnt/snapshots/latest/etc" "$now/etc"

if command -v gio >/dev/null; then
	target "$to"
	drag_rules
	view
	for p in passwd late.conf plain/f1 plain/f4; do
		try "gio copy $p" gio copy -p "$mnt/snapshots/latest/etc/$p" \
			"$now/etc/$p"
		cmp -s "$src/etc/$p" "$now/etc/$p"
		ok "gio copy $p: shows" $?
	done
	down
	[ "$(cat "$to/etc/passwd" "$to/etc/late.conf")" = "mine
mine" ] && cmp -s "$to/etc/plain/f1" "$src/etc/plain/f1" &&
		cmp -s "$to/etc/plain/f4" "$src/etc/plain/f4"
	ok "gio copy: the target" $?
	"$reel" delayed cancel --all --root "$to" >/dev/null 2>&1
else
	skip "gio is not installed"
fi

# ---- what no set has ----

only() # files that no set holds
{
	rm -rf "$work/only"
	mkdir "$work/only"
	for n in 1 2 3; do
		head -c $((n * 70000)) /dev/urandom >"$work/only/f$n"
	done
	ln -s "nowhere-$RANDOM" "$work/only/symlink"
	cp -a "$work/only" "$work/copies"
}

lost() # NAME: of what was moved nothing is
{
	local f
	for f in f1 f2 f3; do
		kept_has "$work/copies/$f" "$f"
		ok "$1: $f is kept" $?
	done
	[ "$(find "$set/kept" -name symlink -exec readlink {} \;)" = \
		"$(readlink "$work/copies/symlink")" ]
	ok "$1: and the symlink" $?
	[ -z "$(find "$work/only" -type f)" ]
	ok "$1: they were moved" $?
	rm -rf "$set/kept" "$work/copies"
}

for verb in preserve merge exclude; do
	rm -rf "$to"
	mkdir -p "$to/etc"
	for n in f1 f2 f3 symlink; do
		echo mine >"$to/etc/$n"
	done
	rules "$verb /etc/f*" "$verb /etc/symlink"
	only
	view
	try "mv onto $verb" mv "$work"/only/* "$now/etc/"
	"$reel" status "$mnt" >"$work/log" 2>&1
	said "mv onto $verb: status counts them" '^4 files, .* are kept in /'
	down
	said "mv onto $verb: the report, too" '^4 files, .* are kept in /' \
		"$work/report"
	[ "$(cat "$to"/etc/f1 "$to"/etc/symlink)" = "mine
mine" ]
	ok "mv onto $verb: the target stays" $?
	lost "mv onto $verb"
done
only
rules 'preserve /etc/'
view
try "rsync --remove-source-files onto preserve" rsync -a \
	--remove-source-files "$work/only/" "$now/etc/"
gone
for p in $(daemon); do
	kill -9 "$p"
done
while [ -n "$(daemon)" ]; do
	sleep 0.05
done
lost "rsync --remove-source-files, then kill -9"
view
down
[ ! -e "$set/kept" ]
ok "the next mount tidies up" $?

end
