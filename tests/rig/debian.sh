#!/bin/bash
# A small Debian of this machine's release, with systemd: prints the tar file
# that holds it.
#
#     debian.sh PACKAGE...
#
# Cache: $RIG_CACHE (/var/tmp/tape-rig). Made by debootstrap, as root, from
# DEBIAN_MIRROR (deb.debian.org), in a minute.
set -eu
PATH=$PATH:/sbin:/usr/sbin
cache=${RIG_CACHE:-/var/tmp/tape-rig}
suite=$(. /etc/os-release; echo "${VERSION_CODENAME:-stable}")
names=$(printf '%s\n' systemd systemd-sysv udev dbus kmod "$@" | sort -u)
key=$(echo "$names" | sha256sum | cut -c 1-12)
tar=$cache/debian-$suite-$key.tar
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$tar" ]; then
	root=$(mktemp -d "$cache/debian.XXXXXX")
	trap 'rm -rf "$root" "$tar.new"' EXIT
	debootstrap --variant=minbase --include="$(echo $names | tr ' ' ,)" \
		"$suite" "$root" \
		"${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
	rm -rf "$root"/var/cache/apt/archives/*.deb \
		"$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
	tar -C "$root" --numeric-owner --xattrs -cf "$tar.new" .
	mv "$tar.new" "$tar"
fi
echo "$tar"
