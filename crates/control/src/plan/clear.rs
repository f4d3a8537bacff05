//! What must go first.

use crate::attr::{Attr, Scope, Values, When};
use crate::change::Change;
use crate::config::{AluaGroup, Config, DEFAULT_GROUP, LuGroup, Lun, MappedLun, StorageObject, Tpg};
use crate::path::{StorageKey, TpgKey};

/// What of `from` is in the way of `to`.
pub(super) fn changes(from: &Config, to: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, target) in &from.targets {
        let Some(wanted) = to.targets.get(key) else {
            changes.push(Change::DeleteTarget { target: key.clone() });
            continue;
        };
        for (tag, tpg) in &target.tpgs {
            let key = key.tpg(*tag);
            match wanted.tpgs.get(tag) {
                Some(wanted) => clear_tpg(&key, tpg, wanted, from, to, &mut changes),
                None => changes.push(Change::DeleteTpg { tpg: key }),
            }
        }
    }
    for (key, object) in &from.storage {
        match to.storage.get(key).filter(|wanted| !must_be_new(object, wanted)) {
            Some(wanted) => clear_storage(key, object, wanted, from, to, &mut changes),
            None => changes.push(Change::DeleteStorage { storage: key.clone() }),
        }
    }
    let groups = from.lu_groups.iter().filter(|(name, group)| !group_stays(name, group, to));
    changes.extend(groups.map(|(name, _)| Change::DeleteLuGroup { name: name.clone() }));
    changes
}

fn clear_tpg(key: &TpgKey, tpg: &Tpg, wanted: &Tpg, from: &Config, to: &Config, changes: &mut Vec<Change>) {
    if tpg.enable && (!wanted.enable || tpg.rtpi != wanted.rtpi) {
        changes.push(Change::DisableTpg { tpg: key.clone() });
    }
    for (wwn, acl) in &tpg.acls {
        let key = key.acl(wwn.as_str());
        let Some(wanted) = wanted.acls.get(wwn) else {
            changes.push(Change::DeleteAcl { acl: key });
            continue;
        };
        let stays = |index: &u16, mapped: &MappedLun| {
            wanted
                .mapped_luns
                .get(index)
                .is_some_and(|w| (w.tpg_lun, &w.alias) == (mapped.tpg_lun, &mapped.alias))
        };
        let gone = acl.mapped_luns.iter().filter(|(index, mapped)| !stays(index, mapped));
        changes.extend(gone.map(|(index, _)| Change::DeleteMappedLun { acl: key.clone(), index: *index }));
    }
    let stays = |index: &u16, lun: &Lun| {
        let same =
            wanted.luns.get(index).is_some_and(|w| (&w.storage, &w.alias) == (&lun.storage, &lun.alias));
        same && !must_be_hidden(&lun.storage, from, to)
    };
    let gone = tpg.luns.iter().filter(|(index, lun)| !stays(index, lun));
    changes.extend(gone.map(|(index, _)| Change::DeleteLun { tpg: key.clone(), index: *index }));
    let gone = tpg.portals.keys().filter(|portal| !wanted.portals.contains_key(portal));
    changes.extend(gone.map(|portal| Change::DeletePortal { tpg: key.clone(), portal: *portal }));
}

fn clear_storage(
    key: &StorageKey,
    object: &StorageObject,
    wanted: &StorageObject,
    from: &Config,
    to: &Config,
    changes: &mut Vec<Change>,
) {
    let stays = |name: &String, group: &AluaGroup| {
        let tag = wanted.alua_groups.get(name).map(|wanted| wanted.tag);
        name == DEFAULT_GROUP || tag.is_some_and(|tag| group.tag.is_none() || group.tag == tag)
    };
    let gone = object.alua_groups.iter().filter(|(name, group)| !stays(name, group));
    changes
        .extend(gone.map(|(name, _)| Change::DeleteAluaGroup { storage: key.clone(), name: name.clone() }));
    let Some(name) = &object.lu_group else { return };
    let kept = from.lu_groups.get(name).is_some_and(|group| group_stays(name, group, to));
    if wanted.lu_group.as_ref() != Some(name) || !kept {
        changes.push(Change::SetLuGroup { storage: key.clone(), lu_group: None });
    }
}

/// A number is given once.
fn group_stays(name: &str, group: &LuGroup, to: &Config) -> bool {
    to.lu_groups.get(name).is_some_and(|wanted| group.id.is_none() || group.id == wanted.id)
}

/// Whether one cannot become the other at all.
fn must_be_new(object: &StorageObject, wanted: &StorageObject) -> bool {
    object.backing.plugin() != wanted.backing.plugin()
}

/// Whether what differs of a storage object may not change while LUNs lead to it.
fn must_be_hidden(key: &StorageKey, from: &Config, to: &Config) -> bool {
    let (Some(object), Some(wanted)) = (from.storage.get(key), to.storage.get(key)) else { return true };
    let fixed = |values: &Values| -> Values {
        let rows = values.iter().filter(|(name, _)| {
            Attr::find(Scope::Storage, name).is_some_and(|row| row.when == When::WhileNotExported)
        });
        rows.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    must_be_new(object, wanted)
        || (&object.wwn, &object.identity) != (&wanted.wwn, &wanted.identity)
        || fixed(&object.attributes) != fixed(&wanted.attributes)
}
