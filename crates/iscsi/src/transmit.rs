//! What is to be sent: PDUs in their order, turned into segments that one gathered send can take.
//!
//! A [`Job`] is a PDU or a whole read's data with its status; [`Outbox::send`] numbers and encodes it at once, or, when
//! much is waiting already, when there is room again. Headers, sense data and digests lie in one compact ring, data stays
//! in its buffer; neighbours in the ring become one slice.
//!
//! Invariants: PDUs leave in the order of [`Outbox::send`]; StatSN is taken when a PDU is encoded, so statuses are
//! numbered in the order of the wire; every buffer goes back to the pool once its last byte is sent, or in
//! [`Outbox::handle_closed`].

use crate::digest::{Digest, Digests, crc32c_of, header_digest};
use crate::pdu::{Response, ScsiDataIn, ScsiResponse, Sn, TaskTag, padding_bytes};
use crate::window::StatusNumbers;
use felio_hal::port::SenseData;
use felio_hal::{Buf, Pool};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Something to be sent.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its header; numbers and lengths are filled in when it is encoded.
    pub(crate) pdu: Response,
    /// What follows the header.
    pub(crate) payload: Payload,
}

/// What follows a header.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Nothing.
    None,
    /// Sense data, with its length before it.
    Sense(SenseData),
    /// Text, or a refused header.
    Bytes(Vec<u8>),
    /// The first bytes of a buffer, in one PDU.
    Buf(Buf, u32),
    /// Data-In: the first bytes of a buffer, in as many PDUs as it takes, and then the response whose header this is.
    DataIn(Buf, u32, Option<SenseData>),
}

/// How much goes into one PDU, and how it is protected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framing {
    /// Digests in force.
    pub(crate) digests: Digests,
    /// The initiator's MaxRecvDataSegmentLength.
    pub(crate) segment_bytes_max: u32,
    /// MaxBurstLength.
    pub(crate) burst_bytes_max: u32,
}

/// The output queue of a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Headers, digests, padding, sense data: what has no buffer of its own.
    ring: VecDeque<u8>,
    segments: VecDeque<Segment>,
    bufs: Vec<Option<Buf>>,
    free: Vec<usize>,
    reading: Option<Reading>,
    jobs: VecDeque<Job>,
    framing: Framing,
    numbers: Numbers,
    /// Bytes of all buffers that are here.
    data_bytes: usize,
}

/// The numbers that each PDU carries.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    status: StatusNumbers,
    exp_cmd_sn: Sn,
    max_cmd_sn: Sn,
}

#[derive(Debug, Clone, Copy)]
enum Segment {
    /// The next bytes of the ring.
    Ring(usize),
    /// Part of a buffer, and whether it is the last that is sent of it.
    Data { buf: usize, start: usize, bytes: usize, last: bool },
}

/// A read whose Data-In PDUs are being encoded.
#[derive(Debug)]
struct Reading {
    buf: usize,
    bytes: u32,
    sent: u32,
    data_sn: Sn,
    response: ScsiResponse,
    sense: Option<SenseData>,
}

impl Outbox {
    /// Nothing to send.
    pub(crate) fn new(framing: Framing) -> Self {
        let numbers = Numbers { status: StatusNumbers::new(Sn(0)), exp_cmd_sn: Sn(0), max_cmd_sn: Sn(0) };
        Self {
            ring: VecDeque::new(),
            segments: VecDeque::new(),
            bufs: Vec::new(),
            free: Vec::new(),
            reading: None,
            jobs: VecDeque::new(),
            framing,
            numbers,
            data_bytes: 0,
        }
    }

    /// Puts something behind all that is waiting.
    pub(crate) fn send(&mut self, job: Job) {
        if let Payload::Buf(buf, _) | Payload::DataIn(buf, _, _) = &job.payload {
            self.data_bytes += buf.capacity();
        }
        if self.jobs.is_empty() && self.reading.is_none() && self.has_room() {
            self.encode(job);
        } else {
            self.jobs.push_back(job);
        }
        self.encode_waiting();
    }

