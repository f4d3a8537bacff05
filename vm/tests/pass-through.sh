# vm: --timeout 400 --mem 1024
# A SCSI device of the host that answers for itself: what an initiator sees is what the host sees, bit by bit, errors
# included; reservations of several initiators are felio's.
. /host/lib.sh
. /host/walks.sh

# The host's own device, by scsi_debug. It says that its blocks from 0x1234 on cannot be read.
device_of_host() {
  rmmod scsi_debug 2> /dev/null || true
  modprobe scsi_debug dev_size_mb=64 opts=2 "$@"
  eventually 20 find_host_device
}

find_host_device() {
  local path
  for path in /sys/class/scsi_generic/*; do
    case $(readlink -f "$path/device") in
      */session*) ;; # Ours, seen by the initiator.
      *) [ "$(xargs < "$path/device/model")" != scsi_debug ] || { host=/dev/${path##*/}; [ -c "$host" ]; return; } ;;
    esac
  done
  return 1
}

# same WHAT COMMAND...: it prints the same and ends the same for both devices; DEVICE stands for the device.
same() {
  local what=$1 here=0 there=0
  shift
  "${@/DEVICE/$host}" > /run/here 2>&1 || here=$?
  "${@/DEVICE/$remote}" > /run/there 2>&1 || there=$?
  is "$what, exit status" $there $here
  is "$what" "$(sed "s|$remote|DEVICE|" /run/there)" "$(sed "s|$host|DEVICE|" /run/here)"
}


say "a disk"
initiator a
initiator b
device_of_host
say "the host's device is $host"
felio_start "scsi:$host" --portal $PORTAL --state-dir /root/state
pgrep -x iscsid > /dev/null || iscsid
iscsiadm -m discovery -t sendtargets -p $PORTAL -I a -I b > /dev/null
iscsiadm -m node -T $IQN --login > /dev/null
eventually 30 find_device a 0; a=$device
eventually 30 find_device b 0; b=$device
remote=$(sg_of "$a")
settle_attention "$host"; settle_attention "$a"; settle_attention "$b"
same "INQUIRY" sg_inq DEVICE
for page in 0 0x80 0x83 0x86 0xb0 0xb1 0xb2; do same "VPD page $page" sg_vpd -p $page -H DEVICE; done
same "READ CAPACITY" sg_readcap --16 DEVICE
same "MODE SENSE" sg_modes -a DEVICE
same "LOG SENSE" sg_logs -a DEVICE
same "a medium error" sg_raw -r 512 DEVICE 28 00 00 00 12 34 00 00 01 00
same "an operation code that it does not know" sg_raw DEVICE c1 00 00 00 00 00
same "an address past its end" sg_raw -r 512 DEVICE 28 00 7f ff ff ff 00 00 01 00
dd if=/dev/urandom of=/run/blocks bs=64k count=16 status=none
dd if=/run/blocks of="$a" bs=64k oflag=direct status=none
is "what was written" "$(sg_dd if="$host" bs=512 count=2048 of=- 2> /dev/null | sha256sum)" "$(sha256sum < /run/blocks)"
fill 512 x > /run/block
exits 0 register "$a" 0xa
exits 0 reserve "$a" 0xa 3
exits 24 writes "$b"
exits 0 writes "$a"
exits 0 release "$a" 0xa 3
settle_attention "$b"
exits 0 writes "$b"
exits 0 register "$a" 0 0xa
iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop

say "a tape"
device_of_host ptype=1
felio_start "scsi:$host" --portal $PORTAL --state-dir /root/state
exits 0 iscsiadm -m node -T $IQN -I a --login
eventually 30 sh -c "lsscsi -g | grep -c tape | grep -q 2"
remote=/dev/$(for path in /sys/class/scsi_generic/*; do readlink -f "$path/device" | grep -q /session && echo "${path##*/}"; done)
settle_attention "$host"; settle_attention "$remote"
same "INQUIRY" sg_inq DEVICE
same "READ BLOCK LIMITS" sg_raw -r 6 DEVICE 05 00 00 00 00 00
same "REWIND" sg_raw DEVICE 01 00 00 00 00 00
iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop
say "all facts hold"
