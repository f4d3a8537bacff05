//! Sizes as people write them: `512M`, `1G`, `1.5T`, `65536`.
//!
//! K, M, G, T, P are powers of 1024, with or without `iB`; with `B` (`10GB`) powers of 1000. What a decimal fraction does not bring to whole
//! blocks is rounded up to 4 KiB, which is some of every size of block.

use core::fmt;

/// Reads a size in bytes.
pub(crate) fn parse(text: &str) -> Result<u64, SizeError> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit_bytes(unit.trim()).ok_or(SizeError)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| SizeError)?;
    let whole = whole.checked_mul(unit).ok_or(SizeError)?;
    let bytes = whole.checked_add(fraction_bytes(fraction, unit)?).ok_or(SizeError)?;
    if fraction.is_empty() || bytes.is_multiple_of(512) {
        return Ok(bytes);
    }
    bytes.checked_next_multiple_of(4096).ok_or(SizeError)
}

/// A size as people read it.
pub(crate) fn show(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit);
    let Some((letter, unit)) = unit else { return format!("{bytes} B") };
    let (whole, tenths) = (bytes / unit, bytes % unit * 10 / unit);
    if bytes.is_multiple_of(*unit) {
        format!("{whole} {letter}iB")
    } else {
        format!("{whole}.{tenths} {letter}iB")
    }
}

/// A text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeError;

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a size (1G, 512M, 1.5T, 65536; K, M, G, T, P are powers of 1024, KB, MB … of 1000)")
    }
}

impl std::error::Error for SizeError {}

const UNITS: [(char, u64); 5] =
    [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40), ('P', 1 << 50)];

fn unit_bytes(text: &str) -> Option<u64> {
    let mut letters = text.chars();
    let Some(letter) = letters.next().map(|c| c.to_ascii_uppercase()) else { return Some(1) };
    let at = UNITS.iter().position(|(unit, _)| *unit == letter);
    match (at, letters.as_str()) {
        (Some(at), "" | "iB") => Some(UNITS[at].1),
        (Some(at), "B") => Some(1000_u64.pow(u32::try_from(at).ok()? + 1)),
        (None, "") if letter == 'B' => Some(1),
        _ => None,
    }
}

/// At most nine decimals, and none of a byte: that would not be a size that someone means.
fn fraction_bytes(digits: &str, unit: u64) -> Result<u64, SizeError> {
    if digits.is_empty() {
        return Ok(0);
    }
    if digits.len() > 9 || unit == 1 {
        return Err(SizeError);
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).map_err(|_| SizeError)?);
    let digits: u128 = digits.parse().map_err(|_| SizeError)?;
    u64::try_from(digits * u128::from(unit) / scale).map_err(|_| SizeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<u64, SizeError>) {
        assert_eq!(parse(text), want, "{text}");
    }

    #[test]
    fn letters_are_powers_of_1024() {
        check("1G", Ok(1 << 30));
        check("512m", Ok(512 << 20));
        check("4KiB", Ok(4096));
        check("7", Ok(7));
    }

    #[test]
    fn a_b_makes_them_powers_of_1000() {
        check("10GB", Ok(10_000_000_000));
    }

    #[test]
    fn fractions_count() {
        check("1.5K", Ok(1536));
        check("0.25M", Ok(256 << 10));
    }

    #[test]
    fn a_fraction_comes_to_whole_blocks() {
        check("1.3G", Ok(1_395_867_648));
        check("15.9T", Ok(17_482_234_884_096));
        check("1.5GB", Ok(1_500_000_256));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "G", "1X", "1.2.3G", "-1", "99999999P", "1 G G", "1.5"] {
            check(text, Err(SizeError));
        }
    }

    #[test]
    fn sizes_are_shown_shortly() {
        let sizes = [512, 1536, 1 << 30, (1 << 40) + (1 << 39)];
        assert_eq!(sizes.map(show), ["512 B", "1.5 KiB", "1 GiB", "1.5 TiB"]);
    }
}
