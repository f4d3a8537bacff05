//! When something was, for people.

/// `2026-11-27 06:33:03 UTC`, from microseconds since 1970.
pub(super) fn utc(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let mut month = 1;
    for length in lengths(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02}:{:02} UTC", days + 1, second % 60)
}

fn days_of(year: u64) -> u64 {
    lengths(year).iter().sum()
}

const fn lengths(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn days_are_counted_with_leap_years() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_767_225_599_999_999), "2025-12-31 23:59:59 UTC");
        assert_eq!(utc(4_107_542_400_000_000), "2100-03-01 00:00:00 UTC");
    }
}
