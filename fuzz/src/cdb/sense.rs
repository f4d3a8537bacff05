//! Sense data as an initiator reads them: what is valid at all.

use felio_spec::sense::code;

/// Key, code and qualifier of valid sense data; the field pointer, if there is one, as byte and bit in the CDB.
pub(super) struct Read {
    pub(super) key: u8,
    pub(super) asc: u8,
    pub(super) ascq: u8,
    /// Told of an earlier command: the one that it came with was not carried out.
    pub(super) deferred: bool,
    /// In the CDB, or else in the parameter list: byte and bit.
    pub(super) pointer: Option<(bool, u16, Option<u8>)>,
}

impl Read {
    /// Whether this is INVALID FIELD IN CDB.
    pub(super) const fn is_invalid_field(&self) -> bool {
        matches!((self.key, self.asc, self.ascq), (0x05, 0x24, 0x00))
    }

    /// Whether this is INVALID COMMAND OPERATION CODE.
    pub(super) const fn is_invalid_opcode(&self) -> bool {
        matches!((self.key, self.asc, self.ascq), (0x05, 0x20, 0x00))
    }
}

/// Reads sense data, fixed or descriptor.
pub(super) fn read(sense: &[u8]) -> Read {
    let (key, asc, ascq, specific) = match sense[0] & 0x7f {
        0x70 | 0x71 => {
            assert_eq!(sense.len(), 18, "fixed format: {sense:02x?}");
            assert_eq!(usize::from(sense[7]) + 8, sense.len(), "ADDITIONAL SENSE LENGTH: {sense:02x?}");
            (sense[2] & 0xf, sense[12], sense[13], Some([sense[15], sense[16], sense[17]]))
        }
        0x72 | 0x73 => {
            assert_eq!(usize::from(sense[7]) + 8, sense.len(), "ADDITIONAL SENSE LENGTH: {sense:02x?}");
            (sense[1] & 0xf, sense[2], sense[3], specific(&sense[8..]))
        }
        other => panic!("a response code of {other:#x}"),
    };
    let known =
        |(code, _): &(felio_spec::sense::Code, &str)| (code.key.0, code.asc, code.ascq) == (key, asc, ascq);
    assert!(code::ALL.iter().any(known), "{key:x}/{asc:02x}/{ascq:02x} is no code of ours");
    //= SPC-4 "Sense key specific": how far something is, or the field at fault
    let pointer = specific.filter(|bytes| bytes[0] & 0x80 != 0).and_then(|[flags, high, low]| match key {
        0x00 | 0x02 => None,
        _ => {
            assert_eq!(key, 0x05, "only ILLEGAL REQUEST points at a field");
            let bit = (flags & 0x08 != 0).then_some(flags & 7);
            Some((flags & 0x40 != 0, u16::from_be_bytes([high, low]), bit))
        }
    });
    Read { key, asc, ascq, deferred: sense[0] & 1 != 0, pointer }
}

/// The sense key specific descriptor among others.
fn specific(mut descriptors: &[u8]) -> Option<[u8; 3]> {
    let mut found = None;
    while let [kind, length, ..] = *descriptors {
        let whole = usize::from(length) + 2;
        assert!(whole <= descriptors.len(), "a descriptor reaches past the end: {descriptors:02x?}");
        if kind == 0x02 {
            assert_eq!(length, 6, "a sense key specific descriptor has eight bytes");
            found = Some([descriptors[4], descriptors[5], descriptors[6]]);
        }
        descriptors = &descriptors[whole..];
    }
    assert!(descriptors.is_empty(), "a cut descriptor: {descriptors:02x?}");
    found
}
