//! The read models of Kymograph: for each noun the projector that writes its tables and the queries that read
//! them, side by side.
//!
//! All projectors here are inline: their statements are part of the transaction that appends the events, so
//! that what a client reads after an acknowledged write shows it. A new read model is registered in
//! [`projectors`].

pub mod audit;
pub mod dashboard;
pub mod database;
pub mod folder;
pub mod history;
pub mod identity;
pub mod invite;
pub mod membership;
pub mod moment;
pub mod org;
pub mod preference;
pub mod premise;
pub mod projector;
pub mod quota;
pub mod resource_permission;
pub mod search;
pub mod service_account;
pub mod star;
pub mod statement;
pub mod statistic;
pub mod team;
mod text;
pub mod undo;
pub mod user;

use kymograph_app::quota::QuotaLimits;

pub use database::Database;
pub use projector::{Projector, Recorded};
pub use statement::{OnFailure, Statement, Statements};

/// All inline projectors, in the order in which their statements run, for replays and for servers without limits.
#[must_use]
pub fn projectors() -> Vec<Box<dyn Projector>> {
    projectors_within(None)
}

/// All inline projectors of a server that keeps limits.
#[must_use]
pub fn projectors_within(limits: Option<&QuotaLimits>) -> Vec<Box<dyn Projector>> {
    vec![
        Box::new(quota::QuotaProjector::new(limits.cloned())),
        Box::new(org::OrgProjector),
        Box::new(user::UserProjector),
        Box::new(audit::ActorProjector),
        Box::new(membership::MembershipProjector),
        Box::new(team::TeamProjector),
        Box::new(service_account::ServiceAccountProjector),
        Box::new(folder::FolderProjector),
        Box::new(dashboard::DashboardProjector),
        Box::new(resource_permission::ResourcePermissionProjector),
        Box::new(preference::PreferenceProjector),
        Box::new(star::StarProjector),
        Box::new(invite::InviteProjector),
    ]
}
