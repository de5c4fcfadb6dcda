#!/bin/bash
# Delayed operations: what is staged, carried out, refused, told.
#
#     delayed_test.sh REEL DELAY WORKDIR BUILD-DIR
#
# As root also filesystems, inode flags, a chroot and an NTFS volume.
set -u
LC_ALL=C.UTF-8
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
delay=$(realpath "$2")
work=$3
build=$(realpath "$4")
j=var/lib/reel/delayed
passed=0
failed=0
mounts=()

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		head -n 8 out | sed 's/^/	/'
	fi
}

is() # NAME WANTED COMMAND...: it ends so
{
	local name=$1 wanted=$2 rc
	shift 2
	"$@" >out 2>&1
	rc=$?
	[ $rc = "$wanted" ] || echo "exit status $rc" >>out
	[ $rc = "$wanted" ]
	ok "$name" $?
}

says() # NAME TEXT
{
	grep -q -- "$2" out
	ok "$1" $?
}

has() # NAME FILE CONTENT
{
	[ "$(cat "$2" 2>&1)" = "$3" ]
	ok "$1" $?
}

new()
{
	rm -rf t
	mkdir -p t/d/e
	echo old >t/d/f
	echo gone >t/d/e/g
	touch -d '2020-01-01' t/d/e t/d t
}

run()
{
	"$reel" delayed run --root t "$@"
}

nothing_left() # NAME
{
	find t -path "*/$j/*" ! -name lock ! -name result >out 2>&1
	find t -name .reel-delayed >>out
	[ ! -s out ]
	ok "$1: nothing is left" $?
}

status_is() # NAME RESULT DETAILS
{
	"$reel" delayed status --root t --json >out 2>&1
	head -n 1 out | grep -q "Result\":\"$2\",\"RestoreStatusDetails\":$3,"
	ok "$1: the result" $?
}

make_list() # FILE ...
{
	python3 -ES "$here/list.py" "$@"
}

