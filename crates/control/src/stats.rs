//! What was counted, as plain data for whoever looks: `GET /v1/stats`.
//!
//! Every number grows for as long as its object is served, but for what is in flight. What happens in a second, and how long it takes then, is
//! the difference of two readings. Sums of what LIO counts for SCSI's MIB (`num_cmds`, `read_mbytes`, `resets` …) are in it.

use crate::path::{StorageKey, TargetKey, TpgKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Sub;

/// Everything that was counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// When it was read: nanoseconds since the daemon was started.
    pub at_nanos: u64,
    /// Upper bounds of the buckets of all times, nanoseconds; the last bucket has none.
    pub bounds_nanos: Vec<u64>,
    /// All target ports together.
    pub total: Traffic,
    /// Storage objects that are open.
    pub storage: Vec<StorageStats>,
    /// Target ports: portal groups that are there.
    pub ports: Vec<PortStats>,
    /// Numbers under which initiators find storage objects.
    pub luns: Vec<LunStats>,
    /// iSCSI targets.
    pub targets: Vec<TargetStats>,
    /// Sessions that are there.
    pub sessions: Vec<SessionStats>,
}

/// What was counted of a storage object since it was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StorageStats {
    /// Which.
    pub storage: StorageKey,
    /// The commands of all its LUNs.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Operations of the device or file behind it, from submission to completion.
    pub store: Times,
    /// Those that failed.
    pub store_failures: u64,
    /// Unit attention conditions that were established, for each initiator concerned.
    pub attentions: u64,
    /// Those that initiators were told by CHECK CONDITION.
    pub attentions_told: u64,
    /// How often it was reset.
    pub resets: u64,
    /// Commands that an initiator wanted to be aborted, and that were found.
    pub aborts: u64,
    /// Those that were not.
    pub aborts_missed: u64,
    /// When it was opened: nanoseconds since the daemon was started.
    pub opened_nanos: u64,
}

/// What was counted of a target port since it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortStats {
    /// Which.
    pub tpg: TpgKey,
    /// Sessions that it has.
    pub sessions: u64,
    /// The commands that came through it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What was counted under one number, since it has led to its storage object. How long single commands took is counted of the storage object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LunStats {
    /// Through which target port.
    pub tpg: TpgKey,
    /// The number there.
    pub lun: u16,
    /// Whose it is; all those without an ACL are one.
    pub initiator: Option<String>,
    /// The number that the initiator uses.
    pub mapped_lun: u16,
    /// What is behind it.
    pub storage: StorageKey,
    /// Commands that were answered.
    pub commands: u64,
    /// Those that ended otherwise than well.
    pub errors: u64,
    /// Bytes that initiators got.
    pub bytes_in: u64,
    /// Bytes that they brought.
    pub bytes_out: u64,
    /// From arrival to answer, all together.
    pub nanos: u64,
}

/// What was counted of an iSCSI target since the daemon was started, or since it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetStats {
    /// Which.
    pub target: TargetKey,
    /// What became of logins and sessions.
    #[serde(flatten)]
    pub logins: Logins,
}

/// What became of logins and sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Logins {
    /// Logins that were accepted; discovery is nobody's.
    pub accepted: u64,
    /// Initiators that may not come.
    pub not_authorized: u64,
    /// Initiators that did not prove who they are.
    pub not_authenticated: u64,
    /// Logins that broke the rules of negotiation.
    pub not_negotiated: u64,
    /// Logins that failed otherwise.
    pub failed_otherwise: u64,
    /// The last that failed.
    pub last_failed: Option<FailedLogin>,
    /// Sessions that were ended by either side.
    pub logouts: u64,
    /// Sessions that were lost.
    pub losses: u64,
    /// Of these, those with a wrong digest,
    pub digest_errors: u64,
    /// those where something did not come in time,
    pub timeouts: u64,
    /// and those that broke the protocol.
    pub format_errors: u64,
    /// The last that was ended for one of these three.
    pub last_broken: Option<BrokenSession>,
}

/// A login that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedLogin {
    /// When: nanoseconds since the daemon was started.
    pub at_nanos: u64,
    /// Which of the four.
    pub kind: LoginFailure,
    /// Who it said it is.
    pub initiator: String,
    /// Where it came from.
    pub address: std::net::IpAddr,
}

/// A session that was ended for a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokenSession {
    /// Whose it was.
    pub initiator: String,
    /// Which.
    pub kind: SessionFailure,
}

/// How a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginFailure {
    /// It may not come.
    NotAuthorized,
    /// It did not prove who it is.
    NotAuthenticated,
    /// It broke the rules of negotiation.
    NotNegotiated,
    /// Otherwise.
    Other,
}

/// How a session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionFailure {
    /// A digest was wrong.
    Digest,
    /// Something did not come in time.
    Timeout,
    /// The initiator broke the protocol.
    Format,
}

impl Logins {
    /// All that failed.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.not_authorized + self.not_authenticated + self.not_negotiated + self.failed_otherwise
    }

    /// A login failed.
    pub fn note_failed(&mut self, login: FailedLogin) {
        *match login.kind {
            LoginFailure::NotAuthorized => &mut self.not_authorized,
            LoginFailure::NotAuthenticated => &mut self.not_authenticated,
            LoginFailure::NotNegotiated => &mut self.not_negotiated,
            LoginFailure::Other => &mut self.failed_otherwise,
        } += 1;
        self.last_failed = Some(login);
    }

    /// A session was ended for a failure.
    pub fn note_broken(&mut self, session: BrokenSession) {
        *match session.kind {
            SessionFailure::Digest => &mut self.digest_errors,
            SessionFailure::Timeout => &mut self.timeouts,
            SessionFailure::Format => &mut self.format_errors,
        } += 1;
        self.last_broken = Some(session);
    }
}

