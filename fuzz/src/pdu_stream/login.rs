//! A login that gets through: by any road, with whatever keys the script offers.

use super::wire::Phase;
use super::world::{DISK, SECRET, World};
use crate::Script;
use crate::text_keys::response;
use felio_iscsi::pdu::{Bhs, LoginRequest, Opcode, Sn, Stage, TaskTag, padding_bytes};
use felio_iscsi::text::parse;

/// What the initiator says about itself in every login.
pub(super) const HOST: &str = "InitiatorName=iqn.2024-01.org.example:host\0";

/// Keys of a login: the script's choice of likely values.
pub(super) fn keys(script: &mut Script<'_>, segment_bytes_max: &mut usize) -> Vec<(&'static str, String)> {
    let choice = script.short();
    let mut keys = Vec::new();
    let mut offer = |bit: u16, key, value: String| {
        if choice & 1 << bit != 0 {
            keys.push((key, value));
        }
    };
    offer(0, "HeaderDigest", "CRC32C,None".to_owned());
    offer(1, "DataDigest", "CRC32C,None".to_owned());
    offer(2, "InitialR2T", "No".to_owned());
    offer(3, "ImmediateData", "No".to_owned());
    let lengths = [512, 1024, 4096, 8192, 16_384, 65_536, 262_144];
    let segment = *script.pick(&lengths);
    offer(4, "MaxRecvDataSegmentLength", segment.to_string());
    if choice & 1 << 4 != 0 {
        *segment_bytes_max = segment;
    }
    offer(5, "MaxBurstLength", script.pick(&lengths).to_string());
    offer(6, "FirstBurstLength", script.pick(&lengths).to_string());
    offer(7, "MaxOutstandingR2T", (1 + script.byte() % 8).to_string());
    offer(8, "TaskReporting", "ResponseFence".to_owned());
    offer(9, "iSCSIProtocolLevel", "2".to_owned());
    keys
}

/// Logs in: whether full feature phase was reached, and the CmdSN of the first command.
pub(super) fn log_in(world: &mut World, script: &mut Script<'_>) -> Option<Sn> {
    let choice = script.byte();
    let mut segment_bytes_max = 8192;
    let keys = keys(script, &mut segment_bytes_max);
    world.wire.segment_bytes_max = segment_bytes_max;
    let keys: String = keys.iter().map(|(key, value)| format!("{key}={value}\0")).collect();
    let kind = match choice & 0x0f {
        0 => "SessionType=Discovery\0".to_owned(),
        _ => format!("TargetName={DISK}\0"),
    };
    let mut header = LoginRequest::parse(&Bhs::new(Opcode::LOGIN_REQUEST)).expect("the opcode is right");
    header.isid = [0x80, 1, 2, 3, 4, 5];
    header.initiator_task_tag = TaskTag(0x1234);
    header.cmd_sn = if choice & 0x10 != 0 { Sn(u32::MAX - 3) } else { Sn(1) };
    header.exp_stat_sn = Sn(script.word());
    let mut walk = Walk { world, header };
    let secured = choice & 0x20 != 0 || walk.world.demands_proof();
    if secured {
        let said = walk.say(Stage::SECURITY, None, &format!("{HOST}{kind}AuthMethod=CHAP,None\0"))?;
        if said.iter().any(|(key, value)| key == "AuthMethod" && value == "CHAP") {
            let challenge = walk.say(Stage::SECURITY, None, &format!("CHAP_A={}\0", 5 + (choice >> 6)))?;
            let challenge: Vec<_> =
                challenge.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
            let proof = response(&challenge, SECRET)?;
            let mutual =
                if script.rarely(4) { "CHAP_I=7\0CHAP_C=0x000102030405060708090a0b0c0d0e0f\0" } else { "" };
            walk.say(
                Stage::SECURITY,
                Some(Stage::OPERATIONAL),
                &format!("CHAP_N=alice\0CHAP_R={proof}\0{mutual}"),
            )?;
        } else {
            walk.say(Stage::SECURITY, Some(Stage::OPERATIONAL), "")?;
        }
        walk.last(script, &keys);
    } else {
        walk.last(script, &format!("{HOST}{kind}{keys}"));
    }
    (world.wire.phase == Phase::FullFeature && !world.is_over()).then_some(header.cmd_sn)
}

/// A login under way.
struct Walk<'a> {
    world: &'a mut World,
    header: LoginRequest,
}

impl Walk<'_> {
    /// One request and what is answered; nothing if the login has ended.
    fn say(&mut self, stage: Stage, next: Option<Stage>, text: &str) -> Option<Vec<(String, String)>> {
        self.push(stage, next, text);
        self.world.settle();
        let (_, text) = self.world.wire.login.take()?;
        if self.world.is_over() {
            return None;
        }
        let pairs = parse(&text).expect("what we say is text");
        Some(pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.to_owned())).collect())
    }

    /// The last request, after which the engine decides.
    fn last(&mut self, script: &mut Script<'_>, text: &str) {
        self.push(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE), text);
        while self.world.deliver(1 + script.length(600)) {}
        self.world.serve(script);
        self.world.settle();
    }

    fn push(&mut self, stage: Stage, next: Option<Stage>, text: &str) {
        let request = LoginRequest {
            transit: next.is_some(),
            current_stage: stage,
            next_stage: next.unwrap_or(Stage(0)),
            data_segment_bytes: u32::try_from(text.len()).expect("a short text"),
            ..self.header
        };
        self.world.push(&request.emit());
        self.world.push(text.as_bytes());
        self.world.push(&[0; 3][..padding_bytes(text.len())]);
    }
}
