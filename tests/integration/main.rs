//! The integration tests, in one binary so that they share one PostgreSQL and are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod client;
mod dashboard;
mod event_samples;
mod event_store;
mod fault;
mod folder;
mod housekeeping;
mod idempotency;
mod identity;
mod invite;
mod isolation;
mod membership;
mod org;
mod preference;
mod quota;
mod route_examples;
mod schema;
mod search;
mod service_account;
mod setting;
mod star;
mod statistic;
mod team;
mod tidiness;
mod user;
mod verify;
