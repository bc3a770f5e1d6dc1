//! What may happen in Kymograph: aggregates with their commands, events and rules, and the typed values
//! that they are made of.
//!
//! Nothing here does I/O, knows the time or draws random numbers; whatever a decision needs is part of the
//! command. One noun is one file: [`folder`], [`dashboard`], [`membership`], [`org`], [`user`].

pub mod access;
pub mod aggregate;
pub mod dashboard;
pub mod event;
pub mod folder;
pub mod id;
pub mod import;
pub mod invariant;
pub mod invite;
pub mod json;
pub mod limit;
pub mod membership;
pub mod org;
pub mod past;
pub mod preference;
pub mod quota;
pub mod reason;
pub mod registry;
pub mod resource_permission;
pub mod role;
pub mod service_account;
pub mod slug;
pub mod star;
pub mod team;
pub mod text;
pub mod timestamp;
pub mod uid;
pub mod undo;
pub mod upcast;
pub mod user;

pub use aggregate::{Stream, StreamId};
pub use event::StoredEvent;
pub use id::{OrgId, TeamId, UserId};
pub use invariant::Invariant;
pub use json::CanonicalJson;
pub use reason::{Reason, ReasonKind};
pub use resource_permission::AccessLevel;
pub use role::OrgRole;
pub use timestamp::Timestamp;
pub use uid::Uid;
