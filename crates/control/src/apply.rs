//! Changes carried out: all of a list or none of it.
//!
//! A [`Draft`] is a copy of the configuration that changes are made in, one after the other; each finds what the one before
//! has left. When all are made, the whole is checked. Deleting takes along what depends on the deleted thing, and says so.
//!
//! Not here: rules about the whole (`check`), files and sockets.

mod set;
mod storage;
mod target;
#[cfg(test)]
mod tests;

use crate::attr::Value;
use crate::change::Change;
use crate::check;
use crate::config::{Acl, Config, Extra, StorageObject, Target, Tpg};
use crate::facts::{Facts, Generator};
use crate::path::{AclKey, Path, PortalKey, StorageKey, TargetKey, TpgKey};
use crate::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Where a portal group listens unless somebody says where: on all addresses, at iSCSI's port.
pub const DEFAULT_PORTAL: PortalKey = PortalKey { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), port: 3260 };

/// Something that has been done, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// To which object.
    pub path: Path,
    /// A sentence.
    pub says: String,
}

impl Config {
    /// Makes all changes, or says why none is made.
    pub fn apply(&self, changes: &[Change], facts: &Facts) -> Result<(Self, Vec<Done>), Refusal> {
        let (config, done) = self.apply_piecemeal(changes, facts)?;
        let before = check::unfinished(self);
        match check::unfinished(&config).into_iter().find(|half| !before.contains(half)) {
            Some((path, half)) => Err(half.refusal().at(path)),
            None => Ok((config, done)),
        }
    }

    /// As [`apply`](Self::apply), for surfaces where every value is written by itself: what belongs together (a name and its secret) may
    /// come one after the other.
    pub fn apply_piecemeal(&self, changes: &[Change], facts: &Facts) -> Result<(Self, Vec<Done>), Refusal> {
        let mut draft = Draft::new(self.clone(), facts);
        for change in changes {
            draft.make(change)?;
        }
        draft.config.check_since(self)?;
        Ok((draft.config, draft.done))
    }
}

/// A configuration that is being changed.
#[derive(Debug)]
pub(crate) struct Draft<'f> {
    pub(crate) config: Config,
    generator: Generator<'f>,
    done: Vec<Done>,
    /// How many LUNs lead to each storage object; counted when first asked for.
    exports: Option<HashMap<StorageKey, usize>>,
}

impl<'f> Draft<'f> {
    pub(crate) const fn new(config: Config, facts: &'f Facts) -> Self {
        Self { config, generator: Generator::new(facts), done: Vec::new(), exports: None }
    }

