//! The driver: every case against every contender, round by round, in one run.
//!
//! Rounds are interleaved because machines drift: two figures are only compared within the same round.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::{
    cases::{CASES, Case, Contender, FILL, Family, IDLE_CASE, IDLE_SESSIONS},
    connection::{Address, Connection},
    initiator::{self, Cpu, Group, Load, Payload, Tally, Waiting},
    pdu::{Cdb, Direction},
    report::{self, Report},
    sys,
    targets::{self, Fleet, Settings, Target},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds per case, contender and round
    #[arg(long, default_value_t = 0.7)]
    seconds: f64,
    /// Only cases whose name contains this (repeatable; `felio-bench cases` lists them)
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Only these contenders
    #[arg(long, value_delimiter = ',', default_values = ["null", "felio", "tgt", "fio"])]
    targets: Vec<Family>,
    /// The felio to measure [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    felio: Option<PathBuf>,
    /// Another build of felio, for the `builds` cases
    #[arg(long, value_name = "PATH")]
    other: Option<PathBuf>,
    /// Size of every unit
    #[arg(long, default_value = "1G", value_parser = sys::parse_size)]
    size: u64,
    /// Where the files of the cached and O_DIRECT cases go: a real filesystem
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Core of the target
    #[arg(long, default_value_t = 0)]
    target_core: usize,
    /// Core of the initiator
    #[arg(long, default_value_t = 1)]
    initiator_core: usize,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
}

/// One contender in one case and round. Times in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) iops: f64,
    pub(crate) mb_s: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Processor time of the target a command.
    pub(crate) cpu: f64,
    /// The same of the initiator, to show that it is not the limit.
    pub(crate) client_cpu: f64,
    /// What the groups beside the measured one moved.
    pub(crate) beside_mb_s: f64,
}

/// Memory of a target by idle sessions, in bytes a session.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) target: &'static str,
    pub(crate) rss: f64,
    pub(crate) pss: f64,
}

pub(crate) fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    ensure!(options.seconds > 0.0 && options.seconds < 3600.0, "--seconds is out of range");
    ensure!(options.target_core != options.initiator_core, "target and initiator need a core each");
    sys::pin(options.initiator_core)?;
    let selected =
        |name: &str| options.cases.is_empty() || options.cases.iter().any(|part| name.contains(part));
    let measured = |case: &&Case| {
        let there = |one: &Contender| *one != Contender::FelioOther || options.other.is_some();
        let is_wanted = |one: &Contender| options.targets.contains(&one.family());
        selected(case.name) && case.contenders.iter().any(is_wanted) && case.contenders.iter().all(there)
    };
    let cases: Vec<&Case> = CASES.iter().filter(measured).collect();
    ensure!(
        !cases.is_empty() || selected(IDLE_CASE),
        "no case has such a name; `felio-bench cases` lists them"
    );

    let mut driver = Driver {
        options,
        stop,
        fleet: Fleet::new(Settings {
            felio: targets::felio(options.felio.as_deref())?,
            other: options.other.clone(),
            core: options.target_core,
            bytes: options.size,
            directory: options.directory.clone(),
        }),
        failures: BTreeSet::new(),
        machine: Machine::default(),
    };
    let mut report = Report::default();
    for round in 0..options.rounds {
        for case in &cases {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, case.name);
            for &contender in case.contenders {
                if let Some(sample) = driver.attempt(contender, |driver| driver.measure(case, contender))? {
                    report.add(case.name, contender, sys::index(round), sample);
                }
            }
        }
    }
    if selected(IDLE_CASE) {
        eprintln!("{IDLE_CASE}");
        for contender in [Contender::Null, Contender::Felio, Contender::Tgt] {
            report.idle.extend(driver.attempt(contender, |driver| driver.idle(contender))?);
        }
    }
    if !driver.machine.elapsed.is_zero() {
        report.others = driver.machine.others.as_secs_f64() / driver.machine.elapsed.as_secs_f64();
    }
    let text = if options.json { report::json(&report)? } else { report::tables(&report) };
    std::io::stdout().write_all(text.as_bytes())?;
    ensure!(driver.failures.is_empty(), "not everything could be measured");
    Ok(())
}

/// What the two cores did besides the measured pair, while something was measured.
#[derive(Default)]
struct Machine {
    others: Duration,
    /// Of both cores.
    elapsed: Duration,
}

struct Driver<'a> {
    options: &'a Options,
    stop: &'a AtomicBool,
    fleet: Fleet,
    /// What has been said once.
    failures: BTreeSet<String>,
    machine: Machine,
}

