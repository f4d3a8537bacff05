//! Names of units, ports and devices as SPC-4 "Device Identification VPD page" spells them.

use crate::field::{Text, graphic};
use crate::layout::layouts;

/// SPC-4 "Protocol identifier". Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Fibre Channel Protocol.
    pub const FCP: Self = Self(0x0);
    /// Parallel SCSI.
    pub const SPI: Self = Self(0x1);
    /// Serial Bus Protocol (IEEE 1394).
    pub const SBP: Self = Self(0x3);
    /// SCSI RDMA Protocol.
    pub const SRP: Self = Self(0x4);
    /// iSCSI.
    pub const ISCSI: Self = Self(0x5);
    /// Serial Attached SCSI.
    pub const SAS: Self = Self(0x6);
    /// USB Attached SCSI.
    pub const UAS: Self = Self(0x9);
    /// SCSI over PCI Express.
    pub const SOP: Self = Self(0xa);
    /// No particular protocol.
    pub const NONE: Self = Self(0xf);
}

/// What a designator names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Designator<'a> {
    /// The unit by an NAA identifier of 16 bytes, SPC-4 "NAA IEEE Registered Extended designator format".
    Naa6(&'a [u8; 16]),
    /// The unit by vendor, and an identifier that is unique with that vendor.
    T10Vendor {
        /// T10 VENDOR IDENTIFICATION.
        vendor: &'a str,
        /// VENDOR SPECIFIC IDENTIFIER, in pieces.
        identifier: [&'a str; 3],
    },
    /// The port, by its number in the device.
    RelativeTargetPort(Protocol, u16),
    /// The port's target port group.
    TargetPortGroup(Protocol, u16),
    /// The unit's logical unit group.
    LogicalUnitGroup(u16),
    /// The port, by its SCSI name: for iSCSI `name,t,0x0001`.
    PortName(Protocol, &'a str),
    /// The device, by its SCSI name.
    DeviceName(Protocol, &'a str),
}

/// Longest designator with its header.
pub const DESIGNATOR_BYTES_MAX: usize = designator::BYTES + NAME_BYTES_MAX;

/// Longest SCSI name string: what an initiator has room for, SPC-4 "SCSI name string designator format".
const NAME_BYTES_MAX: usize = 256;

impl Designator<'_> {
    /// The designation descriptor in `out`. Text too long for its field is cut.
    pub fn encode<'o>(&self, out: &'o mut [u8; DESIGNATOR_BYTES_MAX]) -> &'o [u8] {
        out.fill(0);
        let (header, body) = out.split_at_mut(designator::BYTES);
        let (form, length) = match *self {
            Self::Naa6(naa) => (NAA, put(body, 0, naa)),
            Self::T10Vendor { vendor, identifier } => {
                T10_VENDOR.set(body, vendor);
                let end = identifier.iter().fold(T10_VENDOR.bytes, |at, text| put(body, at, text.as_bytes()));
                body[..end].iter_mut().for_each(|byte| *byte = graphic(*byte));
                (T10, end)
            }
            Self::RelativeTargetPort(protocol, port) => (RELATIVE_PORT.of(protocol), put_number(body, port)),
            Self::TargetPortGroup(protocol, group) => (PORT_GROUP.of(protocol), put_number(body, group)),
            Self::LogicalUnitGroup(group) => (UNIT_GROUP, put_number(body, group)),
            Self::PortName(protocol, name) => (PORT_NAME.of(protocol), put_name(body, name)),
            Self::DeviceName(protocol, name) => (DEVICE_NAME.of(protocol), put_name(body, name)),
        };
        form.encode(header, length);
        &out[..designator::BYTES + length]
    }
}

layouts! {
    /// SPC-4 "Designation descriptor".
    designator, 4 {
        PROTOCOL_IDENTIFIER: u8 = 0, 7, 4;
        CODE_SET: u8 = 0, 3, 4;
        PIV: bool = 1, 7, 1;
        /// 00b: unit, 01b: port, 10b: device.
        ASSOCIATION: u8 = 1, 5, 2;
        DESIGNATOR_TYPE: u8 = 1, 3, 4;
        DESIGNATOR_LENGTH: u8 = 3, 7, 8;
    }
}

const T10_VENDOR: Text = Text { byte: 0, bytes: 8 };

const BINARY: u8 = 1;
const ASCII: u8 = 2;
const UTF8: u8 = 3;

