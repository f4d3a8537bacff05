//! The audit log: one line of JSON for everything that somebody has changed, or was refused to.
//!
//! A line says when, who, what, the revision before and after, and what came of it; it is durable before whoever asked is answered, but for
//! those whom [`refused`](super::refused) tells of. Secrets are never in it. A file that would get longer than [`BYTES_MAX`] becomes
//! `audit.log.1`, and so on up to [`KEPT`].

use super::entrance;
use super::lines::Desk;
use super::refused::Refused;
use crate::tokens::Role;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use core::convert::Infallible;
use felio_control::{Change, Path as Object, Refusal, RefusalKind};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest file.
const BYTES_MAX: u64 = 8 << 20;

/// Earlier files that are kept.
const KEPT: u32 = 4;

/// Changes of one transaction that are told one by one; of more, how many there were.
const CHANGES_MAX: usize = 256;

/// What is kept of a path that somebody has asked for.
const PATH_CHARS_MAX: usize = 256;

/// Who wants something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// A process of this machine, by the socket. `pid` is none where it is of another namespace.
    Process { uid: u32, gid: u32, pid: Option<i32> },
    /// A browser there, with the token of the page.
    Web(String),
    /// Somebody from afar, by the name of the token, and from which address.
    Token { name: String, role: Role, from: String },
    /// Somebody whose token is missing or nobody's, and from which address.
    Stranger { from: String, has_token: bool },
    /// Whoever sent the signal.
    Signal(&'static str),
    /// The kernel does not say.
    Unknown,
}

impl Connected<IncomingStream<'_, tokio::net::UnixListener>> for Who {
    fn connect_info(stream: IncomingStream<'_, tokio::net::UnixListener>) -> Self {
        stream.io().peer_cred().map_or(Self::Unknown, |peer| Self::Process {
            uid: peer.uid(),
            gid: peer.gid(),
            pid: peer.pid(),
        })
    }
}

impl Who {
    /// Why they may not change anything, if so.
    pub(super) fn may_change(&self) -> Result<(), Refusal> {
        match self {
            Self::Token { name, role: Role::Read, .. } => Err(entrance::only_reads(name)),
            _ => Ok(()),
        }
    }
}

/// The desk, for whoever asks.
pub(super) struct Asked(pub(super) Desk);

impl FromRequestParts<Desk> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Infallible> {
        let by_socket = || parts.extensions.get().map(|ConnectInfo(who)| who);
        let who = parts.extensions.get().or_else(by_socket).cloned();
        let work = parts.extensions.get().cloned();
        Ok(Self(Desk { who: who.unwrap_or(Who::Unknown), work, ..desk.clone() }))
    }
}

/// What somebody wants.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deed {
    /// One transaction, without its secrets.
    Changes(Vec<Change>),
    /// So many changes.
    ManyChanges(usize),
    /// To take up a file; the daemon's own if there is no name.
    Restore(Option<PathBuf>),
    /// To write the configuration to another file; the daemon's own if there is no name.
    Save(Option<PathBuf>),
    /// To let nobody get there for now.
    Drain(Object),
    /// To end that.
    Serve(Object),
    /// To end the session with this number.
    EndSession(u16),
    /// Something that nobody has looked at, for it was refused before.
    Request { method: String, path: String },
}

impl Deed {
    pub(super) fn of(changes: &[Change]) -> Self {
        match changes.len() {
            ..=CHANGES_MAX => Self::Changes(changes.iter().map(Change::without_secrets).collect()),
            many => Self::ManyChanges(many),
        }
    }

    pub(super) fn asked(request: &Request) -> Self {
        let short = |text: &str| text.chars().take(PATH_CHARS_MAX).collect();
        Self::Request { method: short(request.method().as_str()), path: short(request.uri().path()) }
    }
}

/// What came of it. A refusal's words may have a value that was not liked, and that may be a secret: they are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<'a> {
    Done,
    Refused { kind: RefusalKind, at: Option<&'a Object> },
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    who: &'a Who,
    what: &'a Deed,
    /// Before and after.
    revision: [u64; 2],
    outcome: Outcome<'a>,
    /// How many like it were not told since the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
}

