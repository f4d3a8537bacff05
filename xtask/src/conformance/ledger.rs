//! The ledger of skips: which tests cannot run where, and why.
//!
//! A heading is `[set-up] reason`; the lines below it are tests. They skip in every ordinary set-up. In the special set-up
//! that the heading names they run, and must pass; under `[nowhere]` there is none. A `+` before a test says that it is no
//! skip: it runs everywhere, and in this special set-up too.

use super::setup::special_names;
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
    setup: String,
    skips: bool,
}

const NOWHERE: &str = "nowhere";

impl Ledger {
    /// Reads it; `tests` are those that exist.
    pub(super) fn read(path: &Path, tests: &[String]) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, tests).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str, tests: &[String]) -> anyhow::Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut setup = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(heading) = line.strip_prefix('[') {
                setup = Some(parse_heading(heading)?);
                continue;
            }
            let setup = setup.context("a test stands before the first heading")?;
            let (test, skips) = line.strip_prefix('+').map_or((line, true), |test| (test, false));
            ensure!(tests.iter().any(|known| known == test), "the suite has no test {test}");
            ensure!(entries.iter().all(|entry| !(entry.skips && entry.test == test)), "{test} stands twice");
            entries.push(Entry { test: test.to_owned(), setup: setup.to_owned(), skips });
        }
        Ok(Self { entries })
    }

    /// The tests that run in a set-up, and what must come of them; `special` is its name if it is none of the ordinary ones.
    pub(super) fn plan<'a>(
        &'a self,
        special: Option<&'a str>,
        tests: &'a [String],
    ) -> impl Iterator<Item = (&'a str, Expected)> {
        tests.iter().filter_map(move |test| {
            let mut entries = self.entries.iter().filter(|entry| entry.test == *test);
            let expected = match special {
                Some(setup) => entries.any(|entry| entry.setup == setup).then_some(Expected::Passed)?,
                None if entries.any(|entry| entry.skips) => Expected::Skipped,
                None => Expected::Passed,
            };
            Some((test.as_str(), expected))
        })
    }
}

/// `set-up] reason`.
fn parse_heading(heading: &str) -> anyhow::Result<&str> {
    let (setup, reason) = heading.split_once(']').context("a heading lacks its ]")?;
    ensure!(!reason.trim().is_empty(), "[{setup}] needs a reason");
    if setup != NOWHERE && special_names().all(|name| name != setup) {
        bail!("there is no set-up [{setup}]");
    }
    Ok(setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# words\n[512e] small blocks\nA.B\n+C.D\n\n[nowhere] not there\nE.F\n";

    fn tests() -> Vec<String> {
        ["A.B", "C.D", "E.F", "G.H"].map(str::to_owned).to_vec()
    }

    fn check(special: Option<&str>, want: &[(&str, Expected)]) {
        let ledger = Ledger::parse(TEXT, &tests()).expect("well-formed");
        assert_eq!(ledger.plan(special, &tests()).collect::<Vec<_>>(), want);
    }

    #[test]
    fn what_is_listed_skips_in_ordinary_set_ups() {
        use Expected::{Passed, Skipped};
        check(None, &[("A.B", Skipped), ("C.D", Passed), ("E.F", Skipped), ("G.H", Passed)]);
    }

    #[test]
    fn a_special_set_up_runs_what_is_listed_for_it() {
        check(Some("512e"), &[("A.B", Expected::Passed), ("C.D", Expected::Passed)]);
        check(Some("small"), &[]);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in ["A.B", "[512e]\nA.B", "[huge] x\nA.B", "[small] x\nX.Y", "[small] x\nA.B\n[512e] x\nA.B"]
        {
            assert!(Ledger::parse(text, &tests()).is_err(), "{text}");
        }
    }
}
