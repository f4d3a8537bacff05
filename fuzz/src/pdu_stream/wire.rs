//! What leaves the port, seen from the wire: PDUs of a target, whole and with digests that fit, numbers that count, data in
//! order.
//!
//! Nothing is asserted here that depends on what the peer has sent, so it holds for any peer.

use crate::story::tell;
use felio_iscsi::digest::{Digest, Digests, data_digest, header_digest};
use felio_iscsi::pdu::{
    BHS_BYTES, Bhs, LoginResponse, LoginStatus, R2t, Response, ScsiDataIn, Segments, Sn, Stage, TaskTag,
};
use felio_iscsi::text::parse;
use std::collections::{BTreeMap, VecDeque};

/// The listener.
#[derive(Default)]
pub(super) struct Wire {
    bytes: Vec<u8>,
    /// All that came, to be handed to another listener.
    pub(super) copy: Option<Vec<u8>>,
    pub(super) phase: Phase,
    pub(super) digests: Digests,
    /// Digests that will be in force after login.
    to_come: Digests,
    pub(super) stat_sn: Option<Sn>,
    window: Option<(Sn, Sn)>,
    reads: BTreeMap<TaskTag, (Sn, u32)>,
    /// The longest data segment that the initiator has ever declared.
    pub(super) segment_bytes_max: usize,
    /// R2Ts that nobody has answered yet.
    pub(super) asked: VecDeque<R2t>,
    /// The last text of a login, with its header.
    pub(super) login: Option<(LoginResponse, Vec<u8>)>,
    /// PDUs in all.
    pub(super) count: usize,
    /// Final responses to commands.
    pub(super) ended: usize,
}

/// What every initiator takes in a data segment.
const SEGMENT_BYTES_MIN: usize = 512;

/// How far the connection is.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Login PDUs only.
    #[default]
    Login,
    /// All others.
    FullFeature,
    /// Login was refused: nothing more.
    Refused,
}

