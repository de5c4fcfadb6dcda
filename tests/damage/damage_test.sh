#!/bin/bash
# Random single-byte flips over volumes and the catalogue.
#
#     damage_test.sh REEL WORKDIR
#
# FLIPS (30) flips of each kind, SEED (1) says which. For each flip of a
# volume: verify ends with 5, and names every file that can no longer be
# restored as it was, from either snapshot, and no file whose bytes are whole;
# what is restored is right to the byte. For each flip of the
# catalogue: no crash, and either the right answer or a message; names that
# are other than they were are noticed by verify, and so is what would be
# restored wrongly.
set -u
LC_ALL=C
reel=$(realpath "$1")
work=$2
flips=${FLIPS:-30}
seed=${SEED:-1}
failures=0
RANDOM=$seed

fail()
{
	echo "damage: $*" >&2
	failures=$((failures + 1))
}

die()
{
	echo "damage: $*" >&2
	exit 2
}

random_below() # N, up to 2^45
{
	echo $(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1))
}

make_tree()
{
	local i
	mkdir -p "$1"/small "$1"/deep/er/est "$1"/empty
	for i in $(seq 1 60); do
		head -c $((i * 137 % 5000 + 1)) /dev/urandom >"$1/small/f$i"
	done
	head -c 700000 /dev/urandom >"$1/large"
	yes 'a line of text that packs well' | head -c 900000 >"$1/text"
	cp "$1/large" "$1/deep/copy of large"
	cp "$1/small/f7" "$1/deep/er/copy"
	chmod 600 "$1/deep/er/copy"
	ln "$1/small/f9" "$1/deep/er/hard"
	ln -s ../text "$1/deep/symlink"
	: >"$1/empty/nothing"
	truncate -s 3M "$1/sparse"
	head -c 9000 /dev/urandom |
		dd of="$1/sparse" bs=4096 seek=300 conv=notrunc status=none
}

change_tree()
{
	head -c 3000 /dev/urandom >"$1/small/new"
	head -c 4000 /dev/urandom >"$1/small/f3"
	chmod 640 "$1/text"
	rm "$1/small/f5"
	cp "$1/text" "$1/text again"
	touch -d 2001-02-03 "$1/small/f11"
}

# Turns over one bit; prints the byte's offset.
flip() # FILE OFFSET BIT
{
	local old
	old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf "\\x$(printf %x $((old ^ 1 << $3)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Names and sums of a tree; directories and links by name.
sums()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum
	cd "$1" && find . ! -type f -printf '%y  %p %l\n' | sort)
}

named() # PATH: verify named it
{
	grep -qF "\"path\":\"$1\"" "$work/said" ||
		grep -qF "\"path\": \"$1\"" "$work/said"
}

crashed()
{
	[ "$1" -ge 128 ] && [ "$1" -ne 130 ]
}

