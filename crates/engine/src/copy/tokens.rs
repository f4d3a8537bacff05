//! ROD tokens: what we have made, what each stands for, and for how long.
//!
//! A token is a key: whoever has it may read. Its identifier and its secret come from the seed that the process was started
//! with, by SHA-256, so that knowing some tokens does not help to guess another.
//!
//! A token of a point in time is vulnerable to changes: it stands for the blocks as they were, and is cancelled by the first
//! write that begins on any of them. So it never yields anything but what the blocks held.
//!
//! Every engine that is some unit's home knows all tokens, by letters: what a token stands for is read through its unit's
//! home, and a letter that says that a token was cancelled arrives before any data that were read after.
//!
//! Invariants: at most [`TOKENS_MAX`] tokens, ended ones among them, so that it can be said why one is no longer good.

use crate::geometry::Extent;
use core::time::Duration;
use felio_hal::Time;
use felio_spec::sense::{Code, Sense, code};
use felio_spec::token::{self, CREATOR, RodType, SECRET, TOKEN_BYTES, rod_token};
use sha2::{Digest, Sha256};

/// Tokens that are remembered.
pub(crate) const TOKENS_MAX: usize = 256;
/// Ranges of a token.
pub(crate) const RANGES_MAX: u16 = 64;
/// What a token lives without being used, if its maker does not say, seconds.
pub(crate) const INACTIVITY_DEFAULT: u32 = 60;
/// What a token may live without being used, seconds.
pub(crate) const INACTIVITY_MAX: u32 = 300;
/// What a token may live, seconds.
pub(crate) const LIFETIME_MAX: u32 = 3600;
/// Bytes that a token may stand for.
pub(crate) const ROD_BYTES_MAX: u64 = 64 << 30;

/// A token as it travels.
pub(crate) type Token = [u8; TOKEN_BYTES];

/// The types that POPULATE TOKEN makes.
pub(crate) const MADE: [RodType; 3] =
    [RodType::POINT_IN_TIME, RodType::CHANGE_VULNERABLE, RodType::ACCESS_UPON_REFERENCE];

/// What a token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Rod {
    pub(crate) id: u64,
    pub(crate) token: Box<Token>,
    kind: RodType,
    /// Index of its unit.
    pub(crate) unit: u32,
    pub(crate) ranges: Vec<Extent>,
    pub(crate) block_bytes: u32,
    inactivity: Duration,
    idle_until: Time,
    dies_at: Time,
    standing: Standing,
}

/// Whether a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Valid,
    /// Its blocks were written.
    Cancelled,
    /// Nobody used it.
    Expired,
    /// An initiator had it deleted.
    Deleted,
}

/// What a new token shall be.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) kind: RodType,
    pub(crate) unit: u32,
    pub(crate) ranges: Vec<Extent>,
    pub(crate) block_bytes: u32,
    /// Seconds.
    pub(crate) inactivity: u32,
    /// CREATOR LOGICAL UNIT DESCRIPTOR.
    pub(crate) creator: [u8; 32],
}

/// What other engines must know.
#[derive(Debug)]
pub(crate) enum News {
    Made(Rod),
    Ended(u64, Standing),
    Used(u64),
}

/// All tokens, the oldest first.
#[derive(Debug)]
pub(crate) struct Tokens {
    rods: Vec<Rod>,
    /// Other engines that have tokens too.
    peers: Vec<u16>,
    news: Vec<News>,
    reactor: u16,
    seed: [u8; 32],
    made: u64,
}

impl Rod {
    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> u64 {
        self.ranges.iter().map(|range| range.blocks).sum()
    }

    const fn is_vulnerable(&self) -> bool {
        self.kind.0 != RodType::ACCESS_UPON_REFERENCE.0
    }
}

impl Tokens {
    pub(crate) const fn new(reactor: u16, seed: [u8; 32], peers: Vec<u16>) -> Self {
        Self { rods: Vec::new(), peers, news: Vec::new(), reactor, seed, made: 0 }
    }

    /// These are the reactors that must be told.
    pub(crate) fn set_peers(&mut self, peers: Vec<u16>) {
        self.peers = peers;
    }

    /// A unit is no more, and what its tokens stand for neither.
    pub(crate) fn forget(&mut self, unit: u32) {
        self.rods.retain(|rod| rod.unit != unit);
    }

