//! Orgs, users, sessions, members, teams, service accounts and invites.

pub mod access;
pub mod housekeeping;
pub mod identity;
pub mod invite;
pub mod job;
pub mod login_attempt;
pub mod membership;
pub mod org;
pub mod password;
pub(crate) mod permission;
pub mod quota;
pub mod service_account;
pub mod session;
pub mod setup;
pub mod statistic;
pub mod team;
pub mod token;
pub mod user;

use std::sync::Arc;

/// The use cases of the area.
pub struct AccountServices {
    /// Records log-ins and refused requests.
    pub access: access::AccessLog,
    /// Authentication of callers.
    pub identity: Arc<identity::Identity>,
    /// Invites.
    pub invites: Arc<invite::Invites>,
    /// Jobs.
    pub jobs: Arc<job::Jobs>,
    /// Memberships.
    pub memberships: Arc<membership::Memberships>,
    /// Orgs.
    pub orgs: Arc<org::Orgs>,
    /// Quotas.
    pub quotas: Arc<quota::Quotas>,
    /// Service accounts.
    pub service_accounts: Arc<service_account::ServiceAccounts>,
    /// Sessions.
    pub sessions: Arc<session::Sessions>,
    /// Statistics.
    pub statistics: Arc<statistic::Statistics>,
    /// Teams.
    pub teams: Arc<team::Teams>,
    /// Users.
    pub users: Arc<user::Users>,
}
