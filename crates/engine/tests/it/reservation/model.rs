//! Reservations against a second opinion: a naive model, written after the standards' tables and not after the engine.
//!
//! A run is a random sequence from a seed: every service action, RESERVE and RELEASE, commands that read, write and look,
//! logins and logouts, resets, restarts, savings that fail and documents that are damaged, by four initiators through two
//! target ports, half of the runs with a second reactor. After each step status, sense, parameter data and unit attentions must be what the model says.
//!
//! `FELIO_RESERVATION_STEPS=1000000 cargo test -p felio-engine --test it reservations_do_what_the_model_says` takes longer.

use super::*;
use crate::cdb::*;
use crate::dice::Dice;
use crate::rig::{BLOCK, target};
use felio_engine::{Engine, PortConfig};
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::status::TaskManagementFunction as Function;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An initiator and the RELATIVE TARGET PORT IDENTIFIER of a port.
type Path = (u32, u16);

const PORTS: [u16; 2] = [1, 7];
/// The last one never logs in.
const INITIATORS: [u32; 5] = [0, 1, 2, 3, 9];

const POWER_ON: Code = (6, 0x29, 1);
const NEXUS_LOSS: Code = (6, 0x29, 7);
const RESET: Code = (6, 0x29, 3);
const LOST: Code = (7, 0x44, 1);

/// What a command of the sample does, and so which line of the tables it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Always,
    Ready,
    Read,
    Write,
}

/// How a command must end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Good,
    Data(Vec<u8>),
    Conflict,
    /// Sense code, and the byte that the field pointer names.
    Check(Code, Option<u16>),
}

#[derive(Clone, Debug, Default)]
struct Registered {
    paths: Vec<(Path, u64)>,
    /// Type and holder; nobody in particular where all hold it.
    held: Option<(u8, Option<Path>)>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    now: Registered,
    generation: u32,
    aptpl: bool,
    lost: bool,
    /// What a restart would find.
    kept: Registered,
    kept_aptpl: bool,
    reserve: Option<Path>,
    here: BTreeSet<Path>,
    known: BTreeSet<Path>,
    pending: BTreeMap<Path, BTreeSet<Code>>,
}

/// PERSISTENT RESERVE OUT as the model sees it.
#[derive(Clone, Debug)]
struct Asked {
    out: Out,
    scope: u8,
    kind: u8,
    key: u64,
    action_key: u64,
    aptpl: bool,
    all_ports: bool,
    /// SPEC_I_PT: initiators by port, or as a whole.
    others: Option<Vec<(u32, bool)>>,
    /// REGISTER AND MOVE.
    unregister: bool,
    to: (Path, bool),
}

impl Registered {
    fn key(&self, path: Path) -> Option<u64> {
        self.paths.iter().find(|(of, _)| *of == path).map(|(_, key)| *key)
    }

    fn holds(&self, path: Path) -> bool {
        match self.held {
            Some((_, Some(holder))) => holder == path,
            Some((_, None)) => self.key(path).is_some(),
            None => false,
        }
    }

    /// Takes registrations away, and the reservation of whom they held.
    fn remove(&mut self, path: Path) {
        let held = self.holds(path);
        self.paths.retain(|(of, _)| *of != path);
        if let Some((kind, _)) = self.held
            && (if kind >= WE_AR { self.paths.is_empty() } else { held })
        {
            self.held = None;
        }
    }

    fn set(&mut self, path: Path, key: u64) {
        match self.paths.iter_mut().find(|(of, _)| *of == path) {
            Some((_, old)) => *old = key,
            None => self.paths.push((path, key)),
        }
    }
}

impl Model {
    fn tell(&mut self, path: Path, code: Code) {
        if self.here.contains(&path) {
            self.pending.entry(path).or_default().insert(code);
        }
    }

    fn tell_registered(&mut self, but: Path, code: Code) {
        for (path, _) in self.now.paths.clone() {
            if path != but {
                self.tell(path, code);
            }
        }
    }

    /// The unit attention that comes before anything else.
    fn attention(&mut self, path: Path) -> Option<End> {
        let code = self.pending.get_mut(&path)?.pop_first()?;
        Some(End::Check(code, None))
    }

