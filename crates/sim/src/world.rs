//! One world: one to four hubs as the program runs them, with initiators, links and a disk around them, driven by a clock that jumps.
//!
//! Everything that happens follows from the seed. [`World::run`] returns what it saw, or what went wrong.

use crate::bits::Bits;
use crate::disk::{Disk, Faults};
use crate::initiator::{
    Access, BIT_BLOCKS, BLOCK_BYTES, BLOCKS, COUNTER_BLOCKS, FIRST_BITS, Habits, INITIATORS_MAX, Initiator,
    Length, Promises, Shared, Standing, TAIL_BLOCKS, Wish, port_of, size, stamp_of,
};
use crate::net::Link;
use crate::operator::Operator;
use crate::program::{Mail, PORTS, Program, TARGET};
use crate::random::Random;
use crate::referee::{NOBODY, Referee};
use felio_hal::store::WriteCache;
use felio_hal::{NexusId, StoreQueue, Time};
use felio_iscsi::config::{Config, PortalGroup, Target};
use felio_iscsi::connection::Connection;
use felio_iscsi::limits::Limits;
use felio_runtime::hub::{Event, Io, Message, Received, Sent};
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any world.
const NEVER: Duration = Duration::from_secs(100_000);

/// Moments in a row at which something is overdue.
const OVERDUE_MAX: u32 = 100_000;

/// What a world saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Commands that ended.
    pub completed: u64,
    /// GOOD ones among them.
    pub good: u64,
    /// Sessions that began.
    pub logins: u64,
    /// Times that the power failed.
    pub power_cuts: u64,
    /// Times that the program was killed.
    pub kills: u64,
    /// Times that another store took the place of one.
    pub swaps: u64,
    /// Simulated time.
    pub time: Time,
    /// A number that any difference between two runs would change.
    pub digest: u64,
}

/// A world.
pub struct World {
    random: Random,
    now: Time,
    program: Program,
    /// Where the disk is at home.
    home: u16,
    outside: Outside,
    initiators: Vec<Initiator>,
    shared: Shared,
    summary: Summary,
    /// When the target dies next.
    crash_at: Time,
    /// When the disk gets another length.
    resize_at: Time,
    /// Who puts another store under the unit.
    operator: Operator,
    /// How long a port is between two access states.
    transition: Duration,
    /// Until when the initiators work.
    end_at: Time,
    /// How often in a row something was due at once.
    overdue: u32,
}

/// What the hubs reach.
struct Outside {
    random: Random,
    now: Time,
    /// The reactor whose turn it is.
    reactor: u16,
    mail: Mail,
    disk: Disk,
    /// By initiator.
    links: Vec<Link>,
    /// Whose link a connection is.
    owners: BTreeMap<NexusId, usize>,
    log: Option<Vec<String>>,
    logins: u64,
}

