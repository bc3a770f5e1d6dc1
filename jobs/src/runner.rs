//! Keeps the worker of a server alive, and stops it.

use std::time::Duration;

use kymograph_app::kernel::job::NewJob;
use prometheus::IntCounter;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::handler::Handlers;
use crate::metrics::JobMetrics;
use crate::queue::PgJobs;
use crate::worker::Worker;

/// How long the worker rests after it ended by a fault.
const REST: Duration = Duration::from_secs(1);
/// How long the stop may take in all.
const STOP: Duration = Duration::from_secs(10);

/// The worker of a server. It ends at once, with what it does, when this is dropped.
pub struct JobRunner {
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<()>,
}

impl JobRunner {
    /// Starts the worker. There always are the jobs that are standing: they are written if they are missing.
    #[must_use]
    pub fn start(queue: PgJobs, handlers: Handlers, metrics: JobMetrics, standing: Vec<NewJob>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let restarts = metrics.restarts.clone();
        let worker = Worker { queue, handlers, metrics, standing, stop: stopped };
        let supervisor = tokio::spawn(supervise(restarts, move || worker.clone().run()));
        Self { stop, supervisor }
    }

    /// Stops the worker: it claims nothing any more, finishes what takes moments, and gives the rest back.
    pub async fn stop(mut self) {
        // A worker that has ended has nothing to be told.
        let _ = self.stop.send(true);
        if timeout(STOP, &mut self.supervisor).await.is_err() {
            tracing::warn!("could not release all running jobs in time");
        }
    }
}

impl Drop for JobRunner {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// Runs a worker until it ends by itself, and starts another one whenever it ends by a fault.
async fn supervise<W>(restarts: IntCounter, worker: impl Fn() -> W + Send)
where
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        // A set, because that ends its task when it is dropped.
        let mut task = JoinSet::new();
        task.spawn(worker());
        match task.join_next().await {
            Some(Err(error)) => {
                tracing::error!(%error, "the job worker crashed and is restarted");
                restarts.inc();
                sleep(REST).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_ends_by_a_fault_is_started_again() {
        let restarts = IntCounter::new("restarts", "restarts").unwrap();
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = starts.clone();
        let worker = move || {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(number > 0, "a fault") }
        };
        supervise(restarts.clone(), worker).await;
        assert_eq!((starts.load(Ordering::SeqCst), restarts.get()), (2, 1));
    }
}
