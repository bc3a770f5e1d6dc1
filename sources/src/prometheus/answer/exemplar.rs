//! Exemplars: single measurements, like that of a trace, among those that a series aggregates.

use std::collections::{BTreeMap, BTreeSet};

use kymograph_domain::source::frame::{Cells, Column, Field, Frame, Labels};

use super::super::query::PrometheusQuery;
use crate::json::{Json, Read};
use crate::series::{SERIES, meta};

/// The bytes counted for an exemplar in addition to its texts.
const EXEMPLAR: usize = 128;

/// The bytes of a label cell, also where an exemplar does not have the label.
const CELL: usize = 24;

struct Exemplar {
    time: i64,
    value: f64,
    labels: Labels,
}

/// Parses all exemplars into one frame, sorted by time: of each step the largest one, and those well below it.
pub(super) fn read(json: &mut Json<'_>, query: &PrometheusQuery) -> Read<Vec<Frame>> {
    let mut exemplars = Vec::new();
    json.list(|json| {
        json.spend(SERIES)?;
        let (mut series, first) = (Labels::new(), exemplars.len());
        json.object(|json, name| match name {
            "seriesLabels" => {
                series = json.labels()?;
                Ok(())
            }
            "exemplars" => json.list(|json| {
                exemplars.push(read_one(json)?);
                Ok(())
            }),
            _ => json.skip(),
        })?;
        // The labels of the series are counted for each exemplar, because each repeats them.
        let size: usize = series.iter().map(|(name, value)| EXEMPLAR + name.len() + value.len()).sum();
        for exemplar in exemplars.iter_mut().skip(first) {
            json.spend(size)?;
            for (name, value) in &series {
                exemplar.labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(())
    })?;
    let kept = sample(exemplars, query.step_ms.saturating_mul(1_000_000).max(1));
    if kept.is_empty() { Ok(Vec::new()) } else { Ok(vec![frame(json, kept)?]) }
}

fn read_one(json: &mut Json<'_>) -> Read<Exemplar> {
    json.spend(EXEMPLAR)?;
    let mut exemplar = Exemplar { time: 0, value: f64::NAN, labels: Labels::new() };
    json.object(|json, name| {
        match name {
            "labels" => exemplar.labels = json.labels()?,
            "value" => exemplar.value = json.quoted_float()?,
            "timestamp" => exemplar.time = json.seconds()?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(exemplar)
}

/// Keeps the largest exemplar of each step, and further ones that are more than two standard deviations below the one
/// kept before.
fn sample(exemplars: Vec<Exemplar>, step_ns: i64) -> Vec<Exemplar> {
    let distance = 2.0 * deviation(&exemplars);
    let mut steps: BTreeMap<i64, Vec<Exemplar>> = BTreeMap::new();
    for exemplar in exemplars {
        steps.entry(exemplar.time.div_euclid(step_ns)).or_default().push(exemplar);
    }
    let mut kept: Vec<Exemplar> = Vec::new();
    for mut step in steps.into_values() {
        step.sort_by(|one, other| other.value.total_cmp(&one.value));
        let mut last = None;
        for exemplar in step {
            if last.is_none_or(|last: f64| last - exemplar.value > distance) {
                last = Some(exemplar.value);
                kept.push(exemplar);
            }
        }
    }
    kept.sort_by_key(|exemplar| exemplar.time);
    kept
}

fn deviation(exemplars: &[Exemplar]) -> f64 {
    let values = || exemplars.iter().map(|exemplar| exemplar.value).filter(|value| value.is_finite());
    #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 exemplars")]
    let count = values().count() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let mean = values().sum::<f64>() / count;
    (values().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}

fn frame(json: &mut Json<'_>, exemplars: Vec<Exemplar>) -> Read<Frame> {
    let names: BTreeSet<String> =
        exemplars.iter().flat_map(|exemplar| exemplar.labels.keys().cloned()).collect();
    json.spend(names.len().saturating_mul(exemplars.len()).saturating_mul(CELL))?;
    let times = exemplars.iter().map(|exemplar| exemplar.time).collect();
    let values = exemplars.iter().map(|exemplar| exemplar.value).collect();
    let mut fields = vec![
        Field::new("Time", Column::Time(Cells::new(times))),
        Field::new("Value", Column::Float64(Cells::new(values))),
    ];
    for name in names {
        let cells = exemplars.iter().map(|exemplar| exemplar.labels.get(&name).cloned().unwrap_or_default());
        let cells = Column::Text(Cells::new(cells.collect()));
        fields.push(Field::new(name, cells));
    }
    Ok(Frame { name: "exemplar".to_owned(), meta: Some(Box::new(meta("exemplar", "table"))), fields })
}
