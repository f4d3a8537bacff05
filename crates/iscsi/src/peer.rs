//! The other side: a small initiator without I/O, for tests, fuzzing and simulation.
//!
//! A [`Peer`] logs in, numbers and sends commands, answers R2Ts and pings, and tells what came back as [`PeerEvent`]s.
//! It is also a referee: whatever a target may not do (numbers out of order, data where none was asked for, segments
//! and bursts too long, a wrong digest) ends with a [`Foul`]. [`Peer::send`] sends any PDU at all, right or wrong.
//!
//! Not here: authentication, several connections, recovery, and thrift: it allocates as it likes.

mod referee;

use crate::digest::{Digest, Digests, data_digest, header_digest};
use crate::pdu::{
    AsyncMessage, BHS_BYTES, Bhs, LoginRequest, LoginStatus, LogoutReason, LogoutRequest, LogoutResponse,
    NopOut, R2t, RejectReason, Request, Response, ScsiCommand, ScsiDataOut, Sn, Stage, TaskAttribute,
    TaskManagementFunction, TaskManagementRequest, TaskManagementResponseCode, TaskTag, TextRequest,
    emit_extended_cdb, padding_bytes,
};
use crate::text;
use std::collections::{BTreeMap, VecDeque};

/// How an initiator introduces itself and behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub initiator: String,
    /// The target; none: a discovery session.
    pub target: Option<String>,
    /// Its part of the session's name.
    pub isid: [u8; 6],
    /// The connection's name.
    pub cid: u16,
    /// The keys it offers.
    pub keys: Vec<(&'static str, String)>,
    /// The first CmdSN.
    pub cmd_sn: u32,
    /// Who answers R2Ts and pings.
    pub answers: Answers,
}

/// Who answers R2Ts and pings of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The peer does.
    Peer,
    /// Nobody: R2Ts and pings are told as events.
    Nobody,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initiator: "iqn.2024-01.org.example:peer".to_owned(),
            target: None,
            isid: [0x80, 0, 0, 0, 0, 1],
            cid: 0,
            keys: Vec::new(),
            cmd_sn: 1,
            answers: Answers::Peer,
        }
    }
}

/// The data of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// None.
    None,
    /// Room for so many bytes.
    In(u32),
    /// These bytes go out.
    Out(Vec<u8>),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// Login is over.
    LoggedIn {
        /// The target's part of the session's name.
        tsih: u16,
    },
    /// Login was refused.
    LoginRefused(LoginStatus),
    /// A command's end.
    Completed(Completed),
    /// A task management function's end.
    Managed(TaskTag, TaskManagementResponseCode),
    /// The answer to a ping.
    Pong(TaskTag, Vec<u8>),
    /// The target wants a sign of life; told only with [`Answers::Nobody`].
    Pinged(TaskTag),
    /// The target wants data; told only with [`Answers::Nobody`].
    Asked(R2t),
    /// Text, when all of it has come.
    Text(TaskTag, Vec<u8>),
    /// A logout's end.
    LoggedOut(LogoutResponse),
    /// The target did not accept a PDU.
    Rejected(RejectReason, Bhs),
    /// The target has something to say.
    Async(AsyncMessage),
}

/// A command's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The task.
    pub itt: TaskTag,
    /// SCSI status.
    pub status: u8,
    /// Sense data, without its length.
    pub sense: Vec<u8>,
    /// Data-In.
    pub data: Vec<u8>,
    /// By how much the transfer differs: positive for overflow, negative for underflow.
    pub residual: i64,
    /// Whether the status came with the last of the data.
    pub collapsed: bool,
}

/// The target broke a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foul(pub &'static str);

/// What was negotiated, as far as it concerns an initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Digests from full feature phase on.
    pub digests: Digests,
    /// The longest data segment that the target takes.
    pub send_segment_bytes_max: u32,
    /// The longest that we take.
    pub receive_segment_bytes_max: u32,
    /// MaxBurstLength.
    pub burst_bytes_max: u32,
    /// FirstBurstLength.
    pub first_burst_bytes_max: u32,
    /// InitialR2T.
    pub initial_r2t: bool,
    /// ImmediateData.
    pub immediate_data: bool,
    /// MaxOutstandingR2T.
    pub outstanding_r2t_max: u32,
}

