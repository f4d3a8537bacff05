//! A storage object that is open, and the unit that it makes.

use crate::identity::Uuid;
use core::time::Duration;
use felio_backstore::protect::Wish;
use felio_backstore::state::Stateful;
use felio_backstore::{CacheMode, OpenError, Source, Spec, Store, UDEV_PATIENCE};
use felio_control::{AluaGroup, Backing, Config, StorageKey, StorageObject};
use felio_engine::{Access, Identity, PortGroup, Ports, UnitConfig};
use felio_hal::StoreId;
use felio_hal::meter::{Meters, UnitMeter};
use felio_hal::state::{Saved, StateStore};
use felio_hal::store::Limits;
use felio_spec::alua::{AccessState, Tpgs};
use felio_spec::protection;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// An open storage object.
pub(super) struct Disk {
    /// Its place in the table of units.
    pub(super) place: u32,
    /// Which unit it is.
    pub(super) birth: u64,
    pub(super) store: Arc<dyn Store>,
    /// What it was opened as: where that changes it must be opened anew.
    pub(super) opening: Opening,
    limits: Limits,
    block_bytes: u32,
    serial: String,
    naa: [u8; 16],
    saved: Saved,
    /// When it was opened.
    pub(super) opened: Instant,
    pub(super) meters: Meters<UnitMeter>,
}

/// All that says how a storage object is opened, and what can change only by opening it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    backing: Backing,
    serial: String,
    company: u32,
    cache: CacheMode,
    block_bytes: Option<u32>,
    protection: Option<protection::Kind>,
}

/// Where neither the operator nor the device says anything else.
const BLOCK_BYTES: u32 = 512;

/// The company id of Linux targets, by which device tables of hosts know them.
const COMPANY: u32 = 0x00_1405;

impl Opening {
    pub(super) fn of(object: &StorageObject) -> Self {
        let on = |name: &str| object.attribute(name).is_some_and(|value| value.is_on());
        let number = |name: &str| object.attribute(name).and_then(|value| value.number());
        let cache = match &object.backing {
            Backing::Fileio { aio: true, .. } => CacheMode::Direct,
            Backing::Block { .. } => CacheMode::Direct,
            _ if on("emulate_write_cache") => CacheMode::WriteBack,
            _ => CacheMode::WriteThrough,
        };
        let kinds =
            [(1, protection::Kind::Type1), (2, protection::Kind::Type2), (3, protection::Kind::Type3)];
        let kind = kinds.into_iter().find(|(kind, _)| number("pi_prot_type") == Some(*kind));
        Self {
            // A size that changes does not close it.
            backing: without_size(object.backing.clone()),
            serial: object.wwn.clone(),
            company: object.identity.company_id.unwrap_or(COMPANY),
            cache,
            block_bytes: number("block_size").and_then(|bytes| u32::try_from(bytes).ok()),
            protection: kind.map(|(_, kind)| kind),
        }
    }
}

impl Opening {
    /// Whether the unit stays what it is when its store is opened so: the blocks are at a path that another program can copy, and nothing
    /// is kept beside them.
    pub(super) fn can_become(&self, other: &Self) -> bool {
        let is_path = matches!(
            (&self.backing, &other.backing),
            (Backing::Fileio { .. }, Backing::Fileio { .. }) | (Backing::Block { .. }, Backing::Block { .. })
        );
        let (backing, cache) = (other.backing.clone(), other.cache);
        is_path && self.protection.is_none() && Self { backing, cache, ..self.clone() } == *other
    }
}

fn without_size(mut backing: Backing) -> Backing {
    if let Backing::Fileio { size, .. } = &mut backing {
        *size = 0;
    }
    backing
}

