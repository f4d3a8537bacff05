//! What a CDB asks for: whether protection information is transferred, what of it is checked, and against what.

use super::{flawed, guard, value};
use crate::geometry::{Extent, Geometry};
use crate::work::Plan;
use felio_spec::commands::{read32, verify32, write_and_verify32, write_same32, write32};
use felio_spec::protection::{self, Checks, Expected, FROM_DATA_OUT, Kind, Rule, Table, Tuple};
use felio_spec::{Cdb, Row, Sense};

/// What a CDB asks for, on a unit that is formatted with protection information.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(super) kind: Kind,
    /// RDPROTECT, or another of its kind.
    value: u8,
    /// DPICZ=1, and nothing is transferred.
    unchecked: bool,
    expected: Expected,
    extent: Extent,
}

/// The commands whose CDB says what to expect of tags.
const EXPECTING: [&Row; 5] =
    [&read32::ROW, &verify32::ROW, &write32::ROW, &write_and_verify32::ROW, &write_same32::ROW];

impl Terms {
    pub(super) fn new(kind: Kind, row: &Row, cdb: &Cdb, extent: Extent, unchecked: bool) -> Self {
        let value = value(row, cdb);
        let unchecked = unchecked && value == 0;
        Self { kind, value, unchecked, expected: expected(kind, row, cdb, extent.lba), extent }
    }

    /// Whether the command is another than on any unit.
    //= SPC-4 "Control mode page": DPICZ
    pub(super) fn concern(&self, plan: &Plan) -> bool {
        let reads = matches!(
            plan,
            Plan::Read { .. }
                | Plan::Verify { .. }
                | Plan::CompareAndWrite { .. }
                | Plan::Orwrite { .. }
                | Plan::OrwriteGeneration { .. }
        );
        self.is_sent() || (self.unchecked && reads)
    }

    /// Whether protection information is transferred.
    pub(super) const fn is_sent(&self) -> bool {
        self.value != 0
    }

    /// Bytes that are transferred for a block.
    pub(super) fn sent_bytes(&self, geometry: &Geometry) -> usize {
        if self.is_sent() { geometry.whole().buf_bytes(1) } else { geometry.buf_bytes(1) }
    }

    /// What is checked of protection information that is in that place.
    pub(super) fn rule(&self, table: &Table) -> Rule {
        let checks = protection::row(table, self.value).unwrap_or(Checks::ALL);
        let checks = if self.unchecked { Checks::NONE } else { checks };
        Rule { checks, kind: self.kind, expected: self.expected }
    }

    /// Checks Data-Out, whose blocks are those of the extent from the first on, perhaps again and again.
    pub(super) fn check_sent(&self, data: &[u8], geometry: &Geometry) -> Result<(), Sense> {
        if !self.is_sent() {
            return Ok(());
        }
        let rule = self.rule(&FROM_DATA_OUT);
        let again = (0..self.extent.blocks).cycle();
        again.zip(wholes(data, geometry)).try_for_each(|(at, whole)| self.check(&rule, at, &whole))
    }

    /// Checks blocks of the medium, the first of which is that many behind the command's first.
    pub(super) fn check_read(
        &self,
        table: &Table,
        behind: u64,
        data: &[u8],
        geometry: &Geometry,
    ) -> Result<(), Sense> {
        let rule = self.rule(table);
        (behind..).zip(wholes(data, geometry)).try_for_each(|(at, whole)| self.check(&rule, at, &whole))
    }

    /// What stands from now on behind a block that came like this, for the block that is that many behind the command's first.
    pub(super) fn tuple(&self, at: u64, sent: Option<Tuple>, block: &[u8]) -> Tuple {
        sent.unwrap_or_else(|| Tuple::inserted(self.kind, self.extent.lba + at, guard(block)))
    }

    fn check(&self, rule: &Rule, at: u64, whole: &Whole<'_>) -> Result<(), Sense> {
        rule.check(at, whole.tuple, || guard(whole.block))
            .map_err(|flaw| Sense::with_information(flawed(flaw), self.extent.lba + at))
    }
}

/// What is expected of tags.
//= SBC-3 "READ (32) command": with type 2, the CDB says it; application tags count with ATO=1 only
fn expected(kind: Kind, row: &Row, cdb: &Cdb, lba: u64) -> Expected {
    let is = |other: &&Row| (other.opcode, other.service_action) == (row.opcode, row.service_action);
    if kind != Kind::Type2 || !EXPECTING.iter().any(is) {
        return Expected::of_blocks(kind, lba);
    }
    // In the same place in all of them.
    Expected {
        reference: Some(cdb.get(read32::EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG)),
        application: (
            cdb.get(read32::EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG),
            cdb.get(read32::LOGICAL_BLOCK_APPLICATION_TAG_MASK),
        ),
    }
}

/// A block and what stands behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'a> {
    pub(super) block: &'a [u8],
    pub(super) tuple: Tuple,
}

/// Blocks that lie one behind the other, each with its protection information.
pub(super) fn wholes<'a>(data: &'a [u8], geometry: &Geometry) -> impl Iterator<Item = Whole<'a>> {
    let block_bytes = geometry.buf_bytes(1);
    data.chunks_exact(geometry.whole().buf_bytes(1)).map(move |whole| {
        let (block, tuple) = whole.split_at(block_bytes);
        Whole { block, tuple: Tuple::read(tuple) }
    })
}
