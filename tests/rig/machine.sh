# A machine of QEMU on Debian's kernel, whose power may be cut; to be sourced.
#
#     machine_needs                          first of all
#     start DISK INITRD WORDS [OPTION...]    WORDS: for the kernel
#     listen FILE COMMAND...                 until COMMAND LINE likes a line
#     finish                                 until it is off, or the limit
#     cut_power
#
# What it says is in ./console, what it says on its second line in ./said.
# `limit` are the seconds for a boot, `memory` is in MiB. Which marks a line
# has: is_mark, is_at.
kernel=
version=
limit=${LIMIT:-300}
memory=384
qemu=
accel=tcg
grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ] && accel=kvm

# Sets `kernel` and `version`; else says what is missing for a machine.
machine_needs()
{
	local program
	[ "$(id -u)" = 0 ] || {
		echo "a virtual machine (not root)"
		return 1
	}
	for program in qemu-system-x86_64 cpio depmod mkfs.ext4 debugfs; do
		command -v $program >/dev/null || {
			echo "no $program"
			return 1
		}
	done
	kernel=$("$(dirname "${BASH_SOURCE[0]}")/kernel.sh" 2>/dev/null) || {
		echo "no kernel package"
		return 1
	}
	version=$(basename "$kernel"/lib/modules/*)
}

start() # DISK INITRD WORDS [OPTION...]
{
	local disk=$1 initrd=$2 words=$3
	shift 3
	: >console
	: >said
	qemu-system-x86_64 -accel $accel -machine q35 -cpu max -m $memory \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$kernel/boot/vmlinuz-$version" -initrd "$initrd" \
		-append "console=ttyS0 panic=-1 mitigations=off $words" \
		-chardev file,id=c,path=console -serial chardev:c \
		-chardev file,id=s,path=said -serial chardev:s \
		-drive "file=$disk,if=virtio,format=raw,cache=writeback" \
		"$@" </dev/null >log 2>&1 &
	qemu=$!
}

listen() # FILE COMMAND...
{
	local file=$1 line until=$((SECONDS + limit))
	shift
	while IFS= read -r line; do
		"$@" "${line%$'\r'}" && return 0
		[ $SECONDS -lt $until ] || return 1
	done < <(timeout "$limit" tail -n +1 -s 0.02 --pid="$qemu" -f "$file" \
		2>/dev/null)
	return 1
}

is_mark() # MARK LINE
{
	[[ $2 == "MARK $1"* ]]
}

# A run has noted that many bytes, or is over.
is_at() # BYTES LINE
{
	[[ $2 == "MARK e"* ]] ||
		[[ $2 == "MARK at "* && ${2#MARK at } -ge $1 ]]
}

# What the boot after a cut found: the run had begun, and was not over.
was_during() # FILE
{
	local found
	found=$(sed -n 's/\r//; s/^MARK found //p' "$1")
	[[ $found == "yes "[1-9]* ]]
}

cut_power()
{
	[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null
	wait "$qemu" 2>/dev/null
	qemu=
}

finish()
{
	local until=$((SECONDS + limit))
	while kill -0 "$qemu" 2>/dev/null && [ $SECONDS -lt $until ]; do
		sleep 0.05
	done
	cut_power
}
