#!/bin/bash
# Rules: what a backup leaves out, what is said of mistakes, and the pattern
# language beside git's.
#
#     rules_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
set=$work/set
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "rules: FAILED: $1"
	fi
}

names() # of the newest snapshot
{
	"$reel" ls -R "$set" | sed 's/.* //' | sort
}

backup()
{
	"$reel" backup "$set" -C "$work/src" "$@" . >"$work/log" 2>&1
}

rm -rf "$work"
mkdir -p "$work/src"
cd "$work/src" || exit 2
mkdir -p keep/.cache cache tagged/below unsigned tmp d/e/f
for f in keep/a keep/a.tmp keep/b.o keep/.cache/x cache/y cache/keep tmp/z \
	tagged/below/x unsigned/x d/e/f/g top.tmp; do
	echo $f >$f
done
echo "Signature: 8a477f597d28d172789f06886806bc55 and more" >tagged/CACHEDIR.TAG
echo "no signature" >unsigned/CACHEDIR.TAG
cd "$work" || exit 2

"$reel" init "$set"
ok "init" $?
"$reel" rules check "$set" >"$work/log"
ok "a new set's rules are right" $?
grep -q ": 0 rules, 0 hints" "$work/log"
ok "and leave nothing out" $?
sed 's/^#exclude/exclude/' "$set/rules" >"$work/all"
"$reel" rules check "$work/all" >"$work/log"
ok "those to choose from are right too" $?
grep -q " 0 hints" "$work/log"
ok "and mean what they seem to" $?
backup
ok "backup without rules" $?
[ "$(names | grep -c tmp)" = 4 ]
ok "stores everything" $?

printf '%s\n' '# mine' 'exclude *.tmp' 'include top.tmp' 'exclude .cache/' \
	'exclude /cache/*' 'include /cache/keep' 'exclude-if-present CACHEDIR.TAG' \
	'nosnapshot /tmp/**' >"$set/rules"
backup
ok "backup with rules" $?
grep -q "^[0-9]* left out by rules" "$work/log"
ok "says that it left some out" $?
names >"$work/names"
for n in keep keep/a keep/b.o cache cache/keep top.tmp tmp unsigned/x \
	unsigned/CACHEDIR.TAG d/e/f/g; do
	grep -qxF "$n" "$work/names"
	ok "$n is stored" $?
done
for n in keep/a.tmp keep/.cache keep/.cache/x cache/y tagged tagged/below/x \
	tmp/z; do
	! grep -qxF "$n" "$work/names"
	ok "$n is left out" $?
done
"$reel" ls -R "$set@1" | grep -q 'tagged/below/x$'
ok "the older snapshot keeps what a new rule leaves out" $?
backup
ok "again" $?
grep -q "^0 added, 0 changed, 0 removed" "$work/log"
ok "what is left out is not news each time" $?
"$reel" verify "$set" >"$work/log" 2>&1
ok "verify" $?

backup --exclude d/e --exclude '*.o'
ok "--exclude" $?
names >"$work/names"
! grep -qE '^d/e|\.o$' "$work/names" && grep -qx d "$work/names"
ok "is one more rule" $?
echo 'exclude keep' >"$work/other"
backup --rules "$work/other"
ok "--rules" $?
names >"$work/names"
! grep -q '^keep' "$work/names" && grep -q '^tmp/z' "$work/names"
ok "stands for the set's" $?
"$reel" backup "$set" -C "$work/src" tmp >"$work/log" 2>&1
"$reel" ls "$set" tmp >/dev/null 2>&1
ok "what is named is stored" $?

if chattr +d "$work/src/keep/b.o" 2>/dev/null; then
	echo exclude-nodump >"$work/other"
	backup --rules "$work/other"
	! names | grep -qx keep/b.o
	ok "exclude-nodump" $?
fi

# mistakes
printf '%s\n' 'exclude ok' 'exclud x' 'exclude' 'exclude [a' \
	'exclude-nodump x' 'exclude-if-present a/b' 'exclude x\' >"$set/rules"
backup
[ $? = 2 ]
ok "rules with mistakes stop a backup" $?
for n in 2 3 4 5 6 7; do
	grep -q "rules:$n: " "$work/log"
	ok "line $n is named" $?
done
! grep -q "rules:1: " "$work/log"
ok "the right one is not" $?
! "$reel" rules check "$set" >/dev/null 2>&1
ok "check refuses them" $?
printf 'exclude a/b\nexclude ~/x\nexclude !y\nexclude ./z\n' >"$set/rules"
"$reel" rules check "$set" >"$work/log"
ok "hints are no mistakes" $?
grep -q "4 rules, 4 hints" "$work/log"
ok "each has its hint" $?
! backup --exclude 'a[' && grep -q "exclude a\[: " "$work/log"
ok "a wrong --exclude" $?

# which rule, and why
printf 'exclude *.o\ninclude a.o\nexclude /x/\n' >"$set/rules"
"$reel" rules test "$set" b.o a.o x/y/z x c >"$work/log"
ok "test" $?
grep -q '^b.o: left out: .*/rules:1: exclude \*.o$' "$work/log"
ok "left out, and by what" $?
grep -q '^a.o: stored: .*/rules:2: include a.o$' "$work/log"
ok "taken back, and by what" $?
grep -q '^x/y/z: left out: .*/rules:3: exclude /x/ (fits x)$' "$work/log"
ok "with its directory" $?
grep -q '^x: stored: no rule fits$' "$work/log"
ok "a file of a directory's name" $?
"$reel" rules test "$set" b.o c --json | python3 -c '
import json, sys
a, b = map(json.loads, sys.stdin)
assert (a["path"], a["stored"], a["line"]) == ("b.o", False, 1), a
assert (b["path"], b["stored"]) == ("c", True) and "rule" not in b, b'
ok "test --json" $?

if git --version >/dev/null 2>&1; then
	mkdir "$work/git"
	python3 "$here/gitignore.py" "$reel" "$work/git"
	ok "patterns beside git's" $?
fi

cd /
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
