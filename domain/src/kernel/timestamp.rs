//! Points in time with the precision of the log, which is a microsecond.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Numbers below this are not milliseconds since the epoch: no time here is before 1973.
pub const FIRST_MILLISECONDS: i64 = 100_000_000_000;

impl Timestamp {
    /// The timestamp of a date, cut to microseconds.
    #[must_use]
    pub fn from_date(date: OffsetDateTime) -> Self {
        // A date of the supported range of years fits: its seconds are below 2^38.
        Self(date.unix_timestamp() * 1_000_000 + i64::from(date.microsecond()))
    }

    /// The date, for the database and for formatting. A timestamp out of the supported range becomes the epoch.
    #[must_use]
    pub fn date(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.seconds())
            .and_then(|date| date.replace_microsecond(self.microseconds()))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The end of the year 9999, after which no time is accepted.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// Reads RFC 3339, like `2026-11-01T10:00:00+01:00`, or a number of milliseconds or seconds since the epoch: a
    /// number that would be before 1973 in milliseconds is read as seconds. `None` for any other text, and for times
    /// outside of the years 1 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp = match text.parse::<i64>() {
            Ok(seconds) if (0..FIRST_MILLISECONDS).contains(&seconds) => Some(Self(0).plus_seconds(seconds)),
            Ok(milliseconds) => milliseconds.checked_mul(1_000).map(Self),
            Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::from_date),
        };
        let is_supported =
            |timestamp: &Self| *timestamp <= Self::MAX && timestamp.0 >= -62_135_596_800_000_000;
        timestamp.filter(is_supported)
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The microseconds since the last whole second.
    fn microseconds(self) -> u32 {
        // Less than a million.
        u32::try_from(self.0.rem_euclid(1_000_000)).unwrap_or_default()
    }

    /// RFC 3339 with whole seconds, as Grafana writes dates: `2026-11-01T10:00:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let mut text = String::with_capacity(20);
        self.push_seconds(&mut text);
        text.push('Z');
        text
    }

    /// RFC 3339 with microseconds: `2026-11-01T10:00:00.123456Z`.
    #[must_use]
    pub fn rfc3339_micros(self) -> String {
        let mut text = String::with_capacity(27);
        self.push_seconds(&mut text);
        text.push('.');
        push_padded(&mut text, self.microseconds(), 6);
        text.push('Z');
        text
    }

    fn push_seconds(self, text: &mut String) {
        let date = self.date();
        let (hour, minute, second) = date.to_hms();
        // Written digit by digit, because each response has several times and general formatting takes ten times as
        // long.
        push_padded(text, date.year().unsigned_abs(), 4);
        for (separator, number) in
            [('-', u8::from(date.month())), ('-', date.day()), ('T', hour), (':', minute), (':', second)]
        {
            text.push(separator);
            push_padded(text, number.into(), 2);
        }
    }

    /// The timestamp that many seconds later, or earlier for a negative number.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

/// Adds a number in decimal digits, with zeros before it.
fn push_padded(text: &mut String, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_like_grafana() {
        assert_eq!(Timestamp(1_730_455_200_123_456).rfc3339(), "2024-11-01T10:00:00Z");
        assert_eq!(Timestamp(0).rfc3339(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn is_the_same_as_a_date_and_back() {
        for micros in [0, 1, -1, -1_000_001, 1_730_455_200_123_456, Timestamp::MAX.0] {
            let date = Timestamp(micros).date();
            assert_eq!(date.unix_timestamp_nanos(), i128::from(micros) * 1_000);
            assert_eq!(Timestamp::from_date(date), Timestamp(micros));
        }
        assert_eq!(Timestamp(i64::MAX).date(), OffsetDateTime::UNIX_EPOCH);
    }

    #[test]
    fn tells_all_it_knows_when_asked_to() {
        assert_eq!(Timestamp(1_730_455_200_003_456).rfc3339_micros(), "2024-11-01T10:00:00.003456Z");
    }

    #[test]
    fn reads_dates_milliseconds_and_seconds() {
        let timestamp = Some(Timestamp(1_730_455_200_123_000));
        assert_eq!(Timestamp::parse("1730455200123"), timestamp);
        assert_eq!(Timestamp::parse("1730455200"), Some(Timestamp(1_730_455_200_000_000)));
        assert_eq!(Timestamp::parse("0"), Some(Timestamp(0)));
        assert_eq!(Timestamp::parse("99999999999"), Some(Timestamp(99_999_999_999_000_000)));
        assert_eq!(Timestamp::parse("100000000000"), Some(Timestamp(100_000_000_000_000)));
        assert_eq!(Timestamp::parse("2024-11-01T11:00:00.123+01:00"), timestamp);
        for wrong in ["", "yesterday", "2024-11-01", "1e9", "9223372036854775807", "999999999999999"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_last_time_is_one() {
        assert_eq!(Timestamp::from_date(Timestamp::MAX.date()), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.rfc3339(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn survives_the_way_through_a_date() {
        let timestamp = Timestamp(1_730_455_200_123_456);
        assert_eq!(Timestamp::from_date(timestamp.date()), timestamp);
    }

    #[test]
    fn only_times_of_the_years_1_to_9999_are_read() {
        let (first, last) = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::parse(first), Some(Timestamp(-62_135_596_800_000_000)));
        assert_eq!(Timestamp::parse("-62135596800000"), Timestamp::parse(first));
        assert_eq!(Timestamp::parse(last), Some(Timestamp::MAX));
        assert_eq!(Timestamp::parse("253402300799999"), Some(Timestamp(253_402_300_799_999_000)));
        for wrong in ["0000-12-31T23:59:59Z", "-62135596800001", "253402300800000"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_are_whole_and_are_added() {
        assert_eq!((Timestamp(-1).seconds(), Timestamp(1_999_999).seconds()), (-1, 1));
        assert_eq!(Timestamp(5).plus_seconds(-2), Timestamp(-1_999_995));
        assert_eq!(Timestamp(5).plus_seconds(i64::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(-1).rfc3339_micros(), "1969-12-31T23:59:59.999999Z");
    }
}
