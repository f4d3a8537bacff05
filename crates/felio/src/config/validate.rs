//! `felio config validate`: all that is wrong with a file, as a compiler tells it.

use super::import::{self, Found};
use super::{Answer, asides, text_of};
use crate::cli::config::Origin;
use crate::failure::Failure;
use felio_control::save::{self, Problem};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Checks a file; no daemon is asked.
pub(super) fn run(file: &Path, from: Option<Origin>) -> Result<Answer, Failure> {
    let text = text_of(file)?;
    let origin = import::origin(file, &text, from)?;
    let read = import::read(origin, &text);
    let problems = match (&read, origin) {
        (_, Origin::Lio) => save::problems(&text),
        (Ok(_), _) => Vec::new(),
        (Err(error), _) => {
            vec![Problem { at: error.at.clone(), line: None, what: error.what.clone(), hint: None }]
        }
    };
    let notes = read.map(|Found { notes, .. }| notes).unwrap_or_default();
    let mut told = asides(&notes);
    told.extend(problems.iter().map(|problem| in_a_line(file, problem)));
    Ok(Answer {
        text: if problems.is_empty() { format!("{} can be applied.", file.display()) } else { String::new() },
        json: json!({ "problems": problems, "notes": notes }),
        asides: told,
        code: if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
    })
}

fn in_a_line(file: &Path, problem: &Problem) -> String {
    let Problem { at, line, what, hint } = problem;
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    let hint = hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
    format!("{}{line}: {at}: {what}{hint}", file.display())
}
