//! Text of login and text PDUs: `key=value` pairs with a zero byte behind each, values as numbers or bytes, and text
//! that is longer than one PDU.
//!
//! Not here: what keys mean (`keys`). Invariants: text that is collected never grows beyond [`TEXT_BYTES_MAX`]; a
//! [`Pair`] has a key of 1 to 63 permitted characters and a value that is UTF-8.

use std::fmt;

/// The most text that one side may say before it is answered.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// The most pairs in one text.
pub const PAIRS_MAX: usize = 512;

/// The most bytes of a key's name.
pub const KEY_BYTES_MAX: usize = 63;

/// The longest binary value, decoded.
pub const BINARY_BYTES_MAX: usize = 1024;

/// The answer to a key that is not known.
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// The answer to a value that cannot be.
pub const REJECT: &str = "Reject";
/// The answer to a key that has no meaning here.
pub const IRRELEVANT: &str = "Irrelevant";

/// A key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The name.
    pub key: &'a str,
    /// What it says.
    pub value: &'a str,
}

impl Pair<'_> {
    /// Whether the value is one of the constants that end a negotiation instead of a value.
    #[must_use]
    pub fn is_answer_without_value(&self) -> bool {
        [NOT_UNDERSTOOD, REJECT, IRRELEVANT].contains(&self.value)
    }
}

/// Splits text into its pairs; empty ones (padding that was counted as text) are passed over.
//= RFC 7143 "Text Format"
pub fn parse(text: &[u8]) -> Result<Vec<Pair<'_>>, TextError> {
    let pairs = text.split(|byte| *byte == 0).filter(|pair| !pair.is_empty());
    if pairs.clone().nth(PAIRS_MAX).is_some() {
        return Err(TextError::TooManyPairs);
    }
    pairs.map(parse_pair).collect()
}

fn parse_pair(bytes: &[u8]) -> Result<Pair<'_>, TextError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?;
    let (key, value) = text.split_once('=').ok_or(TextError::NoEqualSign)?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(TextError::KeyLength { bytes: key.len() });
    }
    if let Some(found) = key.bytes().find(|byte| !is_key_byte(*byte)) {
        return Err(TextError::KeyCharacter(found));
    }
    Ok(Pair { key, value })
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-+@_#".contains(&byte)
}

/// A number, decimal or hexadecimal.
//= RFC 7143 "Text Format"
#[must_use]
pub fn number(value: &str) -> Option<u64> {
    match hex_digits(value) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if value.bytes().all(|b| b.is_ascii_digit()) => value.parse().ok(),
        None => None,
    }
}

/// Bytes, hexadecimal or base64, at most [`BINARY_BYTES_MAX`]. An odd count of hexadecimal digits begins with a zero.
//= RFC 7143 "Text Format"
#[must_use]
pub fn binary(value: &str) -> Option<Vec<u8>> {
    let bytes = match (hex_digits(value), value.strip_prefix("0b").or_else(|| value.strip_prefix("0B"))) {
        (Some(digits), _) if digits.len() <= 2 * BINARY_BYTES_MAX => decode_hex(digits)?,
        (None, Some(digits)) if digits.len() <= 2 * BINARY_BYTES_MAX => decode_base64(digits)?,
        _ => return None,
    };
    (!bytes.is_empty() && bytes.len() <= BINARY_BYTES_MAX).then_some(bytes)
}

/// Bytes as a hexadecimal constant.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(HEX_DIGITS[usize::from(nibble)]);
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    "0x".chars().chain(digits).collect()
}

fn hex_digits(value: &str) -> Option<&str> {
    value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"))
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> =
        digits.chars().map(|c| c.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok())).collect();
    let nibbles = nibbles?;
    let (first, pairs) = nibbles.split_at(nibbles.len() % 2);
    Some(first.iter().copied().chain(pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1])).collect())
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | base64_value(*digit)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend(bits.to_be_bytes().into_iter().skip(1).take(group.len() - 1));
    }
    Some(bytes)
}

fn base64_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Text that arrives in several PDUs.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
}

impl Incoming {
    /// Takes in the text of one PDU.
    pub fn push(&mut self, text: &[u8]) -> Result<(), TextError> {
        if self.bytes.len() + text.len() > TEXT_BYTES_MAX {
            return Err(TextError::TooLong);
        }
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    /// Hands out all that was collected, and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Text that leaves, in one PDU or several.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// Adds a pair. What the peer can make us say is bounded by what it may say itself and by our configuration.
    pub fn push(&mut self, key: &str, value: impl fmt::Display) {
        use std::io::Write as _;
        write!(self.bytes, "{key}={value}\0").expect("writing to memory does not fail");
    }

    /// Whether all is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How much there is to say.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Hands out what fits into one PDU.
    #[must_use]
    pub fn take(&mut self, bytes_max: usize) -> Vec<u8> {
        let rest = &self.bytes[self.sent..];
        let part = rest[..rest.len().min(bytes_max)].to_vec();
        self.sent += part.len();
        if self.is_empty() {
            *self = Self::default();
        }
        part
    }
}

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// More than one side may say.
    TooLong,
    /// More pairs than one text may have.
    TooManyPairs,
    /// Not UTF-8.
    NotUtf8,
    /// A pair without `=`.
    NoEqualSign,
    /// A key that is empty or too long.
    KeyLength {
        /// What it has.
        bytes: usize,
    },
    /// A byte that no key may contain.
    KeyCharacter(u8),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {TEXT_BYTES_MAX} bytes of text"),
            Self::TooManyPairs => write!(f, "more than {PAIRS_MAX} keys in one text"),
            Self::NotUtf8 => f.write_str("text is not UTF-8"),
            Self::NoEqualSign => f.write_str("a pair without '='"),
            Self::KeyLength { bytes } => {
                write!(f, "a key of {bytes} bytes (1 to {KEY_BYTES_MAX} are allowed)")
            }
            Self::KeyCharacter(byte) => write!(f, "a key that contains the byte {byte:#04x}"),
        }
    }
}

