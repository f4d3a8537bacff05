//! What it means to write to a file.

use crate::View;
use crate::device::{Device, decimal};
use crate::place::{DEFAULT_LU_GROUP, Node};
use crate::show::{ANYWHERE, DeviceFile, File, LunFile};
use crate::tree::{Errno, Memo, Mode, Step, Tree};
use felio_control::attr::{Attr, Scope, When};
use felio_control::{AclKey, Change, Config, DEFAULT_GROUP, Group, Path, TpgKey};

impl Tree {
    /// One write to a file: what is meant is all in one.
    pub fn write(&self, view: View<'_>, path: &str, bytes: &[u8]) -> Result<Step, Errno> {
        let Node::File(file) = self.node(view, path)? else { return Err(Errno::IS_A_FOLDER) };
        if file.mode() == Mode::Read {
            return Err(Errno(13));
        }
        if bytes.len() > BYTES_MAX {
            return Err(Errno::INVALID);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::INVALID)?;
        let text = text.trim_end_matches(['\n', '\0']);
        let config = &view.snapshot.config;
        match file {
            File::Root if text.starts_with('/') => Ok(Step::remember(Memo::Root(text.to_owned()))),
            File::LuGroupNumber(Some(name)) => {
                Ok(Step::change(Change::NumberLuGroup { name, id: decimal(text).ok_or(Errno::INVALID)? }))
            }
            File::Device(device, what) => self.write_device(config, device, what, text),
            File::DeviceValue(device, row) => self.write_device_value(&device, row, text),
            File::Value(path, group, row) => {
                let along = along(config, &path, row, text);
                let Step { changes, .. } = set(path, group, row, text);
                Ok(Step::changes(changes.into_iter().chain(along).collect()))
            }
            // Commands are completed where their session lives.
            File::CompletionAffinity if text == ANYWHERE => Ok(Step::remember(Memo::Nothing)),
            File::CompletionAffinity => Err(Errno::NOT_SUPPORTED),
            File::TpgEnable(tpg) => enable(config, tpg, text),
            File::TpgRtpi(tpg) => {
                let rtpi = match text.strip_prefix("0x") {
                    Some(digits) => u16::from_str_radix(digits, 16).ok(),
                    None => decimal(text),
                };
                Ok(Step::change(Change::SetRtpi { tpg, rtpi: Some(rtpi.ok_or(Errno::INVALID)?) }))
            }
            File::PortalIser(tpg, portal) => {
                Ok(Step::change(Change::SetPortal { tpg, portal, iser: Some(flag(text)?), offload: None }))
            }
            File::PortalOffload(tpg, portal) => {
                Ok(Step::change(Change::SetPortal { tpg, portal, iser: None, offload: Some(flag(text)?) }))
            }
            File::Lun(key, index, what) => write_lun(config, key, index, what, text),
            File::AclTag(acl) if text.is_empty() || text == NULL => {
                Ok(Step::change(Change::UntagAcl { acl }))
            }
            File::AclTag(acl) => Ok(Step::change(Change::TagAcl { acl, tag: text.to_owned() })),
            File::AclDepth(acl) => keep_depth(config, &acl, text),
            File::WriteProtect(acl, index) => {
                let write_protect = flag(text)?;
                match self.mapped.contains_key(&(acl.clone(), index)) {
                    true => Ok(Step::remember(Memo::Mapped(acl, index, write_protect))),
                    false => Ok(Step::change(Change::SetWriteProtect { acl, index, write_protect })),
                }
            }
            // What was reserved is kept by felio itself.
            File::ReservationMetadata => Err(Errno::NOT_SUPPORTED),
            _ => Err(Errno::INVALID),
        }
    }

