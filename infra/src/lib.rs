//! Adapters: the event store and the database under it, passwords, sessions, and the verification of the log.

pub mod change_feed;
pub mod clock;
pub mod compute;
pub mod database_server;
pub mod event_store;
pub mod health;
pub mod id_allocator;
pub mod import;
pub mod jwt;
pub mod limit;
pub mod login_attempt;
pub mod mail;
pub mod mail_budget;
pub mod metrics;
pub mod migrate;
pub mod password;
pub mod pipeline;
pub mod pool;
pub mod progress;
pub mod rebuild;
pub mod secret;
pub mod server_key;
pub mod session;
pub mod source_metrics;
pub mod verify;
