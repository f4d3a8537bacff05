//! What an initiator sends, each command at random and with a stamp of its own.

use super::{
    BIT_BLOCKS, BLOCK_BYTES, BLOCKS, COUNTER_BLOCKS, DATA_BLOCKS, FIRST_BITS, Initiator, Kind, Sender, Shared,
};
use felio_hal::Time;
use felio_iscsi::peer::Data;
use felio_spec::commands::{
    compare_and_write, mode_select6, orwrite16, read16, synchronize_cache10, test_unit_ready, unmap,
    verify16, write_and_verify16, write_same16, write16,
};
use felio_spec::mode::{caching, header6, page0};
use felio_spec::report::{unmap_block_descriptor, unmap_list};
use felio_spec::{Row, TaskAttribute};
use std::ops::Range;

const CACHING_PAGE: u8 = 0x08;

impl Initiator {
    /// Sends some command.
    pub(super) fn send_command(&mut self, now: Time, shared: &mut Shared) {
        if self.random.chance(self.habits.plain) {
            let by = Sender { initiator: self.number, attribute: TaskAttribute::Simple };
            return if self.random.chance(300) {
                self.send_read(now, by, shared)
            } else {
                self.send_write(now, by, shared)
            };
        }
        let by = self.sender();
        match self.random.below(100) {
            _ if shared.write_through && shared.cached && self.random.chance(10) => {
                self.send_cache_off(now, by, shared);
            }
            _ if shared.resizing && self.random.chance(self.habits.inspecting) => {
                self.send_near_end(now, by, shared)
            }
            _ if self.random.chance(self.habits.verified) => self.send_write_and_verify(now, by, shared),
            0..30 => self.send_read(now, by, shared),
            30..58 => self.send_write(now, by, shared),
            58..61 => self.send_write_and_verify(now, by, shared),
            61..65 => self.send_verify(now, by, shared),
            65..72 => self.send_flush(now, by, shared),
            72..78 => self.send_same(now, by, shared),
            78..83 => self.send_unmap(now, by, shared),
            83..92 => self.send_swap(now, by, shared),
            92..98 => self.send_bit(now, by, shared),
            _ => self.send(now, by, &cdb(&test_unit_ready::ROW), Data::None, Kind::Other),
        }
    }

