//! Reading an ini file the way Grafana does.

use std::path::Path;

use ini::{Ini, ParseOption};

use super::ConfigError;

/// What starts a comment.
const COMMENT: [char; 2] = [';', '#'];
/// What stands around a value on several lines, or one that has other quotes in it.
const BLOCK_QUOTE: &str = "\"\"\"";

/// One `key = value` of a file; the section is empty before the first header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) text: String,
}

/// The settings of a file; those of one key are in the order of the file.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Setting>, ConfigError> {
    let syntax = |line| ConfigError::Syntax { path: path.to_owned(), line };
    let text = tidy(text).map_err(syntax)?;
    // Backslashes must survive, in passwords and regular expressions alike. Quotes are taken off below.
    let options = ParseOption { enabled_escape: false, enabled_quote: false, ..ParseOption::default() };
    let file = Ini::load_from_str_opt(&text, options).map_err(|error| syntax(error.line))?;
    let mut settings = Vec::new();
    for (section, properties) in &file {
        let section = section.unwrap_or_default();
        for (name, value) in properties {
            // The parser reads on to the next `=` or `]` wherever that is. A name across lines is a line
            // without one, and may well hold a secret that must not be logged as the name of a key.
            if let Some(stray) = [section, name].into_iter().find_map(first_of_many_lines) {
                return Err(syntax(line_of(&text, stray)));
            }
            settings.push(Setting {
                section: section.into(),
                name: name.into(),
                text: unquoted(value).into(),
            });
        }
    }
    Ok(settings)
}

/// Brings the text into the narrower form that the parser takes: no byte order mark, no indentation, no
/// comments behind values and no value on several lines, all of which Grafana accepts. Every setting stays on
/// its line. The error is the line of a quote without an end.
fn tidy(text: &str) -> Result<String, usize> {
    let mut lines = Vec::new();
    let mut source = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
    while let Some(line) = source.next() {
        if !opens_block(line) {
            lines.push(without_comment(line).to_owned());
            continue;
        }
        let start = lines.len() + 1;
        let mut block = line.to_owned();
        let mut blanks = Vec::new();
        loop {
            let Some(next) = source.next() else { return Err(start) };
            block = format!("{block} {next}");
            blanks.push(String::new());
            if next.contains(BLOCK_QUOTE) {
                break;
            }
        }
        lines.push(block);
        lines.append(&mut blanks);
    }
    Ok(lines.join("\n"))
}

/// What stands behind the first `=` or `:` of a line.
fn value_of(line: &str) -> &str {
    if line.starts_with(COMMENT) {
        return "";
    }
    line.split_once(['=', ':']).map_or("", |(_, value)| value.trim_start())
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

/// The value without the quotes around it, and without a comment behind them. Quotes that are not around all
/// of it belong to it.
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

fn first_of_many_lines(name: &str) -> Option<&str> {
    name.split_once('\n').map(|(first, _)| first)
}

fn line_of(text: &str, start: &str) -> usize {
    text.lines().position(|line| line.trim_start_matches('[').starts_with(start)).map_or(1, |at| at + 1)
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
        assert_eq!(value("; comment\n  # comment\n[s] ; comment\n\nx = 1"), "1");
    }

    #[test]
    fn broken_lines_are_refused_by_number() {
        let cases = [
            ("[a]\nx = 1\nhunter2\ny = 2\n", 3),
            ("[a]\nhunter2", 2),
            ("[a]\n[hunter2\n[b]\nx = 1", 2),
            ("= hunter2", 1),
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
