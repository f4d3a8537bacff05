//! CHAP against itself, and what must not pass.

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn credentials() -> Credentials {
    let initiator = Account::new("alice", secret("alice's secret")).unwrap();
    let target = Account::new("disk", secret("the disk's secret")).unwrap();
    Credentials::mutual(initiator, target).unwrap()
}

fn challenged(algorithms: &str) -> Challenged {
    let mut seed = 0x40_u8;
    Challenged::new(algorithms, &mut || {
        seed += 1;
        [seed; 32]
    })
    .unwrap()
}

/// What `secret` answers to the keys of a challenge.
fn respond(challenged: &Challenged, text: &str) -> String {
    let [algorithm, identifier, challenge] = challenged.keys().map(|(_, value)| value);
    let algorithm = Algorithm::choose(&algorithm).unwrap();
    let identifier = u8::try_from(number(&identifier).unwrap()).unwrap();
    hex(&algorithm.respond(identifier, &secret(text), &binary(&challenge).unwrap()))
}

#[track_caller]
fn check(algorithms: &str, user: &str, text: &str, want: Result<&str, ChapError>) {
    let challenged = challenged(algorithms);
    let response = respond(&challenged, text);
    let answer = Answer { name: Some(user), response: Some(&response), ..Answer::default() };
    let got = challenged.verify(&answer, [&credentials()]);
    assert_eq!(got.map(|proven| proven.account.user().to_owned()), want.map(str::to_owned));
}

#[test]
fn the_right_secret_is_proved_with_every_algorithm() {
    for algorithm in ["5", "6", "7", "8"] {
        check(algorithm, "alice", "alice's secret", Ok("alice"));
    }
}

#[test]
fn a_wrong_secret_proves_nothing() {
    check("7", "alice", "bob's secret!", Err(ChapError::Wrong));
}

#[test]
fn the_right_secret_of_another_user_proves_nothing() {
    check("7", "bob", "alice's secret", Err(ChapError::Wrong));
}

#[test]
fn the_initiators_order_chooses_the_algorithm() {
    assert_eq!(Algorithm::choose("99,x,6,7"), Some(Algorithm::Sha1));
    assert_eq!(Algorithm::choose("8,7,6,5"), Some(Algorithm::Sha3_256));
    assert_eq!(Algorithm::choose("1,2"), None);
}

#[test]
fn md5_is_as_computed_elsewhere() {
    let response = Algorithm::Md5.respond(7, &secret("0123456789ab"), &[1, 2, 3, 4]);
    assert_eq!(hex(&response), MD5_OF_EXAMPLE);
}

#[test]
fn the_challenge_is_as_long_as_the_response() {
    for (algorithm, bytes) in [("5", 16), ("6", 20), ("7", 32), ("8", 32)] {
        let [_, _, (_, challenge)] = challenged(algorithm).keys();
        assert_eq!(challenge.len(), 2 + 2 * bytes);
    }
}

#[test]
fn a_response_of_another_length_is_wrong() {
    let challenged = challenged("7");
    let response = respond(&challenged, "alice's secret");
    let answer = Answer { name: Some("alice"), response: Some(&response[..40]), ..Answer::default() };
    assert_eq!(challenged.verify(&answer, [&credentials()]), Err(ChapError::Wrong));
}

#[track_caller]
fn check_mutual(
    identifier: Option<&str>,
    challenge: Option<&str>,
    credentials: &Credentials,
    want: Result<Vec<(&str, &str)>, ChapError>,
) {
    let challenged = challenged("5");
    let response = respond(&challenged, "alice's secret");
    let answer = Answer { name: Some("alice"), response: Some(&response), identifier, challenge };
    let got = challenged.verify(&answer, [credentials]).map(|proven| proven.keys);
    let want = want.map(|keys| {
        keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Vec<_>>()
    });
    assert_eq!(
        got.map(|keys| keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Vec<_>>()),
        want
    );
}

#[test]
fn the_target_proves_itself_when_asked() {
    let response = hex(&Algorithm::Md5.respond(9, &secret("the disk's secret"), &[0xaa, 0xbb]));
    check_mutual(
        Some("9"),
        Some("0xaabb"),
        &credentials(),
        Ok(vec![("CHAP_N", "disk"), ("CHAP_R", &response)]),
    );
    check_mutual(
        Some("0x09"),
        Some("0bqrs="),
        &credentials(),
        Ok(vec![("CHAP_N", "disk"), ("CHAP_R", &response)]),
    );
}

#[test]
fn the_target_does_not_prove_itself_unasked() {
    check_mutual(None, None, &credentials(), Ok(vec![]));
}

#[test]
fn a_challenge_needs_an_identifier() {
    check_mutual(None, Some("0xaabb"), &credentials(), Err(ChapError::Missing("CHAP_I")));
    check_mutual(Some("1"), None, &credentials(), Err(ChapError::Missing("CHAP_C")));
    check_mutual(Some("256"), Some("0xaabb"), &credentials(), Err(ChapError::Value("CHAP_I")));
}

#[test]
fn our_own_challenge_is_not_answered() {
    check_mutual(Some("1"), Some(&hex(&[0x42; 16])), &credentials(), Err(ChapError::Reflected));
}

#[test]
fn a_proof_that_is_not_configured_is_not_given() {
    let one_way = Credentials::one_way(Account::new("alice", secret("alice's secret")).unwrap());
    check_mutual(Some("1"), Some("0xaabb"), &one_way, Err(ChapError::NotMutual));
}

#[test]
fn one_secret_for_both_directions_is_refused() {
    let account = |user| Account::new(user, secret("the same secret")).unwrap();
    assert_eq!(Credentials::mutual(account("a"), account("b")).unwrap_err(), CredentialsError::SameSecret);
}

#[test]
fn a_secret_has_12_to_255_bytes() {
    assert_eq!(Secret::new("eleven byte").unwrap_err(), CredentialsError::SecretTooShort { bytes: 11 });
    assert!(Secret::new("twelve bytes").is_ok() && Secret::new([7; 255]).is_ok());
    assert_eq!(Secret::new([7; 256]).unwrap_err(), CredentialsError::SecretTooLong { bytes: 256 });
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", credentials().initiator), "Account { user: \"alice\", secret: Secret(…) }");
}

const MD5_OF_EXAMPLE: &str = "0x8d82ced4fbaa4c3329d937ea1d5cab68";
