//! Discovery: which targets are there, and at which addresses.
//!
//! Not here: the text PDUs around it (`exchange`). An initiator is told of portal groups: those that it could log in to, and
//! those that want to be known to others too. Where discovery sessions prove what the targets demand, it is told of those groups
//! whose credentials it has shown.

use std::net::{IpAddr, SocketAddr};

use crate::chap::Account;
use crate::config::{Auth, Config, Discovery, PortalGroup, Target};
use crate::login::Session;
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
    /// The account whose secret it has proved to know.
    pub account: Option<Account>,
    /// What its session is for.
    pub session: Session,
}

impl Viewer {
    /// Whether it is told of a group: of the one that it is in, in any case.
    fn sees(&self, config: &Config, group: &PortalGroup) -> bool {
        let proven = match (&config.discovery, group.auth_of(&self.initiator)) {
            (Discovery::AsTargets, Auth::Chap(credentials)) => {
                self.account.as_ref() == Some(credentials.initiator())
            }
            (Discovery::AsTargets, Auth::Closed) => false,
            (Discovery::AsTargets, Auth::None) | (Discovery::Own(_) | Discovery::Optional(_), _) => true,
        };
        let is_in = self.session.portal_group_tag() == group.tag.get();
        is_in || (proven && group.is_told_to(&self.initiator, self.peer))
    }
}

/// Answers SendTargets.
//= RFC 7143 "SendTargets Operation"
pub fn send_targets(config: &Config, viewer: &Viewer, asked: &str, out: &mut Outgoing) {
    let tell = |target| tell(config, target, viewer, out);
    match (asked, viewer.session.target()) {
        ("All", None) => config.targets().for_each(tell),
        ("", None) | ("All", Some(_)) => out.push("SendTargets", REJECT),
        ("", Some(own)) => config.target(own).into_iter().for_each(tell),
        (name, own) => {
            let named = IscsiName::parse(name).ok().filter(|name| own.is_none_or(|own| own == name));
            named.and_then(|name| config.target(&name)).into_iter().for_each(tell);
        }
    }
}

