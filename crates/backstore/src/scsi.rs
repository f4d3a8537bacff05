//! A SCSI device of the kernel's as a store: commands are handed to it as they are.
//!
//! Any type will do: disks, tapes, CDs, changers, by their `sg`, `st`, `sr` or `sd` node. The device answers for itself;
//! which commands the engine answers in its stead (reservations, the list of units) is the engine's business.
//!
//! Commands block, so that helper threads execute them. What a device transferred less than was asked for is told; the
//! rest of the buffer is nobody's.

use core::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use felio_hal::store::{Done, Failure, Limits, Op, Pass, Passed, WriteCache};
use felio_spec::Status;
use felio_spec::cdb::Direction;
use felio_spec::inquiry::DeviceType;
use rustix::io::Errno;

use crate::errno::failure;
use crate::store::{Answer, Attempt, Entry, NOT_HERE, Store};
use crate::sys::sg::{self, Ended, SENSE_BYTES, Way};

/// How long a disk may take, and how long anything else, whose mechanics are slow: a tape that is wound back.
const DISK_TIMEOUT: Duration = Duration::from_secs(60);
const OTHER_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// The longest transfer that is asked of a device at once, bytes: what every host adapter of Linux takes.
const TRANSFER_BYTES_MAX: u32 = 512 << 10;

/// `DID_NO_CONNECT`, `DID_BAD_TARGET`, `DID_TIME_OUT`: what a host adapter says of a device that does not answer.
const NO_CONNECTION: [u16; 2] = [1, 4];
const TIMED_OUT: u16 = 3;

/// A SCSI device.
pub(crate) struct Scsi {
    fd: OwnedFd,
    limits: Limits,
    timeout: Duration,
}

impl Scsi {
    /// The device behind an open node.
    pub(crate) fn new(fd: OwnedFd, writable: bool) -> Result<Self, Failure> {
        let inquiry = ask(fd.as_fd(), None)?;
        let device_type = DeviceType(inquiry.first().ok_or(Failure::Gone)? & 0x1f);
        let is_disk = device_type == DeviceType::DIRECT_ACCESS;
        let limits = Limits {
            bytes: 0,
            writable,
            logical_block_bytes: 1,
            physical_block_bytes: 512,
            optimal_io_bytes: None,
            transfer_bytes_max: TRANSFER_BYTES_MAX,
            // Its own cache is its own business: it is asked and told by the initiators.
            write_cache: WriteCache::Off,
            unmap: None,
            extents: false,
            rotational: None,
            protection: felio_hal::store::Protection::Impossible,
            state: false,
            atomic: None,
            space: false,
            passes: Some(device_type),
        };
        Ok(Self { fd, limits, timeout: if is_disk { DISK_TIMEOUT } else { OTHER_TIMEOUT } })
    }

    /// What it says of itself that no other device says: its designators, or its serial number.
    pub(crate) fn name(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
        const PAGES: [u8; 2] = [0x83, 0x80];
        let told =
            |page| ask(fd, Some(page)).ok().filter(|data| data.get(1) == Some(&page) && data.len() > 4);
        PAGES.into_iter().find_map(told)
    }

    fn pass(&self, pass: Pass) -> Answer {
        let Pass { cdb, direction, mut data } = pass;
        let mut sense = [0; SENSE_BYTES];
        let bytes = data.as_deref_mut().unwrap_or_default();
        let room = bytes.len();
        let ended =
            sg::execute(self.fd.as_fd(), cdb.bytes(), way(direction), bytes, &mut sense, self.timeout);
        let result = ended.map_err(|errno| failure(errno, None)).and_then(judge).map(|ended| {
            let sense = sense[..ended.sense_bytes].to_vec();
            Done::Passed(Box::new(Passed {
                status: Status(ended.status),
                sense,
                transferred: room - ended.left,
            }))
        });
        Answer { result, buf: data }
    }
}

/// A command that did not reach the device, or did not come back, has no status.
fn judge(ended: Ended) -> Result<Ended, Failure> {
    match ended.host {
        _ if ended.status != 0 => Ok(ended),
        0 => Ok(ended),
        host if NO_CONNECTION.contains(&host) => Err(Failure::Gone),
        TIMED_OUT => Err(failure(Errno::TIMEDOUT, None)),
        _ => Err(failure(Errno::IO, None)),
    }
}

const fn way(direction: Direction) -> Way {
    match direction {
        Direction::None => Way::Nowhere,
        Direction::In => Way::FromDevice,
        Direction::Out => Way::ToDevice,
    }
}

//= SPC-4 "INQUIRY command"
fn ask(fd: BorrowedFd<'_>, page: Option<u8>) -> Result<Vec<u8>, Failure> {
    const ROOM: u8 = 252;
    let cdb = [0x12, u8::from(page.is_some()), page.unwrap_or(0), 0, ROOM, 0];
    let mut data = vec![0; usize::from(ROOM)];
    let mut sense = [0; SENSE_BYTES];
    let ended = sg::execute(fd, &cdb, Way::FromDevice, &mut data, &mut sense, DISK_TIMEOUT);
    let ended = ended.map_err(|errno| failure(errno, None)).and_then(judge)?;
    if ended.status != 0 {
        return Err(Failure::Gone);
    }
    data.truncate(data.len() - ended.left);
    Ok(data)
}

impl Store for Scsi {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn attempt(&self, op: Op) -> Attempt {
        Attempt::Later(op)
    }

    fn entry(&self, _: &Op) -> Option<Entry<'_>> {
        None
    }

    fn run(&self, op: Op) -> Answer {
        match op {
            Op::Pass(pass) => self.pass(*pass),
            // Whoever wants it durable tells it so.
            Op::Flush => Answer::bare(Ok(Done::Done)),
            op => Answer::without(op, Err(NOT_HERE)),
        }
    }
}

impl fmt::Debug for Scsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scsi({:?})", self.limits.passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: u8, host: u16) -> Ended {
        Ended { status, sense_bytes: 0, host, left: 0 }
    }

    #[test]
    fn what_the_device_says_goes_before_what_the_adapter_says() {
        assert!(judge(ended(2, 7)).is_ok());
    }

    #[test]
    fn a_device_that_does_not_answer_is_gone() {
        assert_eq!(judge(ended(0, 1)).map(|_| ()), Err(Failure::Gone));
    }

    #[test]
    fn a_command_that_did_not_come_back_failed() {
        assert_eq!(judge(ended(0, TIMED_OUT)).map(|_| ()), Err(Failure::Other(libc::ETIMEDOUT)));
    }

    #[test]
    fn what_is_no_scsi_device_is_told_from_one() {
        let null = std::fs::File::open("/dev/null").expect("it is everywhere");
        assert!(Scsi::new(null.into(), true).is_err());
    }
}
