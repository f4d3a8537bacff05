//! What can stand where the cursor is: from the tree, the rows of verbs, and the rows of settings.

use crate::Daemon;
use crate::line::{self, Word};
use crate::node::Node;
use crate::preferences::{PREFERENCES, Setting};
use crate::shell::Shell;
use crate::verbs::{Kind, Parameter, Rest, Verb, settings};
use felio_control::attr::Kind as Looks;
use felio_control::view::Snapshot;
use felio_control::{Attr, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What can stand at a place of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// The byte from which on a candidate replaces what was typed.
    pub start: usize,
    /// What can stand there.
    pub candidates: Vec<Candidate>,
}

/// Something that can stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// What is typed.
    pub text: String,
    /// What it is, if that is not plain.
    pub doc: Cow<'static, str>,
}

impl Candidate {
    fn new(text: impl Into<String>, doc: &'static str) -> Self {
        Self { text: text.into(), doc: Cow::Borrowed(doc) }
    }
}

impl Shell {
    /// What can stand at a byte of a line.
    pub fn complete(&self, text: &str, position: usize, daemon: &mut dyn Daemon) -> Completion {
        let typed = text.get(..position).unwrap_or(text);
        let (mut words, open) = line::cut(typed);
        let fresh = open.is_none() && typed.chars().next_back().is_none_or(char::is_whitespace);
        let last = match words.pop_if(|_| !fresh) {
            Some(word) => word,
            None => Word { key: None, text: String::new(), start: typed.len() },
        };
        let start = last.start;
        let candidates = match daemon.snapshot() {
            Ok(snapshot) => Cursor { shell: self, snapshot: &snapshot, last }.candidates(&words),
            Err(_) => Vec::new(),
        };
        Completion { start, candidates }
    }
}

struct Cursor<'a> {
    shell: &'a Shell,
    snapshot: &'a Snapshot,
    /// The word that the cursor is in.
    last: Word,
}

