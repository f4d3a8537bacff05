//! Where the protection information of a disk is kept: in a file beside it, or in memory beside memory.
//!
//! The file has the disk's name with `.protection` behind it. Where there is one that felio made, the disk is opened with it
//! whether or not anybody asks, so that no block is ever written without what stands behind it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fsync};
use rustix::io::Errno;

use super::{OpenError, Opened, Spec};
use crate::protect::{FileSide, MemorySide, Protect, ProtectError, Side, Speed, Wish, side_bytes};

/// Whether a disk was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It was.
    Old,
    /// It was just made: what a file beside it says is of another.
    New,
}

/// Refuses to protect what cannot be.
pub(super) fn refuse(what: &str, why: &'static str, spec: &Spec) -> Result<(), OpenError> {
    match spec.protection {
        Wish::AsItIs => Ok(()),
        Wish::Be(_) => Err(OpenError::NoProtection { what: what.to_owned(), why }),
    }
}

/// Memory, with protection information in memory if that was asked for.
pub(super) fn in_memory(opened: Opened, spec: &Spec) -> Result<Opened, OpenError> {
    let Wish::Be(_) = spec.protection else { return Ok(opened) };
    let bytes = side_bytes(opened.limits.bytes, spec.block_bytes);
    let refused = |errno: Errno| OpenError::Memory { bytes, source: errno.into() };
    let side = Arc::new(MemorySide::new(bytes).map_err(refused)?);
    put(opened, side, spec, Speed::AtOnce, Path::new("ram"))
}

/// A file, with its protection information if it has some or was asked to.
pub(super) fn beside_file(opened: Opened, path: &Path, spec: &Spec, age: Age) -> Result<Opened, OpenError> {
    let path = path_beside(path);
    let access = if spec.read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let make = match (spec.protection, spec.read_only, age) {
        (Wish::AsItIs, _, Age::New) => return Ok(opened),
        (Wish::AsItIs, _, Age::Old) | (Wish::Be(_), true, _) => OFlags::empty(),
        (Wish::Be(_), false, Age::Old) => OFlags::CREATE,
        (Wish::Be(_), false, Age::New) => OFlags::CREATE | OFlags::TRUNC,
    };
    let fd = match rustix::fs::open(&path, access | make | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => fd,
        Err(Errno::NOENT) if spec.protection == Wish::AsItIs => return Ok(opened),
        Err(Errno::NOENT) => return Err(told(ProtectError::Missing, path, spec)),
        Err(errno) => return Err(told(errno.into(), path, spec)),
    };
    if !spec.read_only {
        keep(&path).map_err(|errno| told(errno.into(), path.clone(), spec))?;
    }
    put(opened, Arc::new(FileSide::new(fd)), spec, Speed::Later, &path)
}

fn put(
    opened: Opened,
    side: Arc<dyn Side>,
    spec: &Spec,
    speed: Speed,
    path: &Path,
) -> Result<Opened, OpenError> {
    let inner = Arc::clone(&opened.store);
    match Protect::open(inner, side, spec.block_bytes, spec.protection, speed) {
        Ok(protect) => {
            let store: Arc<dyn crate::store::Store> = Arc::new(protect);
            Ok(Opened { limits: store.limits(), store, ..opened })
        }
        // Somebody else's file of that name is none of our business while nobody asks for protection.
        Err(ProtectError::Foreign | ProtectError::Missing) if spec.protection == Wish::AsItIs => Ok(opened),
        Err(error) => Err(told(error, path.to_path_buf(), spec)),
    }
}

/// `disk.img.protection`.
fn path_beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".protection");
    PathBuf::from(name)
}

/// Makes a name as durable as what it names.
fn keep(path: &Path) -> Result<(), Errno> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // As for the disk itself: some filesystems cannot flush a folder, and need not.
    match rustix::fs::open(folder.unwrap_or(Path::new(".")), flags, Mode::empty()) {
        Ok(folder) => fsync(folder).or(Ok(())),
        Err(_) => Ok(()),
    }
}

fn told(source: ProtectError, path: PathBuf, spec: &Spec) -> OpenError {
    let next = match source {
        ProtectError::OtherKind(number) => format!(
            "give --protection {number} or leave it out, or format the disk anew (sg_format --fmtpinfo), or remove the file to give up what it holds"
        ),
        ProtectError::OtherBlocks(block_bytes) => {
            format!("give --block-size {block_bytes}, or remove the file to give up what it holds")
        }
        ProtectError::Damaged | ProtectError::Foreign => {
            "bring it back from a copy, or remove it to give up what it holds".to_owned()
        }
        ProtectError::Missing | ProtectError::Unfinished => {
            "leave out --read-only once, so that it can be made".to_owned()
        }
        ProtectError::System(errno) => match io::Error::from(errno).kind() {
            io::ErrorKind::PermissionDenied => {
                format!(
                    "change its owner or mode, or that of its folder{}",
                    if spec.read_only { "" } else { ", so that felio can write there" }
                )
            }
            _ => "see to its filesystem, or leave out --protection".to_owned(),
        },
    };
    OpenError::Protection { path, source, next }
}
