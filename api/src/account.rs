//! Orgs and accounts: users, sessions, members, teams, service accounts and invites.

pub(crate) mod access;
pub mod authentication;
pub mod avatar;
pub mod invite;
pub mod job;
pub mod membership;
pub mod org;
pub mod quota;
pub mod service_account;
pub mod session;
pub mod statistic;
pub mod team;
pub mod user;

use std::sync::Arc;

use kymograph_app::account::AccountServices;

use crate::account::session::CookieSettings;
use crate::kernel::routes::Routes;

/// The routes of the area.
pub(crate) fn routes(services: AccountServices, cookie: &Arc<CookieSettings>, root_url: &str) -> Routes {
    let AccountServices { identity, invites, memberships, .. } = services;
    Routes::default()
        .merge(avatar::routes())
        .merge(invite::routes(invites, identity.clone(), cookie.clone(), root_url))
        .merge(session::routes(identity.clone(), services.sessions, cookie.clone(), root_url))
        .merge(statistic::routes(&services.statistics))
        .merge(job::routes(&services.jobs))
        .merge(org::routes(services.orgs))
        .merge(membership::routes(memberships.clone()))
        .merge(user::routes(services.users, memberships, identity, root_url))
        .merge(service_account::routes(&services.service_accounts))
        .merge(team::routes(&services.teams))
        .merge(quota::routes(&services.quotas))
}
