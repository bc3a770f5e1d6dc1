//! Orgs and their users: users, sessions, members, teams, service accounts and invites.

pub mod identity;
pub mod invite;
pub mod membership;
pub mod org;
pub mod quota;
pub mod service_account;
pub mod statistic;
pub mod team;
pub mod user;

use kymograph_app::account::quota::QuotaLimits;

use crate::Projector;

/// The projectors of the area. Quotas come first, because they count rows that others delete.
pub(crate) fn projectors(
    limits: Option<&QuotaLimits>,
    counters: &'static [quota::Counter],
) -> Vec<Box<dyn Projector>> {
    vec![
        Box::new(quota::QuotaProjector::new(limits.cloned(), counters)),
        Box::new(org::OrgProjector),
        Box::new(user::UserProjector),
        Box::new(membership::MembershipProjector),
        Box::new(team::TeamProjector),
        Box::new(service_account::ServiceAccountProjector),
        Box::new(invite::InviteProjector),
    ]
}
