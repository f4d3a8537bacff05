//! GET LBA STATUS parameter data: which blocks are mapped.

use crate::geometry::Extent;
use crate::writer::Writer;
use felio_spec::report::{lba_status, lba_status_descriptor, provisioning_status};

/// A run of blocks with the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which blocks.
    pub extent: Extent,
    /// Whether they are mapped, or nobody knows.
    pub mapped: bool,
}

//= SBC-3 "GET LBA STATUS parameter data"
/// Writes the runs, which follow upon one another. A run longer than a descriptor can tell is cut there, and the data
/// end with it: the initiator asks again from where they ended.
pub fn encode(runs: &[Run], data: &mut Writer) {
    use lba_status_descriptor as field;
    const LENGTH_FIELD_BYTES: usize = 4;
    data.zeros(lba_status::BYTES);
    for run in runs {
        let base = data.len();
        let blocks = u32::try_from(run.extent.blocks).unwrap_or(u32::MAX);
        let status = if run.mapped { provisioning_status::MAPPED } else { provisioning_status::DEALLOCATED };
        data.zeros(field::BYTES);
        data.set(base, field::STARTING_LBA, run.extent.lba);
        data.set(base, field::NUMBER_OF_LOGICAL_BLOCKS, blocks);
        data.set(base, field::PROVISIONING_STATUS, status);
        if u64::from(blocks) < run.extent.blocks {
            break;
        }
    }
    let length = u32::try_from(data.len() - LENGTH_FIELD_BYTES).unwrap_or(u32::MAX);
    data.set(0, lba_status::PARAMETER_DATA_LENGTH, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lba: u64, blocks: u64, mapped: bool) -> Run {
        Run { extent: Extent { lba, blocks }, mapped }
    }

    #[test]
    fn each_run_has_its_descriptor() {
        let mut data = Writer::new();
        encode(&[run(0, 8, true), run(8, 2, false)], &mut data);
        let mut want = vec![0, 0, 0, 36, 0, 0, 0, 0];
        want.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
        want.extend([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 1, 0, 0, 0]);
        assert_eq!(data.as_slice(), want);
    }

    #[test]
    fn the_data_end_with_a_run_that_is_too_long_to_tell() {
        let mut data = Writer::new();
        encode(&[run(0, 1 << 33, true), run(1 << 33, 2, false)], &mut data);
        assert_eq!(data.len(), 24);
        assert_eq!(data.as_slice()[16..20], [0xff; 4]);
    }
}
