//! Differences as HTML fragments, with the class names of Grafana's style sheets. All content of documents is escaped.

use std::fmt::Write;

use kymograph_domain::kernel::json::JsonValue;
use kymograph_domain::kernel::json::diff::Difference;
use kymograph_domain::kernel::text::shortened;

use super::MAX_DIFF_BYTES;

/// How many characters of a value or name a summary shows.
const MAX_SHOWN: usize = 200;

/// HTML with a size limit.
#[derive(Default)]
struct Html {
    text: String,
    is_full: bool,
}

impl Html {
    /// Adds an element that remains complete if the output is truncated.
    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        if self.is_full {
            return;
        }
        let before = self.text.len();
        // Writing to a text cannot fail.
        let _ = self.text.write_fmt(element);
        if self.text.len() > MAX_DIFF_BYTES - TRUNCATED.len() - GROUP_END.len() {
            self.text.truncate(before);
            self.text.push_str(TRUNCATED);
            self.is_full = true;
        }
    }
}

const TRUNCATED: &str = "<p class=\"diff-truncated\">There are more differences than are shown.</p>";
const GROUP_END: &str = "</ul></div>";

/// The changes: a group for each member of the document, with a line for each changed value.
pub(super) fn summary(difference: &Difference<'_>) -> String {
    let mut html = Html::default();
    let Difference::Object(members) = difference else { return html.text };
    for (name, member) in members.iter().filter(|(_, member)| !member.is_same()) {
        let mut path = shown_name(name);
        html.push(format_args!(
            "<div class=\"diff-group\"><h2 class=\"diff-group-name\">{path}</h2><ul class=\"diff-list\">"
        ));
        if html.is_full {
            break;
        }
        summarize(&mut html, &mut path, member);
        // Also after a truncation: the rest of the page is outside of the group.
        html.text.push_str(GROUP_END);
    }
    html.text
}

fn summarize(html: &mut Html, path: &mut String, difference: &Difference<'_>) {
    let length = path.len();
    let mut within = |html: &mut Html, step: std::fmt::Arguments<'_>, inner: &Difference<'_>| {
        // Unchanged members have no line, so they need no path.
        if !html.is_full && !inner.is_same() {
            // Writing to a text cannot fail.
            let _ = path.write_fmt(step);
            summarize(html, path, inner);
            path.truncate(length);
        }
    };
    match difference {
        Difference::Same(_) => {}
        Difference::Added(new) => item(html, path, "added", format_args!("added: {}", shown(*new))),
        Difference::Removed(old) => item(html, path, "deleted", format_args!("deleted: {}", shown(*old))),
        Difference::Replaced(old, new) => {
            let arrow = "<span class=\"diff-arrow\">→</span>";
            item(html, path, "changed", format_args!("{} {arrow} {}", shown(*old), shown(*new)));
        }
        Difference::Object(members) => {
            for (name, member) in members {
                within(html, format_args!(".{}", ShownName(name)), member);
            }
        }
        Difference::List(items) => {
            for (index, item) in items.iter().enumerate() {
                within(html, format_args!("[{index}]"), item);
            }
        }
    }
}

fn item(html: &mut Html, path: &str, class: &str, what: std::fmt::Arguments<'_>) {
    html.push(format_args!(
        "<li class=\"diff-item diff-{class}\"><span class=\"diff-label\">{path}</span> {what}</li>"
    ));
}

/// A name in a path, built only where it is shown.
struct ShownName<'a>(&'a str);

impl std::fmt::Display for ShownName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown_name(self.0))
    }
}

fn shown_name(name: &str) -> String {
    escaped(&shortened(name, MAX_SHOWN))
}

fn shown(value: JsonValue<'_>) -> String {
    // A character has at most four bytes.
    let (text, _) = value.beginning(4 * (MAX_SHOWN + 1));
    format!("<span class=\"diff-value\">{}</span>", escaped(&shortened(&text, MAX_SHOWN)))
}

/// The whole document, one line per paragraph.
pub(super) fn lines(difference: &Difference<'_>) -> String {
    let mut lines = Lines::default();
    lines.difference(Place::ROOT, difference);
    lines.html.text
}

/// The text before and after a value, and its indentation.
#[derive(Clone, Copy)]
struct Place<'a> {
    indent: usize,
    name: Option<&'a str>,
    is_last: bool,
}

impl<'a> Place<'a> {
    const ROOT: Self = Self { indent: 0, name: None, is_last: true };

    /// The context of a nested value.
    fn inside(self, name: Option<&'a str>, is_last: bool) -> Self {
        Self { indent: self.indent + 1, name, is_last }
    }
}

#[derive(Default)]
struct Lines {
    html: Html,
    number: usize,
}

impl Lines {
    fn difference(&mut self, place: Place<'_>, difference: &Difference<'_>) {
        if self.html.is_full {
            return;
        }
        match difference {
            Difference::Same(value) => self.value("same", place, *value),
            Difference::Added(new) => self.value("added", place, *new),
            Difference::Removed(old) => self.value("deleted", place, *old),
            Difference::Replaced(old, new) => {
                self.value("old", place, *old);
                self.value("new", place, *new);
            }
            Difference::Object(members) => {
                self.open(place, "{");
                for (index, (name, member)) in members.iter().enumerate() {
                    self.difference(place.inside(Some(name), index + 1 == members.len()), member);
                }
                self.close("same", place, "}");
            }
            Difference::List(items) => {
                self.open(place, "[");
                for (index, item) in items.iter().enumerate() {
                    self.difference(place.inside(None, index + 1 == items.len()), item);
                }
                self.close("same", place, "]");
            }
        }
    }

    fn open(&mut self, place: Place<'_>, bracket: &str) {
        self.line("same", place.indent, &named(place, bracket));
    }

    fn close(&mut self, class: &str, place: Place<'_>, bracket: &str) {
        self.line(class, place.indent, &ended(place, bracket));
    }

    fn value(&mut self, class: &str, place: Place<'_>, value: JsonValue<'_>) {
        if self.html.is_full {
            return;
        }
        let members: Vec<_> = value.members().map(|(name, value)| (Some(name), value)).collect();
        let inner =
            if members.is_empty() { value.items().map(|item| (None, item)).collect() } else { members };
        if inner.is_empty() {
            let (text, _) = value.beginning(MAX_DIFF_BYTES);
            return self.line(class, place.indent, &ended(place, &named(place, &text)));
        }
        let (before, after) = if value.is_object() { ("{", "}") } else { ("[", "]") };
        self.line(class, place.indent, &named(place, before));
        let count = inner.len();
        for (index, (name, value)) in inner.into_iter().enumerate() {
            self.value(class, place.inside(name, index + 1 == count), value);
        }
        self.close(class, place, after);
    }

    fn line(&mut self, class: &str, indent: usize, text: &str) {
        self.number += 1;
        let (number, text) = (self.number, escaped(text));
        self.html.push(
            format_args!(
                "<p id=\"l{number}\" class=\"diff-line diff-json-{class}\"><span class=\"diff-line-number\">{number}</span><span class=\"diff-value diff-indent diff-indent-{indent}\">{text}</span></p>\n"
            ),
        );
    }
}

fn named(place: Place<'_>, text: &str) -> String {
    match place.name {
        Some(name) => format!("{}: {text}", serde_json::Value::from(name)),
        None => text.to_owned(),
    }
}

fn ended(place: Place<'_>, text: &str) -> String {
    format!("{text}{}", if place.is_last { "" } else { "," })
}

/// Escapes a text for HTML, including attributes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            plain => html.push(plain),
        }
    }
    html
}
