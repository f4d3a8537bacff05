# vm: --timeout 300 --mem 1024 --volatile-disk 1G
# The power goes while felio, its image on a disk with a volatile cache, serves
# writers that note what was acknowledged as durable. After each cut every noted
# write must be there: with FUA, flushed by SYNCHRONIZE CACHE, or in a file.
#
# One round for each way to be durable, each in a boot of its own; the next boot checks.
. /host/lib.sh

rounds=(
  "--cache write-back --io ring"
  "--cache write-through --io ring"
  "--cache direct --io ring"
  "--cache write-back --io helpers"
)
acks=/run/vmrun/acks
region=256  # blocks of 4 KiB, for each writer

serve() { felio_start /srv/raw.img /srv/fs.img --size 128M --portal $PORTAL "$@"; }

# The writer and its checker. A block carries its number and a serial number in
# every sector; a line "BLOCK SERIAL" is noted once the write is durable. The
# notes go to the host at once, so they outlive the guest.
cat > /run/writer.pl <<'PERL'
use strict; use warnings;
use Fcntl qw(O_RDWR O_RDONLY O_DIRECT O_SYNC O_DSYNC O_WRONLY O_CREAT O_APPEND);
use IO::Handle;
my ($what, $disk, $first, $blocks, $notes, $start) = @ARGV;
my $sector = sub { my ($block, $serial) = @_; sprintf("%-511s\n", "block $block serial $serial") };
if ($what eq "check") {
  my (%last, $bad);
  open(my $n, "<", $notes) or die "$notes: $!";
  while (<$n>) { my ($block, $serial) = split; $last{$block} = $serial; }
  sysopen(my $d, $disk, O_RDONLY) or die "$disk: $!";
  for my $block (sort { $a <=> $b } keys %last) {
    sysseek($d, $block * 4096, 0); sysread($d, my $got, 4096) == 4096 or die "read: $!";
    for my $s (0 .. 7) {
      my $text = substr($got, $s * 512, 512);
      # A later write that nobody had noted may have come through, whole sectors of it.
      next if $text =~ /^block $block serial (\d+) *\n$/ and $1 >= $last{$block};
      $text =~ s/[ \0\n]+$//;
      next if ++$bad > 5;
      print "lost: block $block sector $s: noted serial $last{$block}, found '$text'\n";
    }
  }
  print scalar(keys %last), " blocks noted", $bad ? ", $bad sectors lost" : "", "\n";
  exit($bad ? 1 : 0);
}
# fua: each write by itself durable; flush: some writes, then one flush.
my $batch = $what eq "fua" ? 1 : 8;
sysopen(my $d, $disk, O_RDWR | O_DIRECT | ($what eq "fua" ? O_DSYNC : 0)) or die "$disk: $!";
sysopen(my $n, $notes, O_WRONLY | O_CREAT | O_APPEND) or die "$notes: $!";
# O_DIRECT wants the memory aligned.
my $buffer = "\0" x 8192;
my $offset = -unpack("J", pack("P", $buffer)) % 4096;
for (my $serial = $start;; ) {
  my $noted = "";
  for (1 .. $batch) {
    my $block = $first + int(rand($blocks)); $serial++;
    substr($buffer, $offset, 4096) = $sector->($block, $serial) x 8;
    sysseek($d, $block * 4096, 0);
    syswrite($d, $buffer, 4096, $offset) == 4096 or die "write: $!";
    $noted .= "$block $serial\n";
  }
  if ($what eq "flush") { $d->sync or die "flush: $!"; }
  syswrite($n, $noted) == length $noted or die "note: $!";
}
PERL

# files DIRECTORY ROUND: durable files, noted by name and checksum.
write_files() {
  local n name
  for ((n = 0; ; n++)); do
    name=$1/round$2-file$n
    head -c $((RANDOM * 2)) /dev/urandom > "$name"
    sync "$name" "$1"
    sha256sum "$name" >> $acks/files
  done
}

check_round() {
  local n said
  for n in 0 1 2 3; do
    said=$(perl /run/writer.pl check "$disk" 0 0 $acks/writer$n) || failed "writer $n finds what was durable: $said"
    say "writer $n: $said"
  done
  say "files: $(wc -l < $acks/files) noted"
  exits 0 sha256sum --quiet -c $acks/files
}

mkdir -p $acks /srv
if [ "$boot" = 1 ]; then
  exits 0 mkfs.ext4 -q -F /dev/vdb
fi
mount -t ext4 /dev/vdb /srv
read -ra options <<< "${rounds[boot - 1]:-}"
say "boot $boot: ${options[*]:-check}"
serve ${options[@]+"${options[@]}"}
discover
login
wait_for_disk 1
files=$disk
wait_for_disk 0
if [ "$boot" = 1 ]; then
  exits 0 mkfs.ext4 -q -F "$files"
  sync "$files"
fi
mount -t ext4 "$files" /mnt
[ "$boot" = 1 ] || check_round

if [ "$boot" -gt ${#rounds[@]} ]; then
  umount /mnt
  exits 0 fsck.ext4 -fn "$files"
  logout
  felio_stop
  umount /srv
  exits 0 fsck.ext4 -fn /dev/vdb
  no_kernel_errors
  say "all facts hold"
  exit 0
fi

# Serials go on from round to round: no old write passes for a new one.
kinds=(fua flush fua flush)
for n in 0 1 2 3; do
  perl /run/writer.pl ${kinds[n]} "$disk" $((n * region)) $region $acks/writer$n $((boot * 1000000)) &
done
write_files /mnt "$boot" &

enough() {
  local n
  for n in 0 1 2 3; do [ "$(wc -l < $acks/writer$n)" -ge $((boot * 150)) ] || return 1; done
}
eventually 90 enough
echo "$((RANDOM % 2)).$((RANDOM % 1000))" > /run/vmrun/cut
say "the power will be cut"
sleep 60
failed "the power was cut"
