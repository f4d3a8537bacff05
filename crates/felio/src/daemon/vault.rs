//! Where the configuration is kept: a file that is replaced whole, and what it was before.
//!
//! Invariant: whenever the machine stops, what is found afterwards is the old configuration or the new one. A new file is written beside the
//! old one, made durable, renamed, and the folder is made durable; only then is the change carried out.
//!
//! To write a configuration of thousands of disks takes longer than somebody wants to wait for one more. There a change is kept as a
//! record of its own in the history, and the file follows when nobody asks for anything. A record names the file that it follows: next
//! to another (one that an operator put there) it says nothing.

use crc_fast::{CrcAlgorithm, checksum};
use felio_control::save::{self, Writer};
use felio_control::{Change, Config, Facts, Refusal, RefusalKind};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Earlier configurations that are kept.
const HISTORY_MAX: usize = 100;

/// A file that is as long as this is not written for each change.
const PROMPT_BYTES_MAX: usize = 1 << 20;

/// Records that the file does not have yet, at the most.
const RECORDS_MAX: usize = 64;

/// Before the time at which an earlier configuration was replaced.
const PREFIX: &str = "saveconfig-";

/// The endings of an earlier configuration, of the record of a change, and of one that the file has.
const WHOLE: &str = "json";
const RECORD: &str = "change";
const DONE: &str = "done";

/// A copy of the file, if it is long: what will be the earlier configuration when there is another.
const SPARE: &str = "spare";

/// More than any configuration has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The configuration's file and its past.
#[derive(Debug)]
pub(super) struct Vault {
    file: PathBuf,
    history: PathBuf,
    writer: Writer,
    /// What is in the file; nothing before the first change.
    base: Option<Base>,
    /// The times of the changes that the file does not have yet.
    records: Vec<u64>,
    /// When there was the latest change, in microseconds since 1970.
    latest: u64,
    /// Nobody else keeps this configuration while we live.
    _lock: File,
}

/// A file.
#[derive(Clone, Copy, Debug)]
struct Base {
    bytes: usize,
    digest: u64,
}

