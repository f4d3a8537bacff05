//! SCST's words.
//!
//! A target's own LUNs are for whoever comes; each of its groups has LUNs of its own for the initiators that it names. One portal
//! group gets them all, and ACLs say who sees which under which number.

use super::tree::Node;
use super::{Import, base_name, is_on};
use crate::DEFAULT_PORTAL;
use crate::attr::{Attr, Scope};
use crate::change::{Change, Group, NewTpg};
use crate::config::Backing;
use crate::path::{Fabric, Path, Plugin, PortalKey, StorageKey, TargetKey, TpgKey};
use std::collections::BTreeMap;

/// The whole file.
pub(super) fn all(import: &mut Import<'_>, file: &Node) {
    let mut disks = Disks::new();
    for handler in file.body.iter().filter(|node| node.key() == "HANDLER") {
        for node in handler.body.iter().filter(|node| node.key() == "DEVICE") {
            if let Some(storage) = device(import, handler.word(1), node) {
                disks.insert(node.word(1).to_owned(), storage);
            }
        }
    }
    for node in &file.body {
        match (node.key(), node.word(1)) {
            ("HANDLER", _) => {}
            ("TARGET_DRIVER", "iscsi") => driver(import, node, &disks),
            ("TARGET_DRIVER", "copy_manager") => {}
            ("TARGET_DRIVER", other) => {
                import.note(node.line, format!("left out: felio has no target driver {other}"))
            }
            ("DEVICE_GROUP", _) => device_group(import, node, &disks),
            (other, _) => import.note(node.line, format!("{other} has no equivalent")),
        }
    }
}

/// Storage objects by the names that the file gives them.
type Disks = BTreeMap<String, StorageKey>;

fn device(import: &mut Import<'_>, handler: &str, node: &Node) -> Option<StorageKey> {
    let (name, on) = (node.word(1), |key: &str| node.value(key).is_some_and(is_on));
    let dev = node.value("filename").unwrap_or(name).to_owned();
    let (plugin, backing) = match handler {
        "vdisk_fileio" if dev.starts_with("/dev/") => block(dev, on("read_only")),
        "vdisk_blockio" => block(dev, on("read_only")),
        "vdisk_fileio" => {
            let Some(size) = (import.size_of)(&dev).or_else(|| bytes(node)) else {
                import.note(
                    node.line,
                    format!("{name} is left out: there is no {dev}, and nothing says its size"),
                );
                return None;
            };
            if on("read_only") {
                import.note(node.line, format!("{name} can be written where its LUNs are not read only"));
            }
            (
                Plugin::Fileio,
                Backing::Fileio { dev, size, write_back: !on("write_through"), aio: on("o_direct") },
            )
        }
        "vdisk_nullio" => (Plugin::Null, Backing::Null { size: bytes(node).unwrap_or(NULL_BYTES) }),
        "dev_disk" => (Plugin::Pscsi, Backing::Pscsi { dev }),
        other => {
            import.note(node.line, format!("{name} is left out: felio has no handler {other}"));
            return None;
        }
    };
    let emulated = backing.is_emulated();
    let storage = import.create(
        node.line,
        plugin,
        base_name(name),
        backing,
        node.value("usn").map(ToOwned::to_owned),
    )?;
    for setting in &node.body {
        let (group, row) = match setting.key() {
            "blocksize" => (Group::Attribute, "block_size"),
            "t10_vend_id" => (Group::Identity, "vendor_id"),
            "prod_id" => (Group::Identity, "product_id"),
            "prod_rev_lvl" => (Group::Identity, "revision"),
            "thin_provisioned" => (Group::Attribute, "emulate_tpu"),
            "filename" | "read_only" | "usn" | "size" | "size_mb" | "write_through" | "o_direct" => continue,
            "rotational" if emulated => {
                let turned = if is_on(setting.word(1)) { "0" } else { "1" };
                import.set(setting.line, &storage, Group::Attribute, "is_nonrot", turned);
                continue;
            }
            other => {
                import.note(setting.line, format!("{other} has no equivalent"));
                continue;
            }
        };
        import.set(setting.line, &storage, group, row, setting.word(1));
    }
    Some(storage)
}

