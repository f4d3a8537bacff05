//! Persistent reservations as plain values: who is registered, who holds the unit, and what each service action makes of it.
//!
//! [`Persistent`] is the state, [`Persistent::decide`] the whole of PERSISTENT RESERVE OUT: it changes nothing, but returns
//! the [`Change`] that the command asks for, or why there is none. Who carries it out (after it was saved, where that is
//! wanted) is the engine.
//!
//! Not here: sessions. A registration belongs to a [`Path`], which outlives them.
//!
//! Invariants: at most [`REGISTRATIONS_MAX`] registrations, one for a path; whoever holds the reservation is registered.

use super::request::{Action, Existing, Initiator, Ports, Register, Request};
use crate::attention::Attention;
use core::num::NonZeroU64;
use felio_spec::Bits;
use felio_spec::commands::SERVICE_ACTION;
use felio_spec::commands::persistent_reserve_out_reserve::{SCOPE, TYPE};
use felio_spec::reservation::{LU_SCOPE, Obstacle, Type, basic_list, move_list};
use felio_spec::sense::{Sense, code};
use felio_spec::transport_id::TransportId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most registrations of a unit.
pub(crate) const REGISTRATIONS_MAX: usize = 1024;

/// An I_T nexus by the names of its ports: the same after a logout and after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The initiator port: the text form of its TransportID.
    pub(crate) initiator: Arc<str>,
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub(crate) port: u16,
}

/// A reservation key. Zero is none.
pub(crate) type Key = NonZeroU64;

/// A registered nexus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) path: Path,
    pub(crate) key: Key,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) kind: Type,
    pub(crate) holder: Holder,
}

/// Whose a reservation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// One nexus.
    Nexus(Path),
    /// Everybody who is registered.
    AllRegistrants,
}

/// The persistent reservations of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Persistent {
    /// PRGENERATION.
    pub(crate) generation: u32,
    /// In the order in which they were made.
    pub(crate) registrations: Vec<Registration>,
    pub(crate) held: Option<Held>,
    /// All of this outlives a loss of power.
    pub(crate) aptpl: bool,
}

/// What a service action makes of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The state afterwards.
    pub(crate) next: Persistent,
    /// Who must be told of what.
    pub(crate) told: Vec<(Path, Attention)>,
    /// Whose commands end.
    pub(crate) aborted: Vec<Path>,
}

/// Why a service action changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// RESERVATION CONFLICT.
    Conflict,
    /// CHECK CONDITION.
    Check(Sense),
}

impl From<Sense> for Refusal {
    fn from(sense: Sense) -> Self {
        Self::Check(sense)
    }
}

/// What must be known of the world to decide.
#[derive(Debug)]
pub(crate) struct World {
    /// The target ports, by RELATIVE TARGET PORT IDENTIFIER.
    pub(crate) ports: Vec<u16>,
    /// The initiator ports that have been seen.
    pub(crate) initiators: Vec<Arc<str>>,
    /// Whether there is a place where state outlives a loss of power.
    pub(crate) can_save: bool,
    /// Whether what there was has been lost.
    pub(crate) is_lost: bool,
}

impl Path {
    /// The nexus of that initiator port, named as its fabric names it, with that target port.
    pub(crate) fn new(initiator_port: &str, port: u16) -> Self {
        let iscsi = TransportId::from_iscsi_name(initiator_port);
        let id = match iscsi {
            Some(TransportId::IscsiPort { .. }) => iscsi,
            _ => TransportId::from_text(initiator_port).or(iscsi),
        };
        let initiator = id.map_or_else(|| initiator_port.into(), |id| initiator_text(&id));
        Self { initiator, port }
    }
}

/// The name under which an initiator port is kept. Case makes no difference in iSCSI names.
pub(crate) fn initiator_text(id: &TransportId<'_>) -> Arc<str> {
    id.to_string().to_ascii_lowercase().into()
}

impl Change {
    fn new(next: Persistent) -> Self {
        Self { next, told: Vec::new(), aborted: Vec::new() }
    }
}

impl Persistent {
    /// Nobody is registered.
    pub(crate) const fn new() -> Self {
        Self { generation: 0, registrations: Vec::new(), held: None, aptpl: false }
    }

