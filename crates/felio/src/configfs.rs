//! `felio configfs`: the tree of [`felio_configfs`] as a file system, by FUSE.
//!
//! Every operation looks whether things are as they were, and takes in what has changed; nothing is kept that could be stale. One write is one
//! transaction. What a file contains, and what is in a folder, is found out when it is opened, so that whoever reads it in pieces reads one content.
//!
//! The kernel keeps names, and so walks a path without a question. What stands at its end is asked about each time, by whatever is done to it: attributes are
//! not kept, a name that is to be new is looked up, and that there is no such name is not kept either.

use crate::beacon::Beacon;
use crate::cli::ConfigfsArgs;
use crate::failure::{Failure, Kind};
use crate::threads;
use core::time::Duration;
use felio_client::Client;
use felio_configfs::{Entry, Errno, Needs, Step, Tree, View};
use felio_control::stats::Stats;
use felio_control::view::{ReservationView, SessionView, Snapshot};
use felio_control::{Refusal, RefusalKind};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Serves until a signal comes or somebody unmounts it.
pub(crate) fn run(args: &ConfigfsArgs) -> anyhow::Result<()> {
    let (ends_in, ends) = channel();
    threads::watch_signals(&[SIGINT, SIGTERM], &[], ends_in.clone(), Some)?;
    let client = args.daemon.client()?;
    let session = mount(client, &args.dir)?;
    let BackgroundSession { guard, .. } = session;
    threads::spawn("watcher", move || {
        let _ = guard.join();
        let _ = ends_in.send(None);
    })?;
    if let Ok(Some(_)) = ends.recv() {
        rustix::mount::unmount(&args.dir, rustix::mount::UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// Mounts it; whoever drops the session unmounts it.
pub(crate) fn mount(client: Client, dir: &Path) -> Result<BackgroundSession, Failure> {
    let version = format!("felio/{}", env!("CARGO_PKG_VERSION"));
    let mut state = State {
        client,
        shown: Arc::default(),
        tree: Tree::new(version),
        inodes: Inodes::default(),
        open: HashMap::new(),
        opened: 0,
    };
    // The daemon is asked before anything is mounted: who cannot reach it hears so, and not EIO later.
    state.refresh().map_err(|refusal| {
        Failure::new(Kind::Running, refusal.to_string()).maybe_hint(refusal.hint.clone())
    })?;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("felio".to_owned()),
        MountOption::Subtype("configfs".to_owned()),
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoExec,
    ];
    let server = Server { state: Mutex::new(state), owner: owner() };
    fuser::spawn_mount(server, dir, &config).map_err(|error| {
        Failure::new(Kind::Backing, format!("cannot mount on {}: {error}", dir.display()))
            .hint("it needs /dev/fuse and the right to mount")
    })
}

fn owner() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// What the kernel talks to.
struct Server {
    state: Mutex<State>,
    owner: (u32, u32),
}

struct State {
    client: Client,
    /// What the daemon showed last; another thread may still look at it.
    shown: Arc<Snapshot>,
    tree: Tree,
    inodes: Inodes,
    open: HashMap<u64, Open>,
    opened: u64,
}

/// What is open, as it was found then.
enum Open {
    /// What is in a folder.
    Folder(Vec<(String, Entry)>),
    /// What a file contains, or why that cannot be told.
    File(Result<String, Errno>),
}

/// How things are at one moment.
struct Look {
    snapshot: Arc<Snapshot>,
    sessions: Vec<SessionView>,
    stats: Option<Stats>,
    reservations: Option<ReservationView>,
}

impl Look {
    fn view(&self) -> View<'_> {
        let Self { snapshot, sessions, stats, reservations } = self;
        View { snapshot, sessions, stats: stats.as_ref(), reservations: reservations.as_ref() }
    }
}

impl State {
    /// How things are, and what the tree makes of it.
    fn now(&mut self) -> Result<Look, Errno> {
        self.refresh().map_err(|_| IO)?;
        let snapshot = Arc::clone(&self.shown);
        Ok(Look { snapshot, sessions: Vec::new(), stats: None, reservations: None })
    }

    /// The same with what runs, of which only contents tell.
    fn add(&self, mut look: Look, needs: Needs) -> Result<Look, Errno> {
        if matches!(needs, Needs::Sessions | Needs::Stats(_)) {
            look.sessions = self.client.sessions().map_err(|_| IO)?;
        }
        match needs {
            // What is not enabled yet has counted nothing, and what is not open nobody has reserved.
            Needs::Stats(object) => {
                look.stats = match self.client.stats_of(&object) {
                    Ok(stats) => Some(stats),
                    Err(refusal) if refusal.kind == RefusalKind::NotFound => None,
                    Err(_) => return Err(IO),
                };
            }
            Needs::Reservations(storage) => look.reservations = self.client.reservations(&storage).ok(),
            Needs::Nothing | Needs::Sessions => {}
        }
        Ok(look)
    }

    /// Takes in what has changed, whoever has changed it. Mostly nothing has, and the beacon says so.
    fn refresh(&mut self) -> Result<(), Refusal> {
        let known = self.shown.revision;
        if self.client.socket().and_then(Beacon::seen) == Some(known) {
            return Ok(());
        }
        let delta = self.client.since(known)?;
        if delta.revision != known {
            self.shown = Arc::new(self.shown.follow(delta));
            self.tree.follow(View::of(&self.shown));
        }
        Ok(())
    }

    /// Carries out a step.
    fn carry_out(&mut self, step: Step, errno: fn(&Refusal) -> Errno) -> Result<(), Errno> {
        if !step.changes.is_empty() {
            let done = self.client.apply_piecemeal(&step.changes);
            let _ = done.map_err(|refusal| errno(&refusal))?;
        }
        self.tree.settle(step);
        Ok(())
    }

    /// Remembers what was opened, under a new handle.
    fn hand_out(&mut self, open: Open) -> FileHandle {
        self.opened += 1;
        self.open.insert(self.opened, open);
        FileHandle(self.opened)
    }

    fn path(&self, inode: INodeNo) -> Result<String, Errno> {
        self.inodes.path(inode.0).ok_or(STALE)
    }

    fn below(&self, parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
        let name = name.to_str().ok_or(INVALID)?;
        let folder = self.path(parent)?;
        Ok(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
    }
}

const IO: Errno = Errno(5);
const INVALID: Errno = Errno(22);
const STALE: Errno = Errno(116);

/// The numbers by which the kernel knows paths, while it does.
#[derive(Default)]
struct Inodes {
    paths: HashMap<u64, (String, u64)>,
    numbers: HashMap<String, u64>,
    last: u64,
}

impl Inodes {
    fn path(&self, number: u64) -> Option<String> {
        match number {
            ROOT => Some(String::new()),
            _ => self.paths.get(&number).map(|(path, _)| path.clone()),
        }
    }

    /// The number of a path, which the kernel looks up once more.
    fn look_up(&mut self, path: &str) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            if let Some((_, count)) = self.paths.get_mut(number) {
                *count += 1;
            }
            return *number;
        }
        self.last = self.last.max(ROOT) + 1;
        self.numbers.insert(path.to_owned(), self.last);
        self.paths.insert(self.last, (path.to_owned(), 1));
        self.last
    }

    fn forget(&mut self, number: u64, count: u64) {
        let Some((path, had)) = self.paths.get_mut(&number) else { return };
        *had = had.saturating_sub(count);
        if *had == 0 {
            self.numbers.remove(path.as_str());
            self.paths.remove(&number);
        }
    }
}

