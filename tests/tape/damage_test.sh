#!/bin/bash
# Cartridges that cannot be read to their end, or not everywhere: what else
# there is comes back, what is not read is said, and nothing is asked for twice.
#
#     damage_test.sh REEL WORKDIR
set -u
reel=$1
work=$2
here=$(dirname "$0")
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "damage: FAILED: $1"
		sed 's/^/    /' "$work/log" 2>/dev/null | tail -n 8
	fi
}

finish()
{
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

ends() # NAME STATUS TEXT COMMAND...
{
	local name=$1 status=$2 text=$3 got
	shift 3
	timeout 60 "$@" >"$work/log" 2>&1 </dev/null
	got=$?
	[ $got = "$status" ] && grep -q -e "$text" "$work/log"
	ok "$name (status $got)" $?
}

damage()
{
	python3 "$here/damage.py" "$@"
}

contents() # SET SNAPSHOT: as it was
{
	rm -rf "$work/out"
	"$reel" restore "$1@$2" --to "$work/out" >"$work/log" 2>&1 </dev/null &&
		diff -r "$work/src$2" "$work/out" >>"$work/log" 2>&1
}

trap finish EXIT
rm -rf "$work"
mkdir -p "$work/src" || exit 2

# ---- one cartridge, three sessions ----

"$reel" init "$work/set" --media "$work/a.tap" >/dev/null 2>&1
for n in 1 2 3; do
	head -c 600000 /dev/urandom >"$work/src/file$n"
	"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
	cp -a "$work/src" "$work/src$n"
done
cp "$work/a.tap" "$work/good.tap"

# its tape files: 0 label, then for each session data, table, index, table
for n in 1 2 3; do
	cp "$work/good.tap" "$work/x.tap"
	damage "$work/x.tap" unreadable $((4 * n - 1))
	rm -rf "$work/new"
	ends "the index of session $n is unreadable: import" 1 \
		"reading its archive" "$reel" import "$work/x.tap" "$work/new"
	[ "$(grep -c "the index of session $n cannot be read" \
		"$work/log")" = 1 ]
	ok "the index of session $n is unreadable: said once" $?
	for m in 1 2 3; do
		contents "$work/new" $m
		ok "the index of session $n is unreadable: session $m" $?
	done
done

# nothing behind a block whose lengths are both wrong can be read
for n in 1 2 3; do
	cp "$work/good.tap" "$work/x.tap"
	damage "$work/x.tap" both $((4 * n - 3))
	ends "damage in session $n: verify" 5 "nothing can be read behind" \
		"$reel" verify "$work/x.tap"
	rm -rf "$work/new"
	case $n in
	1) status=5 ;;
	*) status=1 ;;
	esac
	ends "damage in session $n: import" $status \
		"cannot be read to its end" \
		"$reel" import "$work/x.tap" "$work/new"
	cp -a "$work/set" "$work/kept"
	cp "$work/x.tap" "$work/a.tap"
	rm "$work/set"/catalog.db*
	ends "damage in session $n: rebuild" 5 "cannot be read to its end" \
		"$reel" catalog rebuild "$work/set"
	for try in first second; do
		[ $n = 1 ] ||
			ends "damage in session $n: the $try backup" 5 \
				"nothing is written behind the damage" \
				"$reel" backup "$work/set" -C "$work/src" .
	done
	cmp -s "$work/x.tap" "$work/a.tap"
	ok "damage in session $n: nothing is written" $?
	rm -rf "$work/set"
	mv "$work/kept" "$work/set"
	cp "$work/good.tap" "$work/a.tap"
done
cp "$work/good.tap" "$work/x.tap"
damage "$work/x.tap" both 9
cp "$work/x.tap" "$work/a.tap"
ends "damage that the catalogue does not know: backup" 5 \
	"nothing is written behind the damage" \
	"$reel" backup "$work/set" -C "$work/src" .
for m in 1 2; do
	contents "$work/set" $m
	ok "session $m before it" $?
done
cp "$work/good.tap" "$work/a.tap"

# ---- one of the lengths of a block tells what the other was ----

for which in head tail; do
	for place in "1 0" "1 1" "1 2" "2 0" "3 0" "5 0" "5 1" "11 0"; do
		cp "$work/good.tap" "$work/x.tap"
		# shellcheck disable=SC2086
		damage "$work/x.tap" $which $place
		rm -rf "$work/new"
		ends "the $which length at $place: import" 0 "" \
			"$reel" import "$work/x.tap" "$work/new"
		contents "$work/new" 3
		ok "the $which length at $place: nothing is lost" $?
	done
done

