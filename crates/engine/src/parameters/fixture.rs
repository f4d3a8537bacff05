//! A target with one unit, for the tests of this folder.

use crate::commands::{ParametersFn, View};
use crate::config::{Access, Identity, LunMap, PortConfig, TargetConfig, UnitConfig};
use crate::unit::Unit;
use crate::writer::Writer;
use felio_hal::meter::Meters;
use felio_hal::state::Saved;
use felio_hal::store::{Limits, UnmapLimits, WriteCache};
use felio_hal::{NexusId, StoreId, Time};
use felio_spec::{Cdb, Sense};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who asks.
pub(crate) const NEXUS: NexusId = NexusId { reactor: 0, slot: 0, generation: 0 };

/// 1 GiB in blocks of 512 bytes, 4 KiB physical; cached, thin, not rotating.
pub(crate) fn target() -> TargetConfig {
    TargetConfig { ports: vec![port()], epoch_millis: 0, units: vec![unit(0).into()], token_seed: [0; 32] }
}

fn port() -> PortConfig {
    PortConfig {
        target: "iqn.2026-01.net.x:t".into(),
        tag: 1,
        relative_port: 1,
        luns: Arc::new(LunMap::numbered(1)),
        initiators: BTreeMap::new(),
        meters: Meters::default(),
    }
}

pub(crate) fn unit(birth: u64) -> UnitConfig {
    UnitConfig {
        birth,
        home: 0,
        store: StoreId(0),
        limits: Limits {
            bytes: 1 << 30,
            writable: true,
            logical_block_bytes: 512,
            physical_block_bytes: 4096,
            optimal_io_bytes: Some(65_536),
            transfer_bytes_max: 1 << 20,
            write_cache: WriteCache::On,
            unmap: Some(UnmapLimits {
                granularity_bytes: 4096,
                alignment_bytes: 512,
                zeroes: true,
                anchor: false,
            }),
            atomic: None,
            extents: true,
            space: false,
            rotational: Some(false),
            protection: felio_hal::store::Protection::Impossible,
            state: true,
            passes: None,
        },
        block_bytes: 512,
        physical_block_bytes: 4096,
        read_only: false,
        removable: false,
        identity: Identity {
            vendor: "FELIO".into(),
            product: "disk".into(),
            revision: "0.1".into(),
            serial: "abc12".into(),
            naa: [0x60, 0x01, 0x40, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        },
        access: Access::default(),
        saved: Saved::default(),
        meters: Meters::default(),
    }
}

/// What the first unit answers.
pub(crate) fn ask(target: &TargetConfig, run: ParametersFn, cdb: &[u8]) -> Result<Vec<u8>, Sense> {
    ask_unit(target, &Unit::new(UnitConfig::clone(&target.units[0])), run, cdb)
}

/// What a unit answers.
pub(crate) fn ask_unit(
    target: &TargetConfig,
    unit: &Unit,
    run: ParametersFn,
    cdb: &[u8],
) -> Result<Vec<u8>, Sense> {
    let mut data = Writer::new();
    let port = &target.ports[0];
    let view = View { target, port, luns: &port.luns, nexus: NEXUS, at: 0, now: Time(0), unit };
    run(&view, &Cdb::new(cdb), &mut data)?;
    Ok(data.as_slice().to_vec())
}
