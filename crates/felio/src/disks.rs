//! From the paths of the command line to open disks.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use crate::identity::Uuid;
use crate::size;
use felio_backstore::identity::IdentitySource;
use felio_backstore::protect::Wish;
use felio_backstore::state::{Folder, Stateful};
use felio_backstore::{OpenError, Opened, Source, Spec, Store, UDEV_PATIENCE};
use felio_hal::state::{Saved, StateStore};
use felio_hal::store::Limits;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// One disk, open.
pub(crate) struct Disk {
    /// As it was typed.
    pub(crate) path: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limits: Limits,
    pub(crate) uuid: Uuid,
    pub(crate) block_bytes: u32,
    pub(crate) physical_block_bytes: u32,
    pub(crate) read_only: bool,
    pub(crate) removable: bool,
    /// What earlier processes saved of it.
    pub(crate) saved: Saved,
    /// What the operator should know.
    pub(crate) warnings: Vec<String>,
    /// It was made for this start.
    made: Option<Made>,
}

impl Disk {
    /// It is served: it stays, also if it was made for that.
    pub(crate) fn keep(&mut self) {
        if let Some(made) = &mut self.made {
            made.file = None;
        }
    }

    /// Whether it is a file that has no name any more.
    pub(crate) fn is_deleted(&self) -> bool {
        let file = self.store.claim().and_then(|claim| File::from(claim).metadata().ok());
        file.is_some_and(|file| file.is_file() && file.nlink() == 0)
    }
}

/// A file that was made for this start. Dropped, it goes again, if nothing is in it.
struct Made {
    path: PathBuf,
    /// With its lock; none: it stays.
    file: Option<File>,
}