impl World {
    /// The world of a seed; with a log of what happens, or without.
    #[must_use]
    pub fn new(seed: u64, log: bool) -> Self {
        let mut random = Random::new(seed);
        let write_cache = if random.chance(750) { WriteCache::On } else { WriteCache::Off };
        let faulty = random.chance(500);
        let faults = if faulty { Faults { medium: 5, no_space: 5, slow: 5 } } else { Faults::NONE };
        let disk = Disk::new(BLOCKS + TAIL_BLOCKS, write_cache, faults, random.fork());
        let crowd = random.chance(400);
        let leader = match random.below(4) {
            0 => Habits::SURVEYOR,
            1 => Habits::WARDEN,
            _ => Habits::LEADER,
        };
        let reactors: u16 = narrow(if crowd { 3 + random.below(2) } else { 1 + random.below(4) });
        let home = narrow(random.below(u64::from(reactors)));
        let transition = Duration::from_micros(if random.chance(500) { 0 } else { random.below(3_000) });
        let program = Program::new(&disk, reactors, home, transition);
        let count = if crowd { INITIATORS_MAX } else { narrow(1 + random.below(3)) };
        let habits = |number| match number {
            _ if !crowd => Habits::SCATTERED,
            0 => leader,
            _ => Habits::FOLLOWER,
        };
        let initiators: Vec<Initiator> =
            (0..count).map(|n| Initiator::new(n, TARGET, habits(n), random.fork())).collect();
        let shared = Shared {
            referee: Referee::new(FIRST_BITS),
            bits: Bits::new(BIT_BLOCKS),
            stamp: 1 << 32,
            moved: vec![Vec::new(); COUNTER_BLOCKS],
            cached: write_cache == WriteCache::On,
            write_through: random.chance(300),
            promises: Promises::new(crowd && leader == Habits::WARDEN, &mut random),
            access: Access::new(&mut random),
            length: Length::whole(),
            swapping: false,
            resizing: (crowd && leader == Habits::SURVEYOR) || random.chance(300),
            answered: Time(0),
            landed: Time(0),
            completed: 0,
            good: 0,
        };
        let shared = Shared {
            // Who resizes, or has the cache switched off, is held to what this would change.
            swapping: !shared.resizing && !shared.write_through && random.chance(700),
            ..shared
        };
        let swap_at = Time(0) + if shared.swapping { Duration::from_millis(2) } else { NEVER };
        let operator = Operator::new(swap_at, random.fork());
        let outside = Outside {
            random: random.fork(),
            now: Time(0),
            reactor: 0,
            mail: Mail::new(reactors),
            disk,
            links: initiators.iter().map(|_| Link::default()).collect(),
            owners: BTreeMap::new(),
            log: log.then(Vec::new),
            logins: 0,
        };
        let crash_at = Time(0) + Duration::from_millis(20 + random.below(400));
        let resize_at = Time(0) + if shared.resizing { Duration::from_millis(5) } else { NEVER };
        let end_at = Time(0) + Duration::from_millis(if crowd { 120 } else { 600 });
        let summary = Summary::default();
        Self {
            random,
            now: Time(0),
            program,
            home,
            outside,
            initiators,
            shared,
            summary,
            crash_at,
            resize_at,
            operator,
            transition,
            end_at,
            overdue: 0,
        }
    }

    /// Runs until the initiators have left, the target has stopped and all is checked.
    pub fn run(&mut self) -> Result<Summary, String> {
        while !(self.now >= self.end_at && self.initiators.iter().all(Initiator::is_away)) {
            self.advance()?;
            if self.now >= self.crash_at {
                self.crash()?;
            }
            if self.now >= self.resize_at {
                self.resize();
            }
            self.step()?;
        }
        self.stop()?;
        self.check_blocks()?;
        self.summary.completed = self.shared.completed;
        self.summary.good = self.shared.good;
        self.summary.logins = self.outside.logins;
        self.summary.swaps = self.operator.swaps;
        self.summary.time = self.now;
        if self.summary.good == 0 {
            return Err("no command ended GOOD".to_owned());
        }
        Ok(self.summary)
    }

    /// The log, if one was kept.
    #[must_use]
    pub fn log(&self) -> &[String] {
        self.outside.log.as_deref().unwrap_or_default()
    }

    /// Jumps to the next thing that happens.
    fn advance(&mut self) -> Result<(), String> {
        // What is on the way of a broken link arrives nowhere.
        let links = self.outside.links.iter().filter(|link| !link.broken);
        // What the target was told of and has not read is the target's business.
        let news = |at: &Time| *at > self.now;
        let links = links.flat_map(|link| [link.up.next_arrival().filter(news), link.down.next_arrival()]);
        let initiators = self.initiators.iter().map(|initiator| Some(initiator.next_action));
        let (disk, mail) = (self.outside.disk.next_completion(), self.outside.mail.next_arrival());
        let others = [disk, mail, self.program.next_timeout(), Some(self.crash_at), Some(self.resize_at)];
        let others = others.into_iter().chain([Some(self.operator.next())]);
        let next =
            links.chain(initiators).chain(others).flatten().min().ok_or("nothing will ever happen again")?;
        self.overdue = if next > self.now { 0 } else { self.overdue + 1 };
        if self.overdue > OVERDUE_MAX {
            return Err(format!("something is due and is not done at {:?}", self.now));
        }
        // Something that is overdue happens now; time still passes, so that nothing can stop it.
        self.now = next.max(self.now + Duration::from_nanos(100));
        self.outside.now = self.now;
        self.outside.disk.advance(self.now);
        self.summary.digest = self.summary.digest.rotate_left(5) ^ self.now.0;
        Ok(())
    }

