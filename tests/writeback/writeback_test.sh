#!/bin/bash
# Real programs work in current/, and what they wrote is in the set.
#
#     writeback_test.sh REEL WORKDIR [--long]
#
# Each leaves its tree; after a commit and a new mount the tree is the same.
# Needs rsync, git, python3; gio and vim where they are installed. A mount that
# does nothing for LIMIT (900) seconds is aborted.
set -u
reel=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
long=${3:-}
family=writeback
. "$(dirname "$0")/current.sh"
programs=$(realpath "$(dirname "$reel")/../tests")

# The bytes that the newest snapshot stored.
stored() # BYTES NAME
{
	local bytes
	bytes=$(newest unique_size)
	[ "$bytes" = "$1" ]
	ok "$2 ($bytes bytes)" $?
}

# ---- rsync ----

# Sockets are not stored.
tree() # DIR STEP OPTIONS...
{
	python3 "$here/../tree/make.py" "$@" || exit 2
	find "$1" -type s -delete
}

rsync_into() # NAME SOURCE OPTIONS...
{
	local name=$1 source=$2
	shift 2
	try "$name" rsync -aHAX --numeric-ids --delete "$@" "$source/" "$now/"
}

rsync_hard_cases()
{
	local n stored
	for n in 1 2 3; do
		tree "$work/source" $n
		mkdir -p "$work/hard"
		# some swap their bytes at the same size and time; where hard
		# links part rsync leaves a time wrong, on any target
		rsync -aHAX --numeric-ids --delete --checksum "$work/source/" \
			"$work/hard/"
		rsync_into "hard cases, step $n: rsync" "$work/source" \
			--checksum
		same "hard cases, step $n: before the commit" \
			"$work/hard" "$now"
		remount "hard cases, step $n"
		same "hard cases, step $n: mounted again" "$work/hard" "$now"
		same "hard cases, step $n: the snapshot" "$work/hard" \
			"$mnt/snapshots/latest"
		cp -a "$work/hard" "$work/hard$n"
	done
	for n in 1 2; do
		rm -rf "$work/out"
		"$reel" restore "$set@$n" --to "$work/out" >"$work/log" 2>&1
		same "hard cases, step $n: restored" "$work/hard$n" "$work/out"
	done
	# nothing changed: nothing is to be committed
	n=$(sessions)
	rsync_into "rsync of the same" "$work/hard"
	remount "the same"
	same "the same again" "$work/hard" "$now"
	stored=$(newest new_size)
	[ "$(sessions)" = "$n" ] || [ "$stored" = 0 ]
	ok "rsync of the same stores nothing" $?
	# one file of many changed
	head -c 50000 /dev/urandom >"$work/hard/one more"
	rsync_into "rsync of one more" "$work/hard"
	remount "one more"
	stored 50000 "and commits that alone"
	same "one more" "$work/hard" "$now"
	rm -rf "$work"/hard* "$work/source" "$work/out"
}

rsync_shuffled()
{
	local seed n
	for seed in 1 2 3; do
		for n in 1 2 3 4; do
			python3 "$here/../tree/shuffle.py" "$work/now" $seed \
				$n || exit 2
			rsync_into "shuffled $seed/$n: rsync" "$work/now"
			remount "shuffled $seed/$n"
			same "shuffled $seed/$n" "$work/now" "$now"
		done
		rm -rf "$work/now"
	done
}

