//! What the daemon gives up for good before it serves anybody, so that whoever takes it over has little.
//!
//! Objects may be made at any time, so it keeps what every object may need, and no more: of capabilities those in [`kept`]; of
//! files those beneath folders that may have disks in them ([`Fence`]), by the kernel's Landlock; of system calls those in [`calls`], by
//! a seccomp filter. Another one fails with EPERM; so does execve. All of it holds for the calling thread and for those
//! that it starts, and so is called before there are any others. What this kernel does not know is told, and left out.

mod calls;

use super::entrance::Entrance;
use super::vault;
use crate::cli::DaemonArgs;
use crate::failure::{Failure, Kind};
use felio_control::{Backing, Config};
use landlock::{
    ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, path_beneath_rules,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::fs;
use std::path::{Path, PathBuf};

/// What we have given up: where disks may be (nothing else is for writing), and what may be asked of devices.
#[derive(Debug, Default)]
pub(super) struct Fence {
    /// Folders and files, without links; nothing where the kernel does not hold anybody to it.
    roots: Option<Vec<PathBuf>>,
    /// Whether we had CAP_SYS_RAWIO.
    no_raw_io: bool,
}

/// What the sandbox does not have, in words.
type Warnings = Vec<String>;

impl Fence {
    /// Why a file cannot be opened, if it is because of us, and what to do about it.
    pub(super) fn explain(&self, path: &Path) -> Option<String> {
        let roots = self.roots.as_ref()?;
        let real = path.ancestors().find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).ok()?;
            Some(ancestor.canonicalize().ok()?.join(rest))
        });
        let real = real.unwrap_or_else(|| path.to_path_buf());
        if roots.iter().any(|root| real.starts_with(root)) {
            return None;
        }
        if is_usual(&real) {
            return Some(format!(
                "{} was made after felio daemon was started; `{RESTART}` lets it use it",
                real.display()
            ));
        }
        let folder = real.parent().unwrap_or(&real);
        Some(format!(
            "{} is outside of the folders that felio daemon may use; start it with --allow-path {}",
            path.display(),
            folder.display()
        ))
    }

    /// Why an object cannot be served before we are started again, if it is because of us.
    pub(super) fn forbids(&self, backing: &Backing) -> Option<String> {
        (self.no_raw_io && needs_raw_io(backing)).then(|| {
            format!("felio daemon has given up CAP_SYS_RAWIO, for there was no pscsi object when it was started: `{RESTART}` serves it")
        })
    }
}

/// What makes of us a felio that has not given up anything yet. Initiators survive it.
const RESTART: &str = "systemctl restart felio.service";

/// Gives up what is not needed, unless the operator wants to keep it; what is to be noted about that.
pub(super) fn confine(
    args: &DaemonArgs,
    log: &Path,
    entrance: Option<&Entrance>,
    config: &Config,
    notes: &mut Vec<String>,
) -> Result<Fence, Failure> {
    if args.no_sandbox {
        return Ok(Fence::default());
    }
    let parents = [args.config.as_path(), &args.socket, log].map(vault::parent);
    let own = [args.state_dir.as_path()].into_iter().chain(parents);
    let reread: Vec<&Path> = entrance.into_iter().flat_map(Entrance::files).collect();
    let (fence, warnings) = enter(config, own, &args.allow_path, &reread).map_err(|error| {
        Failure::new(Kind::Running, format!("cannot give up rights: {error}"))
            .hint("--no-sandbox goes on with all of them")
    })?;
    notes.extend(warnings);
    Ok(fence)
}

/// Gives up what is not needed. `own` are the folders for our own files, `allowed` those that the operator allows beside the usual, and `reread` the
/// files that are only read, and later read again.
fn enter<'a>(
    config: &Config,
    own: impl IntoIterator<Item = &'a Path>,
    allowed: &'a [PathBuf],
    reread: &[&Path],
) -> anyhow::Result<(Fence, Warnings)> {
    let mut warnings = Vec::new();
    let no_raw_io = drop_capabilities(config)?;
    rustix::thread::set_no_new_privs(true)?;
    let mut roots: Vec<PathBuf> =
        own.into_iter().chain(allowed.iter().map(PathBuf::as_path)).filter_map(real).collect();
    roots.extend(usual_roots());
    let named = named(config);
    let further: Vec<PathBuf> =
        named.filter(|path| !roots.iter().any(|root| path.starts_with(root))).collect();
    roots.extend(further);
    let roots = match restrict_files(&roots, reread)? {
        RulesetStatus::NotEnforced => {
            warnings.push("this kernel has no Landlock: every file is within felio's reach".to_owned());
            None
        }
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Some(roots),
    };
    if let Err(error) = calls::restrict() {
        warnings.push(format!("system calls are not filtered: {error}"));
    }
    Ok((Fence { roots, no_raw_io }, warnings))
}

/// Whether CAP_SYS_RAWIO was among them.
fn drop_capabilities(config: &Config) -> rustix::io::Result<bool> {
    let now = capabilities(None)?;
    let kept = now.permitted & kept(config);
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?;
    Ok((now.permitted - kept).contains(CapabilitySet::SYS_RAWIO))
}

/// Disks may belong to others than us, portals may have ports below 1024, and SCSI devices of this machine are sent whatever commands initiators send.
fn kept(config: &Config) -> CapabilitySet {
    let passes_through = config.storage.values().any(|object| needs_raw_io(&object.backing));
    let usual = CapabilitySet::DAC_OVERRIDE | CapabilitySet::NET_BIND_SERVICE;
    if passes_through { usual | CapabilitySet::SYS_RAWIO } else { usual }
}

