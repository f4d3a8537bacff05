//! LIO's own tools, unmodified, on a felio daemon: Debian's targetcli-fb and rtslib-fb through `felio compat`.
//!
//! They need root, /dev/fuse and Debian's packages targetcli-fb, dbus and libiscsi-bin: where these are not, the tests fail.

use crate::common::Felio;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A daemon, and the bus that targetcli looks for handlers on.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) felio: Felio,
    bus: Bus,
    pub(crate) port: u16,
}

/// A bus of messages, ended when dropped.
struct Bus(String);

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.0).status();
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.args(["daemon", "--json", "--config"]).arg(path("config.json"));
        command.arg("--socket").arg(path("socket")).arg("--state-dir").arg(path("state"));
        let felio = Felio::launch(command);
        let bus = Command::new("dbus-daemon")
            .args(["--session", "--fork", "--print-pid=1"])
            .arg(format!("--address=unix:path={}", path("bus").display()))
            .output()
            .expect("dbus-daemon is there");
        let bus = Bus(String::from_utf8_lossy(&bus.stdout).trim().to_owned());
        // Nobody listens there for now, and somebody else only by bad luck.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback").port();
        Self { folder, felio, bus, port }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command below `felio compat`, with this on its standard input; what it says, failures in their place.
    fn compat(&self, words: &[&str], input: &str) -> Output {
        assert!(!self.bus.0.is_empty(), "the bus runs");
        // Nothing that hangs keeps the test from its end.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", "300", env!("CARGO_BIN_EXE_felio"), "compat", "--socket"]);
        command.arg(self.path("socket")).args(["--", "sh", "-c", r#"exec "$@" 2>&1"#, "sh"]).args(words);
        command.env("TARGETCLI_HOME", self.folder.path()).env("PYTHONUNBUFFERED", "1");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", self.path("bus").display()));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("timeout is there");
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    #[track_caller]
    pub(crate) fn succeed(&self, words: &[&str]) -> String {
        let done = self.compat(words, "");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{words:?}: {said}");
        said
    }

    fn json(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(name)).expect("it was saved");
        sorted(serde_json::from_str(&text).expect("JSON"))
    }

    /// What is typed in a kept transcript, typed into a program: it says what is kept.
    pub(crate) fn transcript(&self, program: &[&str], kept: &str) {
        let file = format!("{}/tests/it/compat/{kept}", env!("CARGO_MANIFEST_DIR"));
        let want = fs::read_to_string(&file).expect("a transcript");
        let typed: Vec<&str> = want.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        let folder = self.folder.path().display().to_string();
        let input = typed.join("\n").replace("DIR", &folder).replace("PORT", &self.port.to_string());
        let done = self.compat(program, &(input + "\n"));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}");
        // An answer stands behind each prompt.
        let answers = said.split("/> ").skip(1);
        let got: String = typed
            .iter()
            .zip(answers)
            .map(|(typed, answer)| format!("> {typed}\n{}", self.plain(answer)))
            .collect();
        if std::env::var_os("FELIO_REWRITE").is_some() {
            return fs::write(file, &got).expect("the transcript can be written");
        }
        for (number, (got, want)) in got.lines().zip(want.lines()).enumerate() {
            assert_eq!(got, want, "{kept}, line {}", number + 1);
        }
        assert_eq!(got.lines().count(), want.lines().count());
    }

    /// What an initiator of libiscsi says.
    pub(crate) fn initiator(&self, words: &[&str]) -> String {
        let done = Command::new("timeout").arg("60").args(words).output().expect("libiscsi-bin is there");
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
    }

    /// A saying of targetcli without what differs from one run to the next. Dots fill lines up.
    fn plain(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let mut text = text.replace(&folder, "DIR").replace(&self.port.to_string(), "PORT");
        while text.contains("....") {
            text = text.replace("....", "...");
        }
        let line = |line: &str| match line.split_once("alias: ") {
            Some((before, _)) => format!("{before}alias: …\n"),
            None => format!("{}\n", line.trim_end()),
        };
        text.lines().map(line).collect()
    }
}

