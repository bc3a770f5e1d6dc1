//! The basis of every use case: commands, units of work, scopes, permissions, errors, caches and bounds.

pub mod answer;
pub mod budget;
pub mod by_org;
pub mod cache;
pub mod change;
pub mod client_network;
pub mod clock;
pub mod command;
pub mod error;
pub mod event_store;
pub mod feed_health;
pub mod health;
pub mod id_allocator;
pub mod log_limit;
pub mod mail;
pub mod moment;
pub mod page;
pub mod permission;
pub mod random;
pub mod scope;
pub mod server_key;
pub mod setting;
pub mod text;
pub mod unit;
pub mod work;
