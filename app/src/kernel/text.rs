//! Limits on search texts.

use std::borrow::Cow;

/// The maximum number of characters of a search text. Names need no more to be distinguished.
pub const MAX_SEARCHED_CHARACTERS: usize = 200;
/// The maximum number of words of a text whose words are searched for separately.
pub const MAX_SEARCHED_WORDS: usize = 10;

/// The part of a text that is used for a search for the whole text.
#[must_use]
pub fn searched_text(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_SEARCHED_CHARACTERS).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// The part of a text that is used for a search for its words.
#[must_use]
pub fn searched_words(text: &str) -> Cow<'_, str> {
    let text = searched_text(text);
    let mut words = text.split_whitespace();
    let counted: Vec<_> = words.by_ref().take(MAX_SEARCHED_WORDS).collect();
    if words.next().is_none() { text.into() } else { counted.join(" ").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_words_beyond_the_bound_do_not_count() {
        let text = "ä".repeat(MAX_SEARCHED_CHARACTERS);
        assert_eq!(searched_text(&text), text);
        assert_eq!(searched_text(&format!("{text}b")), text);
        assert_eq!(searched_text("short"), "short");
        let words = ["w"; MAX_SEARCHED_WORDS].join("  ");
        assert_eq!(searched_words(&words), words);
        assert_eq!(searched_words(&format!("{words} more")), ["w"; MAX_SEARCHED_WORDS].join(" "));
        assert_eq!(searched_words(""), "");
    }
}
