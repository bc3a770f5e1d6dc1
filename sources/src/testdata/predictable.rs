//! Series whose value at a time does not depend on the requested range.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Frame};
use serde_json::{Map, Value};

use super::model::{alias, count, labels, number, text};
use super::points::{MAX_POINTS, MAX_POINTS_OF_QUERY, MAX_SERIES, aligned_times, series};

/// The maximum time between points, in seconds: a year.
const MAX_STEP_SECONDS: usize = 366 * 86_400;

/// Values that repeat.
struct Cycle {
    step_ms: i64,
    values: Vec<Option<f64>>,
}

impl Cycle {
    fn frame(&self, query: &Query, name: String, label_text: &str, index: usize) -> Result<Frame, String> {
        let times = aligned_times(query, self.step_ms);
        let length = i64::try_from(self.values.len()).unwrap_or(i64::MAX).max(1);
        let value = |time: &i64| {
            let place = time.div_euclid(self.step_ms).rem_euclid(length);
            usize::try_from(place).ok().and_then(|place| self.values.get(place).copied().flatten())
        };
        let values: Cells<f64> = times.iter().map(value).collect();
        Ok(series(name, labels(label_text, index)?, &times, values))
    }
}

fn step(wave: &Map<String, Value>) -> Result<i64, String> {
    let seconds = count(wave, "timeStep", 60, MAX_STEP_SECONDS)?;
    Ok(i64::try_from(seconds).unwrap_or(i64::MAX) * 1000)
}

/// A square wave.
pub(super) fn pulse(query: &Query) -> Result<Vec<Frame>, String> {
    let nothing = Map::new();
    let wave = member(&query.model, "pulseWave", &nothing)?;
    let amount = |name, default| match number(wave, name)? {
        Some(0.0) => Ok(0),
        _ => count(wave, name, default, MAX_POINTS),
    };
    let (on, off) = (amount("onCount", 3)?, amount("offCount", 6)?);
    if on + off == 0 {
        return Err("onCount or offCount must be above 0".to_owned());
    }
    let level = |name, default| match wave.get(name) {
        Some(Value::Null) => Ok(None),
        _ => number(wave, name).map(|number| number.or(Some(default))),
    };
    let mut values = vec![level("onValue", 2.0)?; on];
    values.resize(on + off, level("offValue", 1.0)?);
    let cycle = Cycle { step_ms: step(wave)?, values };
    let name = alias(&query.model, 0, query.ref_id.clone())?;
    Ok(vec![cycle.frame(query, name, text(&query.model, "labels"), 0)?])
}

/// Waves of the listed values.
pub(super) fn csv_wave(query: &Query) -> Result<Vec<Frame>, String> {
    let waves = match query.model.get("csvWave") {
        // It was a single wave before it was a list.
        Some(Value::Object(wave)) => vec![wave],
        Some(Value::Array(waves)) => {
            let waves: Option<Vec<_>> = waves.iter().map(Value::as_object).collect();
            waves.ok_or("csvWave must be a list of objects")?
        }
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err("csvWave must be a list of objects".to_owned()),
    };
    if waves.len() > MAX_SERIES {
        return Err(format!("a query can have {MAX_SERIES} waves"));
    }
    let (mut frames, mut points) = (Vec::with_capacity(waves.len()), 0);
    for (index, wave) in waves.into_iter().enumerate() {
        let cycle = Cycle { step_ms: step(wave)?, values: values(text(wave, "valuesCSV"))? };
        let place = if index > 0 { index.to_string() } else { String::new() };
        let name = match text(wave, "name") {
            "" => alias(&query.model, index, format!("{}-series{place}", query.ref_id))?,
            name => name.chars().take(256).collect(),
        };
        let frame = cycle.frame(query, name, text(wave, "labels"), index)?;
        points += frame.fields.first().map_or(0, |field| field.column.len());
        if points > MAX_POINTS_OF_QUERY {
            return Err(format!("the waves have more than {MAX_POINTS_OF_QUERY} points"));
        }
        frames.push(frame);
    }
    Ok(frames)
}

/// The listed values, at equal distances over the whole range.
pub(super) fn listed(query: &Query) -> Result<Vec<Frame>, String> {
    let values = values(match text(&query.model, "stringInput") {
        "" => "1,20,90,30,5,0",
        input => input,
    })?;
    let span = query.range.to_ms.saturating_sub(query.range.from_ms).max(0);
    let gaps = i64::try_from(values.len()).unwrap_or(i64::MAX).saturating_sub(1).max(1);
    let step = span / gaps;
    let from = query.range.from_ms;
    let times: Vec<i64> =
        (0..).take(values.len()).map(|place: i64| from.saturating_add(place.saturating_mul(step))).collect();
    let name = alias(&query.model, 0, query.ref_id.clone())?;
    let labels = labels(text(&query.model, "labels"), 0)?;
    Ok(vec![series(name, labels, &times, values.into_iter().collect())])
}

/// A point an hour before the range.
pub(super) fn outside(query: &Query) -> Result<Vec<Frame>, String> {
    const HOUR_MS: i64 = 3_600_000;
    let name = alias(&query.model, 0, query.ref_id.clone())?;
    let labels = labels(text(&query.model, "labels"), 0)?;
    let time = query.range.from_ms.saturating_sub(HOUR_MS);
    Ok(vec![series(name, labels, &[time], Cells::nullable(vec![10.0]))])
}

