//! READ CAPACITY: how many blocks, how long, how they lie.

use crate::commands::View;
use crate::parameters::vpd::physical_exponent;
use crate::writer::Writer;
use felio_spec::commands::{read_capacity10, read_capacity16};
use felio_spec::field::Field;
use felio_spec::report::{capacity10, capacity16};
use felio_spec::{Cdb, Sense};

//= SBC-3 "READ CAPACITY (10) command"
/// READ CAPACITY (10).
pub fn read_capacity10(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    check_lba(cdb, read_capacity10::PMI, read_capacity10::LBA)?;
    let geometry = &view.unit.geometry;
    data.zeros(capacity10::BYTES);
    data.set(0, capacity10::RETURNED_LBA, u32::try_from(geometry.last_lba()).unwrap_or(u32::MAX));
    data.set(0, capacity10::LOGICAL_BLOCK_LENGTH, geometry.block_bytes);
    Ok(())
}

//= SBC-3 "READ CAPACITY (16) command"
/// READ CAPACITY (16).
pub fn read_capacity16(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use capacity16 as field;
    check_lba(cdb, read_capacity16::PMI, read_capacity16::LBA)?;
    let geometry = &view.unit.geometry;
    data.zeros(field::BYTES);
    data.set(0, field::RETURNED_LBA, geometry.last_lba());
    data.set(0, field::LOGICAL_BLOCK_LENGTH, geometry.block_bytes);
    data.set(0, field::LOGICAL_BLOCKS_PER_PHYSICAL_BLOCK_EXPONENT, physical_exponent(geometry));
    if let Some(kind) = geometry.protection {
        data.set(0, field::PROT_EN, true);
        data.set(0, field::P_TYPE, kind.p_type());
    }
    data.set(0, field::LBPME, geometry.unmap.is_some());
    data.set(0, field::LBPRZ, geometry.unmap.is_some_and(|unmap| unmap.zeroes));
    Ok(())
}

/// An address is meant only with PMI, which asks for the end of the quick part: all of it is.
fn check_lba(cdb: &Cdb, pmi: Field<bool>, lba: Field<u64>) -> Result<(), Sense> {
    if cdb.get(pmi) || cdb.get(lba) == 0 { Ok(()) } else { Err(Sense::invalid_field(lba.bits)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask};
    use felio_hal::store::Protection;
    use felio_spec::protection::Kind;

    const CDB16: [u8; 16] = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];

    #[test]
    fn the_short_form_tells_the_last_block_and_its_length() {
        let got = ask(&fixture::target(), read_capacity10, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(got, Ok(vec![0, 0x1f, 0xff, 0xff, 0, 0, 2, 0]));
    }

    #[test]
    fn the_short_form_gives_up_above_two_tebibytes() {
        let mut target = fixture::target();
        target.unit_mut(0).limits.bytes = 1 << 42;
        let got = ask(&target, read_capacity10, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(got, Ok(vec![0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0]));
    }

    #[test]
    fn the_long_form_tells_of_physical_blocks_and_provisioning() {
        let mut want = vec![0, 0, 0, 0, 0, 0x1f, 0xff, 0xff, 0, 0, 2, 0, 0, 3, 0xc0, 0];
        want.resize(32, 0);
        assert_eq!(ask(&fixture::target(), read_capacity16, &CDB16), Ok(want));
    }

    #[test]
    fn the_long_form_tells_of_protection() {
        for (kind, byte) in [(Kind::Type1, 0b001), (Kind::Type2, 0b011), (Kind::Type3, 0b101)] {
            let mut target = fixture::target();
            target.unit_mut(0).limits.protection = Protection::On(kind);
            assert_eq!(ask(&target, read_capacity16, &CDB16).map(|data| data[12]), Ok(byte));
        }
    }

    #[test]
    fn an_address_without_pmi_is_refused() {
        let mut cdb = CDB16;
        cdb[9] = 1;
        let got = ask(&fixture::target(), read_capacity16, &cdb);
        assert_eq!(got, Err(Sense::invalid_field(read_capacity16::LBA.bits)));
    }
}