# what is written next must not take away what mended it
for which in head tail; do
	for place in "9 2" "10 0" "11 0"; do
		cp -a "$work/set" "$work/kept"
		cp "$work/good.tap" "$work/a.tap"
		# shellcheck disable=SC2086
		damage "$work/a.tap" $which $place
		echo more >>"$work/src/file3"
		ends "the $which length at $place: backup" 0 "" \
			"$reel" backup "$work/set" -C "$work/src" .
		ends "the $which length at $place: verify then" 0 "" \
			"$reel" verify "$work/set"
		! grep -q "length that is wrong" "$work/log"
		ok "the $which length at $place: it was put right" $?
		rm -rf "$work/new" "$work/set"
		mv "$work/kept" "$work/set"
	done
done
: >"$work/y.tap"
head -c 20000 /dev/urandom >"$work/bytes"
"$reel" tape write -q -b 10240 "$work/y.tap" <"$work/bytes" 2>"$work/log"
damage "$work/y.tap" head 0 0
"$reel" tape seek "$work/y.tap" --end 2>"$work/log"
head -c 1001 "$work/bytes" | "$reel" tape write -q -b 1001 "$work/y.tap" \
	2>"$work/log"
"$reel" tape seek "$work/y.tap" 0
[ "$("$reel" tape read -q --all "$work/y.tap" 2>"$work/log" | wc -c)" = 21001 ]
ok "odd blocks behind a mended one" $?
cp "$work/good.tap" "$work/a.tap"

# ---- the catalogue is a session behind, and its last table is damaged ----

rm -rf "$work/set" "$work"/*.tap*
"$reel" init "$work/set" --media "$work/a.tap" >/dev/null 2>&1
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
cp -a "$work/set" "$work/kept"
head -c 800000 /dev/urandom >"$work/src/file4"
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
rm -rf "$work/set"
mv "$work/kept" "$work/set"
damage "$work/a.tap" both 5 1
damage "$work/a.tap" data 4
cp "$work/a.tap" "$work/x.tap"
ends "an older catalogue, two damages: backup" 5 \
	"nothing is written behind the damage" \
	"$reel" backup "$work/set" -C "$work/src" .
cmp -s "$work/a.tap" "$work/x.tap"
ok "an older catalogue, two damages: nothing is written" $?

# ---- several ----

rm -rf "$work/set" "$work"/*.tap* "$work/src"/*
head -c 3000000 /dev/urandom >"$work/src/one"
"$reel" init "$work/set" \
	--media "$work/a.tap?capacity=4M,$work/b.tap?capacity=4M" >/dev/null
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
cp "$work/a.tap" "$work/older"
head -c 300000 /dev/urandom >"$work/src/two"
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
head -c 2000000 /dev/urandom >"$work/src/three"
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
cp "$work/a.tap" "$work/newer"
cp "$work/older" "$work/a.tap"
rm -rf "$work/new"
ends "an older copy of a cartridge: import ends" 1 \
	"ends before volume 000003 that should be on it" \
	"$reel" import "$work/b.tap" "$work/a.tap" "$work/new"
rm -rf "$work/new"
head -c 3150000 "$work/newer" >"$work/a.tap"
ends "a cartridge cut short: import ends" 1 \
	"ends before volume 000003 that should be on it" \
	"$reel" import "$work/a.tap" "$work/b.tap" "$work/new"
rm -rf "$work/new"
cp "$work/newer" "$work/a.tap"
yes "something else" | head -c 4096 |
	dd of="$work/a.tap" conv=notrunc status=none
ends "one that is no image any more: the others are taken" 1 \
	"a.tap: not a tape image" \
	"$reel" import "$work/a.tap" "$work/b.tap" "$work/new"
[ -d "$work/new" ]
ok "one that is no image any more: there is a set" $?

# ---- a cartridge that is merely missing is no damage ----

rm -rf "$work/set" "$work"/*.tap* "$work/src"/* "$work/new"
head -c 3300000 /dev/urandom >"$work/src/one"
"$reel" init "$work/set" --compress zstd --media \
	"$work/a.tap?capacity=2M,$work/b.tap?capacity=2M,$work/c.tap?capacity=2M" \
	>/dev/null
"$reel" backup "$work/set" -C "$work/src" . >/dev/null 2>&1
for gone in a b; do
	mv "$work/$gone.tap" "$work/away"
	ends "$gone is missing: verify" 4 "is missing" \
		"$reel" verify "$work/set"
	! grep -q "is damaged" "$work/log"
	ok "$gone is missing: nothing is called damaged" $?
	mv "$work/away" "$work/$gone.tap"
done
