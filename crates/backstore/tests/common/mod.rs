//! What the suites share: stores of every kind, each behind a lane of each engine.

#![allow(dead_code, reason = "each suite uses its part")]
#![allow(clippy::disallowed_methods, reason = "stores live in files")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use felio_backstore::{CacheMode, Engine, Lane, LaneConfig, Opened, Source, Spec, Store, open};
use felio_hal::buf::Budget;
use felio_hal::store::{Completion, Done, Durability, Failure, Op, StoreQueue, Submission};
use felio_hal::{Buf, Pool, StoreId, TaskId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

/// Bytes of every store under test.
pub(crate) const SIZE: u64 = 16 << 20;

/// How long a completion may take before the test gives up.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Tells why something was not tested.
#[allow(clippy::print_stderr)]
pub(crate) fn skip(what: &str, why: &str) {
    eprintln!("skipped: {what}: {why}");
}

/// A lane to one store, with memory to use.
pub(crate) struct Rig {
    /// For messages.
    pub(crate) name: String,
    pub(crate) lane: Lane,
    pub(crate) pool: Pool,
    /// The file behind the store, if it has one.
    pub(crate) path: Option<PathBuf>,
    /// Where the store lives; removed at the end.
    _home: Vec<Box<dyn core::any::Any>>,
    done: Vec<Completion>,
    next: u32,
}

impl Rig {
    pub(crate) fn new(name: &str, store: Arc<dyn Store>, config: LaneConfig) -> Self {
        let lane = Lane::new(vec![store], config).expect("a lane");
        let pool = Pool::new(Budget::new(256 << 20));
        Self { name: name.to_owned(), lane, pool, path: None, _home: Vec::new(), done: Vec::new(), next: 0 }
    }

    /// Keeps something alive for as long as the rig is.
    pub(crate) fn keep(mut self, thing: impl core::any::Any) -> Self {
        self._home.push(Box::new(thing));
        self
    }

    pub(crate) fn at(mut self, path: PathBuf) -> Self {
        self.path = Some(path);
        self
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.lane.store(StoreId(0)))
    }

    /// A buffer filled with a pattern that depends on `seed` and place.
    pub(crate) fn pattern(&mut self, len: usize, seed: u64) -> Buf {
        let mut buf = self.pool.take(len).expect("within the budget");
        fill(&mut buf, seed);
        buf
    }

    /// Submits, and says which task it is.
    pub(crate) fn submit(&mut self, op: Op) -> Result<TaskId, Submission> {
        let task = TaskId { reactor: 0, slot: self.next, generation: 0 };
        self.lane.submit(Submission { store: StoreId(0), task, op })?;
        self.next += 1;
        Ok(task)
    }

    /// Waits for the next completion.
    pub(crate) fn next(&mut self) -> Completion {
        loop {
            self.lane.kick();
            self.lane.reap(&mut self.done);
            if let Some(completion) = self.done.pop() {
                return completion;
            }
            let ready = {
                let descriptor = self.lane.descriptor();
                poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&PATIENCE))
            };
            assert_eq!(ready, Ok(1), "{}: nothing completes", self.name);
            self.lane.handle_ready();
        }
    }

    /// Does one operation from submission to completion.
    pub(crate) fn call(&mut self, op: Op) -> Completion {
        let task = self.submit(op).expect("room for one");
        let completion = self.next();
        assert_eq!(completion.task, task, "{}", self.name);
        completion
    }

    pub(crate) fn outcome(&mut self, op: Op) -> Result<Done, Failure> {
        let Completion { result, buf, .. } = self.call(op);
        if let Some(buf) = buf {
            self.pool.give(buf);
        }
        result
    }

    /// Does what must succeed.
    pub(crate) fn must(&mut self, op: Op) -> Done {
        let shown = format!("{op:?}");
        let outcome = self.outcome(op);
        outcome.unwrap_or_else(|failure| panic!("{}: {shown}: {failure:?}", self.name))
    }

    pub(crate) fn write(&mut self, at: u64, len: usize, seed: u64) {
        let buf = self.pattern(len, seed);
        self.must(Op::Write { at, buf, durability: Durability::Cached });
    }

    /// Reads; the buffer is filled with something else before.
    pub(crate) fn read(&mut self, at: u64, len: usize) -> Result<Buf, Failure> {
        let buf = self.pattern(len, u64::MAX);
        let Completion { result, buf, .. } = self.call(Op::Read { at, buf });
        result.map(|_| buf.expect("the buffer comes back"))
    }

    pub(crate) fn expect_pattern(&mut self, at: u64, len: usize, seed: u64) {
        let back = self.read(at, len).unwrap_or_else(|failure| panic!("{}: {failure:?}", self.name));
        let want = self.pattern(len, seed);
        assert!(*back == *want, "{}: {len} bytes at {at} are not what was written", self.name);
    }

    pub(crate) fn expect_zeros(&mut self, at: u64, len: usize) {
        let back = self.read(at, len).unwrap_or_else(|failure| panic!("{}: {failure:?}", self.name));
        assert!(back.iter().all(|byte| *byte == 0), "{}: {len} bytes at {at} are not zeros", self.name);
    }
}

