//! `felio daemon`: keeps a configuration, serves what it says, and takes changes while initiators work.
//!
//! One thread owns everything ([`Desk`]): requests, signals, news of the reactors and time come to it through one channel. A transaction
//! is: apply to the configuration (a function), open what is new ([`plant`]), save ([`vault`]), carry out. It can fail until it is saved; a
//! crash at any point leaves the old configuration or the new one. `api` is how requests get here, `listen` by TCP, `entrance` from afar,
//! `web` the page that browsers are shown.

mod answer;
mod api;
mod audit;
mod disk;
mod drain;
mod entrance;
mod events;
mod iscsi;
mod lines;
mod listen;
mod look;
mod metrics;
mod openapi;
mod openmetrics;
mod plant;
mod refused;
mod restore;
mod routes;
mod sandbox;
mod service;
mod sessions;
mod tree;
mod vault;
mod web;
mod work;

pub(crate) use lines::{Cursor, Line, Told, Typed};
pub(crate) use openapi::document;

use crate::beacon::Beacon;
use crate::cli::DaemonArgs;
use crate::failure::{Failure, Kind};
use crate::printer::plain;
use crate::report::{self, Style};
use crate::threads;
use audit::{Audit, Deed, Who};
use core::time::Duration;
use entrance::Entrance;
use felio_backstore::LaneConfig;
use felio_backstore::state::Folder;
use felio_client::Restoration;
use felio_control::view::{Event as Happened, LeftView, SessionView, Snapshot};
use felio_control::{
    Backing, Change, Condition, Config, Done, Facts, Path, Refusal, RefusalKind, StorageKey, TargetKey,
};
use felio_engine::{Holdings, TargetConfig};
use felio_hal::port::LoginKind;
use felio_hal::state::StateStore;
use felio_iscsi::limits::Limits;
use felio_runtime::{Event, Late, Notice, Runtime, RuntimeConfig};
use metrics::Sources;
use plant::{Mode, Plant, Prepared};
use refused::{Doorkeeper, Refused};
use restore::unread;
use service::{CONTROL, Inherited, Supervisor, Watch};
use sessions::{Session, Sessions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, oneshot, watch};
use vault::{Vault, VaultError};
use work::{Work, Works};

/// How long initiators may take to log out when we stop.
const LOGOUT_GRACE: Duration = Duration::from_secs(5);

/// How long nobody must ask for anything before what is only recorded is written to the file.
const QUIET: Duration = Duration::from_secs(1);

/// How soon what could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Connections, those of them that have not logged in yet, and sessions, at the most.
const CONNECTIONS_MAX: usize = 4096;
const LOGINS_MAX: usize = 256;
const SESSIONS_MAX: usize = 4096;

/// Events that somebody who watches may not have taken yet.
const EVENTS_MAX: usize = 1024;

/// Commands that a reactor executes at a time, at the most.
const TASKS_MAX: u32 = 8192;

