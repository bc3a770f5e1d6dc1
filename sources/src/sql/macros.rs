//! The macros of SQL queries, like `$__timeFilter(at)`. Their replacements consist of numbers and times of ours, and of
//! the query's own text.

use kymograph_app::source::backend::TimeRange;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::fill::{Fill, FillValue};
use super::lexer::{Kind, Part, Parts, without_comments};
use crate::interval;

/// The maximum length of a statement, before and after macros are replaced.
pub(crate) const MAX_SQL_BYTES: usize = 1024 * 1024;
/// The maximum nesting depth of macros.
pub(crate) const MAX_MACRO_DEPTH: usize = 8;

/// The values that macros are replaced by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacements {
    /// The time range of the query.
    pub(crate) range: TimeRange,
    /// The time between points, in milliseconds.
    pub(crate) interval_ms: i64,
    /// Whether the server has `time_bucket`.
    pub(crate) has_time_bucket: bool,
}

/// A statement that can be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    /// The text, without comments and macros.
    pub(crate) sql: String,
    /// The fill of missing points, if a macro defines it.
    pub(crate) fill: Option<Fill>,
}

/// Makes a statement of a query.
pub(crate) fn statement(raw_sql: &str, replacements: Replacements) -> Result<Statement, String> {
    bounded(raw_sql.len())?;
    let mut expansion = Expansion { replacements, fill: None };
    let sql = expansion.expand(&without_comments(raw_sql), 0)?;
    Ok(Statement { sql, fill: expansion.fill })
}

fn bounded(length: usize) -> Result<(), String> {
    if length > MAX_SQL_BYTES {
        return Err(format!("the query is longer than {MAX_SQL_BYTES} bytes"));
    }
    Ok(())
}

struct Expansion {
    replacements: Replacements,
    fill: Option<Fill>,
}

impl Expansion {
    fn expand(&mut self, text: &str, depth: usize) -> Result<String, String> {
        if depth > MAX_MACRO_DEPTH {
            return Err(format!("macros can be {MAX_MACRO_DEPTH} deep inside of others"));
        }
        let mut out = String::with_capacity(text.len());
        let mut parts = Parts::of(text);
        while let Some(Part { kind, text }) = parts.next() {
            match kind {
                Kind::Quoted => out.push_str(&self.inside_quotes(text)),
                Kind::Code if text == "$" && parts.rest().starts_with("__") => {
                    let name = macro_name(parts.rest());
                    parts.skip_bytes(name.len());
                    let replaced = self.replace(name, &mut parts, depth)?;
                    out.push_str(&replaced);
                }
                Kind::Code | Kind::Comment => out.push_str(text),
            }
            bounded(out.len())?;
        }
        Ok(out)
    }

