//! CHAP: a proof of knowing a secret without saying it, in one direction or both.
//!
//! Start at [`Credentials`] for what a target is told and [`Challenged`] for the target's side of the exchange. Not here: which
//! authentication is demanded (`config`) and when keys may come (`login`). Randomness comes in as an argument.
//!
//! Invariants: responses are compared in constant time; secrets are wiped when dropped and never printed; a target proves
//! itself only to an initiator that has proved itself first, and never with the initiator's own secret or challenge.

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::text::{binary, hex, number};

/// The fewest bytes of a secret: 96 bits.
//= RFC 7143 "CHAP Considerations"
pub const SECRET_BYTES_MIN: usize = 12;

/// The most bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 255;

/// The most bytes of a user name.
pub const USER_BYTES_MAX: usize = 255;

/// What both sides know.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Checks the length.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, CredentialsError> {
        let bytes = Zeroizing::new(bytes.into());
        match bytes.len() {
            short if short < SECRET_BYTES_MIN => Err(CredentialsError::SecretTooShort { bytes: short }),
            long if long > SECRET_BYTES_MAX => Err(CredentialsError::SecretTooLong { bytes: long }),
            _ => Ok(Self(bytes)),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A user and its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    secret: Secret,
}

impl Account {
    /// Checks the user name.
    pub fn new(user: impl Into<String>, secret: Secret) -> Result<Self, CredentialsError> {
        let user = user.into();
        match user.len() {
            0 => Err(CredentialsError::UserEmpty),
            long if long > USER_BYTES_MAX => Err(CredentialsError::UserTooLong { bytes: long }),
            _ if user.contains('\0') => Err(CredentialsError::UserZero),
            _ => Ok(Self { user, secret }),
        }
    }

    /// The user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// How initiators prove themselves to a target, and it to them.
#[derive(Debug, Clone)]
pub struct Credentials {
    initiator: Account,
    target: Option<Account>,
}

impl Credentials {
    /// The initiator proves itself; the target does not.
    #[must_use]
    pub fn one_way(initiator: Account) -> Self {
        Self { initiator, target: None }
    }

    /// Both prove themselves, if the initiator asks for it.
    //= RFC 7143 "CHAP Considerations"
    pub fn mutual(initiator: Account, target: Account) -> Result<Self, CredentialsError> {
        if initiator.secret == target.secret {
            return Err(CredentialsError::SameSecret);
        }
        Ok(Self { initiator, target: Some(target) })
    }

    /// What the initiator proves to know.
    #[must_use]
    pub const fn initiator(&self) -> &Account {
        &self.initiator
    }
}

/// Why credentials cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsError {
    /// Can be guessed.
    SecretTooShort {
        /// What it has.
        bytes: usize,
    },
    /// Longer than others can take.
    SecretTooLong {
        /// What it has.
        bytes: usize,
    },
    /// No user name.
    UserEmpty,
    /// Longer than others can take.
    UserTooLong {
        /// What it has.
        bytes: usize,
    },
    /// A user name with a zero byte cannot be said in text.
    UserZero,
    /// One secret in both directions would let an initiator answer with the target's own response.
    SameSecret,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretTooShort { bytes } => {
                write!(
                    f,
                    "a CHAP secret needs at least {SECRET_BYTES_MIN} bytes (96 bits), this one has {bytes}"
                )
            }
            Self::SecretTooLong { bytes } => {
                write!(f, "a CHAP secret has at most {SECRET_BYTES_MAX} bytes, this one has {bytes}")
            }
            Self::UserEmpty => f.write_str("the CHAP user name is empty"),
            Self::UserTooLong { bytes } => {
                write!(f, "a CHAP user name has at most {USER_BYTES_MAX} bytes, this one has {bytes}")
            }
            Self::UserZero => f.write_str("a CHAP user name cannot contain a zero byte"),
            Self::SameSecret => f.write_str("the CHAP secrets of the two directions must differ"),
        }
    }
}

impl std::error::Error for CredentialsError {}

/// A hash function that CHAP can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA3-256.
    Sha3_256,
}

/// Number, algorithm and length of its responses.
//= RFC 7143 "Challenge Handshake Authentication Protocol (CHAP)"
const ALGORITHMS: &[(u64, Algorithm, usize)] = &[
    (5, Algorithm::Md5, 16),
    (6, Algorithm::Sha1, 20),
    (7, Algorithm::Sha256, 32),
    (8, Algorithm::Sha3_256, 32),
];

impl Algorithm {
    /// The number that stands for it in CHAP_A.
    #[must_use]
    pub fn number(self) -> u64 {
        self.row().0
    }

    /// Bytes of its responses, and of the challenges that we set with it.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.row().2
    }

    /// The first of a list that we know: the initiator's order decides.
    #[must_use]
    pub fn choose(list: &str) -> Option<Self> {
        let known = |choice: &str| {
            let wanted = number(choice.trim())?;
            ALGORITHMS.iter().find(|(number, _, _)| *number == wanted).map(|row| row.1)
        };
        list.split(',').find_map(known)
    }

    /// The response to a challenge.
    //= RFC 1994 "Challenge and Response"
    #[must_use]
    pub fn respond(self, identifier: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => hash::<Md5>(identifier, secret, challenge),
            Self::Sha1 => hash::<Sha1>(identifier, secret, challenge),
            Self::Sha256 => hash::<Sha256>(identifier, secret, challenge),
            Self::Sha3_256 => hash::<Sha3_256>(identifier, secret, challenge),
        }
    }

    fn row(self) -> &'static (u64, Self, usize) {
        ALGORITHMS.iter().find(|row| row.1 == self).expect("every algorithm has a row")
    }
}

