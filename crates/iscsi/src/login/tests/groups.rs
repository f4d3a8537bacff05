//! Portal groups: which one judges a login, and by what.

use super::*;
use crate::chap::CredentialsError;

fn who(initiator: &str) -> String {
    format!("InitiatorName=iqn.2024-01.org.example:{initiator} {DISK}")
}

fn at(tag: u16, portal: &str) -> PortalGroup {
    PortalGroup::open(tag.try_into().unwrap(), vec![portal.parse().unwrap()])
}

/// A group that lets in whoever has an entry.
fn listing(entries: impl IntoIterator<Item = (&'static str, Entry)>) -> PortalGroup {
    let initiators = entries.into_iter().map(|(host, entry)| (name(host), entry)).collect();
    PortalGroup { open: false, initiators, ..group() }
}

fn chap(user: &str, secret: &str) -> Auth {
    Auth::Chap(Credentials::one_way(account(user, secret)))
}

/// The answer to a login request that wants to leave the security stage.
#[track_caller]
fn check_answer(config: Config, initiator: &str, want: &str) {
    check(config, &[&format!("> S/O {}", who(initiator)), &format!("< {want}")]);
}

const IN: &str = "S/O TargetPortalGroupTag=1";

/// Proves `user` by `secret` with CHAP to a target, or in discovery: the last answer.
fn prove(config: Config, greeting: &str, user: &str, secret: &str) -> String {
    let mut world = World::new(config);
    world.say(&format!("S {greeting} AuthMethod=CHAP CHAP_A=5"));
    world.say(&format!("S/F CHAP_N={user} CHAP_R={}", response(Algorithm::Md5, secret)))
}

#[test]
fn the_group_of_the_portal_judges_and_offers() {
    let offer = Offer { burst_bytes_max: 8192, receive_segment_bytes_max: 4096, ..Offer::default() };
    let alias = Some("second".to_owned());
    let second = PortalGroup { alias, offer, ..at(2, "10.0.0.1:3260") };
    let world = check(
        config([PortalGroup { enabled: false, ..at(1, "10.0.0.2:3260") }, second]),
        &[
            &format!("> O/F {WHO} MaxBurstLength=65536"),
            "< O/F TargetPortalGroupTag=2 MaxBurstLength=8192 TargetAlias=second MaxRecvDataSegmentLength=4096",
        ],
    );
    assert_eq!(facts(world).session.portal_group_tag(), 2);
}

#[test]
fn a_target_is_not_found_at_the_portals_of_others() {
    check_answer(config([at(1, "10.0.0.2:3260")]), "host", "S 0203");
}

#[test]
fn targets_share_a_portal() {
    let target = |end: &str, tag| Target::new(name(end), vec![at(tag, "10.0.0.1:3260")]).unwrap();
    let both = || Config::new([target("disk", 1), target("tape", 5)]);
    check_answer(both(), "host", IN);
    let tape = "TargetName=iqn.2024-01.org.example:tape";
    check(both(), &[&format!("> S/O {HOST} {tape}"), "< S/O TargetPortalGroupTag=5"]);
}

#[test]
fn a_group_that_is_not_enabled_is_out_of_service() {
    check_answer(config([PortalGroup { enabled: false, ..group() }]), "host", "S 0301");
}

#[test]
fn without_an_entry_nobody_comes_in_unless_the_group_is_open() {
    let group = || listing([("host", Entry::default())]);
    check_answer(config([group()]), "host", IN);
    check_answer(config([group()]), "guest", "S 0202");
    check_answer(config([PortalGroup { open: true, ..group() }]), "guest", IN);
}

#[test]
fn an_entry_does_not_help_against_the_allow_list() {
    let allow = Allow(vec!["192.168.0.0/16".parse().unwrap()]);
    let group = PortalGroup { allow, ..listing([("host", Entry::default())]) };
    check_answer(config([group]), "host", "S 0202");
}

#[test]
fn an_initiator_proves_itself_by_its_own_entry() {
    let own = Entry { auth: Some(chap("alice", "alice's secret")), ..Entry::default() };
    let free = Entry { auth: Some(Auth::None), ..Entry::default() };
    let listed = || PortalGroup {
        auth: chap("all", "everyone's secret"),
        ..listing([("host", own.clone()), ("free", free.clone()), ("plain", Entry::default())])
    };
    let prove = |host: &str, user: &str, secret: &str| prove(config([listed()]), &who(host), user, secret);
    assert_eq!(prove("host", "alice", "alice's secret"), "S/F");
    assert_eq!(prove("host", "all", "everyone's secret"), "S 0201");
    assert_eq!(prove("plain", "all", "everyone's secret"), "S/F");
    assert_eq!(prove("plain", "alice", "alice's secret"), "S 0201");
    check_answer(config([listed()]), "host", "S 0201");
    check_answer(config([listed()]), "free", IN);
}

#[test]
fn a_proof_without_credentials_is_given_by_nobody() {
    let closed = || config([PortalGroup { auth: Auth::Closed, ..group() }]);
    check_answer(closed(), "host", "S 0201");
    check(closed(), &[&format!("> S/O {WHO} AuthMethod=CHAP,None"), "< S 0201"]);
}

// Discovery

fn discovering(discovery: Discovery, mut config: Config) -> Config {
    config.discovery = discovery;
    config
}

/// The answer to a discovery login that wants to leave the security stage, with or without methods.
#[track_caller]
fn check_discovery(discovery: Discovery, methods: &str, want: &str) {
    check(discovering(discovery, secured()), &[&format!("> S/O {DISCOVERY}{methods}"), &format!("< {want}")]);
}

#[test]
fn discovery_can_demand_a_proof_of_its_own() {
    let own = || Discovery::Own(Auth::Chap(mutual()));
    check_discovery(own(), "", "S 0201");
    check_discovery(own(), " AuthMethod=None", "S 0201");
    let config = discovering(own(), open());
    assert_eq!(prove(config, DISCOVERY, "alice", "alice's secret"), "S/F");
    let config = discovering(Discovery::Own(chap("bob", "the secret of bob")), secured());
    assert_eq!(prove(config, DISCOVERY, "alice", "alice's secret"), "S 0201");
}

#[test]
fn discovery_can_demand_nothing_whatever_targets_demand() {
    check_discovery(Discovery::Own(Auth::None), " AuthMethod=CHAP,None", "S/O AuthMethod=None");
}

#[test]
fn discovery_can_take_a_proof_without_demanding_it() -> Result<(), CredentialsError> {
    let bob = Account::new("bob", Secret::new("the secret of bob")?)?;
    let optional = || Discovery::Optional(Credentials::one_way(bob.clone()));
    check_discovery(optional(), " AuthMethod=None", "S/O AuthMethod=None");
    check_discovery(optional(), "", "S/O");
    let prove = |secret| prove(discovering(optional(), secured()), DISCOVERY, "bob", secret);
    assert_eq!(prove("the secret of bob"), "S/F");
    assert_eq!(prove("the secret of eve"), "S 0201");
    Ok(())
}

#[test]
fn discovery_does_not_ask_for_what_groups_demand_that_are_not_told() {
    let hidden = PortalGroup { enabled: false, auth: Auth::Chap(mutual()), ..at(2, "10.0.0.2:3260") };
    check(config([hidden, group()]), &[&format!("> S/O {DISCOVERY}"), "< S/O"]);
}

#[test]
fn who_may_be_told_of_nothing_is_not_let_in_unless_there_is_nothing() {
    let blind = || PortalGroup { demo_discovery: false, ..listing([]) };
    check(config([blind()]), &[&format!("> S/O {DISCOVERY}"), "< S 0202"]);
    check(config([PortalGroup { enabled: false, ..blind() }]), &[&format!("> S/O {DISCOVERY}"), "< S/O"]);
    check(Config::default(), &[&format!("> S/O {DISCOVERY}"), "< S/O"]);
    let config = discovering(Discovery::Own(Auth::None), config([blind()]));
    check(config, &[&format!("> S/O {DISCOVERY}"), "< S/O"]);
}
