//! Durable jobs: the table `jobs`, the handlers of their kinds, and the worker of a server that does them.
//!
//! A job is a row, written in the commit that causes it and deleted when it is done. Workers of all servers claim what is
//! due for the time of a lease, which they renew. One that dies leaves its jobs to others when their leases end, and one
//! that was only slow cannot settle a job any more that another has claimed: each claim moves the job's epoch. See
//! `docs/adr/0031-durable-jobs.md`.

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
