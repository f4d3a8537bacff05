//! Runs a target on a kept input without the fuzzer, and tells what happens: `replay TARGET FILE…`.
#![expect(clippy::disallowed_methods, reason = "it reads files, and is no part of felio")]

use std::io::{Error, ErrorKind};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args();
    let name = arguments.nth(1).unwrap_or_default();
    let target = felio_fuzz::TARGETS.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "replay TARGET FILE…"))?;
    felio_fuzz::story::begin();
    for file in arguments {
        (target.run)(&std::fs::read(file)?);
    }
    Ok(())
}
