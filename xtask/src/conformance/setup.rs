//! The disks that the suite runs on.

use super::disk::{Backing, Disk};
use std::path::{Path, PathBuf};

/// One disk.
pub(super) struct Setup {
    /// As it is told and selected.
    pub(super) name: String,
    /// Arguments of `felio export`.
    pub(super) args: Vec<String>,
    pub(super) extent: Extent,
    /// Where to record it, if at all.
    pub(super) trace: Option<PathBuf>,
    backing: Backing,
    /// What a file or a device keeps its blocks in.
    image: PathBuf,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every test that makes sense there.
    Whole,
    /// What the ledger lists under the set-up's name.
    Listed,
}

/// Disks that some tests want. The physical block of all others is as large as the logical one.
const SPECIAL: [(&str, Backing, &[&str], Extent); 7] = [
    ("512e", Backing::File("256M"), &["--physical-block-size", "4096"], Extent::Whole),
    ("removable", Backing::File("256M"), &["--removable", "--physical-block-size", "512"], Extent::Whole),
    ("small", Backing::Ram("16M"), &["--physical-block-size", "512"], Extent::Whole),
    (
        "two reactors, file",
        Backing::File("256M"),
        &["--cores", "2", "--physical-block-size", "512"],
        Extent::Whole,
    ),
    (
        "two reactors, device",
        Backing::Device(256 << 20),
        &["--cores", "2", "--physical-block-size", "512"],
        Extent::Whole,
    ),
    (
        "two reactors, ram",
        Backing::Ram("256M"),
        &["--cores", "2", "--physical-block-size", "512"],
        Extent::Whole,
    ),
    ("read-only", Backing::Ram("256M"), &["--read-only"], Extent::Listed),
];

/// A device is opened, read and written as a file is: one of each way is enough.
const DEVICES: [[&str; 3]; 2] = [["write-back", "helpers", "512"], ["direct", "ring", "4096"]];

/// Every combination of files and memory, the telling ones of devices, then the special ones.
pub(super) fn setups(work: &Path) -> Vec<Setup> {
    let mut setups = Vec::new();
    let mut add = |kind: &str, backing, [cache, io, block]: [&str; 3]| {
        let name = [kind, cache, io, block].join(",");
        let args = ["--cache", cache, "--io", io, "--block-size", block, "--physical-block-size", block];
        setups.push(Setup::new(work, &name, backing, &args, Extent::Whole));
    };
    for (kind, backing) in [("file", Backing::File("256M")), ("ram", Backing::Ram("256M"))] {
        for cache in ["write-back", "direct"] {
            for io in ["ring", "helpers"] {
                for block in ["512", "4096"] {
                    add(kind, backing, [cache, io, block]);
                }
            }
        }
    }
    for [cache, io, block] in DEVICES {
        add("device", Backing::Device(256 << 20), [cache, io, block]);
    }
    let special = |(name, backing, args, extent)| Setup::new(work, name, backing, args, extent);
    setups.extend(SPECIAL.map(special));
    setups
}

/// What a disk is backed by, and its block where that is not 512 bytes, as headings of the ledger say it.
pub(super) const KINDS: [&str; 4] = ["file", "device", "ram", "4096"];

/// The names of the special ones.
pub(super) fn special_names() -> impl Iterator<Item = &'static str> {
    SPECIAL.iter().map(|(name, ..)| *name)
}

impl Setup {
    fn new(work: &Path, name: &str, backing: Backing, args: &[&str], extent: Extent) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let image = work.join(format!("{}.img", name.replace([',', ' '], "-")));
        Self { name: name.to_owned(), args, extent, trace: None, backing, image }
    }

    /// Its disk, empty.
    pub(super) fn disk(&self) -> anyhow::Result<Disk> {
        Disk::new(self.backing, &self.image)
    }

    /// Whether it needs a block device.
    pub(super) const fn is_on_device(&self) -> bool {
        matches!(self.backing, Backing::Device(_))
    }

    /// Whether a heading of the ledger means it: by its name, or, where every test runs, by what backs it or its block.
    pub(super) fn is_meant(&self, name: &str) -> bool {
        let is_of_kind = name == self.backing.kind() || self.name.split(',').any(|word| word == name);
        name == self.name || (is_of_kind && self.extent == Extent::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_eighteen_ordinary_set_ups() {
        assert_eq!(setups(Path::new("")).len(), 18 + special_names().count());
    }

    #[test]
    fn no_two_set_ups_share_a_file() {
        let mut images: Vec<_> = setups(Path::new("")).into_iter().map(|setup| setup.image).collect();
        let count = images.len();
        images.sort();
        images.dedup();
        assert_eq!(images.len(), count);
    }
}
