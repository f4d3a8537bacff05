//! A running felio, and one that ends by itself.

pub(crate) mod cdb;
pub(crate) mod chap;
pub(crate) mod load;
pub(crate) mod place;
pub(crate) mod supervisor;
pub(crate) mod sys;
pub(crate) mod wire;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take that should take no time, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `felio export` with these words behind it.
pub(crate) fn export(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("export").args(words).env("FELIO_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    command
}

/// A felio that serves; killed when dropped.
pub(crate) struct Felio {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    /// The first line.
    pub(crate) ready: Value,
}

impl Felio {
    /// Starts it with `--json` and, unless the words say where, on a free port of 127.0.0.1.
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut command = export(words);
        command.arg("--json");
        if !words.contains(&"--portal") {
            command.args(["--portal", "127.0.0.1:0"]);
        }
        Self::launch(command)
    }

    /// Starts a command that becomes a felio with `--json`.
    pub(crate) fn launch(command: Command) -> Self {
        Self::launch_with(command, Stdio::null())
    }

    /// The same, with something on its standard input.
    pub(crate) fn launch_with(mut command: Command, stdin: Stdio) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("felio starts");
        let lines = lines(child.stdout.take().expect("piped"));
        let errors = Some(collect(child.stderr.take().expect("piped")));
        let mut felio = Self { child, lines, errors, ready: Value::Null };
        felio.ready = match felio.lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).expect("a JSON line"),
            Err(_) => panic!("not ready: {}", felio.kill()),
        };
        assert_eq!(felio.ready["event"], "ready");
        felio
    }

    /// Where it listens.
    pub(crate) fn portals(&self) -> Vec<SocketAddr> {
        let portals = self.ready["portals"].as_array().expect("portals");
        portals.iter().map(|portal| portal.as_str().expect("text").parse().expect("an address")).collect()
    }

    /// Where it listens first.
    pub(crate) fn portal(&self) -> SocketAddr {
        self.portals()[0]
    }

    /// Its target.
    pub(crate) fn target(&self) -> String {
        self.ready["target"].as_str().expect("text").to_owned()
    }

    /// What it says of a LUN.
    pub(crate) fn lun(&self, lun: usize) -> &Value {
        &self.ready["luns"][lun]
    }

    /// Serial number, NAA identifier and target name: who a disk is.
    pub(crate) fn who(&self) -> (String, String, String) {
        let text = |name: &str| self.lun(0)[name].as_str().expect("text").to_owned();
        (text("serial"), text("naa"), self.target())
    }

    /// The next line, if one comes in time.
    pub(crate) fn line(&self, patience: Duration) -> Option<Value> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(serde_json::from_str(&line).expect("a JSON line")),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next line of this event; others before it are passed over.
    pub(crate) fn event(&self, name: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.line(left).unwrap_or_else(|| panic!("no {name} event"));
            if line["event"] == name {
                return line;
            }
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ends by itself within `patience`.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        wait(&mut self.child, patience).is_some()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Its exit code, within `patience`; without one (killed) none.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<i32> {
        match wait(&mut self.child, patience) {
            Some(status) => status.code(),
            None => panic!("felio does not end: {}", self.kill()),
        }
    }

    /// Stops it in order, which takes a few seconds at the most.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let code = self.wait(PATIENCE);
        assert_eq!(code, Some(0), "{}", self.kill());
    }

    /// Ends it the hard way; what it wrote to standard error.
    pub(crate) fn kill(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.errors.take().map(|errors| errors.join().expect("a reader")).unwrap_or_default()
    }

    /// The most memory that it has had, KiB.
    pub(crate) fn memory_peak_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Felio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that ended by itself left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command that should end soon.
pub(crate) fn finish(mut command: Command) -> Finished {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let out = collect(child.stdout.take().expect("piped"));
    let err = collect(child.stderr.take().expect("piped"));
    let status = wait(&mut child, PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    let (out, err) = (out.join().expect("a reader"), err.join().expect("a reader"));
    match status {
        Some(status) => Finished { code: status.code(), out, err },
        None => panic!("it does not end; {out} {err}"),
    }
}

fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Lines as they come.
pub(crate) fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Whether `unshare` may make these namespaces here; says so if not.
pub(crate) fn can_unshare(option: &str) -> bool {
    let status = Command::new("unshare").args([option, "true"]).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: `unshare {option}` is not possible here");
    }
    can
}