const fn block(dev: String, readonly: bool) -> (Plugin, Backing) {
    (Plugin::Block, Backing::Block { dev, readonly, exclusive: true })
}

/// What a device without blocks of its own says it has, unless it says something.
const NULL_BYTES: u64 = 1 << 40;

fn bytes(node: &Node) -> Option<u64> {
    let number = |key: &str| node.value(key).and_then(|text| text.parse::<u64>().ok());
    number("size").or_else(|| number("size_mb")?.checked_mul(1 << 20))
}

fn driver(import: &mut Import<'_>, driver: &Node, disks: &Disks) {
    for node in &driver.body {
        let fabric = Path::Fabric(Fabric::Iscsi);
        match node.key() {
            "TARGET" => target(import, node, disks),
            "IncomingUser" => {
                import.user(node.line, fabric.clone(), Group::DiscoveryAuth, "", &split(node));
                import.set(node.line, fabric, Group::DiscoveryAuth, "enable", "1");
            }
            "OutgoingUser" => import.user(node.line, fabric, Group::DiscoveryAuth, "mutual_", &split(node)),
            "enabled" => {}
            other => import.note(node.line, format!("{other} has no equivalent")),
        }
    }
}

fn target(import: &mut Import<'_>, node: &Node, disks: &Disks) {
    let wwn = node.word(1).to_ascii_lowercase();
    let portals: Vec<&Node> = node.body.iter().filter(|node| node.key() == "allowed_portal").collect();
    let with = NewTpg { open: true, enable: false, default_portal: false };
    if !import.make(
        node.line,
        Change::CreateTarget { fabric: Fabric::Iscsi, wwn: Some(wwn.clone()), tpg: Some(with) },
    ) {
        return;
    }
    let tpg = TargetKey::iscsi(wwn).tpg(1);
    for portal in &portals {
        match PortalKey::parse(portal.word(1), DEFAULT_PORTAL.port) {
            Ok(key) => {
                import.make(portal.line, Change::CreatePortal { tpg: tpg.clone(), portal: key });
            }
            Err(why) => import.note(portal.line, format!("left out: {}", why.what)),
        }
    }
    if portals.is_empty() {
        import.make(node.line, Change::CreatePortal { tpg: tpg.clone(), portal: DEFAULT_PORTAL });
    }
    let own = luns(import, node, &tpg, disks);
    let mut hidden = false;
    for group in node.body.iter().filter(|node| node.key() == "GROUP") {
        hidden |= initiators(import, group, &tpg, disks);
    }
    match (own.is_empty(), hidden) {
        (true, _) => {}
        (false, false) => import.open_to_all(node.line, &tpg),
        (false, true) => import.note(
            node.line,
            "nobody is let in without an ACL: whoever came would see the LUNs of all groups, not only the target's own",
        ),
    }
    for setting in &node.body {
        parameter(import, setting, &tpg);
    }
    if node.value("enabled").is_some_and(is_on) {
        import.make(node.line, Change::EnableTpg { tpg });
    }
}

/// The LUNs of a target or group, as numbers there and in the portal group.
fn luns(import: &mut Import<'_>, node: &Node, tpg: &TpgKey, disks: &Disks) -> Vec<(u16, u16, bool)> {
    let mut luns = Vec::new();
    for lun in node.body.iter().filter(|node| node.key() == "LUN") {
        let (Ok(index), Some(storage)) = (lun.word(1).parse::<u16>(), disks.get(lun.word(2))) else {
            import.note(
                lun.line,
                format!("left out: LUN {} leads to {}, which is not there", lun.word(1), lun.word(2)),
            );
            continue;
        };
        let found = import.draft.config.tpg(tpg).into_iter().flat_map(|tpg| &tpg.luns);
        let found = found.filter(|(_, lun)| lun.storage == *storage).map(|(index, _)| *index).next();
        let taken = import.draft.config.tpg(tpg).is_some_and(|tpg| tpg.luns.contains_key(&index));
        let shown = found.or_else(|| import.lun(lun.line, tpg, storage, (!taken).then_some(index)));
        luns.extend(shown.map(|shown| (index, shown, lun.value("read_only").is_some_and(is_on))));
    }
    luns
}

