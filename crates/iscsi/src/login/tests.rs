//! Logins as transcripts: lines of the initiator (`>`) and what the target answers (`<`).
//!
//! A line is the stage (`S`, `O`), `/` and the next stage if a transit is asked for or made (`O`, `F`), `+` if the text goes on, and the
//! pairs, blanks standing for zero bytes. A refusal ends with its status. Random bytes are 0x41, 0x42 … in blocks of 32.

mod groups;

use super::*;
use crate::chap::{Account, Algorithm, Credentials, Secret};
use crate::config::{Allow, Auth, Discovery, Entry, PortalGroup, Target};
use crate::digest::Digest;
use crate::pdu::{Opcode, TaskTag};
use crate::text::hex;
use proptest::prelude::*;

const HOST: &str = "InitiatorName=iqn.2024-01.org.example:host";
const DISK: &str = "TargetName=iqn.2024-01.org.example:disk";
const WHO: &str =
    "InitiatorName=iqn.2024-01.org.example:host TargetName=iqn.2024-01.org.example:disk SessionType=Normal";
const DISCOVERY: &str = "InitiatorName=iqn.2024-01.org.example:host SessionType=Discovery";

fn group() -> PortalGroup {
    PortalGroup::open(1.try_into().unwrap(), vec!["10.0.0.1:3260".parse().unwrap()])
}

fn config(groups: impl IntoIterator<Item = PortalGroup>) -> Config {
    Config::new([Target::new(name("disk"), groups.into_iter().collect()).unwrap()])
}

fn name(end: &str) -> IscsiName {
    IscsiName::parse(&format!("iqn.2024-01.org.example:{end}")).unwrap()
}

fn open() -> Config {
    config([group()])
}

fn account(user: &str, secret: &str) -> Account {
    Account::new(user, Secret::new(secret).unwrap()).unwrap()
}

fn mutual() -> Credentials {
    Credentials::mutual(account("alice", "alice's secret"), account("disk", "the disk's secret")).unwrap()
}

fn secured() -> Config {
    config([PortalGroup { auth: Auth::Chap(mutual()), ..group() }])
}

/// A login in a test: the target's state, and what the initiator keeps the same.
struct World {
    login: Option<Login>,
    established: Option<Established>,
    header: LoginRequest,
    seed: u8,
}

impl World {
    fn new(config: Config) -> Self {
        let peer = Peer { address: "10.0.0.9".parse().unwrap(), local: "10.0.0.1:3260".parse().unwrap() };
        let mut header = LoginRequest::parse(&Bhs::new(Opcode::LOGIN_REQUEST)).unwrap();
        header.isid = [0x80, 1, 2, 3, 4, 5];
        header.initiator_task_tag = TaskTag(0x77);
        header.cmd_sn = Sn(100);
        header.exp_stat_sn = Sn(5);
        Self { login: Some(Login::new(Arc::new(config), peer)), established: None, header, seed: 0x40 }
    }

    fn say(&mut self, line: &str) -> String {
        let (flags, pairs) = line.split_once(' ').unwrap_or((line, ""));
        let (stages, continued) = flags.strip_suffix('+').map_or((flags, false), |stages| (stages, true));
        let (current, next) =
            stages.split_once('/').map_or((stages, None), |(current, next)| (current, Some(next)));
        let request = LoginRequest {
            transit: next.is_some(),
            continued,
            current_stage: stage(current),
            next_stage: next.map_or(Stage(0), stage),
            ..self.header
        };
        self.handle(&request, pairs.replace(' ', "\0").as_bytes())
    }

    fn handle(&mut self, request: &LoginRequest, text: &[u8]) -> String {
        let login = self.login.take().expect("the login goes on");
        let seed = &mut self.seed;
        let step = login.handle_request(request, text, &mut || {
            *seed += 1;
            [*seed; 32]
        });
        match step {
            Step::Continue { reply, login } => {
                self.login = Some(login);
                render(&reply)
            }
            Step::Admit(admission) => {
                let window = Grant { tsih: 7, exp_cmd_sn: Sn(100), max_cmd_sn: Sn(163) };
                let (reply, established) = admission.grant(window);
                self.established = Some(established);
                render(&reply)
            }
            Step::Refuse { reply, refusal } => {
                assert_eq!(reply.response.status, refusal.status);
                render(&reply)
            }
        }
    }
}

