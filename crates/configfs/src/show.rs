//! Files: what can be done with each, and what it contains.

use crate::View;
use crate::device::{self, Device, Hba};
use crate::place::DEFAULT_LU_GROUP;
use crate::reservations::ReservationFile;
use crate::statistics::{Subject, isid, session};
use crate::tree::{Errno, Mode, Needs, Tree};
use felio_control::attr::{Attr, Scope, When};
use felio_control::{
    AclKey, AluaGroup, Auth, Config, DEFAULT_GROUP, Fabric, Group, Path, Plugin, PortalKey, StorageKey,
    StorageObject, TpgKey, Value,
};
use std::fmt::Write as _;

/// A file.
#[derive(Debug, Clone)]
pub(crate) enum File {
    Version,
    Root,
    HbaInfo(Hba),
    HbaMode,
    LuGroupNumber(Option<String>),
    LuGroupMembers(Option<String>),
    Device(Device, DeviceFile),
    DeviceValue(Device, &'static Attr),
    Reservation(Device, ReservationFile),
    ReservationMetadata,
    AluaMembers(Device, String),
    FabricVersion,
    /// On which processor commands are completed.
    CompletionAffinity,
    DiscoveryBothWays,
    /// A row of an object.
    Value(Path, Group, &'static Attr),
    TpgEnable(TpgKey),
    TpgRtpi(TpgKey),
    DynamicSessions(TpgKey),
    PortalIser(TpgKey, PortalKey),
    PortalOffload(TpgKey, PortalKey),
    Lun(TpgKey, u16, LunFile),
    AclInfo(AclKey),
    AclDepth(AclKey),
    AclTag(AclKey),
    /// One of [`NEGOTIATED`].
    Negotiated(AclKey, &'static str),
    /// A number of a table.
    Statistic(Subject, &'static str, &'static str),
    WriteProtect(AclKey, u16),
}

/// No processor of its own.
pub(crate) const ANYWHERE: &str = "-1";

/// A file of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DeviceFile {
    Alias,
    LuGroup,
    Control,
    Enable,
    Info,
    LbaMap,
    Path,
}

/// Those of every device.
pub(crate) const DEVICE: &[(&str, DeviceFile)] = &[
    ("alias", DeviceFile::Alias),
    ("alua_lu_gp", DeviceFile::LuGroup),
    ("control", DeviceFile::Control),
    ("enable", DeviceFile::Enable),
    ("info", DeviceFile::Info),
    ("lba_map", DeviceFile::LbaMap),
    ("udev_path", DeviceFile::Path),
];

/// A file of a LUN.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LunFile {
    Group,
    Offline,
    Status,
    Metadata,
}

/// Those of every LUN.
pub(crate) const LUN: &[(&str, LunFile)] = &[
    ("alua_tg_pt_gp", LunFile::Group),
    ("alua_tg_pt_offline", LunFile::Offline),
    ("alua_tg_pt_status", LunFile::Status),
    ("alua_tg_pt_write_md", LunFile::Metadata),
];

impl File {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Device(_, DeviceFile::Control) => Mode::Write,
            Self::Version
            | Self::HbaInfo(_)
            | Self::LuGroupMembers(_)
            | Self::Device(_, DeviceFile::Info)
            | Self::Reservation(..)
            | Self::Statistic(..)
            | Self::AluaMembers(..)
            | Self::FabricVersion
            | Self::DiscoveryBothWays
            | Self::DynamicSessions(_)
            | Self::AclInfo(_)
            | Self::Negotiated(..) => Mode::Read,
            Self::Value(_, _, row) | Self::DeviceValue(_, row) => Mode::of(row.is_writable()),
            _ => Mode::Both,
        }
    }

    /// What of what runs it tells of.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::DynamicSessions(_) | Self::AclInfo(_) | Self::Negotiated(..) => Needs::Sessions,
            Self::Statistic(subject, ..) => Needs::Stats(subject.counted()),
            Self::Reservation(device, _) => Needs::Reservations(device.key()),
            _ => Needs::Nothing,
        }
    }

    /// What it contains.
    pub(crate) fn read(&self, tree: &Tree, view: View<'_>) -> Result<String, Errno> {
        let config = &view.snapshot.config;
        Ok(match self {
            Self::Version => {
                format!("Target Engine Core ConfigFS Infrastructure v5.0 on {}\n", tree.version())
            }
            Self::Root => format!("{}\n", tree.root),
            Self::HbaInfo(hba) => {
                format!("HBA Index: {} plugin: {} version: v5.0\n", hba.number, hba.kind())
            }
            Self::HbaMode => "0\n".to_owned(),
            Self::LuGroupNumber(name) => lu_group_number(config, name.as_deref()),
            Self::LuGroupMembers(name) => lu_group_members(tree, config, name.as_deref()),
            Self::Device(device, file) => return read_device(tree, config, device, *file),
            Self::DeviceValue(device, row) => device_value(tree, config, device, row),
            Self::Reservation(device, file) => file.read(tree, view, device),
            Self::ReservationMetadata => "Ready to process PR APTPL metadata..\n".to_owned(),
            Self::AluaMembers(device, name) => alua_members(config, &device.key(), name),
            Self::CompletionAffinity => format!("{ANYWHERE}\n"),
            Self::FabricVersion => "Datera Inc. iSCSI Target v4.1.0\n".to_owned(),
            Self::DiscoveryBothWays => {
                let auth = config.fabrics.get(&Fabric::Iscsi).map(|fabric| &fabric.discovery.auth);
                flag(auth.is_some_and(proves_both))
            }
            Self::Value(path, group, row) => value(config, path, *group, row),
            Self::TpgEnable(key) => flag(config.tpg(key).is_some_and(|tpg| tpg.enable)),
            Self::TpgRtpi(key) => {
                format!("{:#x}\n", config.tpg(key).and_then(|tpg| tpg.rtpi).unwrap_or(0))
            }
            Self::DynamicSessions(key) => dynamic_sessions(view, key),
            Self::PortalIser(key, portal) => {
                flag(config.tpg(key).and_then(|tpg| tpg.portals.get(portal)).is_some_and(|one| one.iser))
            }
            Self::PortalOffload(key, portal) => {
                flag(config.tpg(key).and_then(|tpg| tpg.portals.get(portal)).is_some_and(|one| one.offload))
            }
            Self::Lun(key, index, LunFile::Group) => lun_group(config, key, *index),
            Self::Lun(..) => "0\n".to_owned(),
            Self::AclInfo(key) => acl_info(view, key),
            Self::AclDepth(key) => format!("{}\n", depth(config, key)),
            Self::AclTag(key) => config.acl(key).and_then(|acl| acl.tag.clone()).unwrap_or_default(),
            Self::Negotiated(key, name) => match session(view, key) {
                Some(session) => negotiated(session.parameters.get(*name)),
                None => "No Active iSCSI Session\n".to_owned(),
            },
            Self::Statistic(subject, table, column) => return subject.read(tree, view, table, column),
            Self::WriteProtect(key, index) => {
                let made = config.acl(key).and_then(|acl| acl.mapped_luns.get(index));
                let draft = || tree.mapped.get(&(key.clone(), *index)).copied();
                flag(made.map(|mapped| mapped.write_protect).or_else(draft).unwrap_or(false))
            }
        })
    }
}

