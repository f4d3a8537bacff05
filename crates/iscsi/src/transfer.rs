//! Data-Out of one command: what came with the command and unasked, what was asked for by R2T, and what is still to come.
//!
//! Data is ordered (DataPDUInOrder and DataSequenceInOrder are always Yes with us), so everything that has come is the
//! front of the transfer and one counter says how much that is. R2Ts are answered in their order, so the sequence at hand
//! is always the oldest.
//!
//! Not here: buffers' origin, PDUs, what the engine is told. Invariant: `received <= requested` once anything was
//! requested, and nothing is requested beyond what is wanted.

use crate::pdu::{ScsiDataOut, Sn};
use felio_hal::{Buf, TaskId, Time};

/// The Data-Out of one command.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Where the data goes; there is none as long as no data came and none was asked for.
    pub(crate) buf: Option<Buf>,
    /// When something last came, or was asked for.
    pub(crate) touched: Time,
    /// Since when the buffer waits for data: when it came here, or its data was first asked for.
    pub(crate) since: Time,
    /// Bytes that the initiator announced.
    expect: u32,
    /// Bytes that have come; those beyond the buffer were let go.
    received: u32,
    burst: Burst,
    wanted: Option<Wanted>,
    /// Up to where R2Ts have asked.
    requested: u32,
    r2ts: u32,
    r2ts_answered: u32,
}

/// The sequence of Data-Out PDUs at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burst {
    /// The initiator sends unasked, up to `end`.
    Unsolicited { data_sn: Sn, end: u32, rule: Amount },
    /// The oldest R2T asked for data up to `end`, if one is open.
    Solicited { data_sn: Sn, end: u32 },
}

/// How much an unsolicited sequence must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// All that the first burst allows.
    Whole,
    /// Whatever: the command failed already.
    Any,
}

/// What the engine asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its name for the command.
    pub(crate) task: TaskId,
    /// The front of the transfer.
    pub(crate) bytes: u32,
}

/// Which rule a Data-Out PDU broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It was not asked for and could not come unasked.
    Unexpected,
    /// DataSN or Buffer Offset is not the next.
    Sequence,
    /// The sequence is longer or shorter than it must be.
    Amount,
    /// It reaches beyond what the command announced.
    Field,
}

/// What to ask for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Number of the R2T.
    pub(crate) r2t_sn: Sn,
    /// Where the data begins.
    pub(crate) offset: u32,
    /// How much.
    pub(crate) bytes: u32,
}

/// What follows the data that came with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Nothing until it is asked for.
    Nothing,
    /// Unsolicited data, up to this byte of the transfer.
    Unsolicited(u32),
}

impl Transfer {
    /// The transfer of a command that announces `expect` bytes and brings the first `immediate` along.
    pub(crate) fn new(expect: u32, immediate: u32, buf: Option<Buf>, follows: Follows, now: Time) -> Self {
        let burst = match follows {
            Follows::Nothing => Burst::Solicited { data_sn: Sn(0), end: 0 },
            Follows::Unsolicited(end) => Burst::Unsolicited { data_sn: Sn(0), end, rule: Amount::Whole },
        };
        let (requested, r2ts, r2ts_answered) = (0, 0, 0);
        Self {
            buf,
            touched: now,
            since: now,
            expect,
            received: immediate,
            burst,
            wanted: None,
            requested,
            r2ts,
            r2ts_answered,
        }
    }

    /// The engine asks for the front of the transfer.
    pub(crate) fn handle_wanted(&mut self, wanted: Wanted) {
        self.wanted = Some(Wanted { bytes: wanted.bytes.min(self.expect), ..wanted });
    }

    /// Checks the header of an unsolicited PDU.
    //= RFC 7143 "Data Sequencing", "Sequence Errors"
    pub(crate) fn check_unsolicited(&self, pdu: &ScsiDataOut) -> Result<(), Broken> {
        let Burst::Unsolicited { data_sn, end, rule } = self.burst else { return Err(Broken::Unexpected) };
        let reached = self.check(pdu, data_sn)?;
        // Of a transfer that the first burst could hold, what does not come unasked is asked for.
        //= RFC 7143 "Sense Data": an incorrect amount only where there is more than FirstBurstLength in all
        let whole = reached == end || self.expect == end;
        let short = pdu.final_pdu && rule == Amount::Whole && !whole;
        if reached > end || short { Err(Broken::Amount) } else { Ok(()) }
    }

    /// Checks the header of a PDU that answers an R2T.
    //= RFC 7143 "Data Sequencing", "Sequence Errors"
    pub(crate) fn check_solicited(&self, pdu: &ScsiDataOut, r2t: u8) -> Result<(), Broken> {
        let Burst::Solicited { data_sn, end } = self.burst else { return Err(Broken::Sequence) };
        if self.r2ts == self.r2ts_answered || low_byte(self.r2ts_answered) != r2t {
            return Err(Broken::Sequence);
        }
        let reached = self.check(pdu, data_sn)?;
        let whole = reached == end;
        if reached > end || pdu.final_pdu != whole { Err(Broken::Amount) } else { Ok(()) }
    }

