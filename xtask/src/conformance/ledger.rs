//! The ledger: which tests skip themselves, and why.
//!
//! A heading is `[where] reason`; the lines below it are tests. `where` says in which set-up alone they run: one of the
//! special ones, those on a `file`, a `device` or in `ram`, or `nowhere`; elsewhere they skip. What is to be run `never` is not. With `not SET-UP` they are left out of that set-up.

use super::setup::{Extent, KINDS, Setup, special_names};
use anyhow::{Context, bail, ensure};
use std::path::Path;

/// What must come of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Passed,
    Skipped,
}

/// The whole of it.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    test: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Never,
    Nowhere,
    OnlyIn(String),
    NotIn(String),
}

impl Ledger {
    /// Reads it; `tests` are those that exist.
    pub(super) fn read(path: &Path, tests: &[String]) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, tests).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str, tests: &[String]) -> anyhow::Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut place = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(heading) = line.strip_prefix('[') {
                place = Some(parse_heading(heading)?);
                continue;
            }
            let place = place.clone().context("a test stands before the first heading")?;
            ensure!(tests.iter().any(|known| known == line), "the suite has no test {line}");
            ensure!(entries.iter().all(|entry| entry.test != line), "{line} stands twice");
            entries.push(Entry { test: line.to_owned(), place });
        }
        Ok(Self { entries })
    }

    /// What must come of a test in a set-up; nothing if it does not run there.
    pub(super) fn expect(&self, setup: &Setup, test: &str) -> Option<Expected> {
        let place = self.entries.iter().find(|entry| entry.test == test).map(|entry| &entry.place);
        let elsewhere = match setup.extent {
            Extent::Whole => Some(Expected::Skipped),
            Extent::Listed => None,
        };
        match place {
            Some(Place::OnlyIn(name)) if setup.is_meant(name) => Some(Expected::Passed),
            Some(Place::OnlyIn(_) | Place::Nowhere) => elsewhere,
            Some(Place::Never) => None,
            Some(Place::NotIn(name)) if setup.is_meant(name) => None,
            Some(Place::NotIn(_)) | None => elsewhere.map(|_| Expected::Passed),
        }
    }
}

/// `where] reason`.
fn parse_heading(heading: &str) -> anyhow::Result<Place> {
    let (place, reason) = heading.split_once(']').context("a heading lacks its ]")?;
    ensure!(!reason.trim().is_empty(), "[{place}] needs a reason");
    let name = place.strip_prefix("not ").unwrap_or(place);
    match place {
        "never" => return Ok(Place::Never),
        "nowhere" => return Ok(Place::Nowhere),
        _ => {}
    }
    if special_names().chain(KINDS).all(|known| known != name) {
        bail!("there is no set-up [{name}]");
    }
    Ok(if name == place { Place::OnlyIn(name.to_owned()) } else { Place::NotIn(name.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::super::setup::setups;
    use super::*;

    const TEXT: &str = "# words\n[512e] small blocks\nA.B\n\n[nowhere] not there\nC.D\n[not small] wrong\nE.F\n[never] ends\nI.J\n";

    fn tests() -> Vec<String> {
        ["A.B", "C.D", "E.F", "G.H", "I.J"].map(str::to_owned).to_vec()
    }

    /// What comes of the tests: passed, skipped, or they do not run.
    fn check(setup: &str, want: &str) {
        let ledger = Ledger::parse(TEXT, &tests()).expect("well-formed");
        let setup = setups(Path::new("")).into_iter().find(|one| one.name == setup).expect("it exists");
        let letter = |test: &String| match ledger.expect(&setup, test) {
            Some(Expected::Passed) => 'p',
            Some(Expected::Skipped) => 's',
            None => '-',
        };
        assert_eq!(tests().iter().map(letter).collect::<String>(), want);
    }

    #[test]
    fn what_is_listed_skips_in_ordinary_set_ups() {
        check("ram,direct,ring,512", "sspp-");
    }

    #[test]
    fn what_needs_a_special_set_up_passes_there() {
        check("512e", "pspp-");
    }

    #[test]
    fn what_needs_a_kind_of_disk_passes_on_every_such_disk_that_is_tested_wholly() {
        let ledger = Ledger::parse("[ram] memory\nA.B\n", &tests()).expect("well-formed");
        let expect = |name: &str| {
            let setup = setups(Path::new("")).into_iter().find(|one| one.name == name).expect("it exists");
            ledger.expect(&setup, "A.B")
        };
        assert_eq!(expect("ram,direct,ring,512"), Some(Expected::Passed));
        assert_eq!(expect("small"), Some(Expected::Passed));
        assert_eq!(expect("512e"), Some(Expected::Skipped));
        assert_eq!(expect("read-only"), None);
    }

    #[test]
    fn what_makes_no_sense_in_a_set_up_is_left_out() {
        check("small", "ss-p-");
    }

    #[test]
    fn a_set_up_for_what_is_listed_runs_nothing_else() {
        check("read-only", "-----");
    }

    #[test]
    fn mistakes_are_refused() {
        for text in ["A.B", "[512e]\nA.B", "[huge] x\nA.B", "[small] x\nX.Y", "[small] x\nA.B\n[512e] x\nA.B"]
        {
            assert!(Ledger::parse(text, &tests()).is_err(), "{text}");
        }
    }
}