fn flag(is_on: bool) -> String {
    format!("{}\n", u8::from(is_on))
}

fn proves_both(auth: &Auth) -> bool {
    !auth.mutual_userid.is_empty() && !auth.mutual_password.is_empty()
}

fn lu_group_number(config: &Config, name: Option<&str>) -> String {
    let Some(name) = name else { return "0\n".to_owned() };
    let number = config.lu_groups.get(name).and_then(|group| group.id);
    number.map(|number| format!("{number}\n")).unwrap_or_default()
}

fn lu_group_members(tree: &Tree, config: &Config, name: Option<&str>) -> String {
    let members = config.storage.iter().filter(|(_, object)| object.lu_group.as_deref() == name);
    let devices = members.filter_map(|(key, _)| tree.device(key));
    devices.map(|device| format!("{}/{}\n", device.hba.name(), device.name)).collect()
}

fn read_device(tree: &Tree, config: &Config, device: &Device, file: DeviceFile) -> Result<String, Errno> {
    let (object, is_enabled) = tree.object(config, device).ok_or(Errno::NOT_FOUND)?;
    let draft = tree.drafts.get(device);
    let line = |text: &str| if text.is_empty() { String::new() } else { format!("{text}\n") };
    Ok(match file {
        DeviceFile::Alias => match draft {
            Some(draft) => line(&draft.alias),
            None => line(tree.aliases.get(&device.key()).map_or("", String::as_str)),
        },
        DeviceFile::LuGroup => match &object.lu_group {
            Some(name) => {
                let number = config.lu_groups.get(name).and_then(|group| group.id).unwrap_or(0);
                format!("LU Group Alias: {name}\nLU Group ID: {number}\n")
            }
            None if is_enabled => format!("LU Group Alias: {DEFAULT_LU_GROUP}\nLU Group ID: 0\n"),
            None => String::new(),
        },
        DeviceFile::Control => return Err(Errno::INVALID),
        DeviceFile::Enable => flag(is_enabled),
        DeviceFile::Info => device::info(device, &object, is_enabled && config.is_exported(&device.key())),
        DeviceFile::LbaMap => String::new(),
        DeviceFile::Path => match draft {
            Some(draft) => line(&draft.path),
            None => line(object.backing.dev().unwrap_or_default()),
        },
    })
}

