//! A formula over two sets of series, against the same arithmetic in a plain loop over arrays.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kymograph_domain::source::expression::{ExpressionFault, Plan, PlannedQuery};
use kymograph_domain::source::frame::{Cells, Column, Field, Frame, Labels};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::Reading;
use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::pairs;
use crate::slice::Slice;

const SERIES: u32 = 1_000;
const POINTS: u32 = 500;
/// The formula, which the plain loop works out as well.
const FORMULA: &str = "$A / $B * 100";

/// The results of queries by their names.
type Results = BTreeMap<String, std::result::Result<Vec<Frame>, ExpressionFault>>;

/// The processor time of the formula, from frames to frames, against that of the loop.
pub(super) async fn over_two_sets(bench: &Bench, _: &str) -> Result<Reading> {
    let queries = [("A", json!({})), ("B", json!({})), ("C", json!({ "type": "math", "expression": FORMULA }))];
    let queries: Vec<_> = queries.iter().map(|(ref_id, model)| planned(ref_id, model)).collect::<Result<_>>()?;
    let plan = Plan::parse(&queries)?;
    let mut sources = Results::from([("A".to_owned(), Ok(frames(1))), ("B".to_owned(), Ok(frames(7)))]);
    let arrays = [arrays(1), arrays(7)];

    let evaluated = plan.evaluate(std::mem::take(&mut sources));
    let made = evaluated.get("C").and_then(|frames| frames.as_ref().ok()).ok_or("the formula has no result")?;
    if !numbers(made).eq(percentages(&arrays).iter().flatten().copied()) {
        return Err("the formula makes other numbers than the loop".into());
    }
    let mut sources = without_result(evaluated);
    let reading = pairs::compare(
        async || {
            repeat(bench.slice, || {
                let evaluated = plan.evaluate(std::mem::take(&mut sources));
                sources = without_result(evaluated);
            })
        },
        async || repeat(bench.slice, || drop(black_box(percentages(black_box(&arrays))))),
    );
    Ok(reading.await?.into_time())
}

fn planned<'a>(ref_id: &'a str, model: &'a Value) -> Result<PlannedQuery<'a>> {
    let model = model.as_object().ok_or("a query is no object")?;
    let is_expression = model.contains_key("type");
    Ok(PlannedQuery { ref_id, model, is_expression, from_ms: 0, to_ms: 1 })
}

/// The numbers of a set, other ones for another seed.
fn arrays(seed: u32) -> Vec<Vec<f64>> {
    let number = |series: u32, point: u32| f64::from((series * 31 + point * seed) % 1_000) + 0.5;
    (0..SERIES).map(|series| (0..POINTS).map(|point| number(series, point)).collect()).collect()
}

/// The same as a source answers with it.
fn frames(seed: u32) -> Vec<Frame> {
    let labels = |series: usize| {
        let labels = [("instance", format!("10.0.0.{series:04}:9100")), ("job", "node".into()), ("mode", "user".into())];
        Labels::from(labels.map(|(name, value)| (name.to_owned(), value)))
    };
    let series = |(at, values)| {
        let times = (0..i64::from(POINTS)).map(|point| point * 15_000_000_000).collect();
        let labels = Some(labels(at));
        let value = Field { labels, ..Field::new("Value", Column::Float64(Cells::new(values))) };
        Frame { fields: vec![Field::new("Time", Column::Time(Cells::new(times))), value], ..Frame::default() }
    };
    arrays(seed).into_iter().enumerate().map(series).collect()
}

/// What the formula makes, by hand.
fn percentages([left, right]: &[Vec<Vec<f64>>; 2]) -> Vec<Vec<f64>> {
    let percentage = |(left, right): (&f64, &f64)| left / right * 100.0;
    left.iter().zip(right).map(|(left, right)| left.iter().zip(right).map(percentage).collect()).collect()
}

fn numbers(frames: &[Frame]) -> impl Iterator<Item = f64> {
    let columns = frames.iter().filter_map(|frame| match &frame.fields.last()?.column {
        Column::Float64(cells) => Some(&cells.values),
        _ => None,
    });
    columns.flatten().copied()
}

fn without_result(mut evaluated: Results) -> Results {
    drop(black_box(evaluated.remove("C")));
    evaluated
}

/// Repeats something, and takes the time that this thread has used.
fn repeat(limit: Duration, mut work: impl FnMut()) -> Result<Slice> {
    let begun = Instant::now();
    let (before, mut slice) = (thread_time()?, Slice::default());
    while begun.elapsed() < limit {
        work();
        slice.count += 1;
    }
    slice.elapsed = thread_time()?.saturating_sub(before);
    Ok(slice)
}

fn thread_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec).map_err(Error::from)?, u32::try_from(time.tv_nsec).map_err(Error::from)?))
}