    fn write_device(
        &self,
        config: &Config,
        device: Device,
        what: DeviceFile,
        text: &str,
    ) -> Result<Step, Errno> {
        let draft = self.drafts.get(&device);
        match what {
            DeviceFile::Alias | DeviceFile::Path if text.len() > NAME_BYTES_MAX => Err(Errno::INVALID),
            DeviceFile::Alias | DeviceFile::Path | DeviceFile::Control => match draft {
                Some(draft) => {
                    let mut draft = draft.clone();
                    match what {
                        DeviceFile::Alias => text.clone_into(&mut draft.alias),
                        DeviceFile::Path => text.clone_into(&mut draft.path),
                        _ if draft.control(text) => {}
                        _ => return Err(Errno::INVALID),
                    }
                    Ok(Step::remember(Memo::Draft(device, Box::new(draft))))
                }
                None if matches!(what, DeviceFile::Alias) => {
                    Ok(Step::remember(Memo::Alias(device.key(), text.to_owned())))
                }
                // Where the blocks are is settled.
                None => Err(Errno::EXISTS),
            },
            DeviceFile::Enable if text != "1" => Err(Errno::INVALID),
            DeviceFile::Enable => self.enable_device(device),
            DeviceFile::LuGroup if draft.is_some() => Err(Errno::NO_DEVICE),
            DeviceFile::LuGroup => {
                let lu_group = Some(text.to_owned()).filter(|name| name != NULL && name != DEFAULT_LU_GROUP);
                if lu_group.as_ref().is_some_and(|name| !config.lu_groups.contains_key(name)) {
                    return Err(Errno::NO_DEVICE);
                }
                Ok(Step::change(Change::SetLuGroup { storage: device.key(), lu_group }))
            }
            DeviceFile::LbaMap => Err(Errno::NOT_SUPPORTED),
            DeviceFile::Info => Err(Errno::INVALID),
        }
    }

    /// A draft becomes a storage object, with all that was set before.
    fn enable_device(&self, device: Device) -> Result<Step, Errno> {
        let Some(draft) = self.drafts.get(&device) else { return Err(Errno::EXISTS) };
        let (storage, backing) = (device.key(), draft.backing(&device.hba.plugin));
        let path = Path::Storage(storage.clone());
        let wwn = draft.identity.get(SERIAL).map(ToString::to_string).filter(|serial| !serial.is_empty());
        let mut changes = vec![Change::CreateStorage { storage, backing, wwn }];
        let groups = [(Group::Attribute, &draft.attributes), (Group::Identity, &draft.identity)];
        for (group, values) in groups {
            changes.extend(values.iter().filter(|(name, _)| *name != SERIAL).map(|(name, value)| {
                let (path, name, value) = (path.clone(), name.clone(), value.to_string());
                Change::Set { path, group, name, value }
            }));
        }
        Ok(Step::changes(changes).and(Memo::Enabled(device)))
    }

    fn write_device_value(&self, device: &Device, row: &'static Attr, text: &str) -> Result<Step, Errno> {
        let (bytes_max, group) = match row.scope {
            Scope::Storage => (BYTES_MAX, Group::Attribute),
            _ => (widest(row), Group::Identity),
        };
        if text.len() > bytes_max {
            return Err(Errno::OVERFLOW);
        }
        let Some(draft) = self.drafts.get(device) else {
            return Ok(set(Path::Storage(device.key()), group, row, text));
        };
        if row.when == When::Action {
            return Err(Errno::NO_DEVICE);
        }
        let mut draft = draft.clone();
        let value = row.parse(text).map_err(|_| Errno::INVALID)?;
        let values = if group == Group::Attribute { &mut draft.attributes } else { &mut draft.identity };
        values.insert(row.name.to_owned(), value);
        Ok(Step::remember(Memo::Draft(device.clone(), Box::new(draft))))
    }
}

fn set(path: Path, group: Group, row: &Attr, text: &str) -> Step {
    Step::change(Change::Set { path, group, name: row.name.to_owned(), value: text.to_owned() })
}

