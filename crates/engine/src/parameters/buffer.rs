//! READ BUFFER and WRITE BUFFER: data that come back as they were sent.
//!
//! There is one data buffer, shared by everybody, and an echo buffer for each nexus. They are no part of the medium, and
//! microcode is none of their business: a new felio comes another way.
//!
//! Invariant: at most `ECHOES_MAX` echo buffers hold data at a time; who has lost his is told.

use crate::commands::View;
use crate::unit::{Change, Unit};
use crate::writer::Writer;
use felio_hal::NexusId;
use felio_spec::commands::{read_buffer, write_buffer};
use felio_spec::report::{buffer_descriptor, buffer_mode, echo_buffer_descriptor};
use felio_spec::sense::code;
use felio_spec::{Bits, Cdb, Sense};
use std::collections::VecDeque;

/// Bytes of the data buffer: what one parameter list can fill.
const DATA_BYTES: u16 = 0xff00;
/// Bytes of an echo buffer.
const ECHO_BYTES: u16 = 4096;
/// How many of them a unit keeps.
const ECHOES_MAX: usize = 16;

/// What initiators have written to be read again.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Empty until something is written.
    data: Vec<u8>,
    /// The latest last.
    echoes: VecDeque<Echo>,
}

/// What one nexus has written.
#[derive(Debug)]
struct Echo {
    nexus: NexusId,
    /// Nothing: others have written since then, and it had to go.
    bytes: Option<Box<[u8]>>,
}

impl Buffers {
    /// What a nexus shall read again.
    pub(crate) fn write_echo(&mut self, nexus: NexusId, bytes: Box<[u8]>) {
        self.forget(nexus);
        let held = self.echoes.iter().filter(|echo| echo.bytes.is_some()).count();
        if held >= ECHOES_MAX
            && let Some(oldest) = self.echoes.iter_mut().find(|echo| echo.bytes.is_some())
        {
            oldest.bytes = None;
        }
        self.echoes.push_back(Echo { nexus, bytes: Some(bytes) });
    }

    /// A nexus is gone.
    pub(crate) fn forget(&mut self, nexus: NexusId) {
        self.echoes.retain(|echo| echo.nexus != nexus);
    }

    //= SPC-4 "Read data from echo buffer mode": what the same nexus has written, or an error that says why not
    fn echo(&self, nexus: NexusId) -> Result<&[u8], Sense> {
        let echo = self.echoes.iter().find(|echo| echo.nexus == nexus).ok_or(code::COMMAND_SEQUENCE_ERROR)?;
        echo.bytes.as_deref().ok_or_else(|| code::ECHO_BUFFER_OVERWRITTEN.into())
    }
}

//= SPC-4 "READ BUFFER command"
/// READ BUFFER.
pub fn read_buffer(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use read_buffer::{BUFFER_ID, BUFFER_OFFSET, MODE};
    let buffers = &view.unit.buffers;
    match cdb.get(MODE) {
        buffer_mode::DATA => {
            check_buffer(cdb.get(BUFFER_ID), BUFFER_ID.bits)?;
            let offset = cdb.get(BUFFER_OFFSET);
            let bytes_max = u32::from(DATA_BYTES);
            if offset > bytes_max {
                return Err(Sense::invalid_field(BUFFER_OFFSET.bits));
            }
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            data.bytes(buffers.data.get(offset..).unwrap_or_default());
            data.zeros(usize::from(DATA_BYTES) - offset - data.len());
        }
        //= SPC-4 "Descriptor mode": zeros for a buffer that does not exist
        buffer_mode::DESCRIPTOR => {
            let exists = cdb.get(BUFFER_ID) == 0;
            data.zeros(buffer_descriptor::BYTES);
            data.set(0, buffer_descriptor::BUFFER_CAPACITY, if exists { DATA_BYTES.into() } else { 0 });
        }
        buffer_mode::ECHO => data.bytes(buffers.echo(view.nexus)?),
        buffer_mode::ECHO_DESCRIPTOR => {
            data.zeros(echo_buffer_descriptor::BYTES);
            data.set(0, echo_buffer_descriptor::EBOS, true);
            data.set(0, echo_buffer_descriptor::BUFFER_CAPACITY, ECHO_BYTES);
        }
        _ => return Err(Sense::invalid_field(MODE.bits)),
    }
    Ok(())
}

//= SPC-4 "WRITE BUFFER command"
/// WRITE BUFFER.
pub fn write_buffer(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    use write_buffer::{BUFFER_ID, BUFFER_OFFSET, MODE, PARAMETER_LIST_LENGTH};
    match cdb.get(MODE) {
        buffer_mode::DATA => {
            check_buffer(cdb.get(BUFFER_ID), BUFFER_ID.bits)?;
            let from = usize::try_from(cdb.get(BUFFER_OFFSET)).unwrap_or(usize::MAX);
            if from > DATA_BYTES.into() {
                return Err(Sense::invalid_field(BUFFER_OFFSET.bits));
            }
            let end = from + list.len();
            if end > DATA_BYTES.into() {
                return Err(Sense::invalid_field(PARAMETER_LIST_LENGTH.bits));
            }
            let data = &mut unit.buffers.data;
            data.resize(data.len().max(end), 0);
            data[from..end].copy_from_slice(list);
            Ok(Change::Nothing)
        }
        buffer_mode::ECHO if list.len() > ECHO_BYTES.into() => {
            Err(Sense::invalid_field(PARAMETER_LIST_LENGTH.bits))
        }
        buffer_mode::ECHO => Ok(Change::Echo(list.into())),
        _ => Err(Sense::invalid_field(MODE.bits)),
    }
}

/// There is one buffer.
fn check_buffer(number: u8, field: Bits) -> Result<(), Sense> {
    if number == 0 { Ok(()) } else { Err(Sense::invalid_field(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn nexus(slot: u32) -> NexusId {
        NexusId { reactor: 0, slot, generation: 0 }
    }

    fn write(buffers: &mut Buffers, slot: u32) {
        buffers.write_echo(nexus(slot), Box::new([slot.to_be_bytes()[3]; 4]));
    }

    #[test]
    fn who_wrote_nothing_has_nothing_to_read() {
        assert_eq!(Buffers::default().echo(nexus(0)), Err(code::COMMAND_SEQUENCE_ERROR.into()));
    }

    #[test]
    fn echoes_do_not_mix() {
        let mut buffers = Buffers::default();
        write(&mut buffers, 1);
        write(&mut buffers, 2);
        assert_eq!(buffers.echo(nexus(1)), Ok(&[1; 4][..]));
    }

    #[test]
    fn the_oldest_echo_makes_room_and_its_nexus_is_told() {
        let mut buffers = Buffers::default();
        for slot in 0..=16 {
            write(&mut buffers, slot);
        }
        assert_eq!(buffers.echo(nexus(0)), Err(code::ECHO_BUFFER_OVERWRITTEN.into()));
        assert_eq!(buffers.echo(nexus(1)), Ok(&[1; 4][..]));
        write(&mut buffers, 0);
        assert_eq!(buffers.echo(nexus(0)), Ok(&[0; 4][..]));
        buffers.forget(nexus(0));
        assert_eq!(buffers.echo(nexus(0)), Err(code::COMMAND_SEQUENCE_ERROR.into()));
    }
}
