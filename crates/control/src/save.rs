//! saveconfig.json: LIO's file, read and written without loss.
//!
//! Keys that felio does not know are kept where they stand and written back. What LIO's file has no place for stands under the
//! key `felio` of its object. Every attribute is written out, as LIO does, so that a file says by itself what it means; a
//! missing one is the default, as in files of older versions.
//!
//! Lenient to what is missing or unknown, strict to what makes no sense: an error says where in the file.
//! Not here: the rules about the whole ([`Config::check`]), and the file itself.

mod place;
mod problems;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use problems::{Problem, problems};

use crate::config::Config;
use serde::{Deserialize, Serialize};
pub use text::Writer;

/// Something that a reader should know and that did not stop it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where: `storage_objects[2].attributes.foo`, or a line.
    pub at: String,
    /// A sentence without a full stop.
    pub says: String,
}

/// A file that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Unreadable {
    /// Where: `targets[0].tpgs[0].tag`, or a line and column.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

/// What a file says; the first error if there is one ([`problems`] has all).
pub fn read(text: &str) -> Result<(Config, Vec<Note>), Unreadable> {
    let (config, notes, errors) = read::config(parse(text)?);
    errors.into_iter().next().map_or(Ok((config, notes)), Err)
}

fn parse(text: &str) -> Result<serde_json::Value, Unreadable> {
    serde_json::from_str(text).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        Unreadable { at, what }
    })
}

/// A file that says this: keys in alphabetical order, indented by two, secrets included.
#[must_use]
pub fn write(config: &Config) -> String {
    format!("{:#}\n", write::config(config))
}
