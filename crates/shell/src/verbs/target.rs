//! Verbs of targets and of what is in them.

use super::{Call, storage};
use felio_control::{
    AclKey, Backing, Change, DEFAULT_PORTAL, NewTpg, Path, Plugin, PortalKey, Refusal, RefusalKind,
    StorageKey, TpgKey,
};

pub(super) fn create_target(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Fabric(fabric) = call.path.clone() else { return call.misplaced() };
    let wwn = call.args.text("wwn").map(ToOwned::to_owned);
    let tpg = Some(NewTpg {
        enable: call.prefers("auto_enable_tpgt"),
        default_portal: call.prefers("auto_add_default_portal"),
        ..NewTpg::TARGETCLI
    });
    call.create(vec![Change::CreateTarget { fabric, wwn, tpg }])
}

pub(super) fn create_tpg(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Target(target) = call.path.clone() else { return call.misplaced() };
    // Two portal groups of one target cannot listen on the same address.
    let taken = call
        .snapshot
        .config
        .targets
        .get(&target)
        .is_some_and(|target| target.tpgs.values().any(|tpg| tpg.portals.contains_key(&DEFAULT_PORTAL)));
    let with = NewTpg {
        enable: call.prefers("auto_enable_tpgt"),
        default_portal: call.prefers("auto_add_default_portal") && !taken,
        ..NewTpg::TARGETCLI
    };
    call.create(vec![Change::CreateTpg { target, tag: call.args.number("tag"), with }])
}

pub(super) fn enable(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Tpg(tpg) = call.path.clone() else { return call.misplaced() };
    call.make(vec![Change::EnableTpg { tpg }])
}

pub(super) fn disable(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Tpg(tpg) = call.path.clone() else { return call.misplaced() };
    call.make(vec![Change::DisableTpg { tpg }])
}

pub(super) fn create_lun(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Luns(tpg) = call.path.clone() else { return call.misplaced() };
    let text = call.args.required("storage_object").to_owned();
    let (storage, mut changes) = match call.shell.place(&Path::Root, &text) {
        Ok(Path::Storage(key)) => (key, Vec::new()),
        // `fileio/disk1`
        _ if !text.starts_with('/') => {
            let path = Path::Backstores.join(&text)?;
            let Path::Storage(key) = path else { return Err(no_storage(&text)) };
            (key, Vec::new())
        }
        _ => {
            let (key, backing) = raw(&text)?;
            let changes = storage::changes(call, key.clone(), backing, None);
            (key, changes)
        }
    };
    let add_mapped_luns =
        call.args.flag("add_mapped_luns").unwrap_or_else(|| call.prefers("auto_add_mapped_luns"));
    let index = call.args.number("lun");
    changes.push(Change::CreateLun { tpg, storage, index, alias: None, add_mapped_luns });
    call.create(changes)
}

/// A storage object for a file or device that has none, with the file's name.
fn raw(dev: &str) -> Result<(StorageKey, Backing), Refusal> {
    let name = dev.rsplit('/').next().filter(|name| !name.is_empty()).ok_or_else(|| no_storage(dev))?;
    if dev.starts_with("/backstores/") {
        return Err(no_storage(dev));
    }
    let dev = dev.to_owned();
    Ok(match dev.starts_with("/dev/") {
        true => {
            (StorageKey::new(Plugin::Block, name), Backing::Block { dev, readonly: false, exclusive: true })
        }
        false => (
            StorageKey::new(Plugin::Fileio, name),
            Backing::Fileio { dev, size: 0, write_back: true, aio: false },
        ),
    })
}

fn no_storage(text: &str) -> Refusal {
    Refusal::invalid(format!("{text} is no storage object"))
        .hint("it is written as in /backstores/fileio/disk1")
}

pub(super) fn create_portal(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Portals(tpg) = call.path.clone() else { return call.misplaced() };
    let portal = portal(call)?;
    call.create(vec![Change::CreatePortal { tpg, portal }])
}

pub(super) fn delete_portal(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Portals(tpg) = call.path.clone() else { return call.misplaced() };
    let portal = portal(call)?;
    call.make(vec![Change::DeletePortal { tpg, portal }])
}

fn portal(call: &Call<'_>) -> Result<PortalKey, Refusal> {
    let port = call.args.number("ip_port").unwrap_or(DEFAULT_PORTAL.port);
    match call.args.text("ip_address") {
        Some(address) => PortalKey::parse(address, port),
        None => Ok(PortalKey { port, ..DEFAULT_PORTAL }),
    }
}

