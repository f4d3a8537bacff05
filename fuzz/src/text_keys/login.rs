//! A whole login with an initiator that mostly knows what it does, and the text requests behind it.

use super::chap::{SECRET, credentials, response};
use super::negotiation::check_parameters;
use super::{DISK, HOST, config, text};
use crate::Script;
use felio_iscsi::config::{Auth, Config};
use felio_iscsi::discovery::Viewer;
use felio_iscsi::exchange::{Exchange, answer};
use felio_iscsi::keys::Parameters;
use felio_iscsi::login::{
    Facts, Grant, LOGIN_REQUESTS_MAX, LOGIN_SEGMENT_BYTES_MAX, Login, Peer, Reply, Session, Step, Why,
};
use felio_iscsi::pdu::{Bhs, LoginRequest, LoginStatus, Opcode, Sn, Stage, TaskTag, TextRequest};
use felio_iscsi::text::{TEXT_BYTES_MAX, parse};
use std::sync::Arc;

/// The initiator's side.
struct Initiator {
    header: LoginRequest,
    stage: Stage,
    /// What the target has said so far of the text that is under way.
    heard: Vec<u8>,
    /// Whether the proof was given that the secret is known.
    proved: bool,
    speaking: Speaking,
}

/// Who speaks.
#[derive(PartialEq, Eq)]
enum Speaking {
    Initiator,
    Target,
}

/// Logs in.
pub(super) fn run(mut script: Script<'_>) {
    let auth = match script.byte() % 3 {
        0 => Auth::None,
        1 => Auth::Chap(credentials(false)),
        _ => Auth::Chap(credentials(true)),
    };
    let protected = !matches!(auth, Auth::None);
    let config = Arc::new(config(&mut script, &auth));
    let peer = Peer {
        address: script
            .pick(&["10.0.0.9", "192.168.1.2", "::ffff:192.168.1.2", "fd00::9"])
            .parse()
            .expect("an address"),
        local: script.pick(&["10.0.0.1:3260", "10.0.0.2:3260"]).parse().expect("an address"),
    };
    let mut initiator = Initiator::new(&mut script);
    let mut login = Login::new(Arc::clone(&config), peer);
    let mut seed = 0_u8;
    let mut requests = 0;
    loop {
        requests += 1;
        assert!(requests <= LOGIN_REQUESTS_MAX + 1, "a login comes to an end");
        if script.rarely(64) {
            let bhs = Bhs::new(Opcode(script.byte() & 0x3f));
            let step = login.refuse_header(&bhs, Why::NotLogin(bhs.opcode()));
            let Step::Refuse { reply, .. } = step else { panic!("refused is refused") };
            check_reply(&reply);
            return;
        }
        let (request, text) = initiator.speak(&mut script);
        let step = login.handle_request(&request, &text, &mut || {
            seed = seed.wrapping_add(1);
            [seed; 32]
        });
        match step {
            Step::Continue { reply, login: next } => {
                check_reply(&reply);
                assert_eq!(reply.response.status, LoginStatus::SUCCESS);
                initiator.hear(&reply);
                login = next;
            }
            Step::Refuse { reply, refusal } => {
                check_reply(&reply);
                assert_eq!(reply.response.status, refusal.status);
                assert_ne!(refusal.status, LoginStatus::SUCCESS, "a refusal says so");
                assert!(!refusal.to_string().is_empty());
                return;
            }
            Step::Admit(admission) => {
                check_admitted(&config, &admission.facts);
                let demanded =
                    protected && admission.facts.session.target().is_some_and(|t| t.as_str() == DISK);
                assert!(!demanded || initiator.proved, "nobody comes in without a proof");
                assert_eq!(
                    admission.facts.account.is_some(),
                    initiator.proved,
                    "an account is whose secret was proved"
                );
                if script.rarely(8) {
                    let step = admission.refuse(LoginStatus::OUT_OF_RESOURCES);
                    let Step::Refuse { reply, .. } = step else { panic!("refused is refused") };
                    check_reply(&reply);
                    return;
                }
                let grant = Grant { tsih: 7, exp_cmd_sn: Sn(1), max_cmd_sn: Sn(64) };
                let (reply, established) = admission.grant(grant);
                check_reply(&reply);
                assert!(reply.response.transit && reply.response.next_stage == Stage::FULL_FEATURE);
                return exchanges(script, &config, &established.facts);
            }
        }
    }
}

