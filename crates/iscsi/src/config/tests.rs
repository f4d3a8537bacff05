use super::{Allow, Auth, Config, Entry, Portal, PortalGroup, Target};
use crate::name::IscsiName;
use std::net::SocketAddr;

const HOST: &str = "iqn.2024-01.org.example:host";
const DISK: &str = "iqn.2024-01.org.example:disk";

fn name(text: &str) -> IscsiName {
    IscsiName::parse(text).unwrap()
}

fn group(tag: u16, portals: &[&str]) -> PortalGroup {
    let portals = portals.iter().map(|portal| portal.parse().unwrap()).collect();
    PortalGroup::open(tag.try_into().unwrap(), portals)
}

fn disk(groups: Vec<PortalGroup>) -> Config {
    Config::new([Target::new(name(DISK), groups).unwrap()])
}

#[test]
fn of_many_targets_each_is_found_by_its_name() {
    let iqn = |number: u32| name(&format!("{DISK}{number}"));
    let groups = || vec![group(1, &["10.0.0.1:3260"]), group(2, &["10.0.0.2:3260"])];
    let config = Config::new((0..1000).map(|number| Target::new(iqn(number), groups()).unwrap()));
    for number in 0..1000 {
        assert_eq!(config.target(&iqn(number)).unwrap().name(), &iqn(number));
    }
    assert!(config.target(&iqn(1000)).is_none());
    assert_eq!(config.targets().count(), 1000);
}

/// Whether a session of the host through group 1 may stay.
#[track_caller]
fn check_stays(group: PortalGroup, want: bool) {
    assert_eq!(disk(vec![group]).admits(DISK, 1, HOST, "10.0.0.9".parse().unwrap()), want);
}

#[test]
fn a_session_stays_while_its_group_is_enabled_and_lets_it_in() {
    let allow = |network: &str| Allow(vec![network.parse().unwrap()]);
    let closed = || PortalGroup { open: false, ..group(1, &[]) };
    check_stays(group(1, &[]), true);
    check_stays(PortalGroup { enabled: false, ..group(1, &[]) }, false);
    check_stays(closed(), false);
    check_stays(PortalGroup { initiators: [(name(HOST), Entry::default())].into(), ..closed() }, true);
    check_stays(PortalGroup { allow: allow("10.0.0.0/8"), ..group(1, &[]) }, true);
    check_stays(PortalGroup { allow: allow("192.168.0.0/16"), ..group(1, &[]) }, false);
    check_stays(group(2, &[]), false);
}

#[test]
fn a_session_stays_whatever_secret_is_demanded_of_those_who_come() {
    check_stays(PortalGroup { auth: Auth::Closed, ..group(1, &[]) }, true);
}

#[test]
fn a_session_does_not_stay_without_its_target_but_discovery_does() {
    let (config, address) = (Config::default(), "10.0.0.9".parse().unwrap());
    assert!(!config.admits(DISK, 1, HOST, address));
    assert!(!config.admits("nonsense", 1, HOST, address));
    assert!(config.admits("", 0, HOST, address));
}

#[test]
fn ports_that_were_found_stand_where_port_0_stood() {
    let mut config = disk(vec![
        group(1, &["127.0.0.1:0", "127.0.0.1:3260", "127.0.0.1:0"]),
        group(2, &["[::1]:0", "127.0.0.1:0"]),
    ]);
    let asked = |address: &str, tag: u16| Portal {
        address: address.parse().unwrap(),
        group: tag.try_into().unwrap(),
    };
    let asked = [
        asked("127.0.0.1:0", 2),
        asked("127.0.0.1:0", 1),
        asked("127.0.0.1:3260", 1),
        asked("127.0.0.1:0", 1),
        asked("[::1]:0", 2),
    ];
    let found: Vec<SocketAddr> = asked
        .iter()
        .zip(1..)
        .map(|(portal, number)| match portal.address.port() {
            0 => SocketAddr::new(portal.address.ip(), number),
            _ => portal.address,
        })
        .collect();
    config.set_ports(asked.iter().zip(&found));
    let target = config.target(&name(DISK)).unwrap();
    let portals = |tag: u16| target.group(tag).unwrap().portals.iter().map(ToString::to_string).collect();
    let (first, second): (Vec<_>, Vec<_>) = (portals(1), portals(2));
    assert_eq!(first, ["127.0.0.1:2", "127.0.0.1:3260", "127.0.0.1:4"]);
    assert_eq!(second, ["[::1]:5", "127.0.0.1:1"]);
}