pub(super) fn enable_iser(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Portal(tpg, portal) = call.path.clone() else { return call.misplaced() };
    call.make(vec![Change::SetPortal { tpg, portal, iser: call.args.flag("boolean"), offload: None }])
}

pub(super) fn enable_offload(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Portal(tpg, portal) = call.path.clone() else { return call.misplaced() };
    call.make(vec![Change::SetPortal { tpg, portal, iser: None, offload: call.args.flag("boolean") }])
}

pub(super) fn create_acl(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Acls(tpg) = call.path.clone() else { return call.misplaced() };
    let wwn = call.args.required("wwn").to_owned();
    let add_mapped_luns =
        call.args.flag("add_mapped_luns").unwrap_or_else(|| call.prefers("auto_add_mapped_luns"));
    call.create(vec![Change::CreateAcl { tpg, wwn, add_mapped_luns }])
}

pub(super) fn delete_acl(call: &mut Call<'_>) -> Result<String, Refusal> {
    let acls = named(call, "wwn")?;
    call.make(acls.into_iter().map(|acl| Change::DeleteAcl { acl }).collect())
}

pub(super) fn tag(call: &mut Call<'_>) -> Result<String, Refusal> {
    let acls = named(call, "wwn_or_tag")?;
    let tag = call.args.required("new_tag").to_owned();
    call.make(acls.into_iter().map(|acl| Change::TagAcl { acl, tag: tag.clone() }).collect())
}

pub(super) fn untag(call: &mut Call<'_>) -> Result<String, Refusal> {
    let acls = named(call, "wwn_or_tag")?;
    call.make(acls.into_iter().map(|acl| Change::UntagAcl { acl }).collect())
}

/// The ACL of a name, or all with a tag.
fn named(call: &Call<'_>, parameter: &str) -> Result<Vec<AclKey>, Refusal> {
    let Path::Acls(tpg) = &call.path else { return call.misplaced() };
    let name = call.args.required(parameter);
    let acls = call.snapshot.config.tpg(tpg).into_iter().flat_map(|tpg| &tpg.acls);
    let found = acls.filter(|(wwn, acl)| *wwn == name || acl.tag.as_deref() == Some(name));
    let found: Vec<AclKey> = found.map(|(wwn, _)| tpg.acl(wwn.as_str())).collect();
    match found.is_empty() {
        true => {
            Err(Refusal::new(RefusalKind::NotFound, format!("no ACL here has the name or the tag {name}"))
                .hint(format!("`ls {}` shows what there is", call.path)))
        }
        false => Ok(found),
    }
}

pub(super) fn create_mapped_lun(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Acl(acl) = call.path.clone() else { return call.misplaced() };
    let tpg_lun = tpg_lun(call, &acl.tpg)?;
    let write_protect = call.args.flag("write_protect").unwrap_or(false);
    let index = call.args.number("mapped_lun").unwrap_or(0);
    call.create(vec![Change::CreateMappedLun { acl, index, tpg_lun, write_protect, alias: None }])
}

/// The LUN of a number, or the one that leads to a storage object; it is created if there is none.
fn tpg_lun(call: &Call<'_>, tpg: &TpgKey) -> Result<u16, Refusal> {
    let text = call.args.required("tpg_lun_or_backstore");
    if let Ok(number) = text.strip_prefix("lun").unwrap_or(text).parse() {
        return Ok(number);
    }
    let Path::Storage(key) = call.shell.place(&Path::Backstores, text)? else { return Err(no_storage(text)) };
    let luns = call.snapshot.config.tpg(tpg).into_iter().flat_map(|tpg| &tpg.luns);
    let mut leading = luns.filter(|(_, lun)| lun.storage == key).map(|(index, _)| *index);
    leading.next().ok_or_else(|| {
        Refusal::new(RefusalKind::NotFound, format!("no LUN of {tpg} leads to {key}"))
            .hint(format!("`{tpg}/luns create {key}` first"))
    })
}

pub(super) fn write_protect(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::MappedLun(acl, index) = call.path.clone() else { return call.misplaced() };
    let write_protect = call.args.flag("boolean").unwrap_or(false);
    call.make(vec![Change::SetWriteProtect { acl, index, write_protect }])
}
