//! Everything that is wanted, as plain data: equal means the same.
//!
//! Attributes and parameters hold only what differs from the default of their row in [`attr`](crate::attr), so that a
//! configuration in which a default was written out equals one in which it was not. [`Extra`] holds keys that felio does not know, at
//! the place where they were found.
//!
//! Not here: what is open, who is logged in. A value of this type need not be consistent; [`Config::check`] tells.

use crate::attr::{Attr, Scope, Value, Values};
use crate::path::{AclKey, Fabric, Plugin, PortalKey, StorageKey, TargetKey, TpgKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Keys that felio does not know, kept as they were found.
pub type Extra = BTreeMap<String, serde_json::Value>;

/// The group that every storage object has: LUNs belong to it unless another is named.
pub const DEFAULT_GROUP: &str = "default_tg_pt_gp";

/// The whole desired configuration. A copy shares what does not change, so that it costs little.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Storage objects.
    pub storage: BTreeMap<StorageKey, Arc<StorageObject>>,
    /// Logical unit groups: storage objects whose ALUA groups change state together.
    pub lu_groups: BTreeMap<String, LuGroup>,
    /// What belongs to a fabric as a whole.
    pub fabrics: BTreeMap<Fabric, FabricConfig>,
    /// Targets.
    pub targets: BTreeMap<TargetKey, Arc<Target>>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something with blocks, or a device that answers for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageObject {
    /// Where its blocks are.
    pub backing: Backing,
    /// Its unit serial number; empty for devices that have their own.
    #[serde(default)]
    pub wwn: String,
    /// What it calls itself, where that is not felio's default.
    #[serde(default)]
    pub identity: Identity,
    /// Rows of [`Scope::Storage`].
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::storage")]
    pub attributes: Values,
    /// Its target port groups; without any, ALUA is the device's own business.
    #[serde(default)]
    pub alua_groups: BTreeMap<String, AluaGroup>,
    /// The logical unit group that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lu_group: Option<String>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where blocks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Backing {
    /// In a file.
    Fileio {
        /// Its path.
        dev: String,
        /// Bytes.
        size: u64,
        /// Whether a completed write may still be in the page cache. It is the default of `emulate_write_cache`, which decides.
        #[serde(default = "yes")]
        write_back: bool,
        /// Whether the page cache is left out.
        #[serde(default)]
        aio: bool,
    },
    /// On a block device.
    Block {
        /// Its path.
        dev: String,
        /// Whether it is never written.
        #[serde(default)]
        readonly: bool,
        /// Whether nobody else may have it open exclusively.
        #[serde(default = "yes")]
        exclusive: bool,
    },
    /// A SCSI device.
    Pscsi {
        /// Its path or its address, H:C:T:L.
        dev: String,
    },
    /// In memory.
    Ramdisk {
        /// Bytes.
        size: u64,
        /// Whether nothing is kept.
        #[serde(default)]
        nullio: bool,
    },
    /// Nowhere.
    Null {
        /// Bytes.
        size: u64,
    },
    /// Where a plugin knows that felio does not have; all that it had is in `extra`.
    Other,
}

const fn yes() -> bool {
    true
}

/// What a storage object calls itself. Unset means felio's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// T10 vendor identification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Product identification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Product revision level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The company id of its NAA designator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<u32>,
}

/// A target port group of a storage object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AluaGroup {
    /// Its number, once it has one: 0 for the default group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<u16>,
    /// Rows of [`Scope::Alua`].
    #[schemars(schema_with = "crate::schema::alua")]
    pub parameters: Values,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A logical unit group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LuGroup {
    /// Its number, once it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
}

/// What belongs to a fabric as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FabricConfig {
    /// Who may discover.
    pub discovery: Discovery,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Who may discover targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Whether discovery needs CHAP.
    pub enable: bool,
    /// With these secrets.
    pub auth: Auth,
}

/// CHAP names and secrets, either way. Empty means unset.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The name by which an initiator is known to us.
    pub userid: String,
    /// Its secret.
    pub password: String,
    /// The name by which we are known to an initiator.
    pub mutual_userid: String,
    /// Our secret.
    pub mutual_password: String,
}

