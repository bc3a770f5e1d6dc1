//! The error message for a text that is not JSON, with the place of the error.

use serde::de::IgnoredAny;
use simd_json::{Error, ErrorType};

/// The maximum number of bytes of the text in a message.
const SHOWN_BYTES: usize = 20;

/// The byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Numbers of JavaScript and Python that JSON lacks; the parser takes the sign off.
const NO_NUMBERS: [&str; 2] = ["NaN", "Infinity"];

/// Says why a text cannot be parsed. The parser may have resolved escapes before the place of the error, never after it.
pub(super) fn explain(text: &[u8], error: &Error) -> String {
    if text.starts_with(BYTE_ORDER_MARK) {
        return "it begins with a byte order mark, which must be left out".to_owned();
    }
    if [b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| text.starts_with(*mark)) {
        return "it is UTF-16, only UTF-8 is read".to_owned();
    }
    // Without a place, the parser failed before it separated strings from structure, and has resolved nothing yet.
    if error.index() == 0 && error.character().is_none() {
        return explain_unstructured(text);
    }
    if matches!(
        error.error(),
        ErrorType::InvalidEscape | ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUnicodeEscape
    ) {
        // The parser counts its place from the beginning of the string that it is in, not from that of the text.
        let escape = error.character().filter(char::is_ascii_graphic);
        let escape = escape.map(|escape| format!(": \\{escape}")).unwrap_or_default();
        return format!("unknown escape in a text{escape}");
    }
    let Some(rest) = text.get(error.index()..).filter(|rest| !rest.is_empty()) else {
        return "it ends too early".to_owned();
    };
    let at = format!("at byte {}", error.index() + 1);
    if let Some(name) = NO_NUMBERS.iter().find(|name| rest.starts_with(name.as_bytes())) {
        return format!("{name} {at} is not a JSON number (use null)");
    }
    if rest[0] == 0 {
        return format!("NUL character {at}");
    }
    let shown = |rest: &[u8]| String::from_utf8_lossy(&rest[..rest.len().min(SHOWN_BYTES)]).into_owned();
    if let Some(second) = second_value(text) {
        return format!("more than one value at byte {}: {:?}", second + 1, shown(&text[second..]));
    }
    if is_cut(text) {
        return "it ends too early".to_owned();
    }
    format!("unexpected {:?} {at}", shown(rest))
}

/// The place of a second value.
fn second_value(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let rest = text[values.byte_offset()..].trim_ascii_start();
    (!rest.is_empty()).then(|| text.len() - rest.len())
}

/// Whether an object or list has a beginning and no end.
fn is_cut(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    matches!((text.first(), text.last()), (Some(b'{'), last) if last != Some(&b'}'))
        || matches!((text.first(), text.last()), (Some(b'['), last) if last != Some(&b']'))
}

/// Finds the reason why a text is not even a sequence of JSON tokens.
fn explain_unstructured(text: &[u8]) -> String {
    if let Err(error) = std::str::from_utf8(text) {
        return format!("not UTF-8 at byte {}", error.valid_up_to() + 1);
    }
    let (mut is_text, mut is_escaped) = (false, false);
    for (index, byte) in text.iter().enumerate() {
        let at = format_args!("at byte {}", index + 1);
        match byte {
            0 => return format!("NUL character {at}"),
            ..=0x1F if is_text => return format!("control character in a text {at}"),
            _ => {}
        }
        (is_text, is_escaped) = match byte {
            b'"' if !is_escaped => (!is_text, false),
            b'\\' if is_text => (true, !is_escaped),
            _ => (is_text, false),
        };
    }
    if is_text { "a text has no end".to_owned() } else { "it has no value".to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::kernel::json::JsonDocument;

    #[test]
    fn the_fault_is_named() {
        let faults: [(&[u8], &str); 29] = [
            (b"\xEF\xBB\xBF{}", "it begins with a byte order mark, which must be left out"),
            (b"\xFF\xFE{\0}\0", "it is UTF-16, only UTF-8 is read"),
            (b"{\"a\": NaN}", "NaN at byte 7 is not a JSON number (use null)"),
            (b"{\"a\": -Infinity}", "Infinity at byte 8 is not a JSON number (use null)"),
            (b"[\"\\u0041\", Infinity]", "Infinity at byte 12 is not a JSON number (use null)"),
            (b"{\"a\": \"x\0\"}", "NUL character at byte 9"),
            (b"{\0}", "NUL character at byte 2"),
            (b"{\"a\": \"x\ny\"}", "control character in a text at byte 9"),
            (b"{\"a\": \"\xFF\"}", "not UTF-8 at byte 8"),
            (b"{\"a\": \"x", "a text has no end"),
            (b"{\n\"a\": \"x", "a text has no end"),
            (b"\\ \"a", "a text has no end"),
            (b"{\"a\": 1", "it ends too early"),
            (b"{\"a\": \"x\"", "it ends too early"),
            (b"", "it has no value"),
            (b"{} {}", "more than one value at byte 4: \"{}\""),
            (b"\xFE\xFF\0{\0}", "it is UTF-16, only UTF-8 is read"),
            (b"[1", "it ends too early"),
            (b" [1 ", "it ends too early"),
            (b"[\"a\\\"", "a text has no end"),
            (b"[\"\\\\\", \"", "a text has no end"),
            (b"{\"a\" 1}", "unexpected \"1}\" at byte 6"),
            (b"[1,]", "unexpected \"]\" at byte 4"),
            (b"{\"a\": \"\\x41\"}", "unknown escape in a text: \\x"),
            (b"[\"a\\n\", \"it\\'s\"]", "unknown escape in a text: \\'"),
            (b"[\"\\uD800\"]", "unknown escape in a text: \\u"),
            (b"[\"\\\xC3\xA9\"]", "unknown escape in a text"),
            (b"[1] 12345678901234567890123", "more than one value at byte 5: \"12345678901234567890\""),
            (
                b"[\"a\",nul ,\"b\",\"c\",\"d\",\"e\",\"f\"]",
                "unexpected \"nul ,\\\"b\\\",\\\"c\\\",\\\"d\\\",\\\"e\\\"\" at byte 6",
            ),
        ];
        for (text, fault) in faults {
            let mut parsed = text.to_vec();
            let error = JsonDocument::try_parse(&mut parsed).unwrap_err();
            let explained = error.explained(&parsed[..text.len()]);
            assert_eq!(explained, format!("invalid JSON: {fault}"), "{}", String::from_utf8_lossy(text));
        }
    }
}
