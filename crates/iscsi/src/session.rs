//! Full feature phase: requests are sorted into their order, tasks are kept, the engine is told.
//!
//! A PDU passes in two steps. [`FullFeature::begin`] judges its header and says where its data goes; [`FullFeature::finish`]
//! acts once all of it is there. Numbered requests take their turn by CmdSN; what each kind does then stands in `command`
//! (SCSI commands and their data) and `management` (all others).
//!
//! Not here: bytes, digests, login, the deadlines of a connection. One session has one connection today: what sessions of
//! several connections share (window, tasks, parameters) is in this type, what each connection has alone (framing, StatSN,
//! output) is in [`Io`].
//!
//! Invariants: [`FullFeature::begin`] changes nothing when it answers [`Begin::Wait`]; each numbered request that
//! is not rejected is delivered once and in order; a command that the engine knows leaves only with the engine's answer.

use crate::causes;
use crate::clock::RETRY;
use crate::config::Config;
use crate::discovery::Viewer;
use crate::exchange::Exchange;
use crate::keys::{Parameters, SessionType};
use crate::limits::Limits;
use crate::pdu::{
    Bhs, LogoutReason, LogoutRequest, NopOut, RejectReason, Request, ScsiDataOut, Sn, TaskManagementRequest,
    TextRequest, field,
};
use crate::receive::Header;
use crate::tasks::{Kind, SlotUse, Tasks};
use crate::transmit::Outbox;
use crate::window::{Place, Window};
use felio_hal::port::{Fatal, LossReason};
use felio_hal::{Buf, Pool, PortEvent, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// What every step may use: the connection's output, the events, a clock and buffers.
pub(crate) struct Io<'a> {
    pub(crate) now: Time,
    pub(crate) pool: &'a mut Pool,
    pub(crate) out: &'a mut Outbox,
    pub(crate) events: &'a mut VecDeque<PortEvent>,
}

/// A session in full feature phase.
#[derive(Debug)]
pub(crate) struct FullFeature {
    pub(crate) config: Arc<Config>,
    pub(crate) limits: Limits,
    pub(crate) parameters: Parameters,
    pub(crate) kind: SessionType,
    pub(crate) viewer: Viewer,
    pub(crate) cid: u16,
    pub(crate) window: Window<Item>,
    pub(crate) tasks: Tasks,
    pub(crate) exchange: Exchange,
    /// A logout that waits until the functions before it are answered.
    pub(crate) farewell: Option<LogoutRequest>,
    /// Commands whose data cannot be asked for while there is no buffer.
    pub(crate) starved: VecDeque<SlotUse>,
    /// Commands whose turn has come and that wait for room for their Data-In.
    pub(crate) deferred: VecDeque<SlotUse>,
    /// Commands that ended while their unsolicited data was still to come: that data is let go.
    pub(crate) orphans: u32,
    /// When to look for commands whose data does not come.
    pub(crate) owed_check: Option<Time>,
    pub(crate) gap_since: Option<Time>,
    /// When to look for a buffer again.
    pub(crate) retry_at: Option<Time>,
}

/// What login has agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) parameters: Parameters,
    pub(crate) kind: SessionType,
    pub(crate) viewer: Viewer,
    pub(crate) cid: u16,
    pub(crate) exp_cmd_sn: Sn,
}

/// A request that takes its turn.
#[derive(Debug)]
pub(crate) enum Item {
    Command(SlotUse),
    Management(TaskManagementRequest),
    Ping(NopOut, Option<Buf>),
    /// With its header as it came: it may be rejected yet.
    Text(TextRequest, Box<Bhs>, Option<Buf>),
    Logout(LogoutRequest),
    /// It was aborted before its turn.
    Skip,
}

/// What a header leads to.
#[derive(Debug)]
pub(crate) enum Begin {
    /// A buffer is wanting: try the same header again later.
    Wait,
    /// Take its data.
    Take(Incoming, Sink),
}

/// A PDU whose data is coming.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Nothing will come of it.
    Ignored,
    /// It will be rejected.
    Rejected(RejectReason),
    Command {
        of: SlotUse,
        cmd_sn: Sn,
        immediate: bool,
    },
    DataOut {
        of: SlotUse,
        pdu: ScsiDataOut,
    },
    Management(TaskManagementRequest),
    Ping(NopOut),
    Text(TextRequest),
    Logout(LogoutRequest),
}

