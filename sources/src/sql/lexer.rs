//! The parts of an SQL text that matter to macros: code, quoted texts, and comments.

/// The kind of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a number, or one character of anything else.
    Code,
    /// A quoted string or name, with its quotes.
    Quoted,
    /// A closed comment.
    Comment,
}

/// A part of an SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// The text.
    pub(crate) text: &'a str,
}

/// The parts of an SQL text, which together are the text. An unclosed part extends to the end, where PostgreSQL reports
/// an error.
pub(crate) struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The text that is not yet consumed.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Skips `bytes` bytes of the remaining text.
    pub(crate) fn skip_bytes(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let first = self.rest.chars().next()?;
        let (kind, length) = measure(self.rest, first);
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Part { kind, text })
    }
}

/// The kind and the length of the part at the beginning of a text.
fn measure(text: &str, first: char) -> (Kind, usize) {
    match first {
        '\'' => (Kind::Quoted, quoted(text, b'\'', false)),
        '"' => (Kind::Quoted, quoted(text, b'"', false)),
        '-' if text.starts_with("--") => (Kind::Comment, text.find(['\n', '\r']).unwrap_or(text.len())),
        '/' if text.starts_with("/*") => match block_comment(text) {
            Some(length) => (Kind::Comment, length),
            None => (Kind::Quoted, text.len()),
        },
        '$' => match dollar_quoted(text) {
            Some(length) => (Kind::Quoted, length),
            None => (Kind::Code, 1),
        },
        'E' | 'e' if text[1..].starts_with('\'') => (Kind::Quoted, 1 + quoted(&text[1..], b'\'', true)),
        first if starts_name(first) => (Kind::Code, name(text)),
        first => (Kind::Code, first.len_utf8()),
    }
}

fn starts_name(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

/// The length of a name. A dollar sign is part of it, unless the macro for the interval begins there, which is common
/// in names of tables.
fn name(text: &str) -> usize {
    let is_inside = |at: usize, character: char| {
        starts_name(character)
            || character.is_ascii_digit()
            || (character == '$' && !text[at..].starts_with("$__interval"))
    };
    text.char_indices().find(|&(at, character)| !is_inside(at, character)).map_or(text.len(), |(at, _)| at)
}

/// The length of a quoted text, in which two quotes stand for one, and a backslash may escape the next character.
fn quoted(text: &str, quote: u8, has_escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        let is_pair = byte == quote && bytes.get(at + 1) == Some(&quote);
        if is_pair || (byte == b'\\' && has_escapes) {
            at += 2;
        } else if byte == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a comment, which may contain nested ones; `None` if it is not closed.
fn block_comment(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        match text.as_bytes().get(at..at + 2)? {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}

/// The length of a text between two equal tags like `$tag$`; `None` if there is none here.
fn dollar_quoted(text: &str) -> Option<usize> {
    let end = text[1..].find('$')? + 1;
    let tag = &text[..=end];
    let mut inside = tag[1..end].chars();
    let is_tag = inside.next().is_none_or(starts_name)
        && inside.all(|character| starts_name(character) || character.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let body = &text[tag.len()..];
    Some(body.find(tag).map_or(text.len(), |length| 2 * tag.len() + length))
}

/// The text without its comments. An unclosed comment is kept, so that PostgreSQL rejects it.
pub(crate) fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for Part { kind, text } in Parts::of(text) {
        match kind {
            Kind::Comment if text.starts_with("--") => {}
            Kind::Comment => kept.push(' '),
            Kind::Code | Kind::Quoted => kept.push_str(text),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_texts_stay() {
        for (text, expected) in [
            ("SELECT 1 -- one\n+ 2", "SELECT 1 \n+ 2"),
            ("SELECT 1 -- one\r+ 2", "SELECT 1 \r+ 2"),
            ("SELECT/* a */1", "SELECT 1"),
            ("SELECT /*/*/ 1", "SELECT /*/*/ 1"),
            ("SELECT /* a /* b */ c */ 1", "SELECT   1"),
            ("SELECT /*/**/*/ 1", "SELECT   1"),
            ("SELECT /* -- */ 1", "SELECT   1"),
            ("SELECT 1 -- /* \n, 2", "SELECT 1 \n, 2"),
            ("SELECT '--', '/* x */'", "SELECT '--', '/* x */'"),
            ("SELECT 'it''s -- here', 1 -- x", "SELECT 'it''s -- here', 1 "),
            (r"SELECT E'\'--', 1 -- x", r"SELECT E'\'--', 1 "),
            (r"SELECT e'a\\', 1 -- x", r"SELECT e'a\\', 1 "),
            // Without the E a backslash has no meaning.
            (r"SELECT '\', 1 -- x'", r"SELECT '\', 1 "),
            // The E at the end of a name does not begin a string.
            ("SELECT nameE'x', 1 -- x", "SELECT nameE'x', 1 "),
            ("SELECT \"a--b\", \"c\"\"--\" -- x", "SELECT \"a--b\", \"c\"\"--\" "),
            ("SELECT $$ -- $$, 1 -- x", "SELECT $$ -- $$, 1 "),
            ("SELECT $a$ $b$ -- $a$, 1 -- x", "SELECT $a$ $b$ -- $a$, 1 "),
            ("SELECT $1, a$b, c$d --$", "SELECT $1, a$b, c$d "),
            ("SELECT a$$ -- $$", "SELECT a$$ "),
            ("SELECT 'ü--' -- ü", "SELECT 'ü--' "),
            ("SELECT ü$$--$$", "SELECT ü$$"),
            ("SELECT a - -1 / 2 * 3", "SELECT a - -1 / 2 * 3"),
            ("SELECT /* open", "SELECT /* open"),
            ("SELECT /* open /* */", "SELECT /* open /* */"),
            ("SELECT 'open --", "SELECT 'open --"),
            ("SELECT $x$ open -- $y$", "SELECT $x$ open -- $y$"),
            ("SELECT 1/*", "SELECT 1/*"),
            ("--", ""),
            ("", ""),
        ] {
            assert_eq!(without_comments(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_are_the_text() {
        for text in
            ["SELECT E'\\", "a'b\"c$d$e--f", "/**", "$", "$$", "$é$x", "E", "é'é\\", "-", "/", "E'\\é'"]
        {
            let joined: String = Parts::of(text).map(|part| part.text).collect();
            assert_eq!(joined, text);
        }
    }
}
