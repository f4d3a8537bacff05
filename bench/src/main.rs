//! Measures a target and its peers over iSCSI.
fn main() {}