    /// What the service action makes of it, received from `who`.
    pub(crate) fn decide(&self, who: &Path, request: &Request, world: &World) -> Result<Change, Refusal> {
        let Request { key, scope, kind, action } = request;
        let reserved = Reserved { scope: *scope, kind: *kind };
        match action {
            Action::Register(register) => self.register(who, *key, register, world),
            Action::ReplaceLost { key: new, aptpl } => {
                self.replace_lost(who, *key, *new, *aptpl, reserved, world)
            }
            //= SPC-4 "PERSISTENT RESERVE OUT command": a nexus that is not registered, or not with that key, conflicts
            _ if self.key_of(who).map_or(0, Key::get) != *key || *key == 0 => Err(Refusal::Conflict),
            Action::Reserve => self.reserve(who, reserved),
            Action::Release => self.release(who, reserved),
            Action::Clear => Ok(self.clear(who)),
            Action::Preempt { victim, abort } => {
                let mut change = self.preempt(who, *victim, reserved)?;
                if !abort {
                    change.aborted.clear();
                }
                Ok(change)
            }
            Action::Move { key, destination, unregister, aptpl } => {
                self.relocate(who, *key, destination, world).map(|mut change| {
                    change.next.aptpl = *aptpl;
                    if *unregister {
                        change.next.registrations.retain(|registration| registration.path != *who);
                    }
                    change
                })
            }
        }
        .and_then(|change| {
            if change.next.aptpl && !world.can_save { Err(no_place(action)) } else { Ok(change) }
        })
    }

    /// What stands between a nexus and the unit.
    pub(crate) fn obstacle(&self, path: &Path) -> Option<Obstacle> {
        let held = self.held.as_ref()?;
        if self.holds(path) {
            return None;
        }
        Some(held.kind.obstacle(self.key_of(path).is_some()))
    }

    /// The key under which a nexus is registered.
    pub(crate) fn key_of(&self, path: &Path) -> Option<Key> {
        let found = self.registrations.iter().find(|registration| registration.path == *path);
        found.map(|registration| registration.key)
    }

