//! A session before its load starts: login, one command at a time, logout. Blocking, with a deadline.
//!
//! Not here: queues and windows. [`crate::initiator`] takes the connection over, with the counters this file leaves.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    pdu::{Cdb, HEADER_BYTES, Header, NO_TAG, digest, field, flag, opcode, scsi},
    sys,
};

/// What the session is to reach, and how it is to ask.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) portal: SocketAddr,
    pub(crate) target: String,
    pub(crate) lun: u8,
    pub(crate) digests: Digests,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Digests {
    None,
    Crc32c,
}

/// What both ends agreed upon.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated {
    pub(crate) immediate_data: bool,
    pub(crate) initial_r2t: bool,
    pub(crate) first_burst: usize,
    pub(crate) max_burst: usize,
    /// The target's MaxRecvDataSegmentLength.
    pub(crate) segment: usize,
    pub(crate) header_digest: bool,
    pub(crate) data_digest: bool,
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) agreed: Negotiated,
    pub(crate) lun: u8,
    pub(crate) cmd_sn: u32,
    pub(crate) exp_stat_sn: u32,
    pub(crate) max_cmd_sn: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) blocks: u64,
    pub(crate) block_bytes: u32,
}

/// Our MaxRecvDataSegmentLength: what Linux declares.
pub(crate) const SEGMENT_BYTES: usize = 256 << 10;
const BURST_BYTES: u32 = 16_776_192;
const DEADLINE: Duration = Duration::from_secs(10);
const LOGIN_ROUNDS_MAX: usize = 8;
const UNIT_ATTENTIONS_MAX: usize = 8;

//= RFC 7143 "Login Request"
const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;

