//! Where the user is, and what a line does.
//!
//! A line is `VERB ARGUMENTS`, `PATH VERB ARGUMENTS`, or `PATH` alone to go there. A path is absolute or relative, or begins at a bookmark
//! (`@name/…`). What a verb does is in [`verbs`](crate::verbs).

use crate::Daemon;
use crate::line::{self, Word};
use crate::node::Node;
use crate::preferences::Preferences;
use crate::verbs::{self, Args, Call, Verb};
use felio_control::view::Snapshot;
use felio_control::{Path, Refusal, RefusalKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The interpreter: what the user prefers and where the user is. It can be sent to where the lines are carried out, and back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Shell {
    pub(crate) preferences: Preferences,
    pub(crate) screen: Screen,
    #[serde(skip)]
    pub(crate) leaving: bool,
    #[serde(skip)]
    pub(crate) watching: Option<Watching>,
    trail: Trail,
}

/// What text is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Screen {
    /// Characters in a line.
    pub width: usize,
    /// Whether it shows colours.
    pub colour: bool,
}

/// What a line has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// What there is to say, without a line feed at its end.
    pub text: String,
    /// Whether it is about a failure.
    pub error: bool,
    /// Whether the user wants to leave.
    pub quit: bool,
    /// What the user wants to see from now on.
    pub watch: Option<Watching>,
}

/// Events, as they happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watching {
    /// Those of this object and of what is below it.
    pub path: Path,
    /// So many; until the user has seen enough if there is no number.
    pub count: Option<u16>,
}

impl Output {
    /// Something was refused before the line was carried out.
    #[must_use]
    pub fn failed(refusal: &Refusal) -> Self {
        Self { text: complain(refusal), error: true, quit: false, watch: None }
    }
}

impl Shell {
    /// A shell at the root.
    #[must_use]
    pub fn new(preferences: Preferences, screen: Screen) -> Self {
        Self { preferences, screen, leaving: false, watching: None, trail: Trail::new() }
    }

    /// The terminal has changed.
    pub fn set_screen(&mut self, screen: Screen) {
        self.screen = screen;
    }

    /// Carries out a line.
    pub fn run(&mut self, text: &str, daemon: &mut dyn Daemon) -> Output {
        let done = line::words(text).and_then(|words| self.carry_out(words, daemon));
        self.output(done)
    }

    /// Carries out a line that came in words, as the arguments of a program do.
    pub fn run_words(&mut self, words: &[String], daemon: &mut dyn Daemon) -> Output {
        let words = words.iter().map(|word| Word::whole(word)).collect();
        let done = self.carry_out(words, daemon);
        self.output(done)
    }

    /// What is to be done before the user leaves: the configuration is saved unless the user prefers otherwise.
    pub fn leave(&mut self, daemon: &mut dyn Daemon) -> Output {
        let done = match self.preferences.is_on("auto_save_on_exit") {
            true => daemon.save(None),
            false => Ok(String::new()),
        };
        self.output(done)
    }

    /// What stands before the cursor.
    #[must_use]
    pub fn prompt(&self) -> String {
        let path = self.at().to_string();
        let (length, max) = (path.chars().count(), self.preferences.number("prompt_length"));
        if max == 0 || length <= max {
            return format!("{path}> ");
        }
        let kept = max.saturating_sub(3);
        let head: String = path.chars().take(kept / 2).collect();
        let tail: String = path.chars().skip(length - kept.div_ceil(2)).collect();
        format!("{head}...{tail}> ")
    }

    /// What the user prefers by now.
    #[must_use]
    pub const fn preferences(&self) -> &Preferences {
        &self.preferences
    }

    /// Where the user is.
    pub(crate) fn at(&self) -> &Path {
        self.trail.at()
    }

    /// Goes there.
    pub(crate) fn enter(&mut self, path: Path) {
        self.trail.enter(path);
    }