    /// Whether a nexus holds the reservation.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        match self.held.as_ref().map(|held| &held.holder) {
            None => false,
            Some(Holder::Nexus(holder)) => holder == path,
            Some(Holder::AllRegistrants) => self.key_of(path).is_some(),
        }
    }

    //= SPC-4 "Registering", and its tables "Register behaviors" and "Register and ignore existing key behaviors"
    fn register(&self, who: &Path, key: u64, ask: &Register, world: &World) -> Result<Change, Refusal> {
        let own = self.key_of(who);
        if ask.existing == Existing::Checked && own.map_or(0, Key::get) != key {
            return Err(Refusal::Conflict);
        }
        if own.is_none() && ask.key.is_none() {
            return Ok(Change::new(self.clone())); // Nothing to register, nothing to change: not even the generation.
        }
        if own.is_some() && ask.others.is_some() {
            return Err(Sense::invalid_parameter(basic_list::SPEC_I_PT.bits).into());
        }
        let mut next = self.clone();
        for path in ask.paths(who, world)? {
            let registered = self.key_of(&path);
            let is_ours = path.initiator == who.initiator;
            match (registered, ask.key) {
                (None, Some(new)) => next.add(&path, new)?,
                (Some(old), Some(new)) => match ask.existing {
                    Existing::Ignored => next.rekey(&path, new),
                    Existing::Checked if old.get() == key => next.rekey(&path, new),
                    // All target ports: as if each had got the command by itself.
                    Existing::Checked if is_ours => return Err(Refusal::Conflict),
                    // Others are registered that are not yet.
                    Existing::Checked => {}
                },
                (Some(old), None) if ask.existing == Existing::Ignored || old.get() == key => {
                    next.drop_path(&path)
                }
                (_, None) => {}
            }
        }
        next.advance();
        next.aptpl = ask.aptpl;
        let mut change = Change::new(next);
        //= SPC-4 "Unregistering": with registrants only, the others learn that the reservation is gone
        if let Some(Held { kind, .. }) = &self.held
            && change.next.held.is_none()
            && kind.is_shared()
        {
            change.tell_registered(who, Attention::ReservationsReleased);
        }
        Ok(change)
    }

    //= SPC-4 "Reserving"
    fn reserve(&self, who: &Path, reserved: Reserved) -> Result<Change, Refusal> {
        let kind = reserved.parse()?;
        match &self.held {
            Some(held) if held.kind == kind && self.holds(who) => Ok(Change::new(self.clone())),
            Some(_) => Err(Refusal::Conflict),
            None => Ok(Change::new(Self { held: Some(Held::new(kind, who)), ..self.clone() })),
        }
    }

    //= SPC-4 "Releasing": who holds nothing has nothing to release, which is no error
    fn release(&self, who: &Path, reserved: Reserved) -> Result<Change, Refusal> {
        let Some(held) = self.held.as_ref().filter(|_| self.holds(who)) else {
            return Ok(Change::new(self.clone()));
        };
        if reserved != Reserved::new(held.kind) {
            return Err(Refusal::Check(code::INVALID_RELEASE_OF_PERSISTENT_RESERVATION.into()));
        }
        let mut change = Change::new(Self { held: None, ..self.clone() });
        if held.kind.is_shared() {
            change.tell_registered(who, Attention::ReservationsReleased);
        }
        Ok(change)
    }

    //= SPC-4 "Clearing"
    fn clear(&self, who: &Path) -> Change {
        let mut change = Change::new(self.clone());
        change.tell_registered(who, Attention::ReservationsPreempted);
        change.next.registrations.clear();
        change.next.held = None;
        change.next.advance();
        change
    }

    //= SPC-4 "Preempting", and its table "Preempting actions"
    fn preempt(&self, who: &Path, victim: Option<Key>, reserved: Reserved) -> Result<Change, Refusal> {
        let Some(held) = &self.held else { return self.remove_registrations(who, victim) };
        match (&held.holder, victim) {
            (Holder::AllRegistrants, None) => self.take_over(who, None, reserved),
            (Holder::Nexus(holder), Some(victim)) if self.key_of(holder) == Some(victim) => {
                self.take_over(who, Some(victim), reserved)
            }
            _ => self.remove_registrations(who, victim),
        }
    }

    /// Removes registrations; the reservation stays whose it is.
    //= SPC-4 "Removing registrations": even one's own, but of that nobody is told
    fn remove_registrations(&self, who: &Path, victim: Option<Key>) -> Result<Change, Refusal> {
        let Some(victim) = victim else {
            return Err(Sense::invalid_parameter(basic_list::SERVICE_ACTION_RESERVATION_KEY.bits).into());
        };
        if !self.registrations.iter().any(|registration| registration.key == victim) {
            return Err(Refusal::Conflict);
        }
        let mut change = Change::new(self.clone());
        change.remove(who, |registration| registration.key == victim);
        if change.next.registrations.is_empty() {
            change.next.held = None; // All registrants have gone.
        }
        change.next.advance();
        Ok(change)
    }

    /// Takes the reservation from who has it, and removes all other registrations of that key, or all.
    //= SPC-4 "Preempting persistent reservations"
    fn take_over(&self, who: &Path, victim: Option<Key>, reserved: Reserved) -> Result<Change, Refusal> {
        let kind = reserved.parse()?;
        let mut change = Change::new(self.clone());
        let is_victim = |registration: &Registration| victim.is_none_or(|key| registration.key == key);
        change.remove(who, |registration| is_victim(registration) && registration.path != *who);
        let is_another_kind = self.held.as_ref().is_some_and(|held| held.kind != kind);
        change.next.held = Some(Held::new(kind, who));
        if is_another_kind {
            change.tell_registered(who, Attention::ReservationsReleased);
        }
        change.next.advance();
        Ok(change)
    }

    //= SPC-4 "Registering and moving the reservation"
    fn relocate(
        &self,
        who: &Path,
        key: Option<Key>,
        destination: &Path,
        world: &World,
    ) -> Result<Change, Refusal> {
        let Some(held) = &self.held else { return Err(Sense::invalid_field(SERVICE_ACTION).into()) };
        if held.kind.is_all_registrants() || !self.holds(who) {
            return Err(Refusal::Conflict);
        }
        let invalid = |bits: Bits| Refusal::Check(Sense::invalid_parameter(bits));
        let key = key.ok_or_else(|| invalid(move_list::SERVICE_ACTION_RESERVATION_KEY.bits))?;
        if !world.ports.contains(&destination.port) {
            return Err(invalid(move_list::RELATIVE_TARGET_PORT_IDENTIFIER.bits));
        }
        if destination == who {
            return Err(invalid(super::request::transport_ids_at(move_list::BYTES)));
        }
        let mut next = self.clone();
        match next.key_of(destination) {
            Some(_) => next.rekey(destination, key),
            None => next.add(destination, key)?,
        }
        next.held = Some(Held { kind: held.kind, holder: Holder::Nexus(destination.clone()) });
        next.advance();
        Ok(Change::new(next))
    }

    //= SPC-4 "Replacing lost reservations": only where they are lost; what there was is forgotten
    fn replace_lost(
        &self,
        who: &Path,
        key: u64,
        new: Option<Key>,
        aptpl: bool,
        reserved: Reserved,
        world: &World,
    ) -> Result<Change, Refusal> {
        if !world.is_lost {
            return Err(Sense::invalid_field(SERVICE_ACTION).into());
        }
        if key != 0 {
            return Err(Sense::invalid_parameter(basic_list::RESERVATION_KEY.bits).into());
        }
        let invalid_key = Sense::invalid_parameter(basic_list::SERVICE_ACTION_RESERVATION_KEY.bits);
        let key = new.ok_or(invalid_key)?;
        let kind = reserved.parse()?;
        let registrations = vec![Registration { path: who.clone(), key }];
        let mut next = Self { registrations, held: Some(Held::new(kind, who)), aptpl, ..self.clone() };
        next.advance();
        Ok(Change::new(next))
    }

    fn add(&mut self, path: &Path, key: Key) -> Result<(), Refusal> {
        if self.registrations.len() >= REGISTRATIONS_MAX {
            return Err(Refusal::Check(code::INSUFFICIENT_REGISTRATION_RESOURCES.into()));
        }
        self.registrations.push(Registration { path: path.clone(), key });
        Ok(())
    }

    fn rekey(&mut self, path: &Path, key: Key) {
        let found = self.registrations.iter_mut().find(|registration| registration.path == *path);
        if let Some(registration) = found {
            registration.key = key;
        }
    }

    /// A registration ends, and with it the reservation that it held.
    fn drop_path(&mut self, path: &Path) {
        self.registrations.retain(|registration| registration.path != *path);
        let is_over = match self.held.as_ref().map(|held| &held.holder) {
            None => false,
            Some(Holder::Nexus(holder)) => holder == path,
            Some(Holder::AllRegistrants) => self.registrations.is_empty(),
        };
        if is_over {
            self.held = None;
        }
    }

    //= SPC-4 "PERSISTENT RESERVE IN command": PRGENERATION counts every change of registrations
    fn advance(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

impl Held {
    fn new(kind: Type, who: &Path) -> Self {
        let holder =
            if kind.is_all_registrants() { Holder::AllRegistrants } else { Holder::Nexus(who.clone()) };
        Self { kind, holder }
    }
}

impl Change {
    /// Tells everybody who is registered now, but for `who`.
    fn tell_registered(&mut self, who: &Path, attention: Attention) {
        let others = self.next.registrations.iter().filter(|registration| registration.path != *who);
        self.told.extend(others.map(|registration| (registration.path.clone(), attention)));
    }

    /// Removes registrations, and tells those who had them, but for `who`.
    fn remove(&mut self, who: &Path, is_victim: impl Fn(&Registration) -> bool) {
        let Self { next, told, aborted } = self;
        for registration in next.registrations.extract_if(.., |registration| is_victim(registration)) {
            if registration.path != *who {
                told.push((registration.path.clone(), Attention::RegistrationsPreempted));
            }
            aborted.push(registration.path);
        }
    }
}

/// SCOPE and TYPE as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reserved {
    scope: u8,
    kind: u8,
}

