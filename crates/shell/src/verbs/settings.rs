//! `get` and `set`: groups of settings, from the rows of [`attr`](felio_control::attr) and of the preferences.

use super::Call;
use crate::line::Word;
use crate::preferences::{PREFERENCES, Preference, preference};
use felio_control::attr::{Default, When, rows};
use felio_control::{Attr, Change, Config, Group, Path, Refusal, RefusalKind};

/// The group of preferences.
pub(crate) const GLOBAL: &str = "global";

/// The groups that a place has.
pub(crate) fn groups(path: &Path) -> Vec<&'static str> {
    let mut groups: Vec<&str> = Group::of(path).map(Group::as_str).chain([GLOBAL]).collect();
    groups.sort_unstable();
    groups
}

/// A group with that name at a place.
pub(crate) fn group(path: &Path, name: &str) -> Option<(Group, &'static [Attr])> {
    let group = Group::of(path).find(|group| group.as_str() == name)?;
    Some((group, rows(group.scope(path)?)))
}

/// The rows of a group that an object has.
pub(crate) fn applicable<'a>(
    rows: &'static [Attr],
    path: &'a Path,
    config: &'a Config,
) -> impl Iterator<Item = &'static Attr> + use<'a> {
    let backing = match path {
        Path::Storage(key) => config.storage.get(key).map(|object| &object.backing),
        _ => None,
    };
    rows.iter().filter(move |row| backing.is_none_or(|backing| row.applies_to(backing)))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Some(name) = call.args.text("group") else { return Ok(list(&call.path)) };
    let names: Vec<String> = call.args.rest.iter().map(Word::plain).collect();
    if name == GLOBAL {
        return get_global(call, &names);
    }
    let (_, rows) = require(&call.path, name)?;
    let config = &call.snapshot.config;
    if names.is_empty() {
        let shown = applicable(rows, &call.path, config).map(|row| (value(row, &call.path, config), row.doc));
        return Ok(heading(name) + &paragraphs(shown));
    }
    let mut lines = Vec::new();
    for name in &names {
        let scope = rows.first().map(|row| row.scope);
        let row = scope.map(|scope| Attr::require(scope, name)).transpose()?;
        lines.extend(row.map(|row| value(row, &call.path, config)));
    }
    Ok(lines.join("\n"))
}

pub(super) fn set(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Some(name) = call.args.text("group") else { return Ok(list(&call.path)) };
    let words = &call.args.rest;
    if name == GLOBAL {
        return set_global(call);
    }
    let (group, rows) = require(&call.path, name)?;
    if words.is_empty() {
        let settable = applicable(rows, &call.path, &call.snapshot.config).filter(|row| row.is_writable());
        return Ok(heading(name) + &paragraphs(settable.map(|row| (usage(row), row.doc))));
    }
    let changes = words.iter().map(|word| Change::Set {
        path: call.path.clone(),
        group,
        name: word.key.clone().unwrap_or_default(),
        value: word.text.clone(),
    });
    let changes = changes.collect();
    call.make(changes)
}

fn get_global(call: &Call<'_>, names: &[String]) -> Result<String, Refusal> {
    let shown = |row: &Preference| format!("{}={}", row.name, call.shell.preferences.get(row));
    if names.is_empty() {
        return Ok(heading(GLOBAL) + &paragraphs(PREFERENCES.iter().map(|row| (shown(row), row.doc))));
    }
    let lines = names.iter().map(|name| preference(name).map(shown)).collect::<Result<Vec<_>, _>>();
    lines.map(|lines| lines.join("\n"))
}

fn set_global(call: &mut Call<'_>) -> Result<String, Refusal> {
    if call.args.rest.is_empty() {
        let usage =
            |row: &Preference| format!("{}={}, {} by default", row.name, row.default.kind(), row.default);
        return Ok(heading(GLOBAL) + &paragraphs(PREFERENCES.iter().map(|row| (usage(row), row.doc))));
    }
    // All or none, as everywhere.
    let mut preferences = call.shell.preferences.clone();
    let mut lines = Vec::new();
    for word in &call.args.rest {
        let name = word.key.as_deref().unwrap_or_default();
        let setting = preferences.set(name, &word.text)?;
        lines.push(format!("Parameter {name} is now '{setting}'."));
    }
    call.shell.preferences = preferences;
    Ok(lines.join("\n"))
}

fn require(path: &Path, name: &str) -> Result<(Group, &'static [Attr]), Refusal> {
    group(path, name).ok_or_else(|| {
        Refusal::new(RefusalKind::NotFound, format!("{path} has no group {name:?}"))
            .hint(format!("it has {}", groups(path).join(", ")))
    })
}

/// `name=value`; what only the device knows is left open.
fn value(row: &Attr, path: &Path, config: &Config) -> String {
    let value = config.value(path, row).map(|value| value.to_string());
    let fixed = if row.is_writable() { "" } else { " [ro]" };
    format!("{}={}{fixed}", row.name, value.as_deref().unwrap_or("(the device's)"))
}

/// What can be set, and when.
pub(crate) fn usage(row: &Attr) -> String {
    let default = match row.default {
        Default::Number(number) => format!(", {number} by default"),
        Default::Text("") => String::new(),
        Default::Text(text) => format!(", {text} by default"),
        Default::Backing(_) => ", by default as the backstore has it".to_owned(),
        Default::Device => ", by default as the device has it".to_owned(),
    };
    let when = match row.when {
        When::Always | When::Action => "",
        When::WhileNotExported => "; while no LUN leads here",
        When::WhileDisabled => "; while disabled",
        When::Once => "; once",
        When::ReadOnly => "; can only be read",
    };
    format!("{}={}{default}{when}", row.name, row.kind)
}

fn list(path: &Path) -> String {
    format!("{}{}", underlined("AVAILABLE CONFIGURATION GROUPS", '='), groups(path).join(" "))
}

fn heading(group: &str) -> String {
    underlined(&format!("{} CONFIG GROUP", group.to_ascii_uppercase()), '=')
}

fn paragraphs(of: impl Iterator<Item = (String, &'static str)>) -> String {
    let paragraphs = of.map(|(head, doc)| format!("{}{doc}\n", underlined(&head, '-')));
    paragraphs.collect::<Vec<_>>().join("\n")
}

pub(crate) fn underlined(text: &str, with: char) -> String {
    let line: String = text.chars().map(|_| with).collect();
    format!("{text}\n{line}\n")
}