/// The log.
#[derive(Debug)]
pub(super) struct Audit {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Audit {
    /// Goes on with the log at this place.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes })
    }

    /// Adds a line.
    fn record(
        &mut self,
        who: &Who,
        what: &Deed,
        revision: [u64; 2],
        refusal: Option<&Refusal>,
    ) -> io::Result<()> {
        let outcome = refusal.map_or(Outcome::Done, |refusal| Outcome::Refused {
            kind: refusal.kind,
            at: refusal.path.as_deref(),
        });
        self.write(&Line { time: time(SystemTime::now()), who, what, revision, outcome, left_out: None })
    }

    /// Adds a line about somebody who was refused at the door.
    fn record_refused(&mut self, refused: &Refused, revision: u64) -> io::Result<()> {
        let Refused { who, what, left_out } = refused;
        let outcome = Outcome::Refused { kind: RefusalKind::Denied, at: None };
        let (time, left_out) = (time(SystemTime::now()), Some(*left_out).filter(|count| *count > 0));
        self.write(&Line { time, who, what, revision: [revision; 2], outcome, left_out })
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.append(serde_json::to_string(line)? + "\n", BYTES_MAX)
    }

    fn append(&mut self, line: String, bytes_max: u64) -> io::Result<()> {
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(bytes) > bytes_max {
            self.turn_over()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes += bytes;
        self.file.sync_data()
    }

    /// Begins a new file; the oldest goes.
    fn turn_over(&mut self) -> io::Result<()> {
        let earlier = |number: u32| match number {
            0 => self.path.clone(),
            number => {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            }
        };
        for number in (0..KEPT).rev() {
            match fs::rename(earlier(number), earlier(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        *self = Self::open(self.path.clone())?;
        File::open(super::vault::parent(&self.path))?.sync_all()
    }
}

impl super::Desk {
    /// Does something that is told in the audit log, whatever comes of it.
    pub(super) fn audited<T>(
        &mut self,
        who: &Who,
        deed: &Deed,
        act: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.shown.borrow().revision;
        let done = act(self);
        self.plant.work = None;
        let after = self.shown.borrow().revision;
        let told = self.audit.record(who, deed, [before, after], done.as_ref().err());
        self.say_unaudited(told);
        done
    }

    /// Somebody was refused without our being asked.
    pub(super) fn handle_refused(&mut self, refused: &Refused) {
        let revision = self.shown.borrow().revision;
        let told = self.audit.record_refused(refused, revision);
        self.say_unaudited(told);
    }

    fn say_unaudited(&self, told: io::Result<()>) {
        if let Err(error) = told {
            self.say("unaudited", &format!("the audit log cannot be written: {error}"));
        }
    }
}

/// The time as RFC 3339 has it, in UTC.
fn time(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = date(days);
    let (hour, minute, second, micros) =
        (second / 3600, second / 60 % 60, second % 60, since.subsec_micros());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day, so many days after the first of January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    for (month, days) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < days {
            return (year, month, left + 1);
        }
        left -= days;
    }
    (year, 12, 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn check_time(seconds: u64, want: &str) {
        assert_eq!(time(UNIX_EPOCH + Duration::from_secs(seconds)), want);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        check_time(0, "1970-01-01T00:00:00.000000Z");
        check_time(951_827_696, "2000-02-29T12:34:56.000000Z");
        check_time(1_798_761_599, "2026-12-31T23:59:59.000000Z");
        check_time(4_107_542_400, "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn a_file_that_is_full_becomes_an_earlier_one_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let mut audit = Audit::open(path.clone()).expect("it is new");
        for number in 0..12 {
            audit.append(format!("line {number:02}\n"), 16).expect("there is room");
        }
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!(text("audit.log"), "line 10\nline 11\n");
        assert_eq!(text("audit.log.1"), "line 08\nline 09\n");
        assert_eq!(text("audit.log.4"), "line 02\nline 03\n");
        assert_eq!(text("audit.log.5"), "");
        // Whoever opens it again goes on.
        let mut audit = Audit::open(path).expect("it is there");
        audit.append("line 12\n".to_owned(), 16).expect("there is room");
        assert_eq!(text("audit.log.1"), "line 10\nline 11\n");
    }
}
