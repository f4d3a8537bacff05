# vm: --timeout 300 --mem 1024 --udev
# One disk over two portals in a network of its own, and dm-multipath on top: the
# cable of one path is pulled under load, put back, then the other one's.
. /host/lib.sh

image=/root/disk.img

# Two cables to a network namespace that holds felio.
ip netns add target
ip -n target link set lo up
for n in 1 2; do
  ip link add path$n type veth peer name eth$n netns target
  ip addr add 10.1.$n.2/24 dev path$n
  ip link set path$n up
  ip -n target addr add 10.1.$n.1/24 dev eth$n
  ip -n target link set eth$n up
done

cat > /etc/multipath.conf << END
defaults {
  find_multipaths no
  path_grouping_policy multibus
  path_selector "round-robin 0"
  polling_interval 2
  max_polling_interval 2
  no_path_retry fail
  user_friendly_names no
}
blacklist {
  devnode "^vd"
}
END

# As multipath-tools advise for iSCSI: a dead path is told from a slow one soon.
setting 'node.conn[0].timeo.noop_out_interval' 2
setting 'node.conn[0].timeo.noop_out_timeout' 2
setting node.session.timeo.replacement_timeout 4

paths() { multipathd show paths format '%w %t %o' | grep -c 'active running' || true; }
paths_are() { [ "$(paths)" = "$1" ]; }

# cut N: pulls path N, looks for the path to be given up, and puts it back.
cut_path() {
  ip link set "path$1" down
  say "path $1 cut"
  eventually 40 paths_are 1
  say "one path left"
  sleep 3
  ip link set "path$1" up
  eventually 60 paths_are 2
  say "path $1 is back"
  still_loaded
}

felio_in=(ip netns exec target)
felio_start $image --size 256M --portal 10.1.1.1:3260 --portal 10.1.2.1:3260 --allow 10.1.1.0/24 --allow 10.1.2.0/24
naa=$(ready '.luns[0].naa' | tr A-F a-f); naa=${naa#naa.}; naa=${naa#0x}
discover 10.1.1.1:3260
is "portals discovered" "$(sed 's/,.*//' /run/discovered | sort | xargs)" "10.1.1.1:3260 10.1.2.1:3260"
modprobe dm-multipath
multipathd
login
wait_for_disk 0 2
udevadm settle
map=/dev/mapper/3$naa
eventually 20 [ -b "$map" ]
eventually 20 paths_are 2
say "two paths, one disk: $map"

exits 0 mkfs.ext4 -q -F "$map"
mount "$map" /mnt
dd if=/dev/urandom of=/mnt/known bs=1M count=16 status=none
sha256sum /mnt/known > /run/known.sum
load_start --directory=/mnt --size=4M
sleep 4
cut_path 1
sleep 2
cut_path 2
load_stop
say "fio found all that it wrote"
umount /mnt
exits 0 fsck.ext4 -fn "$map"
mount "$map" /mnt
sha256sum --status -c /run/known.sum
umount /mnt
# What a path says when it dies is no error of the disk on top of it.
lacks "the kernel's log" "$(dmesg)" 'EXT4-fs (error|warning)|JBD2: (Error|Detected)|on dev dm-|blocked for more than|WARNING:|BUG:|Call Trace'
multipath -f "3$naa"
logout
felio_stop
say "all facts hold"