# Differences of what was restored from what should have been; the paths of
# files that are not as they were are added to `lost`.
compare_restored() # WHERE SNAPSHOT
{
	local line path
	sums "$work/restored" >"$work/have"
	while IFS= read -r line; do
		path=${line#*  ./}
		[ "$path" = "$line" ] && continue
		path=${path% }
		printf '%s\n' "$path" >>"$work/lost"
		if cut -c 67- "$work/have" | grep -qxF "./$path"; then
			fail "$1: $path of session $2 has wrong bytes"
		elif ! named "$path"; then
			fail "$1: $path of session $2 is gone," \
				"verify did not name it"
		fi
	done < <(comm -23 <(sort "$work/want-$2") <(sort "$work/have"))
}

# A file whose bytes verify called damaged is whole in no snapshot.
compare_named() # WHERE
{
	local path
	while IFS= read -r path; do
		grep -qxF "$path" "$work/lost" ||
			fail "$1: verify named $path, which restores whole"
	done < <(sed -n 's/^{"path":"\([^"]*\)".*"its content is damaged".*/\1/p' \
		"$work/said" | sort -u)
}

restore_damaged() # SET WHERE SNAPSHOT
{
	local rc
	rm -rf "$work/restored"
	"$reel" restore "$1@$3" --to "$work/restored" >/dev/null \
		2>"$work/errors"
	rc=$?
	crashed $rc && fail "$2: restore ended with $rc"
	compare_restored "$2" "$3"
}

# Some bits of a zstd block mean nothing: the stream is what it was.
means_nothing() # FILE OFFSET BIT
{
	local now
	[ "${1%.zst}" != "$1" ] || return 1
	now=$(zstd -dcq "$1" 2>&1 | sha256sum)
	flip "$1" "$2" "$3"
	[ "$now" = "$(zstd -dcq "$1" 2>&1 | sha256sum)" ]
	set -- "$1" "$2" "$3" $?
	flip "$1" "$2" "$3"
	return "$4"
}

try_volume() # SET FILE
{
	local size offset bit rc where
	size=$(stat -c %s "$2")
	offset=$(random_below "$size")
	bit=$((RANDOM % 8))
	where="$(basename "$2") offset $offset bit $bit"
	flip "$2" "$offset" "$bit"
	"$reel" verify --json "$1" >"$work/said" 2>"$work/errors"
	rc=$?
	[ $rc -eq 5 ] || {
		[ $rc -eq 0 ] && means_nothing "$2" "$offset" "$bit"
	} || fail "$where: verify ended with $rc"
	! grep -q '"volume": *0[,}]' "$work/said" ||
		fail "$where: verify names no volume"
	: >"$work/lost"
	restore_damaged "$1" "$where" 1
	restore_damaged "$1" "$where" 2
	compare_named "$where"
	flip "$2" "$offset" "$bit"
}

# What is restored through a catalogue that verify calls whole is right.
restore_flipped() # SET WHERE VERIFIED
{
	local rc
	rm -rf "$work/restored"
	timeout 60 "$reel" restore "$1" --to "$work/restored" >/dev/null \
		2>"$work/errors"
	rc=$?
	crashed $rc && fail "$2: restore ended with $rc"
	[ $rc -eq 124 ] && fail "$2: restore hangs"
	[ "$3" -ne 0 ] && return
	[ $rc -eq 0 ] || fail "$2: restore ended with $rc, verify with 0"
	sums "$work/restored" | cmp -s - "$work/want-2" ||
		fail "$2: restored wrongly, verify ended with 0"
}

try_catalog() # SET BYTES: among its first ones
{
	local offset bit rc command
	offset=$(random_below "$2")
	bit=$((RANDOM % 8))
	flip "$1/catalog.db" "$offset" "$bit"
	for command in snapshots "ls -R" info verify; do
		# shellcheck disable=SC2086
		timeout 60 "$reel" $command "$1" >"$work/said" 2>"$work/errors"
		rc=$?
		crashed $rc && fail "catalog.db offset $offset bit $bit:" \
			"$command ended with $rc"
		[ $rc -eq 124 ] && fail "catalog.db offset $offset bit $bit:" \
			"$command hangs"
		[ $rc -ne 0 ] && [ ! -s "$work/errors" ] &&
			[ ! -s "$work/said" ] &&
			fail "catalog.db offset $offset bit $bit:" \
				"$command ended with $rc, silent"
	done
	"$reel" find --all "$1" >"$work/names" 2>/dev/null
	[ $rc -eq 5 ] || grep -q "newer version" "$work/errors" ||
		cmp -s "$work/names" "$work/want-names" ||
		fail "catalog.db offset $offset bit $bit: other names," \
			"verify ended with $rc"
	restore_flipped "$1" "catalog.db offset $offset bit $bit" $rc
	flip "$1/catalog.db" "$offset" "$bit"
}

try_set() # COMPRESSION
{
	local set=$work/set-$1 i volumes
	rm -rf "$set" "$work/tree"
	make_tree "$work/tree"
	"$reel" init "$set" --compress "$1" || die "init"
	"$reel" backup "$set" -C "$work/tree" . >/dev/null || die "backup"
	sums "$work/tree" >"$work/want-1"
	change_tree "$work/tree"
	"$reel" backup "$set" -C "$work/tree" . >/dev/null || die "backup"
	"$reel" verify "$set" >/dev/null || die "verify of a whole set"
	sums "$work/tree" >"$work/want-2"
	for i in 1 2; do
		rm -rf "$work/restored"
		"$reel" restore "$set@$i" --to "$work/restored" >/dev/null ||
			die "restore of a whole set"
		sums "$work/restored" | cmp -s - "$work/want-$i" ||
			die "restored wrongly"
	done
	volumes=("$set"/volumes/*)
	for i in $(seq 1 "$flips"); do
		try_volume "$set" "${volumes[RANDOM % ${#volumes[@]}]}"
	done
	"$reel" find --all "$set" >"$work/want-names"
	for i in $(seq 1 "$flips"); do
		try_catalog "$set" "$(stat -c %s "$set/catalog.db")"
	done
	# what the tables are
	for i in $(seq 1 $((flips / 3))); do
		try_catalog "$set" 4096
	done
	"$reel" verify "$set" >/dev/null || fail "not whole after all"
}

mkdir -p "$work" || die "$work"
work=$(realpath "$work")
try_set none
try_set zstd
echo "damage: $((2 * flips)) flips of volumes, $((2 * flips)) of catalogues" \
	"(seed $seed), $failures failures"
[ "$failures" -eq 0 ]
