//! What the developer's commands need from the machine: Debian packages, a built felio, a running felio.
//!
//! Invariant: whatever is started here ends when its value is dropped.

use anyhow::{Context, bail, ensure};
use cargo_metadata::MetadataCommand;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Where programs are looked for beside `PATH`, which lacks the last ones for users other than root.
const PROGRAM_DIRS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A line of progress, in order with the output of what is run.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The workspace's folder and its target folder.
pub(crate) struct Workspace {
    /// The root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

/// Asks cargo where things are.
pub(crate) fn workspace() -> anyhow::Result<Workspace> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata failed")?;
    Ok(Workspace { root: metadata.workspace_root.into(), target: metadata.target_directory.into() })
}

/// Runs cargo, and fails where it fails.
pub(crate) fn cargo(args: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).args(args))
}

/// Runs a command to its end, and fails where it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

/// Builds felio as users get it; cargo knows whether anything is to do.
pub(crate) fn build_felio(target: &Path) -> anyhow::Result<PathBuf> {
    cargo(&["build", "--release", "--package", "felio"])?;
    Ok(target.join("release/felio"))
}

/// Installs the Debian packages of those programs that are missing.
pub(crate) fn install(programs: &[(&str, &'static str)]) -> anyhow::Result<()> {
    let missing = missing_packages(programs, is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    say(&format!("installing {list}"))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    // A machine may carry newer builds of some packages than its archive has; those that must match go back with them.
    let downgrade = ["--allow-downgrades", "-o", "APT::Default-Release=bookworm"];
    let tries: [&[&str]; 2] = [&[], &downgrade];
    for (attempt, options) in tries.into_iter().enumerate() {
        // The package lists of a fresh machine are empty or old: fetch them where the first try fails.
        if attempt > 0 {
            apt_get(&["update", "-qq"])?;
        }
        let pinned = if attempt > 0 { with_archive_versions(&missing) } else { owned(&missing) };
        let pinned: Vec<&str> = pinned.iter().map(String::as_str).collect();
        if apt_get(&[&install, options, &pinned].concat())? {
            return Ok(());
        }
    }
    bail!(
        "apt-get could not install them: as root, on Debian, run: apt-get update && apt-get install {list}"
    );
}

/// The same packages, with QEMU's at the versions that the archive has: they only work with each other's.
fn with_archive_versions(packages: &[&str]) -> Vec<String> {
    let mut wanted = owned(packages);
    if packages.iter().any(|package| package.starts_with("qemu")) {
        for package in ["qemu-utils", "qemu-system-common"] {
            if !packages.contains(&package) {
                wanted.push(package.to_owned());
            }
        }
    }
    wanted
        .into_iter()
        .map(|package| archive_version(&package).map_or(package.clone(), |v| format!("{package}={v}")))
        .collect()
}

fn archive_version(package: &str) -> Option<String> {
    let output = Command::new("apt-cache").args(["madison", package]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.split('|').nth(1)?.trim().to_owned())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The packages of those programs that `is_there` denies.
fn missing_packages(programs: &[(&str, &'static str)], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect()
}

/// Whether a program, or with a path any file, is there.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PROGRAM_DIRS.iter().map(PathBuf::from))
        .any(|dir| dir.join(program).is_file())
}

/// Whether apt-get succeeded.
fn apt_get(args: &[&str]) -> anyhow::Result<bool> {
    let status = Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args).status();
    Ok(status.context("cannot run apt-get: the tests' tools are Debian packages")?.success())
}

/// Installs subcommands of cargo, packages of the same name, that are not there.
pub(crate) fn install_cargo_tools(packages: &[&str]) -> anyhow::Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    for package in packages {
        let at_home = || home.as_ref().is_some_and(|home| home.join("bin").join(package).is_file());
        if !is_installed(package) && !at_home() {
            say(&format!("installing {package}"))?;
            cargo(&["install", "--locked", package])?;
        }
    }
    Ok(())
}

/// A felio that serves until it is dropped.
pub(crate) struct Felio {
    child: Child,
    /// The target's name.
    pub(crate) target: String,
    /// Its first portal, `address:port`.
    pub(crate) portal: String,
    // Kept open and not read: felio must not mind.
    _events: BufReader<ChildStdout>,
}

impl Felio {
    /// Starts `felio export --json ARGS` on a free port of the loopback and waits until it is ready.
    pub(crate) fn export(program: &Path, args: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["export", "--json", "--portal", "127.0.0.1:0"])
            .env("FELIO_STATE_DIR", workspace()?.target.join("xtask/state"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut events = BufReader::new(child.stdout.take().context("felio has no output")?);
        let mut line = String::new();
        events.read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)
            .with_context(|| format!("felio export {args:?} did not get ready: {line:?}"))?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("the ready event lacks a field");
        Ok(Self {
            target: text(&ready["target"])?,
            portal: text(&ready["portals"][0])?,
            child,
            _events: events,
        })
    }

    /// `iscsi://PORTAL/TARGET/0`.
    pub(crate) fn url(&self) -> String {
        self.url_by(&self.portal)
    }

    /// The same by way of another portal.
    pub(crate) fn url_by(&self, portal: &str) -> String {
        format!("iscsi://{portal}/{}/0", self.target)
    }

    /// Whether it still serves.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop, and says whether it did so cleanly.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "felio ended with {status} when asked to stop");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "felio did not stop within 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Felio {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that is given `limit` seconds; its output, and its exit status or `None` if it had to be killed.
pub(crate) fn limited(limit: Duration, command: &mut Command) -> anyhow::Result<(String, Option<i32>)> {
    let seconds = limit.as_secs().to_string();
    let output = Command::new("timeout")
        .args(["-k", "2", &seconds])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // A command that dumped core takes `timeout` with it; as a shell would, we add 128 to its signal.
    let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
    Ok((text, code.filter(|code| ![124, 137].contains(code))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_whose_program_is_missing_are_installed() {
        let programs = [("qemu", "qemu-package"), ("cpio", "cpio-package")];
        assert_eq!(missing_packages(&programs, |program| program == "qemu"), ["cpio-package"]);
    }
}
