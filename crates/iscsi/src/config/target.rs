//! A target and its portal groups: where they listen, who may come, and on which terms.
//!
//! To SCSI, a portal group is a target port. What an operator decides about a target belongs to one of its groups, as with
//! LIO; what it decides about one initiator is an [`Entry`] of the group.
//!
//! Invariants: in a target, a tag names one group, and an address leads to one.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use super::{Allow, Auth, Offer};
use crate::limits::Limits;
use crate::name::IscsiName;

/// One target: a name behind which units stand, reached through portal groups.
#[derive(Debug, Clone)]
pub struct Target {
    name: IscsiName,
    groups: Vec<PortalGroup>,
}

impl Target {
    /// A target with these groups, if no two have the same tag or portal.
    pub fn new(name: IscsiName, groups: Vec<PortalGroup>) -> Result<Self, TargetError> {
        let (mut tags, mut portals) = (BTreeSet::new(), BTreeSet::new());
        for group in &groups {
            if !tags.insert(group.tag) {
                return Err(TargetError::SharedTag(group.tag));
            }
            // Of portals with port 0 each gets a port of its own.
            let own: BTreeSet<_> =
                group.portals.iter().copied().filter(|portal| portal.port() != 0).collect();
            if let Some(shared) = own.iter().find(|portal| portals.contains(*portal)) {
                return Err(TargetError::SharedPortal(*shared));
            }
            portals.extend(own);
        }
        Ok(Self { name, groups })
    }

    /// A target that is open to everyone, in portal group 1.
    #[must_use]
    pub fn open(name: IscsiName, portals: Vec<SocketAddr>) -> Self {
        Self { name, groups: vec![PortalGroup::open(NonZeroU16::MIN, portals)] }
    }

    /// Puts in the port that was found for a portal with port 0.
    pub(super) fn set_port(&mut self, asked: &Portal, found: SocketAddr) {
        let group = self.groups.iter_mut().find(|group| group.tag == asked.group);
        let mut portals = group.into_iter().flat_map(|group| &mut group.portals);
        if let Some(portal) = portals.find(|portal| **portal == asked.address) {
            *portal = found;
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &IscsiName {
        &self.name
    }

    /// Its portal groups.
    #[must_use]
    pub fn groups(&self) -> &[PortalGroup] {
        &self.groups
    }

    /// The portal group with this tag.
    #[must_use]
    pub fn group(&self, tag: u16) -> Option<&PortalGroup> {
        self.groups.iter().find(|group| group.tag.get() == tag)
    }

    /// The portal group that a connection came to, by the address at which it reached us.
    //= RFC 7143 "TargetPortalGroupTag": the tag of the portal group that serves the login
    #[must_use]
    pub fn group_at(&self, local: SocketAddr) -> Option<&PortalGroup> {
        let best =
            |group: &&PortalGroup| group.portals.iter().filter_map(|portal| Fit::of(*portal, local)).max();
        let fitting = self.groups.iter().filter_map(|group| Some((best(&group)?, group)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, group)| group)
    }
}

/// How closely a portal fits the address that a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It listens everywhere, on both families.
    Everywhere,
    /// It listens everywhere on this family.
    Family,
    /// It listens there.
    There,
}

impl Fit {
    fn of(portal: SocketAddr, local: SocketAddr) -> Option<Self> {
        let (mine, theirs) = (portal.ip().to_canonical(), local.ip().to_canonical());
        match portal.port() == local.port() {
            true if mine == theirs => Some(Self::There),
            true if mine.is_unspecified() && mine.is_ipv4() == theirs.is_ipv4() => Some(Self::Family),
            true if mine.is_unspecified() && mine.is_ipv6() => Some(Self::Everywhere),
            _ => None,
        }
    }
}

/// Portals of a target under one tag, and everything that is decided for those who come there.
#[derive(Debug, Clone)]
pub struct PortalGroup {
    /// The tag.
    pub tag: NonZeroU16,
    /// The target's name for people.
    pub alias: Option<String>,
    /// Whether logins are served at all.
    pub enabled: bool,
    /// Where it listens, as discovery tells it; an unspecified address stands for the one that a connection came to. Groups of
    /// other targets may listen there too.
    pub portals: Vec<SocketAddr>,
    /// How initiators prove who they are that have no proof of their own.
    pub auth: Auth,
    /// What is decided for single initiators: LIO's ACLs.
    pub initiators: BTreeMap<IscsiName, Entry>,
    /// Whether initiators may come that have no entry: LIO's demo mode.
    pub open: bool,
    /// Whether initiators that may not come are told of it nevertheless.
    pub demo_discovery: bool,
    /// Whether discovery tells of it even while it is not enabled.
    pub told_disabled: bool,
    /// Who may come at all, with or without an entry.
    pub allow: Allow,
    /// What it offers in negotiation.
    pub offer: Offer,
    /// From a connection's beginning to full feature phase, once it is known who wants to come here; `None`: as [`Limits`] have it.
    pub login: Option<Duration>,
    /// The command window of initiators that have none of their own; `None`: as [`Limits`] have it.
    pub window: Option<u32>,
}

impl PortalGroup {
    /// A group that is open to everyone, on the usual terms.
    #[must_use]
    pub fn open(tag: NonZeroU16, portals: Vec<SocketAddr>) -> Self {
        Self {
            tag,
            alias: None,
            enabled: true,
            portals,
            auth: Auth::None,
            initiators: BTreeMap::new(),
            open: true,
            demo_discovery: true,
            told_disabled: false,
            allow: Allow::default(),
            offer: Offer::default(),
            login: None,
            window: None,
        }
    }