/// Where data goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Nowhere.
    Discard,
    /// Into a command's buffer, from this byte on.
    Task(SlotUse, usize),
    /// Into a buffer of its own.
    Own(Buf),
    /// Into a little memory that is nobody else's: a login must not wait for those who keep buffers.
    Login(Vec<u8>),
}

/// Whether the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    GoOn,
    /// It has ended; what is queued is still sent.
    End(LossReason),
}

impl Begin {
    pub(crate) const fn ignore() -> Self {
        Self::Take(Incoming::Ignored, Sink::Discard)
    }

    pub(crate) const fn reject(reason: RejectReason) -> Self {
        Self::Take(Incoming::Rejected(reason), Sink::Discard)
    }
}

impl FullFeature {
    /// Begins after a login.
    pub(crate) fn new(config: Arc<Config>, limits: Limits, agreed: Agreed) -> Self {
        let Agreed { parameters, kind, viewer, cid, exp_cmd_sn } = agreed;
        Self {
            config,
            limits,
            parameters,
            kind,
            viewer,
            cid,
            window: Window::new(exp_cmd_sn, limits.window()),
            tasks: Tasks::new(limits.window(), limits.immediate()),
            exchange: Exchange::default(),
            farewell: None,
            starved: VecDeque::new(),
            deferred: VecDeque::new(),
            orphans: 0,
            owed_check: None,
            gap_since: None,
            retry_at: None,
        }
    }

    /// Judges a header.
    pub(crate) fn begin(
        &mut self,
        header: &Header,
        additional: &[u8],
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        io.out.handle_expected_status(Sn(header.bhs.get(field::EXP_STAT_SN)));
        //= RFC 7143 "Response/Status Numbering and Acknowledging": a large difference may be a failed connection
        if io.out.unacknowledged() > UNACKNOWLEDGED_MAX {
            return Err(Fatal("the initiator does not acknowledge statuses"));
        }
        let Ok(request) = Request::parse(&header.bhs) else {
            return Ok(Begin::reject(RejectReason::COMMAND_NOT_SUPPORTED));
        };
        if !additional.is_empty() && !matches!(request, Request::ScsiCommand(_)) {
            let text = "a PDU has additional headers that cannot have any";
            self.reject(&header.bhs, additional, RejectReason::INVALID_PDU_FIELD, io);
            return Err(Fatal(text));
        }
        loop {
            let begin = self.judge(header, &request, additional, io)?;
            // Commands behind a gap keep their buffers until it is filled, which may be what waits here.
            if !matches!(begin, Begin::Wait) || !self.give_up_held(io) {
                return Ok(begin);
            }
        }
    }

    fn judge(
        &mut self,
        header: &Header,
        request: &Request,
        additional: &[u8],
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        //= RFC 7143 "iSCSI Session Types": a discovery session is for text and logout; we answer pings as well
        let is_discovery = self.kind == SessionType::Discovery;
        match *request {
            Request::LoginRequest(_) => {
                self.reject(&header.bhs, additional, RejectReason::PROTOCOL_ERROR, io);
                Err(Fatal("login in full feature phase"))
            }
            Request::NopOut(pdu) => self.begin_ping(header, pdu, io),
            Request::TextRequest(pdu) => self.begin_text(header, pdu, io),
            //= RFC 7143 "Reason Code": all others are reserved
            Request::LogoutRequest(pdu) if pdu.reason > LogoutReason::REMOVE_FOR_RECOVERY => {
                Ok(Begin::reject(RejectReason::INVALID_PDU_FIELD))
            }
            Request::LogoutRequest(pdu) => {
                Ok(self.begin_numbered(pdu.immediate, pdu.cmd_sn, Incoming::Logout(pdu)))
            }
            _ if is_discovery => Ok(Begin::reject(RejectReason::PROTOCOL_ERROR)),
            Request::ScsiCommand(ref pdu) => self.begin_command(header, pdu, additional, io),
            Request::ScsiDataOut(pdu) => Ok(self.begin_data_out(header, pdu, io)),
            Request::TaskManagementRequest(pdu) => Ok(self.begin_management(pdu)),
            //= RFC 7143 "SNACK Request": there is nothing that we could send again at error recovery level 0
            Request::SnackRequest(_) => Ok(Begin::reject(RejectReason::SNACK_REJECT)),
        }
    }

