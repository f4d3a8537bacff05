//! From what an operator asks for to a store, or to an error that says what to do about it.
//!
//! Opening changes nothing in what is there: an existing file is never made longer or shorter. A writable file or device
//! is locked against a second felio (`flock`), against QEMU (locks of bytes), and a device also against mounts (`O_EXCL`).

mod protected;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use felio_hal::store::Limits;
use rustix::fs::{
    FileType, FlockOperation, Mode, OFlags, Stat, fcntl_getfl, fcntl_setfl, flock, fstat, fsync, ftruncate,
};
use rustix::io::Errno;

use crate::disk::Claimed;
use crate::identity::{self, Carry, Identity};
use crate::null::Null;
use crate::open::protected::Age;
use crate::policy::{CacheMode, Policy};
use crate::protect::{ProtectError, Wish};
use crate::ram::Ram;
use crate::scsi::Scsi;
use crate::store::Store;
use crate::sys::device::is_read_only;
use crate::sys::lock::{is_taken, take};
use crate::{block, file};

/// As long as udev may hold the lock of a device, for [`Spec::patience`].
pub const UDEV_PATIENCE: Duration = Duration::from_secs(2);

/// How soon to look again.
const UDEV_PAUSE: Duration = Duration::from_millis(20);

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// From where.
    pub source: Source,
    /// How large: a file that does not exist is created so, one that does must be so.
    pub size: Option<u64>,
    /// How it is cached.
    pub cache: CacheMode,
    /// Not to be written.
    pub read_only: bool,
    /// The logical unit's block.
    pub block_bytes: u32,
    /// How it shall be formatted with protection information.
    pub protection: Wish,
    /// What tells memory from other memory, such as the target's name and the LUN.
    pub label: String,
    /// How long somebody else's lock of a device is waited for.
    pub patience: Duration,
}

/// Where blocks come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or block device.
    Path(PathBuf),
    /// A SCSI device, to hand commands to.
    Scsi(PathBuf),
    /// So many bytes of memory.
    Ram(u64),
    /// So many bytes of nothing.
    Null(u64),
}

/// What became of it.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it can do.
    pub limits: Limits,
    /// Who it is.
    pub identity: Identity,
    /// It could not be locked: its filesystem knows no locks.
    pub unlocked: bool,
}

