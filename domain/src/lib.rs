//! The domain of Kymograph: aggregates with their commands, events and rules, and the typed values that they are made
//! of.
//!
//! Nothing here does I/O, knows the time or draws random numbers; whatever a decision needs is part of the
//! command. One noun is one file: [`folder`](content::folder), [`dashboard`](content::dashboard), [`membership`](account::membership), [`org`](account::org), [`user`](account::user).

pub mod account;
pub mod content;
pub mod import;
pub mod kernel;
pub mod limit;
pub mod registry;
pub mod rights;
pub mod source;

pub use kernel::access_level::AccessLevel;
pub use kernel::aggregate::{Stream, StreamId};
pub use kernel::event::StoredEvent;
pub use kernel::id::{OrgId, TeamId, UserId};
pub use kernel::invariant::Invariant;
pub use kernel::json::CanonicalJson;
pub use kernel::reason::{Reason, ReasonKind};
pub use kernel::role::OrgRole;
pub use kernel::timestamp::Timestamp;
pub use kernel::uid::Uid;
