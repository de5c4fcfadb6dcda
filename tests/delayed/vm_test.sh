#!/bin/bash
# Delayed operations at the boot of a virtual machine, whose power is cut at
# random moments; the next boot comes to the same end.
#
#     vm_test.sh REEL DELAY WORKDIR [CUTS]
#
# Needs root, qemu, busybox-static, cpio, kmod, e2fsprogs and Debian's kernel:
# KERNEL_DEB names its package, else it is downloaded with apt-get. What is
# missing is said, and nothing is tried then.
set -u
LC_ALL=C
PATH=$PATH:/sbin:/usr/sbin
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
delay=$(realpath "$2")
work=$3
cuts=${4:-50}
limit=180 # seconds for a boot
passed=0
failed=0
qemu=

skip()
{
	echo "skipped: $1"
	echo "0 passed, 0 failed"
	exit 0
}

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		tail -n 15 console | sed 's/^/	/'
	fi
}

clean_up()
{
	[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null
	cd /
	rm -rf "$work"
}

get_kernel()
{
	local name deb=${KERNEL_DEB:-}
	if [ -z "$deb" ]; then
		name=$(apt-cache depends linux-image-amd64 2>/dev/null |
			sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' |
			head -n 1)
		[ "$name" ] && apt-get download "$name" >log 2>&1
		deb=$(ls linux-image-*.deb 2>/dev/null | head -n 1)
	fi
	[ "$deb" ] && dpkg-deb -x "$deb" k 2>log || skip "no kernel package"
	version=$(basename k/lib/modules/*)
	depmod -b k "$version"
}

# Busybox, reel and what it needs, the modules, the script that a Debian
# initramfs would run.
make_initramfs()
{
	local lib module
	mkdir -p r/bin r/proc r/sys r/dev r/root r/mod
	cp "$(command -v busybox)" r/bin/busybox
	cp "$reel" r/bin/reel
	for lib in $(ldd "$reel" | grep -o '/[^ ]*'); do
		mkdir -p "r$(dirname "$lib")"
		cp -L "$lib" "r$lib"
	done
	for module in virtio_pci virtio_blk ext4 crc32c_generic; do
		modprobe -d "$PWD/k" -S "$version" --show-depends $module |
			awk '$1 == "insmod" {print $2}'
	done | awk '!seen[$0]++' | while read -r module; do
		cp "$module" r/mod/
		echo "/mod/$(basename "$module")"
	done >r/mod/list
	cp "$here/../../tools/boot/initramfs-script" r/local-bottom
	cat >r/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin rootmnt=/root
mount -t proc p /proc
mount -t sysfs s /sys
mount -t devtmpfs d /dev
while read -r m; do insmod $m; done </mod/list
while [ ! -e /dev/vda ]; do sleep 0.1; done
mount -t ext4 -o ro /dev/vda /root
echo "MARK begin"
sh /local-bottom
echo "MARK early"
mount -o remount,rw /root
mount --bind /proc /root/proc
chroot /root /bin/reel delayed run
echo "MARK end $?"
umount /root/proc /root
poweroff -f
INIT
	chmod +x r/init
	(cd r && find . | cpio -o -H newc --quiet) | gzip -1 >initrd
}

# A root filesystem on which much waits.
make_disk()
{
	local n words=()
	mkdir -p root/bin root/proc root/usr/lib root/old
	cp r/bin/reel root/bin/
	(cd r && tar -c lib* usr 2>/dev/null) | tar -x -C root
	mkdir -p new
	for n in $(seq 1 150); do
		echo "old $n" >root/usr/lib/f$n
		head -c $((n * 150)) /dev/urandom >new/f$n
		words+=(move "$PWD/new/f$n" usr/lib/f$n)
		echo gone >root/old/g$n
		words+=(delete old/g$n)
	done
	"$delay" root "${words[@]}" delete old directory 755 fresh \
		move "$PWD/new/f1" fresh/in commit || exit 2
	records=$("$reel" delayed list --root root --json | wc -l)
	truncate -s 96M disk
	mkfs.ext4 -q -d root disk 2>log || skip "mkfs.ext4 -d"
	mkdir want
	cp -a new/. want/
}

start()
{
	: >console
	qemu-system-x86_64 -accel "$accel" -machine q35 -cpu max -m 384 \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel k/boot/vmlinuz-* -initrd initrd \
		-append "console=ttyS0 quiet panic=-1 mitigations=off" \
		-chardev file,id=c,path=console -serial chardev:c \
		-drive file=d,if=virtio,format=raw,cache=writeback \
		</dev/null >log 2>&1 &
	qemu=$!
}

wait_for() # TEXT
{
	local n=0
	while ! grep -q "$1" console 2>/dev/null; do
		kill -0 "$qemu" 2>/dev/null && [ $n -lt $((limit * 20)) ] ||
			break
		sleep 0.05
		n=$((n + 1))
	done
	grep -q "$1" console
}

finish()
{
	local n=0
	while kill -0 "$qemu" 2>/dev/null && [ $n -lt $((limit * 20)) ]; do
		sleep 0.05
		n=$((n + 1))
	done
	kill -9 "$qemu" 2>/dev/null
	wait "$qemu" 2>/dev/null
	qemu=
}

# The disk after a boot that went through.
good_end() # NAME
{
	local bad=0
	grep -q 'MARK end 0' console || bad=1
	rm -rf seen
	mkdir seen
	debugfs -R 'rdump / seen' d >log 2>&1
	diff -r want seen/usr/lib >/dev/null 2>&1 ||
		[ -z "$(diff -rq want seen/usr/lib | grep -v '^Only in seen')" ] ||
		bad=2
	cmp -s new/f1 seen/fresh/in && [ ! -e seen/old ] || bad=3
	[ -z "$(ls -d seen/.reel-delayed seen/var/lib/reel/delayed/files \
		seen/var/lib/reel/delayed/journal 2>/dev/null)" ] || bad=4
	"$reel" delayed status --root seen --json >status 2>&1
	[ "$(grep -c '"state":"done"' status)" = "$records" ] || bad=5
	grep -q 'Result":"00000000"' status || bad=6
	[ $bad = 0 ]
	ok "$1 ($bad)" $?
}

[ "$(id -u)" = 0 ] || skip "a virtual machine (not root)"
for program in qemu-system-x86_64 busybox cpio depmod mkfs.ext4 debugfs; do
	command -v $program >/dev/null || skip "no $program"
done
ldd "$(command -v busybox)" >/dev/null 2>&1 && skip "no busybox-static"
accel=tcg
grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ] && accel=kvm
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
trap clean_up EXIT
cd "$work" || exit 2
get_kernel
make_initramfs
make_disk

cp disk d
start
wait_for 'MARK begin' || {
	tail -n 20 console
	cat log
	echo "the machine does not boot"
	exit 2
}
begin=$(date +%s%N)
wait_for 'MARK end'
took=$((($(date +%s%N) - begin) / 1000000 + 50))
finish
good_end "a boot"
echo "carried out in $took ms"
RANDOM=$$
early=0
for n in $(seq "$cuts"); do
	cp disk d
	start
	wait_for 'MARK begin'
	at=$(((RANDOM * 32768 + RANDOM) % took))
	sleep "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))"
	kill -9 "$qemu" 2>/dev/null
	wait "$qemu" 2>/dev/null
	grep -q 'MARK end' console || early=$((early + 1))
	if [ $((n % 3)) = 0 ]; then # and once more
		start
		wait_for 'MARK begin'
		sleep "0.$((RANDOM % 10))"
		kill -9 "$qemu" 2>/dev/null
		wait "$qemu" 2>/dev/null
	fi
	start
	finish
	good_end "cut $n, after $at ms"
done
echo "$early of $cuts cuts came before the end"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
