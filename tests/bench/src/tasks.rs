//! Repeats an operation in several concurrent tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::error::Result;
use crate::slice::Slice;

/// Repeats an operation in each task until the time is over. Its argument is the number of its task.
pub(crate) async fn repeat<O, F>(tasks: usize, limit: Duration, operation: O) -> Result<Slice>
where
    O: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let operation = Arc::new(operation);
    let begun = Instant::now();
    let running = (0..tasks).map(|task| {
        let operation = operation.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < limit {
                let started = Instant::now();
                operation(task).await?;
                latencies.push(started.elapsed());
            }
            Ok(latencies)
        })
    });
    let mut slice = Slice::default();
    for latencies in try_join_all(running).await? {
        let latencies: Result<Vec<_>> = latencies;
        slice.latencies.extend(latencies?);
    }
    slice.elapsed = begun.elapsed();
    slice.count = u32::try_from(slice.latencies.len())?;
    Ok(slice)
}
