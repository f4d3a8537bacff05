//! Negotiation in table form: what the initiator says, what the target answers.

use super::*;
use crate::config::Offer;
use crate::digest::Digests;
use crate::text::{self, Outgoing};
use proptest::prelude::*;

fn negotiator() -> Negotiator {
    Negotiator::new(SessionType::Normal, Leading::First)
}

/// Text with blanks for the zero bytes, in and out.
fn say(negotiator: &mut Negotiator, phase: Phase, said: &str) -> Result<String, KeyError> {
    say_to(&Offer::default(), negotiator, phase, said)
}

fn say_to(offer: &Offer, negotiator: &mut Negotiator, phase: Phase, said: &str) -> Result<String, KeyError> {
    let bytes = said.replace(' ', "\0");
    let mut out = Outgoing::default();
    negotiator.handle_pairs(phase, offer, &text::parse(bytes.as_bytes()).unwrap(), &mut out)?;
    Ok(String::from_utf8(out.take(usize::MAX)).unwrap().replace('\0', " ").trim_end().to_owned())
}

#[track_caller]
fn check(said: &str, want: &str) {
    assert_eq!(say(&mut negotiator(), Phase::Operational, said).as_deref(), Ok(want));
}

#[track_caller]
fn check_error(phase: Phase, said: &str, want: KeyError) {
    assert_eq!(say(&mut negotiator(), phase, said), Err(want));
}

#[test]
fn without_negotiation_the_standards_defaults_hold() {
    let p = negotiator().finish();
    let s = &p.session;
    assert_eq!((s.burst_bytes_max, s.first_burst_bytes_max), (262_144, 65_536));
    assert_eq!((s.initial_r2t, s.immediate_data, s.outstanding_r2t_max), (true, true, 1));
    assert_eq!((s.time_to_wait_secs, s.time_to_retain_secs), (2, 20));
    assert_eq!((s.data_pdu_in_order, s.data_sequence_in_order), (true, true));
    assert_eq!((s.error_recovery_level, s.connections_max, s.protocol_level), (0, 1, 1));
    assert_eq!(p.connection.digests, Digests::NONE);
    assert_eq!((p.connection.send_segment_bytes_max, p.connection.receive_segment_bytes_max), (8192, 8192));
}

#[test]
fn no_more_is_offered_than_is_served_whatever_the_operator_wants() {
    let most = u32::MAX;
    let offer = Offer {
        burst_bytes_max: most,
        first_burst_bytes_max: most,
        receive_segment_bytes_max: most,
        ..Offer::default()
    };
    let said = "MaxConnections=8 ErrorRecoveryLevel=2 DataPDUInOrder=No DataSequenceInOrder=No MaxBurstLength=16777215 \
                InitialR2T=No FirstBurstLength=16777215";
    let mut negotiator = negotiator();
    let answer = say_to(&offer, &mut negotiator, Phase::Operational, said);
    let want = "MaxConnections=1 ErrorRecoveryLevel=0 DataPDUInOrder=Yes DataSequenceInOrder=Yes MaxBurstLength=16777215 \
                InitialR2T=No FirstBurstLength=1048576";
    assert_eq!(answer.as_deref(), Ok(want));
    negotiator.declare(&offer, &mut Outgoing::default());
    assert_eq!(negotiator.finish().connection.receive_segment_bytes_max, 1 << 20);
}

#[test]
fn the_first_acceptable_value_of_a_list_wins() {
    check("HeaderDigest=CRC32C,None DataDigest=None,CRC32C", "HeaderDigest=CRC32C DataDigest=None");
    check("HeaderDigest=X-mine,CRC32C", "HeaderDigest=CRC32C");
    check("HeaderDigest=X-mine", "HeaderDigest=Reject");
}

#[test]
fn numbers_are_the_smaller_or_the_larger() {
    check("MaxBurstLength=16776192", "MaxBurstLength=1048576");
    check("MaxBurstLength=65536", "MaxBurstLength=65536");
    check("DefaultTime2Wait=5 DefaultTime2Retain=60", "DefaultTime2Wait=5 DefaultTime2Retain=0");
    check("MaxOutstandingR2T=0x10000", "MaxOutstandingR2T=Reject");
    check("MaxOutstandingR2T=0x20", "MaxOutstandingR2T=16");
}

