//! The kymograph server: configuration, composition root and subcommands.

pub mod allocator;
pub mod config;
pub mod database;
mod database_url;
pub mod error;
pub mod import;
pub mod limits;
pub mod logging;
mod metrics;
pub mod openapi;
pub mod progress;
pub mod projections;
pub mod secrets;
pub mod serve;
pub mod trace;
pub mod verify;
pub mod wire;
