//! Text as a peer may write it: pairs, values, names and addresses, negotiation, CHAP, whole logins, and the texts of full
//! feature phase.
//!
//! The first byte of an input chooses the part; the parts are in files of their own. What all share is how a text comes to be
//! ([`text`]) and what must hold of our answer ([`check_answer`]).

mod chap;
mod login;
mod negotiation;
mod values;

pub(crate) use chap::response;

use crate::Script;
use felio_iscsi::config::{Allow, Auth, Config, Discovery, Entry, Offer, PortalGroup, Target};
use felio_iscsi::digest::Digest;
use felio_iscsi::keys::{KEYS, TaskReporting};
use felio_iscsi::text::{PAIRS_MAX, Pair, TEXT_BYTES_MAX, parse};

/// Does what an input says.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() % 6 {
        0 => values::pairs(script),
        1 => values::values(script),
        2 => negotiation::run(script),
        3 => chap::run(script),
        4 => login::run(script),
        _ => login::run_exchange(script),
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let raw = |part: u8, text: &str| [&[part], text.replace('|', "\0").as_bytes()].concat();
    let mut seeds = vec![
        raw(0, "\u{10}InitiatorName=iqn.2024-01.org.example:host|SessionType=Discovery|"),
        raw(
            1,
            "0x0a0B0c|0bAAECAw==|262144|iqn.2024-01.org.example:host|10.0.0.0/8|fd00::/8|naa.52004567ba64678d",
        ),
    ];
    // Every key of the table with every value, as far as the bytes reach.
    for part in [2, 3, 4, 5] {
        for first in [0, 64, 128, 192] {
            let text = (0..160_u8).map(|step| step.wrapping_mul(part).wrapping_add(first));
            seeds.push([part].into_iter().chain(text).collect());
        }
    }
    seeds
}

/// Keys and values.
#[must_use]
pub fn words() -> Vec<String> {
    let keys = KEYS.iter().map(|row| format!("{}=", row.name));
    keys.chain(VALUES.iter().filter(|value| !value.is_empty()).map(|value| (*value).to_owned())).collect()
}

/// What initiators say, right and wrong.
const VALUES: &[&str] = &[
    "Yes",
    "No",
    "0",
    "1",
    "2",
    "512",
    "8192",
    "65536",
    "262144",
    "16777215",
    "16777216",
    "0x200",
    "0xffffff",
    "None",
    "CRC32C",
    "CRC32C,None",
    "None,CRC32C",
    "CHAP",
    "CHAP,None",
    "KRB5,CHAP",
    "5",
    "7,8,6,5",
    "RFC3720",
    "ResponseFence,RFC3720",
    "FastAbort",
    "Reject",
    "Irrelevant",
    "NotUnderstood",
    "",
    "?",
    "All",
    "Normal",
    "Discovery",
    "3600",
    "65535",
    "31",
    HOST,
    DISK,
    OTHER,
    "alice",
    "disk",
    "0x0102030405060708090a0b0c0d0e0f10",
    "0bAAECAwQFBgcICQoLDA0ODw==",
];

const HOST: &str = "iqn.2024-01.org.example:host";
const DISK: &str = "iqn.2024-01.org.example:disk";
const OTHER: &str = "iqn.2024-01.org.example:other";

/// A text: pairs of the table's keys and likely values, mixed with whatever the script has.
fn text(script: &mut Script<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut last = 0..0;
    for _ in 0..script.byte() % 24 {
        let begin = text.len();
        match script.byte() % 16 {
            0..=8 => pair(&mut text, script.pick(KEYS).name.as_bytes(), script.pick(VALUES).as_bytes()),
            9 | 10 => pair(&mut text, script.pick(KEYS).name.as_bytes(), script.piece()),
            11 => pair(&mut text, script.piece(), script.pick(VALUES).as_bytes()),
            12 => text.extend_from_slice(script.piece()),
            13 => pair(&mut text, b"X-com.example.key", &vec![b'v'; script.length(TEXT_BYTES_MAX)]),
            14 => {
                let times = script.length(PAIRS_MAX + 1).min(TEXT_BYTES_MAX / last.len().max(1));
                text.extend_from_slice(&text[last.clone()].repeat(times));
            }
            _ => text.push(0),
        }
        last = begin..text.len();
        if text.len() > 2 * TEXT_BYTES_MAX {
            break;
        }
    }
    text
}

