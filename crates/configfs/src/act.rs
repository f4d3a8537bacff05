//! Making and removing folders and links.

use crate::View;
use crate::device::{Device, Hba, decimal};
use crate::place::{Node, Place, has_fabric, is_fixed};
use crate::tree::{Errno, Memo, Step, Tree};
use felio_control::{Change, Config, DEFAULT_GROUP, Fabric, NewTpg, PortalKey, TpgKey};
use std::net::SocketAddr;

impl Tree {
    /// Makes a folder.
    pub fn make_folder(&self, view: View<'_>, path: &str) -> Result<Step, Errno> {
        let (place, name) = self.above(view, path)?;
        if name.is_empty() || place.child(self, view, name).is_some() {
            return Err(Errno::EXISTS);
        }
        match place {
            Place::Root | Place::Core | Place::LuGroups | Place::Hba(_) | Place::AluaGroups(_) => {
                self.make_in_core(view, &place, name)
            }
            Place::Fabric if !is_fixed(name) => {
                let wwn = Some(lower(name)?);
                Ok(Step::change(Change::CreateTarget { fabric: Fabric::Iscsi, wwn, tpg: None }))
            }
            Place::Target(target) => {
                let tag = Some(numbered(name, "tpgt_")?);
                Ok(Step::change(Change::CreateTpg { target, tag, with: NewTpg::default() }))
            }
            Place::Portals(tpg) => {
                let address: Option<SocketAddr> = name.parse().ok().filter(|at: &SocketAddr| at.port() != 0);
                let address = address.ok_or(Errno::INVALID)?;
                let portal = PortalKey { address: address.ip(), port: address.port() };
                Ok(Step::change(Change::CreatePortal { tpg, portal }))
            }
            Place::Luns(tpg) => Ok(Step::remember(Memo::Lun(tpg, numbered(name, "lun_")?))),
            Place::Acls(tpg) => {
                Ok(Step::change(Change::CreateAcl { tpg, wwn: lower(name)?, add_mapped_luns: false }))
            }
            Place::Acl(acl) => Ok(Step::remember(Memo::Mapped(acl, numbered(name, "lun_")?, false))),
            _ => Err(Errno::PERMISSION),
        }
    }

    fn make_in_core(&self, view: View<'_>, place: &Place, name: &str) -> Result<Step, Errno> {
        match place {
            Place::Root if name == "iscsi" && !has_fabric(self, view) => {
                Ok(Step::remember(Memo::Fabric(true)))
            }
            Place::Root => Err(Errno::INVALID),
            Place::Core => match Hba::parse(name) {
                Some(hba) if hba.name() == name => Ok(Step::remember(Memo::Hba(hba))),
                Some(_) => Err(Errno::INVALID),
                None => match name.rsplit_once('_') {
                    Some((_, number)) if decimal::<u32>(number).is_some() => Err(Errno::NOT_FOUND),
                    _ => Err(Errno::INVALID),
                },
            },
            Place::LuGroups => Ok(Step::change(Change::CreateLuGroup { name: name.to_owned(), id: None })),
            Place::Hba(hba) => {
                let device = Device::new(hba.clone(), name);
                let key = device.key();
                // Of one plugin felio has each name once, whatever folder it is in.
                let is_taken = view.snapshot.config.storage.contains_key(&key)
                    || self.drafts.keys().any(|other| other.key() == key);
                if is_taken {
                    return Err(Errno::EXISTS);
                }
                Ok(Step::remember(Memo::Draft(device, Box::default())))
            }
            Place::AluaGroups(device) if self.drafts.contains_key(device) => Err(Errno::NO_DEVICE),
            Place::AluaGroups(device) => Ok(Step::change(Change::CreateAluaGroup {
                storage: device.key(),
                name: name.to_owned(),
                tag: None,
            })),
            _ => Err(Errno::PERMISSION),
        }
    }

    /// Removes a folder: what others made in it must be gone before.
    pub fn remove_folder(&self, view: View<'_>, path: &str) -> Result<Step, Errno> {
        let config = &view.snapshot.config;
        let unless = |is_full: bool, change: Change| match is_full {
            true => Err(Errno::NOT_EMPTY),
            false => Ok(Step::change(change)),
        };
        match self.place(view, path)? {
            Place::Hba(hba) if self.devices(&hba).next().is_some() => Err(Errno::NOT_EMPTY),
            Place::Hba(hba) => Ok(Step::remember(Memo::NoHba(hba))),
            Place::Device(device) => self.remove_device(config, device),
            Place::AluaGroup(device, name) if name != DEFAULT_GROUP => {
                Ok(Step::change(Change::DeleteAluaGroup { storage: device.key(), name }))
            }
            Place::LuGroup(Some(name)) => Ok(Step::change(Change::DeleteLuGroup { name })),
            Place::Fabric if config.targets.keys().any(|key| key.fabric == Fabric::Iscsi) => {
                Err(Errno::NOT_EMPTY)
            }
            Place::Fabric if config.fabrics.contains_key(&Fabric::Iscsi) => Err(Errno::BUSY),
            Place::Fabric => Ok(Step::remember(Memo::Fabric(false))),
            Place::Target(target) => {
                let is_full = config.targets.get(&target).is_some_and(|target| !target.tpgs.is_empty());
                unless(is_full, Change::DeleteTarget { target })
            }
            Place::Tpg(tpg) => unless(self.is_full(config, &tpg), Change::DeleteTpg { tpg }),
            Place::Portal(tpg, portal) => Ok(Step::change(Change::DeletePortal { tpg, portal })),
            Place::Lun(key, index) if self.luns.contains(&(key.clone(), index)) => {
                Ok(Step::remember(Memo::NoLun(key, index)))
            }
            Place::Acl(acl) => {
                let made = config.acl(&acl).is_some_and(|acl| !acl.mapped_luns.is_empty());
                let is_full = made || self.mapped.keys().any(|(of, _)| *of == acl);
                unless(is_full, Change::DeleteAcl { acl })
            }
            Place::MappedLun(key, index) if self.mapped.contains_key(&(key.clone(), index)) => {
                Ok(Step::remember(Memo::NoMapped(key, index)))
            }
            // The link is still in it.
            Place::Lun(..) | Place::MappedLun(..) => Err(Errno::NOT_EMPTY),
            _ => Err(Errno::PERMISSION),
        }
    }

