use super::{Entry, Patience, PortalGroup, Target, TargetError};
use crate::limits::Limits;
use crate::name::IscsiName;
use core::time::Duration;
use std::num::NonZeroU16;

fn name(end: &str) -> IscsiName {
    IscsiName::parse(&format!("iqn.2026-11.org.example:{end}")).unwrap()
}

fn tag(number: u16) -> NonZeroU16 {
    number.try_into().unwrap()
}

/// Groups by their tags and portals.
fn target(groups: &[(u16, &[&str])]) -> Result<Target, TargetError> {
    let group = |(number, portals): &(u16, &[&str])| {
        PortalGroup::open(tag(*number), portals.iter().map(|portal| portal.parse().unwrap()).collect())
    };
    Target::new(name("t"), groups.iter().map(group).collect())
}

/// Portals in groups 1, 2 and so on; the group of a connection to `local`.
#[track_caller]
fn check_group(portals: &[&str], local: &str, want: Option<u16>) {
    let groups: Vec<_> = (1..).zip(portals.chunks(1)).collect();
    let target = target(&groups).unwrap();
    let got = target.group_at(local.parse().unwrap()).map(|group| group.tag.get());
    assert_eq!(got, want, "{portals:?} {local}");
}

#[test]
fn a_connection_is_in_the_group_of_the_portal_that_it_came_to() {
    check_group(&["10.0.0.1:3260", "10.0.0.1:3261"], "10.0.0.1:3261", Some(2));
    check_group(&["10.0.0.1:3260", "[fd00::1]:3260"], "[fd00::1]:3260", Some(2));
    check_group(&["10.0.0.1:3260", "10.0.0.2:3260"], "[::ffff:10.0.0.2]:3260", Some(2));
}

#[test]
fn a_connection_to_no_portal_of_the_target_is_in_no_group() {
    check_group(&["10.0.0.1:3260", "0.0.0.0:3261"], "10.0.0.2:3260", None);
    check_group(&["0.0.0.0:3260"], "[fd00::1]:3260", None);
    check_group(&[], "10.0.0.1:3260", None);
}

#[test]
fn a_portal_that_listens_everywhere_has_the_connections_that_no_other_has() {
    check_group(&["0.0.0.0:3260", "10.0.0.2:3260"], "10.0.0.2:3260", Some(2));
    check_group(&["10.0.0.2:3260", "0.0.0.0:3260"], "10.0.0.1:3260", Some(2));
    check_group(&["0.0.0.0:3260", "[::]:3260"], "[fd00::1]:3260", Some(2));
    check_group(&["[::]:3260", "0.0.0.0:3260"], "10.0.0.1:3260", Some(2));
    check_group(&["0.0.0.0:3260", "[::]:3260"], "10.0.0.1:3260", Some(1));
    check_group(&["10.0.0.2:3260", "[::]:3260"], "[::ffff:10.0.0.1]:3260", Some(2));
}

#[test]
fn two_groups_of_a_target_share_no_tag_and_no_portal() {
    let shared = "10.0.0.1:3260".parse().unwrap();
    let portal = target(&[(1, &["10.0.0.1:3260"]), (2, &["10.0.0.2:3260", "10.0.0.1:3260"])]);
    assert_eq!(portal.unwrap_err(), TargetError::SharedPortal(shared));
    assert_eq!(target(&[(3, &[]), (3, &[])]).unwrap_err(), TargetError::SharedTag(tag(3)));
    assert!(target(&[(1, &["10.0.0.1:3260"]), (2, &["10.0.0.1:3261"])]).is_ok());
}

#[test]
fn portals_with_port_0_are_not_the_same() {
    assert!(target(&[(1, &["127.0.0.1:0", "127.0.0.1:0"]), (2, &["127.0.0.1:0"])]).is_ok());
}

#[test]
fn an_entry_decides_before_its_group_and_the_group_before_the_usual_limits() {
    let usual = Limits::default();
    let seconds = Duration::from_secs;
    let patience = Patience { ping: None, ping_answer: seconds(3), data_out: seconds(4) };
    let initiators = [
        (name("deep"), Entry { window: Some(500), ..Entry::default() }),
        (name("slow"), Entry { patience: Some(patience), ..Entry::default() }),
    ];
    let open = PortalGroup::open(tag(1), Vec::new());
    let group = PortalGroup {
        initiators: initiators.into(),
        window: Some(64),
        login: Some(seconds(5)),
        ..open.clone()
    };
    let of_group = Limits { window: 64, login: seconds(5), ..usual };
    let slow = Limits { ping: None, ping_answer: seconds(3), data_out: seconds(4), ..of_group };
    assert_eq!(open.limits_of(&name("other"), usual), usual);
    assert_eq!(group.limits_of(&name("other"), usual), of_group);
    assert_eq!(group.limits_of(&name("deep"), usual), Limits { window: 500, ..of_group });
    assert_eq!(group.limits_of(&name("slow"), usual), slow);
}
