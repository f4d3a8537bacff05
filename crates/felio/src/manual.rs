//! What packages bring along: completions of shells and manual pages, from the definitions that the program itself goes by.

use crate::cli::Cli;
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};
use felio_control::attr::{Default, Scope, rows};
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Prints what completes felio's words in a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<()> {
    // Who closes what we print to is no reason for a panic: clap writes to memory.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "felio", &mut text);
    Ok(std::io::stdout().write_all(&text)?)
}

/// Prints the document of the daemon's HTTP interface.
pub(crate) fn openapi() -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{:#}", crate::daemon::document())?)
}

/// Writes a page for each command, and one for the configuration's file.
pub(crate) fn pages(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    fs::write(folder.join("felio-saveconfig.5"), saveconfig())?;
    Ok(())
}

/// Headings of the file's page, and whose rows come behind.
const SCOPES: [(&str, Scope); 6] = [
    ("ATTRIBUTES OF STORAGE OBJECTS", Scope::Storage),
    ("TARGET PORT GROUPS (ALUA_TPGS)", Scope::Alua),
    ("ATTRIBUTES OF PORTAL GROUPS", Scope::Tpg),
    ("PARAMETERS OF PORTAL GROUPS", Scope::Parameter),
    ("ATTRIBUTES OF NODE ACLS", Scope::Acl),
    ("CHAP (WITH CHAP_ BEFORE THE NAME)", Scope::Auth),
];

/// The page of saveconfig.json: every row that can stand in it.
fn saveconfig() -> String {
    let mut page = Roff::new();
    page.control("TH", ["felio-saveconfig", "5", "", env!("CARGO_PKG_VERSION")]);
    page.control("SH", ["NAME"]);
    page.text([roman("felio-saveconfig - the configuration of felio")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "The file is LIO's saveconfig.json: objects in lists under storage_objects, targets and fabric_modules. What is left out has its \
         default. What felio does not know is kept and has no effect. What LIO has no place for stands under the key felio of its object.",
    )]);
    page.text([roman("felio config validate FILE tells all that is wrong with a file.")]);
    for (heading, scope) in SCOPES {
        page.control("SH", [heading]);
        for row in rows(scope).iter().filter(|row| row.is_writable()) {
            let default = match row.default {
                Default::Number(number) => format!(", {number} by default"),
                Default::Text("") => String::new(),
                Default::Text(text) => format!(", {text} by default"),
                Default::Backing(_) | Default::Device => ", by default as the storage has it".to_owned(),
            };
            page.control("TP", []);
            page.text([bold(row.name), roman(format!(" ({}{default})", row.kind))]);
            page.text([roman(row.doc)]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("felio-daemon"), roman("(1), "), bold("felio-config"), roman("(1)")]);
    page.to_roff()
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::{Command, CommandFactory as _};
    use std::path::Path;

    /// Every command that people find has its page.
    fn check(folder: &Path, name: &str, command: &Command) {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).expect(name);
        assert!(page.contains(".SH NAME"), "{name}");
        let below = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help");
        below.for_each(|command| check(folder, &format!("{name}-{}", command.get_name()), command));
    }

    #[test]
    fn every_command_has_its_page() {
        let folder = tempfile::tempdir().expect("a folder");
        super::pages(folder.path()).expect("written");
        check(folder.path(), "felio", &Cli::command());
    }

    #[test]
    fn every_setting_is_on_the_page_of_the_file() {
        let page = super::saveconfig();
        for name in ["emulate_tpu", "login_timeout", "MaxBurstLength", "preferred", "mutual_password"] {
            assert!(page.contains(name), "{name}");
        }
    }
}
