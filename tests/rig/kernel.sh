#!/bin/bash
# Debian's stock kernel, unpacked, never installed: prints the directory that
# holds boot/ and lib/modules/, with its modules' dependencies.
#
# Cache: $RIG_CACHE (/var/tmp/tape-rig). KERNEL_DEB names the package; else
# apt-get downloads it.
set -eu
PATH=$PATH:/sbin:/usr/sbin
die() { echo "kernel.sh: $*" >&2; exit 1; }
cache=${RIG_CACHE:-/var/tmp/tape-rig}
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$cache/k/.done" ]; then
    rm -rf "$cache/k"; mkdir -p "$cache/k"
    deb=${KERNEL_DEB:-}
    if [ -z "$deb" ]; then
        pkg=$(apt-cache depends linux-image-amd64 | awk '/Depends:/{print $2; exit}')
        ls "$cache/$pkg"_*.deb >/dev/null 2>&1 || (cd "$cache" && apt-get download "$pkg" >/dev/null) || die "kernel download"
        deb=$(ls "$cache/$pkg"_*.deb | tail -n 1)
    fi
    dpkg-deb -x "$deb" "$cache/k" || die "$deb cannot be unpacked"
    depmod -b "$cache/k" "$(basename "$cache"/k/lib/modules/*)"
    touch "$cache/k/.done"
fi
echo "$cache/k"
