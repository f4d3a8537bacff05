//! Parameters of target port groups, and of LUNs in them.

use super::Default::{Number as Is, Text as Says};
use super::When::{Always, Once, ReadOnly};
use super::{Attr, Default, Kind, Scope, When};

const fn row(name: &'static str, kind: Kind, default: Default, when: When, doc: &'static str) -> Attr {
    Attr::new(Scope::Alua, name, kind, default, when, doc)
}

const fn supports(name: &'static str, doc: &'static str) -> Attr {
    row(name, Kind::Flag, Is(1), Always, doc)
}

/// Of a group.
pub(super) const GROUP: &[Attr] = &[
    row(
        "alua_access_state",
        Kind::OneOf(&[0, 1, 2, 3, 4, 14, 15]),
        Is(0),
        Always,
        "Active/optimized (0), active/non-optimized (1), standby (2), unavailable (3), by block address (4), offline (14), in transition (15).",
    ),
    row(
        "alua_access_status",
        Kind::OneOf(&[0, 1, 2]),
        Is(0),
        Always,
        "Who changed the state last: nobody (0), an initiator (1), the target (2).",
    ),
    row(
        "alua_access_type",
        Kind::OneOf(&[0, 1, 2, 3]),
        Is(3),
        Always,
        "Who may change the state: nobody (0), the target (1), initiators (2), both (3).",
    ),
    supports("alua_support_active_nonoptimized", "Whether the group can become active/non-optimized."),
    supports("alua_support_active_optimized", "Whether the group can become active/optimized."),
    row(
        "alua_support_lba_dependent",
        Kind::Flag,
        Is(0),
        ReadOnly,
        "Whether the state can depend on the block address.",
    ),
    supports("alua_support_offline", "Whether the group can go offline."),
    supports("alua_support_standby", "Whether the group can become standby."),
    supports("alua_support_transitioning", "Whether the group says so while its state changes."),
    supports("alua_support_unavailable", "Whether the group can become unavailable."),
    row(
        "alua_write_metadata",
        Kind::Flag,
        Is(0),
        Always,
        "Whether LIO writes the state to a file. felio keeps it in any case.",
    ),
    row(
        "implicit_trans_secs",
        Kind::Number(0, 255),
        Is(0),
        Always,
        "How many seconds initiators should wait for a transition; 0 says nothing about it.",
    ),
    row(
        "nonop_delay_msecs",
        Kind::Number(0, 10_000),
        Is(100),
        Always,
        "How long LIO holds commands back while the group is active/non-optimized.",
    ),
    row("preferred", Kind::Flag, Is(0), Always, "Whether initiators should prefer this group."),
    row(
        "tg_pt_gp_id",
        Kind::Number(0, 65_535),
        Default::Device,
        Once,
        "The group's number, by which initiators know it.",
    ),
    row("trans_delay_msecs", Kind::Number(0, 30_000), Is(0), Always, "How long a transition lasts."),
];

/// Of a LUN.
pub(super) const LUN: &[Attr] = &[Attr::new(
    Scope::Lun,
    "alua_tg_pt_gp_name",
    Kind::Text(255),
    Says(crate::config::DEFAULT_GROUP),
    Always,
    "The target port group of the storage object in which this LUN's port is.",
)];
