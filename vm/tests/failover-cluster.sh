# vm: --timeout 600 --mem 1024 --volatile-disk 256M
# Two nodes of a failover cluster and their disk, as Windows' cluster service is described to use it: each node registers
# its key, one reserves (Write Exclusive - Registrants Only) and defends what it has, another challenges. And what a
# target remembers over a power cut of its machine, and over a kill of felio, for those that asked for it (APTPL).
#
# A defender looks every 3 s for keys that are not its own and preempts them; a challenger registers, waits for twice as
# long, and preempts the holder if its own key is still there. Here an interval is as long as a look takes.
. /host/lib.sh
. /host/walks.sh

KEY_A=0xa1b2c3d400010001
KEY_B=0xa1b2c3d400020001
RO=5

# open-iscsi numbers an initiator's ports (ISID) by their logins: these are the same at every boot.
initiator a
initiator b
initiator c

serve() { felio_start /srv/disk.img --size 64M --portal $PORTAL --state-dir /srv/state; }

find_devices() {
  eventually 30 find_device a 0; a=$device
  eventually 30 find_device b 0; b=$device
}

# restart: felio is killed and started again, and both come back by themselves.
restart() {
  felio_kill
  serve
  eventually 60 ready_unit "$a"
  eventually 60 ready_unit "$b"
}

log_in() { iscsiadm -m node -T $IQN -p $PORTAL -I "$1" --login > /dev/null; }
log_out() { iscsiadm -m node -T $IQN -p $PORTAL -I "$1" --logout > /dev/null; }

keys() { sg_persist -n --in --read-keys "$1" | sed -n 's|^ *\(0x[0-9a-f]*\)$|\1|p' | xargs; }
reservation() { sg_persist -n --in --read-reservation "$1" | sed -n 's/.*Key=\(0x[0-9a-f]*\).*/\1/p; s/.*type: *//p' | xargs; }
claim() { sg_persist -n --out --register-ignore --param-sark="$2" "${@:3}" "$1"; }
oust() { sg_persist -n --out --"$1" --param-rk="$3" --param-sark="$4" --prout-type=$RO "$2"; }

# defend DEVICE KEY: looks again and again, until /run/dead, and counts its looks in /run/looks.
defend() {
  local key looks=0
  until [ -e /run/dead ]; do
    settle_attention "$1"
    for key in $(keys "$1"); do
      [ "$key" = "$2" ] || oust preempt "$1" "$2" "$key" > /dev/null 2>&1
    done
    looks=$((looks + 1))
    echo $looks > /run/looks
  done
}

looked() { [ "$(cat /run/looks)" -ge "$1" ]; }

# challenge DEVICE KEY HOLDER: whether the disk is now this node's.
challenge() {
  settle_attention "$1"
  claim "$1" "$2" > /dev/null 2>&1
  [ "$4" = alone ] || eventually 60 looked $(($(cat /run/looks) + 3))
  settle_attention "$1"
  [[ " $(keys "$1") " == *" $2 "* ]] || return 1
  oust preempt "$1" "$2" "$3" > /dev/null 2>&1
}

# stamp FILE LETTER: 512 bytes of it, for `put DEVICE FILE LBA`.
stamp() { fill 512 "$2" > "$1"; }
put() { sg_raw -s 512 -i "$2" "$1" 2a 00 00 00 00 "$3" 00 00 01 00; }

mkdir -p /srv
[ "$boot" = 1 ] && exits 0 mkfs.ext4 -q -F /dev/vdb
mount -t ext4 /dev/vdb /srv
serve
pgrep -x iscsid > /dev/null || iscsid
iscsiadm -m discovery -t sendtargets -p $PORTAL -I a -I b -I c > /dev/null
log_in a; log_in b
find_devices
settle_attention "$a"; settle_attention "$b"
stamp /run/a A; stamp /run/b B; stamp /run/block C

# remember TYPE: both are registered with APTPL and A has reserved.
remember() {
  exits 0 claim "$a" $KEY_A --param-aptpl
  exits 0 claim "$b" $KEY_B --param-aptpl
  exits 0 reserve "$a" $KEY_A "$1"
}

# told FILE: all that there is to know, without the generation: it starts again.
told() { sg_persist -n --in --read-full-status "$b" | sed 's/PR generation=0x[0-9a-f]*//' > "$1"; }

# forget TYPE: A releases, B clears.
forget() {
  exits 0 release "$a" $KEY_A "$1"
  settle_attention "$b"
  exits 0 sg_persist -n --out --clear --param-rk=$KEY_B "$b"
  settle_attention "$a"
}

# A power cut for each way to be the holder: alone, and with all registrants. The next boot looks, and goes on.
types=(5 8)
if [ "$boot" -gt 1 ]; then
  type=${types[boot - 2]}
  say "the power is back: type $type"
  told /run/after
  is "type $type: what survived the power cut" "$(cat /run/after)" "$(cat /run/vmrun/before)"
  is "type $type: keys" "$(keys "$a" | tr ' ' '\n' | sort | xargs)" "$KEY_A $KEY_B"
  log_in c
  eventually 30 find_device c 0; c=$device
  settle_attention "$c"
  exits 24 writes "$c"
  exits 0 writes "$a"
  exits 0 writes "$b"
  forget "$type"
  exits 0 writes "$c"
