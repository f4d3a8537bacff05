//! Mode parameters: headers, block descriptors and pages, SPC-4 "Mode parameters" and SBC-3's.
//!
//! [`PAGES`] says which pages there are, how long they are, what they hold when nobody changed anything, and which of
//! their bits can be changed at all. What a unit's store allows, and today's values, are the engine's.

use crate::field::{Bits, Field};
use crate::layout::layouts;

/// A mode page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModePage {
    /// PAGE CODE.
    pub page: u8,
    /// SUBPAGE CODE; zero: a page in page_0 format.
    pub subpage: u8,
    /// The standard's name.
    pub name: &'static str,
    /// Length with its header, bytes.
    pub bytes: usize,
    /// Fields that are not zero by default.
    pub default: &'static [(Bits, u64)],
    /// Fields that MODE SELECT can change.
    pub changeable: &'static [Changeable],
    /// Fields that may not both be set.
    pub exclusive: &'static [(Bits, Bits)],
}

/// A field that MODE SELECT can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changeable {
    /// Where it lies in its page.
    pub field: Bits,
    /// What it may become; nothing here: anything.
    pub values: &'static [u64],
}

impl Changeable {
    /// To any value.
    #[must_use]
    pub const fn to_any<T>(field: Field<T>) -> Self {
        Self { field: field.bits, values: &[] }
    }

    /// To one of these values.
    #[must_use]
    pub const fn to_one_of<T>(field: Field<T>, values: &'static [u64]) -> Self {
        Self { field: field.bits, values }
    }

    /// Whether the field may have that value.
    #[must_use]
    pub fn allows(&self, value: u64) -> bool {
        self.values.is_empty() || self.values.contains(&value)
    }
}

/// The pages, in the order in which MODE SENSE returns them.
pub const PAGES: &[ModePage] = &[
    ModePage::fixed(0x01, 0, "Read-Write Error Recovery", error_recovery::BYTES),
    // Sessions negotiate the lengths of their bursts (RFC 7143); the page sets no limit of its own.
    ModePage::fixed(0x02, 0, "Disconnect-Reconnect", disconnect_reconnect::BYTES),
    ModePage {
        // We never read ahead of what is asked.
        default: &[(caching::DRA.bits, 1)],
        changeable: &[Changeable::to_any(caching::WCE)],
        ..ModePage::fixed(0x08, 0, "Caching", caching::BYTES)
    },
    ModePage {
        default: &[
            // Log parameters are not saved.
            (control::GLTSD.bits, 1),
            // Simple tasks may run in any order.
            (control::QUEUE_ALGORITHM_MODIFIER.bits, 1),
            // Tasks that another nexus ends are answered.
            (control::TAS.bits, 1),
            // A task may wait for ever.
            (control::BUSY_TIMEOUT_PERIOD.bits, 0xffff),
            (control::EXTENDED_SELF_TEST_COMPLETION_TIME.bits, 60 * EXTENDED_SELF_TEST_MINUTES),
        ],
        changeable: &[
            // One task set for all nexuses, or one for each.
            Changeable::to_one_of(control::TST, &[0b000, 0b001]),
            Changeable::to_any(control::TMF_ONLY),
            Changeable::to_any(control::DPICZ),
            Changeable::to_any(control::D_SENSE),
            // Restricted, or unrestricted reordering.
            Changeable::to_one_of(control::QUEUE_ALGORITHM_MODIFIER, &[0, 1]),
            Changeable::to_one_of(control::QERR, &[0b00, 0b01, 0b11]),
            Changeable::to_one_of(control::UA_INTLCK_CTRL, &[0b00, 0b10, 0b11]),
            Changeable::to_any(control::SWP),
            Changeable::to_any(control::TAS),
        ],
        ..ModePage::fixed(0x0a, 0, "Control", control::BYTES)
    },
    ModePage {
        default: &[
            // The clock is the host's, until an initiator sets it.
            (control_extension::TCMOS.bits, 1),
            (control_extension::SCSIP.bits, 1),
        ],
        ..ModePage::fixed(0x0a, 0x01, "Control Extension", control_extension::BYTES)
    },
    ModePage {
        // No timer runs until somebody wants one.
        changeable: &[
            Changeable::to_any(power_condition::IDLE_A),
            Changeable::to_any(power_condition::IDLE_B),
            Changeable::to_any(power_condition::IDLE_C),
            Changeable::to_any(power_condition::STANDBY_Y),
            Changeable::to_any(power_condition::STANDBY_Z),
            Changeable::to_any(power_condition::IDLE_A_CONDITION_TIMER),
            Changeable::to_any(power_condition::IDLE_B_CONDITION_TIMER),
            Changeable::to_any(power_condition::IDLE_C_CONDITION_TIMER),
            Changeable::to_any(power_condition::STANDBY_Y_CONDITION_TIMER),
            Changeable::to_any(power_condition::STANDBY_Z_CONDITION_TIMER),
        ],
        ..ModePage::fixed(0x1a, 0, "Power Condition", power_condition::BYTES)
    },
    ModePage {
        // Nobody has asked to be told.
        default: &[(informational_exceptions::DEXCPT.bits, 1)],
        changeable: &[
            Changeable::to_any(informational_exceptions::DEXCPT),
            Changeable::to_any(informational_exceptions::TEST),
            Changeable::to_one_of(
                informational_exceptions::MRIE,
                &[mrie::NEVER, mrie::UNIT_ATTENTION, mrie::ON_REQUEST],
            ),
        ],
        exclusive: &[(informational_exceptions::DEXCPT.bits, informational_exceptions::TEST.bits)],
        ..ModePage::fixed(0x1c, 0, "Informational Exceptions Control", informational_exceptions::BYTES)
    },
    ModePage {
        // Two soft thresholds: one for what is left, one for what is used.
        default: &[
            (provisioning::AVAILABLE_RESOURCE.bits, 1),
            (provisioning::USED_ARMING.bits, 1),
            (provisioning::USED_RESOURCE.bits, 2),
        ],
        changeable: &[
            Changeable::to_any(provisioning::AVAILABLE_ENABLED),
            Changeable::to_any(provisioning::AVAILABLE_COUNT),
            Changeable::to_any(provisioning::USED_ENABLED),
            Changeable::to_any(provisioning::USED_COUNT),
        ],
        ..ModePage::fixed(0x1c, 0x02, "Logical Block Provisioning", provisioning::BYTES)
    },
];