    /// Acts on a PDU that has come whole; `own` is the buffer of [`Sink::Own`].
    pub(crate) fn finish(
        &mut self,
        header: &Header,
        additional: &[u8],
        incoming: Incoming,
        own: Option<Buf>,
        io: &mut Io<'_>,
    ) -> After {
        match incoming {
            Incoming::Ignored => After::GoOn,
            Incoming::Rejected(reason) => {
                self.reject(&header.bhs, additional, reason, io);
                After::GoOn
            }
            Incoming::Command { of, cmd_sn, immediate } => {
                self.take_turn(immediate, cmd_sn, Item::Command(of), io)
            }
            Incoming::DataOut { of, pdu } => {
                self.finish_data_out(of, &pdu, io);
                After::GoOn
            }
            Incoming::Management(pdu) => self.take_turn(pdu.immediate, pdu.cmd_sn, Item::Management(pdu), io),
            //= RFC 7143 "NOP-Out": without an initiator task tag it is always immediate
            Incoming::Ping(pdu) => {
                let immediate = pdu.immediate || pdu.initiator_task_tag.is_reserved();
                self.take_turn(immediate, pdu.cmd_sn, Item::Ping(pdu, own), io)
            }
            Incoming::Text(pdu) => {
                let item = Item::Text(pdu, Box::new(header.bhs), own);
                self.take_turn(pdu.immediate, pdu.cmd_sn, item, io)
            }
            Incoming::Logout(pdu) => self.take_turn(pdu.immediate, pdu.cmd_sn, Item::Logout(pdu), io),
        }
    }

    /// A buffer, or room, may have come free.
    pub(crate) fn retry(&mut self, io: &mut Io<'_>) {
        self.deliver_deferred(io);
        if self.starved.is_empty() {
            return;
        }
        self.retry_at = None;
        self.advance_starved(io);
        self.credit(io);
    }

    fn advance_starved(&mut self, io: &mut Io<'_>) {
        for _ in 0..self.starved.len() {
            let Some(of) = self.starved.pop_front() else { return };
            let waiting = self.starved.len();
            self.advance(of, io);
            if self.starved.len() > waiting {
                // Still none: it waits at the end of the queue, and the others need not be asked.
                return;
            }
        }
    }

