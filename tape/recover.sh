#!/bin/sh
# Brings back a snapshot from a reel set's volumes, without reel.
#
#     sh recover.sh VOLUMES TARGET [LAST]
#
# VOLUMES  directory with 000001.tar[.zst], 000002.tar[.zst] …
# TARGET   an empty or new directory
# LAST     number of the last session to apply; all when not given
#
# Needs a POSIX shell, GNU tar, zstd, coreutils. For each session in order: the
# reserved folder is extracted, then what was `replaced` is cleared away, then
# the files are extracted; copies become files of their own; what was `deleted`
# goes; metadata that plain links cannot carry are set.
set -u
LC_ALL=C
export LC_ALL

die() {
	echo "recover.sh: $*" >&2
	exit 1
}

[ $# -ge 2 ] || die "usage: sh recover.sh VOLUMES TARGET [LAST]"
volumes=$(cd "$1" && pwd) || die "$1: cannot be read"
mkdir -p "$2" || exit 1
cd "$2" || exit 1
last=${3:-}
[ -z "$(ls -A .)" ] || die "$2: is not empty"
umask 077
status=0
# what the target hands on to new files must not mix in
mode=$(stat -c %a .)
clean=$(mktemp -d) || exit 1
cp -r --attributes-only --preserve=mode "$clean/." . || exit 1
rmdir "$clean"

# The stream of some volumes. Those that cannot be read are noted in $failed.
stream() {
	for v; do
		case $v in
		*.zst) zstd -dcq -- "$volumes/$v" ;;
		*) cat -- "$volumes/$v" ;;
		esac || echo "$v" >>"$failed"
	done
}

# The comment of the session that begins on a volume, if one does.
heading() {
	failed=/dev/null
	stream "$1" 2>/dev/null | head -c 1024 | tail -c 512 | tr -d '\000' |
		head -n 1
}

# -i: tape files may have zeros behind them.
extract() {
	tar -x -i -f - -p --numeric-owner --xattrs --xattrs-include='*' "$@"
}

# All but the target itself, which gets its metadata when all is done. With
# recursion . would fit every name that begins with ./
extract_below() {
	extract --anchored --no-recursion --exclude=. --recursion "$@"
}

# A line of a list, its escapes undone, in $name.
plain() {
	case $1 in
	*\\*)
		name=$(printf '%bx' "$1")
		name=${name%x}
		;;
	*) name=$1 ;;
	esac
}

remove_listed() {
	[ -f "$1" ] || return 0
	while IFS= read -r line; do
		plain "$line"
		rm -rf -- "./$name" || status=1
	done <"$1"
}

# Directories hand no ACL on to what is made in them. Their metadata come back
# with the others.
close_defaults() {
	[ -f "$1" ] || return 0
	mkdir "$R/tmp"
	while IFS= read -r line; do
		case $line in
		"a "*)
			plain "${line#??}"
			mkdir -p -- "$R/tmp/$name" || status=1
			;;
		esac
	done <"$1"
	cp -a --attributes-only "$R/tmp/." . || status=1
	rm -rf "$R/tmp"
}

# The directories of these names, in $R/tmp. Not left to cp --parents, which
# needs /proc for those that are closed to their owner.
make_parents() {
	for name; do
		shift
		set -- "$@" "$R/tmp/${name%/*}"
	done
	mkdir -p -- "$@"
}

