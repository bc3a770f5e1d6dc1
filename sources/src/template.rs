//! Variables in the text of a query, as `$name` or `${name}`.

use kymograph_app::source::backend::QueryError;
use serde_json::{Map, Value};

use crate::backend::text;

/// Replaces the known variables. They are from a fixed list, so that a text grows by a limited factor.
///
/// Of `$__interval_ms` only `__interval_ms` is replaced: a name is always the longest possible one.
pub(crate) fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let found = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').and_then(|(name, tail)| Some((value(name)?, tail))),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                let (name, tail) = after.split_at(end);
                value(name).map(|value| (value, tail))
            }
        };
        rest = match found {
            Some((value, tail)) => {
                filled.push_str(value);
                tail
            }
            None => {
                filled.push('$');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

/// The maximum length of a legend format, which is evaluated for each series, and of the name that it produces, in
/// bytes. Both the format and the values are chosen by others.
pub(crate) const MAX_LEGEND: usize = 2_048;

/// The format of a query's legend.
pub(crate) fn legend_format(model: &Map<String, Value>) -> Result<String, QueryError> {
    let format = text(model, "legendFormat")?;
    if format.len() > MAX_LEGEND {
        return Err(QueryError::invalid(format!("legendFormat is longer than {MAX_LEGEND} bytes")));
    }
    Ok(format.to_owned())
}

/// The maximum number of bytes of a character.
const MAX_CHARACTER: usize = 4;

/// Replaces `{{label}}` in a legend by the label's value; by nothing if there is none. The result is truncated at the
/// limit.
pub(crate) fn legend<'v>(format: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else { break };
        push_bounded(&mut filled, before);
        push_bounded(&mut filled, value(name.trim()).unwrap_or_default());
        rest = tail;
        if filled.len() + MAX_CHARACTER > MAX_LEGEND {
            return filled;
        }
    }
    push_bounded(&mut filled, rest);
    filled
}

fn push_bounded(filled: &mut String, text: &str) {
    let mut end = (MAX_LEGEND - filled.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    filled.push_str(text.get(..end).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<&'static str> {
        match name {
            "__interval" => Some("15s"),
            "__interval_ms" => Some("15000"),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_in_both_forms() {
        let cases = [
            ("rate(x[$__interval])", "rate(x[15s])"),
            ("rate(x[${__interval}])", "rate(x[15s])"),
            ("$__interval_ms $__interval_s ${__interval_ms}", "15000 $__interval_s 15000"),
            ("$ $$__interval ${x} ${__interval", "$ $15s ${x} ${__interval"),
            ("no variable é", "no variable é"),
            ("label=~\"a$\"", "label=~\"a$\""),
        ];
        for (text, expected) in cases {
            assert_eq!(fill(text, value), expected, "{text}");
        }
    }

    #[test]
    fn legends_name_labels() {
        let cases = [
            ("{{job}} - {{ instance }}", "a - b"),
            ("{{none}}x", "x"),
            ("{{job", "{{job"),
            ("}} {{job}}", "}} a"),
        ];
        for (format, expected) in cases {
            let value =
                |name: &str| [("job", "a"), ("instance", "b")].into_iter().find(|(known, _)| *known == name);
            assert_eq!(legend(format, |name| value(name).map(|(_, value)| value)), expected, "{format}");
        }
        let value = "é".repeat(100_000);
        assert!(legend(&"{{a}}".repeat(10_000), |_| Some(&value)).len() <= MAX_LEGEND);
    }
}