# The volumes in order through plain tar, and the recipe.
plain_tar()
{
	local old=$set v n
	try "umount before the tame" "$reel" umount "$mnt"
	set=$work/tame.set
	"$reel" init "$set" --compress zstd >/dev/null
	mount_set
	for n in 1 2 3 4 5; do
		tree "$work/tame" $n --tame
		rsync_into "tame, step $n: rsync" "$work/tame" --checksum
		remount "tame, step $n"
	done
	try "tame: umount" "$reel" umount "$mnt"
	rm -rf "$work/out"
	mkdir "$work/out"
	for v in "$set"/volumes/*.zst; do
		zstd -dcq "$v" | tar -x -f - -C "$work/out" || echo "$v: $?"
	done >"$work/log" 2>&1
	[ ! -s "$work/log" ]
	ok "plain tar says nothing" $? || say
	try "plain tar gives every content" python3 \
		"$here/../set/contents.py" "$work/tame" "$work/out" tar
	rm -rf "$work/out"
	dash "$here/../../tape/recover.sh" "$set/volumes" "$work/out" 5 \
		>"$work/log" 2>&1
	same "the recipe" "$work/tame" "$work/out"
	try "verify" "$reel" verify "$set"
	rm -f "$set/catalog.db"
	try "rebuild" "$reel" catalog rebuild "$set"
	"$reel" restore "$set" --to "$work/again" >"$work/log" 2>&1
	same "restored after a rebuild" "$work/tame" "$work/again"
	rm -rf "$work/out" "$work/again" "$work/tame" "$set"
	set=$old
	mount_set
}

rsync_in_place()
{
	mkdir "$work/src" "$now/inplace"
	head -c 5000000 /dev/urandom >"$work/src/large"
	cp -a "$work/src/large" "$now/inplace/"
	remount "rsync --inplace"
	printf 'changed' |
		dd of="$work/src/large" bs=1 seek=2000000 conv=notrunc \
			2>/dev/null
	touch -d tomorrow "$work/src/large" # rsync looks at seconds
	try "rsync --inplace" rsync -a --inplace --no-whole-file \
		"$work/src/" "$now/inplace/"
	same "rsync --inplace, before the commit" "$work/src" "$now/inplace"
	remount "rsync --inplace, changed"
	same "rsync --inplace" "$work/src" "$now/inplace"
	rm -rf "$work/src"
}

# ---- programs ----

git_works()
{
	local g=$now/git
	try "git init" git init -q "$work/origin"
	(
		cd "$work/origin" || exit
		git config user.email a@b
		git config user.name n
		for n in $(seq 60); do
			mkdir -p "d$((n % 7))"
			seq "$n" 400 >"d$((n % 7))/f$n"
			git add -A
			git commit -qm "$n"
		done
	) >"$work/log" 2>&1
	try "git clone" git clone -q "$work/origin" "$g"
	(
		cd "$g" || exit
		git config user.email a@b
		git config user.name n
		for n in $(seq 20); do
			echo "$n" >>d1/f1
			git mv "d2/f$((n * 7 - 5))" "d3/moved$n" 2>/dev/null
			git commit -qam "here $n" || exit
		done
		git checkout -q -b other HEAD~10 && git checkout -q -
	) >"$work/log" 2>&1
	ok "git commit, checkout" $? || say
	try "git gc" git -C "$g" gc -q --prune=now
	try "git fsck" git -C "$g" fsck --full --strict
	remount git
	try "git fsck, mounted again" git -C "$g" fsck --full --strict
	[ -z "$(git -C "$g" status --porcelain)" ]
	ok "git status has nothing to say" $?
	rm -rf "$work/origin"
}

sqlite_works()
{
	mkdir "$now/sqlite"
	try "SQLite in WAL mode, 4 writers and commits" \
		python3 "$here/database.py" load "$now/sqlite/db" "$reel" "$mnt"
	try "SQLite: integrity_check" \
		python3 "$here/database.py" check "$now/sqlite/db"
	remount SQLite
	try "SQLite: integrity_check, mounted again" \
		python3 "$here/database.py" check "$now/sqlite/db"
}

vim_works()
{
	local d=$now/vim vim
	mkdir "$d"
	echo one >"$d/text"
	chmod 640 "$d/text"
	setfattr -n user.kept -v yes "$d/text"
	if vim=$(command -v vim || command -v vim.tiny); then
		try "vim saves" "$vim" -u NONE -es -c 'set backup writebackup' \
			-c 'set backupcopy=auto' -c 's/one/two/' -c 'wq' \
			"$d/text"
	else
		cp "$d/text" "$d/text~" && echo two >"$d/4913" &&
			mv "$d/4913" "$d/text"
	fi
	[ "$(cat "$d/text")" = two ] && [ "$(cat "$d/text~")" = one ]
	ok "both versions are there" $?
	# as most editors save
	for n in 3 4 5; do
		echo $n >"$d/.text.tmp" && sync "$d/.text.tmp" &&
			ln -f "$d/text" "$d/text~" &&
			mv "$d/.text.tmp" "$d/text"
	done
	remount vim
	[ "$(cat "$d/text") $(cat "$d/text~")" = "5 4" ]
	ok "both versions are there, mounted again" $?
	[ -e "$mnt/versions/vim/text" ]
	ok "and among the versions" $?
}

file_manager_works()
{
	local d=$now/manager
	command -v gio >/dev/null || {
		echo "skipped: gio is not installed"
		return
	}
	mkdir -p "$d/album" "$work/pictures"
	head -c 300000 /dev/urandom >"$work/pictures/one"
	head -c 300000 /dev/urandom >"$work/pictures/two"
	try "gio copy in" gio copy "$work/pictures/one" \
		"$work/pictures/two" "$d/album"
	try "gio copy within" gio copy -p "$d/album/one" "$d/copy"
	try "gio move within" gio move "$d/album/one" "$d/one"
	try "gio rename" gio rename "$d/one" uno
	try "undo of the rename" gio rename "$d/uno" one
	try "undo of the move" gio move "$d/one" "$d/album/"
	try "gio remove, the undo of a copy" gio remove "$d/copy"
	touch -r "$d/album" "$work/pictures" # its time is nobody's to undo
	same "as before" "$work/pictures" "$d/album"
	try "gio move out" gio move "$d/album/two" "$work/"
	cmp -s "$work/two" "$work/pictures/two" && [ ! -e "$d/album/two" ]
	ok "it is out" $?
	remount "file manager"
	cmp -s "$work/pictures/one" "$d/album/one" && [ ! -e "$d/copy" ]
	ok "file manager, mounted again" $?
	rm -rf "$work/pictures" "$work/two"
}

tar_and_make_work()
{
	local n=200
	mkdir -p "$work/prog/src"
	[ "$long" != --long ] || n=3000
	for n in $(seq $n); do
		echo "int f$n(int x) { return x + $n; }" >"$work/prog/src/f$n.c"
	done
	{
		printf 'OBJECTS = $(patsubst %%.c,%%.o,$(wildcard src/*.c))\n'
		printf 'all: lib.a prog\nlib.a: $(OBJECTS)\n\tar rcs $@ $^\n'
		printf 'prog: main.c lib.a\n\tcc -o $@ main.c lib.a\n'
	} >"$work/prog/Makefile"
	echo 'int f1(int); int main(void) { return f1(41) != 42; }' \
		>"$work/prog/main.c"
	tar -C "$work" -cf "$work/prog.tar" prog
	try "tar -x" tar -C "$now" -xf "$work/prog.tar"
	try "tar --diff" tar -C "$now" -df "$work/prog.tar"
	try "make" make -s -j4 -C "$now/prog"
	try "the program runs" "$now/prog/prog"
	try "make again" make -q -C "$now/prog"
	remount make
	try "make has nothing to do, mounted again" make -q -C "$now/prog"
	try "the program runs, mounted again" "$now/prog/prog"
	rm -rf "$work/prog" "$work/prog.tar"
}

directories_move()
{
	local n
	mkdir -p "$now/a/b/c" "$work/a/b/c"
	for n in $(seq 500); do
		echo "$n" >"$work/a/b/c/f$n"
	done
	cp -a "$work/a" "$now/"
	remount "directories"
	n=$(sessions)
	try "mv of a directory" mv "$now/a" "$now/moved"
	try "and of one below" mv "$now/moved/b/c" "$now/moved/"
	mkdir "$work/want"
	mv "$work/a" "$work/want/moved"
	mv "$work/want/moved/b/c" "$work/want/moved/"
	same "mv, before the commit" "$work/want/moved" "$now/moved"
	remount "mv"
	same "mv" "$work/want/moved" "$now/moved"
	stored 0 "mv stores no content again"
	same "the old snapshot has the old name" "$work/want/moved/c" \
		"$mnt/snapshots/$("$reel" snapshots --json "$set" |
			sed -n "${n}s/.*\"name\":\"\([^\"]*\)\".*/\1/p")/a/b/c"
	rm -rf "$work/want"
}

