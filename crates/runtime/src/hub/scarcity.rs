//! When buffers are wanting: whoever keeps some and makes no progress goes.
//!
//! A peer that takes no output, stops within a PDU, leaves a gap in its numbers, or does not send the data that it was asked for, has
//! long to make up for it as long as nobody else needs what it holds. When somebody does, here or on another reactor, its patience
//! is the port's to know and short: a few such peers could hold all the memory that there may be, and everyone else would be told to
//! come back later.

use super::connection::End;
use super::slots::Key;
use super::{Hub, Io};
use core::time::Duration;
use felio_hal::port::Fatal;
use felio_hal::{Port, Time};

/// From the first want to the look at who could relieve it, and between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

impl<P: Port> Hub<P> {
    /// A buffer was wanting.
    pub(super) fn note_scarcity(&mut self, now: Time) {
        self.scarce_at.get_or_insert(now + LOOK_PAUSE);
    }

    /// Ends those who keep buffers from others, if it is time to look.
    pub(super) fn relieve(&mut self, now: Time, io: &mut impl Io) {
        if self.scarce_at.is_none_or(|at| at > now) {
            return;
        }
        self.scarce_at = None;
        let hoards = |(key, fatal): (Key, Option<Fatal>)| Some((key, fatal?));
        let all = self.connections.iter().map(|(key, connection)| (key, connection.port.hoards(now)));
        let hoarders: Vec<(Key, Fatal)> = all.filter_map(hoards).collect();
        for (key, fatal) in hoarders {
            self.end(now, key, End::Fatal(fatal.0), io);
            self.unsettled = true;
        }
    }
}
