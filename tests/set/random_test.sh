#!/bin/bash
# Small trees changed at random over five sessions: restored by reel and by the
# recipe, verified, and the catalogue made anew.
#
#     random_test.sh REEL WORKDIR [FROM [TO [OPTIONS OF INIT...]]]
#
# FROM and TO are the first and last seed. A seed that fails can be run alone.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2
from=${3:-1}
to=${4:-12}
shift $(($# < 4 ? $# : 4))
sessions=5
passed=0
failed=0

wrong() # WHAT
{
	bad=1
	echo "random: seed $seed: FAILED: $1"
	head -n 5 "$work/log"
}

same() # STATE OUT
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/log" 2>&1
	[ ! -s "$work/log" ]
}

questions() # SET
{
	local n
	for n in $(seq $sessions); do
		"$reel" ls -R --json "$1@$n"
	done
	"$reel" find --all --json "$1"
	"$reel" info --json "$1"
	"$reel" snapshots --json "$1"
}

one_seed() # OPTIONS...
{
	local set=$work/set n
	"$reel" init "$set" "$@" >"$work/log" 2>&1 || {
		wrong init
		return
	}
	for n in $(seq $sessions); do
		python3 "$here/../tree/shuffle.py" "$work/now" "$seed" "$n" \
			>"$work/log" 2>&1 || wrong "shuffle.py, step $n"
		cp -a "$work/now" "$work/state$n"
		"$reel" backup "$set" -C "$work/now" . >"$work/log" 2>&1 ||
			wrong "backup $n"
	done
	for n in $(seq $sessions); do
		"$reel" restore "$set@$n" --to "$work/out" >"$work/log" 2>&1 ||
			wrong "restoring $n"
		same "$work/state$n" "$work/out" || wrong "restored $n differs"
		rm -rf "$work/out"
		dash "$here/../../tape/recover.sh" "$set/volumes" "$work/out" \
			"$n" >"$work/log" 2>&1 || wrong "the recipe up to $n"
		same "$work/state$n" "$work/out" ||
			wrong "the recipe's $n differs"
		rm -rf "$work/out"
	done
	"$reel" verify "$set" >"$work/log" 2>&1 || wrong verify
	questions "$set" >"$work/before" 2>&1
	rm "$set/catalog.db"
	"$reel" catalog rebuild "$set" >"$work/log" 2>&1 || wrong rebuild
	questions "$set" >"$work/after" 2>&1
	diff "$work/before" "$work/after" >"$work/log" ||
		wrong "a rebuilt catalogue answers otherwise"
}

# Without the indexes, the archives alone say what there was.
archives_alone() # SET
{
	local n
	python3 - "$1"/volumes/*.tar <<'END'
import sys
for path in sys.argv[1:]:
    with open(path, "r+b") as f:
        data = f.read()
        at = data.rfind(b"/index.zst\0")
        if at >= 0:
            at = (at // 512 + 1) * 512 + 20
            f.seek(at)
            f.write(bytes(255 - b for b in data[at:at + 64]))
END
	rm "$1/catalog.db"
	"$reel" catalog rebuild "$1" >"$work/log" 2>&1
	case $? in
	0 | 5) ;;
	*) wrong "rebuild from the archives" ;;
	esac
	for n in $(seq $sessions); do
		"$reel" restore "$1@$n" --to "$work/out" >"$work/log" 2>&1 ||
			wrong "restoring $n from archives alone"
		same "$work/state$n" "$work/out" ||
			wrong "$n from archives alone differs"
		rm -rf "$work/out"
	done
}

for seed in $(seq "$from" "$to"); do
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
	mkdir -p "$work"
	bad=0
	if [ $# -gt 0 ]; then
		one_seed "$@"
	elif [ $((seed % 2)) = 0 ]; then
		one_seed --compress zstd
	else
		one_seed --compress none --volume-size 1M
		archives_alone "$work/set"
	fi
	[ $bad = 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
done
chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
