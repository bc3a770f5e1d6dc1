//! The use cases of Kymograph: command and query handlers by noun, the ports they need from the outside,
//! authorization, and the public error vocabulary.
//!
//! A use case takes a [`Scope`] first: whoever has none can neither read nor write what a tenant owns.
//! Commands go through [`Commands::run`], which gives each one idempotency, retry and one atomic commit.

pub mod account;
pub mod content;
pub mod kernel;
pub mod limit;
pub mod record;
pub(crate) mod registry;
pub mod rights;
pub mod source;

/// The target of spans that are for a collector of traces. They are at the level `trace`, so that they cost nothing
/// where none is set.
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
