//! The null responder: as little of a target as an initiator accepts. What the sockets allow, and nothing else.
//!
//! It checks nothing and believes every length, so it serves only loopback. Its messages have the sizes of a real
//! target's: immediate data, R2T, Data-In with phase-collapsed status, payload gathered from and received into a memory
//! region as large as the unit. One gathered send a connection and turn.

use std::{
    collections::HashMap,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    pdu::{Direction, HEADER_BYTES, Header, NO_TAG, extent, field, flag, opcode, scsi},
    stream::{Flushed, Inbox, Outbox},
    sys,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Size of the unit
    #[arg(long, default_value = "1G", value_parser = sys::parse_size)]
    size: u64,
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Core to run on
    #[arg(long)]
    core: Option<usize>,
    /// MaxRecvDataSegmentLength to declare
    #[arg(long, default_value = "256k", value_parser = sys::parse_size)]
    segment: u64,
    /// FirstBurstLength to agree to
    #[arg(long, default_value = "256k", value_parser = sys::parse_size)]
    first_burst: u64,
    /// MaxBurstLength to agree to
    #[arg(long, default_value = "1M", value_parser = sys::parse_size)]
    max_burst: u64,
    /// Bytes of one gathered send: small is fair to other connections, large is fast
    #[arg(long, default_value = "4M", value_parser = sys::parse_size)]
    send_budget: u64,
    /// Microseconds to poll after something has happened, before it sleeps
    #[arg(long, default_value_t = 0)]
    spin: u64,
}

pub(crate) const TARGET: &str = "iqn.2026-01.example.felio:null";
const BLOCK_BYTES: u64 = 512;
const INBOX_BYTES: usize = 256 << 10;
/// Payload from here on is received straight into the region; behind it only little is read ahead.
const STRAIGHT_BYTES: usize = 32 << 10;
const READ_AHEAD_BYTES: usize = 4 << 10;
/// MaxCmdSN stands so far above ExpCmdSN.
const WINDOW: u32 = 255;
const LISTENER: u64 = u64::MAX;

/// Serves until `stop`.
pub(crate) fn serve(options: &Options, stop: &AtomicBool) -> Result<()> {
    if let Some(core) = options.core {
        sys::pin(core)?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).context("cannot listen")?;
    listener.set_nonblocking(true)?;
    let mut region = vec![0x5a; sys::place(options.size)];
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let ready = serde_json::json!({"event": "ready", "portals": [listener.local_addr()?.to_string()], "target": TARGET});
    println!("{ready}");
    std::io::stdout().flush()?;

    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = 0;
    let mut events = Vec::with_capacity(256);
    let spin = Duration::from_micros(options.spin);
    let mut spins_until = None;
    while !stop.load(Ordering::Relaxed) {
        events.clear();
        let spins = spins_until.is_some_and(|until| Instant::now() < until);
        let timeout = Timespec { tv_sec: if spins { 0 } else { 1 }, tv_nsec: 0 };
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if !spin.is_zero() && !events.is_empty() {
            spins_until = Some(Instant::now() + spin);
        }
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let Ok((stream, _)) = listener.accept() else { continue };
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll::add(&epoll, &stream, epoll::EventData::new_u64(next), epoll::EventFlags::IN)?;
                connections.insert(next, Connection::new(stream, options));
                next += 1;
                continue;
            }
            let Some(connection) = connections.get_mut(&id) else { continue };
            if let Err(error) = connection.turn(&epoll, id, &mut region) {
                let by_peer = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
                if !matches!(by_peer, Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)) {
                    eprintln!("null responder: {error:#}");
                }
                connections.remove(&id);
            }
        }
    }
    Ok(())
}

/// A WRITE whose data is not all here.
struct WriteTask {
    tag: u32,
    /// Where its data goes in the region.
    start: usize,
    bytes: usize,
    received: usize,
    /// Where the current burst ends.
    burst_end: usize,
    r2ts: u32,
}

/// Payload on its way into the region: everything it needs to end is in the header.
struct Arriving {
    at: usize,
    missing: usize,
    header: Header,
}

struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    outbox: Outbox,
    blocked: Flushed,
    send_budget: usize,
    own_segment: u64,
    own_first_burst: u64,
    own_max_burst: u64,
    /// The initiator's MaxRecvDataSegmentLength.
    segment: usize,
    max_burst: usize,
    first_burst: usize,
    stat_sn: u32,
    exp_cmd_sn: u32,
    writes: Vec<WriteTask>,
    arriving: Option<Arriving>,
    read_ahead: usize,
}

