//! Two maps gone through side by side: what many keys lead to is found in one pass, instead of in a search for each.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::sync::Arc;

/// A map that is asked for keys in ascending order.
#[derive(Debug)]
pub struct InStep<'m, K, V> {
    next: Option<(&'m K, &'m V)>,
    rest: Range<'m, K, V>,
}

impl<'m, K: Ord, V> InStep<'m, K, V> {
    /// Before its first key.
    #[must_use]
    pub fn new(map: &'m BTreeMap<K, V>) -> Self {
        let mut rest = map.range::<K, _>(..);
        Self { next: rest.next(), rest }
    }

    /// What is there for a key, which is not below the one asked for before.
    pub fn get(&mut self, key: &K) -> Option<&'m V> {
        while let Some((here, value)) = self.next {
            match here.cmp(key) {
                core::cmp::Ordering::Less => self.next = self.rest.next(),
                core::cmp::Ordering::Equal => return Some(value),
                core::cmp::Ordering::Greater => return None,
            }
        }
        None
    }
}

impl<K: Ord, V> InStep<'_, K, Arc<V>> {
    /// Whether the very same object is there, not only an equal one.
    pub fn shares(&mut self, key: &K, object: &Arc<V>) -> bool {
        self.get(key).is_some_and(|own| Arc::ptr_eq(own, object))
    }
}
