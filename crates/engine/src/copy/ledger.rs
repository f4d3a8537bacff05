//! What became of copies: a record for each that has a name.
//!
//! A copy is named by the nexus that asked, the unit that was asked, and the list identifier. A record is kept until the name
//! is used again, the nexus is lost, the unit is reset, or there are too many of them.
//!
//! Invariant: no two records have the same name.

use super::job::End;
use super::tokens::Token;
use felio_hal::NexusId;
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Status};

/// Records of a nexus.
const NEXUS_RECORDS_MAX: usize = 32;
/// Records of all nexuses.
const RECORDS_MAX: usize = 1024;

/// One copy.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) nexus: NexusId,
    /// Index of the unit.
    pub(crate) unit: u32,
    /// LIST IDENTIFIER.
    pub(crate) id: u32,
    pub(crate) format: Format,
    pub(crate) progress: Progress,
    /// Segments that are wholly done.
    pub(crate) segments: u16,
    /// Bytes written, or that the token stands for.
    pub(crate) bytes: u64,
    /// What POPULATE TOKEN has made.
    pub(crate) token: Option<Box<Token>>,
}

/// Which commands speak of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// EXTENDED COPY(LID1).
    Lid1,
    /// EXTENDED COPY(LID4).
    Lid4,
    /// POPULATE TOKEN: the service action.
    Populate,
    /// WRITE USING TOKEN.
    Write,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its command waits.
    Foreground,
    /// Its command is answered.
    Background,
    Good,
    Failed(Sense),
    Aborted,
}

impl Progress {
    pub(crate) const fn is_over(self) -> bool {
        !matches!(self, Self::Foreground | Self::Background)
    }

    /// The status that its command gets.
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Good | Self::Foreground | Self::Background => Status::GOOD,
            Self::Failed(_) => Status::CHECK_CONDITION,
            Self::Aborted => Status::TASK_ABORTED,
        }
    }
}

/// All records, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: Vec<Record>,
}

impl Ledger {
    /// Refuses a name that is in use; `field` is where it stands.
    //= SPC-4 "LIST IDENTIFIER field and LIST ID USAGE field": the same name in the other format is an invalid field
    pub(crate) fn check(
        &self,
        nexus: NexusId,
        unit: u32,
        (id, format): (u32, Format),
        field: Bits,
    ) -> Result<(), Sense> {
        match self.get(nexus, unit, id) {
            Some(record) if record.progress.is_over() => Ok(()),
            Some(record) if record.format == format => Err(code::OPERATION_IN_PROGRESS.into()),
            Some(_) => Err(Sense::invalid_parameter(field)),
            None => Ok(()),
        }
    }

    /// Keeps a record instead of the one of that name.
    pub(crate) fn insert(&mut self, record: Record) {
        let same =
            |other: &Record| (other.nexus, other.unit, other.id) == (record.nexus, record.unit, record.id);
        self.records.retain(|other| !same(other));
        let own = self.records.iter().filter(|other| other.nexus == record.nexus).count();
        if own >= NEXUS_RECORDS_MAX {
            self.drop_oldest(|other| other.nexus == record.nexus);
        }
        if self.records.len() >= RECORDS_MAX {
            self.drop_oldest(|_| true);
        }
        if self.records.len() < RECORDS_MAX {
            self.records.push(record);
        }
    }

    /// A copy has ended.
    pub(crate) fn settle(&mut self, nexus: NexusId, unit: u32, id: u32, end: End, done: (u16, u64)) {
        let mut records = self.records.iter_mut();
        let found = records.find(|record| (record.nexus, record.unit, record.id) == (nexus, unit, id));
        if let Some(record) = found {
            (record.segments, record.bytes) = done;
            record.progress = match end {
                End::Good => Progress::Good,
                End::Failed(sense) => Progress::Failed(sense),
                End::Cancelled => Progress::Aborted,
            };
        }
    }

    pub(crate) fn get(&self, nexus: NexusId, unit: u32, id: u32) -> Option<&Record> {
        self.records.iter().find(|record| (record.nexus, record.unit, record.id) == (nexus, unit, id))
    }

    pub(crate) fn forget(&mut self, chosen: impl Fn(&Record) -> bool) {
        self.records.retain(|record| !chosen(record));
    }

    fn drop_oldest(&mut self, chosen: impl Fn(&Record) -> bool) {
        let at = self.records.iter().position(|record| chosen(record) && record.progress.is_over());
        if let Some(at) = at {
            self.records.remove(at);
        }
    }
}
