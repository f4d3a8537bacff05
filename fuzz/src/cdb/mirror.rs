//! What a small unit must hold, decided by the standard's words and nothing of the engine's: a second opinion.
//!
//! Only for commands that run alone: [`Mirror::follow`] is told of each as it ends.

use super::world::Ended;
use felio_spec::Status;

/// The content that a unit should have.
pub(super) struct Mirror {
    content: Vec<u8>,
    block_bytes: usize,
    /// Whether what becomes of an ORWRITE depends on earlier ones.
    generations: bool,
}

/// What a command does to blocks.
#[derive(Clone, Copy)]
enum Deed {
    Read,
    Write,
    Verify,
    Compare,
    Or,
    /// ORWRITE (32): as it was, or bits set or cleared, by what the unit remembers.
    Generation,
    Same,
    Unmap,
}

/// First byte and length of a field.
type Place = (usize, usize);

/// Operation code (of CDBs of 32 bytes: and service action), and where address and count stand.
#[rustfmt::skip]
const DEEDS: [(u16, Deed, Place, Place); 25] = [
    (0x08, Deed::Read, (1, 3), (4, 1)), (0x28, Deed::Read, (2, 4), (7, 2)),
    (0xa8, Deed::Read, (2, 4), (6, 4)), (0x88, Deed::Read, (2, 8), (10, 4)),
    (0x0a, Deed::Write, (1, 3), (4, 1)), (0x2a, Deed::Write, (2, 4), (7, 2)),
    (0xaa, Deed::Write, (2, 4), (6, 4)), (0x8a, Deed::Write, (2, 8), (10, 4)),
    (0x2e, Deed::Write, (2, 4), (7, 2)), (0xae, Deed::Write, (2, 4), (6, 4)), (0x8e, Deed::Write, (2, 8), (10, 4)),
    (0x2f, Deed::Verify, (2, 4), (7, 2)), (0xaf, Deed::Verify, (2, 4), (6, 4)), (0x8f, Deed::Verify, (2, 8), (10, 4)),
    (0x89, Deed::Compare, (2, 8), (13, 1)),
    (0x8b, Deed::Or, (2, 8), (10, 4)),
    (0x41, Deed::Same, (2, 4), (7, 2)), (0x93, Deed::Same, (2, 8), (10, 4)),
    (0x42, Deed::Unmap, (2, 4), (7, 2)),
    (0x7f09, Deed::Read, LONG_LBA, LONG_COUNT), (0x7f0b, Deed::Write, LONG_LBA, LONG_COUNT),
    (0x7f0a, Deed::Verify, LONG_LBA, LONG_COUNT), (0x7f0c, Deed::Write, LONG_LBA, LONG_COUNT),
    (0x7f0d, Deed::Same, LONG_LBA, LONG_COUNT), (0x7f0e, Deed::Generation, LONG_LBA, LONG_COUNT),
];

const LONG_LBA: Place = (12, 8);
const LONG_COUNT: Place = (28, 4);

/// What a command is found by.
fn key(cdb: &[u8]) -> u16 {
    match cdb {
        [0x7f, .., _] if cdb.len() > 9 => 0x7f00 | u16::from(cdb[9]),
        [opcode, ..] => u16::from(*opcode),
        [] => 0,
    }
}

/// Where BYTCHK, NDOB and their like stand.
fn flags(cdb: &[u8]) -> u8 {
    if cdb[0] == 0x7f { cdb[10] } else { cdb[1] }
}

/// FORMAT UNIT, SANITIZE: all blocks are made anew, before or after the answer.
const ANEW: [u8; 2] = [0x04, 0x48];

impl Mirror {
    /// A unit that holds `content`.
    pub(super) fn new(content: &[u8], block_bytes: u64) -> Self {
        Self {
            content: content.to_vec(),
            block_bytes: usize::try_from(block_bytes).expect("a block"),
            generations: false,
        }
    }

