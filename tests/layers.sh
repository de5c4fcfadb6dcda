#!/bin/sh
# An include never points up: tools -> fs -> catalog -> tape; each library is
# seen by one folder, FUSE by the files of the mount.
cd "$(dirname "$0")/.." || exit 2
bad=0

refuse() # PATTERN FILES...
{
	pattern=$1
	shift
	if grep -nE "^#include [<\"]($pattern)" "$@"; then
		bad=1
	fi
}

refuse '(catalog|fs|tools|tests)/' tape/*.[ch]
refuse '(fs|tools|tests)/' catalog/*.[ch]
refuse '(tools|tests)/' fs/*.[ch]
refuse 'tests/' tools/*.[ch]
refuse 'sqlite3' tape/*.[ch] fs/*.[ch] tools/*.[ch]
refuse 'zstd|xxhash' catalog/*.[ch] fs/*.[ch] tools/*.[ch]
refuse 'fuse' tape/*.[ch] catalog/*.[ch] tools/*.[ch]
fuse='^fs/(channel|mount|worker|fuse_list|fuse_ops|fuse_live|fuse_drop)\.c$'
refuse 'fuse' $(ls fs/*.[ch] | grep -vE -e "$fuse" -e '^fs/mount_state\.h$')
refuse 'fs/mount_state' $(ls fs/*.[ch] | grep -vE "$fuse")
[ $bad = 0 ] || echo "these includes point where they must not"
exit $bad
