//! The values of missing points of a time series.

use serde_json::{Map, Value};

/// How missing points are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fill {
    /// The time between points, in milliseconds; greater than zero.
    pub(crate) interval_ms: i64,
    /// The value of the missing points.
    pub(crate) value: FillValue,
}

/// The value of a missing point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FillValue {
    /// Nothing.
    Null,
    /// The value of the previous point.
    Previous,
    /// A number.
    Number(f64),
}

impl FillValue {
    /// The value of a missing point after `previous`.
    pub(crate) fn after(self, previous: Option<f64>) -> Option<f64> {
        match self {
            Self::Null => None,
            Self::Previous => previous,
            Self::Number(number) => Some(number),
        }
    }
}

/// The fill that the members `fill`, `fillInterval`, `fillMode` and `fillValue` of a query define. The interval is in
/// seconds.
pub(crate) fn fill_of(model: &Map<String, Value>) -> Result<Option<Fill>, String> {
    if !model.get("fill").and_then(Value::as_bool).unwrap_or_default() {
        return Ok(None);
    }
    let seconds = model.get("fillInterval").and_then(Value::as_f64).unwrap_or_default();
    // The comparison is false for NaN.
    if !(0.001..=1e10).contains(&seconds) {
        return Err("fillInterval must be a number of seconds".to_owned());
    }
    #[allow(clippy::cast_possible_truncation, reason = "the number is between 1 and 1e13")]
    let interval_ms = (seconds * 1000.0).round() as i64;
    let value = match model.get("fillMode").and_then(Value::as_str).unwrap_or("null") {
        "null" | "NULL" => FillValue::Null,
        "previous" => FillValue::Previous,
        "value" => FillValue::Number(model.get("fillValue").and_then(Value::as_f64).unwrap_or_default()),
        _ => return Err("fillMode must be null, previous or value".to_owned()),
    };
    Ok(Some(Fill { interval_ms, value }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(model: Value) -> Result<Option<Fill>, String> {
        fill_of(model.as_object().unwrap())
    }

    #[test]
    fn a_query_says_how_to_fill() {
        assert_eq!(of(json!({"fillInterval": 60})), Ok(None));
        let null = Fill { interval_ms: 60_000, value: FillValue::Null };
        assert_eq!(of(json!({"fill": true, "fillInterval": 60})), Ok(Some(null)));
        let number = Fill { interval_ms: 500, value: FillValue::Number(2.5) };
        let model = json!({"fill": true, "fillInterval": 0.5, "fillMode": "value", "fillValue": 2.5});
        assert_eq!(of(model), Ok(Some(number)));
        for wrong in [
            json!({"fill": true}),
            json!({"fill": true, "fillInterval": 0}),
            json!({"fill": true, "fillInterval": -1}),
            json!({"fill": true, "fillInterval": 1e300}),
            json!({"fill": true, "fillInterval": 1, "fillMode": "next"}),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
