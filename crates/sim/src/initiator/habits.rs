//! How initiators behave: mostly each as it likes. In some worlds they are a crowd, which meets on few blocks: most of it reads and
//! writes and does little else, so that its reactors do that by themselves, and one asks for what concerns them all: for a
//! bit of everything, for nothing but the unit's length, or for write protection again and again. What one reactor forgets to wait for, or to
//! tell, is noticed there.

/// How often an initiator does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Of ten ranges, so many are where others are too, or of all blocks.
    pub(super) meetings: u64,
    /// Blocks of that place.
    pub(super) place_blocks: usize,
    /// Of a thousand commands, so many are SIMPLE reads and writes, whatever the others are.
    pub(super) plain: u64,
    /// Of a hundred of the others, so many are ORDERED.
    pub(super) ordered: u64,
    /// Of a thousand of the others, so many are WRITE AND VERIFY, besides those that anybody sends.
    pub(super) verified: u64,
    /// Of a thousand of the others, so many look where the unit ends, if that moves.
    pub(super) inspecting: u64,
    /// Of a thousand occasions, it uses so many for a task management function.
    pub(super) managing: u64,
    /// How many times as often as usual it asks for changes.
    pub(super) eager: u64,
    /// How long it stays away at the most, microseconds.
    pub(super) away_micros: u64,
}

impl Habits {
    /// Each as it likes.
    pub const SCATTERED: Self = Self {
        meetings: 5,
        place_blocks: 24,
        plain: 0,
        ordered: 4,
        verified: 0,
        inspecting: 100,
        managing: 8,
        eager: 1,
        away_micros: 200_000,
    };
    /// One of the crowd.
    pub const FOLLOWER: Self = Self {
        meetings: 10,
        place_blocks: 12,
        plain: 980,
        ordered: 50,
        managing: 1,
        away_micros: 20_000,
        ..Self::SCATTERED
    };
    /// Who meets it.
    pub const LEADER: Self =
        Self { plain: 0, ordered: 10, verified: 200, managing: 40, eager: 4, ..Self::FOLLOWER };
    /// Who asks the unit again and again how long it is, and nothing else of its home: the crowd is left to itself, but for what it must be told.
    pub const SURVEYOR: Self =
        Self { plain: 0, ordered: 0, inspecting: 1000, eager: 0, managing: 0, ..Self::FOLLOWER };
    /// Who write protects the unit and lets go of it again, all the time.
    pub const WARDEN: Self = Self { plain: 900, ordered: 0, eager: 20, managing: 0, ..Self::FOLLOWER };
}
