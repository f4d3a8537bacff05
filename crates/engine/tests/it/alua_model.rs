//! Access states held against a second opinion: a naive model that keeps no groups, only ports, over random sequences of
//! SET TARGET PORT GROUPS with sense and without, time, failing savings and restarts.

use crate::cdb::*;
use crate::dice::Dice;
use crate::rig::{ALICE, BOB, Code, Rig, target};
use core::time::Duration;
use felio_engine::{PortConfig, PortGroup, Ports, TargetConfig};
use felio_hal::NexusId;
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::Status;
use felio_spec::alua::AccessState;

/// The group of each port, from port 1 on.
const GROUPS: [u8; 3] = [1, 2, 2];
const NEXUSES: [(NexusId, u8); 2] = [(ALICE, 1), (BOB, 2)];
/// How long a transition of group 2 takes; group 1 has none.
const TRANSITION_SECS: u64 = 3;

const CHANGED: Code = (6, 0x2a, 0x06);
const BAD_LIST: Code = (5, 0x26, 0);
const FAILED: Code = (4, 0x67, 0x0a);
const NOTHING: Code = (0, 0, 0);

/// How a port is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    /// The state of its group, or the one to come.
    state: u8,
    /// Seconds until it is there.
    left: u64,
    offline: bool,
}

impl Port {
    fn shown(&self) -> u8 {
        if self.left > 0 { 0x0f } else { self.state }
    }

    /// What TEST UNIT READY says.
    fn ready(&self) -> Code {
        match self.shown() {
            _ if self.offline => (2, 0x04, 0x12),
            0x0f => (2, 0x04, 0x0a),
            2 => (2, 0x04, 0x0b),
            3 => (2, 0x04, 0x0c),
            _ => NOTHING,
        }
    }
}

#[derive(Clone, Debug)]
struct Model {
    ports: Vec<Port>,
    /// Who is still to be told of a change, and who asked for the transition of group 2.
    untold: [bool; 2],
    asked: usize,
}

impl Model {
    fn new() -> Self {
        let port = Port { state: 0, left: 0, offline: false };
        Self { ports: vec![port; 3], untold: [false; 2], asked: 0 }
    }

    fn port(&mut self, nexus: usize) -> &mut Port {
        &mut self.ports[usize::from(NEXUSES[nexus].1) - 1]
    }

    fn set(&mut self, nexus: usize, list: &[(u8, u8)], fails: bool) -> Code {
        if core::mem::take(&mut self.untold[nexus]) {
            return CHANGED;
        }
        if self.port(nexus).shown() == 0x0f && !self.port(nexus).offline {
            return self.port(nexus).ready();
        }
        let sound = |(object, state): &(u8, u8)| match state {
            0..=3 => GROUPS.contains(object),
            0x0e => (1..=3).contains(object),
            _ => false,
        };
        let kind = |(object, state): &(u8, u8)| (*object, *state == 0x0e);
        let twice = (1..list.len()).any(|at| list[..at].iter().any(|other| kind(other) == kind(&list[at])));
        if twice || !list.iter().all(sound) {
            return BAD_LIST;
        }
        let before = self.ports.clone();
        for (object, state) in list {
            for (port, group) in self.ports.iter_mut().zip(GROUPS) {
                if *state == 0x0e || group != *object {
                    continue;
                }
                if port.state != *state {
                    (port.state, port.left) = (*state, if group == 2 { TRANSITION_SECS } else { 0 });
                }
                port.offline = false;
            }
            if *state == 0x0e {
                self.ports[usize::from(*object) - 1].offline = true;
            }
        }
        if self.ports == before {
            return NOTHING;
        }
        self.untold[1 - nexus] = true;
        if fails {
            self.ports = before;
            return FAILED;
        }
        if (self.ports[1].state, self.ports[1].left) != (before[1].state, before[1].left) {
            self.asked = nexus;
        }
        NOTHING
    }

    fn ready(&mut self, nexus: usize) -> Code {
        if core::mem::take(&mut self.untold[nexus]) { CHANGED } else { self.port(nexus).ready() }
    }

    fn second(&mut self) {
        let moving = self.ports[1].left > 0;
        self.ports.iter_mut().for_each(|port| port.left = port.left.saturating_sub(1));
        if moving && self.ports[1].left == 0 {
            self.untold[1 - self.asked] = true;
        }
    }

    fn restart(&mut self) {
        self.untold = [false; 2];
        self.ports.iter_mut().for_each(|port| port.left = 0);
    }