fn pair(text: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    text.extend_from_slice(key);
    text.push(b'=');
    text.extend_from_slice(value);
    text.push(0);
}

/// What must hold of what we say: it is text, of a bounded length.
fn check_answer(said: &[Pair<'_>], answer: &[u8]) {
    let answers = parse(answer).expect("what we say is text");
    assert!(answer.is_empty() || answer.ends_with(&[0]), "every pair ends with a zero byte");
    // Each key is answered once, with a constant, a number, or one of the initiator's choices; then come our own.
    assert!(answers.len() <= said.len() + OWN_PAIRS_MAX, "{} pairs for {}", answers.len(), said.len());
    assert!(answer.len() <= PAIRS_MAX * 80 + 8192, "an answer of {} bytes", answer.len());
}

/// The most pairs that we say of ourselves: a declaration each, CHAP's, and targets with their addresses.
const OWN_PAIRS_MAX: usize = 16;

/// An offer that an operator could make.
fn offer(script: &mut Script<'_>) -> Offer {
    if !script.coin() {
        return Offer::default();
    }
    let segment = |script: &mut Script<'_>| 512 + script.word() % (0x00ff_ffff - 511);
    let digests = |script: &mut Script<'_>| {
        script.pick(&[&[Digest::Crc32c, Digest::None][..], &[Digest::None], &[Digest::Crc32c], &[]]).to_vec()
    };
    Offer {
        header_digests: digests(script),
        data_digests: digests(script),
        receive_segment_bytes_max: segment(script),
        burst_bytes_max: segment(script),
        first_burst_bytes_max: segment(script),
        initial_r2t: script.coin(),
        immediate_data: script.coin(),
        outstanding_r2t_max: script.word(),
        time_to_wait_secs: script.word(),
        time_to_retain_secs: script.word(),
        protocol_level: script.word(),
        task_reporting: script
            .pick(&[&[TaskReporting::Rfc3720][..], &[TaskReporting::FastAbort], &[]])
            .to_vec(),
    }
}

/// One or two targets, open or with credentials, for everyone or for some, and discovery with a proof of its own or without.
fn config(script: &mut Script<'_>, auth: &Auth) -> Config {
    let name = |text: &str| text.parse().expect("a name");
    let mut groups = vec![group(script, 1, &["10.0.0.1:3260", "[::]:3261"], auth)];
    if script.coin() {
        groups.push(group(script, 2, &["10.0.0.2:3260", "0.0.0.0:3260"], auth));
    }
    let mut targets = vec![Target::new(name(DISK), groups).expect("different portals")];
    if script.coin() {
        let portals = ["10.0.0.1:3260", "[::]:3261"];
        let alias = Some("the other".to_owned());
        let group = PortalGroup { alias, ..group(script, 7, &portals, &Auth::None) };
        targets.push(Target::new(name(OTHER), vec![group]).expect("one group"));
    }
    let mut config = Config::new(targets);
    config.discovery_offer = offer(script);
    config.discovery = match (script.byte() % 4, auth) {
        (0, Auth::Chap(credentials)) => Discovery::Optional(credentials.clone()),
        (1, auth) => Discovery::Own(auth.clone()),
        _ => Discovery::AsTargets,
    };
    config
}

/// A group that an operator could make.
fn group(script: &mut Script<'_>, tag: u16, portals: &[&str], auth: &Auth) -> PortalGroup {
    let portals = portals.iter().map(|portal| portal.parse().expect("an address")).collect();
    let allow = match script.byte() % 4 {
        1 => Allow(vec![HOST.parse().expect("an entry")]),
        2 => Allow(vec!["192.168.0.0/16".parse().expect("an entry")]),
        _ => Allow::default(),
    };
    // The same proof, as the group's or as the initiator's own.
    let own = script.coin().then(|| auth.clone());
    let entry = (HOST.parse().expect("a name"), Entry { auth: own, ..Entry::default() });
    PortalGroup {
        auth: auth.clone(),
        allow,
        enabled: !script.rarely(8),
        open: script.coin(),
        demo_discovery: script.coin(),
        told_disabled: script.coin(),
        initiators: script.coin().then_some(entry).into_iter().collect(),
        offer: offer(script),
        ..PortalGroup::open(tag.try_into().expect("not zero"), portals)
    }
}
