//! tgt's words.
//!
//! Each target has a controller as LUN 0, so that disks begin with 1; the numbers stay. One list of initiators is for all LUNs.

use super::tree::Node;
use super::{Import, base_name, is_on};
use crate::DEFAULT_PORTAL;
use crate::attr::{Attr, Scope};
use crate::change::{Change, Group, NewTpg};
use crate::config::Backing;
use crate::path::{Fabric, Path, Plugin, StorageKey, TargetKey, TpgKey};

/// The whole file.
pub(super) fn all(import: &mut Import<'_>, file: &Node) {
    let mut enforced = false;
    for node in &file.body {
        let fabric = Path::Fabric(Fabric::Iscsi);
        match node.key() {
            "target" => target(import, node, file.value("default-driver")),
            "incomingdiscoveryuser" => {
                import.user(node.line, fabric, Group::DiscoveryAuth, "", node.rest());
                enforced = true;
            }
            "outgoingdiscoveryuser" => {
                import.user(node.line, fabric, Group::DiscoveryAuth, "mutual_", node.rest())
            }
            "default-driver" | "ignore-errors" => {}
            "include" => import.note(node.line, format!("{} is not followed; import it, too", node.word(1))),
            other => import.note(node.line, format!("{other} has no equivalent")),
        }
    }
    if enforced {
        import.set(0, Path::Fabric(Fabric::Iscsi), Group::DiscoveryAuth, "enable", "1");
    }
}

fn target(import: &mut Import<'_>, node: &Node, default_driver: Option<&str>) {
    let driver = node.value("driver").or(default_driver).unwrap_or("iscsi");
    if !matches!(driver, "iscsi" | "iser") {
        return import.note(node.line, format!("the target is left out: felio has no driver {driver}"));
    }
    let wwn = node.word(1).to_ascii_lowercase();
    let create =
        Change::CreateTarget { fabric: Fabric::Iscsi, wwn: Some(wwn.clone()), tpg: Some(NewTpg::TARGETCLI) };
    if !import.make(node.line, create) {
        return;
    }
    let tpg = TargetKey::iscsi(wwn).tpg(1);
    if driver == "iser" {
        let (portal, iser) = (DEFAULT_PORTAL, Some(true));
        import.make(node.line, Change::SetPortal { tpg: tpg.clone(), portal, iser, offload: None });
    }
    let mut luns: Vec<(u16, bool, usize)> = Vec::new();
    for disk in node.body.iter().filter(|node| is_disk(node)) {
        let wanted = disk.value("lun").and_then(|lun| lun.parse().ok());
        let lun = wanted.or_else(|| (1..=u16::MAX).find(|lun| !luns.iter().any(|(taken, ..)| taken == lun)));
        let Some(storage) = storage(import, disk, node) else { continue };
        if let Some(index) = import.lun(disk.line, &tpg, &storage, lun) {
            luns.push((
                index,
                is_on(disk.value("readonly").or(node.value("readonly")).unwrap_or("0")),
                disk.line,
            ));
        }
    }
    who(import, node, &tpg, &luns);
    for setting in node.body.iter().filter(|node| !is_disk(node)) {
        parameter(import, setting, &tpg);
    }
}

/// Who may log in, and as whom.
fn who(import: &mut Import<'_>, node: &Node, tpg: &TpgKey, luns: &[(u16, bool, usize)]) {
    let named: Vec<&Node> = node.body.iter().filter(|node| node.key() == "initiator-name").collect();
    let restricted = node.body.iter().find(|node| node.key() == "initiator-address" && node.word(1) != "ALL");
    let paths: Vec<Path> = match (named.is_empty(), restricted) {
        (true, None) => {
            import.open_to_all(node.line, tpg);
            for (index, _, line) in luns.iter().filter(|(_, readonly, _)| *readonly) {
                import.note(
                    *line,
                    format!("LUN {index} can be written: it is not read only for initiators without an ACL"),
                );
            }
            vec![tpg.into()]
        }
        (true, Some(address)) => {
            import.note(
                address.line,
                "felio does not decide by addresses; nobody is let in until ACLs are created",
            );
            vec![tpg.into()]
        }
        (false, _) => {
            if let Some(address) = restricted {
                import.note(address.line, "felio does not decide by addresses; enable the TPG if the names of initiators are enough");
                import.make(address.line, Change::DisableTpg { tpg: tpg.clone() });
            }
            let acls = named.iter().filter_map(|named| {
                let wwn = named.word(1).to_ascii_lowercase();
                let create = Change::CreateAcl { tpg: tpg.clone(), wwn: wwn.clone(), add_mapped_luns: false };
                import.make(named.line, create).then(|| tpg.acl(wwn))
            });
            let acls: Vec<_> = acls.collect();
            for acl in &acls {
                for (index, readonly, line) in luns {
                    import.map(*line, acl, *index, *index, *readonly);
                }
            }
            acls.iter().map(Path::from).collect()
        }
    };
    for (key, prefix) in [("incominguser", ""), ("outgoinguser", "mutual_")] {
        let mut users = node.body.iter().filter(|node| node.key() == key);
        let Some(user) = users.next() else { continue };
        for path in &paths {
            import.user(user.line, path.clone(), Group::Auth, prefix, user.rest());
        }
        for another in users {
            import.note(another.line, format!("left out: only one {key} can be kept"));
        }
        import.set(user.line, tpg, Group::Attribute, "authentication", "1");
    }
}

