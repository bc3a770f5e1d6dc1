//! Supervises the worker of a server.

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

/// The pause before a crashed worker is restarted.
const REST: Duration = Duration::from_secs(1);
/// The timeout of the stop.
const STOP: Duration = Duration::from_secs(10);

/// The worker of a server. Dropping this aborts it with its running jobs.
pub struct JobRunner {
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<()>,
}

impl JobRunner {
    /// Starts the worker. Missing standing jobs are written.
    #[must_use]
    pub fn start(queue: PgJobs, handlers: Handlers, metrics: JobMetrics, standing: Vec<NewJob>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let restarts = metrics.restarts.clone();
        let worker = Worker { queue, handlers, metrics, standing, stop: stopped };
        let supervisor = tokio::spawn(supervise(restarts, move || worker.clone().run()));
        Self { stop, supervisor }
    }

    /// Stops the worker: it claims no more jobs, finishes short ones, and releases the others.
    pub async fn stop(mut self) {
        // A worker that has ended needs no signal.
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

/// Runs a worker until it stops, and restarts it after a crash.
async fn supervise<W>(restarts: IntCounter, worker: impl Fn() -> W + Send)
where
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        // A set, because dropping it aborts its tasks.
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