fn stage(letter: &str) -> Stage {
    match letter {
        "S" => Stage::SECURITY,
        "O" => Stage::OPERATIONAL,
        "F" => Stage::FULL_FEATURE,
        number => Stage(number.parse().unwrap()),
    }
}

fn letter(stage: Stage) -> char {
    match stage {
        Stage::SECURITY => 'S',
        Stage::OPERATIONAL => 'O',
        Stage::FULL_FEATURE => 'F',
        _ => '?',
    }
}

fn render(reply: &Reply) -> String {
    let response = &reply.response;
    assert_eq!(response.data_segment_bytes, u32::try_from(reply.text.len()).unwrap());
    let mut line = letter(response.current_stage).to_string();
    if response.transit {
        line += &format!("/{}", letter(response.next_stage));
    }
    if response.continued {
        line.push('+');
    }
    let text = String::from_utf8(reply.text.clone()).unwrap().replace('\0', " ");
    line += &format!(" {text}");
    if response.status != LoginStatus::SUCCESS {
        line += &format!("{:04x}", response.status.0);
    }
    line.trim_end().to_owned()
}

/// Plays a transcript and gives back the world after it.
#[track_caller]
fn check(config: Config, transcript: &[&str]) -> World {
    let mut world = World::new(config);
    for exchange in transcript.chunks(2) {
        let said = exchange[0].strip_prefix("> ").expect("the initiator begins");
        let want = exchange[1].strip_prefix("< ").expect("the target answers");
        assert_eq!(world.say(said), want, "to: {said}");
    }
    world
}

fn facts(world: World) -> Facts {
    world.established.expect("logged in").facts
}

const DECLARED: &str = "MaxRecvDataSegmentLength=262144";

#[test]
fn open_iscsi_logs_in() {
    let world = check(
        open(),
        &[
            "> S/O InitiatorName=iqn.2024-01.org.example:host InitiatorAlias=host TargetName=iqn.2024-01.org.example:disk \
             SessionType=Normal AuthMethod=None",
            "< S/O TargetPortalGroupTag=1 AuthMethod=None",
            "> O/F HeaderDigest=CRC32C,None DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 IFMarker=No OFMarker=No \
             ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes MaxBurstLength=16776192 FirstBurstLength=262144 \
             MaxOutstandingR2T=1 MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes MaxRecvDataSegmentLength=262144",
            "< O/F HeaderDigest=CRC32C DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 IFMarker=No OFMarker=No \
             ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes MaxBurstLength=1048576 \
             MaxOutstandingR2T=1 MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes FirstBurstLength=262144 \
             MaxRecvDataSegmentLength=262144",
        ],
    );
    let facts = facts(world);
    assert_eq!(facts.parameters.connection.digests.header, Digest::Crc32c);
    assert_eq!(facts.parameters.session.burst_bytes_max, 1 << 20);
    assert_eq!(facts.parameters.session.initiator_alias.as_deref(), Some("host"));
    assert_eq!((facts.tsih, facts.cmd_sn), (7, Sn(100)));
}

#[test]
fn an_older_libiscsi_repeats_its_names_in_the_operational_stage() {
    check(
        open(),
        &[
            &format!("> S/O {WHO} InitiatorAlias=me AuthMethod=CHAP,None"),
            "< S/O TargetPortalGroupTag=1 AuthMethod=None",
            &format!(
                "> O/F {WHO} InitiatorAlias=me HeaderDigest=None,CRC32C InitialR2T=No ImmediateData=Yes"
            ),
            &format!("< O/F HeaderDigest=None InitialR2T=No ImmediateData=Yes {DECLARED}"),
        ],
    );
}

