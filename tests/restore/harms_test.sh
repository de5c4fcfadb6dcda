#!/bin/bash
# Restoring: what did harm once, each by its harm.
#
#     harms_test.sh REEL WORKDIR
#
# What the machine cannot do (mounts, filesystems) is skipped and said.
set -u
LC_ALL=C
export LC_ALL
reel=$(realpath "$1")
work=$2
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "restore harms: FAILED: $1"
		[ ! -s "$work/log" ] || head -n 8 "$work/log"
	fi
	return "$2"
}

expect() # NAME, status wanted, COMMAND...: status, output in $work/log
{
	local name=$1 want=$2 rc
	shift 2
	timeout 300 "$@" >"$work/log" 2>&1
	rc=$?
	[ $rc = "$want" ]
	ok "$name: status $rc" $?
}

said() # NAME PATTERN
{
	grep -q -e "$2" "$work/log"
	ok "$1" $?
}

trap 'rm -rf "$work"' EXIT
chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 2

fresh_set() # a set of src, in `set`
{
	rm -rf set
	"$reel" init set >/dev/null && "$reel" backup set -C src . >/dev/null
}

# ---- a directory that is kept got new times whenever its extras were looked at

rm -rf src out && mkdir -p src/dir out/dir
touch src/dir/one out/dir/one out/dir/extra
touch -d 2020-01-01 out/dir
fresh_set
echo 'merge /dir' >rules
expect "a kept directory with an extra" 0 "$reel" restore set --to out \
	--rules rules --delete
[ "$(stat -c %Y out/dir)" = "$(date -d 2020-01-01 +%s)" ]
ok "kept: has the times that it had" $?

cd / || exit 2
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
