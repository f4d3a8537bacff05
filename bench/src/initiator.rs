//! The load: sessions × queue depth from one thread, batched so that it is never what is measured.
//!
//! One `read` and one gathered `write` a session and turn. Read payload lands in one warm buffer a session and is passed
//! over unless it is verified; write payload always comes from the same place. Windows, R2T, residuals, status and
//! digests are honoured; anything but GOOD ends the run with the sense.

use std::{
    os::fd::AsFd,
    process,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    connection::{Address, Capacity, Connection, Digests, Refused, SEGMENT_BYTES, nop_answer},
    pdu::{Cdb, Direction, HEADER_BYTES, Header, NO_TAG, digest, field, flag, opcode, serial_le},
    stream::{Flushed, Inbox, Outbox},
    sys,
};

/// Sessions that do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) sessions: usize,
    pub(crate) depth: usize,
    pub(crate) bytes: u32,
    pub(crate) direction: Direction,
    pub(crate) order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Random,
    /// From the first block to the last, and then no more.
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// epoll: the core is free for others.
    Sleep,
    /// Busy polling: the initiator's own wake-up is not part of the latency.
    Spin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Ignored,
    /// Each 512 bytes carry their own address; a difference is an error.
    Stamped,
}

pub(crate) struct Load<'a> {
    pub(crate) groups: &'a [Group],
    pub(crate) waiting: Waiting,
    pub(crate) payload: Payload,
    /// Only the first so many bytes of the unit are used.
    pub(crate) span: u64,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// What one group did while it was measured.
pub(crate) struct Tally {
    pub(crate) commands: u64,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Over the same window, all groups.
    pub(crate) cpu: Cpu,
    pub(crate) latency: Histogram<u64>,
}

/// Processor time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) target: Duration,
    pub(crate) initiator: Duration,
}

impl Cpu {
    /// `target`: the process to ask for, where there is one.
    pub(crate) fn now(target: Option<u32>) -> Result<Self> {
        let target = target.map_or(Ok(Duration::ZERO), sys::cpu_time)?;
        Ok(Self { target, initiator: sys::cpu_time(process::id())? })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            target: self.target.saturating_sub(before.target),
            initiator: self.initiator.saturating_sub(before.initiator),
        }
    }
}

/// The sequence of phases is fixed; each ends at an instant or with the last command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Drain,
}

const STALL_MAX: Duration = Duration::from_secs(10);
/// A session that is read in large gulps keeps the thread from the others.
const INBOX_BYTES: usize = 256 << 10;
const INBOX_BYTES_SHARED: usize = 64 << 10;
const STAMP_BYTES: usize = 512;
/// Bytes of one gathered send.
const SEND_BUDGET: usize = 4 << 20;

/// Logs in, loads, measures, logs out. `pid` is the target's process, for its processor time.
pub(crate) fn run(
    address: &Address,
    load: &Load<'_>,
    pid: Option<u32>,
    stop: &AtomicBool,
) -> Result<Vec<Tally>> {
    let payload = payload(load);
    let mut sessions = Vec::new();
    for (index, group) in load.groups.iter().enumerate() {
        for _ in 0..group.sessions {
            sessions.push(Session::open(address, load, index, *group, &payload, sys::short(sessions.len()))?);
        }
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (session, data) in sessions.iter().zip(0..) {
        let data = epoll::EventData::new_u64(data);
        epoll::add(&epoll, &session.link.stream, data, epoll::EventFlags::IN)?;
    }
    let tallies = load.groups.iter().map(|_| Tally::new()).collect();
    let mut run = Run { load, sessions, epoll, tallies, phase: Phase::WarmUp };
    run.drive(pid, stop)?;
    for session in run.sessions {
        session.link.stream.set_nonblocking(false)?;
        session.link.close();
    }
    Ok(run.tallies)
}

impl Tally {
    fn new() -> Self {
        let latency =
            Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds and digits are in range");
        Self { commands: 0, bytes: 0, elapsed: Duration::ZERO, cpu: Cpu::default(), latency }
    }
}

struct Run<'a> {
    load: &'a Load<'a>,
    sessions: Vec<Session<'a>>,
    epoll: rustix::fd::OwnedFd,
    tallies: Vec<Tally>,
    phase: Phase,
}