#[test]
fn libiscsi_without_credentials_begins_in_the_operational_stage() {
    check(
        open(),
        &[
            &format!(
                "> O/F {WHO} HeaderDigest=None,CRC32C DataDigest=None InitialR2T=No ImmediateData=Yes MaxBurstLength=262144 \
                 FirstBurstLength=262144 DefaultTime2Wait=2 DefaultTime2Retain=0 MaxOutstandingR2T=1 ErrorRecoveryLevel=0 \
                 IFMarker=No OFMarker=No MaxConnections=1 MaxRecvDataSegmentLength=262144 DataPDUInOrder=Yes DataSequenceInOrder=Yes"
            ),
            "< O/F TargetPortalGroupTag=1 HeaderDigest=None DataDigest=None InitialR2T=No ImmediateData=Yes MaxBurstLength=262144 \
             DefaultTime2Wait=2 DefaultTime2Retain=0 MaxOutstandingR2T=1 ErrorRecoveryLevel=0 IFMarker=No OFMarker=No \
             MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes FirstBurstLength=262144 MaxRecvDataSegmentLength=262144",
        ],
    );
}

#[test]
fn a_windows_initiator_logs_in() {
    check(
        open(),
        &[
            "> S/O InitiatorName=iqn.1991-05.com.microsoft:HOST SessionType=Normal TargetName=iqn.2024-01.org.example:disk AuthMethod=None",
            "< S/O TargetPortalGroupTag=1 AuthMethod=None",
            "> O/F HeaderDigest=None,CRC32C DataDigest=None,CRC32C ErrorRecoveryLevel=2 InitialR2T=Yes ImmediateData=No \
             MaxRecvDataSegmentLength=65536 MaxBurstLength=262144 FirstBurstLength=65536 MaxConnections=32 DefaultTime2Wait=0 \
             DefaultTime2Retain=60 MaxOutstandingR2T=16 DataPDUInOrder=Yes DataSequenceInOrder=Yes",
            "< O/F HeaderDigest=None DataDigest=None ErrorRecoveryLevel=0 InitialR2T=Yes ImmediateData=No \
             MaxBurstLength=262144 MaxConnections=1 DefaultTime2Wait=0 \
             DefaultTime2Retain=0 MaxOutstandingR2T=16 DataPDUInOrder=Yes DataSequenceInOrder=Yes FirstBurstLength=Irrelevant \
             MaxRecvDataSegmentLength=262144",
        ],
    );
}

#[test]
fn a_discovery_session_needs_no_target() {
    let world = check(
        open(),
        &[
            &format!("> S/O {DISCOVERY} AuthMethod=None"),
            "< S/O AuthMethod=None",
            "> O/F HeaderDigest=None MaxBurstLength=262144 MaxRecvDataSegmentLength=32768",
            &format!("< O/F HeaderDigest=None MaxBurstLength=Irrelevant {DECLARED}"),
        ],
    );
    assert_eq!(facts(world).session, Session::Discovery);
}

#[test]
fn login_can_begin_in_the_operational_stage() {
    check(open(), &[&format!("> O/F {WHO}"), &format!("< O/F TargetPortalGroupTag=1 {DECLARED}")]);
}

#[test]
fn login_can_leap_over_the_operational_stage() {
    let world = check(open(), &[&format!("> S/F {WHO}"), "< S/F TargetPortalGroupTag=1"]);
    assert_eq!(facts(world).parameters.connection.receive_segment_bytes_max, 8192);
}

#[test]
fn negotiation_may_take_several_rounds() {
    check(
        open(),
        &[
            &format!("> O {WHO}"),
            &format!("< O TargetPortalGroupTag=1 {DECLARED}"),
            "> O MaxBurstLength=65536",
            "< O MaxBurstLength=65536",
            "> O/F",
            "< O/F",
        ],
    );
}

#[test]
fn an_initiator_that_begins_with_unknown_keys_gets_its_answers_later() {
    check(
        open(),
        &[
            &format!("> O {WHO} X-com.example.boot=1"),
            &format!("< O TargetPortalGroupTag=1 X-com.example.boot=NotUnderstood {DECLARED}"),
            "> O/F MaxBurstLength=65536 TargetAlias=NotUnderstood",
            "< O/F MaxBurstLength=65536",
        ],
    );
}

