//! Parses ini files like Grafana.

use std::borrow::Cow;
use std::path::Path;

use super::ConfigError;

/// The separators of a key and its value.
const SEPARATOR: [char; 2] = ['=', ':'];
/// The characters that start a comment.
const COMMENT: [char; 2] = [';', '#'];
/// The delimiter of a value with line breaks or quotes.
const BLOCK_QUOTE: &str = "\"\"\"";

/// One `key = value` of a file; the section is empty before the first header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) text: String,
}

/// The settings of a file, in order. An error contains the number of a line, not its text, which may be a secret.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Setting>, ConfigError> {
    let (mut settings, mut section) = (Vec::new(), String::new());
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim).enumerate();
    while let Some((at, line)) = lines.next() {
        let syntax = || ConfigError::Syntax { path: path.to_owned(), line: at + 1 };
        let mut line = Cow::Borrowed(without_comment(line));
        if line.is_empty() || line.starts_with(COMMENT) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            section = name(header.strip_suffix(']').unwrap_or_default()).ok_or_else(syntax)?;
            continue;
        }
        if opens_block(&line) {
            loop {
                let (_, next) = lines.next().ok_or_else(syntax)?;
                line = format!("{line} {next}").into();
                if next.contains(BLOCK_QUOTE) {
                    break;
                }
            }
        }
        let (key, value) = line.split_once(SEPARATOR).ok_or_else(syntax)?;
        let (name, text) = (name(key).ok_or_else(syntax)?, unquoted(value.trim()).to_owned());
        settings.push(Setting { section: section.clone(), name, text });
    }
    Ok(settings)
}

/// The name of a section or key, unless it is empty.
fn name(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The text behind the first `=` or `:` of a line.
fn value_of(line: &str) -> &str {
    line.split_once(SEPARATOR).map_or("", |(_, value)| value.trim_start())
}

fn opens_block(line: &str) -> bool {
    value_of(line).strip_prefix(BLOCK_QUOTE).is_some_and(|rest| !rest.contains(BLOCK_QUOTE))
}

/// Cuts ` ; comment` and ` # comment`. Quoted values are left alone, and so are `;` and `#` inside a word.
fn without_comment(line: &str) -> &str {
    if value_of(line).starts_with(['"', '\'', '`']) {
        return line;
    }
    let blank_before = |at: usize| line[..at].ends_with([' ', '\t']);
    match line.match_indices(COMMENT).find(|&(at, _)| blank_before(at)) {
        Some((at, _)) => line[..at].trim_end(),
        None => line,
    }
}

/// The value without its quotes, and without a comment behind them. Quotes around a part of it belong to it.
fn unquoted(value: &str) -> &str {
    for quote in [BLOCK_QUOTE, "`", "\"", "'"] {
        if let Some((inside, rest)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            let rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with(COMMENT) {
                return inside;
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    fn parsed(text: &str) -> Vec<(String, String, String)> {
        let settings = parse(text, Path::new("custom.ini")).unwrap();
        settings.into_iter().map(|setting| (setting.section, setting.name, setting.text)).collect()
    }

    fn value(line: &str) -> String {
        parsed(line).remove(0).2
    }

    #[test]
    fn sections_may_repeat_and_the_first_keys_have_none() {
        let text = "\u{feff}app_mode = production\r\n[a]\r\nx = 1\r\n[b.c]\r\ny = 2\r\n[a]\r\nx = 3\r\n";
        let expected = [("", "app_mode", "production"), ("a", "x", "1"), ("b.c", "y", "2"), ("a", "x", "3")];
        assert_eq!(parsed(text), expected.map(|(s, n, v)| (s.to_owned(), n.to_owned(), v.to_owned())));
    }

    #[test]
    fn values_keep_what_grafana_keeps() {
        assert_eq!(value(r"x = C:\new\table"), r"C:\new\table");
        assert_eq!(value("x = a#b;c"), "a#b;c");
        assert_eq!(value("x = a ; comment"), "a");
        assert_eq!(value("  x = a # comment"), "a");
        assert_eq!(value("x = 'a b '"), "a b ");
        assert_eq!(value("x = \"a ;b\" ; comment"), "a ;b");
        assert_eq!(value("x = `'a`"), "'a");
        assert_eq!(value("x = \"a\"b"), "\"a\"b");
        assert_eq!(value("x = a'b\""), "a'b\"");
        assert_eq!(value("x = \"\"\"#a\" ;b\"\"\""), "#a\" ;b");
        assert_eq!(value("x = \"\"\"a\n b = c ;\n\"\"\"\ny = d"), "a b = c ; ");
        assert_eq!(value("x =\ny = 1"), "");
        assert_eq!(value("x: a = b"), "a = b");
        assert_eq!(value("; comment\n  # comment\n[s] ; comment\n\nx = 1"), "1");
    }

    #[test]
    fn broken_lines_are_refused_by_number() {
        let cases = [
            ("[a]\nx = 1\nhunter2\ny = 2\n", 3),
            ("[a]\nhunter2", 2),
            ("[a]\n[hunter2\n[b]\nx = 1", 2),
            ("= hunter2", 1),
            ("x = 1\n[]\ny = 2", 2),
            ("[a] hunter2 = 1", 1),
            ("[a]\nx = \"\"\"hunter2\ny = 2", 2),
            ("[a]\nx = \"\"\"a\nb\"\"\"\nhunter2\ny = 2", 4),
        ];
        for (text, line) in cases {
            let message = parse(text, Path::new("custom.ini")).unwrap_err().to_string();
            let expected =
                format!("custom.ini, line {line}: expected `[section]`, `key = value` or a comment");
            assert_eq!(message, expected, "{text}");
        }
    }
}
