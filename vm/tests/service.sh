# vm: --systemd --timeout 600 --mem 1024 --add systemd
# felio as a service of Debian's systemd, process 1 of this machine, by the units of packages as they are: what it may, what systemd knows of it,
# and an ext4 in use that notices neither a restart, nor a kill, nor a hang.
. /host/lib.sh
. /host/walks.sh

TPG=/iscsi/$IQN/tpg1
shown() { systemctl show --value --property="$1" felio.service; }
is_now() { [ "$(shown "$1")" = "$2" ]; }
journal() { journalctl --quiet --no-pager --output=cat --unit=felio.service; }
logged_in() { [ "$(cat /sys/class/iscsi_session/session*/state)" = LOGGED_IN ]; }
# sg_persist is told of what has happened to the unit before it is answered.
keys() { sg_turs "$disk" > /dev/null 2>&1 || true; sg_persist --no-inquiry --in --read-reservation "$disk" | grep -oE 'Key=.*|type: .*' | xargs; }
has_keys() { [ "$(keys)" = "$reserved" ]; }

# survives WHAT: systemd has another felio in place of `pid`, and nobody else has noticed.
survives() {
  eventually 60 is_now ActiveState active
  local now
  now=$(shown MainPID)
  holds "another process after $1" "$now" != "$pid"
  pid=$now
  eventually 60 logged_in
  still_loaded
  eventually 30 has_keys
  say "$1: the initiator is back"
}

