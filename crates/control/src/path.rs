//! Where an object stands in the tree, in targetcli's spelling.
//!
//! ```text
//! /backstores/fileio/disk1/alua/default_tg_pt_gp
//! /iscsi/iqn.2026-11.org.example:a/tpg1/luns/lun0
//! /iscsi/iqn.2026-11.org.example:a/tpg1/acls/iqn.1994-05.com.redhat:b/mapped_lun0
//! /iscsi/iqn.2026-11.org.example:a/tpg1/portals/[::0]:3260
//! /lu_groups/pair
//! ```
//!
//! A [`Path`] is well formed; whether there is such an object is for a [`Config`] to say.

use crate::config::Config;
use crate::key::component;
pub use crate::key::{AclKey, Fabric, Plugin, PortalKey, StorageKey, TargetKey, TpgKey};
use crate::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A place in the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub enum Path {
    /// Above everything.
    Root,
    /// All storage objects.
    Backstores,
    /// Those of a plugin.
    Plugin(Plugin),
    /// A storage object.
    Storage(StorageKey),
    /// Its ALUA groups.
    AluaGroups(StorageKey),
    /// One of them.
    AluaGroup(StorageKey, String),
    /// All logical unit groups.
    LuGroups,
    /// One of them.
    LuGroup(String),
    /// All targets of a fabric.
    Fabric(Fabric),
    /// A target.
    Target(TargetKey),
    /// A portal group.
    Tpg(TpgKey),
    /// Its LUNs.
    Luns(TpgKey),
    /// One of them.
    Lun(TpgKey, u16),
    /// Its portals.
    Portals(TpgKey),
    /// One of them.
    Portal(TpgKey, PortalKey),
    /// Its node ACLs.
    Acls(TpgKey),
    /// One of them.
    Acl(AclKey),
    /// A LUN that an initiator sees.
    MappedLun(AclKey, u16),
}

