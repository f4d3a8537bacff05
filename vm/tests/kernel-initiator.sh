# vm: --timeout 420 --mem 1024
# The Linux kernel's initiator and felio: who may log in, what the disks say of
# themselves, what commands do to the file, file systems, and giving space back.
. /host/lib.sh

image=/root/disk.img
pages="00 80 83 86 87 88 8a 8f b0 b1 b2 b4"
# As sg_modes and sg_opcodes name them.
mode_pages="Read-Write error recovery
Caching
Control
Informational exceptions control"
opcodes="Test Unit Ready|Request Sense|Inquiry|Mode select\(6\)|Mode select\(10\)|Mode sense\(6\)|Mode sense\(10\)|Start stop unit|Prevent allow medium removal
Read capacity\(10\)|Read capacity\(16\)|Report luns|Report supported operation codes|Report supported task management functions
Read\(6\)|Read\(10\)|Read\(12\)|Read\(16\)|Write\(6\)|Write\(10\)|Write\(12\)|Write\(16\)
Write and verify\(10\)|Write and verify\(12\)|Write and verify\(16\)|Verify\(10\)|Verify\(12\)|Verify\(16\)
Synchronize cache\(10\)|Synchronize cache\(16\)|Pre-fetch\(10\)|Pre-fetch\(16\)|Compare and write|Write same\(10\)|Write same\(16\)|Unmap|Get LBA status\(16\)|Orwrite\(16\)"

# ------------------------------------------------------------------- CHAP
printf '%s' initiator-secret > /run/secret
printf '%s' the-targets-secret > /run/mutual-secret

one_way_chap() {
  say "CHAP: the initiator proves itself"
  felio_start ram:64M --portal $PORTAL --chap-user alice --chap-password-file /run/secret
  setting discovery.sendtargets.auth.authmethod CHAP
  setting discovery.sendtargets.auth.username alice
  setting discovery.sendtargets.auth.password initiator-secret
  discover
  # 24: authorization failure.
  exits 24 login
  node node.session.auth.authmethod CHAP
  node node.session.auth.username alice
  node node.session.auth.password another-secret
  exits 24 login
  node node.session.auth.username mallory
  node node.session.auth.password initiator-secret
  exits 24 login
  node node.session.auth.username alice
  exits 0 login
  wait_for_disk 0
  logout
  felio_stop
}

mutual_chap() {
  say "CHAP: the target proves itself, too"
  felio_start ram:64M --portal $PORTAL --chap-user alice --chap-password-file /run/secret \
    --mutual-chap-user felio --mutual-chap-password-file /run/mutual-secret
  exits 0 login  # The initiator need not ask.
  logout
  node node.session.auth.username_in felio
  node node.session.auth.password_in not-the-targets
  login 2> /dev/null && failed "a target that does not know the secret is refused by the initiator"
  node node.session.auth.password_in the-targets-secret
  exits 0 login
  wait_for_disk 0
  logout
  felio_stop
  iscsiadm -m node -o delete
  sed -i /^discovery.sendtargets.auth/d /etc/iscsi/iscsid.conf
}

allow() {
  say "only whom --allow names"
  felio_start ram:64M --portal $PORTAL --allow iqn.1999-01.com.example:another --allow 10.0.0.0/8
  iscsiadm -m node -o new -T $IQN -p $PORTAL,1 > /dev/null
  exits 24 login
  felio_stop
  felio_start ram:64M --portal $PORTAL --allow 10.0.0.0/8 --allow "$(sed s/InitiatorName=// /etc/iscsi/initiatorname.iscsi)"
  exits 0 login
  wait_for_disk 0
  eventually 5 told login
  logout
  eventually 5 told logout
  felio_stop
  told stopped
  iscsiadm -m node -o delete
}

# told EVENT: felio printed it.
told() { grep -q "^{\"event\":\"$1\"" /run/felio.out; }

