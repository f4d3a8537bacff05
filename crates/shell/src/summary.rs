//! What stands in brackets behind a name: targetcli's words, and the cause where something does not work.

use crate::size;
use felio_control::view::Snapshot;
use felio_control::{
    Acl, AluaGroup, Backing, Condition, DEFAULT_GROUP, Fabric, Path, StorageKey, StorageObject, Tpg,
};

/// A summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) text: String,
    pub(crate) health: Health,
}

/// How well something is, for those who see colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Neither good nor bad.
    Plain,
    Good,
    Bad,
}

impl Summary {
    /// The summary of a place.
    pub(crate) fn of(path: &Path, snapshot: &Snapshot) -> Self {
        let (text, health) = describe(path, snapshot).unwrap_or_else(|| ("...".to_owned(), Health::Plain));
        match snapshot.conditions.of(path) {
            Condition::Degraded { why } => Self {
                text: format!("{text}, degraded: {why}").trim_start_matches("..., ").to_owned(),
                health: Health::Bad,
            },
            Condition::Drained => Self {
                text: format!("{text}, drained").trim_start_matches("..., ").to_owned(),
                health: Health::Bad,
            },
            Condition::Up | Condition::Down => Self { text, health },
        }
    }
}

fn describe(path: &Path, snapshot: &Snapshot) -> Option<(String, Health)> {
    let config = &snapshot.config;
    let count = |what: &str| Some((format!("{what}: {}", path.children(config).len()), Health::Plain));
    match path {
        Path::Root | Path::Backstores => None,
        Path::Plugin(_) => count("Storage Objects"),
        Path::Storage(key) => Some(storage(key, config.storage.get(key)?, snapshot)),
        Path::AluaGroups(_) => count("ALUA Groups"),
        Path::AluaGroup(key, name) => {
            let group = config.storage.get(key)?.alua_groups.get(name)?;
            Some((format!("ALUA state: {}", alua_state(group)), Health::Plain))
        }
        Path::LuGroups => count("LU Groups"),
        Path::LuGroup(name) => {
            let members = config.storage.values().filter(|object| object.lu_group.as_ref() == Some(name));
            Some((format!("Storage Objects: {}", members.count()), Health::Plain))
        }
        Path::Fabric(fabric) => {
            Some((discovery(fabric, snapshot, path.children(config).len()), Health::Plain))
        }
        Path::Target(_) => count("TPGs"),
        Path::Tpg(key) => Some(portal_group(config.tpg(key)?)),
        Path::Luns(_) => count("LUNs"),
        Path::Lun(key, index) => {
            let lun = config.tpg(key)?.luns.get(index)?;
            let dev = config.storage.get(&lun.storage).and_then(|object| object.backing.dev());
            let dev = dev.map(|dev| format!(" ({dev})")).unwrap_or_default();
            let group = lun.alua_group.as_deref().unwrap_or(DEFAULT_GROUP);
            Some((format!("{}{dev} ({group})", short(&lun.storage)), Health::Good))
        }
        Path::Portals(_) => count("Portals"),
        Path::Portal(key, portal) => {
            let portal = config.tpg(key)?.portals.get(portal)?;
            let kind = [(portal.iser, "iser"), (portal.offload, "offload")];
            let text = kind.iter().find(|(is, _)| *is).map_or("OK", |(_, name)| name);
            Some((text.to_owned(), Health::Good))
        }
        Path::Acls(_) => count("ACLs"),
        Path::Acl(key) => Some(node_acl(config.acl(key)?, config.tpg(&key.tpg)?)),
        Path::MappedLun(key, index) => {
            let mapped = config.acl(key)?.mapped_luns.get(index)?;
            let lun = config.tpg(&key.tpg)?.luns.get(&mapped.tpg_lun)?;
            let access = if mapped.write_protect { "ro" } else { "rw" };
            Some((format!("lun{} {} ({access})", mapped.tpg_lun, short(&lun.storage)), Health::Good))
        }
    }
}

/// `fileio/disk1`.
pub(crate) fn short(key: &StorageKey) -> String {
    format!("{}/{}", key.plugin, key.name)
}

