//! The parameters of a query for test data.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::Labels;
use serde_json::{Map, Value};

use super::logs::MAX_LINES;
use super::points::{MAX_POINTS, MAX_SERIES};

/// The maximum number of labels of a series.
const MAX_LABELS: usize = 20;
/// The placeholder for the index of a series, in an alias and in labels.
const SERIES_INDEX: &str = "$seriesIndex";
/// The maximum length of a text that is repeated for each series.
const MAX_TEXT_BYTES: usize = 1024;

/// The maximum size of a point or a line in addition to the texts of the model, in bytes.
const POINT_BYTES: usize = 32;
const LINE_BYTES: usize = 256;
/// The maximum memory for a byte of CSV: a cell with its own text.
const BYTES_OF_CSV_BYTE: usize = 24;

/// The approximate maximum size of the response to a query, in bytes.
pub(super) fn expected_bytes(query: &Query) -> usize {
    let model = &query.model;
    let whole = |name, most| {
        let number = number(model, name).ok().flatten().unwrap_or(1.0).clamp(1.0, 1e6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and 1e6"
        )]
        let number = number as usize;
        number.min(most)
    };
    let points = usize::try_from(query.max_data_points).unwrap_or_default().min(MAX_POINTS);
    let waves = model.get("csvWave").and_then(Value::as_array).map_or(1, Vec::len);
    let series = whole("seriesCount", MAX_SERIES).max(waves.min(MAX_SERIES));
    let texts = model.values().filter_map(Value::as_str).map(str::len).sum::<usize>();
    points * series * POINT_BYTES + whole("lines", MAX_LINES) * LINE_BYTES + texts * BYTES_OF_CSV_BYTE
}

/// A text; empty if there is none.
pub(super) fn text<'a>(model: &'a Map<String, Value>, name: &str) -> &'a str {
    model.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number, which some clients send as a string; `None` if it is absent, null or empty.
pub(super) fn number(model: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    let number = match model.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_f64(),
    };
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("{name} must be a number")),
    }
}

/// A whole number from 1 to `most`.
pub(super) fn count(
    model: &Map<String, Value>,
    name: &str,
    default: usize,
    most: usize,
) -> Result<usize, String> {
    let Some(number) = number(model, name)? else { return Ok(default) };
    let count = (1..=most).contains(&whole(number));
    if count && number.fract() == 0.0 {
        Ok(whole(number))
    } else {
        Err(format!("{name} must be from 1 to {most}"))
    }
}

/// The integer part of a number, saturated to the range of `usize`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
pub(super) fn whole(number: f64) -> usize {
    number as usize
}

/// The name of a series: its alias, or `default`.
pub(super) fn alias(model: &Map<String, Value>, index: usize, default: String) -> Result<String, String> {
    match text(model, "alias") {
        "" => Ok(default),
        alias => indexed(alias, index),
    }
}

fn indexed(text: &str, index: usize) -> Result<String, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("alias and labels can have {MAX_TEXT_BYTES} bytes each"));
    }
    Ok(text.replace(SERIES_INDEX, &index.to_string()))
}

/// The labels of a series, written as `host=a, region="b"`, with or without braces.
pub(super) fn labels(text: &str, index: usize) -> Result<Option<Labels>, String> {
    let text = indexed(text, index)?;
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut labels = Labels::new();
    for part in inside.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("the label {part} must be written as name=value"))?;
        labels.insert(name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
        if labels.len() > MAX_LABELS {
            return Err(format!("a series can have {MAX_LABELS} labels"));
        }
    }
    Ok(Some(labels).filter(|labels| !labels.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_numbers_or_texts_of_them() {
        let model = json!({"a": 1.5, "b": "2", "c": "", "d": null, "e": "x", "f": true, "g": "inf", "h": 0});
        let model = model.as_object().unwrap();
        let of = |name| number(model, name);
        assert_eq!((of("a"), of("b")), (Ok(Some(1.5)), Ok(Some(2.0))));
        assert_eq!((of("c"), of("d"), of("z")), (Ok(None), Ok(None), Ok(None)));
        assert!(of("e").is_err() && of("f").is_err() && of("g").is_err());
        assert_eq!((count(model, "b", 7, 2), count(model, "z", 7, 9)), (Ok(2), Ok(7)));
        assert!(
            count(model, "a", 7, 9).is_err()
                && count(model, "b", 7, 1).is_err()
                && count(model, "h", 7, 9).is_err()
        );
    }

    #[test]
    fn labels_have_the_place_of_their_series() {
        let found = labels("{host = \"h$seriesIndex\", region=eu}", 3).unwrap().unwrap();
        assert_eq!(found, Labels::from([("host".into(), "h3".into()), ("region".into(), "eu".into())]));
        assert_eq!(labels(" ", 0), Ok(None));
        assert!(labels("host", 0).is_err());
        let many: Vec<_> = (0..=MAX_LABELS).map(|index| format!("l{index}=x")).collect();
        assert!(labels(&many.join(","), 0).is_err());
        assert!(labels(&" ".repeat(MAX_TEXT_BYTES + 1), 0).is_err());
        let model = json!({"alias": "walk $seriesIndex"});
        assert_eq!(alias(model.as_object().unwrap(), 2, String::new()), Ok("walk 2".to_owned()));
    }
}