    /// Within quotes, only the macros that stand for a number or an interval are replaced. The others would insert
    /// quotes or conditions.
    fn inside_quotes(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("$__") {
            out.push_str(&rest[..at]);
            let name = macro_name(&rest[at + 1..]);
            let after = &rest[at + 1 + name.len()..];
            match (self.value(name), self.number(name), after.strip_prefix("()")) {
                (Some(value), _, _) => {
                    out.push_str(&value);
                    rest = after;
                }
                (None, Some(number), Some(after)) => {
                    out.push_str(&number.to_string());
                    rest = after;
                }
                _ => {
                    out.push_str("$__");
                    rest = &rest[at + 3..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The value of a macro without arguments or parentheses.
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "__interval" => Some(interval::text(self.replacements.interval_ms)),
            "__interval_ms" => Some(self.replacements.interval_ms.to_string()),
            _ => None,
        }
    }

    /// A macro for an end of the range as a number.
    fn number(&self, name: &str) -> Option<i64> {
        let TimeRange { from_ms, to_ms } = self.replacements.range;
        match name {
            "__unixEpochFrom" => Some(from_ms.div_euclid(1000)),
            "__unixEpochTo" => Some(to_ms.div_euclid(1000)),
            "__unixEpochNanoFrom" => Some(from_ms.saturating_mul(1_000_000)),
            "__unixEpochNanoTo" => Some(to_ms.saturating_mul(1_000_000)),
            _ => None,
        }
    }

    fn replace(&mut self, name: &str, parts: &mut Parts<'_>, depth: usize) -> Result<String, String> {
        if let Some(value) = self.value(name) {
            return Ok(value);
        }
        let Some((arguments, length)) = arguments(parts.rest())? else {
            return Err(if is_known(name) {
                format!("the macro ${name} needs parentheses")
            } else {
                unknown(name)
            });
        };
        parts.skip_bytes(length);
        let mut expanded = Vec::with_capacity(arguments.len());
        for argument in arguments {
            expanded.push(self.expand(argument, depth + 1)?);
        }
        self.call(name, &expanded)
    }

    fn call(&mut self, name: &str, arguments: &[String]) -> Result<String, String> {
        if let Some(number) = self.number(name) {
            return Ok(number.to_string());
        }
        let TimeRange { from_ms, to_ms } = self.replacements.range;
        let column = || match arguments {
            [column, ..] if !column.is_empty() => Ok(column.as_str()),
            _ => Err(format!("the macro ${name} needs the name of a column")),
        };
        // The column is inserted only once, so that nested macros do not multiply their argument.
        let numbers = |from: i64, to: i64| column().map(|column| format!("{column} BETWEEN {from} AND {to}"));
        Ok(match name {
            "__time" => format!("{} AS \"time\"", column()?),
            "__timeEpoch" => format!("extract(epoch from {}) as \"time\"", column()?),
            "__timeFilter" => {
                format!("{} BETWEEN '{}' AND '{}'", column()?, timestamp(from_ms)?, timestamp(to_ms)?)
            }
            "__timeFrom" => format!("'{}'", timestamp(from_ms)?),
            "__timeTo" => format!("'{}'", timestamp(to_ms)?),
            "__timeGroup" => self.group(name, column()?, arguments, true)?,
            "__timeGroupAlias" => format!("{} AS \"time\"", self.group(name, column()?, arguments, true)?),
            "__unixEpochGroup" => self.group(name, column()?, arguments, false)?,
            "__unixEpochGroupAlias" => {
                format!("{} AS \"time\"", self.group(name, column()?, arguments, false)?)
            }
            "__unixEpochFilter" => numbers(from_ms.div_euclid(1000), to_ms.div_euclid(1000))?,
            "__unixEpochNanoFilter" => {
                numbers(from_ms.saturating_mul(1_000_000), to_ms.saturating_mul(1_000_000))?
            }
            _ => return Err(unknown(name)),
        })
    }

    /// Groups times, or seconds since 1970, by an interval.
    fn group(
        &mut self,
        name: &str,
        column: &str,
        arguments: &[String],
        is_time: bool,
    ) -> Result<String, String> {
        let text = arguments.get(1).map(|text| text.trim_matches(['\'', '"'])).unwrap_or_default();
        let length_ms = interval::parse(text)
            .ok_or_else(|| format!("the macro ${name} needs an interval like 5m as its second argument"))?;
        if let Some(value) = arguments.get(2) {
            self.fill = Some(Fill { interval_ms: length_ms, value: fill_value(name, value)? });
        }
        let seconds = interval::seconds_text(length_ms);
        Ok(match (is_time, self.replacements.has_time_bucket) {
            (true, true) => {
                format!("time_bucket('{}.{:03}s',{column})", length_ms / 1000, length_ms % 1000)
            }
            (true, false) => format!("floor(extract(epoch from {column})/{seconds})*{seconds}"),
            (false, _) => format!("floor(({column})/{seconds})*{seconds}"),
        })
    }
}

fn fill_value(name: &str, text: &str) -> Result<FillValue, String> {
    match text.trim_matches(['\'', '"']) {
        null if null.eq_ignore_ascii_case("null") => Ok(FillValue::Null),
        "previous" => Ok(FillValue::Previous),
        number => match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(FillValue::Number(number)),
            _ => Err(format!("the macro ${name} fills with NULL, previous or a number")),
        },
    }
}

fn timestamp(ms: i64) -> Result<String, String> {
    let time = OffsetDateTime::UNIX_EPOCH.checked_add(Duration::milliseconds(ms));
    time.and_then(|time| time.format(&Rfc3339).ok())
        .ok_or_else(|| "the time range is beyond what can be written as a date".to_owned())
}

/// The name at the beginning of a text, which follows a dollar sign.
fn macro_name(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    &text[..end.unwrap_or(text.len())]
}

fn is_known(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "__time",
        "__timeEpoch",
        "__timeFilter",
        "__timeFrom",
        "__timeTo",
        "__timeGroup",
        "__timeGroupAlias",
        "__unixEpochFilter",
        "__unixEpochFrom",
        "__unixEpochTo",
        "__unixEpochNanoFilter",
        "__unixEpochNanoFrom",
        "__unixEpochNanoTo",
        "__unixEpochGroup",
        "__unixEpochGroupAlias",
    ];
    KNOWN.contains(&name)
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("there is no macro ${shown}")
}

/// The arguments of a macro, and the length with both parentheses; `None` without parentheses.
fn arguments(text: &str) -> Result<Option<(Vec<&str>, usize)>, String> {
    if !text.starts_with('(') {
        return Ok(None);
    }
    let (mut depth, mut start, mut at) = (0_usize, 1, 0);
    let mut found = Vec::new();
    for Part { kind, text: part } in Parts::of(text) {
        match (kind, part) {
            (Kind::Code, "(" | "[") => depth += 1,
            (Kind::Code, ")" | "]") if depth == 1 => {
                found.push(text[start..at].trim());
                return Ok(Some((found, at + 1)));
            }
            (Kind::Code, ")" | "]") => depth -= 1,
            (Kind::Code, ",") if depth == 1 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += part.len();
    }
    Err("a parenthesis of a macro is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLACEMENTS: Replacements = Replacements {
        range: TimeRange { from_ms: 1_500_000_000_123, to_ms: 1_500_003_600_000 },
        interval_ms: 60_000,
        has_time_bucket: false,
    };

    fn sql(raw: &str) -> String {
        statement(raw, REPLACEMENTS).unwrap_or_else(|error| panic!("{raw}: {error}")).sql
    }

    #[test]
    fn macros_are_replaced() {
        for (raw, expected) in [
            ("$__time(at)", "at AS \"time\""),
            ("$__timeEpoch(at)", "extract(epoch from at) as \"time\""),
            (
                "$__timeFilter(t.\"at\")",
                "t.\"at\" BETWEEN '2017-07-14T02:40:00.123Z' AND '2017-07-14T03:40:00Z'",
            ),
            ("$__timeFrom(), $__timeTo()", "'2017-07-14T02:40:00.123Z', '2017-07-14T03:40:00Z'"),
            ("$__timeGroup(at,'5m')", "floor(extract(epoch from at)/300)*300"),
            ("$__timeGroup( at , 500ms )", "floor(extract(epoch from at)/0.5)*0.5"),
            ("$__timeGroupAlias(at,$__interval)", "floor(extract(epoch from at)/60)*60 AS \"time\""),
            ("$__timeGroup(at,'$__interval')", "floor(extract(epoch from at)/60)*60"),
            ("$__timeGroup(coalesce(a, b),1h)", "floor(extract(epoch from coalesce(a, b))/3600)*3600"),
            ("$__unixEpochFilter(at)", "at BETWEEN 1500000000 AND 1500003600"),
            ("$__unixEpochNanoFilter(at)", "at BETWEEN 1500000000123000000 AND 1500003600000000000"),
            ("$__unixEpochNanoFrom()", "1500000000123000000"),
            ("$__unixEpochNanoTo()", "1500003600000000000"),
            ("$__unixEpochFrom()+$__unixEpochTo()", "1500000000+1500003600"),
            ("$__unixEpochGroup(at,'1m')", "floor((at)/60)*60"),
            ("$__unixEpochGroupAlias(at,'1m')", "floor((at)/60)*60 AS \"time\""),
            ("$__interval $__interval_ms t_$__interval", "1m 60000 t_1m"),
            (
                "$__timeFilter(f(a[1, 2], ')'))",
                "f(a[1, 2], ')') BETWEEN '2017-07-14T02:40:00.123Z' AND '2017-07-14T03:40:00Z'",
            ),
            ("SELECT $1, a$b", "SELECT $1, a$b"),
        ] {
            assert_eq!(sql(raw), expected, "{raw}");
        }
        let bucket =
            statement("$__timeGroup(at, '1m')", Replacements { has_time_bucket: true, ..REPLACEMENTS });
        assert_eq!(bucket.unwrap().sql, "time_bucket('60.000s',at)");
    }

    #[test]
    fn comments_and_texts_hold_no_macros() {
        for (raw, expected) in [
            ("SELECT 1 -- $__unknown(", "SELECT 1 "),
            ("SELECT /* $__timeFilter(a) */ 1", "SELECT   1"),
            ("SELECT '$__timeFilter(a)'", "SELECT '$__timeFilter(a)'"),
            ("SELECT '$__unknown'", "SELECT '$__unknown'"),
            ("SELECT $$ $__timeFrom() $$", "SELECT $$ $__timeFrom() $$"),
            ("SELECT $__x$ $__timeFrom() $__x$", "SELECT $__x$ $__timeFrom() $__x$"),
            // Macros whose replacement has no quotes may be quoted.
            ("SELECT '$__interval'::interval", "SELECT '1m'::interval"),
            ("SELECT '$__interval_ms', '$__unixEpochFrom()'", "SELECT '60000', '1500000000'"),
            ("SELECT '$__unixEpochFrom'", "SELECT '$__unixEpochFrom'"),
            ("SELECT \"$__interval\" -- '$__interval", "SELECT \"1m\" "),
            ("$__timeGroup(at /* , */, '1m' -- )\n)", "floor(extract(epoch from at)/60)*60"),
        ] {
            assert_eq!(sql(raw), expected, "{raw}");
        }
    }

    #[test]
    fn macros_say_how_to_fill() {
        for (raw, value) in [
            ("$__timeGroup(at,'5m',NULL)", FillValue::Null),
            ("$__timeGroupAlias(at,'5m', previous)", FillValue::Previous),
            ("$__unixEpochGroup(at,5m,-1.5)", FillValue::Number(-1.5)),
        ] {
            let fill = statement(raw, REPLACEMENTS).unwrap().fill;
            assert_eq!(fill, Some(Fill { interval_ms: 300_000, value }), "{raw}");
        }
        assert_eq!(statement("$__timeGroup(at,'5m')", REPLACEMENTS).unwrap().fill, None);
    }

    #[test]
    fn no_text_is_too_strange() {
        const PIECES: [&str; 20] = [
            "$__timeFilter(",
            "$__timeGroup(a,'1m'",
            "$__interval",
            "$__unixEpochFrom()",
            "$__x",
            "'",
            "\"",
            "$$",
            "$a$",
            "--",
            "/*",
            "*/",
            "\n",
            "E'",
            "\\",
            "(",
            ")",
            ",",
            "é",
            " ",
        ];
        // A linear congruential generator, so that each run has the same texts.
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(PIECES[usize::try_from(state >> 33).unwrap() % PIECES.len()]);
            }
            let plain = without_comments(&text);
            assert_eq!(without_comments(&plain), plain, "{text}");
            assert!(Parts::of(&plain).all(|part| part.kind != Kind::Comment), "{text}");
            // Every text is either rejected or replaced by one that is not much longer.
            if let Ok(made) = statement(&text, REPLACEMENTS) {
                assert!(made.sql.len() <= 12 * 100, "{text}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let deep = format!("{}a{}", "$__time(".repeat(MAX_MACRO_DEPTH + 2), ")".repeat(MAX_MACRO_DEPTH + 2));
        let long = " ".repeat(MAX_SQL_BYTES + 1);
        let grown = "$__timeFrom()".repeat(MAX_SQL_BYTES / 20);
        for (raw, told) in [
            ("$__nothing(a)", "there is no macro $__nothing"),
            ("$__nothing", "there is no macro $__nothing"),
            ("$__", "there is no macro $__"),
            ("$__timeFilter", "needs parentheses"),
            ("$__timeFilter()", "needs the name of a column"),
            ("$__timeFilter(a", "is not closed"),
            ("$__timeFilter('a)", "is not closed"),
            ("$__timeGroup(a)", "needs an interval"),
            ("$__timeGroup(a, '0s')", "needs an interval"),
            ("$__timeGroup(a, '5m', next)", "fills with"),
            ("$__timeGroup(a, '5m', inf)", "fills with"),
            (&deep, "deep"),
            (&long, "longer than"),
            (&grown, "longer than"),
        ] {
            let error = statement(raw, REPLACEMENTS).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