fn storage(key: &StorageKey, object: &StorageObject, snapshot: &Snapshot) -> (String, Health) {
    let cache = match (&object.backing, object.attribute("emulate_write_cache")) {
        (Backing::Fileio { .. } | Backing::Block { .. }, Some(cache)) if cache.is_on() => Some("write-back"),
        (Backing::Fileio { .. } | Backing::Block { .. }, Some(_)) => Some("write-thru"),
        (Backing::Ramdisk { nullio: true, .. }, _) => Some("nullio"),
        _ => None,
    };
    let access = match &object.backing {
        Backing::Block { readonly: true, .. } => Some("ro"),
        _ => None,
    };
    let (use_, health) = match snapshot.config.is_exported(key) {
        true => ("activated", Health::Good),
        false => ("deactivated", Health::Plain),
    };
    let size = object.backing.size().map(|bytes| format!("({})", size::show(bytes)));
    let parts = [object.backing.dev(), size.as_deref(), access, cache, Some(use_)];
    (parts.into_iter().flatten().collect::<Vec<_>>().join(" "), health)
}

/// The state's name in SPC's words, with LIO's capitals.
pub(crate) fn alua_state(group: &AluaGroup) -> String {
    let state = group.parameter("alua_access_state").and_then(|state| state.number());
    let name = match state {
        Some(0) => "Active/optimized",
        Some(1) => "Active/non-optimized",
        Some(2) => "Standby",
        Some(3) => "Unavailable",
        Some(4) => "LBA Dependent",
        Some(14) => "Offline",
        Some(15) => "Transitioning",
        _ => "Unknown",
    };
    name.to_owned()
}

fn discovery(fabric: &Fabric, snapshot: &Snapshot, targets: usize) -> String {
    let discovery = snapshot.config.fabrics.get(fabric).map(|fabric| &fabric.discovery);
    let proof = match discovery {
        Some(discovery) if discovery.enable && !discovery.auth.mutual_userid.is_empty() => {
            "mutual disc auth, "
        }
        Some(discovery) if discovery.enable => "1-way disc auth, ",
        _ => "",
    };
    format!("{proof}Targets: {targets}")
}

fn portal_group(tpg: &Tpg) -> (String, Health) {
    if !tpg.enable {
        return ("disabled".to_owned(), Health::Bad);
    }
    let is_on = |name: &str| tpg.attribute(name).is_some_and(|value| value.is_on());
    match (is_on("generate_node_acls"), is_on("authentication")) {
        (false, false) => ("no-gen-acls, no-auth".to_owned(), Health::Plain),
        (true, false) => ("gen-acls, no-auth".to_owned(), Health::Good),
        (false, true) => ("no-gen-acls, auth per-acl".to_owned(), Health::Plain),
        (true, true) => {
            let health = if tpg.auth.userid.is_empty() { Health::Bad } else { Health::Good };
            (format!("gen-acls, tpg-auth, {}", proof(tpg.auth.mutual_userid.is_empty())), health)
        }
    }
}

fn node_acl(acl: &Acl, tpg: &Tpg) -> (String, Health) {
    let is_on = |name: &str| tpg.attribute(name).is_some_and(|value| value.is_on());
    let mut parts = Vec::new();
    let mut health = Health::Plain;
    if let Some(tag) = &acl.tag {
        parts.push(format!("tag: {tag}"));
    }
    let demanded = match acl.attribute("authentication").and_then(|value| value.number()) {
        Some(0) => false,
        Some(1) => true,
        _ => is_on("authentication"),
    };
    if demanded && is_on("generate_node_acls") {
        parts.push("auth via tpg".to_owned());
    } else if demanded {
        health = if acl.auth.userid.is_empty() { Health::Bad } else { Health::Good };
        parts.push(proof(acl.auth.mutual_userid.is_empty()).to_owned());
    }
    parts.push(format!("Mapped LUNs: {}", acl.mapped_luns.len()));
    (parts.join(", "), health)
}

const fn proof(one_way: bool) -> &'static str {
    if one_way { "1-way auth" } else { "mutual auth" }
}
