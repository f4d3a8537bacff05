//! `felio config`: whole configurations, as files and as what was before.
//!
//! The daemon knows one way to change: a transaction of changes. So everything here is a difference of two configurations, which
//! [`felio_control::difference`] tells, shown or sent. Secrets are never shown.

mod import;
mod time;
mod validate;

use crate::cli::config::{ConfigArgs, ConfigVerb, Version};
use crate::failure::{Failure, Kind};
use crate::progress;
use felio_client::Client;
use felio_control::plan::{Line, settled};
use felio_control::save::Note;
use felio_control::{Change, Config, Done, Refusal, RefusalKind, difference, save};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// More than any configuration has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Changes of which the history tells in a line.
const SUMMARY_MAX: usize = 2;

/// Carries the command out.
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client()?;
    let answer = match &args.verb {
        ConfigVerb::Plan { file } => plan(&client, file)?,
        ConfigVerb::Apply { file } => apply(&client, file)?,
        ConfigVerb::Diff { from, to } => diff(&client, from.as_ref(), to.as_ref())?,
        ConfigVerb::Rollback { id } => rollback(&client, *id)?,
        ConfigVerb::History { limit } => history(&client, *limit)?,
        ConfigVerb::Validate { file, from } => validate::run(file, *from)?,
        ConfigVerb::Import { file, from, apply } => import::run(&client, file.as_deref(), *from, *apply)?,
    };
    answer.print(args.json);
    Ok(answer.code)
}

/// What a verb has come to: the same for people and for programs.
struct Answer {
    text: String,
    json: Value,
    /// To be known beside it; part of `json`, too.
    asides: Vec<String>,
    code: ExitCode,
}

impl Answer {
    /// Where nobody reads there is nobody to tell.
    fn print(&self, json: bool) {
        let mut out = std::io::stdout();
        if json {
            let _ = writeln!(out, "{}", self.json);
            return;
        }
        for aside in &self.asides {
            let _ = writeln!(std::io::stderr(), "{aside}");
        }
        if !self.text.is_empty() {
            let _ = writeln!(out, "{}", self.text);
        }
    }
}

/// What one configuration lacks to be another.
struct Plan {
    from: Config,
    changes: Vec<Change>,
    notes: Vec<Note>,
}

impl Plan {
    /// What `wanted` would change; what it leaves open stays as it is.
    fn new(client: &Client, wanted: impl FnOnce(&Config) -> (Config, Vec<Note>)) -> Result<Self, Refusal> {
        let from = current(client)?;
        let (wanted, notes) = wanted(&from);
        let wanted = settled(&from, wanted);
        wanted.check()?;
        let changes = difference(&from, &wanted);
        Ok(Self { from, changes, notes })
    }

    fn lines(&self) -> Vec<Line> {
        self.changes.iter().map(|change| Line::of(change, &self.from)).collect()
    }

    /// Shows it. It is a difference if there is one.
    fn show(&self) -> Answer {
        let lines = self.lines();
        let public: Vec<Change> = self.changes.iter().map(Change::without_secrets).collect();
        Answer {
            text: if lines.is_empty() { "Nothing differs.".to_owned() } else { joined(&lines) },
            json: json!({ "lines": lines, "changes": public, "notes": self.notes }),
            asides: asides(&self.notes),
            code: if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) },
        }
    }

    /// Does it, in one transaction.
    fn carry_out(self, client: &Client) -> Result<Answer, Refusal> {
        let done: Vec<Done> = match self.changes.is_empty() {
            true => Vec::new(),
            false => progress::post(client, "/v1/changes", &self.changes)?,
        };
        let says: Vec<String> = done.iter().map(|done| format!("{}: {}", done.path, done.says)).collect();
        Ok(Answer {
            text: if says.is_empty() {
                "Nothing differs: nothing is changed.".to_owned()
            } else {
                joined(&says)
            },
            json: json!({ "done": done, "notes": self.notes }),
            asides: asides(&self.notes),
            code: ExitCode::SUCCESS,
        })
    }
}