/// A kind of designator: one line of SPC-4's "DESIGNATOR TYPE field" with its usual association and code set.
#[derive(Clone, Copy)]
struct Form {
    code_set: u8,
    association: u8,
    kind: u8,
    protocol: Option<Protocol>,
}

const NAA: Form = Form { code_set: BINARY, association: 0, kind: 3, protocol: None };
const T10: Form = Form { code_set: ASCII, association: 0, kind: 1, protocol: None };
const RELATIVE_PORT: Form = Form { code_set: BINARY, association: 1, kind: 4, protocol: None };
const PORT_GROUP: Form = Form { code_set: BINARY, association: 1, kind: 5, protocol: None };
const UNIT_GROUP: Form = Form { code_set: BINARY, association: 0, kind: 6, protocol: None };
const PORT_NAME: Form = Form { code_set: UTF8, association: 1, kind: 8, protocol: None };
const DEVICE_NAME: Form = Form { code_set: UTF8, association: 2, kind: 8, protocol: None };

impl Form {
    const fn of(self, protocol: Protocol) -> Self {
        Self { protocol: Some(protocol), ..self }
    }

    fn encode(self, header: &mut [u8], length: usize) {
        designator::PROTOCOL_IDENTIFIER.set(header, self.protocol.map_or(0, |protocol| protocol.0));
        designator::PIV.set(header, self.protocol.is_some());
        designator::CODE_SET.set(header, self.code_set);
        designator::ASSOCIATION.set(header, self.association);
        designator::DESIGNATOR_TYPE.set(header, self.kind);
        designator::DESIGNATOR_LENGTH.set(header, u8::try_from(length).unwrap_or(u8::MAX));
    }
}

/// Puts what fits of `bytes` and returns where it ends. The length field has eight bits.
fn put(body: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = (at + bytes.len()).min(usize::from(u8::MAX));
    let taken = end.saturating_sub(at);
    body[at..at + taken].copy_from_slice(&bytes[..taken]);
    at + taken
}

fn put_number(body: &mut [u8], number: u16) -> usize {
    let [high, low] = number.to_be_bytes();
    put(body, 0, &[0, 0, high, low])
}

//= SPC-4 "SCSI name string designator format": at least one NUL, padded to a multiple of four
fn put_name(body: &mut [u8], name: &str) -> usize {
    let longest = usize::from(u8::MAX) / 4 * 4 - 1;
    let end = put(body, 0, &name.as_bytes()[..name.len().min(longest)]);
    (end + 1).next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(designator: Designator<'_>, want: &[u8]) {
        assert_eq!(designator.encode(&mut [0; DESIGNATOR_BYTES_MAX]), want);
    }

    #[test]
    fn a_unit_is_named_by_its_naa() {
        let naa = [0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut want = vec![1, 3, 0, 16];
        want.extend(naa);
        check(Designator::Naa6(&naa), &want);
    }

    #[test]
    fn a_unit_is_named_by_its_vendor() {
        let designator = Designator::T10Vendor { vendor: "FELIO", identifier: ["disk", ":", "1"] };
        check(designator, b"\x02\x01\x00\x0eFELIO   disk:1");
    }

    #[test]
    fn a_port_is_named_by_its_number() {
        check(Designator::RelativeTargetPort(Protocol::ISCSI, 2), &[0x51, 0x94, 0, 4, 0, 0, 0, 2]);
    }

    #[test]
    fn groups_are_named_by_their_numbers() {
        check(Designator::TargetPortGroup(Protocol::ISCSI, 2), &[0x51, 0x95, 0, 4, 0, 0, 0, 2]);
        check(Designator::LogicalUnitGroup(3), &[0x01, 0x06, 0, 4, 0, 0, 0, 3]);
    }

    #[test]
    fn a_name_ends_with_nul_and_is_padded_to_four() {
        check(Designator::DeviceName(Protocol::ISCSI, "iqn."), b"\x53\xa8\x00\x08iqn.\0\0\0\0");
    }

    #[test]
    fn the_longest_name_is_cut_to_what_the_length_can_say() {
        let name = "x".repeat(300);
        let mut out = [0; DESIGNATOR_BYTES_MAX];
        let bytes = Designator::PortName(Protocol::ISCSI, &name).encode(&mut out);
        assert_eq!((bytes.len(), bytes[3], bytes[4 + 250], bytes[4 + 251]), (256, 252, b'x', 0));
    }
}
