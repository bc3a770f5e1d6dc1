//! Compares two sides by short alternating slices, so that other work on the machine affects both alike.

use std::time::Instant;

use futures_util::TryStreamExt;
use tokio_postgres::Client;

use crate::error::Result;
use crate::report;
use crate::row::Reading;
use crate::slice::{Slice, median};

/// The number of slices of each side.
const PAIRS: usize = 5;
/// The number of runs of each side that is measured as a whole.
const ROUNDS: usize = 3;

/// The speed of our side relative to the other: the median of the ratios of all pairs.
///
/// The sides take turns in beginning a pair, so that growth during a measurement, such as that of tables, affects both
/// alike.
pub(crate) async fn compare(
    mut ours: impl AsyncFnMut() -> Result<Slice>,
    mut theirs: impl AsyncFnMut() -> Result<Slice>,
) -> Result<Reading> {
    let (mut our_sum, mut their_sum) = (Slice::default(), Slice::default());
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let (our_slice, their_slice) = if pair % 2 == 0 {
            let first = ours().await?;
            (first, theirs().await?)
        } else {
            let first = theirs().await?;
            (ours().await?, first)
        };
        if our_slice.count == 0 || their_slice.count == 0 {
            return Err("nothing was finished within a slice: try longer ones, with --seconds".into());
        }
        let (our_rate, their_rate) = (our_slice.rate(), their_slice.rate());
        report::progress(&format!("  {our_rate:.0} / {their_rate:.0} per second"));
        ratios.push(our_rate / their_rate);
        our_sum.merge(our_slice);
        their_sum.merge(their_slice);
    }
    let value = median(ratios).ok_or("there were no pairs")?;
    Ok(Reading { value, ours: Some(our_sum), theirs: Some(their_sum) })
}

/// The processor time per operation of our side relative to the other: the median of the ratios of all pairs. Both are
/// metered.
pub(crate) async fn compare_cpu(
    mut ours: impl AsyncFnMut() -> Result<Slice>,
    mut theirs: impl AsyncFnMut() -> Result<Slice>,
) -> Result<Reading> {
    let (mut our_sum, mut their_sum) = (Slice::default(), Slice::default());
    let mut ratios = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let (our_slice, their_slice) = (ours().await?, theirs().await?);
        let (Some(our_cpu), Some(their_cpu)) = (our_slice.cpu(), their_slice.cpu()) else {
            return Err("nothing was finished within a slice: try longer ones, with --seconds".into());
        };
        report::progress(&format!("  {our_cpu:.1?} / {their_cpu:.1?} of processor time"));
        ratios.push(our_cpu.as_secs_f64() / their_cpu.as_secs_f64());
        our_sum.merge(our_slice);
        their_sum.merge(their_slice);
    }
    let value = median(ratios).ok_or("there were no pairs")?;
    Ok(Reading { value, ours: Some(our_sum), theirs: Some(their_sum) })
}

/// The duration of our side relative to the other, each as a whole: the ratio of their medians.
pub(crate) async fn compare_runs(
    mut ours: impl AsyncFnMut() -> Result<()>,
    mut theirs: impl AsyncFnMut() -> Result<()>,
) -> Result<Reading> {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        theirs().await?;
        their_times.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        ours().await?;
        our_times.push(begun.elapsed().as_secs_f64());
    }
    report::progress(&format!("  {our_times:.1?} / {their_times:.1?} seconds"));
    let (ours, theirs) = median(our_times).zip(median(their_times)).ok_or("nothing was measured")?;
    Ok(Reading::alone(ours / theirs))
}

/// Copies rows out like a client that discards them.
pub(crate) async fn copy_out(client: &Client, query: &str) -> Result<()> {
    let mut rows = std::pin::pin!(client.copy_out(&format!("COPY ({query}) TO STDOUT")).await?);
    while rows.try_next().await?.is_some() {}
    Ok(())
}
