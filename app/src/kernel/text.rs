//! How much of a text counts that is searched for.

use std::borrow::Cow;

/// How many characters count of a text that is searched for. No name needs more to be told from the others.
pub const MAX_SEARCHED_CHARACTERS: usize = 200;
/// How many words count where each of them is looked for.
pub const MAX_SEARCHED_WORDS: usize = 10;

/// What counts of a text that is searched for as it is.
#[must_use]
pub fn searched_text(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_SEARCHED_CHARACTERS).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// What counts of a text whose words are searched for.
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
