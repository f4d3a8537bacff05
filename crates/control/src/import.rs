//! The configurations of other targets, taken over: tgt's `targets.conf` and SCST's `scst.conf`.
//!
//! What a file says becomes changes, made one after the other. What felio has no equivalent for, and what is refused, is a [`Note`]
//! with its line. Nobody is let in whom the other target kept out: where it decided by something that felio cannot decide by, the
//! portal group stays closed and a note says so.
//!
//! What these files do not say (serial numbers, names of links) stays open, for [`settled`](crate::plan::settled) or whoever makes the change.
//!
//! Not here: LIO's file, which is felio's own ([`save`](crate::save)); files that a file includes.

mod scst;
#[cfg(test)]
mod tests;
mod tgt;
mod tree;

use crate::apply::Draft;
use crate::change::{Change, Group};
use crate::config::{Backing, Config};
use crate::facts::Facts;
use crate::path::{AclKey, Path, Plugin, StorageKey, TpgKey};
use crate::save::{Note, Unreadable};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bytes a file has, if it is there.
pub type SizeOf<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// What tgt's `targets.conf` says.
pub fn tgt(text: &str, facts: &Facts, size_of: SizeOf<'_>) -> Result<(Config, Vec<Note>), Unreadable> {
    let tree = tree::tgt(text)?;
    let mut import = Import::new(facts, size_of);
    tgt::all(&mut import, &tree);
    import.end()
}

/// What SCST's `scst.conf` says.
pub fn scst(text: &str, facts: &Facts, size_of: SizeOf<'_>) -> Result<(Config, Vec<Note>), Unreadable> {
    let tree = tree::scst(text)?;
    let mut import = Import::new(facts, size_of);
    scst::all(&mut import, &tree);
    import.end()
}

/// A configuration that is being taken over.
struct Import<'a> {
    draft: Draft<'a>,
    notes: Vec<Note>,
    size_of: SizeOf<'a>,
    /// The storage object that has a file or device.
    by_dev: BTreeMap<String, StorageKey>,
}

impl<'a> Import<'a> {
    fn new(facts: &'a Facts, size_of: SizeOf<'a>) -> Self {
        let draft = Draft::new(Config::default(), facts);
        Self { draft, notes: Vec::new(), size_of, by_dev: BTreeMap::new() }
    }

    fn end(self) -> Result<(Config, Vec<Note>), Unreadable> {
        match self.draft.config.check() {
            Ok(()) => Ok((self.draft.config, self.notes)),
            Err(why) => Err(Unreadable { at: "the whole file".to_owned(), what: why.what }),
        }
    }

    fn note(&mut self, line: usize, says: impl Into<String>) {
        self.notes.push(Note { at: format!("line {line}"), says: says.into() });
    }

    /// Makes a change, or notes why not; whether it is made.
    fn make(&mut self, line: usize, change: Change) -> bool {
        match self.draft.make(&change) {
            Ok(()) => true,
            Err(why) => {
                self.note(line, format!("left out: {}", why.what));
                false
            }
        }
    }

    fn set(&mut self, line: usize, path: impl Into<Path>, group: Group, name: &str, value: &str) -> bool {
        let (path, name, value) = (path.into(), name.to_owned(), value.to_owned());
        self.make(line, Change::Set { path, group, name, value })
    }

    /// A name and its secret.
    fn user(&mut self, line: usize, path: impl Into<Path>, group: Group, prefix: &str, user: &[String]) {
        let [name, secret] = user else {
            return self.note(line, "left out: a name and a secret are expected");
        };
        let path = path.into();
        if self.set(line, path.clone(), group, &format!("{prefix}userid"), name) {
            self.set(line, path, group, &format!("{prefix}password"), secret);
        }
    }

    /// A storage object for blocks, under a name like the wanted one that is still free.
    fn create(
        &mut self,
        line: usize,
        plugin: Plugin,
        name: &str,
        backing: Backing,
        wwn: Option<String>,
    ) -> Option<StorageKey> {
        let clean: String = name
            .chars()
            .map(|c| if c.is_whitespace() || c.is_control() || c == '/' { '-' } else { c })
            .collect();
        let names =
            core::iter::once(clean.clone()).chain((2..=u16::MAX).map(|number| format!("{clean}-{number}")));
        let mut keys = names.map(|name| StorageKey::new(plugin.clone(), name));
        let storage = keys.find(|key| !self.draft.config.storage.contains_key(key))?;
        let dev = backing.dev().map(ToOwned::to_owned);
        let open = wwn.is_none();
        if !self.make(line, Change::CreateStorage { storage: storage.clone(), backing, wwn }) {
            return None;
        }
        if let Some(object) = self.draft.config.storage.get_mut(&storage).filter(|_| open) {
            Arc::make_mut(object).wwn.clear();
        }
        if let Some(dev) = dev {
            self.by_dev.insert(dev, storage.clone());
        }
        Some(storage)
    }

    /// A LUN, seen by nobody yet.
    fn lun(&mut self, line: usize, tpg: &TpgKey, storage: &StorageKey, index: Option<u16>) -> Option<u16> {
        let index = index.or_else(|| {
            let luns = &self.draft.config.tpg(tpg)?.luns;
            (0..=u16::MAX).find(|index| !luns.contains_key(index))
        });
        let (tpg, storage) = (tpg.clone(), storage.clone());
        let alias = Some(String::new());
        let made = self.make(line, Change::CreateLun { tpg, storage, index, alias, add_mapped_luns: false });
        index.filter(|_| made)
    }

    fn map(&mut self, line: usize, acl: &AclKey, index: u16, tpg_lun: u16, write_protect: bool) {
        let (acl, alias) = (acl.clone(), Some(String::new()));
        self.make(line, Change::CreateMappedLun { acl, index, tpg_lun, write_protect, alias });
    }

    /// Lets in whoever comes, as targets do that know no ACL.
    fn open_to_all(&mut self, line: usize, tpg: &TpgKey) {
        self.set(line, tpg, Group::Attribute, "generate_node_acls", "1");
        self.set(line, tpg, Group::Attribute, "demo_mode_write_protect", "0");
    }
}

/// The last component of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("disk")
}

/// What people write for yes.
fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "y" | "true")
}