#[test]
fn booleans_are_joined_by_their_rule() {
    check("InitialR2T=No ImmediateData=Yes", "InitialR2T=No ImmediateData=Yes");
    check("InitialR2T=Yes ImmediateData=No", "InitialR2T=Yes ImmediateData=No");
    check("DataPDUInOrder=No", "DataPDUInOrder=Yes");
    check("ImmediateData=yes", "ImmediateData=Reject");
}

#[test]
fn a_value_out_of_range_is_rejected_and_the_default_stays() {
    let mut negotiator = negotiator();
    assert_eq!(
        say(&mut negotiator, Phase::Operational, "MaxBurstLength=100").as_deref(),
        Ok("MaxBurstLength=Reject")
    );
    assert_eq!(negotiator.finish().session.burst_bytes_max, 262_144);
}

#[test]
fn the_first_burst_is_not_longer_than_a_burst_whatever_the_order() {
    check("FirstBurstLength=262144 MaxBurstLength=65536", "MaxBurstLength=65536 FirstBurstLength=65536");
    check(
        "MaxBurstLength=1048576 FirstBurstLength=1048576",
        "MaxBurstLength=1048576 FirstBurstLength=262144",
    );
}

#[test]
fn a_default_first_burst_shrinks_with_the_burst() {
    let mut negotiator = negotiator();
    say(&mut negotiator, Phase::Operational, "MaxBurstLength=8192").unwrap();
    assert_eq!(negotiator.finish().session.first_burst_bytes_max, 8192);
}

#[test]
fn without_unsolicited_data_the_first_burst_is_irrelevant() {
    check(
        "FirstBurstLength=65536 InitialR2T=Yes ImmediateData=No",
        "InitialR2T=Yes ImmediateData=No FirstBurstLength=Irrelevant",
    );
}

#[test]
fn a_declaration_has_no_answer() {
    let mut negotiator = negotiator();
    assert_eq!(
        say(&mut negotiator, Phase::Operational, "MaxRecvDataSegmentLength=65536 InitiatorAlias=me")
            .as_deref(),
        Ok("")
    );
    let parameters = negotiator.finish();
    assert_eq!(parameters.connection.send_segment_bytes_max, 65_536);
    assert_eq!(parameters.session.initiator_alias.as_deref(), Some("me"));
}

#[test]
fn a_declaration_that_cannot_be_ends_the_login() {
    check_error(
        Phase::Operational,
        "MaxRecvDataSegmentLength=100",
        KeyError::Inadmissible("MaxRecvDataSegmentLength"),
    );
    check_error(
        Phase::Operational,
        "MaxRecvDataSegmentLength=16777216",
        KeyError::Inadmissible("MaxRecvDataSegmentLength"),
    );
}

#[test]
fn unknown_and_private_keys_are_not_understood() {
    check(
        "X-com.example.a=1 RDMAExtensions=Yes Foo=",
        "X-com.example.a=NotUnderstood RDMAExtensions=NotUnderstood Foo=NotUnderstood",
    );
}

#[test]
fn an_answer_to_something_is_not_answered_again() {
    check("TargetAlias=NotUnderstood X-a=NotUnderstood MaxBurstLength=Reject", "");
}

#[test]
fn marker_keys_are_answered_as_the_standard_says() {
    check(
        "IFMarker=Yes OFMarker=No IFMarkInt=1~2 OFMarkInt=3",
        "IFMarker=No OFMarker=No IFMarkInt=Reject OFMarkInt=Reject",
    );
}

#[test]
fn what_only_a_target_says_is_rejected() {
    check("TargetPortalGroupTag=1 TargetAddress=x", "TargetPortalGroupTag=Reject TargetAddress=Reject");
}

#[test]
fn newer_keys_are_negotiated() {
    check(
        "TaskReporting=FastAbort,ResponseFence iSCSIProtocolLevel=2",
        "TaskReporting=ResponseFence iSCSIProtocolLevel=1",
    );
}

