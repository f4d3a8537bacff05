# vm: --timeout 600 --mem 1024
# Copies that the target makes by itself, asked for by sg3-utils, by ddpt and by the bytes of the standard; and the
# commands by which a hypervisor zeroes, locks, clones, gives back and learns that there is no more space.
. /host/lib.sh
. /host/walks.sh

mkdir /srv
mount -t tmpfs -o size=12M space /srv
felio_start /root/one.img /root/two.img /srv/thin.img --size 64M --portal $PORTAL --state-dir /root/state
discover
login
wait_for_disk 0; one=$disk
wait_for_disk 1; two=$disk
wait_for_disk 2; thin=$disk
modprobe sg
sg_one=$(sg_of "$one"); sg_two=$(sg_of "$two")
fresh() { blockdev --flushbufs "$one"; blockdev --flushbufs "$two"; }

dd if=/dev/urandom of="$one" bs=1M count=32 oflag=direct status=none
sum() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none | sha256sum; }
block() { dd if="$1" bs=512 skip="$2" count="${3:-1}" iflag=direct status=none | sha256sum; }

# send DEVICE CDB...: what /run/list holds goes with it.
send() { sg_raw -s "$(stat -c %s /run/list)" -i /run/list "$@"; }
# length: of /run/list, as four bytes of a CDB.
length() { printf '%08x' "$(stat -c %s /run/list)" | sed 's/../& /g'; }

say "EXTENDED COPY from one disk to another"
exits 0 sg_xcopy if="$sg_one" of="$sg_two" bs=512 count=65536 bpt=8192
fresh
is "32 MiB copied" "$(sum "$two" 0 32)" "$(sum "$one" 0 32)"

say "EXTENDED COPY within a disk, and what became of it"
exits 0 sg_xcopy if="$sg_one" of="$sg_one" bs=512 count=8192 seek=98304 bpt=8192 list_id=7 id_usage=hold
fresh
is "4 MiB copied" "$(sum "$one" 48 4)" "$(sum "$one" 0 4)"
exits 0 sg_copy_results --status --list_id=7 "$sg_one"
has "status" "$(cat /run/said)" 'Operation completed without errors'
has "segments" "$(cat /run/said)" 'Segments processed: 1$'
has "bytes" "$(cat /run/said)" 'Transfer count: 4194304$'
exits 0 sg_copy_results --failed --list_id=7 "$sg_one"
exits 5 sg_copy_results --status --list_id=8 "$sg_one"
exits 5 sg_copy_results --receive --list_id=7 "$sg_one"
# One segment of this disk to itself that ends behind its end; the list identifier is 9.
perl -e 'print pack("CCnx4Nx4", 9, 0, 0, 28), pack("CCnnnx2nQ>Q>", 2, 0, 24, 0xffff, 0xffff, 64, 0, 131070)' > /run/list
# shellcheck disable=SC2046 # bytes
exits 10 send "$sg_one" 83 00 00 00 00 00 00 00 00 00 $(length) 00 00
exits 0 sg_copy_results --failed --list_id=9 "$sg_one"
has "why it failed" "$(cat /run/said)" 'Copy aborted|Copy Aborted'
exits 0 sg_copy_results --status --list_id=9 "$sg_one"
has "that it failed" "$(cat /run/said)" 'Operation completed with errors'

say "what the copy manager can"
exits 0 sg_copy_results --params "$sg_one"
has "operating parameters" "$(cat /run/said)" 'Maximum CSCD descriptor count|Maximum target descriptor count'
exits 0 sg_vpd -p tpc "$sg_one"
exits 0 sg_inq "$sg_one"
has "3PC" "$(cat /run/said)" '3PC=1'

# populate LIST-ID FIRST BLOCKS...: has a token made of ranges of the first disk; it is then in /run/token.
populate() {
  local id
  id=$(printf '%08x' "$1" | sed 's/../& /g'); shift
  perl -e '$ranges = pack("(Q>Nx4)*", @ARGV); print pack("nCxNx4x2n", 14 + length $ranges, 0, 60, length $ranges), $ranges' "$@" > /run/list
  # shellcheck disable=SC2046,SC2086 # bytes
  exits 0 send "$sg_one" 83 10 00 00 00 00 $id $(length) 00 00
  # shellcheck disable=SC2086
  exits 0 sg_raw -r 1024 -o /run/information "$sg_one" 84 07 $id 00 00 00 00 00 00 04 00 00 00
  tail -c 512 /run/information > /run/token
  is "a token and what stands before it" "$(stat -c %s /run/information)" $((32 + 6 + 512))
}

# use DEVICE LIST-ID FLAGS OFFSET FIRST BLOCKS...: writes what /run/token stands for, from an offset on.
use() {
  local device=$1 id=$2
  id=$(printf '%08x' "$2" | sed 's/../& /g'); shift 2
  perl -e '($flags, $offset, @list) = @ARGV; open($f, "<", "/run/token"); read($f, $token, 512); $ranges = pack("(Q>Nx4)*", @list);
    print pack("nCx5Q>", 534 + length $ranges, $flags, $offset), $token, pack("x6n", length $ranges), $ranges' "$@" > /run/list
  # shellcheck disable=SC2046,SC2086
  send "$device" 83 11 00 00 00 00 $id $(length) 00 00
}