    /// Whether the tables let a command pass.
    fn passes(&self, path: Path, line: Line) -> Option<End> {
        if line == Line::Always {
            return None;
        }
        if let Some(owner) = self.reserve {
            return (owner != path).then_some(End::Conflict);
        }
        if self.lost {
            return Some(End::Check(LOST, None));
        }
        let (kind, _) = self.now.held.filter(|_| !self.now.holds(path))?;
        if kind >= WE_RO && self.now.key(path).is_some() {
            return None;
        }
        let excludes_reads = [EA, EA_RO, EA_AR].contains(&kind);
        let conflicts = match line {
            Line::Always | Line::Ready => false,
            Line::Read => excludes_reads,
            Line::Write => true,
        };
        conflicts.then_some(End::Conflict)
    }

    fn command(&mut self, path: Path, line: Line) -> End {
        self.attention(path).or_else(|| self.passes(path, line)).unwrap_or(End::Good)
    }

    fn reserve_6(&mut self, path: Path, release: bool) -> End {
        if let Some(end) = self.attention(path) {
            return end;
        }
        if self.lost && !release {
            return End::Check(LOST, None);
        }
        if let Some(owner) = self.reserve {
            if owner == path && release {
                self.reserve = None;
            }
            return if owner == path || release { End::Good } else { End::Conflict };
        }
        if !self.now.paths.is_empty() {
            let shared = self.now.held.is_some_and(|(kind, _)| kind >= WE_RO);
            let fine = self.now.holds(path) || (shared && self.now.key(path).is_some());
            // What the table of conflicts says comes first; it lets RELEASE and RESERVE pass.
            return if fine { End::Good } else { End::Conflict };
        }
        if !release {
            self.reserve = Some(path);
        }
        End::Good
    }

    fn report(&mut self, path: Path, action: u8, allocation: usize) -> End {
        if let Some(end) = self.attention(path) {
            return end;
        }
        if self.reserve.is_some() {
            return End::Conflict;
        }
        if self.lost {
            return End::Check(LOST, None);
        }
        let mut body: Vec<u8> = Vec::new();
        match action {
            0 => self.now.paths.iter().for_each(|(_, key)| body.extend(key.to_be_bytes())),
            1 => {
                if let Some((kind, holder)) = self.now.held {
                    let key = holder.and_then(|holder| self.now.key(holder)).unwrap_or(0);
                    body.extend(key.to_be_bytes());
                    body.extend([0, 0, 0, 0, 0, kind, 0, 0]);
                }
            }
            2 => {
                let active = u8::from(self.aptpl);
                let all = [0, 8, 0x9d, 0xb0 | active, 0xea, 1, 0, 0];
                return End::Data(all[..allocation.min(8)].to_vec());
            }
            _ => {
                for (path, key) in &self.now.paths {
                    let holds = self.now.holds(*path);
                    let kind = self.now.held.map_or(0, |(kind, _)| kind);
                    let id = transport_id(path.0);
                    body.extend(key.to_be_bytes());
                    body.extend([0, 0, 0, 0, u8::from(holds), if holds { kind } else { 0 }, 0, 0, 0, 0]);
                    body.extend(path.1.to_be_bytes());
                    body.extend(u32::try_from(id.len()).expect("short").to_be_bytes());
                    body.extend(id);
                }
            }
        }
        let mut data = self.generation.to_be_bytes().to_vec();
        data.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
        data.extend(body);
        data.truncate(allocation);
        End::Data(data)
    }

    /// PERSISTENT RESERVE OUT, whose saving would fail or not.
    fn out(&mut self, path: Path, asked: &Asked, failure: bool) -> (End, bool) {
        if let Some(end) = self.attention(path) {
            return (end, false);
        }
        if self.reserve.is_some() {
            return (End::Conflict, false);
        }
        if self.lost && asked.out != Out::Replace {
            return (End::Check(LOST, None), false);
        }
        let before = self.clone();
        let end = self.held_back(path, asked).unwrap_or_else(|| self.carry_out(path, asked));
        if end != End::Good {
            *self = before;
            return (end, false);
        }
        let changed = before.now.paths != self.now.paths
            || before.now.held != self.now.held
            || before.generation != self.generation
            || before.aptpl != self.aptpl;
        let saves = before.lost || ((before.aptpl || self.aptpl) && changed);
        if saves && failure {
            *self = before;
            return (End::Check((4, 0x44, 0), None), true);
        }
        if saves {
            self.kept_aptpl = self.aptpl;
            self.kept = if self.aptpl { self.now.clone() } else { Registered::default() };
        }
        (End::Good, saves)
    }

