//! `felio export`: opens the disks, starts the runtime, reports, and stops in order.
//!
//! Three threads beside the reactors: one waits for signals, one hands on the reactors' news, one prints; this one does what they say.

use crate::attach::{Attach, Chap, visible};
use crate::cli::{ExportArgs, IoChoice};
use crate::disks::{self, BLOCK_BYTES, Disk};
use crate::failure::{Failure, Kind, portal_hint};
use crate::paths;
use crate::report::{LunLine, Ready, Report, Style, UNFLUSHED_HINT};
use crate::secrets;
use crate::threads;
use core::time::Duration;
use felio_backstore::{Engine, LaneConfig};
use felio_engine::{Access, Identity, TargetConfig, UnitConfig};
use felio_hal::StoreId;
use felio_hal::meter::Meters;
use felio_hal::store::WriteCache;
use felio_iscsi::config::{Config, Portal, Target};
use felio_iscsi::limits::Limits;
use felio_iscsi::name::IscsiName;
use felio_runtime::{Event, Notice, Runtime, RuntimeConfig, StartError};
use felio_spec::protection;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// How long initiators may take to log out when we stop.
const LOGOUT_GRACE: Duration = Duration::from_secs(5);

/// By then every reactor has ended, with all that it may wait for, or a system call holds it.
const STOP_MAX: Duration = Duration::from_secs(110);

/// Connections, those of them that have not logged in yet, and sessions, at the most.
const CONNECTIONS_MAX: usize = 1024;
const LOGINS_MAX: usize = 128;
const SESSIONS_MAX: usize = 1024;

/// Commands that a reactor executes at a time, at the most; above, initiators are told TASK SET FULL.
const TASKS_MAX: u32 = 8192;

/// The least memory with which any command can be executed, a few at a time.
const MEMORY_MIN: u64 = 32 << 20;

/// As INQUIRY tells it.
const VENDOR: &str = "felio";
const PRODUCT: &str = "DISK";

/// Serves until a signal ends it.
pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let style = if args.json { Style::Json } else { Style::Text };
    check(args)?;
    let access = paths::access(args)?;
    let auth = secrets::read(args)?;
    let (happenings_in, happenings) = channel();
    // Before anything is opened: a signal from here on ends us in order.
    let ending: &[i32] =
        if threads::is_ignored(SIGHUP) { &[SIGINT, SIGTERM] } else { &[SIGINT, SIGTERM, SIGHUP] };
    threads::watch_signals(ending, &[], happenings_in.clone(), Happening::Signal)?;
    let mut disks = disks::open(args)?;
    let name = target_name(args, &disks)?;
    let target = paths::target(args, &name, &auth)?;
    let config = runtime_config(args, &disks, &name, target, &access);
    let (runtime, news) = Runtime::start(config).map_err(start_failure)?;
    disks.iter_mut().for_each(Disk::keep);
    threads::hand_on(news, happenings_in, Happening::Notice)?;
    let mut report = Report::start(style).map_err(|error| threads::no_thread(&error))?;
    report.ready(&ready(args, &disks, &name, &runtime));
    for warning in warnings(args, &runtime, &disks) {
        report.warning(&warning);
    }
    let done = serve(&mut report, &runtime, &happenings);
    runtime.join();
    for disk in disks.iter().filter(|disk| disk.is_deleted()) {
        report.warning(&format!(
            "{} was deleted while it was served: nobody will find what is in it",
            disk.path
        ));
    }
    if done.is_ok() {
        report.stopped();
    }
    report.finish();
    Ok(done?)
}

/// What ends a wait.
enum Happening {
    /// The first signal.
    Signal(i32),
    /// From a reactor.
    Notice(Notice),
}

