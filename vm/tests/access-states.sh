# vm: --timeout 600 --mem 1024 --udev
# One disk behind two target port groups: dm-multipath with the kernel's ALUA handler follows the states under load, and
# what sg3-utils sets is what everybody sees, also after a restart.
. /host/lib.sh
. /host/walks.sh

image=/root/disk.img
first=127.0.0.1:3260
second=127.0.0.1:3261

cat > /etc/multipath.conf << END
defaults {
  find_multipaths no
  path_grouping_policy group_by_prio
  prio alua
  path_selector "round-robin 0"
  failback immediate
  polling_interval 2
  max_polling_interval 2
  no_path_retry 10
  user_friendly_names no
  reservation_key file
}
blacklist {
  devnode "^vd"
}
END

start() {
  felio_start $image --size 128M --portal $first --portal $second,2 --state-dir /root/state "$@"
}

# state_of DEVICE GROUP: as this path tells it.
state_of() { sg_rtpg -d "$1" | awk -v group="0x$2" '/target port group id/ { found = $6 == group } found && /asymmetric access state/ { $1 = $2 = $3 = $4 = ""; print; exit }' | xargs; }

start --alua 2=active_nonoptimized
discover $first
is "portals and tags" "$(awk '{ print $1 }' /run/discovered | sort | xargs)" "$first,1 $second,2"
login
host=$(sed -n 's/^InitiatorName=.*://p' /etc/iscsi/initiatorname.iscsi)
eventually 30 find_device "$host" 0 1; one=$device
eventually 30 find_device "$host" 0 2; two=$device
udevadm settle
say "through group 1: $one, through group 2: $two"

say "both paths tell the same of both groups"
for path in "$one" "$two"; do
  exits 0 ready_unit "$path"
  has "groups" "$(sg_rtpg -d "$path")" 'target port group id : 0x1'
  has "groups" "$(sg_rtpg -d "$path")" 'target port group id : 0x2'
  has "states" "$(sg_rtpg -d "$path")" 'active/non optimized'
done
has "explicit and implicit" "$(sg_inq "$one")" 'TPGS=3'
has "path 1" "$(sg_vpd -p di_port "$one")" 'Target port group: 0x1'
has "path 2" "$(sg_vpd -p di_port "$two")" 'Target port group: 0x2'

say "what a standby path answers"
exits 0 sg_stpg --standby --tp=2 "$one"
has "who is told" "$(ready_unit "$two" 2>&1 || true)" 'Asymmetric access state changed'
exits 2 ready_unit "$two"
has "why not" "$(cat /run/said)" 'target port in standby state'
exits 0 sg_inq "$two"
exits 0 sg_rtpg "$two"
exits 2 reads "$two"
exits 0 reads "$one"
exits 0 sg_stpg --active --tp=2 "$two"
settle_attention "$one"
exits 0 reads "$two"

