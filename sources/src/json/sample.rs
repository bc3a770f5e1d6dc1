//! A fast path for samples in their usual notation, like `[1435781430.781,"1.5"]`: parsed in one pass, because
//! responses have millions of them.

/// The maximum number of digits that a float always represents exactly.
const EXACT_DIGITS: usize = 15;

/// Powers of ten that a float represents exactly.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The nanoseconds in a unit of the last decimal of a second, by the number of decimals.
const NANOS: [u64; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// The maximum number of digits of the seconds of a time.
const MAX_SECOND_DIGITS: usize = 10;

/// A sample at the beginning of a text.
pub(super) struct Sample {
    /// Nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) value: f64,
    /// Its length, in bytes.
    pub(super) length: usize,
}

impl Sample {
    /// Parses a sample without white space, exponents and names of numbers; `None` if it is written otherwise, or is
    /// invalid.
    #[inline]
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (seconds, mut at) = digits(bytes.strip_prefix(b"[")?, 0);
        if at == 0 || at > MAX_SECOND_DIGITS {
            return None;
        }
        let mut time = seconds * NANOS[0];
        at += 1;
        if bytes.get(at) == Some(&b'.') {
            let (decimals, count) = digits(bytes.get(at + 1..)?, 0);
            time += decimals * NANOS.get(count)?;
            at += 1 + count;
        }
        if bytes.get(at..at + 2)? != b",\"" {
            return None;
        }
        let start = at + 2;
        let is_negative = bytes.get(start) == Some(&b'-');
        at = start + usize::from(is_negative);
        let (mut mantissa, mut count) = digits(bytes.get(at..)?, 0);
        at += count;
        let mut decimals = 0;
        if count > 0 && bytes.get(at) == Some(&b'.') {
            (mantissa, decimals) = digits(bytes.get(at + 1..)?, mantissa);
            count += decimals;
            at += 1 + decimals;
        }
        if count == 0 || bytes.get(at..at + 2)? != b"\"]" {
            return None;
        }
        let value = if count > EXACT_DIGITS {
            text.get(start..at)?.parse().ok()?
        } else {
            #[expect(clippy::cast_precision_loss, reason = "so few digits are held exactly")]
            let size = mantissa as f64 / POWERS[decimals];
            if is_negative { -size } else { size }
        };
        Some(Self { time: i64::try_from(time).ok()?, value, length: at + 2 })
    }
}

/// Appends the digits at the beginning of a text to a number, and counts them. Beyond 19 digits the number is
/// meaningless.
#[inline]
fn digits(text: &[u8], mut number: u64) -> (u64, usize) {
    let mut count = 0;
    while let Some(digit) = text.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (number, count)
}

#[cfg(test)]
mod tests {
    use super::super::Json;
    use super::*;

    #[test]
    fn digits_are_read_wherever_they_end() {
        let number = "12345678901234567890";
        for count in 0..=19 {
            for after in
                ["", ".", "/", ":", "\"]", "\u{7F}", "é", "x1234567", "\0\0\0\0\0\0\0\0", ".12345678"]
            {
                let text = format!("{}{after}", &number[..count]);
                let expected = number[..count].parse().unwrap_or(0);
                assert_eq!(digits(text.as_bytes(), 0), (expected, count), "{text}");
            }
        }
        assert_eq!(digits(b"99999999", 99), (9_999_999_999, 8));
        assert_eq!(digits(b"00000000001", 7), (700_000_000_001, 11));
    }

    #[test]
    fn samples_are_what_their_parts_are() {
        for value in [
            "0",
            "-0",
            "1",
            "0.1",
            "-12.75",
            "123456789012345",
            "0.123456789012345",
            "19.571428571428573",
            "9007199254740993",
            "12345678901234567890123",
            "0.00000000000000000000001",
        ] {
            for (time, nanos) in [
                ("0", 0),
                ("1435781430", 1_435_781_430_000_000_000),
                ("1435781430.781", 1_435_781_430_781_000_000),
                ("1435781430.123456789", 1_435_781_430_123_456_789),
            ] {
                let text = format!("[{time},\"{value}\"],");
                let sample = Sample::read(&text).unwrap();
                assert_eq!((sample.time, sample.length), (nanos, text.len() - 1), "{text}");
                assert_eq!(sample.value.to_bits(), value.parse::<f64>().unwrap().to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_read_otherwise() {
        for (text, nanos, value) in [
            ("[ 1 , \"2\" ]", 1_000_000_000, 2.0),
            ("[-1,\"2\"]", -1_000_000_000, 2.0),
            ("[1e1,\"2e3\"]", 10_000_000_000, 2_000.0),
            ("[1.0000000009,\"+Inf\"]", 1_000_000_000, f64::INFINITY),
            ("[1,\"\\u0032\"]", 1_000_000_000, 2.0),
        ] {
            assert!(Sample::read(text).is_none(), "{text}");
            assert_eq!(Json::new(text, 0).sample(), Ok((nanos, value)), "{text}");
        }
        for broken in [
            "",
            "[",
            "[1",
            "[1,",
            "[1,\"",
            "[1,\"2",
            "[1,\"2\"",
            "[,\"2\"]",
            "[1,\"\"]",
            "[1,\"-\"]",
            "[1,\"2.x\"]",
            "[9999999999,\"2\"]",
            "[1,2]",
            "[1.,\"é\"]",
        ] {
            assert!(Json::new(broken, 0).sample().is_err(), "{broken}");
        }
    }
}