say "the units"
mkdir -p /var/target
is "process 1" "$(cat /proc/1/comm)" systemd
cp /host/felio /usr/bin/felio
ln -s felio /usr/bin/targetcli
cp /host/felio.s* /usr/lib/systemd/system/
systemctl daemon-reload
journalctl --quiet --no-pager --output=cat --follow --unit=felio.service > /run/felio.err & journal=$!
systemctl --quiet enable --now felio.socket felio.service
is "after the start" "$(shown ActiveState) $(shown SubState)" 'active running'
is "what systemd has to say about the units" "$(systemd-analyze verify --man=no felio.service felio.socket 2>&1)" ''
exposure=$(systemd-analyze security --no-pager felio.service | sed -n 's/.*level for felio.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
holds "the exposure level in tenths" "$exposure" -lt 30
pid=$(shown MainPID)
is "its folders" "$(stat -c '%a %n' /etc/felio /var/lib/felio /run/felio /run/felio/felio.sock | xargs)" \
  '700 /etc/felio 700 /var/lib/felio 755 /run/felio 600 /run/felio/felio.sock'

say "disks"
for folder in /var/lib /var/target /var/tmp; do
  exits 0 targetcli /backstores/fileio create there $folder/there.img 1M
  exits 0 targetcli /backstores/fileio delete there
done
exits 1 targetcli /backstores/fileio create there /home/there.img 1M
has "why it cannot be in a home" "$(cat /run/said)" 'allow-path'
modprobe scsi_debug dev_size_mb=16 add_host=2
eventually 20 test -b /dev/sdb
exits 0 targetcli /backstores/fileio create disk /srv/disk.img 64M
# udev holds such a lock, too, while it looks at a device.
udevadm settle
flock --shared /dev/sda sleep 1 & holder=$!
is_locked() { ! flock --nonblock --exclusive /dev/sda true; }
eventually 5 is_locked
exits 0 targetcli /backstores/block create device /dev/sda
wait $holder
exits 0 targetcli /iscsi create $IQN
exits 0 targetcli $TPG set attribute generate_node_acls=1 demo_mode_write_protect=0
for storage in fileio/disk block/device; do exits 0 targetcli $TPG/luns create /backstores/$storage; done
is "what it says of itself" "$(shown StatusText)" 'Serving 2 disks in 1 target at 1 portal'
is "sockets that are kept" "$(shown NFileDescriptorStore)" 2

say "an initiator"
discover
login
eventually 30 find_device vmrun 1
dd if=/dev/urandom of=/run/blocks bs=64k count=16 status=none
dd if=/run/blocks of="$device" bs=64k oflag=direct status=none
is "what the device has" "$(dd if=/dev/sda bs=64k count=16 iflag=direct status=none | sha256sum)" "$(sha256sum < /run/blocks)"
eventually 30 find_device vmrun 0; disk=$device
mkfs.ext4 -q -F "$disk"
mount "$disk" /mnt
exits 0 sg_persist --no-inquiry --out --register --param-sark=0xa --param-aptpl "$disk"
exits 0 sg_persist --no-inquiry --out --reserve --param-rk=0xa --prout-type=5 "$disk"
reserved=$(keys)
has "who holds it" "$reserved" '0xa'

say "a reload"
load_start --directory=/mnt --size=2M
sed -i 's/"login_timeout": 15/"login_timeout": 20/' /etc/felio/saveconfig.json
systemctl reload felio.service
reloaded() { journal | grep -q '^reloaded: '; }
eventually 30 reloaded
has "what was taken up" "$(targetcli $TPG get attribute login_timeout)" 'login_timeout=20'
eventually 30 is_now ActiveState active
is "the process after a reload" "$(shown MainPID)" "$pid"
still_loaded

say "a session that is ended by hand"
logins() { journal | grep -c '^login: '; }
more_logins_than() { [ "$(logins)" -gt "$1" ]; }
before=$(logins)
sid=$(targetcli sessions | sed -n 's/.*sid: \([0-9]*\) type: Normal.*/\1/p')
exits 0 targetcli sessions end "$sid"
has "what is said of it" "$(cat /run/said)" 'is asked to log out'
eventually 60 more_logins_than "$before"
eventually 60 logged_in
still_loaded
eventually 30 has_keys

say "a device of the host, which felio has given up the right to"
exits 0 targetcli /backstores/pscsi create scsi /dev/sdb
has "what is said of it" "$(cat /run/said)" 'systemctl restart'
has "and shown" "$(targetcli /backstores/pscsi ls)" 'systemctl restart'

# Nobody has the patience for 90 s here.
mkdir -p /run/systemd/system/felio.service.d
printf '[Service]\nWatchdogSec=10\n' > /run/systemd/system/felio.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart felio.service
survives "a restart"
lacks "the device" "$(targetcli /backstores/pscsi ls)" 'systemctl restart'
is "CAP_SYS_RAWIO of a felio with such a device" "$((0x$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status") >> 17 & 1))" 1

kill -9 "$pid"
# Nobody but systemd has the portal now.
exits 0 bash -c "exec 9<> /dev/tcp/${PORTAL/:/\/}"
survives "a kill"

kill -STOP "$pid"
other() { [ "$(shown NRestarts)" = 2 ]; }
eventually 60 other
survives "a hang"
has "why it was restarted" "$(journal)" 'Watchdog timeout'

say "the end"
load_stop
umount /mnt
systemctl --quiet stop felio.service
is "after the stop" "$(shown ActiveState) $(shown Result) $(shown ExecMainStatus)" 'inactive success 0'
has "the journal" "$(journal)" '^stopping: '
has "the journal" "$(journal)" '^login: '
is "what is in the audit log that was refused" "$(jq -r 'select(.outcome != "done") | .outcome.refused.kind' /var/lib/felio/audit.log)" invalid
has "the audit log" "$(cat /var/lib/felio/audit.log)" '"create_lun".*"outcome":"done"'
# Whoever asks starts it.
exits 0 targetcli /iscsi ls
is "after somebody has asked" "$(shown ActiveState)" active
eventually 60 logged_in
exits 0 fsck.ext4 -fn "$disk"
logout
no_kernel_errors
systemctl stop felio.socket felio.service
is "what failed" "$(systemctl --failed --no-legend --plain | grep felio || true)" ''
kill $journal
say "all facts hold"
