//! What is missing, once nothing is in the way.

use crate::attr::{Scope, Value, Values, rows};
use crate::change::{Change, Group, NewTpg};
use crate::config::{
    Acl, AluaGroup, Auth, Backing, Config, Extra, FabricConfig, Identity, Lun, Portal, StorageObject, Target,
    Tpg,
};
use crate::path::{AclKey, Fabric, Path, StorageKey, TargetKey, TpgKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What `from`, of which nothing is in the way, lacks to be `to`.
pub(super) fn changes(from: &Config, to: &Config) -> Vec<Change> {
    let mut plan = Plan::default();
    for (name, wanted) in &to.lu_groups {
        match (from.lu_groups.get(name), wanted.id) {
            (None, id) => plan.push(Change::CreateLuGroup { name: name.clone(), id }),
            (Some(found), Some(id)) if found.id != Some(id) => {
                plan.push(Change::NumberLuGroup { name: name.clone(), id });
            }
            _ => {}
        }
    }
    for (key, wanted) in &to.storage {
        plan.storage(key, from.storage.get(key).map(Arc::as_ref), wanted);
    }
    let fabrics: BTreeSet<&Fabric> = from.fabrics.keys().chain(to.fabrics.keys()).collect();
    let idle = FabricConfig::default();
    for fabric in fabrics {
        plan.fabric(
            fabric,
            from.fabrics.get(fabric).unwrap_or(&idle),
            to.fabrics.get(fabric).unwrap_or(&idle),
        );
    }
    for (key, wanted) in &to.targets {
        plan.target(key, from.targets.get(key).map(Arc::as_ref), wanted);
    }
    plan.extra(Path::Root, &from.extra, &to.extra);
    plan.0
}

#[derive(Default)]
struct Plan(Vec<Change>);

impl Plan {
    fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    fn storage(&mut self, key: &StorageKey, from: Option<&StorageObject>, to: &StorageObject) {
        let storage = || key.clone();
        let made = from.is_none().then(|| StorageObject::new(to.backing.clone(), to.wwn.as_str()));
        let Some(from) = from.or(made.as_ref()) else { return };
        if made.is_some() {
            self.push(Change::CreateStorage {
                storage: storage(),
                backing: to.backing.clone(),
                wwn: chosen(&to.wwn),
            });
        } else if from.backing != to.backing {
            self.push(match to.backing.size() {
                Some(size) if resized(&from.backing, size) == to.backing => {
                    Change::Resize { storage: storage(), size }
                }
                _ => Change::SetBacking { storage: storage(), backing: to.backing.clone() },
            });
        }
        let path = Path::from(key);
        self.identity(&path, from, to);
        self.values(&path, Group::Attribute, Scope::Storage, &from.attributes, &to.attributes);
        for (name, wanted) in &to.alua_groups {
            self.alua_group(key, name, from.alua_groups.get(name), wanted);
        }
        if from.lu_group != to.lu_group {
            self.push(Change::SetLuGroup { storage: storage(), lu_group: to.lu_group.clone() });
        }
        self.extra(path, &from.extra, &to.extra);
    }

    fn identity(&mut self, path: &Path, from: &StorageObject, to: &StorageObject) {
        let of = |object: &StorageObject| {
            let Identity { vendor, product, revision, company_id } = object.identity.clone();
            let serial = Some(object.wwn.clone());
            [company_id.map(|id| id.to_string()), product, revision, vendor, serial]
        };
        for ((row, from), to) in rows(Scope::Identity).iter().zip(of(from)).zip(of(to)) {
            if from != to {
                self.set(path, Group::Identity, row.name, to);
            }
        }
    }

    fn alua_group(&mut self, key: &StorageKey, name: &str, from: Option<&AluaGroup>, to: &AluaGroup) {
        let path = Path::AluaGroup(key.clone(), name.to_owned());
        let made = AluaGroup { tag: to.tag, ..AluaGroup::default() };
        if from.is_none() {
            self.push(Change::CreateAluaGroup { storage: key.clone(), name: name.to_owned(), tag: to.tag });
        }
        let from = from.unwrap_or(&made);
        if from.tag != to.tag {
            self.set(&path, Group::Alua, "tg_pt_gp_id", to.tag.map(|tag| tag.to_string()));
        }
        self.values(&path, Group::Alua, Scope::Alua, &from.parameters, &to.parameters);
        self.extra(path, &from.extra, &to.extra);
    }

    fn fabric(&mut self, fabric: &Fabric, from: &FabricConfig, to: &FabricConfig) {
        let path = Path::Fabric(fabric.clone());
        if from.discovery.enable != to.discovery.enable {
            let value = Value::Number(i64::from(to.discovery.enable)).to_string();
            self.set(&path, Group::DiscoveryAuth, "enable", Some(value));
        }
        self.auth(&path, Group::DiscoveryAuth, &from.discovery.auth, &to.discovery.auth);
        self.extra(path, &from.extra, &to.extra);
    }

    fn target(&mut self, key: &TargetKey, from: Option<&Target>, to: &Target) {
        let nothing = Target::default();
        if from.is_none() {
            self.push(Change::CreateTarget {
                fabric: key.fabric.clone(),
                wwn: Some(key.wwn.clone()),
                tpg: None,
            });
        }
        let from = from.unwrap_or(&nothing);
        for (tag, wanted) in &to.tpgs {
            self.tpg(&key.tpg(*tag), from.tpgs.get(tag), wanted);
        }
        self.extra(key.into(), &from.extra, &to.extra);
    }

    fn tpg(&mut self, key: &TpgKey, from: Option<&Tpg>, to: &Tpg) {
        let (path, nothing) = (Path::from(key), Tpg::default());
        if from.is_none() {
            self.push(Change::CreateTpg {
                target: key.target.clone(),
                tag: Some(key.tag),
                with: NewTpg::default(),
            });
        }
        let from = from.unwrap_or(&nothing);
        if from.rtpi != to.rtpi {
            self.push(Change::SetRtpi { tpg: key.clone(), rtpi: to.rtpi });
        }
        self.values(&path, Group::Attribute, Scope::Tpg, &from.attributes, &to.attributes);
        self.values(&path, Group::Parameter, Scope::Parameter, &from.parameters, &to.parameters);
        self.auth(&path, Group::Auth, &from.auth, &to.auth);
        for (index, wanted) in &to.luns {
            self.lun(key, *index, from.luns.get(index), wanted);
        }
        for (wwn, wanted) in &to.acls {
            self.acl(&key.acl(wwn.as_str()), from.acls.get(wwn), wanted);
        }
        for (portal, wanted) in &to.portals {
            let idle = Portal::default();
            if !from.portals.contains_key(portal) {
                self.push(Change::CreatePortal { tpg: key.clone(), portal: *portal });
            }
            let found = from.portals.get(portal).unwrap_or(&idle);
            if (found.iser, found.offload) != (wanted.iser, wanted.offload) {
                let (iser, offload) = (Some(wanted.iser), Some(wanted.offload));
                self.push(Change::SetPortal { tpg: key.clone(), portal: *portal, iser, offload });
            }
            self.extra(Path::Portal(key.clone(), *portal), &found.extra, &wanted.extra);
        }
        self.extra(path, &from.extra, &to.extra);
        // Last, so that nobody logs in to half of it.
        if to.enable && !from.enable {
            self.push(Change::EnableTpg { tpg: key.clone() });
        }
    }

    fn lun(&mut self, key: &TpgKey, index: u16, from: Option<&Lun>, to: &Lun) {
        let path = Path::Lun(key.clone(), index);
        if from.is_none() {
            self.push(Change::CreateLun {
                tpg: key.clone(),
                storage: to.storage.clone(),
                index: Some(index),
                alias: chosen(&to.alias),
                add_mapped_luns: false,
            });
        }
        if from.and_then(|lun| lun.alua_group.as_ref()) != to.alua_group.as_ref() {
            self.set(&path, Group::Alua, "alua_tg_pt_gp_name", to.alua_group.clone());
        }
        self.extra(path, from.map_or(&Extra::new(), |lun| &lun.extra), &to.extra);
    }

    fn acl(&mut self, key: &AclKey, from: Option<&Acl>, to: &Acl) {
        let (path, nothing) = (Path::from(key), Acl::default());
        if from.is_none() {
            self.push(Change::CreateAcl {
                tpg: key.tpg.clone(),
                wwn: key.wwn.clone(),
                add_mapped_luns: false,
            });
        }
        let from = from.unwrap_or(&nothing);
        match &to.tag {
            tag if *tag == from.tag => {}
            Some(tag) => self.push(Change::TagAcl { acl: key.clone(), tag: tag.clone() }),
            None => self.push(Change::UntagAcl { acl: key.clone() }),
        }
        self.values(&path, Group::Attribute, Scope::Acl, &from.attributes, &to.attributes);
        self.auth(&path, Group::Auth, &from.auth, &to.auth);
        for (index, wanted) in &to.mapped_luns {
            let found = from.mapped_luns.get(index);
            let (acl, index, write_protect) = (key.clone(), *index, wanted.write_protect);
            let path = Path::MappedLun(acl.clone(), index);
            match found {
                Some(found) if found.write_protect == write_protect => {}
                Some(_) => self.push(Change::SetWriteProtect { acl, index, write_protect }),
                None => {
                    let (tpg_lun, alias) = (wanted.tpg_lun, chosen(&wanted.alias));
                    self.push(Change::CreateMappedLun { acl, index, tpg_lun, write_protect, alias });
                }
            }
            self.extra(path, found.map_or(&Extra::new(), |mapped| &mapped.extra), &wanted.extra);
        }
        self.extra(path, &from.extra, &to.extra);
    }

    fn values(&mut self, path: &Path, group: Group, scope: Scope, from: &Values, to: &Values) {
        for row in rows(scope) {
            let wanted = to.get(row.name);
            if from.get(row.name) != wanted {
                self.set(path, group, row.name, wanted.map(ToString::to_string));
            }
        }
    }

    fn auth(&mut self, path: &Path, group: Group, from: &Auth, to: &Auth) {
        for row in rows(Scope::Auth) {
            let wanted = to.get(row.name);
            if from.get(row.name) != wanted {
                self.set(
                    path,
                    group,
                    row.name,
                    wanted.filter(|text| !text.is_empty()).map(ToOwned::to_owned),
                );
            }
        }
    }

    fn set(&mut self, path: &Path, group: Group, name: &str, value: Option<String>) {
        let (path, name) = (path.clone(), name.to_owned());
        self.push(match value {
            Some(value) => Change::Set { path, group, name, value },
            None => Change::Reset { path, group, name },
        });
    }

    fn extra(&mut self, path: Path, from: &Extra, to: &Extra) {
        let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        for key in keys.into_iter().filter(|key| from.get(*key) != to.get(*key)) {
            let (path, key) = (path.clone(), key.clone());
            self.push(match to.get(&key).cloned() {
                Some(value) => Change::SetExtra { path, key, value },
                None => Change::DropExtra { path, key },
            });
        }
    }
}

/// A serial number or the name of a link, unless it is to be made.
fn chosen(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

/// The same blocks, more or fewer.
fn resized(backing: &Backing, new: u64) -> Backing {
    let mut backing = backing.clone();
    if let Backing::Fileio { size, .. } | Backing::Ramdisk { size, .. } | Backing::Null { size } =
        &mut backing
    {
        *size = new;
    }
    backing
}
