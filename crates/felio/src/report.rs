//! What is printed: text for people, or one JSON object a line for programs, from the same values.

use crate::attach::Recipe;
use crate::identity::show_naa;
use crate::printer::{Printer, plain};
use crate::size;
use felio_hal::StoreId;
use felio_hal::port::{LoginKind, LossReason, Refusal};
use felio_hal::store::Failure as StoreFailure;
use felio_iscsi::login;
use felio_iscsi::name::IscsiName;
use felio_iscsi::pdu::LoginStatus;
use felio_runtime::Event;
use rustix::io::Errno;
use serde::Serialize;
use std::io::Write as _;
use std::net::SocketAddr;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// One logical unit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LunLine {
    pub(crate) lun: u16,
    pub(crate) path: String,
    #[serde(serialize_with = "as_hex")]
    pub(crate) naa: [u8; 16],
    pub(crate) serial: String,
    pub(crate) bytes: u64,
    pub(crate) block_bytes: u32,
    pub(crate) physical_block_bytes: u32,
    pub(crate) read_only: bool,
    pub(crate) removable: bool,
    /// Writes may be lost by a power cut until they are flushed.
    pub(crate) write_cache: bool,
    pub(crate) thin: bool,
    /// The protection type; zero is none.
    pub(crate) protection: u8,
}

/// The first thing that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    pub(crate) portals: Vec<String>,
    /// The tag of each.
    pub(crate) portal_groups: Vec<u16>,
    pub(crate) target: String,
    pub(crate) luns: Vec<LunLine>,
    pub(crate) pid: u32,
    pub(crate) version: &'static str,
    /// What does the disk I/O that the page cache cannot.
    pub(crate) io: &'static str,
    #[serde(skip)]
    pub(crate) recipes: Vec<Recipe>,
}

/// Every line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Ready(&'a Ready),
    Login {
        peer: String,
        initiator: &'a str,
        initiator_port: &'a str,
        target: &'a str,
        kind: &'static str,
        session: u16,
    },
    Logout {
        peer: String,
        initiator: &'a str,
        target: &'a str,
        kind: &'static str,
        session: u16,
        reason: &'static str,
        cause: Option<&'a str>,
    },
    Refused {
        peer: String,
        initiator: Option<&'a str>,
        /// The one that it asked for, if it came to that.
        target: Option<&'a str>,
        reason: &'a str,
    },
    Dropped {
        peer: String,
        cause: &'a str,
    },
    Warning {
        text: &'a str,
    },
    /// What was written last may be lost.
    #[serde(rename = "flush_failed")]
    FlushFailed {
        lun: u32,
        message: &'a str,
    },
    Stopping {
        signal: &'a str,
    },
    Stopped,
}

/// What is told, and how.
#[derive(Debug)]
pub(crate) struct Report {
    style: Style,
    printer: Printer,
    /// Texts that nobody read in time.
    lost: u64,
}

impl Report {
    /// Begins to print on standard output.
    pub(crate) fn start(style: Style) -> std::io::Result<Self> {
        Ok(Self { style, printer: Printer::start(std::io::stdout())?, lost: 0 })
    }

    /// The target serves.
    pub(crate) fn ready(&mut self, ready: &Ready) {
        match self.style {
            Style::Json => self.json(&Line::Ready(ready)),
            Style::Text => self.print(ready_text(ready)),
        }
    }

    /// Something that the operator should change.
    pub(crate) fn warning(&mut self, text: &str) {
        match self.style {
            Style::Json => self.json(&Line::Warning { text }),
            Style::Text => {
                let _ = writeln!(std::io::stderr(), "warning: {text}");
            }
        }
    }

    /// Stopping began.
    pub(crate) fn stopping(&mut self, signal: &str) {
        match self.style {
            Style::Json => self.json(&Line::Stopping { signal }),
            Style::Text => {
                self.print("stopping: initiators are asked to log out; again to end at once\n".to_owned())
            }
        }
    }