fn hash<D: digest::Digest>(identifier: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
    D::new()
        .chain_update([identifier])
        .chain_update(secret.0.as_slice())
        .chain_update(challenge)
        .finalize()
        .to_vec()
}

/// Where 32 random bytes come from.
pub type Random<'a> = &'a mut dyn FnMut() -> [u8; 32];

/// The target has set a challenge and waits for the response.
#[derive(Debug, Clone)]
pub struct Challenged {
    algorithm: Algorithm,
    identifier: u8,
    challenge: [u8; 32],
}

impl Challenged {
    /// Chooses an algorithm from the initiator's list and sets a challenge.
    pub fn new(algorithms: &str, random: Random<'_>) -> Result<Self, ChapError> {
        let algorithm = Algorithm::choose(algorithms).ok_or(ChapError::Algorithm)?;
        let [identifier, ..] = random();
        Ok(Self { algorithm, identifier, challenge: random() })
    }

    /// The keys that tell the initiator.
    #[must_use]
    pub fn keys(&self) -> [(&'static str, String); 3] {
        [
            ("CHAP_A", self.algorithm.number().to_string()),
            ("CHAP_I", self.identifier.to_string()),
            ("CHAP_C", hex(self.challenge())),
        ]
    }

    /// Judges the initiator's answer against the credentials of which any will do, and tells who it is.
    pub fn verify<'a>(
        self,
        answer: &Answer<'_>,
        accepted: impl IntoIterator<Item = &'a Credentials>,
    ) -> Result<Proven, ChapError> {
        let user = answer.name.ok_or(ChapError::Missing("CHAP_N"))?;
        let response =
            binary(answer.response.ok_or(ChapError::Missing("CHAP_R"))?).ok_or(ChapError::Value("CHAP_R"))?;
        let mut proven = None;
        for credentials in accepted {
            // Computed for any user, so that time does not tell which users exist.
            let expected =
                self.algorithm.respond(self.identifier, &credentials.initiator.secret, self.challenge());
            let equal: bool = expected.ct_eq(&response).into();
            if equal && credentials.initiator.user == user {
                proven = Some(credentials);
            }
        }
        let credentials = proven.ok_or(ChapError::Wrong)?;
        let keys = self.answer_challenge(answer, credentials)?;
        Ok(Proven { account: credentials.initiator.clone(), keys })
    }

    /// The target's own proof, if the initiator asks for it.
    fn answer_challenge(
        &self,
        answer: &Answer<'_>,
        credentials: &Credentials,
    ) -> Result<Vec<(&'static str, String)>, ChapError> {
        let (identifier, challenge) = match (answer.identifier, answer.challenge) {
            (None, None) => return Ok(Vec::new()),
            (None, _) => return Err(ChapError::Missing("CHAP_I")),
            (_, None) => return Err(ChapError::Missing("CHAP_C")),
            (Some(identifier), Some(challenge)) => (identifier, challenge),
        };
        let identifier =
            number(identifier).and_then(|n| u8::try_from(n).ok()).ok_or(ChapError::Value("CHAP_I"))?;
        let challenge = binary(challenge).ok_or(ChapError::Value("CHAP_C"))?;
        if challenge == self.challenge() {
            return Err(ChapError::Reflected);
        }
        let Account { user, secret } = credentials.target.as_ref().ok_or(ChapError::NotMutual)?;
        let response = self.algorithm.respond(identifier, secret, &challenge);
        Ok(vec![("CHAP_N", user.clone()), ("CHAP_R", hex(&response))])
    }

    fn challenge(&self) -> &[u8] {
        &self.challenge[..self.algorithm.bytes()]
    }
}

/// What the initiator says to a challenge, as it stands in the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// CHAP_N.
    pub name: Option<&'a str>,
    /// CHAP_R.
    pub response: Option<&'a str>,
    /// CHAP_I, if the target shall prove itself.
    pub identifier: Option<&'a str>,
    /// CHAP_C, if the target shall prove itself.
    pub challenge: Option<&'a str>,
}

/// The initiator has proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Who it is.
    pub account: Account,
    /// What is to be answered: the target's own proof, if it was asked for.
    pub keys: Vec<(&'static str, String)>,
}

/// Why an initiator has not proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChapError {
    /// No algorithm in common.
    Algorithm,
    /// A key is not there.
    Missing(&'static str),
    /// A key has a value that it cannot have.
    Value(&'static str),
    /// Unknown user, or wrong secret: not told apart.
    Wrong,
    /// The initiator sent our own challenge back.
    Reflected,
    /// The initiator asks for a proof of the target, which has no account for it.
    NotMutual,
}

impl fmt::Display for ChapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str("no CHAP algorithm in common"),
            Self::Missing(key) => write!(f, "{key} is missing"),
            Self::Value(key) => write!(f, "{key} has a wrong value"),
            Self::Wrong => f.write_str("CHAP user or secret is wrong"),
            Self::Reflected => f.write_str("the target's own CHAP challenge was sent back to it"),
            Self::NotMutual => f.write_str("the initiator demands mutual CHAP, which is not configured here"),
        }
    }
}

impl std::error::Error for ChapError {}

#[cfg(test)]
mod tests;
