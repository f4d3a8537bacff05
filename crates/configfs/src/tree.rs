//! The tree: what it is asked, and what it remembers.

use crate::View;
use crate::device::{self, Device, Draft, Hba};
use crate::place::{Node, Place};
use felio_control::{AclKey, Change, Config, Path, Refusal, RefusalKind, StorageKey, StorageObject, TpgKey};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// An error number, as the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub(crate) const PERMISSION: Self = Self(1);
    pub(crate) const NOT_FOUND: Self = Self(2);
    pub(crate) const BUSY: Self = Self(16);
    pub(crate) const EXISTS: Self = Self(17);
    pub(crate) const NO_DEVICE: Self = Self(19);
    pub(crate) const NOT_A_FOLDER: Self = Self(20);
    pub(crate) const IS_A_FOLDER: Self = Self(21);
    pub(crate) const INVALID: Self = Self(22);
    pub(crate) const NAME_TOO_LONG: Self = Self(36);
    pub(crate) const NOT_SUPPORTED: Self = Self(38);
    pub(crate) const NOT_EMPTY: Self = Self(39);
    pub(crate) const OVERFLOW: Self = Self(75);

    /// How LIO tells whoever wrote to a file what a refused change came from.
    #[must_use]
    pub const fn of_write(refusal: &Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Exists | RefusalKind::InUse | RefusalKind::Busy | RefusalKind::Invalid => {
                Self::INVALID
            }
            RefusalKind::NotFound => Self::NO_DEVICE,
            kind => Self(kind.errno()),
        }
    }

    /// The same for whoever made or removed a folder or a link.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        Self(refusal.kind.errno())
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file.
    File(Mode),
    /// A symbolic link, and where it leads.
    Link(String),
}

/// What of what runs a file tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Who is logged in.
    Sessions,
    /// That, and what was counted of an object and below it.
    Stats(Path),
    /// Who has reserved a storage object.
    Reservations(StorageKey),
}

/// Who may do what with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It can be read.
    Read,
    /// It can be written.
    Write,
    /// Both.
    Both,
}

impl Mode {
    /// As permission bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Read => 0o444,
            Self::Write => 0o200,
            Self::Both => 0o644,
        }
    }

    pub(crate) const fn of(is_writable: bool) -> Self {
        if is_writable { Self::Both } else { Self::Read }
    }
}

/// Something to do: carry out `changes`, then [`Tree::settle`] it. If a change is refused, nothing has happened.
#[derive(Debug)]
#[must_use]
pub struct Step {
    /// One transaction; nothing where there is nothing for the daemon to do.
    pub changes: Vec<Change>,
    memo: Memo,
}

/// What the tree has to remember.
#[derive(Debug)]
pub(crate) enum Memo {
    Nothing,
    Fabric(bool),
    Hba(Hba),
    NoHba(Hba),
    Draft(Device, Box<Draft>),
    NoDraft(Device),
    Enabled(Device),
    Disabled(Device),
    Lun(TpgKey, u16),
    NoLun(TpgKey, u16),
    Mapped(AclKey, u16, bool),
    NoMapped(AclKey, u16),
    Root(String),
    Alias(StorageKey, String),
}

impl Step {
    pub(crate) fn remember(memo: Memo) -> Self {
        Self { changes: Vec::new(), memo }
    }

    pub(crate) fn change(change: Change) -> Self {
        Self::changes(vec![change])
    }

    pub(crate) fn changes(changes: Vec<Change>) -> Self {
        Self { changes, memo: Memo::Nothing }
    }

    pub(crate) fn and(self, memo: Memo) -> Self {
        Self { memo, ..self }
    }
}

/// What the kernel's tree has and a configuration has not.
#[derive(Debug)]
pub struct Tree {
    version: String,
    /// `dbroot`: where LIO would keep state; felio keeps none there.
    pub(crate) root: String,
    /// Whether somebody made the folder of the fabric.
    pub(crate) fabric: bool,
    /// Folders of plugins that somebody made.
    pub(crate) hbas: BTreeSet<Hba>,
    /// The number of the folder in which a storage object is.
    pub(crate) numbers: BTreeMap<StorageKey, u32>,
    pub(crate) drafts: BTreeMap<Device, Draft>,
    pub(crate) aliases: BTreeMap<StorageKey, String>,
    /// LUNs that lead nowhere.
    pub(crate) luns: BTreeSet<(TpgKey, u16)>,
    /// Mapped LUNs that lead nowhere, and whether they are to be write protected.
    pub(crate) mapped: BTreeMap<(AclKey, u16), bool>,
}