    /// The table of service actions past reservations.
    fn held_back(&self, path: Path, asked: &Asked) -> Option<End> {
        self.now.held.filter(|_| !self.now.holds(path))?;
        let registered = self.now.key(path).is_some();
        let allowed = match asked.out {
            Out::Register | Out::Ignore => true,
            Out::Clear | Out::Preempt | Out::PreemptAndAbort | Out::Release => registered,
            Out::Reserve | Out::Move | Out::Replace => false,
        };
        (!allowed).then_some(End::Conflict)
    }

    fn carry_out(&mut self, path: Path, asked: &Asked) -> End {
        if asked.others.is_some() && asked.out != Out::Register {
            return End::Check(INVALID_LIST, Some(20));
        }
        if asked.out == Out::Move && asked.to.1 {
            return End::Check(INVALID_LIST, Some(24));
        }
        match asked.out {
            Out::Register | Out::Ignore => return self.register(path, asked),
            Out::Replace => return self.replace(path, asked),
            _ => {}
        }
        if asked.key == 0 || self.now.key(path) != Some(asked.key) {
            return End::Conflict;
        }
        match asked.out {
            Out::Reserve => self.reserve(path, asked),
            Out::Release => self.release(path, asked),
            Out::Clear => {
                self.tell_registered(path, PREEMPTED);
                self.now = Registered::default();
                self.generation += 1;
                End::Good
            }
            Out::Move => self.relocate(path, asked),
            _ => self.preempt(path, asked),
        }
    }

    fn register(&mut self, path: Path, asked: &Asked) -> End {
        let own = self.now.key(path);
        let ignores = asked.out == Out::Ignore;
        if !ignores && own.unwrap_or(0) != asked.key {
            return End::Conflict;
        }
        if own.is_none() && asked.action_key == 0 {
            return End::Good;
        }
        if own.is_some() && asked.others.is_some() {
            return End::Check(INVALID_LIST, Some(20));
        }
        let held = self.now.held;
        let ports: Vec<u16> = if asked.all_ports { PORTS.to_vec() } else { vec![path.1] };
        let old = self.now.clone();
        let mut order = ports.clone();
        order.sort_by_key(|port| (*port != path.1, *port));
        let mut offset = 28;
        let mut others = BTreeSet::new();
        for (initiator, whole) in asked.others.iter().flatten() {
            let seen =
                self.known.iter().chain(old.paths.iter().map(|(path, _)| path)).any(|p| p.0 == *initiator);
            if *whole && !seen {
                return End::Check(INVALID_LIST, Some(offset));
            }
            offset += if *whole { 32 } else { u16::try_from(transport_id(*initiator).len()).expect("short") };
            others.insert(*initiator);
        }
        others.remove(&path.0);
        for port in order {
            for initiator in core::iter::once(path.0).chain(others.iter().copied()) {
                let (it, had) = ((initiator, port), old.key((initiator, port)));
                match (had, asked.action_key) {
                    (None, 0) => {}
                    (None, key) => self.now.set(it, key),
                    (Some(had), 0) if ignores || had == asked.key => self.now.remove(it),
                    (Some(_), 0) => {}
                    (Some(had), key) if ignores || had == asked.key => self.now.set(it, key),
                    (Some(_), _) if initiator == path.0 => return End::Conflict,
                    (Some(_), _) => {}
                }
            }
        }
        if let Some((WE_RO.., _)) = held
            && self.now.held.is_none()
        {
            self.tell_registered(path, RELEASED);
        }
        self.generation += 1;
        self.aptpl = asked.aptpl;
        End::Good
    }

