//! The document `reservations` of a unit: what APTPL keeps over a loss of power.
//!
//! ```json
//! { "version": 1, "aptpl": true,
//!   "registrations": [{ "initiator": "iscsi:iqn.2026-01.net.x:a,i,0x00023d000001", "target_port": 1, "key": "0x000000000000abcd" }],
//!   "reservation": { "type": 5, "holder": 0 } }
//! ```
//!
//! The holder is a registration by its place in the list; a reservation of all registrants has none. PRGENERATION is not
//! kept.
//!
//! Invariant: what was decoded could have come about by commands; anything else is no document of ours, and what it should
//! have kept is lost.

use super::persistent::{Held, Holder, Key, Path, Persistent, REGISTRATIONS_MAX, Registration};
use felio_spec::reservation::Type;
use felio_spec::transport_id::TransportId;
use serde::{Deserialize, Serialize};

/// The name of the document.
pub(crate) const PART: &str = "reservations";

const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    aptpl: bool,
    registrations: Vec<Registered>,
    reservation: Option<Reserved>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    initiator: String,
    target_port: u16,
    key: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Reserved {
    #[serde(rename = "type")]
    kind: u8,
    holder: Option<usize>,
}

/// The document of a state. Without APTPL it says that nothing is kept.
//= SPC-4 "Preserving persistent reservations and registrations through power loss"
pub(crate) fn encode(state: &Persistent) -> Vec<u8> {
    let mut document =
        Document { version: VERSION, aptpl: state.aptpl, registrations: vec![], reservation: None };
    if state.aptpl {
        document.registrations = state.registrations.iter().map(Registered::new).collect();
        document.reservation = state.held.as_ref().map(|held| Reserved::new(held, state));
    }
    serde_json::to_vec_pretty(&document).unwrap_or_default()
}

/// The state that a document keeps, if it is one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Persistent> {
    let document: Document = serde_json::from_slice(bytes).ok()?;
    let is_ours = document.version == VERSION && document.registrations.len() <= REGISTRATIONS_MAX;
    if !is_ours {
        return None;
    }
    if !document.aptpl {
        return Some(Persistent::default());
    }
    let registrations: Vec<Registration> =
        document.registrations.iter().map(Registered::parse).collect::<Option<_>>()?;
    let is_twice = |(at, one): (usize, &Registration)| registrations[..at].iter().any(|r| r.path == one.path);
    if registrations.iter().enumerate().any(is_twice) {
        return None;
    }
    let held = match document.reservation {
        Some(reserved) => Some(reserved.parse(&registrations)?),
        None => None,
    };
    Some(Persistent { generation: 0, registrations, held, aptpl: true })
}

impl Registered {
    fn new(registration: &Registration) -> Self {
        let Registration { path: Path { initiator, port }, key } = registration;
        Self { initiator: initiator.to_string(), target_port: *port, key: format!("{key:#018x}") }
    }

    fn parse(&self) -> Option<Registration> {
        let id = TransportId::from_text(&self.initiator)?;
        let digits = self.key.strip_prefix("0x")?;
        let key = Key::new(u64::from_str_radix(digits, 16).ok()?)?;
        let initiator = super::persistent::initiator_text(&id);
        Some(Registration { path: Path { initiator, port: self.target_port }, key })
    }
}

impl Reserved {
    fn new(held: &Held, state: &Persistent) -> Self {
        let holder = match &held.holder {
            Holder::Nexus(path) => state.registrations.iter().position(|r| r.path == *path),
            Holder::AllRegistrants => None,
        };
        Self { kind: held.kind.code(), holder }
    }

    fn parse(&self, registrations: &[Registration]) -> Option<Held> {
        let kind = Type::from_code(self.kind)?;
        let holder = match (kind.is_all_registrants(), self.holder) {
            (true, None) if !registrations.is_empty() => Holder::AllRegistrants,
            (false, Some(at)) => Holder::Nexus(registrations.get(at)?.path.clone()),
            _ => return None,
        };
        Some(Held { kind, holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(kind: Type) -> Persistent {
        let path = |name: &str, port| Path::new(name, port);
        let key = |key| Key::new(key).expect("not zero");
        let registrations = vec![
            Registration { path: path("iqn.x:a,i,0x1", 1), key: key(0xabcd) },
            Registration { path: path("fcp:2100001b32000001", 2), key: key(u64::MAX) },
        ];
        let holder = if kind.is_all_registrants() {
            Holder::AllRegistrants
        } else {
            Holder::Nexus(registrations[1].path.clone())
        };
        Persistent { generation: 0, registrations, held: Some(Held { kind, holder }), aptpl: true }
    }

    #[test]
    fn every_type_is_the_same_afterwards() {
        for (kind, _) in Type::ALL {
            let state = state(kind);
            assert_eq!(decode(&encode(&state)), Some(state));
        }
    }

    #[test]
    fn the_generation_begins_anew() {
        let later = Persistent { generation: 9, ..state(Type::WriteExclusive) };
        assert_eq!(decode(&encode(&later)), Some(state(Type::WriteExclusive)));
    }

    #[test]
    fn without_aptpl_nothing_is_kept() {
        let volatile = Persistent { aptpl: false, ..state(Type::WriteExclusive) };
        assert_eq!(decode(&encode(&volatile)), Some(Persistent::default()));
    }

    #[test]
    fn what_could_not_have_come_about_is_lost() {
        let good = String::from_utf8(encode(&state(Type::WriteExclusive))).expect("text");
        let change = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            decode(good.replacen(from, to, 1).as_bytes())
        };
        assert_eq!(change("\"version\": 1", "\"version\": 2"), None);
        assert_eq!(change("\"holder\": 1", "\"holder\": 2"), None);
        assert_eq!(change("\"type\": 1", "\"type\": 7"), None);
        assert_eq!(change("\"type\": 1", "\"type\": 2"), None);
        assert_eq!(change("0x000000000000abcd", "0x0"), None);
        assert_eq!(change("0x000000000000abcd", "43981"), None);
        assert_eq!(change("fcp:2100001b32000001", "fcp:"), None);
        assert_eq!(decode(&good.as_bytes()[..good.len() - 1]), None);
        assert_eq!(decode(b""), None);
    }

    #[test]
    fn a_nexus_stands_in_it_once() {
        let mut twice = state(Type::WriteExclusive);
        twice.registrations[0].path = twice.registrations[1].path.clone();
        assert_eq!(decode(&encode(&twice)), None);
    }
}
