//! Durable jobs: the table `jobs`, the handlers of their kinds, and the worker of a server that runs them.
//!
//! A job is a row, written in the commit that causes it and deleted when it is done. Workers of all servers claim due
//! jobs for the duration of a lease, which they renew. The jobs of a crashed worker become due when their leases
//! expire, and a slow worker cannot settle a job that another one has claimed since: each claim increments the job's
//! epoch. See `docs/adr/0031-durable-jobs.md`.

mod backoff;
mod handler;
mod metrics;
mod queue;
mod run;
mod runner;
mod worker;

pub use handler::Handlers;
pub use metrics::JobMetrics;
pub use queue::PgJobs;
pub use runner::JobRunner;
pub use worker::MAX_RUNNING_OF_ORG;
