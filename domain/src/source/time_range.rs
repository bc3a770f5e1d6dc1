//! The time range of a query, as requests write it: milliseconds, dates, or date math on the present. All of it is UTC.

use std::fmt;

use serde_json::Value;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The maximum length of a text that is read as a time, in bytes.
pub const MAX_TIME_BYTES: usize = 64;
/// The maximum number of steps of date math, like `-1d` or `/w`, after a time.
pub const MAX_STEPS: usize = 8;
/// The latest time, which is the last that fits into nanoseconds; the earliest is as far before 1970.
pub const MAX_TIME_MS: i64 = i64::MAX / 1_000_000;

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]");
const SECOND: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");

/// The reason why a time range is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeRangeError {
    /// It cannot be read.
    #[error(
        "{edge} is {text:?}, which is neither milliseconds since 1970, a date, nor date math like now-6h or now/d"
    )]
    Unreadable {
        /// The end of the range.
        edge: Edge,
        /// The beginning of the text.
        text: String,
    },
    /// The time is missing.
    #[error("{0} is missing")]
    Missing(Edge),
    /// It is out of the supported range.
    #[error("{0} is beyond the years 1678 to 2261, between which times have to be")]
    TooFar(Edge),
    /// The end is before the beginning.
    #[error("from is after to")]
    Reversed,
}

/// An end of a time range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The beginning: rounding leads to the first instant of a unit.
    From,
    /// The end: rounding leads to the last millisecond of a unit.
    To,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::From => "from",
            Self::To => "to",
        })
    }
}

/// The beginning and the end of a range, in milliseconds since 1970. The values are those of a request: texts or whole
/// numbers.
pub fn parse_range(from: &Value, to: &Value, now_ms: i64) -> Result<(i64, i64), TimeRangeError> {
    let range = (parse_value(from, Edge::From, now_ms)?, parse_value(to, Edge::To, now_ms)?);
    if range.0 > range.1 { Err(TimeRangeError::Reversed) } else { Ok(range) }
}

fn parse_value(value: &Value, edge: Edge, now_ms: i64) -> Result<i64, TimeRangeError> {
    match value {
        Value::Null => Err(TimeRangeError::Missing(edge)),
        Value::String(text) if text.is_empty() => Err(TimeRangeError::Missing(edge)),
        Value::String(text) => parse_time(text, edge, now_ms),
        // A number that is not whole is refused with its text.
        value => parse_time(&value.to_string(), edge, now_ms),
    }
}

/// One end of a range, in milliseconds since 1970.
pub fn parse_time(text: &str, edge: Edge, now_ms: i64) -> Result<i64, TimeRangeError> {
    let text = text.trim();
    let unreadable = || {
        let shown = text.chars().take(MAX_TIME_BYTES).collect();
        TimeRangeError::Unreadable { edge, text: shown }
    };
    if text.len() > MAX_TIME_BYTES {
        return Err(unreadable());
    }
    let bounded = |ms: i64| if ms.abs() <= MAX_TIME_MS { Ok(ms) } else { Err(TimeRangeError::TooFar(edge)) };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return bounded(text.parse().map_err(|_| TimeRangeError::TooFar(edge))?);
    }
    let (anchor, steps) = match text.strip_prefix("now") {
        Some(steps) => (bounded(now_ms).map(at)?, steps),
        None => {
            let (date, steps) = text.split_once("||").unwrap_or((text, ""));
            (parse_date(date).ok_or_else(unreadable)?, steps)
        }
    };
    let (mut time, mut rest, mut count) = (anchor, steps, 0);
    while !rest.is_empty() {
        let (step, after) = Step::parse(rest).filter(|_| count < MAX_STEPS).ok_or_else(unreadable)?;
        time = step.apply(time, edge).ok_or(TimeRangeError::TooFar(edge))?;
        (rest, count) = (after, count + 1);
    }
    bounded(milliseconds(time))
}

