//! What has become of objects at run time: beside the configuration, never in it.
//!
//! An object that cannot be brought up keeps its place in the configuration and everything that refers to it; here is
//! said why. It is saved like all others.

use crate::path::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What has become of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Up,
    /// It is wanted but cannot be had as it is; it is tried again when that may have changed.
    Degraded {
        /// The cause, as a sentence without a full stop.
        why: String,
    },
    /// It is not wanted now: disabled, or below something that is.
    Down,
    /// It is wanted, but nobody gets there for now: an operator has drained it.
    Drained,
}

/// The conditions of all objects. Who is not mentioned is up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<Path, Condition>);

impl Conditions {
    /// Remembers what has become of an object; whether that is news.
    pub fn set(&mut self, path: Path, condition: Condition) -> bool {
        match condition {
            Condition::Up => self.0.remove(&path).is_some(),
            other => self.0.insert(path, other.clone()) != Some(other),
        }
    }

    /// Forgets those who are no longer in the configuration.
    pub fn retain(&mut self, exists: impl Fn(&Path) -> bool) {
        self.0.retain(|path, _| exists(path));
    }

    /// What has become of one.
    #[must_use]
    pub fn of(&self, path: &Path) -> &Condition {
        self.0.get(path).unwrap_or(&Condition::Up)
    }

    /// All that are not up, with their conditions.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Condition)> {
        self.0.iter()
    }
}
