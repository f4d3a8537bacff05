# vm: --timeout 600 --mem 1024
# What sg3-utils can ask of a disk beside reading and writing, and that it is carried out.
. /host/lib.sh
. /host/walks.sh

start() { felio_start /root/disk.img --size 64M --portal $PORTAL --state-dir /root/state; }
start
discover
login
wait_for_disk 0
dd if=/dev/urandom of="$disk" bs=1M count=16 oflag=direct status=none

say "what it says of itself"
for page in 80 83 86 87 88 8a 8f b0 b1 b2 b4; do exits 0 sg_vpd -p 0x$page "$disk"; done
exits 0 sg_vpd -a "$disk"
exits 0 sg_modes -a "$disk"
for control in 0 1 2 3; do exits 0 sg_modes -c $control -a "$disk"; done
exits 0 sg_opcodes --rctd "$disk"
has "timeouts" "$(cat /run/said)" 'Read\(16\)'
exits 0 sg_opcodes --tmf "$disk"
has "functions" "$(cat /run/said)" 'Clear ACA'
exits 0 sg_opcodes --mask --opcode=0x88 "$disk"
exits 0 sg_logs -a "$disk"
exits 0 sg_logs -A "$disk"
for page in 0x0 0xd 0xf 0x10 0x19 0x2f; do exits 0 sg_logs --page=$page "$disk"; done
exits 0 sg_readcap --16 "$disk"
exits 0 sg_get_lba_status --lba=0 "$disk"
exits 0 sg_ident "$disk"
printf disk-of-the-test > /run/name
exits 0 sg_ident --set "$disk" < /run/name
has "its name" "$(sg_ident --ascii "$disk" 2>&1)" 'disk-of-the-test'
exits 0 sg_timestamp "$disk"

say "verifying"
exits 0 sg_verify --lba=0 --count=256 "$disk"
head -c 4096 "$disk" > /run/blocks
exits 0 sg_verify --lba=0 --count=8 --bytchk=4096 --in=/run/blocks "$disk"
fill 4096 x > /run/blocks
exits 14 sg_verify --lba=0 --count=8 --bytchk=4096 --in=/run/blocks "$disk"

say "mode parameters that are saved outlive the target"
# MODE SENSE (10) of the caching page, and the same back with WCE=0 by MODE SELECT (10) with SP=1.
exits 0 sg_raw -r 28 -o /run/mode "$disk" 5a 08 08 00 00 00 00 00 1c 00
{ printf '\0\0\0\0\0\0\0\0\010\022\0'; tail -c +12 /run/mode; } > /run/mode-list
exits 0 sg_raw -s 28 -i /run/mode-list "$disk" 55 11 00 00 00 00 00 00 1c 00
felio_kill
start
eventually 60 ready_unit "$disk"
has "the write cache" "$(sg_modes --page=8 "$disk")" ' 00     [08]8 12 00'
has "the saved page" "$(sg_modes --page=8 --control=3 "$disk")" ' 00     [08]8 12 00'
has "its name" "$(sg_ident --ascii "$disk" 2>&1)" 'disk-of-the-test'

say "self-tests and buffers"
exits 0 sg_senddiag --test "$disk"
exits 0 sg_senddiag --selftest=1 "$disk"
eventually 30 sh -c "sg_logs --page=0x10 $disk | grep -qi 'completed without error\|Completed'"
exits 0 sg_read_buffer --mode=3 "$disk"
exits 0 sg_read_buffer --mode=0xb --length=4 "$disk"
fill 512 e > /run/echo
exits 0 sg_raw -s 512 -i /run/echo "$disk" 3b 0a 00 00 00 00 00 02 00 00
exits 0 sg_raw -r 512 -o /run/echoed "$disk" 3c 0a 00 00 00 00 00 02 00 00
is "the echo" "$(sha256sum < /run/echoed)" "$(sha256sum < /run/echo)"

say "formatting and sanitizing"
exits 0 sg_format --format --wait "$disk"
is "formatted blocks" "$(dd if="$disk" bs=1M count=16 iflag=direct status=none | tr -d '\0' | wc -c)" 0
dd if=/dev/urandom of="$disk" bs=1M count=16 oflag=direct status=none
exits 0 sg_sanitize --block --quick --wait "$disk"
is "erased blocks" "$(dd if="$disk" bs=1M count=16 iflag=direct status=none | tr -d '\0' | wc -c)" 0
fill 512 S > /run/pattern
exits 0 sg_sanitize --overwrite --quick --wait --pattern=/run/pattern --count=1 "$disk"
is "overwritten blocks" "$(dd if="$disk" bs=1M count=16 iflag=direct status=none | tr -d 'S' | wc -c)" 0

say "power conditions"
exits 0 sg_start --stop "$disk"
exits 2 ready_unit "$disk"
exits 0 sg_start --start "$disk"
settle_attention "$disk"
exits 0 ready_unit "$disk"
exits 0 sg_start --pc=3 "$disk"
exits 0 reads "$disk"

say "giving space back"
before=$(allocated /root/disk.img)
exits 0 mkfs.ext4 -q -F "$disk"
mount -o discard "$disk" /mnt
dd if=/dev/urandom of=/mnt/big bs=1M count=24 status=none; sync
full=$(allocated /root/disk.img)
rm /mnt/big; sync; fstrim /mnt
holds "the image shrank" "$(allocated /root/disk.img)" -lt "$full"
umount /mnt
logout
felio_stop
say "all facts hold"
