//! Names of objects: what a configuration's maps are keyed by and a change points with.
//!
//! As text, and so in JSON, a key is the object's path: `/backstores/fileio/disk1`, `/iscsi/iqn…/tpg1`. A plugin or fabric
//! that felio does not know survives under its own name.

use crate::path::Path;
use crate::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What keeps the blocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub enum Plugin {
    /// A block device.
    Block,
    /// A file.
    Fileio,
    /// A SCSI device that answers for itself.
    Pscsi,
    /// Memory.
    Ramdisk,
    /// Nothing: writes are forgotten, reads are zeros.
    Null,
    /// One that felio does not have; kept as it is.
    Other(String),
}

impl Plugin {
    /// Those that felio has, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Block, Self::Fileio, Self::Null, Self::Pscsi, Self::Ramdisk];

    /// LIO's name of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Block => "block",
            Self::Fileio => "fileio",
            Self::Pscsi => "pscsi",
            Self::Ramdisk => "ramdisk",
            Self::Null => "null",
            Self::Other(name) => name,
        }
    }
}

impl FromStr for Plugin {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        match Self::ALL.into_iter().find(|plugin| plugin.as_str() == name) {
            Some(known) => Ok(known),
            None => Ok(Self::Other(component("plugin", name)?)),
        }
    }
}

/// What carries commands to targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub enum Fabric {
    /// iSCSI.
    Iscsi,
    /// One that felio does not have; kept as it is.
    Other(String),
}

impl Fabric {
    /// LIO's name of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Iscsi => "iscsi",
            Self::Other(name) => name,
        }
    }
}

impl FromStr for Fabric {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        match name {
            "iscsi" => Ok(Self::Iscsi),
            _ => Ok(Self::Other(component("fabric", name)?)),
        }
    }
}

/// A storage object: unique within its plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct StorageKey {
    /// Its plugin.
    pub plugin: Plugin,
    /// Its name.
    pub name: String,
}

impl StorageKey {
    /// The key of a plugin's object.
    #[must_use]
    pub fn new(plugin: Plugin, name: impl Into<String>) -> Self {
        Self { plugin, name: name.into() }
    }
}

/// A target: unique within its fabric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct TargetKey {
    /// Its fabric.
    pub fabric: Fabric,
    /// Its name in the world.
    pub wwn: String,
}

impl TargetKey {
    /// The key of an iSCSI target.
    #[must_use]
    pub fn iscsi(wwn: impl Into<String>) -> Self {
        Self { fabric: Fabric::Iscsi, wwn: wwn.into() }
    }

    /// The key of a portal group of it.
    #[must_use]
    pub fn tpg(&self, tag: u16) -> TpgKey {
        TpgKey { target: self.clone(), tag }
    }
}

/// A target portal group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct TpgKey {
    /// Its target.
    pub target: TargetKey,
    /// Its tag.
    pub tag: u16,
}

impl TpgKey {
    /// The key of a node ACL of it.
    #[must_use]
    pub fn acl(&self, wwn: impl Into<String>) -> AclKey {
        AclKey { tpg: self.clone(), wwn: wwn.into() }
    }
}

/// A node ACL: what one initiator may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct AclKey {
    /// Its portal group.
    pub tpg: TpgKey,
    /// The initiator's name.
    pub wwn: String,
}

/// An address on which a portal group listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct PortalKey {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl PortalKey {
    /// The address as targetcli writes it, without brackets: all of IPv6 is `::0`.
    #[must_use]
    pub fn host(&self) -> String {
        match self.address {
            IpAddr::V6(six) if six.is_unspecified() => "::0".to_owned(),
            other => other.to_string(),
        }
    }

    /// From an address with or without brackets, and a port.
    pub fn parse(host: &str, port: u16) -> Result<Self, Refusal> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let address = bare.parse().map_err(|_| {
            Refusal::invalid(format!("{host:?} is no IP address")).hint("0.0.0.0 and ::0 mean all addresses")
        })?;
        if port == 0 {
            return Err(Refusal::invalid("a portal's port is 1 to 65535").hint("3260 is iSCSI's"));
        }
        Ok(Self { address, port })
    }
}

impl FromStr for PortalKey {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let malformed = || {
            Refusal::invalid(format!("{text:?} is no portal")).hint("ADDRESS:PORT, [ADDRESS]:PORT for IPv6")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(malformed());
        }
        Self::parse(host, port.parse().map_err(|_| malformed())?)
    }
}

impl fmt::Display for PortalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(_) => write!(f, "{}:{}", self.host(), self.port),
            IpAddr::V6(_) => write!(f, "[{}]:{}", self.host(), self.port),
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that can stand between two slashes.
pub(crate) fn component(what: &str, name: &str) -> Result<String, Refusal> {
    let bad = name.chars().find(|c| *c == '/' || c.is_whitespace() || c.is_control());
    match bad {
        Some(c) => Err(Refusal::invalid(format!("the {what} name {name:?} contains {c:?}"))),
        None if name.is_empty() => Err(Refusal::invalid(format!("the {what} has no name"))),
        None if matches!(name, "." | "..") => Err(Refusal::invalid(format!("{name:?} is no {what} name"))),
        None if name.len() > NAME_BYTES_MAX => Err(Refusal::invalid(format!(
            "a {what} name has at most {NAME_BYTES_MAX} bytes, not {}",
            name.len()
        ))),
        None => Ok(name.to_owned()),
    }
}

/// The most bytes of any name: a file's.
const NAME_BYTES_MAX: usize = 255;

/// Keys that are written as the path of their object.
macro_rules! as_path {
    ($($key:ident => $variant:ident),*) => {$(
        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Path::from(self.clone()).fmt(f)
            }
        }
        impl FromStr for $key {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                match text.parse()? {
                    Path::$variant(key) => Ok(key),
                    other => Err(Refusal::invalid(format!("{other} is another kind of object"))),
                }
            }
        }
        impl From<$key> for Path {
            fn from(key: $key) -> Self {
                Self::$variant(key)
            }
        }
        impl From<&$key> for Path {
            fn from(key: &$key) -> Self {
                Self::$variant(key.clone())
            }
        }
    )*};
}
as_path!(StorageKey => Storage, TargetKey => Target, TpgKey => Tpg, AclKey => Acl);

/// What serde needs of a value that is written as text.
macro_rules! as_text {
    ($($key:ty),*) => {$(
        impl From<$key> for String {
            fn from(key: $key) -> Self {
                key.to_string()
            }
        }
        impl TryFrom<String> for $key {
            type Error = Refusal;

            fn try_from(text: String) -> Result<Self, Refusal> {
                text.parse()
            }
        }
    )*};
}
as_text!(Plugin, Fabric, StorageKey, TargetKey, TpgKey, AclKey, PortalKey, Path);