    fn kind(asked: &Asked) -> Result<u8, End> {
        if asked.scope == 0 && TYPES.contains(&asked.kind) {
            Ok(asked.kind)
        } else {
            Err(End::Check(INVALID_CDB, Some(2)))
        }
    }

    fn reserve(&mut self, path: Path, asked: &Asked) -> End {
        match (Self::kind(asked), self.now.held) {
            (Err(end), _) => end,
            (Ok(kind), Some((held, _))) if kind == held && self.now.holds(path) => End::Good,
            (Ok(_), Some(_)) => End::Conflict,
            (Ok(kind), None) => {
                self.now.held = Some((kind, (kind < WE_AR).then_some(path)));
                End::Good
            }
        }
    }

    fn release(&mut self, path: Path, asked: &Asked) -> End {
        let Some((kind, _)) = self.now.held.filter(|_| self.now.holds(path)) else { return End::Good };
        if (asked.scope, asked.kind) != (0, kind) {
            return End::Check((5, 0x26, 4), None);
        }
        self.now.held = None;
        if kind >= WE_RO {
            self.tell_registered(path, RELEASED);
        }
        End::Good
    }

    fn preempt(&mut self, path: Path, asked: &Asked) -> End {
        let victim = asked.action_key;
        let takes_over = match self.now.held {
            Some((WE_AR.., _)) => victim == 0,
            Some((_, Some(holder))) => victim != 0 && self.now.key(holder) == Some(victim),
            _ => false,
        };
        if !takes_over && victim == 0 {
            return End::Check(INVALID_LIST, Some(8));
        }
        if !takes_over && self.now.paths.iter().all(|(_, key)| *key != victim) {
            return End::Conflict;
        }
        let kind = match (takes_over, Self::kind(asked)) {
            (true, Err(end)) => return end,
            (true, Ok(kind)) => Some(kind),
            (false, _) => None,
        };
        for (of, key) in self.now.paths.clone() {
            if (victim == 0 || key == victim) && !(takes_over && of == path) {
                if of != path {
                    self.tell(of, REGISTRATIONS_PREEMPTED);
                }
                self.now.paths.retain(|(other, _)| *other != of);
            }
        }
        if let Some(kind) = kind {
            if self.now.held.map(|(held, _)| held) != Some(kind) {
                self.tell_registered(path, RELEASED);
            }
            self.now.held = Some((kind, (kind < WE_AR).then_some(path)));
        } else if self.now.paths.is_empty() {
            self.now.held = None;
        }
        self.generation += 1;
        End::Good
    }

    fn relocate(&mut self, path: Path, asked: &Asked) -> End {
        let Some((kind, _)) = self.now.held else { return End::Check(INVALID_CDB, Some(1)) };
        let (to, _) = asked.to;
        if kind >= WE_AR || !self.now.holds(path) {
            return End::Conflict;
        }
        if asked.action_key == 0 {
            return End::Check(INVALID_LIST, Some(8));
        }
        if !PORTS.contains(&to.1) {
            return End::Check(INVALID_LIST, Some(18));
        }
        if to == path {
            return End::Check(INVALID_LIST, Some(24));
        }
        self.now.set(to, asked.action_key);
        self.now.held = Some((kind, Some(to)));
        if asked.unregister {
            self.now.paths.retain(|(of, _)| *of != path);
        }
        self.generation += 1;
        self.aptpl = asked.aptpl;
        End::Good
    }

    fn replace(&mut self, path: Path, asked: &Asked) -> End {
        if !self.lost {
            return End::Check(INVALID_CDB, Some(1));
        }
        if asked.key != 0 {
            return End::Check(INVALID_LIST, Some(0));
        }
        if asked.action_key == 0 {
            return End::Check(INVALID_LIST, Some(8));
        }
        match Self::kind(asked) {
            Err(end) => end,
            Ok(kind) => {
                self.now.paths = vec![(path, asked.action_key)];
                self.now.held = Some((kind, (kind < WE_AR).then_some(path)));
                (self.generation, self.aptpl, self.lost) = (self.generation + 1, asked.aptpl, false);
                End::Good
            }
        }
    }

