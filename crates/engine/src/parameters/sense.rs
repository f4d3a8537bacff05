//! REQUEST SENSE: sense data as parameter data.

use crate::config::LunMap;
use crate::writer::Writer;
use felio_spec::Cdb;
use felio_spec::commands::request_sense::DESC;
use felio_spec::sense::{SENSE_BYTES_MAX, Sense, code};

//= SPC-4 "REQUEST SENSE command"
/// REQUEST SENSE to a unit, of what is pending or of nothing.
pub fn request_sense(pending: &Sense, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let mut out = [0; SENSE_BYTES_MAX];
    let length = pending.encode(cdb.get(DESC), &mut out);
    data.bytes(&out[..length]);
    Ok(())
}

/// REQUEST SENSE where there is no unit: GOOD, with sense data that say so.
pub fn request_sense_absent(_luns: &LunMap, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    request_sense(&code::LU_NOT_SUPPORTED.into(), cdb, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sense: Sense, desc: u8, want: &[u8]) {
        let mut data = Writer::new();
        assert_eq!(request_sense(&sense, &Cdb::new(&[3, desc, 0, 0, 252, 0]), &mut data), Ok(()));
        assert_eq!(data.as_slice(), want);
    }

    #[test]
    fn fixed_format_is_the_usual_one() {
        let want = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 1, 0, 0, 0, 0];
        check(code::POWER_ON_OCCURRED.into(), 0, &want);
    }

    #[test]
    fn descriptor_format_is_had_for_the_asking() {
        check(code::NO_ADDITIONAL_SENSE.into(), 1, &[0x72, 0, 0, 0, 0, 0, 0, 0]);
    }
}