impl Connection {
    fn new(stream: TcpStream, options: &Options) -> Self {
        Self {
            stream,
            inbox: Inbox::new(INBOX_BYTES),
            outbox: Outbox::new(),
            blocked: Flushed::All,
            send_budget: sys::place(options.send_budget),
            own_segment: options.segment,
            own_first_burst: options.first_burst,
            own_max_burst: options.max_burst,
            segment: 8192,
            max_burst: 262_144,
            first_burst: 65_536,
            stat_sn: 1,
            exp_cmd_sn: 1,
            writes: Vec::new(),
            arriving: None,
            read_ahead: INBOX_BYTES,
        }
    }

    fn turn(&mut self, epoll: &rustix::fd::OwnedFd, id: u64, region: &mut [u8]) -> Result<()> {
        // Who does not take its answers gets no more of them.
        if self.blocked == Flushed::All {
            self.receive(region)?;
        }
        let flushed = self.outbox.flush(&self.stream, region, self.send_budget)?;
        if flushed != self.blocked {
            self.blocked = flushed;
            let events = match flushed {
                Flushed::All => epoll::EventFlags::IN,
                Flushed::Some => epoll::EventFlags::OUT,
            };
            epoll::modify(epoll, &self.stream, epoll::EventData::new_u64(id), events)?;
        }
        Ok(())
    }

    fn receive(&mut self, region: &mut [u8]) -> Result<()> {
        match &mut self.arriving {
            Some(arriving) => {
                let into = &mut region[arriving.at..arriving.at + arriving.missing];
                let Some(read) = self.inbox.fill_behind(&self.stream, into, self.read_ahead)? else {
                    return Ok(());
                };
                arriving.at += read;
                arriving.missing -= read;
            }
            None if self.inbox.fill(&self.stream)?.is_none() => return Ok(()),
            None => {}
        }
        loop {
            if let Some(arriving) = &mut self.arriving {
                let part = arriving.missing.min(self.inbox.bytes().len());
                region[arriving.at..arriving.at + part].copy_from_slice(&self.inbox.bytes()[..part]);
                self.inbox.consume(part);
                arriving.at += part;
                arriving.missing -= part;
                if arriving.missing > 0 {
                    return Ok(());
                }
                let header = arriving.header;
                self.arriving = None;
                self.arrived(&header)?;
            }
            let Some(header) = Header::parse(self.inbox.bytes()) else { return Ok(()) };
            let has_text = matches!(header.opcode(), opcode::LOGIN | opcode::NOP_OUT);
            let bytes = HEADER_BYTES + if has_text { header.padded_bytes() } else { 0 };
            if self.inbox.bytes().len() < bytes {
                return Ok(());
            }
            self.handle(&header, region)?;
            self.inbox.consume(bytes);
        }
    }

    fn handle(&mut self, header: &Header, region: &[u8]) -> Result<()> {
        if !header.is_immediate() && header.opcode() != opcode::DATA_OUT {
            self.exp_cmd_sn = header.get(field::CMD_SN).wrapping_add(1);
        }
        match header.opcode() {
            opcode::COMMAND => self.command(header, region),
            opcode::DATA_OUT => {
                let tag = header.get(field::ITT);
                let write =
                    self.writes.iter().find(|write| write.tag == tag).context("Data-Out for no WRITE")?;
                self.expect_payload(header, write.start + sys::index(header.get(field::BUFFER_OFFSET)));
                Ok(())
            }
            opcode::LOGIN => self.log_in(header),
            opcode::LOGOUT => {
                let answer = self.answer(opcode::LOGOUT_RESPONSE, flag::FINAL, header.get(field::ITT));
                self.outbox.push(&answer);
                Ok(())
            }
            opcode::NOP_OUT if header.get(field::ITT) == NO_TAG => Ok(()),
            opcode::NOP_OUT => {
                let answer =
                    self.answer(opcode::NOP_IN, flag::FINAL, header.get(field::ITT)).with(field::TTT, NO_TAG);
                self.outbox.push(&answer);
                Ok(())
            }
            other => bail!("opcode {other:#04x}"),
        }
    }

