//! Why a change is not made: what kind of reason, in words, where, and what to type next.

use crate::path::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change that is refused; nothing of it has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// What a program matches on.
    pub kind: Kind,
    /// The cause, as a sentence without a full stop.
    pub what: String,
    /// What to type or do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The object that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Box<Path>>,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RefusalKind")]
pub enum Kind {
    /// There is one already.
    Exists,
    /// There is none.
    NotFound,
    /// The value or name can never be right.
    Invalid,
    /// Something else uses it; possible once that is gone.
    InUse,
    /// The object is in a state that does not allow it; possible after another command.
    Busy,
    /// felio, or this kind of object, cannot do that.
    NotSupported,
    /// It can be read only.
    ReadOnly,
    /// More than there can be.
    TooMany,
    /// It is not any more as whoever asks has seen it.
    Changed,
    /// Whoever asks has not shown who that is, or may not do that.
    Denied,
}

impl Kind {
    /// The error number with which a write to configfs fails.
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            Self::Exists => 17,
            Self::NotFound => 2,
            Self::Invalid => 22,
            Self::InUse | Self::Busy => 16,
            Self::NotSupported => 38,
            Self::ReadOnly | Self::Denied => 13,
            Self::TooMany => 28,
            Self::Changed => 11,
        }
    }
}

impl Refusal {
    /// A refusal without hint and path.
    #[must_use]
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: None, path: None }
    }

    /// There is one already.
    #[must_use]
    pub fn exists(path: impl Into<Path>) -> Self {
        let path = path.into();
        Self::new(Kind::Exists, format!("{path} exists already")).at(path)
    }

    /// There is none.
    #[must_use]
    pub fn not_found(path: impl Into<Path>) -> Self {
        let path = path.into();
        let refusal = Self::new(Kind::NotFound, format!("there is no {path}"));
        match path.parent() {
            Some(parent) => refusal.hint(format!("`ls {parent}` shows what there is")).at(path),
            None => refusal.at(path),
        }
    }

    /// The value or name can never be right.
    #[must_use]
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, what)
    }

    /// What to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The object that it is about.
    #[must_use]
    pub fn at(self, path: impl Into<Path>) -> Self {
        Self { path: Some(Box::new(path.into())), ..self }
    }
}