#[test]
fn a_key_cannot_come_twice() {
    check_error(
        Phase::Operational,
        "MaxBurstLength=65536 MaxBurstLength=65536",
        KeyError::Repeated("MaxBurstLength"),
    );
    let mut negotiator = negotiator();
    say(&mut negotiator, Phase::Operational, "ErrorRecoveryLevel=0").unwrap();
    let again = say(&mut negotiator, Phase::Operational, "ErrorRecoveryLevel=0");
    assert_eq!(again, Err(KeyError::Repeated("ErrorRecoveryLevel")));
}

#[test]
fn keys_have_their_phase() {
    let wrong = |key, phase| KeyError::WrongPhase { key, phase };
    check_error(Phase::Security, "MaxBurstLength=65536", wrong("MaxBurstLength", Phase::Security));
    check_error(Phase::Operational, "AuthMethod=None", wrong("AuthMethod", Phase::Operational));
    check_error(Phase::Operational, "SendTargets=All", wrong("SendTargets", Phase::Operational));
}

#[test]
fn in_full_feature_phase_login_keys_are_rejected_and_segments_can_change() {
    let mut negotiator = Negotiator::resume(Parameters::default(), SessionType::Normal);
    let answer = say(
        &mut negotiator,
        Phase::FullFeature,
        "MaxBurstLength=65536 MaxRecvDataSegmentLength=4096 InitiatorName=x",
    );
    assert_eq!(answer.as_deref(), Ok("MaxBurstLength=Reject InitiatorName=Reject"));
    assert_eq!(negotiator.finish().connection.send_segment_bytes_max, 4096);
}

#[test]
fn in_discovery_what_is_about_data_is_irrelevant() {
    let mut negotiator = Negotiator::new(SessionType::Discovery, Leading::First);
    let said = "InitialR2T=No MaxBurstLength=65536 FirstBurstLength=65536 TaskReporting=RFC3720 HeaderDigest=None ErrorRecoveryLevel=0";
    let want = "InitialR2T=Irrelevant MaxBurstLength=Irrelevant FirstBurstLength=Irrelevant TaskReporting=Irrelevant \
                HeaderDigest=None ErrorRecoveryLevel=0";
    assert_eq!(say(&mut negotiator, Phase::Operational, said).as_deref(), Ok(want));
}

#[test]
fn a_joining_connection_does_not_change_its_session() {
    let mut negotiator = Negotiator::new(SessionType::Normal, Leading::Joining);
    let answer = say(&mut negotiator, Phase::Operational, "MaxBurstLength=65536 HeaderDigest=CRC32C");
    assert_eq!(answer.as_deref(), Ok("MaxBurstLength=Reject HeaderDigest=CRC32C"));
}

#[test]
fn special_keys_are_handed_back_in_order() {
    let pairs = text::parse(b"AuthMethod=CHAP\0CHAP_A=5\0").unwrap();
    let special =
        negotiator().handle_pairs(Phase::Security, &Offer::default(), &pairs, &mut Outgoing::default());
    assert_eq!(special, Ok(vec![(Special::AuthMethod, "CHAP"), (Special::ChapA, "5")]));
}

#[test]
fn every_key_has_one_row() {
    for (index, row) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
    }
}

fn any_pair() -> impl Strategy<Value = String> {
    let key = prop_oneof![4 => (0..KEYS.len()).prop_map(|i| KEYS[i].name.to_owned()), 1 => "[A-Z][a-z]{0,8}"];
    let value =
        prop_oneof!["Yes|No|None|CRC32C|Reject", "[0-9]{1,8}", "0x[0-9a-f]{1,9}", "[a-zA-Z0-9,~.]{0,12}"];
    (key, value).prop_map(|(key, value)| format!("{key}={value}"))
}

proptest! {
    #[test]
    fn whatever_is_said_the_result_keeps_the_rules(texts in proptest::collection::vec(proptest::collection::vec(any_pair(), 0..12), 0..4)) {
        let mut negotiator = negotiator();
        for text in texts {
            let _ = say(&mut negotiator, Phase::Operational, &text.join(" "));
        }
        let p = negotiator.finish();
        prop_assert!(p.session.first_burst_bytes_max <= p.session.burst_bytes_max);
        prop_assert!((512..=0x00ff_ffff).contains(&p.session.burst_bytes_max));
        prop_assert!((512..=0x00ff_ffff).contains(&p.connection.send_segment_bytes_max));
        prop_assert!(p.session.outstanding_r2t_max >= 1 && p.session.connections_max == 1);
    }
}
