//! Verbs: one row each, and what a row's words are bound to.
//!
//! [`table`] has the rows; the other modules have their functions. A function finds its arguments parsed as the row says.

mod general;
pub(crate) mod settings;
mod state;
mod storage;
mod table;
mod target;

pub(crate) use table::VERBS;

use crate::line::Word;
use crate::node::Node;
use crate::shell::Shell;
use crate::{Daemon, size};
use felio_control::view::Snapshot;
use felio_control::{Change, Done, Path, Refusal, RefusalKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// Where it can be used.
    pub(crate) on: &'static [Node],
    pub(crate) doc: &'static str,
    pub(crate) parameters: &'static [Parameter],
    /// What may come behind these.
    pub(crate) rest: Rest,
    pub(crate) run: fn(&mut Call<'_>) -> Result<String, Refusal>,
}

/// Something that a verb takes.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
}

/// What a parameter looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Words.
    Text,
    /// A file or device.
    File,
    /// A place in the tree.
    Place,
    /// A storage object by its path.
    Storage,
    /// The name of one below.
    Child,
    /// A number, behind this prefix or alone.
    Number(&'static str),
    /// Yes or no.
    Flag,
    /// Bytes.
    Size,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A group of settings.
    Group,
    /// A verb, group or setting to be explained.
    Topic,
    /// A bookmark.
    Bookmark,
}

/// What may come behind a verb's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// Names of settings.
    Names,
    /// `NAME=VALUE` of settings.
    Settings,
}

impl Verb {
    /// The row of a name at a kind of place.
    pub(crate) fn find(node: Node, name: &str) -> Option<&'static Self> {
        Self::at(node).find(|verb| verb.name == name)
    }

    /// All at a kind of place.
    pub(crate) fn at(node: Node) -> impl Iterator<Item = &'static Self> {
        VERBS.iter().filter(move |verb| verb.on.contains(&node))
    }

    /// How it is typed.
    pub(crate) fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for parameter in self.parameters {
            let name = parameter.name;
            usage.push_str(&if parameter.required { format!(" {name}") } else { format!(" [{name}]") });
        }
        usage.push_str(match self.rest {
            Rest::Nothing => "",
            Rest::Names => " [NAME …]",
            Rest::Settings => " [NAME=VALUE …]",
        });
        usage
    }
}

/// The row of a name at a place, or why not.
pub(crate) fn require(path: &Path, name: &str) -> Result<&'static Verb, Refusal> {
    let node = Node::of(path);
    Verb::find(node, name).ok_or_else(|| {
        let known = VERBS.iter().any(|verb| verb.name == name);
        let what = match known {
            true => format!("{name} is nothing that {path} can do"),
            false => format!("there is no command and nothing below {path} with the name {name:?}"),
        };
        Refusal::new(RefusalKind::NotFound, what).hint(format!("`{path} help` lists what can be typed there"))
    })
}

/// A line that is being carried out.
pub(crate) struct Call<'a> {
    pub(crate) shell: &'a mut Shell,
    pub(crate) daemon: &'a mut dyn Daemon,
    pub(crate) snapshot: Arc<Snapshot>,
    /// The place that it is about.
    pub(crate) path: Path,
    pub(crate) args: Args,
}

impl Call<'_> {
    /// Makes changes as one transaction; what was done, a line each.
    pub(crate) fn make(&mut self, changes: Vec<Change>) -> Result<String, Refusal> {
        self.daemon.apply(changes).map(lines)
    }

    /// As [`make`](Self::make), and goes to what was created here if the user prefers that.
    pub(crate) fn create(&mut self, changes: Vec<Change>) -> Result<String, Refusal> {
        let mut done = self.daemon.apply(changes)?;
        // What else is done to a new object are the user's standing wishes and no news.
        done.dedup_by(|later, first| later.path == first.path);
        let created =
            done.iter().map(|done| &done.path).find(|path| path.parent().as_ref() == Some(&self.path));
        if let Some(path) = created.filter(|_| self.prefers("auto_cd_after_create")) {
            self.shell.enter(path.clone());
        }
        Ok(lines(done))
    }

    /// Whether a preference is on.
    pub(crate) fn prefers(&self, name: &str) -> bool {
        self.shell.preferences.is_on(name)
    }

    /// A verb that the table does not give to this place has come here.
    pub(crate) fn misplaced<T>(&self) -> Result<T, Refusal> {
        Err(Refusal::new(RefusalKind::NotSupported, format!("{} cannot do that", self.path)))
    }
}

