//! The disks that the suite runs on.

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
    image: Option<PathBuf>,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every test that makes sense there.
    Whole,
    /// What the ledger lists under the set-up's name.
    Listed,
}

#[derive(Clone, Copy)]
enum Backing {
    File(&'static str),
    Ram(&'static str),
}

/// Disks that some tests want. The physical block of all others is as large as the logical one.
const SPECIAL: [(&str, Backing, &[&str], Extent); 6] = [
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
        "two reactors, ram",
        Backing::Ram("256M"),
        &["--cores", "2", "--physical-block-size", "512"],
        Extent::Whole,
    ),
    ("read-only", Backing::Ram("256M"), &["--read-only"], Extent::Listed),
];

/// Every combination, then the special ones.
pub(super) fn setups(work: &Path) -> Vec<Setup> {
    let mut setups = Vec::new();
    for (kind, backing) in [("file", Backing::File("256M")), ("ram", Backing::Ram("256M"))] {
        for cache in ["write-back", "direct"] {
            for io in ["ring", "helpers"] {
                for block in ["512", "4096"] {
                    let name = [kind, cache, io, block].join(",");
                    let args = ["--cache", cache, "--io", io, "--block-size", block];
                    let args = [&args[..], &["--physical-block-size", block]].concat();
                    setups.push(Setup::new(work, &name, backing, &args, Extent::Whole));
                }
            }
        }
    }
    let special = |(name, backing, args, extent)| Setup::new(work, name, backing, args, extent);
    setups.extend(SPECIAL.map(special));
    setups
}

/// What a disk is backed by, and its block where that is not 512 bytes, as headings of the ledger say it.
pub(super) const KINDS: [&str; 3] = ["file", "ram", "4096"];

/// The names of the special ones.
pub(super) fn special_names() -> impl Iterator<Item = &'static str> {
    SPECIAL.iter().map(|(name, ..)| *name)
}

impl Setup {
    fn new(work: &Path, name: &str, backing: Backing, args: &[&str], extent: Extent) -> Self {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let image = match backing {
            Backing::Ram(size) => {
                args.push(format!("ram:{size}"));
                None
            }
            Backing::File(size) => {
                let image = work.join(format!("{}.img", name.replace(',', "-")));
                args.extend(["--size".to_owned(), size.to_owned(), image.display().to_string()]);
                Some(image)
            }
        };
        Self { name: name.to_owned(), args, extent, trace: None, image }
    }

    /// Whether a heading of the ledger means it: by its name, or, where every test runs, by what backs it or its block.
    pub(super) fn is_meant(&self, name: &str) -> bool {
        let kind = if self.image.is_some() { "file" } else { "ram" };
        let is_of_kind = name == kind || self.name.split(',').any(|word| word == name);
        name == self.name || (is_of_kind && self.extent == Extent::Whole)
    }

    /// Removes the disk, if it is a file and there is one.
    pub(super) fn remove_image(&self) {
        if let Some(image) = &self.image {
            // There may be none.
            let _ = std::fs::remove_file(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_ordinary_set_ups() {
        assert_eq!(setups(Path::new("")).len(), 16 + special_names().count());
    }

    #[test]
    fn no_two_set_ups_share_a_file() {
        let mut images: Vec<_> = setups(Path::new("")).into_iter().filter_map(|setup| setup.image).collect();
        let count = images.len();
        images.sort();
        images.dedup();
        assert_eq!(images.len(), count);
    }
}
