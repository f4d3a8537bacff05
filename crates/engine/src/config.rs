//! What the operator decided: target ports, units, who finds which unit where, and who they say they are.
//!
//! Immutable; replaced whole ([`Engine::handle_config`](crate::Engine::handle_config)).

use core::time::Duration;
use felio_hal::meter::{LunMeter, Meter, Meters, UnitMeter};
use felio_hal::state::Saved;
use felio_hal::{Limits, StoreId};
use felio_spec::Lun;
use felio_spec::alua::{AccessState, Tpgs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Target ports, the units behind them, and who finds which of them under which number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// The target ports; at least one.
    pub ports: Vec<PortConfig>,
    /// The wall clock at the origin of [`Time`](felio_hal::Time): milliseconds since 1970.
    pub epoch_millis: u64,
    /// The units, of all reactors. A unit keeps its place as long as it exists. Shared, so that a change costs what it changes.
    pub units: Vec<Arc<UnitConfig>>,
    /// What makes ROD tokens hard to guess: drawn at random for each process, and told to nobody.
    pub token_seed: [u8; 32],
}

/// A SCSI target port: for iSCSI, a portal group of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// The name of the target that it belongs to; for iSCSI its iqn.
    pub target: String,
    /// Which of the target's ports; for iSCSI the portal group tag.
    pub tag: u16,
    /// RELATIVE TARGET PORT IDENTIFIER: unique among all ports.
    pub relative_port: u16,
    /// What initiators find behind it that are not named below.
    pub luns: Arc<LunMap>,
    /// What these initiators find, by their names.
    pub initiators: BTreeMap<String, Arc<LunMap>>,
    /// Where its commands are counted.
    pub meters: Meters<Meter>,
}

/// Which units there are for an initiator, and under which numbers. A unit may have several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LunMap {
    mappings: Vec<Mapping>,
    /// What is counted under each number; none where nobody asks.
    meters: Vec<Meters<LunMeter>>,
}

/// A unit's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The number; see [`felio_spec::Lun::from_number`].
    pub lun: u16,
    /// The unit's place in [`TargetConfig::units`].
    pub unit: u32,
    /// The initiator may not write to it.
    pub read_only: bool,
}

impl LunMap {
    /// These units. Of two with the same number the first counts.
    #[must_use]
    pub fn new(mut mappings: Vec<Mapping>) -> Self {
        mappings.sort_by_key(|mapping| mapping.lun);
        mappings.dedup_by_key(|mapping| mapping.lun);
        Self { mappings, meters: Vec::new() }
    }

    /// The same, and what comes to each number is counted there.
    #[must_use]
    pub fn counted(mut self, meter: impl Fn(&Mapping) -> Meters<LunMeter>) -> Self {
        self.meters = self.mappings.iter().map(meter).collect();
        self
    }

    /// The first units, each under the number of its place.
    #[must_use]
    pub fn numbered(units: u16) -> Self {
        Self::new((0..units).map(|lun| Mapping { lun, unit: lun.into(), read_only: false }).collect())
    }

    /// The unit with this number.
    #[must_use]
    pub fn find(&self, lun: Lun) -> Option<Mapping> {
        self.mappings.get(self.place(lun)?).copied()
    }

    /// Where what comes to a number is counted.
    #[must_use]
    pub fn meter(&self, lun: Lun) -> Option<&Meters<LunMeter>> {
        self.meters.get(self.place(lun)?)
    }

    /// A reactor's own meters, by index of the unit. A unit that has several numbers is counted under the first.
    pub(crate) fn meters_of(&self, reactor: u16) -> Vec<Option<Arc<LunMeter>>> {
        let mut all = Vec::new();
        for (mapping, meters) in self.mappings.iter().zip(&self.meters).rev() {
            let at = usize::try_from(mapping.unit).unwrap_or(usize::MAX);
            if all.len() <= at {
                all.resize(at + 1, None);
            }
            all[at] = Some(meters.of(reactor));
        }
        all
    }

    /// All that is counted.
    pub fn meters(&self) -> impl Iterator<Item = (Mapping, &Meters<LunMeter>)> {
        self.mappings.iter().copied().zip(&self.meters)
    }

    #[inline]
    fn place(&self, lun: Lun) -> Option<usize> {
        let number = lun.number()?;
        // Mostly they are numbered from zero, without gaps.
        let at = usize::from(number);
        match self.mappings.get(at) {
            Some(mapping) if mapping.lun == number => Some(at),
            _ => self.mappings.binary_search_by_key(&number, |mapping| mapping.lun).ok(),
        }
    }

    /// The first number of a unit.
    #[must_use]
    pub fn lun_of(&self, unit: u32) -> Option<Lun> {
        self.mappings
            .iter()
            .find(|mapping| mapping.unit == unit)
            .and_then(|mapping| Lun::from_number(mapping.lun))
    }

    /// Whether the initiator may not write to a unit, whichever number it uses.
    #[must_use]
    pub fn protects(&self, unit: u32) -> bool {
        let mut mappings = self.mappings.iter().filter(|mapping| mapping.unit == unit).peekable();
        mappings.peek().is_some() && mappings.all(|mapping| mapping.read_only)
    }