#[test]
fn the_alias_is_told_in_the_operational_stage() {
    let config = config([PortalGroup { alias: Some("backup".to_owned()), ..group() }]);
    check(
        config,
        &[&format!("> O/F {WHO}"), &format!("< O/F TargetPortalGroupTag=1 TargetAlias=backup {DECLARED}")],
    );
}

#[test]
fn text_may_come_in_several_requests() {
    check(
        open(),
        &[
            "> S+ InitiatorName=iqn.2024-01.org.example:ho",
            "< S",
            &format!("> S/O st {DISK}"),
            "< S/O TargetPortalGroupTag=1",
        ],
    );
}

#[test]
fn text_that_does_not_fit_leaves_in_several_responses() {
    let keys: String = (0..400).map(|n| format!(" X-{}-{n:03}=", "k".repeat(10))).collect();
    let mut world = World::new(open());
    let first = world.say(&format!("O/F {WHO}{keys}"));
    assert!(first.starts_with("O+ TargetPortalGroupTag=1 X-kkkkkkkkkk-000=NotUnderstood "));
    let second = world.say("O/F");
    assert!(second.starts_with("O/F ") && second.ends_with(DECLARED), "{second}");
    assert!(world.established.is_some());
}

#[test]
fn an_initiator_must_read_before_it_speaks() {
    let keys: String = (0..400).map(|n| format!(" X-{}-{n:03}=", "k".repeat(10))).collect();
    let mut world = World::new(open());
    world.say(&format!("O/F {WHO}{keys}"));
    assert_eq!(world.say("O/F MaxBurstLength=512"), "O 0200");
}

#[test]
fn stat_sn_goes_on_from_what_the_initiator_expects() {
    let mut world = World::new(open());
    let header = LoginRequest { transit: true, next_stage: Stage::OPERATIONAL, ..world.header };
    let text = WHO.replace(' ', "\0");
    let Step::Continue { reply, login } =
        world.login.take().unwrap().handle_request(&header, text.as_bytes(), &mut || [0; 32])
    else {
        panic!("the login goes on");
    };
    assert_eq!((reply.response.stat_sn, reply.response.exp_cmd_sn, reply.response.tsih), (Sn(5), Sn(100), 0));
    let header =
        LoginRequest { current_stage: Stage::OPERATIONAL, next_stage: Stage::FULL_FEATURE, ..header };
    let Step::Admit(admission) = login.handle_request(&header, b"", &mut || [0; 32]) else {
        panic!("to be admitted")
    };
    let (reply, established) = admission.grant(Grant { tsih: 9, exp_cmd_sn: Sn(100), max_cmd_sn: Sn(131) });
    assert_eq!((reply.response.stat_sn, reply.response.max_cmd_sn, reply.response.tsih), (Sn(6), Sn(131), 9));
    assert_eq!(established.stat_sn, Sn(7));
}

#[test]
fn the_outside_can_refuse_with_any_status() {
    let mut world = World::new(open());
    let header = LoginRequest { transit: true, next_stage: Stage::FULL_FEATURE, ..world.header };
    let text = WHO.replace(' ', "\0");
    let Step::Admit(admission) =
        world.login.take().unwrap().handle_request(&header, text.as_bytes(), &mut || [0; 32])
    else {
        panic!("to be admitted");
    };
    let Step::Refuse { reply, .. } = admission.refuse(LoginStatus::SESSION_DOES_NOT_EXIST) else {
        panic!("refused")
    };
    assert_eq!(reply.response.status, LoginStatus::SESSION_DOES_NOT_EXIST);
    assert!(!reply.response.transit && reply.text.is_empty());
}

#[test]
fn missing_names_are_missing_parameters() {
    check(open(), &[&format!("> S/O {DISK}"), "< S 0207"]);
    check(open(), &[&format!("> S/O {HOST}"), "< S 0207"]);
    check(open(), &["> S/O", "< S 0207"]);
}