say "multipath follows"
modprobe -a dm-multipath scsi_dh_alua
multipathd
naa=$(ready '.luns[0].naa' | tr A-F a-f); naa=${naa#naa.}; naa=${naa#0x}
map=/dev/mapper/3$naa
eventually 30 [ -b "$map" ]
exits 0 mkfs.ext4 -q -F "$map"
mount "$map" /mnt
load_start --directory=/mnt --size=4M
for round in 1 2 3; do
  exits 0 sg_stpg --standby --tp=1 --active --tp=2 "$two" || exits 0 sg_stpg --standby --tp=1 "$two"
  sleep 4
  still_loaded
  exits 0 sg_stpg --optimized --tp=1 "$two"
  exits 0 sg_stpg --standby --tp=2 "$one"
  sleep 4
  still_loaded
  exits 0 sg_stpg --active --tp=2 "$one"
  say "switched there and back"
done
load_stop
umount /mnt
exits 0 fsck.ext4 -fn "$map"

say "reservations of a multipath device, by its own tool, over a restart of the target"
exits 0 mpathpersist --out --register --param-aptpl --param-sark=0x123 "$map"
exits 0 mpathpersist --out --reserve --param-rk=0x123 --prout-type=5 "$map"
is "keys, one a path" "$(sg_persist -n --in --read-keys "$one" | grep -c 0x123)" 2
felio_kill
start --alua 2=active_nonoptimized
for path in "$one" "$two"; do eventually 60 ready_unit "$path"; done
both_paths() { [ "$(multipathd show paths format '%w %t %o' | grep -c 'active running')" = 2 ]; }
eventually 60 both_paths
exits 0 mpathpersist --in --read-keys "$map"
has "keys" "$(cat /run/said)" '0x123'
exits 0 mpathpersist --in --read-reservation "$map"
has "the reservation" "$(cat /run/said)" 'Write Exclusive, registrants only'
exits 0 mpathpersist --in --read-full-status "$map"
is "keys, one a path" "$(sg_persist -n --in --read-keys "$one" | grep -c 0x123)" 2
exits 0 dd if=/dev/zero of="$map" bs=4096 seek=30000 count=1 oflag=direct
exits 0 mpathpersist --out --release --param-rk=0x123 --prout-type=5 "$map"
exits 0 mpathpersist --out --register-ignore --param-sark=0x456 "$map"
is "new keys, one a path" "$(sg_persist -n --in --read-keys "$one" | grep -c 0x456)" 2
exits 0 mpathpersist --out --clear --param-rk=0x456 "$map"
has "keys" "$(sg_persist -n --in --read-keys "$one")" 'there are NO registered reservation keys'
multipath -f "3$naa"
multipathd shutdown > /dev/null || pkill -x multipathd || true # it may be too busy to answer

say "states outlive the target"
settle_attention "$one"
exits 0 sg_stpg --standby --tp=2 "$one"
felio_kill
start --alua 2=active_nonoptimized
eventually 60 ready_unit "$one"
has "state after a restart" "$(sg_rtpg -d "$one")" 'standby'

say "states that hang on the block: each group reaches one half"
iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop
printf '%s\n' "0 0" "0 131071 1:O 2:S" "131072 262143 1:S 2:A" > /run/map
start --alua 1=lba_dependent --alua 2=lba_dependent --lba-map /run/map
login
eventually 30 find_device "$host" 0 1; one=$device
eventually 30 find_device "$host" 0 2; two=$device
settle_attention "$one"; settle_attention "$two"
is "both groups" "$(sg_rtpg -d "$one" | grep -c 'logical block dependent')" 2
has "referrals" "$(sg_vpd -p ref "$one")" 'User data segment size: 0'
exits 0 sg_referrals "$one"
has "the first half" "$(cat /run/said)" 'first lba 0, last lba 131071$'
has "the second half" "$(cat /run/said)" 'first lba 131072, last lba 262143$'
has "group 2" "$(cat /run/said)" 'port group 2 state \(active/non optimized\)'
exits 0 sg_referrals --lba=131072 --one-segment "$two"
has "the second half alone" "$(cat /run/said)" 'first lba 131072,'
lacks "the second half alone" "$(cat /run/said)" 'first lba 0,'
exits 22 sg_referrals --lba=262144 "$one"
read_at() { sg_raw -r 512 "$1" 28 00 "${@:2}" 00 00 01 00; }
exits 0 read_at "$one" 00 00 00 00
exits 2 read_at "$two" 00 00 00 00
has "why not" "$(cat /run/said)" 'target port in standby state'
exits 0 read_at "$two" 00 02 00 00
exits 2 read_at "$one" 00 02 00 00
# Two blocks that belong to one group each.
exits 2 sg_raw -r 1024 "$one" 28 00 00 01 ff ff 00 00 02 00
iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop
lacks "the kernel's log" "$(dmesg)" 'EXT4-fs (error|warning)|JBD2: (Error|Detected)|on dev dm-|blocked for more than|WARNING:|BUG:|Call Trace'
say "all facts hold"
