//! The shell's lines, carried out where the configuration is: with thousands of targets it would take longer to send it to whoever
//! types than to do what the line says.

use super::audit::{Deed, Who};
use super::refused::Doorkeeper;
use super::work::{Work, Works};
use super::{Happening, Manner, Request, drain, entrance};
use core::time::Duration;
use felio_client::Restoration;
use felio_control::view::{Event, LeftView, SessionView, Snapshot};
use felio_control::{Change, Done, Refusal, RefusalKind};
use felio_shell::{Completion, Daemon, Output, Shell};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::{broadcast, oneshot, watch};

/// Something typed: the body of `POST /v1/shell`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Typed<T> {
    /// Where the user is and what the user prefers.
    pub(crate) shell: Shell,
    /// The folder that relative names of files are meant in.
    pub(crate) folder: PathBuf,
    /// What was typed.
    pub(crate) what: T,
}

/// A line, in one of the ways in which it comes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// As it was typed.
    Text(String),
    /// In words, as the arguments of a program.
    Words(Vec<String>),
    /// The end of the input.
    End,
}

/// What a line has come to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// Where the user is now, and what the user prefers.
    pub(crate) shell: Shell,
    /// What there is to say.
    pub(crate) output: Output,
}

/// Where the cursor is in a line: what is to be completed by `POST /v1/complete`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Cursor {
    pub(crate) line: String,
    pub(crate) position: usize,
}

/// Carries out a line. Waits for the desk.
pub(super) fn run(typed: Typed<Line>, desk: Desk) -> Told {
    let Typed { mut shell, folder, what } = typed;
    let mut desk = Clerk { desk, folder };
    let output = match what {
        Line::Text(line) => shell.run(&line, &mut desk),
        Line::Words(words) => shell.run_words(&words, &mut desk),
        Line::End => shell.leave(&mut desk),
    };
    Told { shell, output }
}

/// What can stand where the cursor is.
pub(super) fn complete(typed: Typed<Cursor>, desk: Desk) -> Completion {
    let Typed { shell, folder, what } = typed;
    shell.complete(&what.line, what.position, &mut Clerk { desk, folder })
}

/// The desk, as others see it: what it shows to everybody, and where it takes requests.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) shown: watch::Receiver<Arc<Snapshot>>,
    /// What it showed before that.
    pub(super) before: watch::Receiver<Arc<Snapshot>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) requests: Sender<Happening>,
    /// Who it is.
    pub(super) who: Who,
    pub(super) doorkeeper: Doorkeeper,
    pub(super) works: Works,
    /// What is told how far this is, if somebody wants to know.
    pub(super) work: Option<Work>,
}

impl Desk {
    /// Hands in a request; the answer comes where that leads. `None` when nobody takes it any more.
    pub(super) fn hand_in<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Option<oneshot::Receiver<T>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Happening::Request(request(reply))).ok()?;
        Some(answer)
    }

    /// Whether they may do this.
    fn let_through(&self, what: Deed) -> Result<(), Refusal> {
        self.who.may_change().inspect_err(|_| self.doorkeeper.note(&self.who, what))
    }
}

/// The desk, for somebody who works in a folder.
struct Clerk {
    desk: Desk,
    folder: PathBuf,
}

impl Clerk {
    fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Refusal> {
        let answer = self.desk.hand_in(request).and_then(|answer| answer.blocking_recv().ok());
        answer.ok_or_else(|| Refusal::new(RefusalKind::Busy, "felio is about to end"))
    }

    /// The same for what changes something.
    fn tell<T>(
        &self,
        what: Deed,
        request: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Request,
    ) -> Result<T, Refusal> {
        self.desk.let_through(what)?;
        self.ask(request)?
    }

    fn path(&self, file: Option<&str>) -> Option<PathBuf> {
        file.map(|file| self.folder.join(Path::new(file)))
    }
}

impl Daemon for Clerk {
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Refusal> {
        let shown = Arc::clone(&self.desk.shown.borrow());
        if self.desk.who.may_change().is_ok() {
            return Ok(shown);
        }
        let unlike = |error: serde_json::Error| Refusal::new(RefusalKind::Busy, error.to_string());
        let mut value = serde_json::to_value(&*shown).map_err(unlike)?;
        entrance::hide(&mut value);
        serde_json::from_value(value).map(Arc::new).map_err(unlike)
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<Vec<Done>, Refusal> {
        let (who, what) = (self.desk.who.clone(), Deed::of(&changes));
        self.tell(what, |reply| Request::Apply {
            who,
            changes,
            manner: Manner::Whole,
            only_at: None,
            work: None,
            reply,
        })
    }

    fn sessions(&mut self) -> Result<Vec<SessionView>, Refusal> {
        self.ask(Request::Sessions)
    }

    fn end_session(&mut self, id: u16) -> Result<SessionView, Refusal> {
        let who = self.desk.who.clone();
        self.tell(Deed::EndSession(id), |reply| Request::EndSession { who, id, reply })
    }

    fn drain(&mut self, path: &felio_control::Path, within: Option<Duration>) -> Result<LeftView, Refusal> {
        let what = if within.is_some() { Deed::Drain } else { Deed::Serve };
        self.desk.let_through(what(path.clone()))?;
        drain::drain(&self.desk, path, within)
    }

    fn save(&mut self, file: Option<&str>) -> Result<String, Refusal> {
        let (who, file) = (self.desk.who.clone(), self.path(file));
        let what = Deed::Save(file.clone());
        self.tell(what, |reply| Request::Save { who, file, reply })
    }

    fn restore(
        &mut self,
        file: Option<&str>,
        clear_existing: bool,
        target: Option<&str>,
        storage_object: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let what = Restoration {
            file: self.path(file),
            clear_existing,
            target: target.map(ToOwned::to_owned),
            storage_object: storage_object.map(ToOwned::to_owned),
        };
        let (who, deed) = (self.desk.who.clone(), Deed::Restore(what.file.clone()));
        self.tell(deed, |reply| Request::Restore { who, what, work: None, reply })
    }
}