const ROOT: u64 = 1;

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, inode: INodeNo, entry: &Entry) -> FileAttr {
        let (kind, perm, size) = match entry {
            Entry::Folder => (FileType::Directory, 0o755, 0),
            Entry::File(mode) => (FileType::RegularFile, mode.bits(), PAGE_BYTES),
            Entry::Link(to) => (FileType::Symlink, 0o777, u64::try_from(to.len()).unwrap_or(0)),
        };
        FileAttr {
            ino: inode,
            size,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// What stands at a path now, with a number that the kernel has from now on.
    fn found(&self, state: &mut State, path: &str) -> Result<FileAttr, Errno> {
        let look = state.now()?;
        let entry = state.tree.entry(look.view(), path)?;
        Ok(self.attributes(INodeNo(state.inodes.look_up(path)), &entry))
    }

    /// Makes something, and says what it is.
    fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        step: impl FnOnce(&Tree, View<'_>, &str) -> Result<Step, Errno>,
    ) -> Result<FileAttr, Errno> {
        let state = &mut *self.state();
        let path = state.below(parent, name)?;
        let look = state.now()?;
        let step = step(&state.tree, look.view(), &path)?;
        state.carry_out(step, Errno::of)?;
        self.found(state, &path)
    }

    fn remove(
        &self,
        parent: INodeNo,
        name: &OsStr,
        step: impl FnOnce(&Tree, View<'_>, &str) -> Result<Step, Errno>,
    ) -> Result<(), Errno> {
        let state = &mut *self.state();
        let path = state.below(parent, name)?;
        let look = state.now()?;
        let step = step(&state.tree, look.view(), &path)?;
        state.carry_out(step, Errno::of)
    }

    fn entry_of(&self, inode: INodeNo) -> Result<Entry, Errno> {
        let state = &mut *self.state();
        let path = state.path(inode)?;
        let look = state.now()?;
        state.tree.entry(look.view(), &path)
    }

    fn open_file(&self, inode: INodeNo, flags: OpenFlags) -> Result<FileHandle, Errno> {
        let state = &mut *self.state();
        let path = state.path(inode)?;
        let look = state.now()?;
        state.tree.entry(look.view(), &path)?;
        let content = match flags.acc_mode() {
            OpenAccMode::O_WRONLY => Err(INVALID),
            OpenAccMode::O_RDONLY | OpenAccMode::O_RDWR => {
                let needs = state.tree.needs(look.view(), &path);
                let look = state.add(look, needs)?;
                state.tree.read(look.view(), &path)
            }
        };
        Ok(state.hand_out(Open::File(content)))
    }

    fn open_folder(&self, inode: INodeNo) -> Result<FileHandle, Errno> {
        let state = &mut *self.state();
        let path = state.path(inode)?;
        let look = state.now()?;
        let names = state.tree.list(look.view(), &path)?;
        Ok(state.hand_out(Open::Folder(names)))
    }

    fn close(&self, handle: FileHandle) {
        self.state().open.remove(&handle.0);
    }

    fn store(&self, inode: INodeNo, data: &[u8]) -> Result<(), Errno> {
        let state = &mut *self.state();
        let path = state.path(inode)?;
        let look = state.now()?;
        let step = state.tree.write(look.view(), &path, data)?;
        state.carry_out(step, Errno::of_write)
    }
}

/// The same in the words of FUSE.
fn no(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.0)
}

/// How long the kernel may keep a name.
const KEEP_NAME: Duration = Duration::from_secs(3600);
/// And attributes: not at all.
const KEEP: Duration = Duration::ZERO;
/// The size of every file, as configfs has it.
const PAGE_BYTES: u64 = 4096;

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = &mut *self.state();
        match state.below(parent, name).and_then(|path| self.found(state, &path)) {
            Ok(attributes) => reply.entry_with_ttls(&KEEP, &KEEP_NAME, &attributes, Generation(0)),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn forget(&self, _: &Request, inode: INodeNo, count: u64) {
        self.state().inodes.forget(inode.0, count);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.entry_of(inode) {
            Ok(entry) => reply.attr(&KEEP, &self.attributes(inode, &entry)),
            Err(errno) => reply.error(no(errno)),
        }
    }

    /// Whoever opens a file to write cuts it off first; modes and owners are what they are.
    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.is_some() || uid.is_some() || gid.is_some() {
            return reply.error(fuser::Errno::EPERM);
        }
        self.getattr(request, inode, handle, reply);
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        match self.entry_of(inode) {
            Ok(Entry::Link(to)) => reply.data(to.as_bytes()),
            Ok(Entry::Folder | Entry::File(_)) => reply.error(fuser::Errno::EINVAL),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        match self.make(parent, name, |tree, view, path| tree.make_folder(view, path)) {
            Ok(attributes) => reply.entry_with_ttls(&KEEP, &KEEP_NAME, &attributes, Generation(0)),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, to: &Path, reply: ReplyEntry) {
        let made = to
            .to_str()
            .ok_or(INVALID)
            .and_then(|to| self.make(parent, name, |tree, view, path| tree.make_link(view, path, to)));
        match made {
            Ok(attributes) => reply.entry_with_ttls(&KEEP, &KEEP_NAME, &attributes, Generation(0)),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.remove(parent, name, |tree, view, path| tree.remove_link(view, path)) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.remove(parent, name, |tree, view, path| tree.remove_folder(view, path)) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(fuser::Errno::EPERM);
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(inode, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_folder(inode) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().open.get(&handle.0) {
            Some(Open::File(Ok(content))) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| content.as_bytes().get(offset..));
                let rest = rest.unwrap_or_default();
                let size = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
                reply.data(&rest[..size]);
            }
            Some(Open::File(Err(errno))) => reply.error(no(*errno)),
            Some(Open::Folder(_)) | None => reply.error(no(INVALID)),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.store(inode, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(no(errno)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.close(handle);
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.close(handle);
        reply.ok();
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.state();
        let Some(Open::Folder(names)) = state.open.get(&handle.0) else { return reply.error(no(INVALID)) };
        let names = names.iter().map(|(name, entry)| (name.as_str(), entry));
        let dots = [".", ".."].map(|name| (name, &Entry::Folder));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, entry)) in (1..).zip(dots.into_iter().chain(names)).skip(from) {
            let kind = match entry {
                Entry::Folder => FileType::Directory,
                Entry::File(_) => FileType::RegularFile,
                Entry::Link(_) => FileType::Symlink,
            };
            // The number is not looked at by anybody: each name is looked up by itself.
            if reply.add(INodeNo(at + ROOT), at, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
