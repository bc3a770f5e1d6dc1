//! Intervals between points: their notation, and the choice of one that fits a time range.

use std::fmt::Write as _;

/// A second, in milliseconds.
pub(crate) const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
const YEAR: i64 = 365 * DAY;

/// The maximum number of points of a series requested from a source, which is the limit of Prometheus.
pub(crate) const MAX_POINTS: i64 = 11_000;

/// The number of points if a panel specifies none.
const DEFAULT_POINTS: i64 = 1_500;

/// Round intervals in milliseconds: each pair is the upper limit of the exact interval, and the round one used for it.
const ROUND: &[(i64, i64)] = &[
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, SECOND),
    (3_500, 2 * SECOND),
    (7_500, 5 * SECOND),
    (12_500, 10 * SECOND),
    (17_500, 15 * SECOND),
    (25_000, 20 * SECOND),
    (45_000, 30 * SECOND),
    (90_000, MINUTE),
    (210_000, 2 * MINUTE),
    (450_000, 5 * MINUTE),
    (750_000, 10 * MINUTE),
    (1_050_000, 15 * MINUTE),
    (1_500_000, 20 * MINUTE),
    (2_700_000, 30 * MINUTE),
    (5_400_000, HOUR),
    (9_000_000, 2 * HOUR),
    (16_200_000, 3 * HOUR),
    (32_400_000, 6 * HOUR),
    (DAY, 12 * HOUR),
    (WEEK, DAY),
    (3 * WEEK, WEEK),
    (6 * WEEK, 30 * DAY),
];

fn round(interval_ms: i64) -> i64 {
    ROUND.iter().find(|(most, _)| interval_ms <= *most).map_or(YEAR, |(_, round)| *round)
}

/// The round interval that divides a range into about `points` points; not less than `least_ms`.
pub(crate) fn fitting(range_ms: i64, points: i64, least_ms: i64) -> i64 {
    let points = if points > 0 { points } else { DEFAULT_POINTS };
    round(range_ms / points).max(least_ms)
}

/// The smallest round interval with which a range has no more points than [`MAX_POINTS`].
pub(crate) fn safe(range_ms: i64) -> i64 {
    let exact = range_ms / MAX_POINTS + i64::from(range_ms % MAX_POINTS != 0);
    ROUND.iter().map(|(_, round)| *round).find(|round| *round >= exact).unwrap_or(exact.max(YEAR))
}

/// Parses an interval like `15s`, `1h30m`, `>10s` or a number of seconds; `None` if it is invalid or not above zero.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('>').trim_start();
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(SECOND).filter(|millis| *millis > 0);
    }
    let (mut total, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        total = number.parse::<i64>().ok()?.checked_mul(unit_ms(unit)?)?.checked_add(total)?;
        rest = tail;
    }
    Some(total).filter(|millis| *millis > 0)
}

fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => WEEK,
        "M" => 30 * DAY,
        "y" => YEAR,
        _ => return None,
    })
}

/// An interval in its largest whole unit, like `1m` or `90s`, as in queries.
pub(crate) fn text(interval_ms: i64) -> String {
    let units = [(YEAR, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")];
    let unit = units.iter().find(|(length, _)| interval_ms >= *length && interval_ms % length == 0);
    let (length, unit) = unit.unwrap_or(&(1, "ms"));
    format!("{}{unit}", interval_ms / length)
}

/// An interval in Go's notation for durations, like `1m0s`, `1.5s` or `20ms`, in which clients expect the step of a
/// query.
pub(crate) fn go_text(interval_ms: i64) -> String {
    if interval_ms < SECOND {
        return if interval_ms == 0 { "0s".to_owned() } else { format!("{interval_ms}ms") };
    }
    let mut text = String::new();
    if interval_ms >= HOUR {
        let _ = write!(text, "{}h", interval_ms / HOUR);
    }
    if interval_ms >= MINUTE {
        let _ = write!(text, "{}m", interval_ms % HOUR / MINUTE);
    }
    let _ = write!(text, "{}s", seconds_text(interval_ms % MINUTE));
    text
}

/// Milliseconds as seconds, with as many decimals as are needed.
pub(crate) fn seconds_text(millis: i64) -> String {
    let (sign, size) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let (seconds, rest) = (size / 1_000, size % 1_000);
    if rest == 0 {
        return format!("{sign}{seconds}");
    }
    format!("{sign}{seconds}.{rest:03}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_fit_their_range() {
        let cases = [
            (HOUR, 1_000, 15 * SECOND, 15 * SECOND),
            (HOUR, 1_000, SECOND, 5 * SECOND),
            (6 * HOUR, 1_000, SECOND, 20 * SECOND),
            (DAY, 100, SECOND, 15 * MINUTE),
            (YEAR, 1_000, SECOND, 6 * HOUR),
            (HOUR, 0, 1, 2 * SECOND),
            (0, 100, 7, 7),
        ];
        for (range, points, least, expected) in cases {
            assert_eq!(fitting(range, points, least), expected, "{range} {points}");
        }
    }

    #[test]
    fn no_range_has_too_many_points() {
        for range in [1, HOUR, DAY, 30 * DAY, 400 * DAY, 20 * YEAR, i64::MAX / 1_000_000, i64::MAX] {
            let step = safe(range);
            assert!(step > 0 && range / step <= MAX_POINTS, "{range}: {step}");
        }
        assert_eq!(safe(30 * DAY), 5 * MINUTE);
    }

    #[test]
    fn intervals_are_read() {
        let cases = [
            ("15s", 15_000),
            (">10s", 10_000),
            ("1h30m", 5_400_000),
            ("30", 30_000),
            ("250ms", 250),
            ("1d", DAY),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
        for text in ["", "0", "0s", "-1s", "s", "1x", "1.5h", "99999999999999999y", "5 s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_are_written() {
        for (millis, plain, go) in [
            (20, "20ms", "20ms"),
            (1_000, "1s", "1s"),
            (1_500, "1500ms", "1.5s"),
            (15_000, "15s", "15s"),
            (60_000, "1m", "1m0s"),
            (90_000, "90s", "1m30s"),
            (3_600_000, "1h", "1h0m0s"),
            (2 * DAY, "2d", "48h0m0s"),
        ] {
            assert_eq!((text(millis).as_str(), go_text(millis).as_str()), (plain, go));
        }
        assert_eq!(seconds_text(1_500), "1.5");
        assert_eq!(seconds_text(-1_050), "-1.05");
    }
}
