//! The initial data of a streaming client: points at the pace of the stream up to the end of the range.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Column, Field, Frame};
use serde_json::{Map, Value};

use super::logs::logs;
use super::model::{alias, count, number, text};
use super::points::{MAX_POINTS, bounded, time_column};
use super::random::Random;
use super::walk::Walk;

/// The maximum number of bands around a signal, each of which has a column below and one above it.
const MAX_BANDS: usize = 10;
/// The maximum time between points, in milliseconds.
const MAX_PACE_MS: usize = 3_600_000;

/// The initial data of a stream of signals or of a log.
pub(super) fn streaming(query: &Query) -> Result<Vec<Frame>, String> {
    let nothing = Map::new();
    let settings = match query.model.get("stream") {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(settings)) => settings,
        Some(_) => return Err("stream must be an object".to_owned()),
    };
    match text(settings, "type") {
        "" | "signal" => signal(query, settings),
        "logs" => logs(query),
        _ => Err("the type of a stream must be signal or logs".to_owned()),
    }
}

fn signal(query: &Query, settings: &Map<String, Value>) -> Result<Vec<Frame>, String> {
    let pace = i64::try_from(count(settings, "speed", 250, MAX_PACE_MS)?).unwrap_or(i64::MAX);
    let of = |name, default| number(settings, name).map(|number| number.unwrap_or(default));
    let (spread, noise) = (of("spread", 3.5)?, of("noise", 2.2)?);
    let bands = match number(settings, "bands")? {
        Some(0.0) => 0,
        _ => count(settings, "bands", 1, MAX_BANDS)?,
    };
    let most = usize::try_from(query.max_data_points).unwrap_or(0).clamp(1, MAX_POINTS);
    bounded(1 + 2 * bands, most)?;
    let earlier = |time: &i64| time.checked_sub(pace).filter(|time| *time >= query.range.from_ms);
    let mut times: Vec<i64> = std::iter::successors(Some(query.range.to_ms), earlier).take(most).collect();
    times.reverse();
    let walk = Walk { start: None, spread, noise: 0.0, least: f64::MIN, most: f64::MAX, dropped: 0.0 };
    let mut random = Random::of(&query.ref_id, 1, query.range.to_ms);
    let (times, values) = walk.points(Random::of(&query.ref_id, 0, query.range.to_ms), &times);
    let mut columns = Vec::new();
    let (mut below, mut above) = (values.values.clone(), values.values.clone());
    for band in 1..=bands {
        below.iter_mut().for_each(|value| *value -= random.number() * noise);
        above.iter_mut().for_each(|value| *value += random.number() * noise);
        for (name, values) in [("Min", &below), ("Max", &above)] {
            let cells = Cells::nullable(values.clone());
            columns.push(Field::new(format!("{name} {band}"), Column::Float64(cells)));
        }
    }
    let mut fields =
        vec![Field::new("Time", time_column(&times)), Field::new("Value", Column::Float64(values))];
    fields.append(&mut columns);
    Ok(vec![Frame { name: alias(&query.model, 0, query.ref_id.clone())?, meta: None, fields }])
}