    /// Looks at the end of a command, and at what the store holds behind it.
    pub(super) fn follow(&mut self, cdb: &[u8], out: &[u8], ended: &Ended, content: &[u8]) {
        if cdb.first().is_some_and(|opcode| ANEW.contains(opcode)) {
            // How far it went before it failed, or was answered (IMMED), is the engine's to say.
            return self.content.copy_from_slice(content);
        }
        let found = DEEDS.iter().find(|(opcode, ..)| key(cdb) == *opcode);
        if let Some((_, deed, lba, count)) = found.filter(|_| ended.status == Status::GOOD) {
            let (lba, count) = (field(cdb, *lba), field(cdb, *count));
            let lba = if cdb[0] < 0x20 { lba & 0x1f_ffff } else { lba };
            let count = if cdb[0] < 0x20 && count == 0 { 256 } else { count };
            let judged = matches!(deed, Deed::Generation) || (matches!(deed, Deed::Or) && self.generations);
            if judged {
                self.generations |= cdb[0] == 0x7f && cdb[2] & 7 == 1;
                let range = lba * self.block_bytes..(lba + count) * self.block_bytes;
                self.content[range.clone()].copy_from_slice(&content[range]);
            } else {
                self.apply(*deed, (lba, count), cdb, out, &ended.data);
            }
        }
        assert!(self.content == content, "{cdb:02x?} ended with {:?} and left other blocks", ended.status);
    }

    fn apply(&mut self, deed: Deed, (lba, count): (usize, usize), cdb: &[u8], out: &[u8], data: &[u8]) {
        let block_bytes = self.block_bytes;
        let all = self.content.len() / block_bytes * block_bytes;
        let range = match deed {
            Deed::Same if count == 0 => lba * block_bytes..all,
            Deed::Unmap => 0..0,
            _ => lba * block_bytes..(lba + count) * block_bytes,
        };
        let place = &mut self.content[range];
        let length = place.len();
        match deed {
            Deed::Read => assert_eq!(data, place, "{cdb:02x?} reads what is there"),
            // Fewer whole blocks than the CDB names are written as far as they go; the residual tells.
            Deed::Write => {
                let came = length.min(out.len() / block_bytes * block_bytes);
                place[..came].copy_from_slice(&out[..came]);
            }
            Deed::Verify => match flags(cdb) >> 1 & 3 {
                0 => {}
                1 => assert_eq!(&out[..length], place, "{cdb:02x?} compares"),
                _ => place
                    .chunks(block_bytes)
                    .for_each(|block| assert_eq!(&out[..block_bytes], block, "{cdb:02x?}")),
            },
            Deed::Compare => {
                assert_eq!(&out[..length], place, "{cdb:02x?} compares");
                place.copy_from_slice(&out[length..2 * length]);
            }
            Deed::Or => place.iter_mut().zip(out).for_each(|(byte, other)| *byte |= other),
            Deed::Same => {
                // Without a block (NDOB, or a deallocation that brings none) it is zeros.
                let zeros = vec![0; block_bytes];
                let block =
                    if cdb[0] != 0x41 && flags(cdb) & 1 != 0 || out.is_empty() { &zeros } else { out };
                place.chunks_mut(block_bytes).for_each(|place| place.copy_from_slice(&block[..block_bytes]));
            }
            Deed::Generation => unreachable!("judged"),
            Deed::Unmap => self.unmap(&out[..out.len().min(count)]),
        }
    }

    //= SBC-3 "UNMAP parameter list"
    fn unmap(&mut self, list: &[u8]) {
        let Some(length) = list.get(2..4) else { return };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let end = list.len().min(8 + length);
        for descriptor in list.get(8..end).unwrap_or_default().chunks_exact(16) {
            let (lba, count) = (field(descriptor, (0, 8)), field(descriptor, (8, 4)));
            self.content[lba * self.block_bytes..(lba + count) * self.block_bytes].fill(0);
        }
    }
}

fn field(bytes: &[u8], (at, length): Place) -> usize {
    bytes[at..at + length].iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}
