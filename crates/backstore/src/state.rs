//! Documents of units: kept in a folder, and the store around a store that keeps them.
//!
//! The folder has a folder for each unit, named by its NAA designator, and in it a file for each document. A document is
//! replaced by a file that was written and flushed before it got its name; then the folder is flushed. So a crash leaves
//! the old document or the new one. Folders are made when they are first needed.

use core::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use felio_hal::state::{Save, Saved, StateStore, UnitName};
use felio_hal::store::{Done, Failure, Limits, Op};
use rustix::io::Errno;

use crate::errno::failure;
use crate::store::{Answer, Attempt, Entry, Store};

/// A folder of documents.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Longest document that is read, bytes: far above any that is written.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;

/// The ending of a document's name, and of one that is not finished.
const ENDING: &str = "json";
const UNFINISHED: &str = "new";

impl Folder {
    /// The folder at `path`, made if there is none; its parents too.
    pub fn open(path: &Path) -> io::Result<Self> {
        make(path)?;
        // Not writable is better known now than when a reservation is to be kept.
        let probe = path.join(format!(".probe-{}", std::process::id()));
        File::create(&probe)?;
        fs::remove_file(&probe)?;
        Ok(Self { path: path.to_path_buf() })
    }

    fn of(&self, unit: &UnitName) -> PathBuf {
        self.path.join(unit.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    fn read(&self, unit: &UnitName) -> io::Result<Saved> {
        let mut saved = Saved::default();
        let entries = match fs::read_dir(self.of(unit)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(saved),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let is_document = path.extension().is_some_and(|ending| ending == ENDING);
            let (true, Some(part)) = (is_document, path.file_stem().and_then(|stem| stem.to_str())) else {
                continue;
            };
            if fs::metadata(&path)?.len() > DOCUMENT_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            saved.0.push((part.to_owned(), fs::read(&path)?));
        }
        saved.0.sort();
        Ok(saved)
    }

    fn write(&self, unit: &UnitName, save: &Save) -> io::Result<()> {
        let folder = self.of(unit);
        make(&folder)?;
        let unfinished = folder.join(save.part).with_extension(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&save.bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(save.part).with_extension(ENDING))?;
        File::open(&folder)?.sync_all()
    }
}

/// Makes a folder and its parents, each durable in its own parent.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        // Another felio was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        // A parent that may be written but not read keeps the name by itself.
        Ok(()) => File::open(parent).map_or(Ok(()), |parent| parent.sync_all()),
    }
}

impl StateStore for Folder {
    fn load(&self, unit: &UnitName) -> Result<Saved, Failure> {
        self.read(unit).map_err(|error| told(&error))
    }

    fn save(&self, unit: &UnitName, save: &Save) -> Result<(), Failure> {
        self.write(unit, save).map_err(|error| told(&error))
    }
}

fn told(error: &io::Error) -> Failure {
    failure(Errno::from_io_error(error).unwrap_or(Errno::IO), None)
}

/// A store whose unit has a place for documents.
pub struct Stateful {
    inner: Arc<dyn Store>,
    unit: UnitName,
    state: Arc<dyn StateStore>,
}

impl Stateful {
    /// `inner`, with the documents of `unit` kept in `state`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, unit: UnitName, state: Arc<dyn StateStore>) -> Self {
        Self { inner, unit, state }
    }
}

impl Store for Stateful {
    fn limits(&self) -> Limits {
        Limits { state: true, ..self.inner.limits() }
    }

    fn attempt(&self, op: Op) -> Attempt {
        if matches!(op, Op::Save(_)) { Attempt::Later(op) } else { self.inner.attempt(op) }
    }

    fn entry(&self, op: &Op) -> Option<Entry<'_>> {
        self.inner.entry(op)
    }

    fn judge(&self, op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        self.inner.judge(op, result)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.inner.file()
    }

    fn claim(&self) -> Option<OwnedFd> {
        self.inner.claim()
    }

    fn run(&self, op: Op) -> Answer {
        match op {
            Op::Save(save) => Answer::bare(self.state.save(&self.unit, &save).map(|()| Done::Done)),
            op => self.inner.run(op),
        }
    }
}

impl fmt::Debug for Stateful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stateful({:02x?})", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitName = [0x60; 16];

    fn save(part: &'static str, text: &str) -> Save {
        Save { part, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn what_was_saved_is_there_for_the_next_process() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("not/yet/there");
        let folder = Folder::open(&path).expect("made");
        folder.save(&UNIT, &save("mode", "old")).expect("saved");
        folder.save(&UNIT, &save("mode", "new")).expect("saved");
        folder.save(&[1; 16], &save("mode", "another unit's")).expect("saved");
        let saved = Folder::open(&path).expect("there").load(&UNIT).expect("read");
        assert_eq!(saved, Saved(vec![("mode".to_owned(), b"new".to_vec())]));
    }

    #[test]
    fn a_document_that_was_not_finished_does_not_count() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(scratch.path()).expect("made");
        folder.save(&UNIT, &save("mode", "old")).expect("saved");
        let unfinished = folder.of(&UNIT).join("mode").with_extension(UNFINISHED);
        fs::write(&unfinished, "ne").expect("written");
        assert_eq!(folder.load(&UNIT).expect("read").get("mode"), Some(&b"old"[..]));
        folder.save(&UNIT, &save("mode", "new")).expect("saved over it");
        assert_eq!(folder.load(&UNIT).expect("read").get("mode"), Some(&b"new"[..]));
    }

    #[test]
    fn a_unit_of_which_nothing_was_saved_has_nothing() {
        let scratch = tempfile::tempdir().expect("a folder");
        assert_eq!(Folder::open(scratch.path()).expect("made").load(&UNIT), Ok(Saved::default()));
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_why() {
        let scratch = tempfile::NamedTempFile::new().expect("a file");
        assert!(Folder::open(&scratch.path().join("below a file")).is_err());
    }

    #[test]
    fn documents_are_their_owners_alone() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(scratch.path()).expect("made");
        folder.save(&UNIT, &save("mode", "x")).expect("saved");
        let path = folder.of(&UNIT).join("mode.json");
        assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
