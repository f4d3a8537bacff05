//! The whole data plane of a process: binds the portals, starts the reactors, stops them.
//!
//! Everything that can fail because of what the operator asked for fails in [`Runtime::start`], before the first connection is accepted.
//!
//! Memory, at the most: `buffer_bytes_max` of data buffers, shared by all reactors; [`SCRATCH_BYTES`](crate::hub::SCRATCH_BYTES) a reactor; a task table of
//! `tasks_max` a reactor; for each of `connections_max` connections its protocol state and, under pressure, waiting input
//! ([`STASH_BYTES_HIGH`](crate::hub::STASH_BYTES_HIGH) a reactor in all, then a little for each connection).

use crate::adopt::{keep_homes, post};
use crate::hub::{Event, Hub, HubConfig};
use crate::mailbox::{Letter, Mailbox};
use crate::reactor::{MakePort, Parts, Reactor};
use crate::sys::{self, Families, Listener};
use core::time::Duration;
use felio_backstore::{Lane, LaneConfig, LaneError, Store};
use felio_engine::TargetConfig;
use felio_hal::Pool;
use felio_hal::buf::Budget;
use felio_iscsi::config::Portal;
use felio_iscsi::connection::Connection;
use felio_iscsi::limits::Limits;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// How long a reactor that has ended may take to let go what it has, and how often to look.
const JOIN_MAX: Duration = Duration::from_secs(2);
const JOIN_PAUSE: Duration = Duration::from_millis(2);

/// News that wait to be read, at the most; more are dropped.
const NOTICES_MAX: usize = 4096;