impl Run<'_> {
    fn drive(&mut self, pid: Option<u32>, stop: &AtomicBool) -> Result<()> {
        let begin = Instant::now();
        let (mut measured_from, mut cpu_from) = (begin, Cpu::default());
        let mut last_progress = begin;
        let mut ready = Vec::with_capacity(self.sessions.len());
        (0..self.sessions.len()).try_for_each(|index| self.turn(index).map(|_| ()))?;
        loop {
            self.wait(&mut ready)?;
            for &index in &ready {
                if self.turn(index)? {
                    last_progress = Instant::now();
                }
            }
            let now = Instant::now();
            let idle = self.sessions.iter().all(Session::is_idle);
            match self.phase {
                Phase::WarmUp if now >= begin + self.load.warm_up => {
                    (measured_from, cpu_from) = (now, Cpu::now(pid)?);
                    self.phase = Phase::Measure;
                }
                Phase::Measure if idle || now >= measured_from + self.load.duration => {
                    let cpu = Cpu::now(pid)?.since(cpu_from);
                    for tally in &mut self.tallies {
                        (tally.elapsed, tally.cpu) = (now - measured_from, cpu);
                    }
                    self.phase = Phase::Drain;
                }
                Phase::Drain if idle => return Ok(()),
                _ => {}
            }
            ensure!(now - last_progress < STALL_MAX, "the target has not answered for {STALL_MAX:?}");
            ensure!(!stop.load(Ordering::Relaxed), "interrupted");
        }
    }

    /// The sessions to look at, first groups first.
    fn wait(&self, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        if self.load.waiting == Waiting::Spin || self.phase == Phase::Drain {
            ready.extend(0..self.sessions.len());
            return Ok(());
        }
        let mut events = Vec::with_capacity(self.sessions.len());
        let timeout = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        ready.extend(events.iter().map(|event| sys::place(event.data.u64())));
        ready.sort_unstable();
        Ok(())
    }

    /// Returns whether anything arrived.
    fn turn(&mut self, index: usize) -> Result<bool> {
        let session = &mut self.sessions[index];
        let tally = (self.phase == Phase::Measure).then(|| &mut self.tallies[session.group]);
        let progress = session.receive(tally).with_context(|| format!("session {index}"))?;
        if self.phase != Phase::Drain {
            session.issue();
        }
        let flushed = session.outbox.flush(&session.link.stream, session.payload, SEND_BUDGET)?;
        if session.blocked != flushed {
            session.blocked = flushed;
            let events = match flushed {
                Flushed::All => epoll::EventFlags::IN,
                Flushed::Some => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            };
            let data = epoll::EventData::new_u64(sys::wide(index));
            epoll::modify(&self.epoll, session.link.stream.as_fd(), data, events)?;
        }
        Ok(progress)
    }
}

/// A command under way.
#[derive(Clone, Copy)]
struct Slot {
    sent: Instant,
    lba: u64,
    /// Read payload still to come.
    missing: usize,
}

struct Session<'a> {
    link: Connection,
    inbox: Inbox,
    outbox: Outbox,
    blocked: Flushed,
    group: usize,
    spec: Group,
    payload: &'a [u8],
    stamped: Payload,
    capacity: Capacity,
    /// Extents of `spec.bytes` that fit the span.
    extents: u64,
    next: u64,
    random: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Bytes of the current Data-In still to be passed over, and the command that they complete.
    skip: usize,
    completes: Option<u32>,
}

