# Sourced by the tests, in the guest: . /host/lib.sh
#
# A test is a list of facts; the first that does not hold ends it with what was
# seen. felio runs in the guest too, so that it can be killed or cut off.
set -euE -o pipefail
trap 'failed "$BASH_COMMAND"' ERR

IQN=iqn.2026-01.io.felio:vm
PORTAL=127.0.0.1:3260
boot=$(cat /run/vmrun/boot)

# A copy: the share is slow to run programs from.
[ -x /root/felio ] || cp /host/felio /root/felio

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# $1: what was expected. Says where, what felio and the kernel said, and ends.
failed() {
  trap - ERR
  {
    echo "FAILED: $1"
    local depth=0
    while caller $depth; do depth=$((depth + 1)); done | sed 's/^/  at line /'
    [ ! -s /run/felio.err ] || { echo "felio's last words:"; tail -n 20 /run/felio.err; }
    echo "the kernel's:"; dmesg | tail -n 20
  } >&2
  exit 1
}

# is WHAT GOT WANT: the same text.
is() { [ "$2" = "$3" ] || failed "$1: got '$2', want '$3'"; }

# holds WHAT TEST-ARGUMENTS...: `holds "blocks" "$n" -gt 5`.
holds() { local what=$1; shift; [ "$@" ] || failed "$what: not so: $*"; }

# has WHAT TEXT PATTERN: the text has a line that matches.
has() { grep -Eq -- "$3" <<< "$2" || failed "$1: no line matches '$3' in:
$2"; }

# lacks WHAT TEXT PATTERN: it has none.
lacks() { ! grep -Eq -- "$3" <<< "$2" || failed "$1: '$3' is in:
$2"; }

# exits STATUS COMMAND...: the command ends with this status. Its output is in /run/said.
exits() {
  local want=$1 got=0
  shift
  "$@" > /run/said 2>&1 || got=$?
  [ "$got" = "$want" ] || failed "exit status of $*: got $got, want $want; it said:
$(cat /run/said)"
}

# eventually SECONDS COMMAND...: the command succeeds within that time.
eventually() {
  local until=$((SECONDS + $1))
  shift
  until "$@" > /run/said 2>&1; do
    [ "$SECONDS" -lt "$until" ] || failed "in time: $*
$(cat /run/said)"
    sleep 0.1
  done
}

# ------------------------------------------------------------------ felio
# felio_start ARGS...: `felio export ARGS`, ready. `felio_in` may hold a prefix
# such as `ip netns exec target`.
felio_in=()
felio_start() {
  : > /run/felio.out
  "${felio_in[@]}" /root/felio export --iqn $IQN --json "$@" > /run/felio.out 2>> /run/felio.err &
  felio=$!
  eventually 30 felio_said_something
  is "felio's first event" "$(ready .event)" ready
  is "the target's name" "$(ready .target)" $IQN
}

felio_said_something() {
  kill -0 $felio || failed "felio runs; it ended"
  [ "$(head -n 1 /run/felio.out | tail -c 2)" = "}" ]
}

# ready FILTER: a field of felio's first line, such as .luns[0].serial.
ready() { head -n 1 /run/felio.out | jq -r "$1"; }

felio_kill() {
  kill -9 $felio
  wait $felio 2>/dev/null || true
}

# The graceful end: exit status 0, within a deadline.
felio_stop() {
  kill -TERM $felio
  eventually 30 felio_is_gone
  local status=0
  wait $felio || status=$?
  is "felio's exit status after SIGTERM" $status 0
}

felio_is_gone() { ! kill -0 $felio; }

# -------------------------------------------------------------- open-iscsi
# setting NAME VALUE: a default of open-iscsi, for what is discovered from now on.
setting() { echo "$1 = $2" >> /etc/iscsi/iscsid.conf; }

# node NAME VALUE: a setting of the node records.
node() { iscsiadm -m node -T $IQN -o update -n "$1" -v "$2"; }

discover() {
  pgrep -x iscsid > /dev/null || iscsid
  iscsiadm -m discovery -t sendtargets -p "${1:-$PORTAL}" > /run/discovered
  is "the target that was discovered" "$(awk '{ print $2 }' /run/discovered | sort -u)" $IQN
}

login() { iscsiadm -m node -T $IQN --login > /dev/null; }

logout() { iscsiadm -m node -T $IQN --logout > /dev/null; }

# wait_for_disk LUN [N]: sets `disk` to the device of the LUN, in the N-th session (1).
wait_for_disk() { eventually 30 find_disk "$@"; }

find_disk() {
  local path count=0
  for path in /sys/block/sd*; do
    case $(readlink "$path/device") in
      *:"$1") count=$((count + 1)); [ $count != "${2:-1}" ] || { disk=/dev/${path##*/}; [ -b "$disk" ]; return; } ;;
    esac
  done
  return 1
}

# The kernel met no error: none from a disk, a filesystem, or itself.
no_kernel_errors() {
  lacks "the kernel's log" "$(dmesg)" \
    'I/O error|EXT4-fs (error|warning)|XFS .*([Ee]rror|[Cc]orrupt|Shutdown)|JBD2: (Error|Detected)|Sense Key|UNKNOWN\(0x|rejecting I/O|offline device|blocked for more than|WARNING:|BUG:|Call Trace|task abort|reset failed'
}

# ------------------------------------------------------------------- data
# allocated FILE: bytes the file holds on its filesystem.
allocated() { echo $(($(stat -c '%b * %B' "$1"))); }

# fill BYTES CHARACTER: that many of it.
fill() { head -c "$1" /dev/zero | tr '\0' "$2"; }

# fio_verify OPTIONS...: random writes through four jobs, each block read back and its checksum compared.
fio_verify() {
  fio --name=verify --numjobs=4 --iodepth=16 --ioengine=libaio --direct=1 --rw=randwrite --bs=8k \
    --verify=crc32c --verify_fatal=1 --group_reporting --output-format=terse "$@" > /run/fio.out 2>&1 ||
    failed "fio finds what it wrote; it said:
$(cat /run/fio.out)"
}

# load_start OPTIONS...: fio_verify again and again, in the background, until load_stop.
load_start() {
  rm -f /run/enough
  { until [ -e /run/enough ]; do fio_verify --verify_backlog=256 "$@"; done; } & load=$!
}

still_loaded() { kill -0 $load || failed "fio is still at work; it said: $(cat /run/fio.out)"; }

# Ends the load. It must have found all that it wrote.
load_stop() {
  touch /run/enough
  wait $load
}
