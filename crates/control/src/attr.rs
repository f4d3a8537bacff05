//! Attributes, parameters and secrets: one row each, from which every surface derives.
//!
//! A row says the name in LIO's spelling, where it belongs, what its values look like, the default, when it may change, and a
//! sentence for whoever asks what it is. [`Attr::parse`] turns text into a [`Value`] that is right for it.
//!
//! Not here: what a value does; that is for who uses it.

mod alua;
mod iscsi;
mod storage;

use crate::config::Backing;
use crate::refusal::{Kind as Why, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Values by name.
pub type Values = BTreeMap<String, Value>;

/// A value in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// A number, or 0 and 1 for no and yes.
    Number(i64),
    /// Words.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Whether it is a number other than 0.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::Number(number) if *number != 0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A row.
#[derive(Debug)]
pub struct Attr {
    /// LIO's name.
    pub name: &'static str,
    /// What has it.
    pub scope: Scope,
    /// What its values look like.
    pub kind: Kind,
    /// What it is when nobody has set it.
    pub default: Default,
    /// When it may change.
    pub when: When,
    /// Whether it is shown only to who may change it.
    pub secret: bool,
    /// What it is.
    pub doc: &'static str,
}

/// What has an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A storage object: group `attribute`.
    Storage,
    /// How a storage object names itself: what configfs has in `wwn/`.
    Identity,
    /// A target port group: group `alua`.
    Alua,
    /// A LUN: group `alua`.
    Lun,
    /// A portal group: group `attribute`.
    Tpg,
    /// A portal group: group `parameter`; the keys of its negotiations.
    Parameter,
    /// A portal group or a node ACL: group `auth`.
    Auth,
    /// The fabric: group `discovery_auth`.
    DiscoveryAuth,
    /// A node ACL: group `attribute`.
    Acl,
}

impl Scope {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Storage,
        Self::Identity,
        Self::Alua,
        Self::Lun,
        Self::Tpg,
        Self::Parameter,
        Self::Auth,
        Self::DiscoveryAuth,
        Self::Acl,
    ];
}

/// What values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1; written also as no and yes, n and y, off and on, false and true.
    Flag,
    /// A number between two, both included.
    Number(i64, i64),
    /// One of these numbers.
    OneOf(&'static [i64]),
    /// `Yes` or `No`.
    YesNo,
    /// One or more of these words, each once, the preferred first, with commas between.
    Words(&'static [&'static str]),
    /// Up to so many bytes of printable text. Where it can be unset, `NULL` and nothing do so.
    Text(usize),
}

/// What a value is when nobody has set it.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// This.
    Number(i64),
    /// This.
    Text(&'static str),
    /// It follows from where the blocks are; `None` if the device says.
    Backing(fn(&Backing) -> Option<i64>),
    /// What the device, or felio once it runs, says.
    Device,
}

/// When a value may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At any time.
    Always,
    /// While no LUN leads to the storage object.
    WhileNotExported,
    /// While the portal group is disabled.
    WhileDisabled,
    /// Once.
    Once,
    /// Writing 1 does something; it reads 0 again.
    Action,
    /// Never.
    ReadOnly,
}

/// The rows of a scope, in alphabetical order.
#[must_use]
pub const fn rows(scope: Scope) -> &'static [Attr] {
    match scope {
        Scope::Storage => storage::ATTRIBUTES,
        Scope::Identity => storage::IDENTITY,
        Scope::Alua => alua::GROUP,
        Scope::Lun => alua::LUN,
        Scope::Tpg => iscsi::TPG,
        Scope::Parameter => iscsi::PARAMETERS,
        Scope::Auth => iscsi::AUTH,
        Scope::DiscoveryAuth => iscsi::DISCOVERY_AUTH,
        Scope::Acl => iscsi::ACL,
    }
}

impl Attr {
    const fn new(
        scope: Scope,
        name: &'static str,
        kind: Kind,
        default: Default,
        when: When,
        doc: &'static str,
    ) -> Self {
        Self { name, scope, kind, default, when, secret: false, doc }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The row of a name.
    #[must_use]
    pub fn find(scope: Scope, name: &str) -> Option<&'static Self> {
        rows(scope).iter().find(|row| row.name == name)
    }