/// One transaction.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    /// The digest of the file that it follows.
    after: u64,
    changes: Vec<Change>,
    facts: Facts,
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
        let (writer, base) = (Writer::default(), None);
        Ok(Self { file, history, writer, base, records: Vec::new(), latest: 0, _lock: lock })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What was saved last, with what there is to say about it; nothing at the very first start.
    pub(super) fn load(&mut self) -> Result<(Config, Vec<String>), VaultError> {
        let text = match read_text(&self.file) {
            Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok((Config::default(), Vec::new()));
            }
            text => text?,
        };
        let (mut config, mut notes) = parse(&self.file, &text)?;
        let base = Base::of(&text);
        let past = self.past()?;
        let mut others = Vec::new();
        for (id, _) in past.iter().filter(|(_, part)| part.record == Some(RECORD)) {
            let record = self.record_of(*id, RECORD)?;
            match record.after == base.digest {
                true => {
                    config = self.replay(*id, &config, &record)?;
                    self.records.push(*id);
                }
                false => others.push(*id),
            }
        }
        self.mark_done(&others)?;
        self.latest = past.keys().next_back().copied().unwrap_or(0);
        self.base = Some(base);
        self.set_spare(&text);
        if let Err(refusal) = config.check() {
            notes.push(format!(
                "{refusal}; `felio config validate {}` shows all that is wrong",
                self.file.display()
            ));
        }
        Ok((config, notes))
    }

    /// Whether the file does not have all changes yet.
    pub(super) const fn is_behind(&self) -> bool {
        !self.records.is_empty()
    }

    /// From now on this is the configuration, which these changes have made of the one before.
    pub(super) fn record(
        &mut self,
        before: &Config,
        config: &Config,
        changes: Vec<Change>,
        facts: Facts,
    ) -> Result<(), VaultError> {
        let base = self.base.filter(|base| base.bytes > PROMPT_BYTES_MAX && self.records.len() < RECORDS_MAX);
        let Some(base) = base else { return self.save(before, config) };
        let id = self.stamp();
        if self.records.is_empty() && fs::rename(self.history.join(SPARE), self.path(id, WHOLE)).is_err() {
            self.remember(id, before)?;
        }
        let path = self.path(id, RECORD);
        let record = Record { after: base.digest, changes, facts };
        let text = serde_json::to_string(&record)
            .map_err(|error| VaultError::Unreadable { path: path.clone(), why: error.to_string() })?;
        replace(&path, &text)?;
        self.records.push(id);
        self.latest = id;
        self.trim();
        Ok(())
    }

    /// From now on this is the configuration. What it was before goes to the history.
    pub(super) fn save(&mut self, before: &Config, config: &Config) -> Result<(), VaultError> {
        self.catch_up(before)?;
        let id = self.stamp();
        self.remember(id, before)?;
        self.write(config)?;
        self.latest = id;
        self.trim();
        Ok(())
    }

    /// The file becomes what the configuration is already.
    pub(super) fn catch_up(&mut self, config: &Config) -> Result<(), VaultError> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.write(config)?;
        let records = core::mem::take(&mut self.records);
        self.mark_done(&records)
    }

    /// Which earlier configurations there are, the oldest first: when each was replaced, in microseconds since 1970.
    pub(super) fn history(&self) -> Result<Vec<u64>, VaultError> {
        Ok(self.past()?.into_keys().collect())
    }

    /// An earlier configuration.
    pub(super) fn recall(&self, id: u64) -> Result<Config, VaultError> {
        let past = self.past()?;
        let whole = past.range(..=id).rev().find(|(_, part)| part.whole).map_or(id, |(whole, _)| *whole);
        let (mut config, _) = read(&self.path(whole, WHOLE))?;
        for (between, part) in past.range(whole..id) {
            if let Some(ending) = part.record {
                config = self.replay(*between, &config, &self.record_of(*between, ending)?)?;
            }
        }
        Ok(config)
    }

    /// The file has these changes. Before it can be again what it was when they were made, that is durable.
    fn mark_done(&self, records: &[u64]) -> Result<(), VaultError> {
        if records.is_empty() {
            return Ok(());
        }
        let mark = |id: &u64| fs::rename(self.path(*id, RECORD), self.path(*id, DONE));
        records
            .iter()
            .try_for_each(mark)
            .and_then(|()| File::open(&self.history)?.sync_all())
            .map_err(|source| VaultError::Io { path: self.history.clone(), source })
    }

    fn replay(&self, id: u64, config: &Config, record: &Record) -> Result<Config, VaultError> {
        // It was checked when it was made; it may have been a part of what belongs together.
        let done = config.apply_piecemeal(&record.changes, &record.facts);
        let (mut config, _) = done.map_err(|refusal| VaultError::Unreadable {
            path: self.path(id, RECORD),
            why: refusal.to_string(),
        })?;
        config.number_ports();
        Ok(config)
    }

    fn record_of(&self, id: u64, ending: &str) -> Result<Record, VaultError> {
        let path = self.path(id, ending);
        let text = read_text(&path)?;
        serde_json::from_str(&text).map_err(|error| VaultError::Unreadable { path, why: error.to_string() })
    }

    fn write(&mut self, config: &Config) -> Result<(), VaultError> {
        let text = self.writer.write(config);
        replace(&self.file, &text)?;
        self.base = Some(Base::of(&text));
        self.set_spare(&text);
        Ok(())
    }

    /// A long file is copied while nobody waits for it; if it cannot be, that is done later.
    fn set_spare(&self, text: &str) {
        let spare = self.history.join(SPARE);
        if text.len() <= PROMPT_BYTES_MAX || replace(&spare, text).is_err() {
            let _ = fs::remove_file(spare);
        }
    }

    /// What the file has becomes a part of the past; before the first change there is none.
    fn remember(&self, id: u64, before: &Config) -> Result<(), VaultError> {
        let path = self.path(id, WHOLE);
        match fs::copy(&self.file, &path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => replace(&path, &save::write(before)),
            Err(source) => Err(VaultError::Io { path, source }),
        }
    }

    /// Forgets the oldest, but nothing that others are made of.
    fn trim(&self) {
        let Ok(past) = self.past() else { return };
        let surplus = past.len().saturating_sub(HISTORY_MAX);
        let oldest = past.iter().take(surplus + 1).rfind(|(_, part)| part.whole);
        for (id, _) in past.iter().take_while(|(id, _)| oldest.is_some_and(|(oldest, _)| *id < oldest)) {
            for ending in [WHOLE, DONE] {
                let _ = fs::remove_file(self.path(*id, ending));
            }
        }
    }

    /// What there is of each time at which there was a change.
    fn past(&self) -> Result<BTreeMap<u64, Part>, VaultError> {
        let failed = |source| VaultError::Io { path: self.history.clone(), source };
        let mut past: BTreeMap<u64, Part> = BTreeMap::new();
        for path in
            fs::read_dir(&self.history).map_err(failed)?.filter_map(Result::ok).map(|entry| entry.path())
        {
            let id = path.file_stem().and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok());
            let (Some(id), Some(ending)) = (id, path.extension().and_then(|ending| ending.to_str())) else {
                continue;
            };
            match ending {
                WHOLE => past.entry(id).or_default().whole = true,
                RECORD => past.entry(id).or_default().record = Some(RECORD),
                DONE => past.entry(id).or_default().record = Some(DONE),
                _ => {}
            }
        }
        Ok(past)
    }

    fn path(&self, id: u64, ending: &str) -> PathBuf {
        self.history.join(format!("{PREFIX}{id:020}.{ending}"))
    }

    /// The time of a change: later than those of all others.
    fn stamp(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_micros()).unwrap_or(0).max(self.latest + 1)
    }
}

/// What is kept of one time.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// The configuration until then.
    whole: bool,
    /// The ending of the record of what was changed then.
    record: Option<&'static str>,
}

impl Base {
    fn of(text: &str) -> Self {
        Self { bytes: text.len(), digest: checksum(CrcAlgorithm::Crc64Nvme, text.as_bytes()) }
    }
}

/// A configuration from a file, with what there is to say about it.
pub(super) fn read(path: &Path) -> Result<(Config, Vec<String>), VaultError> {
    parse(path, &read_text(path)?)
}

fn read_text(path: &Path) -> Result<String, VaultError> {
    let failed = |source| VaultError::Io { path: path.to_path_buf(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<(Config, Vec<String>), VaultError> {
    let (config, notes) = save::read(text)
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

/// The folder that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_folder(path: &Path) -> Result<(), VaultError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| VaultError::Io { path: path.to_path_buf(), source })
}