fn at(ms: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(ms)
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    // The nanoseconds of the years that a date can have are fewer milliseconds than an i64 holds.
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// A date, with a time or not; without an offset it is UTC.
fn parse_date(text: &str) -> Option<OffsetDateTime> {
    let text = text.replacen(' ', "T", 1);
    let without_zone = || {
        let date = |time: PrimitiveDateTime| time.assume_utc();
        PrimitiveDateTime::parse(&text, SECOND)
            .or_else(|_| PrimitiveDateTime::parse(&text, MINUTE))
            .map(date)
            .or_else(|_| Date::parse(&text, DATE).map(|day| day.midnight().assume_utc()))
    };
    OffsetDateTime::parse(&text, &Rfc3339).or_else(|_| without_zone()).ok()
}

/// A unit of date math.
#[derive(Clone, Copy)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    /// The unit at the beginning of a text, and what follows. Fiscal years begin in January.
    fn parse(text: &str) -> Option<(Self, &str)> {
        const UNITS: &[(&str, Unit)] = &[
            ("ms", Unit::Millisecond),
            ("fy", Unit::Year),
            ("fQ", Unit::Quarter),
            ("y", Unit::Year),
            ("Q", Unit::Quarter),
            ("M", Unit::Month),
            ("w", Unit::Week),
            ("d", Unit::Day),
            ("h", Unit::Hour),
            ("H", Unit::Hour),
            ("m", Unit::Minute),
            ("s", Unit::Second),
        ];
        UNITS.iter().find_map(|(name, unit)| text.strip_prefix(name).map(|rest| (*unit, rest)))
    }

    /// The time that is `count` units later.
    fn add(self, time: OffsetDateTime, count: i64) -> Option<OffsetDateTime> {
        let seconds = |each: i64| time.checked_add(Duration::seconds(count.checked_mul(each)?));
        match self {
            Self::Year => add_months(time, count.checked_mul(12)?),
            Self::Quarter => add_months(time, count.checked_mul(3)?),
            Self::Month => add_months(time, count),
            Self::Week => seconds(7 * 24 * 3600),
            Self::Day => seconds(24 * 3600),
            Self::Hour => seconds(3600),
            Self::Minute => seconds(60),
            Self::Second => seconds(1),
            Self::Millisecond => time.checked_add(Duration::milliseconds(count)),
        }
    }

    /// The first instant of the unit that a time is in. Weeks begin on Monday.
    fn start(self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        let time = time.to_offset(time::UtcOffset::UTC);
        let (date, clock) = (time.date(), time.time());
        let first_of = |month: u8| {
            let month = Month::try_from(month).ok()?;
            Some(Date::from_calendar_date(date.year(), month, 1).ok()?.midnight().assume_utc())
        };
        let on_day = |hour, minute, second, milli| {
            Some(date.with_time(Time::from_hms_milli(hour, minute, second, milli).ok()?).assume_utc())
        };
        match self {
            Self::Year => first_of(1),
            Self::Quarter => first_of((u8::from(date.month()) - 1) / 3 * 3 + 1),
            Self::Month => first_of(u8::from(date.month())),
            Self::Week => {
                let days = i64::from(date.weekday().number_days_from_monday());
                Some(date.checked_sub(Duration::days(days))?.midnight().assume_utc())
            }
            Self::Day => on_day(0, 0, 0, 0),
            Self::Hour => on_day(clock.hour(), 0, 0, 0),
            Self::Minute => on_day(clock.hour(), clock.minute(), 0, 0),
            Self::Second => on_day(clock.hour(), clock.minute(), clock.second(), 0),
            Self::Millisecond => on_day(clock.hour(), clock.minute(), clock.second(), clock.millisecond()),
        }
    }
}

/// The same time of day some months later; a day that the month does not have is its last.
fn add_months(time: OffsetDateTime, count: i64) -> Option<OffsetDateTime> {
    let date = time.date();
    let months = i64::from(date.year())
        .checked_mul(12)?
        .checked_add(i64::from(u8::from(date.month())) - 1)?
        .checked_add(count)?;
    let year = i32::try_from(months.div_euclid(12)).ok()?;
    let month = Month::try_from(u8::try_from(months.rem_euclid(12)).ok()? + 1).ok()?;
    let day = date.day().min(month.length(year));
    Some(time.replace_date(Date::from_calendar_date(year, month, day).ok()?))
}

