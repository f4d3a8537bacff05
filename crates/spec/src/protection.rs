//! Protection information: the eight bytes that stand behind each block, and which of them are checked when.
//!
//! A reader starts with [`Tuple`] (what stands behind a block), then the tables: a row for each value of a CDB's protection
//! field, as SBC-3 has them. Checking is [`Rule::check`]; the CRC is an argument, so that nothing here needs the
//! processor's help.
//!
//! Decided once: the guard covers a whole logical block (P_I_EXPONENT=0). Application tags belong to the initiator where
//! type 2 is in force (ATO=1) and to us otherwise (ATO=0), since only the CDBs of 32 bytes say what to expect of them; what
//! an initiator sends is stored as it came either way. Blocks that come without protection information get a guard that is
//! always checked, except with type 2, where ATO=1 asks for the tag that switches checking off.

use crate::layout::layouts;

layouts! {
    /// SBC-3 "Protection information format".
    tuple, 8 {
        LOGICAL_BLOCK_GUARD: u16 = 0, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG: u16 = 2, 7, 16;
        LOGICAL_BLOCK_REFERENCE_TAG: u32 = 4, 7, 32;
    }
}

/// Bytes of protection information behind a block.
pub const TUPLE_BYTES: u32 = 8;

/// SBC-3 "Protection types", but for type 0, which is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reference tag is the block's address.
    Type1,
    /// The reference tag is what the CDB says; commands of 32 bytes carry it.
    Type2,
    /// The reference tag is the initiator's.
    Type3,
}

impl Kind {
    /// By number; type 0 is nothing. Other numbers are no type.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Option<Self>> {
        match number {
            0 => Some(None),
            1 => Some(Some(Self::Type1)),
            2 => Some(Some(Self::Type2)),
            3 => Some(Some(Self::Type3)),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Type1 => 1,
            Self::Type2 => 2,
            Self::Type3 => 3,
        }
    }

    /// SBC-3 "READ CAPACITY (16) parameter data": P_TYPE.
    #[must_use]
    pub const fn p_type(self) -> u8 {
        self.number() - 1
    }

    /// SPC-4 "Control mode page": ATO.
    #[must_use]
    pub const fn application_tag_owner(self) -> bool {
        matches!(self, Self::Type2)
    }
}

/// The protection information of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// LOGICAL BLOCK GUARD: a CRC of the block.
    pub guard: u16,
    /// LOGICAL BLOCK APPLICATION TAG.
    pub application: u16,
    /// LOGICAL BLOCK REFERENCE TAG.
    pub reference: u32,
}

impl Tuple {
    /// Of a block that was formatted or deallocated.
    //= SBC-3 "FORMAT UNIT command": protection information is set to FFFF_FFFF_FFFF_FFFFh
    pub const FRESH: Self = Self { guard: u16::MAX, application: u16::MAX, reference: u32::MAX };

    /// From the first eight bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        Self {
            guard: tuple::LOGICAL_BLOCK_GUARD.get(bytes),
            application: tuple::LOGICAL_BLOCK_APPLICATION_TAG.get(bytes),
            reference: tuple::LOGICAL_BLOCK_REFERENCE_TAG.get(bytes),
        }
    }

    /// To the first eight bytes.
    pub fn write(self, bytes: &mut [u8]) {
        tuple::LOGICAL_BLOCK_GUARD.set(bytes, self.guard);
        tuple::LOGICAL_BLOCK_APPLICATION_TAG.set(bytes, self.application);
        tuple::LOGICAL_BLOCK_REFERENCE_TAG.set(bytes, self.reference);
    }

    /// What a block gets that came without.
    //= SBC-3 "WRITE (10) command": WRPROTECT 000b
    #[must_use]
    pub fn inserted(kind: Kind, lba: u64, guard: u16) -> Self {
        let reference = match kind {
            Kind::Type1 => low_half(lba),
            Kind::Type2 | Kind::Type3 => u32::MAX,
        };
        let application = if kind.application_tag_owner() { u16::MAX } else { 0 };
        Self { guard, application, reference }
    }

    /// Whether it says that nothing is to be checked.
    //= SBC-3 "READ (10) command": an application tag of FFFFh, with type 3 also a reference tag of FFFF_FFFFh
    #[must_use]
    pub const fn is_escape(self, kind: Kind) -> bool {
        let application = self.application == u16::MAX;
        match kind {
            Kind::Type1 | Kind::Type2 => application,
            Kind::Type3 => application && self.reference == u32::MAX,
        }
    }
}

