//! `pr/`: who has reserved a device, and who is registered.

use crate::View;
use crate::device::Device;
use crate::tree::Tree;
use felio_control::view::{PortView, ReservationView};
use felio_control::{Config, StorageKey, TpgKey};
use std::fmt::Write as _;

/// A file of `pr/` that tells of what runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReservationFile {
    Holder,
    AllTargetPorts,
    Generation,
    HolderPort,
    Registered,
    Kind,
    Type,
    Aptpl,
}

/// All of them.
pub(crate) const FILES: &[(&str, ReservationFile)] = &[
    ("res_aptpl_active", ReservationFile::Aptpl),
    ("res_holder", ReservationFile::Holder),
    ("res_pr_all_tgt_pts", ReservationFile::AllTargetPorts),
    ("res_pr_generation", ReservationFile::Generation),
    ("res_pr_holder_tg_port", ReservationFile::HolderPort),
    ("res_pr_registered_i_pts", ReservationFile::Registered),
    ("res_pr_type", ReservationFile::Kind),
    ("res_type", ReservationFile::Type),
];

impl ReservationFile {
    /// What it says of a device.
    pub(crate) fn read(self, tree: &Tree, view: View<'_>, device: &Device) -> String {
        let config = &view.snapshot.config;
        let Some((object, _)) = tree.object(config, device) else { return String::new() };
        let is_on = |name: &str| object.attribute(name).is_none_or(|value| value.is_on());
        let nothing = ReservationView::default();
        let state = view.reservations.unwrap_or(&nothing);
        let refused = match (is_on("emulate_pr"), is_on("pgr_support")) {
            (false, _) => Some(("SPC_RESERVATIONS_DISABLED\n", "SPC_RESERVATIONS_DISABLED\n", "")),
            (true, false) => Some(("Passthrough\n", "SPC_PASSTHROUGH\n", "")),
            (true, true) => None,
        };
        match (self, refused) {
            (Self::Holder, Some((text, _, _)))
            | (Self::Type, Some((_, text, _)))
            | (Self::Aptpl, Some((_, _, text))) => text.to_owned(),
            (Self::Type, None) if state.reserved_by.is_some() => "SPC2_RESERVATIONS\n".to_owned(),
            (Self::Type, None) => "SPC3_PERSISTENT_RESERVATIONS\n".to_owned(),
            (Self::Aptpl, None) => {
                format!("APTPL Bit Status: {}\n", if state.aptpl { "Activated" } else { "Disabled" })
            }
            (Self::Holder, None) => match &state.reserved_by {
                Some(initiator) => format!("SPC-2 Reservation: iSCSI Initiator: {initiator}\n"),
                None => held(state, |holder| {
                    format!("SPC-3 Reservation: iSCSI Initiator: {}\n", holder.initiator_port)
                }),
            },
            // Each registration is of one port, also those that were made for all.
            (Self::AllTargetPorts, _) => {
                held(state, |_| "SPC-3 Reservation: Single Target Port registration\n".to_owned())
            }
            (Self::Generation, _) => format!("0x{:08x}\n", state.generation),
            (Self::HolderPort, _) => held(state, |holder| holder_port(config, &device.key(), holder)),
            (Self::Registered, _) => registered(state),
            (Self::Kind, _) => held(state, |_| {
                let known = TYPES.iter().find(|(code, _)| Some(*code) == state.kind);
                format!("SPC-3 Reservation Type: {}\n", known.map_or("Unknown", |(_, words)| words))
            }),
        }
    }
}

/// Where all who are registered hold it, the first of them stands for all.
fn held(state: &ReservationView, tell: impl FnOnce(&PortView) -> String) -> String {
    let anyone = || state.registrations.first().map(|registration| &registration.port);
    match state.kind.and_then(|_| state.holder.as_ref().or_else(anyone)) {
        Some(holder) => tell(holder),
        None => "No SPC-3 Reservation holder\n".to_owned(),
    }
}

fn holder_port(config: &Config, storage: &StorageKey, holder: &PortView) -> String {
    let is_there = |key: &TpgKey| config.tpg(key).is_some_and(|tpg| tpg.rtpi == Some(holder.rtpi));
    let found = config.luns_of(storage).find(|(key, _)| is_there(key));
    let Some((key, lun)) = found else { return String::new() };
    let (wwn, tag, rtpi) = (&key.target.wwn, key.tag, holder.rtpi);
    format!(
        "SPC-3 Reservation: iSCSI Target Node Endpoint: {wwn}\nSPC-3 Reservation: Relative Port Identifier Tag: {rtpi} iSCSI Portal Group Tag: {tag} iSCSI Logical Unit: {lun}\n"
    )
}

/// As many as a page has room for, as the kernel has it. When each was made is not known; what is shown is when the last thing happened.
fn registered(state: &ReservationView) -> String {
    let mut text = "SPC-3 PR Registrations:\n".to_owned();
    for registration in &state.registrations {
        let mut line = String::new();
        let (port, key) = (&registration.port.initiator_port, registration.key);
        let _ = writeln!(line, "iSCSI Node: {port} Key: 0x{key:016x} PRgen: 0x{:08x}", state.generation);
        if text.len() + line.len() >= PAGE_BYTES {
            break;
        }
        text += &line;
    }
    if state.registrations.is_empty() {
        text += "None\n";
    }
    text
}

const PAGE_BYTES: usize = 4096;

//= SPC-4 "Persistent reservation type codes"
const TYPES: &[(u8, &str)] = &[
    (1, "Write Exclusive Access"),
    (3, "Exclusive Access"),
    (5, "Write Exclusive Access, Registrants Only"),
    (6, "Exclusive Access, Registrants Only"),
    (7, "Write Exclusive Access, All Registrants"),
    (8, "Exclusive Access, All Registrants"),
];
