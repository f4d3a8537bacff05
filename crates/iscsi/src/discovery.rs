//! Discovery: which targets are there, and at which addresses.
//!
//! Not here: the text PDUs around it (`exchange`). An initiator sees the targets that it could log in to: those that let
//! it in, and whose credentials it has shown if they demand any.

use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, Target};
use crate::name::IscsiName;
use crate::text::{Outgoing, REJECT};

/// Who asks, and over which connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The initiator's name.
    pub initiator: IscsiName,
    /// The initiator's address.
    pub peer: IpAddr,
    /// The address at which the initiator reached us: what a portal without an address is told as.
    pub local: SocketAddr,
    /// The user as which it has authenticated.
    pub user: Option<String>,
    /// The target of its session; `None`: a discovery session.
    pub target: Option<IscsiName>,
}

impl Viewer {
    fn sees(&self, target: &Target) -> bool {
        let proven = match target.auth.credentials() {
            None => true,
            Some(credentials) => self.user.as_deref() == Some(credentials.user()),
        };
        proven && target.allow.permits(&self.initiator, self.peer)
    }
}

/// Answers SendTargets.
//= RFC 7143 "SendTargets Operation"
pub fn send_targets(config: &Config, viewer: &Viewer, asked: &str, out: &mut Outgoing) {
    match (asked, &viewer.target) {
        ("All", None) => config
            .targets
            .iter()
            .filter(|target| viewer.sees(target))
            .for_each(|target| tell(target, viewer, out)),
        ("", None) | ("All", Some(_)) => out.push("SendTargets", REJECT),
        ("", Some(own)) => config.target(own).into_iter().for_each(|target| tell(target, viewer, out)),
        (name, own) => {
            let named = IscsiName::parse(name).ok().filter(|name| own.as_ref().is_none_or(|own| own == name));
            let target = named.and_then(|name| config.target(&name));
            target
                .into_iter()
                .filter(|target| viewer.sees(target))
                .for_each(|target| tell(target, viewer, out));
        }
    }
}

/// A target and its addresses.
fn tell(target: &Target, viewer: &Viewer, out: &mut Outgoing) {
    out.push("TargetName", &target.name);
    let mut told = Vec::new();
    for portal in &target.portals {
        if let Some(address) = reachable(portal.address, viewer.local)
            && !told.contains(&address)
        {
            out.push("TargetAddress", format_args!("{},{}", authority(address), portal.group));
            told.push(address);
        }
    }
}

/// A portal as this initiator can reach it: one that listens everywhere is reached as this connection was, unless that
/// was over the other family of addresses.
fn reachable(portal: SocketAddr, local: SocketAddr) -> Option<SocketAddr> {
    let (here, there) = (local.ip().to_canonical(), portal.ip().to_canonical());
    match (there.is_unspecified(), there) {
        (false, _) => Some(SocketAddr::new(there, portal.port())),
        (true, IpAddr::V4(_)) if here.is_ipv6() => None,
        (true, _) => Some(SocketAddr::new(here, portal.port())),
    }
}

