# Runs in mount and PID namespaces of its own: bash under-systemd.sh FELIO UNITS FOLDER
#
# A systemd for one user runs felio by the units of packages. What such a systemd may not do in a container (file systems of its own for a
# service) is left out of the unit, and its places are in FOLDER. The first fact that does not hold ends it.
set -eu -o pipefail
felio=$1 units=$2 folder=$3
socket=$folder/run/felio.sock
export XDG_RUNTIME_DIR=$folder/run XDG_CONFIG_HOME=$folder/config TARGETCLI_HOME=$folder/home HOME=$folder
own=$XDG_CONFIG_HOME/systemd/user
mkdir -p "$XDG_RUNTIME_DIR" "$own"
trap 'echo "FAILED: $BASH_COMMAND"; tail -n 20 "$folder/said"' ERR
is() { [ "$2" = "$3" ] || { echo "FAILED: $1: got '$2', want '$3'"; tail -n 20 "$folder/said"; exit 1; }; }
soon() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; echo "FAILED: never: $*"; exit 1; }

sed -e "s#/usr/bin/felio daemon#$felio daemon --config $folder/saveconfig.json --socket $socket --state-dir $folder/state#" \
  -e 's/^WatchdogSec=.*/WatchdogSec=4/' -e 's/^RestartSec=.*/RestartSec=2/' -e '/network-online/d' -e '/^LimitNOFILE/d' \
  -e '/^\(State\|Configuration\|Runtime\)Directory/d' -e '/^Protect/d' -e '/^ProcSubset/d' -e '/^ReadWritePaths/d' -e '/^Also/d' \
  -e "/^\[Service\]/a StandardOutput=append:$folder/said\nStandardError=append:$folder/said" "$units/felio.service" > "$own/felio.service"
sed -e "s#/run/felio/felio.sock#$socket#" "$units/felio.socket" > "$own/felio.socket"

touch "$folder/said"
mount -t tmpfs run /run
mkdir -p /run/systemd/system
/lib/systemd/systemd --user > "$folder/log" 2>&1 &
is_up() { systemctl --user list-units > /dev/null 2>&1; }
soon is_up
shown() { systemctl --user show --value --property="$1" felio.service; }
is_now() { [ "$(shown "$1")" = "$2" ]; }
targetcli() { "$felio" shell --socket "$socket" "$@"; }

systemctl --user start felio.service
is "after the start" "$(shown ActiveState)" active
targetcli /iscsi set global auto_add_default_portal=false > /dev/null
targetcli /iscsi create iqn.2026-01.io.felio:t > /dev/null
# A port that nobody else has: this network is ours alone.
ip link set lo up
targetcli /iscsi/iqn.2026-01.io.felio:t/tpg1/portals create 127.0.0.1 3260 > /dev/null
is "what it says of itself" "$(shown StatusText)" 'Serving 0 disks in 1 target at 1 portal'
is "sockets that are kept" "$(shown NFileDescriptorStore)" 2
pid=$(shown MainPID)
is "system calls" "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$pid/status")" 2
systemctl --user reload felio.service
reloaded() { grep -q ^reloaded "$folder/said"; }
soon reloaded
soon is_now ActiveState active
is "the process after a reload" "$(shown MainPID)" "$pid"

kill -STOP "$pid"
other() { [ "$(shown MainPID)" != "$pid" ]; }
soon other
is "how it ended" "$(shown Result) $(shown SubState)" 'watchdog auto-restart'
# Nobody but systemd has the portal now.
(exec 9<> /dev/tcp/127.0.0.1/3260)
soon is_now ActiveState active
is "restarts" "$(shown NRestarts)" 1
targetcli /iscsi ls > /dev/null

systemctl --user stop felio.service
is "after the stop" "$(shown ActiveState) $(shown Result)" 'inactive success'
systemctl --user start felio.socket
is "before anybody asks" "$(shown ActiveState)" inactive
targetcli /iscsi ls > /dev/null
is "after somebody has asked" "$(shown ActiveState)" active
systemctl --user restart felio.service
targetcli /iscsi ls > /dev/null
systemctl --user stop felio.socket felio.service
echo "all facts hold"
