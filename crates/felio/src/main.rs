//! A SCSI target in user space.
fn main() {}
