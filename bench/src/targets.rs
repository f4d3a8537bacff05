//! The processes under measurement: started when first needed, pinned to one core, gone when we are.
//!
//! `setpriv --pdeathsig` ties each child to our life even if we are killed; a process group of their own keeps Ctrl-C
//! for us alone, so that we can end them in order. Their files live in temporary directories of ours.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cases::Contender,
    connection::{Address, Digests},
};

/// Where and how large.
pub(crate) struct Settings {
    pub(crate) felio: PathBuf,
    /// Another build of it.
    pub(crate) other: Option<PathBuf>,
    pub(crate) core: usize,
    pub(crate) bytes: u64,
    /// Of the files that go through the page cache or past it.
    pub(crate) directory: PathBuf,
}

pub(crate) struct Target {
    pub(crate) pid: u32,
    pub(crate) address: Address,
    /// The file of the unit, where it has one.
    pub(crate) file: Option<PathBuf>,
    process: Process,
}

/// A process of ours and its files: dropping it ends it.
struct Process {
    child: Child,
    farewell: Farewell,
    scratch: TempDir,
}

/// `felio daemon` in a folder of its own.
pub(crate) struct Daemon {
    program: PathBuf,
    process: Process,
}

/// How a process is asked to end before it is killed.
enum Farewell {
    Terminate,
    /// tgtd does not end while it has targets.
    Tgt {
        control: String,
    },
    None,
}

/// All targets of a run. Those that could not be started are remembered with the reason.
pub(crate) struct Fleet {
    settings: Settings,
    targets: BTreeMap<Contender, Result<Target, String>>,
}

const START_MAX: Duration = Duration::from_secs(30);
const TGT_START_MAX: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_secs(3);

/// Files of a daemon.
const CONFIG: &str = "saveconfig.json";
const SOCKET: &str = "socket";

const TGT_TARGET: &str = "iqn.2026-01.example.felio:tgt";

impl Fleet {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, targets: BTreeMap::new() }
    }

    /// The running target; `prepare` sees it once, just after its start.
    pub(crate) fn get(
        &mut self,
        contender: Contender,
        prepare: impl FnOnce(&Target) -> Result<()>,
    ) -> Result<&Target> {
        let settings = &self.settings;
        let started = self.targets.entry(contender).or_insert_with(|| {
            let target = settings.start(contender).and_then(|target| prepare(&target).map(|()| target));
            target.map_err(|error| format!("{error:#}"))
        });
        started.as_ref().map_err(|reason| anyhow!("{}: {reason}", contender.name()))
    }
}

impl Settings {
    fn start(&self, contender: Contender) -> Result<Target> {
        match contender {
            Contender::Null => self.start_null(&[]),
            Contender::NullSpin => self.start_null(&["--spin", "50"]),
            Contender::Felio => self.start_felio(&self.felio, &[], None),
            Contender::FelioOther => self.start_felio(self.other.as_deref().context("--other")?, &[], None),
            Contender::FelioSpin => self.start_felio(&self.felio, &["--spin", "50"], None),
            Contender::FelioTwo => self.start_felio(&self.felio, &["--cores", "2"], None),
            Contender::FelioFile => {
                self.start_felio(&self.felio, &["--cache", "write-back"], Some("cached.img"))
            }
            Contender::FelioDirect => {
                self.start_felio(&self.felio, &["--cache", "direct"], Some("direct.img"))
            }
            Contender::Tgt => self.start_tgt(),
            Contender::Fio => bail!("fio is not a target"),
        }
    }

    fn start_null(&self, options: &[&str]) -> Result<Target> {
        let scratch = TempDir::new()?;
        let mut command = self.command(&std::env::current_exe()?, &scratch)?;
        command.args(["null", "--port", "0", "--size", &self.bytes.to_string()]).args(options);
        let (process, (portal, target)) = start(command, Farewell::None, scratch, address)?;
        Ok(Target::new(process, portal, target, 0, None))
    }

    fn start_felio(&self, program: &Path, options: &[&str], file: Option<&str>) -> Result<Target> {
        ensure_built(program)?;
        let scratch = TempDir::new_in(&self.directory)?;
        let file = file.map(|name| scratch.path().join(name));
        let mut command = self.command(program, &scratch)?;
        command.arg("export").env("FELIO_STATE_DIR", scratch.path());
        match &file {
            Some(path) => {
                File::create(path)?.set_len(self.bytes)?;
                command.arg(path);
            }
            None => {
                command.arg(format!("ram:{}", self.bytes));
            }
        }
        command.args(["--portal", "127.0.0.1:0", "--json"]).args(options);
        if !options.contains(&"--cores") {
            command.args(["--cores", "1"]);
        }
        let (process, (portal, target)) = start(command, Farewell::Terminate, scratch, address)?;
        Ok(Target::new(process, portal, target, 0, file))
    }