    fn command(&mut self, header: &Header, region: &[u8]) -> Result<()> {
        let tag = header.get(field::ITT);
        let Some((direction, lba, blocks)) = extent(header.cdb()) else {
            return self.other_command(header, sys::wide(region.len()));
        };
        let start = sys::place(lba * BLOCK_BYTES);
        let bytes = sys::place(u64::from(blocks) * BLOCK_BYTES);
        ensure!(start + bytes <= region.len(), "beyond the last block");
        match direction {
            Direction::Read => self.read(tag, start, bytes),
            Direction::Write => {
                let burst_end =
                    if header.has(flag::FINAL) { header.data_bytes() } else { bytes.min(self.first_burst) };
                self.writes.push(WriteTask { tag, start, bytes, received: 0, burst_end, r2ts: 0 });
                self.expect_payload(header, start);
            }
        }
        Ok(())
    }

    //= RFC 7143 "SCSI Data-In"
    fn read(&mut self, tag: u32, start: usize, bytes: usize) {
        let (segment, burst) = (self.segment, self.max_burst);
        let mut at = 0;
        for data_sn in 0.. {
            let part = segment.min(bytes - at).min(burst - at % burst);
            let is_last = at + part == bytes;
            let ends_burst = is_last || (at + part) % burst == 0;
            let flags = if is_last { flag::FINAL | flag::HAS_STATUS } else { 0 };
            let mut header = if is_last {
                self.answer(opcode::DATA_IN, flags, tag)
            } else {
                self.header(opcode::DATA_IN, if ends_burst { flag::FINAL } else { 0 }, tag)
            };
            header.set(field::TTT, NO_TAG);
            header.set(field::DATA_SN, data_sn);
            header.set(field::BUFFER_OFFSET, sys::short(at));
            self.outbox.push(&header.with_data(sys::short(part)));
            self.outbox.push_payload(start + at..start + at + part);
            at += part;
            if is_last {
                return;
            }
        }
    }

    fn expect_payload(&mut self, header: &Header, at: usize) {
        let missing = header.data_bytes();
        self.read_ahead = if missing >= STRAIGHT_BYTES { READ_AHEAD_BYTES } else { INBOX_BYTES };
        self.arriving = Some(Arriving { at, missing, header: *header });
    }

    /// The payload of a WRITE command or a Data-Out is in its place.
    //= RFC 7143 "Ready To Transfer (R2T)"
    fn arrived(&mut self, header: &Header) -> Result<()> {
        let tag = header.get(field::ITT);
        let at = self.writes.iter().position(|write| write.tag == tag).context("payload for no WRITE")?;
        let write = &mut self.writes[at];
        write.received += header.data_bytes();
        if write.received == write.bytes {
            self.writes.swap_remove(at);
            let answer = self.answer(opcode::RESPONSE, flag::FINAL, tag);
            self.outbox.push(&answer);
        } else if write.received == write.burst_end {
            let (offset, bytes) = (write.received, self.max_burst.min(write.bytes - write.received));
            write.burst_end += bytes;
            let r2t_sn = write.r2ts;
            write.r2ts += 1;
            let r2t = self
                .header(opcode::R2T, flag::FINAL, tag)
                .with(field::TTT, tag & 0xffff)
                .with(field::STAT_SN, self.stat_sn)
                .with(field::DATA_SN, r2t_sn)
                .with(field::BUFFER_OFFSET, sys::short(offset))
                .with(field::DESIRED_LENGTH, sys::short(bytes));
            self.outbox.push(&r2t);
        }
        Ok(())
    }

