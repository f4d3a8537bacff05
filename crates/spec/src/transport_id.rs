//! Names of initiator ports as they travel in parameter data: SPC-4 "TransportID identifiers".
//!
//! A [`TransportId`] is read from bytes and written to bytes, and it has a text form (`Display` and
//! [`TransportId::from_text`]), `protocol:address`, for configuration and saved state: `fcp:2100001b32000001`,
//! `iscsi:iqn.2026-01.net.x:a,i,0x00023d000001`. Every fabric has its form; what a protocol that we do not know sends is
//! kept as it is.
//!
//! Invariant: bytes → value → bytes → value and text → value → text give the same value again; reserved bytes are not kept.

use crate::designator::Protocol;
use crate::layout::layouts;
use core::fmt::{Display, Formatter};

/// Who sends commands: an initiator port, or (iSCSI only) all ports of an initiator device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportId<'a> {
    /// FCP: N_Port_Name.
    Fcp([u8; 8]),
    /// Parallel SCSI: the address on the bus of that relative target port.
    Spi {
        /// SCSI ADDRESS.
        address: u16,
        /// RELATIVE TARGET PORT IDENTIFIER.
        target_port: u16,
    },
    /// SBP (IEEE 1394): EUI-64.
    Sbp([u8; 8]),
    /// SRP: initiator port identifier.
    Srp([u8; 16]),
    /// iSCSI, format 00b: every port of the initiator of that name.
    IscsiDevice(&'a str),
    /// iSCSI, format 01b.
    IscsiPort {
        /// The initiator's name.
        name: &'a str,
        /// The initiator's part of the session's name.
        isid: [u8; 6],
    },
    /// SAS: address.
    Sas([u8; 8]),
    /// SCSI over PCI Express: routing id.
    Sop(u16),
    /// Of another protocol (SSA, ADT, UAS …), which has no form of its own in SPC-4.
    Other([u8; BYTES]),
}

/// Length of a TransportID, but for iSCSI.
pub const BYTES: usize = fcp::BYTES;

/// Longest TransportID: iSCSI, format 01b, with the longest name.
pub const BYTES_MAX: usize =
    (iscsi::BYTES + NAME_BYTES_MAX + SEPARATOR.len() + ISID_DIGITS + 1).next_multiple_of(4);

/// Longest iSCSI name, RFC 7143 "iSCSI Name Structure".
pub const NAME_BYTES_MAX: usize = 223;

/// Between an iSCSI name and the ISID.
const SEPARATOR: &str = ",i,0x";
const ISID_DIGITS: usize = 12;

/// [`iscsi::ADDITIONAL_LENGTH`] is at least this, and a multiple of four.
const ADDITIONAL_LENGTH_MIN: usize = 20;

/// TPID FORMAT of iSCSI.
const DEVICE: u8 = 0b00;
const PORT: u8 = 0b01;

/// Why bytes are no TransportID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// They end too soon.
    Short,
    /// TPID FORMAT is none of the protocol's.
    Format,
    /// ADDITIONAL LENGTH is too small, or no multiple of four.
    Length,
    /// The iSCSI name is none, or not terminated by NUL.
    Name,
}

