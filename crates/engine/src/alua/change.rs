//! SET TARGET PORT GROUPS: its list, what it changes, who is told, what is saved; and the end of a transition.
//!
//! The command is alone in its task set. It changes the states at once, then saves them, and is answered when they are
//! durable; a state that cannot be saved goes back to what it was.

use super::{Move, PortGroups};
use crate::attention::Attention;
use crate::config::PortConfig;
use crate::engine::{Engine, index};
use crate::progress::give_back;
use crate::table::{Effort, State};
use crate::work::{Next, Outcome, Work};
use felio_hal::store::{Done, Failure};
use felio_hal::{Buf, NexusId, Op, Pool, Submission, Time};
use felio_spec::alua::{AccessState, SET_HEADER_BYTES, set_descriptor};
use felio_spec::commands::set_target_port_groups::{self, PARAMETER_LIST_LENGTH};
use felio_spec::sense::{Sense, code};
use felio_spec::{Cdb, Status};

/// Longest list, bytes: a descriptor for each of as many groups and ports as any target has.
const LIST_BYTES_MAX: u64 = 4 + 4 * 1024;

/// A change that is not durable yet.
#[derive(Debug)]
pub(crate) struct Saving {
    transfer_bytes: u64,
    /// The units that it concerns, by index, with what was before.
    units: Vec<(u32, PortGroups)>,
    /// How many of them are saved.
    saved: usize,
}

/// The length that the CDB gives; zero changes nothing.
//= SPC-4 "SET TARGET PORT GROUPS command": a length that violates our requirements is a fault of the CDB
pub(crate) fn check_list_length(cdb: &Cdb) -> Result<u64, Sense> {
    let bytes = u64::from(cdb.get(PARAMETER_LIST_LENGTH));
    let whole = bytes.is_multiple_of(4) && (8..=LIST_BYTES_MAX).contains(&bytes);
    if whole || bytes == 0 { Ok(bytes) } else { Err(Sense::invalid_field(PARAMETER_LIST_LENGTH.bits)) }
}

impl Engine {
    /// SET TARGET PORT GROUPS.
    pub(crate) fn set_port_groups(
        &mut self,
        now: Time,
        slot: u32,
        data: Option<Buf>,
        pool: &mut Pool,
    ) -> Next {
        let Some(task) = self.table.get(slot) else { return Next::Finish(Outcome::good(0)) };
        let (nexus, at) = (task.nexus, task.unit);
        let list = data.as_deref().unwrap_or_default();
        let transfer_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
        let moves = read_list(&self.units[index(at)].groups, &self.target.ports, list);
        give_back(data, pool);
        match moves {
            Err(sense) => Next::Finish(Outcome::check(sense, transfer_bytes)),
            Ok(_) if self.is_group_changing(slot, at) => Next::Finish(Outcome::status(Status::BUSY, 0)),
            Ok(moves) => {
                let units = self.change_groups(now, at, &moves, nexus);
                Next::Save(Box::new(Saving { transfer_bytes, units, saved: 0 }))
            }
        }
    }

    /// Saves the next unit of a change, or ends it.
    pub(crate) fn save_groups(&mut self, slot: u32, mut saving: Box<Saving>) {
        let id = self.table.id(slot);
        while let Some((at, _)) = saving.units.get(saving.saved) {
            let unit = &self.units[index(*at)];
            saving.saved += 1;
            if let (true, Some(save)) = (unit.config.limits.state, unit.groups.document())
                && let Some(task) = self.table.get_mut(slot)
            {
                task.state = State::InStore(Effort::Write, Work::PortGroups(saving));
                let (store, op) = (unit.config.store, Op::Save(Box::new(save)));
                return self.submissions.push_back(Submission { store, task: id, op });
            }
        }
        self.finish(slot, Outcome::good(saving.transfer_bytes));
    }

    /// A unit of a change was saved, or not.
    //= SPC-4 "SET TARGET PORT GROUPS command": a transition that fails is told, and the states are what they were
    pub(crate) fn groups_saved(
        &mut self,
        slot: u32,
        saving: Box<Saving>,
        result: Result<Done, Failure>,
    ) -> Next {
        if result.is_ok() {
            return Next::Save(saving);
        }
        let nexus = self.table.get(slot).map(|task| task.nexus);
        let transfer_bytes = saving.transfer_bytes;
        for (at, before) in saving.units {
            let unit = &mut self.units[index(at)];
            unit.groups = before;
            unit.groups.follow(&unit.config.access);
            self.nexuses.attend(at, Attention::AccessStateChanged, |id| Some(id) != nexus);
        }
        Next::Finish(Outcome::check(code::SET_TARGET_PORT_GROUPS_FAILED.into(), transfer_bytes))
    }

    /// Ends the transitions whose time has come.
    pub(crate) fn end_transitions(&mut self, now: Time) {
        let due = |(until, unit): &mut (Time, u32)| (*until <= now).then_some(*unit);
        let mut ended = Vec::new();
        self.transitions.retain_mut(|transition| due(transition).map(|unit| ended.push(unit)).is_none());
        for at in ended {
            if let Some(by) = self.units[index(at)].groups.arrive(now) {
                self.nexuses.attend(at, Attention::AccessStateChanged, |id| id != by);
            }
        }
    }

    /// When the next transition ends.
    pub(crate) fn next_transition(&self) -> Option<Time> {
        self.transitions.iter().map(|(until, _)| *until).min()
    }