    /// The time of [`FullFeature::poll_timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Result<(), Fatal> {
        // There is no pool here: whoever calls us turns to `retry` next.
        self.retry_at = self.retry_at.map(|at| if at <= now { now + RETRY } else { at });
        if self.gap_since.is_some_and(|since| since + self.limits.data_out <= now) {
            return Err(Fatal(causes::GAP));
        }
        if self.owed_check.is_some_and(|at| at <= now) {
            let owed = self.tasks.commands().filter(|command| command.transfer.is_owed());
            let oldest = owed.map(|command| command.transfer.touched).min();
            self.owed_check = oldest.map(|touched| touched + self.limits.data_out);
            if self.owed_check.is_some_and(|at| at <= now) {
                return Err(Fatal(causes::DATA_LATE));
            }
        }
        Ok(())
    }

    /// Gives everything back.
    pub(crate) fn handle_closed(&mut self, pool: &mut Pool) {
        for task in self.tasks.drain() {
            if let Kind::Command(mut command) = task.kind
                && let Some(buf) = command.transfer.handle_failed()
            {
                pool.give(buf);
            }
        }
        for (_, item) in self.window.held_mut() {
            if let Item::Ping(_, buf) | Item::Text(_, _, buf) = item
                && let Some(buf) = buf.take()
            {
                pool.give(buf);
            }
        }
        self.starved.clear();
        self.deferred.clear();
        (self.owed_check, self.gap_since, self.retry_at) = (None, None, None);
    }

    /// Nothing happens: memory that bursts left behind can go.
    pub(crate) fn shrink(&mut self) {
        self.tasks.shrink();
        self.starved.shrink_to_fit();
        self.deferred.shrink_to_fit();
    }

    /// The earliest deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let gap = self.gap_since.map(|since| since + self.limits.data_out);
        [gap, self.owed_check, self.retry_at].into_iter().flatten().min()
    }

    /// Data of a command that it waits for is expected from now on.
    pub(crate) fn expect_data(&mut self, now: Time) {
        let at = now + self.limits.data_out;
        self.owed_check.get_or_insert(at);
    }

    /// Whether the initiator owes data to any command: if so, waiting for a buffer without reading on could be waiting for
    /// ourselves.
    pub(crate) fn is_owed(&self) -> bool {
        self.tasks.commands().any(|command| command.transfer.is_owed())
    }

    /// Bytes of the buffers that have waited for data for longer than they may while buffers are wanting.
    pub(crate) fn owed_bytes(&self, now: Time) -> usize {
        let transfers = self.tasks.commands().map(|command| &command.transfer);
        let owed =
            transfers.filter(|transfer| transfer.is_owed() && transfer.since + self.limits.scarce <= now);
        owed.filter_map(|transfer| transfer.buf.as_ref()).map(|buf| buf.capacity()).sum()
    }

    /// Bytes of a command's buffer.
    pub(crate) fn buffer_bytes(&self, of: SlotUse) -> usize {
        let buf = self.tasks.command(of).and_then(|command| command.transfer.buf.as_ref());
        buf.map_or(0, Buf::capacity)
    }

    /// Whether requests behind a gap keep buffers, and the gap has stayed for longer than it may while buffers are wanting. On one
    /// TCP connection there is no honest gap that lasts.
    pub(crate) fn keeps_behind_gap(&self, now: Time) -> bool {
        let keeps = |item: &Item| match item {
            Item::Command(of) => {
                self.tasks.command(*of).is_some_and(|command| command.transfer.buf.is_some())
            }
            Item::Ping(_, buf) | Item::Text(_, _, buf) => buf.is_some(),
            Item::Management(_) | Item::Logout(_) | Item::Skip => false,
        };
        self.gap_since.is_some_and(|since| since + self.limits.scarce <= now) && self.window.held().any(keeps)
    }

    /// What responses say about the window, after it may have moved.
    pub(crate) fn credit(&mut self, io: &mut Io<'_>) {
        // With buffers wanting, the initiator gets no further leave.
        if self.retry_at.is_none() {
            self.window.handle_credit(self.tasks.running());
        }
        io.out.set_window(self.window.expected(), self.window.maximum());
    }

    /// A request without a task: where it stands is all that matters yet.
    pub(crate) fn begin_numbered(&self, immediate: bool, cmd_sn: Sn, incoming: Incoming) -> Begin {
        if !immediate && self.window.place(cmd_sn) == Place::Outside {
            return Begin::ignore();
        }
        Begin::Take(incoming, Sink::Discard)
    }

    /// Delivers a request now, or when its turn comes.
    //= RFC 7143 "Command Numbering and Acknowledging"
    fn take_turn(&mut self, immediate: bool, cmd_sn: Sn, item: Item, io: &mut Io<'_>) -> After {
        let mut after = match self.window.place(cmd_sn) {
            _ if immediate => self.deliver(item, io),
            Place::Next => {
                self.window.handle_next();
                self.deliver(item, io)
            }
            Place::Ahead => {
                self.window.hold(cmd_sn, item);
                After::GoOn
            }
            Place::Outside => unreachable!("its place was seen when it began, and the window never shrinks"),
        };
        while after == After::GoOn
            && let Some(item) = self.window.poll_ready()
        {
            after = self.deliver(item, io);
        }
        self.credit(io);
        self.gap_since = self.window.has_gap().then(|| self.gap_since.unwrap_or(io.now));
        after
    }

    fn deliver(&mut self, item: Item, io: &mut Io<'_>) -> After {
        match item {
            Item::Command(of) => self.deliver_command(of, io),
            Item::Management(pdu) => self.deliver_management(&pdu, io),
            Item::Ping(pdu, data) => self.deliver_ping(&pdu, data, io),
            Item::Text(pdu, bhs, data) => self.deliver_text(&pdu, &bhs, data, io),
            Item::Logout(pdu) => return self.deliver_logout(&pdu, io),
            Item::Skip => {}
        }
        After::GoOn
    }
}

/// Statuses that may be unacknowledged. None is kept at error recovery level 0; an initiator that is this far behind is lost.
const UNACKNOWLEDGED_MAX: u32 = 1 << 16;