#[test]
fn an_unknown_target_is_not_found() {
    check(open(), &[&format!("> S/O {HOST} TargetName=iqn.2024-01.org.example:other"), "< S 0203"]);
    check(open(), &[&format!("> S/O {HOST} TargetName=nonsense"), "< S 0203"]);
}

#[test]
fn names_are_compared_without_case() {
    check(
        open(),
        &[&format!("> S/O {HOST} TargetName=IQN.2024-01.ORG.example:Disk"), "< S/O TargetPortalGroupTag=1"],
    );
}

#[test]
fn an_initiator_that_is_not_listed_is_not_allowed() {
    let allow = |entry: &str| config([PortalGroup { allow: Allow(vec![entry.parse().unwrap()]), ..group() }]);
    check(allow("iqn.2024-01.org.example:friend"), &[&format!("> S/O {WHO}"), "< S 0202"]);
    check(allow("10.0.0.0/24"), &[&format!("> S/O {WHO}"), "< S/O TargetPortalGroupTag=1"]);
    check(allow("192.168.0.0/24"), &[&format!("> S/O {DISCOVERY}"), "< S 0202"]);
}

#[test]
fn a_session_type_that_is_none_is_not_supported() {
    check(open(), &[&format!("> S/O {HOST} SessionType=Other"), "< S 0209"]);
}

#[test]
fn an_initiator_name_that_is_none_is_an_error() {
    check(open(), &[&format!("> S/O InitiatorName=host {DISK}"), "< S 0200"]);
}

#[test]
fn a_version_from_the_future_is_unsupported() {
    let mut world = World::new(open());
    world.header.version_max = 2;
    world.header.version_min = 1;
    assert_eq!(world.say(&format!("S/O {WHO}")), "S 0205");
}

#[test]
fn stages_only_go_on() {
    check(open(), &[&format!("> S/S {WHO}"), "< S 0200"]);
    check(open(), &[&format!("> S/2 {WHO}"), "< S 0200"]);
    check(open(), &[&format!("> O/O {WHO}"), "< O 0200"]);
    check(open(), &[&format!("> F {WHO}"), "< F 0200"]);
    check(open(), &[&format!("> S/O {WHO}"), "< S/O TargetPortalGroupTag=1", "> S/O", "< S 0200"]);
}

#[test]
fn a_text_that_goes_on_cannot_end_a_stage() {
    check(open(), &[&format!("> S/O+ {WHO}"), "< S 0200"]);
}

#[test]
fn a_stage_that_is_none_of_login_is_called_so() {
    for stage in [Stage(2), Stage::FULL_FEATURE] {
        let mut world = World::new(open());
        let mut request = world.header;
        request.current_stage = stage;
        let step = world.login.take().unwrap().handle_request(&request, b"", &mut || [0; 32]);
        let Step::Refuse { refusal, .. } = step else { panic!("refused") };
        assert_eq!(refusal.why, Why::NoStage(stage));
    }
}

#[test]
fn what_names_a_login_does_not_change() {
    for change in [
        |header: &mut LoginRequest| header.isid[5] = 0xff,
        |header: &mut LoginRequest| header.tsih = 3,
        |header: &mut LoginRequest| header.cid = 9,
        |header: &mut LoginRequest| header.initiator_task_tag = TaskTag(1),
    ] {
        let mut world = World::new(open());
        world.say(&format!("S/O {WHO}"));
        change(&mut world.header);
        assert_eq!(world.say("O/F"), "O 0200");
    }
}

#[test]
fn names_do_not_change() {
    check(
        open(),
        &[
            &format!("> S/O {WHO}"),
            "< S/O TargetPortalGroupTag=1",
            "> O InitiatorName=iqn.2024-01.org.example:b",
            "< O 0200",
        ],
    );
    check(
        open(),
        &[&format!("> S/O {WHO}"), "< S/O TargetPortalGroupTag=1", "> O SessionType=Discovery", "< O 0200"],
    );
}

#[test]
fn broken_text_is_an_initiator_error() {
    check(open(), &[&format!("> S {WHO} nonsense"), "< S 0200"]);
    check(open(), &[&format!("> S {WHO} MaxBurstLength=512"), "< S 0200"]);
    check(open(), &[&format!("> O {WHO} HeaderDigest=None HeaderDigest=None"), "< O 0200"]);
}

