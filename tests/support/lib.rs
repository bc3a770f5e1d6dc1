//! The basis of the integration tests: a private PostgreSQL for the run, a database per test, a server on a free port,
//! and clients with credentials that check every response against our OpenAPI document and Grafana's contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test that cannot be set up has failed"
)]

mod client;
mod clock;
mod cluster;
mod contract;
mod mail;
mod openapi;
mod process;
mod prometheus;
mod proxy;
mod raw;
mod server;
mod upstream;

pub use client::{Answer, Client};
pub use clock::TestClock;
pub use cluster::{Cluster, TestDatabase, master_keys};
pub use contract::{ContractTable, Operation};
pub use mail::{MailServer, Manner};
pub use openapi::Contract;
pub use process::{ServerProcess, program};
pub use prometheus::PrometheusServer;
pub use proxy::DatabaseProxy;
pub use raw::{RawAnswer, RawConnection, basic};
pub use server::TestServer;
pub use upstream::upstream_url;