/// Until every reactor has ended.
fn serve(report: &mut Report, runtime: &Runtime, happenings: &Receiver<Happening>) -> Result<(), Failure> {
    let mut running = runtime.reactors();
    let mut failed = None;
    let mut ends_by: Option<Instant> = None;
    while running > 0 {
        let left = ends_by.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        let happening = match happenings.recv_timeout(left) {
            Ok(happening) => happening,
            // The senders live as long as the reactors and the signals.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let what = "a disk hangs and keeps felio from ending in order; what initiators wrote last may be lost";
                return Err(Failure::new(Kind::Running, what.to_owned()));
            }
        };
        match happening {
            Happening::Signal(signal) => {
                ends_by = Some(Instant::now() + STOP_MAX);
                report.stopping(signal_name(signal));
                runtime.stop(LOGOUT_GRACE);
            }
            Happening::Notice(Notice::Ended { panicked: false, .. }) => running -= 1,
            Happening::Notice(Notice::Ended { reactor, panicked: true }) => {
                let what =
                    format!("reactor {reactor} panicked: a bug in felio; what was not flushed may be lost");
                // The others would wait for it.
                let failure = anyhow::Error::new(Failure::new(Kind::Running, what));
                let _ = crate::failure::report(&failure);
                std::process::exit(1);
            }
            Happening::Notice(Notice::LoginRefused { peer, refusal }) => report.login_refused(peer, &refusal),
            Happening::Notice(Notice::Event(event)) => {
                if matches!(event, Event::FlushFailed { .. }) {
                    let what = "a disk could not be made durable; what initiators wrote last may be lost";
                    failed = Some(Failure::new(Kind::Running, what.to_owned()).hint(UNFLUSHED_HINT));
                }
                report.event(&event);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What the options mean together.
fn check(args: &ExportArgs) -> Result<(), Failure> {
    let usage = |what: &str| Err(Failure::new(Kind::Usage, what.to_owned()));
    if args.memory < MEMORY_MIN {
        return usage("--memory: at least 32M is needed for the longest commands");
    }
    if let (Some(logical), Some(physical)) = (args.block_size, args.physical_block_size)
        && physical < logical
    {
        return usage("--physical-block-size: not smaller than --block-size");
    }
    check_size(args)?;
    match clash(&args.portals) {
        None => Ok(()),
        Some((one, other)) => {
            let what = format!("--portal {one} and --portal {other} would listen at the same address");
            Err(Failure::new(Kind::Usage, what)
                .hint("leave one of them out; 0.0.0.0 is every address of IPv4, [::] every one of IPv6"))
        }
    }
}

/// The size of a file that is to be created.
fn check_size(args: &ExportArgs) -> Result<(), Failure> {
    let block = u64::from(args.block_size.unwrap_or(BLOCK_BYTES));
    match args.size {
        Some(0) => Err(Failure::new(Kind::Usage, "--size 0: a size of zero makes no disk".to_owned())
            .hint("give a size such as --size 1G")),
        Some(size) if !size.is_multiple_of(block) => {
            let what = format!("--size {size}: no multiple of the block size {block}");
            let up = size.checked_next_multiple_of(block);
            Err(Failure::new(Kind::Usage, what).maybe_hint(up.map(|up| format!("the next is --size {up}"))))
        }
        _ => Ok(()),
    }
}

/// Two portals of which the system would say that the second is in use, by another program as it seems.
fn clash(portals: &[Portal]) -> Option<(SocketAddr, SocketAddr)> {
    let addresses: Vec<SocketAddr> = portals.iter().map(|portal| portal.address).collect();
    let clashes = |one: &SocketAddr, other: &SocketAddr| {
        let any = one.ip().is_unspecified() || other.ip().is_unspecified();
        let alike = one.is_ipv4() == other.is_ipv4() && one.port() == other.port();
        one.port() != 0 && (one == other || any && alike)
    };
    let later = |at: usize| addresses.iter().skip(at + 1);
    (0..).zip(&addresses).find_map(|(at, one)| Some((*one, *later(at).find(|other| clashes(one, other))?)))
}

fn target_name(args: &ExportArgs, disks: &[Disk]) -> Result<IscsiName, Failure> {
    if let Some(name) = &args.iqn {
        return Ok(name.clone());
    }
    let first = disks.first().map(|disk| disk.uuid.target_name()).unwrap_or_default();
    IscsiName::parse(&first)
        .map_err(|error| Failure::new(Kind::Running, format!("target name {first}: {error}")))
}

fn runtime_config(
    args: &ExportArgs,
    disks: &[Disk],
    name: &IscsiName,
    target: Target,
    access: &Access,
) -> RuntimeConfig {
    let units = (0..).zip(disks).map(|(number, disk)| unit(number, disk, access).into()).collect();
    let buffer_bytes_max = usize::try_from(args.memory).unwrap_or(usize::MAX);
    RuntimeConfig {
        cores: args.cores,
        pin: args.pin,
        spin: Duration::from_micros(u64::from(args.spin)),
        buffer_bytes_max,
        connections_max: CONNECTIONS_MAX,
        logins_max: LOGINS_MAX,
        sessions_max: SESSIONS_MAX,
        tasks_max: TASKS_MAX,
        portals: args.portals.clone(),
        iscsi: Config::new([target]),
        limits: Limits::default(),
        target: TargetConfig { ports: paths::ports(args, name), epoch_millis: 0, units, token_seed: [0; 32] },
        stores: disks.iter().map(|disk| Arc::clone(&disk.store)).collect(),
        lane: LaneConfig { engine: lane_engine(args.io), ..LaneConfig::default() },
    }
}

fn unit(number: u32, disk: &Disk, access: &Access) -> UnitConfig {
    UnitConfig {
        birth: number.into(),
        home: 0, // Chosen by the runtime.
        store: StoreId(number),
        limits: disk.limits.clone(),
        block_bytes: disk.block_bytes,
        physical_block_bytes: disk.physical_block_bytes,
        read_only: disk.read_only,
        removable: disk.removable,
        identity: Identity {
            vendor: VENDOR.to_owned(),
            product: PRODUCT.to_owned(),
            revision: revision(),
            serial: disk.uuid.to_string(),
            naa: disk.uuid.naa(),
        },
        access: access.clone(),
        saved: disk.saved.clone(),
        meters: Meters::default(),
    }
}

/// Four characters of the version: `0.1`.
fn revision() -> String {
    env!("CARGO_PKG_VERSION").chars().take(4).collect::<String>().trim_end_matches('.').to_owned()
}

const fn lane_engine(choice: IoChoice) -> Engine {
    match choice {
        IoChoice::Auto => Engine::Auto,
        IoChoice::Ring => Engine::Ring,
        IoChoice::Helpers => Engine::Helpers,
    }
}

fn ready(args: &ExportArgs, disks: &[Disk], name: &IscsiName, runtime: &Runtime) -> Ready {
    let chap = args.chap_user.as_deref().zip(args.chap_password_file.as_deref()).map(|(user, file)| Chap {
        user,
        password_file: file.display().to_string(),
        mutual: args
            .mutual_chap_user
            .as_deref()
            .zip(args.mutual_chap_password_file.as_deref())
            .map(|(user, file)| (user, file.display().to_string())),
    });
    let portals = runtime.portals();
    let recipes = portals.first().map(|portal| {
        Attach { target: name.as_str(), portal: visible(*portal), chap }.recipes().into_iter().collect()
    });
    Ready {
        portals: portals.iter().map(ToString::to_string).collect(),
        portal_groups: args.portals.iter().map(|portal| portal.group.get()).collect(),
        target: name.as_str().to_owned(),
        luns: (0..).zip(disks).map(|(lun, disk)| lun_line(lun, disk)).collect(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        io: runtime.disk_io(),
        recipes: recipes.unwrap_or_default(),
    }
}

fn lun_line(lun: u16, disk: &Disk) -> LunLine {
    LunLine {
        lun,
        path: disk.path.clone(),
        naa: disk.uuid.naa(),
        serial: disk.uuid.to_string(),
        bytes: disk.limits.bytes,
        block_bytes: disk.block_bytes,
        physical_block_bytes: disk.physical_block_bytes,
        read_only: disk.read_only,
        removable: disk.removable,
        write_cache: disk.limits.write_cache == WriteCache::On,
        thin: disk.limits.unmap.is_some(),
        protection: disk.limits.protection.kind().map_or(0, protection::Kind::number),
    }
}

fn warnings(args: &ExportArgs, runtime: &Runtime, disks: &[Disk]) -> Vec<String> {
    let mut warnings: Vec<String> = disks.iter().flat_map(|disk| disk.warnings.iter().cloned()).collect();
    let open = args.chap_user.is_none() && args.allow.is_empty();
    if open && let Some(portal) = runtime.portals().iter().find(|portal| !portal.ip().is_loopback()) {
        let may = if args.read_only { "read" } else { "read and overwrite" };
        warnings.push(format!(
            "whoever reaches {portal} can {may} these disks; add --chap-user NAME --chap-password-file FILE, or --allow with an initiator name or network"
        ));
    }
    warnings
}

fn start_failure(error: StartError) -> Failure {
    match error {
        StartError::Listen { portal, source } => {
            Failure::new(Kind::Listening, format!("cannot listen on {portal}: {source}"))
                .maybe_hint(portal_hint(portal, &source))
        }
        StartError::Stores(source) => {
            Failure::new(Kind::Backing, format!("cannot set up disk I/O: {source}"))
        }
        StartError::Reactor(source) => {
            Failure::new(Kind::Running, format!("cannot set up a reactor: {source}"))
                .hint("the kernel refused a thread, epoll or eventfd; `ulimit -a` shows the limits")
        }
    }
}

const fn signal_name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        SIGHUP => "SIGHUP",
        _ => "signal",
    }
}
