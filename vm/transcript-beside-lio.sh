# vm: --timeout 1500 --mem 1280 --add targetcli-fb --add python3-dbus --add dbus
# The same commands to Debian's targetcli-fb on the kernel's own target and on felio, below `felio compat`: what it says, and what it
# saves. Where the two differ, transcript-differences.txt must say why. Then how long a command takes where there is much.
. /host/lib.sh

DIR=/srv PORT=3260
mkdir -p $DIR
sed -n 's/^> //p' /host/targetcli.txt | sed "s|DIR|$DIR|g; s|PORT|$PORT|g" > /run/typed

# talk NAME WRAPPER...: has targetcli do what was typed. /run/NAME then has a line for each that it said, behind the command, and for each
# value that it saved.
talk() {
  local name=$1; shift
  rm -f $DIR/*
  PYTHONUNBUFFERED=1 "$@" targetcli < /run/typed > /run/said 2>&1 || failed "targetcli: $(tail -n 20 /run/said)"
  DIR=$DIR PORT=$PORT perl -e '
    open(my $typed, "<", "/run/typed"); my @typed = map { chomp; $_ } <$typed>;
    local $/; open(my $said, "<", "/run/said"); my (undef, @answers) = split m{/> }, <$said>;
    for my $command (@typed) {
      for (split /\n/, shift(@answers) // "nothing") {
        s/\Q$ENV{DIR}\E/DIR/g; s/\b$ENV{PORT}\b/PORT/g; s/\.{4,}/.../g; s/alias: .*/alias: …/; s/\s+$//;
        print "$command | $_\n";
      }
    }' > "/run/$name"
  jq -r 'def title: if type == "object" then .name // .tag // .index // .node_wwn // .wwn // .ip_address else . end;
    def flat: if type == "object" and length > 0 then to_entries[] | .key as $key | .value | flat | "/\($key)\(.)"
      elif type == "array" and length > 0 then .[] | title as $title | flat | "/\($title)\(.)"
      else " = \(tojson)" end;
    flat | "saved | \(.)"' $DIR/saved.json | sed "s|$DIR|DIR|g; s|/alias = .*|/alias = …|" | sort >> "/run/$name"
  cp "/run/$name" /run/said $DIR/saved.json /run/vmrun/
  say "$name: $(wc -l < /run/typed) commands, $(wc -l < "/run/$name") lines"
}

say "the kernel's target"
mkdir -p /etc/{target,rtslib-fb-target}/{pr,alua} /var/target/{pr,alua} /run/dbus /root/.targetcli
grep -q messagebus /etc/passwd || echo 'messagebus:x:100:100::/nonexistent:/bin/false' >> /etc/passwd
pgrep -x dbus-daemon > /dev/null || dbus-daemon --system --fork --nopidfile
mountpoint -q /sys/kernel/config || { modprobe configfs; mount -t configfs cfg /sys/kernel/config; }
talk lio env

say "felio"
modprobe fuse
/root/felio daemon --json --config /root/felio.json --socket /run/felio.socket --state-dir /root/state > /run/felio.out 2> /run/felio.err & felio=$!
eventually 30 felio_said_something
compat() { /root/felio compat --socket /run/felio.socket -- "$@"; }
talk felio compat

# A line of the list: pattern of what was typed, a bar, and of a line of the answer :: why.
diff --old-line-format='LIO:   %L' --new-line-format='felio: %L' --unchanged-line-format= /run/lio /run/felio > /run/differences || true
unlisted=0
while IFS= read -r line; do
  if why=$(awk -F' *:: *' -v line="${line#*: *}" '!/^#/ && NF >= 2 { sub(/^ +/, "", line); if (line ~ "^" $1 "$") { print $2; exit } }' /host/transcript-differences.txt) && [ -n "$why" ]; then
    echo "$line :: $why"
  else
    unlisted=$((unlisted + 1))
    echo "NOT LISTED: $line"
  fi
done < /run/differences > /run/vmrun/differences
cat /run/vmrun/differences
is "differences that transcript-differences.txt does not list" $unlisted 0

# many WRAPPER...: 100 targets of ten LUNs each, made as LIO's tools make them.
cat > /run/many << 'END'
cd /sys/kernel/config/target
mkdir -p core/rd_mcp_0 iscsi
for disk in $(seq 0 9); do
  mkdir core/rd_mcp_0/many$disk
  echo rd_pages=1024,rd_nullio=1 > core/rd_mcp_0/many$disk/control
  echo 1 > core/rd_mcp_0/many$disk/enable
done
for target in $(seq 100 199); do
  tpg=iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:many$target/tpgt_1
  mkdir -p $tpg
  for disk in $(seq 0 9); do
    mkdir $tpg/lun/lun_$disk
    ln -s core/rd_mcp_0/many$disk $tpg/lun/lun_$disk/many 2> /dev/null ||
      ln -s /sys/kernel/config/target/core/rd_mcp_0/many$disk $tpg/lun/lun_$disk/many
  done
done
END
# took COMMAND...: seconds.
took() { local from=$EPOCHREALTIME; "$@" > /run/said 2>&1 || failed "$*: $(tail -n 20 /run/said)"; echo "$EPOCHREALTIME $from" | awk '{ printf "%.1f s", $1 - $2 }'; }
ONE=/iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:many150/tpg1
for place in env compat; do
  say "$place: 100 targets of ten LUNs made in $(took $place bash /run/many)"
  say "$place: targetcli ls: $(took $place targetcli ls)"
  say "$place: targetcli $ONE/luns ls: $(took $place targetcli $ONE/luns ls)"
  say "$place: targetcli $ONE set attribute authentication=0: $(took $place targetcli $ONE set attribute authentication=0)"
done
say "felio shell, ls: $(took /root/felio shell --socket /run/felio.socket ls)"
kill $felio
say "all facts hold"
