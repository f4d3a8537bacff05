//! Attributes of storage objects, and what they call themselves.

use super::Default::{Backing as By, Device, Number as Is, Text as Says};
use super::When::{Action, Always, ReadOnly, WhileNotExported};
use super::{Attr, Default, Kind, Scope, When};
use crate::config::Backing;

const U32_MAX: i64 = 0xffff_ffff;
const COUNT: Kind = Kind::Number(0, U32_MAX);

const fn row(name: &'static str, kind: Kind, default: Default, when: When, doc: &'static str) -> Attr {
    Attr::new(Scope::Storage, name, kind, default, when, doc)
}

const fn identity(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Attr {
    Attr::new(Scope::Identity, name, kind, default, WhileNotExported, doc)
}

/// Those that a device has which answers for itself.
pub(super) const PASSTHROUGH: &[&str] = &[
    "alua_support",
    "emulate_pr",
    "hw_block_size",
    "hw_max_sectors",
    "hw_pi_prot_type",
    "hw_queue_depth",
    "pgr_support",
    "submit_type",
];

/// All in all.
pub(super) const ATTRIBUTES: &[Attr] = &[
    row(
        "alua_support",
        Kind::Flag,
        Is(1),
        Always,
        "Whether target port groups are felio's business; 0 leaves them to the device.",
    ),
    row(
        "atomic_alignment",
        COUNT,
        Device,
        ReadOnly,
        "Where an atomic write must begin: a multiple of so many blocks.",
    ),
    row(
        "atomic_granularity",
        COUNT,
        Device,
        ReadOnly,
        "How long an atomic write must be: a multiple of so many blocks.",
    ),
    row(
        "atomic_max_boundary",
        COUNT,
        Device,
        ReadOnly,
        "The most blocks of an atomic write with a boundary that is reported as such.",
    ),
    row("atomic_max_len", COUNT, Device, ReadOnly, "The most blocks that one atomic write can have."),
    row(
        "atomic_max_with_boundary",
        COUNT,
        Device,
        ReadOnly,
        "The most blocks of an atomic write that may be divided at boundaries.",
    ),
    row(
        "block_size",
        Kind::OneOf(&[512, 1024, 2048, 4096]),
        By(block_size),
        WhileNotExported,
        "Bytes in a logical block.",
    ),
    row(
        "emulate_3pc",
        Kind::Flag,
        Is(1),
        Always,
        "Whether third party copies (EXTENDED COPY, tokens) are offered.",
    ),
    row("emulate_caw", Kind::Flag, Is(1), Always, "Whether COMPARE AND WRITE is offered."),
    row("emulate_dpo", Kind::Flag, Is(1), Always, "Whether the DPO bit is accepted; it has no effect."),
    row("emulate_fua_read", Kind::Flag, Is(1), Always, "Whether the FUA bit of reads is accepted."),
    row(
        "emulate_fua_write",
        Kind::Flag,
        Is(1),
        Always,
        "Whether the FUA bit of writes is accepted; such a write is on the medium when it is done.",
    ),
    row(
        "emulate_model_alias",
        Kind::Flag,
        Is(0),
        WhileNotExported,
        "Whether the product identification is the storage object's name.",
    ),
    row("emulate_pr", Kind::Flag, Is(1), Always, "Whether reservations, persistent and not, are offered."),
    row(
        "emulate_rest_reord",
        Kind::OneOf(&[0]),
        Is(0),
        Always,
        "Whether commands may be reordered only with restrictions: never.",
    ),
    row("emulate_rsoc", Kind::Flag, Is(1), Always, "Whether REPORT SUPPORTED OPERATION CODES is offered."),
    row(
        "emulate_tas",
        Kind::Flag,
        Is(1),
        WhileNotExported,
        "Whether a command that another initiator ended is answered with TASK ABORTED rather than not at all.",
    ),
    row("emulate_tpu", Kind::Flag, Is(0), Always, "Whether UNMAP is offered."),
    row("emulate_tpws", Kind::Flag, Is(0), Always, "Whether WRITE SAME with the UNMAP bit is offered."),
    row(
        "emulate_ua_intlck_ctrl",
        Kind::OneOf(&[0, 1, 2]),
        Is(0),
        WhileNotExported,
        "Whether a unit attention stays until REQUEST SENSE (1), and BUSY and the like establish one (2).",
    ),
    row(
        "emulate_write_cache",
        Kind::Flag,
        By(write_cache),
        Always,
        "Whether a completed write may be lost in a power cut until SYNCHRONIZE CACHE; what is advertised and what is done are always the same.",
    ),
    row(
        "enforce_pr_isids",
        Kind::Flag,
        Is(1),
        WhileNotExported,
        "Whether a registration belongs to the initiator's port, session identifier included.",
    ),
    row(
        "force_pr_aptpl",
        Kind::Flag,
        Is(0),
        Always,
        "Whether reservations survive a restart even if nobody asks for it.",
    ),
    row("hw_block_size", COUNT, Device, ReadOnly, "Bytes in a block of the device."),
    row("hw_max_sectors", COUNT, Device, ReadOnly, "The most blocks that the device takes in one request."),
    row("hw_pi_prot_type", COUNT, Device, ReadOnly, "The protection type that the device does by itself."),
    row("hw_queue_depth", COUNT, Device, ReadOnly, "The most requests that the device takes at a time."),
    row("is_nonrot", Kind::Flag, By(non_rotating), Always, "Whether the medium is said not to rotate."),
    row("max_unmap_block_desc_count", COUNT, Device, Always, "The most ranges in one UNMAP."),
    row("max_unmap_lba_count", COUNT, Device, Always, "The most blocks in one UNMAP."),
    row("max_write_same_len", COUNT, Device, WhileNotExported, "The most blocks in one WRITE SAME."),
    row(
        "optimal_sectors",
        Kind::Number(1, U32_MAX),
        Device,
        WhileNotExported,
        "The transfer length, in blocks, that initiators should prefer.",
    ),
    row(
        "pgr_support",
        Kind::Flag,
        Is(1),
        Always,
        "Whether persistent reservations are felio's business; 0 leaves them to the device.",
    ),
    row(
        "pi_prot_format",
        Kind::Flag,
        Is(0),
        Action,
        "Writing 1 makes the protection information of all blocks anew.",
    ),
    row(
        "pi_prot_type",
        Kind::OneOf(&[0, 1, 2, 3]),
        Is(0),
        WhileNotExported,
        "The type of protection information that stands behind each block; 0 is none.",
    ),
    row(
        "pi_prot_verify",
        Kind::Flag,
        Is(0),
        Always,
        "Whether protection information is also checked of commands that do not ask for it.",
    ),
    row(
        "queue_depth",
        Kind::Number(1, 65_535),
        Device,
        WhileNotExported,
        "Requests at a time that are given to the device.",
    ),
    row(
        "submit_type",
        Kind::OneOf(&[0, 1, 2]),
        Is(0),
        Always,
        "How commands get to the device: as the fabric likes (0), at once (1), by a queue (2). felio chooses by itself.",
    ),
    row("unmap_granularity", COUNT, Device, Always, "How many blocks are unmapped together."),
    row(
        "unmap_granularity_alignment",
        COUNT,
        Device,
        Always,
        "The first block at which such a group begins.",
    ),
    row(
        "unmap_zeroes_data",
        Kind::Flag,
        By(unmapped_is_zero),
        WhileNotExported,
        "Whether unmapped blocks are read as zeros.",
    ),
];

/// What `wwn/` of configfs has.
pub(super) const IDENTITY: &[Attr] = &[
    identity(
        "company_id",
        Kind::Number(0, 0x00ff_ffff),
        Is(0x00_1405),
        "The company in the NAA designator, 24 bits.",
    ),
    identity(
        "product_id",
        Kind::Text(16),
        Says(""),
        "Product identification in standard INQUIRY data; unset means the plugin's.",
    ),
    identity(
        "revision",
        Kind::Text(4),
        Says(""),
        "Product revision level in standard INQUIRY data; unset means felio's.",
    ),
    identity(
        "vendor_id",
        Kind::Text(8),
        Says(""),
        "Vendor identification in standard INQUIRY data; unset means felio's.",
    ),
    identity(
        "vpd_unit_serial",
        Kind::Text(253),
        Says(""),
        "The unit's serial number, from which its designators follow.",
    ),
];

/// Blocks of files and memory are small unless somebody wants otherwise.
const fn block_size(backing: &Backing) -> Option<i64> {
    match backing {
        Backing::Fileio { .. } | Backing::Ramdisk { .. } | Backing::Null { .. } => Some(512),
        Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => None,
    }
}

const fn write_cache(backing: &Backing) -> Option<i64> {
    match backing {
        Backing::Fileio { write_back: true, .. } => Some(1),
        Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => None,
        Backing::Fileio { .. } | Backing::Ramdisk { .. } | Backing::Null { .. } => Some(0),
    }
}

const fn non_rotating(backing: &Backing) -> Option<i64> {
    match backing {
        Backing::Fileio { .. } => Some(0),
        Backing::Ramdisk { .. } | Backing::Null { .. } => Some(1),
        Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => None,
    }
}

const fn unmapped_is_zero(backing: &Backing) -> Option<i64> {
    match backing {
        Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => None,
        Backing::Fileio { .. } | Backing::Ramdisk { .. } | Backing::Null { .. } => Some(0),
    }
}
