//! Whole configurations, from files and to them.

use super::Desk;
use super::audit::{Deed, Who};
use super::entrance::Entrance;
use super::plant::Mode;
use super::vault::{self, VaultError};
use felio_client::Restoration;
use felio_control::{Condition, Config, Path, Refusal, RefusalKind};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

impl Desk {
    /// Writes the configuration to a file.
    pub(super) fn save(&mut self, file: Option<PathBuf>) -> Result<String, Refusal> {
        let path = file.unwrap_or_else(|| self.vault.file().to_path_buf());
        if path == self.vault.file() {
            // Every change is saved before it takes effect: there is hardly ever anything to do.
            self.vault.catch_up(&self.config)?;
        } else {
            vault::replace(&path, &felio_control::save::write(&self.config))
                .map_err(|error| self.plant.hinted(&path, error.into()))?;
        }
        Ok(format!("Configuration saved to {}", path.display()))
    }

    /// SIGHUP: the files are what counts from now on.
    pub(super) fn reload(&mut self) {
        self.plant.supervisor.tell_reloading();
        for failure in self.entrance.iter().flat_map(Entrance::reload) {
            self.say("refused", &failure.to_string());
        }
        let what = Restoration { clear_existing: true, ..Restoration::default() };
        match self.audited(&Who::Signal("SIGHUP"), &Deed::Restore(None), |desk| desk.restore(&what)) {
            Ok(notes) => {
                self.say("reloaded", &self.vault.file().display().to_string());
                notes.iter().for_each(|note| self.say("note", note));
            }
            Err(refusal) => self.say("refused", &refusal.to_string()),
        }
        self.plant.supervisor.tell_ready();
    }

    /// Takes up what a file says. What stays as it is is not touched: sessions live on.
    pub(super) fn restore(&mut self, what: &Restoration) -> Result<Vec<String>, Refusal> {
        let path = what.file.clone().unwrap_or_else(|| self.vault.file().to_path_buf());
        let read = vault::read(&path).map_err(|error| self.plant.hinted(&path, unread(error)));
        let (found, mut notes) = read?;
        let mut wanted = if what.clear_existing { Config::default() } else { Config::clone(&self.config) };
        let is_meant = |name: &str, only: &Option<String>, other: &Option<String>| match only {
            Some(only) => only == name,
            None => other.is_none(),
        };
        let replaces = what.clear_existing;
        let meant = found
            .storage
            .into_iter()
            .filter(|(key, _)| is_meant(&key.name, &what.storage_object, &what.target));
        merge(&mut wanted.storage, meant, replaces)?;
        let meant = found
            .targets
            .into_iter()
            .filter(|(key, _)| is_meant(&key.wwn, &what.target, &what.storage_object));
        merge(&mut wanted.targets, meant, replaces)?;
        if what.target.is_none() && what.storage_object.is_none() {
            wanted.lu_groups.extend(found.lu_groups);
            wanted.fabrics.extend(found.fabrics);
            wanted.extra.extend(found.extra);
        }
        keep_same(&mut wanted.storage, &self.config.storage);
        keep_same(&mut wanted.targets, &self.config.targets);
        wanted.check()?;
        // As at a start: what cannot be opened keeps its place and says why.
        self.become_(wanted, Mode::Lenient, None)?;
        let degraded = self.plant.conditions.iter().filter_map(|(path, condition)| match condition {
            Condition::Degraded { why } => Some(format!("{path}: {why}")),
            Condition::Up | Condition::Down | Condition::Drained => None,
        });
        notes.extend(degraded);
        Ok(notes)
    }
}

/// Adds objects; one that is there and is another is replaced, or a reason to refuse.
fn merge<K: Ord + Clone + Into<Path>, V: PartialEq>(
    into: &mut BTreeMap<K, V>,
    found: impl Iterator<Item = (K, V)>,
    replaces: bool,
) -> Result<(), Refusal> {
    for (key, object) in found {
        if !replaces && into.get(&key).is_some_and(|own| *own != object) {
            return Err(Refusal::exists(key).hint("restore with clear_existing=true replaces everything"));
        }
        into.insert(key, object);
    }
    Ok(())
}

/// What is as it was is the very same, so that nobody looks at it again.
fn keep_same<K: Ord, V: PartialEq>(wanted: &mut BTreeMap<K, Arc<V>>, own: &BTreeMap<K, Arc<V>>) {
    for (key, object) in wanted {
        if let Some(own) = own.get(key).filter(|own| *own == object) {
            *object = Arc::clone(own);
        }
    }
}

/// A configuration that is asked for cannot be had.
pub(super) fn unread(error: VaultError) -> Refusal {
    match error {
        VaultError::Io { .. } => Refusal::new(RefusalKind::NotFound, error.to_string()),
        other => Refusal::invalid(other.to_string()),
    }
}
