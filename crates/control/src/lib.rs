//! The object tree, its rules, and changes as transactions.
//!
//! A [`Config`] is all that is wanted, as plain data. It changes by [`Config::apply`] only: a list of [`Change`]s happens as a
//! whole or not at all, and what comes out has been [checked](Config::check). [`attr`] has one row for every attribute,
//! parameter and secret of every object; the shell, REST, configfs and saveconfig.json derive from these rows. [`path`] is
//! how objects are named.
//!
//! Nothing here opens a file, asks a clock or knows what is running: what cannot be opened is a [`Condition`] beside the
//! configuration, never a hole in it.
#![forbid(unsafe_code)]

mod apply;
#[cfg(test)]
mod arbitrary;
pub mod attr;
mod change;
mod check;
mod condition;
mod config;
mod delta;
mod facts;
pub mod import;
mod in_step;
mod key;
pub mod path;
pub mod plan;
mod refusal;
pub mod resource;
pub mod save;
pub mod schema;
pub mod stats;
mod value;
pub mod view;

pub use apply::{DEFAULT_PORTAL, Done};
pub use attr::{Attr, Scope, Value, Values};
pub use change::{Change, Group, NewTpg};
pub use condition::{Condition, Conditions};
pub use config::{
    Acl, AluaGroup, Auth, Backing, Config, DEFAULT_GROUP, Discovery, Extra, FabricConfig, Identity, LuGroup,
    Lun, MappedLun, Portal, StorageObject, Target, Tpg,
};
pub use delta::Delta;
pub use facts::Facts;
pub use in_step::InStep;
pub use path::{AclKey, Fabric, Path, Plugin, PortalKey, StorageKey, TargetKey, TpgKey};
pub use plan::difference;
pub use refusal::{Kind as RefusalKind, Refusal};
