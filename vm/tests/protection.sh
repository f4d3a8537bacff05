# vm: --timeout 400 --mem 1024
# Protection information that an initiator chooses by FORMAT UNIT: what sg3-utils and ddpt read, write and verify with it, what is
# refused, and that it is still there after the target was killed.
. /host/lib.sh
. /host/walks.sh

image=/root/disk.img
start() { felio_start $image --size 16M --portal $PORTAL --state-dir /root/state "$@"; }
start --protection 0
discover
login
wait_for_disk 0
modprobe sg
sg=$(sg_of "$disk")
head -c 131072 /dev/urandom > /run/data

# tuples FIRST: whether 256 blocks of 520 bytes are the data, each with its CRC and with the reference tags from FIRST on.
cat > /run/tuples.pl << 'PERL'
use strict; use warnings;
my ($first) = @ARGV;
my @table = map { my $crc = $_ << 8; $crc = $crc & 0x8000 ? ($crc << 1) ^ 0x8bb7 : $crc << 1 for 1 .. 8; $crc & 0xffff } 0 .. 255;
open(my $data, "<", "/run/data") or die; open(my $protected, "<", "/run/protected") or die;
for my $block (0 .. 255) {
  read($data, my $want, 512) == 512 or die "data end";
  read($protected, my $got, 520) == 520 or die "block $block is missing\n";
  my ($guard, undef, $reference) = unpack("nnN", substr($got, 512));
  my $crc = 0;
  $crc = (($crc << 8) & 0xffff) ^ $table[($crc >> 8) ^ $_] for unpack("C*", $want);
  substr($got, 0, 512) eq $want or die "block $block differs\n";
  $guard == $crc or die sprintf("block %d: guard %04x, not %04x\n", $block, $guard, $crc);
  $first < 0 or $reference == $first + $block or die "block $block: reference tag $reference\n";
}
read($protected, my $rest, 1) == 0 or die "more than 256 blocks\n";
PERL

# format TYPE OPTIONS...: and what the unit then says of itself.
format() {
  local type=$1
  shift
  exits 0 sg_format --format --quick --wait "$@" "$sg"
  settle_attention "$sg"
  exits 0 sg_readcap --long "$sg"
  if [ "$type" = 0 ]; then has "protection" "$(cat /run/said)" 'prot_en=0'
  else has "protection" "$(cat /run/said)" "prot_en=1, p_type=$((type - 1)), p_i_exponent=0"; fi
}

# refused WHY COMMAND...: the transfer is ended by a check of protection information.
refused() {
  local why=$1 status=0
  shift
  "$@" > /run/said 2>&1 || status=$?
  has "exit status of $*" $status '^4[01]$'
  has "what was found" "$(cat /run/said)" "$why"
}

say "none is kept yet, and none can be asked for"
exits 0 sg_readcap --long "$sg"
has "protection" "$(cat /run/said)" 'prot_en=0'
exits 5 sg_raw -r 520 "$sg" 28 20 00 00 00 00 00 00 01 00 # READ (10) with RDPROTECT

for type in 1 3; do
  say "type $type"
  case $type in
    1) format 1 --fmtpinfo=2; first=0 ;;
    3) format 3 --fmtpinfo=3 --pfu=1; first=-1 ;; # The reference tag is the application's.
  esac
  exits 0 sg_vpd -p ei "$sg"
  has "guard" "$(cat /run/said)" 'GRD_CHK=1'
  # Written without it, felio makes it; it comes and goes with the data where that is asked for.
  exits 0 sg_dd if=/run/data of="$sg" bs=512 count=256
  exits 0 ddpt if="$sg" of=/run/protected bs=512 count=256 protect=1
  exits 0 perl /run/tuples.pl $first
  exits 0 ddpt if=/run/protected of="$sg" bs=512 count=256 protect=0,1
  exits 0 sg_dd if="$sg" of=/run/plain bs=512 count=256
  exits 0 cmp /run/plain /run/data
  exits 0 sg_verify --count=256 --vrprotect=1 "$sg"
  say "type $type: blocks in another place"
  case $type in
    1) refused 'reference tag check failed' ddpt if=/run/protected of="$sg" bs=512 seek=1024 count=256 protect=0,1 verbose=2 ;;
    3) exits 0 ddpt if=/run/protected of="$sg" bs=512 seek=1024 count=256 protect=0,1
       exits 0 ddpt if="$sg" of=/run/protected bs=512 skip=1024 count=256 protect=1
       exits 0 perl /run/tuples.pl $first ;;
  esac
  say "type $type: data that changed on their way"
  exits 0 ddpt if="$sg" of=/run/protected bs=512 count=256 protect=1
  printf XXXXXXXX | dd of=/run/protected bs=1 seek=5300 conv=notrunc status=none
  refused 'guard check failed' ddpt if=/run/protected of="$sg" bs=512 count=256 protect=0,1 verbose=2
  exits 0 sg_dd if=/run/data of="$sg" bs=512 count=256
  say "type $type: data that changed where they lie"
  dd if=$image of=/run/kept bs=512 skip=77 count=1 status=none
  printf XXXXXXXX | dd of=$image bs=1 seek=$((77 * 512 + 3)) conv=notrunc status=none
  refused 'guard check failed' sg_verify --verbose --count=256 --vrprotect=1 "$sg"
  refused 'guard check failed' sg_raw -r 520 "$sg" 28 20 00 00 00 4d 00 00 01 00
  dd if=/run/kept of=$image bs=512 seek=77 conv=notrunc status=none
  exits 0 sg_verify --count=256 --vrprotect=1 "$sg"
  say "type $type: killed and started again"
  felio_kill
  start --protection 0 # Initiators have chosen, and are left what they have chosen.
  eventually 60 ready_unit "$sg"
  exits 0 sg_readcap --long "$sg"
  has "protection" "$(cat /run/said)" "prot_en=1, p_type=$((type - 1))"
  exits 0 ddpt if="$sg" of=/run/protected bs=512 count=256 protect=1
  exits 0 perl /run/tuples.pl $first
  say "type $type: sanitized"
  exits 0 sg_sanitize --block --quick --wait "$sg"
  exits 0 sg_dd if="$sg" of=/run/plain bs=512 count=256
  is "what is left" "$(tr -d '\0' < /run/plain | wc -c)" 0
  exits 0 ddpt if="$sg" of=/run/protected bs=512 count=256 protect=1
  exits 0 sg_verify --count=256 --vrprotect=1 "$sg"
done

say "and none again"
format 0 --fmtpinfo=0
exits 5 sg_raw -r 520 "$sg" 28 20 00 00 00 00 00 00 01 00 # READ (10) with RDPROTECT
exits 0 sg_dd if=/run/data of="$sg" bs=512 count=256
exits 0 sg_dd if="$sg" of=/run/plain bs=512 count=256
exits 0 cmp /run/plain /run/data
logout
felio_stop
say "all facts hold"