/// The exit code of a difference.
const DIFFERS: u8 = 2;

fn plan(client: &Client, file: &Path) -> Result<Answer, Failure> {
    let found = read(file)?;
    Ok(Plan::new(client, |_| found).map_err(Failure::from)?.show())
}

fn apply(client: &Client, file: &Path) -> Result<Answer, Failure> {
    let found = read(file)?;
    Plan::new(client, |_| found).and_then(|plan| plan.carry_out(client)).map_err(Failure::from)
}

fn diff(client: &Client, from: Option<&Version>, to: Option<&Version>) -> Result<Answer, Failure> {
    let from = match from {
        Some(version) => version_of(client, version)?,
        None => before(client, None).map_err(Failure::from)?,
    };
    // What a file leaves open is no difference.
    let to = settled(&from, version_of(client, to.unwrap_or(&Version::Current))?);
    let from = settled(&to, from);
    let changes = difference(&from, &to);
    Ok(Plan { from, changes, notes: Vec::new() }.show())
}

fn rollback(client: &Client, id: Option<u64>) -> Result<Answer, Failure> {
    let (from, to) = (current(client)?, before(client, id)?);
    let changes = difference(&from, &to);
    Ok(Plan { from, changes, notes: Vec::new() }.carry_out(client)?)
}

fn history(client: &Client, limit: usize) -> Result<Answer, Failure> {
    let ids = client.history()?;
    let (mut lines, mut json) = (Vec::new(), Vec::new());
    let mut after = current(client)?;
    for id in ids.into_iter().rev().take(limit) {
        let before = recall(client, id)?;
        let changes = difference(&before, &after);
        let plan = Plan { from: before, changes, notes: Vec::new() };
        lines.push(format!("{id}  {}  {}", time::utc(id), summary(&plan.lines())));
        json.push(json!({ "id": id, "time": time::utc(id), "lines": plan.lines() }));
        after = plan.from;
    }
    if lines.is_empty() {
        lines.push("Nothing was changed yet.".to_owned());
    }
    Ok(Answer { text: joined(&lines), json: json.into(), asides: Vec::new(), code: ExitCode::SUCCESS })
}

fn summary(lines: &[Line]) -> String {
    let told: Vec<String> = lines.iter().take(SUMMARY_MAX).map(ToString::to_string).collect();
    match lines.len() - told.len() {
        0 => told.join("; "),
        more => format!("{}; and {more} more", told.join("; ")),
    }
}

fn current(client: &Client) -> Result<Config, Refusal> {
    client.snapshot().map(|snapshot| Arc::unwrap_or_clone(snapshot.config))
}

/// What was before a change; before the last if none is named.
fn before(client: &Client, id: Option<u64>) -> Result<Config, Refusal> {
    let id = match id {
        Some(id) => id,
        None => client.history()?.pop().ok_or_else(|| {
            Refusal::new(RefusalKind::NotFound, "there is nothing before: nothing was changed yet")
        })?,
    };
    recall(client, id)
}

fn recall(client: &Client, id: u64) -> Result<Config, Refusal> {
    client.recall(id)
}

fn version_of(client: &Client, version: &Version) -> Result<Config, Failure> {
    match version {
        Version::Current => current(client).map_err(Failure::from),
        Version::Before(id) => recall(client, *id).map_err(Failure::from),
        Version::File(file) => read(file).map(|(config, _)| config),
    }
}

/// What a saveconfig.json says.
fn read(file: &Path) -> Result<(Config, Vec<Note>), Failure> {
    save::read(&text_of(file)?).map_err(|error| {
        Failure::new(Kind::Running, format!("{}: {error}", file.display()))
            .hint(format!("`felio config validate {}` tells all that is wrong with it", file.display()))
    })
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(file).and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::new(Kind::Running, format!("{}: {error}", file.display()))),
    }
}

fn asides(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| format!("note: {}: {}", note.at, note.says)).collect()
}

fn joined(lines: &[impl ToString]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