fi
if [ "$boot" -le ${#types[@]} ]; then
  remember "${types[boot - 1]}"
  told /run/vmrun/before
  echo 0 > /run/vmrun/cut
  say "the power will be cut"
  sleep 60
  failed "the power was cut"
fi

say "what the validation of a cluster's disk asks"
exits 0 claim "$a" $KEY_A
exits 0 claim "$b" $KEY_B
is "keys" "$(keys "$a")" "$KEY_A $KEY_B"
exits 0 reserve "$a" $KEY_A $RO
is "reservation" "$(reservation "$b")" "$KEY_A Write Exclusive, registrants only"
exits 24 reserve "$b" $KEY_B $RO
exits 0 writes "$a"
exits 0 writes "$b"
exits 0 register "$b" 0 $KEY_B
exits 24 writes "$b"
exits 0 reads "$b"
exits 24 oust preempt "$b" $KEY_B $KEY_A
exits 0 claim "$b" $KEY_B
exits 0 oust preempt "$b" $KEY_B $KEY_A
exits 6 ready_unit "$a"
has "what the preempted node is told" "$(cat /run/said)" 'Registrations preempted'
is "reservation" "$(reservation "$a")" "$KEY_B Write Exclusive, registrants only"
exits 24 writes "$a"
exits 0 release "$b" $KEY_B $RO
exits 0 sg_persist -n --out --clear --param-rk=$KEY_B "$b"
is "keys" "$(keys "$a")" ""

say "a challenge that is answered"
echo 0 > /run/looks
exits 0 claim "$a" $KEY_A
exits 0 reserve "$a" $KEY_A $RO
defend "$a" $KEY_A & defender=$!
eventually 30 looked 1
exits 1 challenge "$b" $KEY_B $KEY_A defended
is "keys" "$(keys "$b")" $KEY_A
exits 24 writes "$b"
exits 0 writes "$a"

say "the owner hangs: its defence ends, its session does not"
touch /run/dead
wait $defender
exits 0 challenge "$b" $KEY_B $KEY_A alone
is "reservation" "$(reservation "$b")" "$KEY_B Write Exclusive, registrants only"
is "keys" "$(keys "$b")" $KEY_B
exits 6 ready_unit "$a"
exits 24 put "$a" /run/a 0
exits 0 put "$b" /run/b 0

say "it comes back and joins: both write, as with a disk that the whole cluster shares"
exits 0 claim "$a" $KEY_A
exits 0 put "$a" /run/a 1
exits 0 put "$b" /run/b 2

say "it is lost while it writes: PREEMPT AND ABORT leaves nothing of it behind"
for ((n = 0; ; n = (n + 1) % 64)); do
  [ -e /run/stop ] && break
  if put "$a" /run/a "$(printf %02x $n)" > /dev/null 2>&1; then touch /run/wrote; else touch /run/refused; fi
done & writer=$!
eventually 30 [ -e /run/wrote ]
exits 0 oust preempt-abort "$b" $KEY_B $KEY_A
exits 0 sg_dd if=/dev/zero of="$(sg_of "$b")" bs=512 count=64
eventually 60 [ -e /run/refused ]
touch /run/stop
wait $writer
exits 24 put "$a" /run/a 3
is "what the lost node wrote afterwards" "$(sg_dd if="$(sg_of "$b")" bs=512 count=64 2> /dev/null | tr -d '\0' | wc -c)" 0
log_out a
is "keys" "$(keys "$b")" $KEY_B
log_in a
find_devices
settle_attention "$a"
exits 24 put "$a" /run/a 3

say "the disk is given away: whoever is registered may clear it"
exits 0 claim "$a" $KEY_A
exits 0 sg_persist -n --out --clear --param-rk=$KEY_A "$a"
exits 6 ready_unit "$b"
has "what the others are told" "$(cat /run/said)" 'Reservations preempted'
exits 0 put "$a" /run/a 3

say "felio is killed: keys that shall not survive do not, and the owner takes the disk again"
exits 0 claim "$a" $KEY_A
exits 0 claim "$b" $KEY_B
exits 0 reserve "$a" $KEY_A $RO
restart
is "keys" "$(keys "$a")" ""
exits 0 claim "$a" $KEY_A
exits 0 reserve "$a" $KEY_A $RO
exits 0 sg_persist -n --out --clear --param-rk=$KEY_A "$a"
settle_attention "$b"

say "keys that shall survive: every type, one after the other, over a kill of felio"
for type in 1 3 5 6 7 8; do
  remember $type
  told /run/before
  restart
  told /run/after
  is "type $type: what survived" "$(cat /run/after)" "$(cat /run/before)"
  exits 0 put "$a" /run/a 4
  case $type in
    1 | 3) exits 24 put "$b" /run/b 5 ;;
    *) exits 0 put "$b" /run/b 5 ;;
  esac
  forget $type
done

iscsiadm -m node -T $IQN --logout > /dev/null
felio_stop
say "all facts hold"
