//! The format of the lines of a file: JSON, or JSON as `COPY` writes it in its text format, with doubled backslashes.
//!
//! In JSON a backslash occurs in strings only, as the start of an escape. A line that was escaped once more has runs of
//! backslashes of even length, and most often it can be parsed in one way only: `\\"` ends a string in JSON, and `COPY`
//! does not write `\"`. A line that can be parsed in both ways has different meanings: `"\\n"` is two characters, or a
//! line break.

use std::borrow::Cow;

use kymograph_app::{Error, Result};

use super::line::Line;
use super::source::RawLines;

/// The format of the lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineForm {
    /// As JSON.
    Json,
    /// As `COPY … TO STDOUT` writes JSON in its text format.
    Copy,
}

/// The advice for an ambiguous file.
const ADVICE: &str = "say which with --lines json or --lines copy, or write the file without such escapes: \
    psql -qAtX -c 'SELECT row_to_json(events) FROM events' -o FILE";

impl LineForm {
    /// Detects the format by the first unambiguous line.
    pub(super) fn of(mut lines: RawLines) -> Result<Self> {
        let mut unclear = None;
        while let Some(line) = lines.next()? {
            if !line.text.contains(&b'\\') {
                continue;
            }
            let is_event = |text: &[u8]| Line::parse(text).is_ok();
            match (is_event(line.text), unescape(line.text).is_some_and(|text| is_event(&text))) {
                (true, false) => return Ok(Self::Json),
                (false, true) => return Ok(Self::Copy),
                (true, true) => unclear = unclear.or(Some(line.number)),
                // The later check reports why it is not an event.
                (false, false) => {}
            }
        }
        let Some(number) = unclear else { return Ok(Self::Json) };
        Err(Error::invalid(format!(
            "line {number}: its backslashes are ambiguous, as those of JSON or of COPY: {ADVICE}"
        )))
    }

    /// The JSON of a line of this format.
    pub(super) fn json(self, text: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Copy if text.contains(&b'\\') => unescape(text).map(Cow::Owned),
            Self::Json | Self::Copy => Some(Cow::Borrowed(text)),
        }
    }
}

/// Removes the escapes of `COPY`; `None` for an escape that `COPY` does not write.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(place) = rest.iter().position(|byte| *byte == b'\\') {
        plain.extend_from_slice(&rest[..place]);
        plain.push(match rest.get(place + 1)? {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            _ => return None,
        });
        rest = &rest[place + 2..];
    }
    plain.extend_from_slice(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(titles: &[&str]) -> Result<LineForm> {
        let line = |title: &&str| {
            format!(
                r#"{{"aggregate_type":"folder","aggregate_id":"a","sequence":1,"event_type":"folder.created",
                "event_version":"1","payload":{{"folder.created":{{"title":{title}}}}}}}"#
            )
            .replace('\n', "")
        };
        let text: Vec<_> = titles.iter().map(line).collect();
        LineForm::of(RawLines::of_text(text.join("\n").as_bytes()))
    }

    #[test]
    fn one_line_that_can_be_read_in_one_way_tells() {
        for json in [r#""a\"b""#, r#""a\n""#, r#""\u00e9""#, r#""\\x""#, r#""\\\n""#] {
            assert_eq!(form(&[r#""a\\n""#, json]).ok(), Some(LineForm::Json), "{json}");
        }
        for copy in [r#""a\\"b""#, r#""say \\"hi\\"""#, r#""\\\\\\"""#, r#"\n"a""#] {
            assert_eq!(form(&[r#""a\\n""#, copy]).ok(), Some(LineForm::Copy), "{copy}");
        }
        assert_eq!(form(&[r#""a""#]).ok(), Some(LineForm::Json));
    }

    #[test]
    fn a_file_that_can_be_read_in_two_ways_is_refused() {
        for unclear in [r#""a\\n""#, r#""C:\\\\x""#, r#""\\u0041""#] {
            let said = form(&[r#""a""#, unclear]).unwrap_err().to_string();
            assert!(said.starts_with("line 2: ") && said.contains("psql -qAtX"), "{said}");
        }
    }

    #[test]
    fn what_copy_escapes_is_undone() {
        assert_eq!(unescape(br#"a\\\\b\\"c\n\t"#).as_deref(), Some(&b"a\\\\b\\\"c\n\t"[..]));
        assert_eq!(unescape(br#"a\"b"#), None);
        assert_eq!(unescape(br"a\"), None);
    }
}