/// The order of lists is that of folders, which means nothing.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, sorted(value))).collect(),
        other => other,
    }
}

#[test]
fn targetcli_does_and_says_what_it_does_with_lio() {
    let place = Place::new();
    place.transcript(&["targetcli"], "targetcli.txt");
    place.felio.stop();
}

#[test]
fn targetctl_saves_clears_and_restores_and_an_initiator_finds_the_disk() {
    let place = Place::new();
    let (disk, port) = (place.path("disk.img"), place.port.to_string());
    let name = "iqn.2003-01.org.linux-iscsi.host.x8664:sn.2";
    let tpg = format!("/iscsi/{name}/tpg1");
    let script = [
        "set global auto_save_on_exit=false".to_owned(),
        "set global auto_add_default_portal=false".to_owned(),
        format!("/backstores/fileio create disk {} 16M", disk.display()),
        format!("/iscsi create {name}"),
        format!("{tpg}/portals create 127.0.0.1 {port}"),
        format!("{tpg}/luns create /backstores/fileio/disk"),
        format!("{tpg} set attribute generate_node_acls=1 demo_mode_write_protect=0"),
        format!("{tpg}/acls create iqn.1994-05.com.redhat:a"),
    ];
    let done = place.compat(&["targetcli"], &(script.join("\n") + "\n"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let [first, second] = ["first.json", "second.json"].map(|name| place.path(name).display().to_string());
    place.succeed(&["targetctl", "save", &first]);
    place.succeed(&["targetctl", "clear"]);
    assert!(!place.succeed(&["targetcli", "ls"]).contains(name));
    place.succeed(&["targetctl", "restore", &first]);
    place.succeed(&["targetctl", "save", &second]);
    assert_eq!(place.json("first.json"), place.json("second.json"));
    let found = place.initiator(&["iscsi-ls", &format!("iscsi://127.0.0.1:{port}")]);
    assert!(found.contains(name), "{found}");
    let inquiry = place.initiator(&["iscsi-inq", &format!("iscsi://127.0.0.1:{port}/{name}/0")]);
    assert!(inquiry.contains("Product:disk"), "{inquiry}");
    place.felio.stop();
}

#[test]
fn rtslib_makes_a_volume_as_cinder_does_and_its_initiator_logs_in() {
    let place = Place::new();
    let (folder, port) = (place.folder.path().display().to_string(), place.port.to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/compat/rtslib.py");
    let run = |words: &[&str]| {
        let fixed = ["/usr/bin/python3", script, words[0], &folder, &port];
        place.succeed(&[&fixed, &words[1..]].concat())
    };
    run(&["create"]);
    run(&["add-initiator", "iqn.1994-05.com.redhat:second"]);
    run(&["save"]);
    let saved = place.json("volumes.json");
    assert_eq!(saved["targets"][0]["tpgs"][0]["node_acls"].as_array().map(Vec::len), Some(2), "{saved}");
    let name = "iqn.2010-10.org.openstack:volume-1";
    let url = format!("iscsi://cinder%secret1234567@127.0.0.1:{port}/{name}/0");
    let inquiry = place.initiator(&["iscsi-inq", "-i", "iqn.1994-05.com.redhat:second", &url]);
    assert!(inquiry.contains("Vendor:"), "{inquiry}");
    let stranger = place.initiator(&["iscsi-inq", "-i", "iqn.1994-05.com.redhat:third", &url]);
    assert!(!stranger.contains("Vendor:"), "{stranger}");
    run(&["delete"]);
    run(&["save"]);
    assert_eq!(place.json("volumes.json")["targets"], Value::Array(Vec::new()));
    place.felio.stop();
}

#[test]
fn the_exit_code_is_the_commands_and_the_host_keeps_what_it_has() {
    let place = Place::new();
    assert_eq!(place.compat(&["sh", "-c", "exit 7"], "").status.code(), Some(7));
    assert_eq!(place.compat(&["sh", "-c", "kill -9 $$"], "").status.code(), Some(137));
    let seen =
        place.succeed(&["sh", "-c", "mountpoint -q /sys/kernel/config && ls /sys/kernel/config/target"]);
    assert_eq!(seen, "core\ndbroot\nversion\n");
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("mounts").contains("fuse.configfs"));
    place.felio.stop();
}

#[test]
fn what_others_remove_and_make_again_is_seen_at_once() {
    let place = Place::new();
    let script = r#"
        felio=$1; export FELIO_SOCKET=$2; cd /sys/kernel/config/target; disk=core/rd_mcp_0/rd
        gone() { [ ! -e $disk/attrib/block_size ] && [ ! -d $disk ] && ! cat $disk/enable && ! ls $disk; }
        $felio shell /backstores/ramdisk create rd 1M && cat $disk/attrib/block_size $disk/enable && ls $disk || exit 1
        $felio shell /backstores/ramdisk delete rd && gone || exit 2
        mkdir -p $disk && [ -d $disk ] && ls $disk && rmdir $disk core/rd_mcp_0 && gone || exit 3
        $felio shell /backstores/ramdisk create rd 1M && [ -e $disk/attrib/block_size ] || exit 4
        $felio shell /backstores/ramdisk/rd set attribute block_size=4096 || exit 5
        [ "$(cat $disk/attrib/block_size)" = 4096 ] || exit 6"#;
    let socket = place.path("socket").display().to_string();
    place.succeed(&["sh", "-c", script, "sh", env!("CARGO_BIN_EXE_felio"), &socket]);
    place.felio.stop();
}

/// What a mount has read it keeps, until somebody changes it: here with the file that tells of changes, and there by asking.
#[test]
fn what_a_mount_and_others_change_by_turns_is_read_as_it_was_changed_last() {
    let place = Place::new();
    let script = r#"
        felio=$1; export FELIO_SOCKET=$2; cd /sys/kernel/config/target
        name=iqn.2026-01.net.x:t; depth=iscsi/$name/tpgt_1/attrib/default_cmdsn_depth
        is() { [ "$(cat $depth)" = $1 ] || { echo "$(cat $depth), not $1"; exit 1; }; }
        mkdir -p iscsi/$name/tpgt_1/lun/lun_0 && echo 16 > $depth && is 16 || exit 2
        $felio shell /iscsi/$name/tpg1 set attribute default_cmdsn_depth=32 && is 32 || exit 3
        echo 48 > $depth && is 48 || exit 4
        ! echo 100000 > $depth && is 48 || exit 5
        $felio shell /backstores/ramdisk create rd 1M && $felio shell /iscsi/$name/tpg1/luns create /backstores/ramdisk/rd lun1
        [ -e core/rd_mcp_0/rd/enable ] && [ -d iscsi/$name/tpgt_1/lun/lun_0 ] && ls iscsi/$name/tpgt_1/lun | grep -qx lun_1 || exit 6
        ! rmdir core/rd_mcp_0/rd && is 48 || exit 7
        $felio shell / clearconfig confirm=True && ! cat $depth && ! [ -e core/rd_mcp_0/rd ] || exit 8
        mkdir -p iscsi/$name/tpgt_1 && is 64 && rmdir iscsi/$name/tpgt_1 iscsi/$name || exit 9"#;
    let socket = place.path("socket").display().to_string();
    let run = || place.succeed(&["sh", "-c", script, "sh", env!("CARGO_BIN_EXE_felio"), &socket]);
    run();
    fs::remove_file(place.path("socket.revision")).expect("it is beside the socket");
    run();
    place.felio.stop();
}
