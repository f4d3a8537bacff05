//! What a target is told by its operator: its name, where it listens, who may come, and what it offers.
//!
//! A [`Config`] is immutable and shared as a snapshot; a change is a new one. Not here: logical units, sockets, and
//! any reading of files.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::chap::Credentials;
use crate::digest::Digest;
use crate::keys::TaskReporting;
use crate::name::{IscsiName, NameError};

/// Everything that logins and discovery need to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The targets of this process.
    pub targets: Vec<Target>,
    /// What they offer in negotiation.
    pub offer: Offer,
}

impl Config {
    /// One target with the default offer.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { targets: vec![target], offer: Offer::default() }
    }

    /// The target with this name.
    #[must_use]
    pub fn target(&self, name: &IscsiName) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == *name)
    }

    /// The targets that an initiator may come to.
    pub fn visible<'a>(
        &'a self,
        initiator: &'a IscsiName,
        address: IpAddr,
    ) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(move |target| target.allow.permits(initiator, address))
    }
}

/// One target: a name behind which units stand.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: IscsiName,
    /// A name for people.
    pub alias: Option<String>,
    /// Where it listens.
    pub portals: Vec<Portal>,
    /// How initiators prove who they are.
    pub auth: Auth,
    /// Which initiators may come.
    pub allow: Allow,
}

impl Target {
    /// A target open to everyone, in portal group 1.
    #[must_use]
    pub fn new(name: IscsiName, portals: Vec<SocketAddr>) -> Self {
        let portals = portals.into_iter().map(Portal::from).collect();
        Self { name, alias: None, portals, auth: Auth::None, allow: Allow::default() }
    }

    /// The portal group that a connection came to, by the address at which it reached us.
    //= RFC 7143 "TargetPortalGroupTag": the tag of the portal group that serves the login
    #[must_use]
    pub fn portal_group(&self, local: SocketAddr) -> NonZeroU16 {
        let exactly = self.portals.iter().find(|portal| portal.is_at(local));
        let portal = exactly.or_else(|| self.portals.iter().find(|portal| portal.accepts(local)));
        portal.or(self.portals.first()).map_or(NonZeroU16::MIN, |portal| portal.group)
    }
}

/// Where a target listens, and in which of its portal groups. To SCSI, a portal group is a target port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portal {
    /// As discovery tells it; an unspecified address stands for the one a connection came to.
    pub address: SocketAddr,
    /// The tag of the group.
    pub group: NonZeroU16,
}

impl Portal {
    fn is_at(&self, local: SocketAddr) -> bool {
        self.address.port() == local.port() && self.address.ip().to_canonical() == local.ip().to_canonical()
    }

    /// Whether it listens everywhere, and so also there.
    fn accepts(&self, local: SocketAddr) -> bool {
        let both = self.address.is_ipv6() || local.ip().to_canonical().is_ipv4();
        self.address.port() == local.port() && self.address.ip().is_unspecified() && both
    }
}

/// In the first group.
impl From<SocketAddr> for Portal {
    fn from(address: SocketAddr) -> Self {
        Self { address, group: NonZeroU16::MIN }
    }
}

/// How initiators prove who they are, at the target and in discovery.
///
/// A discovery session has to authenticate if every target that the initiator may come to demands it, with the
/// credentials of one of them; it sees the targets that those credentials open.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// By CHAP, and nothing else.
    Chap(Credentials),
}

impl Auth {
    /// The credentials, if there must be a proof.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::None => None,
            Self::Chap(credentials) => Some(credentials),
        }
    }
}

/// Which initiators may come: those that any entry names, or everyone if there is none.
#[derive(Debug, Clone, Default)]
pub struct Allow(pub Vec<Allowed>);

impl Allow {
    /// Whether an initiator may come.
    #[must_use]
    pub fn permits(&self, initiator: &IscsiName, address: IpAddr) -> bool {
        let named = |entry: &Allowed| match entry {
            Allowed::Name(name) => name == initiator,
            Allowed::Network(network) => network.contains(address),
        };
        self.0.is_empty() || self.0.iter().any(named)
    }
}