fn lines(done: Vec<Done>) -> String {
    done.into_iter().map(|done| done.says).collect::<Vec<_>>().join("\n")
}

/// Arguments, parsed.
#[derive(Debug, Default)]
pub(crate) struct Args {
    values: BTreeMap<&'static str, Bound>,
    /// What came behind: names, or names and values.
    pub(crate) rest: Vec<Word>,
}

#[derive(Debug)]
enum Bound {
    Text(String),
    Number(u16),
    Flag(bool),
    Size(u64),
}

impl Args {
    /// Gives each word to its parameter: by its key, or by its place.
    pub(crate) fn bind(verb: &'static Verb, words: Vec<Word>) -> Result<Self, Refusal> {
        let wrong = |what: String| Refusal::invalid(what).hint(verb.usage());
        let mut args = Self::default();
        for word in words {
            let by_key =
                word.key.as_ref().map(|key| verb.parameters.iter().find(|parameter| parameter.name == key));
            let parameter = match by_key {
                Some(parameter) => parameter,
                None => verb.parameters.iter().find(|parameter| !args.values.contains_key(parameter.name)),
            };
            match (parameter, verb.rest) {
                (Some(parameter), _) => {
                    let bound = parameter.parse(&word.text).map_err(wrong)?;
                    if args.values.insert(parameter.name, bound).is_some() {
                        return Err(wrong(format!("{} is given twice", parameter.name)));
                    }
                }
                (None, Rest::Settings) if word.key.is_some() => args.rest.push(word),
                (None, Rest::Names) if word.key.is_none() => args.rest.push(word),
                (None, Rest::Settings) => return Err(wrong(format!("{:?} is not NAME=VALUE", word.text))),
                (None, _) => {
                    let what = match &word.key {
                        Some(key) => format!("{} takes no {key}", verb.name),
                        None => format!("{:?} is one word too many", word.text),
                    };
                    return Err(wrong(what));
                }
            }
        }
        let missing = verb.parameters.iter().find(|one| one.required && !args.values.contains_key(one.name));
        match missing {
            Some(parameter) => {
                Err(wrong(format!("{} needs {}: {}", verb.name, parameter.name, parameter.doc)))
            }
            None => Ok(args),
        }
    }

    /// The words of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Bound::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The words of a required parameter.
    pub(crate) fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u16> {
        match self.values.get(name) {
            Some(Bound::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name) {
            Some(Bound::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        match self.values.get(name) {
            Some(Bound::Size(size)) => Some(*size),
            _ => None,
        }
    }
}

impl Parameter {
    fn parse(&self, text: &str) -> Result<Bound, String> {
        let wrong = |what: &str| format!("{} cannot be {text:?}: it is {what}", self.name);
        match self.kind {
            Kind::Number(prefix) => {
                let digits = text.strip_prefix(prefix).unwrap_or(text);
                digits.parse().map(Bound::Number).map_err(|_| wrong("a number from 0 to 65535"))
            }
            Kind::Flag => flag(text).map(Bound::Flag).ok_or_else(|| wrong("true or false")),
            Kind::Size => {
                size::parse(text).map(Bound::Size).ok_or_else(|| wrong("a size, such as 512M or 1G"))
            }
            Kind::OneOf(choices) if !choices.contains(&text) => Err(wrong(&choices.join(" or "))),
            _ => Ok(Bound::Text(text.to_owned())),
        }
    }
}

/// Yes and no as targetcli reads them.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::VERBS;

    const TRANSCRIPTS: &[&str] = &[
        include_str!("../tests/it/transcripts/help.txt"),
        include_str!("../tests/it/transcripts/moving.txt"),
        include_str!("../tests/it/transcripts/settings.txt"),
        include_str!("../tests/it/transcripts/storage.txt"),
        include_str!("../tests/it/transcripts/target.txt"),
        include_str!("../tests/it/transcripts/whole.txt"),
    ];

    #[test]
    fn every_verb_is_typed_in_a_transcript() {
        let typed = TRANSCRIPTS.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with('>'));
        let words: Vec<&str> = typed.flat_map(str::split_whitespace).collect();
        let missing: Vec<&str> =
            VERBS.iter().map(|verb| verb.name).filter(|name| !words.contains(name)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn no_place_has_two_rows_for_one_verb() {
        for node in crate::node::Node::ALL {
            let mut names: Vec<&str> = super::Verb::at(*node).map(|verb| verb.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{node:?}");
        }
    }
}