    fn login(&mut self, path: Path) {
        let code = if self.known.insert(path) { POWER_ON } else { NEXUS_LOSS };
        self.here.insert(path);
        self.pending.insert(path, BTreeSet::from([code]));
    }

    fn logout(&mut self, path: Path) {
        self.here.remove(&path);
        self.pending.remove(&path);
        self.lose(path);
    }

    fn lose(&mut self, path: Path) {
        if self.reserve == Some(path) {
            self.reserve = None;
        }
    }

    fn restart(&mut self, damaged: bool) {
        *self = Self {
            now: if damaged { Registered::default() } else { self.kept.clone() },
            aptpl: !damaged && self.kept_aptpl,
            lost: damaged,
            kept: self.kept.clone(),
            kept_aptpl: self.kept_aptpl,
            ..Self::default()
        };
    }
}

struct Run {
    rig: Rig,
    model: Model,
    dice: Dice,
    nexuses: BTreeMap<Path, NexusId>,
    logins: u32,
    /// How many reactors there are.
    reactors: u32,
    /// The last steps, for who looks for the reason.
    log: Vec<String>,
}

fn rig(saved: Saved, reactors: u32) -> Rig {
    let mut target = target();
    target.unit_mut(0).saved = saved;
    target.ports = [1, 2]
        .into_iter()
        .zip(PORTS)
        .map(|(tag, relative_port)| PortConfig { tag, relative_port, ..target.ports[0].clone() })
        .collect();
    let mut rig = Rig::silent(target.clone(), 64, 1 << 20);
    rig.guest = (reactors > 1).then(|| Engine::new(Arc::new(target), 1, 64));
    rig
}

