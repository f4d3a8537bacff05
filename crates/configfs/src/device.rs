//! Devices: their folders, what `control` says before they are enabled, and what `info` says.

use felio_control::attr::{Attr, Scope};
use felio_control::{Backing, Plugin, StorageKey, StorageObject, Value, Values};
use std::collections::BTreeMap;

/// The folder of a plugin: `fileio_0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hba {
    pub(crate) plugin: Plugin,
    pub(crate) number: u32,
}

/// The folder of a device: `fileio_0/disk`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) hba: Hba,
    pub(crate) name: String,
    /// Whether nothing keeps its blocks: LIO has that as a kind of memory.
    is_null: bool,
}

/// Plugins and how the kernel calls them.
const PLUGINS: &[(Plugin, &str)] = &[
    (Plugin::Block, "iblock"),
    (Plugin::Fileio, "fileio"),
    (Plugin::Pscsi, "pscsi"),
    (Plugin::Ramdisk, "rd_mcp"),
];

/// The plugin in whose folder an object is; none for those that felio does not have.
pub(crate) fn plugin(key: &StorageKey) -> Option<Plugin> {
    match &key.plugin {
        Plugin::Null => Some(Plugin::Ramdisk),
        Plugin::Other(_) => None,
        plugin => Some(plugin.clone()),
    }
}

impl Hba {
    /// `fileio_0`; nothing where the name is no plugin's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (kind, number) = name.rsplit_once('_')?;
        let (plugin, _) = PLUGINS.iter().find(|(_, known)| *known == kind)?;
        Some(Self { plugin: plugin.clone(), number: decimal(number)? })
    }

    pub(crate) fn kind(&self) -> &'static str {
        PLUGINS.iter().find(|(plugin, _)| *plugin == self.plugin).map_or("", |(_, kind)| kind)
    }

    pub(crate) fn name(&self) -> String {
        format!("{}_{}", self.kind(), self.number)
    }
}

impl Device {
    /// Where an object stands that is in this folder.
    pub(crate) fn of(hba: Hba, key: &StorageKey) -> Self {
        Self { hba, name: key.name.clone(), is_null: key.plugin == Plugin::Null }
    }

    pub(crate) fn new(hba: Hba, name: &str) -> Self {
        Self { hba, name: name.to_owned(), is_null: false }
    }

    pub(crate) fn key(&self) -> StorageKey {
        let plugin = if self.is_null { Plugin::Null } else { self.hba.plugin.clone() };
        StorageKey::new(plugin, self.name.as_str())
    }

    /// The way to it from the root.
    pub(crate) fn path(&self) -> String {
        format!("core/{}/{}", self.hba.name(), self.name)
    }
}

/// A device that has not been enabled yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    /// What was written to `control`, the last of each key.
    options: BTreeMap<String, String>,
    pub(crate) path: String,
    pub(crate) alias: String,
    /// Attributes that were set.
    pub(crate) attributes: Values,
    /// Values of `wwn/`.
    pub(crate) identity: Values,
}