/// A field that is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// LOGICAL BLOCK GUARD.
    Guard,
    /// LOGICAL BLOCK APPLICATION TAG.
    Application,
    /// LOGICAL BLOCK REFERENCE TAG.
    Reference,
}

/// Which fields are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// LOGICAL BLOCK GUARD.
    pub guard: bool,
    /// LOGICAL BLOCK APPLICATION TAG, where we know what to expect.
    pub application: bool,
    /// LOGICAL BLOCK REFERENCE TAG, where we know what to expect.
    pub reference: bool,
}

impl Checks {
    /// None of them.
    pub const NONE: Self = Self { guard: false, application: false, reference: false };
    /// All of them.
    pub const ALL: Self = Self { guard: true, application: true, reference: true };
    const GUARD: Self = Self { guard: true, ..Self::NONE };
    const TAGS: Self = Self { guard: false, ..Self::ALL };
    const NO_REFERENCE: Self = Self { reference: false, ..Self::ALL };
}

/// A column of SBC-3's tables: what is looked at, for each value of a protection field; nothing where it is reserved.
/// With GRD_CHK=APP_CHK=REF_CHK=1, what may be checked is.
pub type Table = [Option<Checks>; 8];

/// What stands behind the blocks of the medium, where a command reads them.
//= SBC-3 "READ (10) command", "VERIFY (10) command" with BYTCHK 00b, "ORWRITE (16) command": read operations
pub const FROM_MEDIUM: Table = [
    Some(Checks::ALL),   // 000b; not with DPICZ=1
    Some(Checks::ALL),   // 001b
    Some(Checks::TAGS),  // 010b
    Some(Checks::NONE),  // 011b
    Some(Checks::GUARD), // 100b
    Some(Checks::ALL),   // 101b
    None,
    None,
];

/// The same, where a command compares them.
//= SBC-3 "VERIFY (10) command": BYTCHK 01b or 11b, verify operations
pub const FROM_MEDIUM_COMPARED: Table = [
    Some(Checks::ALL), // 000b; not with DPICZ=1
    Some(Checks::NONE),
    Some(Checks::NONE),
    Some(Checks::NONE),
    Some(Checks::NONE),
    Some(Checks::NONE),
    None,
    None,
];

/// What stands behind the blocks of Data-Out.
//= SBC-3 "WRITE (10) command", "VERIFY (10) command" and "ORWRITE (16) command": Data-Out
pub const FROM_DATA_OUT: Table = [
    Some(Checks::NONE),  // 000b: there is none
    Some(Checks::ALL),   // 001b
    Some(Checks::TAGS),  // 010b
    Some(Checks::NONE),  // 011b
    Some(Checks::GUARD), // 100b
    Some(Checks::ALL),   // 101b
    None,
    None,
];

/// What of them is compared with what stands behind the blocks of the medium.
//= SBC-3 "VERIFY (10) command": BYTCHK 01b or 11b, compare operation
pub const COMPARED: Table = [
    Some(Checks::NONE),         // 000b: there is none
    Some(Checks::ALL),          // 001b
    Some(Checks::TAGS),         // 010b
    Some(Checks::ALL),          // 011b
    Some(Checks::ALL),          // 100b
    Some(Checks::NO_REFERENCE), // 101b
    None,
    None,
];

/// The row of a protection field's value.
#[must_use]
pub fn row(table: &Table, value: u8) -> Option<Checks> {
    table.get(usize::from(value)).copied().flatten()
}

