//! Lists of initiators that may come, by name or by address: felio's own, beside LIO's entries.
//!
//! Not here: what an operator decides for one initiator ([`Entry`](super::Entry)).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::name::{IscsiName, NameError};

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

#[cfg(test)]
mod tests {
    use super::{Allow, AllowError, Allowed, Cidr};
    use crate::name::{IscsiName, NameError};

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