impl<'a> Session<'a> {
    fn open(
        address: &Address,
        load: &Load<'_>,
        group: usize,
        spec: Group,
        payload: &'a [u8],
        seed: u32,
    ) -> Result<Self> {
        let mut link = Connection::open(address)?;
        let capacity = link.capacity()?;
        ensure!(spec.bytes.is_multiple_of(capacity.block_bytes), "blocks of {} bytes", capacity.block_bytes);
        let bytes = (capacity.blocks * u64::from(capacity.block_bytes)).min(load.span);
        let extents = bytes / u64::from(spec.bytes);
        ensure!(extents > 0, "the unit is smaller than {} bytes", spec.bytes);
        link.stream.set_nonblocking(true)?;
        let inbox_bytes = match (load.payload, address.digests) {
            (Payload::Ignored, Digests::None) if load.groups.len() > 1 => INBOX_BYTES_SHARED,
            (Payload::Ignored, Digests::None) => INBOX_BYTES,
            _ => 4 * SEGMENT_BYTES,
        };
        let idle = Slot { sent: Instant::now(), lba: 0, missing: 0 };
        Ok(Self {
            link,
            inbox: Inbox::new(inbox_bytes),
            outbox: Outbox::new(),
            blocked: Flushed::All,
            group,
            spec,
            payload,
            stamped: load.payload,
            capacity,
            extents,
            next: 0,
            random: 0x9e37_79b9_7f4a_7c15 ^ u64::from(seed + 1) << 17,
            slots: vec![idle; spec.depth],
            free: (0..sys::short(spec.depth)).rev().collect(),
            skip: 0,
            completes: None,
        })
    }

    fn is_idle(&self) -> bool {
        self.free.len() == self.slots.len() && self.outbox.is_empty()
    }

    /// Fills the queue as far as depth and window allow.
    fn issue(&mut self) {
        let sent = Instant::now();
        while !self.free.is_empty() && serial_le(self.link.cmd_sn, self.link.max_cmd_sn) {
            let Some(extent) = self.pick() else { return };
            let blocks = self.spec.bytes / self.capacity.block_bytes;
            let lba = extent * u64::from(blocks);
            let Some(tag) = self.free.pop() else { return };
            let missing =
                if self.spec.direction == Direction::Read { sys::index(self.spec.bytes) } else { 0 };
            self.slots[sys::index(tag)] = Slot { sent, lba, missing };
            let header = Header::new(opcode::COMMAND, flag::SIMPLE)
                .with_octet(field::LUN, self.link.lun)
                .with(field::ITT, tag)
                .with(field::EXPECTED_LENGTH, self.spec.bytes)
                .with(field::CMD_SN, self.link.cmd_sn)
                .with_cdb(Cdb::transfer(self.spec.direction, lba, blocks));
            self.link.cmd_sn = self.link.cmd_sn.wrapping_add(1);
            match self.spec.direction {
                Direction::Read => self.send(flagged(header, flag::FINAL | flag::READ), tag, 0, 0),
                Direction::Write => self.send_write(header, tag),
            }
        }
    }