impl Cursor<'_> {
    fn candidates(&self, before: &[Word]) -> Vec<Candidate> {
        let Ok((path, used)) = self.shell.subject(before, self.snapshot) else { return Vec::new() };
        let Some(name) = before.get(used) else {
            let paths = if used == 0 { self.places(self.shell.at()) } else { Vec::new() };
            let verbs = Verb::at(Node::of(&path)).map(|verb| Candidate::new(verb.name, verb.doc));
            return self.fitting(verbs).into_iter().chain(paths).collect();
        };
        match Verb::find(Node::of(&path), &name.plain()) {
            Some(verb) => self.arguments(verb, &path, before.get(used + 1..).unwrap_or_default()),
            None => Vec::new(),
        }
    }

    fn arguments(&self, verb: &'static Verb, path: &Path, before: &[Word]) -> Vec<Candidate> {
        let given =
            |parameter: &Parameter| before.iter().any(|word| word.key.as_deref() == Some(parameter.name));
        let placed = before.iter().filter(|word| word.key.is_none()).count();
        let mut open = verb.parameters.iter().filter(|parameter| !given(parameter)).skip(placed);
        if let Some(key) = &self.last.key {
            return match verb.parameters.iter().find(|parameter| parameter.name == key) {
                Some(parameter) => self.values(parameter.kind, path),
                None => self.setting_values(path, before, key),
            };
        }
        let Some(next) = open.next() else { return self.setting_names(verb.rest, path, before) };
        let names = core::iter::once(next).chain(open);
        let names = names.filter(|one| one.kind != Kind::Group);
        let names = self.fitting(names.map(|one| Candidate::new(format!("{}=", one.name), one.doc)));
        self.values(next.kind, path).into_iter().chain(names).collect()
    }

    fn values(&self, kind: Kind, path: &Path) -> Vec<Candidate> {
        let plain = |texts: &[&str]| self.fitting(texts.iter().map(|text| Candidate::new(*text, "")));
        match kind {
            Kind::Text | Kind::File | Kind::Number(_) | Kind::Size => Vec::new(),
            Kind::Place => self.places(path),
            Kind::Storage => {
                let keys = self.snapshot.config.storage.keys();
                self.fitting(keys.map(|key| Candidate::new(key.to_string(), "")))
            }
            Kind::Child => {
                let children = path.children(&self.snapshot.config);
                self.fitting(children.iter().map(|child| Candidate::new(child.name(), "")))
            }
            Kind::Flag => plain(&["true", "false"]),
            Kind::OneOf(choices) => plain(choices),
            Kind::Group => plain(&settings::groups(path)),
            Kind::Topic => {
                let verbs = Verb::at(Node::of(path)).map(|verb| Candidate::new(verb.name, verb.doc));
                let groups = settings::groups(path).into_iter().map(|group| Candidate::new(group, ""));
                self.fitting(verbs.chain(groups))
            }
            Kind::Bookmark => {
                let names = self.shell.preferences.bookmarks.keys();
                self.fitting(names.map(|name| Candidate::new(name.as_str(), "")))
            }
        }
    }

    fn setting_names(&self, rest: Rest, path: &Path, before: &[Word]) -> Vec<Candidate> {
        let Some(group) = before.first().filter(|_| rest != Rest::Nothing) else { return Vec::new() };
        let end = if rest == Rest::Settings { "=" } else { "" };
        let named = |name: &str, doc| Candidate::new(format!("{name}{end}"), doc);
        if group.text == settings::GLOBAL {
            return self.fitting(PREFERENCES.iter().map(|row| named(row.name, row.doc)));
        }
        let Some((_, rows)) = settings::group(path, &group.text) else { return Vec::new() };
        let rows = settings::applicable(rows, path, &self.snapshot.config);
        let rows = rows.filter(|row| rest == Rest::Names || row.is_writable());
        self.fitting(rows.map(|row| named(row.name, row.doc)))
    }

    fn setting_values(&self, path: &Path, before: &[Word], key: &str) -> Vec<Candidate> {
        let Some(group) = before.first() else { return Vec::new() };
        let preference = PREFERENCES.iter().find(|row| group.text == settings::GLOBAL && row.name == key);
        let texts: Vec<String> = match (preference, settings::group(path, &group.text)) {
            (Some(row), _) => match row.default {
                Setting::Flag(_) => ["true", "false"].map(ToOwned::to_owned).to_vec(),
                Setting::Number(_) => Vec::new(),
            },
            (None, Some((_, rows))) => {
                rows.iter().find(|row| row.name == key).map(choices).unwrap_or_default()
            }
            (None, None) => Vec::new(),
        };
        self.fitting(texts.into_iter().map(|text| Candidate::new(text, "")))
    }

    /// Places whose path begins as typed.
    fn places(&self, from: &Path) -> Vec<Candidate> {
        let typed = self.last.text.as_str();
        if typed.starts_with('@') && !typed.contains('/') {
            let names = self.shell.preferences.bookmarks.keys();
            return self.fitting(names.map(|name| Candidate::new(format!("@{name}"), "")));
        }
        let folder = typed.rfind('/').map_or("", |at| typed.get(..=at).unwrap_or_default());
        let Ok(place) = self.shell.place(from, folder) else { return Vec::new() };
        let children = place.children(&self.snapshot.config).into_iter().map(|child| {
            let end = if child.children(&self.snapshot.config).is_empty() { "" } else { "/" };
            Candidate::new(format!("{folder}{}{end}", child.name()), "")
        });
        self.fitting(children)
    }

    /// Those that begin as typed.
    fn fitting(&self, candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
        let typed = self.last.text.as_str();
        let fits = candidates.filter(|candidate| candidate.text.starts_with(typed));
        fits.map(|one| Candidate { text: line::quoted(&one.text), ..one }).collect()
    }
}

/// The values of a setting, where they can be counted.
fn choices(row: &Attr) -> Vec<String> {
    match row.kind {
        Looks::Flag => vec!["0".to_owned(), "1".to_owned()],
        Looks::OneOf(numbers) => numbers.iter().map(ToString::to_string).collect(),
        Looks::YesNo => vec!["Yes".to_owned(), "No".to_owned()],
        Looks::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Looks::Number(..) | Looks::Text(_) => Vec::new(),
    }
}