/// Why a source cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there, and no size was given to create it with.
    #[error(
        "{path} does not exist; give a size (--size, or size= in the shell) to create a file there, or correct the path"
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// It is not there, and who looks for blocks in it would find none.
    #[error("{path} does not exist; copy the blocks there first, or correct the path")]
    Gone {
        /// Which.
        path: PathBuf,
    },
    /// The folder to create it in is not there.
    #[error("the folder of {path} does not exist; create it, or correct the path")]
    NoFolder {
        /// Which.
        path: PathBuf,
    },
    /// It was to be created, but not to be written.
    #[error("{path} does not exist, and a new file would be empty; leave out --read-only to create it")]
    MissingReadOnly {
        /// Which.
        path: PathBuf,
    },
    /// The operator may not.
    #[error(
        "no permission to open {path} for {access}; change its owner or mode{hint}, or run felio as another user"
    )]
    Permission {
        /// Which.
        path: PathBuf,
        /// For what.
        access: &'static str,
        /// A further way out.
        hint: &'static str,
    },
    /// Someone else has it.
    #[error("{path} is in use by another program ({how}); stop that program, or unmount the device")]
    Busy {
        /// Which.
        path: PathBuf,
        /// How that shows.
        how: &'static str,
    },
    /// It is neither a file nor a block device.
    #[error("{path} is {found}; give a regular file or a block device")]
    Kind {
        /// Which.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Its filesystem or device takes no writes.
    #[error("{path} cannot be written, its filesystem or device is read-only; export it with --read-only")]
    ReadOnly {
        /// Which.
        path: PathBuf,
    },
    /// No such device.
    #[error("{path} does not exist; `lsscsi -g` lists the SCSI devices of this machine")]
    NoDevice {
        /// Which.
        path: PathBuf,
    },
    /// It takes no SCSI commands.
    #[error(
        "{path} takes no SCSI commands; give the sg, st, sr or sd node of a SCSI device (`lsscsi -g` lists them)"
    )]
    NoScsi {
        /// Which.
        path: PathBuf,
    },
    /// There are no blocks in it.
    #[error(
        "{path} is empty; remove it and give a size (--size, or size= in the shell) to create it anew, or make it longer (truncate -s SIZE)"
    )]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// Zero bytes of memory.
    #[error("a size of zero makes no disk; give a size such as ram:1G")]
    NoSize,
    /// It has another size than was asked for.
    #[error(
        "{path} exists and has {have} bytes, not {want}; leave out --size to export it as it is, or change its size yourself (truncate -s {want})"
    )]
    OtherSize {
        /// Which.
        path: PathBuf,
        /// As it is.
        have: u64,
        /// As asked for.
        want: u64,
    },
    /// The last block would be cut.
    #[error("{what} has {bytes} bytes, no multiple of the block size {block_bytes}; {next}")]
    NotMultiple {
        /// Which.
        what: String,
        /// Its size.
        bytes: u64,
        /// The block.
        block_bytes: u32,
        /// What to do.
        next: String,
    },
    /// The device has larger blocks.
    #[error("{path} is read and written in blocks of {needed} bytes; give --block-size {needed}")]
    BlockTooSmall {
        /// Which.
        path: PathBuf,
        /// The smallest possible.
        needed: u32,
    },
    /// `O_DIRECT` wants larger blocks of a file. It is not given them unasked: with other blocks all data of the disk lie elsewhere.
    #[error(
        "{path} is read and written in blocks of {needed} bytes with direct I/O; give --cache write-back or write-through, or, for a new disk, --block-size {needed}"
    )]
    DirectBlockTooSmall {
        /// Which.
        path: PathBuf,
        /// The smallest possible.
        needed: u32,
    },
    /// An empty device.
    #[error("{path} is a device without blocks; insert a medium, attach a file to it, or give another one")]
    EmptyDevice {
        /// Which.
        path: PathBuf,
    },
    /// A size beyond what a disk can have.
    #[error("{what} would have {bytes} bytes, more than a disk can; give a smaller size")]
    TooLarge {
        /// Which.
        what: String,
        /// Its size.
        bytes: u64,
    },
    /// No `O_DIRECT`.
    #[error("the filesystem of {path} has no direct I/O; give --cache write-back or --cache write-through")]
    Direct {
        /// Which.
        path: PathBuf,
    },
    /// The filesystem has no room for the file, or cannot make it so long.
    #[error(
        "{path} cannot be made {bytes} bytes long: {source}; give a smaller --size or another filesystem"
    )]
    Create {
        /// Which.
        path: PathBuf,
        /// How long it should be.
        bytes: u64,
        /// Why not.
        source: io::Error,
    },
    /// Not so much memory.
    #[error("no {bytes} bytes of memory to be had: {source}; give a smaller size")]
    Memory {
        /// How much.
        bytes: u64,
        /// Why not.
        source: io::Error,
    },
    /// There is no place for protection information.
    #[error(
        "{what} cannot keep protection information: {why}; leave out --protection, or export a file or ram:SIZE"
    )]
    NoProtection {
        /// Which.
        what: String,
        /// Why not.
        why: &'static str,
    },
    /// The file with protection information does not go with the disk.
    #[error("{path} cannot be used: {source}; {next}")]
    Protection {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ProtectError,
        /// What to do.
        next: String,
    },
    /// Anything else.
    #[error("{path}: {call}: {source}")]
    System {
        /// Which.
        path: PathBuf,
        /// What was tried.
        call: &'static str,
        /// What came of it.
        source: io::Error,
    },
}

/// Opens what an operator asks for.
pub fn open(spec: &Spec) -> Result<Opened, OpenError> {
    match &spec.source {
        Source::Path(path) => open_path(path, spec, None),
        Source::Scsi(path) => At { path, spec, beside: None }.open_scsi(),
        Source::Ram(bytes) => {
            let bytes = memory_bytes("ram", *bytes, spec)?;
            let store = Ram::new(bytes, !spec.read_only)
                .map_err(|errno| OpenError::Memory { bytes, source: errno.into() })?;
            let opened = opened_memory(Arc::new(store), format!("ram:{bytes} {}", spec.label));
            protected::in_memory(opened, spec)
        }
        Source::Null(bytes) => {
            let bytes = memory_bytes("null", *bytes, spec)?;
            protected::refuse("null", "it forgets what is written", spec)?;
            let store = Null::new(bytes, !spec.read_only);
            Ok(opened_memory(Arc::new(store), format!("null:{bytes} {}", spec.label)))
        }
    }
}

