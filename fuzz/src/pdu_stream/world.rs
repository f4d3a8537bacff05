//! The port between a peer's bytes and an engine: what the reactor does, in the order and portions that the script wants.
//!
//! Asserted here: input is never used beyond what there is, output never exceeds its budget and stays bounded, a port that
//! waits waits for something that can come, and all memory is home at the end.

use super::backend::Backend;
use super::wire::Wire;
use crate::Script;
use crate::story::tell;
use felio_hal::buf::Budget;
use felio_hal::port::{LossReason, PortRequest};
use felio_hal::{Buf, Pool, Port, Time};
use felio_iscsi::chap::{Account, Credentials, Secret};
use felio_iscsi::config::{Auth, Config, Offer, PortalGroup, Target};
use felio_iscsi::connection::Connection;
use felio_iscsi::limits::Limits;
use std::io::IoSlice;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// The target's name.
pub(super) const DISK: &str = "iqn.2024-01.org.example:disk";
/// The initiator's secret.
pub(super) const SECRET: &str = "alice's secret";
/// The target's.
pub(super) const TARGET_SECRET: &str = "the disk's secret";

/// Everything around a port.
pub(super) struct World {
    pub(super) port: Connection,
    pub(super) backend: Backend,
    pub(super) wire: Wire,
    pub(super) pool: Pool,
    pub(super) now: Time,
    /// What the peer has sent and the port not taken.
    pending: Vec<u8>,
    /// Buffers that somebody else has.
    hoard: Vec<Buf>,
    /// Whether the connection has ended.
    over: Option<&'static str>,
    /// Whether buffers were ever short.
    pub(super) was_short: bool,
    demands_proof: bool,
}