impl Draft {
    /// Takes what is written to `control`: keys with values, commas or ends of lines between. Keys that mean nothing to us are taken,
    /// too: newer tools write newer keys.
    pub(crate) fn control(&mut self, text: &str) -> bool {
        for option in text.split([',', '\n']).filter(|option| !option.is_empty()) {
            let Some((key, value)) = option.split_once('=') else { continue };
            if self.options.len() >= OPTIONS_MAX && !self.options.contains_key(key) {
                return false;
            }
            self.options.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        true
    }

    /// Where its blocks would be.
    pub(crate) fn backing(&self, plugin: &Plugin) -> Backing {
        let text = |key: &str| self.options.get(key).cloned().unwrap_or_default();
        let number = |key: &str| self.options.get(key).and_then(|value| value.parse::<u64>().ok());
        let is_on = |key: &str| number(key) == Some(1);
        match plugin {
            Plugin::Block => Backing::Block {
                dev: if self.options.contains_key("udev_path") {
                    text("udev_path")
                } else {
                    self.path.clone()
                },
                readonly: is_on("readonly"),
                exclusive: number("exclusive") != Some(0),
            },
            Plugin::Pscsi => Backing::Pscsi { dev: self.scsi_device() },
            Plugin::Ramdisk => Backing::Ramdisk {
                size: number("rd_pages").unwrap_or(0).saturating_mul(PAGE_BYTES),
                nullio: is_on("rd_nullio"),
            },
            _ => Backing::Fileio {
                dev: text("fd_dev_name"),
                size: number("fd_dev_size").unwrap_or(0),
                write_back: is_on("fd_buffered_io"),
                aio: is_on("fd_async_io"),
            },
        }
    }

    /// Its path, or else its address.
    fn scsi_device(&self) -> String {
        if !self.path.is_empty() {
            return self.path.clone();
        }
        let parts = ["scsi_host_id", "scsi_channel_id", "scsi_target_id", "scsi_lun_id"];
        let parts: Vec<&str> =
            parts.iter().filter_map(|key| self.options.get(*key).map(String::as_str)).collect();
        if parts.len() == 4 { parts.join(":") } else { String::new() }
    }

    /// What it would become.
    pub(crate) fn object(&self, plugin: &Plugin) -> StorageObject {
        let serial = self.identity.get("vpd_unit_serial").map(ToString::to_string).unwrap_or_default();
        let mut object = StorageObject::new(self.backing(plugin), serial);
        object.attributes.clone_from(&self.attributes);
        object
    }
}

/// The value of an attribute of a device as it is shown. What only the running device knows is shown as LIO's drivers have it.
pub(crate) fn attribute(object: &StorageObject, row: &Attr) -> Value {
    let known = object.attribute(row.name);
    known.unwrap_or_else(|| Value::Number(limit(&object.backing, row.name)))
}

/// The first line of `info`, and what LIO's driver adds.
pub(crate) fn info(device: &Device, object: &StorageObject, is_exported: bool) -> String {
    let number = |name: &str| {
        let row = Attr::find(Scope::Storage, name).filter(|row| row.applies_to(&object.backing));
        row.map_or(0, |row| attribute(object, row).number().unwrap_or(0))
    };
    let status = if is_exported { "ACTIVATED" } else { "DEACTIVATED" };
    let (depth, block, sectors) =
        (number("hw_queue_depth"), number("hw_block_size"), number("hw_max_sectors"));
    let head =
        format!("Status: {status}  Max Queue Depth: {depth}  SectorSize: {block}  HwMaxSectors: {sectors}\n");
    let id = device.hba.number;
    let rest = match &object.backing {
        Backing::Fileio { dev, size, aio, .. } => {
            let mode = if number("emulate_write_cache") == 1 { "Buffered-WCE" } else { "O_DSYNC" };
            let aio = u8::from(*aio);
            format!("TCM FILEIO ID: {id}        File: {dev}  Size: {size}  Mode: {mode} Async: {aio}\n")
        }
        Backing::Block { dev, readonly, exclusive } => {
            let name = dev.rsplit('/').next().unwrap_or(dev);
            let (readonly, exclusive) = (u8::from(*readonly), u8::from(*exclusive));
            format!(
                "iBlock device: {name}  UDEV PATH: {dev}  readonly: {readonly}  exclusive: {exclusive}\n        Major: 0 Minor: 0  CLAIMED: IBLOCK\n"
            )
        }
        Backing::Ramdisk { size, nullio } => ram(id, *size, *nullio),
        Backing::Null { size } => ram(id, *size, true),
        Backing::Pscsi { dev } => {
            let address: Vec<&str> = dev.split(':').collect();
            let part = |at: usize| if address.len() == 4 { address[at] } else { "0" };
            let (host, channel, target, lun) = (part(0), part(1), part(2), part(3));
            format!(
                "SCSI Device Bus Location: Channel ID: {channel} Target ID: {target} LUN: {lun} Host ID: {host}\n"
            )
        }
        Backing::Other => String::new(),
    };
    format!("{head}        {rest}")
}

fn ram(id: u32, size: u64, is_null: bool) -> String {
    let (pages, nullio) = (size.div_ceil(PAGE_BYTES), u8::from(is_null));
    let tables = pages.div_ceil(PAGES_IN_TABLE);
    format!(
        "TCM RamDisk ID: {id}  RamDisk Makeup: rd_mcp\n        PAGES/PAGE_SIZE: {pages}*{PAGE_BYTES}  SG_table_count: {tables}  nullio: {nullio} dummy: 0\n"
    )
}

/// A limit as LIO's driver for such blocks has it: sectors of whole pages.
fn limit(backing: &Backing, name: &str) -> i64 {
    let (sectors, unmap, ranges, granularity, same) = match backing {
        Backing::Fileio { .. } => (16_384, 8192, 1, 1, 4096),
        Backing::Ramdisk { .. } | Backing::Null { .. } => (4_294_967_288, 0, 0, 0, 0),
        Backing::Block { .. } | Backing::Pscsi { .. } | Backing::Other => (32_760, 0, 0, 0, 65_535),
    };
    match name {
        "block_size" | "hw_block_size" => 512,
        "hw_max_sectors" | "optimal_sectors" => sectors,
        "hw_queue_depth" | "queue_depth" => 128,
        "max_unmap_lba_count" => unmap,
        "max_unmap_block_desc_count" => ranges,
        "unmap_granularity" => granularity,
        "max_write_same_len" => same,
        _ => 0,
    }
}

/// A number written with digits only.
pub(crate) fn decimal<T: core::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

const PAGE_BYTES: u64 = 4096;
const PAGES_IN_TABLE: u64 = 2048;
/// More keys than `control` of any plugin has.
const OPTIONS_MAX: usize = 64;
