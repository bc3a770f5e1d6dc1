//! A JSON parser that reads a text once, front to back, directly into columns. The responses of sources have millions
//! of small values, each of which a document tree would keep.

mod sample;

use std::borrow::Cow;

use kymograph_domain::source::frame::Labels;
use sample::Sample;

/// The bytes counted for a label in addition to its texts.
pub(crate) const LABEL: usize = 64;

/// The maximum nesting depth of values.
const MAX_DEPTH: usize = 64;

/// Why a text is not JSON of the expected shape.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// Not JSON, or JSON of another shape.
    #[error("something else than the JSON of its API at byte {0}")]
    Malformed(usize),
    /// It exceeds the memory budget.
    #[error("more series, labels or points than fit")]
    TooMuch,
}

pub(crate) type Read<T> = Result<T, JsonError>;

/// A JSON text and the position of the parser.
///
/// The parsed values can be larger than the text, so each series and each label is subtracted from a budget.
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
    budget: usize,
}

impl<'a> Json<'a> {
    /// A parser of a text whose values may take up to `budget` bytes.
    pub(crate) fn new(text: &'a str, budget: usize) -> Self {
        Self { text, at: 0, budget }
    }

    /// Subtracts from the budget.
    pub(crate) fn spend(&mut self, bytes: usize) -> Read<()> {
        self.budget = self.budget.checked_sub(bytes).ok_or(JsonError::TooMuch)?;
        Ok(())
    }

    /// A syntax error at the current position.
    pub(crate) fn malformed<T>(&self) -> Read<T> {
        Err(JsonError::Malformed(self.at))
    }

