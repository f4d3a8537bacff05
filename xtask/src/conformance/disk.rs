//! What the disk of a set-up is made of, and the disk while felio serves it.

use anyhow::{Context, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What keeps the blocks, and how many bytes of them; as `--size` takes it, where felio makes the disk.
#[derive(Clone, Copy)]
pub(super) enum Backing {
    File(&'static str),
    /// A loop device.
    Device(u64),
    Ram(&'static str),
}

impl Backing {
    /// As headings of the ledger say it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Device(_) => "device",
            Self::Ram(_) => "ram",
        }
    }
}

/// An empty disk. What it takes of the machine is given back when it is dropped.
pub(super) struct Disk {
    /// As `felio export` is told of it.
    pub(super) args: Vec<String>,
    image: PathBuf,
    device: Option<String>,
}

impl Disk {
    /// Makes it; `image` is the file for its blocks, where there is one.
    pub(super) fn new(backing: Backing, image: &Path) -> anyhow::Result<Self> {
        remove(image);
        let mut disk = Self { args: Vec::new(), image: image.to_owned(), device: None };
        disk.args = match backing {
            Backing::Ram(size) => vec![format!("ram:{size}")],
            Backing::File(size) => vec!["--size".to_owned(), size.to_owned(), image.display().to_string()],
            Backing::Device(bytes) => {
                File::create(image)?.set_len(bytes)?;
                let device = attach(image)?;
                disk.device = Some(device.clone());
                vec![device]
            }
        };
        Ok(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            // Gone already is as good.
            let _ = Command::new("losetup").args(["--detach", device]).status();
        }
        remove(&self.image);
    }
}

/// Makes a file a loop device: its name.
fn attach(image: &Path) -> anyhow::Result<String> {
    let output = Command::new("losetup").args(["--find", "--show"]).arg(image).output();
    let output = output.context("cannot run losetup")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn remove(image: &Path) {
    // There may be none.
    let _ = std::fs::remove_file(image);
}
