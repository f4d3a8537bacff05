//! Commands as rows: everything that must be known about a CDB before its function runs.
//!
//! A row is written once, by the standard's name for the command, beside the fields of its CDB. From the fields the
//! compiler computes the CDB usage data: it refuses reserved bits with the exact field pointer, and it is the answer to
//! REPORT SUPPORTED OPERATION CODES. Fields that overlap fail the build.
//!
//! Which rows a device server supports, and the function behind each, is the engine's table.

#![expect(clippy::as_conversions, reason = "const fn cannot call From; every cast widens")]

use crate::field::{Bits, Field, Value};
use crate::sense::{Sense, code};

/// Longest CDB that a row describes, bytes.
pub const CDB_BYTES_MAX: usize = 32;

/// Which way the data of a command go. Data-In goes to the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// No data.
    None,
    /// To the initiator.
    In,
    /// From the initiator.
    Out,
}

/// What a command does to the medium; the write protection rule follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Nothing.
    Untouched,
    /// Reads it, or needs it to be ready.
    Read,
    /// May change it: refused when write protected.
    Write,
}

/// As what a command is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hands blocks over.
    Read,
    /// Writes blocks.
    Write,
    /// Compares or combines blocks and writes them as one step.
    Combine,
    /// Makes written blocks durable.
    Flush,
    /// Deallocates blocks.
    Unmap,
    /// Anything else.
    Other,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = Self::Other as usize + 1;

    /// Its place among them.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// SAM-5 "Unit attention condition", SPC-4: what a pending unit attention does to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// The command ends with it.
    Report,
    /// The command runs and leaves it pending: INQUIRY.
    Bypass,
    /// The same, but that the inventory of units has changed is told by the command itself: REPORT LUNS.
    Inventory,
    /// The command reports it as parameter data: REQUEST SENSE.
    Return,
}

/// Which commands may run side by side on a unit; the engine's matrix gives the rule for each pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serialization {
    /// Touches no data: runs beside anything.
    Free,
    /// Reads an extent.
    Read,
    /// Writes an extent.
    Write,
    /// Reads, compares or combines, and writes an extent as one step: excludes whatever overlaps.
    Exclusive,
    /// Concerns the whole unit.
    Unit,
}

/// Who may answer: the nexus's own reactor from its snapshot, or only the unit's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Any reactor.
    Local,
    /// The home reactor.
    Home,
}

/// SPC-4 "Commands that are allowed in the presence of various reservations": the command's line of the table, which is
/// [`crate::reservation::line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// Allowed always.
    Allowed,
    /// Allowed past every persistent reservation, not past another's RESERVE: TEST UNIT READY.
    Ready,
    /// As a read: conflicts with exclusive access.
    Read,
    /// As a write: conflicts with write exclusive and exclusive access.
    Write,
    /// Allowed always where each of these fields has that value, else as a write.
    AllowedWhere(&'static [(Bits, u64)]),
    /// Reports reservations or registers for one: allowed past every persistent reservation, not past RESERVE.
    Register,
    /// For those who are registered.
    Registrants,
    /// For the holder of the reservation.
    Holder,
    /// Replaces what was lost.
    Replace,
}

/// SPC-4 "Target port asymmetric access states": the states besides active in which the command is answered. Each value
/// includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alua {
    /// Active states only.
    Active,
    /// Also in standby: finds out about the unit, or arranges who may use it.
    Standby,
    /// Also in unavailable and offline: gets the port out of there.
    Unavailable,
    /// In every state, also in transition: finds out about the port.
    Always,
}

/// SBC-3 "Commands allowed during a format", "Commands allowed during a sanitize": how the command fares while all blocks
/// are made anew, or once that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overhaul {
    /// It is refused.
    Refused,
    /// It is refused while it lasts, and is the way out of a failure.
    Mends,
    /// It is answered.
    Allowed,
}

/// A SERVICE ACTION: where it lies and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceAction {
    /// Its field.
    pub field: Bits,
    /// Its value.
    pub value: u16,
}