    /// Everything is durable.
    pub(crate) fn stopped(&mut self) {
        match self.style {
            Style::Json => self.json(&Line::Stopped),
            Style::Text => self.print("stopped: everything is durable\n".to_owned()),
        }
    }

    /// A login came to nothing.
    pub(crate) fn login_refused(&mut self, peer: SocketAddr, refusal: &login::Refusal) {
        match self.style {
            Style::Json => self.json(&Line::Refused {
                peer: peer.to_string(),
                initiator: refusal.initiator.as_ref().map(IscsiName::as_str),
                target: refusal.target.as_ref().map(IscsiName::as_str),
                reason: &refusal.to_string(),
            }),
            Style::Text => self.print(plain(&format!("refused  {}\n", refused(peer, refusal)))),
        }
    }

    /// News from the reactors.
    pub(crate) fn event(&mut self, event: &Event) {
        match self.style {
            Style::Json => self.event_json(event),
            Style::Text => self.print(plain(&event_text(event))),
        }
    }

    /// Waits until all is printed, but not for somebody who does not read.
    pub(crate) fn finish(self) {
        self.printer.finish();
    }

    fn event_json(&mut self, event: &Event) {
        match event {
            Event::Login { peer, initiator_port, initiator, target, kind, session, .. } => {
                self.json(&Line::Login {
                    peer: peer.to_string(),
                    initiator,
                    initiator_port,
                    target,
                    kind: kind_name(*kind),
                    session: *session,
                })
            }
            Event::Logout { peer, initiator, target, kind, session, reason, cause } => {
                self.json(&Line::Logout {
                    peer: peer.to_string(),
                    initiator,
                    target,
                    kind: kind_name(*kind),
                    session: *session,
                    reason: reason_name(*reason).0,
                    cause: *cause,
                })
            }
            Event::Refused { peer, initiator, refusal } => {
                self.json(&Line::Refused {
                    peer: peer.to_string(),
                    initiator: Some(initiator),
                    target: None,
                    reason: refusal_name(*refusal),
                });
            }
            Event::Dropped { peer, cause } => self.json(&Line::Dropped { peer: peer.to_string(), cause }),
            Event::FlushFailed { store, failure } => {
                self.json(&Line::FlushFailed { lun: store.0, message: &unflushed(*store, *failure) });
            }
        }
    }

    fn json(&mut self, line: &Line<'_>) {
        // These values have no map with odd keys and no failing serializer.
        if let Ok(text) = serde_json::to_string(line) {
            self.print(text + "\n");
        }
    }

    fn print(&mut self, text: String) {
        if self.lost > 0 {
            let lost = format!("{} lines were lost: nobody read them", self.lost);
            let told = match self.style {
                Style::Json => {
                    serde_json::to_string(&Line::Warning { text: &lost }).unwrap_or_default() + "\n"
                }
                Style::Text => format!("warning: {lost}\n"),
            };
            if self.printer.print(told).is_ok() {
                self.lost = 0;
            }
        }
        if self.printer.print(text).is_err() {
            self.lost += 1;
        }
    }
}

/// A discovery session says that somebody looked; that it ends at once is no news.
fn event_text(event: &Event) -> String {
    match event {
        Event::Login { peer, initiator, kind: LoginKind::Discovery, .. } => {
            format!("looked   {initiator} from {peer}\n")
        }
        Event::Login { peer, initiator, session, .. } => {
            format!("login    {initiator} from {peer}, session {session}\n")
        }
        Event::Logout { kind: LoginKind::Discovery, .. } => String::new(),
        Event::Logout { peer, initiator, session, reason, cause, .. } => {
            let why = cause.unwrap_or(reason_name(*reason).1);
            format!("logout   {initiator} from {peer}, session {session}: {why}\n")
        }
        Event::Refused { peer, initiator, refusal } => {
            format!("refused  {initiator} from {peer}: {}\n", refusal_name(*refusal))
        }
        Event::Dropped { peer, cause } => format!("dropped  {peer}: {cause}\n"),
        Event::FlushFailed { store, failure } => {
            format!("FAILED   {}\n", unflushed(*store, *failure))
        }
    }
}

