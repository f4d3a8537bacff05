//! The stream taken apart: a header first, then the bytes that belong to it.
//!
//! [`Framer`] collects and checks a header; [`Segment`] counts through data, padding and digest while the caller decides
//! where the data goes. Nothing is kept here but a header, so a connection costs about one kilobyte while it is silent.
//!
//! Not here: what a PDU means. Invariants: no byte behind the PDU at hand is touched; a header is handed out once, with a
//! digest that fits.

use crate::causes;
use crate::digest::{Crc32c, DIGEST_BYTES, Digest, Digests, header_digest};
use crate::pdu::{BHS_BYTES, Bhs, Segments};
use felio_hal::port::Fatal;

/// A whole header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// The basic header.
    pub(crate) bhs: Bhs,
    /// What belongs to it.
    pub(crate) segments: Segments,
}

/// Collects headers.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes: Box<[u8; HEADER_BYTES_MAX]>,
    have: usize,
    digests: Digests,
    headers: Headers,
}

/// What a header is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    /// The basic header, whatever it announces: during login nothing else may come, and nobody waits for what strangers announce.
    Basic,
    /// Additional headers and digest, too.
    Whole,
}

impl Framer {
    /// At the beginning of a PDU of login.
    pub(crate) fn new() -> Self {
        Self {
            bytes: Box::new([0; HEADER_BYTES_MAX]),
            have: 0,
            digests: Digests::NONE,
            headers: Headers::Basic,
        }
    }

    /// Login is over; digests in force from the next PDU on.
    pub(crate) fn set_digests(&mut self, digests: Digests) {
        self.headers = Headers::Whole;
        self.digests = digests;
    }

    /// Takes bytes of a header: how many, and the header once it is whole.
    pub(crate) fn handle_input(&mut self, bytes: &[u8]) -> Result<(usize, Option<Header>), Fatal> {
        // As nearly all are: whole, and nothing but the basic header.
        if self.have == 0
            && let Some((bhs, _)) = bytes.split_first_chunk::<BHS_BYTES>()
        {
            let bhs = Bhs(*bhs);
            let segments = Segments::of(&bhs, self.digests);
            if segments.header_bytes() == BHS_BYTES {
                return Ok((BHS_BYTES, Some(Header { bhs, segments })));
            }
        }
        let mut used = self.fill(bytes, BHS_BYTES);
        let Some((bhs, _)) = self.bytes.split_first_chunk::<BHS_BYTES>().filter(|_| self.have >= BHS_BYTES)
        else {
            return Ok((used, None));
        };
        let bhs = Bhs(*bhs);
        let segments = Segments::of(&bhs, self.digests);
        let header_bytes = match self.headers {
            Headers::Basic => BHS_BYTES,
            Headers::Whole => segments.header_bytes(),
        };
        used += self.fill(&bytes[used..], header_bytes);
        if self.have < header_bytes {
            return Ok((used, None));
        }
        self.have = 0;
        if self.digests.header == Digest::Crc32c {
            let (header, digest) =
                self.bytes[..segments.header_bytes()].split_at(BHS_BYTES + segments.ahs_bytes);
            //= RFC 7143 "Header Digest and Data Digest": without the header nothing behind it can be trusted
            if header_digest(header, &[]) != digest {
                return Err(Fatal(causes::HEADER_DIGEST));
            }
        }
        Ok((used, Some(Header { bhs, segments })))
    }

    /// The additional header segments of the header that was handed out last.
    pub(crate) fn additional(&self, header: &Header) -> &[u8] {
        &self.bytes[BHS_BYTES..BHS_BYTES + header.segments.ahs_bytes]
    }

    /// Whether a header has begun and is not whole.
    pub(crate) const fn is_inside(&self) -> bool {
        self.have > 0
    }

    /// Digests in force.
    pub(crate) const fn digests(&self) -> Digests {
        self.digests
    }

    fn fill(&mut self, bytes: &[u8], want: usize) -> usize {
        let taken = want.saturating_sub(self.have).min(bytes.len());
        self.bytes[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        taken
    }
}

/// A data segment on its way in.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Data bytes that have come.
    pub(crate) done: usize,
    /// Data bytes in all.
    pub(crate) bytes: usize,
    padding: usize,
    digest: [u8; DIGEST_BYTES],
    digest_have: usize,
    crc: Option<Crc32c>,
}

impl Segment {
    /// The data segment behind `header`.
    pub(crate) fn new(header: &Header, digests: Digests) -> Self {
        let Segments { data_bytes, padding_bytes, .. } = header.segments;
        let crc = (digests.data == Digest::Crc32c && data_bytes > 0).then(Crc32c::new);
        Self {
            done: 0,
            bytes: data_bytes,
            padding: padding_bytes,
            digest: [0; DIGEST_BYTES],
            digest_have: 0,
            crc,
        }
    }

    /// How many bytes of `bytes` are data.
    pub(crate) fn data_in(&self, bytes: &[u8]) -> usize {
        bytes.len().min(self.bytes - self.done)
    }

    /// These data bytes have come.
    pub(crate) fn handle_data(&mut self, bytes: &[u8]) {
        self.done += bytes.len();
        assert!(self.done <= self.bytes, "data beyond its segment");
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
    }

    /// Takes padding and digest, which follow the data: how many bytes.
    pub(crate) fn handle_trailer(&mut self, bytes: &[u8]) -> usize {
        let padding = self.padding.min(bytes.len());
        self.padding -= padding;
        let Some(crc) = &mut self.crc else { return padding };
        crc.update(&bytes[..padding]);
        let rest = &bytes[padding..];
        let taken = rest.len().min(DIGEST_BYTES - self.digest_have);
        self.digest[self.digest_have..self.digest_have + taken].copy_from_slice(&rest[..taken]);
        self.digest_have += taken;
        padding + taken
    }

    /// Data bytes still to come.
    pub(crate) const fn data_left(&self) -> usize {
        self.bytes - self.done
    }

    /// Whether data, padding and digest have come.
    pub(crate) const fn is_whole(&self) -> bool {
        self.done == self.bytes
            && self.padding == 0
            && (self.crc.is_none() || self.digest_have == DIGEST_BYTES)
    }

    /// Whether a whole segment's digest fits.
    pub(crate) fn is_intact(&self) -> bool {
        self.crc.is_none_or(|crc| crc.wire() == self.digest)
    }
}

/// The longest header: basic, 255 words of additional headers, digest.
const HEADER_BYTES_MAX: usize = BHS_BYTES + 255 * 4 + DIGEST_BYTES;