impl Driver<'_> {
    /// A contender that fails is reported and left out; an interrupt ends everything.
    fn attempt<T>(
        &mut self,
        contender: Contender,
        measure: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if !self.options.targets.contains(&contender.family()) {
            return Ok(None);
        }
        match measure(self) {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.stop.load(Ordering::Relaxed) => bail!("interrupted"),
            Err(error) => {
                let failure = format!("{error:#}");
                if !self.failures.contains(&failure) {
                    eprintln!("error: {failure}");
                    self.failures.insert(failure);
                }
                Ok(None)
            }
        }
    }

    fn target(&mut self, contender: Contender) -> Result<&Target> {
        let (options, stop) = (self.options, self.stop);
        self.fleet.get(contender, |target| {
            eprintln!("filling {}", contender.name());
            let load = load(FILL, Waiting::Sleep, Duration::ZERO, Duration::from_secs(3600), options.size);
            initiator::run(&target.address, &load, None, stop)?;
            Ok(())
        })
    }

    fn measure(&mut self, case: &Case, contender: Contender) -> Result<Sample> {
        let duration = Duration::from_secs_f64(self.options.seconds);
        if contender == Contender::Fio {
            return self.measure_fio(&case.groups[0], duration);
        }
        let (options, stop) = (self.options, self.stop);
        let target = self.target(contender)?;
        let load = load(case.groups, case.waiting, duration / 10, duration, options.size);
        let pid = Some(target.pid);
        let cores = [options.target_core, options.initiator_core];
        let (began, cpu, busy) = (Instant::now(), Cpu::now(pid)?, sys::busy_time(cores)?);
        let tallies = initiator::run(&target.address, &load, pid, stop)
            .with_context(|| format!("{} in {}", contender.name(), case.name))?;
        let (cpu, busy) = (Cpu::now(pid)?.since(cpu), sys::busy_time(cores)?.saturating_sub(busy));
        self.machine.others += busy.saturating_sub(cpu.target + cpu.initiator);
        self.machine.elapsed += began.elapsed() * 2;
        Sample::of(&tallies)
    }

    /// The same blocks as `FelioDirect`, without a target between.
    fn measure_fio(&mut self, group: &Group, duration: Duration) -> Result<Sample> {
        let core = self.options.target_core;
        let target = self.target(Contender::FelioDirect).context("fio shares its file")?;
        let file = target.file.clone().context("no file")?;
        fio(&file, group, duration, core)
    }

    fn idle(&mut self, contender: Contender) -> Result<Idle> {
        let target = self.target(contender)?;
        let open = |address: &Address| -> Result<Connection> {
            let mut link = Connection::open(address)?;
            let block = link.capacity()?.block_bytes;
            // A session that has done something, and gives back what it used.
            link.command(Cdb::transfer(Direction::Read, 0, 4096 / block), 4096)??;
            Ok(link)
        };
        open(&target.address)?.close();
        let before = sys::memory(target.pid)?;
        let links = (0..IDLE_SESSIONS).map(|_| open(&target.address)).collect::<Result<Vec<_>>>()?;
        let after = sys::memory(target.pid)?;
        links.into_iter().for_each(Connection::close);
        let each =
            |before: u64, after: u64| sys::float(after.saturating_sub(before)) / f64::from(IDLE_SESSIONS);
        Ok(Idle {
            target: contender.name(),
            rss: each(before.rss, after.rss),
            pss: each(before.pss, after.pss),
        })
    }
}

fn load(groups: &[Group], waiting: Waiting, warm_up: Duration, duration: Duration, span: u64) -> Load<'_> {
    Load { groups, waiting, payload: Payload::Ignored, span, warm_up, duration }
}

impl Sample {
    pub(crate) fn of(tallies: &[Tally]) -> Result<Self> {
        let (first, others) = tallies.split_first().context("no group")?;
        ensure!(first.commands > 0, "no command ended in the time");
        let seconds = first.elapsed.as_secs_f64();
        let micros = |quantile| sys::float(first.latency.value_at_quantile(quantile)) / 1e3;
        let commands: u64 = tallies.iter().map(|tally| tally.commands).sum();
        let beside: u64 = others.iter().map(|tally| tally.bytes).sum();
        let cpu = |time: Duration| time.as_secs_f64() * 1e6 / sys::float(commands);
        Ok(Self {
            iops: sys::float(first.commands) / seconds,
            mb_s: sys::float(first.bytes) / seconds / 1e6,
            p50: micros(0.5),
            p99: micros(0.99),
            p999: micros(0.999),
            cpu: cpu(first.cpu.target),
            client_cpu: cpu(first.cpu.initiator),
            beside_mb_s: sys::float(beside) / seconds / 1e6,
        })
    }
}

fn fio(file: &Path, group: &Group, duration: Duration, core: usize) -> Result<Sample> {
    let mode = if group.direction == Direction::Read { "read" } else { "write" };
    let output = Command::new("fio")
        .args(["--name=bench", "--ioengine=io_uring", "--direct=1", "--time_based", "--output-format=json"])
        .arg(format!("--filename={}", file.display()))
        .arg(format!("--rw=rand{mode}"))
        .arg(format!("--bs={}", group.bytes))
        .arg(format!("--iodepth={}", group.depth * group.sessions))
        .arg(format!("--runtime={}ms", duration.as_millis()))
        .arg(format!("--ramp_time={}ms", duration.as_millis() / 10))
        .arg(format!("--cpus_allowed={core}"))
        .output()
        .context("cannot start fio")?;
    ensure!(output.status.success(), "fio: {}", String::from_utf8_lossy(&output.stderr).trim());
    // Notes may stand before the document.
    let start = output.stdout.iter().position(|&byte| byte == b'{').context("fio wrote no JSON")?;
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout[start..]).context("fio's JSON")?;
    let (job, done) = (&document["jobs"][0], &document["jobs"][0][mode]);
    let number = |value: &serde_json::Value| value.as_f64().context("a figure is missing in fio's JSON");
    let latency = |name: &str| Ok::<_, anyhow::Error>(number(&done["clat_ns"]["percentile"][name])? / 1e3);
    let busy = (number(&job["usr_cpu"])? + number(&job["sys_cpu"])?) / 100.0;
    let iops = number(&done["iops"])?;
    Ok(Sample {
        iops,
        mb_s: number(&done["bw_bytes"])? / 1e6,
        p50: latency("50.000000")?,
        p99: latency("99.000000")?,
        p999: latency("99.900000")?,
        cpu: busy * 1e6 / iops,
        client_cpu: 0.0,
        beside_mb_s: 0.0,
    })
}