impl Reserved {
    fn new(kind: Type) -> Self {
        Self { scope: LU_SCOPE, kind: kind.code() }
    }

    fn parse(self) -> Result<Type, Sense> {
        if self.scope != LU_SCOPE {
            return Err(Sense::invalid_field(SCOPE.bits));
        }
        Type::from_code(self.kind).ok_or(Sense::invalid_field(TYPE.bits))
    }
}

impl Register {
    /// Whom it concerns, the sender first.
    fn paths(&self, who: &Path, world: &World) -> Result<Vec<Path>, Refusal> {
        let mut others = BTreeSet::new();
        for other in self.others.iter().flatten() {
            match other {
                Initiator::Port(port) => drop(others.insert(port.clone())),
                //= SPC-4 "TransportID for initiator ports using SCSI over iSCSI": format 00b, every known port
                Initiator::Device { prefix, at } => {
                    let mut known =
                        world.initiators.iter().filter(|port| port.starts_with(prefix)).peekable();
                    known.peek().ok_or(Sense::invalid_parameter(*at))?;
                    others.extend(known.cloned());
                }
            }
        }
        others.remove(&who.initiator);
        let initiators: Vec<Arc<str>> = core::iter::once(who.initiator.clone()).chain(others).collect();
        let mut ports = vec![who.port];
        if self.ports == Ports::All {
            ports.extend(world.ports.iter().copied().filter(|port| *port != who.port));
        }
        let on =
            |port: u16| initiators.iter().map(move |initiator| Path { initiator: initiator.clone(), port });
        Ok(ports.into_iter().flat_map(on).collect())
    }
}

/// APTPL where nothing outlives the process.
fn no_place(action: &Action) -> Refusal {
    let bits = match action {
        Action::Move { .. } => move_list::APTPL.bits,
        _ => basic_list::APTPL.bits,
    };
    Refusal::Check(Sense::invalid_parameter(bits))
}
