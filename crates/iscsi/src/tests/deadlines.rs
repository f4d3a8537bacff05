//! Peers that stop, and what becomes of them.

use super::*;
use crate::pdu::{Bhs, LoginRequest, LoginStatus, LogoutReason, Sn, TaskTag, field};
use crate::peer::{Answers, Data};
use core::time::Duration;
use felio_hal::port::LossReason;

fn seconds(time: Time) -> u64 {
    Duration::from_nanos(time.0).as_secs()
}

#[test]
fn a_login_must_not_take_too_long() {
    let mut world = World::new(settings(&[]));
    world.pending = world.peer.take_output()[..30].to_vec();
    world.run();
    assert_eq!(world.wait(), Err(Fatal("login took too long")));
    assert_eq!(seconds(world.now), 15);
}

#[test]
fn a_login_that_is_not_decided_on_must_not_take_too_long() {
    let mut world = World::new(settings(&[]));
    let sent = world.peer.take_output();
    world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    assert_eq!(world.wait(), Err(Fatal("login took too long")));
}

#[test]
fn a_silent_initiator_is_pinged_and_lives_if_it_answers() {
    let mut world = World::logged_in(&[]);
    for _ in 0..3 {
        assert_eq!(world.wait(), Ok(()));
        world.run();
    }
    assert_eq!(seconds(world.now), 45);
}

#[test]
fn a_silent_initiator_is_dropped_if_it_does_not_answer() {
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&[]) }).logging_in();
    assert_eq!(world.wait(), Ok(()));
    world.run();
    assert!(matches!(world.seen()[..], [PeerEvent::Pinged(_)]));
    assert_eq!(world.wait(), Err(Fatal("the initiator is silent")));
    assert_eq!(seconds(world.now), 45);
}

#[test]
fn a_silent_discovery_session_is_dropped_without_a_ping() {
    let mut world = World::new(Settings { target: None, ..settings(&[]) }).logging_in();
    assert_eq!(world.wait(), Err(Fatal("the initiator is silent")));
}

#[test]
fn an_initiator_that_stops_within_a_pdu_is_dropped() {
    for cut in [1, 47, 48, 60] {
        let mut world = World::logged_in(&[]);
        world.peer.ping(&[1; 100]);
        world.pending = world.peer.take_output()[..cut].to_vec();
        world.run();
        assert_eq!(world.wait(), Ok(()));
        assert_eq!(world.wait(), Err(Fatal("the rest of a PDU did not come")));
        assert_eq!(seconds(world.now), 30);
    }
}

#[test]
fn an_initiator_that_does_not_send_its_data_is_dropped() {
    let keys = [("ImmediateData", "No")];
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1000)));
    world.run();
    let dropped = core::iter::repeat_with(|| {
        let result = world.wait();
        // It is alive otherwise.
        world.peer.ping(b"");
        world.run();
        result
    });
    let end = dropped.take(5).find_map(Result::err);
    assert_eq!(end, Some(Fatal("data of a write did not come")));
    assert_eq!(seconds(world.now), 30);
}

#[test]
fn data_that_keeps_coming_keeps_the_command_alive() {
    let keys = [("ImmediateData", "No"), ("MaxBurstLength", "512")];
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    for _ in 0..4 {
        world.now = world.now + Duration::from_secs(14);
        let r2t = world.seen().into_iter().find_map(|event| match event {
            PeerEvent::Asked(r2t) => Some(r2t),
            _ => None,
        });
        let r2t = r2t.expect("an R2T");
        world.peer.send_data(
            itt,
            r2t.target_transfer_tag,
            r2t.buffer_offset,
            r2t.buffer_offset + r2t.desired_bytes,
        );
        world.run();
        assert_eq!(world.port.handle_timeout(world.now), Ok(()));
    }
    assert_eq!(world.outcome(), (0, 0, 0));
}

#[test]
fn an_initiator_that_takes_no_output_is_dropped() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    world.peer.command(0, &[0x28; 10], Data::In(1 << 20));
    world.run();
    assert_eq!(world.wait(), Ok(()), "a ping");
    assert_eq!(world.wait(), Err(Fatal("the initiator takes no output")));
    assert_eq!(seconds(world.now), 30);
}

#[test]
fn an_initiator_that_takes_no_output_is_not_read_without_end() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    for _ in 0..20_000 {
        world.peer.ping(&[0; 16]);
    }
    world.run();
    assert!(!world.pending.is_empty(), "no more is taken");
    world.reads = true;
    world.run();
    assert_eq!(world.seen().len(), 20_000);
}

#[test]
fn a_gap_in_the_numbers_is_not_waited_for_forever() {
    let mut world = World::logged_in(&[]);
    world.peer.cmd_sn = world.peer.cmd_sn.next();
    world.peer.command(0, &[0; 6], Data::None);
    world.run();
    let end = core::iter::repeat_with(|| {
        let result = world.wait();
        world.run();
        result
    });
    assert_eq!(end.take(5).find_map(Result::err), Some(Fatal("a gap in CmdSN was not filled")));
}

