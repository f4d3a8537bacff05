//! Where the configuration is kept: a file that is replaced whole, and what it was before.
//!
//! Invariant: whenever the machine stops, the file is the old one or the new one. The new one is written beside it, made durable, renamed,
//! and the folder is made durable; only then is the change carried out.

use felio_control::save;
use felio_control::{Config, Refusal, RefusalKind};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Earlier configurations that are kept.
const HISTORY_MAX: usize = 100;

/// Before the time at which an earlier configuration was replaced.
const PREFIX: &str = "saveconfig-";

/// More than any configuration has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The configuration's file and its past.
#[derive(Debug)]
pub(super) struct Vault {
    file: PathBuf,
    history: PathBuf,
    /// Nobody else keeps this configuration while we live.
    _lock: File,
}

/// Why a configuration cannot be kept or had.
#[derive(Debug, thiserror::Error)]
pub(super) enum VaultError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: another felio runs with this configuration", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        Self::new(RefusalKind::Busy, format!("the configuration cannot be saved: {error}"))
            .hint("nothing was changed; make room or mend the folder, and try again")
    }
}

impl Vault {
    /// The configuration in `file`, with its past in `history`; both are made when they are first needed.
    pub(super) fn open(file: PathBuf, history: PathBuf) -> Result<Self, VaultError> {
        make_folder(&history)?;
        make_folder(parent(&file))?;
        let path = history.join("lock");
        let lock = File::create(&path).map_err(|source| VaultError::Io { path: path.clone(), source })?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(VaultError::Locked { path: file });
        }
        Ok(Self { file, history, _lock: lock })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What was saved last, with what there is to say about it; nothing at the very first start.
    pub(super) fn load(&self) -> Result<(Config, Vec<String>), VaultError> {
        match read(&self.file) {
            Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok((Config::default(), Vec::new()))
            }
            other => other,
        }
    }

    /// From now on this is the configuration. What it was before goes to the history.
    pub(super) fn save(&self, config: &Config) -> Result<(), VaultError> {
        let text = save::write(config);
        self.remember()?;
        replace(&self.file, &text)
    }

    /// Which earlier configurations there are, the oldest first: when each was replaced, in microseconds since 1970.
    pub(super) fn history(&self) -> Result<Vec<u64>, VaultError> {
        let id = |path: PathBuf| path.file_stem()?.to_str()?.strip_prefix(PREFIX)?.parse().ok();
        Ok(self.past()?.into_iter().filter_map(id).collect())
    }

    /// An earlier configuration.
    pub(super) fn recall(&self, id: u64) -> Result<Config, VaultError> {
        read(&self.history.join(format!("{PREFIX}{id:020}.json"))).map(|(config, _)| config)
    }

    fn remember(&self) -> Result<(), VaultError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = self.history.join(format!("{PREFIX}{:020}.json", now.as_micros()));
        match fs::copy(&self.file, &path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(VaultError::Io { path, source }),
        }
        let mut past = self.past()?;
        let surplus = past.len().saturating_sub(HISTORY_MAX);
        for path in past.drain(..surplus) {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// Earlier configurations, the oldest first.
    fn past(&self) -> Result<Vec<PathBuf>, VaultError> {
        let failed = |source| VaultError::Io { path: self.history.clone(), source };
        let entries = fs::read_dir(&self.history).map_err(failed)?.filter_map(Result::ok);
        let is_past = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let mut past: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_past).collect();
        past.sort();
        Ok(past)
    }
}

/// A configuration from a file, with what there is to say about it.
pub(super) fn read(path: &Path) -> Result<(Config, Vec<String>), VaultError> {
    let failed = |source| VaultError::Io { path: path.to_path_buf(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let (config, notes) = save::read(&text)
        .map_err(|why| VaultError::Unreadable { path: path.to_path_buf(), why: why.to_string() })?;
    Ok((config, notes.iter().map(|note| format!("{}: {}", note.at, note.says)).collect()))
}

/// Replaces a file whole.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), VaultError> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(parent(path))?.sync_all()
    };
    write().map_err(|source| VaultError::Io { path: path.to_path_buf(), source })
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_folder(path: &Path) -> Result<(), VaultError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| VaultError::Io { path: path.to_path_buf(), source })
}
