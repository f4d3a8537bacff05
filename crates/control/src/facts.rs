//! What a change may need to know of the world, as values: so that applying it stays a function.

use crate::config::Config;
use crate::path::TargetKey;
use serde::{Deserialize, Serialize};

/// Where generated names come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The host's name.
    pub host: String,
    /// Its machine architecture, as `uname -m` has it.
    pub machine: String,
    /// Random bytes, new for each transaction.
    pub seed: [u8; 16],
}

/// felio's naming authority and the month in which it had it.
const AUTHORITY: &str = "iqn.2026-11.org.felio";

/// Draws names that nobody has yet.
#[derive(Debug)]
pub(crate) struct Generator<'f> {
    facts: &'f Facts,
    drawn: u64,
}

impl<'f> Generator<'f> {
    pub(crate) const fn new(facts: &'f Facts) -> Self {
        Self { facts, drawn: 0 }
    }

    /// A UUID, as unit serials are.
    pub(crate) fn serial(&mut self) -> String {
        let mut bytes = self.bytes();
        bytes[6] = 0x40 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        let hex = hex(&bytes);
        let cuts = [0, 8, 12, 16, 20, 32];
        let parts: Vec<&str> = cuts.windows(2).filter_map(|cut| hex.get(cut[0]..cut[1])).collect();
        parts.join("-")
    }

    /// The name of an iSCSI target, in the shape that targetcli gives it. Characters that a name cannot have become hyphens.
    pub(crate) fn target(&mut self, config: &Config) -> String {
        let clean = |text: &str| -> String {
            let short = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
            short.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
        };
        let (host, machine) = (clean(&self.facts.host), clean(&self.facts.machine));
        loop {
            let number = hex(&self.bytes()[..6]);
            let wwn = format!("{AUTHORITY}.{host}.{machine}:sn.{number}");
            if !config.targets.contains_key(&TargetKey::iscsi(wwn.as_str())) {
                return wwn;
            }
        }
    }

    /// The name of a link from a LUN to its storage object, as rtslib makes them.
    pub(crate) fn alias(&mut self) -> String {
        hex(&self.bytes()[..5])
    }

    /// Sixteen bytes that follow from the seed and how many were drawn before.
    fn bytes(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let seed = u128::from_le_bytes(self.facts.seed);
        let [low, high] = [seed, seed.rotate_left(64)].map(|half| {
            let bytes = half.to_le_bytes();
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[..8]);
            u64::from_le_bytes(eight)
        });
        let first = mix(low ^ mix(self.drawn));
        let second = mix(high ^ mix(first ^ self.drawn));
        (u128::from(first) | u128::from(second) << 64).to_le_bytes()
    }
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
