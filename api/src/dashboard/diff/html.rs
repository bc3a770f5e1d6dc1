//! Differences as fragments of HTML, with the class names that style sheets for Grafana's know. Everything that
//! comes from a document is escaped.

use std::fmt::Write;

use kymograph_domain::json::JsonValue;
use kymograph_domain::json::diff::Difference;

use super::inline;

/// How many characters of a value a summary shows.
const MAX_SHOWN: usize = 200;

/// What changed: a group for each member of the document, with a line for each value that differs in it.
pub(super) fn summary(difference: &Difference<'_>) -> String {
    let mut html = String::new();
    let Difference::Object(members) = difference else { return html };
    for (name, member) in members.iter().filter(|(_, member)| !member.is_same()) {
        let name = escaped(name);
        push(
            &mut html,
            format_args!(
                "<div class=\"diff-group\"><h2 class=\"diff-group-name\">{name}</h2><ul class=\"diff-list\">"
            ),
        );
        summarize(&mut html, &name, member);
        html.push_str("</ul></div>");
    }
    html
}

fn summarize(html: &mut String, path: &str, difference: &Difference<'_>) {
    let item = |class: &str, what: String| {
        format!("<li class=\"diff-item diff-{class}\"><span class=\"diff-label\">{path}</span> {what}</li>")
    };
    match difference {
        Difference::Same(_) => {}
        Difference::Added(new) => html.push_str(&item("added", format!("added: {}", shown(*new)))),
        Difference::Removed(old) => html.push_str(&item("deleted", format!("deleted: {}", shown(*old)))),
        Difference::Replaced(old, new) => {
            let arrow = "<span class=\"diff-arrow\">→</span>";
            html.push_str(&item("changed", format!("{} {arrow} {}", shown(*old), shown(*new))));
        }
        Difference::Object(members) => {
            for (name, member) in members {
                summarize(html, &format!("{path}.{}", escaped(name)), member);
            }
        }
        Difference::List(items) => {
            for (index, item) in items.iter().enumerate() {
                summarize(html, &format!("{path}[{index}]"), item);
            }
        }
    }
}

fn shown(value: JsonValue<'_>) -> String {
    let text = inline(value);
    let short: String = text.chars().take(MAX_SHOWN).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("<span class=\"diff-value\">{}{more}</span>", escaped(&short))
}

/// The whole document, a line of it in each paragraph.
pub(super) fn lines(difference: &Difference<'_>) -> String {
    let mut lines = Lines::default();
    lines.difference(Place::ROOT, difference);
    lines.html
}

/// What stands before and after a value, and how far in.
#[derive(Clone, Copy)]
struct Place<'a> {
    indent: usize,
    name: Option<&'a str>,
    is_last: bool,
}

impl<'a> Place<'a> {
    const ROOT: Self = Self { indent: 0, name: None, is_last: true };

    /// The place of the next value inside the one at this place.
    fn inside(self, name: Option<&'a str>, is_last: bool) -> Self {
        Self { indent: self.indent + 1, name, is_last }
    }
}

#[derive(Default)]
struct Lines {
    html: String,
    number: usize,
}

impl Lines {
    fn difference(&mut self, place: Place<'_>, difference: &Difference<'_>) {
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
        let members: Vec<_> = value.members().map(|(name, value)| (Some(name), value)).collect();
        let inner =
            if members.is_empty() { value.items().map(|item| (None, item)).collect() } else { members };
        if inner.is_empty() {
            return self.line(class, place.indent, &ended(place, &named(place, &inline(value))));
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
        push(
            &mut self.html,
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

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = html.write_fmt(text);
}

/// A text that means only itself in HTML, inside an attribute too.
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
