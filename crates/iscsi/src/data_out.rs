//! Data-Out of commands: which PDU belongs to which command, where its data goes, what is asked for next.
//!
//! Not here: the order within one transfer (`transfer`), the PDU's bytes (`receive`).

use crate::clock::RETRY;
use crate::command::lun_of;
use crate::outcome::BUSY;
use crate::pdu::{R2t, RejectReason, ScsiDataOut, Sn};
use crate::receive::Header;
use crate::session::{Begin, FullFeature, Incoming, Io, Sink};
use crate::tasks::{Found, Kind, SlotUse, State, Tasks, slot_of};
use crate::transfer::{Broken, Transfer, Wanted};
use crate::transmit::{Job, Payload, to_usize};
use felio_hal::buf::BUF_BYTES_MAX;
use felio_hal::{Buf, Pool, PortEvent, PortTag, TaskId, Time};

impl FullFeature {
    /// Judges the header of a Data-Out PDU.
    //= RFC 7143 "SCSI Data-Out and SCSI Data-In"
    pub(crate) fn begin_data_out(&mut self, header: &Header, pdu: ScsiDataOut, io: &mut Io<'_>) -> Begin {
        let (of, r2t) = if pdu.target_transfer_tag.is_reserved() {
            match self.tasks.find(pdu.initiator_task_tag) {
                Some(of) => (of, None),
                None => return self.orphaned(&pdu),
            }
        } else {
            match self.tasks.find_transfer(pdu.target_transfer_tag) {
                Found::Live(of, r2t) => (of, Some(r2t)),
                Found::Gone => return Begin::ignore(),
                Found::Never => return Begin::reject(RejectReason::INVALID_PDU_FIELD),
            }
        };
        let burst = self.first_burst();
        let Some(task) = self.tasks.get_mut(of.slot) else { return Begin::ignore() };
        let fits = task.itt == pdu.initiator_task_tag && (r2t.is_none() || task.lun == lun_of(pdu.lun));
        let Kind::Command(command) = &mut task.kind else {
            return Begin::reject(RejectReason::PROTOCOL_ERROR);
        };
        // Who announced unsolicited data and has none ends it with an empty PDU.
        if command.expect_out == 0 && !command.transfer.is_unsolicited() {
            return Begin::reject(RejectReason::PROTOCOL_ERROR);
        }
        // A header alone keeps nothing alive.
        if pdu.data_segment_bytes > 0 {
            command.transfer.touched = io.now;
        }
        if !matches!(command.state, State::Held | State::Running) {
            return Begin::Take(Incoming::DataOut { of, pdu }, Sink::Discard);
        }
        let checked = match r2t {
            _ if !fits => Err(Broken::Field),
            None => command.transfer.check_unsolicited(&pdu),
            Some(r2t) => command.transfer.check_solicited(&pdu, r2t),
        };
        if let Err(broken) = checked {
            if broken == Broken::Field {
                self.reject(&header.bhs, &[], RejectReason::INVALID_PDU_FIELD, io);
            }
            self.fail(of, broken.into(), io);
            return Begin::Take(Incoming::DataOut { of, pdu }, Sink::Discard);
        }
        let at = to_usize(pdu.buffer_offset);
        if command.transfer.buf.is_none() && pdu.data_segment_bytes > 0 {
            let expect = command.expect_out;
            let others_owe = self.tasks.commands().filter(|command| command.transfer.is_owed()).count() > 1;
            match take(io.pool, self.whole_bytes_max(expect), expect, burst.min(expect)) {
                Some(buf) => self.keep(of, buf, io.now),
                None if !others_owe => return Begin::Wait,
                None => self.fail(of, BUSY, io),
            }
        }
        Begin::Take(Incoming::DataOut { of, pdu }, Sink::Task(of, at))
    }