    /// A PDU that was checked has come with all its data. With `final_pdu` its sequence has ended.
    pub(crate) fn handle_data(&mut self, pdu: &ScsiDataOut, burst_bytes_max: u32) {
        self.received += pdu.data_segment_bytes;
        match &mut self.burst {
            Burst::Unsolicited { data_sn, .. } | Burst::Solicited { data_sn, .. } => *data_sn += 1,
        }
        if pdu.final_pdu {
            self.handle_final();
            self.begin_sequence(burst_bytes_max);
        }
    }

    /// A sequence has ended, whether or not its data counted.
    pub(crate) fn handle_final(&mut self) {
        match self.burst {
            Burst::Unsolicited { .. } => self.burst = Burst::Solicited { data_sn: Sn(0), end: 0 },
            Burst::Solicited { .. } => self.r2ts_answered = (self.r2ts_answered + 1).min(self.r2ts),
        }
    }

    /// The engine has what it wanted.
    pub(crate) fn handle_delivered(&mut self) -> Option<Buf> {
        self.wanted = None;
        self.buf.take()
    }

    /// The command has failed: what still comes is let go, however much it is.
    pub(crate) fn handle_failed(&mut self) -> Option<Buf> {
        if let Burst::Unsolicited { rule, .. } = &mut self.burst {
            *rule = Amount::Any;
        }
        self.buf.take()
    }

    /// The next R2T to send, while the initiator takes more of them.
    //= RFC 7143 "Ready To Transfer (R2T)", "MaxOutstandingR2T", "MaxBurstLength"
    #[must_use]
    pub(crate) fn poll_ask(&mut self, outstanding_max: u32, burst_bytes_max: u32) -> Option<Ask> {
        let wanted = self.wanted?.bytes;
        if self.is_unsolicited() {
            return None;
        }
        self.requested = self.requested.max(self.received);
        if self.requested >= wanted || self.r2ts - self.r2ts_answered >= outstanding_max.max(1) {
            return None;
        }
        let bytes = (wanted - self.requested).min(burst_bytes_max);
        let ask = Ask { r2t_sn: Sn(self.r2ts), offset: self.requested, bytes };
        if self.r2ts == self.r2ts_answered {
            self.burst = Burst::Solicited { data_sn: Sn(0), end: self.requested + bytes };
        }
        self.requested += bytes;
        self.r2ts += 1;
        Some(ask)
    }

    /// What the engine wanted, once it is all here and nothing more comes unasked.
    pub(crate) fn complete(&self) -> Option<Wanted> {
        let done = |wanted: &Wanted| wanted.bytes <= self.received;
        self.wanted.filter(|wanted| !self.is_owed() && done(wanted))
    }

    /// What the engine wants.
    pub(crate) const fn wanted(&self) -> Option<Wanted> {
        self.wanted
    }

    /// How many R2Ts were sent.
    pub(crate) const fn r2ts(&self) -> u32 {
        self.r2ts
    }

    /// Whether unsolicited data is still to come.
    pub(crate) const fn is_unsolicited(&self) -> bool {
        matches!(self.burst, Burst::Unsolicited { .. })
    }

    /// Whether the initiator owes data.
    pub(crate) const fn is_owed(&self) -> bool {
        self.is_unsolicited() || self.r2ts != self.r2ts_answered
    }

    fn check(&self, pdu: &ScsiDataOut, data_sn: Sn) -> Result<u32, Broken> {
        let end = pdu.buffer_offset.checked_add(pdu.data_segment_bytes).filter(|end| *end <= self.expect);
        let end = end.ok_or(Broken::Field)?;
        if pdu.data_sn != data_sn || pdu.buffer_offset != self.received {
            return Err(Broken::Sequence);
        }
        Ok(end)
    }

    /// The oldest open R2T asked for a burst, or for what is left.
    fn begin_sequence(&mut self, burst_bytes_max: u32) {
        let end = self.received.saturating_add(burst_bytes_max).min(self.requested);
        self.burst = Burst::Solicited { data_sn: Sn(0), end };
    }
}

