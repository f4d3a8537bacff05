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
    child: Child,
    farewell: Farewell,
    /// The file of the unit, where it has one.
    pub(crate) file: Option<PathBuf>,
    scratch: TempDir,
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
            Contender::Null => self.start_null(),
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

    fn start_null(&self) -> Result<Target> {
        let scratch = TempDir::new()?;
        let mut command = self.command(&std::env::current_exe()?, &scratch)?;
        command.args(["null", "--port", "0", "--size", &self.bytes.to_string()]);
        let (child, portal, target) = start_announced(command, &scratch)?;
        Ok(Target::new(child, portal, target, 0, Farewell::None, None, scratch))
    }

    fn start_felio(&self, program: &Path, options: &[&str], file: Option<&str>) -> Result<Target> {
        let built = program.is_file();
        ensure!(built, "{} does not exist; build it: cargo build --release -p felio", program.display());
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
        let (child, portal, target) = start_announced(command, &scratch)?;
        Ok(Target::new(child, portal, target, 0, Farewell::Terminate, file, scratch))
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
        let target =
            Target::new(child, portal, TGT_TARGET.to_owned(), 1, farewell, Some(file.clone()), scratch);
        let begin = Instant::now();
        while tgtadm(&control, "show", "target", &[]).is_err() {
            let is_late = begin.elapsed() > TGT_START_MAX;
            ensure!(!is_late, "tgtd does not answer (it needs root): {}", said(&target.scratch));
            thread::sleep(Duration::from_millis(50));
        }
        let file = file.to_str().context("path")?;
        tgtadm(&control, "new", "target", &["--tid", "1", "-T", TGT_TARGET])?;
        tgtadm(&control, "new", "logicalunit", &["--tid", "1", "--lun", "1", "-b", file])?;
        tgtadm(&control, "bind", "target", &["--tid", "1", "-I", "ALL"])?;
        Ok(target)
    }

    /// A program on the target's core that ends with us; what it says on standard error is kept for the report.
    fn command(&self, program: &Path, scratch: &TempDir) -> Result<Command> {
        let mut command = Command::new("taskset");
        command.args(["-c", &self.core.to_string(), "setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.stderr(File::create(scratch.path().join("stderr"))?);
        Ok(command)
    }
}

/// Starts a program whose first line says where it serves. The rest of its lines are read and dropped.
fn start_announced(mut command: Command, scratch: &TempDir) -> Result<(Child, SocketAddr, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start taskset and setpriv")?;
    let output = child.stdout.take().context("standard output")?;
    let (announce, announced) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let _ = announce.send(lines.next());
        lines.for_each(drop);
    });
    let line = match announced.recv_timeout(START_MAX) {
        Ok(Some(line)) => line,
        _ => {
            let _ = child.kill();
            let _ = child.wait();
            bail!("not ready: {}", said(scratch));
        }
    };
    let ready: serde_json::Value = serde_json::from_str(&line).with_context(|| line.clone())?;
    let portal = ready["portals"][0].as_str().and_then(|portal| portal.parse().ok());
    match (portal, ready["target"].as_str()) {
        (Some(portal), Some(target)) => Ok((child, portal, target.to_owned())),
        _ => {
            let _ = child.kill();
            let _ = child.wait();
            bail!("no portal and target in {line}")
        }
    }
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
    fn new(
        child: Child,
        portal: SocketAddr,
        target: String,
        lun: u8,
        farewell: Farewell,
        file: Option<PathBuf>,
        scratch: TempDir,
    ) -> Self {
        let address = Address { portal, target, lun, digests: Digests::None };
        Self { pid: child.id(), address, child, farewell, file, scratch }
    }

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

impl Drop for Target {
    fn drop(&mut self) {
        match &self.farewell {
            Farewell::None => {}
            Farewell::Terminate => {
                let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
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