/// Fills with a pattern that depends on `seed` and place.
pub(crate) fn fill(buf: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in buf.chunks_mut(8) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

pub(crate) const ENGINES: [Engine; 2] = [Engine::Ring, Engine::Helpers];
pub(crate) const MODES: [CacheMode; 3] = [CacheMode::WriteBack, CacheMode::WriteThrough, CacheMode::Direct];

pub(crate) fn config(engine: Engine) -> LaneConfig {
    LaneConfig { depth: 64, engine, helpers: 4 }
}

pub(crate) fn spec(path: &Path, size: Option<u64>, cache: CacheMode) -> Spec {
    Spec {
        source: Source::Path(path.to_owned()),
        size,
        cache,
        read_only: false,
        block_bytes: 512,
        protection: felio_backstore::protect::Wish::AsItIs,
        label: String::new(),
        patience: felio_backstore::UDEV_PATIENCE,
    }
}

/// A folder on a disk, and one in memory if there is such a filesystem. `FELIO_FOLDERS` names more of them, with colons
/// in between: for filesystems that this machine does not have by itself.
pub(crate) fn folders() -> Vec<(&'static str, TempDir)> {
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut folders = vec![("disk", disk)];
    for more in std::env::var("FELIO_FOLDERS").unwrap_or_default().split(':').filter(|more| !more.is_empty())
    {
        folders.push(("another filesystem", tempfile::tempdir_in(more).expect("a folder")));
    }
    match tempfile::tempdir_in("/dev/shm") {
        Ok(memory) => folders.push(("tmpfs", memory)),
        Err(error) => skip("files on tmpfs", &error.to_string()),
    }
    folders
}

/// Opens, or says why not.
pub(crate) fn try_open(name: &str, spec: &Spec) -> Option<Opened> {
    match open(spec) {
        Ok(opened) => Some(opened),
        Err(error @ felio_backstore::OpenError::Direct { .. }) => {
            skip(name, &error.to_string());
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Files on disk and in memory, in every cache mode, on every engine.
pub(crate) fn files(mut act: impl FnMut(Rig)) {
    for cache in MODES {
        for engine in ENGINES {
            for (place, folder) in folders() {
                let name = format!("file on {place}, {cache}, {engine:?}");
                let path = folder.path().join("disk.img");
                if let Some(opened) = try_open(&name, &spec(&path, Some(SIZE), cache)) {
                    act(Rig::new(&name, opened.store, config(engine)).at(path).keep(folder));
                }
            }
        }
    }
}

/// Memory, on every engine.
pub(crate) fn memory(mut act: impl FnMut(Rig)) {
    for engine in ENGINES {
        let spec = Spec { source: Source::Ram(SIZE), ..spec(Path::new(""), None, CacheMode::WriteBack) };
        let opened = open(&spec).expect("memory");
        act(Rig::new(&format!("ram, {engine:?}"), opened.store, config(engine)));
    }
}

/// A loop device over a file, taken down at the end.
pub(crate) struct Loop {
    pub(crate) device: PathBuf,
    backing: TempDir,
}

impl Loop {
    /// `None` where there are none to be had, which is then told.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        Self::on(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"), bytes)
    }

    /// The same with its file in this folder.
    pub(crate) fn on(backing: TempDir, bytes: u64) -> Option<Self> {
        let file = backing.path().join("backing.img");
        File::create(&file).and_then(|file| file.set_len(bytes)).expect("a file");
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&file).output();
        let why = match made {
            Ok(output) if output.status.success() => {
                let device = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
                return Some(Self { device, backing });
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skip("block devices", &why);
        None
    }

    /// Takes what is behind `len` away from under the device: it can no longer be read. Whether that was possible.
    pub(crate) fn cut(&self, len: u64) -> bool {
        let direct = Command::new("losetup").arg("--direct-io=on").arg(&self.device).status();
        let file = File::options().write(true).open(self.backing.path().join("backing.img"));
        file.and_then(|file| file.set_len(len)).expect("shorter");
        direct.is_ok_and(|status| status.success())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// Loop devices, in every cache mode, on every engine.
pub(crate) fn devices(mut act: impl FnMut(Rig)) {
    for cache in MODES {
        for engine in ENGINES {
            let Some(device) = Loop::new(SIZE) else { return };
            let opened = open(&spec(&device.device, None, cache)).unwrap_or_else(|error| panic!("{error}"));
            act(Rig::new(&format!("device, {cache}, {engine:?}"), opened.store, config(engine)).keep(device));
        }
    }
}

/// Every store that keeps what is written.
pub(crate) fn stores(mut act: impl FnMut(Rig)) {
    files(&mut act);
    memory(&mut act);
    devices(&mut act);
}