impl World {
    /// A fresh connection to a target of the script's choice that may demand a proof.
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let proof = script.byte() & 3;
        Self::with_proof(script, proof)
    }

    /// A fresh connection to a target that anybody may use.
    pub(super) fn open(script: &mut Script<'_>) -> Self {
        Self::with_proof(script, 0)
    }

    /// Whether a login must prove who it is.
    pub(super) const fn demands_proof(&self) -> bool {
        self.demands_proof
    }

    fn with_proof(script: &mut Script<'_>, proof: u8) -> Self {
        let local = "127.0.0.1:3260".parse().expect("an address");
        let account = |user, secret: &str| {
            Account::new(user, Secret::new(secret).expect("long enough")).expect("a user name")
        };
        let mut group = PortalGroup::open(NonZeroU16::MIN, vec![local]);
        let header = script.byte();
        group.auth = match proof {
            1 => Auth::Chap(Credentials::one_way(account("alice", SECRET))),
            2 => Auth::Chap(
                Credentials::mutual(account("alice", SECRET), account("disk", TARGET_SECRET))
                    .expect("secrets differ"),
            ),
            _ => Auth::None,
        };
        let demands_proof = !matches!(group.auth, Auth::None);
        if header & 4 != 0 {
            group.offer = Offer {
                receive_segment_bytes_max: 512 + u32::from(script.short()),
                burst_bytes_max: 512 + u32::from(script.short()),
                first_burst_bytes_max: 512 + u32::from(script.short()),
                outstanding_r2t_max: 1 + u32::from(script.byte() % 4),
                initial_r2t: header & 8 != 0,
                immediate_data: header & 16 == 0,
                ..Offer::default()
            };
        }
        let limits = Limits {
            window: 1 + u32::from(script.byte() % 16),
            immediate: u32::from(script.byte() % 4),
            transfer_bytes_max: 4096 << (script.byte() % 7),
            ping: Some(Duration::from_secs(2)),
            ..Limits::default()
        };
        let target = Target::new(DISK.parse().expect("a name"), vec![group]).expect("one group");
        // Too little for all that the window allows, or more than that.
        let pool_bytes = *script.pick(&[256 << 10, 512 << 10, 2 << 20, 64 << 20]);
        let budget = Budget::new(pool_bytes);
        let peer = "127.0.0.1:40000".parse().expect("an address");
        let now = Time(0);
        Self {
            port: Connection::new(Arc::new(Config::new([target])), limits, peer, local, [7; 32], now),
            backend: Backend::default(),
            wire: Wire::default(),
            pool: Pool::new(budget),
            now,
            pending: Vec::new(),
            hoard: Vec::new(),
            over: None,
            was_short: pool_bytes < 64 << 20,
            demands_proof,
        }
    }

    /// The peer sends.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Hands the port up to `bytes_max` bytes: whether any were used.
    pub(super) fn deliver(&mut self, bytes_max: usize) -> bool {
        let count = bytes_max.min(self.pending.len());
        if count == 0 || self.is_over() {
            return false;
        }
        let (result, used) = match self.port.sink() {
            // An odd count leaves the sink to the other way in.
            Some(sink) if count & 1 == 0 => {
                let count = count.min(sink.len());
                sink[..count].copy_from_slice(&self.pending[..count]);
                (self.port.handle_sink(self.now, count, &mut self.pool), count)
            }
            _ => match self.port.handle_input(self.now, &self.pending[..count], &mut self.pool) {
                Ok(used) => (Ok(()), used),
                Err(fatal) => (Err(fatal), 0),
            },
        };
        tell(|| format!("in: {used} of {count} {:?}", result.as_ref().err()));
        assert!(used <= count, "{used} bytes used of {count}");
        self.pending.drain(..used);
        if let Err(fatal) = result {
            self.end(fatal.0);
            return true;
        }
        self.take_events();
        used > 0
    }

    /// Sends up to `budget` bytes, of which the socket takes up to `taken`: whether it took any.
    pub(super) fn send(&mut self, budget: usize, taken: usize) -> bool {
        let mut slices: Vec<IoSlice<'_>> = Vec::new();
        self.port.output(&mut slices, budget);
        let shown: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(shown <= budget, "{shown} bytes shown with a budget of {budget}");
        assert!(slices.iter().all(|slice| !slice.is_empty()), "nothing is no slice");
        assert!(shown <= OUTPUT_BYTES_MAX, "{shown} bytes of output wait");
        let mut left = taken.min(shown);
        for slice in &slices {
            let part = left.min(slice.len());
            self.wire.hear(&slice[..part]);
            left -= part;
        }
        drop(slices);
        let count = taken.min(shown);
        self.port.handle_sent(self.now, count, &mut self.pool);
        self.take_events();
        if self.port.is_finished() && count == shown && budget > shown {
            self.end("finished");
        }
        count > 0
    }

    /// The engine or the reactor asks for something.
    pub(super) fn request(&mut self, request: PortRequest) {
        tell(|| format!("request: {request:?}"));
        self.port.handle_request(self.now, request, &mut self.pool);
        self.take_events();
    }

    /// Time goes on, and deadlines pass.
    pub(super) fn wait(&mut self, wait: Duration) {
        self.now = self.now + wait;
        tell(|| format!("now: {:?}", self.now));
        // A port that always wants to be called at once would keep a reactor busy for ever.
        for _ in 0..16 {
            if self.is_over() || self.port.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            match self.port.handle_timeout(self.now) {
                Ok(()) => self.take_events(),
                Err(fatal) => return self.end(fatal.0),
            }
            // What the reactor does after every timeout: there is no pool in it.
            self.port.handle_sent(self.now, 0, &mut self.pool);
            self.take_events();
        }
        panic!("a deadline that never passes: {:?} at {:?}", self.port.poll_timeout(), self.now);
    }

    /// Somebody else takes buffers.
    pub(super) fn hoard(&mut self, bytes: usize) {
        self.was_short = true;
        tell(|| format!("hoard: all of {bytes}"));
        while let Some(buf) = self.pool.take(bytes.max(1)) {
            self.hoard.push(buf);
        }
    }

    /// And gives them back.
    pub(super) fn release(&mut self) {
        self.hoard.drain(..).for_each(|buf| self.pool.give(buf));
    }

    /// The engine does its next step, if it has any.
    pub(super) fn serve(&mut self, script: &mut Script<'_>) {
        if let Some(request) = self.backend.answer(script, &mut self.pool) {
            self.request(request);
        }
    }

    /// Everything flows until nothing moves: then nothing may be left that could.
    pub(super) fn settle(&mut self) {
        self.release();
        let mut waits = 0;
        for _ in 0..ROUNDS_MAX {
            if self.is_over() {
                return;
            }
            let mut moved = self.deliver(usize::MAX);
            // What was sent can make room for more to send.
            moved |= self.send(usize::MAX, usize::MAX) | self.send(usize::MAX, usize::MAX);
            if let Some(request) = self.backend.finish_one(&mut self.pool) {
                self.request(request);
            } else if moved {
                waits = 0;
            } else if self.is_soon() && waits < WAITS_MAX {
                // A port that found no buffer looks again soon: nobody tells it that there is one.
                self.wait(Duration::from_millis(SOON_MS));
                waits += 1;
            } else {
                let left = self.pending.len();
                assert!(
                    left == 0 || self.is_soon() || self.is_over(),
                    "{left} bytes are not taken: what is missing?"
                );
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Whether the port wants to be called soon.
    fn is_soon(&self) -> bool {
        self.port.poll_timeout().is_some_and(|at| at.since(self.now) <= Duration::from_millis(SOON_MS))
    }

    /// Closes the connection and looks that nothing is left of it.
    pub(super) fn finish(mut self) {
        self.end("closed");
        self.release();
        self.backend.forget(&mut self.pool);
        let budget = Arc::clone(self.pool.budget());
        self.pool.trim();
        assert_eq!(budget.bytes(), 0, "the port keeps memory beyond its end");
        assert!(self.port.poll_timeout().is_none(), "a closed port waits for nothing");
        assert!(self.port.poll_event().is_none(), "a closed port is silent");
        self.backend.check_end();
    }

    /// Why the connection has ended, if it has.
    pub(super) const fn over(&self) -> Option<&'static str> {
        self.over
    }

    /// Whether the connection has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Whether all that the peer sent was taken.
    pub(super) fn is_taken(&self) -> bool {
        self.pending.is_empty()
    }

    fn take_events(&mut self) {
        while let Some(event) = self.port.poll_event() {
            tell(|| format!("event: {event:?}"));
            self.backend.hear(event);
        }
    }

    /// The end as the reactor makes it: what is queued is sent if the socket takes it at once.
    fn end(&mut self, why: &'static str) {
        if self.is_over() {
            return;
        }
        self.over = Some(why);
        tell(|| format!("over: {why}"));
        self.take_events();
        self.send(usize::MAX, usize::MAX);
        self.port.handle_closed(&mut self.pool);
        self.take_events();
        self.request(PortRequest::Close(LossReason::Connection));
    }
}

/// What may wait to be sent: headers that are encoded ahead, and buffers, of which the pool has no more than this.
const OUTPUT_BYTES_MAX: usize = (2 << 20) + (1 << 20);
/// What is soon.
const SOON_MS: u64 = 10;
/// How often a port may look in vain before the peer has to do something.
const WAITS_MAX: u32 = 3;
const ROUNDS_MAX: usize = 200_000;