# become LIST-ID: status and count of a WRITE USING TOKEN to the second disk.
become() {
  # shellcheck disable=SC2046
  exits 0 sg_raw -r 1024 -o /run/information "$sg_two" 84 07 $(printf '%08x' "$1" | sed 's/../& /g') 00 00 00 00 00 00 04 00 00 00
  perl -e 'read(STDIN, $r, 24); print join " ", unpack("x4CCx10Q>", $r)' < /run/information
}
over() { is "becomes" "$(become "$1")" "17 1 $2"; }

say "offloaded data transfer: a token of two ranges, written in two parts"
populate 257 0 8192 16384 8192
exits 0 use "$sg_two" 258 0 0 65536 12288
is "the first part" "$(become 258)" "17 1 12288"
# IMMED and DEL_TKN: answered at once, and the token is gone at the end.
exits 0 use "$sg_two" 259 3 12288 77824 4096
eventually 30 over 259 4096
fresh
is "the first range" "$(sum "$two" 32 4)" "$(sum "$one" 0 4)"
is "the second range" "$(sum "$two" 36 4)" "$(sum "$one" 8 4)"
exits 5 use "$sg_two" 260 0 0 65536 8
has "why not" "$(cat /run/said)" 'Invalid token operation, token deleted'
say "a token does not outlive a write to what it stands for"
populate 261 0 8
dd if=/dev/urandom of="$one" bs=512 count=1 seek=7 oflag=direct status=none
exits 5 use "$sg_two" 262 0 0 65536 8
has "why not" "$(cat /run/said)" 'Invalid token operation, token cancelled|Invalid token operation, token revoked'
say "zeros by the token that nobody makes"
{ printf '\377\377\0\1\0\0\1\370'; head -c 504 /dev/zero; } > /run/token
exits 0 use "$sg_two" 263 0 0 65536 8192
fresh
is "zeros" "$(dd if="$two" bs=1M skip=32 count=4 iflag=direct status=none | tr -d '\0' | wc -c)" 0

say "ddpt's own transfer"
# ddpt 0.97 writes each range descriptor one byte before its place, so that it asks for the 256-fold of what it is told, from
# the 256-fold of the address on; felio does what is asked for. Without lists it asks for no blocks, again and again.
exits 0 ddpt if="$sg_one" of="$sg_two" iflag=odx oflag=odx bs=512 skip=32,32 seek=256,32
fresh
is "4 MiB copied" "$(sum "$two" 32 4)" "$(sum "$one" 4 4)"
exits 0 ddpt if=/dev/null of="$sg_two" iflag=odx oflag=odx rtype=zero bs=512 seek=256,16
fresh
is "2 MiB of zeros" "$(dd if="$two" bs=1M skip=32 count=2 iflag=direct status=none | tr -d '\0' | wc -c)" 0
is "and no more" "$(sum "$two" 34 2)" "$(sum "$one" 6 2)"
exits 0 ddptctl --info "$sg_one"
exits 0 ddptctl --all_toks "$sg_one"

say "what a hypervisor asks before it trusts"
exits 0 sg_vpd -p bl "$sg_two"
has "a lock's length" "$(cat /run/said)" 'Maximum compare and write length: [1-9]'
has "ranges to give back" "$(cat /run/said)" 'Maximum unmap block descriptor count: [1-9]'
exits 0 sg_vpd -p lbpv "$sg_two"
has "UNMAP" "$(cat /run/said)" 'Unmap command supported \(LBPU\): 1'
has "zeros" "$(cat /run/said)" 'read zeros \(LBPRZ\): 1'
exits 0 sg_readcap --long "$sg_two"
has "thin" "$(cat /run/said)" 'lbpme=1, lbprz=1'

say "block zeroing: WRITE SAME of zeros over 1 MiB, as often as needed, with and without leave to deallocate"
head -c 512 /dev/zero > /run/zeros
dd if="$one" of="$two" bs=1M count=8 oflag=direct iflag=direct status=none
for mib in 0 1 2 3; do exits 0 sg_write_same --16 --lba=$((mib * 2048)) --num=2048 --in=/run/zeros "$sg_two"; done
exits 0 sg_write_same --16 --unmap --lba=8192 --num=2048 --in=/run/zeros "$sg_two"
fresh
is "zeroed" "$(dd if="$two" bs=1M count=5 iflag=direct status=none | tr -d '\0' | wc -c)" 0
is "and no more" "$(sum "$two" 5 3)" "$(sum "$one" 5 3)"

