//! The program under test: its reactors' hubs, and the letters between them.
//!
//! All hubs take their turns on one thread, each whenever something happens. A letter takes its time; two of the same writer to the
//! same reader arrive in order, and no others need to. So what races in the program races here, from a seed.

use crate::disk::Disk;
use crate::random::Random;
use felio_engine::{Access, Identity, LunMap, PortConfig, PortGroup, Ports, TargetConfig, UnitConfig};
use felio_hal::buf::Budget;
use felio_hal::meter::Meters;
use felio_hal::{NexusId, Pool, StoreId, Time};
use felio_iscsi::connection::Connection;
use felio_runtime::hub::{Hub, HubConfig, Io, Message};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The target's name.
pub const TARGET: &str = "iqn.2026-11.org.felio:sim";

/// Its ports, by portal group tag. Each is a target port group of that number.
pub const PORTS: [u16; 2] = [1, 2];

/// Buffers of the process: little, so that they run out.
const BUDGET_BYTES: usize = 1 << 20;

/// Turns in a row without time passing.
const TURNS_MAX: u32 = 10_000;

/// The hubs.
#[derive(Debug)]
pub struct Program {
    hubs: Vec<Hub<Connection>>,
    home: u16,
    transition: Duration,
}

impl Program {
    /// So many reactors serve the disk, which is at home on the reactor of that number. Between two access states a port is so long.
    #[must_use]
    pub fn new(disk: &Disk, reactors: u16, home: u16, transition: Duration) -> Self {
        let target = Arc::new(target(disk, home, transition));
        let budget = Budget::new(BUDGET_BYTES);
        let hub = |reactor| {
            let config = HubConfig {
                reactor,
                reactors,
                connections_max: 16,
                logins_max: 8,
                sessions_max: 8,
                tasks_max: 64,
            };
            Hub::new(config, &target, Pool::of(reactor, Arc::clone(&budget)))
        };
        Self { hubs: (0..reactors).map(hub).collect(), home, transition }
    }

    /// A reactor learns how the disk is now.
    pub fn tell(&mut self, now: Time, reactor: u16, disk: &Disk) {
        let target = Arc::new(target(disk, self.home, self.transition));
        self.hub(reactor).handle_config(now, &target, |_, _| true);
    }

    /// Whether nothing that has begun on the unit, which is closed, needs the disk any more.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.hubs.iter().all(|hub| hub.engine().is_still(0))
    }

    /// The hub that owns a connection.
    pub fn hub(&mut self, reactor: u16) -> &mut Hub<Connection> {
        &mut self.hubs[usize::from(reactor)]
    }

    /// A peer connected to a reactor.
    pub fn handle_accept(
        &mut self,
        now: Time,
        reactor: u16,
        port: Connection,
        peer: SocketAddr,
        io: &mut impl Io,
    ) -> Option<NexusId> {
        self.hub(reactor).handle_accept(now, port, peer, io)
    }

    /// The program shall stop.
    pub fn handle_stop(&mut self, now: Time, grace: Duration) {
        self.hubs.iter_mut().for_each(|hub| hub.handle_stop(now, grace));
    }

    /// Lets a hub do what it can.
    pub fn turn(&mut self, now: Time, reactor: u16, io: &mut impl Io) -> Result<(), String> {
        let hub = self.hub(reactor);
        hub.turn(now, io);
        for _ in 0..TURNS_MAX {
            if !hub.is_busy() {
                return Ok(());
            }
            hub.turn(now, io);
        }
        Err(format!("reactor {reactor} is busy for ever"))
    }

    /// How many reactors there are.
    #[must_use]
    pub fn reactors(&self) -> u16 {
        u16::try_from(self.hubs.len()).unwrap_or(u16::MAX)
    }

    /// When a hub wants a turn if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.hubs.iter().filter_map(Hub::poll_timeout).min()
    }

    /// Whether every reactor has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.hubs.iter().all(Hub::is_stopped)
    }

    /// Whether no engine holds a task.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.hubs.iter().all(|hub| hub.engine().is_idle())
    }
}

/// Letters under way: a queue for each writer and reader.
#[derive(Debug)]
pub struct Mail {
    reactors: u16,
    queues: Vec<VecDeque<(Time, Message)>>,
}

impl Mail {
    /// Nothing is under way between so many reactors.
    #[must_use]
    pub fn new(reactors: u16) -> Self {
        let pairs = usize::from(reactors) * usize::from(reactors);
        Self { reactors, queues: (0..pairs).map(|_| VecDeque::new()).collect() }
    }

    /// Takes a letter.
    pub fn post(&mut self, now: Time, from: u16, to: u16, message: Message, random: &mut Random) {
        let at = self.queue(from, to);
        let queue = &mut self.queues[at];
        let micros = match random.below(100) {
            0 => 3_000,
            1..10 => random.below(400),
            _ => random.below(20),
        };
        let last = queue.back().map_or(now, |(arrival, _)| *arrival);
        queue.push_back((last.max(now + Duration::from_micros(micros)), message));
    }

    /// The next letter that has arrived for a reactor.
    pub fn receive(&mut self, now: Time, to: u16) -> Option<Message> {
        let arrival = |queue: &VecDeque<(Time, Message)>| queue.front().map(|(at, _)| *at);
        let queues = (0..self.reactors).map(|from| self.queue(from, to));
        let at = queues.filter_map(|at| Some((arrival(&self.queues[at])?, at))).min()?;
        if at.0 > now {
            return None;
        }
        self.queues[at.1].pop_front().map(|(_, message)| message)
    }

    /// When the next letter arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.queues.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at).min()
    }

    fn queue(&self, from: u16, to: u16) -> usize {
        usize::from(from) * usize::from(self.reactors) + usize::from(to)
    }
}

fn target(disk: &Disk, home: u16, transition: Duration) -> TargetConfig {
    let identity = Identity {
        vendor: "FELIO".to_owned(),
        product: "DISK".to_owned(),
        revision: "0.1".to_owned(),
        serial: "1".to_owned(),
        naa: [0x60; 16],
    };
    let group = |port| PortGroup { transition, ..PortGroup::new(port, Ports::These(vec![port])) };
    let port_groups = PORTS.into_iter().map(group).collect();
    let unit = UnitConfig {
        birth: 0,
        home,
        store: StoreId(0),
        limits: disk.limits(),
        block_bytes: 512,
        physical_block_bytes: 512,
        read_only: false,
        removable: false,
        identity,
        access: Access { port_groups, ..Access::default() },
        saved: disk.saved(),
        meters: Meters::default(),
    };
    let port = |tag| PortConfig {
        target: TARGET.to_owned(),
        tag,
        relative_port: tag,
        luns: Arc::new(LunMap::numbered(1)),
        initiators: BTreeMap::new(),
        meters: Meters::default(),
    };
    TargetConfig {
        ports: PORTS.into_iter().map(port).collect(),
        epoch_millis: 0,
        units: vec![unit.into()],
        token_seed: [0; 32],
    }
}
