//! What the user prefers: `set global NAME=VALUE`, and bookmarks. A plain value; the program keeps it between two runs.

use crate::verbs::flag;
use felio_control::{Path, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What differs from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Preferences {
    values: BTreeMap<String, Setting>,
    /// Places with names.
    pub(crate) bookmarks: BTreeMap<String, Path>,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Setting {
    Flag(bool),
    Number(u16),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A row.
#[derive(Debug)]
pub(crate) struct Preference {
    pub(crate) name: &'static str,
    pub(crate) default: Setting,
    pub(crate) doc: &'static str,
}

const fn yes(name: &'static str, doc: &'static str) -> Preference {
    Preference { name, default: Setting::Flag(true), doc }
}

const fn no(name: &'static str, doc: &'static str) -> Preference {
    Preference { name, default: Setting::Flag(false), doc }
}

const fn number(name: &'static str, default: u16, doc: &'static str) -> Preference {
    Preference { name, default: Setting::Number(default), doc }
}

/// All, in alphabetical order.
pub(crate) const PREFERENCES: &[Preference] = &[
    yes("auto_add_default_portal", "Whether a new portal group listens on all addresses, port 3260."),
    yes(
        "auto_add_mapped_luns",
        "Whether new LUNs are shown to all initiators with an ACL, and new ACLs see all LUNs.",
    ),
    no("auto_cd_after_create", "Whether the shell goes to what it has created."),
    yes("auto_enable_tpgt", "Whether a new portal group is enabled."),
    yes("auto_save_on_exit", "Whether leaving the shell saves the configuration."),
    no("auto_use_daemon", "Without effect: felio always works in its daemon."),
    yes("color_mode", "Whether a terminal shows colours."),
    no("daemon_use_batch_mode", "Without effect: felio always works in its daemon."),
    yes(
        "export_backstore_name_as_model",
        "Whether initiators are told the name of a new storage object as its product identification.",
    ),
    number("prompt_length", 30, "The most characters of the path in the prompt; 0 shows all."),
    number("tree_max_depth", 0, "How many levels `ls` shows below a place; 0 shows all."),
    yes("tree_round_nodes", "Whether `ls` draws places with an o rather than a +."),
    yes("tree_show_root", "Whether `ls` shows the place itself and not only what is below it."),
];

impl Preferences {
    /// The value of a row.
    pub(crate) fn get(&self, row: &Preference) -> Setting {
        self.values.get(row.name).copied().unwrap_or(row.default)
    }

    /// Whether a flag is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        PREFERENCES.iter().any(|row| row.name == name && self.get(row) == Setting::Flag(true))
    }

    /// The value of a number.
    pub(crate) fn number(&self, name: &str) -> usize {
        match PREFERENCES.iter().find(|row| row.name == name).map(|row| self.get(row)) {
            Some(Setting::Number(number)) => number.into(),
            Some(Setting::Flag(_)) | None => 0,
        }
    }

    /// Sets what a text says.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<Setting, Refusal> {
        let row = preference(name)?;
        let setting = match row.default {
            Setting::Flag(_) => flag(text).map(Setting::Flag),
            Setting::Number(_) => text.parse().ok().map(Setting::Number),
        };
        let kind = row.default.kind();
        let setting = setting.ok_or_else(|| {
            Refusal::invalid(format!("{name} cannot be {text:?}")).hint(format!("it is {kind}"))
        })?;
        if setting == row.default {
            self.values.remove(name);
        } else {
            self.values.insert(name.to_owned(), setting);
        }
        Ok(setting)
    }
}

impl Setting {
    /// What values of this kind look like.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number from 0 to 65535",
        }
    }
}

/// The row of a name, or why not.
pub(crate) fn preference(name: &str) -> Result<&'static Preference, Refusal> {
    PREFERENCES.iter().find(|row| row.name == name).ok_or_else(|| {
        Refusal::invalid(format!("there is no preference {name:?}")).hint("`get global` lists all")
    })
}