say "atomic test and set, by two hosts"
initiator other
iscsiadm -m discovery -t sendtargets -p $PORTAL -I default -I other > /dev/null
iscsiadm -m node -T $IQN -p $PORTAL -I other --login > /dev/null
eventually 30 find_device other 1; sg_theirs=$(sg_of "$device")
settle_attention "$sg_theirs"
# image NAME WORD: a lock's block; set DEVICE FROM TO: writes it if the disk holds the other.
image() { { printf %s "$2"; head -c 512 /dev/zero; } | head -c 512 > "/run/$1"; }
set_lock() { cat "/run/$2" "/run/$3" > /run/pair; sg_compare_and_write --in=/run/pair --lba=4096 --num=1 --xferlen=1024 "$1"; }
holder() { dd if="$two" bs=512 skip=4096 count=1 iflag=direct status=none | tr -d '\0'; }
image free free; image ours ours:1; image beat ours:2; image theirs theirs:1
dd if=/run/free of="$two" bs=512 seek=4096 count=1 oflag=direct status=none
exits 0 set_lock "$sg_two" free ours
exits 14 set_lock "$sg_theirs" free theirs
is "the lock" "$(holder)" ours:1
# The heartbeat is a test and set, too. Where its answer is lost it is sent again, and the miscompare means that it was
# done: the host finds its own image. The sense data tell the first byte that differs.
exits 0 set_lock "$sg_two" ours beat
cat /run/ours /run/beat > /run/pair
# COMPARE AND WRITE by hand, for the sense data.
exits 14 sg_raw -v -s 1024 -i /run/pair "$sg_two" 89 00 00 00 00 00 00 00 10 00 00 00 00 01 00 00
has "what differs" "$(cat /run/said)" 'Miscompare'
has "where" "$(cat /run/said)" 'Info fld=0x5'
is "the lock" "$(holder)" ours:2
# A host that is gone: its lock is taken by its last image.
exits 0 set_lock "$sg_theirs" beat theirs
exits 14 set_lock "$sg_two" beat ours
is "the lock" "$(holder)" theirs:1

say "full copy, as much as the copy manager takes at once"
exits 0 sg_xcopy if="$sg_one" of="$sg_two" bs=512 count=8192 bpt=8192 id_usage=disable
fresh
is "4 MiB cloned" "$(sum "$two" 0 4)" "$(sum "$one" 0 4)"

say "space reclaim"
dd if="$one" of="$two" bs=1M count=32 oflag=direct iflag=direct status=none
sync
before=$(allocated /root/two.img)
exits 0 sg_unmap --lba=2048,8192,32768 --num=2048,4096,16384 "$sg_two"
sync
is "given back" $((before - $(allocated /root/two.img))) $((22528 * 512))
fresh
is "what was given back" "$(dd if="$two" bs=1M skip=16 count=8 iflag=direct status=none | tr -d '\0' | wc -c)" 0

say "little space: every host is told once when 6 MiB are used"
sg_thin=$(sg_of "$thin")
find_device other 2; sg_their_thin=$(sg_of "$device")
# used MIB ENABLED: the second threshold of the mode page, in sets of 1 MiB.
used() { sg_wr_mode --page=0x1c,2 --contents=5c,2,0,1c,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,"$2",2,0,0,0,0,0,"$1" "$sg_thin"; }
reaches() { { ready_unit "$1" || true; } 2>&1 | grep -q 'Thin provisioning soft threshold reached'; }
exits 0 sg_vpd -p lbpv "$sg_thin"
has "a set of 2048 blocks" "$(cat /run/said)" 'Threshold exponent: 11'
settle_attention "$sg_thin"
exits 0 used 6 81
settle_attention "$sg_their_thin"
exits 0 sg_dd if=/dev/urandom of="$sg_thin" bs=512 count=10240 bpt=256
exits 0 sg_logs --page=0xc "$sg_thin"
exits 0 ready_unit "$sg_their_thin"
exits 0 sg_dd if=/dev/urandom of="$sg_thin" bs=512 seek=10240 count=4096 bpt=256
eventually 30 reaches "$sg_their_thin"
exits 0 ready_unit "$sg_their_thin"
# The writer is told by whichever of its commands comes next, which may be a write that is sent again: the kernel has seen both.
settle_attention "$sg_thin"
is "how many were told" "$(dmesg | grep -c 'reached a thin provisioning soft threshold')" 2
exits 0 sg_logs --page=0xc "$sg_thin"
has "what is used" "$(cat /run/said)" 'Used LBA mapping.*: 7$'
exits 0 used 6 1

say "no more space: told, survived, and over once some is given back"
exits 0 sg_dd if=/dev/urandom of="$sg_thin" bs=512 count=16384 bpt=256
exits 7 sg_dd if=/dev/urandom of="$sg_thin" bs=512 seek=16384 count=16384 bpt=256
has "why not" "$(cat /run/said)" 'Space allocation failed write protect'
exits 0 sg_dd if=/dev/urandom of="$sg_thin" bs=512 count=64
exits 0 sg_unmap --lba=0 --num=16384 "$sg_thin"
exits 0 sg_dd if=/dev/urandom of="$sg_thin" bs=512 seek=20480 count=8192 bpt=256

logout
felio_stop
no_kernel_errors
say "all facts hold"