    fn remove_device(&self, config: &Config, device: Device) -> Result<Step, Errno> {
        if self.drafts.contains_key(&device) {
            return Ok(Step::remember(Memo::NoDraft(device)));
        }
        let storage = device.key();
        if config.is_exported(&storage) {
            return Err(Errno::BUSY);
        }
        let groups = config.storage.get(&storage).map(|object| &object.alua_groups);
        if groups.is_some_and(|groups| groups.keys().any(|name| name != DEFAULT_GROUP)) {
            return Err(Errno::NOT_EMPTY);
        }
        Ok(Step::change(Change::DeleteStorage { storage }).and(Memo::Disabled(device)))
    }

    fn is_full(&self, config: &Config, key: &TpgKey) -> bool {
        let made = config
            .tpg(key)
            .is_some_and(|tpg| !tpg.luns.is_empty() || !tpg.portals.is_empty() || !tpg.acls.is_empty());
        made || self.luns.iter().any(|(of, _)| of == key)
    }

    /// Makes a symbolic link: a LUN leads to a device, a mapped LUN to a LUN.
    pub fn make_link(&self, view: View<'_>, path: &str, to: &str) -> Result<Step, Errno> {
        let (place, name) = self.above(view, path)?;
        if name.is_empty() || place.child(self, view, name).is_some() {
            return Err(Errno::EXISTS);
        }
        let alias = Some(name.to_owned());
        let parts: Vec<&str> = to.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
        match place {
            Place::Lun(tpg, index) => {
                let [.., "core", hba, device] = parts.as_slice() else { return Err(Errno::INVALID) };
                let Node::Folder(Place::Device(device)) = self.node(view, &format!("core/{hba}/{device}"))?
                else {
                    return Err(Errno::INVALID);
                };
                if self.drafts.contains_key(&device) {
                    return Err(Errno::NO_DEVICE);
                }
                if !self.luns.contains(&(tpg.clone(), index)) {
                    return Err(Errno::EXISTS);
                }
                let (storage, memo) = (device.key(), Memo::NoLun(tpg.clone(), index));
                let index = Some(index);
                let change = Change::CreateLun { tpg, storage, index, alias, add_mapped_luns: false };
                Ok(Step::change(change).and(memo))
            }
            Place::MappedLun(acl, index) => {
                let tpg_lun = own_lun(&acl.tpg, &parts)?;
                let Some(write_protect) = self.mapped.get(&(acl.clone(), index)).copied() else {
                    return Err(Errno::EXISTS);
                };
                let memo = Memo::NoMapped(acl.clone(), index);
                let change = Change::CreateMappedLun { acl, index, tpg_lun, write_protect, alias };
                Ok(Step::change(change).and(memo))
            }
            _ => Err(Errno::PERMISSION),
        }
    }

    /// Removes a symbolic link: the folder that it was in leads nowhere.
    pub fn remove_link(&self, view: View<'_>, path: &str) -> Result<Step, Errno> {
        let (place, name) = self.above(view, path)?;
        match (place.child(self, view, name).ok_or(Errno::NOT_FOUND)?, place) {
            (Node::Link(_), Place::Lun(tpg, index)) => {
                let memo = Memo::Lun(tpg.clone(), index);
                Ok(Step::change(Change::DeleteLun { tpg, index }).and(memo))
            }
            (Node::Link(_), Place::MappedLun(acl, index)) => {
                let mapped = view.snapshot.config.acl(&acl).and_then(|found| found.mapped_luns.get(&index));
                let memo =
                    Memo::Mapped(acl.clone(), index, mapped.is_some_and(|mapped| mapped.write_protect));
                Ok(Step::change(Change::DeleteMappedLun { acl, index }).and(memo))
            }
            (Node::Folder(_), _) => Err(Errno::IS_A_FOLDER),
            _ => Err(Errno::PERMISSION),
        }
    }
}

/// The LUN that a path leads to, which is of the same portal group.
fn own_lun(tpg: &TpgKey, parts: &[&str]) -> Result<u16, Errno> {
    let [above @ .., "lun", lun] = parts else { return Err(Errno::INVALID) };
    let tag = format!("tpgt_{}", tpg.tag);
    match above {
        [] => {}
        [.., wwn, group] if *wwn == tpg.target.wwn && *group == tag => {}
        _ => return Err(Errno::INVALID),
    }
    numbered(lun, "lun_")
}

/// The number in `lun_0`.
fn numbered(name: &str, prefix: &str) -> Result<u16, Errno> {
    let digits = name.strip_prefix(prefix).ok_or(Errno::INVALID)?;
    let number = decimal::<u16>(digits).ok_or(Errno::INVALID)?;
    if number.to_string() == digits { Ok(number) } else { Err(Errno::INVALID) }
}

/// A name as felio keeps it; another spelling of it would not be found again.
fn lower(name: &str) -> Result<String, Errno> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { Err(Errno::INVALID) } else { Ok(name.to_owned()) }
}