    /// Group, state and ports, as they are told.
    fn groups(&self) -> Vec<(u8, u8, Vec<u8>)> {
        let of = |group: u8| (1..).zip(GROUPS).filter(|(_, of)| *of == group).map(|(port, _)| port).collect();
        let mut groups = vec![(1, self.ports[0].shown(), of(1)), (2, self.ports[1].shown(), of(2))];
        let offline: Vec<u8> =
            (1..).zip(&self.ports).filter(|(_, port)| port.offline).map(|(number, _)| number).collect();
        if !offline.is_empty() {
            groups.push((0xff, 0x0e, offline));
        }
        groups
    }
}

fn config() -> TargetConfig {
    let mut target = target();
    for number in 2..4 {
        target.ports.push(PortConfig { tag: number, relative_port: number, ..target.ports[0].clone() });
    }
    let one = PortGroup::new(1, Ports::These(vec![1]));
    let two = PortGroup {
        transition: Duration::from_secs(TRANSITION_SECS),
        ..PortGroup::new(2, Ports::These(vec![2, 3]))
    };
    target.unit_mut(0).access.port_groups = vec![one, two];
    target
}

fn rig(saved: Saved) -> Rig {
    let mut target = config();
    target.unit_mut(0).saved = saved;
    let mut rig = Rig::silent(target, 16, 1 << 20);
    for (nexus, port) in NEXUSES {
        rig.login_at(nexus, port.into());
        rig.run(nexus, &REQUEST_SENSE, &[]);
    }
    rig
}

/// What the unit says of its groups.
fn told(rig: &mut Rig) -> Vec<(u8, u8, Vec<u8>)> {
    // Whatever is pending stays so: the model tells it elsewhere.
    let Some(data) = [ALICE, BOB].into_iter().find_map(|nexus| {
        let reply = rig.run(nexus, &[0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], &[]);
        (reply.status == Status::GOOD).then_some(reply.data)
    }) else {
        return Vec::new();
    };
    let mut rest = &data[4..];
    let mut groups = Vec::new();
    while let [flags, _, _, id, _, _, _, count, tail @ ..] = rest {
        let (ports, next) = tail.split_at(4 * usize::from(*count));
        let mut ports: Vec<u8> = ports.chunks(4).map(|port| port[3]).collect();
        ports.sort_unstable();
        groups.push((*id, *flags & 0x0f, ports));
        rest = next;
    }
    groups
}

fn list(dice: &mut Dice) -> Vec<(u8, u8)> {
    let states = [0, 0, 1, 2, 2, 3, 0x0e, 0x0e, 0x0f, 4, 7];
    let length = 1 + dice.byte_below(3);
    // Mostly lists that make sense.
    let limit = if dice.byte_below(4) == 0 { 11 } else { 8 };
    (0..length).map(|_| (1 + dice.byte_below(3), states[usize::from(dice.byte_below(limit))])).collect()
}

fn check(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut model = Model::new();
    let mut rig = rig(Saved::default());
    for step in 0..200 {
        let who = usize::from(dice.byte_below(2));
        let nexus = NEXUSES[who].0;
        match dice.byte_below(16) {
            0..6 => {
                let list = list(&mut dice);
                let fails = dice.byte_below(8) == 0;
                let mut bytes = vec![0; 4];
                bytes.extend(list.iter().flat_map(|(object, state)| [*state, 0, 0, *object]));
                let length = u8::try_from(bytes.len()).expect("small");
                rig.run(nexus, &INQUIRY, &[]); // What looks at the size goes first.
                rig.disk.failure = fails.then_some(Failure::NoSpace);
                let got = rig.run(nexus, &[0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, length, 0, 0], &bytes).code();
                rig.disk.failure = None;
                assert_eq!(got, model.set(who, &list, fails), "seed {seed}, step {step}: {list:x?}");
            }
            6..12 => {
                let got = rig.run(nexus, &TEST_UNIT_READY, &[]).code();
                assert_eq!(got, model.ready(who), "seed {seed}, step {step}");
            }
            12..15 => {
                rig.pass(Duration::from_secs(1));
                model.second();
            }
            _ => {
                let documents =
                    rig.disk.saved.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone()));
                let documents: Saved = Saved(documents.collect());
                let saved = rig.disk.saved.clone();
                rig = self::rig(documents);
                rig.disk.saved = saved;
                model.restart();
            }
        }
        if model.untold == [false; 2] {
            assert_eq!(told(&mut rig), model.groups(), "seed {seed}, step {step}");
        }
        rig.said.clear();
    }
}

#[test]
fn the_unit_says_what_the_model_says() {
    (0..200).for_each(check);
}

#[test]
fn the_model_knows_every_state() {
    let mut model = Model::new();
    assert_eq!(model.set(0, &[(2, 2)], false), NOTHING);
    assert_eq!(model.groups()[1], (2, AccessState::Transitioning.row().code, vec![2, 3]));
    (0..TRANSITION_SECS).for_each(|_| model.second());
    assert_eq!(model.ready(1), CHANGED);
    assert_eq!(model.ready(1), (2, 0x04, 0x0b));
}
