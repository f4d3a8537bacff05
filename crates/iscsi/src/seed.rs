//! Where a connection's unguessable bytes come from: 32 random bytes that it was given, stretched by hashing.

use sha2::{Digest as _, Sha256};

/// What is left to be drawn.
pub(crate) struct Seed {
    bytes: [u8; 32],
    count: u64,
}

impl Seed {
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self { bytes, count: 0 }
    }

    pub(crate) fn take(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::new().chain_update(self.bytes).chain_update(self.count.to_be_bytes()).finalize().into()
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(…)")
    }
}
