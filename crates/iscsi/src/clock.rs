//! How long a connection waits for what: every wait for the peer has a deadline.
//!
//! Not here: data of commands and gaps in CmdSN, whose deadlines the session keeps. A [`Clock`] is told what happens and
//! answers what is overdue; it asks nobody for the time.

use crate::causes;
use crate::keys::SessionType;
use crate::limits::Limits;
use core::time::Duration;
use felio_hal::Time;

/// Since when a connection waits for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    limits: Limits,
    began: Time,
    input: Time,
    pdu: Option<Time>,
    output: Option<Time>,
    pinged: Option<Time>,
    logout_by: Option<Time>,
    retry: Option<Time>,
    arrivals: Arrivals,
}

/// How much data came lately: in the span at hand, as long as [`Limits::scarce`], and in the one before it.
#[derive(Debug, Clone, Copy)]
struct Arrivals {
    began: Time,
    bytes: usize,
    before: usize,
}

/// What a connection is doing, as far as its patience goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It logs in.
    Login,
    /// It serves.
    Serving(SessionType),
    /// It sends its last words.
    Closing,
}

/// What is being waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// The rest of a PDU.
    pub(crate) pdu: bool,
    /// That the peer takes output.
    pub(crate) output: bool,
    /// A buffer.
    pub(crate) buffer: bool,
}

/// What is to be done because the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Give the connection up.
    End(&'static str),
    /// Give it up, and say that the logout did not come.
    Logout,
    /// Ask for a sign of life.
    Ping,
}

impl Clock {
    /// A connection begins.
    pub(crate) const fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            began: now,
            input: now,
            pdu: None,
            output: None,
            pinged: None,
            logout_by: None,
            retry: None,
            arrivals: Arrivals { began: now, bytes: 0, before: 0 },
        }
    }

    /// It is known who comes where, and so how long it may take.
    pub(crate) fn handle_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Something came: a sign of life.
    pub(crate) fn handle_input(&mut self, now: Time) {
        self.input = now;
        self.pinged = None;
    }

    /// Data came for which a buffer is kept.
    pub(crate) fn handle_data(&mut self, now: Time, bytes: usize) {
        if self.arrivals.began + self.limits.scarce <= now {
            self.arrivals = Arrivals { began: now, bytes: 0, before: self.recent_bytes(now) };
        }
        self.arrivals.bytes += bytes;
    }

    /// A PDU is whole.
    pub(crate) fn handle_whole(&mut self) {
        self.pdu = None;
    }

    /// The peer took output.
    pub(crate) fn handle_sent(&mut self) {
        self.output = None;
    }

    /// We pinged.
    pub(crate) fn handle_ping(&mut self, now: Time) {
        self.pinged = Some(now);
    }

    /// We asked for a logout.
    pub(crate) fn handle_logout_wish(&mut self, by: Time) {
        self.logout_by = Some(by);
    }

    /// The session is over.
    pub(crate) fn handle_end(&mut self) {
        *self = Self { output: self.output, ..Self::new(self.limits, self.began) };
    }

    /// What is waited for now.
    pub(crate) fn handle_waits(&mut self, now: Time, waits: Waits) {
        let since = |on: bool, since: Option<Time>| on.then(|| since.unwrap_or(now));
        self.pdu = since(waits.pdu, self.pdu);
        self.output = since(waits.output, self.output);
        self.retry = waits.buffer.then(|| now + RETRY);
    }

    /// Whether output waits longer than it may while buffers are wanting.
    pub(crate) fn is_output_stalled(&self, now: Time) -> bool {
        self.output.is_some_and(|since| since + self.limits.scarce <= now)
    }

    /// Whether a PDU has been coming for longer than it may while buffers are wanting.
    pub(crate) fn is_pdu_stalled(&self, now: Time) -> bool {
        self.pdu.is_some_and(|since| since + self.limits.scarce <= now)
    }

    /// Whether next to nothing came lately for buffers of `held` bytes: a byte once in a while is no progress.
    pub(crate) fn is_starving(&self, now: Time, held: usize) -> bool {
        self.recent_bytes(now).saturating_mul(PROGRESS_SHARE) < held
    }

    /// What is to be done by now.
    pub(crate) fn due(&self, now: Time, phase: Phase) -> Option<Due> {
        let mut due = self.deadlines(phase).into_iter().flatten();
        due.find(|(at, _)| *at <= now).map(|(_, what)| what)
    }

    /// When something is to be done next.
    pub(crate) fn next(&self, phase: Phase) -> Option<Time> {
        let deadlines = self.deadlines(phase).into_iter().flatten().map(|(at, _)| at);
        deadlines.chain(self.retry).min()
    }

    fn recent_bytes(&self, now: Time) -> usize {
        let Arrivals { began, bytes, before } = self.arrivals;
        let span = self.limits.scarce;
        match now {
            now if now < began + span => bytes + before,
            now if now < began + span + span => bytes,
            _ => 0,
        }
    }

    /// Every deadline, the gravest first.
    fn deadlines(&self, phase: Phase) -> [Option<(Time, Due)>; 5] {
        let limits = &self.limits;
        let passes =
            |since: Option<Time>, patience: Duration, text| Some((since? + patience, Due::End(text)));
        let login = (phase == Phase::Login).then_some(self.began);
        [
            passes(login, limits.login, causes::LOGIN_LATE),
            passes(self.pdu, limits.pdu, causes::PDU_LATE),
            passes(self.output, limits.output, causes::OUTPUT_LATE),
            self.logout_by.map(|by| (by, Due::Logout)),
            self.silence(phase),
        ]
    }

    fn silence(&self, phase: Phase) -> Option<(Time, Due)> {
        const SILENT: Due = Due::End(causes::SILENT);
        let Limits { ping, ping_answer, .. } = self.limits;
        let Phase::Serving(kind) = phase else { return None };
        Some(match (kind, self.pinged) {
            (_, Some(pinged)) => (pinged + ping_answer, SILENT),
            (SessionType::Normal, None) => (self.input + ping?, Due::Ping),
            //= RFC 7143 "iSCSI Session Types": a discovery session knows no pings
            (SessionType::Discovery, None) => (self.input + ping.unwrap_or_default() + ping_answer, SILENT),
        })
    }
}

/// How long to wait between two looks for a buffer.
pub(crate) const RETRY: Duration = Duration::from_millis(1);
/// Of the buffers that are kept, the part that must be filled in a span of [`Limits::scarce`].
const PROGRESS_SHARE: usize = 64;
