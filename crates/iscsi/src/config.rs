//! What the operator says: which targets there are, where they listen, who may come, and what is offered.
//!
//! A [`Config`] is immutable and shared as a snapshot; a change is a new one, and a connection keeps the one that it began
//! with. A [`Target`] is a name and its portal groups; whatever else can be decided belongs to a [`PortalGroup`], or to an
//! [`Entry`] of it for one initiator. Not here: logical units, sockets, and any reading of files.

mod allow;
mod offer;
mod target;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::chap::Credentials;
use crate::name::IscsiName;
pub use allow::{Allow, AllowError, Allowed, Cidr, CidrError};
pub use offer::{CONNECTIONS_MAX, ERROR_RECOVERY_LEVEL_MAX, Offer, UNASKED_BYTES_MAX};
pub use target::{Entry, Patience, Portal, PortalGroup, Target, TargetError};

/// Everything that logins and discovery need to know.
#[derive(Debug, Clone, Default)]
pub struct Config {
    targets: BTreeMap<IscsiName, Target>,
    /// What discovery sessions have to prove.
    pub discovery: Discovery,
    /// What discovery sessions are offered in negotiation.
    pub discovery_offer: Offer,
}

impl Config {
    /// These targets; of those with the same name the last. Discovery sessions have to prove what the targets demand.
    #[must_use]
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let targets = targets.into_iter().map(|target| (target.name().clone(), target));
        Self { targets: targets.collect(), ..Self::default() }
    }

    /// Puts in the ports that were found for portals with port 0: in each target at the first portal as it was asked for.
    pub fn set_ports<'a>(&mut self, opened: impl IntoIterator<Item = (&'a Portal, &'a SocketAddr)>) {
        for (asked, found) in opened.into_iter().filter(|(asked, _)| asked.address.port() == 0) {
            self.targets.values_mut().for_each(|target| target.set_port(asked, *found));
        }
    }

    /// The targets, by name.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// The target with this name.
    #[must_use]
    pub fn target(&self, name: &IscsiName) -> Option<&Target> {
        self.targets.get(name)
    }

    /// The portal groups of which discovery tells anyone, of all targets.
    pub(crate) fn told_groups(&self) -> impl Iterator<Item = &PortalGroup> {
        self.targets().flat_map(Target::groups).filter(|group| group.is_told())
    }

    /// Whether a session that was let in before this configuration may stay: its names and address as they were at login, no target
    /// for discovery. Secrets are not looked at: who has proved himself has done so.
    #[must_use]
    pub fn admits(&self, target: &str, tag: u16, initiator: &str, address: IpAddr) -> bool {
        if target.is_empty() {
            return true;
        }
        let (Ok(target), Ok(initiator)) = (IscsiName::parse(target), IscsiName::parse(initiator)) else {
            return false;
        };
        let group = self.target(&target).and_then(|target| target.group(tag));
        group.is_some_and(|group| group.enabled && group.admits(&initiator, address))
    }
}

/// How initiators prove who they are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// By CHAP, and nothing else.
    Chap(Credentials),
    /// By CHAP, but there are no credentials: nobody comes in.
    Closed,
}

/// What discovery sessions have to prove.
#[derive(Debug, Clone, Default)]
pub enum Discovery {
    /// What the portal groups demand that the initiator is told of: nothing if one of them demands nothing, else the credentials of
    /// one of them. It is told of the groups that its credentials open.
    #[default]
    AsTargets,
    /// This, and the initiator is told of groups whatever they demand.
    Own(Auth),
    /// Nothing, but these credentials from who wants to prove itself.
    Optional(Credentials),
}

#[cfg(test)]
mod tests;