impl Connection {
    /// Logs in and waits until the unit is ready.
    pub(crate) fn open(address: &Address) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address.portal, DEADLINE)
            .with_context(|| format!("cannot connect to {}", address.portal))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let agreed = Negotiated::before_login();
        let mut link = Self { stream, agreed, lun: address.lun, cmd_sn: 1, exp_stat_sn: 0, max_cmd_sn: 1 };
        link.log_in(address).with_context(|| format!("login to {} at {}", address.target, address.portal))?;
        link.wait_ready()?;
        Ok(link)
    }

    pub(crate) fn capacity(&mut self) -> Result<Capacity> {
        let data = self.command(Cdb::read_capacity_16(32), 32)??;
        let (Some(last), Some(block)) = (data.first_chunk(), data.get(8..12).and_then(|b| b.first_chunk()))
        else {
            bail!("READ CAPACITY (16) returned {} bytes", data.len());
        };
        let blocks = u64::from_be_bytes(*last) + 1;
        Ok(Capacity { blocks, block_bytes: u32::from_be_bytes(*block) })
    }

    /// One command that reads at most `length` bytes. The inner error is the target's answer.
    pub(crate) fn command(&mut self, cdb: Cdb, length: u32) -> Result<Result<Vec<u8>, Refused>> {
        let direction = if length > 0 { flag::READ } else { 0 };
        let header = Header::new(opcode::COMMAND, flag::FINAL | flag::SIMPLE | direction)
            .with_octet(field::LUN, self.lun)
            .with(field::EXPECTED_LENGTH, length)
            .with(field::CMD_SN, self.cmd_sn)
            .with_cdb(cdb);
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.send(header, &[])?;
        let mut data = Vec::new();
        loop {
            let (header, segment) = self.receive()?;
            match header.opcode() {
                opcode::DATA_IN => {
                    data.extend(segment);
                    if header.has(flag::HAS_STATUS) {
                        return Ok(Refused::check(&header, &[]).map(|()| data));
                    }
                }
                opcode::RESPONSE => return Ok(Refused::check(&header, &segment).map(|()| data)),
                opcode::NOP_IN => self.answer_nop(&header)?,
                other => bail!("opcode {other:#04x} in answer to a command"),
            }
        }
    }

    /// Says good-bye; whoever does not answer is left.
    pub(crate) fn close(mut self) {
        let header =
            Header::new(opcode::LOGOUT | opcode::IMMEDIATE, flag::FINAL).with(field::CMD_SN, self.cmd_sn);
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(1)));
        if self.send(header, &[]).is_ok() {
            while self.receive().is_ok_and(|(header, _)| header.opcode() != opcode::LOGOUT_RESPONSE) {}
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        for _ in 0..UNIT_ATTENTIONS_MAX {
            match self.command(Cdb::test_unit_ready(), 0)? {
                Ok(_) => return Ok(()),
                Err(refused) if refused.key() == Some(scsi::UNIT_ATTENTION) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        bail!("the unit reports one unit attention after another")
    }

    //= RFC 7143 "Login Phase"
    fn log_in(&mut self, address: &Address) -> Result<()> {
        let initiator = format!("iqn.2026-01.example.felio:bench-{}", process::id());
        let security = [
            ("InitiatorName", initiator.as_str()),
            ("TargetName", &address.target),
            ("SessionType", "Normal"),
            ("AuthMethod", "None"),
        ];
        let digest = if address.digests == Digests::Crc32c { "CRC32C" } else { "None" };
        let (segment, burst) = (SEGMENT_BYTES.to_string(), BURST_BYTES.to_string());
        let operational = [
            ("HeaderDigest", digest),
            ("DataDigest", digest),
            ("MaxRecvDataSegmentLength", segment.as_str()),
            ("InitialR2T", "No"),
            ("ImmediateData", "Yes"),
            ("MaxBurstLength", &burst),
            ("FirstBurstLength", &burst),
            ("MaxOutstandingR2T", "1"),
            ("MaxConnections", "1"),
            ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "0"),
            ("ErrorRecoveryLevel", "0"),
            ("DataPDUInOrder", "Yes"),
            ("DataSequenceInOrder", "Yes"),
        ];
        let isid = NEXT_ISID.fetch_add(1, Ordering::Relaxed);
        let mut agreed = self.agreed.clone();
        self.log_in_stage(isid, SECURITY, OPERATIONAL, &security, &mut agreed)?;
        self.log_in_stage(isid, OPERATIONAL, FULL_FEATURE, &operational, &mut agreed)?;
        self.agreed = agreed;
        Ok(())
    }

    fn log_in_stage(
        &mut self,
        isid: u32,
        stage: u8,
        next: u8,
        keys: &[(&str, &str)],
        agreed: &mut Negotiated,
    ) -> Result<()> {
        let mut text: String = keys.iter().map(|(key, value)| format!("{key}={value}\0")).collect();
        for _ in 0..LOGIN_ROUNDS_MAX {
            let header = Header::new(opcode::LOGIN | opcode::IMMEDIATE, flag::FINAL | stage << 2 | next)
                .with_octet(field::ISID_TYPE, 0x80)
                .with(field::ISID_RANDOM, isid)
                .with_octet(field::ISID_QUALIFIER, 1)
                .with(field::CMD_SN, self.cmd_sn);
            self.send(header, text.as_bytes())?;
            let (header, answer) = self.receive()?;
            ensure!(header.opcode() == opcode::LOGIN_RESPONSE, "opcode {:#04x}", header.opcode());
            let (class, detail) = (header.octet(field::LOGIN_CLASS), header.octet(field::LOGIN_DETAIL));
            ensure!(class == 0, "refused with status class {class}, detail {detail}");
            ensure!(!header.has(flag::CONTINUE), "an answer in several parts is not understood");
            for pair in String::from_utf8_lossy(&answer).split('\0').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').context("a key without a value")?;
                agreed.take(key, value)?;
            }
            if header.has(flag::FINAL) {
                return Ok(());
            }
            text.clear();
        }
        bail!("no end after {LOGIN_ROUNDS_MAX} rounds of stage {stage}")
    }

    fn answer_nop(&mut self, nop: &Header) -> Result<()> {
        if nop.get(field::TTT) == NO_TAG {
            return Ok(());
        }
        self.send(nop_answer(nop, self.cmd_sn), &[])
    }

    fn send(&mut self, header: Header, data: &[u8]) -> Result<()> {
        let header = header.with(field::EXP_STAT_SN, self.exp_stat_sn).with_data(sys::short(data.len()));
        let mut bytes = header.0.to_vec();
        if self.agreed.header_digest {
            bytes.extend(digest(&header.0));
        }
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        // Text is sent before digests are on, and nothing else of ours has data here.
        self.stream.write_all(&bytes)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<(Header, Vec<u8>)> {
        let mut bytes = [0; HEADER_BYTES];
        self.stream.read_exact(&mut bytes).context("no answer")?;
        let header = Header(bytes);
        let header_digest = if self.agreed.header_digest { 4 } else { 0 };
        let data_digest = if self.agreed.data_digest && header.data_bytes() > 0 { 4 } else { 0 };
        let mut rest = vec![0; header.extra_bytes() + header_digest + header.padded_bytes() + data_digest];
        self.stream.read_exact(&mut rest)?;
        self.advance(&header);
        let start = header.extra_bytes() + header_digest;
        Ok((header, rest[start..start + header.data_bytes()].to_vec()))
    }

    /// Takes over the counters of a received PDU.
    //= RFC 7143 "Command Numbering and Acknowledging"
    pub(crate) fn advance(&mut self, header: &Header) {
        let carries_status = match header.opcode() {
            opcode::DATA_IN => header.has(flag::HAS_STATUS),
            opcode::R2T => false,
            opcode::NOP_IN => header.get(field::ITT) != NO_TAG,
            _ => true,
        };
        if carries_status {
            self.exp_stat_sn = header.get(field::STAT_SN).wrapping_add(1);
        }
        self.max_cmd_sn = header.get(field::MAX_CMD_SN);
    }
}

