#!/bin/bash
# nst-vm.sh - run a command in a small QEMU guest whose Debian kernel drives
# iSCSI tape units with its own st / sg / ch drivers.
#
#   nst-vm.sh [OPTION...] -- COMMAND [ARG...]
#     --vtl URL        attach this iSCSI unit (repeat; order = scsi id order;
#                      tapes become /dev/nst0,1.. the changer /dev/sch0, all /dev/sgN)
#     --share DIR      host directory, seen read-write in the guest at the same path
#     --root host      (default) the guest's / is the host's / read-only through 9p,
#                      with a tmpfs overlay: every host program works, nothing is changed
#     --root mini      / is the initramfs only: busybox plus the --prog files
#     --prog FILE      (mini) put this program and its shared libraries in (repeat)
#     --module NAME    load one more kernel module (repeat); --ko FILE an own .ko
#     --st 'k=v ...'   parameters of the st module, e.g. 'buffer_kbs=1024'
#     --mem MB (1024)  --smp N (2)  --timeout S (600)  --append 'kernel words'
#     --keep-log FILE  save the kernel console there
# stdout and stderr of COMMAND come out as they are written, merged; the exit status is
# COMMAND's.  124: timeout.  125: the guest did not come up (console shown).
# The kernel comes from kernel.sh.
set -eu
die() { echo "nst-vm.sh: $*" >&2; exit 125; }
vtl=(); progs=(); mods=(); kos=(); shares=(); root=host; mem=1024; smp=2; tmo=600; append=; log=; stopt=
while [ $# -gt 0 ]; do case $1 in
    --vtl) vtl+=("$2"); shift 2;;   --share) shares+=("$(realpath "$2")"); shift 2;;
    --root) root=$2; shift 2;;      --prog) progs+=("$2"); shift 2;;
    --module) mods+=("$2"); shift 2;; --ko) kos+=("$2"); shift 2;;
    --st) stopt=$2; shift 2;;       --mem) mem=$2; shift 2;;
    --smp) smp=$2; shift 2;;        --timeout) tmo=$2; shift 2;;
    --append) append=$2; shift 2;;  --keep-log) log=$2; shift 2;;
    --) shift; break;;              *) die "unknown option $1";;