# Names that shared an inode with others become files of their own, with that
# of the others' metadata which the first argument says.
separate() {
	kept=$1
	shift
	[ $# -gt 0 ] || return 0
	make_parents "$@" &&
		cp "$kept" --parents --reflink=auto -t "$R/tmp" -- "$@" &&
		cp -rlf --remove-destination "$R/tmp/." . || status=1
	rm -rf "$R/tmp"
}

# The same for names that differ by their times alone, which stand in $times.
separate_timed() {
	separate --preserve=mode,ownership "$@"
	for time in $times; do
		touch -d "@$time" -- "$1" || status=1
		shift
	done
	times=
}

# A directory made anew, with nothing left of its old attributes.
renew() {
	mkdir "$R/tmp" || return 1
	for f in "./$1"/* "./$1"/.[!.]* "./$1"/..?*; do
		if [ -e "$f" ] || [ -L "$f" ]; then
			mv -- "$f" "$R/tmp" || return 1
		fi
	done
	rmdir -- "./$1" && mv -- "$R/tmp" "./$1"
}

apply_copies() {
	[ -f "$1" ] || return 0
	set -- "$1" 0
	list=$1
	shift 2
	while IFS= read -r line; do
		case $line in
		"c "*)
			plain "${line#??}"
			set -- "$@" "./$name"
			[ $# -lt 200 ] || {
				separate --no-preserve=all "$@"
				set --
			}
			;;
		esac
	done <"$list"
	separate --no-preserve=all "$@"
	set --
	times=
	tab=$(printf '\t')
	while IFS= read -r line; do
		case $line in
		"t "*)
			times="$times ${line##*"$tab"}"
			line=${line#??}
			plain "${line%"$tab"*}"
			set -- "$@" "./$name"
			[ $# -lt 200 ] || {
				separate_timed "$@"
				set --
			}
			;;
		esac
	done <"$list"
	separate_timed "$@"
	while IFS= read -r line; do
		case $line in
		"l "*)
			plain "${line#*"$tab"}"
			target=$name
			line=${line#??}
			plain "${line%%"$tab"*}"
			[ "./$target" -ef "./$name" ] ||
				ln -f -- "./$target" "./$name" || status=1
			;;
		"d "*)
			plain "${line#??}"
			renew "$name" || status=1
			;;
		"g "*)
			plain "${line#??}"
			chmod g-s -- "./$name" || status=1
			;;
		esac
	done <"$list"
}

apply_meta() {
	[ -f "$1" ] || return 0
	mkdir "$R/meta" "$R/top"
	zstd -dcq -- "$1" | extract_below -C "$R/meta" ||
		status=1
	cp -a --attributes-only "$R/meta/." . || status=1
	rm -rf "$R/meta"
	# the target itself gets its own when all is done
	if zstd -dcq -- "$1" |
		extract --no-recursion -C "$R/top" ./ 2>/dev/null; then
		rm -rf "$R/root"
		mv "$R/top" "$R/root"
	else
		rm -rf "$R/top"
	fi
}

session() {
	number=$1
	R=$2
	shift 2
	S=$R/s$(printf '%06d' "$number")
	echo "session $number: $*" >&2
	failed=$R.failed
	stream "$@" | extract --exclude="$S/index.zst" "$R" || status=1
	[ -d "$R/root" ] || {
		mkdir -m "$mode" "$R/root"
		chown --reference=. "$R/root" || status=1
	}
	remove_listed "$S/replaced"
	close_defaults "$S/copies"
	stream "$@" | extract_below --exclude="$R" || status=1
	apply_copies "$S/copies"
	remove_listed "$S/deleted"
	apply_meta "$S/meta.tar.zst"
	[ ! -f "$failed" ] || {
		echo "recover.sh: session $number: damaged volumes:" \
			"$(cat "$failed")" >&2
		rm -f "$failed"
		status=1
	}
	rm -rf "$S"
}

# Which sessions there are: number, epoch, volumes.
cd "$volumes" || exit 1
set --
for v in [0-9]*.tar [0-9]*.tar.zst; do
	[ ! -f "$v" ] || set -- "$@" "$v"
done
[ $# -gt 0 ] || die "$volumes: has no volumes"
cd "$OLDPWD" || exit 1
sessions=
first=0
for v; do
	h=$(heading "$v")
	case $h in
	*"REEL 1 set="*)
		set_id=${h#*set=}
		reserved=.reel-$(printf %.8s "$set_id")
		epoch=${h#*epoch=}
		epoch=${epoch%% *}
		number=${h#* session=}
		number=${number%% *}
		[ -z "$last" ] || [ "$number" -le "$last" ] || break
		# a new epoch stands alone
		[ "$epoch" != "$number" ] || {
			sessions=
			first=$number
		}
		sessions="$sessions
$number $reserved $v"
		;;
	*)
		[ -n "$sessions" ] ||
			die "$v: is not the beginning of a session; volumes before it are missing"
		sessions="$sessions $v"
		;;
	esac
done
[ "$first" -gt 0 ] || die "$volumes: the first volume of the epoch is missing"

while read -r n r names; do
	[ -n "$n" ] || continue
	# names are digits and dots: they split at spaces only
	# shellcheck disable=SC2086
	session "$n" "$r" $names
done <<END
$sessions
END

cp -a --attributes-only "$reserved/root/." . || status=1
time=$(stat -c %.9Y "$reserved/root")
rm -rf "$reserved"
touch -d "@$time" . || status=1
exit $status
