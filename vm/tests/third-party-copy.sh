# vm: --timeout 600 --mem 1024
# Copies that the target makes by itself, asked for by sg3-utils; and the sequence by which a hypervisor zeroes,
# locks, clones and gives back.
. /host/lib.sh
. /host/walks.sh

felio_start /root/one.img /root/two.img --size 64M --portal $PORTAL --state-dir /root/state
discover
login
wait_for_disk 0; one=$disk
wait_for_disk 1; two=$disk
modprobe sg
sg_of() { echo "/dev/$(basename "$(ls -d "/sys/block/${1##*/}"/device/scsi_generic/*)")"; }
sg_one=$(sg_of "$one"); sg_two=$(sg_of "$two")
fresh() { blockdev --flushbufs "$one"; blockdev --flushbufs "$two"; }

dd if=/dev/urandom of="$one" bs=1M count=32 oflag=direct status=none
sum() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none | sha256sum; }

say "EXTENDED COPY from one disk to another"
exits 0 sg_xcopy if="$sg_one" of="$sg_two" bs=512 count=65536 bpt=8192
fresh
is "32 MiB copied" "$(sum "$two" 0 32)" "$(sum "$one" 0 32)"

say "EXTENDED COPY within a disk"
exits 0 sg_xcopy if="$sg_one" of="$sg_one" bs=512 count=8192 seek=98304
fresh
is "4 MiB copied" "$(sum "$one" 48 4)" "$(sum "$one" 0 4)"

say "what the copy manager can"
exits 0 sg_copy_results --params "$sg_one"
has "operating parameters" "$(cat /run/said)" 'Maximum CSCD descriptor count|Maximum target descriptor count'
exits 0 sg_vpd -p tpc "$sg_one"
exits 0 sg_inq "$sg_one"
has "3PC" "$(cat /run/said)" '3PC=1'

say "zero, lock, clone, give back, as a hypervisor does"
printf '\0%.0s' $(seq 512) > /run/zeros
# Block zeroing: WRITE SAME of zeros over 1 MiB.
exits 0 sg_write_same --16 --lba=0 --num=2048 --in=/run/zeros "$sg_two"
fresh
is "zeroed" "$(dd if="$two" bs=1M count=1 iflag=direct status=none | tr -d '\0' | wc -c)" 0
# Atomic test and set: a lock that is free is taken once.
head -c 512 /dev/zero > /run/free; fill 512 L > /run/taken
cat /run/free /run/taken > /run/pair
dd if=/run/free of="$two" bs=512 seek=4096 count=1 oflag=direct status=none
exits 0 sg_compare_and_write --in=/run/pair --lba=4096 --num=1 --xferlen=1024 "$sg_two"
exits 14 sg_compare_and_write --in=/run/pair --lba=4096 --num=1 --xferlen=1024 "$sg_two"
# Full copy.
exits 0 sg_xcopy if="$sg_one" of="$sg_two" bs=512 count=2048
# Space reclaim.
before=$(allocated /root/two.img)
exits 0 sg_unmap --lba=0 --num=65536 "$sg_two"
sync
holds "the image shrank" "$(allocated /root/two.img)" -lt "$before"
logout
felio_stop
no_kernel_errors
say "all facts hold"