/// What is expected of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of the first block's reference tag; each further one is one more.
    pub reference: Option<u32>,
    /// Of every application tag: its value, and which bits of it count.
    pub application: (u16, u16),
}

impl Expected {
    /// What is known without a word from the initiator.
    #[must_use]
    pub fn of_blocks(kind: Kind, lba: u64) -> Self {
        let reference = match kind {
            Kind::Type1 => Some(low_half(lba)),
            Kind::Type2 | Kind::Type3 => None,
        };
        Self { reference, application: (0, 0) }
    }

    /// The reference tag of the block that comes `blocks` later.
    #[must_use]
    pub fn reference_behind(&self, blocks: u64) -> Option<u32> {
        self.reference.map(|first| first.wrapping_add(low_half(blocks)))
    }
}

/// How the protection information of a run of blocks is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which fields.
    pub checks: Checks,
    /// The unit's type.
    pub kind: Kind,
    /// What of the tags.
    pub expected: Expected,
}

impl Rule {
    /// Looks at the protection information of block number `at` of the run; `guard` tells the CRC of the block itself.
    pub fn check(&self, at: u64, tuple: Tuple, guard: impl FnOnce() -> u16) -> Result<(), Flaw> {
        if tuple.is_escape(self.kind) {
            return Ok(());
        }
        if self.checks.guard && tuple.guard != guard() {
            return Err(Flaw::Guard);
        }
        let (application, mask) = self.expected.application;
        if self.checks.application && (tuple.application ^ application) & mask != 0 {
            return Err(Flaw::Application);
        }
        match self.expected.reference_behind(at) {
            Some(reference) if self.checks.reference && tuple.reference != reference => Err(Flaw::Reference),
            _ => Ok(()),
        }
    }

    /// Compares what stands behind a block of the medium with what an initiator sent for it.
    //= SBC-3 "VERIFY (10) command": with ATO=0 application tags are not compared, nor are reference tags of type 3
    pub fn compare(&self, stored: Tuple, sent: Tuple) -> Result<(), Flaw> {
        if stored.is_escape(self.kind) || sent.is_escape(self.kind) {
            return Ok(());
        }
        if self.checks.guard && stored.guard != sent.guard {
            return Err(Flaw::Guard);
        }
        let owned = self.kind.application_tag_owner();
        if self.checks.application && owned && stored.application != sent.application {
            return Err(Flaw::Application);
        }
        if self.checks.reference && self.kind != Kind::Type3 && stored.reference != sent.reference {
            return Err(Flaw::Reference);
        }
        Ok(())
    }
}

/// Moves blocks apart that lie back to back at the front of `bytes`, to make room for a tuple behind each. What is in that
/// room is left to be written.
///
/// # Panics
/// When a block has no bytes.
pub fn spread(bytes: &mut [u8], block_bytes: usize) {
    let whole = block_bytes + tuple::BYTES;
    for at in (0..bytes.len() / whole).rev() {
        bytes.copy_within(at * block_bytes..(at + 1) * block_bytes, at * whole);
    }
}

/// Moves blocks back to back that have a tuple behind each, and tells how many bytes they take.
///
/// # Panics
/// When a block has no bytes.
pub fn pack(bytes: &mut [u8], block_bytes: usize) -> usize {
    let whole = block_bytes + tuple::BYTES;
    let count = bytes.len() / whole;
    for at in 0..count {
        bytes.copy_within(at * whole..at * whole + block_bytes, at * block_bytes);
    }
    count * block_bytes
}