/// What the desk is asked. The answer goes where `reply` leads; whoever asked may be gone.
enum Request {
    Sessions(oneshot::Sender<Vec<SessionView>>),
    History(oneshot::Sender<Result<Vec<u64>, Refusal>>),
    Recall {
        id: u64,
        reply: oneshot::Sender<Result<Config, Refusal>>,
    },
    Apply {
        who: Who,
        changes: Vec<Change>,
        manner: Manner,
        /// The revisions at which that is wanted; any, if none are said.
        only_at: Option<Vec<u64>>,
        work: Option<Work>,
        reply: oneshot::Sender<Result<Vec<Done>, Refusal>>,
    },
    /// What a receiver will be told of by the reactor that knows; nothing where the object is not open.
    Reservations {
        storage: StorageKey,
        reply: oneshot::Sender<Option<Receiver<Holdings>>>,
    },
    /// What is there is drained from now on, or no more.
    Drain {
        who: Who,
        path: Path,
        is_drained: bool,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    EndSession {
        who: Who,
        id: u16,
        reply: oneshot::Sender<Result<SessionView, Refusal>>,
    },
    Left {
        path: Path,
        reply: oneshot::Sender<LeftView>,
    },
    Sources(oneshot::Sender<Sources>),
    Save {
        who: Who,
        file: Option<PathBuf>,
        reply: oneshot::Sender<Result<String, Refusal>>,
    },
    Restore {
        who: Who,
        what: Restoration,
        work: Option<Work>,
        reply: oneshot::Sender<Result<Vec<String>, Refusal>>,
    },
}

/// How changes come.
#[derive(Clone, Copy)]
enum Manner {
    /// Nothing is left half done.
    Whole,
    /// Every value by itself, as configfs has it.
    Piecemeal,
}

/// What happens to the desk.
enum Happening {
    Request(Request),
    Signal(i32),
    Notice(Notice),
    Refused(Refused),
}

/// Where revisions begin: by the time, so that nobody takes one of an earlier run for one of this. It is exact where numbers are floating-point.
fn first_revision() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::from_millis(1));
    u64::try_from(since.as_millis()).unwrap_or(1) << 12
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &DaemonArgs) -> anyhow::Result<()> {
    let entrance = Entrance::open(&args.listen)?;
    let mut vault = Vault::open(args.config.clone(), args.state_dir.join("history")).map_err(unusable)?;
    let (config, mut notes) = vault.load().map_err(unusable)?;
    let folder = Folder::open(&args.state_dir).map_err(|error| {
        Failure::new(Kind::Backing, format!("--state-dir {}: {error}", args.state_dir.display()))
    })?;
    let state: Arc<dyn StateStore> = Arc::new(folder);
    let (supervisor, mut inherited) = (Supervisor::from_env(), Inherited::from_env());
    let socket = match inherited.take_control(&args.socket) {
        Some(socket) => socket,
        None => api::bind(&args.socket, args.group.as_deref())?,
    };
    supervisor.keep(CONTROL, &socket);
    let beacon = Beacon::light(&args.socket).ok();
    let log = args.audit_log.clone().unwrap_or_else(|| args.state_dir.join("audit.log"));
    let audit = Audit::open(log.clone()).map_err(|error| {
        Failure::new(Kind::Backing, format!("cannot write {}: {error}", log.display()))
            .hint("--audit-log FILE chooses another place")
    })?;
    // Before there are threads: they have what we have.
    let fence = sandbox::confine(args, &log, entrance.as_ref(), &config, &mut notes)?;
    let (happenings_in, happenings) = channel();
    threads::watch_signals(&[SIGINT, SIGTERM], &[SIGHUP], happenings_in.clone(), Happening::Signal)?;
    let (runtime, news) = Runtime::start(runtime_config(args))
        .map_err(|error| Failure::new(Kind::Running, format!("cannot start: {error}")))?;
    threads::hand_on(news, happenings_in.clone(), Happening::Notice)?;
    let mut desk = Desk {
        config: Arc::new(config),
        plant: Plant::new(runtime, (supervisor, inherited), fence, state),
        vault,
        audit,
        entrance,
        sessions: Sessions::default(),
        since: Instant::now(),
        watch: Watch::from_env(Instant::now()),
        style: if args.json { Style::Json } else { Style::Text },
        shown: watch::Sender::default(),
        before: watch::Sender::default(),
        beacon,
        events: broadcast::Sender::new(EVENTS_MAX),
    };
    desk.bring_up()?;
    let (shown, before, events) = (desk.shown.subscribe(), desk.before.subscribe(), desk.events.clone());
    let works = Works::new(events.clone(), shown.clone());
    let (requests, doorkeeper) = (happenings_in.clone(), Doorkeeper::new(happenings_in));
    let others =
        lines::Desk { shown, before, events, requests, who: Who::Unknown, doorkeeper, works, work: None };
    let metrics =
        args.metrics_listen.map(|address| api::listen_for_metrics(address, others.clone())).transpose()?;
    let page = args.web.map(|address| web::listen(address, others.clone())).transpose()?;
    let page_too = page.is_some();
    let afar = desk.entrance.as_ref().map(|entrance| entrance.listen(&others, page_too)).transpose()?;
    api::serve(socket, others)?;
    desk.say("ready", &format!("serving {}; socket {}", desk.vault.file().display(), args.socket.display()));
    if let Some(address) = metrics {
        desk.say("metrics", &format!("http://{address}/metrics"));
    }
    for address in afar.into_iter().flatten() {
        desk.say("listening", &format!("https://{address}"));
    }
    if let Some(url) = page {
        desk.say("web", &url);
    }
    notes.iter().for_each(|note| desk.say("note", note));
    desk.say_degraded();
    desk.plant.supervisor.tell_ready();
    desk.serve(&happenings);
    desk.catch_up();
    drop(desk.beacon.take());
    // What a supervisor keeps leads to the next felio.
    if !desk.plant.supervisor.is_there() {
        let _ = std::fs::remove_file(&args.socket);
    }
    desk.plant.join();
    Ok(())
}