    /// A Data-Out PDU has come whole.
    pub(crate) fn finish_data_out(&mut self, of: SlotUse, pdu: &ScsiDataOut, io: &mut Io<'_>) {
        let burst = self.parameters.session.burst_bytes_max;
        let Some(command) = self.tasks.command_mut(of) else { return };
        match command.state {
            State::Held => command.transfer.handle_data(pdu, burst),
            State::Running => {
                command.transfer.handle_data(pdu, burst);
                self.advance(of, io);
            }
            State::Refused(_) | State::Failing(_) | State::Aborted | State::Ended(_) => {
                // What comes unasked answers no R2T.
                let unasked = pdu.target_transfer_tag.is_reserved();
                if pdu.final_pdu && unasked == command.transfer.is_unsolicited() {
                    command.transfer.handle_final();
                }
                self.send_parked(of, io);
            }
        }
    }

    /// Stores data of a command, as far as it is wanted.
    pub(crate) fn store(&mut self, of: SlotUse, at: usize, bytes: &[u8]) {
        if let Some(place) = self.room(of, at, bytes.len()) {
            let wanted = place.len();
            place.copy_from_slice(&bytes[..wanted]);
        }
    }

    /// The part of a command's buffer where `bytes` bytes from `at` on belong, as far as there is one.
    pub(crate) fn room(&mut self, of: SlotUse, at: usize, bytes: usize) -> Option<&mut [u8]> {
        let buf = self.tasks.command_mut(of)?.transfer.buf.as_mut()?;
        let end = (at + bytes).min(buf.len());
        buf.get_mut(at..end)
    }

    /// The engine wants data.
    pub(crate) fn solicit(&mut self, tag: PortTag, task: TaskId, bytes: u32, io: &mut Io<'_>) {
        assert!(to_usize(bytes) <= BUF_BYTES_MAX, "the engine asks for what one buffer can hold");
        let Some(of) = self.tasks.use_of(slot_of(tag)) else { return };
        let Some(command) = self.tasks.command_mut(of) else { return };
        if matches!(command.state, State::Running) {
            command.transfer.handle_wanted(Wanted { task, bytes });
            self.advance(of, io);
        }
    }

    /// Asks for data, or hands it over if it is all here.
    pub(crate) fn advance(&mut self, of: SlotUse, io: &mut Io<'_>) {
        let (r2ts_max, burst) =
            (self.parameters.session.outstanding_r2t_max, self.parameters.session.burst_bytes_max);
        let Some(task) = self.tasks.get_mut(of.slot) else { return };
        let (itt, lun) = (task.itt, task.lun);
        let Some(command) = self.tasks.command_mut(of) else { return };
        let Some(wanted) = command.transfer.wanted() else { return };
        if !matches!(command.state, State::Running) {
            return;
        }
        let holds = command.transfer.buf.as_ref().map_or(0, |buf| buf.capacity());
        if holds < to_usize(wanted.bytes) && self.is_over(wanted.bytes) {
            self.starve(of);
            return;
        }
        let Some(command) = self.tasks.command_mut(of) else { return };
        if !make_room(&mut command.transfer, wanted.bytes, io.pool) {
            // Nobody may hold a buffer while it waits for another, or all could wait for each other.
            if holds > 0 {
                return self.fail(of, BUSY, io);
            }
            self.starve(of);
            // Whoever has the buffers will not tell us when they are free.
            self.retry_at = Some(io.now + RETRY);
            return;
        }
        if command.transfer.complete().is_some() {
            let buf = command.transfer.handle_delivered().expect("room was made");
            assert_eq!(buf.len(), to_usize(wanted.bytes), "the engine gets what it asked for");
            io.events.push_back(PortEvent::DataOut { task: wanted.task, buf });
            return;
        }
        let first = command.transfer.r2ts() == 0;
        let mut asked = false;
        while let Some(ask) = command.transfer.poll_ask(r2ts_max, burst) {
            let r2t = R2t {
                lun: u64::from_be_bytes(lun.0),
                initiator_task_tag: itt,
                target_transfer_tag: Tasks::transfer_tag(of, ask.r2t_sn.0),
                stat_sn: Sn(0),
                exp_cmd_sn: Sn(0),
                max_cmd_sn: Sn(0),
                r2t_sn: ask.r2t_sn,
                buffer_offset: ask.offset,
                desired_bytes: ask.bytes,
            };
            io.out.send(Job { pdu: r2t.into(), payload: Payload::None });
            asked = true;
        }
        if asked {
            command.transfer.touched = io.now;
            if first {
                command.transfer.since = io.now;
            }
            self.expect_data(io.now);
        }
    }

