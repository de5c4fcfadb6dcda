#!/bin/bash
# Delayed operations at the boot of a Debian with systemd, installed by `cmake
# --install`: what its own units and its initramfs do with what is in use.
#
#     system_test.sh BUILD-DIR WORKDIR [CUTS]
#
# The system comes from tests/rig/debian.sh, the kernel from
# tests/rig/kernel.sh; both are made once. What each boot is to show is in
# system_guest.sh. What is missing is said, and nothing is tried then.
set -u
LC_ALL=C
PATH=$PATH:/sbin:/usr/sbin
here=$(dirname "$(realpath "$0")")
build=$(realpath "$1")
reel=$build/tools/reel
work=$2
cuts=${3:-5}
passed=0
failed=0
. "$here/../rig/machine.sh"
memory=512
limit=${LIMIT:-600}

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
		tail -n 20 console | cut -c 1-150 | sed 's/^/	/'
	fi
}

clean_up()
{
	cut_power
	cd /
	chattr -i "$work"/versions/*/opt/app/locked 2>/dev/null
	rm -rf "$work"
}

# Debian's packages with the libraries that reel was linked with.
libraries()
{
	local lib
	for lib in $(ldd "$reel" | grep -o '/[^ ]*'); do
		lib=$(realpath "$lib")
		dpkg -S "*${lib#/usr}" 2>/dev/null
	done | cut -d : -f 1 | sort -u
}

make_root()
{
	mkdir root
	tar -C root --numeric-owner -xf "$debian"
	cp -a "$kernel/lib/modules" root/usr/lib/
	mkdir -p root/boot root/var/log/journal
	cp "$kernel/boot/config-$version" root/boot/
	DESTDIR=$PWD/root cmake --install "$build" >log 2>&1
	ok "cmake --install" $?
	echo "/dev/vda / ext4 errors=remount-ro 0 1" >root/etc/fstab
	echo reel >root/etc/hostname
	echo 0123456789abcdef0123456789abcdef >root/etc/machine-id
	cat >root/etc/systemd/system/app.service <<'UNIT'
[Service]
Environment=LD_PRELOAD=/opt/app/sys.so
ExecStart=/opt/app/run infinity
UNIT
	cat >root/etc/systemd/system/system-part.service <<'UNIT'
[Unit]
After=app.service
[Service]
ExecStart=/usr/local/sbin/system-part
UNIT
	cat >root/etc/systemd/system/watch.service <<'UNIT'
[Unit]
DefaultDependencies=no
Before=reel-delayed.service sysinit.target
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/local/sbin/watch
UNIT
	cat >root/usr/local/sbin/watch <<'WATCH'
#!/bin/bash
# How far a run is, on the second serial line.
exec >/dev/ttyS1 2>/dev/null
j=/var/lib/reel/delayed last=0
count() { grep "^$1" $j/progress | wc -l; }
[ -e $j/journal ] && waits=yes || waits=no
echo "MARK found $waits $(count started) $(count ended)"
systemd-notify --ready
while [ -e $j/journal ]; do
	now=$(stat -c %s $j/progress || echo 0)
	[ "$now" = "$last" ] || echo "MARK at $now"
	last=$now
	sleep 0.01
done
WATCH
	cp "$here/system_guest.sh" root/usr/local/sbin/system-part
	chmod 755 root/usr/local/sbin/*
	(
		cd root/etc/systemd/system || exit
		mkdir -p multi-user.target.wants sysinit.target.wants
		ln -s ../app.service ../system-part.service \
			multi-user.target.wants/
		ln -s ../watch.service sysinit.target.wants/
		ln -s /dev/null serial-getty@ttyS0.service
		ln -s /dev/null apt-daily.timer
		ln -s /dev/null apt-daily-upgrade.timer
	)
}

# Its own initramfs-tools makes it, with the hook that was installed.
make_initramfs()
{
	echo MODULES=list >root/etc/initramfs-tools/conf.d/list
	printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic \
		>>root/etc/initramfs-tools/modules
	chroot root update-initramfs -c -k "$version" >log 2>&1
	cp root/boot/initrd.img-"$version" initrd
	chroot root lsinitramfs "/boot/initrd.img-$version" >list 2>/dev/null
	[ "$(grep -cx -e usr/bin/reel -e scripts/local-bottom/reel-delayed \
		list)" = 2 ]
	ok "the initramfs has reel and its script" $?
}

# Three states of what is in use: v1 is installed, v2 and v3 are backed up.
make_versions()
{
	local v app
	for v in v1 v2 v3; do
		app=root/versions/$v/opt/app
		mkdir -p $app root/versions/$v/etc
		cp -L root/bin/sleep $app/run
		cp -L root/lib/x86_64-linux-gnu/libattr.so.1 $app/sys.so
		echo "$v of it" | tee -a $app/run $app/sys.so $app/locked \
			$app/point >root/versions/$v/etc/system.conf
		dd if=/dev/urandom of=$app/swap bs=1M count=2 status=none
		chmod 600 $app/swap
		mkswap $app/swap >log 2>&1
		touch -d "2020-01-0${v#v}" $app/*
		chattr +i $app/locked 2>/dev/null &&
			: >root/versions/immutable # else not on this filesystem
	done
	"$reel" init root/set >log 2>&1 &&
		"$reel" backup root/set -C root/versions/v2 . >log 2>&1 &&
		"$reel" backup root/set -C root/versions/v3 . >log 2>&1
	ok "a set of two snapshots" $?
	chattr -i root/versions/*/opt/app/locked
	cp -a root/versions/v1/. root/
	echo 'delay busy' >root/rules
	echo 'delay *' >root/all
}

