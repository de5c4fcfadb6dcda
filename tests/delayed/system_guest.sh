#!/bin/bash
# Inside the machine of system_test.sh, once it is up: what one boot is to
# show. `system.part=NAME` on the kernel's command line says which; `ok` and
# `FAILED` lines go to the second serial line.
set -u
LC_ALL=C
app=/opt/app
journal=/var/lib/reel/delayed
reel=/usr/local/bin/reel
in_use="locked point run swap sys.so"
exec >/dev/ttyS1 2>&1

ok() # NAME, status
{
	if [ "$2" = 0 ]; then
		echo "ok $1"
	else
		echo "FAILED $1"
		tail -n 12 /run/out | sed 's/^/	/'
	fi
}

is() # NAME WANTED COMMAND...: it ends so
{
	local name=$1 wanted=$2 rc
	shift 2
	"$@" >/run/out 2>&1
	rc=$?
	[ $rc = "$wanted" ] || echo "exit status $rc" >>/run/out
	[ $rc = "$wanted" ]
	ok "$name" $?
}

says() # NAME TEXT
{
	grep -q -- "$2" /run/out
	ok "$1" $?
}

# Each file's content, below what is mounted over it, too.
all_are() # NAME VERSION FILE...
{
	local name=$1 version=$2 bad=0 n
	shift 2
	mkdir -p /run/bare
	mount --bind / /run/bare
	: >/run/out
	for n in "$@"; do
		cmp "/run/bare$app/$n" "/versions/$version$app/$n" \
			>>/run/out 2>&1 || bad=1
	done
	umount /run/bare
	[ $bad = 0 ]
	ok "$name: $version" $?
}

# The status of the last run, and how many are done and waiting.
status_is() # NAME RESULT DONE WAITING
{
	"$reel" delayed status --json >/run/out 2>&1
	grep -q "RestoreStatusResult\":\"$2\"" /run/out &&
		[ "$(grep -c '"state":"done"' /run/out)" = "$3" ] &&
		head -n 1 /run/out | grep -q "\"waiting\":$4"
	ok "$1: the result is $2, $3 done, $4 waiting" $?
}

nothing_waits() # NAME
{
	find $journal -mindepth 1 ! -name lock ! -name result >/run/out 2>&1
	find / -xdev -name .reel-delayed >>/run/out
	[ ! -s /run/out ]
	ok "$1: nothing waits, nothing staged is left" $?
}

unit() # UNIT PROPERTY
{
	systemctl show "$1" -P "$2"
}

# It is up, as it is to be, without jobs, and with what failed.
is_up() # NAME FAILED-UNITS
{
	local failed
	timeout 200 systemctl is-system-running --wait >/run/out 2>&1
	failed=$(systemctl list-units --state=failed --plain --no-legend |
		cut -d ' ' -f 1 | tr '\n' ' ')
	echo "failed: $failed" >>/run/out
	[ "$failed" = "$2" ]
	ok "$1: the system is up, failed units: ${2:-none}" $?
}

use_all()
{
	systemctl -q is-active app.service
	ok "a program runs with the library mapped" $?
	chattr +i $app/locked
	if ! mountpoint -q $app/point; then
		mount --bind /etc/hostname $app/point
		swapon $app/swap
	fi
}

