//! `felio compat`: a command that finds felio where LIO's tools look for the kernel's target.
//!
//! The command runs in a mount namespace of its own. There `/sys/kernel/config/target` is felio's tree, and no kernel module can be found to be
//! loaded: what the command believes it does to the kernel it does to felio, and nothing of the host changes.

use crate::cli::CompatArgs;
use crate::configfs;
use crate::failure::{Failure, Kind};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::UnshareFlags;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

/// Runs the command; its exit code is ours.
pub(crate) fn run(args: &CompatArgs) -> anyhow::Result<ExitCode> {
    enter_namespace().map_err(|error| {
        Failure::new(Kind::Backing, format!("cannot have a mount namespace: {error}"))
            .hint("as root, or under `unshare --user --map-root-user --mount`")
    })?;
    // The daemon's socket may be anywhere: it is found before anything is covered.
    let client = args.daemon.client()?;
    let tree = cover().map_err(|error| {
        Failure::new(Kind::Backing, format!("cannot cover {CONFIGFS} in a mount namespace: {error}"))
    })?;
    let session = configfs::mount(client, &tree)?;
    let status = wait(args);
    let _ = session.umount_and_join();
    Ok(exit_code(status?))
}

/// What is mounted from now on only this process and its children see.
fn enter_namespace() -> rustix::io::Result<()> {
    #[expect(
        deprecated,
        reason = "it is unsafe for tables of files only; a mount namespace, before there is another thread, is sound"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Puts a place for the tree where it is looked for, and hides the kernel's modules.
fn cover() -> io::Result<PathBuf> {
    let config = Path::new(CONFIGFS);
    if !config.is_dir() {
        // The kernel has no configfs, and nobody makes folders in sysfs: the folder above is rebuilt, all in it as it was.
        rebuild(config.parent().unwrap_or(config))?;
        fs::create_dir(config)?;
    }
    memory(config)?;
    let tree = config.join("target");
    fs::create_dir(&tree)?;
    if Path::new(MODULES).is_dir() {
        memory(Path::new(MODULES))?;
    }
    Ok(tree)
}

const CONFIGFS: &str = "/sys/kernel/config";
const MODULES: &str = "/lib/modules";

fn memory(dir: &Path) -> rustix::io::Result<()> {
    mount("felio", dir, "tmpfs", MountFlags::NODEV | MountFlags::NOSUID, None::<&CStr>)
}

/// Covers a folder with one that can be written to and has the same in it.
fn rebuild(dir: &Path) -> io::Result<()> {
    let old = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    memory(dir)?;
    let old = PathBuf::from(format!("/proc/self/fd/{}", old.as_raw_fd())).join(".");
    for entry in fs::read_dir(&old)? {
        let entry = entry?;
        let (from, to) = (entry.path(), dir.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&to)?;
            mount_bind_recursive(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::write(&to, [])?;
            mount_bind(&from, &to)?;
        }
    }
    Ok(())
}

/// Until the command has ended. Signals of the terminal reach it, too, and are its business.
fn wait(args: &CompatArgs) -> anyhow::Result<ExitStatus> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGQUIT, SIGTERM])?;
    let mut command = Command::new(&args.command[0]);
    let mut child = command.args(&args.command[1..]).spawn().map_err(|error| {
        Failure::new(Kind::Usage, format!("{}: {error}", args.command[0].to_string_lossy()))
    })?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let forward = move || {
        for _ in signals.forever().filter(|signal| *signal == SIGTERM) {
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        }
    };
    crate::threads::spawn("signals", forward)?;
    Ok(child.wait()?)
}

/// The command's own, or what a shell says of one that a signal ended.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
