//! Foreign texts in messages.

/// The maximum number of characters of a foreign text in a message.
const MAX_SHOWN: usize = 512;

/// A foreign text for a message: truncated, in one line, without terminal control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .take(MAX_SHOWN)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if text.trim().chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Foreign bytes for a message.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    // A character has up to four bytes, so everything that would be shown is kept.
    let beginning = bytes.get(..MAX_SHOWN * 4 + 4).unwrap_or(bytes);
    shown(&String::from_utf8_lossy(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_in_one_line() {
        assert_eq!(shown(" a\n\u{1b}[31mb "), "a  [31mb");
        let long = shown(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
        assert_eq!(shown_bytes("é".repeat(10_000).as_bytes()), long);
        assert_eq!(shown_bytes(b"\xff"), "\u{fffd}");
    }
}