    /// Whether another command is changing groups of this unit or of one in its logical unit group.
    fn is_group_changing(&self, slot: u32, at: u32) -> bool {
        let group = self.units[index(at)].config.access.lu_group;
        let is_member = |unit: u32| self.units[index(unit)].config.access.lu_group == group;
        group != 0
            && self.table.iter().any(|(other, task)| {
                let same = task.entry.row.name == set_target_port_groups::ROW.name && is_member(task.unit);
                same && other != slot && task.state.is_begun()
            })
    }

    /// Changes a unit and the others of its logical unit group; gives back what was before.
    //= SPC-4 "Asymmetric logical unit access": every nexus is told but the one that asked
    fn change_groups(
        &mut self,
        now: Time,
        at: u32,
        moves: &[Move],
        nexus: NexusId,
    ) -> Vec<(u32, PortGroups)> {
        let lu_group = self.units[index(at)].config.access.lu_group;
        let mut changed = Vec::new();
        for (other, unit) in (0u32..).zip(&mut self.units) {
            let effect_of = |groups: &mut PortGroups, moves: &[Move]| groups.apply(now, moves, nexus);
            let before = unit.groups.clone();
            let effect = if other == at {
                effect_of(&mut unit.groups, moves)
            } else if lu_group != 0 && unit.config.access.lu_group == lu_group {
                let theirs: Vec<Move> =
                    moves.iter().copied().filter(|go| unit.groups.can_follow(*go)).collect();
                effect_of(&mut unit.groups, &theirs)
            } else {
                continue;
            };
            if effect.changed {
                changed.push((other, before));
                self.transitions.extend(effect.until.map(|until| (until, other)));
                self.nexuses.attend(other, Attention::AccessStateChanged, |id| id != nexus);
            }
        }
        changed
    }
}

impl PortGroups {
    /// Whether a unit does what another of its logical unit group was asked for. Ports go out of service for one unit only.
    fn can_follow(&self, go: Move) -> bool {
        match go {
            Move::Group(id, state) => self.group(id).is_some_and(|group| group.supports(state)),
            Move::Offline(_) => false,
        }
    }
}

//= SPC-4 "SET TARGET PORT GROUPS command"
/// What a parameter list asks for: all of it makes sense, or nothing is done.
fn read_list(groups: &PortGroups, ports: &[PortConfig], list: &[u8]) -> Result<Vec<Move>, Sense> {
    let descriptors = list.get(SET_HEADER_BYTES..).unwrap_or_default();
    let whole = list.is_empty()
        || (!descriptors.is_empty() && descriptors.len().is_multiple_of(set_descriptor::BYTES));
    if !whole {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    let mut moves: Vec<Move> = Vec::new();
    for (nth, descriptor) in descriptors.chunks_exact(set_descriptor::BYTES).enumerate() {
        let base = u16::try_from(SET_HEADER_BYTES + nth * set_descriptor::BYTES).unwrap_or(u16::MAX);
        let go = read_descriptor(groups, ports, descriptor, base)?;
        let twice = moves.iter().any(|other| same_object(*other, go));
        if twice {
            return Err(Sense::invalid_parameter(
                set_descriptor::TARGET_PORT_GROUP_OR_TARGET_PORT.bits.at(base),
            ));
        }
        moves.push(go);
    }
    Ok(moves)
}

/// One descriptor, which begins at byte `base` of its list.
fn read_descriptor(
    groups: &PortGroups,
    ports: &[PortConfig],
    descriptor: &[u8],
    base: u16,
) -> Result<Move, Sense> {
    use set_descriptor::{ASYMMETRIC_ACCESS_STATE, TARGET_PORT_GROUP_OR_TARGET_PORT};
    let bad_state = Sense::invalid_parameter(ASYMMETRIC_ACCESS_STATE.bits.at(base));
    let bad_object = Sense::invalid_parameter(TARGET_PORT_GROUP_OR_TARGET_PORT.bits.at(base));
    let object = TARGET_PORT_GROUP_OR_TARGET_PORT.get(descriptor);
    let state = AccessState::from_code(ASYMMETRIC_ACCESS_STATE.get(descriptor)).ok_or(bad_state)?;
    let (group, go) = match state {
        AccessState::ActiveOptimized
        | AccessState::ActiveNonOptimized
        | AccessState::Standby
        | AccessState::Unavailable => (groups.group(object), Move::Group(object, state)),
        //= SPC-4 "SET TARGET PORT GROUPS command": with a secondary state, the field names a port
        AccessState::Offline => {
            let port = ports.iter().find(|port| port.relative_port == object);
            (port.and_then(|port| groups.group_of(port.relative_port)), Move::Offline(object))
        }
        // Only the target gets a group into these.
        AccessState::LbaDependent | AccessState::Transitioning => return Err(bad_state),
    };
    let group = group.ok_or(bad_object)?;
    let has_ports = ports.iter().any(|port| group.config.ports.contains(port.relative_port));
    if !group.config.tpgs.explicit || !has_ports {
        return Err(bad_object);
    }
    if group.supports(state) { Ok(go) } else { Err(bad_state) }
}

fn same_object(one: Move, other: Move) -> bool {
    match (one, other) {
        (Move::Group(one, _), Move::Group(other, _)) | (Move::Offline(one), Move::Offline(other)) => {
            one == other
        }
        _ => false,
    }
}
