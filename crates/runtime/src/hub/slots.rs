//! A table whose places have generations: what a late event names is either still there or seen to be gone.
//!
//! Invariant: a generation is given to one value only, for as long as 2³² uses of one place last.

/// A place and which use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// At most `max` values.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    len: usize,
    max: usize,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new(max: usize) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), len: 0, max }
    }

    /// Finds a place, if there is one.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        if self.len >= self.max {
            return None;
        }
        if self.free.is_empty() {
            self.free.push(u32::try_from(self.entries.len()).ok()?);
            self.entries.push(Entry { generation: 0, value: None });
        }
        let slot = self.free.pop()?;
        let entry = self.entries.get_mut(index(slot))?;
        entry.value = Some(value);
        self.len += 1;
        Some(Key { slot, generation: entry.generation })
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(index(key.slot))?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.slot);
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(index(key.slot))?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// All that are there, for what is seldom done.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0u32..).zip(&self.entries).filter_map(|(slot, entry)| {
            let key = Key { slot, generation: entry.generation };
            entry.value.as_ref().map(|value| (key, value))
        })
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_dies_with_its_value() {
        let mut slots = Slots::new(4);
        let old = slots.insert('a').expect("room");
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b').expect("room");
        assert_eq!(old.slot, new.slot);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.get_mut(new), Some(&mut 'b'));
    }

    #[test]
    fn no_more_than_the_maximum_fits() {
        let mut slots = Slots::new(1);
        assert!(slots.insert('a').is_some());
        assert_eq!(slots.insert('b'), None);
    }
}