    /// Whatever is due now.
    fn step(&mut self) -> Result<(), String> {
        for who in 0..self.initiators.len() {
            self.move_initiator(who)?;
        }
        let wanted = self.shared.swapping && self.now < self.end_at;
        let Self { operator, program, outside, shared, .. } = self;
        operator.act(self.now, wanted, program, &mut outside.disk, shared)?;
        let readable: Vec<NexusId> = self.outside.readable();
        readable.into_iter().for_each(|conn| self.program.hub(conn.reactor).handle_readable(conn));
        let writable: Vec<NexusId> = self.outside.writable();
        writable.into_iter().for_each(|conn| self.program.hub(conn.reactor).handle_writable(conn));
        (0..self.program.reactors()).try_for_each(|reactor| self.turn(reactor))?;
        let events = self.outside.disk.take_events();
        events.iter().try_for_each(|event| self.shared.check_event(self.now, event))
    }

    /// A reactor reads its letters and takes its turns.
    fn turn(&mut self, reactor: u16) -> Result<(), String> {
        self.outside.turn_to(reactor);
        while let Some(message) = self.outside.mail.receive(self.now, reactor) {
            self.outside.note(|| format!("reactor {reactor} reads {message:?}"));
            self.program.hub(reactor).handle_message(message);
        }
        self.program.turn(self.now, reactor, &mut self.outside)
    }

    fn move_initiator(&mut self, who: usize) -> Result<(), String> {
        let busy = self.now < self.end_at;
        if let Standing::Away(until) = self.initiators[who].standing {
            if busy && until <= self.now {
                self.connect(who);
            } else {
                if !busy {
                    self.initiators[who].next_action = self.now + Duration::from_secs(3600);
                }
                return Ok(());
            }
        }
        let link = &mut self.outside.links[who];
        if link.broken {
            return self.break_link(who, "the link is broken");
        }
        let bytes = link.down.receive(self.now, usize::MAX);
        if bytes.is_empty() && link.closed && link.down.next_arrival().is_none() {
            return self.break_link(who, "the target closed the link");
        }
        self.shared.answered = link.down.sent;
        let initiator = &mut self.initiators[who];
        initiator.story = self.outside.log.is_some().then(Vec::new);
        let mut wish = initiator.handle_input(self.now, &bytes, &mut self.shared)?;
        if wish == Wish::None {
            wish = initiator.act(self.now, busy, &mut self.shared)?;
        }
        for line in initiator.story.take().unwrap_or_default() {
            self.outside.note(|| format!("initiator {who} {line}"));
        }
        let output = initiator.peer.take_output();
        let digests = initiator.has_digests() && matches!(initiator.standing, Standing::Working);
        self.outside.links[who].up.send(self.now, &output, &mut self.random);
        if digests
            && self.random.chance(1)
            && self.random.chance(200)
            && self.outside.links[who].up.corrupt(&mut self.random)
        {
            self.outside.note(|| format!("a bit from initiator {who} turned over"));
        }
        match wish {
            Wish::None => Ok(()),
            Wish::Break => self.break_link(who, "the initiator breaks off"),
            Wish::Left => self.break_link(who, "the initiator has left"),
        }
    }

    fn connect(&mut self, who: usize) {
        let port = 10_000 + u16::try_from(who).unwrap_or(0);
        let portal = |tag: u16| address(3260 + tag);
        let (peer, local) = (address(port), portal(port_of(self.initiators[who].number)));
        let group = |tag| Some(PortalGroup::open(NonZeroU16::new(tag)?, vec![portal(tag)]));
        let groups = PORTS.into_iter().filter_map(group).collect();
        let target = Target::new(TARGET.parse().expect("the name is one"), groups);
        let config = Config::new(target);
        let seed = std::array::from_fn(|_| u8::try_from(self.random.below(256)).unwrap_or(0));
        let connection = Connection::new(Arc::new(config), Limits::default(), peer, local, seed, self.now);
        self.outside.links[who] = Link::new(if self.is_crowd() { 0 } else { 2 });
        // Where there is no room the initiator comes again.
        let reactor = self.draw_reactor(who);
        self.outside.turn_to(reactor);
        let accepted = self.program.handle_accept(self.now, reactor, connection, peer, &mut self.outside);
        if let Some(conn) = accepted {
            self.outside.owners.insert(conn, who);
            self.initiators[who].connect(self.now);
            self.outside.note(|| format!("initiator {who} connects as {conn:?}"));
        }
    }