impl Disk {
    /// Opens a storage object.
    pub(super) fn open(
        key: &StorageKey,
        object: &StorageObject,
        (place, birth): (u32, u64),
        state: &Arc<dyn StateStore>,
        meters: Meters<UnitMeter>,
        patience: Duration,
    ) -> Result<Self, String> {
        let opening = Opening::of(object);
        let mut spec = Spec { patience, ..spec(key, object, &opening)? };
        let opened = match felio_backstore::open(&spec) {
            Err(OpenError::BlockTooSmall { needed, .. }) if opening.block_bytes.is_none() => {
                spec.block_bytes = needed;
                felio_backstore::open(&spec)
            }
            opened => opened,
        };
        let opened = opened.map_err(|error| error.to_string())?;
        let own = Uuid::new(opened.identity.bytes);
        let serial = if object.wwn.is_empty() { own.to_string() } else { object.wwn.clone() };
        let naa = if object.wwn.is_empty() { own.naa() } else { naa(&object.wwn, opening.company) };
        let saved = state
            .load(&naa)
            .map_err(|failure| format!("what was saved of it cannot be read: {failure:?}"))?;
        let store: Arc<dyn Store> = Arc::new(Stateful::new(opened.store, naa, Arc::clone(state)));
        let (limits, block_bytes) = (store.limits(), spec.block_bytes);
        let opened = Instant::now();
        Ok(Self { place, birth, store, opening, limits, block_bytes, serial, naa, saved, opened, meters })
    }

    /// The same unit with another store, which is opened while this one still serves.
    pub(super) fn other(
        &self,
        key: &StorageKey,
        object: &StorageObject,
        state: &Arc<dyn StateStore>,
    ) -> Result<Self, String> {
        let opening = Opening::of(object);
        let spec = Spec { block_bytes: self.block_bytes, ..spec(key, object, &opening)? };
        let opened = felio_backstore::open_beside(&spec, &*self.store).map_err(|error| error.to_string())?;
        let (known, found) = (self.store.limits().bytes, opened.limits.bytes);
        let dev = object.backing.dev().unwrap_or_default();
        if found < known {
            return Err(format!("{dev} has {found} bytes, fewer than the {known} that initiators know"));
        }
        if self.limits.protection != opened.limits.protection {
            return Err(format!("{dev} keeps protection information, or has kept some until now"));
        }
        let store: Arc<dyn Store> = Arc::new(Stateful::new(opened.store, self.naa, Arc::clone(state)));
        let (serial, saved, meters) = (self.serial.clone(), self.saved.clone(), self.meters.clone());
        Ok(Self { limits: store.limits(), store, opening, serial, saved, meters, ..*self })
    }

    /// The unit, as the configuration wants it now. `ports` says in which of its groups each target port is through which it is reached.
    pub(super) fn unit(
        &self,
        object: &StorageObject,
        name: &str,
        lu_group: u16,
        ports: &BTreeMap<u16, String>,
    ) -> UnitConfig {
        let on = |name: &str| object.attribute(name).is_some_and(|value| value.is_on());
        let mut limits = self.limits.clone();
        if !on("emulate_tpu") && !on("emulate_tpws") {
            limits.unmap = None;
        }
        UnitConfig {
            birth: self.birth,
            home: 0, // Chosen by the runtime.
            store: StoreId(self.place),
            block_bytes: self.block_bytes,
            physical_block_bytes: limits.physical_block_bytes.max(self.block_bytes),
            limits,
            read_only: !self.limits.writable,
            removable: false,
            identity: Identity {
                vendor: cut(object.vendor(), 8),
                product: cut(object.product(name), 16),
                revision: cut(object.revision(), 4),
                serial: self.serial.clone(),
                naa: self.naa,
            },
            access: access(object, lu_group, ports),
            saved: self.saved.clone(),
            meters: self.meters.clone(),
        }
    }
}

/// How its store is opened.
fn spec(key: &StorageKey, object: &StorageObject, opening: &Opening) -> Result<Spec, String> {
    let (source, size, read_only) = match &object.backing {
        Backing::Fileio { dev, size, .. } => {
            (Source::Path(PathBuf::from(dev)), (*size > 0).then_some(*size), false)
        }
        Backing::Block { dev, readonly, .. } => (Source::Path(PathBuf::from(dev)), None, *readonly),
        Backing::Pscsi { dev } => (Source::Scsi(PathBuf::from(dev)), None, false),
        Backing::Ramdisk { size, nullio: false } => (Source::Ram(*size), None, false),
        Backing::Ramdisk { size, nullio: true } | Backing::Null { size } => {
            (Source::Null(*size), None, false)
        }
        Backing::Other => return Err(format!("felio has no plugin {}", key.plugin)),
    };
    Ok(Spec {
        source,
        size,
        cache: opening.cache,
        read_only,
        block_bytes: opening.block_bytes.unwrap_or(BLOCK_BYTES),
        protection: opening.protection.map_or(Wish::AsItIs, |kind| Wish::Be(Some(kind))),
        label: key.to_string(),
        patience: UDEV_PATIENCE,
    })
}

