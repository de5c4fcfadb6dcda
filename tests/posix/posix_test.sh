#!/bin/bash
# The programs that try a filesystem, on one that is right: a plain directory.
# And that they see it when it is not.
#
#     posix_test.sh PROGRAMS WORKDIR
#
# PROGRAMS is the directory with posix, exercise, stress and durable.
set -u
LC_ALL=C
export LC_ALL
programs=$(realpath "$1")
work=$2
passed=0
failed=0

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "posix: FAILED: $1"
		tail -n 8 "$work/log"
	fi
}

trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work/dir"
work=$(realpath "$work")
chmod 755 "$work" "$work/dir"

"$programs/posix" "$work/dir" >"$work/log" 2>&1
ok "every system call" $?
for seed in 1 2; do
	"$programs/exercise" -s $seed -n 5000 "$work/dir" >"$work/log" 2>&1
	ok "exercise, seed $seed" $?
done
"$programs/stress" -k -p 6 -n 1500 "$work/dir" >"$work/log" 2>&1
ok "stress" $?

# stress sees a block that is torn, and one that is another file's
file=$(find "$work/dir/tree" -type f -size +3 | sort | head -n 1)
printf x | dd of="$file" bs=1 seek=700 conv=notrunc 2>/dev/null
! "$programs/stress" -c "$work/dir" >"$work/log" 2>&1
ok "stress sees a torn block" $?
grep -q "block 1 is torn" "$work/log"
ok "and says where" $?
other=$(find "$work/dir/tree" -type f -size +3 | sort | tail -n 1)
dd if="$other" of="$file" bs=512 skip=1 seek=1 count=1 conv=notrunc 2>/dev/null
! "$programs/stress" -c "$work/dir" >"$work/log" 2>&1
ok "stress sees another file's block" $?
rm -rf "$work/dir/tree"

# durable: right as it is; then whatever is taken away is missed
for seed in 1 2 3; do
	rm -rf "$work/dir"
	mkdir "$work/dir"
	"$programs/durable" run -s $seed -n 1500 "$work/dir" >"$work/acks"
	ok "durable runs, seed $seed" $?
	"$programs/durable" check "$work/dir" <"$work/acks" >"$work/log" 2>&1
	ok "durable finds all, seed $seed" $?
	echo a >>"$work/acks" # all of it was acknowledged
	"$programs/durable" check "$work/dir" <"$work/acks" >"$work/log" 2>&1
	ok "durable finds all to the last call, seed $seed" $?
done
missed() # NAME
{
	! "$programs/durable" check "$work/copy" <"$work/acks" \
		>"$work/log" 2>&1
	ok "durable misses $1" $?
	rm -rf "$work/copy"
}
again()
{
	rm -rf "$work/copy"
	cp -a "$work/dir" "$work/copy"
	file=$(find "$work/copy" -type f -size +2 | sort | head -n 1)
	dir=$(find "$work/copy" -mindepth 1 -type d -empty | head -n 1)
}
again
rm "$file"
missed "a file"
again
truncate -s -1 "$file"
missed "a byte at the end"
again
printf '\0' | dd of="$file" bs=1 seek=900 conv=notrunc 2>/dev/null
missed "a byte that is zero"
again
mv "$file" "$work/copy/n99"
missed "a name"
again
cp "$file" "$(dirname "$file")/n41"
missed "that nothing else is there"
again
if [ -n "$dir" ]; then
	rmdir "$dir"
	missed "a directory"
fi

# a file that was replaced, and a rename that was half done
rm -rf "$work/dir"
mkdir "$work/dir"
touch "$work/dir/n2" "$work/dir/n31"
printf 'C 0 31 1\nf 1\nC 0 2 2\nR 0 2 0 31\n' >"$work/acks"
"$programs/durable" check "$work/dir" <"$work/acks" >"$work/log" 2>&1
ok "durable takes a file that is not yet replaced for itself" $?
printf 'C 0 2 1\nf 1\nR 0 2 0 31\n' >"$work/acks"
! "$programs/durable" check "$work/dir" <"$work/acks" >"$work/log" 2>&1 &&
	grep -q twice "$work/log"
ok "durable sees a file at both names of a rename" $?

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
