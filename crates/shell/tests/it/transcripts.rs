//! What is typed, and what must come of it: files in `transcripts`, each from an empty configuration.
//!
//! A line behind `>` is typed, one behind `?` is completed where its `|` stands; what follows up to the next one is the answer. Blank lines are part of an
//! answer, except at its end. `FELIO_REWRITE=1` writes down what comes instead of comparing.
use crate::memory::Memory;
use felio_shell::{Preferences, Screen, Shell};
use std::fs;

/// The answers of a shell to what is typed in a transcript.
fn replay(transcript: &str) -> String {
    let mut daemon = Memory::default();
    let mut shell = Shell::new(Preferences::default(), Screen { width: 100, colour: false });
    let mut text = String::new();
    for line in transcript.lines() {
        let answer = if let Some(typed) = line.strip_prefix('>') {
            let output = shell.run(typed, &mut daemon);
            let last = if output.quit { shell.leave(&mut daemon).text } else { String::new() };
            let error = if output.error && !output.text.is_empty() { "! " } else { "" };
            let watch = output.watch.map(|watch| format!("(watching {} {:?})", watch.path, watch.count));
            format!("{error}{}{last}{}", output.text, watch.unwrap_or_default())
        } else if let Some(typed) = line.strip_prefix("? ") {
            let position = typed.find('|').expect("a cursor");
            let found = shell.complete(&typed.replacen('|', "", 1), position, &mut daemon).candidates;
            found.iter().map(|candidate| candidate.text.as_str()).collect::<Vec<_>>().join("  ")
        } else {
            continue;
        };
        text.push_str(&format!("{line}\n{answer}{}", if answer.is_empty() { "" } else { "\n" }));
    }
    text
}

#[track_caller]
fn check(name: &str) {
    let file = format!("{}/tests/it/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let want = fs::read_to_string(&file).expect("a transcript");
    let got = replay(&want);
    if std::env::var_os("FELIO_REWRITE").is_some() {
        return fs::write(&file, &got).expect("the transcript can be written");
    }
    if got != want {
        let differs = got.lines().zip(want.lines()).position(|(got, want)| got != want);
        let line = differs.unwrap_or_else(|| got.lines().count().min(want.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        panic!("{name}.txt, line {}:\n  got {}\n want {}", line + 1, at(&got), at(&want));
    }
}

#[test]
fn storage_objects_and_their_groups_are_made_changed_and_deleted() {
    check("storage");
}

#[test]
fn targets_and_what_is_in_them_are_made_changed_and_deleted() {
    check("target");
}

#[test]
fn settings_are_shown_explained_and_set() {
    check("settings");
}

#[test]
fn the_whole_is_saved_restored_cleared_and_explained() {
    check("whole");
}

#[test]
fn one_goes_from_place_to_place() {
    check("moving");
}

#[test]
fn help_comes_from_the_rows() {
    check("help");
}

#[test]
fn completion_knows_places_parameters_and_values() {
    check("completion");
}