/// A unit that stands for none: its place is free. It knows no more of what was there than what that could do.
pub(super) fn vacant(place: u32, birth: u64, limits: &Limits) -> UnitConfig {
    UnitConfig {
        birth,
        home: 0,
        store: StoreId(place),
        limits: Limits { writable: false, bytes: 0, ..limits.clone() },
        block_bytes: BLOCK_BYTES,
        physical_block_bytes: BLOCK_BYTES,
        read_only: true,
        removable: false,
        identity: Identity {
            vendor: String::new(),
            product: String::new(),
            revision: String::new(),
            serial: String::new(),
            naa: [0; 16],
        },
        access: Access::default(),
        saved: Saved::default(),
        meters: Meters::default(),
    }
}

/// NAA 6 of a company, and 25 hexadecimal digits of the serial: as LIO makes them, so that hosts find the disk again.
fn naa(serial: &str, company: u32) -> [u8; 16] {
    let head = format!("6{company:06x}");
    let digits = serial.chars().filter(char::is_ascii_hexdigit);
    let digits: Vec<u8> = head
        .chars()
        .chain(digits)
        .chain(core::iter::repeat('0'))
        .take(32)
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    core::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1])
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect::<String>().trim_end_matches('.').to_owned()
}

/// Its target port groups.
fn access(object: &StorageObject, lu_group: u16, ports: &BTreeMap<u16, String>) -> Access {
    let group = |(name, group): (&String, &AluaGroup)| {
        let mine = ports.iter().filter(|(_, of)| *of == name).map(|(port, _)| *port).collect();
        Some(port_group(group.tag?, group, Ports::These(mine)))
    };
    Access { port_groups: object.alua_groups.iter().filter_map(group).collect(), lu_group, map: None }
}

//= SPC-4 "Target port asymmetric access states"
fn port_group(id: u16, group: &AluaGroup, ports: Ports) -> PortGroup {
    use AccessState as S;
    let number = |name: &str| group.parameter(name).and_then(|value| value.number()).unwrap_or(0);
    let states = [
        ("alua_support_active_optimized", S::ActiveOptimized),
        ("alua_support_active_nonoptimized", S::ActiveNonOptimized),
        ("alua_support_standby", S::Standby),
        ("alua_support_unavailable", S::Unavailable),
        ("alua_support_offline", S::Offline),
        ("alua_support_transitioning", S::Transitioning),
    ];
    let state = match number("alua_access_state") {
        1 => S::ActiveNonOptimized,
        2 => S::Standby,
        3 => S::Unavailable,
        14 => S::Offline,
        // What depends on blocks needs a map, and a transition ends.
        _ => S::ActiveOptimized,
    };
    let type_ = number("alua_access_type");
    PortGroup {
        id,
        ports,
        state,
        preferred: number("preferred") != 0,
        tpgs: Tpgs { implicit: type_ == 1 || type_ == 3, explicit: type_ == 2 || type_ == 3 },
        supported: states.into_iter().filter(|(name, _)| number(name) != 0).map(|(_, state)| state).collect(),
        transition: Duration::from_millis(u64::try_from(number("trans_delay_msecs")).unwrap_or(0)),
        implicit_transition_secs: u8::try_from(number("implicit_trans_secs")).unwrap_or(u8::MAX),
    }
}

/// The number of the logical unit group that an object is in; zero for none.
pub(super) fn lu_group(config: &Config, object: &StorageObject) -> u16 {
    let group = object.lu_group.as_ref().and_then(|name| config.lu_groups.get(name));
    group.and_then(|group| group.id).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::show_naa;

    #[test]
    fn the_naa_id_is_the_one_that_lio_makes_of_the_serial() {
        let made = naa("b3f1a7c2-9d04-4e5b-8a77-0123456789ab", COMPANY);
        assert_eq!(show_naa(made), "6001405b3f1a7c29d044e5b8a7701234");
    }

    #[test]
    fn a_short_serial_is_filled_with_zeros() {
        assert_eq!(show_naa(naa("xyz1", COMPANY)), "60014051000000000000000000000000");
    }
}
