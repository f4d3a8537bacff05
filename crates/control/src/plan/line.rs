//! A change in one line, for whoever is to agree to it.

use crate::attr::Attr;
use crate::change::{Change, Group};
use crate::config::{Backing, Config};
use crate::path::{Path, TargetKey};
use serde::Serialize;
use std::fmt;

/// What a change would do: `+ /backstores/ramdisk/a: 1048576 bytes of memory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Whether something comes, goes or changes.
    pub sign: Sign,
    /// Of which object.
    pub path: Path,
    /// What, in some words; empty where the path says it all. Never a secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub says: String,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sign {
    /// It comes.
    #[serde(rename = "+")]
    Comes,
    /// It goes.
    #[serde(rename = "-")]
    Goes,
    /// Something of it changes.
    #[serde(rename = "~")]
    Changes,
}

impl Line {
    /// What a change of `from` does.
    #[must_use]
    pub fn of(change: &Change, from: &Config) -> Self {
        match change {
            Change::CreateStorage { storage, backing, .. } => comes(storage, blocks(backing)),
            Change::DeleteStorage { storage } => goes(storage, "its blocks are not touched"),
            Change::Resize { storage, size } => {
                let before = from.storage.get(storage).and_then(|object| object.backing.size());
                changes(storage, was(&format!("{size} bytes"), before))
            }
            Change::SetBacking { storage, backing } => {
                let before = from.storage.get(storage).map(|object| blocks(&object.backing));
                changes(storage, was(&blocks(backing), before))
            }
            Change::SetLuGroup { storage, lu_group } => {
                let group = lu_group.as_deref().unwrap_or("none");
                changes(storage, format!("logical unit group {group}"))
            }
            Change::CreateLuGroup { name, .. } => comes(Path::LuGroup(name.clone()), ""),
            Change::NumberLuGroup { name, id } => {
                changes(Path::LuGroup(name.clone()), format!("number {id}"))
            }
            Change::DeleteLuGroup { name } => goes(Path::LuGroup(name.clone()), ""),
            Change::CreateAluaGroup { storage, name, tag } => {
                let tag = tag.map(|tag| format!("number {tag}")).unwrap_or_default();
                comes(Path::AluaGroup(storage.clone(), name.clone()), tag)
            }
            Change::DeleteAluaGroup { storage, name } => {
                goes(Path::AluaGroup(storage.clone(), name.clone()), "")
            }
            Change::Set { path, group, name, .. } | Change::Reset { path, group, name } => {
                setting(change, path, *group, name, from)
            }
            Change::SetExtra { path, key, .. } => changes(path.clone(), format!("{key} is kept as it is")),
            Change::DropExtra { path, key } => changes(path.clone(), format!("{key} is dropped")),
            Change::Clear => goes(Path::Root, "everything; blocks are not touched"),
            _ => Self::of_target(change),
        }
    }