# ---------------------------------------------------------- configuration
# attach ARGS...: felio serves $image as LUN 0; `disk` is its device.
attach() {
  felio_start "$image" --portal $PORTAL "$@"
  discover
  login
  wait_for_disk 0
  eventually 10 [ -e "/sys/block/${disk#/dev/}/device/generic" ]
  queue=/sys/block/${disk#/dev/}/queue
  unit=/sys/block/${disk#/dev/}/device
  scsi_disk=$(echo "$unit"/scsi_disk/*)
  # Commands go through the generic device: a disk that is write protected cannot be opened for them.
  sg=/dev/$(basename "$(readlink "$unit/generic")")
}

detach() {
  logout
  felio_stop
}

# identity DISK GENERIC LUN: what the disk says of itself is what felio said.
identity() {
  local serial naa
  serial=$(ready ".luns[$3].serial")
  naa=$(ready ".luns[$3].naa" | tr A-F a-f)
  naa=${naa#naa.}; naa=${naa#0x}
  holds "the serial is told" -n "$serial"
  is "serial by VPD" "$(sg_vpd --page=sn "$2" | sed -n 's/^ *Unit serial number: *//p' | xargs)" "$serial"
  is "serial by sg_inq" "$(sg_inq "$2" | sed -n 's/^ *Unit serial number: *//p' | xargs)" "$serial"
  has "NAA" "$(sg_vpd --page=di "$2")" "^ *0x$naa\$"
  is "size" "$(cat "/sys/block/${1#/dev/}/size")" $(($(ready ".luns[$3].bytes") / 512))
  is "supported pages" "$(sg_vpd --page=sv --raw "$2" | od -An -v -tx1 -j4 | xargs)" "$pages"
  sg_vpd --all "$2" > /run/said 2>&1 || failed "sg_vpd -a decodes every page: $(cat /run/said)"
  lacks "sg_vpd -a" "$(cat /run/said)" '[Mm]alformed|[Ff]ailed|[Tt]oo short|unable'
}

# wce: the bit of the caching page.
wce() {
  local byte
  byte=$(sg_modes --page=8 "$sg" | awk '/^>> Caching/ { getline; print $4 }')
  echo $(((0x$byte >> 2) & 1))
}

# agrees BLOCK_SIZE WCE WP: the disk and what the kernel made of it, with the configuration.
agrees() {
  local block=$1 wce=$2 wp=$3 bytes capacity modes name cache='write back'
  bytes=$(ready '.luns[0].bytes')
  identity "$disk" "$sg" 0
  capacity=$(sg_readcap --long "$sg")
  has "capacity" "$capacity" "Number of logical blocks=$((bytes / block))\$"
  has "capacity" "$capacity" "Logical block length=$block bytes\$"
  # Thin is how its blocks are kept, whether or not anybody may write.
  has "capacity" "$capacity" "lbpme=1, lbprz=1"
  is "the kernel's block size" "$(cat "$queue/logical_block_size")" "$block"
  exits 0 sg_modes --all "$sg"
  modes=$(cat /run/said)
  has "mode parameter header" "$modes" "WP=$wp, DpoFua=1"
  is "WCE" "$(wce)" "$wce"
  # The kernel has no use for a cache that it cannot write to.
  [ "$wce$wp" = 10 ] || cache='write through'
  is "the kernel's idea of the cache" "$(cat "$scsi_disk/cache_type")" "$cache"
  is "the kernel's idea of FUA" "$(cat "$scsi_disk/FUA")" 1
  is "the kernel's idea of write protection" "$(cat "/sys/block/${disk#/dev/}/ro")" "$wp"
  while read -r name; do has "mode pages" "$modes" "^>> $name, page_control: current\$"; done <<< "$mode_pages"
}

provisioning() {
  local limits
  limits=$(sg_vpd --page=bl "$sg")
  has "block limits" "$limits" '^ *Maximum compare and write length: [1-9]'
  has "block limits" "$limits" '^ *Maximum unmap LBA count: (-1|[1-9])'
  has "provisioning" "$(sg_vpd --page=lbpv "$sg")" '\(LBPU\): 1'
  has "provisioning" "$(sg_vpd --page=lbpv "$sg")" '\(LBPWS\): 1'
  holds "the kernel discards" "$(cat "$queue/discard_max_bytes")" -gt 0
}

command_tables() {
  local table name
  table=$(sg_opcodes "$sg")
  while read -r name; do
    has "sg_opcodes" "$table" "  $name\$"
  done < <(tr '|' '\n' <<< "$opcodes")
  exits 0 sg_opcodes --tmf "$sg"
  has "sg_opcodes -t" "$(cat /run/said)" "[Aa]bort task"
  has "sg_luns" "$(sg_luns "$sg")" '^Lun list length = 8 '
}

# --------------------------------------------------------------- commands
# content LBA BLOCKS: what is there, by its checksum.
content() {
  dd if="$disk" bs=1M skip=$(($1 * 512)) count=$(($2 * 512)) iflag=direct,skip_bytes,count_bytes status=none | sha256sum
}

# filled BLOCKS CHARACTER: the checksum of such blocks.
filled() { fill $(($1 * 512)) "$2" | sha256sum; }

# put LBA BLOCKS CHARACTER.
put() {
  fill $(($2 * 512)) "$3" |
    dd of="$disk" bs=1M seek=$(($1 * 512)) iflag=fullblock oflag=direct,seek_bytes conv=notrunc status=none
}

# provisioned LBA: mapped or deallocated.
provisioned() { sg_get_lba_status --lba="$1" "$sg" | awk '/^\[1\]/ { print $6 }'; }

commands() {
  local before
  put 0 4096 A
  is "LBA status of written blocks" "$(provisioned 0)" mapped
  is "LBA status of others" "$(provisioned 65536)" deallocated

  before=$(allocated $image)
  exits 0 sg_unmap --force --lba=1024 --num=2048 "$sg"
  is "unmapped blocks" "$(content 1024 2048)" "$(filled 2048 '\0')"
  is "the block before" "$(content 1023 1)" "$(filled 1 A)"
  is "the block after" "$(content 3072 1)" "$(filled 1 A)"
  is "LBA status of unmapped blocks" "$(provisioned 1024)" deallocated
  is "bytes given back by UNMAP" $((before - $(allocated $image))) $((2048 * 512))

  fill 512 B > /run/block
  exits 0 sg_write_same --16 --in=/run/block --lba=2000 --num=100 "$sg"
  is "WRITE SAME (16)" "$(content 2000 100)" "$(filled 100 B)"
  exits 0 sg_write_same --10 --in=/run/block --lba=3000 --num=72 "$sg"
  is "WRITE SAME (10)" "$(content 3000 72)" "$(filled 72 B)"
  exits 0 sg_write_same --16 --unmap --lba=2000 --num=100 "$sg"
  is "WRITE SAME (16) with UNMAP" "$(content 2000 100)" "$(filled 100 '\0')"

  { fill 512 A; fill 512 C; } > /run/compare
  exits 0 sg_compare_and_write --lba=8 --num=1 --in=/run/compare "$sg"
  is "COMPARE AND WRITE that compares" "$(content 8 1)" "$(filled 1 C)"
  # 14: miscompare.
  exits 14 sg_compare_and_write --lba=8 --num=1 --in=/run/compare "$sg"
  is "COMPARE AND WRITE that does not" "$(content 8 1)" "$(filled 1 C)"

  exits 0 sg_verify --lba=0 --count=64 "$sg"
  exits 0 sg_sync "$sg"
  exits 0 sg_turs "$sg"
  # 22: the block is past the end.
  exits 22 sg_verify --16 --lba="$(cat "/sys/block/${disk#/dev/}/size")" --count=1 "$sg"
}

# The kernel turns the write cache off and on, by MODE SELECT.
cache_switch() {
  echo 'write through' > "$scsi_disk/cache_type"
  is "WCE after it was turned off" "$(wce)" 0
  is "the kernel's idea of the cache" "$(cat "$scsi_disk/cache_type")" 'write through'
  put 8192 64 W
  is "blocks written through" "$(content 8192 64)" "$(filled 64 W)"
  echo 'write back' > "$scsi_disk/cache_type"
  is "WCE after it was turned on" "$(wce)" 1
}

# Resets of the unit and of the target abort what runs; the kernel sends it again.
resets() {
  local how
  say "resets under load"
  load_start --filename="$disk" --size=4M --offset_increment=4M
  for how in --device --target --device; do
    sleep 2
    exits 0 sg_reset $how "$sg"
    still_loaded
  done
  load_stop
}

# A file that grows makes a disk that grows, without a new login.
grow() {
  say "the file grows"
  truncate -s +64M $image
  eventually 20 has_grown $(($(stat -c %s $image) / 512))
}

has_grown() {
  echo 1 > "$unit/rescan"
  [ "$(cat "/sys/block/${disk#/dev/}/size")" = "$1" ]
}

# ticks: processor time of felio so far, in hundredths of a second.
ticks() { awk '{ print $14 + $15 }' /proc/$felio/stat; }

# Logged in and idle: but for NOPs there is nothing to do.
idle() {
  local before
  before=$(ticks)
  sleep 8
  holds "hundredths of a second of processor time in 8 idle ones" $(($(ticks) - before)) -lt 20
}

# ------------------------------------------------------------ file systems
# filesystem TYPE MKFS...: made, written, checked, and its free space given back.
filesystem() {
  local full type=$1
  shift
  say "$type: mkfs, fio with verify, fsck, fstrim"
  exits 0 "$@" "$disk"
  mount -t "$type" "$disk" /mnt
  fio_verify --directory=/mnt --size=8M
  dd if=/dev/urandom of=/mnt/big bs=1M count=64 status=none
  cp -a /usr/sbin /mnt/tree
  sha256sum /mnt/big > /run/big.sum
  umount /mnt
  mount -t "$type" "$disk" /mnt
  sha256sum --status -c /run/big.sum
  diff -r --no-dereference /usr/sbin /mnt/tree
  sync
  full=$(allocated $image)
  rm -rf /mnt/big /mnt/verify.* /mnt/tree
  sync
  fstrim /mnt
  holds "bytes given back by fstrim" $((full - $(allocated $image))) -gt $((90 << 20))
  umount /mnt
  case $type in
    ext4) exits 0 fsck.ext4 -fn "$disk" ;;
    xfs) exits 0 xfs_repair -n "$disk" ;;
  esac
}

one_way_chap
mutual_chap
allow

say "512-byte blocks, write-back, two LUNs, digests"
setting 'node.conn[0].iscsi.HeaderDigest' CRC32C
setting 'node.conn[0].iscsi.DataDigest' CRC32C
felio_start $image ram:64M --size 1G --portal $PORTAL
discover
login
wait_for_disk 1
identity "$disk" "$disk" 1
is "sg_luns" "$(sg_luns "$disk" | grep -Ec '^ *000[01]000000000000$')" 2
is "digests in use" "$(cat /sys/class/iscsi_connection/*/header_digest /sys/class/iscsi_connection/*/data_digest | xargs)" "1 1"
fio_verify --filename="$disk" --size=4M --offset_increment=4M
detach
setting 'node.conn[0].iscsi.HeaderDigest' None
setting 'node.conn[0].iscsi.DataDigest' None
rm $image

say "512-byte blocks, write-back: agrees with the configuration"
attach --size 1G
serial=$(ready '.luns[0].serial')
agrees 512 1 0
provisioning
command_tables
say "commands do to the file what they say"
commands
cache_switch
resets
filesystem ext4 mkfs.ext4 -q -F
filesystem xfs mkfs.xfs -q -f
grow
idle
detach

say "the same file under another name, write-through"
mv $image /root/moved.img
image=/root/moved.img
hostname elsewhere
attach --cache write-through
agrees 512 0 0
is "the serial of the same file" "$(ready '.luns[0].serial')" "$serial"
detach

say "4096-byte blocks, direct"
attach --block-size 4096 --cache direct
agrees 4096 1 0
exits 0 mkfs.ext4 -q -F "$disk"
mount "$disk" /mnt
fio_verify --directory=/mnt --size=4M
umount /mnt
exits 0 fsck.ext4 -fn "$disk"
detach

say "read-only"
attach --block-size 4096 --read-only
agrees 4096 1 1
# 7: data protect.
exits 7 sg_write_same --16 --lba=0 --num=1 "$sg"
mount -o ro,noload "$disk" /mnt
cat /mnt/verify.* > /dev/null
umount /mnt
detach
no_kernel_errors
say "all facts hold"
