//! The words of titles, and how titles with a word begin: the index for words that many titles have, see
//! `docs/adr/0015-search.md`.

use std::collections::BTreeSet;

use kymograph_domain::content::dashboard::DashboardContent;

use crate::kernel::rows::{ManyRows, Texts};
use crate::kernel::sql::{Tables, Text};
use crate::kernel::statement::{Statements, column};
use crate::params;

/// The characters between words. The lower case of a character never depends on others beyond one of these, unlike
/// beyond a full stop, a colon or an apostrophe; so the words of a lowered title are the lowered words of the title.
/// All wildcards of `LIKE` are among them.
const SEPARATORS: &str = "\n -_/()[]{},;|=+*&%$#@!?<>\"\\~";
/// Stands for any word.
const ANY: &str = "*";
/// Titles with more words match any word.
const MAX_WORDS: usize = 20;
/// Titles with a longer word, in bytes, match any word, too.
const MAX_WORD_BYTES: usize = 64;
/// Shorter words, in bytes, are not kept.
const MIN_WORD_BYTES: usize = 3;

/// The beginning of a title, as far as it is stored: see `0027_title_words.sql`.
pub(super) fn beginning(title: &str) -> String {
    format!("regexp_replace(left(lower({title}), 32), '^(.{{8}}[^0-9]*)[0-9].*$', '\\10')")
}

/// Inserts the words of titles that differ from the current titles of their dashboards.
static INSERT: Text = Text::new(|| {
    let beginning = beginning("title");
    format!(
        "INSERT INTO title_words (org_id, word, beginning)
    SELECT DISTINCT $1::bigint, word, part.beginning FROM (
        SELECT words, {beginning} AS beginning FROM unnest($2::text[], $3::text[], $4::text[]) AS new (uid, title, words)
        WHERE NOT EXISTS (SELECT FROM dashboards d
            WHERE d.org_id = $1 AND d.uid = new.uid AND d.title = new.title /* deleted or not */)) AS titles,
    unnest(string_to_array(lower(words), E'\\n')) AS word, unnest(ARRAY['', titles.beginning]) AS part (beginning)
    ON CONFLICT DO NOTHING"
    )
});
/// A word with a title, or with the empty title, of which [`beginning`] is the empty text.
static INSERT_WRITTEN: ManyRows = ManyRows {
    before: "INSERT INTO title_words (org_id, word, beginning)
    ",
    of_lists: "",
    written: "VALUES {rows}
    ",
    row: "($1, lower(?::text), regexp_replace(left(lower(?::text), 32), '^(.{8}[^0-9]*)[0-9].*$', '\\10'))",
    after: "ON CONFLICT DO NOTHING",
    texts: Texts::new(),
};

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_kept =
        |word: &&str| word.len() >= MIN_WORD_BYTES && !word.bytes().all(|byte| byte.is_ascii_digit());
    text.split(|letter| SEPARATORS.contains(letter)).filter(is_kept)
}

/// The words of a title to store; [`ANY`] if there are too many.
pub(super) fn kept_words(title: &str) -> Vec<&str> {
    let words: Vec<_> = words(title).collect();
    if words.len() > MAX_WORDS || words.iter().any(|word| word.len() > MAX_WORD_BYTES) {
        return vec![ANY];
    }
    words
}

/// The parts of a searched word; a title that contains the word has each part in one of its stored words.
pub(crate) fn searched_parts(word: &str) -> impl Iterator<Item = &str> {
    words(word).filter(|part| part.chars().nth(MIN_WORD_BYTES - 1).is_some())
}

/// Stores the words of titles, before their dashboards get these titles.
pub(super) fn insert<'a>(
    org: i64,
    contents: impl Iterator<Item = &'a DashboardContent>,
    statements: &mut Statements,
) {
    let titles: BTreeSet<_> =
        contents.map(|content| (content.listed_title(), content.uid.as_str())).collect();
    let with_words = titles.into_iter().map(|(title, uid)| (uid, title, kept_words(title)));
    let titles: Vec<_> = with_words.filter(|(.., words)| !words.is_empty()).collect();
    if titles.is_empty() {
        return;
    }
    match statements.tables() {
        Tables::Local => {
            let uids = column(&titles, |(uid, ..)| (*uid).to_owned());
            let of_titles = column(&titles, |(_, title, _)| (*title).to_owned());
            let words = column(&titles, |(.., words)| words.join("\n"));
            statements.write(&INSERT, params![org, uids, of_titles, words]);
        }
        Tables::Distributed => {
            let rows: BTreeSet<_> = titles
                .iter()
                .flat_map(|(_, title, words)| words.iter().flat_map(|word| [(*word, ""), (*word, *title)]))
                .collect();
            let rows = rows.into_iter().map(|(word, title)| [word.into(), title.into()]);
            INSERT_WRITTEN.write(org, rows.collect(), statements);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_between_separators() {
        assert_eq!(
            kept_words("CPU of host-77: 5.5 % (Σύνολο) 2024"),
            ["CPU", "host", "77:", "5.5", "Σύνολο"]
        );
        assert_eq!(kept_words(" 1234 - ab / 12"), [""; 0]);
        assert_eq!(kept_words(&"w ".repeat(5000)), [""; 0]);
        assert_eq!(kept_words(&"word ".repeat(20)).len(), 20);
        assert_eq!(kept_words(&"word ".repeat(21)), [ANY]);
        assert_eq!(kept_words(&format!("word {}", "x".repeat(64))).len(), 2);
        assert_eq!(kept_words(&format!("word {}", "x".repeat(65))), [ANY]);
    }

    #[test]
    fn titles_begin_alike_however_they_are_written() {
        assert!(INSERT_WRITTEN.row.contains(&beginning("?::text")));
        assert!(INSERT.contains(&beginning("title")));
    }

    #[test]
    fn what_is_searched_for_is_in_parts_of_three_characters() {
        let parts = |word| searched_parts(word).collect::<Vec<_>>();
        assert_eq!(parts("host-777"), ["host"]);
        assert_eq!(parts("éé-çà-a.b"), ["a.b"]);
        assert_eq!(parts("100%_of\\it"), [""; 0]);
    }
}