/// SPC-4 "Informational Exceptions Control mode page": MRIE, how an exception is reported.
pub mod mrie {
    /// Not at all.
    pub const NEVER: u64 = 0x0;
    /// As a unit attention.
    pub const UNIT_ATTENTION: u64 = 0x2;
    /// To REQUEST SENSE.
    pub const ON_REQUEST: u64 = 0x6;
}

/// How long an extended self-test may take, also of the Extended INQUIRY Data VPD page.
pub const EXTENDED_SELF_TEST_MINUTES: u64 = 1;

/// Room that all pages together need, bytes.
pub const PAGES_BYTES: usize = {
    let (mut sum, mut at) = (0, 0);
    while at < PAGES.len() {
        sum += PAGES[at].bytes;
        at += 1;
    }
    sum
};

/// PAGE CODE: all pages.
pub const ALL_PAGES: u8 = 0x3f;
/// SUBPAGE CODE: all subpages.
pub const ALL_SUBPAGES: u8 = 0xff;

/// SPC-4 "MODE SENSE (6) command": PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageControl {
    /// Today's values.
    Current,
    /// A one for every bit that can be changed.
    Changeable,
    /// What they were at first.
    Default,
    /// What they will be after the next reset.
    Saved,
}

impl PageControl {
    /// From the low two bits of PC.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Current,
            1 => Self::Changeable,
            2 => Self::Default,
            _ => Self::Saved,
        }
    }
}

