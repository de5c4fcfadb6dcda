#!/bin/bash
# current/ is a POSIX filesystem: our own programs (tests/posix), stress-ng's
# filesystem classes and fio, both verifying; then all is the same after a
# commit and a new mount.
#
#     posix_test.sh REEL WORKDIR [--long]
#
# --long exercises for an hour. LIMIT (900, or 9000): seconds that a step may
# take. PARTS: some of its functions, instead of all.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
long=${3:-}
seconds=15
stressor=1
if [ "$long" = --long ]; then
	seconds=1800
	stressor=10
	LIMIT=${LIMIT:-9000}
fi
family=posix
. "$(dirname "$0")/current.sh"
exceptions=$here/../posix/exceptions
programs=$(realpath "$(dirname "$reel")/../tests")

# Answers of every system call, on names that are new and on a tree that the
# base has (what current/ shows then is of two kinds).
every_call()
{
	local rc
	chmod 755 "$now"
	mkdir "$now/calls"
	chmod 777 "$now/calls"
	"$programs/posix" -v -x "$exceptions" "$now/calls" >"$work/log" 2>&1
	rc=$?
	ok "every system call: $(tail -n 1 "$work/log")" $rc ||
		grep -v '^ok' "$work/log" | head -n 40
	[ -z "$(ls -A "$now/calls")" ]
	ok "nothing is left of it" $?
	compared
}

# What is ok on the filesystem of TMPDIR and not on current/ is what the
# exceptions say; all of it, where that is ext4.
compared()
{
	local plain rc
	plain=$(mktemp -d "${TMPDIR:-/tmp}/reel-plain.XXXXXX") || return
	chmod 777 "$plain"
	"$programs/posix" -v "$plain" >"$work/plain" 2>&1
	rc=$?
	ok "on $(stat -f -c %T "$plain"): $(tail -n 1 "$work/plain")" $rc
	rm -rf "$plain"
	comm -23 <(grep '^ok ' "$work/plain" | sort -u) \
		<(grep '^ok ' "$work/log" | sort -u) |
		sed 's/^ok //; s/:.*//' | sort -u >"$work/less"
	sed -n 's/^\([^#:]*\):.* -- ..*/\1/p' "$exceptions" | sort -u \
		>"$work/listed"
	if [ "$(stat -f -c %T "${TMPDIR:-/tmp}")" = ext2/ext3 ]; then
		diff "$work/less" "$work/listed" >"$work/log"
	else
		comm -23 "$work/less" "$work/listed" >"$work/log"
	fi
	[ ! -s "$work/log" ]
	rc=$?
	ok "only there: $(paste -s -d ' ' "$work/less")" $rc || say
}

# The kernel's view is dropped by mounting anew; so is ours.
exercised()
{
	local seed f limit
	mkdir "$now/exercise"
	for seed in 1 2; do
		limit=$((seed * seed * 700000))
		mkdir "$now/exercise/$seed"
		try "exercise $seed, $seconds s" "$programs/exercise" -k \
			-s $seed -t $seconds -l $limit "$now/exercise/$seed"
	done
	cp -a "$now/exercise" "$work/"
	remount "exercise"
	same "exercise, mounted again" "$work/exercise" "$now/exercise"
	for f in "$now"/exercise/*/*.good; do
		cmp "$f" "${f%.good}" || echo "$f"
	done >"$work/log" 2>&1
	[ ! -s "$work/log" ]
	ok "and is what the model was" $? || say
	rm -rf "$work/exercise" "$now/exercise"
}

# Files that a volume has are changed in every way.
exercised_from_base()
{
	mkdir "$now/base"
	head -c 1000000 /dev/urandom >"$now/base/large"
	seq 100000 >"$now/base/text"
	cp -a "$now/base" "$work/base"
	remount "base"
	python3 - "$now/base" "$work/base" <<'END' >"$work/log" 2>&1
import ctypes, os, random, sys
libc = ctypes.CDLL(None, use_errno=True)
rng = random.Random(5)
for name in ("large", "text"):
    a = os.open(os.path.join(sys.argv[1], name), os.O_RDWR)
    b = os.open(os.path.join(sys.argv[2], name), os.O_RDWR)
    for n in range(400):
        size = os.fstat(b).st_size
        at = rng.randrange(size + 5000)
        kind = rng.randrange(6)
        if kind < 3:
            data = rng.randbytes(rng.randrange(1, 40000))
            for fd in (a, b):
                os.pwrite(fd, data, at)
        elif kind == 3 and n % 20 == 0:
            for fd in (a, b):
                os.ftruncate(fd, at)
        elif kind == 4:
            length = rng.randrange(1, 30000)
            for fd in (a, b):
                libc.fallocate(fd, 3, ctypes.c_long(at),
                               ctypes.c_long(length))
        else:
            for _ in range(5):
                at = rng.randrange(size + 1)
                x, y = os.pread(a, 9000, at), os.pread(b, 9000, at)
                if x != y:
                    sys.exit(f"{name}, step {n}: read at {at} differs")
    x, y = os.fstat(a).st_size, os.fstat(b).st_size
    if x != y or os.pread(a, x, 0) != os.pread(b, y, 0):
        sys.exit(f"{name} differs: {x} {y}")
END
	ok "files of a volume, changed at random" $? || say
	remount "changed base"
	cmp "$now/base/large" "$work/base/large" &&
		cmp "$now/base/text" "$work/base/text"
	ok "and mounted again" $?
	rm -rf "$work/base" "$now/base"
}

stressed()
{
	mkdir "$now/stress"
	try "stress, 8 processes, $seconds s" "$programs/stress" -k -p 8 \
		-t $seconds "$now/stress"
	cp -a "$now/stress" "$work/"
	remount "stress"
	same "stress, mounted again" "$work/stress" "$now/stress"
	try "and consistent" "$programs/stress" -c "$now/stress"
	rm -rf "$work/stress"
	try "rm -r of it" rm -r "$now/stress"
}

# What is not there on ext4 of this machine is not asked for here.
public_programs()
{
	local p
	if command -v stress-ng >/dev/null; then
		mkdir "$now/stress-ng"
		stress-ng --class filesystem --sequential 2 --verify \
			--minimize -t $stressor --temp-path "$now/stress-ng" \
			-x binderfs,verity >"$work/log" 2>&1
		p=$?
		[ $p = 0 ] && ! grep -q 'stress-ng: fail' "$work/log"
		ok "stress-ng --class filesystem --verify (exit $p)" $? ||
			grep -E 'fail|error|aborted' "$work/log" | head -n 20
		rm -rf "$now/stress-ng"
	else
		echo "skipped: stress-ng is not installed"
	fi
	if command -v fio >/dev/null; then
		mkdir "$now/fio"
		for p in "psync --bs=1k-64k" "mmap --bs=4k"; do
			# shellcheck disable=SC2086
			try "fio --ioengine=$p --verify" fio --name=w \
				--aux-path="$work" --directory="$now/fio" --ioengine=$p \
				--rw=randwrite --size=24m \
				--numjobs=2 --verify=crc32c --do_verify=1 \
				--verify_fatal=1 --fsync=64 --group_reporting
		done
		rm -rf "$now/fio"
	else
		echo "skipped: fio is not installed"
	fi
}

begin
"$reel" init "$set" --compress zstd >/dev/null
# other users are asked, too
options="-o allow_other"
mount_set || end
for part in ${PARTS:-every_call exercised exercised_from_base stressed \
	public_programs}; do
	$part
done
try "umount" "$reel" umount "$mnt"
try "no orphans in the spool" python3 "$here/orphans.py" "$set"
try "verify" "$reel" verify "$set"
end
