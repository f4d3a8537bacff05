//! Everything at once, from a seed: commands of every kind, aborts, resets, lost nexuses, failures, too little memory.
//!
//! What must hold whatever happens: a command is answered at most once, and exactly once unless its nexus is gone; every
//! buffer comes home; in the end nothing is under way.

use crate::cdb::*;
use crate::dice::Dice;
use crate::reservation::{Out, TYPES, list, out_cdb};
use crate::rig::{ALICE, BLOCK, BOB, Rig, Said, target};
use core::time::Duration;
use felio_hal::store::Failure;
use felio_hal::{NexusId, PortTag};
use felio_spec::TaskAttribute;
use felio_spec::status::TaskManagementFunction as Function;

struct Chaos {
    rig: Rig,
    dice: Dice,
    /// Who is there now.
    nexuses: [NexusId; 2],
    sent: Vec<(NexusId, PortTag)>,
    managed: Vec<(NexusId, PortTag)>,
}

const FUNCTIONS: [Function; 10] = [
    Function::AbortTask,
    Function::AbortTaskSet,
    Function::ClearAca,
    Function::ClearTaskSet,
    Function::LogicalUnitReset,
    Function::TargetWarmReset,
    Function::ITNexusReset,
    Function::QueryTask,
    Function::QueryTaskSet,
    Function::QueryAsynchronousEvent,
];

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::with(target(), 16, 256 << 10);
        let mut dice = Dice::new(seed);
        // Half of the stories under a control mode page of their own.
        if dice.roll(2) == 0 {
            rig.set_control(|page| {
                page[2] |= [0, 0x20][usize::from(dice.byte() & 1)];
                page[3] = [0x00, 0x02, 0x06, 0x10, 0x12, 0x16][usize::from(dice.byte() % 6)];
                page[4] |= [0, 0x20, 0x30][usize::from(dice.byte() % 3)];
                page[5] &= !(dice.byte() & 0x40);
            });
        }
        rig.hold = true;
        rig.send_data = false;
        Self { rig, dice, nexuses: [ALICE, BOB], sent: Vec::new(), managed: Vec::new() }
    }

    fn step(&mut self) {
        let who = usize::from(self.dice.byte() & 1);
        match self.dice.roll(20) {
            0..10 => self.command(self.nexuses[who]),
            10..13 if !self.rig.unsent.is_empty() => self.deliver(),
            13..17 if !self.rig.held.is_empty() => self.complete(),
            17 if self.dice.roll(4) == 0 => self.manage(self.nexuses[who]),
            18 if self.dice.roll(40) == 0 => self.rig.pass(Duration::from_secs(11)),
            18 => self.rig.pass(Duration::from_millis(self.dice.roll(700))),
            19 if self.dice.roll(10) == 0 => self.replace(who),
            _ => {}
        }
    }

    fn command(&mut self, nexus: NexusId) {
        let dice = &mut self.dice;
        let lba = u32::try_from(dice.roll(40)).expect("small");
        let blocks = u16::try_from(dice.roll(20)).expect("small");
        let count = usize::from(blocks);
        let data = |count: usize| vec![0; count * BLOCK];
        let mut noise: Vec<u8> = (0..16).map(|_| dice.byte()).collect();
        let (mut cdb, data): (Vec<u8>, Vec<u8>) = match dice.roll(18) {
            0..3 => (read10(lba, blocks).into(), Vec::new()),
            3..6 => (write10(lba, blocks).into(), data(count)),
            6 => (write_and_verify10(lba, blocks).into(), data(count)),
            7 => (verify10(1, lba, blocks).into(), data(count)),
            8..10 => (compare_and_write(u64::from(lba), 2).into(), data(4)),
            10 => (orwrite16(u64::from(lba), u32::from(blocks)).into(), data(count)),
            11 => (write_same10(0, lba, blocks.max(1)).into(), vec![1; BLOCK]),
            12 => (synchronize_cache10(dice.byte() & 2).into(), Vec::new()),
            13 => (get_lba_status(u64::from(lba), 100).into(), Vec::new()),
            14 if dice.roll(4) == 0 => anew(dice),
            14 => (TEST_UNIT_READY.into(), Vec::new()),
            15 => reservation(dice),
            _ => {
                noise[0] = [0x12, 0x1a, 0x1b, 0x03, 0x25, 0x16, 0x15, noise[0]][usize::from(noise[1] & 7)];
                (noise, data(count))
            }
        };
        let attribute = match dice.roll(8) {
            0 => TaskAttribute::Ordered,
            1 => TaskAttribute::HeadOfQueue,
            2 => TaskAttribute::Aca,
            _ => TaskAttribute::Simple,
        };
        if dice.roll(8) == 0
            && let Some(control) = cdb.last_mut()
        {
            *control |= 0x04;
        }
        let tag = self.rig.send_as(attribute, nexus, &cdb, &data);
        self.sent.push((nexus, tag));
    }

    fn deliver(&mut self) {
        if self.rig.can_deliver() {
            self.rig.deliver();
        }
    }

    fn complete(&mut self) {
        let at = usize::try_from(self.dice.roll(4)).expect("small") % self.rig.held.len();
        self.rig.held.rotate_left(at);
        if self.dice.roll(12) == 0 {
            self.rig.disk.failure = Some(Failure::Medium(None));
        }
        self.rig.release();
    }

    fn manage(&mut self, nexus: NexusId) {
        let function = FUNCTIONS[usize::try_from(self.dice.roll(10)).expect("small")];
        let referenced = self.sent.last().map(|(_, tag)| *tag);
        let tag = self.rig.manage(nexus, function, referenced);
        self.managed.push((nexus, tag));
    }

    fn replace(&mut self, who: usize) {
        let gone = self.nexuses[who];
        self.rig.lose(gone);
        self.sent.retain(|(nexus, _)| *nexus != gone);
        self.managed.retain(|(nexus, _)| *nexus != gone);
        self.nexuses[who] = NexusId { generation: gone.generation + 1, ..gone };
        self.rig.login(self.nexuses[who]);
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            while !self.rig.unsent.is_empty() && self.rig.can_deliver() {
                self.rig.deliver();
            }
            self.rig.release_all();
            for nexus in self.nexuses {
                self.rig.manage(nexus, Function::ClearAca, None);
            }
            self.rig.pass(Duration::from_millis(1));
            let is_idle = self.rig.engine.is_idle() && self.rig.engine.poll_timeout().is_none();
            if is_idle && self.rig.unsent.is_empty() {
                return;
            }
        }
        panic!("something is still under way");
    }

    fn check(&mut self) {
        for (nexus, tag) in &self.sent {
            let answers = self.rig.said.iter().filter(|(to, said)| {
                to == nexus && matches!(said, Said::Reply(of, _) | Said::Abandon(of) if of == tag)
            });
            assert_eq!(answers.count(), 1, "{tag:?} of {nexus:?}");
        }
        for (_, tag) in &self.managed {
            assert!(self.rig.managed(*tag).is_some(), "{tag:?}");
        }
        self.rig.pool.trim();
        assert_eq!(self.rig.pool.budget().bytes(), 0);
    }
}

/// Both have the same key, so that most of it is done.
fn reservation(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let ignore = Out::Ignore;
    let actions =
        [ignore, ignore, Out::Reserve, Out::Release, Out::Clear, Out::Preempt, Out::PreemptAndAbort];
    let action = actions[usize::try_from(dice.roll(7)).expect("small")];
    let key = if action == ignore { dice.roll(3) } else { 1 };
    let kind = TYPES[usize::try_from(dice.roll(6)).expect("small")];
    let list = list(1, key, u8::from(dice.roll(2) == 0));
    (out_cdb(action, kind, list.len()).into(), list)
}

/// A command that makes all blocks anew.
fn anew(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let flags = dice.byte() & (IMMED | AUSE);
    match dice.roll(4) {
        0 => (sanitize_overwrite(flags, 5).into(), vec![1, 0, 0, 1, 7]),
        1 => (sanitize_block_erase(flags).into(), Vec::new()),
        2 => (exit_failure_mode().into(), Vec::new()),
        _ => (format_unit(0).into(), Vec::new()),
    }
}

#[test]
fn whatever_happens_every_command_ends_once_and_every_buffer_comes_home() {
    for seed in 0..200 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..400 {
            chaos.step();
        }
        chaos.drain();
        chaos.check();
    }
}
