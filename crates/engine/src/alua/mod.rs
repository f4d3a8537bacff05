//! Asymmetric access: which ports lead to a unit, in which state each is, and what that lets a command do.
//!
//! [`PortGroups`] is the state of one unit. `change` carries out SET TARGET PORT GROUPS and the end of transitions, for all
//! units of a logical unit group; `report` tells; `map` says which blocks a group reaches; `document` is what outlives the
//! process.
//!
//! Not here: which commands a state answers (the `alua` column of their rows, `felio_spec::alua`), and the place of the
//! check among the others (`arrival`).
//!
//! Invariants: a unit whose ports all are active costs a command one look at a flag. Nothing waits for a transition: while
//! it lasts, commands are refused, and a deadline of the engine ends it.

mod change;
mod document;
mod map;
mod report;

pub(crate) use change::{Saving, check_list_length};
pub(crate) use report::{report_referrals, report_target_port_groups};

use crate::config::{Access, PortGroup};
use crate::engine::{Engine, index};
use crate::geometry::Extent;
use crate::unit::Unit;
use core::cmp::min;
use felio_hal::state::Saved;
use felio_hal::{NexusId, Time};
use felio_spec::alua::{AccessState, Tpgs, status_code};
use felio_spec::cdb::Alua;
use felio_spec::sense::Sense;

/// The target port groups of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortGroups {
    groups: Vec<Group>,
    /// Ports that were taken out of service one by one, in ascending order.
    //= SPC-4 "Target port asymmetric access state: Offline": a secondary state, beside that of the group
    offline: Vec<u16>,
    /// No port is kept from anything.
    open: bool,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// What the operator decided.
    pub(crate) config: PortGroup,
    standing: Standing,
    /// STATUS CODE: who brought it there.
    status: u8,
}

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    In(AccessState),
    /// On its way.
    Moving {
        to: AccessState,
        until: Time,
        /// Whoever asked for it knows.
        by: NexusId,
    },
}

/// One descriptor of a SET TARGET PORT GROUPS parameter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// A group gets into a state.
    Group(u16, AccessState),
    /// A port goes out of service.
    Offline(u16),
}

/// What moves have done.
#[derive(Clone, Copy, Debug)]
struct Effect {
    /// Some port is in another state than before.
    changed: bool,
    /// When the first transition ends.
    until: Option<Time>,
}

impl Engine {
    /// Whether a command may use a unit, and these blocks of it, through the port that it came through.
    #[inline]
    pub(crate) fn check_access(
        &self,
        nexus: NexusId,
        unit: u32,
        command: Alua,
        extent: Extent,
    ) -> Result<(), Sense> {
        match &self.units[index(unit)] {
            unit if unit.groups.open => Ok(()),
            unit => self.check_path(nexus, unit, command, extent),
        }
    }

    fn check_path(&self, nexus: NexusId, unit: &Unit, command: Alua, extent: Extent) -> Result<(), Sense> {
        let port = self.nexuses.get(nexus).and_then(|nexus| self.target.ports.get(nexus.port));
        let port = port.map_or(0, |port| port.relative_port);
        unit.groups.check(port, command)?;
        unit.groups.check_extent(&unit.config.access, port, extent)
    }
}

impl PortGroups {
    /// As the operator decided, and as initiators have changed it since.
    pub(crate) fn new(access: &Access, saved: &Saved) -> Self {
        let group = |config: &PortGroup| Group {
            config: config.clone(),
            standing: Standing::In(config.state),
            status: status_code::NONE,
        };
        let groups = access.port_groups.iter().map(group).collect();
        let mut groups = Self { groups, offline: Vec::new(), open: true };
        if let Some(bytes) = saved.get(document::PART) {
            groups.restore(bytes);
        }
        groups.look();
        groups
    }

    /// The operator has decided anew. A state that initiators have chosen stands as long as the operator's own is the same. Whether any
    /// port is in another state than before.
    pub(crate) fn follow(&mut self, access: &Access) -> bool {
        let before = self.shape();
        let group = |config: &PortGroup| match self.group(config.id) {
            Some(group) if group.config.state == config.state => {
                Group { config: config.clone(), ..group.clone() }
            }
            known => Group {
                config: config.clone(),
                standing: Standing::In(config.state),
                status: known.map_or(status_code::NONE, |_| status_code::BY_IMPLICIT),
            },
        };
        self.groups = access.port_groups.iter().map(group).collect();
        self.look();
        self.shape() != before
    }

