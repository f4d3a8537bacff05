//! What a file leaves open, and felio or somebody else has chosen since.

use crate::config::{Config, Lun, MappedLun, StorageObject, Tpg};
use std::sync::Arc;

/// `wanted`, with what it leaves open (serial numbers, numbers of ports and groups, names of links) as `from` has it. Without this, whoever
/// applies a file written by hand would see disks and ports become others.
#[must_use]
pub fn settled(from: &Config, mut wanted: Config) -> Config {
    for (name, group) in &mut wanted.lu_groups {
        keep(&mut group.id, from.lu_groups.get(name).and_then(|found| found.id));
    }
    for (key, object) in &mut wanted.storage {
        if let Some(found) = from.storage.get(key) {
            settle_storage(found, Arc::make_mut(object));
        }
    }
    for (key, target) in &mut wanted.targets {
        for (tag, tpg) in &mut Arc::make_mut(target).tpgs {
            if let Some(found) = from.tpg(&key.tpg(*tag)) {
                settle_tpg(found, tpg);
            }
        }
    }
    wanted
}

fn settle_storage(from: &StorageObject, wanted: &mut StorageObject) {
    if wanted.wwn.is_empty() && wanted.backing.is_emulated() {
        wanted.wwn.clone_from(&from.wwn);
    }
    for (name, group) in &mut wanted.alua_groups {
        keep(&mut group.tag, from.alua_groups.get(name).and_then(|found| found.tag));
    }
}

fn settle_tpg(from: &Tpg, wanted: &mut Tpg) {
    keep(&mut wanted.rtpi, from.rtpi);
    for (index, lun) in &mut wanted.luns {
        let same = |found: &&Lun| found.storage == lun.storage;
        keep_name(&mut lun.alias, from.luns.get(index).filter(same).map(|found| &found.alias));
    }
    for (wwn, acl) in &mut wanted.acls {
        let Some(found) = from.acls.get(wwn) else { continue };
        for (index, mapped) in &mut acl.mapped_luns {
            let same = |found: &&MappedLun| found.tpg_lun == mapped.tpg_lun;
            keep_name(&mut mapped.alias, found.mapped_luns.get(index).filter(same).map(|found| &found.alias));
        }
    }
}

fn keep<T>(wanted: &mut Option<T>, found: Option<T>) {
    if wanted.is_none() {
        *wanted = found;
    }
}

fn keep_name(wanted: &mut String, found: Option<&String>) {
    if let Some(found) = found.filter(|_| wanted.is_empty()) {
        wanted.clone_from(found);
    }
}