#[test]
fn a_login_that_never_ends_is_ended() {
    let mut world = World::new(open());
    world.say(&format!("O {WHO}"));
    let answers: Vec<String> = (1..LOGIN_REQUESTS_MAX).map(|_| world.say("O")).collect();
    assert!(answers.iter().all(|answer| answer == "O"));
    assert_eq!(world.say("O"), "O 0200");
}

#[test]
fn text_that_never_ends_is_ended() {
    let mut world = World::new(open());
    let piece = format!("S+ {}", "k".repeat(8192));
    for _ in 0..8 {
        assert_eq!(world.say(&piece), "S");
    }
    assert_eq!(world.say(&piece), "S 0200");
}

#[test]
fn another_pdu_is_invalid_during_login() {
    let mut bhs = Bhs::new(Opcode::SCSI_COMMAND);
    bhs.set(crate::pdu::field::INITIATOR_TASK_TAG, 0x55);
    let Step::Refuse { reply, .. } =
        World::new(open()).login.unwrap().refuse_header(&bhs, Why::NotLogin(bhs.opcode()))
    else {
        panic!("refused")
    };
    assert_eq!(reply.response.status, LoginStatus::INVALID_DURING_LOGIN);
    assert_eq!(reply.response.initiator_task_tag, TaskTag(0x55));
}

#[test]
fn a_discovery_session_cannot_be_joined() {
    let mut world = World::new(open());
    world.header.tsih = 4;
    assert_eq!(world.say(&format!("S/O {DISCOVERY}")), "S 0208");
}

// CHAP

/// The response to the challenge of the world's random bytes.
fn response(algorithm: Algorithm, secret: &str) -> String {
    hex(&algorithm.respond(0x41, &Secret::new(secret).unwrap(), &[0x42; 32][..algorithm.bytes()]))
}

#[test]
fn chap_lets_the_right_user_in() {
    let world = check(
        secured(),
        &[
            &format!("> S/O {WHO} AuthMethod=CHAP,None"),
            "< S TargetPortalGroupTag=1 AuthMethod=CHAP",
            "> S CHAP_A=99,7,5",
            &format!("< S CHAP_A=7 CHAP_I=65 CHAP_C={}", hex(&[0x42; 32])),
            &format!("> S/O CHAP_N=alice CHAP_R={}", response(Algorithm::Sha256, "alice's secret")),
            "< S/O",
            "> O/F",
            &format!("< O/F {DECLARED}"),
        ],
    );
    assert_eq!(facts(world).account, Some(account("alice", "alice's secret")));
}

#[test]
fn mutual_chap_proves_the_target_too() {
    let proof = hex(&Algorithm::Md5.respond(9, &Secret::new("the disk's secret").unwrap(), &[1, 2, 3]));
    check(
        secured(),
        &[
            &format!("> S {WHO} AuthMethod=CHAP CHAP_A=5"),
            &format!(
                "< S TargetPortalGroupTag=1 AuthMethod=CHAP CHAP_A=5 CHAP_I=65 CHAP_C={}",
                hex(&[0x42; 16])
            ),
            &format!(
                "> S/F CHAP_N=alice CHAP_R={} CHAP_I=9 CHAP_C=0x010203",
                response(Algorithm::Md5, "alice's secret")
            ),
            &format!("< S/F CHAP_N=disk CHAP_R={proof}"),
        ],
    );
}

#[test]
fn chap_keeps_others_out() {
    check(
        secured(),
        &[
            &format!("> S {WHO} AuthMethod=CHAP CHAP_A=5"),
            &format!(
                "< S TargetPortalGroupTag=1 AuthMethod=CHAP CHAP_A=5 CHAP_I=65 CHAP_C={}",
                hex(&[0x42; 16])
            ),
            &format!("> S/F CHAP_N=alice CHAP_R={}", response(Algorithm::Md5, "mallory's secret")),
            "< S 0201",
        ],
    );
}

