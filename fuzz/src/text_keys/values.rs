//! Pairs and single values: what is parsed and written again is the same.

use super::check_answer;
use crate::Script;
use felio_iscsi::chap::Algorithm;
use felio_iscsi::config::{Allowed, Cidr};
use felio_iscsi::name::{IscsiName, NAME_BYTES_MAX};
use felio_iscsi::text::{
    BINARY_BYTES_MAX, Incoming, KEY_BYTES_MAX, Outgoing, PAIRS_MAX, TEXT_BYTES_MAX, binary, hex, number,
    parse,
};
use std::net::IpAddr;

/// A text in parts: its pairs survive being written and parsed again, and parts come out as they went in.
pub(super) fn pairs(mut script: Script<'_>) {
    let part = usize::from(script.byte()).max(1);
    let repeat = script.length(2000);
    let unit = script.rest();
    let repeat = repeat.clamp(1, 1 + TEXT_BYTES_MAX / unit.len().max(1));
    let text = unit.repeat(repeat);
    let mut incoming = Incoming::default();
    let mut taken = 0;
    for piece in text.chunks(part * repeat) {
        if incoming.push(piece).is_err() {
            break;
        }
        taken += piece.len();
    }
    let collected = incoming.take();
    assert_eq!(collected, text[..taken], "what is collected is what came");
    assert!(taken <= TEXT_BYTES_MAX, "collected text is bounded");
    let Ok(pairs) = parse(&collected) else { return };
    assert!(pairs.len() <= PAIRS_MAX, "the count of pairs is bounded");
    let mut out = Outgoing::default();
    for pair in &pairs {
        assert!((1..=KEY_BYTES_MAX).contains(&pair.key.len()), "a key has a name");
        out.push(pair.key, pair.value);
    }
    let mut again = Vec::new();
    while !out.is_empty() {
        let before = out.bytes();
        let piece = out.take(part);
        assert!(
            !piece.is_empty() && piece.len() <= part && out.bytes() + piece.len() == before,
            "a part fits"
        );
        again.extend(piece);
    }
    assert_eq!(parse(&again).as_deref(), Ok(&pairs[..]), "pairs come back");
    if pairs.len() + 16 <= PAIRS_MAX && again.len() < 8192 {
        check_answer(&pairs, &again);
    }
}

/// Single values, each parsed as everything that a value can be.
pub(super) fn values(script: Script<'_>) {
    let text = String::from_utf8_lossy(script.rest()).into_owned();
    for value in text.split('\0') {
        check_number(value);
        check_binary(value);
        check_name(value);
        check_network(value);
        if let Some(algorithm) = Algorithm::choose(value) {
            assert_eq!(Algorithm::choose(&algorithm.number().to_string()), Some(algorithm));
        }
    }
}

fn check_number(value: &str) {
    let Some(found) = number(value) else { return };
    assert_eq!(number(&found.to_string()), Some(found), "decimal");
    assert_eq!(number(&format!("{found:#x}")), Some(found), "hexadecimal");
}

fn check_binary(value: &str) {
    let Some(found) = binary(value) else { return };
    assert!((1..=BINARY_BYTES_MAX).contains(&found.len()), "{} bytes", found.len());
    assert_eq!(binary(&hex(&found)), Some(found), "bytes come back");
}

fn check_name(value: &str) {
    let Ok(name) = IscsiName::parse(value) else { return };
    assert!(name.as_str().len() <= NAME_BYTES_MAX, "a name is bounded");
    assert!(name.as_str().eq_ignore_ascii_case(value), "only case is folded");
    assert_eq!(IscsiName::parse(name.as_str()).as_ref(), Ok(&name), "normalizing twice is normalizing once");
    assert_eq!(value.parse(), Ok(Allowed::Name(name)), "a name is an entry of an allow list");
}

fn check_network(value: &str) {
    let Ok(network) = value.parse::<Cidr>() else { return };
    assert_eq!(network.to_string().parse(), Ok(network), "a network comes back");
    assert_eq!(value.parse(), Ok(Allowed::Network(network)), "a network is an entry of an allow list");
    let address: IpAddr =
        value.split('/').next().unwrap_or(value).parse().expect("a network begins with an address");
    assert!(network.contains(address), "{network} contains its own address");
    assert_eq!(
        network.contains(address),
        network.contains(address.to_canonical()),
        "either form of an address"
    );
}
