//! Sizes as targetcli reads and shows them: every unit is a power of 1024, whether or not a `b` or `ib` follows.
//!
//! `felio export` tells `1GB` from `1GiB`; scripts that were written for targetcli rely on it that both are the same.

/// Reads a size in bytes: `1G`, `512MB`, `10gib`, `4096`.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits)?.to_ascii_lowercase();
    let number: u64 = digits.trim_end().parse().ok()?;
    let letter = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let bytes = match letter {
        "" if unit == "ib" => return None,
        "" => 1,
        letter => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(letter))?.1,
    };
    number.checked_mul(bytes)
}

/// A size as `ls` shows it: one decimal, rounded.
pub(crate) fn show(bytes: u64) -> String {
    let Some((letter, unit)) = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let (whole, rest) = (bytes / unit, bytes % unit);
    // The remainder of the largest unit times 10 still fits.
    let tenths = (rest * 10 + unit / 2) / unit;
    format!("{}.{}{letter}iB", whole + tenths / 10, tenths % 10)
}

const UNITS: [(&str, u64); 5] =
    [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40), ("P", 1 << 50)];

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn all_units_are_powers_of_1024() {
        for text in ["1G", "1g", "1GB", "1GiB", "1gib"] {
            assert_eq!(parse(text), Some(1 << 30), "{text}");
        }
        assert_eq!((parse("512"), parse("512b"), parse("3k")), (Some(512), Some(512), Some(3072)));
    }

    #[test]
    fn what_is_no_size_is_none() {
        for text in ["", "G", "1.5G", "-1", "1X", "1ib", "99999999999999P", "1 2G"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_with_one_decimal() {
        let sizes = [512, 1 << 30, 1_572_864, (1 << 40) - 1];
        assert_eq!(sizes.map(show), ["512 bytes", "1.0GiB", "1.5MiB", "1024.0GiB"]);
    }
}
