//! The text of a configuration that changes little from one time to the next: what has not changed is not made anew.

use super::write;
use crate::config::{Config, StorageObject, Target};
use crate::path::{StorageKey, TargetKey};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes one configuration after the other.
#[derive(Debug, Default)]
pub struct Writer {
    storage: Texts<StorageKey, StorageObject>,
    targets: Texts<TargetKey, Target>,
}

/// What was written of objects, as it stands in a list of the file.
type Texts<K, V> = BTreeMap<K, (Arc<V>, String)>;

impl Writer {
    /// A file that says this, as [`write`](super::write) makes it.
    pub fn write(&mut self, config: &Config) -> String {
        renew(&mut self.storage, &config.storage, write::storage);
        // What a LUN says of its storage object is whether it is emulated: that changes only with its key.
        renew(&mut self.targets, &config.targets, |key, target| write::target(key, target, config));
        let (lu_groups, fabrics) = (config.lu_groups.clone(), config.fabrics.clone());
        let frame = Config { lu_groups, fabrics, extra: config.extra.clone(), ..Config::default() };
        let frame = super::write(&frame);
        let bytes =
            |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.len() + 6).sum::<usize>();
        let bytes = bytes(&mut self.storage.values().map(|(_, text)| text))
            + bytes(&mut self.targets.values().map(|(_, text)| text));
        let mut file = String::with_capacity(frame.len() + bytes + 16);
        let rest = fill(&mut file, &frame, "storage_objects", self.storage.values().map(|(_, text)| text));
        let rest = fill(&mut file, rest, "targets", self.targets.values().map(|(_, text)| text));
        file.push_str(rest);
        file
    }
}

/// Makes anew what is new or has changed, and forgets what is gone.
fn renew<K: Ord + Clone, V>(
    texts: &mut Texts<K, V>,
    objects: &BTreeMap<K, Arc<V>>,
    write: impl Fn(&K, &V) -> Json,
) {
    texts.retain(|key, _| objects.contains_key(key));
    for (key, object) in objects {
        if !texts.get(key).is_some_and(|(of, _)| Arc::ptr_eq(of, object)) {
            // In strings a line feed is written otherwise.
            let text = format!("{:#}", write(key, object)).replace('\n', "\n    ");
            texts.insert(key.clone(), (Arc::clone(object), text));
        }
    }
}

/// Copies the frame up to and with the empty list of a name, filled; returns what follows.
fn fill<'f, 't>(
    file: &mut String,
    frame: &'f str,
    name: &str,
    texts: impl Iterator<Item = &'t String>,
) -> &'f str {
    let start = format!("\n  \"{name}\": [");
    let Some((before, rest)) = frame.split_once(&format!("{start}]")) else { return frame };
    file.push_str(before);
    file.push_str(&start);
    let mut ending = "";
    let mut between = "\n    ";
    for text in texts {
        file.push_str(between);
        file.push_str(text);
        (between, ending) = (",\n    ", "\n  ");
    }
    file.push_str(ending);
    file.push(']');
    rest
}