impl Auth {
    /// The field of a row of [`Scope::Auth`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match name {
            "userid" => Some(&self.userid),
            "password" => Some(&self.password),
            "mutual_userid" => Some(&self.mutual_userid),
            "mutual_password" => Some(&self.mutual_password),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "userid" => Some(&mut self.userid),
            "password" => Some(&mut self.password),
            "mutual_userid" => Some(&mut self.mutual_userid),
            "mutual_password" => Some(&mut self.mutual_password),
            _ => None,
        }
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Secrets do not get into logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hide = |secret: &str| if secret.is_empty() { "unset" } else { "set" };
        f.debug_struct("Auth")
            .field("userid", &self.userid)
            .field("password", &format_args!("{}", hide(&self.password)))
            .field("mutual_userid", &self.mutual_userid)
            .field("mutual_password", &format_args!("{}", hide(&self.mutual_password)))
            .finish()
    }
}

/// A target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Target {
    /// Its portal groups by tag.
    pub tpgs: BTreeMap<u16, Tpg>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A target portal group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tpg {
    /// Whether initiators may log in.
    pub enable: bool,
    /// Its relative target port identifier, where it is not chosen when it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtpi: Option<u16>,
    /// Rows of [`Scope::Tpg`].
    #[schemars(schema_with = "crate::schema::tpg")]
    pub attributes: Values,
    /// Rows of [`Scope::Parameter`].
    #[schemars(schema_with = "crate::schema::parameter")]
    pub parameters: Values,
    /// For initiators without an ACL of their own.
    pub auth: Auth,
    /// What initiators can be given.
    pub luns: BTreeMap<u16, Lun>,
    /// Where it listens.
    pub portals: BTreeMap<PortalKey, Portal>,
    /// Who may log in.
    pub acls: BTreeMap<String, Acl>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A storage object behind a portal group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lun {
    /// Which.
    pub storage: StorageKey,
    /// The name of the link in configfs.
    #[serde(default)]
    pub alias: String,
    /// Its target port group, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alua_group: Option<String>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is special about a portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Portal {
    /// Whether it speaks iSER.
    pub iser: bool,
    /// Whether an adapter does the work.
    pub offload: bool,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What one initiator may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Acl {
    /// A name for several initiators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Rows of [`Scope::Acl`].
    #[schemars(schema_with = "crate::schema::acl")]
    pub attributes: Values,
    /// How it proves who it is.
    pub auth: Auth,
    /// The LUNs that it sees.
    pub mapped_luns: BTreeMap<u16, MappedLun>,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A LUN that an initiator sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MappedLun {
    /// The portal group's LUN.
    pub tpg_lun: u16,
    /// Whether it cannot write.
    #[serde(default)]
    pub write_protect: bool,
    /// The name of the link in configfs.
    #[serde(default)]
    pub alias: String,
    /// What else was found.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StorageObject {
    /// One with nothing but its blocks and serial, and the default group where felio does ALUA for it.
    #[must_use]
    pub fn new(backing: Backing, wwn: impl Into<String>) -> Self {
        let default = AluaGroup { tag: Some(0), ..AluaGroup::default() };
        let groups = backing.is_emulated().then(|| (DEFAULT_GROUP.to_owned(), default));
        Self {
            backing,
            wwn: wwn.into(),
            identity: Identity::default(),
            attributes: Values::new(),
            alua_groups: groups.into_iter().collect(),
            lu_group: None,
            extra: Extra::new(),
        }
    }

    /// The vendor that initiators are told.
    #[must_use]
    pub fn vendor(&self) -> &str {
        self.identity.vendor.as_deref().unwrap_or("felio")
    }

    /// The product that initiators are told; the object has that name.
    #[must_use]
    pub fn product<'a>(&'a self, name: &'a str) -> &'a str {
        let is_named = self.attribute("emulate_model_alias").is_some_and(|value| value.is_on());
        self.identity.product.as_deref().unwrap_or(if is_named { name } else { "DISK" })
    }

    /// The revision that initiators are told.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.identity.revision.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    /// The value of an attribute, set or default. `None` where the device decides, or there is no such attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let row = Attr::find(Scope::Storage, name).filter(|row| row.applies_to(&self.backing))?;
        self.attributes.get(name).cloned().or_else(|| row.default_of(Some(&self.backing)))
    }
}

impl Tpg {
    /// The value of an attribute, set or default.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        Attr::find(Scope::Tpg, name)?.value_in(&self.attributes)
    }

    /// The value of a parameter, set or default.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Value> {
        Attr::find(Scope::Parameter, name)?.value_in(&self.parameters)
    }
}

