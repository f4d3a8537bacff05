//! Changes of targets and of what is in them.

use super::{DEFAULT_PORTAL, Draft};
use crate::attr::Value;
use crate::change::NewTpg;
use crate::check::{initiator_name, target_name};
use crate::config::{Acl, Extra, Lun, MappedLun, Portal, Tpg};
use crate::path::{AclKey, Fabric, Path, PortalKey, StorageKey, TargetKey, TpgKey};
use crate::refusal::{Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Draft<'_> {
    pub(super) fn create_target(
        &mut self,
        fabric: &Fabric,
        wwn: Option<&str>,
        tpg: Option<NewTpg>,
    ) -> Result<(), Refusal> {
        let wwn = match (wwn, fabric) {
            (Some(wwn), _) => target_name(fabric, wwn)?,
            (None, Fabric::Iscsi) => self.generator.target(&self.config),
            (None, Fabric::Other(_)) => {
                return Err(Refusal::invalid(format!("a target of {fabric} needs a name"))
                    .at(Path::Fabric(fabric.clone())));
            }
        };
        let key = TargetKey { fabric: fabric.clone(), wwn };
        if self.config.targets.contains_key(&key) {
            return Err(Refusal::exists(&key));
        }
        self.config.targets.insert(key.clone(), Arc::default());
        self.say(&key, format!("Created target {}.", key.wwn));
        match tpg {
            Some(with) => self.create_tpg(&key, Some(1), with),
            None => Ok(()),
        }
    }

    pub(super) fn delete_target(&mut self, key: &TargetKey) -> Result<(), Refusal> {
        if self.config.targets.remove(key).is_none() {
            return Err(Refusal::not_found(key));
        }
        self.exports = None;
        self.say(key, format!("Deleted Target {}.", key.wwn));
        Ok(())
    }

    pub(super) fn create_tpg(
        &mut self,
        target: &TargetKey,
        tag: Option<u16>,
        with: NewTpg,
    ) -> Result<(), Refusal> {
        let tpgs = &mut self.target_mut(target)?.tpgs;
        let tag = match tag {
            Some(tag) => tag,
            None => free(1, tpgs).ok_or_else(|| full(target, "portal groups"))?,
        };
        let key = target.tpg(tag);
        if tpgs.contains_key(&tag) {
            return Err(Refusal::exists(&key));
        }
        let mut tpg = Tpg { enable: with.enable, ..Tpg::default() };
        if with.open {
            tpg.attributes.insert("authentication".to_owned(), Value::Number(0));
        }
        tpgs.insert(tag, tpg);
        self.say(&key, format!("Created TPG {tag}."));
        if with.default_portal {
            self.create_portal(&key, DEFAULT_PORTAL)?;
        }
        Ok(())
    }

    pub(super) fn delete_tpg(&mut self, key: &TpgKey) -> Result<(), Refusal> {
        if self.target_mut(&key.target)?.tpgs.remove(&key.tag).is_none() {
            return Err(Refusal::not_found(key));
        }
        self.exports = None;
        self.say(key, format!("Deleted TPG {}.", key.tag));
        Ok(())
    }

    pub(super) fn enable_tpg(&mut self, key: &TpgKey) -> Result<(), Refusal> {
        let was = core::mem::replace(&mut self.tpg_mut(key)?.enable, true);
        self.say(key, if was { "The TPG is enabled already." } else { "The TPG has been enabled." });
        Ok(())
    }

    pub(super) fn disable_tpg(&mut self, key: &TpgKey) -> Result<(), Refusal> {
        let was = core::mem::replace(&mut self.tpg_mut(key)?.enable, false);
        self.say(key, if was { "The TPG has been disabled." } else { "The TPG is disabled already." });
        Ok(())
    }

    pub(super) fn set_rtpi(&mut self, key: &TpgKey, rtpi: Option<u16>) -> Result<(), Refusal> {
        let tpg = self.tpg_mut(key)?;
        if tpg.enable {
            return Err(Refusal::new(
                Kind::Busy,
                "the relative target port identifier is fixed while the TPG is enabled",
            )
            .hint(format!("`{key} disable` first"))
            .at(key));
        }
        tpg.rtpi = rtpi;
        let says = match rtpi {
            Some(rtpi) => format!("The relative target port identifier is now {rtpi}."),
            None => "The relative target port identifier is chosen by felio.".to_owned(),
        };
        self.say(key, says);
        Ok(())
    }

    pub(super) fn create_portal(&mut self, key: &TpgKey, portal: PortalKey) -> Result<(), Refusal> {
        let path = Path::Portal(key.clone(), portal);
        let tpg = self.tpg_mut(key)?;
        if tpg.portals.contains_key(&portal) {
            return Err(Refusal::exists(path));
        }
        tpg.portals.insert(portal, Portal::default());
        self.say(path, format!("Created network portal {portal}."));
        Ok(())
    }

    pub(super) fn set_portal(
        &mut self,
        key: &TpgKey,
        portal: PortalKey,
        iser: Option<bool>,
        offload: Option<bool>,
    ) -> Result<(), Refusal> {
        let path = Path::Portal(key.clone(), portal);
        let Some(found) = self.tpg_mut(key)?.portals.get_mut(&portal) else {
            return Err(Refusal::not_found(path));
        };
        found.iser = iser.unwrap_or(found.iser);
        found.offload = offload.unwrap_or(found.offload);
        let says = format!("Portal {portal}: iser is {}, offload is {}.", found.iser, found.offload);
        self.say(path, says);
        Ok(())
    }

    pub(super) fn delete_portal(&mut self, key: &TpgKey, portal: PortalKey) -> Result<(), Refusal> {
        let path = Path::Portal(key.clone(), portal);
        if self.tpg_mut(key)?.portals.remove(&portal).is_none() {
            return Err(Refusal::not_found(path));
        }
        self.say(path, format!("Deleted network portal {portal}."));
        Ok(())
    }

    pub(super) fn create_lun(
        &mut self,
        key: &TpgKey,
        storage: &StorageKey,
        index: Option<u16>,
        alias: Option<&str>,
        map: bool,
    ) -> Result<(), Refusal> {
        if !self.config.storage.contains_key(storage) {
            return Err(Refusal::not_found(storage));
        }
        let alias = alias.map_or_else(|| self.generator.alias(), ToOwned::to_owned);
        let tpg = self.tpg_mut(key)?;
        let index = match index {
            Some(index) => index,
            None => free(0, &tpg.luns).ok_or_else(|| full(key, "LUNs"))?,
        };
        if tpg.luns.contains_key(&index) {
            return Err(Refusal::exists(Path::Lun(key.clone(), index))
                .hint("leave the number out to get the first free one"));
        }
        tpg.luns
            .insert(index, Lun { storage: storage.clone(), alias, alua_group: None, extra: Extra::new() });
        let acls: Vec<AclKey> = tpg.acls.keys().map(|wwn| key.acl(wwn.as_str())).collect();
        if let Some(exports) = &mut self.exports {
            *exports.entry(storage.clone()).or_default() += 1;
        }
        self.say(Path::Lun(key.clone(), index), format!("Created LUN {index}."));
        for acl in acls.iter().filter(|_| map) {
            self.map(acl, index)?;
        }
        Ok(())
    }

    pub(super) fn delete_lun(&mut self, key: &TpgKey, index: u16) -> Result<(), Refusal> {
        let tpg = self.tpg_mut(key)?;
        let Some(lun) = tpg.luns.remove(&index) else {
            return Err(Refusal::not_found(Path::Lun(key.clone(), index)));
        };
        let mut gone = Vec::new();
        for (wwn, acl) in &mut tpg.acls {
            let mapped = acl.mapped_luns.extract_if(.., |_, mapped| mapped.tpg_lun == index);
            gone.extend(mapped.map(|(number, _)| Path::MappedLun(key.acl(wwn.as_str()), number)));
        }
        if let Some(count) = self.exports.as_mut().and_then(|exports| exports.get_mut(&lun.storage)) {
            *count -= 1;
        }
        for path in gone {
            let says = format!("Deleted Mapped LUN {}.", path.name().trim_start_matches("mapped_lun"));
            self.say(path, says);
        }
        self.say(Path::Lun(key.clone(), index), format!("Deleted LUN {index}."));
        Ok(())
    }

    pub(super) fn create_acl(&mut self, tpg: &TpgKey, wwn: &str, map: bool) -> Result<(), Refusal> {
        let key = tpg.acl(initiator_name(&tpg.target.fabric, wwn)?);
        let group = self.tpg_mut(tpg)?;
        if group.acls.contains_key(&key.wwn) {
            return Err(Refusal::exists(&key));
        }
        group.acls.insert(key.wwn.clone(), Acl::default());
        let luns: Vec<u16> = group.luns.keys().copied().collect();
        self.say(&key, format!("Created Node ACL for {}.", key.wwn));
        for index in luns.into_iter().filter(|_| map) {
            self.map(&key, index)?;
        }
        Ok(())
    }

    pub(super) fn delete_acl(&mut self, key: &AclKey) -> Result<(), Refusal> {
        if self.tpg_mut(&key.tpg)?.acls.remove(&key.wwn).is_none() {
            return Err(Refusal::not_found(key));
        }
        self.say(key, format!("Deleted Node ACL {}.", key.wwn));
        Ok(())
    }

    pub(super) fn tag_acl(&mut self, key: &AclKey, tag: &str) -> Result<(), Refusal> {
        let bad =
            tag.is_empty() || tag.len() > TAG_BYTES_MAX || tag.chars().any(|c| c.is_control() || c == '/');
        if bad {
            return Err(
                Refusal::invalid(format!("a tag has 1 to {TAG_BYTES_MAX} bytes and no slash")).at(key)
            );
        }
        self.acl_mut(key)?.tag = Some(tag.to_owned());
        self.say(key, format!("{} is tagged {tag}.", key.wwn));
        Ok(())
    }

    pub(super) fn untag_acl(&mut self, key: &AclKey) -> Result<(), Refusal> {
        self.acl_mut(key)?.tag = None;
        self.say(key, format!("{} has no tag.", key.wwn));
        Ok(())
    }

    pub(super) fn create_mapped_lun(
        &mut self,
        key: &AclKey,
        index: u16,
        tpg_lun: u16,
        write_protect: bool,
        alias: Option<&str>,
    ) -> Result<(), Refusal> {
        if !self.tpg_mut(&key.tpg)?.luns.contains_key(&tpg_lun) {
            return Err(Refusal::not_found(Path::Lun(key.tpg.clone(), tpg_lun)));
        }
        let alias = alias.map_or_else(|| self.generator.alias(), ToOwned::to_owned);
        let path = Path::MappedLun(key.clone(), index);
        let mapped = &mut self.acl_mut(key)?.mapped_luns;
        if mapped.contains_key(&index) {
            return Err(Refusal::exists(path));
        }
        mapped.insert(index, MappedLun { tpg_lun, write_protect, alias, extra: Extra::new() });
        self.say(path, format!("Created LUN {tpg_lun}->{index} mapping in node ACL {}.", key.wwn));
        Ok(())
    }

    pub(super) fn delete_mapped_lun(&mut self, key: &AclKey, index: u16) -> Result<(), Refusal> {
        let path = Path::MappedLun(key.clone(), index);
        if self.acl_mut(key)?.mapped_luns.remove(&index).is_none() {
            return Err(Refusal::not_found(path));
        }
        self.say(path, format!("Deleted Mapped LUN {index}."));
        Ok(())
    }

    pub(super) fn write_protect(&mut self, key: &AclKey, index: u16, protect: bool) -> Result<(), Refusal> {
        let path = Path::MappedLun(key.clone(), index);
        let Some(mapped) = self.acl_mut(key)?.mapped_luns.get_mut(&index) else {
            return Err(Refusal::not_found(path));
        };
        mapped.write_protect = protect;
        self.say(
            path,
            if protect { "The initiator may only read." } else { "The initiator may read and write." },
        );
        Ok(())
    }

    /// Shows a LUN under its own number, or the first free one where that is taken.
    fn map(&mut self, key: &AclKey, lun: u16) -> Result<(), Refusal> {
        let mapped = &self.acl_mut(key)?.mapped_luns;
        let index = if mapped.contains_key(&lun) { free(0, mapped) } else { Some(lun) };
        let index = index.ok_or_else(|| full(key, "mapped LUNs"))?;
        self.create_mapped_lun(key, index, lun, false, None)
    }
}

/// The longest tag of a node ACL.
const TAG_BYTES_MAX: usize = 63;

/// The first number that is not taken.
fn free<T>(from: u16, taken: &BTreeMap<u16, T>) -> Option<u16> {
    (from..=u16::MAX).find(|number| !taken.contains_key(number))
}

fn full(path: impl Into<Path>, what: &str) -> Refusal {
    let path = path.into();
    Refusal::new(Kind::TooMany, format!("{path} has all the {what} that it can have")).at(path)
}
