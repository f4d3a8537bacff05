//! What can be changed, as data: a line of the shell, the body of a REST request, a write to configfs.
//!
//! What a change means is in [`apply`](crate::apply).

use crate::attr::{Attr, Scope};
use crate::config::Backing;
use crate::path::{AclKey, Fabric, Path, PortalKey, StorageKey, TargetKey, TpgKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change. Objects are named by their paths; what is left out is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A new storage object.
    CreateStorage {
        /// Which.
        storage: StorageKey,
        /// Where its blocks are.
        backing: Backing,
        /// Its serial number; made if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wwn: Option<String>,
    },
    /// Removes a storage object and all LUNs that lead to it. Blocks are not touched.
    DeleteStorage {
        /// Which.
        storage: StorageKey,
    },
    /// Makes a storage object larger or smaller.
    Resize {
        /// Which.
        storage: StorageKey,
        /// Bytes.
        size: u64,
    },
    /// Says anew where its blocks are, or how they are accessed.
    SetBacking {
        /// Which.
        storage: StorageKey,
        /// Of the same plugin.
        backing: Backing,
    },
    /// Puts a storage object into a logical unit group, or into none.
    SetLuGroup {
        /// Which.
        storage: StorageKey,
        /// The group.
        lu_group: Option<String>,
    },
    /// A new logical unit group.
    CreateLuGroup {
        /// Its name.
        name: String,
        /// Its number; given later if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u16>,
    },
    /// Numbers a logical unit group that has no number yet.
    NumberLuGroup {
        /// Its name.
        name: String,
        /// Its number.
        id: u16,
    },
    /// Removes a logical unit group that nobody is in.
    DeleteLuGroup {
        /// Its name.
        name: String,
    },
    /// A new target port group of a storage object.
    CreateAluaGroup {
        /// Whose.
        storage: StorageKey,
        /// Its name.
        name: String,
        /// Its number; given later (`tg_pt_gp_id`) if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<u16>,
    },
    /// Removes a target port group; its LUNs fall back to the default group.
    DeleteAluaGroup {
        /// Whose.
        storage: StorageKey,
        /// Its name.
        name: String,
    },
    /// A new target.
    CreateTarget {
        /// Of this fabric.
        fabric: Fabric,
        /// Its name; made if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wwn: Option<String>,
        /// With a first portal group, or without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tpg: Option<NewTpg>,
    },
    /// Removes a target and all that is in it.
    DeleteTarget {
        /// Which.
        target: TargetKey,
    },
    /// A new portal group.
    CreateTpg {
        /// Of this target.
        target: TargetKey,
        /// Its tag; the first free one if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<u16>,
        /// What it begins with.
        #[serde(default)]
        with: NewTpg,
    },
    /// Removes a portal group and all that is in it.
    DeleteTpg {
        /// Which.
        tpg: TpgKey,
    },
    /// Lets initiators log in.
    EnableTpg {
        /// Where.
        tpg: TpgKey,
    },
    /// Lets nobody log in any more, and ends sessions.
    DisableTpg {
        /// Where.
        tpg: TpgKey,
    },
    /// Fixes the relative target port identifier of a disabled portal group, or leaves it to felio.
    SetRtpi {
        /// Whose.
        tpg: TpgKey,
        /// 1 to 65535.
        rtpi: Option<u16>,
    },
    /// A new LUN.
    CreateLun {
        /// Where.
        tpg: TpgKey,
        /// Leading to this.
        storage: StorageKey,
        /// Its number; the first free one if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u16>,
        /// The name of the link in configfs; made if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
        /// Whether every initiator with an ACL sees it at once.
        #[serde(default)]
        add_mapped_luns: bool,
    },
    /// Removes a LUN and the mapped LUNs that lead to it.
    DeleteLun {
        /// Where.
        tpg: TpgKey,
        /// Its number.
        index: u16,
    },
    /// Listens on one more address.
    CreatePortal {
        /// Where.
        tpg: TpgKey,
        /// The address.
        portal: PortalKey,
    },
    /// Changes what a portal speaks.
    SetPortal {
        /// Where.
        tpg: TpgKey,
        /// The address.
        portal: PortalKey,
        /// Whether iSER; unchanged if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iser: Option<bool>,
        /// Whether by an adapter; unchanged if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offload: Option<bool>,
    },
    /// Listens there no longer.
    DeletePortal {
        /// Where.
        tpg: TpgKey,
        /// The address.
        portal: PortalKey,
    },
    /// Lets an initiator in.
    CreateAcl {
        /// Where.
        tpg: TpgKey,
        /// Its name.
        wwn: String,
        /// Whether it sees all LUNs at once.
        #[serde(default)]
        add_mapped_luns: bool,
    },
    /// Lets an initiator in no longer.
    DeleteAcl {
        /// Which.
        acl: AclKey,
    },
    /// Gives an initiator a name for people.
    TagAcl {
        /// Which.
        acl: AclKey,
        /// The name.
        tag: String,
    },
    /// Takes that name away.
    UntagAcl {
        /// Which.
        acl: AclKey,
    },
    /// Shows an initiator a LUN.
    CreateMappedLun {
        /// To whom.
        acl: AclKey,
        /// Under this number.
        index: u16,
        /// The portal group's LUN.
        tpg_lun: u16,
        /// Whether it cannot write.
        #[serde(default)]
        write_protect: bool,
        /// The name of the link in configfs; made if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
    },
    /// Shows it no longer.
    DeleteMappedLun {
        /// To whom.
        acl: AclKey,
        /// Its number there.
        index: u16,
    },
    /// Protects a LUN from an initiator, or does so no longer.
    SetWriteProtect {
        /// From whom.
        acl: AclKey,
        /// Its number there.
        index: u16,
        /// Whether it cannot write.
        write_protect: bool,
    },
    /// Sets what has a row in [`attr`](crate::attr).
    Set {
        /// Of which object.
        path: Path,
        /// In which group.
        group: Group,
        /// The row's name.
        name: String,
        /// The value as text.
        value: String,
    },
    /// Back to the default.
    Reset {
        /// Of which object.
        path: Path,
        /// In which group.
        group: Group,
        /// The row's name.
        name: String,
    },
    /// Keeps a key that felio does not know.
    SetExtra {
        /// With which object.
        path: Path,
        /// The key.
        key: String,
        /// What stands there.
        value: serde_json::Value,
    },
    /// Drops a key that felio does not know.
    DropExtra {
        /// Of which object.
        path: Path,
        /// The key.
        key: String,
    },
    /// Removes everything. Blocks are not touched.
    Clear,
}

