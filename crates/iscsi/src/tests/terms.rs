//! What a portal group and an entry of it say about a connection's window and deadlines.

use super::*;
use crate::config::{Entry, Patience};
use crate::peer::{Answers, Data};
use core::time::Duration;

/// A group with an entry for the initiator.
fn with_entry(entry: Entry) -> PortalGroup {
    let initiator = IscsiName::parse(&settings(&[]).initiator).unwrap();
    PortalGroup { initiators: [(initiator, entry)].into(), window: Some(4), ..group() }
}

/// How many commands fit between login and the first answer.
#[track_caller]
fn check_window(group: PortalGroup, want: usize) {
    let mut world = World::with_group(settings(&[]), Limits::default(), group).logging_in();
    world.engine = Engine::Silent;
    for _ in 0..10 {
        world.peer.command(0, &[0; 6], Data::None);
    }
    world.run();
    assert_eq!(world.told_commands(), want);
}

#[test]
fn the_window_is_as_deep_as_the_entry_or_the_group_says() {
    check_window(group(), 10);
    check_window(with_entry(Entry::default()), 4);
    check_window(with_entry(Entry { window: Some(7), ..Entry::default() }), 7);
}

/// When and why a connection ends on which the initiator does nothing after `before`.
#[track_caller]
fn check_end(group: PortalGroup, before: impl FnOnce(&mut World), want: (u64, &'static str)) {
    let silent = Settings { answers: Answers::Nobody, ..settings(&[("ImmediateData", "No")]) };
    let mut world = World::with_group(silent, Limits::default(), group);
    before(&mut world);
    let end = core::iter::repeat_with(|| {
        let result = world.wait();
        world.run();
        result
    });
    let Fatal(why) = end.take(5).find_map(Result::err).expect("it ends");
    assert_eq!((Duration::from_nanos(world.now.0).as_secs(), why), want);
}

#[test]
fn a_login_may_take_as_long_as_the_group_says_once_the_group_is_known() {
    let patient = || PortalGroup { login: Some(Duration::from_secs(20)), ..group() };
    check_end(patient(), |_| {}, (15, "login took too long"));
    let admitting = |world: &mut World| {
        let sent = world.peer.take_output();
        world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    };
    check_end(patient(), admitting, (20, "login took too long"));
}

const PATIENCE: Patience = Patience {
    ping: Some(Duration::from_secs(3)),
    ping_answer: Duration::from_secs(4),
    data_out: Duration::from_secs(2),
};

fn patient(patience: Patience) -> PortalGroup {
    with_entry(Entry { patience: Some(patience), ..Entry::default() })
}

#[test]
fn a_silent_initiator_is_pinged_when_its_entry_says() {
    let log_in = |world: &mut World| {
        world.run();
    };
    check_end(patient(PATIENCE), log_in, (7, "the initiator is silent"));
    let world =
        World::with_group(settings(&[]), Limits::default(), patient(Patience { ping: None, ..PATIENCE }));
    assert_eq!(world.logging_in().port.poll_timeout(), None, "it may be silent for ever");
}

#[test]
fn data_may_take_as_long_as_the_entry_says() {
    let write = |world: &mut World| {
        world.run();
        world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1000)));
        world.run();
    };
    check_end(patient(PATIENCE), write, (2, "data of a write did not come"));
}