impl<'a> TransportId<'a> {
    /// The TransportID at the beginning of `bytes`, and its length.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, usize), Flaw> {
        let fixed: &[u8; BYTES] = bytes.first_chunk().ok_or(Flaw::Short)?;
        let protocol = Protocol(header::PROTOCOL_IDENTIFIER.get(fixed));
        if protocol == Protocol::ISCSI {
            return Self::parse_iscsi(bytes);
        }
        let format = header::TPID_FORMAT.get(fixed);
        let id = match protocol {
            Protocol::FCP => Self::Fcp(fcp::N_PORT_NAME.get(fixed).to_be_bytes()),
            Protocol::SPI => Self::Spi {
                address: spi::SCSI_ADDRESS.get(fixed),
                target_port: spi::RELATIVE_TARGET_PORT_IDENTIFIER.get(fixed),
            },
            Protocol::SBP => Self::Sbp(sbp::EUI_64.get(fixed).to_be_bytes()),
            Protocol::SRP => Self::Srp(srp_name(fixed)),
            Protocol::SAS => Self::Sas(sas::SAS_ADDRESS.get(fixed).to_be_bytes()),
            Protocol::SOP => Self::Sop(sop::ROUTING_ID.get(fixed)),
            _ => return Ok((Self::Other(*fixed), BYTES)),
        };
        if format == 0 { Ok((id, BYTES)) } else { Err(Flaw::Format) }
    }

    fn parse_iscsi(bytes: &'a [u8]) -> Result<(Self, usize), Flaw> {
        let length = usize::from(iscsi::ADDITIONAL_LENGTH.get(bytes));
        if length < ADDITIONAL_LENGTH_MIN || !length.is_multiple_of(4) {
            return Err(Flaw::Length);
        }
        let end = iscsi::BYTES + length;
        let text = bytes.get(iscsi::BYTES..end).ok_or(Flaw::Short)?;
        let nul = text.iter().position(|byte| *byte == 0).ok_or(Flaw::Name)?;
        let text = core::str::from_utf8(&text[..nul]).map_err(|_| Flaw::Name)?;
        let id = match (header::TPID_FORMAT.get(bytes), Self::from_iscsi_name(text)) {
            (DEVICE, Some(id @ Self::IscsiDevice(_))) | (PORT, Some(id @ Self::IscsiPort { .. })) => id,
            (DEVICE | PORT, _) => return Err(Flaw::Name),
            _ => return Err(Flaw::Format),
        };
        Ok((id, end))
    }

    /// An iSCSI initiator by its name, or its port by `name,i,0xISID`.
    #[must_use]
    pub fn from_iscsi_name(text: &'a str) -> Option<Self> {
        let (name, isid) = match text.split_once(SEPARATOR) {
            Some((name, digits)) => (name, Some(isid(digits)?)),
            None => (text, None),
        };
        // A comma parts the name from what follows it, and is part of none.
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains([',', '\0']) {
            return None;
        }
        Some(match isid {
            Some(isid) => Self::IscsiPort { name, isid },
            None => Self::IscsiDevice(name),
        })
    }

    /// From the text form.
    #[must_use]
    pub fn from_text(text: &'a str) -> Option<Self> {
        let (protocol, address) = text.split_once(':')?;
        match protocol {
            "fcp" => hex(address).map(Self::Fcp),
            "spi" => {
                let (address, target_port) = address.split_once(',')?;
                Some(Self::Spi { address: address.parse().ok()?, target_port: target_port.parse().ok()? })
            }
            "sbp" => hex(address).map(Self::Sbp),
            "srp" => hex(address).map(Self::Srp),
            "iscsi" => Self::from_iscsi_name(address),
            "sas" => hex(address).map(Self::Sas),
            "sop" => hex(address).map(u16::from_be_bytes).map(Self::Sop),
            "other" => {
                let bytes = hex(address)?;
                matches!(TransportId::parse(&bytes), Ok((TransportId::Other(_), _)))
                    .then_some(Self::Other(bytes))
            }
            _ => None,
        }
    }

    /// The bytes, in `out`.
    pub fn encode<'o>(&self, out: &'o mut [u8; BYTES_MAX]) -> &'o [u8] {
        out.fill(0);
        header::PROTOCOL_IDENTIFIER.set(out, self.protocol().0);
        match *self {
            Self::Fcp(name) => fcp::N_PORT_NAME.set(out, u64::from_be_bytes(name)),
            Self::Spi { address, target_port } => {
                spi::SCSI_ADDRESS.set(out, address);
                spi::RELATIVE_TARGET_PORT_IDENTIFIER.set(out, target_port);
            }
            Self::Sbp(name) => sbp::EUI_64.set(out, u64::from_be_bytes(name)),
            Self::Srp([a, b, c, d, e, f, g, h, low @ ..]) => {
                srp::INITIATOR_PORT_IDENTIFIER_HIGH.set(out, u64::from_be_bytes([a, b, c, d, e, f, g, h]));
                srp::INITIATOR_PORT_IDENTIFIER_LOW.set(out, u64::from_be_bytes(low));
            }
            Self::Sas(address) => sas::SAS_ADDRESS.set(out, u64::from_be_bytes(address)),
            Self::Sop(id) => sop::ROUTING_ID.set(out, id),
            Self::Other(bytes) => out[..BYTES].copy_from_slice(&bytes),
            Self::IscsiDevice(name) => return encode_iscsi(out, DEVICE, name, ""),
            Self::IscsiPort { name, isid } => {
                let digits = digits(&isid);
                return encode_iscsi(out, PORT, name, core::str::from_utf8(&digits).unwrap_or_default());
            }
        }
        &out[..BYTES]
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Fcp(_) => Protocol::FCP,
            Self::Spi { .. } => Protocol::SPI,
            Self::Sbp(_) => Protocol::SBP,
            Self::Srp(_) => Protocol::SRP,
            Self::IscsiDevice(_) | Self::IscsiPort { .. } => Protocol::ISCSI,
            Self::Sas(_) => Protocol::SAS,
            Self::Sop(_) => Protocol::SOP,
            Self::Other(bytes) => Protocol(header::PROTOCOL_IDENTIFIER.get(bytes)),
        }
    }
}

