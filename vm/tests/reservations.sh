# vm: --timeout 900 --mem 1024
# Persistent reservations of two initiators: every type and action, what each may do meanwhile, and what is still there
# after the target was killed and started again.
. /host/lib.sh
. /host/walks.sh

image=/root/disk.img
initiator a
initiator b

start() {
  felio_start $image --size 64M --portal $PORTAL --state-dir /root/state
}

log_in() {
  iscsiadm -m node -T $IQN -p $PORTAL -I a --login > /dev/null
  iscsiadm -m node -T $IQN -p $PORTAL -I b --login > /dev/null
  find_devices
}

find_devices() {
  eventually 30 find_device a 0; a=$device
  eventually 30 find_device b 0; b=$device
}

start
pgrep -x iscsid > /dev/null || iscsid
iscsiadm -m discovery -t sendtargets -p $PORTAL -I a -I b > /dev/null
log_in
say "A is $a, B is $b"

reservation_walk "$a" "$b" > /run/walk
say "walked $(wc -l < /run/walk) lines"
for type in 1 3 5 6 7 8; do
  is "type $type: the holder" "$(grep -c "type $type: A, holder, \(reads\|writes\): good" /run/walk)" 2
done
for type in 1 5 7; do has "others read" "$(cat /run/walk)" "type $type: B, unregistered, reads: good"; done
for type in 3 6 8; do has "others do not read" "$(cat /run/walk)" "type $type: B, unregistered, reads: reservation conflict"; done
for type in 1 3 5 6 7 8; do has "others do not write" "$(cat /run/walk)" "type $type: B, unregistered, writes: reservation conflict"; done
for type in 5 6 7 8; do has "registrants write" "$(cat /run/walk)" "type $type: B, registered, writes: good"; done
for type in 1 3; do has "registrants do not write" "$(cat /run/walk)" "type $type: B, registered, writes: reservation conflict"; done
has "preempted" "$(cat /run/walk)" 'preempt: A is told: unit attention \(Registrations preempted\)'

say "a registration that shall survive, and a reservation"
register "$a" 0xa 0 --param-aptpl > /run/said
register "$b" 0xb 0 --param-aptpl > /run/said
reserve "$a" 0xa 5 > /run/said
reservations "$a" --read-full-status > /run/before
for how in felio_kill felio_stop; do
  $how
  start
  # The kernel's initiator comes back by itself after -9; it was logged out by the other.
  iscsiadm -m node -T $IQN --login > /dev/null 2>&1 || true
  find_devices
  eventually 60 ready_unit "$a"
  eventually 60 ready_unit "$b"
  reservations "$a" --read-full-status > /run/after
  # SPC-4: the generation starts again at zero.
  is "what survived $how" "$(sed 's/PR generation=0x[0-9a-f]*//' /run/after)" "$(sed 's/PR generation=0x[0-9a-f]*//' /run/before)"
  settle_attention "$b"
  exits 0 writes "$b"
done

say "registrations that shall not survive are gone"
register "$a" 0xa 0xa > /run/said # APTPL=0
felio_kill
start
find_devices
eventually 60 ready_unit "$a"
has "keys" "$(reservations "$a" --read-keys)" 'there are NO registered reservation keys'
for device in "$a" "$b"; do settle_attention "$device"; done

say "a registration moves to the other initiator, which is named by its TransportID"
register "$a" 0xa > /run/said
register "$b" 0xb > /run/said
name=$(reservations "$a" --read-full-status | grep -oE 'iqn[^ ]*:b,i,0x[0-9a-f]+' | head -n 1)
holds "B's TransportID" -n "$name"
exits 0 register "$b" 0 0xb
exits 0 reserve "$a" 0xa 1
port=$(sg_vpd -p di_port "$a" | sed -n 's/.*Relative target port: 0x\([0-9a-f]*\).*/\1/p')
exits 0 sg_persist -n --out --register-move --param-rk=0xa --param-sark=0xd --relative-target-port=0x"$port" \
  --transport-id="$name" --unreg "$a"
reservations "$a" --read-full-status > /run/after
has "the holder" "$(cat /run/after)" 'Key=0xd'
settle_attention "$b"
exits 0 writes "$b"
exits 24 writes "$a"
exits 0 sg_persist -n --out --clear --param-rk=0xd "$b"

say "both are registered by one command of one"
settle_attention "$a"
exits 0 register "$a" 0xe 0 --transport-id="$name"
is "registrations" "$(reservations "$a" --read-full-status | grep -c 'Key=0xe')" 2
exits 0 sg_persist -n --out --clear --param-rk=0xe "$a"

iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop
say "all facts hold"
