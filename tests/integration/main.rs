//! The integration tests, in one binary so that they share one PostgreSQL and are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod access;
mod audit;
mod authorization;
mod client;
mod contract;
mod dashboard;
mod dashboard_diff;
mod dashboard_import;
mod event_samples;
mod event_store;
mod fault;
mod folder;
mod frontend;
mod history;
mod housekeeping;
mod idempotency;
mod identity;
mod invite;
mod isolation;
mod membership;
mod metrics;
mod openapi;
mod org;
mod past;
mod portal;
mod preference;
mod quota;
mod resource_permission;
mod rights;
mod route_examples;
mod schema;
mod search;
mod service_account;
mod setting;
mod star;
mod statistic;
mod story;
mod team;
mod tidiness;
mod tls;
mod trace;
mod trash;
mod user;
mod verify;