#[test]
fn no_proof_is_no_way_in() {
    check(secured(), &[&format!("> S/O {WHO} AuthMethod=None"), "< S 0201"]);
    check(secured(), &[&format!("> S/O {WHO}"), "< S 0201"]);
    check(secured(), &[&format!("> O/F {WHO}"), "< O 0201"]);
    check(secured(), &[&format!("> S/F {WHO} AuthMethod=KRB5"), "< S 0201"]);
}

#[test]
fn a_proof_cannot_be_skipped_once_begun() {
    check(
        secured(),
        &[
            &format!("> S/F {WHO} AuthMethod=CHAP"),
            "< S TargetPortalGroupTag=1 AuthMethod=CHAP",
            "> S/F",
            "< S",
            "> S/F CHAP_A=5",
            &format!("< S CHAP_A=5 CHAP_I=65 CHAP_C={}", hex(&[0x42; 16])),
            "> S/F",
            "< S",
        ],
    );
}

#[test]
fn a_proof_before_its_challenge_is_an_error() {
    check(secured(), &[&format!("> S {WHO} CHAP_A=5"), "< S 0200"]);
    check(secured(), &[&format!("> S {WHO} AuthMethod=CHAP CHAP_N=alice CHAP_R=0x00"), "< S 0200"]);
}

#[test]
fn no_algorithm_in_common_is_an_authentication_failure() {
    check(secured(), &[&format!("> S {WHO} AuthMethod=CHAP CHAP_A=1,2"), "< S 0201"]);
}

#[test]
fn an_open_target_does_not_take_chap() {
    check(open(), &[&format!("> S {WHO} AuthMethod=CHAP"), "< S 0201"]);
}

#[test]
fn discovery_demands_what_the_targets_demand() {
    check(secured(), &[&format!("> S/O {DISCOVERY} AuthMethod=None"), "< S 0201"]);
    let world = check(
        secured(),
        &[
            &format!("> S {DISCOVERY} AuthMethod=CHAP CHAP_A=5"),
            &format!("< S AuthMethod=CHAP CHAP_A=5 CHAP_I=65 CHAP_C={}", hex(&[0x42; 16])),
            &format!("> S/F CHAP_N=alice CHAP_R={}", response(Algorithm::Md5, "alice's secret")),
            "< S/F",
        ],
    );
    assert_eq!(facts(world).viewer().account, Some(account("alice", "alice's secret")));
}

// Whatever comes

fn any_request() -> impl Strategy<Value = (LoginRequest, Vec<u8>)> {
    let text = prop_oneof![
        2 => Just(WHO.replace(' ', "\0").into_bytes()),
        1 => Just(b"AuthMethod=CHAP,None\0CHAP_A=5,7\0".to_vec()),
        1 => Just(b"CHAP_N=alice\0CHAP_R=0x00112233445566778899aabbccddeeff\0".to_vec()),
        2 => Just(b"MaxBurstLength=512\0HeaderDigest=CRC32C\0".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..100),
        2 => Just(Vec::new()),
    ];
    (any::<(bool, bool)>(), 0_u8..4, 0_u8..4, text).prop_map(|((transit, continued), current, next, text)| {
        let header = World::new(open()).header;
        let continued = continued && !transit;
        (
            LoginRequest {
                transit,
                continued,
                current_stage: Stage(current),
                next_stage: Stage(next),
                ..header
            },
            text,
        )
    })
}

proptest! {
    #[test]
    fn whatever_comes_a_secured_target_is_not_entered(requests in proptest::collection::vec(any_request(), 1..12)) {
        let mut world = World::new(secured());
        for (request, text) in requests {
            if world.login.is_none() {
                break;
            }
            world.handle(&request, &text);
        }
        prop_assert!(world.established.is_none());
    }

    #[test]
    fn whatever_comes_to_an_open_target_is_answered(requests in proptest::collection::vec(any_request(), 1..12)) {
        let mut world = World::new(open());
        for (request, text) in requests {
            if world.login.is_none() {
                break;
            }
            let answer = world.handle(&request, &text);
            prop_assert!(!answer.is_empty());
        }
    }
}