    /// A command waits until others have their data.
    fn starve(&mut self, of: SlotUse) {
        if !self.starved.contains(&of) {
            self.starved.push_back(of);
        }
    }

    /// The longest transfer that gets a buffer for all of it at once, before the engine asks for it.
    pub(crate) fn whole_bytes_max(&self, expect: u32) -> u32 {
        let over = expect > SMALL_BYTES
            && self.held_bytes(|_| true) + to_usize(expect) > self.limits.data_out_bytes_max;
        if over { 0 } else { self.limits.transfer_bytes_max }
    }

    /// Whether a command must not ask for so much data yet, because others of the session are being served. Only those
    /// count that have all they need: one of them can always go on.
    fn is_over(&self, bytes: u32) -> bool {
        let served = |transfer: &Transfer| {
            let held = transfer.buf.as_ref().map_or(0, |buf| buf.capacity());
            transfer.wanted().is_some_and(|wanted| to_usize(wanted.bytes) <= held)
        };
        let held = if bytes <= SMALL_BYTES { 0 } else { self.held_bytes(served) };
        held > 0 && held + to_usize(bytes) > self.limits.data_out_bytes_max
    }

    /// Bytes of buffers that wait for Data-Out. Small ones do not count: the window bounds them.
    fn held_bytes(&self, counts: impl Fn(&Transfer) -> bool) -> usize {
        let transfers =
            self.tasks.commands().map(|command| &command.transfer).filter(|transfer| counts(transfer));
        let bufs = transfers.filter_map(|transfer| transfer.buf.as_ref()).map(|buf| buf.capacity());
        bufs.filter(|bytes| *bytes > to_usize(SMALL_BYTES)).sum()
    }

    /// Unsolicited data of a command that is not there may be on its way. A peer can say so more often than anybody counts.
    pub(crate) fn expect_orphan(&mut self, comes: bool) {
        self.orphans = self.orphans.saturating_add(u32::from(comes));
    }

    /// Unsolicited data that belongs to no task.
    fn orphaned(&mut self, pdu: &ScsiDataOut) -> Begin {
        if self.orphans == 0 {
            return Begin::reject(RejectReason::INVALID_PDU_FIELD);
        }
        self.orphans -= u32::from(pdu.final_pdu);
        Begin::ignore()
    }

    fn keep(&mut self, of: SlotUse, buf: Buf, now: Time) {
        if let Some(command) = self.tasks.command_mut(of) {
            command.transfer.buf = Some(buf);
            command.transfer.since = now;
        }
    }
}

/// Sees to a buffer of `bytes` bytes that holds what has come already.
fn make_room(transfer: &mut Transfer, bytes: u32, pool: &mut Pool) -> bool {
    let bytes = to_usize(bytes);
    if let Some(buf) = transfer.buf.as_mut().filter(|buf| buf.capacity() >= bytes) {
        buf.set_len(bytes);
        return true;
    }
    let Some(mut buf) = pool.take(bytes) else { return false };
    if let Some(old) = transfer.buf.take() {
        let kept = old.len().min(bytes);
        buf[..kept].copy_from_slice(&old[..kept]);
        pool.give(old);
    }
    transfer.buf = Some(buf);
    true
}

/// A buffer for the whole transfer if that is not too long, or else for the `least` that may come unasked.
pub(crate) fn take(pool: &mut Pool, whole_bytes_max: u32, expect: u32, least: u32) -> Option<Buf> {
    let whole = (expect <= whole_bytes_max).then(|| pool.take(to_usize(expect))).flatten();
    whole.or_else(|| pool.take(to_usize(least)))
}

/// Transfers up to this length are not counted.
const SMALL_BYTES: u32 = 64 << 10;