/// The same, while the blocks may still be open as `store`, which is about to be let go: who keeps others away keeps this one away
/// no more. Nothing is created.
pub fn open_beside(spec: &Spec, store: &dyn Store) -> Result<Opened, OpenError> {
    match &spec.source {
        Source::Path(path) if !path.exists() => Err(OpenError::Gone { path: path.clone() }),
        Source::Path(path) => {
            let old = store.claim().map(|claim| Beside { claim, writable: store.limits().writable });
            open_path(path, spec, old.as_ref())
        }
        _ => open(spec),
    }
}

fn memory_bytes(name: &str, bytes: u64, spec: &Spec) -> Result<u64, OpenError> {
    if bytes == 0 {
        return Err(OpenError::NoSize);
    }
    multiple(&format!("{name}:{bytes}"), bytes, spec)?;
    Ok(bytes)
}

fn opened_memory(store: Arc<dyn Store>, words: String) -> Opened {
    let identity = identity::of_words(&words);
    Opened { limits: store.limits(), store, identity, unlocked: false }
}

fn open_path(path: &Path, spec: &Spec, beside: Option<&Beside>) -> Result<Opened, OpenError> {
    let at = At { path, spec, beside };
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => {
            protected::refuse(&path.display().to_string(), "there is no file to keep it beside", spec)?;
            at.open_device()
        }
        Ok(found) if found.is_file() => protected::beside_file(at.open_file()?, path, spec, Age::Old),
        Ok(found) => Err(OpenError::Kind { path: path.into(), found: kind_name(found.file_type()) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let opened = protected::beside_file(at.create_file()?, path, spec, Age::New);
            opened.inspect_err(|_| drop(fs::remove_file(path)))
        }
        Err(error) => Err(at.error("look at", &error)),
    }
}

/// A path on its way to being open.
struct At<'a> {
    path: &'a Path,
    spec: &'a Spec,
    beside: Option<&'a Beside>,
}

/// The store that is let go when this one is open.
struct Beside {
    claim: OwnedFd,
    writable: bool,
}

impl Beside {
    /// Whether it is the same file or device.
    fn is(&self, fd: BorrowedFd<'_>) -> bool {
        let number = |of: &Stat| match FileType::from_raw_mode(of.st_mode) {
            FileType::BlockDevice => (0, of.st_rdev),
            _ => (of.st_dev, of.st_ino),
        };
        let kind = |of: &Stat| FileType::from_raw_mode(of.st_mode);
        let (Ok(old), Ok(new)) = (fstat(&self.claim), fstat(fd)) else { return false };
        (kind(&old), number(&old)) == (kind(&new), number(&new))
    }
}