    fn other_command(&mut self, command: &Header, unit_bytes: u64) -> Result<()> {
        let (tag, cdb) = (command.get(field::ITT), command.cdb());
        let last = unit_bytes / BLOCK_BYTES - 1;
        let block = sys::short(sys::place(BLOCK_BYTES)).to_be_bytes();
        let mut data = vec![0; 36];
        match cdb[0] {
            scsi::TEST_UNIT_READY | scsi::SYNCHRONIZE_CACHE_10 => data.clear(),
            scsi::INQUIRY => data[2..5].copy_from_slice(&[6, 2, 31]),
            scsi::READ_CAPACITY_10 => {
                data.truncate(8);
                data[..4].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_be_bytes());
                data[4..].copy_from_slice(&block);
            }
            scsi::SERVICE_ACTION_IN_16 => {
                data.truncate(32);
                data[..8].copy_from_slice(&last.to_be_bytes());
                data[8..12].copy_from_slice(&block);
            }
            scsi::REPORT_LUNS => {
                data.truncate(16);
                data[3] = 8;
            }
            _ => {
                let answer = self
                    .answer(opcode::RESPONSE, flag::FINAL, tag)
                    .with_octet(field::STATUS, scsi::CHECK_CONDITION)
                    .with_data(20);
                self.outbox.push(&answer);
                // ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE, in fixed format behind its length.
                let mut sense = [0; 20];
                (sense[1], sense[2], sense[4], sense[9], sense[14]) = (18, 0x70, 5, 10, 0x20);
                self.outbox.push_bytes(&sense);
                return Ok(());
            }
        }
        data.truncate(sys::index(command.get(field::EXPECTED_LENGTH)));
        if data.is_empty() {
            let answer = self.answer(opcode::RESPONSE, flag::FINAL, tag);
            self.outbox.push(&answer);
        } else {
            let answer = self.answer(opcode::DATA_IN, flag::FINAL | flag::HAS_STATUS, tag);
            self.outbox.push(&answer.with(field::TTT, NO_TAG).with_data(sys::short(data.len())));
            data.resize(data.len().next_multiple_of(4), 0);
            self.outbox.push_bytes(&data);
        }
        Ok(())
    }

    //= RFC 7143 "Login Response"
    fn log_in(&mut self, request: &Header) -> Result<()> {
        let text = &self.inbox.bytes()[HEADER_BYTES..HEADER_BYTES + request.data_bytes()];
        let text = String::from_utf8_lossy(text).into_owned();
        let mut answer = String::new();
        for (key, value) in text.split('\0').filter_map(|pair| pair.split_once('=')) {
            if let Some(value) = self.negotiate(key, value) {
                answer += &format!("{key}={value}\0");
            }
        }
        self.exp_cmd_sn = request.get(field::CMD_SN);
        let mut header =
            self.answer(opcode::LOGIN_RESPONSE, request.octet(field::FLAGS), request.get(field::ITT));
        // ISID and TSIH: as in the request, and any handle but zero.
        header.0[8..14].copy_from_slice(&request.0[8..14]);
        header.0[15] = 1;
        self.outbox.push(&header.with_data(sys::short(answer.len())));
        let mut answer = answer.into_bytes();
        answer.resize(answer.len().next_multiple_of(4), 0);
        self.outbox.push_bytes(&answer);
        Ok(())
    }

    //= RFC 7143 "Login/Text Operational Text Keys"
    fn negotiate(&mut self, key: &str, value: &str) -> Option<String> {
        let number: u64 = value.parse().unwrap_or(0);
        match key {
            "InitiatorName" | "TargetName" | "SessionType" | "InitiatorAlias" => None,
            "HeaderDigest" | "DataDigest" | "AuthMethod" => Some("None".to_owned()),
            "MaxRecvDataSegmentLength" => {
                self.segment = sys::place(number);
                Some(self.own_segment.to_string())
            }
            "FirstBurstLength" => {
                self.first_burst = sys::place(number.min(self.own_first_burst));
                Some(self.first_burst.to_string())
            }
            "MaxBurstLength" => {
                self.max_burst = sys::place(number.min(self.own_max_burst));
                Some(self.max_burst.to_string())
            }
            "MaxOutstandingR2T" | "MaxConnections" => Some("1".to_owned()),
            "ErrorRecoveryLevel" | "DefaultTime2Retain" => Some("0".to_owned()),
            "InitialR2T"
            | "ImmediateData"
            | "DefaultTime2Wait"
            | "DataPDUInOrder"
            | "DataSequenceInOrder" => Some(value.to_owned()),
            _ => Some("NotUnderstood".to_owned()),
        }
    }

    /// A PDU that carries status: it uses up a StatSN.
    fn answer(&mut self, opcode: u8, flags: u8, tag: u32) -> Header {
        let header = self.header(opcode, flags, tag).with(field::STAT_SN, self.stat_sn);
        self.stat_sn = self.stat_sn.wrapping_add(1);
        header
    }

    fn header(&self, opcode: u8, flags: u8, tag: u32) -> Header {
        Header::new(opcode, flags)
            .with(field::ITT, tag)
            .with(field::EXP_CMD_SN, self.exp_cmd_sn)
            .with(field::MAX_CMD_SN, self.exp_cmd_sn.wrapping_add(WINDOW))
    }
}