    /// The first `count` bytes of [`Outbox::output`] have been sent.
    pub(crate) fn handle_sent(&mut self, mut count: usize, pool: &mut Pool) {
        while count > 0 {
            let Some(segment) = self.segments.front_mut() else { break };
            match segment {
                Segment::Ring(bytes) => {
                    let taken = count.min(*bytes);
                    self.ring.drain(..taken);
                    *bytes -= taken;
                    count -= taken;
                    if *bytes > 0 {
                        break;
                    }
                }
                Segment::Data { buf, start, bytes, last } => {
                    let taken = count.min(*bytes);
                    *start += taken;
                    *bytes -= taken;
                    count -= taken;
                    if *bytes > 0 {
                        break;
                    }
                    if *last {
                        let buf = *buf;
                        self.give(buf, pool);
                    }
                }
            }
            self.segments.pop_front();
        }
        assert_eq!(count, 0, "more was sent than there was");
        if self.segments.is_empty() {
            // Back to its start, so that the next turn's output is one piece.
            self.ring.clear();
        }
        self.encode_waiting();
    }

    /// Gives everything up.
    pub(crate) fn handle_closed(&mut self, pool: &mut Pool) {
        self.ring.clear();
        self.segments.clear();
        self.free.clear();
        self.reading = None;
        self.data_bytes = 0;
        self.bufs.drain(..).flatten().for_each(|buf| pool.give(buf));
        for job in self.jobs.drain(..) {
            if let Payload::Buf(buf, _) | Payload::DataIn(buf, _, _) = job.payload {
                pool.give(buf);
            }
        }
    }

