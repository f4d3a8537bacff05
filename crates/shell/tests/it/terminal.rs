//! What depends on the terminal: the width of the tree, colours, the prompt; and words that come from a program's arguments.

use crate::memory::Memory;
use felio_shell::{Preferences, Screen, Shell};

fn shell(width: usize, colour: bool) -> Shell {
    Shell::new(Preferences::default(), Screen { width, colour })
}

#[test]
fn lines_of_the_tree_are_as_wide_as_the_terminal_but_for_its_last_column() {
    let output = shell(60, false).run("ls", &mut Memory::default());
    assert!(output.text.lines().all(|line| line.len() == 59), "{}", output.text);
}

#[test]
fn a_narrow_terminal_still_gets_three_dots() {
    let output = shell(0, false).run("ls / 1", &mut Memory::default());
    assert_eq!(output.text, "o- / ... [...]\n  o- backstores ... [...]\n  o- iscsi ... [Targets: 0]");
}

#[test]
fn what_is_degraded_is_red() {
    let mut daemon = Memory::default();
    let mut shell = shell(40, true);
    shell.run("/backstores/block create gone /dev/sdz", &mut daemon);
    let output = shell.run("ls /backstores/block/gone 0", &mut daemon);
    assert_eq!(
        output.text,
        "o- gone ... [\u{1b}[31m/dev/sdz deactivated, degraded: /dev/sdz: no such device\u{1b}[0m]"
    );
    shell.run("set global color_mode=false", &mut daemon);
    assert!(!shell.run("ls", &mut daemon).text.contains('\u{1b}'));
}

#[test]
fn a_long_path_is_cut_in_the_middle_of_the_prompt() {
    let mut daemon = Memory::default();
    let mut shell = shell(80, false);
    shell.run("/iscsi create iqn.2024-01.org.example:disk", &mut daemon);
    shell.run("/iscsi/iqn.2024-01.org.example:disk/tpg1", &mut daemon);
    assert_eq!(shell.prompt(), "/iscsi/iqn.20...mple:disk/tpg1> ");
    shell.run("set global prompt_length=0", &mut daemon);
    assert_eq!(shell.prompt(), "/iscsi/iqn.2024-01.org.example:disk/tpg1> ");
}

#[test]
fn words_of_a_program_need_no_quotes() {
    let mut daemon = Memory::default();
    let mut shell = shell(80, false);
    let words = ["/iscsi", "set", "discovery_auth", "userid=you", "password=blanks and \"quotes\""];
    let output = shell.run_words(&words.map(ToOwned::to_owned), &mut daemon);
    assert!(!output.error, "{}", output.text);
    let output = shell.run("/iscsi get discovery_auth password", &mut daemon);
    assert_eq!(output.text, "password=blanks and \"quotes\"");
}