impl Wire {
    /// Takes what was sent.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
        while self.take_pdu() {}
    }

    fn take_pdu(&mut self) -> bool {
        let Some(header) = self.bytes.first_chunk::<BHS_BYTES>() else { return false };
        let bhs = Bhs(*header);
        let segments = Segments::of(&bhs, self.digests);
        assert_eq!(segments.ahs_bytes, 0, "a target sends no additional headers: {bhs:?}");
        let segment_bytes_max = self.segment_bytes_max.max(8192);
        assert!(segments.data_bytes <= segment_bytes_max, "a segment of {} bytes", segments.data_bytes);
        if self.bytes.len() < segments.total_bytes() {
            return false;
        }
        let rest = self.bytes.split_off(segments.total_bytes());
        let pdu = std::mem::replace(&mut self.bytes, rest);
        let (header, payload) = pdu.split_at(segments.header_bytes());
        if self.digests.header == Digest::Crc32c {
            assert_eq!(header[BHS_BYTES..], header_digest(&bhs.0, &[]), "header digest");
        }
        let (data, trailer) = payload.split_at(segments.data_bytes);
        let (padding, digest) = trailer.split_at(segments.padding_bytes);
        assert!(padding.iter().all(|byte| *byte == 0), "padding is zeros");
        if self.digests.data == Digest::Crc32c && !data.is_empty() {
            assert_eq!(digest, data_digest(data, padding), "data digest");
        }
        let response = Response::parse(&bhs).expect("a PDU that a target sends");
        tell(|| format!("out: {response:?}"));
        assert_eq!(response.emit(), bhs.0, "reserved bits are zero");
        self.count += 1;
        self.check_numbers(&response);
        self.handle(response, data);
        true
    }

    fn handle(&mut self, response: Response, data: &[u8]) {
        match response {
            Response::LoginResponse(pdu) => self.handle_login(pdu, data),
            _ => assert!(self.phase == Phase::FullFeature, "{response:?} during login"),
        }
        match response {
            Response::ScsiDataIn(pdu) => self.handle_data_in(&pdu, data.len()),
            Response::ScsiResponse(pdu) => {
                let (data_sn, _) = self.reads.remove(&pdu.initiator_task_tag).unwrap_or_default();
                assert!(data_sn == Sn(0) || pdu.exp_data_sn == data_sn, "ExpDataSN counts");
                assert!(!(pdu.overflow && pdu.underflow), "{pdu:?}");
                assert_eq!(pdu.residual_bytes > 0, pdu.overflow || pdu.underflow, "{pdu:?}");
                let (length, sense) = data
                    .split_first_chunk::<2>()
                    .map_or((0, data), |(length, sense)| (usize::from(u16::from_be_bytes(*length)), sense));
                assert_eq!(length, sense.len(), "SenseLength");
                self.ended += 1;
            }
            Response::R2t(pdu) => {
                assert!(pdu.desired_bytes > 0, "{pdu:?}");
                assert!(
                    !pdu.target_transfer_tag.is_reserved() && !pdu.initiator_task_tag.is_reserved(),
                    "{pdu:?}"
                );
                assert!(pdu.buffer_offset.checked_add(pdu.desired_bytes).is_some(), "{pdu:?}");
                self.asked.push_back(pdu);
                self.asked.truncate(64);
            }
            Response::Reject(_) => {
                let header =
                    data.first_chunk().map(|header| Bhs(*header)).expect("a Reject brings the header back");
                let whole = BHS_BYTES + header.total_ahs_bytes();
                let no_room = data.len() == BHS_BYTES && whole > SEGMENT_BYTES_MIN;
                assert!(data.len() == whole || no_room, "{} bytes of {header:?}", data.len());
            }
            Response::TextResponse(pdu) => {
                assert_eq!(pdu.final_pdu, pdu.target_transfer_tag.is_reserved(), "{pdu:?}");
                assert!(!(pdu.final_pdu && pdu.continued), "{pdu:?}");
            }
            _ => {}
        }
    }

    fn handle_login(&mut self, pdu: LoginResponse, data: &[u8]) {
        assert!(self.phase == Phase::Login, "a login response after login");
        if let Ok(pairs) = parse(data) {
            for pair in pairs.iter().filter(|pair| pair.value == "CRC32C") {
                match pair.key {
                    "HeaderDigest" => self.to_come.header = Digest::Crc32c,
                    "DataDigest" => self.to_come.data = Digest::Crc32c,
                    _ => {}
                }
            }
        }
        if pdu.status != LoginStatus::SUCCESS {
            self.phase = Phase::Refused;
        } else if pdu.transit && pdu.next_stage == Stage::FULL_FEATURE {
            self.phase = Phase::FullFeature;
            self.digests = self.to_come;
            self.window = Some((pdu.exp_cmd_sn, pdu.max_cmd_sn));
        }
        self.login = Some((pdu, data.to_vec()));
    }

    fn handle_data_in(&mut self, pdu: &ScsiDataIn, bytes: usize) {
        let (data_sn, offset) = self.reads.entry(pdu.initiator_task_tag).or_default();
        assert_eq!((pdu.data_sn, pdu.buffer_offset), (*data_sn, *offset), "Data-In in order");
        assert!(bytes > 0, "Data-In without data");
        assert!(!pdu.status_present || pdu.final_pdu, "status comes with the last PDU");
        *data_sn += 1;
        *offset += u32::try_from(bytes).expect("a segment");
        if pdu.status_present {
            self.reads.remove(&pdu.initiator_task_tag);
            self.ended += 1;
        }
    }

    fn check_numbers(&mut self, response: &Response) {
        let (stat_sn, exp, max) = match response {
            Response::NopIn(p) if p.initiator_task_tag.is_reserved() => (None, p.exp_cmd_sn, p.max_cmd_sn),
            Response::NopIn(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::ScsiResponse(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::TaskManagementResponse(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::LoginResponse(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::TextResponse(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::ScsiDataIn(p) => (p.status_present.then_some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::LogoutResponse(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::R2t(p) => (None, p.exp_cmd_sn, p.max_cmd_sn),
            Response::AsyncMessage(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
            Response::Reject(p) => (Some(p.stat_sn), p.exp_cmd_sn, p.max_cmd_sn),
        };
        if let Some(stat_sn) = stat_sn {
            assert!(self.stat_sn.is_none_or(|expected| expected == stat_sn), "StatSN counts: {response:?}");
            self.stat_sn = Some(stat_sn.next());
        }
        if let Some((before, last)) = self.window.filter(|_| self.phase == Phase::FullFeature) {
            assert!(!exp.is_before(before), "ExpCmdSN never moves back: {response:?}");
            assert!(!max.is_before(last), "MaxCmdSN never moves back: {response:?}");
            assert!(!max.next().is_before(exp), "ExpCmdSN is at most one beyond MaxCmdSN: {response:?}");
            self.window = Some((exp, max));
        }
    }
}
