//! CHAP: only who knows the secret is let in, whatever else is said.

use super::VALUES;
use crate::Script;
use felio_iscsi::chap::{Account, Algorithm, Answer, Challenged, ChapError, Credentials, Secret};
use felio_iscsi::text::{binary, hex};

/// The initiator's secret.
pub(super) const SECRET: &str = "alice's secret";
/// The target's.
pub(super) const TARGET_SECRET: &str = "the disk's secret";

/// Credentials, mutual or not.
pub(super) fn credentials(mutual: bool) -> Credentials {
    let account = |user, secret: &str| {
        Account::new(user, Secret::new(secret).expect("long enough")).expect("a user name")
    };
    match mutual {
        true => Credentials::mutual(account("alice", SECRET), account("disk", TARGET_SECRET))
            .expect("secrets differ"),
        false => Credentials::one_way(account("alice", SECRET)),
    }
}

/// The response that a peer with a secret gives to a challenge of ours.
pub(crate) fn response(keys: &[(&str, String)], secret: &str) -> Option<String> {
    let value = |wanted| keys.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str());
    let algorithm = Algorithm::choose(value("CHAP_A")?)?;
    let identifier = value("CHAP_I")?.parse().ok()?;
    let secret = Secret::new(secret).ok()?;
    Some(hex(&algorithm.respond(identifier, &secret, &binary(value("CHAP_C")?)?)))
}

/// One exchange.
pub(super) fn run(mut script: Script<'_>) {
    let mutual = script.coin();
    let accepted = [credentials(mutual)];
    let seed = script.byte();
    let mut drawn = 0_u8;
    let mut random = || {
        drawn += 1;
        [seed.wrapping_add(drawn); 32]
    };
    let list = said(&mut script);
    let Ok(challenged) = Challenged::new(&list, &mut random) else { return };
    let keys = challenged.keys();
    let right = response(&keys, SECRET).expect("the challenge can be answered");
    let knows = script.coin();
    let response = if knows { right.clone() } else { said(&mut script) };
    let name = if script.coin() { "alice".to_owned() } else { said(&mut script) };
    let identifier = script.coin().then(|| said(&mut script));
    let challenge = match script.byte() % 4 {
        0 => None,
        1 => Some(keys[2].1.clone()),
        2 => Some(format!("0b{}", said(&mut script))),
        _ => Some(said(&mut script)),
    };
    let answer = Answer {
        name: (!script.rarely(16)).then_some(&name),
        response: (!script.rarely(16)).then_some(&response),
        identifier: identifier.as_deref(),
        challenge: challenge.as_deref(),
    };
    let reflected = challenge.as_deref().and_then(binary) == binary(&keys[2].1);
    match challenged.verify(&answer, &accepted) {
        Ok(proven) => {
            assert_eq!(proven.account.user(), "alice");
            assert_eq!(
                (answer.name, binary(&response)),
                (Some("alice"), binary(&right)),
                "a proof is a proof"
            );
            assert!(!reflected, "our own challenge is not answered");
            assert_eq!(proven.keys.is_empty(), challenge.is_none(), "the target proves itself when asked");
            assert!(mutual || proven.keys.is_empty(), "a target without a secret has nothing to prove");
        }
        Err(ChapError::Wrong) => {
            assert!(!knows || answer.name != Some("alice"), "who knows the secret is not wrong");
        }
        Err(_) => {}
    }
}

fn said(script: &mut Script<'_>) -> String {
    match script.coin() {
        true => (*script.pick(VALUES)).to_owned(),
        false => String::from_utf8_lossy(script.piece()).into_owned(),
    }
}