fn device_value(tree: &Tree, config: &Config, device: &Device, row: &Attr) -> String {
    let Some((object, _)) = tree.object(config, device) else { return String::new() };
    if row.scope == Scope::Storage {
        return format!("{}\n", device::attribute(&object, row));
    }
    let set = match tree.drafts.get(device) {
        Some(draft) => draft.identity.get(row.name).map(ToString::to_string),
        None => identity(&object, row.name),
    };
    match row.name {
        "vpd_unit_serial" => format!("T10 VPD Unit Serial Number: {}\n", set.unwrap_or_default()),
        "company_id" => {
            let number: u32 = set.and_then(|text| text.parse().ok()).unwrap_or(COMPANY);
            format!("{number:#08x}\n")
        }
        _ => format!("{}\n", set.unwrap_or_default()),
    }
}

/// What an object calls itself, where that is set.
fn identity(object: &StorageObject, name: &str) -> Option<String> {
    let own = &object.identity;
    match name {
        "vendor_id" => own.vendor.clone(),
        "product_id" => own.product.clone(),
        "revision" => own.revision.clone(),
        "company_id" => own.company_id.map(|id| id.to_string()),
        _ => Some(object.wwn.clone()),
    }
}

/// A row of an object, with the words that some files have in place of numbers.
fn value(config: &Config, path: &Path, group: Group, row: &Attr) -> String {
    let value = match (path, group) {
        (Path::AluaGroup(key, name), _) => {
            let found = config.storage.get(key).and_then(|object| object.alua_groups.get(name));
            found.map(|found| alua_value(found, row)).unwrap_or_default()
        }
        (Path::Tpg(key), Group::Attribute) => shown(config.tpg(key).and_then(|tpg| tpg.attribute(row.name))),
        (Path::Tpg(key), Group::Parameter) => shown(config.tpg(key).and_then(|tpg| tpg.parameter(row.name))),
        (Path::Tpg(key), Group::Auth) => secret(config.tpg(key).map(|tpg| &tpg.auth), row),
        (Path::Acl(key), Group::Auth) => secret(config.acl(key).map(|acl| &acl.auth), row),
        (Path::Acl(key), _) => {
            let own = config.acl(key).and_then(|acl| acl.attribute(row.name));
            shown(own.or_else(|| config.tpg(&key.tpg)?.attribute(row.name)))
        }
        (Path::Fabric(fabric), _) => {
            let discovery = config.fabrics.get(fabric).map(|fabric| &fabric.discovery);
            match row.name {
                "enable" => u8::from(discovery.is_some_and(|discovery| discovery.enable)).to_string(),
                _ => secret(discovery.map(|discovery| &discovery.auth), row),
            }
        }
        _ => String::new(),
    };
    // A group without a number has an empty file.
    if value.is_empty() && row.when == When::Once { value } else { value + "\n" }
}