impl Drop for Made {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        let number = |of: Metadata| (of.dev(), of.ino());
        let found = std::fs::symlink_metadata(&self.path).ok().map(number);
        let is_hole = seek(file, SeekFrom::Data(0)) == Err(Errno::NXIO);
        if is_hole && found.is_some() && found == file.metadata().ok().map(number) {
            // What cannot be taken away is only a file too many.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Logical block, bytes, where neither the operator nor the device says anything else.
pub(crate) const BLOCK_BYTES: u32 = 512;

/// More than anybody types, and few enough for one level of addressing without extended LUNs.
const DISKS_MAX: usize = 256;

/// Opens all disks, or none.
pub(crate) fn open(args: &ExportArgs) -> Result<Vec<Disk>, Failure> {
    if args.paths.len() > DISKS_MAX {
        return Err(Failure::new(Kind::Usage, format!("more than {DISKS_MAX} disks")));
    }
    let state = open_state(args)?;
    let mut disks: Vec<Disk> = Vec::new();
    for (lun, path) in args.paths.iter().enumerate() {
        // Before it is opened: then our own lock would be in the way, and be taken for another program's.
        if let Some(twin) = disks.iter().find(|twin| is_same_file(&twin.path, path)) {
            return Err(twins(path, &twin.path, "are one disk"));
        }
        let disk = open_one(args, lun, path)?;
        let disk = match &state {
            Ok(folder) => remember(disk, folder)?,
            Err(why) if lun == 0 => Disk { warnings: [disk.warnings, vec![why.clone()]].concat(), ..disk },
            Err(_) => disk,
        };
        if let Some(twin) = disks.iter().find(|twin| twin.uuid == disk.uuid) {
            return Err(twins(path, &twin.path, "are one disk, or a copy of each other block by block"));
        }
        disks.push(disk);
    }
    Ok(disks)
}

/// The folder where documents of units are kept; a warning where there is none and nobody asked for one.
fn open_state(args: &ExportArgs) -> Result<Result<Arc<dyn StateStore>, String>, Failure> {
    let Some(path) = args.state_dir.clone().or_else(default_state_dir) else {
        let why = "nothing is kept of reservations and saved parameters: there is no home folder; give --state-dir DIR";
        return Ok(Err(why.to_owned()));
    };
    match (Folder::open(&path), &args.state_dir) {
        (Ok(folder), _) => Ok(Ok(Arc::new(folder))),
        (Err(error), Some(_)) => {
            let what = format!("--state-dir {}: {error}", path.display());
            Err(Failure::new(Kind::Backing, what).hint("give a folder that felio can write to, or can make"))
        }
        (Err(error), None) => Ok(Err(format!(
            "nothing is kept of reservations and saved parameters: {}: {error}; give --state-dir DIR",
            path.display()
        ))),
    }
}

/// By the Filesystem Hierarchy Standard for root, by the XDG Base Directory Specification for others.
fn default_state_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/felio"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|state| state.join("felio"))
}

/// A disk whose documents are kept.
fn remember(disk: Disk, state: &Arc<dyn StateStore>) -> Result<Disk, Failure> {
    let unit = disk.uuid.naa();
    let saved = state.load(&unit).map_err(|failure| {
        let what = format!("{}: what was saved of it cannot be read: {failure:?}", disk.path);
        Failure::new(Kind::Backing, what).hint("mend the state folder (--state-dir), or give another one")
    })?;
    let store: Arc<dyn Store> = Arc::new(Stateful::new(disk.store, unit, Arc::clone(state)));
    Ok(Disk { limits: store.limits(), store, saved, ..disk })
}

fn twins(path: &str, twin: &str, what: &str) -> Failure {
    Failure::new(Kind::Backing, format!("{path} and {twin} {what}"))
        .hint("initiators would take them for two paths to one disk; export one of them")
}

/// Whether two paths lead to one file or device.
fn is_same_file(one: &str, other: &str) -> bool {
    let file = |path: &str| match source(path) {
        Ok(Source::Path(path) | Source::Scsi(path)) => std::fs::metadata(path).ok(),
        _ => None,
    };
    let (Some(one), Some(other)) = (file(one), file(other)) else { return false };
    let device = |file: &Metadata| file.file_type().is_block_device().then(|| file.rdev());
    match (device(&one), device(&other)) {
        (None, None) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (one, other) => one == other,
    }
}

fn open_one(args: &ExportArgs, lun: usize, path: &str) -> Result<Disk, Failure> {
    let source = source(path)?;
    let new = match &source {
        Source::Path(path) => absent(path)?,
        _ => None,
    };
    let mut spec = Spec {
        size: args.size.filter(|_| matches!(source, Source::Path(_))),
        source,
        cache: args.cache,
        read_only: args.read_only,
        protection: args.protection.map_or(Wish::AsItIs, |wish| Wish::Be(wish.0)),
        block_bytes: args.block_size.unwrap_or(BLOCK_BYTES),
        label: label(args, lun),
        patience: UDEV_PATIENCE,
    };
    let opened = match felio_backstore::open(&spec) {
        // Nobody asked for a block size: the device's own it is.
        Err(OpenError::BlockTooSmall { needed, .. }) if args.block_size.is_none() => {
            spec.block_bytes = needed;
            felio_backstore::open(&spec)
        }
        opened => opened,
    };
    let opened = opened.map_err(|error| Failure::new(Kind::Backing, error.to_string()))?;
    let made = new.zip(opened.store.claim()).map(|(path, file)| Made { path, file: Some(file.into()) });
    Ok(Disk { made, ..disk(args, path, spec.block_bytes, opened) })
}

/// The path, if there is nothing. A link that leads to nothing is no place to create a file.
fn absent(path: &Path) -> Result<Option<PathBuf>, Failure> {
    let is_absent = std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    match std::fs::read_link(path) {
        Ok(to) if is_absent => {
            let what = format!("{} is a link to {}, and there is nothing", path.display(), to.display());
            Err(Failure::new(Kind::Backing, what)
                .hint("give the path of the file itself to create it there, or mend the link"))
        }
        _ => Ok(is_absent.then(|| path.to_owned())),
    }
}

fn disk(args: &ExportArgs, path: &str, block_bytes: u32, opened: Opened) -> Disk {
    let mut warnings = Vec::new();
    if opened.unlocked {
        warnings.push(format!(
            "{path} cannot be locked on its filesystem: see to it that nothing else writes to it"
        ));
    }
    if opened.identity.source == IdentitySource::DeviceName {
        warnings.push(format!(
            "{path} says nothing of itself: its serial number comes from its name and changes with it"
        ));
    }
    let physical = args.physical_block_size.unwrap_or(opened.limits.physical_block_bytes);
    Disk {
        path: path.to_owned(),
        uuid: Uuid::new(opened.identity.bytes),
        block_bytes,
        physical_block_bytes: physical.max(block_bytes),
        read_only: !opened.limits.writable,
        removable: args.removable,
        store: opened.store,
        limits: opened.limits,
        saved: Saved::default(),
        warnings,
        made: None,
    }
}

/// `ram:SIZE`, `null:SIZE`, `scsi:DEVICE`, or a path; a file of such a name is `./ram:SIZE`.
fn source(path: &str) -> Result<Source, Failure> {
    let sized = |text: &str| {
        size::parse(text).map_err(|error| Failure::new(Kind::Usage, format!("{path}: {text:?} is {error}")))
    };
    match path.split_once(':') {
        Some(("ram", text)) => Ok(Source::Ram(sized(text)?)),
        Some(("null", text)) => Ok(Source::Null(sized(text)?)),
        Some(("scsi", path)) => Ok(Source::Scsi(path.into())),
        _ => Ok(Source::Path(path.into())),
    }
}

/// What tells memory of one target from that of another on the same machine: the target's name, or where it listens. Where both
/// are left to chance another process would have the same words, so it is this process.
fn label(args: &ExportArgs, lun: usize) -> String {
    let by_chance = args.portals.iter().any(|portal| portal.address.port() == 0);
    let whose = match &args.iqn {
        Some(name) => name.as_str().to_owned(),
        None if by_chance => format!("process {} of {:?}", std::process::id(), SystemTime::now()),
        None => args.portals.iter().map(|portal| format!("{} ", portal.address)).collect(),
    };
    format!("{whose} LUN {lun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_a_colon_choose_memory() {
        assert_eq!(source("ram:1K").ok(), Some(Source::Ram(1024)));
        assert_eq!(source("null:2").ok(), Some(Source::Null(2)));
        assert_eq!(source("./ram:1K").ok(), Some(Source::Path(PathBuf::from("./ram:1K"))));
    }

    #[test]
    fn memory_without_a_size_is_refused() {
        assert!(source("ram:").is_err() && source("null:much").is_err());
    }
}