#[test]
fn a_finished_connection_that_cannot_send_its_last_words_is_dropped() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    assert!(world.port.is_finished());
    assert_eq!(world.wait(), Err(Fatal("the initiator takes no output")));
}

#[test]
fn a_connection_that_is_over_has_no_deadline() {
    let mut world = World::logged_in(&[]);
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    assert_eq!(world.port.poll_timeout(), None);
}

#[test]
fn an_end_within_a_header_leaves_no_deadline_behind() {
    let mut world = World::logged_in(&[]);
    world.pending.extend([0; 20]);
    world.run();
    world.port.handle_closed(&mut world.pool);
    world.request(PortRequest::Close(LossReason::Connection));
    assert_eq!(world.port.poll_timeout(), None);
}

#[test]
fn a_ping_carries_the_next_status_number_without_using_it_up() {
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&[]) }).logging_in();
    assert_eq!(world.wait(), Ok(()));
    world.run();
    let Some(PeerEvent::Pinged(ttt)) = world.seen().pop() else { panic!("no ping") };
    assert!(!ttt.is_reserved());
    // The referee of `peer` watches StatSN.
    world.peer.manage(crate::pdu::TaskManagementFunction::TASK_REASSIGN, 0, TaskTag(1), Sn(0));
    world.run();
    assert!(matches!(world.seen()[..], [PeerEvent::Managed(..)]));
}

#[test]
fn what_is_no_login_is_not_waited_for() {
    // The fifth byte promises 47 words of additional headers.
    for stranger in [&b"GET / HTTP/1.1\r\nHost: disk\r\nUser-Agent: scanner\r\n\r\n"[..], &[0xff; 48]] {
        let mut world = World::new(settings(&[]));
        world.pending = stranger.to_vec();
        world.raw = true;
        world.run();
        assert_eq!(world.fatal, Some(Fatal("the first PDU of a connection is no login")));
    }
}

#[test]
fn what_is_no_part_of_a_login_ends_it() {
    let mut world = World::new(settings(&[]));
    let login = login(&mut world);
    let text = b"InitiatorName=iqn.2024-01.org.example:host\0SessionType=Discovery\0";
    let data_segment_bytes = u32::try_from(text.len()).unwrap();
    world.peer.send(LoginRequest { transit: false, data_segment_bytes, ..login }.into(), text);
    world.raw = true;
    world.run();
    assert_eq!(world.fatal, None);
    world.pending = vec![0xff; 48];
    world.run();
    assert_eq!(world.fatal, Some(Fatal("a PDU within a login is no part of it")));
}

#[test]
fn a_login_request_that_is_too_long_is_answered() {
    for (additional, data) in [(&[][..], &[b'x'; 8193][..]), (&[0; 4], &[])] {
        let mut world = World::new(settings(&[]));
        let mut bhs = Bhs(login(&mut world).emit());
        bhs.set(field::DATA_SEGMENT_BYTES, u32::try_from(data.len()).unwrap());
        bhs.set(field::TOTAL_AHS_WORDS, u8::try_from(additional.len() / 4).unwrap());
        world.peer.send_bytes(&bhs.0, additional, data);
        world.run();
        assert_eq!(world.fatal, Some(Fatal("a login request is longer than it may be")));
        assert_eq!(world.seen(), [PeerEvent::LoginRefused(LoginStatus::INITIATOR_ERROR)]);
    }
}

/// The login request that the initiator was about to send.
fn login(world: &mut World) -> LoginRequest {
    let bhs = Bhs(*world.peer.take_output().first_chunk().expect("a header"));
    LoginRequest::parse(&bhs).expect("a login request")
}

#[test]
fn output_that_is_not_taken_is_kept_from_others_for_a_second() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    world.peer.command(0, &[0x28; 10], Data::In(64 << 10));
    world.run();
    assert_eq!(world.port.hoards(world.now + Duration::from_millis(900)), None);
    world.now = world.now + Duration::from_secs(1);
    assert_eq!(
        world.port.hoards(world.now),
        Some(Fatal("the initiator takes no output while memory is short"))
    );
    world.reads = true;
    world.run();
    assert_eq!(world.port.hoards(world.now), None);
}

#[test]
fn a_buffer_without_its_data_is_kept_from_others_for_a_second() {
    let keys = [("ImmediateData", "No")];
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    world.run();
    world.now = world.now + Duration::from_millis(900);
    world.peer.ping(b"alive, but not sending");
    world.run();
    assert_eq!(world.port.hoards(world.now), None);
    world.now = world.now + Duration::from_millis(100);
    assert_eq!(
        world.port.hoards(world.now),
        Some(Fatal("data of a write did not come while memory is short"))
    );
}

#[test]
fn a_session_that_only_stays_keeps_nothing_from_others() {
    let mut world = World::logged_in(&[]);
    assert!(world.peer.take_output().is_empty());
    assert_eq!(world.port.hoards(world.now + Duration::from_secs(10)), None);
}
