//! What stands in front of the chunks: whose side file it is, how its store is formatted, and whether it was closed.
//!
//! A store that is opened for writing begins a run. One that did not end by closing it is open: of what it wrote last it is
//! not known whether the blocks got there too. The last runs that ended so are remembered; when there are more, of the oldest
//! only what stands now counts.

use crc_fast::{CrcAlgorithm, checksum};
use felio_spec::Field;
use felio_spec::protection::Kind;

/// Bytes of the header: a sector, so that a disk writes it whole or not at all.
pub(super) const HEADER_BYTES: usize = 512;
/// Where the chunks begin: on a page of their own.
pub(super) const CHUNKS_AT: u64 = 4096;

const MAGIC: &[u8; 16] = b"felio protection";
const VERSION: u8 = 1;

const VERSION_AT: Field<u8> = Field::bytes(16, 1);
const KIND: Field<u8> = Field::bytes(17, 1);
const STATE: Field<u8> = Field::bytes(18, 1);
const BLOCK_BYTES: Field<u32> = Field::bytes(20, 4);
const RUN: Field<u32> = Field::bytes(24, 4);
const OPEN_RUNS: Field<u32> = Field::bytes(28, 4);
const OPEN_RUN: Field<u32> = Field::bytes(32, 4);
const CHECKSUM: Field<u64> = Field::bytes(504, 8);
const CHECKED_BYTES: usize = 504;
const OPEN_RUN_BYTES: usize = 4;
/// Open runs that are remembered.
const OPEN_RUNS_MAX: usize = 100;

/// The header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The type that the store is formatted with.
    pub(super) kind: Option<Kind>,
    /// What the store is about.
    pub(super) state: State,
    /// Logical block, bytes.
    pub(super) block_bytes: u32,
    /// The run that is or was the last.
    pub(super) run: u32,
    /// Runs that did not end by closing.
    pub(super) open_runs: Vec<u32>,
}

/// What a store is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing: it is closed.
    Closed = 0,
    /// It is used.
    Open = 1,
    /// The chunks are being thrown away.
    Formatting = 2,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// There is nothing.
    Nothing,
    /// Something of somebody else's.
    Foreign,
    /// It was ours.
    Damaged,
}

impl Header {
    /// Of a store that was never used.
    pub(super) const fn new(kind: Option<Kind>, block_bytes: u32) -> Self {
        Self { kind, state: State::Formatting, block_bytes, run: 0, open_runs: Vec::new() }
    }

    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, NoHeader> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(NoHeader::Nothing);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(NoHeader::Foreign);
        }
        let state = match STATE.get(bytes) {
            0 => State::Closed,
            1 => State::Open,
            _ => State::Formatting,
        };
        let count = usize::try_from(OPEN_RUNS.get(bytes)).unwrap_or(usize::MAX);
        let whole = CHECKSUM.get(bytes) == checksum(CrcAlgorithm::Crc64Nvme, &bytes[..CHECKED_BYTES]);
        match Kind::from_number(KIND.get(bytes)) {
            Some(kind) if whole && VERSION_AT.get(bytes) == VERSION && count <= OPEN_RUNS_MAX => {
                let open_runs = (0..count).map(|at| OPEN_RUN.get(&bytes[at * OPEN_RUN_BYTES..])).collect();
                Ok(Self { kind, state, block_bytes: BLOCK_BYTES.get(bytes), run: RUN.get(bytes), open_runs })
            }
            _ => Err(NoHeader::Damaged),
        }
    }

    pub(super) fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        VERSION_AT.set(&mut bytes, VERSION);
        KIND.set(&mut bytes, self.kind.map_or(0, Kind::number));
        let state = match self.state {
            State::Closed => 0,
            State::Open => 1,
            State::Formatting => 2,
        };
        STATE.set(&mut bytes, state);
        BLOCK_BYTES.set(&mut bytes, self.block_bytes);
        RUN.set(&mut bytes, self.run);
        OPEN_RUNS.set(&mut bytes, u32::try_from(self.open_runs.len()).unwrap_or(0));
        for (at, run) in self.open_runs.iter().enumerate() {
            OPEN_RUN.set(&mut bytes[at * OPEN_RUN_BYTES..], *run);
        }
        let sum = checksum(CrcAlgorithm::Crc64Nvme, &bytes[..CHECKED_BYTES]);
        CHECKSUM.set(&mut bytes, sum);
        bytes
    }

    /// The last run, if it was not closed, is remembered.
    pub(super) fn remember(&mut self) {
        if self.state == State::Open {
            if self.open_runs.len() == OPEN_RUNS_MAX {
                self.open_runs.remove(0);
            }
            self.open_runs.push(self.run);
        }
    }

    /// A new run begins.
    pub(super) fn begin_run(&mut self) {
        self.run = self.run.wrapping_add(1);
        self.state = State::Open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let open_runs = vec![1, 5];
        Header { kind: Some(Kind::Type3), state: State::Open, block_bytes: 4096, run: 7, open_runs }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(Header::read(&header().bytes()), Ok(header()));
    }

    #[test]
    fn what_is_not_whole_is_no_header() {
        let mut bytes = header().bytes();
        bytes[17] ^= 1;
        assert_eq!(Header::read(&bytes), Err(NoHeader::Damaged));
        assert_eq!(Header::read(&[0; HEADER_BYTES]), Err(NoHeader::Nothing));
        assert_eq!(Header::read(&[0xff; HEADER_BYTES]), Err(NoHeader::Foreign));
    }

    #[test]
    fn of_many_open_runs_the_last_are_remembered() {
        let mut header = header();
        for _ in 0..OPEN_RUNS_MAX {
            header.remember();
            header.begin_run();
        }
        assert_eq!((header.open_runs.len(), header.open_runs[0]), (OPEN_RUNS_MAX, 7));
        assert_eq!(Header::read(&header.bytes()), Ok(header));
    }

    #[test]
    fn a_closed_run_is_not_open() {
        let mut header = Header { state: State::Closed, ..header() };
        header.remember();
        assert_eq!(header.open_runs, [1, 5]);
    }
}