many_writers()
{
	local p
	mkdir "$now/many" "$work/many"
	for p in $(seq 16); do
		(
			for n in $(seq 63); do
				printf '%s %s\n' "$p" "$n" |
					tee "$work/many/$p-$n" \
						>"$now/many/$p-$n"
			done
		) &
		pids[p]=$!
	done
	wait "${pids[@]}"
	# each was written at a moment of its own
	find "$work/many" "$now/many" -exec touch -d @1700000000 {} +
	same "1,008 files by 16 processes" "$work/many" "$now/many"
	remount "16 processes"
	same "1,008 files by 16 processes, mounted again" "$work/many" \
		"$now/many"
	rm -rf "$work/many"
}

# A copy of what the set has is recognised: no content is stored again.
old_content()
{
	head -c 3000000 /dev/urandom >"$now/original"
	cp "$now/original" "$work/original"
	remount "old content"
	cp "$mnt/snapshots/latest/original" "$now/copy1"
	cp "$now/original" "$now/copy2"
	cp --sparse=never "$work/original" "$now/copy3"
	remount "copies"
	stored 0 "copies store nothing again"
	cmp -s "$work/original" "$now/copy1" && cmp -s "$now/copy2" \
		"$now/copy3" && cmp -s "$now/copy1" "$now/copy2"
	ok "and are whole" $?
	rm "$work/original"
}

# ---- rules ----

