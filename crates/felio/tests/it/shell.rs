//! `felio shell` with a daemon: from the command line, from standard input, under the name targetcli.

use crate::common::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use tempfile::TempDir;

/// A daemon in a folder of its own; ended when dropped.
struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_felio"))
            .arg("daemon")
            .args([Path::new("--config"), &path("saveconfig.json"), Path::new("--socket"), &path("socket")])
            .args([Path::new("--state-dir"), &path("state")])
            .arg("--json")
            .stdout(Stdio::piped())
            .spawn()
            .expect("felio starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (ready, is_ready) = channel();
        std::thread::spawn(move || {
            let _ = ready.send(lines.any(|line| line.is_ok_and(|line| line.contains("\"ready\""))));
            lines.for_each(drop);
        });
        assert_eq!(is_ready.recv_timeout(PATIENCE), Ok(true), "the daemon does not serve");
        Self { child, folder }
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("FELIO_SOCKET", self.folder.path().join("socket"));
        command.env("TARGETCLI_HOME", self.folder.path().join("home"));
        command
    }

    /// `felio shell` with these words behind it.
    fn line(&self, words: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_felio")).arg("shell").args(words).output().expect("felio runs")
    }

    /// `felio shell` with this on its standard input.
    fn script(&self, text: &str) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_felio"));
        let command =
            command.arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("felio starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("felio reads");
        child.wait_with_output().expect("felio ends")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

#[track_caller]
fn says(output: &Output, code: i32, out: &str, err: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((text(&output.stdout), text(&output.stderr)), (out.to_owned(), err.to_owned()));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn a_line_of_the_command_line_is_carried_out_and_its_failure_is_the_programs() {
    let daemon = Daemon::start();
    let created = daemon.line(&["/backstores/ramdisk", "create", "name=rd", "size=1M"]);
    says(&created, 0, "Created ramdisk storage object rd with size 1048576.\n", "");
    let again = daemon.line(&["/backstores/ramdisk", "create", "rd", "1M"]);
    let why = "felio: /backstores/ramdisk/rd exists already\n  choose another name, or delete it first\n";
    says(&again, 1, "", why);
    says(&daemon.line(&["/backstores/ramdisk delete rd"]), 0, "Deleted storage object rd.\n", "");
}

#[test]
fn a_script_goes_on_after_a_failure_and_ends_well() {
    let daemon = Daemon::start();
    let own = daemon.folder.path().join("saveconfig.json");
    let output = daemon.script("cd /backstores/ramdisk\ncreate a 1M\ncreate a 1M\ndelete a\nexit\npwd\n");
    let out = format!(
        "Created ramdisk storage object a with size 1048576.\nDeleted storage object a.\nConfiguration saved to {}\n",
        own.display()
    );
    says(
        &output,
        0,
        &out,
        "/backstores/ramdisk/a exists already\n  choose another name, or delete it first\n",
    );
}

#[test]
fn preferences_outlast_the_program() {
    let daemon = Daemon::start();
    says(
        &daemon.line(&["/", "set", "global", "auto_save_on_exit=false", "auto_add_default_portal=false"]),
        0,
        "Parameter auto_save_on_exit is now 'false'.\nParameter auto_add_default_portal is now 'false'.\n",
        "",
    );
    let created = "Created target iqn.2024-01.org.example:a.\nCreated TPG 1.\n";
    says(&daemon.script("/iscsi create iqn.2024-01.org.example:a\n"), 0, created, "");
}

#[test]
fn under_the_name_targetcli_it_is_targetcli() {
    let daemon = Daemon::start();
    let link = daemon.folder.path().join("targetcli");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_felio"), &link).expect("a link");
    let output =
        daemon.command(&link).args(["--disable-daemon", "/iscsi", "ls"]).output().expect("felio runs");
    let dots = ".".repeat(77);
    says(&output, 0, &format!("o- iscsi {dots} [Targets: 0]\n"), "");
}

#[test]
fn files_are_those_of_the_folder_where_the_user_is() {
    let daemon = Daemon::start();
    daemon.line(&["/backstores/ramdisk", "create", "rd", "1M"]);
    let mut command = daemon.command(env!("CARGO_BIN_EXE_felio"));
    let command = command.current_dir(daemon.folder.path()).args(["shell", "saveconfig", "mine.json"]);
    assert!(command.status().expect("felio runs").success());
    let saved = fs::read_to_string(daemon.folder.path().join("mine.json")).expect("it was saved");
    assert!(saved.contains("\"rd\""), "{saved}");
}

#[test]
fn without_a_daemon_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    let socket = folder.path().join("none");
    let output = command.args([Path::new("shell"), Path::new("--socket"), &socket, Path::new("ls")]);
    let output = output.env("TARGETCLI_HOME", folder.path()).output().expect("felio runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("felio: no answer from the daemon"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn watch_shows_so_many_events_and_ends() {
    let daemon = Daemon::start();
    let mut command = daemon.command(env!("CARGO_BIN_EXE_felio"));
    command.args(["shell", "/backstores/ramdisk", "watch", "count=2"]).stdout(Stdio::piped());
    let mut watch = command.spawn().expect("felio starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("watching: from now on"));
    daemon.line(&["/iscsi", "create", "iqn.2026-11.org.example:other"]);
    daemon.line(&["/backstores/ramdisk", "create", "name=rd", "size=1M"]);
    let created = "changed: /backstores/ramdisk/rd: Created ramdisk storage object rd with size 1048576.";
    assert_eq!(lines.next().as_deref(), Some(created));
    daemon.line(&["/backstores/ramdisk", "delete", "rd"]);
    assert!(lines.next().is_some_and(|line| line.starts_with("changed: /backstores/ramdisk/rd: ")));
    assert_eq!(lines.next(), None);
    assert!(watch.wait().expect("it ends").success());
}