/// An initiator with one connection.
#[derive(Debug)]
pub struct Peer {
    settings: Settings,
    /// What holds; tests may change it to break rules.
    pub terms: Terms,
    /// The next CmdSN.
    pub cmd_sn: Sn,
    /// The last CmdSN that the target accepts.
    pub max_cmd_sn: Sn,
    exp_stat_sn: Option<Sn>,
    logged_in: bool,
    next_itt: u32,
    tasks: BTreeMap<u32, Task>,
    text: Vec<u8>,
    input: Vec<u8>,
    output: Vec<u8>,
    events: VecDeque<PeerEvent>,
}

#[derive(Debug)]
struct Task {
    lun: u64,
    out: Vec<u8>,
    expect_in: u32,
    data: Vec<u8>,
    data_sn: u32,
    r2t_sn: u32,
    /// Up to where data was sent or asked for.
    asked: u32,
}

impl Peer {
    /// An initiator whose login request waits in its output.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let terms = Terms {
            digests: Digests::NONE,
            send_segment_bytes_max: 8192,
            receive_segment_bytes_max: 8192,
            burst_bytes_max: 262_144,
            first_burst_bytes_max: 65_536,
            initial_r2t: true,
            immediate_data: true,
            outstanding_r2t_max: 1,
        };
        let mut peer = Self {
            cmd_sn: Sn(settings.cmd_sn),
            max_cmd_sn: Sn(settings.cmd_sn),
            settings,
            terms,
            exp_stat_sn: None,
            logged_in: false,
            next_itt: 1,
            tasks: BTreeMap::new(),
            text: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            events: VecDeque::new(),
        };
        peer.apply(&peer.settings.keys.clone(), Side::Own);
        let text = peer.introduction();
        peer.send_login(&text);
        peer
    }

    /// Takes bytes of the target.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), Foul> {
        self.input.extend_from_slice(bytes);
        while let Some((bhs, data)) = self.take_pdu()? {
            let response = Response::parse(&bhs).map_err(|_| Foul("an opcode that no target sends"))?;
            self.handle_response(response, data)?;
        }
        Ok(())
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// What is to be sent.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether the target would take another numbered command.
    #[must_use]
    pub fn has_window(&self) -> bool {
        !self.cmd_sn.is_after(self.max_cmd_sn)
    }

    /// Sends a command with its immediate and unsolicited data.
    pub fn command(&mut self, lun: u64, cdb: &[u8], data: Data) -> TaskTag {
        self.command_with(lun, cdb, data, TaskAttribute::SIMPLE)
    }

    /// Sends a command with a task attribute.
    pub fn command_with(&mut self, lun: u64, cdb: &[u8], data: Data, attribute: TaskAttribute) -> TaskTag {
        let itt = self.take_itt();
        let (expect_in, out) = match data {
            Data::None => (0, Vec::new()),
            Data::In(bytes) => (bytes, Vec::new()),
            Data::Out(out) => (0, out),
        };
        let total = length(out.len());
        let terms = self.terms;
        let first = terms.first_burst_bytes_max.min(total);
        let immediate = if terms.immediate_data { first.min(terms.send_segment_bytes_max) } else { 0 };
        let unsolicited = if terms.initial_r2t { immediate } else { first };
        let mut kept = [0; 16];
        let (start, rest) = cdb.split_at(cdb.len().min(16));
        kept[..start.len()].copy_from_slice(start);
        let mut additional = vec![0; 1024];
        let used = if rest.is_empty() { 0 } else { emit_extended_cdb(rest, &mut additional).unwrap_or(0) };
        let pdu = ScsiCommand {
            immediate: false,
            final_pdu: unsolicited == immediate,
            read: expect_in > 0,
            write: total > 0,
            attribute,
            total_ahs_words: u8::try_from(used / 4).unwrap_or(u8::MAX),
            data_segment_bytes: immediate,
            lun,
            initiator_task_tag: itt,
            expected_data_bytes: total.max(expect_in),
            cmd_sn: self.cmd_sn.take(),
            exp_stat_sn: self.exp_stat_sn(),
            cdb: kept,
        };
        self.send_with(pdu.into(), &additional[..used], &out[..index(immediate)]);
        let task = Task { lun, out, expect_in, data: Vec::new(), data_sn: 0, r2t_sn: 0, asked: unsolicited };
        self.tasks.insert(itt.0, task);
        if unsolicited > immediate {
            self.send_data(itt, TaskTag::RESERVED, immediate, unsolicited);
        }
        itt
    }

    /// Sends a task management function for immediate delivery.
    pub fn manage(
        &mut self,
        function: TaskManagementFunction,
        lun: u64,
        referenced: TaskTag,
        ref_cmd_sn: Sn,
    ) -> TaskTag {
        let itt = self.take_itt();
        let pdu = TaskManagementRequest {
            immediate: true,
            function,
            lun,
            initiator_task_tag: itt,
            referenced_task_tag: referenced,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn(),
            ref_cmd_sn,
            exp_data_sn: Sn(0),
        };
        self.send(pdu.into(), &[]);
        itt
    }

    /// Sends a numbered ping that wants its data back.
    pub fn ping(&mut self, data: &[u8]) -> TaskTag {
        let itt = self.take_itt();
        let pdu = NopOut {
            immediate: false,
            data_segment_bytes: length(data.len()),
            lun: 0,
            initiator_task_tag: itt,
            target_transfer_tag: TaskTag::RESERVED,
            cmd_sn: self.cmd_sn.take(),
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), data);
        itt
    }

    /// Sends text as a whole request.
    pub fn say(&mut self, text: &[u8]) -> TaskTag {
        let itt = self.take_itt();
        let pdu = TextRequest {
            immediate: false,
            final_pdu: true,
            continued: false,
            data_segment_bytes: length(text.len()),
            lun: 0,
            initiator_task_tag: itt,
            target_transfer_tag: TaskTag::RESERVED,
            cmd_sn: self.cmd_sn.take(),
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), text);
        itt
    }

    /// Logs out.
    pub fn log_out(&mut self, reason: LogoutReason, cid: u16) {
        let pdu = LogoutRequest {
            immediate: false,
            reason,
            initiator_task_tag: self.take_itt(),
            cid,
            cmd_sn: self.cmd_sn.take(),
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), &[]);
    }

    /// Forgets a command that will not be answered.
    pub fn forget(&mut self, itt: TaskTag) {
        self.tasks.remove(&itt.0);
    }

    /// Sends any PDU.
    pub fn send(&mut self, pdu: Request, data: &[u8]) {
        self.send_with(pdu, &[], data);
    }

    /// Sends any PDU with additional header segments.
    pub fn send_with(&mut self, pdu: Request, additional: &[u8], data: &[u8]) {
        self.send_bytes(&pdu.emit(), additional, data);
    }

    /// Sends any header with its digests.
    pub fn send_bytes(&mut self, header: &[u8; BHS_BYTES], additional: &[u8], data: &[u8]) {
        let digests = if self.logged_in { self.terms.digests } else { Digests::NONE };
        self.output.extend_from_slice(header);
        self.output.extend_from_slice(additional);
        if digests.header == Digest::Crc32c {
            self.output.extend_from_slice(&header_digest(header, additional));
        }
        if !data.is_empty() {
            let padding = &[0; 3][..padding_bytes(data.len())];
            self.output.extend_from_slice(data);
            self.output.extend_from_slice(padding);
            if digests.data == Digest::Crc32c {
                self.output.extend_from_slice(&data_digest(data, padding));
            }
        }
    }

    /// Sends the bytes `from..to` of a command's data as one sequence.
    pub fn send_data(&mut self, itt: TaskTag, ttt: TaskTag, from: u32, to: u32) {
        let Some(task) = self.tasks.get(&itt.0) else { return };
        let (lun, bytes) = (task.lun, task.out[index(from)..index(to)].to_vec());
        let mut offset = from;
        let exp_stat_sn = self.exp_stat_sn();
        for (data_sn, piece) in (0..).zip(bytes.chunks(index(self.terms.send_segment_bytes_max))) {
            let pdu = ScsiDataOut {
                final_pdu: offset + length(piece.len()) == to,
                data_segment_bytes: length(piece.len()),
                lun: if ttt.is_reserved() { 0 } else { lun },
                initiator_task_tag: itt,
                target_transfer_tag: ttt,
                exp_stat_sn,
                data_sn: Sn(data_sn),
                buffer_offset: offset,
            };
            self.send(pdu.into(), piece);
            offset += length(piece.len());
        }
    }

    /// A task tag that is not in use.
    pub fn take_itt(&mut self) -> TaskTag {
        let itt = TaskTag(self.next_itt);
        self.next_itt = self.next_itt.wrapping_add(1) & 0x7fff_ffff;
        itt
    }

    /// The next StatSN that is expected.
    #[must_use]
    pub fn exp_stat_sn(&self) -> Sn {
        self.exp_stat_sn.unwrap_or(Sn(0))
    }

    fn introduction(&self) -> Vec<u8> {
        let mut pairs = vec![("InitiatorName", self.settings.initiator.clone())];
        match &self.settings.target {
            Some(target) => pairs.push(("TargetName", target.clone())),
            None => pairs.push(("SessionType", "Discovery".to_owned())),
        }
        pairs.extend(self.settings.keys.iter().cloned());
        pairs.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect()
    }

    fn send_login(&mut self, text: &[u8]) {
        let pdu = LoginRequest {
            transit: true,
            continued: false,
            current_stage: Stage::OPERATIONAL,
            next_stage: Stage::FULL_FEATURE,
            version_max: 0,
            version_min: 0,
            data_segment_bytes: length(text.len()),
            isid: self.settings.isid,
            tsih: 0,
            initiator_task_tag: TaskTag(0),
            cid: self.settings.cid,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), text);
    }

    fn answer_ping(&mut self, ttt: TaskTag, lun: u64) {
        let pdu = NopOut {
            immediate: true,
            data_segment_bytes: 0,
            lun,
            initiator_task_tag: TaskTag::RESERVED,
            target_transfer_tag: ttt,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), &[]);
    }

    fn ask_for_text(&mut self, itt: TaskTag, ttt: TaskTag) {
        let pdu = TextRequest {
            immediate: false,
            final_pdu: true,
            continued: false,
            data_segment_bytes: 0,
            lun: 0,
            initiator_task_tag: itt,
            target_transfer_tag: ttt,
            cmd_sn: self.cmd_sn.take(),
            exp_stat_sn: self.exp_stat_sn(),
        };
        self.send(pdu.into(), &[]);
    }

    /// Notes what keys say.
    fn apply(&mut self, pairs: &[(&str, String)], side: Side) {
        let terms = &mut self.terms;
        for (key, value) in pairs {
            let number = || text::number(value).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let digest = || if value == "CRC32C" { Digest::Crc32c } else { Digest::None };
            match (*key, side) {
                ("MaxRecvDataSegmentLength", Side::Own) => terms.receive_segment_bytes_max = number(),
                ("MaxRecvDataSegmentLength", Side::Target) => terms.send_segment_bytes_max = number(),
                ("HeaderDigest", Side::Target) => terms.digests.header = digest(),
                ("DataDigest", Side::Target) => terms.digests.data = digest(),
                ("MaxBurstLength", Side::Target) => terms.burst_bytes_max = number(),
                ("FirstBurstLength", Side::Target) if number() > 0 => terms.first_burst_bytes_max = number(),
                ("InitialR2T", Side::Target) => terms.initial_r2t = value == "Yes",
                ("ImmediateData", Side::Target) => terms.immediate_data = value == "Yes",
                ("MaxOutstandingR2T", Side::Target) => terms.outstanding_r2t_max = number(),
                _ => {}
            }
        }
        terms.first_burst_bytes_max = terms.first_burst_bytes_max.min(terms.burst_bytes_max);
    }
}

/// Whose keys.
#[derive(Clone, Copy)]
enum Side {
    Own,
    Target,
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a peer sends less than 4 GiB")
}

fn index(bytes: u32) -> usize {
    usize::try_from(bytes).expect("a pointer has 32 bits or more")
}