    /// One change. After a refusal the draft is good for nothing.
    pub(crate) fn make(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::CreateStorage { storage, backing, wwn } => {
                self.create_storage(storage, backing.clone(), wwn.as_deref())
            }
            Change::DeleteStorage { storage } => self.delete_storage(storage),
            Change::Resize { storage, size } => self.resize(storage, *size),
            Change::SetBacking { storage, backing } => self.set_backing(storage, backing.clone()),
            Change::SetLuGroup { storage, lu_group } => self.set_lu_group(storage, lu_group.clone()),
            Change::CreateLuGroup { name, id } => self.create_lu_group(name, *id),
            Change::NumberLuGroup { name, id } => self.number_lu_group(name, *id),
            Change::DeleteLuGroup { name } => self.delete_lu_group(name),
            Change::CreateAluaGroup { storage, name, tag } => self.create_alua_group(storage, name, *tag),
            Change::DeleteAluaGroup { storage, name } => self.delete_alua_group(storage, name),
            Change::CreateTarget { fabric, wwn, tpg } => self.create_target(fabric, wwn.as_deref(), *tpg),
            Change::DeleteTarget { target } => self.delete_target(target),
            Change::CreateTpg { target, tag, with } => self.create_tpg(target, *tag, *with),
            Change::DeleteTpg { tpg } => self.delete_tpg(tpg),
            Change::EnableTpg { tpg } => self.enable_tpg(tpg),
            Change::DisableTpg { tpg } => self.disable_tpg(tpg),
            Change::SetRtpi { tpg, rtpi } => self.set_rtpi(tpg, *rtpi),
            Change::CreatePortal { tpg, portal } => self.create_portal(tpg, *portal),
            Change::SetPortal { tpg, portal, iser, offload } => {
                self.set_portal(tpg, *portal, *iser, *offload)
            }
            Change::DeletePortal { tpg, portal } => self.delete_portal(tpg, *portal),
            Change::CreateLun { tpg, storage, index, alias, add_mapped_luns } => {
                self.create_lun(tpg, storage, *index, alias.as_deref(), *add_mapped_luns)
            }
            Change::DeleteLun { tpg, index } => self.delete_lun(tpg, *index),
            Change::CreateAcl { tpg, wwn, add_mapped_luns } => self.create_acl(tpg, wwn, *add_mapped_luns),
            Change::DeleteAcl { acl } => self.delete_acl(acl),
            Change::TagAcl { acl, tag } => self.tag_acl(acl, tag),
            Change::UntagAcl { acl } => self.untag_acl(acl),
            Change::CreateMappedLun { acl, index, tpg_lun, write_protect, alias } => {
                self.create_mapped_lun(acl, *index, *tpg_lun, *write_protect, alias.as_deref())
            }
            Change::DeleteMappedLun { acl, index } => self.delete_mapped_lun(acl, *index),
            Change::SetWriteProtect { acl, index, write_protect } => {
                self.write_protect(acl, *index, *write_protect)
            }
            Change::Set { path, group, name, value } => self.set(path, *group, name, value),
            Change::Reset { path, group, name } => self.reset(path, *group, name),
            Change::SetExtra { path, key, value } => self.set_extra(path, key, Some(value.clone())),
            Change::DropExtra { path, key } => self.set_extra(path, key, None),
            Change::Clear => {
                self.config = Config::default();
                self.exports = None;
                self.say(Path::Root, "All configuration cleared.");
                Ok(())
            }
        }
    }

    fn say(&mut self, path: impl Into<Path>, says: impl Into<String>) {
        self.done.push(Done { path: path.into(), says: says.into() });
    }

    /// Whether a LUN leads to a storage object, in time that does not grow with the configuration.
    fn is_exported(&mut self, key: &StorageKey) -> bool {
        let config = &self.config;
        let exports = self.exports.get_or_insert_with(|| {
            let tpgs = config.targets.values().flat_map(|target| target.tpgs.values());
            let mut counts = HashMap::new();
            for lun in tpgs.flat_map(|tpg| tpg.luns.values()) {
                *counts.entry(lun.storage.clone()).or_default() += 1;
            }
            counts
        });
        exports.get(key).is_some_and(|count| *count > 0)
    }

    fn storage_mut(&mut self, key: &StorageKey) -> Result<&mut StorageObject, Refusal> {
        self.config.storage.get_mut(key).map(Arc::make_mut).ok_or_else(|| Refusal::not_found(key))
    }

    fn target_mut(&mut self, key: &TargetKey) -> Result<&mut Target, Refusal> {
        self.config.targets.get_mut(key).map(Arc::make_mut).ok_or_else(|| Refusal::not_found(key))
    }

    fn tpg_mut(&mut self, key: &TpgKey) -> Result<&mut Tpg, Refusal> {
        self.target_mut(&key.target)?.tpgs.get_mut(&key.tag).ok_or_else(|| Refusal::not_found(key))
    }

    fn acl_mut(&mut self, key: &AclKey) -> Result<&mut Acl, Refusal> {
        self.tpg_mut(&key.tpg)?.acls.get_mut(&key.wwn).ok_or_else(|| Refusal::not_found(key))
    }

    fn extra_mut(&mut self, path: &Path) -> Option<&mut Extra> {
        match path {
            Path::Root => Some(&mut self.config.extra),
            Path::Storage(key) => Some(&mut self.storage_mut(key).ok()?.extra),
            Path::AluaGroup(key, name) => {
                Some(&mut self.storage_mut(key).ok()?.alua_groups.get_mut(name)?.extra)
            }
            Path::Fabric(fabric) => Some(&mut self.config.fabrics.entry(fabric.clone()).or_default().extra),
            Path::Target(key) => Some(&mut self.target_mut(key).ok()?.extra),
            Path::Tpg(key) => Some(&mut self.tpg_mut(key).ok()?.extra),
            Path::Lun(key, index) => Some(&mut self.tpg_mut(key).ok()?.luns.get_mut(index)?.extra),
            Path::Portal(key, portal) => Some(&mut self.tpg_mut(key).ok()?.portals.get_mut(portal)?.extra),
            Path::Acl(key) => Some(&mut self.acl_mut(key).ok()?.extra),
            Path::MappedLun(key, index) => {
                Some(&mut self.acl_mut(key).ok()?.mapped_luns.get_mut(index)?.extra)
            }
            Path::Backstores
            | Path::Plugin(_)
            | Path::AluaGroups(_)
            | Path::LuGroups
            | Path::LuGroup(_)
            | Path::Luns(_)
            | Path::Portals(_)
            | Path::Acls(_) => None,
        }
    }

    fn set_extra(&mut self, path: &Path, key: &str, value: Option<serde_json::Value>) -> Result<(), Refusal> {
        let extra = self.extra_mut(path).ok_or_else(|| Refusal::not_found(path.clone()))?;
        let says = if value.is_some() { "is kept as it is" } else { "is dropped" };
        match value {
            Some(value) => extra.insert(key.to_owned(), value),
            None => extra.remove(key),
        };
        self.drop_idle_fabrics();
        self.say(path.clone(), format!("{key} {says}."));
        Ok(())
    }

    /// A fabric is listed only while something of it is set.
    fn drop_idle_fabrics(&mut self) {
        self.config.fabrics.retain(|_, fabric| *fabric != crate::config::FabricConfig::default());
    }
}

/// Stores a value, or nothing where it is the default anyway.
fn store(values: &mut crate::attr::Values, name: &str, value: Value, default: Option<&Value>) {
    if default == Some(&value) {
        values.remove(name);
    } else {
        values.insert(name.to_owned(), value);
    }
}