impl Initiator {
    fn new(script: &mut Script<'_>) -> Self {
        let mut header = LoginRequest::parse(&Bhs::new(Opcode::LOGIN_REQUEST)).expect("the opcode is right");
        header.isid = [0x80, 1, 2, 3, 4, 5];
        header.initiator_task_tag = TaskTag(script.word());
        header.exp_stat_sn = Sn(script.word());
        header.tsih = if script.rarely(4) { script.short() } else { 0 };
        let stage = *script.pick(&[Stage::SECURITY, Stage::SECURITY, Stage::OPERATIONAL]);
        Self { header, stage, heard: Vec::new(), proved: false, speaking: Speaking::Initiator }
    }

    /// The next request: an empty one as long as the target has more to say, else a text of the script's.
    fn speak(&mut self, script: &mut Script<'_>) -> (LoginRequest, Vec<u8>) {
        let mut request = LoginRequest { current_stage: self.stage, ..self.header };
        let mut said = Vec::new();
        if self.speaking == Speaking::Initiator {
            said = self.text(script);
            said.truncate(LOGIN_SEGMENT_BYTES_MAX + 1);
            request.continued = script.rarely(8);
            if !request.continued && script.coin() {
                request.transit = true;
                let onward = [Stage::OPERATIONAL, Stage::FULL_FEATURE];
                request.next_stage =
                    *script.pick(if self.stage == Stage::SECURITY { &onward } else { &onward[1..] });
            }
        }
        if script.rarely(32) {
            // Any bit of the header, but those that say how much follows.
            let mut bytes = request.emit();
            bytes[script.below(48)] ^= 1 << script.below(8);
            bytes[0] = request.emit()[0];
            request = LoginRequest::parse(&Bhs(bytes)).expect("the opcode is right");
        }
        request.data_segment_bytes = u32::try_from(said.len()).expect("short");
        (request, said)
    }

    fn text(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let challenge = parse(&self.heard)
            .map(|pairs| pairs.iter().map(|pair| (pair.key, pair.value.to_owned())).collect::<Vec<_>>());
        let answer = challenge.ok().and_then(|keys| response(&keys, SECRET));
        let mut said = match (script.byte() % 8, answer) {
            (0, _) => Vec::new(),
            (1 | 2, _) => {
                format!("InitiatorName={HOST}\0TargetName={DISK}\0AuthMethod=CHAP,None\0").into_bytes()
            }
            (3, _) => format!("InitiatorName={HOST}\0SessionType=Discovery\0AuthMethod=None\0").into_bytes(),
            (4, _) => b"CHAP_A=7,5\0".to_vec(),
            (5 | 6, Some(answer)) => {
                self.proved = true;
                format!("CHAP_N=alice\0CHAP_R={answer}\0").into_bytes()
            }
            _ => return text(script),
        };
        if script.rarely(4) {
            said.extend(text(script));
        }
        said
    }

    fn hear(&mut self, reply: &Reply) {
        if self.speaking == Speaking::Initiator {
            self.heard.clear();
        }
        self.heard.extend_from_slice(&reply.text);
        self.speaking = if reply.response.continued { Speaking::Target } else { Speaking::Initiator };
        if reply.response.transit {
            self.stage = reply.response.next_stage;
        }
    }
}