    /// Nothing happens: memory that bursts left behind can go.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.ring.shrink_to_fit();
            self.segments.shrink_to_fit();
            self.jobs.shrink_to_fit();
            (self.bufs, self.free) = (Vec::new(), Vec::new());
        }
    }

    /// What PDUs say from now on about the command window.
    pub(crate) fn set_window(&mut self, expected: Sn, maximum: Sn) {
        self.numbers.exp_cmd_sn = expected;
        self.numbers.max_cmd_sn = maximum;
    }

    /// How PDUs are cut and protected from now on.
    pub(crate) fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// Login is over: the next status has this number.
    pub(crate) fn set_status(&mut self, next: Sn) {
        self.numbers.status = StatusNumbers::new(next);
    }

    /// The initiator says which status it expects next.
    pub(crate) fn handle_expected_status(&mut self, expected: Sn) {
        self.numbers.status.handle_expected(expected);
    }

    /// Appends what is to be sent, `budget` bytes at the most.
    pub(crate) fn output<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, mut budget: usize) {
        let (front, back) = self.ring.as_slices();
        let mut at = 0;
        for segment in &self.segments {
            if budget == 0 {
                return;
            }
            match *segment {
                Segment::Ring(bytes) => {
                    let shown = bytes.min(budget);
                    let in_front = front.len().saturating_sub(at).min(shown);
                    push(slices, front.get(at..at + in_front).unwrap_or_default());
                    let from = (at + in_front).saturating_sub(front.len());
                    push(slices, &back[from..from + (shown - in_front)]);
                    at += bytes;
                    budget -= shown;
                }
                Segment::Data { buf, start, bytes, .. } => {
                    let shown = bytes.min(budget);
                    push(slices, &self.bytes_of(buf)[start..start + shown]);
                    budget -= shown;
                }
            }
        }
    }

    /// Whether everything is sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.jobs.is_empty()
    }

    /// Whether so much waits that no further request should be taken.
    pub(crate) fn is_congested(&self) -> bool {
        self.jobs.len() >= WAITING_MAX || self.data_bytes >= DATA_BYTES_HIGH
    }

    /// Bytes of all buffers that wait to be sent.
    pub(crate) const fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Framing in force.
    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// Statuses that were sent and not confirmed.
    pub(crate) const fn unacknowledged(&self) -> u32 {
        self.numbers.status.unacknowledged()
    }

    fn has_room(&self) -> bool {
        self.segments.len() < SEGMENTS_MAX && self.ring.len() < RING_BYTES_MAX
    }

    fn encode_waiting(&mut self) {
        while self.has_room() {
            if self.reading.is_some() {
                self.encode_data_in();
            } else if let Some(job) = self.jobs.pop_front() {
                self.encode(job);
            } else {
                return;
            }
        }
    }

    fn encode(&mut self, job: Job) {
        match (job.payload, job.pdu) {
            (Payload::DataIn(buf, bytes, sense), Response::ScsiResponse(response)) => {
                let buf = self.keep(buf);
                self.reading = Some(Reading { buf, bytes, sent: 0, data_sn: Sn(0), response, sense });
                self.encode_data_in();
            }
            (Payload::DataIn(..), _) => unreachable!("Data-In ends with a SCSI response"),
            (Payload::None, pdu) => self.encode_short(pdu, &[]),
            (Payload::Sense(sense), pdu) => self.encode_sense(pdu, &sense),
            (Payload::Bytes(bytes), pdu) => self.encode_short(pdu, &[&bytes]),
            (Payload::Buf(buf, bytes), pdu) => {
                let buf = self.keep(buf);
                self.encode_header(pdu, bytes);
                self.encode_data(buf, 0, to_usize(bytes), Whole::Last);
            }
        }
    }

    //= RFC 7143 "Data Segment - Sense and Response Data Segment": SenseLength, then the sense data
    fn encode_sense(&mut self, pdu: Response, sense: &SenseData) {
        let length = u16::try_from(sense.bytes().len()).unwrap_or(0);
        self.encode_short(pdu, &[&length.to_be_bytes(), sense.bytes()]);
    }

    /// The next Data-In PDU of the read at hand, and its end if that was the last.
    //= RFC 7143 "SCSI Data-Out and SCSI Data-In"
    fn encode_data_in(&mut self) {
        let Some(mut reading) = self.reading.take() else { return };
        let burst = self.framing.burst_bytes_max.max(1);
        let to_burst_end = burst - reading.sent % burst;
        let bytes =
            (reading.bytes - reading.sent).min(self.framing.segment_bytes_max.max(1)).min(to_burst_end);
        let last = reading.sent + bytes == reading.bytes;
        // A status other than GOOD, and sense data, need a response of their own.
        let collapsed = last && reading.response.status == 0 && reading.sense.is_none();
        let pdu = ScsiDataIn {
            final_pdu: last || bytes == to_burst_end,
            acknowledge: false,
            overflow: collapsed && reading.response.overflow,
            underflow: collapsed && reading.response.underflow,
            status_present: collapsed,
            status: 0,
            data_segment_bytes: bytes,
            lun: 0,
            initiator_task_tag: reading.response.initiator_task_tag,
            target_transfer_tag: TaskTag::RESERVED,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
            data_sn: reading.data_sn.take(),
            buffer_offset: reading.sent,
            residual_bytes: if collapsed { reading.response.residual_bytes } else { 0 },
        };
        self.encode_header(pdu.into(), bytes);
        let end = if last { Whole::Last } else { Whole::More };
        self.encode_data(reading.buf, to_usize(reading.sent), to_usize(bytes), end);
        reading.sent += bytes;
        if !last {
            self.reading = Some(reading);
        } else if !collapsed {
            let response = ScsiResponse { exp_data_sn: reading.data_sn, ..reading.response };
            match reading.sense {
                Some(sense) => self.encode_sense(response.into(), &sense),
                None => self.encode_short(response.into(), &[]),
            }
        }
    }

    /// A PDU whose data lies in the ring.
    fn encode_short(&mut self, pdu: Response, data: &[&[u8]]) {
        let bytes = data.iter().map(|piece| piece.len()).sum();
        self.encode_header(pdu, u32::try_from(bytes).unwrap_or(0));
        if bytes == 0 {
            return;
        }
        for piece in data {
            self.encode_ring(piece);
        }
        let padding = &PADDING[..padding_bytes(bytes)];
        self.encode_ring(padding);
        if self.framing.digests.data == Digest::Crc32c {
            let digest = crc32c_of(data.iter().copied().chain([padding]));
            self.encode_ring(&digest);
        }
    }

    fn encode_header(&mut self, mut pdu: Response, data_bytes: u32) {
        self.numbers.stamp(&mut pdu, data_bytes);
        let header = pdu.emit();
        self.encode_ring(&header);
        if self.framing.digests.header == Digest::Crc32c {
            self.encode_ring(&header_digest(&header, &[]));
        }
    }

    fn encode_data(&mut self, buf: usize, start: usize, bytes: usize, whole: Whole) {
        self.segments.push_back(Segment::Data { buf, start, bytes, last: whole == Whole::Last });
        let padding = &PADDING[..padding_bytes(bytes)];
        self.encode_ring(padding);
        if self.framing.digests.data == Digest::Crc32c && bytes > 0 {
            let digest = crc32c_of([&self.bytes_of(buf)[start..start + bytes], padding]);
            self.encode_ring(&digest);
        }
    }

    fn encode_ring(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.ring.extend(bytes);
        match self.segments.back_mut() {
            Some(Segment::Ring(length)) => *length += bytes.len(),
            _ => self.segments.push_back(Segment::Ring(bytes.len())),
        }
    }

    fn keep(&mut self, buf: Buf) -> usize {
        match self.free.pop() {
            Some(at) => {
                self.bufs[at] = Some(buf);
                at
            }
            None => {
                self.bufs.push(Some(buf));
                self.bufs.len() - 1
            }
        }
    }

    fn give(&mut self, at: usize, pool: &mut Pool) {
        if let Some(buf) = self.bufs[at].take() {
            self.data_bytes -= buf.capacity();
            pool.give(buf);
            self.free.push(at);
        }
    }

    fn bytes_of(&self, at: usize) -> &[u8] {
        self.bufs[at].as_deref().expect("a segment's buffer is kept until it is sent")
    }
}