/// What a target transfer tag carries of the R2T's number.
pub(crate) fn low_byte(r2t: u32) -> u8 {
    r2t.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::{Ask, Broken, Follows, Transfer, Wanted};
    use crate::pdu::{ScsiDataOut, Sn, TaskTag};
    use felio_hal::{TaskId, Time};

    const TASK: TaskId = TaskId { reactor: 0, slot: 1, generation: 2 };
    const BURST: u32 = 1000;

    fn data(sn: u32, offset: u32, bytes: u32, final_pdu: bool) -> ScsiDataOut {
        ScsiDataOut {
            final_pdu,
            data_segment_bytes: bytes,
            lun: 0,
            initiator_task_tag: TaskTag(1),
            target_transfer_tag: TaskTag::RESERVED,
            exp_stat_sn: Sn(0),
            data_sn: Sn(sn),
            buffer_offset: offset,
        }
    }

    fn wanting(expect: u32, bytes: u32, follows: Follows) -> Transfer {
        let mut transfer = Transfer::new(expect, 0, None, follows, Time(0));
        transfer.handle_wanted(Wanted { task: TASK, bytes });
        transfer
    }

    #[test]
    fn a_transfer_is_asked_for_in_bursts_as_many_as_may_be_open() {
        let mut transfer = wanting(2500, 2500, Follows::Nothing);
        assert_eq!(transfer.poll_ask(2, BURST), Some(Ask { r2t_sn: Sn(0), offset: 0, bytes: 1000 }));
        assert_eq!(transfer.poll_ask(2, BURST), Some(Ask { r2t_sn: Sn(1), offset: 1000, bytes: 1000 }));
        assert_eq!(transfer.poll_ask(2, BURST), None);
        let first = data(0, 0, 1000, true);
        assert_eq!(transfer.check_solicited(&first, 0), Ok(()));
        transfer.handle_data(&first, BURST);
        assert_eq!(transfer.poll_ask(2, BURST), Some(Ask { r2t_sn: Sn(2), offset: 2000, bytes: 500 }));
    }

    #[test]
    fn sequences_are_numbered_from_zero_each() {
        let mut transfer = wanting(1500, 1500, Follows::Nothing);
        assert!(transfer.poll_ask(2, BURST).is_some() && transfer.poll_ask(2, BURST).is_some());
        for (pdu, r2t) in
            [(data(0, 0, 600, false), 0), (data(1, 600, 400, true), 0), (data(0, 1000, 500, true), 1)]
        {
            assert_eq!(transfer.check_solicited(&pdu, r2t), Ok(()));
            transfer.handle_data(&pdu, BURST);
        }
        assert_eq!(transfer.complete().map(|w| w.bytes), Some(1500));
    }

    #[test]
    fn a_wrong_number_or_offset_breaks_the_sequence() {
        let mut transfer = wanting(1000, 1000, Follows::Nothing);
        assert!(transfer.poll_ask(1, BURST).is_some());
        assert_eq!(transfer.check_solicited(&data(27, 0, 1000, true), 0), Err(Broken::Sequence));
        assert_eq!(transfer.check_solicited(&data(0, 4, 996, true), 0), Err(Broken::Sequence));
        assert_eq!(transfer.check_solicited(&data(0, 0, 1000, true), 1), Err(Broken::Sequence));
        assert_eq!(transfer.check_solicited(&data(0, 0, 1001, true), 0), Err(Broken::Field));
        assert_eq!(transfer.check_solicited(&data(0, 0, 500, true), 0), Err(Broken::Amount));
        assert_eq!(transfer.check_solicited(&data(0, 0, 1000, false), 0), Err(Broken::Amount));
    }

    #[test]
    fn unsolicited_data_must_fill_the_first_burst() {
        let transfer = wanting(2000, 2000, Follows::Unsolicited(800));
        assert_eq!(transfer.check_unsolicited(&data(0, 0, 800, true)), Ok(()));
        assert_eq!(transfer.check_unsolicited(&data(0, 0, 700, true)), Err(Broken::Amount));
        assert_eq!(transfer.check_unsolicited(&data(0, 0, 900, true)), Err(Broken::Amount));
    }

    #[test]
    fn nothing_is_asked_for_while_unsolicited_data_comes() {
        let mut transfer = wanting(2000, 2000, Follows::Unsolicited(800));
        assert_eq!(transfer.poll_ask(1, BURST), None);
        transfer.handle_data(&data(0, 0, 800, true), BURST);
        assert_eq!(transfer.poll_ask(1, BURST), Some(Ask { r2t_sn: Sn(0), offset: 800, bytes: 1000 }));
    }

    #[test]
    fn unsolicited_data_that_nobody_announced_is_unexpected() {
        let transfer = wanting(100, 100, Follows::Nothing);
        assert_eq!(transfer.check_unsolicited(&data(0, 0, 100, true)), Err(Broken::Unexpected));
    }

    #[test]
    fn less_may_be_wanted_than_comes_unasked() {
        let mut transfer = wanting(1000, 10, Follows::Unsolicited(1000));
        assert!(transfer.complete().is_none());
        transfer.handle_data(&data(0, 0, 1000, true), BURST);
        assert_eq!(transfer.complete().map(|w| w.bytes), Some(10));
    }
}