    /// What every peer must be told.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        core::mem::take(&mut self.news)
    }

    pub(crate) const fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(crate) fn peers(&self) -> &[u16] {
        &self.peers
    }

    /// A peer tells.
    pub(crate) fn handle_news(&mut self, now: Time, news: News) {
        match news {
            News::Made(rod) => {
                if self.rods.len() >= TOKENS_MAX {
                    let ended = self.rods.iter().position(|rod| rod.standing != Standing::Valid);
                    self.rods.remove(ended.unwrap_or(0));
                }
                self.rods.push(rod);
            }
            News::Ended(id, standing) => {
                if let Some(rod) = self.rods.iter_mut().find(|rod| rod.id == id) {
                    rod.standing = standing;
                }
            }
            News::Used(id) => {
                if let Some(rod) = self.rods.iter_mut().find(|rod| rod.id == id)
                    && matches!(rod.standing, Standing::Valid | Standing::Expired)
                {
                    (rod.idle_until, rod.standing) = (now + rod.inactivity, Standing::Valid);
                }
            }
        }
    }

    fn tell(&mut self, news: News) {
        if !self.peers.is_empty() {
            self.news.push(news);
        }
    }

    /// Makes a token, if there is room.
    pub(crate) fn make(&mut self, now: Time, wish: Wish) -> Option<&Rod> {
        if self.rods.len() >= TOKENS_MAX {
            let ended = self.rods.iter().position(|rod| rod.standing != Standing::Valid)?;
            self.rods.remove(ended);
        }
        self.made += 1;
        let [id, _, _, _] = self.draw(b"name");
        let mut bytes = [0; TOKEN_BYTES];
        let blocks: u64 = wish.ranges.iter().map(|range| range.blocks).sum();
        rod_token::ROD_TYPE.set(&mut bytes, wish.kind.0);
        rod_token::ROD_TOKEN_LENGTH.set(&mut bytes, token::LENGTH);
        rod_token::COPY_MANAGER_ROD_TOKEN_IDENTIFIER.set(&mut bytes, id);
        rod_token::NUMBER_OF_BYTES_REPRESENTED.set(&mut bytes, blocks * u64::from(wish.block_bytes));
        rod_token::LOGICAL_BLOCK_LENGTH.set(&mut bytes, wish.block_bytes);
        bytes[CREATOR].copy_from_slice(&wish.creator);
        for (to, from) in bytes[SECRET].chunks_exact_mut(8).zip(self.draw(b"secret")) {
            to.copy_from_slice(&from.to_be_bytes());
        }
        let inactivity = Duration::from_secs(u64::from(wish.inactivity));
        let rod = Rod {
            id,
            token: Box::new(bytes),
            kind: wish.kind,
            unit: wish.unit,
            ranges: wish.ranges,
            block_bytes: wish.block_bytes,
            inactivity,
            idle_until: now + inactivity,
            dies_at: now + Duration::from_secs(u64::from(LIFETIME_MAX)),
            standing: Standing::Valid,
        };
        self.tell(News::Made(rod.clone()));
        self.rods.push(rod);
        self.rods.last()
    }

    /// Time passes.
    pub(crate) fn expire(&mut self, now: Time) {
        for rod in &mut self.rods {
            if rod.standing == Standing::Valid && (now >= rod.idle_until || now >= rod.dies_at) {
                rod.standing = Standing::Expired;
            }
        }
    }

    /// Blocks of a unit are about to be written: whether a token still stands for some of the unit. What has expired here may
    /// be in use elsewhere.
    pub(crate) fn cancel(&mut self, now: Time, unit: u32, written: Extent) -> bool {
        let is_shared = !self.peers.is_empty();
        let mut left = false;
        let mut ended = Vec::new();
        for rod in self.rods.iter_mut().filter(|rod| rod.unit == unit && rod.is_vulnerable()) {
            let is_live = match rod.standing {
                Standing::Valid => true,
                Standing::Expired => is_shared && now < rod.dies_at,
                Standing::Cancelled | Standing::Deleted => false,
            };
            if is_live && rod.ranges.iter().any(|range| range.overlaps(written)) {
                rod.standing = Standing::Cancelled;
                ended.push(rod.id);
            } else {
                left |= is_live;
            }
        }
        for id in ended {
            self.tell(News::Ended(id, Standing::Cancelled));
        }
        left
    }

    /// What a token stands for; using it keeps it alive. Otherwise what is wrong with it.
    //= SPC-4 "ROD token lifetime"
    pub(crate) fn redeem(&mut self, now: Time, token: &[u8]) -> Result<&Rod, Code> {
        let id = rod_token::COPY_MANAGER_ROD_TOKEN_IDENTIFIER.get(token);
        let rod = self.rods.iter_mut().find(|rod| rod.id == id).ok_or(code::INVALID_TOKEN_UNKNOWN)?;
        if *rod.token != *token {
            return Err(code::INVALID_TOKEN_CORRUPT);
        }
        match rod.standing {
            Standing::Valid => {}
            Standing::Cancelled => return Err(code::INVALID_TOKEN_CANCELLED),
            Standing::Expired => return Err(code::INVALID_TOKEN_EXPIRED),
            Standing::Deleted => return Err(code::INVALID_TOKEN_DELETED),
        }
        rod.idle_until = now + rod.inactivity;
        self.tell(News::Used(id));
        self.rods.iter().find(|rod| rod.id == id).ok_or(code::INVALID_TOKEN_UNKNOWN)
    }

    /// An initiator has done with a token.
    pub(crate) fn delete(&mut self, id: u64) {
        for rod in self.rods.iter_mut().filter(|rod| rod.id == id) {
            rod.standing = Standing::Deleted;
        }
        self.tell(News::Ended(id, Standing::Deleted));
    }

    pub(crate) fn is_valid(&self, id: u64) -> bool {
        self.rods.iter().any(|rod| rod.id == id && rod.standing == Standing::Valid)
    }

    /// The tokens that are good.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rod> {
        self.rods.iter().filter(|rod| rod.standing == Standing::Valid)
    }

    /// What nobody can guess who does not know the seed.
    fn draw(&self, purpose: &[u8]) -> [u64; 4] {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.reactor.to_be_bytes());
        hash.update(self.made.to_be_bytes());
        hash.update(purpose);
        let drawn = hash.finalize();
        let mut words = drawn.as_slice().chunks_exact(8).map(|word| u64::from_be_bytes(array(word)));
        core::array::from_fn(|_| words.next().unwrap_or(0))
    }
}

fn array(word: &[u8]) -> [u8; 8] {
    core::array::from_fn(|at| word.get(at).copied().unwrap_or(0))
}

/// No room for another token.
pub(crate) const FULL: Sense = Sense::new(code::INSUFFICIENT_RESOURCES_TO_CREATE_ROD_TOKEN);