/// Everything that there is one of.
struct Desk {
    config: Arc<Config>,
    plant: Plant,
    vault: Vault,
    audit: Audit,
    /// How it is asked from afar.
    entrance: Option<Entrance>,
    sessions: Sessions,
    /// When it was started.
    since: Instant,
    watch: Watch,
    style: Style,
    /// What everybody may look at, whatever the desk is doing.
    shown: watch::Sender<Arc<Snapshot>>,
    /// What they looked at before that.
    before: watch::Sender<Arc<Snapshot>>,
    /// Where they see that it has changed, if it could be lit.
    beacon: Option<Beacon>,
    /// What is told to everybody who watches.
    events: broadcast::Sender<Happened>,
}

impl Desk {
    /// Serves what was saved. What cannot be opened keeps its place.
    fn bring_up(&mut self) -> Result<(), Failure> {
        Arc::make_mut(&mut self.config).number_ports();
        let failed = |what: String| Failure::new(Kind::Running, what);
        let prepared =
            self.plant.prepare(&self.config, Mode::Lenient).map_err(|why| failed(why.to_string()))?;
        self.carry_out(prepared).map_err(|late| failed(late.to_string()))?;
        self.plant.handle_started();
        Ok(())
    }

    /// Serves the configuration, and shows what has become of it.
    fn carry_out(&mut self, prepared: Prepared) -> Result<(), Late> {
        let done = self.plant.carry_out(&self.config, prepared);
        self.sessions.follow(&self.config);
        let (config, conditions) = (Arc::clone(&self.config), self.plant.conditions.clone());
        let revision = match self.shown.borrow().revision {
            0 => first_revision(),
            last => last + 1,
        };
        let before = self.shown.send_replace(Arc::new(Snapshot { config, conditions, revision }));
        self.before.send_replace(before);
        // Before anybody hears that this is done: whoever looks afterwards sees it.
        self.beacon.iter().for_each(|beacon| beacon.show(revision));
        self.plant.tell_status();
        done
    }

    /// Writes changes to the file that are only recorded.
    fn catch_up(&mut self) {
        if let Err(error) = self.vault.catch_up(&self.config) {
            self.say(
                "unsaved",
                &format!("{error}; the last changes are kept in the history until it can be"),
            );
        }
    }

    fn say_not_durable(&mut self) {
        while let Some(key) = self.plant.poll_not_durable() {
            self.say_of("lost", &key.into(), "its last flush failed; what initiators wrote last may be lost");
        }
    }

    fn say_degraded(&self) {
        for (path, condition) in self.plant.conditions.iter() {
            if let Condition::Degraded { why } = condition {
                self.say_of("degraded", path, why);
            }
        }
    }

