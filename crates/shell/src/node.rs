//! Kinds of places in the tree: what verbs are given to.

use felio_control::{Path, Plugin};

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Root,
    Backstores,
    Block,
    Fileio,
    Null,
    Pscsi,
    Ramdisk,
    OtherPlugin,
    Storage,
    AluaGroups,
    AluaGroup,
    LuGroups,
    LuGroup,
    Fabric,
    Target,
    Tpg,
    Luns,
    Lun,
    Portals,
    Portal,
    Acls,
    Acl,
    MappedLun,
}

impl Node {
    /// All kinds.
    pub(crate) const ALL: &[Self] = &[
        Self::Root,
        Self::Backstores,
        Self::Block,
        Self::Fileio,
        Self::Null,
        Self::Pscsi,
        Self::Ramdisk,
        Self::OtherPlugin,
        Self::Storage,
        Self::AluaGroups,
        Self::AluaGroup,
        Self::LuGroups,
        Self::LuGroup,
        Self::Fabric,
        Self::Target,
        Self::Tpg,
        Self::Luns,
        Self::Lun,
        Self::Portals,
        Self::Portal,
        Self::Acls,
        Self::Acl,
        Self::MappedLun,
    ];

    /// Those below which storage objects stand.
    pub(crate) const PLUGINS: &[Self] =
        &[Self::Block, Self::Fileio, Self::Null, Self::Pscsi, Self::Ramdisk, Self::OtherPlugin];

    /// The kind of a path.
    pub(crate) const fn of(path: &Path) -> Self {
        match path {
            Path::Root => Self::Root,
            Path::Backstores => Self::Backstores,
            Path::Plugin(Plugin::Block) => Self::Block,
            Path::Plugin(Plugin::Fileio) => Self::Fileio,
            Path::Plugin(Plugin::Null) => Self::Null,
            Path::Plugin(Plugin::Pscsi) => Self::Pscsi,
            Path::Plugin(Plugin::Ramdisk) => Self::Ramdisk,
            Path::Plugin(Plugin::Other(_)) => Self::OtherPlugin,
            Path::Storage(_) => Self::Storage,
            Path::AluaGroups(_) => Self::AluaGroups,
            Path::AluaGroup(..) => Self::AluaGroup,
            Path::LuGroups => Self::LuGroups,
            Path::LuGroup(_) => Self::LuGroup,
            Path::Fabric(_) => Self::Fabric,
            Path::Target(_) => Self::Target,
            Path::Tpg(_) => Self::Tpg,
            Path::Luns(_) => Self::Luns,
            Path::Lun(..) => Self::Lun,
            Path::Portals(_) => Self::Portals,
            Path::Portal(..) => Self::Portal,
            Path::Acls(_) => Self::Acls,
            Path::Acl(_) => Self::Acl,
            Path::MappedLun(..) => Self::MappedLun,
        }
    }

    /// What stands there.
    pub(crate) const fn doc(self) -> &'static str {
        match self {
            Self::Root => "Everything: storage objects, and targets that show them to initiators.",
            Self::Backstores => "Storage objects, by what keeps their blocks.",
            Self::Block => "Storage objects on block devices.",
            Self::Fileio => "Storage objects in files.",
            Self::Null => "Storage objects that forget what is written and read as zeros.",
            Self::Pscsi => "SCSI devices of this machine that answer for themselves.",
            Self::Ramdisk => "Storage objects in memory, empty at each start.",
            Self::OtherPlugin => "Storage objects of a plugin that felio does not have, kept as they are.",
            Self::Storage => "A storage object: blocks that LUNs lead to.",
            Self::AluaGroups => "Target port groups of a storage object.",
            Self::AluaGroup => {
                "A target port group: how well the storage object is reached through its ports."
            }
            Self::LuGroups => "Logical unit groups: storage objects whose ALUA states change together.",
            Self::LuGroup => "A logical unit group.",
            Self::Fabric => "Targets, by what carries commands to them.",
            Self::Target => "A target: what an initiator discovers.",
            Self::Tpg => "A target portal group: who may log in where, and what is seen there.",
            Self::Luns => "What initiators can be given.",
            Self::Lun => "A storage object, under a number.",
            Self::Portals => "Addresses that are listened on.",
            Self::Portal => "An address that is listened on.",
            Self::Acls => "Who may log in.",
            Self::Acl => "An initiator that may log in, and what it sees.",
            Self::MappedLun => "A LUN that the initiator sees, under a number of its own.",
        }
    }
}
