//! `felio watch`: what happens at the daemon, a line each, until it ends.

use crate::cli::WatchArgs;
use crate::failure::{Failure, Kind};
use felio_control::Path;
use felio_control::view::Event;
use std::io::{self, Write as _};

/// Prints events as they come.
pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for event in args.daemon.client()?.events().map_err(Failure::from)? {
        let event = event.map_err(Failure::from)?;
        if args.path.as_ref().is_some_and(|path| !concerns(&event, path)) {
            continue;
        }
        let line = if args.json { serde_json::to_string(&event)? } else { text(&event) };
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            // Who has read enough need not be told why there is no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Err(Failure::new(Kind::Running, "the daemon has ended".to_owned()).into())
}

/// Whether it is about an object or what is below it; that some events are missing is about all.
fn concerns(event: &Event, path: &Path) -> bool {
    match &event.path {
        Some(about) => core::iter::successors(Some(about.clone()), Path::parent).any(|above| above == *path),
        None => event.event == "missed",
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
