//! `SG_IO`: a SCSI command to a device of the kernel's, and its answer.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};

/// Longest sense data.
pub(crate) const SENSE_BYTES: usize = 252;

/// `SG_IO`, whose number was chosen before there were rules for such numbers.
const SG_IO: Opcode = 0x2285;

/// Which way data go, in the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Way {
    /// `SG_DXFER_NONE`.
    Nowhere = -1,
    /// `SG_DXFER_TO_DEV`.
    ToDevice = -2,
    /// `SG_DXFER_FROM_DEV`.
    FromDevice = -3,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// SCSI status.
    pub(crate) status: u8,
    /// Bytes of sense data.
    pub(crate) sense_bytes: usize,
    /// What the host adapter says (`DID_…`); zero where the command reached the device.
    pub(crate) host: u16,
    /// Bytes that were not transferred.
    pub(crate) left: usize,
}

/// `struct sg_io_hdr` of `scsi/sg.h`.
#[repr(C)]
struct Header {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut u8,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut u8,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

/// Executes a command and waits for its end.
pub(crate) fn execute(
    fd: BorrowedFd<'_>,
    cdb: &[u8],
    way: Way,
    data: &mut [u8],
    sense: &mut [u8; SENSE_BYTES],
    timeout: Duration,
) -> Result<Ended, Errno> {
    let mut header = Header {
        interface_id: i32::from(b'S'),
        #[expect(clippy::as_conversions, reason = "the discriminant is the kernel's number")]
        dxfer_direction: way as i32,
        cmd_len: u8::try_from(cdb.len()).map_err(|_| Errno::INVAL)?,
        mx_sb_len: u8::try_from(SENSE_BYTES).unwrap_or(u8::MAX),
        iovec_count: 0,
        dxfer_len: u32::try_from(data.len()).map_err(|_| Errno::INVAL)?,
        dxferp: data.as_mut_ptr(),
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        flags: 0,
        pack_id: 0,
        usr_ptr: core::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header is laid out as SG_IO has it; it points at `cdb`, which the kernel reads, and at `data` and
    // `sense`, which are ours alone and of the lengths that are told; the call returns when the kernel is done with them.
    // JUSTIFICATION: there is no safe wrapper of SG_IO, and no other way to a device's own commands.
    unsafe { ioctl(fd, Updater::<SG_IO, Header>::new(&mut header)) }?;
    Ok(Ended {
        status: header.status,
        sense_bytes: usize::from(header.sb_len_wr).min(SENSE_BYTES),
        host: header.host_status,
        left: usize::try_from(header.resid).unwrap_or(0).min(data.len()),
    })
}