/// The initiators of a group; whether it has LUNs.
fn initiators(import: &mut Import<'_>, group: &Node, tpg: &TpgKey, disks: &Disks) -> bool {
    let luns = luns(import, group, tpg, disks);
    for node in group.body.iter().filter(|node| node.key() == "INITIATOR") {
        let wwn = node.word(1).to_ascii_lowercase();
        if wwn.contains(['*', '?', '!', '#', '@']) {
            import.note(node.line, format!("left out: {wwn} is a pattern, and an ACL is for one name"));
            continue;
        }
        let acl = tpg.acl(wwn.as_str());
        if import.make(node.line, Change::CreateAcl { tpg: tpg.clone(), wwn, add_mapped_luns: false }) {
            for (index, lun, readonly) in &luns {
                import.map(node.line, &acl, *index, *lun, *readonly);
            }
            import.make(node.line, Change::TagAcl { acl, tag: group.word(1).to_owned() });
        }
    }
    !luns.is_empty()
}

fn parameter(import: &mut Import<'_>, node: &Node, tpg: &TpgKey) {
    let prefix = match node.key() {
        "LUN" | "GROUP" | "allowed_portal" | "enabled" => return,
        "IncomingUser" => "",
        "OutgoingUser" => "mutual_",
        "rel_tgt_id" => {
            let rtpi = node.word(1).parse().ok();
            import.make(node.line, Change::SetRtpi { tpg: tpg.clone(), rtpi });
            return;
        }
        name if Attr::find(Scope::Parameter, name).is_some() => {
            import.set(node.line, tpg, Group::Parameter, name, node.word(1));
            return;
        }
        other => return import.note(node.line, format!("{other} has no equivalent")),
    };
    let acls = import.draft.config.tpg(tpg).into_iter().flat_map(|tpg| tpg.acls.keys());
    let paths: Vec<Path> = acls.map(|wwn| Path::Acl(tpg.acl(wwn.as_str()))).chain([tpg.into()]).collect();
    for path in paths {
        import.user(node.line, path, Group::Auth, prefix, &split(node));
    }
    import.set(node.line, tpg, Group::Attribute, "authentication", "1");
}

/// SCST has a name and a secret in one pair of quotation marks.
fn split(node: &Node) -> Vec<String> {
    node.rest().iter().flat_map(|words| words.split_whitespace()).map(ToOwned::to_owned).collect()
}

/// Devices that are reached through groups of targets: ALUA.
fn device_group(import: &mut Import<'_>, node: &Node, disks: &Disks) {
    let members: Vec<StorageKey> = node
        .body
        .iter()
        .filter(|node| node.key() == "DEVICE")
        .filter_map(|node| disks.get(node.word(1)).cloned())
        .collect();
    for group in node.body.iter().filter(|node| node.key() == "TARGET_GROUP") {
        for storage in &members {
            alua_group(import, group, storage);
        }
    }
}

fn alua_group(import: &mut Import<'_>, node: &Node, storage: &StorageKey) {
    let (name, tag) = (node.word(1).to_owned(), node.value("group_id").and_then(|id| id.parse().ok()));
    if !import.make(node.line, Change::CreateAluaGroup { storage: storage.clone(), name: name.clone(), tag })
    {
        return;
    }
    let path = Path::AluaGroup(storage.clone(), name.clone());
    if let Some(state) = node.find("state") {
        let number = match state.word(1) {
            "active" => "0",
            "nonoptimized" => "1",
            "standby" => "2",
            "unavailable" => "3",
            "offline" => "14",
            "transitioning" => "15",
            other => other,
        };
        import.set(state.line, path.clone(), Group::Alua, "alua_access_state", number);
    }
    if let Some(preferred) = node.find("preferred") {
        import.set(preferred.line, path, Group::Alua, "preferred", preferred.word(1));
    }
    for target in node.body.iter().filter(|node| node.key() == "TARGET") {
        let wwn = target.word(1).to_ascii_lowercase();
        let luns: Vec<_> =
            import.draft.config.luns_of(storage).filter(|(tpg, _)| tpg.target.wwn == wwn).collect();
        for (tpg, index) in luns {
            import.set(target.line, Path::Lun(tpg, index), Group::Alua, "alua_tg_pt_gp_name", &name);
        }
    }
}
