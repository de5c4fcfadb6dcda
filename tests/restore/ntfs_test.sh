#!/bin/bash
# A Windows volume (ntfs-3g): what a restore delays goes out as Windows' own
# list, and comes in again from it, with short names.
#
#     ntfs_test.sh REEL DELAY WORKDIR
#
# DELAY is tests/delay. Skips, and says so, what cannot be mounted.
set -u
LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
delay=$(realpath "$2")
work=$3
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "ntfs: FAILED: $1"
		[ ! -s "$work/log" ] || head -n 8 "$work/log"
	fi
}

expect() # NAME, status wanted, COMMAND...
{
	local name=$1 want=$2 rc
	shift 2
	timeout 120 "$@" >"$work/log" 2>&1
	rc=$?
	[ $rc = "$want" ]
	ok "$name: status $rc" $?
}

at_end()
{
	cd /
	umount "$work/t" 2>/dev/null
	rm -rf "$work"
}
trap at_end EXIT

strings() # FILE: of a list, one a line
{
	python3 -ES "$here/../delayed/list.py" "$1"
}

rm -rf "$work"
mkdir -p "$work/t" "$work/src/Windows/System32" && cd "$work" || exit 2
truncate -s 16M ntfs.img
mkntfs -F -q ntfs.img >/dev/null 2>&1 && ntfs-3g ntfs.img t >log 2>&1 &&
	mountpoint -q t || {
	echo "ntfs: skipped: ntfs-3g cannot mount"
	echo "0 passed, 0 failed"
	exit 0
}
echo new >src/Windows/System32/driver.sys
echo too >"src/Windows/System32/A long name.sys"
echo at once >src/readme
echo 'delay /Windows/System32' >rules
"$reel" init set >/dev/null && "$reel" backup set -C src . >/dev/null
mkdir -p t/Windows/System32 t/temp
echo old >t/Windows/System32/driver.sys
echo gone >t/Windows/System32/gone.sys
timeout 100 "$reel" restore set --to t --rules rules --delete >log 2>&1
grep -q '^delayed *Windows/System32/driver.sys' log
ok "the system's files are delayed" $?
[ "$(cat t/Windows/System32/driver.sys)" = old ] &&
	[ "$(cat t/readme)" = "at once" ]
ok "the rest is restored" $?
"$delay" t name "Windows/System32/A long name.sys" ALONGN~1.SYS commit \
	>log 2>&1
ok "a short name is delayed, too" $?

mkdir -p t/temp
expect "export" 0 "$reel" delayed export --root t "t/temp/the list"
strings "t/temp/the list" >seen
grep -qx MoveFile seen && grep -qx DeleteFile seen &&
	grep -qx 'SetFileShortName' seen && grep -qx 'ALONGN~1.SYS' seen &&
	grep -qxF '\??\C:\Windows\System32\driver.sys' seen &&
	grep -qxF '\??\C:\Windows\System32\gone.sys' seen
ok "the list has each" $?
# As somebody who keeps the list: the staged files go to a place of their own.
mkdir t/staged && cp t/var/lib/reel/delayed/files/* t/staged/
expect "cancel" 0 "$reel" delayed cancel --all --root t
python3 -ES - "t/temp/the list" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    text = f.read().decode("utf-16-le")
    text = text.replace("\\var\\lib\\reel\\delayed\\files\\", "\\staged\\")
    f.seek(0)
    f.truncate()
    f.write(text.encode("utf-16-le"))
PY
cp "t/temp/the list" list
expect "import" 0 "$reel" delayed import --root t "t/temp/the list"
expect "export again" 0 "$reel" delayed export --root t t/temp/again
cmp -s list t/temp/again
ok "byte for byte" $?
expect "run" 0 "$reel" delayed run --root t
cmp -s src/Windows/System32/driver.sys t/Windows/System32/driver.sys &&
	cmp -s "src/Windows/System32/A long name.sys" \
		"t/Windows/System32/A long name.sys" &&
	[ ! -e t/Windows/System32/gone.sys ]
ok "moved and deleted" $?
getfattr --absolute-names -n system.ntfs_dos_name \
	"./t/Windows/System32/A long name.sys" 2>/dev/null |
	grep -q 'ALONGN~1.SYS'
ok "the short name is set" $?
[ "$(strings "t/temp/the list" | grep -c '^SC=0*$')" = 4 ]
ok "the list says so" $?

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