excluded_files()
{
	local n
	echo 'exclude *.tmp' >>"$set/rules"
	echo 'exclude /left-out/' >>"$set/rules"
	remount "new rules"
	mkdir "$now/left-out" "$now/rules"
	echo secret >"$now/left-out/f"
	echo work >"$now/rules/x.tmp"
	echo stays >"$now/rules/y"
	[ "$(cat "$now/rules/x.tmp") $(cat "$now/left-out/f")" = "work secret" ]
	ok "an excluded file works" $?
	getfattr --only-values -n user.reel.excluded "$now/rules/x.tmp" \
		>"$work/log" 2>&1
	grep -qF '*.tmp' "$work/log"
	ok "and names its rule" $? || say
	! getfattr -n user.reel.excluded "$now/rules/y" >"$work/log" 2>&1
	ok "another does not" $?
	"$reel" commit "$mnt" >"$work/log" 2>&1
	n=$?
	[ $n -le 1 ] && grep -qE '(^|[^0-9])[23] ' "$work/log"
	ok "commit counts what was left out" $? || say
	[ "$(cat "$now/rules/x.tmp")" = work ]
	ok "it stays while the mount lives" $?
	# the rule judges the name at commit
	mv "$now/rules/x.tmp" "$now/rules/kept"
	remount "renamed into place"
	[ "$(cat "$now/rules/kept")" = work ] && [ ! -e "$now/left-out" ] &&
		[ ! -e "$now/rules/x.tmp" ]
	ok "renamed into place it is stored; the excluded are gone" $?
	! "$reel" find --all "$set" --name f | grep -q left-out
	ok "and on no volume" $?
}

# ---- commit, umount, status ----

commands()
{
	local n
	n=$(sessions)
	echo 1 >"$now/command"
	try "reel commit MNT --label" "$reel" commit "$mnt" --label first
	[ "$(sessions)" = $((n + 1)) ]
	ok "is one session" $?
	"$reel" snapshots --json "$set" | tail -n 1 | grep -q '"first"'
	ok "with its label" $?
	try "reel commit of nothing" "$reel" commit "$mnt"
	[ "$(sessions)" = $((n + 1)) ]
	ok "is no session" $?
	echo 2 >"$now/command"
	try "reel status MNT" "$reel" status "$mnt"
	getfattr --only-values -n user.reel.status "$mnt" >"$work/log" 2>&1
	ok "user.reel.status" $? || say
	try "reel umount --no-commit" "$reel" umount --no-commit "$mnt"
	[ "$(sessions)" = $((n + 1)) ]
	ok "is no session" $?
	try "reel commit SET" "$reel" commit "$set" --label second
	[ "$(sessions)" = $((n + 2)) ]
	ok "is one" $?
	mount_set
	[ "$(cat "$now/command")" = 2 ]
	ok "what was written before umount --no-commit is there" $?
	echo 3 >"$now/command"
	# a plain umount, as at shutdown
	try "umount current/" umount "$now"
	try "umount" umount "$mnt"
	for n in $(seq 100); do
		[ -n "$(daemon)" ] || break
		sleep 0.1
	done
	[ -z "$(daemon)" ]
	ok "ends within seconds" $?
	mount_set
	[ "$(cat "$now/command")" = 3 ]
	ok "what was written before a plain umount is there" $?
	echo 4 >"$now/command"
	kill -TERM "$(daemon)"
	for n in $(seq 100); do
		[ -n "$(daemon)" ] || break
		sleep 0.1
	done
	[ -z "$(daemon)" ]
	ok "SIGTERM ends it within seconds" $?
	umount -l "$now" "$mnt" 2>/dev/null
	mount_set
	[ "$(cat "$now/command")" = 4 ]
	ok "what was written before SIGTERM is there" $?
}

# A commit is of one instant; what changes meanwhile belongs to the next.
commit_under_load()
{
	local pid n
	mkdir "$now/load"
	"$programs/stress" -k -p 4 -t 6 "$now/load" >"$work/stress.log" 2>&1 &
	pid=$!
	for n in 1 2 3; do
		sleep 1
		try "commit $n under load" "$reel" commit "$mnt"
		try "the snapshot of commit $n is consistent" \
			"$programs/stress" -c "$mnt/snapshots/latest/load"
	done
	wait $pid
	ok "the load did not notice" $? || cat "$work/stress.log"
	cp -a "$now/load" "$work/load"
	find "$work/load" -type s -delete
	remount "load"
	same "load, mounted again" "$work/load" "$now/load"
	try "and consistent" "$programs/stress" -c "$now/load"
	rm -rf "$work/load"
}

begin
"$reel" init "$set" --compress zstd >/dev/null
mount_set || end
[ -w "$now" ] && touch "$now/probe" 2>/dev/null && rm "$now/probe" || {
	ok "current/ can be written" 1
	end
}
rsync_hard_cases
rsync_shuffled
plain_tar
rsync_in_place
git_works
sqlite_works
vim_works
file_manager_works
tar_and_make_work
directories_move
many_writers
old_content
excluded_files
commands
commit_under_load
try "the last umount" "$reel" umount "$mnt"
try "verify" "$reel" verify "$set"
end
