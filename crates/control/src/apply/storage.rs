//! Changes of storage objects and of groups of them.

use super::Draft;
use crate::attr::{Scope, rows};
use crate::config::{AluaGroup, Backing, DEFAULT_GROUP, LuGroup, StorageObject};
use crate::key::component;
use crate::path::{Path, StorageKey};
use crate::refusal::{Kind, Refusal};

impl Draft<'_> {
    pub(super) fn create_storage(
        &mut self,
        key: &StorageKey,
        backing: Backing,
        wwn: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.config.storage.contains_key(key) {
            return Err(Refusal::exists(key).hint("choose another name, or delete it first"));
        }
        let wwn = match wwn {
            Some(wwn) => wwn.to_owned(),
            None if backing.is_emulated() => self.generator.serial(),
            None => String::new(),
        };
        let size = backing.size().map(|size| format!(" with size {size}")).unwrap_or_default();
        let of = backing.dev().map(|dev| format!(" using {dev}")).unwrap_or_default();
        self.say(key, format!("Created {} storage object {}{of}{size}.", key.plugin, key.name));
        self.config.storage.insert(key.clone(), StorageObject::new(backing, wwn).into());
        Ok(())
    }

    pub(super) fn delete_storage(&mut self, key: &StorageKey) -> Result<(), Refusal> {
        if !self.config.storage.contains_key(key) {
            return Err(Refusal::not_found(key));
        }
        let luns: Vec<_> =
            if self.is_exported(key) { self.config.luns_of(key).collect() } else { Vec::new() };
        for (tpg, index) in luns {
            self.delete_lun(&tpg, index)?;
        }
        self.config.storage.remove(key);
        self.say(key, format!("Deleted storage object {}.", key.name));
        Ok(())
    }

    pub(super) fn resize(&mut self, key: &StorageKey, new: u64) -> Result<(), Refusal> {
        let object = self.storage_mut(key)?;
        match &mut object.backing {
            Backing::Fileio { size, .. } | Backing::Ramdisk { size, .. } | Backing::Null { size } => {
                *size = new
            }
            Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => {
                return Err(Refusal::new(Kind::NotSupported, format!("the size of {key} is its device's"))
                    .hint("resize the device; felio notices")
                    .at(key));
            }
        }
        self.say(key, format!("{} now has {new} bytes.", key.name));
        Ok(())
    }

    pub(super) fn set_backing(&mut self, key: &StorageKey, backing: Backing) -> Result<(), Refusal> {
        let object = self.storage_mut(key)?;
        if object.backing.plugin() != backing.plugin() {
            return Err(Refusal::new(
                Kind::NotSupported,
                format!("{key} cannot become one of another plugin"),
            )
            .at(key));
        }
        // What was set may be the default from now on.
        object.attributes.retain(|name, value| {
            let row = rows(Scope::Storage).iter().find(|row| row.name == name.as_str());
            row.and_then(|row| row.default_of(Some(&backing))).as_ref() != Some(value)
        });
        let place = backing.dev().unwrap_or("what is said").to_owned();
        object.backing = backing;
        self.say(key, format!("{} now uses {place}.", key.name));
        Ok(())
    }

    pub(super) fn set_lu_group(&mut self, key: &StorageKey, group: Option<String>) -> Result<(), Refusal> {
        let says = match &group {
            Some(name) if !self.config.lu_groups.contains_key(name) => {
                return Err(Refusal::not_found(Path::LuGroup(name.clone())));
            }
            Some(name) => format!("{} is in the logical unit group {name}.", key.name),
            None => format!("{} is in no logical unit group.", key.name),
        };
        self.storage_mut(key)?.lu_group = group;
        self.say(key, says);
        Ok(())
    }

    pub(super) fn create_lu_group(&mut self, name: &str, id: Option<u16>) -> Result<(), Refusal> {
        let path = Path::LuGroup(component("group", name)?);
        if self.config.lu_groups.contains_key(name) {
            return Err(Refusal::exists(path));
        }
        self.config.lu_groups.insert(name.to_owned(), LuGroup { id });
        self.say(path, format!("Created logical unit group {name}."));
        Ok(())
    }

    pub(super) fn number_lu_group(&mut self, name: &str, id: u16) -> Result<(), Refusal> {
        let path = Path::LuGroup(name.to_owned());
        let Some(group) = self.config.lu_groups.get_mut(name) else { return Err(Refusal::not_found(path)) };
        if group.id.is_some_and(|had| had != id) {
            return Err(Refusal::invalid(format!("{path} has a number already")).at(path));
        }
        group.id = Some(id);
        self.say(path, format!("Logical unit group {name} has number {id}."));
        Ok(())
    }

    pub(super) fn delete_lu_group(&mut self, name: &str) -> Result<(), Refusal> {
        let path = Path::LuGroup(name.to_owned());
        if let Some((member, _)) =
            self.config.storage.iter().find(|(_, object)| object.lu_group.as_deref() == Some(name))
        {
            return Err(Refusal::new(Kind::InUse, format!("{member} is in {path}")).at(path));
        }
        if self.config.lu_groups.remove(name).is_none() {
            return Err(Refusal::not_found(path));
        }
        self.say(path, format!("Deleted logical unit group {name}."));
        Ok(())
    }

    pub(super) fn create_alua_group(
        &mut self,
        key: &StorageKey,
        name: &str,
        tag: Option<u16>,
    ) -> Result<(), Refusal> {
        let path = Path::AluaGroup(key.clone(), component("group", name)?);
        let object = self.storage_mut(key)?;
        if !object.backing.is_emulated() {
            return Err(
                Refusal::new(Kind::NotSupported, format!("ALUA of {key} is its device's business")).at(key)
            );
        }
        if object.alua_groups.contains_key(name) {
            return Err(Refusal::exists(path));
        }
        object.alua_groups.insert(name.to_owned(), AluaGroup { tag, ..AluaGroup::default() });
        self.say(path, format!("Created target port group {name}."));
        Ok(())
    }

    pub(super) fn delete_alua_group(&mut self, key: &StorageKey, name: &str) -> Result<(), Refusal> {
        let path = Path::AluaGroup(key.clone(), name.to_owned());
        if name == DEFAULT_GROUP {
            return Err(Refusal::new(Kind::NotSupported, "the default group cannot be deleted").at(path));
        }
        if self.storage_mut(key)?.alua_groups.remove(name).is_none() {
            return Err(Refusal::not_found(path));
        }
        let members: Vec<_> = self.config.luns_of(key).collect();
        for (tpg, index) in members {
            let Some(lun) = self.tpg_mut(&tpg)?.luns.get_mut(&index) else { continue };
            if lun.alua_group.as_deref() == Some(name) {
                lun.alua_group = None;
                self.say(Path::Lun(tpg, index), format!("LUN {index} is in {DEFAULT_GROUP} again."));
            }
        }
        self.say(path, format!("Deleted target port group {name}."));
        Ok(())
    }
}