    /// What a path means that is typed at a place; there is such an object.
    pub(crate) fn resolve(&self, from: &Path, text: &str, snapshot: &Snapshot) -> Result<Path, Refusal> {
        let path = match text {
            "<" => self.trail.back().clone(),
            text => self.place(from, text)?,
        };
        match path.exists(&snapshot.config) {
            true => Ok(path),
            false => Err(Refusal::not_found(path)),
        }
    }

    /// What a path means that is typed at a place, whether or not there is such an object.
    pub(crate) fn place(&self, from: &Path, text: &str) -> Result<Path, Refusal> {
        let Some(marked) = text.strip_prefix('@') else { return from.join(text) };
        let (name, rest) = marked.split_once('/').unwrap_or((marked, ""));
        let bookmark = self.preferences.bookmarks.get(name);
        let bookmark = bookmark.ok_or_else(|| {
            Refusal::new(RefusalKind::NotFound, format!("there is no bookmark {name:?}"))
                .hint("`bookmarks show` lists all")
        })?;
        bookmark.join(rest)
    }

    /// The place that a line is about, and how many words said so.
    pub(crate) fn subject(&self, words: &[Word], snapshot: &Snapshot) -> Result<(Path, usize), Refusal> {
        let Some(first) = words.first().map(Word::plain) else { return Ok((self.at().clone(), 0)) };
        if is_path(&first) {
            return Ok((self.resolve(self.at(), &first, snapshot)?, 1));
        }
        let known = Verb::find(Node::of(self.at()), &first).is_some();
        let child = self.at().child(&first).ok().filter(|child| child.exists(&snapshot.config));
        match child {
            Some(child) if !known => Ok((child, 1)),
            _ => Ok((self.at().clone(), 0)),
        }
    }

    fn carry_out(&mut self, words: Vec<Word>, daemon: &mut dyn Daemon) -> Result<String, Refusal> {
        if words.is_empty() {
            return Ok(String::new());
        }
        let snapshot = daemon.snapshot()?;
        self.trail.climb(|path| path.exists(&snapshot.config));
        let (path, used) = self.subject(&words, &snapshot)?;
        let mut rest = words.into_iter().skip(used);
        let Some(name) = rest.next() else {
            self.enter(path);
            return Ok(String::new());
        };
        let verb = verbs::require(&path, &name.plain())?;
        let args = Args::bind(verb, rest.collect())?;
        let done = (verb.run)(&mut Call { shell: self, daemon, snapshot, path, args });
        if let Ok(snapshot) = daemon.snapshot() {
            self.trail.climb(|path| path.exists(&snapshot.config));
        }
        done
    }

    fn output(&mut self, done: Result<String, Refusal>) -> Output {
        let quit = core::mem::take(&mut self.leaving);
        let watch = self.watching.take();
        match done {
            Ok(text) => Output { text: text.trim_end().to_owned(), error: false, quit, watch },
            Err(refusal) => Output { quit, ..Output::failed(&refusal) },
        }
    }
}

/// Whether a first word can only be a path.
fn is_path(word: &str) -> bool {
    word.contains('/') || word.starts_with('@') || matches!(word, "." | ".." | "<")
}

/// The cause, then the hint.
fn complain(refusal: &Refusal) -> String {
    match &refusal.hint {
        Some(hint) => format!("{}\n  {hint}", refusal.what),
        None => refusal.what.clone(),
    }
}

/// Where the user has been; the last is where the user is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Trail {
    before: Path,
    at: Path,
}

impl Trail {
    const fn new() -> Self {
        Self { before: Path::Root, at: Path::Root }
    }

    fn enter(&mut self, path: Path) {
        if path != self.at {
            self.before = core::mem::replace(&mut self.at, path);
        }
    }

    /// Up to where something is still there.
    fn climb(&mut self, exists: impl Fn(&Path) -> bool) {
        for place in [&mut self.before, &mut self.at] {
            while !exists(place) {
                *place = place.parent().unwrap_or(Path::Root);
            }
        }
    }

    const fn at(&self) -> &Path {
        &self.at
    }

    const fn back(&self) -> &Path {
        &self.before
    }
}