impl Display for TransportId<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fcp(name) => write_hex(f, "fcp:", name),
            Self::Spi { address, target_port } => write!(f, "spi:{address},{target_port}"),
            Self::Sbp(name) => write_hex(f, "sbp:", name),
            Self::Srp(name) => write_hex(f, "srp:", name),
            Self::IscsiDevice(name) => write!(f, "iscsi:{name}"),
            Self::IscsiPort { name, isid } => {
                write!(f, "iscsi:{name}")?;
                write_hex(f, SEPARATOR, isid)
            }
            Self::Sas(address) => write_hex(f, "sas:", address),
            Self::Sop(id) => write_hex(f, "sop:", &id.to_be_bytes()),
            Self::Other(bytes) => write_hex(f, "other:", bytes),
        }
    }
}

layouts! {
    /// What every TransportID begins with.
    header, 1 {
        TPID_FORMAT: u8 = 0, 7, 2;
        PROTOCOL_IDENTIFIER: u8 = 0, 3, 4;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over Fibre Channel".
    fcp, 24 {
        N_PORT_NAME: u64 = 8, 7, 64;
    }

    /// SPC-4 "TransportID for initiator ports using a parallel SCSI bus".
    spi, 24 {
        SCSI_ADDRESS: u16 = 2, 7, 16;
        RELATIVE_TARGET_PORT_IDENTIFIER: u16 = 6, 7, 16;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over IEEE 1394".
    sbp, 24 {
        EUI_64: u64 = 8, 7, 64;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over an RDMA interface".
    srp, 24 {
        INITIATOR_PORT_IDENTIFIER_HIGH: u64 = 8, 7, 64;
        INITIATOR_PORT_IDENTIFIER_LOW: u64 = 16, 7, 64;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over iSCSI": what stands before the name.
    iscsi, 4 {
        /// Of the name with its NULs.
        ADDITIONAL_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over SAS Serial SCSI Protocol".
    sas, 24 {
        SAS_ADDRESS: u64 = 4, 7, 64;
    }

    /// SPC-4 "TransportID for initiator ports using SCSI over PCI Express".
    sop, 24 {
        ROUTING_ID: u16 = 2, 7, 16;
    }
}

fn srp_name(bytes: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    let (high, low) = name.split_at_mut(8);
    high.copy_from_slice(&srp::INITIATOR_PORT_IDENTIFIER_HIGH.get(bytes).to_be_bytes());
    low.copy_from_slice(&srp::INITIATOR_PORT_IDENTIFIER_LOW.get(bytes).to_be_bytes());
    name
}

//= SPC-4 "TransportID for initiator ports using SCSI over iSCSI": terminated by NUL, padded to a multiple of four
fn encode_iscsi<'o>(out: &'o mut [u8; BYTES_MAX], format: u8, name: &str, isid: &str) -> &'o [u8] {
    let separator = if isid.is_empty() { "" } else { SEPARATOR };
    header::TPID_FORMAT.set(out, format);
    let name = &name.as_bytes()[..name.len().min(NAME_BYTES_MAX)];
    let text = name.iter().chain(separator.as_bytes()).chain(isid.as_bytes());
    let mut length = 0;
    for (to, from) in out.iter_mut().skip(iscsi::BYTES).zip(text) {
        *to = *from;
        length += 1;
    }
    let padded = usize::max(length + 1, ADDITIONAL_LENGTH_MIN).next_multiple_of(4);
    iscsi::ADDITIONAL_LENGTH.set(out, u16::try_from(padded).unwrap_or(u16::MAX));
    &out[..iscsi::BYTES + padded]
}

/// An ISID of at most twelve digits.
fn isid(digits: &str) -> Option<[u8; 6]> {
    let is_number =
        (1..=ISID_DIGITS).contains(&digits.len()) && digits.bytes().all(|d| d.is_ascii_hexdigit());
    let number = is_number.then(|| u64::from_str_radix(digits, 16).ok())??;
    let [_, _, isid @ ..] = number.to_be_bytes();
    Some(isid)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn digits(isid: &[u8; 6]) -> [u8; ISID_DIGITS] {
    let mut text = [0; ISID_DIGITS];
    for (pair, byte) in text.chunks_exact_mut(2).zip(isid) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    text
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn write_hex(f: &mut Formatter<'_>, before: &str, bytes: &[u8]) -> core::fmt::Result {
    f.write_str(before)?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [(&str, TransportId<'static>); 10] = [
        ("fcp:2100001b32000001", TransportId::Fcp([0x21, 0, 0, 0x1b, 0x32, 0, 0, 1])),
        ("spi:7,1", TransportId::Spi { address: 7, target_port: 1 }),
        ("sbp:0011223344556677", TransportId::Sbp([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])),
        (
            "srp:000102030405060708090a0b0c0d0e0f",
            TransportId::Srp([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ),
        ("iscsi:iqn.x:a", TransportId::IscsiDevice("iqn.x:a")),
        (
            "iscsi:iqn.x:a,i,0x00023d000001",
            TransportId::IscsiPort { name: "iqn.x:a", isid: [0, 2, 0x3d, 0, 0, 1] },
        ),
        ("sas:5000c50000000001", TransportId::Sas([0x50, 0, 0xc5, 0, 0, 0, 0, 1])),
        ("sop:0108", TransportId::Sop(0x0108)),
        ("other:090000000000000000000000000000000000000000000001", TransportId::Other(UAS)),
        ("other:c70000000000000000000000000000000000000000000001", TransportId::Other(ADT)),
    ];
    const UAS: [u8; 24] = [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const ADT: [u8; 24] = [0xc7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    fn check(bytes: &[u8], want: Result<(TransportId<'_>, usize), Flaw>) {
        assert_eq!(TransportId::parse(bytes), want);
    }

    #[test]
    fn every_form_survives_bytes_and_text() {
        for (text, id) in EVERY {
            let mut out = [0; BYTES_MAX];
            let bytes = id.encode(&mut out);
            assert_eq!(TransportId::parse(bytes), Ok((id, bytes.len())), "{text}");
            assert_eq!(TransportId::from_text(text), Some(id));
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn fields_lie_where_the_standard_draws_them() {
        let mut out = [0; BYTES_MAX];
        let fcp = TransportId::Fcp([1, 2, 3, 4, 5, 6, 7, 8]).encode(&mut out);
        assert_eq!(fcp, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        let sas = TransportId::Sas([1, 2, 3, 4, 5, 6, 7, 8]).encode(&mut out);
        assert_eq!(sas, [6, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let spi = TransportId::Spi { address: 0x0102, target_port: 0x0304 }.encode(&mut out);
        assert_eq!(spi[..8], [1, 0, 1, 2, 0, 0, 3, 4]);
        let port = TransportId::IscsiPort { name: "iqn.x", isid: [0, 2, 0x3d, 0, 0, 1] }.encode(&mut out);
        assert_eq!(port, b"\x45\0\0\x18iqn.x,i,0x00023d000001\0\0");
    }

    #[test]
    fn a_short_iscsi_name_is_padded_to_the_least_length() {
        let mut out = [0; BYTES_MAX];
        let bytes = TransportId::IscsiDevice("a").encode(&mut out);
        assert_eq!((bytes.len(), &bytes[..6]), (24, &b"\x05\0\0\x14a\0"[..]));
    }

    #[test]
    fn the_longest_name_fits() {
        let name = "x".repeat(NAME_BYTES_MAX);
        let id = TransportId::IscsiPort { name: &name, isid: [0xff; 6] };
        let mut out = [0; BYTES_MAX];
        let bytes = id.encode(&mut out);
        assert_eq!(TransportId::parse(bytes), Ok((id, bytes.len())));
    }

    #[test]
    fn a_short_isid_is_the_number_that_it_spells() {
        let id = TransportId::from_iscsi_name("iqn.x,i,0x1");
        assert_eq!(id, Some(TransportId::IscsiPort { name: "iqn.x", isid: [0, 0, 0, 0, 0, 1] }));
    }

    #[test]
    fn what_is_no_transport_id_is_told_from_what_is() {
        check(&[0; 23], Err(Flaw::Short));
        check(&[0x40; 24], Err(Flaw::Format));
        check(b"\x05\0\0\x10iqn.x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Length));
        check(b"\x05\0\0\x15iqn.x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Length));
        check(b"\x05\0\0\x18iqn.x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Short));
        check(b"\x05\0\0\x14iqn.xxxxxxxxxxxxxxxx", Err(Flaw::Name));
        check(b"\x05\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Name));
        check(b"\x45\0\0\x14iqn.x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Name));
        check(b"\x05\0\0\x14iqn.x,i,0x1\0\0\0\0\0\0\0\0\0", Err(Flaw::Name));
        check(b"\x85\0\0\x14iqn.x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Err(Flaw::Format));
    }

    #[test]
    fn no_text_panics() {
        for text in [
            "",
            ":",
            "fcp:",
            "fcp:+1",
            "spi:1",
            "spi:1,x",
            "srp:é",
            "iscsi:",
            "iscsi:a,i,0x",
            "iscsi:a,i,0x+1",
            "sop:1",
        ] {
            assert_eq!(TransportId::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_again() {
        let mut seed = 1u64;
        for _ in 0..50_000 {
            let mut bytes = [0; 64];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = u8::try_from(seed >> 56).unwrap_or(0) & if seed & 2 == 0 { 0x4f } else { 0x1f };
            }
            if let Ok((id, _)) = TransportId::parse(&bytes) {
                let mut out = [0; BYTES_MAX];
                assert_eq!(TransportId::parse(id.encode(&mut out)).map(|(id, _)| id), Ok(id));
                let text = id.to_string();
                assert_eq!(TransportId::from_text(&text), Some(id), "{text}");
            }
        }
    }
}
