# vm: --timeout 1500 --mem 1280 --add targetcli-fb --add python3-dbus --add dbus
# The same walks through reservations and access states before the kernel's own target and before felio. Where the two
# differ, lio-differences.txt must say so, and which clause says who is right.
. /host/lib.sh
. /host/walks.sh

LIO=iqn.2026-01.org.example:lio
initiator a
initiator b

# log_in TARGET PORTAL: sets `a` and `b`.
log_in() {
  iscsiadm -m discovery -t sendtargets -p "$2" -I a -I b > /dev/null
  iscsiadm -m node -T "$1" -p "$2" --login > /dev/null
  eventually 60 find_device a 0; a=$device
  eventually 60 find_device b 0; b=$device
}

log_out() {
  iscsiadm -m node --logout > /dev/null
  iscsiadm -m node -o delete
}

walk_all() { # FILE
  { reservation_walk "$a" "$b"; access_state_walk "$a"; } > "$1"
  say "walked $(wc -l < "$1") lines"
}

pgrep -x iscsid > /dev/null || iscsid
say "the kernel's target"
mkdir -p /etc/{target,rtslib-fb-target}/{pr,alua} /var/target/{pr,alua} /run/dbus /root/.targetcli
grep -q messagebus /etc/passwd || echo 'messagebus:x:100:100::/nonexistent:/bin/false' >> /etc/passwd
pgrep -x dbus-daemon > /dev/null || dbus-daemon --system --fork --nopidfile
mountpoint -q /sys/kernel/config || { modprobe configfs; mount -t configfs cfg /sys/kernel/config; }
targetcli > /run/said 2>&1 << END || failed "targetcli: $(cat /run/said)"
/backstores/fileio create f0 /tmp/f0.img 64M write_back=true
/iscsi create $LIO
/iscsi/$LIO/tpg1/luns create /backstores/fileio/f0
/iscsi/$LIO/tpg1 set attribute authentication=0 demo_mode_write_protect=0 generate_node_acls=1 cache_dynamic_acls=1
/backstores/fileio/f0 set attribute emulate_tpu=1
END
log_in $LIO 127.0.0.1:3260
walk_all /run/lio
log_out
targetcli clearconfig confirm=True > /run/said 2>&1 || true

say "felio"
felio_start /root/disk.img --size 64M --portal 127.0.0.1:3261 --state-dir /root/state
log_in $IQN 127.0.0.1:3261
walk_all /run/felio
log_out
felio_stop

# steps FILE: `STEP<tab>how it ended`, without what was printed.
steps() { sed -n '/^  .*| /!s/^\(.*\): \([^:]*\)$/\1\t\2/p' "$1" | sort; }
join -t $'\t' <(steps /run/lio) <(steps /run/felio) | awk -F'\t' '$2 != $3' > /run/differences
is "steps of both walks" "$(steps /run/felio | cut -f1 | md5sum)" "$(steps /run/lio | cut -f1 | md5sum)"

# A line of the list: pattern of the step :: why.
unlisted=0
while IFS=$'\t' read -r name theirs ours; do
  if why=$(awk -F' *:: *' -v name="$name" '!/^#/ && NF >= 2 && name ~ "^" $1 "$" { print $2; exit }' /host/lio-differences.txt) && [ -n "$why" ]; then
    echo "$name: LIO $theirs, felio $ours: $why"
  else
    unlisted=$((unlisted + 1))
    echo "NOT LISTED: $name: LIO $theirs, felio $ours"
  fi
done < /run/differences > /run/vmrun/differences
cat /run/vmrun/differences
cp /run/lio /run/vmrun/lio; cp /run/felio /run/vmrun/felio
is "differences that lio-differences.txt does not list" $unlisted 0
say "all facts hold"