    /// Where an initiator arrives: anywhere, or if they are many, mostly each elsewhere.
    fn draw_reactor(&mut self, who: usize) -> u16 {
        let reactors = self.program.reactors();
        if self.is_crowd() && self.random.chance(800) {
            return (self.home + u16::try_from(who).unwrap_or(0)) % reactors;
        }
        narrow(self.random.below(u64::from(reactors)))
    }

    fn is_crowd(&self) -> bool {
        self.initiators.len() == usize::from(INITIATORS_MAX)
    }

    fn break_link(&mut self, who: usize, why: &str) -> Result<(), String> {
        self.outside.note(|| format!("initiator {who}: {why}"));
        let link = &mut self.outside.links[who];
        link.broken = true;
        link.up.cut(&mut self.random);
        self.initiators[who].handle_break(self.now);
        if let Some((conn, _)) = self.outside.owners.iter().find(|(_, owner)| **owner == who) {
            self.program.hub(conn.reactor).handle_readable(*conn);
        }
        self.outside.owners.retain(|_, owner| *owner != who);
        Ok(())
    }

    /// Somebody gives the disk another length.
    fn resize(&mut self) {
        let blocks = size::draw(&mut self.random);
        self.outside.note(|| format!("the disk is {blocks} blocks long"));
        self.outside.disk.resize(blocks);
        self.shared.length.change(self.now, blocks);
        let pause =
            if self.now < self.end_at { Duration::from_millis(1 + self.random.below(30)) } else { NEVER };
        self.resize_at = self.now + pause;
    }

    /// The program is killed, or the power fails; then a new program serves the same disk.
    fn crash(&mut self) -> Result<(), String> {
        let power = self.random.chance(500);
        self.outside
            .note(|| if power { "the power fails".to_owned() } else { "the program is killed".to_owned() });
        let reactors = self.program.reactors();
        self.outside.mail = Mail::new(reactors);
        self.outside.owners.clear();
        self.outside.links.iter_mut().for_each(|link| *link = Link { broken: true, ..Link::default() });
        if power {
            self.summary.power_cuts += 1;
            self.outside.disk.lose_power();
        } else {
            self.summary.kills += 1;
            self.outside.disk.abandon();
        }
        self.program = Program::new(&self.outside.disk, reactors, self.home, self.transition);
        if self.shared.swapping {
            self.operator.handle_crash(self.now);
        }
        for initiator in self.initiators.iter_mut().filter(|initiator| !initiator.is_away()) {
            initiator.handle_crash(self.now, &mut self.shared);
        }
        for initiator in &mut self.initiators {
            initiator.settle_after_crash(&mut self.shared);
        }
        // A new program knows nothing of a write cache that was switched off.
        self.shared.promises.restart();
        self.shared.length.note_start(self.now);
        self.shared.cached = self.outside.disk.limits().write_cache == WriteCache::On;
        if power {
            let stamps = self.stamps()?;
            self.shared.lose_power(&stamps).map_err(|foul| format!("after a power cut, {foul}"))?;
        }
        self.crash_at = self.now + Duration::from_millis(20 + self.random.below(600));
        if self.crash_at >= self.end_at {
            self.crash_at = Time(0) + NEVER; // What hangs in the end shall be seen, not swept away.
        }
        Ok(())
    }

    /// A graceful end of the program.
    fn stop(&mut self) -> Result<(), String> {
        let deadline = self.now + Duration::from_secs(120);
        self.program.handle_stop(self.now, Duration::from_secs(3));
        self.crash_at = deadline + Duration::from_secs(1);
        while !self.program.is_stopped() {
            if self.now >= deadline {
                return Err(format!("the program does not stop: {:?}", self.program));
            }
            self.advance()?;
            self.step()?;
        }
        if !self.program.is_idle() {
            return Err("an engine holds tasks after the end".to_owned());
        }
        Ok(())
    }