impl std::error::Error for TextError {}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &[u8], want: Result<&[(&str, &str)], TextError>) {
        let want = want.map(|pairs| pairs.iter().map(|(key, value)| Pair { key, value }).collect::<Vec<_>>());
        assert_eq!(parse(text), want);
    }

    #[test]
    fn pairs_end_with_a_zero_byte() {
        check(b"A=1\0B=x=y\0C=\0", Ok(&[("A", "1"), ("B", "x=y"), ("C", "")]));
    }

    #[test]
    fn the_last_zero_byte_may_be_missing_and_padding_may_follow() {
        check(b"A=1", Ok(&[("A", "1")]));
        check(b"A=1\0\0\0\0", Ok(&[("A", "1")]));
        check(b"", Ok(&[]));
    }

    #[test]
    fn a_pair_needs_an_equal_sign_and_a_key() {
        check(b"Abc\0", Err(TextError::NoEqualSign));
        check(b"=1\0", Err(TextError::KeyLength { bytes: 0 }));
    }

    #[test]
    fn a_key_has_at_most_63_characters() {
        let key = "K".repeat(63);
        check(format!("{key}=1\0").as_bytes(), Ok(&[(&key, "1")]));
        check(format!("{key}K=1\0").as_bytes(), Err(TextError::KeyLength { bytes: 64 }));
    }

    #[test]
    fn a_blank_is_no_part_of_a_key() {
        check(b"A b=1\0", Err(TextError::KeyCharacter(b' ')));
    }

    #[test]
    fn private_keys_are_keys() {
        check(b"X-com.example.a=1\0X#Foo=2\0", Ok(&[("X-com.example.a", "1"), ("X#Foo", "2")]));
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        let cases =
            [("0", Some(0)), ("262144", Some(262_144)), ("0x40", Some(64)), ("0XfF", Some(255)), ("", None)];
        let wrong = [
            ("0x", None),
            ("-1", None),
            ("+1", None),
            ("1k", None),
            ("0x+1", None),
            ("99999999999999999999", None),
        ];
        for (text, want) in cases.into_iter().chain(wrong) {
            assert_eq!(number(text), want, "{text}");
        }
    }

    #[test]
    fn bytes_are_hexadecimal_or_base64() {
        assert_eq!(binary("0x0aFf"), Some(vec![0x0a, 0xff]));
        assert_eq!(binary("0x123"), Some(vec![0x01, 0x23]));
        assert_eq!(binary("0bAAEC"), Some(vec![0, 1, 2]));
        assert_eq!(binary("0bAAE="), Some(vec![0, 1]));
        assert_eq!(binary("0bAA=="), Some(vec![0]));
        assert_eq!(binary("0b/+8"), Some(vec![0xff, 0xef]));
    }

    #[test]
    fn other_bytes_are_refused() {
        for text in ["", "0x", "0b", "12", "0xg0", "0bA", "0bA===", "0bA*AA"] {
            assert_eq!(binary(text), None, "{text}");
        }
        assert_eq!(binary(&format!("0x{}", "00".repeat(1025))), None);
        assert_eq!(binary(&format!("0x{}", "00".repeat(1024))).map(|b| b.len()), Some(1024));
    }

    #[test]
    fn the_count_of_pairs_has_a_limit() {
        assert_eq!(parse(&b"A=1\0".repeat(PAIRS_MAX)).map(|pairs| pairs.len()), Ok(PAIRS_MAX));
        check(&b"A=1\0".repeat(PAIRS_MAX + 1), Err(TextError::TooManyPairs));
    }

    #[test]
    fn collected_text_has_a_limit() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.push(&vec![0; TEXT_BYTES_MAX]), Ok(()));
        assert_eq!(incoming.push(&[0]), Err(TextError::TooLong));
    }

    #[test]
    fn long_text_leaves_in_parts() {
        let mut out = Outgoing::default();
        out.push("Key", "value");
        out.push("N", 7);
        assert_eq!(out.bytes(), 14);
        assert_eq!(out.take(6), b"Key=va");
        assert!(!out.is_empty());
        assert_eq!(out.take(100), b"lue\0N=7\0");
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn random_values_never_panic(value in "0?[xXbB]?[0-9a-zA-Z+/=é]*") {
            let _ = (number(&value), binary(&value));
        }

        #[test]
        fn hexadecimal_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..1024)) {
            prop_assert_eq!(binary(&hex(&bytes)), Some(bytes));
        }

        #[test]
        fn pairs_come_back(pairs in proptest::collection::vec(("[A-Z][A-Za-z0-9.-]{0,62}", "[^\0]{0,80}"), 0..20)) {
            let mut out = Outgoing::default();
            for (key, value) in &pairs {
                out.push(key, value);
            }
            let bytes = out.take(usize::MAX);
            let parsed: Vec<_> = parse(&bytes).unwrap().iter().map(|p| (p.key.to_owned(), p.value.to_owned())).collect();
            prop_assert_eq!(parsed, pairs);
        }
    }
}
