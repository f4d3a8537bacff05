//! What an initiator takes from a target, and what it does not let pass.

use super::{Answers, Completed, Foul, Peer, PeerEvent, Side, index, length};
use crate::digest::{Digest, Digests, data_digest, header_digest};
use crate::pdu::{
    BHS_BYTES, Bhs, LoginStatus, R2t, Response, ScsiDataIn, ScsiResponse, Segments, Stage, TaskTag,
};
use crate::text;

impl Peer {
    pub(super) fn take_pdu(&mut self) -> Result<Option<(Bhs, Vec<u8>)>, Foul> {
        let digests = if self.logged_in { self.terms.digests } else { Digests::NONE };
        let Some(header) = self.input.first_chunk::<BHS_BYTES>() else { return Ok(None) };
        let bhs = Bhs(*header);
        let segments = Segments::of(&bhs, digests);
        if self.input.len() < segments.total_bytes() {
            return Ok(None);
        }
        let rest = self.input.split_off(segments.total_bytes());
        let pdu = core::mem::replace(&mut self.input, rest);
        let (header, payload) = pdu.split_at(segments.header_bytes());
        if segments.ahs_bytes > 0 {
            return Err(Foul("additional headers from a target"));
        }
        if digests.header == Digest::Crc32c && header_digest(&bhs.0, &[]) != header[BHS_BYTES..] {
            return Err(Foul("header digest"));
        }
        let (data, trailer) = payload.split_at(segments.data_bytes);
        let (padding, digest) = trailer.split_at(segments.padding_bytes);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Foul("padding that is not zero"));
        }
        if !digest.is_empty() && data_digest(data, padding) != digest {
            return Err(Foul("data digest"));
        }
        if data.len() > index(self.terms.receive_segment_bytes_max) {
            return Err(Foul("a data segment is too long"));
        }
        Ok(Some((bhs, data.to_vec())))
    }

    pub(super) fn handle_response(&mut self, response: Response, data: Vec<u8>) -> Result<(), Foul> {
        self.check_numbers(&response)?;
        match response {
            Response::LoginResponse(pdu) => {
                if pdu.status != LoginStatus::SUCCESS {
                    self.events.push_back(PeerEvent::LoginRefused(pdu.status));
                    return Ok(());
                }
                let pairs = text::parse(&data).map_err(|_| Foul("text that is none"))?;
                let pairs: Vec<_> = pairs.iter().map(|pair| (pair.key, pair.value.to_owned())).collect();
                self.apply(&pairs, Side::Target);
                if pdu.transit && pdu.next_stage == Stage::FULL_FEATURE {
                    self.logged_in = true;
                    self.events.push_back(PeerEvent::LoggedIn { tsih: pdu.tsih });
                } else {
                    self.send_login(&[]);
                }
            }
            Response::ScsiDataIn(pdu) => self.handle_data_in(&pdu, &data)?,
            Response::ScsiResponse(pdu) => self.handle_scsi_response(&pdu, &data)?,
            Response::R2t(pdu) => self.handle_r2t(pdu)?,
            Response::NopIn(pdu) if pdu.initiator_task_tag.is_reserved() => match self.settings.answers {
                Answers::Nobody => self.events.push_back(PeerEvent::Pinged(pdu.target_transfer_tag)),
                Answers::Peer => self.answer_ping(pdu.target_transfer_tag, pdu.lun),
            },
            Response::NopIn(pdu) => self.events.push_back(PeerEvent::Pong(pdu.initiator_task_tag, data)),
            Response::TaskManagementResponse(pdu) => {
                self.events.push_back(PeerEvent::Managed(pdu.initiator_task_tag, pdu.response));
            }
            Response::TextResponse(pdu) => {
                self.text.extend_from_slice(&data);
                if pdu.final_pdu {
                    let text = core::mem::take(&mut self.text);
                    self.events.push_back(PeerEvent::Text(pdu.initiator_task_tag, text));
                } else {
                    self.ask_for_text(pdu.initiator_task_tag, pdu.target_transfer_tag);
                }
            }
            Response::LogoutResponse(pdu) => self.events.push_back(PeerEvent::LoggedOut(pdu)),
            Response::AsyncMessage(pdu) => self.events.push_back(PeerEvent::Async(pdu)),
            Response::Reject(pdu) => {
                let header = data.first_chunk::<BHS_BYTES>().ok_or(Foul("a Reject without the header"))?;
                let header = Bhs(*header);
                if data.len() != BHS_BYTES + header.total_ahs_bytes() {
                    return Err(Foul("a Reject without the whole header"));
                }
                self.events.push_back(PeerEvent::Rejected(pdu.reason, header));
            }
        }
        Ok(())
    }

    /// StatSN must count without gaps; the window never shrinks.
    fn check_numbers(&mut self, response: &Response) -> Result<(), Foul> {
        let (stat_sn, max_cmd_sn) = match response {
            Response::NopIn(p) if p.initiator_task_tag.is_reserved() => (None, p.max_cmd_sn),
            Response::NopIn(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::ScsiResponse(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::TaskManagementResponse(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::LoginResponse(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::TextResponse(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::ScsiDataIn(p) => (p.status_present.then_some(p.stat_sn), p.max_cmd_sn),
            Response::LogoutResponse(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::R2t(p) => (None, p.max_cmd_sn),
            Response::AsyncMessage(p) => (Some(p.stat_sn), p.max_cmd_sn),
            Response::Reject(p) => (Some(p.stat_sn), p.max_cmd_sn),
        };
        if let Some(stat_sn) = stat_sn {
            if self.exp_stat_sn.is_some_and(|expected| expected != stat_sn) {
                return Err(Foul("StatSN out of order"));
            }
            self.exp_stat_sn = Some(stat_sn.next());
        }
        if max_cmd_sn.is_before(self.max_cmd_sn) && self.logged_in {
            return Err(Foul("MaxCmdSN moved back"));
        }
        self.max_cmd_sn = max_cmd_sn;
        Ok(())
    }

    fn handle_data_in(&mut self, pdu: &ScsiDataIn, data: &[u8]) -> Result<(), Foul> {
        let burst = self.terms.burst_bytes_max;
        let task = self.tasks.get_mut(&pdu.initiator_task_tag.0).ok_or(Foul("Data-In for no task"))?;
        let end = pdu.buffer_offset + length(data.len());
        if pdu.data_sn.0 != task.data_sn || index(pdu.buffer_offset) != task.data.len() {
            return Err(Foul("Data-In out of order"));
        }
        if data.is_empty() || end > task.expect_in {
            return Err(Foul("more Data-In than there is room for, or none"));
        }
        if (end - 1) / burst != pdu.buffer_offset / burst || (end.is_multiple_of(burst) && !pdu.final_pdu) {
            return Err(Foul("a Data-In sequence is too long"));
        }
        task.data_sn += 1;
        task.data.extend_from_slice(data);
        if pdu.status_present {
            let residual = residual(pdu.overflow, pdu.underflow, pdu.residual_bytes);
            self.complete(pdu.initiator_task_tag, pdu.status, Vec::new(), residual, true)?;
        }
        Ok(())
    }

    fn handle_scsi_response(&mut self, pdu: &ScsiResponse, data: &[u8]) -> Result<(), Foul> {
        let task = self.tasks.get(&pdu.initiator_task_tag.0).ok_or(Foul("a response for no task"))?;
        if pdu.exp_data_sn.0 != task.data_sn.max(task.r2t_sn) {
            return Err(Foul("ExpDataSN does not count what was sent"));
        }
        let sense = match data.split_first_chunk::<2>() {
            None => Vec::new(),
            Some((bytes, rest)) if usize::from(u16::from_be_bytes(*bytes)) == rest.len() => rest.to_vec(),
            Some(_) => return Err(Foul("SenseLength")),
        };
        let residual = residual(pdu.overflow, pdu.underflow, pdu.residual_bytes);
        self.complete(pdu.initiator_task_tag, pdu.status, sense, residual, false)
    }

    fn complete(
        &mut self,
        itt: TaskTag,
        status: u8,
        sense: Vec<u8>,
        residual: i64,
        collapsed: bool,
    ) -> Result<(), Foul> {
        let task = self.tasks.remove(&itt.0).ok_or(Foul("a response for no task"))?;
        self.events.push_back(PeerEvent::Completed(Completed {
            itt,
            status,
            sense,
            data: task.data,
            residual,
            collapsed,
        }));
        Ok(())
    }

    fn handle_r2t(&mut self, pdu: R2t) -> Result<(), Foul> {
        let burst = self.terms.burst_bytes_max;
        let task = self.tasks.get_mut(&pdu.initiator_task_tag.0).ok_or(Foul("an R2T for no task"))?;
        let end = pdu.buffer_offset.saturating_add(pdu.desired_bytes);
        if pdu.r2t_sn.0 != task.r2t_sn || pdu.buffer_offset != task.asked {
            return Err(Foul("an R2T out of order"));
        }
        if pdu.desired_bytes == 0 || pdu.desired_bytes > burst || index(end) > task.out.len() {
            return Err(Foul("an R2T for too much, or nothing"));
        }
        task.r2t_sn += 1;
        task.asked = end;
        match self.settings.answers {
            Answers::Peer => {
                self.send_data(pdu.initiator_task_tag, pdu.target_transfer_tag, pdu.buffer_offset, end)
            }
            Answers::Nobody => self.events.push_back(PeerEvent::Asked(pdu)),
        }
        Ok(())
    }
}

fn residual(overflow: bool, underflow: bool, bytes: u32) -> i64 {
    match (overflow, underflow) {
        (true, _) => i64::from(bytes),
        (_, true) => -i64::from(bytes),
        _ => 0,
    }
}
