#!/bin/bash
# vtl.sh - virtual tape library on loopback, served over iSCSI by Debian's tgt.
#
#   vtl.sh start DIR     make (first time) and serve the library kept in DIR;
#                        prints one line per logical unit:  KIND URL
#   vtl.sh stop  DIR     stop the tgtd that "start DIR" started (media are kept)
#   vtl.sh urls  DIR     print the KIND URL lines again
#
# Environment:  VTL_PORT (3270)   TCP port, always on 127.0.0.1
#               VTL_CTL  (PORT-3260) tgtd control port number (tgtd -C)
#               VTL_DRIVES (2)  VTL_CARTS (4)  VTL_SLOTS (CARTS+2)
#               VTL_SIZE_MB (2000)  native size of a cartridge, MiB
#               VTL_PREFIX (RIG)  three letters that its barcodes begin with
#               VTL_LOAD (1)    1: cartridge N starts in drive N; 0: all in slots
# Element addresses: picker 1, I/E 5, drives 100.., storage slots 1000..
# LUN layout:  1..N drives, N+1 the changer.
set -eu
die() { echo "vtl.sh: $*" >&2; exit 1; }
verb=${1:-}; dir=${2:-}
[ -n "$verb" ] && [ -n "$dir" ] || die "usage: vtl.sh start|stop|urls DIR"

case $verb in
stop)
    [ -f "$dir/tgtd.pid" ] || die "nothing started in $dir"
    pid=$(cat "$dir/tgtd.pid")
    # only ever the process we started: check the name before the signal
    if [ "$(cat /proc/"$pid"/comm 2>/dev/null)" = tgtd ]; then
        kill -KILL "$pid"          # tgtd ignores TERM while targets exist
        while [ -d /proc/"$pid" ] && ! grep -q '^State:.Z' /proc/"$pid"/status 2>/dev/null; do sleep 0.05; done
    fi
    rm -f "$dir/tgtd.pid"; exit 0 ;;
urls) cat "$dir/urls"; exit 0 ;;
start) ;;
*) die "unknown verb $verb" ;;
esac

command -v tgtd >/dev/null || die "tgtd is missing: install tgt"
port=${VTL_PORT:-3270}; ctl=${VTL_CTL:-$((port - 3260))}
drives=${VTL_DRIVES:-2}; carts=${VTL_CARTS:-4}; slots=${VTL_SLOTS:-$((carts + 2))}
size=${VTL_SIZE_MB:-2000}; load=${VTL_LOAD:-1}
prefix=${VTL_PREFIX:-RIG}
iqn=iqn.2024-01.local.rig:vtl$port
mkdir -p "$dir/media"; dir=$(cd "$dir" && pwd)
if [ -f "$dir/tgtd.pid" ] && [ -d /proc/"$(cat "$dir/tgtd.pid")" ]; then die "already running"; fi

# blank cartridges; the changer finds them by barcode in media_home
[ -f "$dir/changer" ] || head -c 1024 /dev/zero > "$dir/changer"
for i in $(seq 1 "$carts"); do
    bc=$(printf '%s%03dL8' "$prefix" "$i")
    [ -f "$dir/media/$bc" ] || tgtimg --op new --device-type tape --barcode="$bc" \
        --size="$size" --type=data --file="$dir/media/$bc" --thin-provisioning >/dev/null
done
# an empty drive still wants a backing file of tape format at "new" time
[ -f "$dir/media/EMPTY" ] || tgtimg --op new --device-type tape --barcode=EMPTY \
    --size=1 --type=data --file="$dir/media/EMPTY" --thin-provisioning >/dev/null

setsid tgtd -f -C "$ctl" --iscsi portal=127.0.0.1:"$port" >"$dir/tgtd.log" 2>&1 </dev/null &
echo $! > "$dir/tgtd.pid"
adm() { tgtadm -C "$ctl" --lld iscsi "$@"; }
for i in $(seq 1 50); do adm --mode target --op show >/dev/null 2>&1 && break; sleep 0.1; done

adm --op new --mode target --tid 1 -T "$iqn"
lu() { adm --mode logicalunit --tid 1 "$@"; }
for d in $(seq 1 "$drives"); do
    lu --op new --lun "$d" -b "$dir/media/EMPTY" --device-type=tape
    lu --op update --lun "$d" --params "vendor_id=RIG,product_id=VTAPE,product_rev=0001,scsi_sn=${prefix}DRV$d,removable=1,online=0"
done
ch=$((drives + 1))
lu --op new --lun "$ch" -b "$dir/changer" --device-type=changer
lu --op update --lun "$ch" --params "vendor_id=RIG,product_id=VLIB,product_rev=0001,scsi_sn=${prefix}LIB1,removable=1"
lu --op update --lun "$ch" --params "media_home=$dir/media"
lu --op update --lun "$ch" --params "element_type=1,start_address=1,quantity=1"
lu --op update --lun "$ch" --params "element_type=3,start_address=5,quantity=1"
lu --op update --lun "$ch" --params "element_type=4,start_address=100,quantity=$drives"
lu --op update --lun "$ch" --params "element_type=2,start_address=1000,quantity=$slots"
for d in $(seq 1 "$drives"); do
    lu --op update --lun "$ch" --params "element_type=4,address=$((99 + d)),tid=1,lun=$d"
done
for i in $(seq 1 "$carts"); do
    lu --op update --lun "$ch" --params "element_type=2,address=$((999 + i)),barcode=$(printf '%s%03dL8' "$prefix" "$i"),sides=1"
done
adm --op bind --mode target --tid 1 -I ALL

{ for d in $(seq 1 "$drives"); do echo "tape iscsi://127.0.0.1:$port/$iqn/$d"; done
  echo "changer iscsi://127.0.0.1:$port/$iqn/$ch"; } > "$dir/urls"

# loading: a real MOVE MEDIUM through the changer, so its inventory stays true
if [ "$load" = 1 ]; then
    here=$(cd "$(dirname "$0")" && pwd)
    if [ ! -x "$dir/smcmove" ]; then
        [ -e /usr/include/iscsi/iscsi.h ] || die "install libiscsi-dev"
        cc -O2 -o "$dir/smcmove" "$here/smcmove.c" -liscsi
    fi
    for d in $(seq 1 "$drives"); do
        [ "$d" -le "$carts" ] || break
        "$dir/smcmove" "iscsi://127.0.0.1:$port/$iqn/$ch" $((999 + d)) $((99 + d)) || \
            echo "vtl.sh: load of drive $d failed" >&2
    done
fi
cat "$dir/urls"
