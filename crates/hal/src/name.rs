//! iSCSI names: who an initiator or target is.
//!
//! An [`IscsiName`] is checked and normalized once; comparing two is comparing bytes. Normalizing is ASCII lower-casing:
//! names beyond ASCII are compared as they come. Not here: aliases, addresses, TransportIDs.

use std::fmt;
use std::str::FromStr;

/// The most bytes that a name can have.
pub const NAME_BYTES_MAX: usize = 223;

/// A valid name in its normalized form.
//= RFC 7143 "iSCSI Name Structure"
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IscsiName(Box<str>);

impl IscsiName {
    /// Checks and normalizes.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        if let Some(found) = text.chars().find(|c| forbidden(*c)) {
            return Err(NameError::Character(found));
        }
        let name = text.to_ascii_lowercase();
        match name.split_once('.') {
            Some(("iqn", rest)) if is_qualified(rest) => {}
            Some(("iqn", _)) => return Err(NameError::Qualified),
            Some(("eui", rest)) if is_hex(rest, &[16]) => {}
            Some(("eui", _)) => return Err(NameError::Eui),
            Some(("naa", rest)) if is_hex(rest, &[16, 32]) => {}
            Some(("naa", _)) => return Err(NameError::Naa),
            _ => return Err(NameError::Type),
        }
        Ok(Self(name.into_boxed_str()))
    }

    /// The normalized text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IscsiName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no iSCSI name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Longer than a name can be.
    TooLong {
        /// What it has.
        bytes: usize,
    },
    /// Blanks, commas and control characters are not allowed.
    Character(char),
    /// Neither iqn, eui nor naa.
    Type,
    /// Not `iqn.YYYY-MM.domain`.
    Qualified,
    /// Not 16 hexadecimal digits.
    Eui,
    /// Not 16 or 32 hexadecimal digits.
    Naa,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "a name has at most {NAME_BYTES_MAX} bytes, not {bytes}"),
            Self::Character(c) => write!(f, "a name cannot contain {c:?}"),
            Self::Type => f.write_str("a name begins with \"iqn.\", \"eui.\" or \"naa.\""),
            Self::Qualified => f.write_str(
                "an iqn name is \"iqn.YYYY-MM.\" and a reversed domain, as in iqn.2024-01.org.example:disk",
            ),
            Self::Eui => f.write_str("an eui name has 16 hexadecimal digits"),
            Self::Naa => f.write_str("a naa name has 16 or 32 hexadecimal digits"),
        }
    }
}

impl std::error::Error for NameError {}

/// `YYYY-MM.` and something that begins with a domain.
fn is_qualified(rest: &str) -> bool {
    let Some((date, authority)) = rest.split_once('.') else { return false };
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let dated = date
        .split_once('-')
        .is_some_and(|(year, month)| digits(year, 4) && digits(month, 2) && ("01"..="12").contains(&month));
    dated && !authority.is_empty() && !authority.starts_with(':')
}

fn is_hex(rest: &str, lengths: &[usize]) -> bool {
    lengths.contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The standard's profile allows fewer characters in ASCII; initiators in the field use underscores and others, and
/// only these would be mistaken for something else in a list, in text keys or in a TransportID.
fn forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || c == ','
}

#[cfg(test)]
mod tests {
    use super::{IscsiName, NameError};

    #[track_caller]
    fn check(text: &str, want: Result<&str, NameError>) {
        assert_eq!(IscsiName::parse(text).as_ref().map(IscsiName::as_str).map_err(|e| *e), want);
    }

    #[test]
    fn case_is_folded() {
        check("iqn.1991-05.com.microsoft:HOST", Ok("iqn.1991-05.com.microsoft:host"));
    }

    #[test]
    fn an_underscore_is_let_through() {
        check("iqn.2005-03.org.open-iscsi:my_host", Ok("iqn.2005-03.org.open-iscsi:my_host"));
    }

    #[test]
    fn an_eui_name_has_16_digits() {
        check("eui.02004567A425678D", Ok("eui.02004567a425678d"));
        check("eui.02004567a425678", Err(NameError::Eui));
    }

    #[test]
    fn a_naa_name_has_16_or_32_digits() {
        check("naa.52004567ba64678d", Ok("naa.52004567ba64678d"));
        check("naa.62004567ba64678d0123456789abcdef", Ok("naa.62004567ba64678d0123456789abcdef"));
        check("naa.6200", Err(NameError::Naa));
    }

    #[test]
    fn a_month_is_between_1_and_12() {
        check("iqn.2024-13.org.example:x", Err(NameError::Qualified));
        check("iqn.2024-00.org.example:x", Err(NameError::Qualified));
    }

    #[test]
    fn a_date_without_domain_is_not_enough() {
        check("iqn.2024-01", Err(NameError::Qualified));
        check("iqn.2024-01.:x", Err(NameError::Qualified));
    }

    #[test]
    fn another_type_is_refused() {
        check("disk", Err(NameError::Type));
        check("nqn.2014-08.org.nvmexpress:x", Err(NameError::Type));
    }

    #[test]
    fn a_comma_is_refused() {
        check("iqn.2024-01.org.example:a,b", Err(NameError::Character(',')));
    }

    #[test]
    fn length_has_a_limit() {
        let base = "iqn.2024-01.org.example:";
        let long = format!("{base}{}", "x".repeat(223 - base.len()));
        check(&long, Ok(&long));
        check(&format!("{long}x"), Err(NameError::TooLong { bytes: 224 }));
    }
}
