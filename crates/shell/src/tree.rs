//! The tree as `ls` draws it.
//!
//! ```text
//! o- / ............................................. [...]
//!   o- backstores .................................. [...]
//!   | o- fileio ..................... [Storage Objects: 0]
//!   o- iscsi ................................ [Targets: 0]
//! ```

use crate::shell::Shell;
use crate::summary::{Health, Summary};
use felio_control::Path;
use felio_control::view::Snapshot;

/// What is below a place, so many levels deep; `None` shows all.
pub(crate) fn draw(shell: &Shell, path: &Path, depth: Option<usize>, snapshot: &Snapshot) -> String {
    let mut drawing = Drawing { shell, snapshot, text: String::new() };
    if shell.preferences.is_on("tree_show_root") {
        drawing.line("", path);
        drawing.below("  ", path, depth);
    } else {
        drawing.below("", path, depth);
    }
    drawing.text
}

struct Drawing<'a> {
    shell: &'a Shell,
    snapshot: &'a Snapshot,
    text: String,
}

impl Drawing<'_> {
    /// What is below a place; the tree itself has six levels.
    fn below(&mut self, margin: &str, path: &Path, depth: Option<usize>) {
        if depth == Some(0) {
            return;
        }
        let children = path.children(&self.snapshot.config);
        let last = children.len().saturating_sub(1);
        for (at, child) in children.iter().enumerate() {
            self.line(margin, child);
            let bar = if at == last { "  " } else { "| " };
            self.below(&format!("{margin}{bar}"), child, depth.map(|depth| depth - 1));
        }
    }

    fn line(&mut self, margin: &str, path: &Path) {
        let mark = if self.shell.preferences.is_on("tree_round_nodes") { 'o' } else { '+' };
        let summary = Summary::of(path, self.snapshot);
        let head = format!("{margin}{mark}- {} ", path.name());
        let used = head.chars().count() + summary.text.chars().count() + " []".len();
        // The last column stays empty: some terminals go on to the next line by themselves.
        let dots = self.shell.screen.width.saturating_sub(used + 1).max(DOTS_MIN);
        let (on, off) =
            match (self.shell.screen.colour && self.shell.preferences.is_on("color_mode"), summary.health) {
                (false, _) | (true, Health::Plain) => ("", ""),
                (true, Health::Good) => (GREEN, NORMAL),
                (true, Health::Bad) => (RED, NORMAL),
            };
        let dots = ".".repeat(dots);
        self.text.push_str(&format!("{head}{dots} [{on}{}{off}]\n", summary.text));
    }
}

const DOTS_MIN: usize = 3;
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const NORMAL: &str = "\x1b[0m";
