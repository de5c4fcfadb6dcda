#!/bin/sh
# Backs a real tree up into a set, mounts it, browses, copies out, restores,
# and compares. Installs what is missing and cleans up behind itself.
#
#     tools/try.sh [DIR]
#
# Ends with "identical", or with the differences and status 1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
build=$source/build
work=
mounted=

say() {
	printf '\n== %s\n' "$*"
}

fail() {
	printf 'try.sh: %s\n' "$*" >&2
	exit 1
}

clean_up() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$mounted" ]; then
		"$reel" umount "$work/mnt" || umount -l "$work/mnt" ||
			fusermount3 -u -z "$work/mnt" || :
	fi
	if [ -n "$work" ]; then
		chmod -R u+rwX "$work/out" "$work/copy" 2>/dev/null || :
		rm -rf "$work"
	fi
	exit $status
}

# Names of packages in the list that are not installed.
missing() {
	sed -n 's/^build[ 	]*\([^ 	]*\).*/\1/p' "$here/packages" |
		while read -r name; do
			dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null |
				grep -q '^install ok installed' ||
				printf '%s ' "$name"
		done
}

install_packages() {
	if ! command -v dpkg-query >/dev/null; then
		say "no dpkg here: the packages in tools/packages are taken as there"
		return
	fi
	names=$(missing)
	[ -n "$names" ] || return 0
	say "installing $names"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		as_root=sudo
	else
		fail "these packages are missing: $names; install them as root"
	fi
	$as_root apt-get update -q ||
		fail "apt-get update failed; check the network"
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
		--no-install-recommends $names ||
		fail "apt-get could not install $names"
}

build_reel() {
	say "building into $build"
	if [ ! -f "$build/CMakeCache.txt" ]; then
		set -- -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
		if command -v ninja >/dev/null; then
			set -- "$@" -G Ninja
		fi
		cmake -S "$source" -B "$build" "$@" >/dev/null
	fi
	cmake --build "$build" --target reel -j "$(nproc)"
	reel=$build/tools/reel
	"$reel" --version
}

# A tree of a real system, not too large.
choose_tree() {
	for dir in /usr/share /usr/lib /usr/bin /etc; do
		size=$(du -xsm "$dir" 2>/dev/null | cut -f 1)
		if [ "${size:-0}" -gt 10 ] && [ "$size" -lt 300 ]; then
			echo "$dir"
			return
		fi
	done
	echo /etc
}

# Lists differences; none means nothing is printed.
differences() {
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/"
}

compare() {
	differences "$tree" "$1" >"$work/differences" 2>"$work/complaints" ||
		cat "$work/complaints" >&2
	if [ -s "$work/differences" ] || [ -s "$work/complaints" ]; then
		echo "$2 differs from $tree:"
		head -n 40 "$work/differences"
		exit 1
	fi
	echo "$2: no difference"
}

can_mount() {
	[ -c /dev/fuse ] || return 1
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || return 1
	# fusermount3 unmounts by /etc/mtab, which a fresh root may lack
	[ "$(id -u)" = 0 ] ||
		{ command -v fusermount3 >/dev/null && [ -e /etc/mtab ]; }
}

run() {
	printf '$ %s\n' "$*" | sed "s,$work/,,g; s,$reel,reel,g"
	"$@"
}

browse() {
	latest=$work/mnt/snapshots/latest
	run ls "$work/mnt"
	run ls "$latest/"
	run sh -c "find '$latest/' | wc -l"
	file=$("$reel" find "$work/set" --type f --size +1 | head -n 1)
	run "$reel" history "$work/set" "$file"
	run ls -l "$work/mnt/versions/$file"
	say "copying out with rsync"
	run rsync -aHAX --numeric-ids "$latest/" "$work/copy/"
}

# A copy is dropped into current/, committed, and taken away again.
write() {
	[ -w "$work/mnt/current" ] || return 0
	say "writing into current/"
	run cp -a "$latest/$file" "$work/mnt/current/a copy"
	run "$reel" commit "$work/mnt"
	run cmp "$work/mnt/snapshots/latest/a copy" "$latest/$file"
	rm -f "$work/mnt/current/a copy"
	touch -r "$tree" "$work/mnt/current"
}

try_mount() {
	say "mounting"
	mkdir "$work/mnt" "$work/copy"
	run "$reel" mount "$work/set" "$work/mnt"
	mounted=yes
	browse
	write
	say "unmounting"
	run "$reel" umount "$work/mnt"
	mounted=
}

[ $# -le 1 ] || fail "usage: tools/try.sh [DIR]"
install_packages
build_reel
tree=${1:-$(choose_tree)}
[ -d "$tree" ] || fail "$tree is no directory"
tree=$(cd "$tree" && pwd -P)

work=$(mktemp -d "${TMPDIR:-/tmp}/reel-try.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT TERM

say "backing $tree up into a new set"
run "$reel" init "$work/set"
run "$reel" backup "$work/set" -C "$tree" . || [ $? = 1 ]
run "$reel" snapshots "$work/set"
run "$reel" info "$work/set"
run "$reel" verify "$work/set"

if can_mount; then
	try_mount
else
	say "this user lacks /dev/fuse, fusermount3 or /etc/mtab: no mount"
fi

say "restoring"
# an ordinary user cannot give files to their owners, which status 1 says
run "$reel" restore "$work/set" --to "$work/out" ||
	{ [ $? = 1 ] && [ "$(id -u)" != 0 ]; }

say "comparing"
if [ -d "$work/copy" ]; then
	compare "$work/copy" "the copy out of the mount"
fi
compare "$work/out" "what reel restored"
say "identical"
