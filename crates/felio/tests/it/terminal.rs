//! `felio shell` at a terminal, as somebody sees it who types: tmux has the screen. What it showed stays in cargo's folder for such things:
//! `shell.txt` the screens, `shell.raw` every byte that came to the terminal.
//!
//! It needs Debian's tmux: where that is not, the test fails.

use crate::common::PATIENCE;
use crate::common::place::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A terminal of tmux; ended when dropped.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Begins with a command, in a window of this size; every byte that it writes comes to a file, too.
    fn start(place: &Place, raw: &Path) -> Self {
        let terminal = Self { socket: place.path("tmux") };
        let felio = env!("CARGO_BIN_EXE_felio");
        let home = place.path("home").display().to_string();
        let command = format!(
            "TARGETCLI_HOME={home} NO_COLOR=1 exec {felio} shell --socket {}",
            place.path("socket").display()
        );
        // The window waits for its first key, so that nothing is missed.
        let window = format!("read -r _; clear; {command}");
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "40",
            "sh",
            "-c",
            &window,
        ]);
        terminal.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
        terminal.tmux(&["pipe-pane", "-o", &format!("exec cat > {}", raw.display())]);
        terminal.keys(&["Enter"]);
        terminal
    }

    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").arg("-S").arg(&self.socket);
        let done = command.args(words).output().expect("tmux is there");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// What the screen shows once it ends with that, without empty lines at its end.
    #[track_caller]
    fn screen(&self, end: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.tmux(&["capture-pane", "-p"]);
            if shown.trim_end().ends_with(end) {
                return shown.trim_end().to_owned() + "\n";
            }
            assert!(Instant::now() < until, "no {end:?} at the end of:\n{shown}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

/// What is typed, and how the screen ends then.
const STEPS: &[(&[&str], &str)] = &[
    (&[], "/>"),
    // One place begins so.
    (&["backs", "Tab"], "/> backstores/"),
    (&["ram", "Tab"], "/> backstores/ramdisk"),
    (&["Enter"], "/backstores/ramdisk>"),
    // What the verb takes, each with its sentence.
    (&["cr", "Tab"], "/backstores/ramdisk> create"),
    (&["Tab", "Tab"], "made if left out\n/backstores/ramdisk> create"),
    (&["name=rd size=1M", "Enter"], "with size 1048576.\n/backstores/ramdisk>"),
    (&["rd se", "Tab", "attribute emulate_c", "Tab"], "set attribute emulate_caw="),
    (&["0", "Enter"], "is now '0'.\n/backstores/ramdisk>"),
    (&["help create", "Enter"], "made if left out\n/backstores/ramdisk>"),
    (&["ls /backstores", "Enter"], "[Storage Objects: 0]\n/backstores/ramdisk>"),
    // The line before last, again.
    (&["Up", "Up"], "/backstores/ramdisk> help create"),
    (&["C-u", "create rd 1M", "Enter"], "or delete it first\n/backstores/ramdisk>"),
    (&["watch rd", "Enter"], "watching: from now on"),
    // It ends that, and not the shell.
    (&["C-c"], "/backstores/ramdisk>"),
];

#[test]
fn somebody_at_a_terminal_is_helped_along() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let terminal = Terminal::start(&place, &folder.join("shell.raw"));
    let mut got = String::new();
    for (keys, end) in STEPS {
        for key in *keys {
            terminal.keys(&[key]);
        }
        got += &format!("==== {}\n{}", keys.join(" "), terminal.screen(end));
    }
    terminal.keys(&["C-d"]);
    let ended = terminal.screen(")");
    assert!(ended.contains("Configuration saved to") && ended.contains("Pane is dead"), "{ended}");
    fs::write(folder.join("shell.txt"), &got).expect("cargo made the folder");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal/shell.txt");
    if std::env::var_os("FELIO_REWRITE").is_some() {
        fs::write(file, &got).expect("the sources can be written");
    }
    assert_eq!(got, fs::read_to_string(file).expect("the text is there"));
}
