//! Mode parameters: headers, block descriptors and pages, SPC-4 "Mode parameters" and SBC-3's.
//!
//! [`PAGES`] says which pages there are, how long they are, what they hold when nobody changed anything, and which of
//! their bits can be changed at all. What a unit's store allows, and today's values, are the engine's.

use crate::field::Bits;
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
    pub changeable: &'static [Bits],
}

/// The pages, in the order in which MODE SENSE returns them.
pub const PAGES: &[ModePage] = &[
    ModePage {
        page: 0x01,
        subpage: 0,
        name: "Read-Write Error Recovery",
        bytes: 12,
        default: &[],
        changeable: &[],
    },
    ModePage {
        page: 0x08,
        subpage: 0,
        name: "Caching",
        bytes: caching::BYTES,
        // We never read ahead of what is asked.
        default: &[(caching::DRA.bits, 1)],
        changeable: &[caching::WCE.bits],
    },
    ModePage {
        page: 0x0a,
        subpage: 0,
        name: "Control",
        bytes: control::BYTES,
        default: &[
            // There are no log parameters to save.
            (control::GLTSD.bits, 1),
            // Simple tasks may run in any order.
            (control::QUEUE_ALGORITHM_MODIFIER.bits, 1),
            // Tasks that another nexus ends are answered.
            (control::TAS.bits, 1),
            // A task may wait for ever.
            (control::BUSY_TIMEOUT_PERIOD.bits, 0xffff),
        ],
        changeable: &[control::D_SENSE.bits, control::SWP.bits, control::TAS.bits],
    },
    ModePage {
        page: 0x1a,
        subpage: 0,
        name: "Power Condition",
        bytes: power_condition::BYTES,
        // No timer runs until somebody wants one.
        default: &[],
        changeable: &[
            power_condition::IDLE_A.bits,
            power_condition::IDLE_B.bits,
            power_condition::IDLE_C.bits,
            power_condition::STANDBY_Y.bits,
            power_condition::STANDBY_Z.bits,
            power_condition::IDLE_A_CONDITION_TIMER.bits,
            power_condition::IDLE_B_CONDITION_TIMER.bits,
            power_condition::IDLE_C_CONDITION_TIMER.bits,
            power_condition::STANDBY_Y_CONDITION_TIMER.bits,
            power_condition::STANDBY_Z_CONDITION_TIMER.bits,
        ],
    },
    ModePage {
        page: 0x1c,
        subpage: 0,
        name: "Informational Exceptions Control",
        bytes: informational_exceptions::BYTES,
        // We have no exceptions to report.
        default: &[(informational_exceptions::DEXCPT.bits, 1)],
        changeable: &[],
    },
    ModePage {
        page: 0x1c,
        subpage: 0x02,
        name: "Logical Block Provisioning",
        bytes: provisioning::BYTES,
        // Two soft thresholds: one for what is left, one for what is used.
        default: &[
            (provisioning::AVAILABLE_RESOURCE.bits, 1),
            (provisioning::USED_ARMING.bits, 1),
            (provisioning::USED_RESOURCE.bits, 2),
        ],
        changeable: &[
            provisioning::AVAILABLE_ENABLED.bits,
            provisioning::AVAILABLE_COUNT.bits,
            provisioning::USED_ENABLED.bits,
            provisioning::USED_COUNT.bits,
        ],
    },
];

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

    /// SPC-4 "Informational Exceptions Control mode page".
    informational_exceptions, 12 {
        EWASC: bool = 2, 4, 1;
        DEXCPT: bool = 2, 3, 1;
        MRIE: u8 = 3, 3, 4;
    }
}

impl ModePage {
    /// Whether MODE SENSE for this page and subpage returns it.
    //= SPC-4 "Mode page codes and subpage codes"
    #[must_use]
    pub const fn is_asked(&self, page: u8, subpage: u8) -> bool {
        (page == ALL_PAGES || page == self.page) && (subpage == ALL_SUBPAGES || subpage == self.subpage)
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
    fn pages_stand_in_ascending_order() {
        assert!(PAGES.is_sorted_by_key(|page| (page.page, page.subpage)));
    }

    #[test]
    fn every_changeable_field_lies_in_its_page_behind_the_header() {
        for page in PAGES {
            assert!(
                page.changeable.iter().all(|bits| bits.byte >= 2 && bits.ends_within(page.bytes)),
                "{}",
                page.name
            );
        }
    }
}
