# Sourced by tests, after lib.sh: walks through reservations and access states, as text that two targets can be
# compared by. A line is `STEP: how it ended`; the steps are named so that each name stands once.

# Initiators beside the default one: an interface of open-iscsi each, with a name of its own.
initiator() { # NAME
  iscsiadm -m iface -I "$1" -o new > /dev/null
  iscsiadm -m iface -I "$1" -o update -n iface.initiatorname -v "iqn.1993-08.org.debian:01:$1" > /dev/null
}

# find_device INITIATOR LUN [TAG]: sets `device` to the disk of that LUN in that initiator's session (to that portal group).
find_device() {
  local session name
  for session in /sys/class/iscsi_session/session*; do
    name=$(cat "$session/initiatorname")
    [ "${name##*:}" = "$1" ] || continue
    [ -z "${3:-}" ] || [ "$(cat "$session/tpgt")" = "$3" ] || continue
    for device in "$session"/device/target*/*:"$2"/block/*; do
      device=/dev/${device##*/}
      [ -b "$device" ] && return
    done
  done
  return 1
}

# sg_of DISK: its generic SCSI device.
sg_of() { echo "/dev/$(basename "$(ls -d "/sys/block/${1##*/}"/device/scsi_generic/*)")"; }

# ended STATUS FILE: an exit status of sg3-utils in words, with the additional sense code if one was told.
ended() {
  local what sense
  case $1 in
    0) what=good ;; 2) what="not ready" ;; 3) what="medium error" ;; 5) what="illegal request" ;;
    6) what="unit attention" ;; 7) what="data protect" ;; 9) what="no such command" ;; 10) what="copy aborted" ;;
    11 | 40 | 41) what="aborted command" ;; 14) what=miscompare ;; 24) what="reservation conflict" ;;
    25) what="condition met" ;;
    *) what="status $1" ;;
  esac
  sense=$(grep -oiE 'Additional sense: .*|asc=0x[0-9a-f]+, *ascq=0x[0-9a-f]+' "$2" | head -n 1 | sed 's/^Additional sense: //' || true)
  echo "$what${sense:+ ($sense)}"
}

# step NAME COMMAND...: runs it and tells how it ended.
step() {
  local name=$1 status=0
  shift
  "$@" > /run/step 2>&1 || status=$?
  echo "$name: $(ended $status /run/step)"
}

# shows NAME COMMAND...: the same, and what it printed.
shows() {
  step "$@"
  grep -vE 'Peripheral device type|^ +(LIO-ORG|felio) ' /run/step | sed "s/^ */  $1| /" || true
}

ready_unit() { sg_raw "$1" 00 00 00 00 00 00; }
reads() { sg_raw -r 512 "$1" 28 00 00 00 00 00 00 00 01 00; }
writes() { sg_raw -s 512 -i /run/block "$1" 2a 00 00 00 00 00 00 00 01 00; }
flushes() { sg_raw "$1" 35 00 00 00 00 00 00 00 00 00; }
register() { sg_persist -n --out --register --param-rk="${3:-0}" --param-sark="$2" "${@:4}" "$1"; }
reserve() { sg_persist -n --out --reserve --param-rk="$2" --prout-type="$3" "$1"; }
release() { sg_persist -n --out --release --param-rk="$2" --prout-type="$3" "$1"; }
reservations() { sg_persist -n --in "$2" "$1"; }
# Whatever is pending is told and forgotten.
settle_attention() { local n; for n in 1 2 3 4; do ready_unit "$1" > /dev/null 2>&1 && return; done; true; }

# access NAME DEVICE: what the nexus may do now.
access() {
  step "$1 is told" ready_unit "$2"
  step "$1 reads" reads "$2"
  step "$1 writes" writes "$2"
  step "$1 flushes" flushes "$2"
  step "$1 asks for the capacity (10)" sg_raw -r 8 "$2" 25 00 00 00 00 00 00 00 00 00
  step "$1 asks for the capacity (16)" sg_raw -r 32 "$2" 9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00
  step "$1 senses modes" sg_raw -r 4 "$2" 1a 00 3f 00 04 00
  step "$1 asks for the LUNs" sg_raw -r 16 "$2" a0 00 00 00 00 00 00 00 00 10 00 00
  step "$1 unmaps nothing" sg_raw -s 8 -i /run/nothing "$2" 42 00 00 00 00 00 00 00 08 00
}

# reservation_walk A B: two nexuses of different initiators to one unit, nobody registered.
reservation_walk() {
  local a=$1 b=$2 type
  head -c 512 /dev/zero > /run/block
  printf '\0\6\0\0\0\0\0\0' > /run/nothing
  settle_attention "$a"; settle_attention "$b"
  shows "at first, keys" reservations "$a" --read-keys
  shows "at first, reservation" reservations "$a" --read-reservation
  shows "capabilities" reservations "$a" --report-capabilities
  step "reserving without a key" reserve "$a" 0xa 1
  step "releasing without a key" release "$a" 0xa 1
  step "clearing without a key" sg_persist -n --out --clear --param-rk=0xa "$a"
  step "registering with a wrong key" register "$a" 0xa 0xbad
  for type in 1 3 5 6 7 8; do type_walk "$a" "$b" $type; done
  preempt_walk "$a" "$b"
  spc2_walk "$a" "$b"
}

type_walk() {
  local a=$1 b=$2 t=$3
  step "type $t: A registers" register "$a" 0xa
  step "type $t: A reserves with a wrong key" reserve "$a" 0xbad "$t"
  step "type $t: A reserves" reserve "$a" 0xa "$t"
  step "type $t: A reserves again" reserve "$a" 0xa "$t"
  step "type $t: A reserves another type" reserve "$a" 0xa $((t == 1 ? 3 : 1))
  shows "type $t: reservation" reservations "$b" --read-reservation
  access "type $t: A, holder," "$a"
  access "type $t: B, unregistered," "$b"
  step "type $t: B registers" register "$b" 0xb
  access "type $t: B, registered," "$b"
  step "type $t: B reserves" reserve "$b" 0xb "$t"
  step "type $t: B releases" release "$b" 0xb "$t"
  shows "type $t: full status" reservations "$a" --read-full-status
  step "type $t: A releases another type" release "$a" 0xa $((t == 1 ? 3 : 1))
  step "type $t: A releases" release "$a" 0xa "$t"
  step "type $t: after the release B is told" ready_unit "$b"
  shows "type $t: no reservation" reservations "$a" --read-reservation
  step "type $t: A reserves once more" reserve "$a" 0xa "$t"
  step "type $t: A unregisters" register "$a" 0 0xa
  step "type $t: after the unregistering B is told" ready_unit "$b"
  shows "type $t: after the unregistering" reservations "$b" --read-reservation
  step "type $t: B clears" sg_persist -n --out --clear --param-rk=0xb "$b"
  shows "type $t: keys at the end" reservations "$a" --read-keys
  settle_attention "$a"; settle_attention "$b"
}

preempt_walk() {
  local a=$1 b=$2
  register "$a" 0xa > /dev/null 2>&1 || true; register "$b" 0xb > /dev/null 2>&1 || true
  step "preempt: A reserves" reserve "$a" 0xa 5
  step "preempt: B preempts A" sg_persist -n --out --preempt --param-rk=0xb --param-sark=0xa --prout-type=1 "$b"
  step "preempt: A is told" ready_unit "$a"
  step "preempt: A is told once" ready_unit "$a"
  shows "preempt: full status" reservations "$b" --read-full-status
  step "preempt: A writes" writes "$a"
  step "preempt: A comes back" sg_persist -n --out --register-ignore --param-sark=0xc "$a"
  step "preempt: A preempts and aborts B" sg_persist -n --out --preempt-abort --param-rk=0xc --param-sark=0xb --prout-type=3 "$a"
  step "preempt: B is told" ready_unit "$b"
  step "preempt: B reads" reads "$b"
  step "preempt: with no key" sg_persist -n --out --preempt --param-rk=0xc --param-sark=0 --prout-type=3 "$a"
  step "preempt: with an unknown key" sg_persist -n --out --preempt --param-rk=0xc --param-sark=0xdead --prout-type=3 "$a"
  step "preempt: A clears" sg_persist -n --out --clear --param-rk=0xc "$a"
  settle_attention "$a"; settle_attention "$b"
  register "$a" 0xa > /dev/null 2>&1 || true; register "$b" 0xb > /dev/null 2>&1 || true
  reserve "$a" 0xa 7 > /dev/null 2>&1 || true
  step "preempt: all registrants by key zero" sg_persist -n --out --preempt --param-rk=0xb --param-sark=0 --prout-type=8 "$b"
  step "preempt: of all registrants A is told" ready_unit "$a"
  shows "preempt: all registrants" reservations "$b" --read-full-status
  step "preempt: the end" sg_persist -n --out --clear --param-rk=0xb "$b"
  settle_attention "$a"; settle_attention "$b"
}

spc2_walk() {
  local a=$1 b=$2
  step "RESERVE (6) by A" sg_raw "$a" 16 00 00 00 00 00
  step "RESERVE (6): A writes" writes "$a"
  access "RESERVE (6): B" "$b"
  step "RESERVE (6) by B" sg_raw "$b" 16 00 00 00 00 00
  step "RELEASE (6) by B" sg_raw "$b" 17 00 00 00 00 00
  step "RESERVE (6): B registers" register "$b" 0xb
  step "RELEASE (6) by A" sg_raw "$a" 17 00 00 00 00 00
  step "RELEASE (6): B writes" writes "$b"
  step "with registrations: A registers" register "$a" 0xa
  step "with registrations: RESERVE (6)" sg_raw "$a" 16 00 00 00 00 00
  step "with a reservation: A reserves" reserve "$a" 0xa 5
  step "with a reservation: RESERVE (6) by A" sg_raw "$a" 16 00 00 00 00 00
  step "with a reservation: RESERVE (6) by B" sg_raw "$b" 16 00 00 00 00 00
  step "with a reservation: RELEASE (6) by A" sg_raw "$a" 17 00 00 00 00 00
  step "SPC-2: A clears" sg_persist -n --out --clear --param-rk=0xa "$a"
  settle_attention "$a"; settle_attention "$b"
}

# access_state_walk DEVICE: sets every state of the group through which the disk was found, by SET TARGET PORT GROUPS.
access_state_walk() {
  local device=$1 group state
  settle_attention "$device"
  shows "groups" sg_rtpg -d "$device"
  group=$(sed -n 's/.*target port group id : 0x\([0-9a-f]*\).*/\1/p' /run/step | head -n 1)
  for state in --optimized --active --standby --unavailable --active --optimized; do
    step "set ${state#--}" sg_stpg "$state" --tp=0x"$group" "$device"
    settle_attention "$device"
    access "${state#--}:" "$device"
    step "${state#--}: the groups" sg_rtpg -d "$device"
    sed -n "s/.*asymmetric access state : \(.*\)/  ${state#--}| \1/p" /run/step | head -n 1
    step "${state#--}: identity" sg_raw -r 96 "$device" 12 00 00 00 60 00
  done
  step "set offline" sg_stpg --offline --tp=0x"$group" "$device"
  step "set a group that is not there" sg_stpg --active --tp=0x7777 "$device"
  step "set optimized at the end" sg_stpg --optimized --tp=0x"$group" "$device"
  settle_attention "$device"
}
