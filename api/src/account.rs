//! Orgs, and who works in them: users, sessions, members, teams, service accounts and invites.

pub(crate) mod access;
pub mod avatar;
pub mod invite;
pub mod job;
pub mod membership;
pub mod org;
pub mod quota;
pub mod service_account;
pub mod session;
pub mod setting;
pub mod statistic;
pub mod team;
pub mod user;
