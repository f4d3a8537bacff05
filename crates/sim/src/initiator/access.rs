//! SET TARGET PORT GROUPS, and what its answer promises.
//!
//! Initiator 0, which comes through a port that stays active, takes the other port from the unit and gives it back. Once it was answered
//! that the other port is in standby or unavailable, no command that is sent through that port ends GOOD, and none that is under way has
//! its effect, until a list that says otherwise is sent. That outlasts the program: states are saved before they are answered.

use super::commands::{cdb, narrow};
use super::{INITIATORS_MAX, Initiator, Kind, Sender, Shared};
use crate::program::PORTS;
use crate::random::Random;
use crate::referee::Moment;
use felio_hal::Time;
use felio_iscsi::peer::Data;
use felio_spec::TaskAttribute;
use felio_spec::alua::{AccessState, SET_HEADER_BYTES, set_descriptor};
use felio_spec::commands::{SERVICE_ACTION, set_target_port_groups as set};

/// The port that is taken and given back.
const SHUT: u16 = PORTS[1];

/// What was promised of it.
#[derive(Debug)]
pub struct Access {
    /// Initiator 0 changes it now and then.
    changing: bool,
    /// Nothing comes through, if that is certain.
    shut: Option<Shut>,
}

#[derive(Debug)]
struct Shut {
    since: Time,
    /// When the writes that were under way through the port were given up.
    given_up: Vec<Moment>,
}

impl Access {
    /// Nothing was promised yet.
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        Self { changing: random.chance(400), shut: None }
    }

    /// A command that came through `port` and was sent at that time has ended GOOD.
    pub(super) fn check(&self, port: u16, sent: Time) -> Result<(), String> {
        match &self.shut {
            Some(shut) if port == SHUT && shut.since < sent => {
                Err("a command through a port that was taken from the unit ended GOOD".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Initiator {
    /// Whether it is time to change the other port's state.
    pub(super) fn wants_access(&mut self, shared: &Shared) -> bool {
        shared.access.changing
            && self.random.chance(self.habits.eager * if shared.access.shut.is_some() { 40 } else { 15 })
    }

    pub(super) fn set_access(&mut self, now: Time, shared: &mut Shared) {
        use AccessState as S;
        let states = [S::Standby, S::Unavailable, S::ActiveNonOptimized, S::ActiveOptimized];
        let state = states[self.random.index(states.len())];
        let shuts = matches!(state, S::Standby | S::Unavailable);
        if !shuts && let Some(shut) = shared.access.shut.take() {
            shut.given_up.into_iter().for_each(|moment| shared.referee.take_back(moment));
        }
        let mut list = vec![0; SET_HEADER_BYTES + set_descriptor::BYTES];
        let (_, descriptor) = list.split_at_mut(SET_HEADER_BYTES);
        set_descriptor::ASYMMETRIC_ACCESS_STATE.set(descriptor, state.row().code);
        set_descriptor::TARGET_PORT_GROUP_OR_TARGET_PORT.set(descriptor, SHUT);
        let mut cdb = cdb(&set::ROW);
        SERVICE_ACTION.write(&mut cdb, set::ROW.service_action.map_or(0, |action| u64::from(action.value)));
        set::PARAMETER_LIST_LENGTH.set(&mut cdb, narrow(list.len()));
        let by = Sender { initiator: self.number, attribute: TaskAttribute::Simple };
        self.send(now, by, &cdb, Data::Out(list), Kind::Access { shuts });
    }

    /// A change was answered GOOD.
    pub(super) fn end_access(now: Time, shuts: bool, shared: &mut Shared) {
        if !shuts || shared.access.shut.is_some() {
            return;
        }
        let theirs = (0..INITIATORS_MAX).filter(|initiator| port_of(*initiator) == SHUT);
        let given_up = theirs.map(|initiator| shared.referee.give_up_writes_of(initiator)).collect();
        shared.access.shut = Some(Shut { since: now, given_up });
    }
}

/// The port that an initiator comes through, always the same.
pub(crate) const fn port_of(initiator: u8) -> u16 {
    if initiator % 2 == 1 { SHUT } else { PORTS[0] }
}
