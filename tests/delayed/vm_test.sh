#!/bin/bash
# Delayed operations at the boot of a virtual machine, whose power is cut at
# random moments of the run; the next boot comes to the same end.
#
#     vm_test.sh REEL DELAY WORKDIR [CUTS]
#
# The machine says how much the run has noted; a cut is made at some amount of
# it. Whether it was during the run (CUTS must be), is told by what the next
# boot finds: the journal, with notes beside it.
#
# Needs root, qemu, busybox-static, cpio, kmod, e2fsprogs and Debian's kernel,
# see tests/rig/kernel.sh. What is missing is said, and nothing is tried then.
set -u
LC_ALL=C
PATH=$PATH:/sbin:/usr/sbin
here=$(dirname "$(realpath "$0")")
reel=$(realpath "$1")
delay=$(realpath "$2")
work=$3
cuts=${4:-50}
passed=0
failed=0
. "$here/../rig/machine.sh"

skip()
{
	echo "skipped: $*"
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
	cut_power
	cd /
	rm -rf "$work"
}

# Busybox, reel and what it needs, the modules, the script that a Debian
# initramfs would run.
make_initramfs()
{
	local lib module
	mkdir -p r/bin r/proc r/sys r/dev r/root r/mod
	cp "$busybox" r/bin/busybox
	cp "$reel" r/bin/reel
	for lib in $(ldd "$reel" | grep -o '/[^ ]*'); do
		mkdir -p "r$(dirname "$lib")"
		cp -L "$lib" "r$lib"
	done
	for module in virtio_pci virtio_blk ext4 crc32c_generic; do
		modprobe -d "$kernel" -S "$version" --show-depends $module |
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
j=/root/var/lib/reel/delayed
count() { grep "^$1" $j/progress 2>/dev/null | wc -l; }
waits=no
[ ! -e $j/journal ] || waits=yes
echo "MARK found $waits $(count started) $(count ended)"
watch()
{
	local last=0 now
	while :; do
		now=$(stat -c %s $j/progress 2>/dev/null || echo 0)
		[ "$now" = $last ] || echo "MARK at $now"
		last=$now
		usleep 5000
	done
}
watch &
echo "MARK begin"
sh /local-bottom
kill %1
echo "MARK early"
mount -o remount,rw /root
mount --bind /proc /root/proc
chroot /root /bin/reel delayed run
echo "MARK end $?"
umount /root/proc
umount /root || echo "MARK busy"
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
	for n in $(seq 1 500); do
		echo "old $n" >root/usr/lib/f$n
		head -c $((n * 100)) /dev/urandom >new/f$n
		words+=(move "$PWD/new/f$n" usr/lib/f$n)
		echo gone >root/old/g$n
		words+=(delete old/g$n)
	done
	"$delay" root "${words[@]}" delete old directory 755 fresh \
		move "$PWD/new/f1" fresh/in commit || exit 2
	records=$("$reel" delayed list --root root --json | wc -l)
	truncate -s 160M disk
	mkfs.ext4 -q -d root disk 2>log || skip "mkfs.ext4 -d"
	mv new want
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
	cmp -s want/f1 seen/fresh/in && [ ! -e seen/old ] || bad=3
	[ -z "$(ls -d seen/.reel-delayed seen/var/lib/reel/delayed/files \
		seen/var/lib/reel/delayed/journal 2>/dev/null)" ] || bad=4
	"$reel" delayed status --root seen --json >status 2>&1
	[ "$(grep -c '"state":"done"' status)" = "$records" ] || bad=5
	grep -q 'Result":"00000000"' status || bad=6
	[ $bad = 0 ]
	ok "$1 ($bad)" $?
}

machine_needs >/dev/null || skip "$(machine_needs)"
busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 ||
	skip "no busybox-static"
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
trap clean_up EXIT
cd "$work" || exit 2
make_initramfs
make_disk

cp disk d
start d initrd quiet
listen console is_mark begin || {
	tail -n 20 console
	cat log
	echo "the machine does not boot"
	exit 2
}
begin=$(date +%s%N)
listen console is_mark early
took=$((($(date +%s%N) - begin) / 1000000))
finish
good_end "a boot"
most=$(sed -n 's/\r//; s/^MARK at //p' console | sort -n | tail -n 1)
steps=$(grep -c '^MARK at' console)
echo "$records records carried out in $took ms; $most bytes noted," \
	"seen in $steps steps"
RANDOM=$$
during=0
n=0
while [ $during -lt "$cuts" ] && [ $n -lt $((cuts * 3 / 2 + 1)) ]; do
	n=$((n + 1))
	at=$(((RANDOM * 32768 + RANDOM) % most + 1))
	[ $((n % 10)) != 0 ] || at=$most
	later=$((RANDOM % (took / 20 + 1)))
	cp disk d
	start d initrd quiet
	listen console is_at $at
	sleep "$(printf '%d.%03d' $((later / 1000)) $((later % 1000)))"
	cut_power
	start d initrd quiet
	listen console is_mark begin
	! was_during console || during=$((during + 1))
	found=$(sed -n 's/\r//; s/^MARK found //p' console)
	if [ $((n % 3)) = 0 ]; then # and once more
		listen console is_at $((RANDOM % most + 1))
		cut_power
		start d initrd quiet
	fi
	finish
	good_end "cut $n, at $at of $most bytes and $later ms later"
	echo "cut $n: $at of $most bytes, $later ms; found: $found"
done
[ $during -ge "$cuts" ]
ok "$cuts cuts during the run" $?
echo "$during of $n cuts hit between the run's first step and its last"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
