//! Manual pages and completions, as the programs that read them see them.

use crate::common::finish;
use std::process::Command;

/// Whether a program is there.
fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn every_page_renders() {
    if !is_installed("man") {
        eprintln!("not tried: man is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("man").arg(folder.path());
    assert_eq!(finish(command).code, Some(0));
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("a page").path())
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let mut command = Command::new("man");
        command.args(["-l"]).arg(&page).env("MANWIDTH", "120");
        let shown = finish(command);
        assert_eq!(shown.code, Some(0), "{}: {}", page.display(), shown.err);
        assert!(shown.out.contains("NAME"), "{}: {}", page.display(), shown.out);
    }
}

#[test]
fn shells_can_read_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.args(["completions", shell]);
        let script = finish(command);
        assert!(script.code == Some(0) && script.out.contains("rollback"), "{shell}");
        if is_installed(shell) {
            let mut command = Command::new(shell);
            // A folder is kept until the shell has read it.
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("felio");
            std::fs::write(&file, &script.out).expect("written");
            command.arg("-n").arg(&file);
            let read = finish(command);
            assert_eq!((read.code, read.err.as_str()), (Some(0), ""), "{shell}");
        }
    }
}
