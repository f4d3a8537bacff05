//! Commands with protection information beside a model of what the standard says of them, from a seed.

use crate::cdb::*;
use crate::dice::Dice;
use crate::rig::{ALICE, BLOCK, Rig, WHOLE, guard, target};
use felio_hal::store::{Protection, WriteCache};
use felio_spec::Status;
use felio_spec::protection::{Kind, Tuple};

type Code = (u8, u8, u8);

const BLOCKS: usize = 40;

/// A block, all of whose bytes are the same, and what stands behind it.
type Whole = (u8, Tuple);

/// What a CDB says of tags: of the first reference tag, of application tags, and which bits of those count.
type Said = Option<(u32, u16, u16)>;

struct Model {
    kind: Kind,
    blocks: Vec<Whole>,
}

impl Model {
    /// The first flaw of blocks that come from there, and the block's place among them.
    fn flaw(&self, value: u8, said: Said, lba: usize, wholes: &[Whole]) -> Option<(usize, Code)> {
        let guards = [1, 4, 5].contains(&value);
        let tags = [1, 2, 5].contains(&value);
        let flawed = |at: usize, (fill, tuple): &Whole| {
            let escape = tuple.application == 0xffff;
            if escape && (self.kind != Kind::Type3 || tuple.reference == 0xffff_ffff) {
                return None;
            }
            let expected = match (self.kind, said) {
                (Kind::Type1, _) => Some(u32::try_from(lba + at).expect("small")),
                (Kind::Type2, Some((first, ..))) => {
                    Some(first.wrapping_add(u32::try_from(at).expect("small")))
                }
                _ => None,
            };
            let (tag, mask) = match (self.kind, said) {
                (Kind::Type2, Some((_, tag, mask))) => (tag, mask),
                _ => (0, 0),
            };
            if guards && tuple.guard != guard(&[*fill; BLOCK]) {
                Some((0xb, 0x10, 1))
            } else if tags && (tuple.application ^ tag) & mask != 0 {
                Some((0xb, 0x10, 2))
            } else if tags && expected.is_some_and(|expected| tuple.reference != expected) {
                Some((0xb, 0x10, 3))
            } else {
                None
            }
        };
        wholes.iter().enumerate().find_map(|(at, whole)| Some((at, flawed(at, whole)?)))
    }
}

fn bytes(wholes: &[Whole], sent: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (fill, tuple) in wholes {
        bytes.extend([*fill; BLOCK]);
        if sent {
            bytes.extend([0; 8]);
            let at = bytes.len() - 8;
            tuple.write(&mut bytes[at..]);
        }
    }
    bytes
}

/// A command's kinds, with its opcode among those of ten, twelve or sixteen bytes and its service action.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Read,
    Write,
    Verify,
    Same,
    Or,
    Compare,
}

struct World {
    rig: Rig,
    model: Model,
    dice: Dice,
}

impl World {
    fn number(&mut self, sides: u64) -> usize {
        usize::try_from(self.dice.roll(sides)).expect("small")
    }

    /// A block to send, mostly as it must be.
    fn sent(&mut self, lba: usize, first: u32, at: usize, tag: u16) -> Whole {
        let fill = self.dice.byte() & 3;
        let counted = first.wrapping_add(u32::try_from(at).expect("small"));
        let reference =
            if self.model.kind == Kind::Type1 { u32::try_from(lba + at).expect("small") } else { counted };
        let mut tuple = Tuple { guard: guard(&[fill; BLOCK]), application: tag, reference };
        match self.dice.roll(40) {
            0 => tuple.guard ^= 1,
            1 => tuple.application ^= 1,
            2 => tuple.reference ^= 1,
            3 => tuple = Tuple { application: 0xffff, guard: 0, ..tuple },
            4 => tuple = Tuple { guard: 7, ..Tuple::FRESH },
            _ => {}
        }
        (fill, tuple)
    }

    fn step(&mut self) {
        let deeds = [Deed::Read, Deed::Write, Deed::Write, Deed::Verify, Deed::Same, Deed::Or, Deed::Compare];
        let deed = deeds[self.number(7)];
        let value = u8::try_from(self.number(6)).expect("small");
        let (lba, count) = (self.number(36), 1 + self.number(4));
        let long = match (self.model.kind, deed) {
            (Kind::Type2, Deed::Or | Deed::Compare) if value != 0 => return,
            (Kind::Type2, _) if value != 0 => true,
            (_, Deed::Or | Deed::Compare) => false,
            _ => self.dice.roll(2) == 0,
        };
        let (first, tag) = (u32::from(self.dice.byte()), u16::from(self.dice.byte()));
        // What is read has tags of earlier writes: of most of them, nothing is expected then.
        let mask = if deed == Deed::Read || deed == Deed::Verify { 0 } else { 0x00ff };
        let first = match (deed, self.model.blocks[lba].1.reference) {
            (Deed::Read | Deed::Verify, reference) => reference,
            _ => first,
        };
        let said = long.then_some((first, tag, mask));
        let cdb = self.cdb(deed, value, lba, count, said);
        let half: Vec<Whole> = match deed {
            Deed::Read | Deed::Verify => Vec::new(),
            Deed::Same => vec![self.sent(lba, first, 0, tag)],
            Deed::Write | Deed::Or | Deed::Compare => {
                (0..count).map(|at| self.sent(lba, first, at, tag)).collect()
            }
        };
        // To compare with: what is there, or something else.
        let there: Vec<Whole> = match deed {
            Deed::Compare if self.dice.roll(4) > 0 => self.model.blocks[lba..lba + count].to_vec(),
            Deed::Compare => half.clone(),
            _ => Vec::new(),
        };
        self.run(deed, value, (lba, count), said, &cdb, (&there, &half));
    }