impl Path {
    /// The one above; none above the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        Some(match self {
            Self::Root => return None,
            Self::Backstores | Self::LuGroups | Self::Fabric(_) => Self::Root,
            Self::Plugin(_) => Self::Backstores,
            Self::Storage(key) => Self::Plugin(key.plugin.clone()),
            Self::AluaGroups(key) => Self::Storage(key.clone()),
            Self::AluaGroup(key, _) => Self::AluaGroups(key.clone()),
            Self::LuGroup(_) => Self::LuGroups,
            Self::Target(key) => Self::Fabric(key.fabric.clone()),
            Self::Tpg(key) => Self::Target(key.target.clone()),
            Self::Luns(key) | Self::Portals(key) | Self::Acls(key) => Self::Tpg(key.clone()),
            Self::Lun(key, _) => Self::Luns(key.clone()),
            Self::Portal(key, _) => Self::Portals(key.clone()),
            Self::Acl(key) => Self::Acls(key.tpg.clone()),
            Self::MappedLun(key, _) => Self::Acl(key.clone()),
        })
    }

    /// The last component, as `ls` shows it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Root => "/".to_owned(),
            Self::Backstores => "backstores".to_owned(),
            Self::Plugin(plugin) => plugin.to_string(),
            Self::Storage(key) => key.name.clone(),
            Self::AluaGroups(_) => "alua".to_owned(),
            Self::AluaGroup(_, name) | Self::LuGroup(name) => name.clone(),
            Self::LuGroups => "lu_groups".to_owned(),
            Self::Fabric(fabric) => fabric.to_string(),
            Self::Target(key) => key.wwn.clone(),
            Self::Tpg(key) => format!("tpg{}", key.tag),
            Self::Luns(_) => "luns".to_owned(),
            Self::Lun(_, index) => format!("lun{index}"),
            Self::Portals(_) => "portals".to_owned(),
            Self::Portal(_, key) => key.to_string(),
            Self::Acls(_) => "acls".to_owned(),
            Self::Acl(key) => key.wwn.clone(),
            Self::MappedLun(_, index) => format!("mapped_lun{index}"),
        }
    }

    /// What a path written from here means: absolute if it begins with a slash, `.` and `..` as everywhere.
    pub fn join(&self, text: &str) -> Result<Self, Refusal> {
        let start = if text.starts_with('/') { Self::Root } else { self.clone() };
        text.split('/').try_fold(start, |at, part| match part {
            "" | "." => Ok(at),
            ".." => Ok(at.parent().unwrap_or(Self::Root)),
            name => at.child(name),
        })
    }

    /// The one below of that name.
    pub fn child(&self, name: &str) -> Result<Self, Refusal> {
        match self {
            Self::Root => match name {
                "backstores" => Ok(Self::Backstores),
                "lu_groups" => Ok(Self::LuGroups),
                _ => Ok(Self::Fabric(name.parse()?)),
            },
            Self::Backstores => Ok(Self::Plugin(name.parse()?)),
            Self::Plugin(plugin) => {
                Ok(Self::Storage(StorageKey::new(plugin.clone(), component("storage object", name)?)))
            }
            Self::Storage(key) if name == "alua" => Ok(Self::AluaGroups(key.clone())),
            Self::AluaGroups(key) => Ok(Self::AluaGroup(key.clone(), component("group", name)?)),
            Self::LuGroups => Ok(Self::LuGroup(component("group", name)?)),
            Self::Fabric(fabric) => {
                Ok(Self::Target(TargetKey { fabric: fabric.clone(), wwn: component("target", name)? }))
            }
            Self::Target(key) => Ok(Self::Tpg(key.tpg(self.numbered(name, "tpg")?))),
            Self::Tpg(key) => match name {
                "luns" => Ok(Self::Luns(key.clone())),
                "portals" => Ok(Self::Portals(key.clone())),
                "acls" => Ok(Self::Acls(key.clone())),
                _ => Err(self.no_such(name)),
            },
            Self::Luns(key) => Ok(Self::Lun(key.clone(), self.numbered(name, "lun")?)),
            Self::Portals(key) => Ok(Self::Portal(key.clone(), name.parse()?)),
            Self::Acls(key) => Ok(Self::Acl(key.acl(component("initiator", name)?))),
            Self::Acl(key) => Ok(Self::MappedLun(key.clone(), self.numbered(name, "mapped_lun")?)),
            Self::Storage(_)
            | Self::AluaGroup(..)
            | Self::LuGroup(_)
            | Self::Lun(..)
            | Self::Portal(..)
            | Self::MappedLun(..) => Err(self.no_such(name)),
        }
    }

    /// What stands below it, in the order in which targetcli lists it.
    #[must_use]
    pub fn children(&self, config: &Config) -> Vec<Self> {
        match self {
            Self::Root => root_children(config),
            Self::Backstores => {
                let foreign = config.storage.keys().map(|key| key.plugin.clone());
                let plugins: BTreeSet<Plugin> = Plugin::ALL.into_iter().chain(foreign).collect();
                plugins.into_iter().map(Self::Plugin).collect()
            }
            Self::Plugin(plugin) => {
                config.storage.keys().filter(|key| key.plugin == *plugin).map(Self::from).collect()
            }
            Self::Storage(key) => match config.storage.get(key) {
                Some(object) if !object.alua_groups.is_empty() => vec![Self::AluaGroups(key.clone())],
                _ => Vec::new(),
            },
            Self::AluaGroups(key) => {
                let groups = config.storage.get(key).into_iter().flat_map(|object| object.alua_groups.keys());
                groups.map(|name| Self::AluaGroup(key.clone(), name.clone())).collect()
            }
            Self::LuGroups => config.lu_groups.keys().cloned().map(Self::LuGroup).collect(),
            Self::Fabric(fabric) => {
                config.targets.keys().filter(|key| key.fabric == *fabric).map(Self::from).collect()
            }
            Self::Target(key) => {
                let tags = config.targets.get(key).into_iter().flat_map(|target| target.tpgs.keys());
                tags.map(|tag| Self::Tpg(key.tpg(*tag))).collect()
            }
            Self::Tpg(key) if config.tpg(key).is_some() => {
                vec![Self::Acls(key.clone()), Self::Luns(key.clone()), Self::Portals(key.clone())]
            }
            Self::Luns(key) => {
                let luns = config.tpg(key).into_iter().flat_map(|tpg| tpg.luns.keys());
                luns.map(|index| Self::Lun(key.clone(), *index)).collect()
            }
            Self::Portals(key) => {
                let portals = config.tpg(key).into_iter().flat_map(|tpg| tpg.portals.keys());
                portals.map(|portal| Self::Portal(key.clone(), *portal)).collect()
            }
            Self::Acls(key) => {
                let acls = config.tpg(key).into_iter().flat_map(|tpg| tpg.acls.keys());
                acls.map(|wwn| Self::Acl(key.acl(wwn.as_str()))).collect()
            }
            Self::Acl(key) => {
                let mapped = config.acl(key).into_iter().flat_map(|acl| acl.mapped_luns.keys());
                mapped.map(|index| Self::MappedLun(key.clone(), *index)).collect()
            }
            Self::Tpg(_)
            | Self::AluaGroup(..)
            | Self::LuGroup(_)
            | Self::Lun(..)
            | Self::Portal(..)
            | Self::MappedLun(..) => Vec::new(),
        }
    }

    /// Whether there is such an object.
    #[must_use]
    pub fn exists(&self, config: &Config) -> bool {
        match self {
            Self::Root | Self::Backstores | Self::LuGroups => true,
            Self::Plugin(plugin) => {
                !matches!(plugin, Plugin::Other(_)) || config.storage.keys().any(|key| key.plugin == *plugin)
            }
            Self::Storage(key) => config.storage.contains_key(key),
            Self::AluaGroups(key) => {
                config.storage.get(key).is_some_and(|object| !object.alua_groups.is_empty())
            }
            Self::AluaGroup(key, name) => {
                config.storage.get(key).is_some_and(|object| object.alua_groups.contains_key(name))
            }
            Self::LuGroup(name) => config.lu_groups.contains_key(name),
            Self::Fabric(fabric) => root_children(config).contains(&Self::Fabric(fabric.clone())),
            Self::Target(key) => config.targets.contains_key(key),
            Self::Tpg(key) | Self::Luns(key) | Self::Portals(key) | Self::Acls(key) => {
                config.tpg(key).is_some()
            }
            Self::Lun(key, index) => config.tpg(key).is_some_and(|tpg| tpg.luns.contains_key(index)),
            Self::Portal(key, portal) => config.tpg(key).is_some_and(|tpg| tpg.portals.contains_key(portal)),
            Self::Acl(key) => config.acl(key).is_some(),
            Self::MappedLun(key, index) => {
                config.acl(key).is_some_and(|acl| acl.mapped_luns.contains_key(index))
            }
        }
    }

    /// The number in `lun0`; the number alone means the same.
    fn numbered(&self, name: &str, prefix: &str) -> Result<u16, Refusal> {
        let digits = name.strip_prefix(prefix).unwrap_or(name);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse() {
            Ok(number) if plain => Ok(number),
            _ if plain => Err(Refusal::invalid(format!("{name} is beyond {prefix}65535")).at(self.clone())),
            _ => Err(self.no_such(name)),
        }
    }

    fn no_such(&self, name: &str) -> Refusal {
        let what = format!("there is no {name:?} below {self}");
        Refusal::new(crate::refusal::Kind::NotFound, what)
            .hint(format!("`ls {self}` shows what there is"))
            .at(self.clone())
    }
}

