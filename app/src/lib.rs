//! The use cases of Kymograph: command and query handlers by noun, the ports they need from the outside,
//! authorization, and the public error vocabulary.
//!
//! A use case takes a [`Scope`] first: whoever has none can neither read nor write what a tenant owns.
//! Commands go through [`Commands::run`], which gives each one idempotency, retry and one atomic commit.

pub mod access;
pub mod answer;
pub mod audit;
pub mod authorization;
pub mod budget;
pub mod by_org;
pub mod cache;
pub mod change;
pub mod client_network;
pub mod clock;
pub mod command;
pub mod dashboard;
pub mod error;
pub mod event_store;
pub mod feed_health;
pub mod folder;
pub mod health;
pub mod history;
pub mod housekeeping;
pub mod id_allocator;
pub mod identity;
pub mod invite;
pub mod limit;
pub mod log_limit;
pub mod login_attempt;
pub mod mail;
pub mod membership;
pub mod moment;
pub mod org;
pub mod page;
pub mod password;
pub mod permission;
pub mod preference;
pub mod quota;
pub mod random;
pub mod resource_permission;
pub mod scope;
pub mod search;
pub mod server_key;
pub mod service_account;
pub mod session;
pub mod setting;
pub mod setup;
pub mod star;
pub mod statistic;
pub mod team;
pub mod text;
pub mod token;
pub mod undo;
pub mod unit;
pub mod user;
pub mod work;

/// The target of spans that are for a collector of traces. They are at the level `trace`, so that they cost nothing
/// where none is set.
pub const TRACE_TARGET: &str = "kymograph_trace";

pub use authorization::Authorization;
pub use command::Commands;
pub use error::{Error, ErrorKind, Result};
pub use page::Page;
pub use permission::Permission;
pub use scope::{Actor, RequestContext, Scope};
pub use unit::Unit;
pub use work::Workers;