impl Change {
    /// The same without secrets: for logs.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut public = self.clone();
        if let Self::Set { path, group, name, value } = &mut public {
            let row = group.scope(path).and_then(|scope| Attr::find(scope, name));
            if row.is_none_or(|row| row.secret) {
                "(secret)".clone_into(value);
            }
        }
        // What other fabrics keep may be secret, too.
        if let Self::SetExtra { key, value, .. } = &mut public
            && (key.contains("password") || key.contains("secret"))
        {
            *value = "(secret)".into();
        }
        public
    }
}

/// What a portal group begins with. By default with nothing, as in configfs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewTpg {
    /// Whether initiators need no CHAP (`authentication=0`), until somebody wants it.
    pub open: bool,
    /// Whether it is enabled.
    pub enable: bool,
    /// Whether it listens on all addresses.
    pub default_portal: bool,
}

impl NewTpg {
    /// As targetcli makes them unless its preferences are changed.
    pub const TARGETCLI: Self = Self { open: true, enable: true, default_portal: true };
}

/// What the shell calls a group of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// `attribute`.
    Attribute,
    /// `parameter`.
    Parameter,
    /// `auth`.
    Auth,
    /// `alua`.
    Alua,
    /// `discovery_auth`.
    DiscoveryAuth,
    /// `identity`: what configfs has in `wwn/`.
    Identity,
}

impl Group {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Attribute, Self::Parameter, Self::Auth, Self::Alua, Self::DiscoveryAuth, Self::Identity];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Parameter => "parameter",
            Self::Auth => "auth",
            Self::Alua => "alua",
            Self::DiscoveryAuth => "discovery_auth",
            Self::Identity => "identity",
        }
    }

    /// The rows that an object has in this group, if it has the group. Those of fabrics that felio does not have are not known.
    #[must_use]
    pub fn scope(self, path: &Path) -> Option<Scope> {
        let ours = |tpg: &TpgKey| tpg.target.fabric == Fabric::Iscsi;
        match (self, path) {
            (Self::Attribute, Path::Storage(_)) => Some(Scope::Storage),
            (Self::Identity, Path::Storage(_)) => Some(Scope::Identity),
            (Self::Alua, Path::AluaGroup(..)) => Some(Scope::Alua),
            (Self::Alua, Path::Lun(..)) => Some(Scope::Lun),
            (Self::Attribute, Path::Tpg(key)) if ours(key) => Some(Scope::Tpg),
            (Self::Parameter, Path::Tpg(key)) if ours(key) => Some(Scope::Parameter),
            (Self::Auth, Path::Tpg(key)) if ours(key) => Some(Scope::Auth),
            (Self::Auth, Path::Acl(key)) if ours(&key.tpg) => Some(Scope::Auth),
            (Self::Attribute, Path::Acl(key)) if ours(&key.tpg) => Some(Scope::Acl),
            (Self::DiscoveryAuth, Path::Fabric(Fabric::Iscsi)) => Some(Scope::DiscoveryAuth),
            _ => None,
        }
    }

    /// The groups that an object has.
    pub fn of(path: &Path) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |group| group.scope(path).is_some())
    }
}