esac; done
[ $# -gt 0 ] || die "no command"

need=()
command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86)
[ -e /usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so ] || need+=(qemu-block-extra)
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || need+=(busybox-static)
command -v cpio >/dev/null || need+=(cpio)
command -v depmod >/dev/null || [ -x /sbin/depmod ] || need+=(kmod)
[ ${#need[@]} = 0 ] || die "install ${need[*]}"
PATH=$PATH:/sbin:/usr/sbin

# --- kernel --------------------------------------------------------------------
k=$("$(dirname "$(realpath "$0")")/kernel.sh") || die "no kernel"
kver=$(basename "$k"/lib/modules/*); kernel=$k/boot/vmlinuz-$kver

# --- initramfs ---------------------------------------------------------------
w=$(mktemp -d "${TMPDIR:-/tmp}/nstvm.XXXXXX"); qpid=
trap '[ -z "$qpid" ] || kill -KILL "$qpid" 2>/dev/null || :; rm -rf "$w"' EXIT
mkdir -p "$w/r"/{bin,sbin,proc,sys,dev,tmp,mod,etc,root,run,mnt,new,lower,rw}
cp /bin/busybox "$w/r/bin/"
want=(virtio_pci virtio_console virtio_scsi st sg ch fuse)
if [ "$root" = host ] || [ ${#shares[@]} -gt 0 ]; then want+=(9pnet_virtio 9p overlay); fi
want+=(${mods[@]+"${mods[@]}"})
: > "$w/r/mod/list"
for m in "${want[@]}"; do
    modprobe -d "$k" -S "$kver" --show-depends "$m" 2>/dev/null | awk '$1=="insmod"{print $2}' || die "no module $m"
done | awk '!s[$0]++' > "$w/mods"
while read -r f; do
    cp "$f" "$w/r/mod/"; b=$(basename "$f"); o=; [ "$b" != st.ko ] || o=$stopt
    echo "$b $o" >> "$w/r/mod/list"
done < "$w/mods"
for f in ${kos[@]+"${kos[@]}"}; do cp "$f" "$w/r/mod/"; echo "$(basename "$f")" >> "$w/r/mod/list"; done
# a program with the libraries ldd names for it, at their own paths
put() { mkdir -p "$w/r$(dirname "$1")"; [ -e "$w/r$1" ] || cp -L "$1" "$w/r$1"; }
for p in ${progs[@]+"${progs[@]}"}; do
    p=$(command -v "$p") || die "no program $p"; p=$(realpath -s "$p"); put "$p"
    { ldd "$p" 2>/dev/null || :; } | grep -o '/[^ ]*' | while read -r l; do put "$l"; done
done
q=; for a in "$@"; do q+="'${a//\'/\'\\\'\'}' "; done
[ $# -gt 1 ] || q=$1                       # one word: a shell line
printf 'cd %s 2>/dev/null || cd /\n%s\n' "'$PWD'" "$q" > "$w/r/cmd"
printf '%s\n' ${shares[@]+"${shares[@]}"} > "$w/r/shares"
echo "root:x:0:0:root:/root:/bin/sh" > "$w/r/etc/passwd"; echo "root:x:0:" > "$w/r/etc/group"
cat > "$w/r/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
while read -r f o; do insmod /mod/$f $o || echo "insmod $f failed"; done < /mod/list
R=
if grep -q rig.root=host /proc/cmdline; then
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro hostroot /lower || echo 9p failed
    mount -t tmpfs t /rw; mkdir /rw/u /rw/w
    mount -t overlay -o lowerdir=/lower,upperdir=/rw/u,workdir=/rw/w o /new || echo overlay failed
    mount --bind /proc /new/proc; mount --bind /sys /new/sys; mount --bind /dev /new/dev
    mount -t tmpfs t /new/tmp; mount -t tmpfs t /new/run
    cp /cmd /new/run/rig.cmd; R=/new
else mkdir -p /run; cp /cmd /run/rig.cmd; fi
mkdir -p /dev/pts /dev/shm; mount -t devpts p /dev/pts; mount -t tmpfs t $R/dev/shm
i=0; while read -r d; do [ -n "$d" ] || continue
    mkdir -p "$R$d"
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,access=any share$i "$R$d" || echo "share $d failed"
    i=$((i+1)); done < /shares
n=$(sed -n 's/.*rig.units=\([0-9]*\).*/\1/p' /proc/cmdline)
t=0; while [ "$(ls /sys/class/scsi_device 2>/dev/null | wc -l)" -lt "$n" ] && [ $t -lt 100 ]; do sleep 0.1; t=$((t+1)); done
ip link set lo up 2>/dev/null
out=$(grep -l '^out$' /sys/class/virtio-ports/*/name); out=/dev/$(basename ${out%/name})
rc=$(grep -l '^rc$' /sys/class/virtio-ports/*/name); rc=/dev/$(basename ${rc%/name})
echo "rig: up $(cut -d' ' -f1 /proc/uptime)"
if [ -n "$R" ]; then chroot /new /bin/bash /run/rig.cmd </dev/null >$out 2>&1
else sh /run/rig.cmd </dev/null >$out 2>&1; fi
echo $? > $rc
echo "rig: done $(cut -d' ' -f1 /proc/uptime)"
sync; poweroff -f
INIT
chmod +x "$w/r/init"
(cd "$w/r" && find . | cpio -o -H newc --quiet) > "$w/initrd"

# --- qemu ---------------------------------------------------------------------
acc=tcg,thread=multi,tb-size=256
if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then acc=kvm; fi
a=(-accel "$acc" -machine q35,usb=off,vmport=off -cpu max -m "$mem" -smp "$smp"
   -nodefaults -no-user-config -display none -no-reboot
   -kernel "$kernel" -initrd "$w/initrd"
   -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr no_timer_check tsc=reliable random.trust_cpu=on rig.root=$root rig.units=${#vtl[@]} $append"
   -chardev file,id=con,path="$w/console" -serial chardev:con
   -device virtio-serial-pci
   -chardev file,id=out,path="$w/out" -device virtserialport,chardev=out,name=out
   -chardev file,id=rc,path="$w/rc" -device virtserialport,chardev=rc,name=rc
   -device virtio-scsi-pci,id=s0)
[ "$root" != host ] || a+=(-virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap)
i=0; for d in ${shares[@]+"${shares[@]}"}; do
    a+=(-virtfs "local,path=$d,mount_tag=share$i,security_model=none,multidevs=remap"); i=$((i+1)); done
i=0; for u in ${vtl[@]+"${vtl[@]}"}; do
    a+=(-drive "file=$u,if=none,id=t$i,format=raw" -device "scsi-generic,drive=t$i,bus=s0.0,scsi-id=$i"); i=$((i+1)); done
# the output port is a fifo: a chardev whose peer is closed would block the guest's writes
mkfifo "$w/out"; cat "$w/out" & catpid=$!
qemu-system-x86_64 "${a[@]}" </dev/null 2>"$w/qerr" &
qpid=$!
( sleep "$tmo"; : > "$w/late"; kill -KILL "$qpid" ) 2>/dev/null >/dev/null & wd=$!
wait "$qpid" 2>/dev/null || :
qpid=; kill "$wd" 2>/dev/null || :
[ -e "$w/console" ] || : > "$w/out" & wait "$catpid" 2>/dev/null || :   # unblock cat if qemu never opened it
[ -z "$log" ] || cp "$w/console" "$log"
if [ -s "$w/rc" ]; then exit "$(tr -dc 0-9 < "$w/rc")"; fi
[ ! -e "$w/late" ] || { echo "nst-vm.sh: timeout after ${tmo}s" >&2; exit 124; }
cat "$w/qerr" >&2; tail -30 "$w/console" >&2; exit 125