    /// The current position.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Returns to an earlier position.
    pub(crate) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// The next byte that is not white space, without consuming it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Read<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return self.malformed(),
            }
        }
    }

    /// Consumes a byte if it is next.
    #[inline]
    pub(crate) fn accept(&mut self, byte: u8) -> Read<bool> {
        let is_next = self.peek()? == byte;
        self.at += usize::from(is_next);
        Ok(is_next)
    }

    /// Consumes a byte that must be next.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Read<()> {
        if self.accept(byte)? { Ok(()) } else { self.malformed() }
    }

    /// Whether another element of a list or member of an object follows; consumes the comma, or the end.
    #[inline]
    pub(crate) fn goes_on(&mut self, is_first: &mut bool, end: u8) -> Read<bool> {
        if self.accept(end)? {
            return Ok(false);
        }
        if !std::mem::take(is_first) {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Parses a list. `element` must consume each element.
    #[inline]
    pub(crate) fn list(&mut self, mut element: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.expect(b'[')?;
        let mut is_first = true;
        while self.goes_on(&mut is_first, b']')? {
            element(self)?;
        }
        Ok(())
    }

    /// Parses an object. `member` must consume each value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        self.expect(b'{')?;
        let mut is_first = true;
        while self.goes_on(&mut is_first, b'}')? {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, &name)?;
        }
        Ok(())
    }

    /// Parses a string, which is copied only if it has escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Read<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    // The quotation mark and everything before it are whole characters.
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0x20..) => self.at += 1,
                _ => return self.malformed(),
            }
        }
    }

    /// Parses a string with an escape, which begins at `start`.
    #[cold]
    fn escaped(&mut self, start: usize) -> Read<String> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(0x20..) => self.at += 1,
                _ => return self.malformed(),
            }
        }
        let quoted = self.text.get(start - 1..=self.at).ok_or(JsonError::Malformed(start))?;
        let text = serde_json::from_str(quoted).map_err(|_| JsonError::Malformed(start))?;
        self.at += 1;
        Ok(text)
    }

    /// Parses a number, and returns its text.
    #[inline]
    pub(crate) fn number(&mut self) -> Read<&'a str> {
        self.peek()?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if number.is_empty() { self.malformed() } else { Ok(number) }
    }

    /// Parses a number as a float.
    pub(crate) fn float(&mut self) -> Read<f64> {
        let at = self.at;
        self.number()?.parse().map_err(|_| JsonError::Malformed(at))
    }

    /// Parses a number in a string, as Prometheus writes samples, so that `NaN` and `+Inf` are numbers.
    #[inline]
    pub(crate) fn quoted_float(&mut self) -> Read<f64> {
        let at = self.at;
        self.string()?.parse().map_err(|_| JsonError::Malformed(at))
    }

    /// Parses decimal seconds since 1970 as nanoseconds; exact where a float would not be.
    #[inline]
    pub(crate) fn seconds(&mut self) -> Read<i64> {
        let at = self.at;
        let text = self.number()?;
        nanoseconds(text.as_bytes()).ok_or(JsonError::Malformed(at))
    }

    /// Parses a sample: its time in nanoseconds since 1970, and its value.
    #[inline]
    pub(crate) fn sample(&mut self) -> Read<(i64, f64)> {
        if let Some(sample) = Sample::read(self.text.get(self.at..).unwrap_or_default()) {
            self.at += sample.length;
            return Ok((sample.time, sample.value));
        }
        self.expect(b'[')?;
        let time = self.seconds()?;
        self.expect(b',')?;
        let value = self.quoted_float()?;
        self.expect(b']')?;
        Ok((time, value))
    }

    /// Parses an object whose values are strings.
    pub(crate) fn labels(&mut self) -> Read<Labels> {
        let mut labels = Labels::new();
        self.object(|json, name| {
            let value = json.string()?;
            json.spend(LABEL + name.len() + value.len())?;
            labels.insert(name.to_owned(), value.into_owned());
            Ok(())
        })?;
        Ok(labels)
    }

    /// Skips a value of any type.
    pub(crate) fn skip(&mut self) -> Read<()> {
        self.skip_nested(MAX_DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Read<()> {
        let Some(depth) = depth.checked_sub(1) else { return self.malformed() };
        match self.peek()? {
            b'{' => self.object(|json, _| json.skip_nested(depth)),
            b'[' => self.list(|json| json.skip_nested(depth)),
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.malformed();
        }
        self.at += word.len();
        Ok(())
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Read<()> {
        if self.peek().is_ok() { self.malformed() } else { Ok(()) }
    }
}

/// Decimal seconds as nanoseconds.
#[inline]
fn nanoseconds(text: &[u8]) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    let (digits, is_negative) = match text {
        [b'-', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    let (mut seconds, mut at) = (0_i64, 0);
    while let Some(digit) = digits.get(at).filter(|digit| digit.is_ascii_digit()) {
        seconds = seconds.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        at += 1;
    }
    let (whole, mut nanos) = (at, 0);
    if digits.get(at) == Some(&b'.') {
        at += 1;
        let mut unit = SECOND / 10;
        while let Some(digit) = digits.get(at).filter(|digit| digit.is_ascii_digit()) {
            nanos += i64::from(digit - b'0') * unit;
            unit /= 10;
            at += 1;
        }
    }
    if whole == 0 || at < digits.len() {
        return from_float(text);
    }
    let total = seconds.checked_mul(SECOND)?.checked_add(nanos)?;
    Some(if is_negative { -total } else { total })
}

/// Seconds with an exponent as nanoseconds.
#[cold]
fn from_float(text: &[u8]) -> Option<i64> {
    let nanos = std::str::from_utf8(text).ok()?.parse::<f64>().ok()? * 1e9;
    // Times beyond 2^62 are never queried, and below that the cast is exact enough.
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range of an i64")]
    (nanos.abs() < 4.6e18).then_some(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::new(text, 1_000_000)
    }

    #[test]
    fn texts_have_escapes_or_not() {
        assert_eq!(json(r#" "plain é" "#).string().unwrap(), "plain é");
        assert_eq!(json(r#""a\"\\\u00e9\n""#).string().unwrap(), "a\"\\é\n");
        for broken in ["\"a", "\"a\\", "\"a\nb\"", r#""\x""#, "a", "", r#""\ud800""#] {
            assert!(json(broken).string().is_err(), "{broken}");
        }
    }

    #[test]
    fn times_are_exact() {
        let cases = [
            ("1435781430.781", 1_435_781_430_781_000_000),
            ("1435781430", 1_435_781_430_000_000_000),
            ("1435781430.7", 1_435_781_430_700_000_000),
            ("0.000000001", 1),
            ("0.0000000019", 1),
            ("-1.5", -1_500_000_000),
            ("1.4e9", 1_400_000_000_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(json(text).seconds(), Ok(nanos), "{text}");
        }
        for broken in ["99999999999999999999", "1e30", "1.2.3", "--1", ".", "-"] {
            assert!(json(broken).seconds().is_err(), "{broken}");
        }
    }

    #[test]
    fn samples_are_floats() {
        let read = |text: &str| json(text).quoted_float();
        assert_eq!(read("\"1.5e3\""), Ok(1500.0));
        assert_eq!(read("\"+Inf\""), Ok(f64::INFINITY));
        assert_eq!(read("\"-Inf\""), Ok(f64::NEG_INFINITY));
        assert!(read("\"NaN\"").unwrap().is_nan());
        assert!(read("\"x\"").is_err() && read("1").is_err());
    }

    #[test]
    fn values_are_passed_over() {
        let text = r#"{"a":[1,-2.5e3,"x\"",{"b":null}],"c":true,"d":[],"e":{}} "#;
        let mut read = json(text);
        read.skip().unwrap();
        read.end().unwrap();
        for broken in ["{", "[1", "[1 2]", "{\"a\"}", "{,}", "[,1]", "nul", "[1]]", "{\"a\":1,}"] {
            let mut read = json(broken);
            assert!(read.skip().and_then(|()| read.end()).is_err(), "{broken}");
        }
        let deep = "[".repeat(100_000);
        assert!(json(&deep).skip().is_err());
    }

    #[test]
    fn labels_are_paid_for() {
        let text = r#"{"__name__":"up","job":"a"}"#;
        assert_eq!(json(text).labels().unwrap().len(), 2);
        assert_eq!(Json::new(text, 100).labels(), Err(JsonError::TooMuch));
    }
}
