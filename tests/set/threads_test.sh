#!/bin/bash
# The threads of a backup, a verify, a restore and a mount, under the thread
# sanitizer: it ends what races.
#
#     threads_test.sh REEL WORKDIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2

clean_up()
{
	fusermount3 -uqz "$work/mnt" 2>/dev/null || :
	chmod -R u+rwX "$work" 2>/dev/null || :
	rm -rf "$work"
}

trap clean_up EXIT
rm -rf "$work"
mkdir -p "$work/mnt"
for compress in none zstd; do
	set=$work/$compress
	"$reel" init "$set" --compress $compress --volume-size 1M
	for n in 1 2 3; do
		python3 "$here/../tree/make.py" "$work/tree" $n
		"$reel" backup "$set" -C "$work/tree" . --verify
	done
	"$reel" verify "$set"
	"$reel" restore "$set" --to "$work/out"
	if [ -w /dev/fuse ]; then
		"$reel" mount "$set" "$work/mnt"
		for n in 1 2 3 4; do
			tar -C "$work/mnt/snapshots" -cf - . 2>/dev/null |
				cat >/dev/null &
		done
		ls -R "$work/mnt/versions" >/dev/null
		wait
		"$reel" umount "$work/mnt"
		if grep -q ThreadSanitizer "$set/mount.log"; then
			cat "$set/mount.log"
			exit 1
		fi
	fi
	chmod -R u+rwX "$work/out" "$work/tree"
	rm -rf "$work/out" "$work/tree"
done
echo "1 passed, 0 failed"