/// What LIO changes along with a value.
fn along(config: &Config, path: &Path, row: &Attr, text: &str) -> Option<Change> {
    let (group, name, value) = match (path, row.name, text) {
        // The state was not changed by an initiator.
        (Path::AluaGroup(..), "alua_access_state", _) => (Group::Alua, "alua_access_status", "2".to_owned()),
        (Path::Tpg(_), "generate_node_acls", "1") => {
            (Group::Attribute, "cache_dynamic_acls", text.to_owned())
        }
        (Path::Tpg(key), "authentication", "0" | "1") => {
            let methods = config.tpg(key)?.parameter(AUTH_METHOD)?.to_string();
            let proofs = methods.split(',').filter(|method| *method != NO_PROOF);
            let nothing = (text == "0").then_some(NO_PROOF);
            (Group::Parameter, AUTH_METHOD, proofs.chain(nothing).collect::<Vec<_>>().join(","))
        }
        _ => return None,
    };
    Some(Change::Set { path: path.clone(), group, name: name.to_owned(), value })
}

/// The longest text of a row; numbers have their own check.
const fn widest(row: &Attr) -> usize {
    match row.kind {
        felio_control::attr::Kind::Text(bytes_max) => bytes_max,
        _ => BYTES_MAX,
    }
}

/// Twice the same is refused, as LIO's iSCSI does.
fn enable(config: &Config, tpg: TpgKey, text: &str) -> Result<Step, Errno> {
    let is_on = config.tpg(&tpg).is_some_and(|tpg| tpg.enable);
    match (flag(text)?, is_on) {
        (true, false) => Ok(Step::change(Change::EnableTpg { tpg })),
        (false, true) => Ok(Step::change(Change::DisableTpg { tpg })),
        _ => Err(Errno::INVALID),
    }
}

fn write_lun(config: &Config, key: TpgKey, index: u16, what: LunFile, text: &str) -> Result<Step, Errno> {
    if config.tpg(&key).is_none_or(|tpg| !tpg.luns.contains_key(&index)) {
        return Err(Errno::NO_DEVICE);
    }
    match what {
        LunFile::Group => {
            let value = if text == NULL { DEFAULT_GROUP } else { text }.to_owned();
            let (path, name) = (Path::Lun(key, index), "alua_tg_pt_gp_name".to_owned());
            Ok(Step::change(Change::Set { path, group: Group::Alua, name, value }))
        }
        // felio has no state of one LUN apart from its group's.
        LunFile::Offline | LunFile::Status | LunFile::Metadata if text == "0" => {
            Ok(Step::remember(Memo::Nothing))
        }
        LunFile::Offline | LunFile::Status | LunFile::Metadata => Err(Errno::NOT_SUPPORTED),
    }
}

/// The depth is the portal group's for all.
fn keep_depth(config: &Config, acl: &AclKey, text: &str) -> Result<Step, Errno> {
    let wanted = decimal::<i64>(text).filter(|depth| (1..=512).contains(depth)).ok_or(Errno::INVALID)?;
    let depth = config.tpg(&acl.tpg).and_then(|tpg| tpg.attribute("default_cmdsn_depth")?.number());
    if depth == Some(wanted) { Ok(Step::remember(Memo::Nothing)) } else { Err(Errno::NOT_SUPPORTED) }
}

/// As the kernel takes them.
fn flag(text: &str) -> Result<bool, Errno> {
    match text.bytes().next() {
        Some(b'1' | b'y' | b'Y') => Ok(true),
        Some(b'0' | b'n' | b'N') => Ok(false),
        _ => match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(Errno::INVALID),
        },
    }
}

const AUTH_METHOD: &str = "AuthMethod";
const NO_PROOF: &str = "None";
/// What unsets a value.
const NULL: &str = "NULL";
const SERIAL: &str = "vpd_unit_serial";
/// The longest alias or path of a device.
const NAME_BYTES_MAX: usize = 511;
/// The most that a file of configfs takes in one write.
const BYTES_MAX: usize = 4096;