/// Address and port as TargetAddress has them: IPv6 in brackets, without a scope that means nothing elsewhere.
//= RFC 7143 "TargetAddress"
fn authority(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chap::{Account, Credentials, Secret};
    use crate::config::{Allow, Auth};

    const DISK: &str = "iqn.2024-01.org.example:disk";
    const OTHER: &str = "iqn.2024-01.org.example:other";
    const HOST: &str = "iqn.2024-01.org.example:host";

    fn name(text: &str) -> IscsiName {
        IscsiName::parse(text).unwrap()
    }

    fn target(iqn: &str, portals: &[&str]) -> Target {
        Target::new(name(iqn), portals.iter().map(|portal| portal.parse().unwrap()).collect())
    }

    fn viewer(local: &str) -> Viewer {
        let local: SocketAddr = local.parse().unwrap();
        Viewer { initiator: name(HOST), peer: "10.0.0.9".parse().unwrap(), local, user: None, target: None }
    }

    #[track_caller]
    fn check(targets: Vec<Target>, viewer: &Viewer, asked: &str, want: &str) {
        let mut config = Config::new(target(DISK, &[]));
        config.targets = targets;
        let mut out = Outgoing::default();
        send_targets(&config, viewer, asked, &mut out);
        assert_eq!(String::from_utf8(out.take(usize::MAX)).unwrap().replace('\0', "\n"), want);
    }

    #[test]
    fn all_targets_are_told_with_all_their_portals() {
        check(
            vec![target(DISK, &["10.0.0.1:3260", "[fd00::1]:3261"]), target(OTHER, &["10.0.0.1:3260"])],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=10.0.0.1:3260,1\nTargetAddress=[fd00::1]:3261,1\n\
             TargetName=iqn.2024-01.org.example:other\nTargetAddress=10.0.0.1:3260,1\n",
        );
    }

    #[test]
    fn portals_are_told_with_their_groups() {
        let mut two = target(DISK, &["10.0.0.1:3260", "10.0.0.1:3261"]);
        two.portals[1].group = 7.try_into().unwrap();
        check(
            vec![two],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=10.0.0.1:3260,1\nTargetAddress=10.0.0.1:3261,7\n",
        );
    }

    #[test]
    fn a_portal_that_listens_everywhere_is_told_as_it_was_reached() {
        let told = "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=10.0.0.1:3260,1\n";
        check(vec![target(DISK, &["0.0.0.0:3260"])], &viewer("10.0.0.1:3260"), "All", told);
        check(vec![target(DISK, &["[::]:3260"])], &viewer("[::ffff:10.0.0.1]:3260"), "All", told);
        check(vec![target(DISK, &["[::]:3260", "0.0.0.0:3260"])], &viewer("10.0.0.1:3260"), "All", told);
    }

    #[test]
    fn a_portal_of_ipv4_is_not_told_as_an_ipv6_address() {
        let told = "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=[fd00::1]:3260,1\n";
        check(vec![target(DISK, &["0.0.0.0:3260", "[::]:3260"])], &viewer("[fd00::1]:3260"), "All", told);
    }

    #[test]
    fn one_target_can_be_asked_for() {
        let told = "TargetName=iqn.2024-01.org.example:other\n";
        check(
            vec![target(DISK, &[]), target(OTHER, &[])],
            &viewer("10.0.0.1:3260"),
            "IQN.2024-01.org.example:OTHER",
            told,
        );
        check(vec![target(DISK, &[])], &viewer("10.0.0.1:3260"), OTHER, "");
    }

    #[test]
    fn a_normal_session_learns_about_its_own_target_only() {
        let viewer = Viewer { target: Some(name(DISK)), ..viewer("10.0.0.1:3260") };
        let targets = || vec![target(DISK, &[]), target(OTHER, &[])];
        check(targets(), &viewer, "", "TargetName=iqn.2024-01.org.example:disk\n");
        check(targets(), &viewer, DISK, "TargetName=iqn.2024-01.org.example:disk\n");
        check(targets(), &viewer, OTHER, "");
        check(targets(), &viewer, "All", "SendTargets=Reject\n");
    }

    #[test]
    fn a_discovery_session_has_no_own_target() {
        check(vec![target(DISK, &[])], &viewer("10.0.0.1:3260"), "", "SendTargets=Reject\n");
    }

    #[test]
    fn a_target_that_does_not_let_the_initiator_in_is_not_told() {
        let mut closed = target(DISK, &[]);
        closed.allow = Allow(vec!["192.168.0.0/16".parse().unwrap()]);
        check(
            vec![closed, target(OTHER, &[])],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:other\n",
        );
    }

    #[test]
    fn a_target_with_credentials_is_told_to_those_who_have_them() {
        let mut secured = target(DISK, &[]);
        let account = Account::new("alice", Secret::new("alice's secret").unwrap()).unwrap();
        secured.auth = Auth::Chap(Credentials::one_way(account));
        check(vec![secured.clone()], &viewer("10.0.0.1:3260"), "All", "");
        let alice = Viewer { user: Some("alice".to_owned()), ..viewer("10.0.0.1:3260") };
        check(vec![secured], &alice, "All", "TargetName=iqn.2024-01.org.example:disk\n");
    }
}
