//! Who a store is: sixteen bytes that stay the same over restarts, moves and changes of the host's name, and that no two
//! stores share.
//!
//! A **file** carries its identity in an extended attribute, beside the facts of the file that it was given to: inode,
//! time of birth and, where it is dependable, filesystem. If these do not fit any more, the file is a copy (`cp -a`, a
//! restored backup, a move to another filesystem, a snapshot of a subvolume) and gets an identity of its own: initiators
//! take two disks of one identity for two paths to one disk and would destroy both. A file that cannot carry the
//! attribute (no support, read-only) is named after those facts and the machine.
//!
//! A **device** is named after what it says of itself in sysfs. **Memory** is named after the words of the caller.
//!
//! What nobody can see here is a filesystem copied as a whole, block by block: its files are the same in every respect.
//! Whoever exports two stores compares their identities.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags, XattrFlags, fgetxattr, fsetxattr, fstatfs, fstatvfs, fsync, statx};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::block::sysfs;

/// Sixteen bytes and where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity.
    pub bytes: [u8; 16],
    /// Where it comes from.
    pub source: IdentitySource,
}

/// Where an identity comes from, and thus how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// Kept in an extended attribute of the file: holds while the file stays on its filesystem.
    Attribute,
    /// Made from inode, time of birth and machine: holds likewise, until the file can carry an attribute.
    Inode,
    /// Made from what the device says of itself (world-wide name, serial number, UUID): holds wherever it is plugged in.
    Device,
    /// Made from the device's name and the machine: holds as long as it is found under this name.
    DeviceName,
    /// Made from the words of the caller and the machine.
    Words,
}

/// Whether a file may be given an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// It may.
    Allowed,
    /// It must not be touched.
    Forbidden,
}

/// The attribute.
const NAME: &std::ffi::CStr = c"user.felio.identity";

/// Version, identity, inode, birth (seconds, nanoseconds), filesystem.
const RECORD_BYTES: usize = 1 + 16 + 8 + 8 + 4 + 8;
const RECORD_VERSION: u8 = 1;

/// Filesystems whose `f_fsid` is made from their UUID, so that it outlives a reboot: ext2/3/4, btrfs.
const STABLE_FSID: [u32; 2] = [0xef53, 0x9123_683e];

/// What a device's name is looked for under in sysfs, in order; the first that says something is taken. Numbers that
/// several devices of one unit share (those of an MMC card, say) have no place here.
const DEVICE_NAMES: [&str; 5] = [
    "wwid",        // NVMe namespaces.
    "device/wwid", // SCSI disks.
    "dm/uuid",     // LVM, crypt, multipath.
    "md/uuid",     // Software RAID.
    "serial",      // virtio-blk.
];

/// The identity of an open file.
#[must_use]
pub fn of_file(fd: BorrowedFd<'_>, carry: Carry) -> Identity {
    let facts = Facts::of(fd);
    let kept = kept(fd).filter(|record| record.facts == facts);
    let given = || (carry == Carry::Allowed).then(|| give(fd, facts)).flatten();
    match kept.map(|record| record.identity).or_else(given) {
        Some(bytes) => Identity { bytes, source: IdentitySource::Attribute },
        None => Identity { bytes: facts.hash(), source: IdentitySource::Inode },
    }
}

/// The identity of an open block device, found under `path`.
#[must_use]
pub fn of_device(fd: BorrowedFd<'_>, path: &Path) -> Identity {
    let folder = sysfs(fd).ok();
    if let Some(name) = folder.as_deref().and_then(device_name) {
        return Identity { bytes: hash("device", &[name.as_bytes()]), source: IdentitySource::Device };
    }
    let place = folder.as_deref().and_then(loop_name);
    let name = place.as_ref().map_or(path.as_os_str().as_encoded_bytes(), |name| name.as_bytes());
    let bytes = hash("device name", &[name, machine().as_bytes()]);
    Identity { bytes, source: IdentitySource::DeviceName }
}

/// The identity of a SCSI device that says `name` of itself, or nothing, and was found under `path`.
#[must_use]
pub fn of_scsi(name: Option<&[u8]>, path: &Path) -> Identity {
    match name {
        Some(name) => Identity { bytes: hash("SCSI device", &[name]), source: IdentitySource::Device },
        None => {
            let bytes = hash("device name", &[path.as_os_str().as_encoded_bytes(), machine().as_bytes()]);
            Identity { bytes, source: IdentitySource::DeviceName }
        }
    }
}

/// The identity of something that has none of its own: `words` say what it is, and whose (for example `ram:1G`, the
/// target's name and the LUN).
#[must_use]
pub fn of_words(words: &str) -> Identity {
    let bytes = hash("words", &[words.as_bytes(), machine().as_bytes()]);
    Identity { bytes, source: IdentitySource::Words }
}

/// What tells a file from its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    inode: u64,
    /// Zero if the filesystem does not know.
    birth: (i64, u32),
    /// Zero if it changes.
    filesystem: u64,
}

impl Facts {
    fn of(fd: BorrowedFd<'_>) -> Self {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let Ok(file) = statx(fd, c"", AtFlags::EMPTY_PATH, wanted) else {
            return Self { inode: 0, birth: (0, 0), filesystem: filesystem(fd) };
        };
        let born = StatxFlags::from_bits_retain(file.stx_mask).contains(StatxFlags::BTIME);
        let birth = if born { (file.stx_btime.tv_sec, file.stx_btime.tv_nsec) } else { (0, 0) };
        Self { inode: file.stx_ino, birth, filesystem: filesystem(fd) }
    }

    fn hash(&self) -> [u8; 16] {
        hash("inode", &[&Record { identity: [0; 16], facts: *self }.encode(), machine().as_bytes()])
    }
}

