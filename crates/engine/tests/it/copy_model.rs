//! Copies, tokens and writes, from a seed, against a model of bytes.
//!
//! One command at a time, so that the model is exact: operations of the store complete in any order all the same. What must
//! hold: every block is as the model says, a token yields what it stood for or nothing, every buffer comes home.

use crate::cdb::*;
use crate::copy::{copy_cdb, cscd, list, rig, segment};
use crate::dice::Dice;
use crate::rig::{ALICE, BLOCK, Rig};
use crate::token::{make, token_cdb, write_list, zero_token};

const BLOCKS: u64 = 400;

/// Some blocks.
fn extent(dice: &mut Dice) -> (u64, u16) {
    let lba = dice.roll(BLOCKS - 1);
    (lba, 1 + dice.small((BLOCKS - lba).min(200)))
}

/// A byte for each block is enough: blocks are written whole.
type Unit = Vec<u8>;

struct Token {
    bytes: Vec<u8>,
    stands_for: Vec<u8>,
    of: Vec<(u64, u16)>,
    cancelled: bool,
}

struct World {
    rig: Rig,
    dice: Dice,
    units: [Unit; 3],
    tokens: Vec<Token>,
    stamp: u8,
}

impl World {
    fn new(seed: u64) -> Self {
        let units = core::array::from_fn(|_| vec![0; usize::try_from(BLOCKS).expect("small")]);
        let mut rig = rig();
        rig.hold = true;
        rig.offload = seed % 2 == 1;
        Self { rig, dice: Dice::new(seed), units, tokens: Vec::new(), stamp: 0 }
    }

    fn step(&mut self) {
        match self.dice.roll(10) {
            0..3 => self.write(),
            3..6 => self.copy(),
            6..8 => self.populate(),
            8 => self.zero(),
            _ => self.write_using_token(),
        }
    }

    /// Sends a command and completes operations in any order until it is answered.
    fn run(&mut self, lun: u16, cdb: &[u8], data: &[u8]) -> (u8, u8, u8) {
        let tag = self.rig.send_on(lun, ALICE, cdb, data);
        while !self.rig.held.is_empty() {
            let at = usize::from(self.dice.small(8)) % self.rig.held.len();
            self.rig.held.rotate_left(at);
            self.rig.release();
        }
        let code = self.rig.reply(tag).expect("an answer").code();
        self.rig.said.clear();
        code
    }

    /// Blocks of a unit change: tokens of them are cancelled.
    fn change(&mut self, unit: u16, lba: u64, blocks: &[u8]) {
        let end = lba + u64::try_from(blocks.len()).expect("small");
        let at = usize::try_from(lba).expect("small");
        self.units[usize::from(unit)][at..at + blocks.len()].copy_from_slice(blocks);
        if unit == 0 {
            for token in &mut self.tokens {
                token.cancelled |= token.of.iter().any(|(from, n)| *from < end && lba < from + u64::from(*n));
            }
        }
    }

    fn look(&self, unit: u16, (lba, blocks): (u64, u16)) -> Vec<u8> {
        let at = usize::try_from(lba).expect("small");
        self.units[usize::from(unit)][at..at + usize::from(blocks)].to_vec()
    }

    fn write(&mut self) {
        let (unit, (lba, blocks)) = (self.dice.small(3), extent(&mut self.dice));
        let blocks = blocks.min(100);
        self.stamp = self.stamp.wrapping_add(1);
        let stamp = self.stamp;
        let data = vec![stamp; usize::from(blocks) * BLOCK];
        let cdb = write10(u32::try_from(lba).expect("small"), blocks);
        assert_eq!(self.run(unit, &cdb, &data), (0, 0, 0));
        self.change(unit, lba, &vec![stamp; usize::from(blocks)]);
    }

    fn copy(&mut self) {
        let mut segments = Vec::new();
        let mut moves = Vec::new();
        for _ in 0..1 + self.dice.roll(3) {
            let (from, to) = (self.dice.small(3), self.dice.small(3));
            let (extent, target) = (extent(&mut self.dice), extent(&mut self.dice));
            let blocks = extent.1.min(target.1);
            segments.push(segment((from, extent.0), (to, target.0), blocks));
            moves.push((from, (extent.0, blocks), to, target.0));
        }
        let list = list(1, &[cscd(0), cscd(1), cscd(2)], &segments);
        let asked = self.dice.small(3);
        assert_eq!(self.run(asked, &copy_cdb(0, &list), &list), (0, 0, 0));
        for (from, extent, to, lba) in moves {
            let blocks = self.look(from, extent);
            self.change(to, lba, &blocks);
        }
    }

    fn populate(&mut self) {
        let first = extent(&mut self.dice);
        let mut of = vec![first];
        let second = extent(&mut self.dice);
        let apart = second.0 + u64::from(second.1) <= first.0 || first.0 + u64::from(first.1) <= second.0;
        if apart {
            of.push(second);
        }
        let ranges: Vec<(u64, u32)> = of.iter().map(|(lba, blocks)| (*lba, u32::from(*blocks))).collect();
        self.rig.hold = false;
        let bytes = make(&mut self.rig, None, &ranges);
        self.rig.hold = true;
        let stands_for = of.iter().flat_map(|extent| self.look(0, *extent)).collect();
        self.tokens.push(Token { bytes, stands_for, of, cancelled: false });
    }

    fn write_using_token(&mut self) {
        if self.tokens.is_empty() {
            return;
        }
        let at = usize::from(self.dice.small(1000)) % self.tokens.len();
        let token = &self.tokens[at];
        let (lba, most) = extent(&mut self.dice);
        let offset = usize::from(self.dice.small(400)) % token.stands_for.len();
        let blocks = usize::from(most).min(token.stands_for.len() - offset);
        let list = write_list(
            0,
            offset.try_into().expect("small"),
            &token.bytes,
            &[(lba, u32::try_from(blocks).expect("small"))],
        );
        // To another unit: what it writes cannot cancel what it reads by.
        let unit = 1 + self.dice.small(2);
        let (cancelled, data) = (token.cancelled, token.stands_for[offset..offset + blocks].to_vec());
        let want = if cancelled { (5, 0x23, 8) } else { (0, 0, 0) };
        assert_eq!(self.run(unit, &token_cdb(0x11, 9, &list), &list), want);
        if !cancelled {
            self.change(unit, lba, &data);
        }
    }

    fn zero(&mut self) {
        let (unit, (lba, blocks)) = (self.dice.small(3), extent(&mut self.dice));
        let list = write_list(0, 0, &zero_token(), &[(lba, u32::from(blocks))]);
        assert_eq!(self.run(unit, &token_cdb(0x11, 9, &list), &list), (0, 0, 0));
        self.change(unit, lba, &vec![0; usize::from(blocks)]);
    }

    fn check(&mut self) {
        let disks = [&self.rig.disk.bytes, &self.rig.more[0].bytes, &self.rig.more[1].bytes];
        for (unit, disk) in self.units.iter().zip(disks) {
            for (stamp, block) in unit.iter().zip(disk.chunks_exact(BLOCK)) {
                assert!(block.iter().all(|byte| byte == stamp));
            }
        }
        self.rig.pool.trim();
        assert_eq!((self.rig.pool.budget().bytes(), self.rig.engine.is_idle()), (0, true));
    }
}

#[test]
fn every_block_is_what_copies_tokens_and_writes_have_made_of_it() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.step();
        }
        world.check();
    }
}