clean_up()
{
	local n
	for ((n = ${#mounts[@]}; n > 0; n--)); do
		umount "${mounts[n - 1]}" 2>/dev/null
	done
	cd /
	chattr -R -i "$work/t" 2>/dev/null
	rm -rf "$work"
}

rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
trap clean_up EXIT
cd "$work" || exit 2
echo new >n1
echo newer >n2
chmod 4750 n1
touch -d '2021-03-04 05:06:07.89' n1 n2

# ---- our own ----

plain()
{
	new
	is "nothing waits" 0 run
	is "delay" 0 "$delay" t move "$PWD/n1" d/f move "$PWD/n2" d/h \
		link ../x d/l delete d/e delete d/e/g commit
	has "the target is as it was" t/d/f old
	"$reel" delayed list --root t --json >out
	[ "$(sed 's/.*"path":"\([^"]*\)".*/\1/' out | tr '\n' ' ')" = \
		"d/e/g d/e d/f d/h d/l " ]
	ok "in order" $?
	[ "$(stat -c %a t/$j t/$j/files | tr '\n' ' ')" = "700 700 " ]
	ok "staged files are private" $?
	is "dry run" 0 run --dry-run
	has "changes nothing" t/d/f old
	is "run" 0 run
	has "moved" t/d/f new
	has "a new one" t/d/h newer
	[ "$(readlink t/d/l)" = ../x ] && [ ! -e t/d/e ]
	ok "a symlink; deleted" $?
	[ "$(stat -c '%a %.9Y' t/d/f)" = "$(stat -c '%a %.9Y' n1)" ]
	ok "with all that belongs to it" $?
	[ "$(stat -c %Y t/d)" = "$(date -d 2020-01-01 +%s)" ]
	ok "its directory's time stays" $?
	status_is run 00000000 0
	nothing_left run
	is "run again" 0 run
	says "nothing waits any more" "nothing waits"
}

again_and_back()
{
	new
	"$delay" t move "$PWD/n1" d/f delete d/e/g commit
	"$delay" t move "$PWD/n2" d/f commit
	[ "$(find t/$j/files -type f | wc -l)" = 1 ]
	ok "delayed again: the earlier one is gone" $?
	"$delay" t move "$PWD/n1" d/zz
	[ "$(find t/$j/files -type f | wc -l)" = 1 ]
	ok "not committed: swept" $?
	"$delay" t move "$PWD/n1" d/zz leave
	[ "$(find t/$j/files -type f | wc -l)" = 2 ]
	ok "a dead process leaves a file" $?
	is "cancel what is not there" 2 "$reel" delayed cancel --root t d/f no
	"$reel" delayed list --root t --json >out
	[ "$(wc -l <out)" = 2 ]
	ok "takes nothing back" $?
	is "cancel, dry" 0 "$reel" delayed cancel --root t --dry-run d/f
	[ "$("$reel" delayed list --root t --json | wc -l)" = 2 ]
	ok "takes nothing back either" $?
	is "cancel" 0 "$reel" delayed cancel --root t /d/e/g
	is "run" 0 run
	has "the later one" t/d/f newer
	[ -e t/d/e/g ]
	ok "cancelled: not deleted" $?
	nothing_left "again"
	"$delay" t move "$PWD/n1" d/f commit
	is "cancel all" 0 "$reel" delayed cancel --root t --all
	nothing_left "cancel all"
	has "as it was" t/d/f newer
}

failures()
{
	new
	"$delay" t move "$PWD/n1" d/a move "$PWD/n2" d/b move "$PWD/n1" d/c \
		commit
	echo junk >>"$(find t/$j/files -type f | sort | sed -n 2p)"
	is "a damaged staged file" 2 run
	says "is named" "d/b: move failed: the staged content"
	has "those before are moved" t/d/a new
	[ ! -e t/d/b ] && [ ! -e t/d/c ]
	ok "the rest waits" $?
	status_is "damaged" C000003F 2
	is "it stops again" 2 run
	is "cancel it" 0 "$reel" delayed cancel --root t d/b
	is "the rest" 0 run
	has "is moved" t/d/c new
	nothing_left "damaged"
	new
	"$delay" t delete d/e move "$PWD/n1" d/f commit
	is "a directory that is not empty" 2 run
	status_is "not empty" C0000101 1
	has "what follows waits" t/d/f old
	rm t/d/e/g
	is "emptied" 0 run
	has "all is done" t/d/f new
	new
	"$delay" t name d/f OLD~1 name d/e OLD~2 move "$PWD/n1" d/f delete d/n \
		commit
	is "short names where there are none" 1 run
	status_is "short names" C00000BB 3
	has "do not stop" t/d/f new
	nothing_left "short names"
}

hostile()
{
	new
	mkdir -p outside
	echo safe >outside/f
	"$delay" t move "$PWD/n1" d/f commit
	mv t/d t/dd
	ln -s ../outside t/d
	is "a symlink in the way" 2 run
	has "is not followed" outside/f safe
	says "and named" "d/f: move failed: its directory is not there"
	rm t/d
	mv t/dd t/d
	is "gone" 0 run
	new
	mkdir -p t/var/lib/reel
	ln -s "$PWD/outside" t/$j
	is "a journal that is a symlink" 2 run
	"$delay" t delete d/f commit >out 2>&1
	[ $? = 2 ] && [ "$(ls outside)" = f ]
	ok "is not written through" $?
	new
	"$delay" t delete d/f commit
	chmod 777 t/$j
	is "a journal that others can write" 2 run
	says "is refused" "not to be used"
	chmod 700 t/$j
	sed -i 's/d.f/d.e/' t/$j/journal
	is "a damaged journal" 5 run
	has "does nothing" t/d/f old
	new
	"$delay" t delete d/f commit
	flock t/$j/lock "$reel" delayed run --root t >out 2>&1
	[ $? = 3 ]
	ok "two at once" $?
}

# ---- lists ----

round_trip() # NAME ARGUMENTS-OF-LIST.PY... [-- OPTIONS]
{
	local name=$1 words=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	new
	make_list t/list "${words[@]}"
	cp t/list before
	is "$name: import" 0 "$reel" delayed import --root t t/list "$@"
	"$reel" delayed export --root t - >after 2>out
	cmp before after >>out 2>&1
	ok "$name: byte for byte" $?
	cmp -s t/list before
	ok "$name: the list is untouched" $?
}

lists()
{
	local guid='Volume{12345678-9abc-def0-1234-56789ABCDEF0}'
	round_trip plain 'MoveFile|\??\C:\d\f|\??\C:\d\h|NotExecuted' \
		'DeleteFile|Unused|\??\C:\d\e|NotExecuted' \
		'SetFileShortName|F~1|\??\C:\d\h|NotExecuted'
	round_trip prefixes --bom 'MoveFile|\\??\C:\d\f|\\?\C:\d\h|NotExecuted' \
		'DeleteFile|Unused|\??\c:\d\Žluťoučký 𝒳|SC=0000000' \
		'DeleteFile|Unused|\??\c:\d\x|SC=C0000034'
	round_trip volumes --tail 414200 \
		"MoveFile|\\??\\$guid\\f|\\??\\$guid\\h|NotExecuted" \
		'DeleteFile|Unused|\??\D:\g|NotExecuted' -- \
		--map "$guid=d" --map 'd:=/d/e/'
	is "volumes: run" 0 run
	has "volumes: moved" t/d/h old
	[ ! -e t/d/e/g ]
	ok "volumes: deleted" $?
	round_trip case 'MoveFile|\??\C:\D\F|\??\C:\D\E\G|NotExecuted'
	is "case: run" 0 run
	has "case: one file, not two" t/d/e/g old
	python3 -ES "$here/list.py" t/list >out
	says "the state is in the list" 'SC=0000000'
	new
	make_list t/list 'MoveFile|\??\C:\d\f|\??\D:\h|NotExecuted'
	is "an unmapped volume" 2 "$reel" delayed import --root t t/list \
		--map C:=
	says "is named" 'record 1: .*D:.*--map'
	make_list t/list 'DeleteFile|Unused|\??\C:\a|NotExecuted' \
		'Format|Unused|\??\C:\|NotExecuted'
	is "an unknown operation" 2 "$reel" delayed import --root t t/list
	says "is named with its record" 'record 2: there is no such'
	make_list t/list --cut 10 'DeleteFile|Unused|\??\C:\a|NotExecuted'
	is "a list cut off" 2 "$reel" delayed import --root t t/list
	says "is refused" 'cut off'
	make_list t/list 'DeleteFile|Unused|\??\C:\..\..\x|NotExecuted'
	is "a path out of the volume" 2 "$reel" delayed import --root t t/list
	[ "$("$reel" delayed list --root t --json | wc -l)" = 0 ]
	ok "nothing of refused lists waits" $?
	new
	mkdir t/temp
	make_list 't/temp/a list' 'DeleteFile|Unused|\??\C:\d\f|NotExecuted' \
		'DeleteFile|Unused|\??\C:\d\nothing|NotExecuted' \
		'DeleteFile|Unused|\??\C:\d\e\g|NotExecuted'
	is "named as SetupExecute does" 0 "$reel" delayed import --root t \
		'\??\C:\temp\a%20list'
	is "a delete of what is not there" 2 run
	python3 -ES "$here/list.py" 't/temp/a list' >out
	[ "$(grep -e SC= -e NotE out | tr '\n' ' ')" = \
		"SC=0000000 SC=C0000034 NotExecuted " ]
	ok "stops, as documented" $?
	"$reel" delayed cancel --all --root t
	ln t/d/e/g t/d/link
	make_list t/list 'MoveFile|\??\C:\d\e\g|\??\C:\d\e\g|NotExecuted' \
		'MoveFile|\??\C:\d\link|\??\C:\d\e\g|NotExecuted'
	"$reel" delayed import --root t t/list >out
	is "a move onto itself" 0 run
	has "loses nothing" t/d/e/g gone
	[ ! -e t/d/link ]
	ok "one of two links goes" $?
	make_list away 'DeleteFile|Unused|\??\C:\d\e\g|NotExecuted'
	"$reel" delayed cancel --all --root t
	is "a list elsewhere" 0 "$reel" delayed import --root t away
	is "is answered on request" 0 run --list away
	python3 -ES "$here/list.py" away >out
	says "with its states" 'SC=0000000'
}

exports()
{
	new
	"$delay" t move "$PWD/n1" d/f delete d/e/g commit
	is "export" 0 "$reel" delayed export --root t 't/d/my list' \
		--prefix '\\??\'
	says "SetupExecute" 'srdelayed.exe \\\\??\\C:\\d\\my%20list$'
	python3 -ES "$here/list.py" 't/d/my list' >out
	says "its own delete" '^\\\\??\\C:\\d\\e\\g$'
	says "the staged file" '\\C:\\var\\lib\\reel\\delayed\\files\\0'
	"$delay" t link x d/sym commit
	is "a symlink is left out" 1 "$reel" delayed export --root t t/list
	says "and named" 'd/sym: left out'
}

# ---- as root ----

other_filesystem()
{
	new
	mkdir t/mnt
	mount -t tmpfs none t/mnt || return
	mounts+=("$PWD/t/mnt")
	echo old >t/mnt/f
	is "another filesystem" 0 "$delay" t move "$PWD/n1" mnt/f \
		move "$PWD/n2" d/f commit
	[ -d t/mnt/.reel-delayed ]
	ok "has an area of its own" $?
	is "early: what is there" 1 run --early
	has "the other waits" t/mnt/f old
	mount --move t/mnt outside
	is "not mounted" 1 run
	says "is said" 'mnt is not mounted'
	[ -z "$(ls t/mnt)" ]
	ok "nothing is put under it" $?
	mount --move outside t/mnt
	is "mounted again" 0 run
	has "moved there" t/mnt/f new
	has "and the rest" t/d/f newer
	status_is "both" 00000000 0
	nothing_left "another filesystem"
	umount t/mnt
}

in_use()
{
	local pid
	new
	cp "$(command -v sleep)" t/d/prog
	t/d/prog 100 &
	pid=$!
	touch t/d/point
	mount --bind n1 t/d/point
	mounts+=("$PWD/t/d/point")
	"$delay" t move "$PWD/n1" d/prog move "$PWD/n2" d/point commit
	is "a mount point is in use" 2 run
	status_is "in use" C0000043 1
	umount t/d/point
	is "not any more" 0 run
	has "it is replaced" t/d/point newer
	has "so is a running program" t/d/prog new
	kill -0 $pid
	ok "which goes on" $?
	kill $pid
	wait $pid 2>/dev/null
}

flags()
{
	new
	truncate -s 20M ext4
	mkfs.ext4 -q ext4 2>/dev/null && mount -o loop ext4 t || {
		echo "skipped: inode flags (no loop device)"
		return
	}
	mounts+=("$PWD/t")
	mkdir t/d
	echo old >t/d/f
	echo old >t/d/g
	setfattr -n user.a -v b t/d/f 2>/dev/null
	chattr +i t/d/f t/d/g
	chattr +i t/d
	is "immutable" 0 "$delay" t flags 20 move "$PWD/n1" d/f flags 10 \
		move "$PWD/n2" d/h delete d/g commit
	is "is replaced" 0 run
	has "by the new one" t/d/f new
	lsattr t/d >out
	lsattr -d t/d >>out
	[ "$(grep -c -e '---a.* t/d/f' -e '----i.* t/d/h' -e '----i.* t/d$' \
		out)" = 3 ] && [ ! -e t/d/g ]
	ok "flags are as they should be" $?
	nothing_left "immutable"
	chattr -R -a -i t/d
	umount t
}

in_chroot()
{
	local lib
	new
	mkdir -p t/bin t/proc
	cp "$reel" t/bin/reel
	for lib in $(ldd "$reel" | grep -o '/[^ ]*'); do
		mkdir -p "t$(dirname "$lib")"
		cp -L "$lib" "t$lib"
	done
	"$delay" t move "$PWD/n1" d/f delete d/e/g delete d/e commit
	mount --bind /proc t/proc # leak checks look there
	mounts+=("$PWD/t/proc")
	is "in a chroot" 0 env -i "$(command -v chroot)" t /bin/reel delayed run
	umount t/proc
	has "it is the same" t/d/f new
	nothing_left "chroot"
}

ntfs()
{
	if ! command -v mkntfs >/dev/null || [ ! -e /dev/fuse ]; then
		echo "skipped: NTFS (no ntfs-3g)"
		return
	fi
	new
	truncate -s 8M ntfs.img
	mkntfs -F -q ntfs.img >/dev/null 2>&1
	ntfs-3g ntfs.img t >out 2>&1 || mount -t ntfs-3g -o loop ntfs.img t \
		>>out 2>&1 || {
		echo "skipped: NTFS (cannot be mounted)"
		return
	}
	mounts+=("$PWD/t")
	mkdir -p t/temp t/Windows/System32 t/old
	echo new >"t/temp/staged one"
	echo new2 >t/temp/staged2
	echo old >t/Windows/System32/driver.sys
	touch t/old/file 'A long name.txt'
	echo x >'t/A long name.text'
	make_list t/temp/ops \
		'MoveFile|\??\C:\temp\staged one|\??\C:\Windows\System32\driver.sys|NotExecuted' \
		'DeleteFile|Unused|\??\C:\old\file|NotExecuted' \
		'DeleteFile|Unused|\??\C:\old|NotExecuted' \
		'SetFileShortName|ALONGN~1.TEX|\??\C:\A long name.text|NotExecuted' \
		'SetFileShortName|not a short name|\??\C:\Windows|NotExecuted' \
		'MoveFile|\??\C:\temp\staged2|\??\C:\Windows\System32\new.sys|NotExecuted' \
		'MoveFile|\??\C:\temp\missing|\??\C:\x|NotExecuted' \
		'DeleteFile|Unused|\??\C:\temp\ops|NotExecuted'
	is "NTFS: import" 0 "$reel" delayed import --root t t/temp/ops
	is "NTFS: run" 2 run
	has "NTFS: moved" t/Windows/System32/driver.sys new
	has "NTFS: after a failed short name" t/Windows/System32/new.sys new2
	[ ! -e t/old ]
	ok "NTFS: deleted" $?
	getfattr --absolute-names -n system.ntfs_dos_name \
		'./t/A long name.text' >out 2>&1
	says "NTFS: the short name" 'ALONGN~1.TEX'
	python3 -ES "$here/list.py" t/temp/ops >out
	[ "$(sed -n 's/^SC=\(.*\)/\1/p; s/^NotE.*/wait/p' out |
		sed 's/^0*$/0/; s/^C.*/C/' | tr '\n' ' ')" = \
		"0 0 0 0 C 0 C wait " ]
	ok "NTFS: the states in the list" $?
	"$reel" delayed status --root t --json >out
	[ "$(grep -c '"state":"done"' out)" = 5 ]
	ok "NTFS: five are done" $?
	umount t
}

units()
{
	mkdir -p inst u
	DESTDIR=$PWD/inst cmake --install "$build" >out 2>&1
	ok "cmake --install" $?
	find inst \( -path '*system/*.service' -o -name reel-delayed \
		-o -name module-setup.sh -o -name delayed-update \) -print >out
	[ "$(grep -vc 'reel@' out)" = 7 ]
	ok "units, hooks, modules" $?
	find inst -path '*/system/*.service' -type f -exec cp {} u/ \;
	find inst -type f \( -name reel-delayed -o -name '*.sh' \
		-o -name delayed-update \) -exec sh -n {} \; >out 2>&1
	[ ! -s out ]
	ok "the scripts are scripts" $?
	if ! command -v systemd-analyze >/dev/null; then
		echo "skipped: units (no systemd-analyze)"
		return
	fi
	sed -i -E "s#^(Exec[A-Za-z]+=-?)[^ ]*#\\1$(command -v true)#" u/*.service
	is "systemd-analyze verify" 0 systemd-analyze verify --man=no u/*.service
	[ ! -s out ]
	ok "has nothing to say" $?
}

plain
again_and_back
failures
hostile
lists
exports
units
if [ "$(id -u)" = 0 ]; then
	other_filesystem
	in_use
	flags
	in_chroot
	ntfs
else
	echo "skipped: filesystems, flags, chroot, NTFS (not root)"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