impl Numbers {
    /// Fills in the numbers. Which PDUs use up a StatSN is the standard's business, PDU by PDU.
    //= RFC 7143 "Response/Status Numbering and Acknowledging"
    fn stamp(&mut self, pdu: &mut Response, data_bytes: u32) {
        let Self { status, exp_cmd_sn: exp, max_cmd_sn: max } = self;
        macro_rules! numbers {
            ($pdu:ident, $stat_sn:expr) => {{
                $pdu.stat_sn = $stat_sn;
                $pdu.exp_cmd_sn = *exp;
                $pdu.max_cmd_sn = *max;
            }};
            ($pdu:ident, $stat_sn:expr, data) => {{
                numbers!($pdu, $stat_sn);
                $pdu.data_segment_bytes = data_bytes;
            }};
        }
        match pdu {
            // A ping of ours, and an R2T, tell the next number without using it up.
            Response::NopIn(p) if p.initiator_task_tag.is_reserved() => numbers!(p, status.next(), data),
            Response::R2t(p) => numbers!(p, status.next()),
            Response::ScsiDataIn(p) if !p.status_present => numbers!(p, Sn(0), data),
            Response::ScsiDataIn(p) => numbers!(p, status.take(), data),
            Response::NopIn(p) => numbers!(p, status.take(), data),
            Response::ScsiResponse(p) => numbers!(p, status.take(), data),
            Response::TaskManagementResponse(p) => numbers!(p, status.take()),
            // Login numbers its own: before it there is no window, and its first StatSN is the initiator's wish.
            Response::LoginResponse(_) => {}
            Response::TextResponse(p) => numbers!(p, status.take(), data),
            Response::LogoutResponse(p) => numbers!(p, status.take()),
            Response::AsyncMessage(p) => numbers!(p, status.take(), data),
            Response::Reject(p) => numbers!(p, status.take(), data),
        }
    }
}

/// Whether a segment is the last of its buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Last,
    More,
}

fn push<'a>(slices: &mut Vec<IoSlice<'a>>, bytes: &'a [u8]) {
    if !bytes.is_empty() {
        slices.push(IoSlice::new(bytes));
    }
}

pub(crate) fn to_usize(bytes: u32) -> usize {
    usize::try_from(bytes).expect("a pointer has 32 bits or more")
}

const PADDING: [u8; 3] = [0; 3];
/// Segments that are encoded ahead. More would only make headers wait in memory.
const SEGMENTS_MAX: usize = 1024;
/// Bytes of the ring that are encoded ahead.
const RING_BYTES_MAX: usize = 256 << 10;
/// Bytes of buffers that may wait before we stop taking requests: only pings with data come so far.
const DATA_BYTES_HIGH: usize = 32 << 20;
/// Jobs that may wait behind these before we stop taking requests.
const WAITING_MAX: usize = 256;