fn parameter(import: &mut Import<'_>, node: &Node, tpg: &TpgKey) {
    // Each side names the length that it sends by its own word.
    let name = match node.key() {
        "MaxRecvDataSegmentLength" => "MaxXmitDataSegmentLength",
        "MaxXmitDataSegmentLength" => "MaxRecvDataSegmentLength",
        other => other,
    };
    match name {
        "driver" | "initiator-name" | "initiator-address" | "incominguser" | "outgoinguser" | "readonly" => {}
        "vendor_id" | "product_id" | "product_rev" | "scsi_sn" | "write-cache" | "bs-type" | "block-size"
        | "device-type" | "allow-in-use" | "controller_tid" => {}
        name if Attr::find(Scope::Parameter, name).is_some() => {
            import.set(node.line, tpg, Group::Parameter, name, node.word(1));
        }
        other => import.note(node.line, format!("{other} has no equivalent")),
    }
}

fn is_disk(node: &Node) -> bool {
    matches!(node.key(), "backing-store" | "direct-store")
}

/// The storage object of a line; what a disk does not say its target says for all.
fn storage(import: &mut Import<'_>, disk: &Node, target: &Node) -> Option<StorageKey> {
    let path = disk.word(1);
    if let Some(known) = import.by_dev.get(path) {
        return Some(known.clone());
    }
    let value = |key: &str| disk.value(key).or_else(|| target.value(key));
    if let Some(kind) = value("device-type").filter(|kind| *kind != "disk") {
        import.note(disk.line, format!("{path} is left out: felio has no device of type {kind}"));
        return None;
    }
    let dev = path.to_owned();
    let write_back = value("write-cache").is_none_or(is_on);
    let readonly = value("readonly").is_some_and(is_on);
    let (plugin, backing) = match value("bs-type").unwrap_or("rdwr") {
        "sg" => (Plugin::Pscsi, Backing::Pscsi { dev }),
        "rdwr" | "aio" if path.starts_with("/dev/") => {
            (Plugin::Block, Backing::Block { dev, readonly, exclusive: true })
        }
        kind @ ("rdwr" | "aio") => {
            let Some(size) = (import.size_of)(path) else {
                import.note(
                    disk.line,
                    format!("{path} is left out: there is no such file, and nothing says its size"),
                );
                return None;
            };
            (Plugin::Fileio, Backing::Fileio { dev, size, write_back, aio: kind == "aio" })
        }
        other => {
            import.note(disk.line, format!("{path} is left out: felio has no backing store of type {other}"));
            return None;
        }
    };
    let emulated = backing.is_emulated();
    let storage = import.create(
        disk.line,
        plugin,
        base_name(path),
        backing,
        value("scsi_sn").map(ToOwned::to_owned),
    )?;
    if emulated {
        let names = [("vendor_id", "vendor_id"), ("product_id", "product_id"), ("product_rev", "revision")];
        for (key, name) in names {
            if let Some(text) = value(key) {
                import.set(disk.line, &storage, Group::Identity, name, text);
            }
        }
        if let Some(size) = value("block-size") {
            import.set(disk.line, &storage, Group::Attribute, "block_size", size);
        }
    }
    for setting in disk.body.iter().filter(|node| !KNOWN.contains(&node.key())) {
        import.note(setting.line, format!("{} has no equivalent", setting.key()));
    }
    Some(storage)
}

/// What a disk may say that is not lost.
const KNOWN: &[&str] = &[
    "block-size",
    "bs-type",
    "device-type",
    "lun",
    "product_id",
    "product_rev",
    "readonly",
    "scsi_sn",
    "vendor_id",
    "write-cache",
];