/// Who was refused, and why.
pub(crate) fn refused(peer: SocketAddr, refusal: &login::Refusal) -> String {
    let who = refusal.initiator.as_ref().map(|name| format!("{name} from ")).unwrap_or_default();
    // Elsewhere it is one of ours.
    let wanted = refusal.target.as_ref().filter(|_| refusal.status == LoginStatus::NOT_FOUND);
    let wanted = wanted.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{who}{peer}: {refusal}{wanted}")
}

/// The last flush of a disk came to nothing.
fn unflushed(StoreId(lun): StoreId, failure: StoreFailure) -> String {
    let why = match failure {
        StoreFailure::Medium(_) => "the medium fails".to_owned(),
        StoreFailure::NoSpace => "no space is left on its filesystem".to_owned(),
        StoreFailure::WriteProtected => "it takes no writes any more".to_owned(),
        StoreFailure::Gone => "it is gone".to_owned(),
        StoreFailure::NotPossible => "it cannot be flushed".to_owned(),
        StoreFailure::Short => "somebody has made it shorter".to_owned(),
        StoreFailure::Protection { .. } => "blocks and their protection information differ".to_owned(),
        StoreFailure::Other(errno) => match Errno::from_raw_os_error(errno) {
            Errno::TIMEDOUT => "it does not answer in time".to_owned(),
            errno => errno.to_string(),
        },
    };
    format!(
        "LUN {lun} could not be made durable, what initiators wrote last may be lost: {why}; {UNFLUSHED_HINT}"
    )
}

/// What to do then.
pub(crate) const UNFLUSHED_HINT: &str = "the kernel's log (`dmesg`) says more; check what is on the disk (fsck, or a copy of it) before it is used again";

fn ready_text(ready: &Ready) -> String {
    use core::fmt::Write as _;
    let mut text = format!("felio {} serves {}\n", ready.version, ready.target);
    // Writing to a String does not fail.
    let several = ready.portal_groups.iter().any(|group| *group != 1);
    for (portal, group) in ready.portals.iter().zip(&ready.portal_groups) {
        let of_group = if several { format!(", group {group}") } else { String::new() };
        let _ = writeln!(text, "  portal   {portal}{of_group}");
    }
    for lun in &ready.luns {
        let cache = match (lun.read_only, lun.write_cache) {
            (true, _) => ", read-only",
            (false, true) => ", write cache",
            (false, false) => "",
        };
        let block = lun.block_bytes;
        let protection = match lun.protection {
            0 => String::new(),
            number => format!(", protection type {number}"),
        };
        let _ = writeln!(
            text,
            "  LUN {:<4} {}, {}, {block}-byte blocks{cache}{protection}",
            lun.lun,
            lun.path,
            size::show(lun.bytes)
        );
        let _ = writeln!(text, "           NAA {}, serial {}", show_naa(lun.naa), lun.serial);
    }
    text.push_str("\nAttach it\n");
    for recipe in &ready.recipes {
        for (at, line) in recipe.lines.iter().enumerate() {
            let _ = writeln!(text, "  {:<8} {line}", if at == 0 { recipe.system } else { "" });
        }
    }
    text.push_str("\nCtrl-C stops it.\n");
    text
}

const fn kind_name(kind: LoginKind) -> &'static str {
    match kind {
        LoginKind::Normal => "normal",
        LoginKind::Discovery => "discovery",
    }
}