/// Comma-separated numbers; `null` is a missing value.
fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    if text.trim().is_empty() {
        return Err("a wave needs values like 0,0,2,2,1,1".to_owned());
    }
    if text.bytes().filter(|byte| *byte == b',').count() >= MAX_POINTS {
        return Err(format!("a wave can have {MAX_POINTS} values"));
    }
    let value = |part: &str| match part.trim() {
        "null" | "nil" => Ok(None),
        part => match part.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(format!("{} is no number", part.chars().take(32).collect::<String>())),
        },
    };
    text.split(',').map(value).collect()
}

fn member<'a>(
    model: &'a Map<String, Value>,
    name: &str,
    nothing: &'a Map<String, Value>,
) -> Result<&'a Map<String, Value>, String> {
    match model.get(name) {
        None | Some(Value::Null) => Ok(nothing),
        Some(Value::Object(member)) => Ok(member),
        Some(_) => Err(format!("{name} must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kymograph_app::source::backend::TimeRange;
    use kymograph_domain::source::frame::Column;
    use serde_json::json;

    use super::*;

    fn query(model: Value) -> Query {
        Query {
            ref_id: "A".to_owned(),
            query_type: String::new(),
            model: Arc::new(model.as_object().unwrap().clone()),
            range: TimeRange { from_ms: 0, to_ms: 600_000 },
            interval_ms: 1000,
            max_data_points: 100,
        }
    }

    fn points(frame: &Frame) -> Vec<(i64, Option<f64>)> {
        match (&frame.fields[0].column, &frame.fields[1].column) {
            (Column::Time(times), Column::Float64(values)) => times
                .values
                .iter()
                .map(|time| time / 1_000_000_000)
                .zip(values.iter().map(Option::<&f64>::cloned))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pulse_is_the_same_in_every_range() {
        let wave = json!({"pulseWave": {"timeStep": 100, "onCount": 1, "offCount": 2, "onValue": 5, "offValue": null}, "alias": "p"});
        let frames = pulse(&query(wave.clone())).unwrap();
        let expected = [(0, Some(5.0)), (100, None), (200, None), (300, Some(5.0)), (400, None), (500, None)];
        assert_eq!((points(&frames[0]).as_slice(), frames[0].name.as_str()), (&expected[..], "p"));
        let later = Query { range: TimeRange { from_ms: 250_000, to_ms: 450_000 }, ..query(wave) };
        assert_eq!(points(&pulse(&later).unwrap()[0]), expected[3..5]);
        let default = points(&pulse(&query(json!({}))).unwrap()[0]);
        let values: Vec<_> = default.iter().filter_map(|(_, value)| *value).collect();
        assert_eq!(values, [2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn a_wave_has_the_listed_values() {
        let waves = json!({"csvWave": [
            {"timeStep": 200, "valuesCSV": "1, null,3", "name": "w", "labels": "a=b"},
            {"timeStep": 300, "valuesCSV": "7"},
        ]});
        let frames = csv_wave(&query(waves)).unwrap();
        assert_eq!(points(&frames[0]), [(0, Some(1.0)), (200, None), (400, Some(3.0))]);
        assert_eq!(frames[0].fields[1].labels.as_ref().unwrap()["a"], "b");
        assert_eq!(
            (points(&frames[1]), frames[1].name.as_str()),
            (vec![(0, Some(7.0)), (300, Some(7.0))], "A-series1")
        );
        assert!(csv_wave(&query(json!({"csvWave": {"valuesCSV": "1"}}))).is_ok());
    }

    #[test]
    fn listed_values_fill_the_range() {
        let frames = listed(&query(json!({"stringInput": "1,2,3"}))).unwrap();
        assert_eq!(points(&frames[0]), [(0, Some(1.0)), (300, Some(2.0)), (600, Some(3.0))]);
        assert_eq!(points(&outside(&query(json!({}))).unwrap()[0]), [(-3600, Some(10.0))]);
    }

    #[test]
    fn what_makes_no_wave_is_told() {
        for model in [
            json!({"pulseWave": 1}),
            json!({"pulseWave": {"timeStep": 0}}),
            json!({"pulseWave": {"timeStep": 1e12}}),
            json!({"pulseWave": {"onCount": 0, "offCount": 0}}),
            json!({"pulseWave": {"onCount": -1}}),
            json!({"pulseWave": {"onCount": 1_000_000_000_000_u64}}),
            json!({"pulseWave": {"onValue": "x"}}),
        ] {
            assert!(pulse(&query(model.clone())).is_err(), "{model}");
        }
        let wide = vec![json!({"valuesCSV": "1"}); MAX_SERIES + 1];
        let long = "1,".repeat(MAX_POINTS) + "1";
        for model in [
            json!({"csvWave": 1}),
            json!({"csvWave": [1]}),
            json!({"csvWave": [{"valuesCSV": ""}]}),
            json!({"csvWave": [{"valuesCSV": "a"}]}),
            json!({"csvWave": [{"valuesCSV": "1,inf"}]}),
            json!({"csvWave": [{"valuesCSV": long}]}),
            json!({"csvWave": wide}),
        ] {
            assert!(csv_wave(&query(model)).is_err());
        }
        // Each has the maximum number of points of a series.
        let dense = vec![json!({"timeStep": 1, "valuesCSV": "1"}); 21];
        let long = TimeRange { from_ms: 0, to_ms: i64::MAX };
        assert!(csv_wave(&Query { range: long, ..query(json!({"csvWave": dense})) }).is_err());
    }
}