/// The least significant four bytes of an address or count.
#[must_use]
pub fn low_half(value: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: u16 = 0x1234;

    fn check(kind: Kind, checks: Checks, tuple: Tuple, want: Result<(), Flaw>) {
        let expected = Expected { reference: Some(100), application: (0x0005, 0x00ff) };
        let rule = Rule { checks, kind, expected };
        assert_eq!(rule.check(3, tuple, || GUARD), want);
    }

    const RIGHT: Tuple = Tuple { guard: GUARD, application: 0xab05, reference: 103 };

    #[test]
    fn every_field_is_looked_at_where_the_row_says_so() {
        check(Kind::Type2, Checks::ALL, RIGHT, Ok(()));
        let flaws = [
            (Tuple { guard: 0, ..RIGHT }, Flaw::Guard, Checks { guard: false, ..Checks::ALL }),
            (
                Tuple { application: 6, ..RIGHT },
                Flaw::Application,
                Checks { application: false, ..Checks::ALL },
            ),
            (Tuple { reference: 104, ..RIGHT }, Flaw::Reference, Checks { reference: false, ..Checks::ALL }),
        ];
        for (tuple, flaw, without) in flaws {
            check(Kind::Type2, Checks::ALL, tuple, Err(flaw));
            check(Kind::Type2, without, tuple, Ok(()));
        }
    }

    #[test]
    fn an_application_tag_of_all_ones_switches_checking_off() {
        let escape = Tuple { guard: 0, application: u16::MAX, reference: 0 };
        check(Kind::Type1, Checks::ALL, escape, Ok(()));
        check(Kind::Type2, Checks::ALL, escape, Ok(()));
        check(Kind::Type3, Checks::ALL, escape, Err(Flaw::Guard));
        check(Kind::Type3, Checks::ALL, Tuple { reference: u32::MAX, ..escape }, Ok(()));
    }

    #[test]
    fn the_reference_tag_wraps() {
        let expected = Expected { reference: Some(u32::MAX), application: (0, 0) };
        assert_eq!(expected.reference_behind(2), Some(1));
    }

    #[test]
    fn what_is_inserted_passes_as_read_without_a_word() {
        for kind in [Kind::Type1, Kind::Type2, Kind::Type3] {
            let tuple = Tuple::inserted(kind, (7 << 32) + 9, GUARD);
            let rule = Rule { checks: Checks::ALL, kind, expected: Expected::of_blocks(kind, (7 << 32) + 9) };
            assert_eq!(rule.check(0, tuple, || GUARD), Ok(()));
            // With type 2, ATO=1 wants the tag that switches checking off.
            let want = if kind == Kind::Type2 { Ok(()) } else { Err(Flaw::Guard) };
            assert_eq!(rule.check(0, tuple, || !GUARD), want);
        }
    }

    #[test]
    fn a_tuple_is_in_network_order() {
        let mut bytes = [0; 8];
        Tuple { guard: 0x0102, application: 0x0304, reference: 0x0506_0708 }.write(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Tuple::read(&bytes).reference, 0x0506_0708);
    }

    #[test]
    fn blocks_are_moved_apart_and_back() {
        let mut bytes = [0; 3 * 12];
        bytes[..12].copy_from_slice(b"aaaabbbbcccc");
        spread(&mut bytes, 4);
        assert_eq!([&bytes[..4], &bytes[12..16], &bytes[24..28]], [b"aaaa", b"bbbb", b"cccc"]);
        assert_eq!(pack(&mut bytes, 4), 12);
        assert_eq!(&bytes[..12], b"aaaabbbbcccc");
    }

    #[test]
    fn reserved_values_have_no_row() {
        for table in [FROM_MEDIUM, FROM_MEDIUM_COMPARED, FROM_DATA_OUT, COMPARED] {
            assert_eq!([row(&table, 6), row(&table, 7), row(&table, 8)], [None; 3]);
            assert!((0..6).all(|value| row(&table, value).is_some()));
        }
    }

    #[test]
    fn tags_that_are_ours_are_not_compared() {
        let other = Tuple { application: 1, reference: 1, ..RIGHT };
        for (kind, want) in [
            (Kind::Type1, Err(Flaw::Reference)),
            (Kind::Type2, Err(Flaw::Application)),
            (Kind::Type3, Ok(())),
        ] {
            let rule = Rule { checks: Checks::ALL, kind, expected: Expected::of_blocks(kind, 0) };
            assert_eq!(rule.compare(RIGHT, other), want);
        }
    }
}
