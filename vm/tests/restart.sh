# vm: --timeout 300 --mem 1024
# felio is killed or stopped and started again, several times, under a file system
# in use: the kernel's initiator comes back by itself, the file system notices
# nothing, and every byte is what was written.
. /host/lib.sh

image=/root/disk.img
serve() { felio_start $image --size 256M --portal $PORTAL "$@"; }

# What the kernel says when a disk is a new felio's: once for each that it has met.
met() { dmesg | grep -c 'Power-on or device reset occurred' || true; }
met_more_than() { [ "$(met)" -gt "$1" ]; }

logged_in() { [ "$(cat /sys/class/iscsi_session/session*/state)" = LOGGED_IN ]; }

# outage END SECONDS: felio ends so, and is gone that long.
outage() {
  local before
  before=$(met)
  "$1"
  sleep "$2"
  serve
  eventually 60 logged_in
  eventually 30 met_more_than "$before"
  say "$1, $2 s later back, and the initiator has met the new one"
  still_loaded
}

serve
discover
login
wait_for_disk 0
exits 0 mkfs.ext4 -q -F "$disk"
mount "$disk" /mnt
cp -a /usr/sbin /mnt/tree
dd if=/dev/urandom of=/mnt/known bs=1M count=16 status=none
sha256sum /mnt/known > /run/known.sum

say "fio runs"
load_start --directory=/mnt --size=4M
sleep 3
outage felio_kill 0
sleep 3
outage felio_kill 1
sleep 3
outage felio_stop 1
sleep 3
outage felio_kill 8
load_stop
say "fio found all that it wrote"

# Dirty pages are written through a restart as well.
dd if=/dev/urandom of=/mnt/late bs=1M count=16 status=none
sha256sum /mnt/late >> /run/known.sum
felio_kill
sync & sync=$!
sleep 2
serve
wait $sync
umount /mnt
exits 0 fsck.ext4 -fn "$disk"
mount "$disk" /mnt
sha256sum --status -c /run/known.sum
diff -r --no-dereference /usr/sbin /mnt/tree
umount /mnt
logout
no_kernel_errors

say "the same contents after a graceful end"
felio_stop
serve
login
wait_for_disk 0
cmp <(dd if="$disk" bs=1M iflag=direct status=none) $image
mount "$disk" /mnt
sha256sum --status -c /run/known.sum
umount /mnt
logout
felio_stop
say "all facts hold"
