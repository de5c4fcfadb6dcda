#!/bin/bash
# Five sessions of a tree of hard cases: restored by reel, by the recipe, and
# by plain tars, each compared with the tree as it stood.
#
#     set_test.sh REEL WORKDIR [--long]
#
# WORKDIR is made and removed; best on a filesystem with all xattrs. A line for
# each check. Needs rsync, bsdtar, pax, setfacl; root, for owners and devices
# and for a root directory that has the recipe's tools and nothing else.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
reel=$(realpath "$1")
work=$2
long=${3:-}
passed=0
failed=0
sessions=5

ok() # NAME, status of the command before
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "set: ok: ${1#"$work/"}"
	else
		failed=$((failed + 1))
		echo "set: FAILED: ${1#"$work/"}"
	fi
	return "$2"
}

same() # SOURCE TARGET: nothing to copy
{
	rsync -aHAXn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/" >"$work/differences" 2>&1
	if [ -s "$work/differences" ]; then
		head -n 12 "$work/differences"
		return 1
	fi
}

quiet() # LOG: nothing was said
{
	[ ! -s "$1" ] || {
		head -n 5 "$1"
		return 1
	}
}

# The sessions of a set, a line each: number, then its volumes.
session_volumes()
{
	local v number=0 line=
	for v in "$1"/volumes/[0-9]*.tar*; do
		if decode "$v" 2>/dev/null | head -c 1024 | tail -c 512 |
			grep -aq 'REEL 1 set='; then
			[ -z "$line" ] || echo "$line"
			number=$((number + 1))
			line=$number
		fi
		line="$line $v"
	done
	echo "$line"
}

decode()
{
	local v
	for v; do
		case $v in
		*.zst) zstd -dcq -- "$v" ;;
		*) cat -- "$v" ;;
		esac
	done
}

extract() # TOOL DIR, the archive on stdin
{
	case $1 in
	tar) tar -x -f - -C "$2" ;;
	bsdtar) bsdtar -x -f - -C "$2" ;;
	pax) (cd "$2" && pax -r -pe) ;;
	esac
}

plain() # SET TOOL LOCALE
{
	local out=$work/plain log=$work/plain.log line number
	rm -rf "$out"
	mkdir "$out"
	: >"$log"
	while read -r number line; do
		# shellcheck disable=SC2086
		decode $line | LC_ALL=$3 extract "$2" "$out" >>"$log" 2>&1 ||
			echo "session $number: exit status $?" >>"$log"
	done < <(session_volumes "$1")
	quiet "$log"
	ok "$1: $2 ($3) says nothing" $?
	python3 "$here/contents.py" "$work/tame" "$out" "$2"
	ok "$1: $2 ($3) gives every content" $?
	rm -rf "$out"
}

recipe() # SET N
{
	rm -rf "$work/out"
	decode "$1"/volumes/000001.* 2>/dev/null |
		tar -xO --occurrence=1 --wildcards '.reel-*/recover.sh' \
			>"$work/recover.sh" 2>/dev/null
	dash "$work/recover.sh" "$1/volumes" "$work/out" "$2" \
		2>"$work/recipe.log"
	ok "$1: the recipe up to session $2 ends well" $? ||
		cat "$work/recipe.log"
	same "$work/state$2" "$work/out"
	ok "$1: the recipe up to session $2" $?
	rm -rf "$work/out"
}