/// What was counted of a session since its login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStats {
    /// Its number, as in the list of sessions.
    pub id: u16,
    /// Who it is.
    pub initiator: String,
    /// Where it is logged in.
    pub tpg: TpgKey,
    /// The initiator's address and port.
    pub peer: String,
    /// Its commands.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What was counted of commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Commands that are not answered, or of which an operation is not finished.
    pub in_flight: u64,
    /// Commands that were answered.
    pub commands: Commands,
    /// Bytes that initiators got.
    pub bytes_in: u64,
    /// Bytes that they brought.
    pub bytes_out: u64,
    /// From arrival to answer.
    pub latency: Times,
    /// Commands that ended with CHECK CONDITION, by sense key; keys without any are left out.
    pub check_conditions: BTreeMap<String, u64>,
    /// Commands that ended with another status than GOOD, by status; those without any are left out.
    pub failures: BTreeMap<String, u64>,
    /// Commands that ended without an answer: aborted, or their session was lost.
    pub abandoned: u64,
    /// Task management functions, by name; those without any are left out. Storage objects have none: see their resets.
    pub functions: BTreeMap<String, u64>,
}

/// Commands by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commands {
    /// READ.
    pub read: u64,
    /// WRITE, also with VERIFY, ATOMIC and SAME.
    pub write: u64,
    /// COMPARE AND WRITE, ORWRITE.
    pub combine: u64,
    /// SYNCHRONIZE CACHE.
    pub flush: u64,
    /// UNMAP.
    pub unmap: u64,
    /// All others.
    pub other: u64,
}

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// All together, nanoseconds.
    pub total_nanos: u64,
    /// How often a time was below the bound of the same place, and not below the one before it. Empty buckets at the end are left out.
    pub buckets: Vec<u64>,
}

impl Traffic {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.in_flight += other.in_flight;
        self.commands = self.commands.and(other.commands);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.latency.add(&other.latency);
        self.abandoned += other.abandoned;
        let named = [
            (&mut self.check_conditions, &other.check_conditions),
            (&mut self.failures, &other.failures),
            (&mut self.functions, &other.functions),
        ];
        for (mine, theirs) in named {
            theirs.iter().for_each(|(name, count)| *mine.entry(name.clone()).or_default() += count);
        }
        self
    }

    /// Those that ended otherwise than well.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.check_conditions.values().chain(self.failures.values()).sum()
    }
}

impl Commands {
    /// All of them, by name.
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, u64); 6] {
        let Self { read, write, combine, flush, unmap, other } = *self;
        [
            ("read", read),
            ("write", write),
            ("combine", combine),
            ("flush", flush),
            ("unmap", unmap),
            ("other", other),
        ]
    }

    const fn and(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            write: self.write + other.write,
            combine: self.combine + other.combine,
            flush: self.flush + other.flush,
            unmap: self.unmap + other.unmap,
            other: self.other + other.other,
        }
    }

    /// How many.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.by_name().iter().map(|(_, count)| count).sum()
    }
}

impl Times {
    fn add(&mut self, other: &Self) {
        self.total_nanos += other.total_nanos;
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that `share` of all (0.5: the median) did not exceed, as the bound of its bucket; none without any.
    #[must_use]
    pub fn quantile(&self, share: f64, bounds: &[u64]) -> Option<u64> {
        let mut left = rank(self.count(), share)?;
        for (at, count) in self.buckets.iter().enumerate() {
            if left <= *count {
                return bounds.get(at).or(bounds.last()).copied();
            }
            left -= count;
        }
        None
    }
}

/// Which of so many, counted from one, stands at this share of them.
fn rank(count: u64, share: f64) -> Option<u64> {
    if count == 0 {
        return None;
    }
    // In parts of a thousand: nobody asks for finer ones.
    let thousandths = (1..=1000u32).find(|at| f64::from(*at) >= share * 1000.0).unwrap_or(1000);
    Some((u128::from(count) * u128::from(thousandths)).div_ceil(1000).try_into().unwrap_or(u64::MAX))
}

/// What came in between: of an earlier reading of the same object. One that was made anew meanwhile counts from zero.
impl Sub for &Times {
    type Output = Times;

    fn sub(self, earlier: Self) -> Times {
        let before = |at: usize| earlier.buckets.get(at).copied().unwrap_or(0);
        let buckets =
            self.buckets.iter().enumerate().map(|(at, count)| count.saturating_sub(before(at))).collect();
        Times { total_nanos: self.total_nanos.saturating_sub(earlier.total_nanos), buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [u64; 3] = [10, 20, 40];

    fn times(buckets: &[u64]) -> Times {
        Times { total_nanos: 0, buckets: buckets.to_vec() }
    }

    #[test]
    fn the_median_is_the_bound_of_the_bucket_in_the_middle() {
        assert_eq!(times(&[2, 3, 1]).quantile(0.5, &BOUNDS), Some(20));
    }

    #[test]
    fn one_slow_command_in_a_hundred_is_not_within_the_99th_percentile_and_two_are() {
        assert_eq!(times(&[99, 0, 1]).quantile(0.99, &BOUNDS), Some(10));
        assert_eq!(times(&[98, 0, 2]).quantile(0.99, &BOUNDS), Some(40));
    }

    #[test]
    fn what_is_beyond_the_last_bound_is_said_to_be_there() {
        assert_eq!(times(&[0, 0, 0, 7]).quantile(0.5, &BOUNDS), Some(40));
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(times(&[]).quantile(0.5, &BOUNDS), None);
    }

    #[test]
    fn a_difference_has_what_came_in_between() {
        assert_eq!(&times(&[3, 4]) - &times(&[1]), times(&[2, 4]));
    }
}