make_disk() # NAME
{
	rm -f "$1"
	truncate -s 1G "$1"
	mkfs.ext4 -q -d root "$1" 2>log || skip "mkfs.ext4 -d"
}

# Counts what the machine says.
hear() # PART
{
	local line before=$passed
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		"ok "*) passed=$((passed + 1)) ;;
		"FAILED "*)
			failed=$((failed + 1))
			echo "$1: $line"
			;;
		"MARK "*) ;;
		*) echo "$1: $line" ;;
		esac
	done <said
	echo "$1: $((passed - before)) shown, at $SECONDS s"
	grep -q '^MARK end' said
	ok "$1: came to its end" $?
}

# `early`: the initramfs does it; `late`: it leaves it to the system.
boot() # PART early|late
{
	local words=
	[ "$2" = early ] || words=reel.delayed=no
	start "$disk" initrd "root=/dev/vda quiet system.part=$1 $words"
	finish
}

try_parts()
{
	disk=disk
	make_disk disk
	boot use late
	hear use
	boot service late
	hear service
	boot stuck late
	hear stuck
	boot update_failed late # the update's own boot
	boot update_failed late
	hear update_failed
	boot initramfs early
	hear initramfs
	boot update late
	boot update late
	hear update
	e2fsck -fn disk >log 2>&1
	ok "the filesystem is whole" $?
	rm disk
}

# ---- cuts ----

make_cut_disk()
{
	local n words=()
	mkdir -p root/srv/new root/srv/old new
	for n in $(seq 500); do
		echo "old $n" >root/srv/new/f$n
		head -c $((n * 100)) /dev/urandom >new/f$n
		words+=(move "$PWD/new/f$n" srv/new/f$n)
		echo gone >root/srv/old/g$n
		words+=(delete srv/old/g$n)
	done
	"$build/tests/delay" root "${words[@]}" delete srv/old commit || exit 2
	records=$("$reel" delayed list --root root --json | wc -l)
	echo "$records" >root/versions/records
	make_disk cutdisk
}

good_end() # NAME
{
	rm -rf seen
	mkdir seen
	debugfs -R "rdump /srv seen" d >log 2>&1
	diff -r new seen/srv/new >log 2>&1 && [ ! -e seen/srv/old ]
	ok "$1: everything is as it is to be" $?
	e2fsck -fn d >log 2>&1
	ok "$1: the filesystem is whole" $?
}

try_cuts()
{
	local n=0 during=0 at later
	make_cut_disk
	disk=d
	cp --sparse=always cutdisk d
	boot cut late
	hear "a boot"
	good_end "a boot"
	most=$(sed -n 's/\r//; s/^MARK at //p' said | sort -n | tail -n 1)
	RANDOM=$$
	while [ $during -lt "$cuts" ] && [ $n -lt $((cuts * 2)) ]; do
		n=$((n + 1))
		at=$(((RANDOM * 32768 + RANDOM) % most + 1))
		later=$((RANDOM % 300))
		cp --sparse=always cutdisk d
		start d initrd "root=/dev/vda quiet system.part=cut reel.delayed=no"
		listen said is_at $at
		sleep "$(printf '0.%03d' $later)"
		cut_power
		boot cut late
		! was_during said || during=$((during + 1))
		echo "cut $n: at $at of $most bytes, $later ms later;" \
			"found: $(sed -n 's/\r//; s/^MARK found //p' said)"
		hear "cut $n"
		good_end "cut $n"
	done
	[ $during -ge "$cuts" ]
	ok "$cuts cuts during the run" $?
	echo "$during of $n cuts hit between the run's first step and its last"
}

machine_needs >/dev/null || skip "$(machine_needs)"
command -v debootstrap >/dev/null || skip "no debootstrap"
debian=$("$here/../rig/debian.sh" initramfs-tools e2fsprogs attr zstd \
	$(libraries) 2>/dev/null) || skip "no Debian can be had"
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
trap clean_up EXIT
cd "$work" || exit 2
make_root
make_initramfs
make_versions
[ -n "${ONLY_CUTS:-}" ] || try_parts
try_cuts
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