    /// Until every reactor has ended.
    fn serve(&mut self, happenings: &Receiver<Happening>) {
        let mut running = self.plant.reactors();
        let mut retry_at = Instant::now() + RETRY;
        while running > 0 {
            let wait = match self.plant.conditions.iter().next() {
                _ if self.vault.is_behind() => QUIET,
                Some(_) => RETRY,
                None => Duration::MAX,
            };
            self.watch.handle_time(Instant::now(), &self.plant);
            match happenings.recv_timeout(wait.min(self.watch.wait(Instant::now()))) {
                Ok(Happening::Request(request)) => {
                    self.answer(request);
                    self.say_not_durable();
                }
                Ok(Happening::Refused(refused)) => self.handle_refused(&refused),
                Ok(Happening::Signal(SIGHUP)) => self.reload(),
                Ok(Happening::Signal(_)) => {
                    self.say("stopping", "asking initiators to log out");
                    self.plant.supervisor.tell_stopping();
                    self.plant.stop(LOGOUT_GRACE);
                }
                Ok(Happening::Notice(Notice::Ended { panicked: false, .. })) => running -= 1,
                Ok(Happening::Notice(Notice::Ended { reactor, panicked: true })) => {
                    self.say("panicked", &format!("reactor {reactor}: a bug in felio"));
                    std::process::exit(1);
                }
                Ok(Happening::Notice(notice)) => self.note(notice),
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if retry_at <= Instant::now() {
                self.retry();
                retry_at = Instant::now() + RETRY;
            }
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Sessions(reply) => {
                let _ = reply.send(self.sessions.views(&self.config));
            }
            Request::Reservations { storage, reply } => {
                let _ = reply.send(self.plant.holdings(&storage));
            }
            Request::Drain { who, path, is_drained, reply } => {
                let deed = if is_drained { Deed::Drain(path.clone()) } else { Deed::Serve(path.clone()) };
                let _ = reply.send(self.audited(&who, &deed, |desk| desk.drain(path, is_drained)));
            }
            Request::EndSession { who, id, reply } => {
                let _ = reply.send(self.audited(&who, &Deed::EndSession(id), |desk| desk.end_session(id)));
            }
            Request::Left { path, reply } => {
                let left = drain::left(&path, &self.sessions, |path| self.plant.running(path, &self.config));
                let _ = reply.send(left);
            }
            Request::Sources(reply) => {
                let _ = reply.send(self.sources());
            }
            Request::History(reply) => {
                let _ = reply.send(self.vault.history().map_err(unread));
            }
            Request::Recall { id, reply } => {
                let _ = reply.send(self.vault.recall(id).map_err(unread));
            }
            Request::Apply { who, changes, manner, only_at, work, reply } => {
                self.plant.work = work;
                let deed = Deed::of(&changes);
                let _ = reply.send(self.audited(&who, &deed, |desk| {
                    desk.require(only_at.as_deref())?;
                    desk.apply(&changes, manner)
                }));
            }
            // Every change is saved already.
            Request::Save { file: None, reply, .. } => {
                let _ = reply.send(self.save(None));
            }
            Request::Save { who, file: Some(file), reply } => {
                let deed = Deed::Save(Some(file.clone()));
                let _ = reply.send(self.audited(&who, &deed, |desk| desk.save(Some(file))));
            }
            Request::Restore { who, what, work, reply } => {
                self.plant.work = work;
                let deed = Deed::Restore(what.file.clone());
                let _ = reply.send(self.audited(&who, &deed, |desk| desk.restore(&what)));
            }
        }
    }

    /// Everything that is counted.
    fn sources(&self) -> Sources {
        let (storage, ports) = self.plant.meters();
        let (sessions, targets) = (self.sessions.sources(), self.sessions.targets(&self.config));
        let (config, luns) = (self.config.clone(), self.plant.lun_maps());
        Sources { since: self.since, config, storage, ports, luns, targets, sessions }
    }

    /// Nobody gets to what is there, or everybody does again.
    fn drain(&mut self, path: Path, is_drained: bool) -> Result<(), Refusal> {
        if !path.exists(&self.config) {
            return Err(Refusal::not_found(path));
        }
        let what = path.to_string();
        if self.plant.drained.set(path, is_drained) {
            let prepared = self.plant.prepare(&self.config, Mode::Lenient)?;
            self.carry_out(prepared).map_err(|late| Refusal::new(RefusalKind::Busy, late.to_string()))?;
            self.say(if is_drained { "draining" } else { "serving" }, &what);
        }
        Ok(())
    }

    /// Asks whoever has a session to log out. How it was before that.
    fn end_session(&self, id: u16) -> Result<SessionView, Refusal> {
        let session = sessions::find(self.sessions.views(&self.config), id)?;
        self.plant.end_session(id);
        Ok(session)
    }

    /// Refuses what is wanted only at other revisions.
    fn require(&self, only_at: Option<&[u64]>) -> Result<(), Refusal> {
        let revision = self.shown.borrow().revision;
        match only_at {
            Some(only) if !only.contains(&revision) => {
                let what = format!("the configuration has changed meanwhile: it is at revision {revision}");
                Err(Refusal::new(RefusalKind::Changed, what).hint("look at it again, and then change it"))
            }
            _ => Ok(()),
        }
    }

    /// One transaction.
    fn apply(&mut self, changes: &[Change], manner: Manner) -> Result<Vec<Done>, Refusal> {
        let (changes, facts) = (with_sizes(changes)?, facts()?);
        let (wanted, mut done) = match manner {
            Manner::Whole => self.config.apply(&changes, &facts)?,
            Manner::Piecemeal => self.config.apply_piecemeal(&changes, &facts)?,
        };
        let mut known = self.plant.conditions.clone();
        self.become_(wanted, Mode::Strict, Some((changes, facts)))?;
        for Done { path, says } in &mut done {
            self.say_of("changed", path, says);
            // Some things are made now, and served later.
            let condition = self.plant.conditions.of(path);
            if let Condition::Degraded { why } = condition
                && known.set(path.clone(), condition.clone())
            {
                self.say_of("degraded", path, why);
                says.push_str(&format!("\nIt is degraded: {why}"));
            }
        }
        Ok(done)
    }

    /// From now on this is the configuration: opened, saved and served, or refused.
    fn become_(
        &mut self,
        mut wanted: Config,
        mode: Mode,
        by: Option<(Vec<Change>, Facts)>,
    ) -> Result<(), Refusal> {
        wanted.number_ports();
        let prepared = match self.plant.prepare(&wanted, mode) {
            Ok(prepared) => prepared,
            Err(refusal) => return Err(self.stay(refusal)),
        };
        let saved = match by {
            _ if wanted == *self.config => Ok(()),
            Some((changes, facts)) => self.vault.record(&self.config, &wanted, changes, facts),
            None => self.vault.save(&self.config, &wanted),
        };
        if let Err(error) = saved {
            self.plant.discard(prepared);
            return Err(self.stay(error.into()));
        }
        self.config = Arc::new(wanted);
        self.carry_out(prepared).map_err(|late| {
            Refusal::new(RefusalKind::Busy, format!("saved, but {late}"))
                .hint("it takes effect when felio is started again")
        })
    }

    /// A change is refused: what was closed for it is opened again.
    fn stay(&mut self, refusal: Refusal) -> Refusal {
        if let Ok(prepared) = self.plant.prepare(&self.config, Mode::Lenient)
            && !prepared.is_empty()
        {
            let _ = self.carry_out(prepared);
        }
        refusal
    }

    /// What could not be opened is tried again.
    fn retry(&mut self) {
        let before = self.plant.conditions.clone();
        if before.iter().next().is_none() {
            return;
        }
        let Ok(prepared) = self.plant.prepare(&self.config, Mode::Lenient) else { return };
        if prepared.conditions == before {
            return self.plant.discard(prepared);
        }
        if self.carry_out(prepared).is_ok() {
            for (path, _) in
                before.iter().filter(|(path, _)| *self.plant.conditions.of(path) == Condition::Up)
            {
                self.tell("up", &path.to_string(), &path.to_string(), Some(path.clone()));
            }
        }
    }

    fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Event(Event::Login {
                peer,
                initiator_port,
                initiator,
                target,
                target_port_tag,
                kind,
                session,
                terms,
                meters,
            }) => {
                let text = format!("{initiator} from {peer} at {target}");
                let tpg = (kind == LoginKind::Normal).then(|| TargetKey::iscsi(target).tpg(target_port_tag));
                self.tell("login", &text, &text, tpg.as_ref().map(Path::from));
                let begun = Session { initiator, initiator_port, tpg, peer, terms, meters };
                self.sessions.handle_login(session, begun);
            }
            Notice::Event(Event::Logout { initiator, session, reason, cause, .. }) => {
                let tpg = self.sessions.handle_logout(session, reason, cause);
                let text = format!("{initiator}: {reason:?}");
                self.tell("logout", &text, &text, tpg.map(Path::from));
            }
            Notice::Event(event) => self.say("event", &format!("{event:?}")),
            Notice::LoginRefused { peer, refusal } => {
                self.say("refused", &report::refused(peer, &refusal));
                self.sessions.handle_refused(peer, &refusal, nanos_since(self.since), &self.config);
            }
            Notice::Ended { .. } => {}
        }
    }

    /// Something has happened.
    fn say(&self, what: &str, text: &str) {
        self.tell(what, text, text, None);
    }

    /// Something has happened to an object.
    fn say_of(&self, what: &str, path: &Path, text: &str) {
        self.tell(what, &format!("{path}: {text}"), text, Some(path.clone()));
    }

    /// The same for whoever watches and, as one line, for whoever reads the log.
    fn tell(&self, what: &str, line: &str, text: &str, path: Option<Path>) {
        // Who reads the line and watches from then on hears of nothing twice.
        let revision = self.shown.borrow().revision;
        let _ = self.events.send(Happened { event: what.to_owned(), text: text.to_owned(), path, revision });
        let mut out = std::io::stdout().lock();
        // Where nobody reads there is nobody to tell.
        let _ = match self.style {
            Style::Json => writeln!(out, "{}", serde_json::json!({ "event": what, "text": line })),
            Style::Text => writeln!(out, "{what}: {}", plain(line)),
        };
        let _ = out.flush();
    }
}