impl Tree {
    /// A tree of somebody who calls itself that in `version`.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            root: "/var/target".to_owned(),
            fabric: false,
            hbas: BTreeSet::new(),
            numbers: BTreeMap::new(),
            drafts: BTreeMap::new(),
            aliases: BTreeMap::new(),
            luns: BTreeSet::new(),
            mapped: BTreeMap::new(),
        }
    }

    /// Takes notice of what others have changed: call it with a new view before anything else.
    pub fn follow(&mut self, view: View<'_>) {
        let config = &view.snapshot.config;
        self.numbers.retain(|key, _| config.storage.contains_key(key));
        self.aliases.retain(|key, _| config.storage.contains_key(key));
        for key in config.storage.keys().filter(|key| device::plugin(key).is_some()) {
            if !self.numbers.contains_key(key) {
                let number = self.free_number();
                self.numbers.insert(key.clone(), number);
            }
        }
        self.luns.retain(|(key, index)| config.tpg(key).is_some_and(|tpg| !tpg.luns.contains_key(index)));
        self.mapped.retain(|(key, index), _| {
            config.acl(key).is_some_and(|acl| !acl.mapped_luns.contains_key(index))
        });
    }

    /// Remembers a step whose changes have been carried out.
    pub fn settle(&mut self, step: Step) {
        match step.memo {
            Memo::Nothing => {}
            Memo::Fabric(is_there) => self.fabric = is_there,
            Memo::Hba(hba) => drop(self.hbas.insert(hba)),
            Memo::NoHba(hba) => drop(self.hbas.remove(&hba)),
            Memo::Draft(device, draft) => drop(self.drafts.insert(device, *draft)),
            Memo::NoDraft(device) => drop(self.drafts.remove(&device)),
            Memo::Enabled(device) => {
                let key = device.key();
                if let Some(draft) = self.drafts.remove(&device) {
                    self.aliases.insert(key.clone(), draft.alias);
                }
                self.numbers.insert(key, device.hba.number);
            }
            Memo::Disabled(device) => drop(self.hbas.insert(device.hba)),
            Memo::Lun(key, index) => drop(self.luns.insert((key, index))),
            Memo::NoLun(key, index) => drop(self.luns.remove(&(key, index))),
            Memo::Mapped(key, index, protect) => drop(self.mapped.insert((key, index), protect)),
            Memo::NoMapped(key, index) => drop(self.mapped.remove(&(key, index))),
            Memo::Root(root) => self.root = root,
            Memo::Alias(key, alias) => drop(self.aliases.insert(key, alias)),
        }
    }

    /// What stands at a path.
    pub fn entry(&self, view: View<'_>, path: &str) -> Result<Entry, Errno> {
        Ok(match self.node(view, path)? {
            Node::Folder(_) => Entry::Folder,
            Node::File(file) => Entry::File(file.mode()),
            Node::Link(to) => Entry::Link(to),
        })
    }

    /// What stands below a path, by name.
    pub fn list(&self, view: View<'_>, path: &str) -> Result<Vec<(String, Entry)>, Errno> {
        let entries = self.place(view, path)?.entries(self, view);
        let entry = |node| match node {
            Node::Folder(_) => Entry::Folder,
            Node::File(file) => Entry::File(file.mode()),
            Node::Link(to) => Entry::Link(to),
        };
        Ok(entries.into_iter().map(|(name, node)| (name, entry(node))).collect())
    }

    /// The content of a file.
    pub fn read(&self, view: View<'_>, path: &str) -> Result<String, Errno> {
        match self.node(view, path)? {
            Node::File(file) => file.read(self, view),
            Node::Folder(_) => Err(Errno::IS_A_FOLDER),
            Node::Link(_) => Err(Errno::INVALID),
        }
    }

    /// What of what runs the content of a file tells of.
    #[must_use]
    pub fn needs(&self, view: View<'_>, path: &str) -> Needs {
        match self.node(view, path) {
            Ok(Node::File(file)) => file.needs(),
            Ok(Node::Folder(_) | Node::Link(_)) | Err(_) => Needs::Nothing,
        }
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn node(&self, view: View<'_>, path: &str) -> Result<Node, Errno> {
        let start = Node::Folder(Place::Root);
        path.split('/').filter(|part| !part.is_empty()).try_fold(start, |at, part| match at {
            Node::Folder(place) => place.child(self, view, part).ok_or(Errno::NOT_FOUND),
            Node::File(_) | Node::Link(_) => Err(Errno::NOT_A_FOLDER),
        })
    }

    pub(crate) fn place(&self, view: View<'_>, path: &str) -> Result<Place, Errno> {
        match self.node(view, path)? {
            Node::Folder(place) => Ok(place),
            Node::File(_) | Node::Link(_) => Err(Errno::NOT_A_FOLDER),
        }
    }

    /// The folder above a path, and the name in it.
    pub(crate) fn above<'p>(&self, view: View<'_>, path: &'p str) -> Result<(Place, &'p str), Errno> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NAME_TOO_LONG);
        }
        Ok((self.place(view, folder)?, name))
    }

    /// All folders of plugins.
    pub(crate) fn all_hbas(&self) -> BTreeSet<Hba> {
        let used = self
            .numbers
            .iter()
            .filter_map(|(key, number)| Some(Hba { plugin: device::plugin(key)?, number: *number }));
        self.hbas.iter().cloned().chain(used).collect()
    }

    /// The devices in a plugin's folder.
    pub(crate) fn devices<'a>(&'a self, hba: &'a Hba) -> impl Iterator<Item = Device> + 'a {
        let made = self.numbers.iter().filter(move |(key, number)| {
            **number == hba.number && device::plugin(key).as_ref() == Some(&hba.plugin)
        });
        let made = made.map(|(key, _)| Device::of(hba.clone(), key));
        made.chain(self.drafts.keys().filter(move |device| device.hba == *hba).cloned())
    }

    /// Where a storage object stands.
    pub(crate) fn device(&self, key: &StorageKey) -> Option<Device> {
        let hba = Hba { plugin: device::plugin(key)?, number: *self.numbers.get(key)? };
        Some(Device::of(hba, key))
    }

    /// The object of a device, or what a draft would become; and whether it is enabled.
    pub(crate) fn object<'a>(
        &'a self,
        config: &'a Config,
        device: &Device,
    ) -> Option<(Cow<'a, StorageObject>, bool)> {
        match self.drafts.get(device) {
            Some(draft) => Some((Cow::Owned(draft.object(&device.hba.plugin)), false)),
            None => Some((Cow::Borrowed(config.storage.get(&device.key())?), true)),
        }
    }

    fn free_number(&self) -> u32 {
        let used: BTreeSet<u32> = self.all_hbas().into_iter().map(|hba| hba.number).collect();
        (0..u32::MAX).find(|number| !used.contains(number)).unwrap_or(u32::MAX)
    }
}

const NAME_BYTES_MAX: usize = 255;