/// The NOP-Out that a target's NOP-In asks for.
//= RFC 7143 "NOP-Out"
pub(crate) fn nop_answer(nop: &Header, cmd_sn: u32) -> Header {
    Header::new(opcode::NOP_OUT | opcode::IMMEDIATE, flag::FINAL)
        .with_octet(field::LUN, nop.octet(field::LUN))
        .with(field::ITT, NO_TAG)
        .with(field::TTT, nop.get(field::TTT))
        .with(field::CMD_SN, cmd_sn)
}

impl Negotiated {
    /// The defaults of the standard.
    //= RFC 7143 "Login/Text Operational Text Keys"
    fn before_login() -> Self {
        Self {
            immediate_data: true,
            initial_r2t: true,
            first_burst: 65_536,
            max_burst: 262_144,
            segment: 8192,
            header_digest: false,
            data_digest: false,
        }
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        let number = || value.parse::<usize>().with_context(|| format!("{key}={value}"));
        match key {
            "ImmediateData" => self.immediate_data = value == "Yes",
            "InitialR2T" => self.initial_r2t = value == "Yes",
            "FirstBurstLength" => self.first_burst = number()?,
            "MaxBurstLength" => self.max_burst = number()?,
            "MaxRecvDataSegmentLength" => self.segment = number()?,
            "HeaderDigest" => self.header_digest = value == "CRC32C",
            "DataDigest" => self.data_digest = value == "CRC32C",
            "AuthMethod" => ensure!(value == "None", "the target wants authentication ({value})"),
            _ => {}
        }
        Ok(())
    }
}

/// A command that did not end with GOOD, or not with all its data.
#[derive(Debug)]
pub(crate) struct Refused {
    response: u8,
    status: u8,
    residual: Option<u32>,
    sense: Vec<u8>,
}

impl Refused {
    /// `segment`: the data segment of a SCSI Response: a sense length, then the sense.
    pub(crate) fn check(header: &Header, segment: &[u8]) -> Result<(), Self> {
        let response = if header.opcode() == opcode::RESPONSE { header.octet(field::RESPONSE) } else { 0 };
        let residual = header.has(flag::RESIDUALS).then(|| header.get(field::RESIDUAL));
        let status = header.octet(field::STATUS);
        if response == 0 && status == scsi::GOOD && residual.is_none() {
            return Ok(());
        }
        Err(Self { response, status, residual, sense: segment.get(2..).unwrap_or(&[]).to_vec() })
    }

    /// The sense key, fixed or descriptor format.
    fn key(&self) -> Option<u8> {
        self.sense_codes().map(|(key, ..)| key)
    }

    fn sense_codes(&self) -> Option<(u8, u8, u8)> {
        let at = |i: usize| self.sense.get(i).copied();
        match at(0)? & 0x7f {
            0x72 | 0x73 => Some((at(1)? & 0x0f, at(2)?, at(3)?)),
            _ => Some((at(2)? & 0x0f, at(12)?, at(13)?)),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the command ended with response {:#04x}, status {:#04x}", self.response, self.status)?;
        if let Some(residual) = self.residual {
            write!(f, ", {residual} bytes residual")?;
        }
        match self.sense_codes() {
            Some((key, asc, ascq)) => {
                write!(f, ", sense key {key:x}h, additional sense {asc:02x}h/{ascq:02x}h")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

static NEXT_ISID: AtomicU32 = AtomicU32::new(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sense_formats_are_read() {
        let of = |sense: &[u8]| {
            Refused { response: 0, status: 2, residual: None, sense: sense.to_vec() }.sense_codes()
        };
        assert_eq!(of(&[0x72, 5, 0x24, 1]), Some((5, 0x24, 1)));
        assert_eq!(of(&[0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 2]), Some((6, 0x29, 2)));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_residual_of_a_response_is_an_error() {
        let header = Header::new(opcode::RESPONSE, flag::FINAL | 0x02).with(field::RESIDUAL, 512);
        assert!(Refused::check(&header, &[]).unwrap_err().to_string().contains("512 bytes residual"));
    }
}