impl At<'_> {
    fn create_file(&self) -> Result<Opened, OpenError> {
        let path = || self.path.to_path_buf();
        let bytes = self.spec.size.ok_or_else(|| OpenError::Missing { path: path() })?;
        if self.spec.read_only {
            return Err(OpenError::MissingReadOnly { path: path() });
        }
        if bytes == 0 {
            return Err(OpenError::NoSize);
        }
        multiple(&self.path.display().to_string(), bytes, self.spec)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = rustix::fs::open(self.path, flags, mode).map_err(|errno| match errno {
            Errno::NOENT => OpenError::NoFolder { path: path() },
            errno => self.error("create", &errno.into()),
        })?;
        let lengthen = || {
            ftruncate(&fd, bytes).map_err(|errno| {
                let source = errno.into();
                OpenError::Create { path: path(), bytes, source }
            })
        };
        // Locked while it is empty: whoever comes first to it cannot serve it, and so it can be taken away below.
        let made = self.lock(fd.as_fd()).and_then(|_| lengthen());
        // A file that was made here and is of no use leaves nothing behind.
        made.and_then(|()| self.keep(fd.as_fd())).and_then(|()| self.finish_file(fd)).inspect_err(|_| {
            let _ = fs::remove_file(self.path);
        })
    }

    /// Makes a new file's name as durable as its blocks are going to be.
    fn keep(&self, fd: BorrowedFd<'_>) -> Result<(), OpenError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fsync(fd).map_err(|errno| self.error("flush", &errno.into()))?;
        match rustix::fs::open(folder.unwrap_or(Path::new(".")), flags, Mode::empty()) {
            Ok(folder) => match fsync(folder) {
                // Some filesystems cannot flush a folder, and need not.
                Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::ROFS) => Ok(()),
                Err(errno) => Err(self.error("flush the folder", &errno.into())),
            },
            // A folder that may be written but not read: its name is the filesystem's to keep.
            Err(_) => Ok(()),
        }
    }

    fn open_file(&self) -> Result<Opened, OpenError> {
        let fd = self.open_fd(OFlags::empty())?;
        self.finish_file(fd)
    }

    fn finish_file(&self, fd: OwnedFd) -> Result<Opened, OpenError> {
        let (claimed, unlocked) = self.claim(fd, Self::lock)?;
        let fd = claimed.fd.as_fd();
        let writable = !self.spec.read_only;
        let facts = file::Facts::of(fd, writable).map_err(|errno| self.error("look at", &errno.into()))?;
        self.check_size(facts.bytes)?;
        let policy = self.cache(fd)?;
        let align_bytes = if policy.direct { file::direct_bytes(fd) } else { 1 };
        if !self.spec.block_bytes.is_multiple_of(align_bytes) {
            return Err(OpenError::DirectBlockTooSmall { path: self.path.into(), needed: align_bytes });
        }
        let carry = if writable { Carry::Allowed } else { Carry::Forbidden };
        let identity = identity::of_file(fd, carry);
        let store = file::store(claimed, policy, &facts, align_bytes, writable);
        Ok(Opened { limits: store.limits(), store, identity, unlocked })
    }

    fn open_device(&self) -> Result<Opened, OpenError> {
        // Claimed for ourselves where we write: no mount, no other target.
        let claim = if self.spec.read_only || self.is_claimed()? { OFlags::empty() } else { OFlags::EXCL };
        let (claimed, unlocked) = self.claim(self.open_fd(claim)?, Self::lock_device)?;
        let fd = claimed.fd.as_fd();
        let facts = block::Facts::of(fd).map_err(|errno| self.error("ask", &errno.into()))?;
        if facts.bytes == 0 {
            return Err(OpenError::EmptyDevice { path: self.path.into() });
        }
        self.check_size(facts.bytes)?;
        if !self.spec.block_bytes.is_multiple_of(facts.logical_bytes) {
            return Err(OpenError::BlockTooSmall { path: self.path.into(), needed: facts.logical_bytes });
        }
        if !self.spec.read_only && is_read_only(fd) {
            return Err(OpenError::ReadOnly { path: self.path.into() });
        }
        let policy = self.cache(fd)?;
        let identity = identity::of_device(fd, self.path);
        let store = block::store(claimed, policy, &facts, !self.spec.read_only);
        Ok(Opened { limits: store.limits(), store, identity, unlocked })
    }

    fn open_scsi(&self) -> Result<Opened, OpenError> {
        let found = fs::metadata(self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::NoDevice { path: self.path.into() },
            _ => self.error("look at", &error),
        })?;
        if !found.file_type().is_char_device() && !found.file_type().is_block_device() {
            return Err(OpenError::NoScsi { path: self.path.into() });
        }
        // A tape or CD without a medium would not open otherwise.
        let fd = self.open_fd(OFlags::NONBLOCK)?;
        let unlocked = self.lock_device(fd.as_fd())?;
        let identity = identity::of_scsi(Scsi::name(fd.as_fd()).as_deref(), self.path);
        let store =
            Scsi::new(fd, !self.spec.read_only).map_err(|_| OpenError::NoScsi { path: self.path.into() })?;
        Ok(Opened { limits: store.limits(), store: Arc::new(store), identity, unlocked })
    }

    fn open_fd(&self, extra: OFlags) -> Result<OwnedFd, OpenError> {
        let access = if self.spec.read_only { OFlags::RDONLY } else { OFlags::RDWR };
        // Opened without O_DIRECT, which is set later: its absence is then an error of its own.
        let flags = access | OFlags::CLOEXEC | extra;
        rustix::fs::open(self.path, flags, Mode::empty()).map_err(|errno| self.error("open", &errno.into()))
    }

    /// Whether the store that it is opened beside has claimed the device for us already.
    fn is_claimed(&self) -> Result<bool, OpenError> {
        let Some(beside) = self.beside.filter(|beside| beside.writable) else { return Ok(false) };
        let fd = rustix::fs::open(self.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        fd.map(|fd| beside.is(fd.as_fd())).map_err(|errno| self.error("look at", &errno.into()))
    }

    /// Locks against another felio and QEMU, but for what the store has locked already that it is opened beside; whether that was impossible.
    fn claim(
        &self,
        fd: OwnedFd,
        lock: fn(&Self, BorrowedFd<'_>) -> Result<bool, OpenError>,
    ) -> Result<(Claimed, bool), OpenError> {
        let Some(beside) = self.beside.filter(|beside| beside.is(fd.as_fd())) else {
            let unlocked = lock(self, fd.as_fd())?;
            let writable = !self.spec.read_only;
            if is_taken(fd.as_fd(), writable) {
                return Err(OpenError::Busy { path: self.path.into(), how: "it holds a lock, as QEMU does" });
            }
            take(fd.as_fd(), writable);
            return Ok((Claimed { fd, claim: None }, unlocked));
        };
        let unlocked = self.lock(beside.claim.as_fd())?;
        let claim = beside.claim.try_clone().map_err(|error| self.error("keep", &error))?;
        Ok((Claimed { fd, claim: Some(claim) }, unlocked))
    }

    /// Locks against another felio; whether that was impossible.
    fn lock(&self, fd: BorrowedFd<'_>) -> Result<bool, OpenError> {
        let read_only = self.spec.read_only;
        let lock = if read_only {
            FlockOperation::NonBlockingLockShared
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        match flock(fd, lock) {
            Ok(()) => Ok(false),
            Err(Errno::AGAIN) => Err(OpenError::Busy { path: self.path.into(), how: "it holds a lock" }),
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(true),
            Err(errno) => Err(self.error("lock", &errno.into())),
        }
    }

    /// The same for a device. udev locks one as well, for as long as it looks at it: when it has appeared, and when somebody has written to it and
    /// closed it. That is waited for.
    fn lock_device(&self, fd: BorrowedFd<'_>) -> Result<bool, OpenError> {
        let until = Instant::now() + self.spec.patience;
        loop {
            match self.lock(fd) {
                Err(OpenError::Busy { .. }) if Instant::now() < until => std::thread::sleep(UDEV_PAUSE),
                done => return done,
            }
        }
    }

    /// Sets the descriptor up for the cache mode.
    fn cache(&self, fd: BorrowedFd<'_>) -> Result<&'static Policy, OpenError> {
        let policy = Policy::of(self.spec.cache);
        if policy.direct {
            let flags = fcntl_getfl(fd).map_err(|errno| self.error("ask", &errno.into()))?;
            match fcntl_setfl(fd, flags | OFlags::DIRECT) {
                Ok(()) => {}
                Err(Errno::INVAL) => return Err(OpenError::Direct { path: self.path.into() }),
                Err(errno) => return Err(self.error("set up", &errno.into())),
            }
        }
        Ok(policy)
    }

    fn check_size(&self, have: u64) -> Result<(), OpenError> {
        if let Some(want) = self.spec.size.filter(|want| *want != have) {
            return Err(OpenError::OtherSize { path: self.path.into(), have, want });
        }
        if have == 0 {
            return Err(OpenError::Empty { path: self.path.into() });
        }
        multiple(&self.path.display().to_string(), have, self.spec)
    }

    /// Names the cause of what the system refused.
    fn error(&self, call: &'static str, source: &io::Error) -> OpenError {
        let path = self.path.to_path_buf();
        let read_only = self.spec.read_only;
        match Errno::from_io_error(source) {
            Some(Errno::ACCESS | Errno::PERM) => OpenError::Permission {
                path,
                access: if read_only { "reading" } else { "reading and writing" },
                hint: if read_only { "" } else { ", export it with --read-only" },
            },
            Some(Errno::ROFS) => OpenError::ReadOnly { path },
            Some(Errno::BUSY) => OpenError::Busy { path, how: "it is mounted or claimed" },
            Some(Errno::TXTBSY) => OpenError::Busy { path, how: "it is being executed or used as swap" },
            Some(Errno::ISDIR) => OpenError::Kind { path, found: "a directory" },
            Some(errno) => OpenError::System { path, call, source: errno.into() },
            None => OpenError::System { path, call, source: Errno::IO.into() },
        }
    }
}

fn multiple(what: &str, bytes: u64, spec: &Spec) -> Result<(), OpenError> {
    let block_bytes = spec.block_bytes;
    if bytes.is_multiple_of(u64::from(block_bytes)) {
        return Ok(());
    }
    let Some(up) = bytes.checked_next_multiple_of(u64::from(block_bytes)) else {
        return Err(OpenError::TooLarge { what: what.to_owned(), bytes });
    };
    let small = block_bytes > 512 && bytes.is_multiple_of(512) && !Policy::of(spec.cache).direct;
    let smaller = if small { "give --block-size 512, or " } else { "" };
    let next = format!("{smaller}make it {up} bytes long");
    Err(OpenError::NotMultiple { what: what.to_owned(), bytes, block_bytes, next })
}

fn kind_name(kind: fs::FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "something else",
    }
}
