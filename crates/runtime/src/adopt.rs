//! A new configuration while the reactors run.
//!
//! Whoever changes it does so in three steps, each of which every reactor acknowledges: the new units (with their stores) are made known;
//! then initiators find what the configuration says, and those that it does not admit any more are asked to leave; then what nobody
//! finds any more ends what it has begun, is made durable and let go. So a place in the table of units, by which reactors name units
//! to each other, always means the same to all of them.
//!
//! What can fail (opening files, binding sockets) has been done before: [`Runtime::adopt`] takes what is open.

use crate::mailbox::{Letter, Mailbox};
use crate::reactor::MakePort;
use crate::start::{Runtime, port_maker};
pub use crate::sys::Families;
use crate::sys::Listener;
use core::fmt;
use core::time::Duration;
use felio_backstore::Store;
use felio_engine::{LunMap, PortConfig, TargetConfig, UnitConfig};
use felio_hal::StoreId;
use felio_hal::meter::Meters;
use felio_hal::port::Login;
use felio_hal::store::Op;
use felio_iscsi::config::Config;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

/// How long reactors may take to acknowledge: each does so in its next turn.
const ADOPTION_LIMIT: Duration = Duration::from_secs(10);

/// How soon to try again where a reactor's box is full.
const POST_RETRY: Duration = Duration::from_millis(1);

/// What is to be served from now on.
pub struct Served {
    /// What logins and discovery need to know; with the addresses where it listens.
    pub iscsi: Config,
    /// Ports and units. The homes of units are chosen here; a unit keeps its place and its birth as long as it exists.
    pub target: TargetConfig,
    /// The stores of units that are new, and the other stores of units that are closed.
    pub stores: Vec<(StoreId, Arc<dyn Store>)>,
    /// Where to listen that it does not yet.
    pub open: Vec<Portal>,
    /// Where to listen no more.
    pub close: Vec<SocketAddr>,
}

/// A socket that listens, and that nobody accepts connections from yet.
#[derive(Debug)]
pub struct Portal(pub(crate) Listener, SocketAddr);

/// A reactor did not acknowledge in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reactor {reactor} does not answer")]
pub struct Late {
    /// Which.
    pub reactor: u16,
}

impl Portal {
    /// Binds an address; port 0 picks a free one. All addresses of IPv6 are those of IPv4 as well, where `both` says so.
    pub fn bind(address: SocketAddr, both: Families) -> io::Result<Self> {
        let listener = Listener::bind(address, both)?;
        let local = listener.local()?;
        Ok(Self(listener, local))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.1
    }
}

impl TryFrom<TcpListener> for Portal {
    type Error = io::Error;

    /// A socket that somebody else has bound and listens on.
    fn try_from(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok(Self(Listener::from(OwnedFd::from(listener)), local))
    }
}

impl AsFd for Portal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The reactors' answers to [`Runtime::feel_pulse`].
#[derive(Debug)]
pub struct Pulse {
    answers: Receiver<u16>,
    reactors: usize,
}

impl Pulse {
    /// Whether all have answered.
    #[must_use]
    pub fn is_felt(self) -> bool {
        self.answers.try_iter().count() == self.reactors
    }
}

/// What became of units that nobody finds any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// All is on the medium.
    Durable,
    /// A flush failed: what initiators wrote last may be lost.
    NotDurable,
    /// Something did not end in time: their places and stores must not be used for others.
    Stuck,
}

/// What a reactor is to take up.
pub(crate) struct Adoption {
    pub(crate) target: Arc<TargetConfig>,
    pub(crate) iscsi: Arc<Config>,
    pub(crate) make_port: Arc<MakePort>,
    /// Stores that are new, and those that are no more.
    pub(crate) stores: Vec<(StoreId, Option<Arc<dyn Store>>)>,
    done: SyncSender<u16>,
}

