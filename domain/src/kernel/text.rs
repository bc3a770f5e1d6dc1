//! Limits on texts that people write, and the one way in which names are compared.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The maximum length of a title, name, login or e-mail address, in bytes. Grafana's column is 190 characters wide; a
/// title in any script fits in this many bytes.
pub const MAX_NAME_BYTES: usize = 760;

/// The maximum length of a description or version message, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 16 * 1024;

/// Whether a name is short enough and free of NUL, which PostgreSQL cannot store.
#[must_use]
pub fn is_storable(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && !text.contains('\0')
}

/// A login or e-mail address in the form in which it is stored to be found, and compared: without surrounding space,
/// case or compatibility variants. Folding is done here only, never in SQL, because PostgreSQL and Rust disagree
/// about letters such as `İ` and `Σ`.
#[must_use]
pub fn fold(name: &str) -> String {
    let name = name.trim();
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let folded = name.chars().nfd().default_case_fold().nfkd().default_case_fold();
    folded.nfkc().collect::<String>().trim().to_owned()
}

/// True if two names are the same except for the case of their letters. Unlike [`fold`] it distinguishes characters
/// that only look alike, such as full-width letters or the Kelvin sign and plain ones.
#[must_use]
pub fn differ_in_case_only(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    one.to_lowercase() == other.to_lowercase() && one.to_uppercase() == other.to_uppercase()
}

/// Whether a name has characters that are invisible or change how others are shown: control characters, and Unicode's
/// default ignorable characters such as zero-width spaces and overrides of the direction of text. Names appear in mails
/// and logs, and must not look like other names. A variation selector may follow a symbol, as in many emoji.
#[must_use]
pub fn has_hidden_characters(name: &str) -> bool {
    let mut after_symbol = false;
    name.chars().any(|character| {
        let is_hidden = match character {
            '\u{FE0E}' | '\u{FE0F}' => !after_symbol,
            other => is_hidden(other),
        };
        after_symbol = !character.is_alphanumeric() && !character.is_whitespace();
        is_hidden
    })
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// The first characters of a text, with an ellipsis if there are more.
#[must_use]
pub fn shortened(text: &str, max_characters: usize) -> String {
    match text.char_indices().nth(max_characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last boundary of a character of a text at or before `bytes` bytes.
#[must_use]
pub fn char_boundary(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_case_or_in_more() {
        for (one, other) in [("Ann", "ANN "), ("Åke", "åke"), ("νίκη", "ΝΊΚΗ")] {
            assert!(differ_in_case_only(one, other), "{one} {other}");
        }
        for (one, other) in [("Ａnn", "ann"), ("\u{212A}elly", "kelly"), ("ﬁ", "fi"), ("ſam", "sam")] {
            assert_eq!(fold(one), fold(other));
            assert!(!differ_in_case_only(one, other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_look_alike_fold_alike() {
        let alike = [
            ("Ann", "ann"),
            (" spacy ", "spacy"),
            ("ΝΙΚΟΣ", "νικος"),
            ("ΝΙΚΟΣ", "νικοσ"),
            ("İrem", "i\u{307}rem"),
            ("straße", "STRASSE"),
            ("Ａｄｍｉｎ", "admin"),
            ("E\u{301}va", "éva"),
        ];
        for (one, other) in alike {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("İrem"), fold("irem"));
    }

    #[test]
    fn folding_again_changes_nothing() {
        for character in char::MIN..='\u{1FFFF}' {
            let once = fold(&format!("a{character}b"));
            assert_eq!(fold(&once), once, "{}", character.escape_unicode());
        }
    }

    #[test]
    fn what_cannot_be_seen_is_found() {
        for hidden in [
            "a\u{200B}b",
            "a\u{202E}b",
            "a\u{7}b",
            "a\nb",
            "\u{FEFF}a",
            "a\u{FE0F}",
            "\u{2601} \u{FE0F}",
            "a\u{2066}b",
            "\u{200D}",
        ] {
            assert!(has_hidden_characters(hidden), "{}", hidden.escape_unicode());
        }
        for plain in ["Ann Smith", "ΝΙΚΟΣ", "東京", "\u{2601}\u{FE0F} Cloud", "o'Brien", "a\u{301}"] {
            assert!(!has_hidden_characters(plain), "{plain}");
        }
    }

    #[test]
    fn a_text_is_stored_up_to_its_limit_and_without_nul() {
        assert!(is_storable("", 0) && is_storable("éa", 3));
        assert!(!is_storable("éa", 2) && !is_storable("a\0", 3));
    }

    #[test]
    fn a_longer_text_ends_with_an_ellipsis() {
        for (characters, expected) in [(4, "éab"), (3, "éab"), (2, "éa…"), (0, "…")] {
            assert_eq!(shortened("éab", characters), expected);
        }
        assert_eq!(shortened("", 0), "");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (bytes, boundary) in [(0, 0), (1, 1), (2, 1), (3, 3), (4, 4), (9, 4)] {
            assert_eq!(char_boundary("aéb", bytes), boundary, "{bytes}");
        }
    }
}