    fn cdb(&self, deed: Deed, value: u8, lba: usize, count: usize, said: Said) -> Vec<u8> {
        let (small_lba, small) = (u32::try_from(lba).expect("small"), u16::try_from(count).expect("small"));
        let (lba, blocks) = (u64::from(small_lba), u32::from(small));
        let Some((first, tag, mask)) = said else {
            let mut cdb: Vec<u8> = match deed {
                Deed::Read => read10(small_lba, small).into(),
                Deed::Write => write10(small_lba, small).into(),
                Deed::Verify => verify16(0, lba, blocks).into(),
                Deed::Same => write_same10(0, small_lba, small).into(),
                Deed::Or => orwrite16(lba, blocks).into(),
                Deed::Compare => compare_and_write(lba, u8::try_from(count).expect("small")).into(),
            };
            cdb[1] |= value << 5;
            return cdb;
        };
        let action = match deed {
            Deed::Read => 0x09,
            Deed::Write => 0x0b,
            Deed::Verify => 0x0a,
            _ => 0x0d,
        };
        let mut cdb = thirty_two(action, value << 5, lba, blocks);
        cdb[20..24].copy_from_slice(&first.to_be_bytes());
        cdb[24..26].copy_from_slice(&tag.to_be_bytes());
        cdb[26..28].copy_from_slice(&mask.to_be_bytes());
        cdb.into()
    }

    fn run(
        &mut self,
        deed: Deed,
        value: u8,
        (lba, count): (usize, usize),
        said: Said,
        cdb: &[u8],
        (there, half): (&[Whole], &[Whole]),
    ) {
        let sent = value != 0;
        let data = [bytes(there, sent), bytes(half, sent)].concat();
        let reply = self.rig.run(ALICE, cdb, &data);
        let stored = self.model.blocks[lba..lba + count].to_vec();
        let flaw = |wholes: &[Whole]| self.model.flaw(value, said, lba, wholes).map(|(_, code)| code);
        let reads = matches!(deed, Deed::Read | Deed::Verify | Deed::Or | Deed::Compare);
        let flawed = flaw(there).or(flaw(half)).or(if reads { flaw(&stored) } else { None });
        let differs = there.iter().zip(&stored).any(|((a, _), (b, _))| a != b);
        let want = flawed.or(differs.then_some((0xe, 0x1d, 0)));
        assert_eq!(
            reply.code(),
            want.unwrap_or((0, 0, 0)),
            "{:?}: {cdb:02x?} on {stored:x?}",
            self.model.kind
        );
        if want.is_some() {
            return self.look(cdb);
        }
        if deed == Deed::Read {
            assert_eq!(reply.data, bytes(&stored, sent), "{cdb:02x?}");
        }
        assert_eq!(reply.status, Status::GOOD);
        if !matches!(deed, Deed::Read | Deed::Verify) {
            for (at, stored) in stored.into_iter().enumerate() {
                self.model.blocks[lba + at] = self.written(deed, sent, lba + at, at, stored, half);
            }
        }
        self.look(cdb);
    }

    /// A block as it must be afterwards.
    fn written(&self, deed: Deed, sent: bool, lba: usize, at: usize, stored: Whole, half: &[Whole]) -> Whole {
        let kind = self.model.kind;
        let number = u32::try_from(at).expect("small");
        let (fill, mut tuple) = match deed {
            Deed::Same if kind == Kind::Type3 => half[0],
            Deed::Same => {
                let (fill, tuple) = half[0];
                (fill, Tuple { reference: tuple.reference.wrapping_add(number), ..tuple })
            }
            Deed::Or => {
                let (fill, tuple) = half[at];
                let fill = fill | stored.0;
                (fill, Tuple { guard: guard(&[fill; BLOCK]), ..tuple })
            }
            _ => half[at],
        };
        if !sent {
            let reference = if kind == Kind::Type1 { u32::try_from(lba).expect("small") } else { u32::MAX };
            let application = if kind == Kind::Type2 { 0xffff } else { 0 };
            tuple = Tuple { guard: guard(&[fill; BLOCK]), application, reference };
        }
        (fill, tuple)
    }

    fn look(&self, cdb: &[u8]) {
        for (lba, (fill, tuple)) in self.model.blocks.iter().enumerate() {
            let block = &self.rig.disk.bytes[lba * BLOCK..][..BLOCK];
            assert!(block.iter().all(|byte| byte == fill), "{cdb:02x?} leaves {fill} in {lba}");
            assert_eq!(self.rig.disk.tuples[lba], *tuple, "{cdb:02x?} behind {lba}");
        }
    }
}

#[test]
fn whatever_is_sent_the_model_agrees() {
    assert_eq!(WHOLE, BLOCK + 8);
    for (seed, kind) in (1..=12).zip([Kind::Type1, Kind::Type2, Kind::Type3].into_iter().cycle()) {
        let mut target = target();
        target.unit_mut(0).limits.protection = Protection::On(kind);
        target.unit_mut(0).limits.write_cache = WriteCache::Off;
        let model = Model { kind, blocks: vec![(0, Tuple::FRESH); BLOCKS] };
        let mut world = World { rig: Rig::with(target, 64, 64 << 20), model, dice: Dice::new(seed) };
        for _ in 0..400 {
            world.step();
            world.rig.said.clear();
        }
    }
}
