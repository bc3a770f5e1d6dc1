//! Parsers of values. An error contains the expectation, never the text.

use std::str::FromStr;
use std::time::Duration;

/// The value, or the expectation.
pub(super) type Parsed<T> = Result<T, &'static str>;

const DURATION: &str = "a duration such as 10s, 5m, 1h30m or 7d";
const SIZE: &str = "a size such as 1048576, 512KiB or 16MiB";

/// Any text.
#[expect(clippy::unnecessary_wraps, reason = "it has the shape of the other readers")]
pub(super) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// Any text but the empty one.
pub(super) fn non_empty(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("a text that is not empty") } else { Ok(text.to_owned()) }
}

/// The words of a list that is separated by spaces, commas or both.
#[expect(clippy::unnecessary_wraps, reason = "it has the shape of the other readers")]
pub(super) fn list(text: &str) -> Parsed<Vec<String>> {
    let words = text.split([' ', ',', '\t', '\n']).filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

/// A boolean, in Grafana's spellings.
pub(super) fn flag(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("true or false"),
    }
}

/// A port; 0 lets the operating system choose one.
pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse().map_err(|_| "a port number from 0 to 65535")
}

/// A whole number from 0.
pub(super) fn count<T: FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| "a whole number that is not negative")
}

/// A whole number from 1.
pub(super) fn positive<T: FromStr + PartialOrd + Default>(text: &str) -> Parsed<T> {
    text.parse().ok().filter(|number| *number > T::default()).ok_or("a whole number above 0")
}

/// A duration in Grafana's notation: numbers with units, the largest first by custom but in any order, or a
/// plain number of seconds.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = leading_number(rest).ok_or(DURATION)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let part = duration_unit(unit).and_then(|unit| unit.checked_mul(number));
        total = part.and_then(|part| total.checked_add(part)).ok_or(DURATION)?;
        rest = tail;
    }
    if text.is_empty() { Err(DURATION) } else { Ok(total) }
}

/// A duration above zero.
pub(super) fn positive_duration(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("a duration above zero, such as 10s, 5m, 1h30m or 7d"),
        duration => Ok(duration),
    }
}

/// A size in bytes: a plain number, or one with a unit of a power of 1024 (`KiB`) or of 1000 (`KB`).
pub(super) fn size(text: &str) -> Parsed<usize> {
    let (number, unit) = leading_number::<usize>(text).ok_or(SIZE)?;
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err(SIZE),
    };
    number.checked_mul(factor).ok_or(SIZE)
}

/// The length of a unit. The case matters: `m` is a minute and `M` a month.
fn duration_unit(unit: &str) -> Option<Duration> {
    const DAY: u64 = 24 * 60 * 60;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(1)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        "w" => 7 * DAY,
        "M" => 30 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// The number that the text starts with, and the rest.
fn leading_number<T: FromStr>(text: &str) -> Option<(T, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{count, duration, flag, list, positive, positive_duration, size};

    #[test]
    fn durations() {
        let cases = [
            ("0", 0),
            ("90", 90),
            ("10s", 10),
            ("5m", 300),
            ("24h", 86_400),
            ("1h30m", 5_400),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1M", 2_592_000),
            ("1y", 31_536_000),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1s250ms"), Ok(Duration::from_millis(1_250)));
        for text in
            ["", "s", "-1s", "1.5h", "10 s", "1h30", "5x", "1D", "99999999999999999999s", "9999999999999y"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes() {
        let cases = [
            ("0", 0),
            ("1048576", 1 << 20),
            ("512KiB", 512 << 10),
            ("16MiB", 16 << 20),
            ("1 GiB", 1 << 30),
            ("2kb", 2_000),
            ("3MB", 3_000_000),
            ("1GB", 1_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1TiBs", "99999999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_numbers_and_lists() {
        assert_eq!((flag("True"), flag("off"), flag("maybe")), (Ok(true), Ok(false), Err("true or false")));
        assert_eq!(count::<u32>("0"), Ok(0));
        assert!(count::<u32>("-1").is_err());
        assert!(positive::<i64>("0").is_err() && positive::<i64>("-1").is_err());
        assert_eq!(
            list(" a.example, b.example,,c.example "),
            Ok(["a.example", "b.example", "c.example"].map(str::to_owned).to_vec())
        );
    }
}