/// One entry of an allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The initiator with this name.
    Name(IscsiName),
    /// Initiators whose address is in this network.
    Network(Cidr),
}

impl FromStr for Allowed {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        match text.parse() {
            Ok(network) => Ok(Self::Network(network)),
            Err(_) if text.parse::<IscsiName>() == Err(NameError::Type) => Err(AllowError::Neither),
            Err(_) => text.parse().map(Self::Name).map_err(AllowError::Name),
        }
    }
}

/// Why a text is no entry of an allow list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowError {
    /// Neither a name nor an address.
    Neither,
    /// It looks like a name but is none.
    Name(NameError),
}

impl fmt::Display for AllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neither => f.write_str("neither an initiator name (iqn.…, eui.…, naa.…) nor an address (10.0.0.7, 10.0.0.0/8, fd00::/8)"),
            Self::Name(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for AllowError {}

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// The network of an address; `None` if the prefix is longer than the address.
    #[must_use]
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        (prefix_bits <= address_bits(address)).then_some(Self { address, prefix_bits })
    }

    /// Whether an address is in the network; an IPv4 address counts as such also in its IPv6 form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (mine, theirs) = (self.address.to_canonical(), address.to_canonical());
        let shift = u32::from(address_bits(mine).saturating_sub(self.prefix_bits));
        match (mine, theirs) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError)?;
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| CidrError)?,
            None => address_bits(address),
        };
        Self::new(address, prefix_bits).ok_or(CidrError)
    }
}

/// A text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CidrError;

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address or network (10.0.0.7, 10.0.0.0/8, fd00::/8)")
    }
}

impl std::error::Error for CidrError {}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Our side of each negotiated key; the result is the standard's function of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Header digests that we accept; the initiator's order decides.
    pub header_digests: Vec<Digest>,
    /// Data digests that we accept; the initiator's order decides.
    pub data_digests: Vec<Digest>,
    /// The longest data segment that we receive.
    pub receive_segment_bytes_max: u32,
    /// The most data of one R2T or sequence.
    pub burst_bytes_max: u32,
    /// The most unsolicited data of one command.
    pub first_burst_bytes_max: u32,
    /// Whether we insist on soliciting the first burst.
    pub initial_r2t: bool,
    /// Whether we take data with the command.
    pub immediate_data: bool,
    /// The most R2Ts of one command at a time.
    pub outstanding_r2t_max: u32,
    /// The shortest wait before a reconnect.
    pub time_to_wait_secs: u32,
    /// How long tasks outlive their connection.
    pub time_to_retain_secs: u32,
    /// Whether we insist on ordered data in a sequence.
    pub data_pdu_in_order: bool,
    /// Whether we insist on ordered sequences.
    pub data_sequence_in_order: bool,
    /// How far we recover from errors.
    pub error_recovery_level: u32,
    /// The most connections of a session.
    pub connections_max: u32,
    /// How we report aborted tasks; the initiator's order decides.
    pub task_reporting: Vec<TaskReporting>,
    /// The protocol level that we speak.
    pub protocol_level: u32,
}