    /// Carries moves out, all of which must have been checked.
    fn apply(&mut self, now: Time, moves: &[Move], by: NexusId) -> Effect {
        let before = self.shape();
        let mut until = None;
        for go in moves {
            match *go {
                Move::Group(id, to) => until = min_some(until, self.move_group(now, id, to, by)),
                Move::Offline(port) => self.take_offline(port),
            }
        }
        self.look();
        Effect { changed: self.shape() != before, until }
    }

    /// Whoever sets the state of a group wants its ports to be used: those out of service come back.
    fn move_group(&mut self, now: Time, id: u16, to: AccessState, by: NexusId) -> Option<Time> {
        let group = self.groups.iter_mut().find(|group| group.config.id == id)?;
        self.offline.retain(|port| !group.config.ports.contains(*port));
        if group.destination() != to {
            group.standing = if group.has_transitions() {
                Standing::Moving { to, until: now + group.config.transition, by }
            } else {
                Standing::In(to)
            };
            group.status = status_code::BY_SET_TARGET_PORT_GROUPS;
        }
        match group.standing {
            Standing::Moving { until, .. } => Some(until),
            Standing::In(_) => None,
        }
    }

    fn take_offline(&mut self, port: u16) {
        self.offline.push(port);
        self.offline.sort_unstable();
        self.offline.dedup();
    }

    /// What of the groups can be seen.
    fn shape(&self) -> (Vec<Standing>, Vec<u16>) {
        (self.groups.iter().map(|group| group.standing).collect(), self.offline.clone())
    }

    /// Ends the transitions whose time has come; tells for whom, where there was one.
    fn arrive(&mut self, now: Time) -> Option<NexusId> {
        let mut who = None;
        for group in &mut self.groups {
            if let Standing::Moving { to, until, by } = group.standing
                && until <= now
            {
                group.standing = Standing::In(to);
                who = Some(by);
            }
        }
        self.look();
        who
    }

    fn look(&mut self) {
        self.open = self.offline.is_empty() && self.groups.iter().all(|group| group.state().is_active());
    }

    /// Whether a command may run that came through a port.
    //= SPC-4 "Target port asymmetric access states"
    pub(crate) fn check(&self, port: u16, command: Alua) -> Result<(), Sense> {
        match self.state(port).refuses(command) {
            Some(code) => Err(code.into()),
            None => Ok(()),
        }
    }

    /// Whether a command may use these blocks that came through a port.
    pub(crate) fn check_extent(&self, access: &Access, port: u16, extent: Extent) -> Result<(), Sense> {
        match (self.group_of(port), &access.map) {
            (Some(group), Some(map)) if self.state(port) == AccessState::LbaDependent => {
                map.check(group.config.id, extent)
            }
            _ => Ok(()),
        }
    }

    /// The state of a port. One that is in no group is as good as any.
    pub(crate) fn state(&self, port: u16) -> AccessState {
        if self.offline.contains(&port) {
            return AccessState::Offline;
        }
        self.group_of(port).map_or(AccessState::ActiveOptimized, Group::state)
    }

    /// The group that a port is in.
    pub(crate) fn group_of(&self, port: u16) -> Option<&Group> {
        self.groups.iter().find(|group| group.config.ports.contains(port))
    }

    /// TPGS.
    pub(crate) fn tpgs(&self) -> Tpgs {
        Tpgs {
            implicit: self.groups.iter().any(|group| group.config.tpgs.implicit),
            explicit: self.groups.iter().any(|group| group.config.tpgs.explicit),
        }
    }

    fn group(&self, id: u16) -> Option<&Group> {
        self.groups.iter().find(|group| group.config.id == id)
    }
}

impl Group {
    /// Its state.
    pub(crate) const fn state(&self) -> AccessState {
        match self.standing {
            Standing::In(state) => state,
            Standing::Moving { .. } => AccessState::Transitioning,
        }
    }

    /// Where it is, or will be.
    const fn destination(&self) -> AccessState {
        match self.standing {
            Standing::In(state) | Standing::Moving { to: state, .. } => state,
        }
    }

    fn has_transitions(&self) -> bool {
        !self.config.transition.is_zero() && self.supports(AccessState::Transitioning)
    }

    /// Whether it can get into a state.
    pub(crate) fn supports(&self, state: AccessState) -> bool {
        self.config.supported.contains(&state)
    }
}

fn min_some(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(min(one, other)),
        (one, other) => one.or(other),
    }
}