/// Units of which a reactor is to tell when nothing is under way there, or nothing with their stores.
#[derive(Debug)]
pub(crate) struct Retirement {
    pub(crate) units: Vec<u32>,
    done: SyncSender<u16>,
}

impl Adoption {
    /// Whether a session may stay.
    pub(crate) fn admits(&self, login: &Login, peer: SocketAddr) -> bool {
        self.iscsi.admits(&login.target, login.target_port_tag, &login.initiator, peer.ip())
    }

    pub(crate) fn acknowledge(&self, reactor: u16) {
        let _ = self.done.try_send(reactor);
    }
}

impl Retirement {
    pub(crate) const fn new(units: Vec<u32>, done: SyncSender<u16>) -> Self {
        Self { units, done }
    }

    pub(crate) fn acknowledge(&self, reactor: u16) {
        let _ = self.done.try_send(reactor);
    }
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adoption").field("units", &self.target.units.len()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Serves what is given from now on. Units that are not found any more go on with what they have begun: see [`Runtime::retire`].
    pub fn adopt(&mut self, served: Served) -> Result<(), Late> {
        let Served { iscsi, mut target, stores, open, close } = served;
        self.complete(&mut target);
        let iscsi = Arc::new(iscsi);
        let stores = stores.into_iter().map(|(id, store)| (id, Some(store))).collect();
        let ports = self.target.ports.clone();
        self.take_up(Arc::new(TargetConfig { ports, ..target.clone() }), Arc::clone(&self.iscsi), stores)?;
        self.take_up(Arc::new(target), iscsi, Vec::new())?;
        if !open.is_empty() || !close.is_empty() {
            self.portals.retain(|portal| !close.contains(portal));
            self.portals.extend(open.iter().map(Portal::address));
            let open = open.into_iter().map(|portal| portal.0).collect();
            post(&self.mailboxes[0], Letter::Listeners { open, close });
        }
        Ok(())
    }

    /// Waits until nothing is under way of units that nobody finds any more, makes their `stores` durable and lets these go; then what
    /// is given for each takes its place.
    pub fn retire(
        &mut self,
        units: &[(u32, Arc<UnitConfig>)],
        stores: &[Arc<dyn Store>],
        within: Duration,
    ) -> Retired {
        let (done, answers) = sync_channel(self.mailboxes.len());
        let numbers: Vec<u32> = units.iter().map(|(unit, _)| *unit).collect();
        for mailbox in &*self.mailboxes {
            post(mailbox, Letter::Retire(Retirement::new(numbers.clone(), done.clone())));
        }
        if wait(&answers, self.mailboxes.len(), within).is_err() {
            return Retired::Stuck;
        }
        // What initiators were promised to be durable is; this is for what they were not.
        let durable = stores.iter().all(|store| store.run(Op::Flush).result.is_ok());
        let mut target = TargetConfig::clone(&self.target);
        for (place, husk) in units {
            if let Some(unit) = usize::try_from(*place).ok().and_then(|at| target.units.get_mut(at)) {
                *unit = Arc::clone(husk);
            }
        }
        self.complete(&mut target);
        let gone = units.iter().map(|(_, husk)| (husk.store, None)).collect();
        match self.take_up(Arc::new(target), Arc::clone(&self.iscsi), gone) {
            Ok(()) if durable => Retired::Durable,
            Ok(()) => Retired::NotDurable,
            Err(Late { .. }) => Retired::Stuck,
        }
    }

    /// Asks every reactor for a sign that it takes its turns.
    #[must_use]
    pub fn feel_pulse(&self) -> Pulse {
        let (done, answers) = sync_channel(self.mailboxes.len());
        for mailbox in &*self.mailboxes {
            // To retire nothing is to answer. Where the box is full no answer comes, as from one that does not read.
            let _ = mailbox.push(Letter::Retire(Retirement::new(Vec::new(), done.clone())));
            mailbox.wake();
        }
        Pulse { answers, reactors: self.mailboxes.len() }
    }