layouts! {
    /// SPC-4 "Mode parameter header (6)".
    header6, 4 {
        MODE_DATA_LENGTH: u8 = 0, 7, 8;
        MEDIUM_TYPE: u8 = 1, 7, 8;
        /// SBC-3 "Mode parameter header": write protected.
        WP: bool = 2, 7, 1;
        /// SBC-3 "Mode parameter header": DPO and FUA are taken.
        DPOFUA: bool = 2, 4, 1;
        BLOCK_DESCRIPTOR_LENGTH: u16 = 3, 7, 8;
    }

    /// SPC-4 "Mode parameter header (10)".
    header10, 8 {
        MODE_DATA_LENGTH: u16 = 0, 7, 16;
        MEDIUM_TYPE: u8 = 2, 7, 8;
        /// SBC-3 "Mode parameter header": write protected.
        WP: bool = 3, 7, 1;
        /// SBC-3 "Mode parameter header": DPO and FUA are taken.
        DPOFUA: bool = 3, 4, 1;
        LONGLBA: bool = 4, 0, 1;
        BLOCK_DESCRIPTOR_LENGTH: u16 = 6, 7, 16;
    }

    /// SBC-3 "Short LBA mode parameter block descriptor".
    block_descriptor, 8 {
        NUMBER_OF_LOGICAL_BLOCKS: u64 = 0, 7, 32;
        LOGICAL_BLOCK_LENGTH: u32 = 5, 7, 24;
    }

    /// SBC-3 "Long LBA mode parameter block descriptor".
    long_block_descriptor, 16 {
        NUMBER_OF_LOGICAL_BLOCKS: u64 = 0, 7, 64;
        LOGICAL_BLOCK_LENGTH: u32 = 12, 7, 32;
    }

    /// SPC-4 "Page_0 mode page format".
    page0, 2 {
        PS: bool = 0, 7, 1;
        SPF: bool = 0, 6, 1;
        PAGE_CODE: u8 = 0, 5, 6;
        /// Of what follows.
        PAGE_LENGTH: u8 = 1, 7, 8;
    }

    /// SPC-4 "Sub_page mode page format".
    sub_page, 4 {
        PS: bool = 0, 7, 1;
        SPF: bool = 0, 6, 1;
        PAGE_CODE: u8 = 0, 5, 6;
        SUBPAGE_CODE: u8 = 1, 7, 8;
        /// Of what follows.
        PAGE_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "Read-Write Error Recovery mode page". What goes wrong below us is retried there: nothing is ours to say.
    error_recovery, 12 {
        AWRE: bool = 2, 7, 1;
        ARRE: bool = 2, 6, 1;
        TB: bool = 2, 5, 1;
        RC: bool = 2, 4, 1;
        EER: bool = 2, 3, 1;
        PER: bool = 2, 2, 1;
        DTE: bool = 2, 1, 1;
        DCR: bool = 2, 0, 1;
        READ_RETRY_COUNT: u8 = 3, 7, 8;
        WRITE_RETRY_COUNT: u8 = 8, 7, 8;
        RECOVERY_TIME_LIMIT: u16 = 10, 7, 16;
    }

    /// SPC-4 "Disconnect-Reconnect mode page".
    disconnect_reconnect, 16 {
        MAXIMUM_BURST_SIZE: u16 = 10, 7, 16;
        FIRST_BURST_SIZE: u16 = 14, 7, 16;
    }

    /// SBC-3 "Caching mode page".
    caching, 20 {
        WCE: bool = 2, 2, 1;
        RCD: bool = 2, 0, 1;
        DRA: bool = 12, 5, 1;
        NV_DIS: bool = 12, 0, 1;
    }

    /// SPC-4 "Control mode page".
    control, 12 {
        TST: u8 = 2, 7, 3;
        TMF_ONLY: bool = 2, 4, 1;
        DPICZ: bool = 2, 3, 1;
        D_SENSE: bool = 2, 2, 1;
        GLTSD: bool = 2, 1, 1;
        RLEC: bool = 2, 0, 1;
        QUEUE_ALGORITHM_MODIFIER: u8 = 3, 7, 4;
        NUAR: bool = 3, 3, 1;
        QERR: u8 = 3, 2, 2;
        RAC: bool = 4, 6, 1;
        UA_INTLCK_CTRL: u8 = 4, 5, 2;
        SWP: bool = 4, 3, 1;
        ATO: bool = 5, 7, 1;
        TAS: bool = 5, 6, 1;
        ATMPE: bool = 5, 5, 1;
        RWWP: bool = 5, 4, 1;
        AUTOLOAD_MODE: u8 = 5, 2, 3;
        BUSY_TIMEOUT_PERIOD: u16 = 8, 7, 16;
        EXTENDED_SELF_TEST_COMPLETION_TIME: u16 = 10, 7, 16;
    }

    /// SPC-4 "Power Condition mode page". Timers count tenths of a second.
    power_condition, 40 {
        PM_BG_PRECEDENCE: u8 = 2, 7, 2;
        STANDBY_Y: bool = 2, 0, 1;
        IDLE_C: bool = 3, 3, 1;
        IDLE_B: bool = 3, 2, 1;
        IDLE_A: bool = 3, 1, 1;
        STANDBY_Z: bool = 3, 0, 1;
        IDLE_A_CONDITION_TIMER: u32 = 4, 7, 32;
        STANDBY_Z_CONDITION_TIMER: u32 = 8, 7, 32;
        IDLE_B_CONDITION_TIMER: u32 = 12, 7, 32;
        IDLE_C_CONDITION_TIMER: u32 = 16, 7, 32;
        STANDBY_Y_CONDITION_TIMER: u32 = 20, 7, 32;
        CCF_IDLE: u8 = 39, 7, 2;
        CCF_STANDBY: u8 = 39, 5, 2;
        CCF_STOPPED: u8 = 39, 3, 2;
    }

    /// SBC-3 "Logical Block Provisioning mode page", with two threshold descriptors. Counts are of threshold sets.
    provisioning, 32 {
        /// One nexus is told, not all.
        SITUA: bool = 4, 0, 1;
        AVAILABLE_ENABLED: bool = 16, 7, 1;
        AVAILABLE_TYPE: u8 = 16, 5, 3;
        /// 0: reached from above.
        AVAILABLE_ARMING: u8 = 16, 2, 3;
        AVAILABLE_RESOURCE: u8 = 17, 7, 8;
        AVAILABLE_COUNT: u32 = 20, 7, 32;
        USED_ENABLED: bool = 24, 7, 1;
        USED_TYPE: u8 = 24, 5, 3;
        /// 1: reached from below.
        USED_ARMING: u8 = 24, 2, 3;
        USED_RESOURCE: u8 = 25, 7, 8;
        USED_COUNT: u32 = 28, 7, 32;
    }

    /// SPC-4 "Control Extension mode page".
    control_extension, 32 {
        /// The timestamp is set by other means too.
        TCMOS: bool = 4, 2, 1;
        /// What SET TIMESTAMP sets counts more.
        SCSIP: bool = 4, 1, 1;
        /// Asymmetric access states change by themselves.
        IALUAE: bool = 4, 0, 1;
        INITIAL_COMMAND_PRIORITY: u8 = 5, 3, 4;
        MAXIMUM_SENSE_DATA_LENGTH: u8 = 6, 7, 8;
    }

    /// SPC-4 "Informational Exceptions Control mode page".
    informational_exceptions, 12 {
        PERF: bool = 2, 7, 1;
        EBF: bool = 2, 5, 1;
        EWASC: bool = 2, 4, 1;
        DEXCPT: bool = 2, 3, 1;
        /// A false exception is reported.
        TEST: bool = 2, 2, 1;
        EBACKERR: bool = 2, 1, 1;
        LOGERR: bool = 2, 0, 1;
        MRIE: u8 = 3, 3, 4;
        INTERVAL_TIMER: u32 = 4, 7, 32;
        REPORT_COUNT: u32 = 8, 7, 32;
    }
}

impl ModePage {
    /// A page of zeros that nobody can change.
    #[must_use]
    pub const fn fixed(page: u8, subpage: u8, name: &'static str, bytes: usize) -> Self {
        Self { page, subpage, name, bytes, default: &[], changeable: &[], exclusive: &[] }
    }

    /// Whether MODE SENSE for this page and subpage returns it.
    //= SPC-4 "Mode page codes and subpage codes"
    #[must_use]
    pub const fn is_asked(&self, page: u8, subpage: u8) -> bool {
        let all = subpage == ALL_SUBPAGES;
        match page {
            ALL_PAGES => all || (subpage == 0 && self.subpage == 0),
            _ => page == self.page && (all || subpage == self.subpage),
        }
    }

    /// The field that has a value which it may not have, if there is one; `bytes` is the page.
    #[must_use]
    pub fn check(&self, bytes: &[u8]) -> Option<Bits> {
        let bad = self.changeable.iter().find(|row| !row.allows(row.field.read(bytes)));
        let both = |(one, other): &&(Bits, Bits)| one.read(bytes) != 0 && other.read(bytes) != 0;
        let clash = || self.exclusive.iter().find(both).map(|(_, other)| *other);
        bad.map(|row| row.field).or_else(clash)
    }

    /// Length of the page's header.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        if self.subpage == 0 { page0::BYTES } else { sub_page::BYTES }
    }

    /// Writes the page's header, all else zero, into the first [`ModePage::bytes`] of `out`.
    pub fn encode_header(&self, out: &mut [u8]) {
        out[..self.bytes].fill(0);
        page0::PAGE_CODE.set(out, self.page);
        if self.subpage == 0 {
            page0::PAGE_LENGTH.set(out, u8::try_from(self.bytes - page0::BYTES).unwrap_or(u8::MAX));
        } else {
            sub_page::SPF.set(out, true);
            sub_page::SUBPAGE_CODE.set(out, self.subpage);
            sub_page::PAGE_LENGTH.set(out, u16::try_from(self.bytes - sub_page::BYTES).unwrap_or(u16::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_the_field_may_have() {
        for page in PAGES {
            let mut bytes = vec![0; page.bytes];
            for (bits, value) in page.default {
                bits.write(&mut bytes, *value);
            }
            assert!(page.changeable.iter().all(|row| row.allows(row.field.read(&bytes))), "{}", page.name);
        }
    }

    #[test]
    fn pages_stand_in_ascending_order() {
        assert!(PAGES.is_sorted_by_key(|page| (page.page, page.subpage)));
    }

    #[test]
    fn every_changeable_field_lies_in_its_page_behind_the_header() {
        for page in PAGES {
            assert!(
                page.changeable
                    .iter()
                    .all(|Changeable { field, .. }| field.byte >= 2 && field.ends_within(page.bytes)),
                "{}",
                page.name
            );
        }
    }
}