/// NACA, the one bit of CONTROL that every command has; nothing where CONTROL is not in a place that we know.
//= SAM-5 "CONTROL byte"; SPC-4 "Fixed length CDB formats", "Variable type CDB formats"
#[must_use]
pub const fn naca(opcode: u8) -> Option<Bits> {
    let byte = match opcode >> 5 {
        0 => 5,
        1 | 2 => 9,
        3 if opcode == 0x7f => 1,
        4 => 15,
        5 => 11,
        _ => return None, // Vendor specific, reserved, or a CDB within a CDB.
    };
    Some(Bits { byte, msb: 2, width: 1 })
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The standard's name, as in `READ (16)`.
    pub name: &'static str,
    /// OPERATION CODE.
    pub opcode: u8,
    /// SERVICE ACTION, for opcodes that have one.
    pub service_action: Option<ServiceAction>,
    /// CDB length, bytes.
    pub length: u8,
    /// CDB usage data: a one for every bit that is evaluated; byte 0 is the opcode.
    pub usage: [u8; CDB_BYTES_MAX],
    /// Fields of the standard that stand for something we do not do: only zero is accepted, as in reserved bits, but
    /// the field pointer names the field.
    pub refused: &'static [Bits],
    /// RDPROTECT and its kind: refused like these, but on units with protection information.
    pub protect: Option<Bits>,
    /// Data direction.
    pub direction: Direction,
    /// Effect on the medium.
    pub medium: Medium,
    /// As what it is counted.
    pub kind: Kind,
    /// Unit attention rule.
    pub attention: Attention,
    /// Serialization class.
    pub serialization: Serialization,
    /// Reservation rule.
    pub reservation: Reservation,
    /// Asymmetric access rule.
    pub alua: Alua,
    /// Who answers.
    pub place: Place,
    /// Rule for the time while all blocks are made anew.
    pub overhaul: Overhaul,
    /// How long it may take, where that does not follow from what it does to the medium: [`Row::timeouts`].
    pub timeouts: Option<Timeouts>,
}

/// SPC-4 "Command timeouts descriptor": how long a command takes, in seconds; zero is "not told".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// When to begin to ask how far it is.
    pub nominal: u32,
    /// When to give it up.
    pub recommended: u32,
}

impl Timeouts {
    /// Answered from memory.
    pub const MEMORY: Self = Self { nominal: 1, recommended: 10 };
    /// As long as a store needs for some blocks.
    pub const BLOCKS: Self = Self { nominal: 2, recommended: 60 };
    /// As long as a store needs for all that is in its cache, or for ranges of any length.
    pub const CACHE: Self = Self { nominal: 10, recommended: 300 };
    /// As long as a store needs for all blocks.
    pub const WHOLE: Self = Self { nominal: 60, recommended: 86_400 };
}

impl Row {
    /// A row with the rules of a harmless command; `const` struct update syntax sets the others. NACA is a field of every
    /// command.
    #[must_use]
    pub const fn new(name: &'static str, opcode: u8, length: u8, fields: &[Bits]) -> Self {
        let mut usage = usage(opcode, length, fields);
        if let Some(naca) = naca(opcode) {
            assert!(naca.read(&usage) == 0 && naca.ends_within(length as usize), "a field overlaps NACA");
            naca.write(&mut usage, 1);
        }
        Self {
            name,
            opcode,
            service_action: None,
            length,
            usage,
            refused: &[],
            protect: None,
            direction: Direction::None,
            medium: Medium::Untouched,
            kind: Kind::Other,
            attention: Attention::Report,
            serialization: Serialization::Free,
            reservation: Reservation::Allowed,
            alua: Alua::Active,
            place: Place::Home,
            overhaul: Overhaul::Refused,
            timeouts: None,
        }
    }

    /// The row as that of one service action; `field` must not be repeated among the row's fields.
    ///
    /// # Panics
    /// At build time, when `field` overlaps another.
    #[must_use]
    pub const fn service_action(mut self, field: Bits, value: u16) -> Self {
        assert!(field.read(&self.usage) == 0, "a field overlaps the service action");
        // SPC-4 "CDB usage data": the service action's bits carry its value, not ones.
        field.write(&mut self.usage, value as u64);
        self.service_action = Some(ServiceAction { field, value });
        self
    }

    /// The row with fields that must be zero.
    #[must_use]
    pub const fn refusing(mut self, fields: &'static [Bits]) -> Self {
        self.refused = fields;
        self
    }

