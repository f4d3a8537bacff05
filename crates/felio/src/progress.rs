//! Long work at the daemon: how far it is, for somebody at a terminal.

use crate::cli::DrainArgs;
use crate::failure::{Failure, Kind};
use felio_client::{Client, Draining, Refusal};
use felio_control::view::{LeftView, WorkView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IsTerminal as _, Write as _};

/// Has something done that may take long. Where standard error is a terminal, a line of it says how far that is, and is gone at the end.
pub(crate) fn post<T: DeserializeOwned>(
    client: &Client,
    route: &str,
    body: &impl Serialize,
) -> Result<T, Refusal> {
    let mut out = io::stderr();
    if !out.is_terminal() {
        return client.post(route, body);
    }
    let done = client.post_long(route, body, |WorkView { done, total, .. }| {
        if *total > 0 {
            let _ = write!(out, "{ANEW}{done} of {total}");
            let _ = out.flush();
        }
    });
    let _ = write!(io::stderr(), "{ANEW}");
    done
}

/// Back to the beginning of the line, and nothing in it.
const ANEW: &str = "\r\x1b[K";

/// `felio drain`.
pub(crate) fn drain(args: &DrainArgs) -> anyhow::Result<()> {
    let DrainArgs { daemon, path, off, timeout, json } = args;
    let what = Draining { path: path.clone(), off: *off, timeout: *timeout };
    let left: LeftView = post(&daemon.client()?, "/v1/drain", &what).map_err(Failure::from)?;
    let has_ended = left == LeftView::default();
    let said = match off {
        _ if *json => serde_json::to_string(&left)?,
        true => format!("{path} is no longer drained."),
        false => format!("{path} is drained. `felio drain {path} --off` lets initiators in again."),
    };
    if *json || has_ended {
        // Where nobody reads there is nobody to tell.
        let _ = writeln!(io::stdout(), "{said}");
    }
    match has_ended {
        true => Ok(()),
        false => Err(Failure::new(Kind::Running, format!("after {timeout} s, {left}"))
            .hint(format!(
                "nobody new gets there; the same waits again, `felio drain {path} --off` gives it up"
            ))
            .into()),
    }
}