impl Acl {
    /// The value of an attribute, set or default.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        Attr::find(Scope::Acl, name)?.value_in(&self.attributes)
    }
}

impl AluaGroup {
    /// The value of a parameter, set or default.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Value> {
        Attr::find(Scope::Alua, name)?.value_in(&self.parameters)
    }
}

impl Backing {
    /// The plugin that keeps such blocks; `None` where `extra` would know.
    #[must_use]
    pub const fn plugin(&self) -> Option<Plugin> {
        match self {
            Self::Fileio { .. } => Some(Plugin::Fileio),
            Self::Block { .. } => Some(Plugin::Block),
            Self::Pscsi { .. } => Some(Plugin::Pscsi),
            Self::Ramdisk { .. } => Some(Plugin::Ramdisk),
            Self::Null { .. } => Some(Plugin::Null),
            Self::Other => None,
        }
    }

    /// The file or device.
    #[must_use]
    pub fn dev(&self) -> Option<&str> {
        match self {
            Self::Fileio { dev, .. } | Self::Block { dev, .. } | Self::Pscsi { dev } => Some(dev),
            Self::Ramdisk { .. } | Self::Null { .. } | Self::Other => None,
        }
    }

    /// Bytes, where the configuration says how many.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        match self {
            Self::Fileio { size, .. } | Self::Ramdisk { size, .. } | Self::Null { size } => Some(*size),
            Self::Block { .. } | Self::Pscsi { .. } | Self::Other => None,
        }
    }

    /// Whether felio answers commands itself rather than handing them to a device.
    #[must_use]
    pub const fn is_emulated(&self) -> bool {
        !matches!(self, Self::Pscsi { .. } | Self::Other)
    }
}

impl Config {
    /// Gives every enabled portal group a relative target port identifier, which it keeps: initiators' reservations go by it.
    pub fn number_ports(&mut self) {
        let mut used: BTreeSet<u16> = self.tpgs().filter_map(|(_, tpg)| tpg.rtpi).collect();
        let lacks = |tpg: &Tpg| tpg.enable && tpg.rtpi.is_none();
        for target in self.targets.values_mut().filter(|target| target.tpgs.values().any(lacks)) {
            for tpg in Arc::make_mut(target).tpgs.values_mut().filter(|tpg| lacks(tpg)) {
                tpg.rtpi = (1..=u16::MAX).find(|number| used.insert(*number));
            }
        }
    }

    /// A portal group.
    #[must_use]
    pub fn tpg(&self, key: &TpgKey) -> Option<&Tpg> {
        self.targets.get(&key.target)?.tpgs.get(&key.tag)
    }

    /// A node ACL.
    #[must_use]
    pub fn acl(&self, key: &AclKey) -> Option<&Acl> {
        self.tpg(&key.tpg)?.acls.get(&key.wwn)
    }

    /// All portal groups with their keys.
    pub fn tpgs(&self) -> impl Iterator<Item = (TpgKey, &Tpg)> {
        self.targets
            .iter()
            .flat_map(|(key, target)| target.tpgs.iter().map(|(tag, tpg)| (key.tpg(*tag), tpg)))
    }

    /// The LUNs that lead to a storage object.
    pub fn luns_of(&self, storage: &StorageKey) -> impl Iterator<Item = (TpgKey, u16)> {
        let tpgs =
            self.targets.iter().flat_map(|(key, target)| target.tpgs.iter().map(move |tpg| (key, tpg)));
        let luns = tpgs.flat_map(|(key, (tag, tpg))| tpg.luns.iter().map(move |lun| (key, tag, lun)));
        luns.filter(move |(_, _, (_, lun))| lun.storage == *storage)
            .map(|(key, tag, (index, _))| (key.tpg(*tag), *index))
    }

    /// Whether a LUN leads to a storage object.
    #[must_use]
    pub fn is_exported(&self, storage: &StorageKey) -> bool {
        self.luns_of(storage).next().is_some()
    }
}
