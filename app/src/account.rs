//! Orgs, and who works in them: users, sessions, members, teams, service accounts and invites.

pub mod access;
pub mod housekeeping;
pub mod identity;
pub mod invite;
pub mod job;
pub mod login_attempt;
pub mod membership;
pub mod org;
pub mod password;
pub mod quota;
pub mod service_account;
pub mod session;
pub mod setup;
pub mod statistic;
pub mod team;
pub mod token;
pub mod user;