    fn pick(&mut self) -> Option<u64> {
        match self.spec.order {
            Order::Random => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                Some((self.random >> 11) % self.extents)
            }
            Order::Once => {
                let extent = self.next;
                self.next += 1;
                (extent < self.extents).then_some(extent)
            }
        }
    }

    /// The command with its immediate data, then what FirstBurstLength lets go unasked.
    //= RFC 7143 "Unsolicited Data"
    fn send_write(&mut self, header: Header, tag: u32) {
        let agreed = &self.link.agreed;
        let bytes = sys::index(self.spec.bytes);
        let unasked = bytes.min(agreed.first_burst);
        let immediate = if agreed.immediate_data { unasked.min(agreed.segment) } else { 0 };
        let follows = !agreed.initial_r2t && immediate < unasked;
        let last = if follows { 0 } else { flag::FINAL };
        self.send(flagged(header, last | flag::WRITE), tag, 0, immediate);
        if follows {
            self.send_data(tag, NO_TAG, immediate, unasked - immediate);
        }
    }

    /// A sequence of Data-Out PDUs.
    //= RFC 7143 "SCSI Data-Out"
    fn send_data(&mut self, tag: u32, transfer_tag: u32, start: usize, bytes: usize) {
        let segment = self.link.agreed.segment;
        for (data_sn, at) in (0..).zip((0..bytes).step_by(segment)) {
            let part = segment.min(bytes - at);
            let last = if at + part == bytes { flag::FINAL } else { 0 };
            let header = Header::new(opcode::DATA_OUT, last)
                .with_octet(field::LUN, self.link.lun)
                .with(field::ITT, tag)
                .with(field::TTT, transfer_tag)
                .with(field::DATA_SN, data_sn)
                .with(field::BUFFER_OFFSET, sys::short(start + at));
            self.send(header, tag, start + at, part);
        }
    }

    /// Queues a PDU with `bytes` of the command's payload from `offset` on.
    fn send(&mut self, header: Header, tag: u32, offset: usize, bytes: usize) {
        let header = header.with(field::EXP_STAT_SN, self.link.exp_stat_sn).with_data(sys::short(bytes));
        self.outbox.push(&header);
        if self.link.agreed.header_digest {
            self.outbox.push_bytes(&digest(&header.0));
        }
        if bytes > 0 {
            let start = offset
                + match self.stamped {
                    Payload::Ignored => 0,
                    Payload::Stamped => self.place(self.slots[sys::index(tag)].lba),
                };
            self.outbox.push_payload(start..start + bytes);
            if self.link.agreed.data_digest {
                self.outbox.push_bytes(&digest(&self.payload[start..start + bytes]));
            }
        }
    }

    fn place(&self, lba: u64) -> usize {
        sys::place(lba) * sys::index(self.capacity.block_bytes)
    }

    /// Reads once and handles every PDU that is there. Returns whether anything was.
    fn receive(&mut self, mut tally: Option<&mut Tally>) -> Result<bool> {
        if self.inbox.fill(&self.link.stream)?.is_none() {
            return Ok(false);
        }
        let now = Instant::now();
        let header_digest = if self.link.agreed.header_digest { 4 } else { 0 };
        loop {
            let passed = self.skip.min(self.inbox.bytes().len());
            self.inbox.consume(passed);
            self.skip -= passed;
            if self.skip > 0 {
                return Ok(true);
            }
            if let Some(tag) = self.completes.take() {
                self.complete(tag, now, tally.as_deref_mut())?;
            }
            let Some(header) = Header::parse(self.inbox.bytes()) else { return Ok(true) };
            let data_digest = if self.link.agreed.data_digest && header.data_bytes() > 0 { 4 } else { 0 };
            let start = HEADER_BYTES + header.extra_bytes() + header_digest;
            let bytes = start + header.padded_bytes() + data_digest;
            let is_whole = self.inbox.bytes().len() >= bytes;
            let looks_inside =
                header.opcode() != opcode::DATA_IN || self.stamped == Payload::Stamped || header_digest > 0;
            if looks_inside && !is_whole {
                return Ok(true);
            }
            if looks_inside {
                self.check_digests(&header, start)?;
            }
            self.handle(&header, start, now, tally.as_deref_mut())?;
            self.skip = bytes;
        }
    }

    fn check_digests(&self, header: &Header, start: usize) -> Result<()> {
        let bytes = self.inbox.bytes();
        if self.link.agreed.header_digest {
            ensure!(digest(&bytes[..start - 4]) == bytes[start - 4..start], "header digest");
        }
        if self.link.agreed.data_digest && header.data_bytes() > 0 {
            let end = start + header.padded_bytes();
            ensure!(digest(&bytes[start..end]) == bytes[end..end + 4], "data digest");
        }
        Ok(())
    }

    /// `start`: where the data segment begins in the inbox.
    fn handle(
        &mut self,
        header: &Header,
        start: usize,
        now: Instant,
        tally: Option<&mut Tally>,
    ) -> Result<()> {
        self.link.advance(header);
        let tag = header.get(field::ITT);
        match header.opcode() {
            opcode::DATA_IN => {
                self.check_stamps(header, start)?;
                let slot = self.slot(tag)?;
                slot.missing =
                    slot.missing.checked_sub(header.data_bytes()).context("more data than asked for")?;
                if header.has(flag::HAS_STATUS) {
                    Refused::check(header, &[])?;
                    self.completes = Some(tag);
                }
            }
            opcode::RESPONSE => {
                Refused::check(header, &self.inbox.bytes()[start..start + header.data_bytes()])?;
                self.complete(tag, now, tally)?;
            }
            opcode::R2T => {
                let offset = sys::index(header.get(field::BUFFER_OFFSET));
                let bytes = sys::index(header.get(field::DESIRED_LENGTH));
                self.slot(tag)?;
                ensure!(offset + bytes <= sys::index(self.spec.bytes), "R2T beyond the end of the data");
                ensure!(bytes <= self.link.agreed.max_burst, "R2T for more than MaxBurstLength");
                self.send_data(tag, header.get(field::TTT), offset, bytes);
            }
            opcode::NOP_IN if header.get(field::TTT) == NO_TAG => {}
            opcode::NOP_IN => self.send(nop_answer(header, self.link.cmd_sn), NO_TAG, 0, 0),
            other => {
                bail!("the target sent opcode {other:#04x}, byte 2 {:#04x}", header.octet(field::RESPONSE))
            }
        }
        Ok(())
    }

    fn slot(&mut self, tag: u32) -> Result<&mut Slot> {
        self.slots.get_mut(sys::index(tag)).with_context(|| format!("no command has the tag {tag:#x}"))
    }

    fn check_stamps(&self, header: &Header, start: usize) -> Result<()> {
        if self.stamped == Payload::Ignored {
            return Ok(());
        }
        let slot = self.slots.get(sys::index(header.get(field::ITT))).context("tag")?;
        let data = &self.inbox.bytes()[start..start + header.data_bytes()];
        let at = self.place(slot.lba) + sys::index(header.get(field::BUFFER_OFFSET));
        ensure!(*data == self.payload[at..at + data.len()], "wrong data at byte {at} of the unit");
        Ok(())
    }

    fn complete(&mut self, tag: u32, now: Instant, tally: Option<&mut Tally>) -> Result<()> {
        let slot = *self.slot(tag)?;
        ensure!(slot.missing == 0, "GOOD, but {} bytes were not sent", slot.missing);
        self.free.push(tag);
        if let Some(tally) = tally {
            tally.commands += 1;
            tally.bytes += u64::from(self.spec.bytes);
            tally.latency.saturating_record(sys::nanos(now.saturating_duration_since(slot.sent)));
        }
        Ok(())
    }
}

fn flagged(header: Header, flags: u8) -> Header {
    header.with_octet(field::FLAGS, header.octet(field::FLAGS) | flags)
}

/// Stamped: as long as the span. Otherwise as long as one command, and never zero: zeros may be stored as holes.
fn payload(load: &Load<'_>) -> Vec<u8> {
    let longest = load.groups.iter().map(|group| sys::index(group.bytes)).max().unwrap_or(0);
    let bytes = match load.payload {
        Payload::Ignored => longest,
        Payload::Stamped => sys::place(load.span),
    };
    let mut payload = vec![0x5a; bytes];
    for (stamp, chunk) in (0_u64..).zip(payload.chunks_exact_mut(STAMP_BYTES)) {
        chunk[..8].copy_from_slice(&stamp.to_be_bytes());
    }
    payload
}