/// What the attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    identity: [u8; 16],
    facts: Facts,
}

impl Record {
    fn encode(&self) -> [u8; RECORD_BYTES] {
        let Facts { inode, birth, filesystem } = self.facts;
        let mut bytes = [0; RECORD_BYTES];
        let fields: [&[u8]; 6] = [
            &[RECORD_VERSION],
            &self.identity,
            &inode.to_le_bytes(),
            &birth.0.to_le_bytes(),
            &birth.1.to_le_bytes(),
            &filesystem.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<1>()?;
        let (identity, rest) = rest.split_first_chunk()?;
        let (inode, rest) = rest.split_first_chunk()?;
        let (seconds, rest) = rest.split_first_chunk()?;
        let (nanos, rest) = rest.split_first_chunk()?;
        let filesystem = rest.first_chunk()?;
        let facts = Facts {
            inode: u64::from_le_bytes(*inode),
            birth: (i64::from_le_bytes(*seconds), u32::from_le_bytes(*nanos)),
            filesystem: u64::from_le_bytes(*filesystem),
        };
        (version == &[RECORD_VERSION]).then_some(Self { identity: *identity, facts })
    }
}

/// The record that the file carries.
fn kept(fd: BorrowedFd<'_>) -> Option<Record> {
    let mut bytes = [0; RECORD_BYTES];
    let len = fgetxattr(fd, NAME, &mut bytes[..]).ok()?;
    if len == RECORD_BYTES { Record::decode(&bytes) } else { None }
}

/// Gives the file an identity, the one that it had while it could not carry one; `None` if it still cannot. Where nobody knows when it was
/// born, an inode may have been another file's before, and chance decides.
fn give(fd: BorrowedFd<'_>, facts: Facts) -> Option<[u8; 16]> {
    let mut identity = facts.hash();
    let mut len = identity.len();
    if facts.birth == (0, 0) {
        len = getrandom(&mut identity[..], GetRandomFlags::empty()).ok()?;
    }
    let record = Record { identity, facts };
    fsetxattr(fd, NAME, &record.encode(), XattrFlags::empty()).ok()?;
    // Before anyone learns it: after a power cut the file must not have forgotten.
    fsync(fd).ok()?;
    // Read back: what the filesystem did not keep would be another identity next time.
    (len == identity.len() && kept(fd) == Some(record)).then_some(identity)
}

/// The filesystem's own number, if it outlives a reboot.
fn filesystem(fd: BorrowedFd<'_>) -> u64 {
    let (Ok(kind), Ok(fs)) = (fstatfs(fd), fstatvfs(fd)) else { return 0 };
    let stable = STABLE_FSID.iter().any(|magic| u32::try_from(kind.f_type).is_ok_and(|kind| kind == *magic));
    if stable { fs.f_fsid } else { 0 }
}

/// What a device calls itself; a partition its disk's name and its own number.
fn device_name(folder: &Path) -> Option<String> {
    if let Some(partition) = line(&folder.join("partition")) {
        let disk = device_name(folder.parent()?)?;
        return Some(format!("{disk} partition {partition}"));
    }
    DEVICE_NAMES.iter().find_map(|name| Some(format!("{name} {}", line(&folder.join(name))?)))
}

/// What a loop device shows of which file.
fn loop_name(folder: &Path) -> Option<String> {
    let file = line(&folder.join("loop/backing_file"))?;
    Some(format!("{file} from {}", line(&folder.join("loop/offset"))?))
}

/// The first line of a file, if it says anything.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// What tells this machine from others, its name aside; empty where nothing does.
fn machine() -> String {
    line(Path::new("/etc/machine-id")).unwrap_or_default()
}

/// A hash that stays what it is (FNV-1a, 128 bits) of parts that keep apart. Not against an adversary.
fn hash(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut state = BASIS;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            state = (state ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for part in [domain.as_bytes()].iter().chain(parts) {
        eat(&crate::store::bytes(part.len()).to_le_bytes());
        eat(part);
    }
    state.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts { inode: 7, birth: (-1, 999), filesystem: 3 };

    #[test]
    fn a_record_survives_its_encoding() {
        let record = Record { identity: [9; 16], facts: FACTS };
        assert_eq!(Record::decode(&record.encode()), Some(record));
    }

    #[test]
    fn a_record_of_another_version_is_none() {
        let mut bytes = Record { identity: [9; 16], facts: FACTS }.encode();
        bytes[0] = 2;
        assert_eq!(Record::decode(&bytes), None);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // No parts, empty domain: eight bytes of zero length.
        let zeros = (0..8).fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58du128, |state, _| {
            state.wrapping_mul(0x0100_0000_0000_0000_0000_013b)
        });
        assert_eq!(hash("", &[]), zeros.to_be_bytes());
    }

    #[test]
    fn parts_keep_apart() {
        assert_ne!(hash("x", &[b"ab", b"c"]), hash("x", &[b"a", b"bc"]));
    }

    #[test]
    fn the_same_words_are_the_same_store() {
        assert_eq!(of_words("ram:1G 0"), of_words("ram:1G 0"));
        assert_ne!(of_words("ram:1G 0"), of_words("ram:1G 1"));
    }
}
