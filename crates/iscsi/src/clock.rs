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
    /// Since when there has always been output.
    sending: Option<Time>,
    pinged: Option<Time>,
    logout_by: Option<Time>,
    retry: Option<Time>,
    came: Pace,
    left: Pace,
}

/// How much moved lately: in the span at hand, as long as [`Limits::scarce`], and in the one before it.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Time,
    last: Time,
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
            sending: None,
            pinged: None,
            logout_by: None,
            retry: None,
            came: Pace::new(now),
            left: Pace::new(now),
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
        self.came.handle_bytes(now, self.limits.scarce, bytes);
    }

    /// A PDU is whole.
    pub(crate) fn handle_whole(&mut self) {
        self.pdu = None;
    }

    /// The peer took output.
    pub(crate) fn handle_sent(&mut self, now: Time, bytes: usize) {
        self.output = None;
        self.left.handle_bytes(now, self.limits.scarce, bytes);
    }

    /// Nothing is to be sent any more.
    pub(crate) fn handle_closed(&mut self) {
        (self.output, self.sending) = (None, None);
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
        let Self { output, sending, left, .. } = *self;
        *self = Self { output, sending, left, ..Self::new(self.limits, self.began) };
    }

    /// What is waited for now.
    pub(crate) fn handle_waits(&mut self, now: Time, waits: Waits) {
        let since = |on: bool, since: Option<Time>| on.then(|| since.unwrap_or(now));
        self.pdu = since(waits.pdu, self.pdu);
        self.output = since(waits.output, self.output);
        self.sending = since(waits.output, self.sending);
        self.retry = waits.buffer.then(|| now + RETRY);
    }

    /// Whether there has been output for longer than it may take while buffers are wanting, and next to nothing of `held` bytes was
    /// taken lately.
    pub(crate) fn is_output_stalled(&self, now: Time, held: usize) -> bool {
        self.is_past(self.sending, now) && self.is_slow(&self.left, now, held)
    }

    /// Whether a PDU has been coming for longer than it may while buffers are wanting, and next to nothing came lately for its buffer
    /// of `held` bytes.
    pub(crate) fn is_pdu_stalled(&self, now: Time, held: usize) -> bool {
        self.is_past(self.pdu, now) && self.is_slow(&self.came, now, held)
    }

    /// Whether next to nothing came lately for buffers of `held` bytes that have waited for long enough.
    pub(crate) fn is_data_stalled(&self, now: Time, held: usize) -> bool {
        self.is_slow(&self.came, now, held)
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

    fn is_past(&self, since: Option<Time>, now: Time) -> bool {
        since.is_some_and(|since| since + self.limits.scarce <= now)
    }

    /// Whether so little of `held` bytes moved that it is no progress: a byte once in a while is none.
    fn is_slow(&self, pace: &Pace, now: Time, held: usize) -> bool {
        pace.recent_bytes(now, self.limits.scarce).saturating_mul(PROGRESS_SHARE) < held
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

impl Pace {
    const fn new(now: Time) -> Self {
        Self { began: now, last: now, bytes: 0, before: 0 }
    }

    fn handle_bytes(&mut self, now: Time, span: Duration, bytes: usize) {
        if self.began + span <= now {
            *self = Self { began: now, last: now, bytes: 0, before: self.recent_bytes(now, span) };
        }
        self.last = now;
        self.bytes += bytes;
    }

    fn recent_bytes(&self, now: Time, span: Duration) -> usize {
        if self.last + span <= now {
            0
        } else if self.began + span <= now {
            self.bytes
        } else {
            self.bytes + self.before
        }
    }
}

/// How long to wait between two looks for a buffer.
pub(crate) const RETRY: Duration = Duration::from_millis(1);
/// Of the buffers that are kept, the part that must be filled or taken in a span of [`Limits::scarce`].
const PROGRESS_SHARE: usize = 64;