    /// Whether an initiator may come, once it has proved who it is.
    #[must_use]
    pub fn admits(&self, initiator: &IscsiName, address: IpAddr) -> bool {
        self.allow.permits(initiator, address) && self.is_for(initiator)
    }

    /// Whether it is open to an initiator, or has an entry for it.
    pub(crate) fn is_for(&self, initiator: &IscsiName) -> bool {
        self.open || self.initiators.contains_key(initiator)
    }

    /// Whether discovery tells anyone of it.
    pub(crate) fn is_told(&self) -> bool {
        self.enabled || self.told_disabled
    }

    /// Whether discovery tells this initiator of it.
    pub(crate) fn is_told_to(&self, initiator: &IscsiName, address: IpAddr) -> bool {
        let known = self.demo_discovery || self.is_for(initiator);
        self.is_told() && known && self.allow.permits(initiator, address)
    }

    /// How an initiator proves who it is.
    #[must_use]
    pub fn auth_of(&self, initiator: &IscsiName) -> &Auth {
        self.initiators.get(initiator).and_then(|entry| entry.auth.as_ref()).unwrap_or(&self.auth)
    }

    /// What a connection of an initiator may cost here.
    #[must_use]
    pub fn limits_of(&self, initiator: &IscsiName, usual: Limits) -> Limits {
        let entry = self.initiators.get(initiator);
        let window = entry.and_then(|entry| entry.window).or(self.window).unwrap_or(usual.window);
        let limits = Limits { window, login: self.login.unwrap_or(usual.login), ..usual };
        match entry.and_then(|entry| entry.patience) {
            None => limits,
            Some(Patience { ping, ping_answer, data_out }) => {
                Limits { ping, ping_answer, data_out, ..limits }
            }
        }
    }
}

/// What is decided for one initiator; what is `None` is as for all others.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// How it proves who it is.
    pub auth: Option<Auth>,
    /// Depth of its command window.
    pub window: Option<u32>,
    /// How long it may take.
    pub patience: Option<Patience>,
}

/// How long an initiator may take: the fields of [`Limits`] with these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Silence after which we ping; `None`: never.
    pub ping: Option<Duration>,
    /// Silence after a ping that ends the connection.
    pub ping_answer: Duration,
    /// From an R2T, or from the last data of a command, to more of its data.
    pub data_out: Duration,
}

/// Where to listen, and for which portal group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portal {
    /// Port 0 stands for any that is free.
    pub address: SocketAddr,
    /// The tag of the group.
    pub group: NonZeroU16,
}

/// In the first group.
impl From<SocketAddr> for Portal {
    fn from(address: SocketAddr) -> Self {
        Self { address, group: NonZeroU16::MIN }
    }
}

/// Why groups make no target together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    /// Two have this tag.
    SharedTag(NonZeroU16),
    /// Two listen there: a connection would be in both.
    SharedPortal(SocketAddr),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedTag(tag) => write!(f, "two portal groups of the target have the tag {tag}"),
            Self::SharedPortal(portal) => write!(f, "{portal} is a portal of two groups of the target"),
        }
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests;