# A root directory with dash, tar, zstd, coreutils and what they load.
bare_root() # DIR
{
	local f
	mkdir -p "$1/bin" "$1/tmp" "$1/dev" "$1/set"
	chmod 1777 "$1/tmp"
	mknod -m 666 "$1/dev/null" c 1 3
	for f in $(dpkg -L dash tar zstd coreutils | grep 'bin/'); do
		[ ! -f "$f" ] || cp -a --dereference "$f" "$1/bin/"
	done
	ln -sf dash "$1/bin/sh"
	for f in $(ldd "$1"/bin/* 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' |
		sort -u); do
		[ -f "$1$f" ] || cp --parents --dereference "$f" "$1"
	done
}

bare_recipe() # SET N TREE
{
	[ "$(id -u)" = 0 ] || {
		echo "set: skipped, needs root: the recipe in a bare root"
		return
	}
	bare_root "$work/root"
	cp -a "$1/volumes" "$work/root/set/"
	cp "$work/recover.sh" "$work/root/set/"
	env -i PATH=/bin "$(command -v chroot)" "$work/root" sh /set/recover.sh /set/volumes \
		/out "$2" 2>"$work/recipe.log"
	ok "$1: the recipe in a bare root ends well" $? ||
		cat "$work/recipe.log"
	same "$3" "$work/root/out"
	ok "$1: the recipe in a bare root" $?
	rm -rf "$work/root"
}

questions() # SET
{
	local n path
	for n in $(seq $sessions); do
		"$reel" ls -R --json "$1@$n"
		"$reel" ls -lR "$1@$n"
		"$reel" find --json "$1@$n"
		"$reel" info --json "$1@$n"
		for path in sizes/1024 'duplicates/a/same1' kinds 'sparse/many' \
			'shifting/file to link' 'inherited/now/plain'; do
			"$reel" info --json "$1@$n" "$path"
		done
	done
	"$reel" find --all --json "$1"
	for path in 'duplicates/large copy' 'attributes/directory' . \
		'links/one/first10' 'names/line
break' $'names/latin\xe4\xf6' 'swaps/file1-70000' 'kinds/fifo' \
		'sparse' 'names/nothing like it'; do
		"$reel" history --json "$1" "$path"
	done
	"$reel" info --json "$1"
	"$reel" snapshots --json "$1"
	"$reel" history --json "$1" 'shifting/dir to file'
	"$reel" history --json "$1" duplicates/a/same1
	"$reel" diff --json "$1@1" 5
}

check_volumes() # SET
{
	local v bad=0 count=0
	for v in "$1"/volumes/*.zst; do
		[ -f "$v" ] || return 0
		count=$((count + 1))
		zstd -lvq "$v" >/dev/null 2>"$work/log" &&
			! grep -q . "$work/log" && zstd -tq "$v" || {
			bad=1
			echo "$v: zstd"
		}
		python3 "$here/seekable.py" "$v" || bad=1
	done
	ok "$1: zstd -lv and a reader of seek tables on $count volumes" $bad
}

one_set() # NAME OPTIONS...
{
	local set=$work/$1 n
	shift
	rm -rf "$set"
	"$reel" init "$set" "$@" >/dev/null
	for n in $(seq $sessions); do
		"$reel" backup "$set" -C "$work/state$n" . >"$work/log" 2>&1
		ok "$set: session $n" $? || cat "$work/log"
	done
	for n in $(seq $sessions); do
		rm -rf "$work/out"
		"$reel" restore "$set@$n" --to "$work/out" >"$work/log" 2>&1
		ok "$set: restoring session $n ends well" $? || cat "$work/log"
		same "$work/state$n" "$work/out"
		ok "$set: restoring session $n" $?
		recipe "$set" "$n"
	done
	bare_recipe "$set" "$sessions" "$work/state$sessions"
	"$reel" verify "$set" >"$work/log" 2>&1
	ok "$set: verify" $? || head "$work/log"
	for n in $(seq $sessions); do
		"$reel" verify "$set@$n" >"$work/log" 2>&1
		ok "$set: verify session $n" $? || head "$work/log"
	done
	check_volumes "$set"
	questions "$set" >"$work/before" 2>&1
	rm "$set/catalog.db"
	"$reel" catalog rebuild "$set" >"$work/log" 2>&1
	ok "$set: rebuild" $? || cat "$work/log"
	questions "$set" >"$work/after" 2>&1
	cmp -s "$work/before" "$work/after"
	ok "$set: a rebuilt catalogue answers the same" $? ||
		diff "$work/before" "$work/after" | head
	rm -rf "$set"
}

# Directories that are closed to their owner. In a root without /proc, cp gives
# up when it is to make them for copies; tar leaves them what they inherited.
closed_directories()
{
	local tree=$work/closed set=$work/closedset
	mkdir -p "$tree/read-only/none"
	head -c 5000 /dev/urandom >"$tree/first"
	cp "$tree/first" "$tree/read-only/mode"
	chmod 600 "$tree/read-only/mode"
	cp -a "$tree/first" "$tree/read-only/none/time"
	touch -d 2001-01-01 "$tree/read-only/none/time"
	chmod 0 "$tree/read-only/none"
	chmod 555 "$tree/read-only"
	mkdir -m 2775 "$tree/group"
	"$reel" init "$set" >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	mkdir -p "$tree/group/open/none" "$tree/group/kept"
	chmod g-s,u-w "$tree/group/open/none" "$tree/group/open"
	chmod 2555 "$tree/group/kept"
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	cp "$here/../../tape/recover.sh" "$work"
	bare_recipe "$set" 2 "$tree"
	chmod -R u+rwX "$tree"
	rm -rf "$tree" "$set"
}

# A hard link whose other name came to an earlier path with its directory.
moved_link()
{
	local tree=$work/moved set=$work/movedset
	mkdir -p "$tree/b" "$tree/c"
	: >"$tree/b/empty"
	setfattr -n user.tag -v value "$tree/b/empty" 2>/dev/null
	ln "$tree/b/empty" "$tree/c/stays"
	sleep 0.2 # what is that young is read again
	"$reel" init "$set" >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	mv "$tree/b" "$tree/a"
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	"$reel" verify "$set" >"$work/log" 2>&1
	ok "a link that an earlier path was added to verifies" $? ||
		cat "$work/log"
	rm -rf "$tree" "$set"
}

# A target has a length; what lies behind it in memory is not shown.
link_targets()
{
	local tree=$work/targets set=$work/targetset verb
	mkdir "$tree"
	ln -s 12345678901 "$tree/link"
	"$reel" init "$set" >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	for verb in info history 'ls -l'; do
		MALLOC_PERTURB_=85 "$reel" $verb "$set" link >"$work/log" 2>&1
		grep -aq -e '-> 12345678901$' "$work/log"
		ok "reel $verb: where a symlink leads" $? || cat "$work/log"
	done
	rm -rf "$tree" "$set"
}

# bsdtar takes what looks like a drive off the front of a path.
foreign_names()
{
	local tree=$work/foreign set=$work/foreignset tool name
	local long='\'$(printf 'long%.0s' $(seq 30))
	mkdir -p "$tree/d:dir/sub"
	for name in '\012' 'c:x' 'Z:\y' '\\?\UNC\a' '\' 'c:' "$long" \
		"$long"$'\377' '\..\z' 'd:dir/sub/file' '1:x'; do
		head -c 300 /dev/urandom >"$tree/$name"
	done
	ln "$tree/c:x" "$tree/c:link"
	ln -s 'c:x' "$tree/e:symlink"
	cp "$tree/c:x" "$tree/\\copy"
	chmod 600 "$tree/\\copy"
	"$reel" init "$set" --compress none >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	for tool in tar bsdtar pax; do
		mkdir "$work/plain"
		extract $tool "$work/plain" <"$set/volumes/000001.tar" \
			>"$work/log" 2>&1 && [ ! -s "$work/log" ] &&
			rm -r "$work/plain"/.reel-* &&
			diff -r --no-dereference "$tree" "$work/plain" \
				>"$work/log" 2>&1
		ok "$tool: names that look like drives" $? || cat "$work/log"
		rm -rf "$work/plain"
	done
	dash "$here/../../tape/recover.sh" "$set/volumes" "$work/out" \
		2>"$work/log" && same "$tree" "$work/out"
	ok "the recipe: names that look like drives" $? || cat "$work/log"
	rm "$set/catalog.db"
	"$reel" catalog rebuild "$set" >"$work/log" 2>&1 &&
		"$reel" verify "$set" >"$work/log" 2>&1
	ok "verify: names that look like drives" $? || cat "$work/log"
	rm -rf "$tree" "$set" "$work/out"
}

# The sessions in order through plain tars.
plain_set() # NAME OPTIONS...
{
	local set=$work/$1 n
	shift
	rm -rf "$set" "$work/tame"
	"$reel" init "$set" "$@" >/dev/null
	for n in $(seq $sessions); do
		python3 "$here/../tree/make.py" "$work/tame" "$n" --tame
		"$reel" backup "$set" -C "$work/tame" . >"$work/log" 2>&1
		ok "$set: session $n" $? || cat "$work/log"
	done
	plain "$set" tar C
	plain "$set" tar C.UTF-8
	plain "$set" bsdtar C
	plain "$set" bsdtar C.UTF-8
	plain "$set" pax C
	plain "$set" pax C.UTF-8
	rm -rf "$set" "$work/tame"
}

# One session as a person does it who reads the lists: the reserved folder
# first, then what was replaced is cleared away, then the rest.
by_hand() # TOOL DIR VOLUMES...
{
	local tool=$1 out=$2 list name
	shift 2
	decode "$@" | (cd "$out" && tar -x -f - "$reserved")
	for list in "$out/$reserved"/s*/replaced; do
		[ ! -f "$list" ] || while IFS= read -r name; do
			printf -v name '%bx' "$name"
			rm -rf -- "$out/${name%x}"
		done <"$list"
	done
	case $tool in
	tar) decode "$@" | tar -x -f - -C "$out" --exclude="$reserved" ;;
	bsdtar) decode "$@" | bsdtar -x -f - -C "$out" \
		--exclude "$reserved" ;;
	pax) decode "$@" | (cd "$out" && pax -r -pe -c "$reserved") ;;
	esac
	rm -rf "${out:?}/$reserved"/s*
}

