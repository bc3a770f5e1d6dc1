//! Metrics of jobs.

use std::collections::BTreeMap;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::handler::Handlers;

/// The outcome of a run of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It succeeded.
    Done,
    /// It failed and will be retried.
    Retried,
    /// It failed for good.
    Dead,
    /// Another worker has claimed it.
    Lost,
    /// It was released at the stop of the server.
    Released,
}

const OUTCOMES: [&str; 5] = ["done", "retried", "dead", "lost", "released"];

/// The counters of jobs.
#[derive(Clone)]
pub struct JobMetrics {
    /// By kind and [`Outcome`].
    runs: BTreeMap<&'static str, [IntCounter; OUTCOMES.len()]>,
    pub(crate) restarts: IntCounter,
}

impl JobMetrics {
    /// Metrics of these handlers in a registry.
    pub fn try_new(registry: &Registry, handlers: &Handlers) -> prometheus::Result<Self> {
        let opts = Opts::new("kymograph_jobs_total", "Job runs by outcome.");
        let counters = IntCounterVec::new(opts, &["kind", "outcome"])?;
        let of_kind = |kind| OUTCOMES.map(|outcome| counters.with_label_values(&[kind, outcome]));
        let runs = handlers.kinds().map(|kind| (kind, of_kind(kind))).collect();
        let help = "Restarts of the job worker after a crash.";
        let restarts = IntCounter::new("kymograph_job_worker_restarts_total", help)?;
        registry.register(Box::new(counters))?;
        registry.register(Box::new(restarts.clone()))?;
        Ok(Self { runs, restarts })
    }

    pub(crate) fn count(&self, kind: &str, outcome: Outcome) {
        if let Some(counters) = self.runs.get(kind) {
            counters[outcome as usize].inc();
        }
    }
}