impl FromStr for Path {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if !text.starts_with('/') {
            return Err(Refusal::invalid(format!("{text:?} is no path")).hint("a path begins with a slash"));
        }
        Self::Root.join(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent() {
            None => f.write_str("/"),
            Some(Self::Root) => write!(f, "/{}", self.name()),
            Some(parent) => write!(f, "{parent}/{}", self.name()),
        }
    }
}

/// The backstores, iSCSI, and whatever other fabrics and groups there are.
fn root_children(config: &Config) -> Vec<Path> {
    let others = config.targets.keys().map(|key| &key.fabric).chain(config.fabrics.keys());
    let fabrics: BTreeSet<&Fabric> = others.chain([&Fabric::Iscsi]).collect();
    let groups = (!config.lu_groups.is_empty()).then_some(Path::LuGroups);
    let fabrics = fabrics.into_iter().cloned().map(Path::Fabric);
    core::iter::once(Path::Backstores).chain(fabrics).chain(groups).collect()
}

#[cfg(test)]
mod tests {
    use super::Path;
    use crate::refusal::Kind;
    use crate::{Config, arbitrary};
    use proptest::prelude::*;

    #[track_caller]
    fn same(text: &str) {
        assert_eq!(text.parse::<Path>().map(|path| path.to_string()).as_deref(), Ok(text));
    }

    /// The path of everything.
    fn all(from: Path, config: &Config, found: &mut Vec<Path>) {
        for child in from.children(config) {
            all(child, config, found);
        }
        found.push(from);
    }

    proptest! {
        #[test]
        fn everything_has_a_path_that_leads_back_to_it(config in arbitrary::config()) {
            let mut paths = Vec::new();
            all(Path::Root, &config, &mut paths);
            for path in paths {
                prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path.clone()));
                prop_assert!(path.exists(&config), "{}", path);
                let listed = path.parent().is_none_or(|parent| parent.children(&config).contains(&path));
                prop_assert!(listed, "{}", path);
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "[/a-z0-9:.\\[\\]]{0,40}") {
            let _ = text.parse::<Path>();
        }
    }

    #[test]
    fn paths_are_written_as_targetcli_does() {
        same("/");
        same("/backstores/fileio/disk1/alua/default_tg_pt_gp");
        same("/iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun0");
        same("/iscsi/iqn.2024-01.org.example:a/tpg1/acls/iqn.1994-05.com.redhat:b/mapped_lun0");
        same("/iscsi/iqn.2024-01.org.example:a/tpg1/portals/0.0.0.0:3260");
        same("/iscsi/iqn.2024-01.org.example:a/tpg1/portals/[::0]:3260");
    }

    #[test]
    fn dots_lead_up_and_no_further_than_the_root() {
        let here: Path = "/backstores/fileio/disk1".parse().expect("a path");
        assert_eq!(
            here.join("../disk2").map(|path| path.to_string()).as_deref(),
            Ok("/backstores/fileio/disk2")
        );
        assert_eq!(here.join("../../../../.."), Ok(Path::Root));
        assert_eq!(here.join("/iscsi/.").map(|path| path.to_string()).as_deref(), Ok("/iscsi"));
    }

    #[test]
    fn a_lun_is_at_most_65535() {
        let refused = |text: &str| text.parse::<Path>().map_err(|refusal| refusal.kind);
        same("/iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun65535");
        assert_eq!(refused("/iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun65536"), Err(Kind::Invalid));
        assert_eq!(refused("/iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun+1"), Err(Kind::NotFound));
    }
}
