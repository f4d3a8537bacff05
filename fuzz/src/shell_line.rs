//! Lines of the shell, on a daemon that keeps everything in memory: each is answered, and what it has made holds by the rules.

#[path = "../../crates/shell/tests/it/memory.rs"]
mod memory;

use crate::saveconfig::words as names;
use felio_shell::{Daemon as _, Preferences, Screen, Shell};
use memory::Memory;

/// What people type.
const TRANSCRIPTS: &[&str] = &[
    include_str!("../../crates/shell/tests/it/transcripts/help.txt"),
    include_str!("../../crates/shell/tests/it/transcripts/moving.txt"),
    include_str!("../../crates/shell/tests/it/transcripts/settings.txt"),
    include_str!("../../crates/shell/tests/it/transcripts/storage.txt"),
    include_str!("../../crates/shell/tests/it/transcripts/target.txt"),
    include_str!("../../crates/shell/tests/it/transcripts/whole.txt"),
];

/// Lines of one input.
const LINES_MAX: usize = 64;

/// Does what an input says: it is what is typed.
pub fn run(input: &[u8]) {
    let mut daemon = Memory::default();
    let mut shell = Shell::new(Preferences::default(), Screen { width: 80, colour: false });
    for line in String::from_utf8_lossy(input).lines().take(LINES_MAX) {
        let completion = shell.complete(line, line.len(), &mut daemon);
        assert!(line.is_char_boundary(completion.start), "what is completed begins between characters");
        let output = shell.run(line, &mut daemon);
        assert!(!output.error || !output.text.is_empty(), "a failure says why");
        let snapshot = daemon.snapshot().expect("it is in memory");
        assert!(snapshot.config.check() == Ok(()), "what comes out holds by the rules");
    }
}

/// Inputs to begin with: what is typed in each transcript.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let typed = |text: &&str| {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        // In pieces, so that each line is tried early.
        lines.chunks(16).map(|lines| lines.join("\n").into_bytes()).collect::<Vec<_>>()
    };
    TRANSCRIPTS.iter().flat_map(typed).collect()
}

/// Words of the language that settings do not have.
#[must_use]
pub fn words() -> Vec<String> {
    let typed = TRANSCRIPTS.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("> "));
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let mut words: Vec<String> =
        typed.flat_map(str::split_whitespace).filter(plain).map(ToOwned::to_owned).chain(names()).collect();
    words.sort_unstable();
    words.dedup();
    words
}
