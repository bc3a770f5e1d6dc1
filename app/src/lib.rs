//! The use cases of Kymograph: command and query handlers by noun, the ports they need from the outside,
//! authorization, and the public error vocabulary.
//!
//! A use case takes a [`Scope`] first: without one, no tenant data can be read or written.
//! Commands go through [`Commands::run`], which gives each one idempotency, retry and one atomic commit.

pub mod account;
pub mod content;
pub mod kernel;
pub mod limit;
pub mod record;
pub(crate) mod registry;
pub mod rights;
pub mod source;

/// The target of spans for a trace collector. They have the level `trace`, so that they cost nothing where no collector
/// is configured.
pub const TRACE_TARGET: &str = "kymograph_trace";

pub use kernel::command::Commands;
pub use kernel::error::{Error, ErrorKind, Result};
pub use kernel::page::Page;
pub use kernel::permission::Permission;
pub use kernel::scope::{Actor, RequestContext, Scope};
pub use kernel::unit::Unit;
pub use kernel::work::Workers;
pub use rights::authorization::Authorization;

/// All permissions.
pub fn permissions() -> impl Iterator<Item = Permission> {
    let areas = [
        account::permission::PERMISSIONS,
        rights::permission::PERMISSIONS,
        content::permission::PERMISSIONS,
        record::permission::PERMISSIONS,
        source::permission::PERMISSIONS,
    ];
    areas.into_iter().flatten().copied()
}