/// What the operator decided.
pub struct RuntimeConfig {
    /// Reactors.
    pub cores: u16,
    /// Whether each reactor keeps to one processor.
    pub pin: bool,
    /// How long a reactor looks again before it sleeps.
    pub spin: Duration,
    /// Data buffers of the process.
    pub buffer_bytes_max: usize,
    /// Connections of the process, at the most.
    pub connections_max: usize,
    /// Connections that have no session yet, at the most.
    pub logins_max: usize,
    /// Sessions of the process, at the most.
    pub sessions_max: usize,
    /// Commands of a reactor, at the most.
    pub tasks_max: u32,
    /// Where to listen; port 0 picks a free one.
    pub portals: Vec<Portal>,
    /// What logins and discovery need to know. Ports that were found are put in where port 0 stands.
    pub iscsi: felio_iscsi::config::Config,
    /// What a connection may cost.
    pub limits: Limits,
    /// What the device server serves. Each unit's home is chosen here, the wall clock read, and the seed of its tokens drawn.
    pub target: TargetConfig,
    /// The stores, in the order of their identifiers.
    pub stores: Vec<Arc<dyn Store>>,
    /// How stores do what cannot be done at once.
    pub lane: LaneConfig,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A portal could not be opened.
    #[error("cannot listen on {portal}")]
    Listen {
        /// Which.
        portal: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A store queue could not be made.
    #[error("cannot set up disk I/O")]
    Stores(#[source] LaneError),
    /// The kernel refused epoll, an eventfd or a thread.
    #[error("cannot set up a reactor")]
    Reactor(#[source] io::Error),
}

/// News from the reactors.
#[derive(Debug)]
pub enum Notice {
    /// Something happened.
    Event(Event),
    /// A port turned its peer away.
    LoginRefused {
        /// The other end.
        peer: SocketAddr,
        /// Why, and whom.
        refusal: felio_iscsi::login::Refusal,
    },
    /// A reactor's thread is over.
    Ended {
        /// Which.
        reactor: u16,
        /// It panicked: a bug of ours. The others may wait for it in vain.
        panicked: bool,
    },
}

/// A running data plane.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) portals: Vec<SocketAddr>,
    pub(crate) mailboxes: Arc<[Mailbox]>,
    threads: Vec<JoinHandle<()>>,
    disk_io: &'static str,
    pub(crate) target: Arc<TargetConfig>,
    pub(crate) iscsi: Arc<felio_iscsi::config::Config>,
    pub(crate) limits: Limits,
}

impl Runtime {
    /// Binds the portals and starts the reactors. The receiver brings their news; it ends when the last reactor has.
    pub fn start(mut config: RuntimeConfig) -> Result<(Self, Receiver<Notice>), StartError> {
        sys::raise_descriptor_limit();
        let reactors = config.cores.max(1);
        let (listeners, portals) = listen(&config.portals)?;
        config.iscsi.set_ports(config.portals.iter().zip(&portals));
        config.target.epoch_millis = sys::epoch_millis();
        keep_homes(&[], &mut config.target.units, reactors);
        // Whoever could guess tokens could read what they stand for.
        let drawn = getrandom::fill(&mut config.target.token_seed);
        drawn.map_err(|error| StartError::Reactor(io::Error::other(error)))?;
        let (notices, news) = sync_channel(NOTICES_MAX);
        let mailboxes: Result<Arc<[Mailbox]>, _> = (0..reactors).map(|_| Mailbox::new()).collect();
        let mailboxes = mailboxes.map_err(StartError::Reactor)?;
        let target = Arc::new(config.target.clone());
        let iscsi = Arc::new(config.iscsi.clone());
        let make_port = port_maker(Arc::clone(&iscsi), config.limits);
        let built = build(&config, &target, &make_port, listeners, &mailboxes, &notices)?;
        let disk_io = built.first().map_or("", Reactor::disk_io);
        let threads = spawn(built, config.pin, &notices).map_err(StartError::Reactor)?;
        Ok((Self { portals, mailboxes, threads, disk_io, target, iscsi, limits: config.limits }, news))
    }

    /// Where it listens.
    #[must_use]
    pub fn portals(&self) -> &[SocketAddr] {
        &self.portals
    }

    /// How many reactors there are.
    #[must_use]
    pub fn reactors(&self) -> usize {
        self.mailboxes.len()
    }

    /// Asks a session's initiator to log out, and cuts it off a few seconds later if it has not. It may log in again.
    pub fn end_session(&self, session: u16) {
        for mailbox in &*self.mailboxes {
            post(mailbox, Letter::EndSession(session));
        }
    }

    /// What does the disk I/O that cannot be done at once.
    #[must_use]
    pub const fn disk_io(&self) -> &'static str {
        self.disk_io
    }

    /// Stops accepting, asks the initiators to log out within `grace`, finishes what runs, flushes. [`Notice::Ended`] tells of each
    /// reactor that is through.
    pub fn stop(&self, grace: Duration) {
        for mailbox in &*self.mailboxes {
            mailbox.stop(grace);
        }
    }

    /// Waits until the reactors, which have all told that they ended, have let go what they had. It does not wait for their threads: the kernel
    /// keeps one whose ring has an operation that hangs, and the process may end all the same.
    pub fn join(self) {
        let until = Instant::now() + JOIN_MAX;
        while !self.threads.iter().all(JoinHandle::is_finished) && Instant::now() < until {
            std::thread::sleep(JOIN_PAUSE);
        }
    }
}

fn listen(portals: &[Portal]) -> Result<(Vec<Listener>, Vec<SocketAddr>), StartError> {
    let (mut listeners, mut locals) = (Vec::new(), Vec::new());
    for Portal { address, .. } in portals {
        let failed = |source| StartError::Listen { portal: *address, source };
        let listener = Listener::bind(*address, Families::Own).map_err(failed)?;
        locals.push(listener.local().map_err(failed)?);
        listeners.push(listener);
    }
    Ok((listeners, locals))
}

fn build(
    config: &RuntimeConfig,
    target: &Arc<TargetConfig>,
    make_port: &Arc<MakePort>,
    listeners: Vec<Listener>,
    mailboxes: &Arc<[Mailbox]>,
    notices: &SyncSender<Notice>,
) -> Result<Vec<Reactor>, StartError> {
    let reactors = u16::try_from(mailboxes.len()).unwrap_or(u16::MAX);
    let share = |whole: usize| whole.div_ceil(usize::from(reactors));
    let budget = Budget::new(config.buffer_bytes_max);
    let mut listeners = Some(listeners);
    let mut built = Vec::new();
    for reactor in 0..reactors {
        let hub_config = HubConfig {
            reactor,
            reactors,
            connections_max: share(config.connections_max),
            logins_max: share(config.logins_max),
            sessions_max: config.sessions_max,
            tasks_max: config.tasks_max,
        };
        let hub = Hub::new(hub_config, target, Pool::of(reactor, Arc::clone(&budget)));
        let lane = Lane::new(config.stores.clone(), config.lane).map_err(StartError::Stores)?;
        let parts = Parts {
            reactor,
            lane,
            listeners: listeners.take().unwrap_or_default(),
            make_port: Arc::clone(make_port),
            spin: config.spin,
            mailboxes: Arc::clone(mailboxes),
            notices: notices.clone(),
        };
        built.push(Reactor::new(hub, parts).map_err(StartError::Reactor)?);
    }
    Ok(built)
}

/// What makes ports of connections that arrive.
pub(crate) fn port_maker(iscsi: Arc<felio_iscsi::config::Config>, limits: Limits) -> Arc<MakePort> {
    Arc::new(move |now, peer, local| {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(Connection::new(Arc::clone(&iscsi), limits, peer, local, seed, now))
    })
}

fn spawn(reactors: Vec<Reactor>, pin: bool, notices: &SyncSender<Notice>) -> io::Result<Vec<JoinHandle<()>>> {
    let processors = if pin { sys::processors() } else { Vec::new() };
    let pinned = processors.into_iter().map(Some).chain(core::iter::repeat(None));
    let mut threads = Vec::new();
    for ((number, reactor), processor) in (0u16..).zip(reactors).zip(pinned) {
        let ended = EndNotice { reactor: number, notices: notices.clone() };
        let thread = std::thread::Builder::new().name(format!("reactor-{number}")).spawn(move || {
            let _ended = ended;
            if let Some(processor) = processor {
                sys::pin(processor);
            }
            reactor.run();
        })?;
        threads.push(thread);
    }
    Ok(threads)
}

/// Tells that a thread is over, however it ended.
struct EndNotice {
    reactor: u16,
    notices: SyncSender<Notice>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        let _ =
            self.notices.send(Notice::Ended { reactor: self.reactor, panicked: std::thread::panicking() });
    }
}
