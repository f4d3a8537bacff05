//! What happens at the daemon, a line each: `felio watch`, and the shell's verb of that name.

use crate::cli::WatchArgs;
use crate::failure::{Failure, Kind};
use crate::printer::plain;
use crate::report::Style;
use crate::threads;
use felio_client::Events;
use felio_control::view::Event;
use felio_control::{Path, Refusal};
use felio_shell::Watching;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::io::{self, Write as _};
use std::sync::mpsc::channel;

/// Prints events as they come.
pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let style = if args.json { Style::Json } else { Style::Text };
    let events = args.daemon.client()?.events().map_err(Failure::from)?;
    all(events, Show { only: args.path.clone(), left: None, style })
}

/// The same, as the shell was asked for it.
pub(crate) fn show(events: Events, what: Watching) -> anyhow::Result<()> {
    all(events, Show::of(what))
}

/// The same, until Ctrl-C: whoever types is not to lose the shell.
pub(crate) fn show_until_interrupted(events: Events, what: Watching) -> anyhow::Result<()> {
    let (happenings, happens) = channel();
    let mut signals = Signals::new([SIGINT])?;
    let (handle, interrupts) = (signals.handle(), happenings.clone());
    threads::spawn("interrupts", move || {
        if signals.forever().next().is_some() {
            let _ = interrupts.send(Happening::Interrupt);
        }
    })?;
    // It ends with the next event that nobody takes any more.
    threads::spawn("events", move || {
        for happening in events.map(Happening::Event).chain([Happening::End]) {
            if happenings.send(happening).is_err() {
                return;
            }
        }
    })?;
    let mut show = Show::of(what);
    let done = loop {
        match happens.recv() {
            Ok(Happening::Event(event)) => match show.handle_event(event) {
                Ok(Wants::More) => {}
                Ok(Wants::Nothing) => break Ok(()),
                Err(error) => break Err(error),
            },
            Ok(Happening::Interrupt) => break Ok(()),
            Ok(Happening::End) | Err(_) => break Err(ended()),
        }
    };
    handle.close();
    done
}

enum Happening {
    Event(Result<Event, Refusal>),
    Interrupt,
    End,
}

fn all(events: Events, mut show: Show) -> anyhow::Result<()> {
    for event in events {
        match show.handle_event(event)? {
            Wants::More => {}
            Wants::Nothing => return Ok(()),
        }
    }
    Err(ended())
}

fn ended() -> anyhow::Error {
    Failure::new(Kind::Running, "the daemon has ended".to_owned()).into()
}

/// What is shown.
struct Show {
    only: Option<Path>,
    /// So many; all if there is no number.
    left: Option<u16>,
    style: Style,
}

/// Whether somebody still looks.
enum Wants {
    More,
    Nothing,
}

impl Show {
    fn of(Watching { path, count }: Watching) -> Self {
        Self { only: Some(path).filter(|path| *path != Path::Root), left: count, style: Style::Text }
    }

    fn handle_event(&mut self, event: Result<Event, Refusal>) -> anyhow::Result<Wants> {
        let event = event.map_err(Failure::from)?;
        if self.only.as_ref().is_some_and(|path| !concerns(&event, path)) {
            return Ok(Wants::More);
        }
        let line = match self.style {
            Style::Json => serde_json::to_string(&event)?,
            Style::Text => plain(&text(&event)),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
        if let Some(left) = self.left.as_mut().filter(|_| event.event != WATCHING) {
            *left = left.saturating_sub(1);
        }
        Ok(if self.left == Some(0) { Wants::Nothing } else { Wants::More })
    }
}

/// The first event: what happens from now on is told.
const WATCHING: &str = "watching";

/// Whether it is about an object or what is below it; what is about the telling itself is about all.
fn concerns(event: &Event, path: &Path) -> bool {
    match &event.path {
        Some(about) => core::iter::successors(Some(about.clone()), Path::parent).any(|above| above == *path),
        None => matches!(event.event.as_str(), WATCHING | "missed"),
    }
}

fn text(Event { event, text, path, .. }: &Event) -> String {
    match path {
        Some(path) if path.to_string() != *text => format!("{event}: {path}: {text}"),
        _ => format!("{event}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: Option<&str>) -> Event {
        let path = path.map(|path| path.parse().expect("a path"));
        Event { event: "changed".into(), text: "Deleted.".into(), path, revision: 1 }
    }

    #[track_caller]
    fn check(about: Option<&str>, want: bool) {
        assert_eq!(concerns(&event(about), &"/backstores/fileio/a".parse().expect("a path")), want);
    }

    #[test]
    fn what_is_below_an_object_concerns_it() {
        check(Some("/backstores/fileio/a"), true);
        check(Some("/backstores/fileio/a/alua/default_tg_pt_gp"), true);
        check(Some("/backstores/fileio/ab"), false);
        check(Some("/backstores/fileio"), false);
        check(None, false);
    }

    #[test]
    fn a_line_says_what_where_and_how() {
        assert_eq!(text(&event(Some("/iscsi"))), "changed: /iscsi: Deleted.");
        assert_eq!(text(&event(None)), "changed: Deleted.");
    }
}