    fn check_blocks(&mut self) -> Result<(), String> {
        let sent = self.shared.referee.send(NOBODY);
        let stamps = self.stamps()?;
        self.shared.check_read(sent, 0, &stamps).map_err(|foul| format!("at the end, {foul}"))
    }

    fn stamps(&self) -> Result<Vec<u64>, String> {
        assert_eq!(BLOCK_BYTES, crate::disk::SECTOR_BYTES);
        (0..BLOCKS).map(|block| stamp_of(self.outside.disk.sector(block))).collect()
    }
}

impl Outside {
    fn turn_to(&mut self, reactor: u16) {
        self.reactor = reactor;
        self.disk.serve(reactor);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{:>12} {}", now.0 / 1000, what()));
        }
    }

    fn readable(&self) -> Vec<NexusId> {
        let readable = |who: usize| self.links[who].broken || self.links[who].up.is_readable(self.now);
        self.owners.iter().filter(|(_, who)| readable(**who)).map(|(conn, _)| *conn).collect()
    }

    fn writable(&mut self) -> Vec<NexusId> {
        let mut conns = Vec::new();
        for (conn, who) in &self.owners {
            let link = &mut self.links[*who];
            if link.was_full && link.down.room() > 0 {
                link.was_full = false;
                conns.push(*conn);
            }
        }
        conns
    }
}

impl Io for Outside {
    fn receive(&mut self, conn: NexusId, into: &mut [IoSliceMut<'_>]) -> Received {
        let Some(link) = self.owners.get(&conn).and_then(|who| self.links.get_mut(*who)) else {
            return Received::Closed;
        };
        let room = into.iter().map(|slice| slice.len()).sum();
        let most = if self.random.chance(100) { 1 + self.random.index(100) } else { usize::MAX };
        let bytes = link.up.receive(self.now, most.min(room));
        if bytes.is_empty() {
            return if link.broken { Received::Closed } else { Received::Empty };
        }
        let mut rest = bytes.as_slice();
        for slice in into {
            let (piece, behind) = rest.split_at(rest.len().min(slice.len()));
            slice[..piece.len()].copy_from_slice(piece);
            rest = behind;
        }
        Received::Data { bytes: bytes.len(), drained: !link.up.is_readable(self.now) && !link.broken }
    }

    fn send(&mut self, conn: NexusId, from: &[IoSlice<'_>]) -> Sent {
        let Some(link) = self.owners.get(&conn).and_then(|who| self.links.get_mut(*who)) else {
            return Sent::Broken;
        };
        if link.broken {
            return Sent::Broken;
        }
        let bytes: Vec<u8> = from.iter().flat_map(|slice| slice.iter().copied()).collect();
        let most = if self.random.chance(100) { 1 + self.random.index(100) } else { usize::MAX };
        let count = bytes.len().min(link.down.room()).min(most);
        link.down.send(self.now, &bytes[..count], &mut self.random);
        // Room that is left is told of in the next step.
        link.was_full = count < bytes.len();
        Sent::Data { bytes: count, full: link.was_full }
    }

    fn close(&mut self, conn: NexusId) {
        if let Some(who) = self.owners.remove(&conn) {
            self.links[who].closed = true;
            self.note(|| format!("the target closes {conn:?}"));
        }
    }

    fn now(&self) -> Time {
        self.now
    }

    fn stores(&mut self) -> &mut dyn StoreQueue {
        &mut self.disk
    }

    fn post(&mut self, reactor: u16, message: Message) {
        let from = self.reactor;
        self.note(|| format!("reactor {from} to {reactor}: {message:?}"));
        self.mail.post(self.now, self.reactor, reactor, message, &mut self.random);
    }

    fn tell(&mut self, event: Event) {
        self.logins += u64::from(matches!(event, Event::Login { .. }));
        self.note(|| format!("{event:?}"));
    }
}

const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn narrow<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}