    /// How long it may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        match (self.timeouts, self.medium) {
            (Some(timeouts), _) => timeouts,
            (None, Medium::Untouched) => Timeouts::MEMORY,
            (None, Medium::Read | Medium::Write) => Timeouts::BLOCKS,
        }
    }

    /// The row with a field that is evaluated on units with protection information.
    #[must_use]
    pub const fn protected_by(mut self, field: Bits) -> Self {
        self.protect = Some(field);
        self
    }

    /// The row as it holds on a unit with protection information.
    #[must_use]
    pub const fn protected(mut self) -> Self {
        if let Some(field) = self.protect {
            field.write(&mut self.usage, u64::MAX);
        }
        self
    }

    /// Whether a CDB has no bit set where nothing is evaluated, if that can be told at one glance.
    #[inline]
    fn is_plain(&self, cdb: &[u8]) -> bool {
        let (Some(got), Some(used)) = (cdb.first_chunk(), self.usage.first_chunk()) else { return false };
        let behind = u128::MAX.checked_shr(8 * u32::from(self.length)).unwrap_or(0);
        let surplus = u128::from_be_bytes(*got) & !(u128::from_be_bytes(*used) | behind);
        surplus == 0 && self.length <= GLANCE_BYTES
    }

    /// Refuses a CDB that is too short or has a bit set where nothing is evaluated.
    //= SPC-4 "Reserved bits, bytes and fields": checking is our right; the field pointer names the bit.
    #[inline]
    pub fn check(&self, cdb: &[u8]) -> Result<(), Sense> {
        if self.is_plain(cdb) { Ok(()) } else { self.check_closely(cdb) }
    }

    fn check_closely(&self, cdb: &[u8]) -> Result<(), Sense> {
        let length = usize::from(self.length);
        let Some(cdb) = cdb.get(..length) else { return Err(code::INVALID_FIELD_IN_CDB.into()) };
        if cdb.iter().zip(&self.usage).fold(0, |surplus, (got, used)| surplus | (got & !used)) == 0 {
            return Ok(());
        }
        let mut allowed = self.usage;
        if let Some(action) = self.service_action {
            action.field.write(&mut allowed, u64::MAX);
        }
        allowed[0] = 0xff;
        for (byte, (got, allowed)) in (0u16..).zip(cdb.iter().zip(allowed)) {
            let surplus = got & !allowed;
            if let Some(bit) = surplus.checked_ilog2() {
                let msb = u8::try_from(bit).unwrap_or(7);
                let named = self
                    .refused
                    .iter()
                    .chain(&self.protect)
                    .find(|field| field.read(cdb) != 0 && field.byte <= byte);
                return Err(Sense::invalid_field(*named.unwrap_or(&Bits { byte, msb, width: 1 })));
            }
        }
        Ok(())
    }
}

/// The longest CDB that is checked at one glance.
const GLANCE_BYTES: u8 = 16;

/// CDB usage data of `fields`.
///
/// # Panics
/// At build time, when two fields overlap or one lies outside the CDB.
#[must_use]
pub const fn usage(opcode: u8, length: u8, fields: &[Bits]) -> [u8; CDB_BYTES_MAX] {
    let mut map = [0; CDB_BYTES_MAX];
    map[0] = opcode;
    let mut at = 0;
    while at < fields.len() {
        let field = fields[at];
        assert!(field.byte > 0 && field.ends_within(length as usize), "a field lies outside the CDB");
        assert!(field.read(&map) == 0, "two fields of a CDB overlap");
        field.write(&mut map, u64::MAX);
        at += 1;
    }
    map
}

/// The bytes of a CDB, kept by value in its command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cdb {
    bytes: [u8; CDB_BYTES_MAX],
    length: u16,
}

impl Cdb {
    /// Keeps up to [`CDB_BYTES_MAX`] bytes; the true length is remembered.
    #[must_use]
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        let mut kept = [0; CDB_BYTES_MAX];
        for (to, from) in kept.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self { bytes: kept, length: u16::try_from(bytes.len()).unwrap_or(u16::MAX) }
    }

    /// OPERATION CODE.
    #[must_use]
    #[inline]
    pub const fn opcode(&self) -> u8 {
        self.bytes[0]
    }

    /// The kept bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(CDB_BYTES_MAX)]
    }

    /// How many bytes the initiator sent.
    #[must_use]
    #[inline]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// GROUP NUMBER of a command that has one; where it lies follows from the length, and that from the operation code.
    #[must_use]
    pub const fn group_number(&self) -> u8 {
        self.bytes[GROUP_NUMBER_AT[(self.opcode() >> 5) as usize] as usize] & 0x3f
    }

    /// NACA: whether the initiator wants an auto contingent allegiance if the command fails.
    #[must_use]
    pub fn naca(&self) -> bool {
        naca(self.opcode()).is_some_and(|naca| naca.read(self.bytes()) != 0)
    }

    /// A field's value.
    #[must_use]
    #[inline]
    pub fn get<T: Value>(&self, field: Field<T>) -> T {
        field.get(&self.bytes)
    }
}

/// The byte of GROUP NUMBER by the group of the operation code. CDBs of six bytes have none: a byte behind them is zero.
const GROUP_NUMBER_AT: [u8; 8] = [31, 6, 6, 6, 14, 10, 31, 31];

impl core::fmt::Debug for Cdb {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for byte in self.bytes() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
