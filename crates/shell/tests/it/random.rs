//! Whatever is typed: an answer, and never a panic.

use crate::memory::Memory;
use felio_shell::{Preferences, Screen, Shell};
use proptest::prelude::*;

/// Words that lead somewhere, so that chance gets past the first of them.
const WORDS: &[&str] = &[
    "/",
    "..",
    ".",
    "<",
    "@",
    "@a",
    "ls",
    "cd",
    "create",
    "delete",
    "set",
    "get",
    "help",
    "info",
    "explain",
    "status",
    "bookmarks",
    "add",
    "go",
    "a",
    "b",
    "0",
    "1",
    "65536",
    "1G",
    "999999999P",
    "true",
    "attribute",
    "auth",
    "global",
    "parameter",
    "/iscsi",
    "/backstores/ramdisk",
    "/backstores/ramdisk/a",
    "/backstores/fileio",
    "/iscsi/iqn.2024-01.org.example:a/tpg1",
    "iqn.2024-01.org.example:a",
    "luns",
    "acls",
    "portals",
    "tpg1",
    "lun0",
    "name=a",
    "size=1M",
    "userid=x",
    "password=y",
    "authentication=1",
    "tree_max_depth=1",
    "prompt_length=4",
    "enable",
    "disable",
    "tag",
    "clearconfig",
    "confirm=true",
    "resize",
    "/backstores/ramdisk/a/alua",
    "sessions",
    "detail",
    "\"",
    "'x y'",
    "=",
    "k=",
    "é",
];

fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![9 => prop::sample::select(WORDS).prop_map(ToOwned::to_owned), 1 => ".{0,8}"];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_answered_and_can_be_completed_anywhere(lines in prop::collection::vec(line(), 1..24)) {
        let mut daemon = Memory::default();
        let mut shell = Shell::new(Preferences::default(), Screen { width: 80, colour: true });
        for text in &lines {
            for position in 0..=text.len() {
                let completion = shell.complete(text, position, &mut daemon);
                prop_assert!(completion.start <= text.len() && text.is_char_boundary(completion.start));
            }
            let output = shell.run(text, &mut daemon);
            prop_assert!(!output.error || !output.text.is_empty());
            prop_assert!(shell.prompt().ends_with("> "));
        }
    }
}