fn shown(value: Option<Value>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn secret(auth: Option<&Auth>, row: &Attr) -> String {
    match row.name {
        "authenticate_target" => u8::from(auth.is_some_and(proves_both)).to_string(),
        name => auth.and_then(|auth| auth.get(name)).unwrap_or_default().to_owned(),
    }
}

fn alua_value(group: &AluaGroup, row: &Attr) -> String {
    if row.when == When::Once {
        return group.tag.map(|tag| tag.to_string()).unwrap_or_default();
    }
    let value = group.parameter(row.name);
    let words: &[&str] = match row.name {
        "alua_access_type" => ACCESS_TYPES,
        "alua_access_status" => ACCESS_STATUSES,
        _ => return shown(value),
    };
    let number = value.and_then(|value| value.number()).and_then(|number| usize::try_from(number).ok());
    number.and_then(|number| words.get(number)).copied().unwrap_or_default().to_owned()
}

fn alua_members(config: &Config, storage: &StorageKey, name: &str) -> String {
    let mut members = String::new();
    for (key, index) in config.luns_of(storage) {
        let group = config.tpg(&key).and_then(|tpg| tpg.luns.get(&index)?.alua_group.as_deref());
        if group.unwrap_or(DEFAULT_GROUP) == name {
            let (wwn, tag) = (&key.target.wwn, key.tag);
            let _ = writeln!(members, "{}/{wwn}/tpgt_{tag}/lun_{index}", wire_name(&key.target.fabric));
        }
    }
    members
}

/// What a fabric calls itself towards the engine.
fn wire_name(fabric: &Fabric) -> &str {
    match fabric {
        Fabric::Iscsi => "iSCSI",
        Fabric::Other(name) => name,
    }
}

fn lun_group(config: &Config, key: &TpgKey, index: u16) -> String {
    let Some(lun) = config.tpg(key).and_then(|tpg| tpg.luns.get(&index)) else { return String::new() };
    let name = lun.alua_group.as_deref().unwrap_or(DEFAULT_GROUP);
    let object = config.storage.get(&lun.storage).filter(|_| lun.storage.plugin != Plugin::Pscsi);
    let Some(group) = object.and_then(|object| object.alua_groups.get(name)) else { return String::new() };
    let number = |name: &str| group.parameter(name).and_then(|value| value.number());
    let state = number("alua_access_state")
        .and_then(|state| ACCESS_STATES.iter().find(|(known, _)| *known == state).map(|(_, words)| *words));
    let (tag, state) = (group.tag.unwrap_or(0), state.unwrap_or("Unknown"));
    let status = number("alua_access_status").and_then(|status| usize::try_from(status).ok());
    let status = status.and_then(|status| ACCESS_STATUSES.get(status)).unwrap_or(&"Unknown");
    format!(
        "TG Port Alias: {name}\nTG Port Group ID: {tag}\nTG Port Primary Access State: {state}\nTG Port Primary Access Status: {status}\nTG Port Secondary Access State: None\nTG Port Secondary Access Status: None\n"
    )
}

const ACCESS_TYPES: &[&str] = &["None", "Implicit", "Explicit", "Implicit and Explicit"];
const ACCESS_STATUSES: &[&str] = &["None", "Altered by Explicit STPG", "Altered by Implicit ALUA"];
const ACCESS_STATES: &[(i64, &str)] = &[
    (0, "Active/Optimized"),
    (1, "Active/NonOptimized"),
    (2, "Standby"),
    (3, "Unavailable"),
    (4, "LBA Dependent"),
    (14, "Offline"),
    (15, "Transitioning"),
];

fn depth(config: &Config, key: &AclKey) -> i64 {
    let depth = config.tpg(&key.tpg).and_then(|tpg| tpg.attribute("default_cmdsn_depth")?.number());
    depth.unwrap_or(0)
}

fn dynamic_sessions(view: View<'_>, key: &TpgKey) -> String {
    let of = view.sessions.iter().filter(|session| session.tpg.as_ref() == Some(key));
    let has_acl = |name: &str| view.snapshot.config.tpg(key).is_some_and(|tpg| tpg.acls.contains_key(name));
    of.filter(|session| !has_acl(&session.initiator))
        .map(|session| format!("{}\n", session.initiator))
        .collect()
}

/// What an initiator's session has negotiated is told of these.
pub(crate) const NEGOTIATED: &[&str] = &[
    "DataPDUInOrder",
    "DataSequenceInOrder",
    "DefaultTime2Retain",
    "DefaultTime2Wait",
    "ErrorRecoveryLevel",
    "FirstBurstLength",
    "ImmediateData",
    "InitialR2T",
    "MaxBurstLength",
    "MaxConnections",
    "MaxOutstandingR2T",
];

/// A negotiated value, as a number.
fn negotiated(value: Option<&String>) -> String {
    match value.map(String::as_str) {
        Some("Yes") => "1\n".to_owned(),
        Some("No") => "0\n".to_owned(),
        Some(value) => format!("{value}\n"),
        None => String::new(),
    }
}

fn acl_info(view: View<'_>, key: &AclKey) -> String {
    let Some(session) = session(view, key) else {
        return format!("No active iSCSI Session for Initiator Endpoint: {}\n", key.wwn);
    };
    let (alias, id) = (session.alias.as_deref().unwrap_or_default(), session.id);
    let isid: Vec<&str> = (0..6).filter_map(|byte| isid(session).get(2 * byte..2 * byte + 2)).collect();
    let isid = isid.join(" ");
    let mut text = format!(
        "InitiatorName: {}\nInitiatorAlias: {alias}\nLIO Session ID: {id}   ISID: 0x{isid}  TSIH: {id}  SessionType: Normal\nSession State: TARG_SESS_STATE_{}\n",
        session.initiator, session.state
    );
    for connection in &session.connections {
        let (cid, state, peer) = (connection.cid, &connection.state, &connection.peer);
        let _ = writeln!(text, "CID: {cid}  Connection State: TARG_CONN_STATE_{state}");
        let _ = writeln!(text, "   Address {peer} {}", connection.transport);
    }
    text
}

/// The company id that felio has where none is set.
const COMPANY: u32 = 0x00_1405;