    /// Fills in what the operator does not decide.
    fn complete(&mut self, target: &mut TargetConfig) {
        target.epoch_millis = self.target.epoch_millis;
        target.token_seed = self.target.token_seed;
        if target.ports.is_empty() {
            target.ports.push(nowhere());
        }
        let reactors = u16::try_from(self.mailboxes.len()).unwrap_or(u16::MAX);
        keep_homes(&self.target.units, &mut target.units, reactors);
    }

    /// The units as they are served, by their places.
    #[must_use]
    pub fn units(&self) -> &[Arc<UnitConfig>] {
        &self.target.units
    }

    fn take_up(
        &mut self,
        target: Arc<TargetConfig>,
        iscsi: Arc<Config>,
        stores: Vec<(StoreId, Option<Arc<dyn Store>>)>,
    ) -> Result<(), Late> {
        let (done, answers) = sync_channel(self.mailboxes.len());
        let make_port = port_maker(Arc::clone(&iscsi), self.limits);
        (self.target, self.iscsi) = (Arc::clone(&target), Arc::clone(&iscsi));
        let adoption = Arc::new(Adoption { target, iscsi, make_port, stores, done });
        for mailbox in &*self.mailboxes {
            post(mailbox, Letter::Adopt(Arc::clone(&adoption)));
        }
        wait(&answers, self.mailboxes.len(), ADOPTION_LIMIT)
    }
}

/// A port that nobody comes to: commands of nexuses that are about to end need one to be behind.
fn nowhere() -> PortConfig {
    PortConfig {
        target: String::new(),
        tag: 0,
        relative_port: 0,
        luns: Arc::new(LunMap::default()),
        initiators: BTreeMap::new(),
        meters: Meters::default(),
    }
}

/// A unit stays where it is; one that is new goes where its logical unit group is, else where the fewest are.
pub(crate) fn keep_homes(before: &[Arc<UnitConfig>], units: &mut [Arc<UnitConfig>], reactors: u16) {
    let mut counts = vec![0u32; usize::from(reactors)];
    let mut groups = BTreeMap::new();
    let is_kept = |at: usize, unit: &UnitConfig| before.get(at).is_some_and(|old| old.birth == unit.birth);
    for (at, unit) in units.iter_mut().enumerate() {
        if is_kept(at, unit) {
            let home = before[at].home;
            move_to(unit, home);
            counts[usize::from(home)] += 1;
            groups.entry(unit.access.lu_group).or_insert(home);
        }
    }
    for (at, unit) in units.iter_mut().enumerate() {
        if is_kept(at, unit) {
            continue;
        }
        let fewest = || (0u16..).zip(&counts).min_by_key(|(_, count)| **count).map_or(0, |(home, _)| home);
        let home = match unit.access.lu_group {
            0 => fewest(),
            group => *groups.entry(group).or_insert_with(fewest),
        };
        move_to(unit, home);
        counts[usize::from(home)] += 1;
    }
}

fn move_to(unit: &mut Arc<UnitConfig>, home: u16) {
    if unit.home != home {
        Arc::make_mut(unit).home = home;
    }
}

/// Puts a letter in, as soon as there is room.
pub(crate) fn post(mailbox: &Mailbox, mut letter: Letter) {
    while let Err(back) = mailbox.push(letter) {
        letter = back;
        mailbox.wake();
        std::thread::sleep(POST_RETRY);
    }
    mailbox.wake();
}

/// Waits for the acknowledgement of so many reactors.
pub(crate) fn wait(answers: &Receiver<u16>, reactors: usize, within: Duration) -> Result<(), Late> {
    let until = Instant::now() + within;
    let mut missing: Vec<u16> = (0u16..).take(reactors).collect();
    while let Some(reactor) = missing.first().copied() {
        match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(reactor) => missing.retain(|other| *other != reactor),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(Late { reactor }),
        }
    }
    Ok(())
}