    fn start_tgt(&self) -> Result<Target> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let portal = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Control ports end at 32767; two running benchmarks have different ports of theirs.
        let control = (port / 2).to_string();
        let scratch = TempDir::new_in("/dev/shm")?;
        let file = scratch.path().join("disk");
        File::create(&file)?.set_len(self.bytes)?;
        let mut command = self.command(Path::new("tgtd"), &scratch)?;
        command.args(["-f", "-C", &control, "--iscsi", &format!("portal={portal}")]);
        let child = command.spawn().context("cannot start tgtd (package tgt)")?;
        let farewell = Farewell::Tgt { control: control.clone() };
        // From here on dropping it ends it.
        let process = Process { child, farewell, scratch };
        let target = Target::new(process, portal, TGT_TARGET.to_owned(), 1, Some(file.clone()));
        let begin = Instant::now();
        while tgtadm(&control, "show", "target", &[]).is_err() {
            let is_late = begin.elapsed() > TGT_START_MAX;
            ensure!(!is_late, "tgtd does not answer (it needs root): {}", said(&target.process.scratch));
            thread::sleep(Duration::from_millis(50));
        }
        let file = file.to_str().context("path")?;
        tgtadm(&control, "new", "target", &["--tid", "1", "-T", TGT_TARGET])?;
        tgtadm(&control, "new", "logicalunit", &["--tid", "1", "--lun", "1", "-b", file])?;
        tgtadm(&control, "bind", "target", &["--tid", "1", "-I", "ALL"])?;
        Ok(target)
    }

    /// A program on the target's core.
    fn command(&self, program: &Path, scratch: &TempDir) -> Result<Command> {
        let mut command = tied(Path::new("taskset"), scratch)?;
        command.args(["-c", &self.core.to_string()]).arg(program);
        Ok(command)
    }
}

/// A program that ends with us; what it says on standard error is kept for the report.
fn tied(program: &Path, scratch: &TempDir) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    command.stderr(File::create(scratch.path().join("stderr"))?);
    Ok(command)
}

/// Starts a program and reads its lines of JSON until one of them has what is looked for. The rest of its lines are read and dropped.
fn start<T>(
    mut command: Command,
    farewell: Farewell,
    scratch: TempDir,
    look: impl Fn(&Value) -> Option<T>,
) -> Result<(Process, T)> {
    let child = command.stdout(Stdio::piped()).spawn().context("cannot start setpriv and taskset")?;
    let mut process = Process { child, farewell, scratch };
    let output = process.child.stdout.take().context("standard output")?;
    let (say, said_so_far) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    let begin = Instant::now();
    while let Ok(line) = said_so_far.recv_timeout(START_MAX.saturating_sub(begin.elapsed())) {
        let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if let Some(found) = look(&line) {
            return Ok((process, found));
        }
    }
    bail!("not ready: {}", said(&process.scratch));
}

/// Where a target serves, as it says when it does.
fn address(line: &Value) -> Option<(SocketAddr, String)> {
    Some((line["portals"][0].as_str()?.parse().ok()?, line["target"].as_str()?.to_owned()))
}

/// This build of felio, or the one beside us.
pub(crate) fn felio(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(program) => Ok(program.to_owned()),
        None => Ok(std::env::current_exe()?.with_file_name("felio")),
    }
}

fn ensure_built(program: &Path) -> Result<()> {
    let built = program.is_file();
    ensure!(built, "{} does not exist; build it: cargo build --release -p felio", program.display());
    Ok(())
}

/// What a child wrote on standard error.
fn said(scratch: &TempDir) -> String {
    fs::read_to_string(scratch.path().join("stderr")).unwrap_or_default().trim().to_owned()
}

fn tgtadm(control: &str, operation: &str, mode: &str, rest: &[&str]) -> Result<()> {
    let mut command = Command::new("tgtadm");
    command.args(["-C", control, "--lld", "iscsi", "--op", operation, "--mode", mode]).args(rest);
    let output = command.output().context("cannot start tgtadm (package tgt)")?;
    ensure!(output.status.success(), "tgtadm: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

impl Target {
    fn new(process: Process, portal: SocketAddr, target: String, lun: u8, file: Option<PathBuf>) -> Self {
        let address = Address { portal, target, lun, digests: Digests::None };
        Self { pid: process.child.id(), address, file, process }
    }
}

impl Daemon {
    /// Starts it on a configuration; how long it took until it served that.
    pub(crate) fn start(program: &Path, config: &Value) -> Result<(Self, Duration)> {
        ensure_built(program)?;
        let scratch = TempDir::new()?;
        fs::write(scratch.path().join(CONFIG), serde_json::to_vec(config)?)?;
        let mut command = tied(program, &scratch)?;
        command.args(["daemon", "--json", "--cores", "1"]);
        for (option, name) in [("--config", CONFIG), ("--state-dir", "state"), ("--socket", SOCKET)] {
            command.arg(option).arg(scratch.path().join(name));
        }
        let begin = Instant::now();
        let is_ready = |line: &Value| (line["event"] == "ready").then(|| begin.elapsed());
        let (process, took) = start(command, Farewell::Terminate, scratch, is_ready)?;
        Ok((Self { program: program.to_owned(), process }, took))
    }

    /// How long a command of the shell takes, from the start of the program to its end.
    pub(crate) fn time(&self, words: &str) -> Result<Duration> {
        let folder = self.process.scratch.path();
        let mut shell = Command::new(&self.program);
        shell.args(["shell", "--socket"]).arg(folder.join(SOCKET)).args(words.split(' '));
        shell.env("TARGETCLI_HOME", folder);
        let begin = Instant::now();
        let output = shell.output()?;
        let took = begin.elapsed();
        ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(took)
    }
}

impl Process {
    fn has_ended_within(&mut self, time: Duration) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < time {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match &self.farewell {
            Farewell::None => {}
            Farewell::Terminate => {
                let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
                if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
                    && self.has_ended_within(STOP_MAX)
                {
                    return;
                }
            }
            Farewell::Tgt { control } => {
                let _ = tgtadm(control, "delete", "target", &["--tid", "1", "--force"]);
                for suffix in ["", ".lock"] {
                    let _ = fs::remove_file(format!("/var/run/tgtd/socket.{control}{suffix}"));
                }
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
