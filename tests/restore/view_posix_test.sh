#!/bin/bash
# MNT/restore is a POSIX filesystem to programs, whether what they do comes
# into the target or is a shadow: those of tests/posix.
#
#     view_posix_test.sh REEL WORKDIR
#
# LIMIT (900) seconds after which a mount that hangs is aborted.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
family=restore-view-posix
. "$(dirname "$0")/view.sh"
programs=$(realpath "$(dirname "$reel")/../tests")
begin
"$reel" init "$set" >/dev/null && "$reel" backup "$set" -C "$work/src" . \
	>/dev/null
ok "a set" $?
# a file's second name is another inode to the kernel, which holds the locks
cp "$here/../posix/exceptions" "$work/exceptions"
echo "lock-flock: OTHER_FLOCK(\"g\" -- names lock apart" >>"$work/exceptions"
# what the target's filesystem cannot (tmpfs) its view cannot
echo zeros >"$work/zeros"
fallocate -z -o 0 -l 4 "$work/zeros" 2>/dev/null ||
	echo "space-zero: zeroing ranges -- nor can the target" \
		>>"$work/exceptions"
for rule in '# none' 'preserve /p' 'delay /p'; do
	rm -rf "$to" "$set/kept"
	mkdir -p "$to/p"
	chmod 777 "$to/p"
	rules "$rule"
	view allow_other
	try "every system call ($rule)" "$programs/posix" \
		-x "$work/exceptions" "$now/p"
	try "exercise ($rule)" "$programs/exercise" -s 3 -n 4000 "$now/p"
	try "stress ($rule)" "$programs/stress" -k -p 6 -n 800 "$now/p"
	[ "$rule" = '# none' ] || [ -z "$(ls -A "$to/p")" ]
	ok "the target stays ($rule)" $?
	down
done
end
