#!/bin/sh
# dracut, pre-pivot: see the initramfs-tools script.
rootmnt=${NEWROOT:-/sysroot}
if [ -e "$rootmnt/var/lib/reel/delayed/journal" ] && ! getargbool 0 rd.reel.skip; then
	if [ -w "$rootmnt" ]; then
		/bin/reel delayed run --early --root "$rootmnt"
	elif mount -o remount,rw "$rootmnt"; then
		/bin/reel delayed run --early --root "$rootmnt"
		mount -o remount,ro "$rootmnt"
	fi
fi