    /// The row of a name, or why not.
    pub fn require(scope: Scope, name: &str) -> Result<&'static Self, Refusal> {
        Self::find(scope, name).ok_or_else(|| {
            let near = rows(scope).iter().map(|row| row.name).min_by_key(|known| distance(known, name));
            let refusal = Refusal::new(Why::NotFound, format!("there is no {name:?} here"));
            match near {
                Some(near) if distance(near, name) <= 3 => refusal.hint(format!("did you mean {near}?")),
                _ => refusal.hint("`get` without a name lists all"),
            }
        })
    }

    /// The value that a text means.
    pub fn parse(&self, text: &str) -> Result<Value, Refusal> {
        let text = if matches!(self.kind, Kind::Text(_)) { text } else { text.trim() };
        let wrong = || {
            Refusal::invalid(format!("{} cannot be {text:?}", self.name)).hint(format!("it is {}", self.kind))
        };
        match self.kind {
            Kind::Flag => flag(text).map(Value::Number).ok_or_else(wrong),
            Kind::Number(low, high) => {
                let number = number(text).filter(|number| (low..=high).contains(number));
                number.map(Value::Number).ok_or_else(wrong)
            }
            Kind::OneOf(choices) => {
                number(text).filter(|number| choices.contains(number)).map(Value::Number).ok_or_else(wrong)
            }
            Kind::YesNo => match flag(text) {
                Some(0) => Ok(Value::Text("No".to_owned())),
                Some(_) => Ok(Value::Text("Yes".to_owned())),
                None => Err(wrong()),
            },
            Kind::Words(choices) => words(text, choices).map(Value::Text).ok_or_else(wrong),
            Kind::Text(_) if text == "NULL" => Ok(Value::Text(String::new())),
            Kind::Text(bytes_max) => {
                let fits = text.len() <= bytes_max && !text.chars().any(char::is_control);
                fits.then(|| Value::Text(text.to_owned())).ok_or_else(wrong)
            }
        }
    }

    /// The default; `None` where only the running device knows.
    #[must_use]
    pub fn default_of(&self, backing: Option<&Backing>) -> Option<Value> {
        match self.default {
            Default::Number(number) => Some(Value::Number(number)),
            Default::Text(text) => Some(Value::Text(text.to_owned())),
            Default::Backing(follow) => backing.and_then(follow).map(Value::Number),
            Default::Device => None,
        }
    }

    /// The value that is set, or the default.
    #[must_use]
    pub fn value_in(&self, values: &Values) -> Option<Value> {
        values.get(self.name).cloned().or_else(|| self.default_of(None))
    }

    /// Whether a storage object with its blocks there has it. Devices that answer for themselves have few.
    #[must_use]
    pub fn applies_to(&self, backing: &Backing) -> bool {
        self.scope != Scope::Storage || backing.is_emulated() || storage::PASSTHROUGH.contains(&self.name)
    }

    /// Whether it can be written at all.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.when != When::ReadOnly
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("0 or 1"),
            Self::Number(low, high) => write!(f, "a number from {low} to {high}"),
            Self::OneOf(choices) => {
                let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
                write!(f, "one of {}", choices.join(", "))
            }
            Self::YesNo => f.write_str("Yes or No"),
            Self::Words(choices) => write!(f, "one or more of {}, with commas between", choices.join(", ")),
            Self::Text(bytes_max) => write!(f, "text of up to {bytes_max} bytes"),
        }
    }
}

/// The spellings that the kernel takes, and those of Python.
fn flag(text: &str) -> Option<i64> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Some(1),
        "0" | "n" | "no" | "f" | "false" | "off" => Some(0),
        _ => None,
    }
}

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => i64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

fn words(text: &str, choices: &[&str]) -> Option<String> {
    let mut found: Vec<&str> = Vec::new();
    for word in text.split(',').map(str::trim) {
        let choice = choices.iter().find(|choice| choice.eq_ignore_ascii_case(word))?;
        if found.contains(choice) {
            return None;
        }
        found.push(choice);
    }
    Some(found.join(","))
}

/// How many letters must be changed, put in or left out to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.chars().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], at + 1);
        for (column, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{Attr, Scope, Value, When, rows};

    #[track_caller]
    fn check(scope: Scope, name: &str, text: &str, want: Option<&str>) {
        let value = Attr::require(scope, name).and_then(|row| row.parse(text)).ok();
        assert_eq!(value.map(|value| value.to_string()).as_deref(), want);
    }

    #[test]
    fn rows_stand_in_order_and_belong_to_their_scope() {
        for scope in Scope::ALL {
            assert!(rows(scope).is_sorted_by(|one, other| one.name < other.name), "{scope:?}");
            assert!(rows(scope).iter().all(|row| row.scope == scope), "{scope:?}");
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_row() {
        for row in Scope::ALL.into_iter().flat_map(rows).filter(|row| row.when != When::Once) {
            let default = row.default_of(None);
            assert_eq!(
                default.as_ref().and_then(|value| row.parse(&value.to_string()).ok()),
                default,
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn every_row_says_what_it_is() {
        for row in Scope::ALL.into_iter().flat_map(rows) {
            assert!(row.doc.ends_with('.') && row.doc.len() > 20, "{}", row.name);
        }
    }

    #[test]
    fn yes_and_no_are_written_as_the_kernel_takes_them() {
        for text in ["1", "y", "Yes", "on", "true"] {
            check(Scope::Storage, "emulate_tpu", text, Some("1"));
            check(Scope::Parameter, "InitialR2T", text, Some("Yes"));
        }
        check(Scope::Storage, "emulate_tpu", "2", None);
    }

    #[test]
    fn words_may_come_in_any_order_once() {
        check(Scope::Parameter, "HeaderDigest", "none, crc32c", Some("None,CRC32C"));
        check(Scope::Parameter, "HeaderDigest", "None,None", None);
        check(Scope::Parameter, "HeaderDigest", "", None);
    }

    #[test]
    fn a_number_has_its_range() {
        check(Scope::Acl, "dataout_timeout", "2", Some("2"));
        check(Scope::Acl, "dataout_timeout", "1", None);
        check(Scope::Acl, "dataout_timeout", "0x10", Some("16"));
        check(Scope::Storage, "block_size", "513", None);
    }

    #[test]
    fn text_keeps_its_blanks_and_null_is_nothing() {
        check(Scope::Auth, "password", " a b ", Some(" a b "));
        check(Scope::Auth, "password", "NULL", Some(""));
        check(Scope::Auth, "password", "a\nb", None);
    }

    #[test]
    fn a_value_is_a_number_or_text_in_json() {
        let value: Value = serde_json::from_str("3").expect("a number");
        assert_eq!(value, Value::Number(3));
    }
}
