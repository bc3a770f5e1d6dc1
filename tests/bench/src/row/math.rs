//! A formula over two sets of series, against the same arithmetic in a plain loop over arrays.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kymograph_domain::source::expression::{Converter, Data, Formula, Meter, Set};
use kymograph_domain::source::frame::{Cells, Column, Field, Frame, Labels};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

use super::Reading;
use crate::bench::Bench;
use crate::error::Result;
use crate::pairs;
use crate::slice::Slice;

const SERIES: u32 = 1_000;
const POINTS: u32 = 500;
/// The formula, which the plain loop computes as well.
const FORMULA: &str = "$A / $B";

/// The processor time of the formula, which joins series by their labels and points by their times, against that of the
/// loop.
pub(super) async fn over_two_sets(bench: &Bench, _: &str) -> Result<Reading> {
    let formula = Formula::try_read(&Map::from_iter([("expression".to_owned(), Value::from(FORMULA))]))?;
    let arrays = [arrays(1), arrays(7)];
    let frames = [frames(&arrays[0]), frames(&arrays[1])];
    let (mut converter, mut meter) = (Converter::default(), Meter::default());
    let sets = [converter.set_of(&frames[0], &mut meter)?, converter.set_of(&frames[1], &mut meter)?];

    let made = formula.evaluate(&sets, &mut Meter::default())?;
    if !numbers(&made).eq(ratios(&arrays).iter().flatten().copied()) {
        return Err("the formula makes other numbers than the loop".into());
    }
    let ours = || -> Result<()> {
        drop(black_box(formula.evaluate(black_box(&sets), &mut Meter::default())?));
        Ok(())
    };
    let theirs = || -> Result<()> {
        drop(black_box(ratios(black_box(&arrays))));
        Ok(())
    };
    let reading = pairs::compare(async || repeat(bench.slice, ours), async || repeat(bench.slice, theirs));
    Ok(reading.await?.into_time())
}

/// The numbers of a set, which depend on the seed.
fn arrays(seed: u32) -> Vec<Vec<f64>> {
    let number = |series: u32, point: u32| f64::from((series * 31 + point * seed) % 1_000) + 0.5;
    (0..SERIES).map(|series| (0..POINTS).map(|point| number(series, point)).collect()).collect()
}

/// The same as the frames of a source's response.
fn frames(arrays: &[Vec<f64>]) -> Vec<Frame> {
    let series = |(at, values): (usize, &Vec<f64>)| {
        let labels =
            [("instance", format!("10.0.0.{at:04}:9100")), ("job", "node".into()), ("mode", "user".into())];
        let labels = Labels::from(labels.map(|(name, value)| (name.to_owned(), value)));
        let times = (0..i64::from(POINTS)).map(|point| point * 15_000_000_000).collect();
        let numbers = Column::Float64(Cells::new(values.clone()));
        let value = Field { labels: Some(labels), ..Field::new("Value", numbers) };
        Frame { fields: vec![Field::new("Time", Column::Time(Cells::new(times))), value], ..Frame::default() }
    };
    arrays.iter().enumerate().map(series).collect()
}

/// The result of the formula, computed by the plain loop.
fn ratios([left, right]: &[Vec<Vec<f64>>; 2]) -> Vec<Vec<f64>> {
    let ratio = |(left, right): (&f64, &f64)| left / right;
    left.iter().zip(right).map(|(left, right)| left.iter().zip(right).map(ratio).collect()).collect()
}

fn numbers(set: &Set<'_>) -> impl Iterator<Item = f64> {
    let items = if let Set::Items(items) = set { items.as_slice() } else { &[] };
    let series = items.iter().filter_map(|item| match &item.data {
        Data::Series(points) => Some(points.iter().flatten()),
        Data::Number(_) => None,
    });
    series.flatten()
}

/// Repeats an operation, and measures the processor time of this thread.
fn repeat(limit: Duration, mut work: impl FnMut() -> Result<()>) -> Result<Slice> {
    let begun = Instant::now();
    let (before, mut slice) = (thread_time()?, Slice::default());
    while begun.elapsed() < limit {
        work()?;
        slice.count += 1;
    }
    slice.elapsed = thread_time()?.saturating_sub(before);
    Ok(slice)
}

fn thread_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}
