//! A negotiator and several texts in any phase: what comes out is what the table allows.

use super::{VALUES, check_answer, offer, text};
use crate::Script;
use felio_iscsi::config::Offer;
use felio_iscsi::digest::Digest;
use felio_iscsi::keys::{KEYS, Kind, Leading, Negotiator, NumberRule, Parameters, Phase, SessionType, Usage};
use felio_iscsi::text::{IRRELEVANT, NOT_UNDERSTOOD, Outgoing, Pair, REJECT, parse};

/// Negotiates.
pub(super) fn run(mut script: Script<'_>) {
    let offer = offer(&mut script);
    let session = *script.pick(&[SessionType::Normal, SessionType::Discovery]);
    let leading = *script.pick(&[Leading::First, Leading::Joining]);
    let mut negotiator = Negotiator::new(session, leading);
    let mut resumed = false;
    while !script.is_over() {
        if script.rarely(8) {
            // Login ends, and text goes on in full feature phase.
            let parameters = negotiator.finish();
            check_parameters(&parameters, &offer);
            negotiator = Negotiator::resume(parameters, session);
            resumed = true;
        }
        let phase = match resumed {
            true => Phase::FullFeature,
            false => *script.pick(&[Phase::Security, Phase::Operational, Phase::Operational]),
        };
        let text = text(&mut script);
        let Ok(pairs) = parse(&text) else { continue };
        let mut out = Outgoing::default();
        let Ok(special) = negotiator.handle_pairs(phase, &offer, &pairs, &mut out) else { return };
        assert!(special.len() <= pairs.len(), "nothing is handed back that was not said");
        let answer = out.take(usize::MAX);
        check_answer(&pairs, &answer);
        check_answers(&pairs, &parse(&answer).expect("what we say is text"), &offer);
        if script.rarely(4) {
            negotiator.declare(&offer, &mut out);
        }
    }
    check_parameters(&negotiator.finish(), &offer);
}

/// What must hold of a result, however it came about.
pub(super) fn check_parameters(parameters: &Parameters, offer: &Offer) {
    let mut parameters = parameters.clone();
    for row in KEYS {
        match row.kind {
            Kind::Number { range: (first, last), default, rule, ours, place } => {
                let value = *place(&mut parameters);
                let ours = ours(offer).clamp(first, last);
                assert!((first..=last).contains(&value), "{} is {value}", row.name);
                let ruled = match rule {
                    NumberRule::Minimum => value <= ours,
                    NumberRule::Maximum => value >= ours,
                };
                assert!(ruled || value == default, "{} is {value}, ours is {ours}", row.name);
            }
            Kind::DeclaredNumber { range: (first, last), place, .. } => {
                let value = *place(&mut parameters);
                assert!((first..=last).contains(&value), "{} is {value}", row.name);
            }
            _ => {}
        }
    }
    let session = &parameters.session;
    assert!(
        session.first_burst_bytes_max <= session.burst_bytes_max,
        "the first burst is no longer than a burst"
    );
    assert!(session.first_burst_bytes_max >= 512, "the first burst is {}", session.first_burst_bytes_max);
    let connection = &parameters.connection;
    let of = |digest, offered: &[Digest]| digest == Digest::None || offered.contains(&digest);
    assert!(of(connection.digests.header, &offer.header_digests), "a header digest that we offer");
    assert!(of(connection.digests.data, &offer.data_digests), "a data digest that we offer");
    assert!(session.initiator_alias.as_ref().is_none_or(|alias| alias.len() <= 255), "an alias is bounded");
}

/// Each pair that wants an answer has one, in which we do not go beyond what was said and what we offer.
fn check_answers(said: &[Pair<'_>], answers: &[Pair<'_>], offer: &Offer) {
    let mut answers = answers.iter().collect::<Vec<_>>();
    for pair in said.iter().filter(|pair| !pair.is_answer_without_value()) {
        let row = KEYS.iter().find(|row| row.name == pair.key);
        let silent = row.is_some_and(|row| {
            matches!(
                row.kind,
                Kind::Special(_) | Kind::DeclaredNumber { .. } | Kind::DeclaredText(_) | Kind::Said
            )
        });
        let Some(at) = answers.iter().position(|answer| answer.key == pair.key) else {
            assert!(silent, "{} was not answered", pair.key);
            continue;
        };
        let answer = answers.remove(at);
        if answer.is_answer_without_value() {
            assert_eq!(answer.value == NOT_UNDERSTOOD, row.is_none(), "{answer:?}");
            continue;
        }
        let row = row.expect("only known keys have a value");
        assert_ne!(row.usage, Usage::FullFeaturePhaseOnly, "{answer:?}");
        match row.kind {
            Kind::Boolean { .. } | Kind::Obsolete(_) => {
                assert!(["Yes", "No"].contains(&answer.value), "{answer:?}")
            }
            Kind::List { .. } => {
                assert!(pair.value.split(',').any(|choice| choice == answer.value), "{answer:?}")
            }
            Kind::Number { .. } | Kind::FirstBurst { .. } => {
                let value: u32 = answer.value.parse().expect("a number");
                assert!(value <= 0x00ff_ffff, "{answer:?}");
                let first_burst = matches!(row.kind, Kind::FirstBurst { .. });
                assert!(!first_burst || value <= offer.first_burst_bytes_max, "{answer:?}");
            }
            _ => panic!("{} wants no answer", row.name),
        }
    }
    assert!(answers.is_empty(), "answers to nothing: {answers:?}");
    assert!([REJECT, IRRELEVANT].iter().all(|constant| VALUES.contains(constant)), "refusals are played too");
}