# The same where directories become something else and back.
wild_set() # NAME OPTIONS...
{
	local set=$work/$1 n tool out=$work/plain log=$work/plain.log
	local number line
	shift
	rm -rf "$set" "$work/calm"
	"$reel" init "$set" "$@" >/dev/null
	for n in $(seq $sessions); do
		python3 "$here/../tree/make.py" "$work/calm" "$n" --calm
		"$reel" backup "$set" -C "$work/calm" . >"$log" 2>&1
		ok "$set: session $n" $? || cat "$log"
	done
	reserved=$(decode "$set"/volumes/000001.* 2>/dev/null |
		tar -t 2>/dev/null | head -n 1)
	reserved=${reserved%%/*}
	for tool in tar bsdtar pax; do
		rm -rf "$out"
		mkdir "$out"
		while read -r number line; do
			# shellcheck disable=SC2086
			by_hand $tool "$out" $line ||
				echo "session $number: exit status $?"
		done < <(session_volumes "$set") >"$log" 2>&1
		quiet "$log"
		ok "$set: $tool and the replaced lists: silence" $?
		python3 "$here/contents.py" "$work/calm" "$out" $tool
		ok "$set: $tool and the replaced lists: every content" $?
	done
	rm -rf "$set" "$work/calm" "$out"
}

# More names of one content than a filesystem can link.
many_copies()
{
	local tree=$work/copies set=$work/many log=$work/log
	rm -rf "$set" "$tree"
	python3 - "$tree" <<'END'
import os, sys
for n in range(70000):
    d = f"{sys.argv[1]}/d{n // 1000:02}"
    os.makedirs(d, exist_ok=True)
    if n < 69990:
        with open(f"{d}/f{n:05}", "w") as f:
            f.write("the same in every one of them; long enough to link " * 5)
END
	"$reel" init "$set" --compress zstd >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$log" 2>&1
	ok "70,000 copies: first session" $?
	python3 - "$tree" <<'END'
import sys
for n in range(69990, 70000):
    with open(f"{sys.argv[1]}/d{n // 1000:02}/f{n:05}", "w") as f:
        f.write("the same in every one of them; long enough to link " * 5)
END
	"$reel" backup "$set" -C "$tree" . >"$log" 2>&1
	ok "70,000 copies: second session" $?
	mkdir "$work/plain"
	for v in "$set"/volumes/*; do
		decode "$v" | tar -x -f - -C "$work/plain" || false
	done >"$log" 2>&1
	ok "70,000 copies: tar" $? || head -n 3 "$log"
	[ "$(find "$work/plain" -name 'f*' -type f -size +100c | wc -l)" = 70000 ]
	ok "70,000 copies: tar gives all" $?
	rm -rf "$work/plain"
	"$reel" restore "$set" --to "$work/out" >"$log" 2>&1
	same "$tree" "$work/out"
	ok "70,000 copies: restore" $?
	rm -rf "$work/out"
	dash "$here/../../tape/recover.sh" "$set/volumes" "$work/out" \
		>"$log" 2>&1
	ok "70,000 copies: the recipe ends well" $? || head -n 3 "$log"
	same "$tree" "$work/out"
	ok "70,000 copies: the recipe" $?
	rm -rf "$set" "$tree" "$work/out"
}

# Sockets stay out, with a word; the reserved name is stored under another.
left_out()
{
	local tree=$work/left set=$work/sockets reserved
	mkdir "$tree"
	python3 -c 'import socket, sys, os
os.chdir(sys.argv[1])
socket.socket(socket.AF_UNIX).bind("a socket")' "$tree"
	"$reel" init "$set" >/dev/null
	reserved=.reel-$(sed -nE 's/^uuid[ =]+(.{8}).*/\1/p' "$set/set.conf")
	mkdir "$tree/$reserved"
	echo mine >"$tree/$reserved/file"
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	[ $? = 1 ] && grep -q 'a socket: socket' "$work/log" &&
		grep -q "$reserved.source\|$reserved: is the set" "$work/log"
	ok "a socket and the reserved name: status 1 and a word for each" $? ||
		cat "$work/log"
	"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
	[ "$(cat "$work/out/$reserved.source/file")" = mine ] &&
		[ ! -e "$work/out/a socket" ]
	ok "the reserved name is stored with .source behind it" $?
	rm -rf "$work/out" "$tree/a socket"
	# and what has the name it is stored under, and what sorts between
	mkdir "$tree/$reserved.source"
	echo other >"$tree/$reserved.source/file"
	echo between >"$tree/$reserved!"
	for n in 2 3; do
		"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	done
	grep -q "^0 added, 0 changed, 0 removed" "$work/log"
	ok "reserved names are unchanged the next time" $? || cat "$work/log"
	recipe_all "$set" "$reserved"
	rm -rf "$tree" "$set"
}

# The same of files and symlinks, which are opened by their names; and of a
# name that has no room for more.
reserved_files()
{
	local tree=$work/left set=$work/sockets reserved long
	mkdir "$tree"
	"$reel" init "$set" >/dev/null
	reserved=.reel-$(sed -nE 's/^uuid[ =]+(.{8}).*/\1/p' "$set/set.conf")
	long=$reserved$(printf '.source%.0s' $(seq 34))
	echo mine >"$tree/$reserved"
	echo other >"$tree/$reserved.source"
	ln -s third "$tree/$reserved.source.source"
	echo long >"$tree/$long"
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	[ $? = 1 ] && grep -q "$long: is .* too long" "$work/log"
	ok "a reserved name that is too long is left out, and named" $? ||
		cat "$work/log"
	"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
	[ "$(cat "$work/out/$reserved.source")" = mine ] &&
		[ "$(cat "$work/out/$reserved.source.source")" = other ] &&
		[ "$(readlink "$work/out/$reserved.source.source.source")" = \
			third ] && [ "$(ls -A "$work/out" | wc -l)" = 3 ]
	ok "files of reserved names are what they were" $? || cat "$work/log"
	rm -rf "$work/out" "$tree" "$set"
}

recipe_all() # SET RESERVED: what left_out made, by reel and by the recipe
{
	"$reel" restore "$1" --to "$work/out" >"$work/log" 2>&1
	dash "$here/../../tape/recover.sh" "$1/volumes" "$work/out2" \
		>"$work/log" 2>&1
	for out in "$work/out" "$work/out2"; do
		[ "$(cat "$out/$2.source/file" "$out/$2.source.source/file" \
			"$out/$2!" | tr '\n' ' ')" = "mine other between " ]
		ok "$out: no two names become one" $? || cat "$work/log"
	done
	rm -rf "$work/out" "$work/out2"
}

# More attributes than anyone would think of.
many_attributes()
{
	local tree=$work/many set=$work/manyset
	mkdir "$tree"
	python3 - "$tree/file" <<'END' || {
import os, sys
open(sys.argv[1], "w").close()
for n in range(1500):
    os.setxattr(sys.argv[1], f"user.attribute{n}", b"%d" % n)
END
		echo "set: skipped, the filesystem cannot: 1,500 xattrs"
		rm -rf "$tree"
		return
	}
	"$reel" init "$set" >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	"$reel" restore "$set" --to "$work/out" >>"$work/log" 2>&1
	same "$tree" "$work/out"
	ok "1,500 xattrs of one file" $? || cat "$work/log"
	rm -rf "$tree" "$set" "$work/out"
}

# A volume that is gone costs the files that are said to need it, no other.
lost_volumes()
{
	local tree=$work/lost set=$work/lostset v name n
	mkdir "$tree"
	for n in $(seq 40); do
		head -c $((n * 5000)) /dev/urandom >"$tree/f$n"
	done
	"$reel" init "$set" --compress none --volume-size 1M >/dev/null
	"$reel" backup "$set" -C "$tree" . >"$work/log" 2>&1
	"$reel" ls "$set" --media | awk '$1 ~ /,/' | grep -q .
	ok "files in two volumes need both" $?
	for v in "$set"/volumes/*; do
		name=$(basename "$v")
		"$reel" find "$set" --type f --medium "$name" | sort \
			>"$work/need"
		mv "$v" "$work/away"
		rm -rf "$work/out"
		"$reel" restore "$set" --to "$work/out" >"$work/log" 2>&1
		for n in $(seq 40); do
			cmp -s "$tree/f$n" "$work/out/f$n" || echo "f$n"
		done | sort | cmp -s - "$work/need"
		ok "without $name all but what needs it is restored" $?
		mv "$work/away" "$v"
	done
	rm -rf "$tree" "$set" "$work/out"
}

rm -rf "$work"
mkdir -p "$work"
for n in $(seq $sessions); do
	if [ "$n" -gt 1 ]; then
		# the same inodes go on changing, so that incremental is tried
		cp -a "$work/now" "$work/state$((n - 1))"
	fi
	python3 "$here/../tree/make.py" "$work/now" "$n" || exit 2
done
cp -a "$work/now" "$work/state$sessions"
one_set none --compress none
one_set zstd --compress zstd
one_set split --compress zstd --volume-size 1M
if [ "$long" = --long ]; then
	one_set splitnone --compress none --volume-size 1M
fi
plain_set plainnone --compress none
plain_set plainzstd --compress zstd --volume-size 1M
wild_set wild --compress zstd --volume-size 1M
many_copies
closed_directories
moved_link
link_targets
foreign_names
left_out
reserved_files
lost_volumes
many_attributes
chmod -R u+rwX "$work" 2>/dev/null
rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
