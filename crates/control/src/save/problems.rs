//! All that is wrong with a file, each with its place.
//!
//! First what cannot be read; only of a file that can be read is told which rules it breaks, because what is missing would break more. Of an object
//! that breaks several, one is told.

use super::{Unreadable, parse, read};
use crate::apply::Draft;
use crate::change::Change;
use crate::check;
use crate::config::Config;
use crate::facts::Facts;
use crate::path::Path;
use crate::refusal::Refusal;
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// More are not told: whoever has so many begins with the first.
const PROBLEMS_MAX: usize = 100;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: `targets[0].tpgs[0].tag`, or a line and column.
    pub at: String,
    /// The line, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The cause, as a sentence without a full stop.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All that is wrong with a file of ours.
#[must_use]
pub fn problems(text: &str) -> Vec<Problem> {
    let json = match parse(text) {
        Ok(json) => json,
        Err(Unreadable { at, what }) => return vec![Problem { at, line: None, what, hint: None }],
    };
    let (config, _, errors) = read::config(json.clone());
    if errors.is_empty() {
        let broken = broken(config).into_iter().map(|refusal| {
            let at = refusal.path.as_ref().map(|path| place(&json, path)).unwrap_or_default();
            problem(text, at, refusal.what, refusal.hint)
        });
        return broken.collect();
    }
    let unread = errors.into_iter().take(PROBLEMS_MAX);
    unread.map(|error| problem(text, error.at, error.what, None)).collect()
}

fn problem(text: &str, at: String, what: String, hint: Option<String>) -> Problem {
    let line = offset(text, &at).map(|offset| text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1);
    let at = if at.is_empty() { "the whole file".to_owned() } else { at };
    Problem { at, line, what, hint }
}

/// The rules that a configuration breaks: whatever breaks one is taken away, and the rest looked at again.
fn broken(config: Config) -> Vec<Refusal> {
    let halves = check::unfinished(&config);
    let mut found: Vec<Refusal> = halves.into_iter().map(|(path, half)| half.refusal().at(path)).collect();
    let nobody = Facts { host: String::new(), machine: String::new(), seed: [0; 16] };
    let mut draft = Draft::new(config, &nobody);
    while found.len() < PROBLEMS_MAX
        && let Err(refusal) = draft.config.check()
    {
        let without = refusal.path.as_deref().and_then(removal);
        found.push(refusal);
        match without.map(|change| draft.make(&change)) {
            Some(Ok(())) => {}
            Some(Err(_)) | None => break,
        }
    }
    found
}

fn removal(path: &Path) -> Option<Change> {
    Some(match path.clone() {
        Path::Storage(storage) | Path::AluaGroups(storage) => Change::DeleteStorage { storage },
        Path::AluaGroup(storage, name) => Change::DeleteAluaGroup { storage, name },
        Path::LuGroup(name) => Change::DeleteLuGroup { name },
        Path::Target(target) => Change::DeleteTarget { target },
        Path::Tpg(tpg) | Path::Luns(tpg) | Path::Portals(tpg) | Path::Acls(tpg) => Change::DeleteTpg { tpg },
        Path::Lun(tpg, index) => Change::DeleteLun { tpg, index },
        Path::Portal(tpg, portal) => Change::DeletePortal { tpg, portal },
        Path::Acl(acl) => Change::DeleteAcl { acl },
        Path::MappedLun(acl, index) => Change::DeleteMappedLun { acl, index },
        Path::Root | Path::Backstores | Path::Plugin(_) | Path::LuGroups | Path::Fabric(_) => return None,
    })
}

/// Where an object stands in the file.
fn place(json: &Json, path: &Path) -> String {
    // The path from the top, as a list and what its element must have.
    let mut steps: Vec<(&str, Vec<(&str, Json)>)> = Vec::new();
    let mut at = Some(path.clone());
    while let Some(path) = at {
        match &path {
            Path::Storage(key) => {
                let names = vec![("plugin", key.plugin.as_str().into()), ("name", key.name.as_str().into())];
                steps.push(("storage_objects", names));
            }
            Path::AluaGroup(_, name) => steps.push(("alua_tpgs", vec![("name", name.as_str().into())])),
            Path::Fabric(fabric) if steps.is_empty() => {
                steps.push(("fabric_modules", vec![("name", fabric.as_str().into())]));
            }
            Path::Target(key) => {
                steps.push(("targets", vec![("wwn", key.wwn.as_str().into())]));
            }
            Path::Tpg(key) => steps.push(("tpgs", vec![("tag", key.tag.into())])),
            Path::Lun(_, index) => steps.push(("luns", vec![("index", (*index).into())])),
            Path::Portal(_, key) => {
                steps.push(("portals", vec![("ip_address", key.host().into()), ("port", key.port.into())]));
            }
            Path::Acl(key) => steps.push(("node_acls", vec![("node_wwn", key.wwn.as_str().into())])),
            Path::MappedLun(_, index) => steps.push(("mapped_luns", vec![("index", (*index).into())])),
            _ => {}
        }
        at = path.parent();
    }
    let (mut place, mut here) = (String::new(), json);
    for (list, names) in steps.iter().rev() {
        let elements = here.get(list).and_then(Json::as_array).into_iter().flatten().enumerate();
        let mut meant = elements.filter(|(_, element)| {
            names.iter().all(|(key, name)| element.get(key).is_some_and(|v| v == name))
        });
        // What was written in another way than felio writes it is found as far as possible.
        let Some((index, element)) = meant.next() else { break };
        let dot = if place.is_empty() { "" } else { "." };
        place = format!("{place}{dot}{list}[{index}]");
        here = element;
    }
    place
}

/// How many bytes of the text come before what stands at a place, or before the last object on the way there that exists.
fn offset(text: &str, at: &str) -> Option<usize> {
    let mut here: &RawValue = serde_json::from_str(text).ok()?;
    for step in at.split(['.', '[']).filter(|step| !step.is_empty()) {
        let next = match step.strip_suffix(']') {
            Some(index) => {
                let list: Vec<&RawValue> = serde_json::from_str(here.get()).ok()?;
                index.parse::<usize>().ok().and_then(|index| list.get(index).copied())
            }
            None => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(here.get()).ok()?;
                members.get(step).copied()
            }
        };
        let Some(next) = next else { break };
        here = next;
    }
    here.get().as_ptr().addr().checked_sub(text.as_ptr().addr())
}
