//! Random walks.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Column, Field, Frame};

use super::model::{alias, count, labels, number, text};
use super::points::{MAX_SERIES, bounded, series, time_column, times};
use super::random::Random;

/// The parameters of a walk.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    /// The first value; random up to 100 if absent.
    pub(super) start: Option<f64>,
    /// The width of the range of a step, up and down together.
    pub(super) spread: f64,
    /// The maximum distance of a point from the walk.
    pub(super) noise: f64,
    /// The minimum value of a point.
    pub(super) least: f64,
    /// The maximum value of a point.
    pub(super) most: f64,
    /// The percentage of points that are missing.
    pub(super) dropped: f64,
}

impl Walk {
    fn of(query: &Query) -> Result<Self, String> {
        let of = |name| number(&query.model, name);
        let walk = Self {
            start: of("startValue")?,
            spread: of("spread")?.unwrap_or(1.0),
            noise: of("noise")?.unwrap_or(0.0),
            least: of("min")?.unwrap_or(f64::MIN),
            most: of("max")?.unwrap_or(f64::MAX),
            dropped: of("drop")?.or(of("dropPercent")?).unwrap_or(0.0),
        };
        if walk.least > walk.most { Err("min is above max".to_owned()) } else { Ok(walk) }
    }

    /// The points at these times, some of which may be missing.
    pub(super) fn points(&self, mut random: Random, times: &[i64]) -> (Vec<i64>, Cells<f64>) {
        let mut at = self.start.unwrap_or_else(|| random.number() * 100.0);
        let (mut kept, mut values) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
        for time in times {
            at = at.clamp(self.least, self.most);
            let value = (at + (random.number() - 0.5) * self.noise).clamp(self.least, self.most);
            at += (random.number() - 0.5) * self.spread;
            if random.number() * 100.0 >= self.dropped {
                kept.push(*time);
                values.push(value);
            }
        }
        (kept, Cells::nullable(values))
    }
}

/// A frame for each series.
pub(super) fn random_walk(query: &Query) -> Result<Vec<Frame>, String> {
    let (walk, times) = (Walk::of(query)?, times(query));
    let count = count(&query.model, "seriesCount", 1, MAX_SERIES)?;
    bounded(count, times.len())?;
    let one = |index: usize| {
        let place = if count > 1 { index.to_string() } else { String::new() };
        let name = alias(&query.model, index, format!("{}-series{place}", query.ref_id))?;
        let random = Random::of(&query.ref_id, index, query.range.from_ms);
        let (times, values) = walk.points(random, &times);
        Ok(series(name, labels(text(&query.model, "labels"), index)?, &times, values))
    };
    (0..count).map(one).collect()
}

/// A table of a walk with the values around it.
pub(super) fn table(query: &Query) -> Result<Vec<Frame>, String> {
    const STATES: [&str; 4] = ["up", "up fast", "down", "down fast"];
    let (walk, times) = (Walk::of(query)?, times(query));
    let mut random = Random::of(&query.ref_id, 0, query.range.from_ms);
    let (times, values) = walk.points(Random::of(&query.ref_id, 1, query.range.from_ms), &times);
    let bands: Vec<(f64, f64)> = values
        .values
        .iter()
        .map(|value| (value - random.number() * 2.0, value + random.number() * 2.0))
        .collect();
    let info = times.iter().map(|_| (*random.pick(&STATES)).to_owned()).collect();
    let (least, most) = bands.into_iter().unzip();
    let fields = vec![
        Field::new("Time", time_column(&times)),
        Field::new("Value", Column::Float64(values)),
        Field::new("Min", Column::Float64(Cells::nullable(least))),
        Field::new("Max", Column::Float64(Cells::nullable(most))),
        Field::new("Info", Column::Text(Cells::nullable(info))),
    ];
    let name = alias(&query.model, 0, query.ref_id.clone())?;
    Ok(vec![Frame { name, meta: None, fields }])
}