/// Large bursts and segments, no R2T where none is needed: what a fast network and little memory per session allow.
/// Nothing is retained after a connection is gone at error recovery level 0, so nothing is promised.
impl Default for Offer {
    fn default() -> Self {
        Self {
            header_digests: vec![Digest::Crc32c, Digest::None],
            data_digests: vec![Digest::Crc32c, Digest::None],
            receive_segment_bytes_max: 256 << 10,
            burst_bytes_max: 1 << 20,
            first_burst_bytes_max: 256 << 10,
            initial_r2t: false,
            immediate_data: true,
            outstanding_r2t_max: 16,
            time_to_wait_secs: 0,
            time_to_retain_secs: 0,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            connections_max: 1,
            task_reporting: vec![TaskReporting::Rfc3720, TaskReporting::ResponseFence],
            protocol_level: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allow, AllowError, Allowed, Cidr, Target};
    use crate::name::{IscsiName, NameError};

    /// Portals in groups 1, 2 and so on; the group of a connection to `local`.
    #[track_caller]
    fn check_group(portals: &[&str], local: &str, want: u16) {
        let name = IscsiName::parse("iqn.2026-11.org.example:t").unwrap();
        let mut target = Target::new(name, portals.iter().map(|portal| portal.parse().unwrap()).collect());
        for (portal, group) in target.portals.iter_mut().zip(1..) {
            portal.group = u16::try_into(group).unwrap();
        }
        assert_eq!(target.portal_group(local.parse().unwrap()).get(), want, "{portals:?} {local}");
    }

    #[test]
    fn a_connection_is_in_the_group_of_the_portal_that_it_came_to() {
        check_group(&["10.0.0.1:3260", "10.0.0.1:3261"], "10.0.0.1:3261", 2);
        check_group(&["10.0.0.1:3260", "[fd00::1]:3260"], "[fd00::1]:3260", 2);
        check_group(&["10.0.0.1:3260", "10.0.0.2:3260"], "[::ffff:10.0.0.2]:3260", 2);
    }

    #[test]
    fn a_portal_that_listens_everywhere_has_the_connections_that_no_other_has() {
        check_group(&["0.0.0.0:3260", "10.0.0.2:3260"], "10.0.0.2:3260", 2);
        check_group(&["10.0.0.2:3260", "0.0.0.0:3260"], "10.0.0.1:3260", 2);
        check_group(&["0.0.0.0:3260", "[::]:3260"], "[fd00::1]:3260", 2);
        check_group(&["10.0.0.2:3260", "[::]:3260"], "[::ffff:10.0.0.1]:3260", 2);
    }

    #[track_caller]
    fn check_network(network: &str, address: &str, want: bool) {
        assert_eq!(
            network.parse::<Cidr>().unwrap().contains(address.parse().unwrap()),
            want,
            "{network} {address}"
        );
    }

    #[test]
    fn a_network_holds_its_addresses() {
        check_network("10.1.0.0/16", "10.1.255.255", true);
        check_network("10.1.0.0/16", "10.2.0.0", false);
        check_network("fd00::/8", "fdff::1", true);
        check_network("fd00::/8", "fe00::1", false);
    }

    #[test]
    fn a_prefix_of_zero_holds_all_of_its_family() {
        check_network("0.0.0.0/0", "255.1.2.3", true);
        check_network("::/0", "ffff::", true);
        check_network("0.0.0.0/0", "::1", false);
    }

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        check_network("10.0.0.7", "10.0.0.7", true);
        check_network("10.0.0.7", "10.0.0.6", false);
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        check_network("10.0.0.0/8", "::ffff:10.1.2.3", true);
    }

    #[test]
    fn a_prefix_longer_than_the_address_is_refused() {
        assert!("10.0.0.0/33".parse::<Cidr>().is_err() && "::/129".parse::<Cidr>().is_err());
        assert!("10.0.0.0/".parse::<Cidr>().is_err() && "10.0.0/8".parse::<Cidr>().is_err());
    }

    fn allow(entries: &[&str]) -> Allow {
        Allow(entries.iter().map(|entry| entry.parse().unwrap()).collect())
    }

    fn name(text: &str) -> IscsiName {
        IscsiName::parse(text).unwrap()
    }

    #[test]
    fn an_empty_list_lets_everyone_in() {
        assert!(allow(&[]).permits(&name("iqn.2024-01.org.example:a"), "1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn one_entry_that_fits_is_enough() {
        let list = allow(&["IQN.2024-01.org.example:a", "10.0.0.0/8"]);
        assert!(list.permits(&name("iqn.2024-01.org.example:a"), "1.2.3.4".parse().unwrap()));
        assert!(list.permits(&name("iqn.2024-01.org.example:b"), "10.2.3.4".parse().unwrap()));
        assert!(!list.permits(&name("iqn.2024-01.org.example:b"), "1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn an_entry_that_is_nothing_says_what_it_could_be() {
        assert_eq!("host".parse::<Allowed>(), Err(AllowError::Neither));
        assert_eq!("iqn.x".parse::<Allowed>(), Err(AllowError::Name(NameError::Qualified)));
    }
}