/// A step of date math.
enum Step {
    Add(i64, Unit),
    Round(Unit),
}

impl Step {
    /// The step at the beginning of a text, and what follows.
    fn parse(text: &str) -> Option<(Self, &str)> {
        if let Some(rest) = text.strip_prefix('/') {
            let (unit, rest) = Unit::parse(rest)?;
            return Some((Self::Round(unit), rest));
        }
        let rest = text.strip_prefix(['+', '-'])?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
        let (unit, after) = Unit::parse(&rest[digits..])?;
        Some((Self::Add(if text.starts_with('-') { -count } else { count }, unit), after))
    }

    fn apply(&self, time: OffsetDateTime, edge: Edge) -> Option<OffsetDateTime> {
        match self {
            Self::Add(count, unit) => unit.add(time, *count),
            Self::Round(unit) => {
                let start = unit.start(time)?;
                match edge {
                    Edge::From => Some(start),
                    Edge::To => unit.add(start, 1)?.checked_sub(Duration::milliseconds(1)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const DAY_MS: i64 = 24 * 3600 * 1000;

    fn moment(time: OffsetDateTime) -> i64 {
        milliseconds(time)
    }

    fn parse(text: &str, edge: Edge, now: OffsetDateTime) -> i64 {
        parse_time(text, edge, moment(now)).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn numbers_and_dates_are_times() {
        let now = datetime!(2024-02-29 13:14:15.678 UTC);
        for (text, expected) in [
            ("1500000000000", 1_500_000_000_000),
            ("-1", -1),
            (" 0 ", 0),
            ("2024-05-06", moment(datetime!(2024-05-06 0:00 UTC))),
            ("2024-05-06T07:08:09Z", moment(datetime!(2024-05-06 7:08:09 UTC))),
            ("2024-05-06T07:08:09.123456+02:00", moment(datetime!(2024-05-06 5:08:09.123 UTC))),
            ("2024-05-06 07:08:09", moment(datetime!(2024-05-06 7:08:09 UTC))),
            ("2024-05-06T07:08:09.5", moment(datetime!(2024-05-06 7:08:09.5 UTC))),
            ("2024-05-06 07:08", moment(datetime!(2024-05-06 7:08 UTC))),
            ("2024-05-06||+1M/d", moment(datetime!(2024-06-06 0:00 UTC))),
            ("now", moment(now)),
        ] {
            assert_eq!(parse(text, Edge::From, now), expected, "{text}");
        }
        let range = parse_range(&json!(1000), &json!("now-1d"), moment(now)).unwrap();
        assert_eq!(range, (1000, moment(now) - DAY_MS));
    }

    #[test]
    fn date_math_keeps_to_the_calendar() {
        for (now, text, expected) in [
            (datetime!(2024-03-31 12:00 UTC), "now-1M", datetime!(2024-02-29 12:00 UTC)),
            (datetime!(2023-03-31 12:00 UTC), "now-1M", datetime!(2023-02-28 12:00 UTC)),
            (datetime!(2024-02-29 12:00 UTC), "now-1y", datetime!(2023-02-28 12:00 UTC)),
            (datetime!(2024-02-29 12:00 UTC), "now+4y", datetime!(2028-02-29 12:00 UTC)),
            (datetime!(2024-01-31 12:00 UTC), "now+1Q", datetime!(2024-04-30 12:00 UTC)),
            (datetime!(2024-03-01 12:00 UTC), "now-1d", datetime!(2024-02-29 12:00 UTC)),
            (datetime!(2024-01-01 00:30 UTC), "now-1h", datetime!(2023-12-31 23:30 UTC)),
            (datetime!(2024-03-05 12:00 UTC), "now-d", datetime!(2024-03-04 12:00 UTC)),
            (datetime!(2024-03-05 12:00 UTC), "now-1w+2d-90s", datetime!(2024-02-29 11:58:30 UTC)),
            (datetime!(2024-03-05 12:00 UTC), "now-1500ms", datetime!(2024-03-05 11:59:58.5 UTC)),
            // 2100 is no leap year.
            (datetime!(2100-03-01 00:00 UTC), "now-1d", datetime!(2100-02-28 00:00 UTC)),
        ] {
            assert_eq!(at(parse(text, Edge::From, now)), expected, "{text} at {now}");
        }
    }

    #[test]
    fn the_end_rounds_up() {
        // A Thursday.
        let now = datetime!(2024-02-29 13:14:15.678 UTC);
        for (text, first, last) in [
            ("now/y", datetime!(2024-01-01 0:00 UTC), datetime!(2024-12-31 23:59:59.999 UTC)),
            ("now/fy", datetime!(2024-01-01 0:00 UTC), datetime!(2024-12-31 23:59:59.999 UTC)),
            ("now/Q", datetime!(2024-01-01 0:00 UTC), datetime!(2024-03-31 23:59:59.999 UTC)),
            ("now/M", datetime!(2024-02-01 0:00 UTC), datetime!(2024-02-29 23:59:59.999 UTC)),
            ("now/w", datetime!(2024-02-26 0:00 UTC), datetime!(2024-03-03 23:59:59.999 UTC)),
            ("now/d", datetime!(2024-02-29 0:00 UTC), datetime!(2024-02-29 23:59:59.999 UTC)),
            ("now/h", datetime!(2024-02-29 13:00 UTC), datetime!(2024-02-29 13:59:59.999 UTC)),
            ("now/m", datetime!(2024-02-29 13:14 UTC), datetime!(2024-02-29 13:14:59.999 UTC)),
            ("now/s", datetime!(2024-02-29 13:14:15 UTC), datetime!(2024-02-29 13:14:15.999 UTC)),
            ("now-1d/d", datetime!(2024-02-28 0:00 UTC), datetime!(2024-02-28 23:59:59.999 UTC)),
            ("now-1M/M", datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-31 23:59:59.999 UTC)),
            ("now/d+8h", datetime!(2024-02-29 8:00 UTC), datetime!(2024-03-01 7:59:59.999 UTC)),
            // A time with an offset is rounded in UTC.
            (
                "2024-03-01T00:30:00+02:00||/d",
                datetime!(2024-02-29 0:00 UTC),
                datetime!(2024-02-29 23:59:59.999 UTC),
            ),
        ] {
            let found = (at(parse(text, Edge::From, now)), at(parse(text, Edge::To, now)));
            assert_eq!(found, (first, last), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let now_ms = moment(datetime!(2024-02-29 13:14:15 UTC));
        let long = "1".repeat(MAX_TIME_BYTES + 1);
        let steps = format!("now{}", "-1s".repeat(MAX_STEPS + 1));
        for text in [
            "",
            "-",
            "later",
            "now-",
            "now-1",
            "now-1x",
            "now/",
            "now/2d",
            "now 1d",
            "nowadays",
            "1.5",
            "2024-02-30",
            "2024-13-01",
            "2024-02-29||-",
            "now--1d",
            "now-99999999999999999999d",
            "true",
            &long,
            &steps,
        ] {
            let error = parse_time(text, Edge::From, now_ms).unwrap_err();
            assert!(matches!(error, TimeRangeError::Unreadable { .. }), "{text}: {error}");
        }
        for text in [
            "9223372036855",
            "-9223372036855",
            "99999999999999999999",
            "now+9999y",
            "now-999999999999y",
            "now+9223372036854775807y",
            "now-9223372036854775807ms",
            "2263-01-01",
            "1600-01-01",
        ] {
            assert_eq!(parse_time(text, Edge::To, now_ms), Err(TimeRangeError::TooFar(Edge::To)), "{text}");
        }
        assert_eq!(parse_range(&json!("now"), &json!("now-1s"), now_ms), Err(TimeRangeError::Reversed));
        for value in [json!(null), json!(1.5), json!(true), json!([]), json!({"a": 1})] {
            assert!(parse_range(&value, &json!("now"), now_ms).is_err(), "{value}");
        }
        assert_eq!(parse_time(&MAX_TIME_MS.to_string(), Edge::To, now_ms), Ok(MAX_TIME_MS));
        let within = "now-1s".to_owned() + &"-1s".repeat(MAX_STEPS - 1);
        assert_eq!(parse_time(&within, Edge::To, now_ms), Ok(now_ms - 8000));
    }
}
