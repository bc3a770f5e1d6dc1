//! The integration tests, in one binary so that they share one PostgreSQL and are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod access;
mod audit;
mod client;
mod dashboard;
mod dashboard_diff;
mod dashboard_import;
mod event_samples;
mod event_store;
mod fault;
mod folder;
mod idempotency;
mod identity;
mod import;
mod invite;
mod isolation;
mod membership;
mod openapi;
mod org;
mod portal;
mod preference;
mod projections;
mod route_examples;
mod schema;
mod search;
mod service_account;
mod setting;
mod star;
mod statistic;
mod team;
mod tidiness;
mod trash;
mod user;
mod verify;