/// Whoever is let in is let in by the group, on the group's terms.
fn check_admitted(config: &Config, facts: &Facts) {
    check_parameters(&facts.parameters, facts.session.offer(config));
    let target = facts.session.target().map(ToString::to_string).unwrap_or_default();
    let tag = facts.session.portal_group_tag();
    let stays = config.admits(&target, tag, facts.initiator.as_str(), facts.peer.address);
    assert!(stays, "who was let in may stay while nothing changes");
}

fn disk() -> Session {
    Session::Normal { target: DISK.parse().expect("a name"), portal_group_tag: 1 }
}

fn check_reply(reply: &Reply) {
    assert!(reply.text.len() <= LOGIN_SEGMENT_BYTES_MAX, "a login segment is short");
    assert_eq!(usize::try_from(reply.response.data_segment_bytes), Ok(reply.text.len()));
    assert!(
        !(reply.response.transit && reply.response.continued),
        "a transit comes with the last of the text"
    );
    assert_eq!(reply.response.emit().len(), 48);
}

/// Text requests without a login.
pub(super) fn run_exchange(mut script: Script<'_>) {
    let protected = script.coin();
    let auth = if protected { Auth::Chap(credentials(false)) } else { Auth::None };
    let config = config(&mut script, &auth);
    let viewer = Viewer {
        initiator: HOST.parse().expect("a name"),
        peer: "192.168.1.2".parse().expect("an address"),
        local: "[fd00::1]:3260".parse().expect("an address"),
        account: script.coin().then(|| credentials(false).initiator().clone()),
        session: if script.coin() { Session::Discovery } else { disk() },
    };
    talk(script, &config, &viewer, &mut Parameters::default());
}

fn exchanges(script: Script<'_>, config: &Config, facts: &Facts) {
    talk(script, config, &facts.viewer(), &mut facts.parameters.clone());
}

fn talk(mut script: Script<'_>, config: &Config, viewer: &Viewer, parameters: &mut Parameters) {
    let mut exchange = Exchange::default();
    let mut tag = TaskTag::RESERVED;
    let mut heard = 0;
    let mut rounds = 0;
    while !script.is_over() {
        let reading = !tag.is_reserved() && !script.rarely(8);
        let said = if reading && script.coin() { Vec::new() } else { text(&mut script) };
        let header = script.byte();
        let request = TextRequest {
            immediate: false,
            final_pdu: header & 1 != 0,
            continued: header & 6 == 6,
            data_segment_bytes: 0,
            lun: 0,
            initiator_task_tag: TaskTag(u32::from(header & 0x80 != 0)),
            target_transfer_tag: if header & 0x78 == 0x78 { TaskTag(script.word()) } else { tag },
            cmd_sn: Sn(0),
            exp_stat_sn: Sn(0),
        };
        let segment = *script.pick(&[512, 8192, parameters.connection.send_segment_bytes_max]);
        let before = parameters.clone();
        let reply = exchange.handle_request(&request, &said, segment, |text| {
            assert!(text.len() <= TEXT_BYTES_MAX, "collected text is bounded");
            answer(config, viewer, parameters, text).map_err(|why| {
                assert!(!why.to_string().is_empty());
                why.reason()
            })
        });
        match reply {
            Ok(reply) => {
                assert!(
                    reply.text.len() <= usize::try_from(segment).expect("small"),
                    "a part fits the segment"
                );
                assert!(!(reply.final_pdu && reply.continued), "what goes on is not final");
                assert_eq!(
                    reply.final_pdu,
                    reply.target_transfer_tag.is_reserved(),
                    "a tag names what goes on"
                );
                heard = if reply.continued { heard + reply.text.len() } else { 0 };
                rounds = if reply.continued { rounds + 1 } else { 0 };
                assert!(heard <= 64 << 10 && rounds <= 256, "an answer comes to an end");
                tag = reply.target_transfer_tag;
            }
            Err(_) => {
                assert_eq!(*parameters, before, "a rejected text changes nothing");
                (tag, heard, rounds) = (TaskTag::RESERVED, 0, 0);
            }
        }
        check_parameters(parameters, viewer.session.offer(config));
    }
}
