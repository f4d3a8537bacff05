//! What has become different from one snapshot to a later one: for whoever keeps a copy of a large configuration of which little changes at a time.
//!
//! Objects are told as a whole, and only those that are not shared by both. A delta holds for one snapshot only; one that is told from nothing
//! is the whole.

use crate::condition::Conditions;
use crate::config::{Config, StorageObject, Target};
use crate::in_step::InStep;
use crate::path::{StorageKey, TargetKey};
use crate::view::Snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has become different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delta {
    /// The revision of the snapshot that it is told from; zero: from nothing.
    pub since: u64,
    /// Storage objects as they are now; null for those that are gone.
    pub storage: BTreeMap<StorageKey, Option<Arc<StorageObject>>>,
    /// The same of targets.
    pub targets: BTreeMap<TargetKey, Option<Arc<Target>>>,
    /// The rest of the configuration, without these two.
    pub rest: Config,
    /// What has become of all objects.
    pub conditions: Conditions,
    /// The revision that it leads to.
    pub revision: u64,
}

impl Snapshot {
    /// What is different here from how it was before.
    #[must_use]
    pub fn since(&self, before: &Self) -> Delta {
        let (was, is) = (&before.config, &self.config);
        Delta {
            since: before.revision,
            storage: moved(&was.storage, &is.storage),
            targets: moved(&was.targets, &is.targets),
            rest: Config {
                lu_groups: is.lu_groups.clone(),
                fabrics: is.fabrics.clone(),
                extra: is.extra.clone(),
                ..Config::default()
            },
            conditions: self.conditions.clone(),
            revision: self.revision,
        }
    }

    /// What a delta makes of it. One that is not told from here is told from nothing.
    #[must_use]
    pub fn follow(&self, delta: Delta) -> Self {
        let Delta { since, storage, targets, rest, conditions, revision } = delta;
        let mut config = rest;
        if since == self.revision {
            config.storage.clone_from(&self.config.storage);
            config.targets.clone_from(&self.config.targets);
        }
        take(&mut config.storage, storage);
        take(&mut config.targets, targets);
        Self { config: Arc::new(config), conditions, revision }
    }
}

fn moved<K: Ord + Clone, V>(
    was: &BTreeMap<K, Arc<V>>,
    is: &BTreeMap<K, Arc<V>>,
) -> BTreeMap<K, Option<Arc<V>>> {
    let (mut old, mut new) = (InStep::new(was), InStep::new(is));
    let gone = was.keys().filter(|key| new.get(key).is_none()).map(|key| (key.clone(), None));
    let here = is.iter().filter(|(key, object)| !old.shares(key, object));
    gone.chain(here.map(|(key, object)| (key.clone(), Some(Arc::clone(object))))).collect()
}

fn take<K: Ord, V>(map: &mut BTreeMap<K, V>, moved: BTreeMap<K, Option<V>>) {
    for (key, object) in moved {
        match object {
            Some(object) => drop(map.insert(key, object)),
            None => drop(map.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Facts};

    fn changed(before: &Snapshot, changes: &str) -> Snapshot {
        let changes: Vec<Change> = serde_json::from_str(changes).expect("changes");
        let facts = Facts { host: "h".to_owned(), machine: "m".to_owned(), seed: [7; 16] };
        let (config, _) = before.config.apply(&changes, &facts).expect("they can be made");
        Snapshot { config: Arc::new(config), revision: before.revision + 1, ..before.clone() }
    }

    /// Two disks and a target, at revision 1.
    fn some() -> Snapshot {
        let nothing = Snapshot::default();
        let disk = |name: &str| {
            format!(
                r#"{{"change": "create_storage", "storage": "/backstores/ramdisk/{name}", "backing": {{"ramdisk": {{"size": 1048576}}}}}}"#
            )
        };
        let target = r#"{"change": "create_target", "fabric": "iscsi", "wwn": "iqn.2026-01.net.x:t"}"#;
        changed(&nothing, &format!("[{}, {}, {target}]", disk("a"), disk("b")))
    }

    /// As it arrives elsewhere.
    fn sent(delta: &Delta) -> Delta {
        let text = serde_json::to_string(delta).expect("JSON");
        serde_json::from_str(&text).expect("the same")
    }

    const DELETE: &str = r#"[{"change": "delete_storage", "storage": "/backstores/ramdisk/a"}]"#;
    const GROUP: &str = r#"[{"change": "create_lu_group", "name": "g"}]"#;

    #[test]
    fn a_copy_that_follows_is_what_is_shown() {
        let first = some();
        for changes in [DELETE, GROUP, r#"[{"change": "clear"}]"#] {
            let second = changed(&first, changes);
            assert_eq!(first.follow(sent(&second.since(&first))), second, "{changes}");
        }
    }

    #[test]
    fn only_what_is_different_is_told() {
        let first = some();
        let delta = changed(&first, DELETE).since(&first);
        assert_eq!(delta.storage.len(), 1);
        assert_eq!(delta.storage.values().next(), Some(&None));
        assert!(delta.targets.is_empty(), "{delta:?}");
    }

    #[test]
    fn what_is_told_from_nothing_is_the_whole_whatever_was_known() {
        let (first, second) = (some(), changed(&some(), GROUP));
        let whole = sent(&second.since(&Snapshot::default()));
        assert_eq!(first.follow(whole.clone()), second);
        assert_eq!(Snapshot::default().follow(whole), second);
    }
}