fn end_of(reply: &Reply) -> End {
    match reply.status {
        Status::GOOD if reply.data.is_empty() => End::Good,
        Status::GOOD => End::Data(reply.data.clone()),
        Status::RESERVATION_CONFLICT => End::Conflict,
        _ => End::Check(reply.code(), (reply.sense[15] & 0x80 != 0).then(|| reply.pointer())),
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let model = Model::default();
        let reactors = if seed.is_multiple_of(2) { 1 } else { 2 };
        let (rig, dice) = (rig(Saved::default(), reactors), Dice::new(seed));
        Self { rig, model, dice, nexuses: BTreeMap::new(), logins: 0, reactors, log: Vec::new() }
    }

    fn step(&mut self) {
        self.rig.said.clear();
        self.rig.disk.log.clear();
        let holder =
            self.model.now.held.and_then(|(_, holder)| holder).filter(|(initiator, _)| *initiator < 9);
        let anybody = (self.dice.of(&INITIATORS[..4]), self.dice.of(&PORTS));
        let path = holder.filter(|_| self.dice.one_in(4)).unwrap_or(anybody);
        let Some(nexus) = self.nexuses.get(&path).copied() else { return self.login(path) };
        match self.dice.roll(100) {
            0..2 => self.logout(path, nexus),
            2..4 => self.reset(path, nexus),
            4 if self.dice.one_in(4) => self.restart(),
            4..12 => self.reserve_6(path, nexus),
            12..35 => self.command(path, nexus),
            35..50 => self.report(path, nexus),
            _ => self.out(path, nexus),
        }
    }

    fn check(&mut self, what: &str, path: Path, want: &End, reply: &Reply) {
        // A read hands over what is written there; the model does not know what.
        let got = match (want, end_of(reply)) {
            (End::Good, End::Data(_)) => End::Good,
            (End::Data(data), End::Good) if data.is_empty() => End::Data(Vec::new()),
            (_, got) => got,
        };
        self.log.push(format!("{path:?} {what}: {got:?}"));
        if got != *want {
            let tail = &self.log[self.log.len().saturating_sub(25)..];
            panic!("wanted {want:?} of {:?}\n{}", self.model, tail.join("\n"));
        }
    }

    fn login(&mut self, path: Path) {
        let slot = (0..).find(|slot| self.nexuses.values().all(|nexus| nexus.slot != *slot)).expect("a slot");
        let reactor = u16::try_from(path.0 % self.reactors).expect("small");
        let nexus = NexusId { reactor, slot, generation: self.logins };
        self.logins += 1;
        self.rig.login_as(nexus, path.0, if path.1 == PORTS[0] { 1 } else { 2 });
        self.nexuses.insert(path, nexus);
        self.model.login(path);
    }

    fn logout(&mut self, path: Path, nexus: NexusId) {
        self.rig.lose(nexus);
        self.nexuses.remove(&path);
        self.model.logout(path);
        self.log.push(format!("{path:?} logs out"));
    }

    fn reset(&mut self, path: Path, nexus: NexusId) {
        let unit = self.dice.one_in(2);
        self.log.push(format!("{path:?} resets, the unit: {unit}"));
        if unit {
            self.rig.manage(nexus, Function::LogicalUnitReset, None);
            self.model.reserve = None;
            for other in self.model.here.clone() {
                self.model.tell(other, RESET);
            }
        } else {
            self.rig.manage(nexus, Function::ITNexusReset, None);
            self.model.lose(path);
            self.model.tell(path, NEXUS_LOSS);
        }
    }

    fn restart(&mut self) {
        let damaged = self.dice.one_in(8);
        let documents = core::mem::take(&mut self.rig.disk.saved);
        let mut saved: Vec<(String, Vec<u8>)> =
            documents.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone())).collect();
        if damaged {
            saved = vec![("reservations".into(), b"[]".to_vec())];
        }
        self.rig = rig(Saved(saved), self.reactors);
        self.rig.disk.saved = documents;
        self.nexuses.clear();
        self.model.restart(damaged);
        self.log.push(format!("restart, damaged: {damaged}"));
    }

    fn reserve_6(&mut self, path: Path, nexus: NexusId) {
        let (cdb, release): (&[u8], bool) = self.dice.of(&[
            (&RESERVE6[..], false),
            (&RELEASE6[..], true),
            (&RESERVE10[..], false),
            (&RELEASE10[..], true),
        ]);
        let want = self.model.reserve_6(path, release);
        let reply = self.rig.run(nexus, cdb, &[]);
        self.check(if release { "release" } else { "reserve" }, path, &want, &reply);
    }

    fn command(&mut self, path: Path, nexus: NexusId) {
        let (read, write, flush) = (read10(0, 1), write10(0, 1), synchronize_cache10(0));
        let capacity = read_capacity16();
        let sample: [(&[u8], &[u8], Line); 8] = [
            (&TEST_UNIT_READY, &[], Line::Ready),
            (&read, &[], Line::Read),
            (&read, &[], Line::Read),
            (&write, &[7; BLOCK], Line::Write),
            (&write, &[7; BLOCK], Line::Write),
            (&flush, &[], Line::Write),
            (&capacity, &[], Line::Always),
            (&[0x1a, 0x08, 0x08, 0, 255, 0], &[], Line::Read),
        ];
        let (cdb, data, line) = self.dice.of(&sample);
        let want = self.model.command(path, line);
        let reply = self.rig.run(nexus, cdb, data);
        self.check(&format!("{:02x}", cdb[0]), path, &want, &reply);
    }

    fn report(&mut self, path: Path, nexus: NexusId) {
        let action = u8::try_from(self.dice.roll(4)).expect("small");
        let allocation = self.dice.of(&[0u16, 3, 8, 20, 36, 4096, u16::MAX]);
        let want = self.model.report(path, action, allocation.into());
        let reply = self.rig.run(nexus, &in_cdb(action, allocation), &[]);
        self.check(&format!("in {action}"), path, &want, &reply);
    }

    /// Usually something that makes sense.
    fn ask(&mut self, path: Path) -> Asked {
        let keys = [0, 1, 2, 3, u64::MAX];
        let own = self.model.now.key(path).unwrap_or(0);
        let held = self.model.now.held.map_or(WE, |(kind, _)| kind);
        let dice = &mut self.dice;
        let wants_key = own == 0 && !dice.one_in(4);
        let out = if wants_key { dice.of(&[Out::Register, Out::Ignore]) } else { dice.of(&Out::ALL) };
        let spared = own > 0 && matches!(out, Out::Register | Out::Ignore | Out::Clear) && !dice.one_in(4);
        let out = if spared { Out::Reserve } else { out };
        let key = if dice.one_in(8) { dice.of(&keys) } else { own };
        let key = if out == Out::Replace && !dice.one_in(8) { 0 } else { key };
        let kind = match dice.roll(12) {
            0 => dice.of(&[0, 2, 4, 9]),
            1..6 => held,
            _ => dice.of(&TYPES),
        };
        let others = (out == Out::Register && dice.one_in(4) || dice.one_in(40))
            .then(|| (0..dice.roll(4)).map(|_| (dice.of(&INITIATORS), dice.one_in(4))).collect());
        Asked {
            out,
            scope: u8::from(dice.one_in(20)),
            kind,
            key,
            action_key: dice.of(&keys),
            aptpl: dice.one_in(3),
            all_ports: dice.one_in(5),
            others: others.filter(|_| out != Out::Move),
            unregister: dice.one_in(2),
            to: ((dice.of(&INITIATORS), dice.of(&[1, 1, 7, 7, 3])), dice.one_in(20)),
        }
    }

    fn out(&mut self, path: Path, nexus: NexusId) {
        let asked = self.ask(path);
        let list = encode(&asked);
        let (cut, failure) = (self.dice.one_in(40), self.dice.one_in(10));
        let want = if cut {
            self.cut_short(path, &asked)
        } else {
            let (want, saves) = self.model.out(path, &asked, failure);
            if failure && saves {
                self.rig.disk.failure = Some(Failure::Other(5));
            }
            want
        };
        let list = if cut { &list[..list.len() - 1] } else { &list };
        let reply = self.rig.run(nexus, &out_cdb(asked.out, asked.scope << 4 | asked.kind, list.len()), list);
        self.check(&format!("{asked:?}, cut: {cut}"), path, &want, &reply);
    }

    /// A list that lacks its last byte.
    fn cut_short(&mut self, path: Path, asked: &Asked) -> End {
        if let Some(end) = self.model.attention(path) {
            return end;
        }
        if self.model.reserve.is_some() {
            return End::Conflict;
        }
        if self.model.lost && asked.out != Out::Replace {
            return End::Check(LOST, None);
        }
        let length = End::Check(LIST_LENGTH, None);
        let misplaced = asked.others.is_some() && asked.out != Out::Register;
        self.model.held_back(path, asked).unwrap_or(if misplaced {
            End::Check(INVALID_LIST, Some(20))
        } else {
            length
        })
    }
}

