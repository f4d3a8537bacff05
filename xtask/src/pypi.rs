//! Python packages that felio's tests run, from PyPI: fetched once, unpacked, never installed.

use crate::host::{self, say};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// LIO's tools, newer than Debian's, and OpenStack's volume service for the one script of it that talks to them.
const PACKAGES: &[&str] =
    &["targetcli==3.0.2", "rtslib-fb==2.2.4", "configshell-fb==2.0.3", "cinder==29.0.0"];

/// What checks the document of the HTTP interface, with all that it needs.
const VALIDATOR: &str = "openapi-spec-validator==0.9.0";

/// Where they are, by their modules.
pub(crate) fn folder(target: &Path) -> PathBuf {
    target.join("pypi")
}

/// Fetches those that are not there.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let folder = folder(&host::workspace()?.target);
    let done = folder.join(format!("{} {VALIDATOR}", PACKAGES.join(" ")));
    if done.exists() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("fetching {}, {VALIDATOR} from PyPI", PACKAGES.join(", ")))?;
    let wheels = folder.join("wheels");
    std::fs::create_dir_all(&wheels)?;
    let pip = ["-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest"];
    host::run(Command::new("python3").args(pip).arg(&wheels).arg("--no-deps").args(PACKAGES))?;
    host::run(Command::new("python3").args(pip).arg(&wheels).arg(VALIDATOR))?;
    for wheel in std::fs::read_dir(&wheels)? {
        host::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel?.path()).arg(&folder))?;
    }
    std::fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    Ok(ExitCode::SUCCESS)
}