/// How long ago that was.
fn nanos_since(then: Instant) -> u64 {
    then.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// A file that exists is as large as it is, unless somebody says otherwise.
fn with_sizes(changes: &[Change]) -> Result<Vec<Change>, Refusal> {
    let mut changes = changes.to_vec();
    for change in &mut changes {
        let (Change::CreateStorage { storage, backing: Backing::Fileio { dev, size: size @ 0, .. }, .. }
        | Change::SetBacking { storage, backing: Backing::Fileio { dev, size: size @ 0, .. } }) = change
        else {
            continue;
        };
        *size = std::fs::metadata(&*dev).map(|data| data.len()).map_err(|error| {
            Refusal::invalid(format!("{dev}: {error}")).hint("give a size to create it").at(&*storage)
        })?;
    }
    Ok(changes)
}

fn facts() -> Result<Facts, Refusal> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed)
        .map_err(|error| Refusal::new(RefusalKind::Busy, format!("no random numbers: {error}")))?;
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Ok(Facts { host: text(system.nodename()), machine: text(system.machine()), seed })
}

fn runtime_config(args: &DaemonArgs) -> RuntimeConfig {
    RuntimeConfig {
        cores: args.cores,
        pin: args.pin,
        spin: Duration::from_micros(u64::from(args.spin)),
        buffer_bytes_max: usize::try_from(args.memory).unwrap_or(usize::MAX),
        connections_max: CONNECTIONS_MAX,
        logins_max: LOGINS_MAX,
        sessions_max: SESSIONS_MAX,
        tasks_max: TASKS_MAX,
        portals: Vec::new(),
        iscsi: iscsi::config(&Config::default()),
        limits: Limits::default(),
        target: TargetConfig { ports: Vec::new(), epoch_millis: 0, units: Vec::new(), token_seed: [0; 32] },
        stores: Vec::new(),
        lane: LaneConfig::default(),
    }
}

fn unusable(error: VaultError) -> Failure {
    let hint = match &error {
        VaultError::Io { .. } => "--config FILE and --state-dir DIR choose other places",
        VaultError::Locked { .. } => {
            "each felio needs a configuration of its own: --config FILE --state-dir DIR"
        }
        VaultError::Unreadable { .. } => {
            "mend the file, or put an older one from the history folder in its place"
        }
    };
    Failure::new(Kind::Backing, error.to_string()).hint(hint)
}