/// A target and its addresses, as far as the initiator is told of them.
fn tell(config: &Config, target: &Target, viewer: &Viewer, out: &mut Outgoing) {
    let mut groups = target.groups().iter().filter(|group| viewer.sees(config, group)).peekable();
    if groups.peek().is_none() {
        return;
    }
    out.push("TargetName", target.name());
    let mut told = Vec::new();
    for group in groups {
        for address in group.portals.iter().filter_map(|portal| reachable(*portal, viewer.local)) {
            // An address of which another group listens to exactly that one leads to that group.
            let leads_here = target.group_at(address).is_some_and(|at| at.tag == group.tag);
            if leads_here && !told.contains(&address) {
                out.push("TargetAddress", format_args!("{},{}", authority(address), group.tag));
                told.push(address);
            }
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
    use crate::chap::{Credentials, Secret};
    use crate::config::{Allow, Entry};

    const DISK: &str = "iqn.2024-01.org.example:disk";
    const OTHER: &str = "iqn.2024-01.org.example:other";
    const HOST: &str = "iqn.2024-01.org.example:host";

    fn name(text: &str) -> IscsiName {
        IscsiName::parse(text).unwrap()
    }

    fn group(tag: u16, portals: &[&str]) -> PortalGroup {
        let portals = portals.iter().map(|portal| portal.parse().unwrap()).collect();
        PortalGroup::open(tag.try_into().unwrap(), portals)
    }

    fn of(iqn: &str, groups: Vec<PortalGroup>) -> Target {
        Target::new(name(iqn), groups).unwrap()
    }

    fn target(iqn: &str, portals: &[&str]) -> Target {
        of(iqn, vec![group(1, portals)])
    }

    fn viewer(local: &str) -> Viewer {
        let local: SocketAddr = local.parse().unwrap();
        let peer = "10.0.0.9".parse().unwrap();
        Viewer { initiator: name(HOST), peer, local, account: None, session: Session::Discovery }
    }

    #[track_caller]
    fn check(targets: Vec<Target>, viewer: &Viewer, asked: &str, want: &str) {
        check_with(&Config::new(targets), viewer, asked, want);
    }

    #[track_caller]
    fn check_with(config: &Config, viewer: &Viewer, asked: &str, want: &str) {
        let mut out = Outgoing::default();
        send_targets(config, viewer, asked, &mut out);
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
        check(
            vec![of(DISK, vec![group(1, &["10.0.0.1:3260"]), group(7, &["10.0.0.1:3261"])])],
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
        let session = Session::Normal { target: name(DISK), portal_group_tag: 1 };
        let viewer = Viewer { session, ..viewer("10.0.0.1:3260") };
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
        let allow = Allow(vec!["192.168.0.0/16".parse().unwrap()]);
        check(
            vec![of(DISK, vec![PortalGroup { allow, ..group(1, &[]) }]), target(OTHER, &[])],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:other\n",
        );
    }

    const SECRET: &str = "a secret of some length";
    const TOLD: &str = "TargetName=iqn.2024-01.org.example:disk\n";

    fn account(user: &str, secret: &str) -> Account {
        Account::new(user, Secret::new(secret).unwrap()).unwrap()
    }

    fn chap(user: &str) -> Auth {
        Auth::Chap(Credentials::one_way(account(user, SECRET)))
    }

    /// One group, for a viewer that has shown no proof.
    #[track_caller]
    fn check_group(group: PortalGroup, want: &str) {
        check(vec![of(DISK, vec![group])], &viewer("10.0.0.1:3260"), "All", want);
    }

    #[test]
    fn a_target_with_credentials_is_told_to_those_who_have_them() {
        let secured = vec![of(DISK, vec![PortalGroup { auth: chap("alice"), ..group(1, &[]) }])];
        check(secured.clone(), &viewer("10.0.0.1:3260"), "All", "");
        let alice = |secret| Viewer { account: Some(account("alice", secret)), ..viewer("10.0.0.1:3260") };
        check(secured.clone(), &alice(SECRET), "All", TOLD);
        check(secured, &alice("of another alice"), "All", "");
        check_group(PortalGroup { auth: Auth::Closed, ..group(1, &[]) }, "");
    }

    #[test]
    fn credentials_of_ones_own_count_in_place_of_the_groups() {
        let entry = |auth| [(name(HOST), Entry { auth: Some(auth), ..Entry::default() })].into();
        check_group(PortalGroup { initiators: entry(chap("alice")), ..group(1, &[]) }, "");
        let initiators = entry(Auth::None);
        check_group(PortalGroup { auth: chap("alice"), initiators, ..group(1, &[]) }, TOLD);
    }

    #[test]
    fn where_discovery_has_its_own_proof_targets_are_told_whatever_they_demand() {
        for discovery in [Discovery::Own(Auth::None), Discovery::Own(chap("bob"))] {
            let secured = of(DISK, vec![PortalGroup { auth: chap("alice"), ..group(1, &[]) }]);
            let mut config = Config::new([secured]);
            config.discovery = discovery;
            check_with(&config, &viewer("10.0.0.1:3260"), "All", TOLD);
        }
    }

    #[test]
    fn a_group_that_is_not_enabled_is_told_only_if_it_wants_to_be() {
        let disabled = PortalGroup { enabled: false, ..group(1, &[]) };
        check_group(disabled.clone(), "");
        check_group(PortalGroup { told_disabled: true, ..disabled }, TOLD);
    }

    #[test]
    fn a_group_that_is_not_open_is_told_to_those_it_lists_and_to_others_if_it_wants_to_be() {
        let closed = PortalGroup { open: false, demo_discovery: false, ..group(1, &[]) };
        check_group(closed.clone(), "");
        check_group(PortalGroup { demo_discovery: true, ..closed.clone() }, TOLD);
        check_group(PortalGroup { initiators: [(name(HOST), Entry::default())].into(), ..closed }, TOLD);
    }

    #[test]
    fn of_a_target_only_the_groups_are_told_that_the_initiator_is_told_of() {
        let hidden = PortalGroup { enabled: false, ..group(2, &["10.0.0.2:3260"]) };
        check(
            vec![of(DISK, vec![group(1, &["10.0.0.1:3260"]), hidden, group(3, &["10.0.0.3:3260"])])],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=10.0.0.1:3260,1\nTargetAddress=10.0.0.3:3260,3\n",
        );
    }

    #[test]
    fn an_address_is_told_with_the_group_to_which_it_leads() {
        check(
            vec![of(DISK, vec![group(1, &["0.0.0.0:3260"]), group(2, &["10.0.0.1:3260"])])],
            &viewer("10.0.0.1:3260"),
            "All",
            "TargetName=iqn.2024-01.org.example:disk\nTargetAddress=10.0.0.1:3260,2\n",
        );
    }

    #[test]
    fn a_session_is_told_of_its_own_group_whatever_is_told_to_others() {
        let hidden = PortalGroup { open: false, demo_discovery: false, ..group(2, &[]) };
        let session = Session::Normal { target: name(DISK), portal_group_tag: 2 };
        check(vec![of(DISK, vec![hidden])], &Viewer { session, ..viewer("10.0.0.1:3260") }, "", TOLD);
    }
}