    fn send_read(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..BLOCKS);
        self.read(now, by, blocks, shared);
    }

    fn read(&mut self, now: Time, by: Sender, blocks: Range<usize>, shared: &mut Shared) {
        let mut cdb = cdb(&read16::ROW);
        read16::LBA.set(&mut cdb, wide(blocks.start));
        read16::TRANSFER_LENGTH.set(&mut cdb, narrow(blocks.len()));
        let sent = shared.referee.send(by);
        let room = Data::In(narrow(blocks.len() * BLOCK_BYTES));
        self.send(now, by, &cdb, room, Kind::Read { first: blocks.start, sent });
    }

    fn send_write(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..DATA_BLOCKS);
        let fua = self.random.chance(200);
        shared.stamp += 1;
        let data = fill(shared.stamp, blocks.len());
        let mut cdb = cdb(&write16::ROW);
        write16::LBA.set(&mut cdb, wide(blocks.start));
        write16::TRANSFER_LENGTH.set(&mut cdb, narrow(blocks.len()));
        write16::FUA.set(&mut cdb, fua);
        let write = shared.referee.send_write(by, blocks, shared.stamp);
        self.send(now, by, &cdb, Data::Out(data), Kind::Write { write, durable: fua || !shared.cached });
    }

    fn send_write_and_verify(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..DATA_BLOCKS);
        shared.stamp += 1;
        let data = fill(shared.stamp, blocks.len());
        let mut cdb = cdb(&write_and_verify16::ROW);
        write_and_verify16::LBA.set(&mut cdb, wide(blocks.start));
        write_and_verify16::TRANSFER_LENGTH.set(&mut cdb, narrow(blocks.len()));
        write_and_verify16::BYTCHK.set(&mut cdb, u8::from(self.random.chance(700)));
        let write = shared.referee.send_write(by, blocks, shared.stamp);
        shared.referee.keep_apart(write);
        self.send(now, by, &cdb, Data::Out(data), Kind::Write { write, durable: true });
    }

    /// VERIFY of what we last saw: of each block, or of all with the first one's.
    fn send_verify(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..DATA_BLOCKS);
        let mut stamps = self.seen[blocks.clone()].to_vec();
        let (bytchk, data) = if self.random.chance(500) {
            (0b01, stamps.iter().flat_map(|stamp| fill(*stamp, 1)).collect())
        } else {
            let one = stamps[0];
            stamps.fill(one);
            (0b11, fill(one, 1))
        };
        let mut cdb = cdb(&verify16::ROW);
        verify16::LBA.set(&mut cdb, wide(blocks.start));
        verify16::VERIFICATION_LENGTH.set(&mut cdb, narrow(blocks.len()));
        verify16::BYTCHK.set(&mut cdb, bytchk);
        let sent = shared.referee.send(by);
        self.send(now, by, &cdb, Data::Out(data), Kind::Verify { first: blocks.start, sent, stamps });
    }

    /// ORWRITE of a bit.
    fn send_bit(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let (block, bit) = (self.random.index(BIT_BLOCKS), self.random.index(64));
        let fua = self.random.chance(300);
        let mut cdb = cdb(&orwrite16::ROW);
        orwrite16::LBA.set(&mut cdb, wide(FIRST_BITS + block));
        orwrite16::TRANSFER_LENGTH.set(&mut cdb, 1);
        orwrite16::FUA.set(&mut cdb, fua);
        shared.bits.send(block, bit);
        let kind = Kind::SetBit { block, bit, durable: fua || !shared.cached };
        self.send(now, by, &cdb, Data::Out(fill(1 << bit, 1)), kind);
    }

    /// MODE SELECT: the caching page as it is by default, but with WCE=0.
    fn send_cache_off(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let mut list = vec![0; header6::BYTES + caching::BYTES];
        let (_, page) = list.split_at_mut(header6::BYTES);
        page0::PAGE_CODE.set(page, CACHING_PAGE);
        page0::PAGE_LENGTH.set(page, narrow(caching::BYTES - page0::BYTES));
        caching::DRA.set(page, true);
        let mut cdb = cdb(&mode_select6::ROW);
        mode_select6::PF.set(&mut cdb, true);
        mode_select6::PARAMETER_LIST_LENGTH.set(&mut cdb, narrow(list.len()));
        let sent = shared.referee.send(by);
        self.send(now, by, &cdb, Data::Out(list), Kind::CacheOff { sent });
    }

    fn send_flush(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let cdb = cdb(&synchronize_cache10::ROW);
        let sent = shared.referee.send(by);
        self.send(now, by, &cdb, Data::None, Kind::Flush { sent });
    }

    /// WRITE SAME: a stamp, or zeros that may be deallocated.
    fn send_same(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..DATA_BLOCKS);
        let zeros = self.random.chance(500);
        shared.stamp += 1;
        let stamp = if zeros { 0 } else { shared.stamp };
        let mut cdb = cdb(&write_same16::ROW);
        write_same16::LBA.set(&mut cdb, wide(blocks.start));
        write_same16::NUMBER_OF_LOGICAL_BLOCKS.set(&mut cdb, narrow(blocks.len()));
        write_same16::UNMAP.set(&mut cdb, zeros);
        let write = shared.referee.send_write(by, blocks, stamp);
        self.send(now, by, &cdb, Data::Out(fill(stamp, 1)), Kind::Write { write, durable: !shared.cached });
    }

    fn send_unmap(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let blocks = self.range(0..DATA_BLOCKS);
        let mut list = vec![0; unmap_list::BYTES + unmap_block_descriptor::BYTES];
        let (header, descriptor) = list.split_at_mut(unmap_list::BYTES);
        unmap_list::UNMAP_DATA_LENGTH.set(header, 22);
        unmap_list::UNMAP_BLOCK_DESCRIPTOR_DATA_LENGTH.set(header, 16);
        unmap_block_descriptor::UNMAP_LBA.set(descriptor, wide(blocks.start));
        unmap_block_descriptor::NUMBER_OF_LOGICAL_BLOCKS.set(descriptor, narrow(blocks.len()));
        let mut cdb = cdb(&unmap::ROW);
        unmap::PARAMETER_LIST_LENGTH.set(&mut cdb, 24);
        let write = shared.referee.send_write(by, blocks, 0);
        self.send(now, by, &cdb, Data::Out(list), Kind::Write { write, durable: !shared.cached });
    }

    /// COMPARE AND WRITE: moves a counter by one, if it is where we believe it to be.
    fn send_swap(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        let counter = self.random.index(COUNTER_BLOCKS);
        let from = self.counters[counter];
        let block = DATA_BLOCKS + counter;
        if from == u64::MAX || self.random.chance(200) {
            return self.read(now, by, block..block + 1, shared);
        }
        let mut cdb = cdb(&compare_and_write::ROW);
        compare_and_write::LBA.set(&mut cdb, wide(block));
        compare_and_write::NUMBER_OF_LOGICAL_BLOCKS.set(&mut cdb, 1);
        let data = [fill(from, 1), fill(from + 1, 1)].concat();
        let write = shared.referee.send_write(by, block..block + 1, from + 1);
        self.send(
            now,
            by,
            &cdb,
            Data::Out(data),
            Kind::Swap { write, counter, from, durable: !shared.cached },
        );
    }

    /// Some blocks: mostly few, often where others are too.
    fn range(&mut self, within: Range<usize>) -> Range<usize> {
        let (most, room) = match self.random.below(10) {
            0 => (within.len(), within.len()),
            number if number < self.habits.meetings => (8, self.habits.place_blocks),
            _ => (8, within.len()),
        };
        let len = 1 + self.random.index(most);
        let first = within.start + self.random.index(room - len + 1);
        first..first + len
    }
}

pub(super) fn fill(stamp: u64, blocks: usize) -> Vec<u8> {
    stamp.to_le_bytes().repeat(blocks * BLOCK_BYTES / 8)
}

pub(super) fn cdb(row: &Row) -> Vec<u8> {
    let mut cdb = vec![0; usize::from(row.length)];
    cdb[0] = row.opcode;
    cdb
}

pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

pub(super) fn narrow<T: TryFrom<usize> + Default>(number: usize) -> T {
    T::try_from(number).unwrap_or_default()
}