const fn needs_raw_io(backing: &Backing) -> bool {
    matches!(backing, Backing::Pscsi { .. })
}

/// Everything at the top but what belongs to the system, and what of that may have disks in it.
fn usual_roots() -> Vec<PathBuf> {
    let top = fs::read_dir("/").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let usual = top.filter(|path| is_usual(path));
    usual.chain(DISKS.iter().map(PathBuf::from)).filter_map(|path| real(&path)).collect()
}

/// Whether a disk may be there without anybody's saying so.
fn is_usual(path: &Path) -> bool {
    let belongs_to_system = SYSTEM.iter().any(|name| path.starts_with(Path::new("/").join(name)));
    !belongs_to_system || DISKS.iter().any(|folder| path.starts_with(folder))
}

/// The places of disks that the configuration names: a file, or where it is to be made.
fn named(config: &Config) -> impl Iterator<Item = PathBuf> {
    let places = config.storage.values().filter_map(|object| object.backing.dev()).map(Path::new);
    places.filter_map(|place| real(place).or_else(|| real(place.parent()?)))
}

fn real(path: &Path) -> Option<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    path.canonicalize().ok()
}

fn restrict_files(roots: &[PathBuf], reread: &[&Path]) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let ruleset = Ruleset::default().handle_access(all)?.create()?;
    let ruleset = ruleset.add_rules(path_beneath_rules(roots, all & !AccessFs::Execute))?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let ruleset = ruleset.add_rules(path_beneath_rules(READ, read))?;
    let ruleset = ruleset.add_rules(path_beneath_rules(reread.iter().copied().flat_map(places), read))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// Where a file is found when another one has taken its name: its folder, and that of what it is a link to. In a folder of the system there is more
/// than that: there it is the very file.
fn places(file: &Path) -> impl Iterator<Item = PathBuf> {
    let by_name = file.parent().and_then(real).zip(file.file_name()).map(|(folder, name)| folder.join(name));
    let place = |file: PathBuf| match file.parent() {
        Some(folder) if folder.components().count() > 2 => folder.to_path_buf(),
        _ => file,
    };
    [by_name, real(file)].into_iter().flatten().map(place)
}

/// What Landlock can hold us to, where the kernel is new enough.
const KNOWN: ABI = ABI::V5;

/// The folders at the top that a system has without any disk of ours.
const SYSTEM: &[&str] = &[
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "usr",
    "var",
];

/// Where there are disks nevertheless.
const DISKS: &[&str] = &["/dev", "/var/lib", "/var/target", "/var/tmp"];

/// What is looked at: how block devices are, which machine this is, and what LIO has saved.
const READ: &[&str] = &["/sys", "/etc/machine-id", "/etc/target", "/etc/rtslib-fb-target"];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said in a thread that has entered the sandbox.
    fn inside<T: Send + 'static>(look: impl FnOnce(Fence, Warnings) -> T + Send + 'static) -> T {
        let enter = move || {
            let (fence, warnings) = enter(&Config::default(), [], &[], &[]).expect("it can");
            look(fence, warnings)
        };
        std::thread::spawn(enter).join().expect("it ends")
    }

    #[test]
    fn no_program_can_be_started() {
        let started = inside(|_, _| std::process::Command::new("/bin/true").status());
        assert!(started.is_err(), "{started:?}");
    }

    #[test]
    fn files_of_the_system_cannot_be_opened_and_disks_can() {
        let (shadow, temporary, has_landlock) = inside(|fence, _| {
            let shadow = fs::File::open("/etc/shadow").map(drop).map_err(|error| error.kind());
            let temporary = tempfile::tempfile().map(drop).map_err(|error| error.kind());
            (shadow, temporary, fence.roots.is_some())
        });
        assert_eq!(temporary, Ok(()));
        if has_landlock {
            assert_eq!(shadow, Err(std::io::ErrorKind::PermissionDenied));
        }
    }

    #[test]
    fn a_file_that_is_read_again_may_be_another_by_then_but_not_in_a_folder_of_the_system() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().canonicalize().expect("it is there");
        fs::create_dir(real.join("archive")).expect("it is new");
        fs::write(real.join("archive/key1"), "").expect("there is room");
        std::os::unix::fs::symlink("archive/key1", real.join("key")).expect("it is new");
        let found: Vec<PathBuf> = places(&real.join("key")).collect();
        assert_eq!(found, [real.clone(), real.join("archive")]);
        let found: Vec<PathBuf> = places(Path::new("/etc/passwd")).collect();
        assert_eq!(found, [Path::new("/etc/passwd"); 2]);
    }

    #[test]
    fn who_asks_for_a_place_outside_is_told_how_to_allow_it() {
        let fence =
            Fence { roots: Some(vec![PathBuf::from("/dev"), PathBuf::from("/tmp")]), ..Fence::default() };
        assert_eq!(fence.explain(Path::new("/dev/null")), None);
        assert_eq!(fence.explain(Path::new("/tmp/there/is/none")), None);
        let told = fence.explain(Path::new("/etc/disk.img")).expect("it is outside");
        assert!(told.ends_with("start it with --allow-path /etc"), "{told}");
        assert!(fence.explain(Path::new("/dev/../etc/disk.img")).is_some());
        let told = fence.explain(Path::new("/nowhere-yet/disk.img")).expect("it is not allowed yet");
        assert!(told.contains("was made after"), "{told}");
        assert_eq!(Fence::default().explain(Path::new("/etc/disk.img")), None);
    }
}