/// For programs and for people.
const fn reason_name(reason: LossReason) -> (&'static str, &'static str) {
    match reason {
        LossReason::Logout => ("logout", "logged out"),
        LossReason::Connection => ("connection", "the connection was lost"),
        LossReason::Reinstated => ("reinstated", "replaced by a new session of the same initiator"),
        LossReason::Administrative => ("administrative", "closed by felio"),
    }
}

const fn refusal_name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoSuchSession => "it named a session that does not exist",
        Refusal::TooManyConnections => "its session has all the connections it may have",
        Refusal::OutOfResources => "there are as many sessions as there may be",
        Refusal::ServiceUnavailable => "felio is stopping",
    }
}

fn as_hex<S: serde::Serializer>(naa: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_naa(*naa))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            portals: vec!["127.0.0.1:3260".to_owned()],
            portal_groups: vec![1],
            target: "iqn.t".to_owned(),
            luns: vec![LunLine {
                lun: 0,
                path: "disk.img".to_owned(),
                naa: [0x60; 16],
                serial: "s".to_owned(),
                bytes: 1 << 30,
                block_bytes: 512,
                physical_block_bytes: 4096,
                read_only: false,
                removable: false,
                write_cache: true,
                thin: true,
                protection: 0,
            }],
            pid: 1,
            version: "0",
            io: "io_uring",
            recipes: Vec::new(),
        }
    }

    #[test]
    fn the_ready_line_is_what_programs_rely_on() {
        let text = serde_json::to_string(&Line::Ready(&ready())).expect("plain values");
        let want = r#"{"event":"ready","portals":["127.0.0.1:3260"],"portal_groups":[1],"target":"iqn.t","luns":[{"lun":0,"path":"disk.img","naa":"60606060606060606060606060606060","serial":"s","bytes":1073741824,"#;
        assert!(text.starts_with(want), "{text}");
    }

    #[test]
    fn a_lost_connection_says_why() {
        let event = Event::Logout {
            peer: "127.0.0.1:9".parse().expect("valid"),
            initiator: "iqn.i".to_owned(),
            target: "iqn.t".to_owned(),
            kind: LoginKind::Normal,
            session: 3,
            reason: LossReason::Connection,
            cause: Some("no answer"),
        };
        assert_eq!(event_text(&event), "logout   iqn.i from 127.0.0.1:9, session 3: no answer\n");
    }

    #[test]
    fn a_failed_last_flush_is_told_in_words_and_as_an_event_of_its_own() {
        let text = |failure| event_text(&Event::FlushFailed { store: StoreId(2), failure });
        assert!(text(StoreFailure::Medium(None)).starts_with("FAILED   LUN 2 could not be made durable"));
        assert!(text(StoreFailure::Medium(None)).contains("the medium fails; the kernel's log"));
        assert!(text(StoreFailure::Other(110)).contains("does not answer in time"));
        assert!(text(StoreFailure::Other(5)).contains("(os error 5)"));
        let line = serde_json::to_string(&Line::FlushFailed { lun: 2, message: "m" }).expect("plain values");
        assert_eq!(line, r#"{"event":"flush_failed","lun":2,"message":"m"}"#);
    }

    #[test]
    fn a_refusal_names_who_it_was_and_the_target_that_was_not_found() {
        let name = |text| IscsiName::parse(text).ok();
        let why = login::Why::UnknownTarget;
        let refusal = login::Refusal {
            status: why.status(),
            why,
            initiator: name("iqn.2026-11.i"),
            target: name("iqn.2026-11.t"),
        };
        let text = refused("127.0.0.1:9".parse().expect("valid"), &refusal);
        let want = "there is no target with this name (iqn.2026-11.t)";
        assert!(text.starts_with("iqn.2026-11.i from 127.0.0.1:9: ") && text.ends_with(want), "{text}");
        let why = login::Why::NotAllowed;
        let text = refused(
            "127.0.0.1:9".parse().expect("valid"),
            &login::Refusal { status: why.status(), why, ..refusal },
        );
        assert!(text.ends_with("is not on the allow list"), "{text}");
    }
}
