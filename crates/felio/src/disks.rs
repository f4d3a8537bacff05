//! From the paths of the command line to open disks.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use crate::identity::Uuid;
use crate::size;
use felio_backstore::identity::IdentitySource;
use felio_backstore::{OpenError, Opened, Source, Spec, Store};
use felio_hal::store::Limits;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
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
    /// What the operator should know.
    pub(crate) warnings: Vec<String>,
}

/// Logical block, bytes, where neither the operator nor the device says anything else.
const BLOCK_BYTES: u32 = 512;

/// More than anybody types, and few enough for one level of addressing without extended LUNs.
const DISKS_MAX: usize = 256;

/// Opens all disks, or none.
pub(crate) fn open(args: &ExportArgs) -> Result<Vec<Disk>, Failure> {
    if args.paths.len() > DISKS_MAX {
        return Err(Failure::new(Kind::Usage, format!("more than {DISKS_MAX} disks")));
    }
    let mut disks: Vec<Disk> = Vec::new();
    for (lun, path) in args.paths.iter().enumerate() {
        // Before it is opened: then our own lock would be in the way, and be taken for another program's.
        if let Some(twin) = disks.iter().find(|twin| is_same_file(&twin.path, path)) {
            return Err(twins(path, &twin.path, "are one disk"));
        }
        let disk = open_one(args, lun, path)?;
        if let Some(twin) = disks.iter().find(|twin| twin.uuid == disk.uuid) {
            return Err(twins(path, &twin.path, "are one disk, or a copy of each other block by block"));
        }
        disks.push(disk);
    }
    Ok(disks)
}

fn twins(path: &str, twin: &str, what: &str) -> Failure {
    Failure::new(Kind::Backing, format!("{path} and {twin} {what}"))
        .hint("initiators would take them for two paths to one disk; export one of them")
}

/// Whether two paths lead to one file or device.
fn is_same_file(one: &str, other: &str) -> bool {
    let file = |path: &str| match source(path) {
        Ok(Source::Path(path)) => std::fs::metadata(path).ok(),
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
    let mut spec = Spec {
        size: args.size.filter(|_| matches!(source, Source::Path(_))),
        source,
        cache: args.cache,
        read_only: args.read_only,
        block_bytes: args.block_size.unwrap_or(BLOCK_BYTES),
        label: label(args, lun),
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
    Ok(disk(args, path, spec.block_bytes, opened))
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
        warnings,
    }
}

/// `ram:SIZE`, `null:SIZE`, or a path; a file of such a name is `./ram:SIZE`.
fn source(path: &str) -> Result<Source, Failure> {
    let sized = |text: &str| {
        size::parse(text).map_err(|error| Failure::new(Kind::Usage, format!("{path}: {text:?} is {error}")))
    };
    match path.split_once(':') {
        Some(("ram", text)) => Ok(Source::Ram(sized(text)?)),
        Some(("null", text)) => Ok(Source::Null(sized(text)?)),
        _ => Ok(Source::Path(path.into())),
    }
}

/// What tells memory of one target from that of another on the same machine: the target's name, or where it listens. Where both
/// are left to chance another process would have the same words, so it is this process.
fn label(args: &ExportArgs, lun: usize) -> String {
    let by_chance = args.portals.iter().any(|portal| portal.port() == 0);
    let whose = match &args.iqn {
        Some(name) => name.as_str().to_owned(),
        None if by_chance => format!("process {} of {:?}", std::process::id(), SystemTime::now()),
        None => args.portals.iter().map(|portal| format!("{portal} ")).collect(),
    };
    format!("{whose} LUN {lun}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

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