delay_all() # SNAPSHOT
{
	local n why
	is "restore into the running system" 0 "$reel" restore \
		"/set@$1" opt etc --to / --rules /rules
	for n in "locked is immutable" "point is a mount point" \
		"run is running" "swap is swapped to" \
		"sys.so is mapped by a program"; do
		why=${n#* }
		n=${n%% *}
		says "delayed: $n $why" "^delayed *opt/app/$n  ($why: delay busy"
	done
	is "list" 0 "$reel" delayed list --json
	[ "$(wc -l </run/out)" = 5 ]
	ok "five wait" $?
	cmp /etc/system.conf "/versions/$2/etc/system.conf" >/run/out 2>&1
	ok "what is not in use is there at once" $?
}

# ---- what is in use, and the service ----

part_use()
{
	is_up "the first boot" ""
	use_all
	delay_all 1 v2
	all_are "in use" v1 $in_use
	cp /var/lib/reel/last-restore-id /versions/id
	ok "a system's restore has an id" $?
}

part_service()
{
	local begin end sysinit tmpfiles
	is_up "after the service" ""
	all_are "the service" v2 $in_use
	status_is "the service" 00000000 5 0
	nothing_waits "the service"
	[ "$(unit reel-delayed ConditionResult)$(unit reel-delayed Result)" = \
		yessuccess ]
	ok "the service did it" $?
	begin=$(unit reel-delayed ExecMainStartTimestampMonotonic)
	end=$(unit reel-delayed ExecMainExitTimestampMonotonic)
	sysinit=$(unit sysinit.target ActiveEnterTimestampMonotonic)
	tmpfiles=$(unit systemd-tmpfiles-setup \
		ExecMainStartTimestampMonotonic)
	echo "service: $begin to $end us, tmpfiles $tmpfiles," \
		"sysinit.target $sysinit" | tee /run/out
	[ "$begin" -gt 0 ] && [ "$begin" -lt "$end" ] &&
		[ "$end" -lt "$tmpfiles" ] && [ "$tmpfiles" -lt "$sysinit" ]
	ok "before sysinit.target" $?
	systemd-analyze critical-chain sysinit.target --no-pager >/run/out 2>&1
	says "systemd-analyze knows it" "sysinit.target @"
	journalctl -b -u reel-delayed --no-pager >/run/out
	says "the journal tells it" "5 done, 0 failed, 0 waiting"
	cmp -s /proc/"$(unit app MainPID)"/exe /versions/v2$app/run
	ok "the new program runs" $?
	grep -q $app/sys.so /proc/"$(unit app MainPID)"/maps
	ok "with the new library" $?
	[ "$(lsattr $app/locked | cut -c 5)" = i ] ||
		[ ! -e /versions/immutable ]
	ok "what was immutable is, again" $?
	# from now on two of them are in use from the start
	echo "/etc/hostname $app/point none bind 0 0" >>/etc/fstab
	echo "$app/swap none swap sw 0 0" >>/etc/fstab
	use_all
	delay_all 2 v3
}

# ---- a move that fails ----

part_stuck()
{
	is_up "after a failed move" "reel-delayed.service "
	systemctl -q is-active multi-user.target
	ok "multi-user.target is there" $?
	status_is "a mount point" C0000043 1 4
	all_are "before it" v3 locked
	all_are "it, and what comes after it" v2 point run swap sys.so
	journalctl -b -u reel-delayed --no-pager >/run/out
	says "the journal names it" "opt/app/point: move failed: it is in use"
	says "and the way out" "reel delayed cancel"
	[ "$(find $journal/files -type f | wc -l)" = 4 ]
	ok "what waits stays staged" $?
	ln -s $journal /system-update
}

# The last boot was one of its own, for the update.
was_update() # NAME RESULT
{
	[ ! -L /system-update ] && [ ! -e /system-update ]
	ok "$1: the link is gone" $?
	journalctl -b -1 --no-pager -o short-monotonic >/run/last
	journalctl -b -1 -u reel-delayed-update --no-pager >/run/out
	says "$1: the update's unit ran it" "$2"
	journalctl -b -1 -u reel-delayed --no-pager >/run/out
	! grep -q waiting /run/out
	ok "$1: and the service did not" $?
	grep -e 'Started ' -e 'Reached target' /run/last >/run/out
	! grep -q -e app.service -e multi-user.target -e basic.target /run/out
	ok "$1: nothing else was started" $?
	grep -q 'Reached target.*reboot.target' /run/last
	ok "$1: and booted again" $?
}

part_update_failed()
{
	was_update "a failed update" "opt/app/point: move failed"
	is_up "after a failed update" "reel-delayed.service "
	status_is "a failed update" C0000043 0 4
	all_are "still" v2 point run swap sys.so
}

# ---- the initramfs ----

part_initramfs()
{
	is_up "after the initramfs" ""
	all_are "the initramfs" v3 $in_use
	status_is "the initramfs" 00000000 4 0
	nothing_waits "the initramfs"
	[ "$(unit reel-delayed ConditionResult)" = no ]
	ok "the service had nothing to do" $?
	mountpoint -q $app/point
	ok "the mount point is one again" $?
	grep -q "$app/swap" /proc/swaps
	ok "the new swap file is used" $?
	cmp -s /proc/"$(unit app MainPID)"/exe /versions/v3$app/run
	ok "the new program runs" $?
	[ "$(lsattr $app/locked | cut -c 5)" = i ] ||
		[ ! -e /versions/immutable ]
	ok "what was immutable is, again" $?
	umount $app/point
	swapoff $app/swap
	sed -i "\#$app#d" /etc/fstab
	is "delay all" 0 "$reel" restore /set@1 opt etc --to / --rules /all
	waiting=$("$reel" delayed list --json | wc -l)
	echo "$waiting" >/versions/waiting
	ln -s $journal /system-update
}

# ---- the update ----

part_update()
{
	waiting=$(cat /versions/waiting)
	was_update "the update" "$waiting done, 0 failed, 0 waiting"
	is_up "after the update" ""
	all_are "the update" v2 $in_use
	status_is "the update" 00000000 "$waiting" 0
	nothing_waits "the update"
}

# ---- cuts ----

part_cut()
{
	is_up "after a cut" ""
	status_is "after a cut" 00000000 "$(cat /versions/records)" 0
	nothing_waits "after a cut"
}

part=$(sed -n 's/.*system.part=\([a-z_]*\).*/\1/p' /proc/cmdline)
"part_$part"
echo "MARK end"
sync
systemctl --no-block poweroff
