//! READ DEFECT DATA: there are no defects that we know of, neither from the factory nor grown.

use crate::commands::View;
use crate::writer::Writer;
use felio_spec::commands::{read_defect_data10 as cdb10, read_defect_data12 as cdb12};
use felio_spec::medium::{defects10, defects12};
use felio_spec::{Cdb, Sense};

//= SBC-3 "READ DEFECT DATA (10) command": an empty list has every format
/// READ DEFECT DATA (10).
pub fn read_defect_data10(_view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    data.zeros(defects10::BYTES);
    data.set(0, defects10::PLISTV, cdb.get(cdb10::REQ_PLIST));
    data.set(0, defects10::GLISTV, cdb.get(cdb10::REQ_GLIST));
    data.set(0, defects10::DEFECT_LIST_FORMAT, cdb.get(cdb10::DEFECT_LIST_FORMAT));
    Ok(())
}

//= SBC-3 "READ DEFECT DATA (12) command": an address descriptor index past the end is no error
/// READ DEFECT DATA (12).
pub fn read_defect_data12(_view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    data.zeros(defects12::BYTES);
    data.set(0, defects12::PLISTV, cdb.get(cdb12::REQ_PLIST));
    data.set(0, defects12::GLISTV, cdb.get(cdb12::REQ_GLIST));
    data.set(0, defects12::DEFECT_LIST_FORMAT, cdb.get(cdb12::DEFECT_LIST_FORMAT));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask};

    #[test]
    fn the_lists_that_are_asked_for_are_empty() {
        let short = ask(&fixture::target(), read_defect_data10, &[0x37, 0, 0x1d, 0, 0, 0, 0, 0, 32, 0]);
        assert_eq!(short, Ok(vec![0, 0x1d, 0, 0]));
        let long = ask(&fixture::target(), read_defect_data12, &[0xb7, 0x0b, 0, 0, 0, 9, 0, 0, 0, 32, 0, 0]);
        assert_eq!(long, Ok(vec![0, 0x0b, 0, 0, 0, 0, 0, 0]));
    }
}