    /// A change of a target, of whatever of it.
    fn of_target(change: &Change) -> Self {
        match change {
            Change::CreateTarget { fabric, wwn, .. } => match wwn {
                Some(wwn) => comes(&TargetKey { fabric: fabric.clone(), wwn: wwn.clone() }, ""),
                None => comes(Path::Fabric(fabric.clone()), "a target with a name that is made"),
            },
            Change::DeleteTarget { target } => goes(target, "sessions end"),
            Change::CreateTpg { target, tag, .. } => match tag {
                Some(tag) => comes(target.tpg(*tag), ""),
                None => comes(target, "a portal group with the first free tag"),
            },
            Change::DeleteTpg { tpg } => goes(tpg, "sessions end"),
            Change::EnableTpg { tpg } => changes(tpg, "enabled"),
            Change::DisableTpg { tpg } => changes(tpg, "disabled; sessions end"),
            Change::SetRtpi { tpg, rtpi } => {
                let number = rtpi.map_or("is chosen".to_owned(), |rtpi| rtpi.to_string());
                changes(tpg, format!("relative target port identifier {number}"))
            }
            Change::CreateLun { tpg, storage, index, .. } => match index {
                Some(index) => comes(Path::Lun(tpg.clone(), *index), storage.to_string()),
                None => comes(Path::Luns(tpg.clone()), storage.to_string()),
            },
            Change::DeleteLun { tpg, index } => goes(Path::Lun(tpg.clone(), *index), ""),
            Change::CreatePortal { tpg, portal } => comes(Path::Portal(tpg.clone(), *portal), ""),
            Change::SetPortal { tpg, portal, iser, offload } => {
                let flag = |name: &str, value: Option<bool>| Some(format!("{name}={}", value?));
                let flags = [flag("iser", *iser), flag("offload", *offload)];
                let flags: Vec<String> = flags.into_iter().flatten().collect();
                changes(Path::Portal(tpg.clone(), *portal), flags.join(", "))
            }
            Change::DeletePortal { tpg, portal } => goes(Path::Portal(tpg.clone(), *portal), ""),
            Change::CreateAcl { tpg, wwn, .. } => comes(tpg.acl(wwn.as_str()), ""),
            Change::DeleteAcl { acl } => goes(acl, "its sessions end"),
            Change::TagAcl { acl, tag } => changes(acl, format!("tag {tag}")),
            Change::UntagAcl { acl } => changes(acl, "no tag"),
            Change::CreateMappedLun { acl, index, tpg_lun, write_protect, .. } => {
                let protected = if *write_protect { ", write protected" } else { "" };
                comes(Path::MappedLun(acl.clone(), *index), format!("lun{tpg_lun}{protected}"))
            }
            Change::DeleteMappedLun { acl, index } => goes(Path::MappedLun(acl.clone(), *index), ""),
            Change::SetWriteProtect { acl, index, write_protect } => {
                let says = if *write_protect { "write protected" } else { "not write protected" };
                changes(Path::MappedLun(acl.clone(), *index), says)
            }
            _ => changes(Path::Root, ""),
        }
    }
}

impl Sign {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Comes => "+",
            Self::Goes => "-",
            Self::Changes => "~",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sign.as_str(), self.path)?;
        if self.says.is_empty() { Ok(()) } else { write!(f, ": {}", self.says) }
    }
}

fn comes(path: impl Into<Path>, says: impl Into<String>) -> Line {
    Line { sign: Sign::Comes, path: path.into(), says: says.into() }
}

fn goes(path: impl Into<Path>, says: impl Into<String>) -> Line {
    Line { sign: Sign::Goes, path: path.into(), says: says.into() }
}

fn changes(path: impl Into<Path>, says: impl Into<String>) -> Line {
    Line { sign: Sign::Changes, path: path.into(), says: says.into() }
}

fn setting(change: &Change, path: &Path, group: Group, name: &str, from: &Config) -> Line {
    let row = group.scope(path).and_then(|scope| Attr::find(scope, name));
    let title = format!("{} {name}", group.as_str());
    let is_secret = row.is_none_or(|row| row.secret);
    // Of what is new there is nothing before that anybody has seen.
    let before = row.filter(|_| !is_secret && path.exists(from)).and_then(|row| from.value(path, row));
    let says = match change {
        Change::Set { .. } if is_secret => format!("{title} is set"),
        Change::Set { value, .. } => was(&format!("{title} = {value}"), before),
        _ => was(&format!("{title} is as it is by default"), before),
    };
    changes(path.clone(), says)
}

fn was(now: &str, before: Option<impl fmt::Display>) -> String {
    match before.map(|before| before.to_string()) {
        Some(before) if before.is_empty() => now.to_owned(),
        Some(before) => format!("{now} (was {before})"),
        None => now.to_owned(),
    }
}

fn blocks(backing: &Backing) -> String {
    match backing {
        Backing::Fileio { dev, size, .. } => format!("{dev}, {size} bytes"),
        Backing::Block { dev, readonly: true, .. } => format!("{dev}, read only"),
        Backing::Block { dev, .. } | Backing::Pscsi { dev } => dev.clone(),
        Backing::Ramdisk { size, nullio: false } => format!("{size} bytes of memory"),
        Backing::Ramdisk { size, nullio: true } | Backing::Null { size } => {
            format!("{size} bytes that are not kept")
        }
        Backing::Other => "of a plugin that felio does not have".to_owned(),
    }
}