fn encode(asked: &Asked) -> Vec<u8> {
    let device = |initiator: u32| {
        let mut id = vec![0x05, 0, 0, 28];
        id.extend(format!("iqn.2026-01.net.x:i{initiator}").bytes());
        id.resize(32, 0);
        id
    };
    let id = |initiator: u32, whole: bool| if whole { device(initiator) } else { transport_id(initiator) };
    let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
    if asked.out == Out::Move {
        let flags = flag(2, asked.unregister) | flag(1, asked.aptpl);
        let ((initiator, port), whole) = asked.to;
        return move_list(asked.key, asked.action_key, flags, port, &id(initiator, whole));
    }
    let flags = flag(8, asked.others.is_some()) | flag(4, asked.all_ports) | flag(1, asked.aptpl);
    let mut list = list(asked.key, asked.action_key, flags);
    if let Some(others) = &asked.others {
        let ids: Vec<u8> = others.iter().flat_map(|(initiator, whole)| id(*initiator, *whole)).collect();
        list.extend(u32::try_from(ids.len()).expect("short").to_be_bytes());
        list.extend(ids);
    }
    list
}

#[test]
fn reservations_do_what_the_model_says() {
    let steps = std::env::var("FELIO_RESERVATION_STEPS").ok().and_then(|steps| steps.parse().ok());
    let runs = steps.unwrap_or(60_000u64) / 2_000;
    for seed in 0..runs {
        let mut run = Run::new(seed);
        for _ in 0..2_000 {
            run.step();
        }
        assert!(run.rig.engine.is_idle(), "seed {seed}");
        assert!(run.rig.guest.is_none_or(|guest| guest.is_idle()), "seed {seed}");
    }
}