    /// All of them, by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = Mapping> {
        self.mappings.iter().copied()
    }
}

impl PortConfig {
    /// The port's name as SCSI knows it.
    //= RFC 7143 "SCSI to iSCSI Concepts Mapping Model": the target port's name
    #[must_use]
    pub fn name(&self) -> String {
        format!("{},t,0x{:04x}", self.target, self.tag)
    }

    /// What an initiator finds behind it.
    #[must_use]
    pub fn luns_for(&self, initiator: &str) -> &Arc<LunMap> {
        self.initiators.get(initiator).unwrap_or(&self.luns)
    }
}

impl TargetConfig {
    /// The unit at a place, to be changed.
    pub fn unit_mut(&mut self, at: usize) -> &mut UnitConfig {
        Arc::make_mut(&mut self.units[at])
    }

    /// The port of that target with that tag, as an index.
    #[must_use]
    pub fn port(&self, target: &str, tag: u16) -> Option<usize> {
        self.ports.iter().position(|port| port.tag == tag && port.target == target)
    }
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// Which unit it is: one with another number that takes its place is another unit.
    pub birth: u64,
    /// The reactor that executes its commands.
    pub home: u16,
    /// Where its blocks are.
    pub store: StoreId,
    /// What that store can do.
    pub limits: Limits,
    /// Logical block, bytes.
    pub block_bytes: u32,
    /// Physical block, bytes.
    pub physical_block_bytes: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// Initiators may eject the medium and load it again.
    pub removable: bool,
    /// Who it says it is.
    pub identity: Identity,
    /// Through which ports it can be used, and how well.
    pub access: Access,
    /// What earlier processes saved of it.
    pub saved: Saved,
    /// Where its commands are counted.
    pub meters: Meters<UnitMeter>,
}

/// Through which ports a unit can be used, and how well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Target port groups; a port is in one of them at the most.
    pub port_groups: Vec<PortGroup>,
    /// The logical unit group: what changes the groups of one of its units changes those of all that have the same numbers.
    /// Units of a group have the same home. Zero: the unit is alone.
    pub lu_group: u16,
    /// Which blocks each group reaches while it is in the state LBA dependent.
    pub map: Option<LbaMap>,
}

/// A target port group of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortGroup {
    /// TARGET PORT GROUP: its number.
    pub id: u16,
    /// Its ports.
    pub ports: Ports,
    /// Its state, as long as nobody has changed it. Offline: all its ports are.
    pub state: AccessState,
    /// Initiators should use it before others.
    pub preferred: bool,
    /// Who changes its state.
    pub tpgs: Tpgs,
    /// The states that it can get into.
    pub supported: Vec<AccessState>,
    /// How long it is between two states.
    pub transition: Duration,
    /// How long a transition that nobody asked for takes at the most, seconds; zero is "not told".
    pub implicit_transition_secs: u8,
}

/// Ports of a group, by RELATIVE TARGET PORT IDENTIFIER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port.
    All,
    /// These.
    These(Vec<u16>),
}

/// SBC-3 "Referrals": which blocks can be reached through which groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbaMap {
    /// USER DATA SEGMENT SIZE, blocks; zero: each range is one segment.
    pub segment_blocks: u32,
    /// USER DATA SEGMENT MULTIPLIER: in a range, one of so many segments belongs to it.
    pub segment_multiplier: u32,
    /// In ascending order.
    pub ranges: Vec<LbaRange>,
}

/// Blocks, and the state of each group for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbaRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// By number of the group.
    pub groups: Vec<(u16, AccessState)>,
}

/// One group that any port is in, as LIO's.
impl Default for Access {
    fn default() -> Self {
        Self { port_groups: vec![PortGroup::new(0, Ports::All)], lu_group: 0, map: None }
    }
}

impl PortGroup {
    /// A group that is active, and that the target and initiators can change.
    #[must_use]
    pub fn new(id: u16, ports: Ports) -> Self {
        use AccessState as S;
        let supported = [S::ActiveOptimized, S::ActiveNonOptimized, S::Standby, S::Unavailable, S::Offline];
        Self {
            id,
            ports,
            state: S::ActiveOptimized,
            preferred: false,
            tpgs: Tpgs { implicit: true, explicit: true },
            supported: [&supported[..], &[S::Transitioning]].concat(),
            transition: Duration::ZERO,
            implicit_transition_secs: 0,
        }
    }
}

impl Ports {
    /// Whether a port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::These(ports) => ports.contains(&port),
        }
    }
}

/// Who a unit says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// T10 VENDOR IDENTIFICATION, at most 8 characters.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION, at most 16 characters.
    pub product: String,
    /// PRODUCT REVISION LEVEL, at most 4 characters.
    pub revision: String,
    /// PRODUCT SERIAL NUMBER.
    pub serial: String,
    /// NAA designator, IEEE Registered Extended format.
    pub naa: [u8; 16],
}
