//! Orgs and the accounts in them: users, sessions, members, teams, service accounts and invites.

pub mod access;
pub mod invite;
pub mod membership;
pub mod org;
pub mod quota;
pub mod service_account;
pub mod team;
pub mod user;

use crate::limit::{Amount, Limit};

/// The bounds on the data that the nouns of the area store.
pub(crate) const LIMITS: &[Limit] = &[
    Limit { what: "New password", at: "Users", most: Amount::Bytes(user::MAX_PASSWORD_BYTES), answer: "400" },
    Limit { what: "Members", at: "A team", most: Amount::Count(team::MAX_MEMBERS as u64), answer: "400" },
    Limit {
        what: "Tokens",
        at: "A service account",
        most: Amount::Count(service_account::MAX_TOKENS as u64),
        answer: "400",
    },
    Limit {
        what: "Open invites",
        at: "An org",
        most: Amount::Count(invite::MAX_OPEN_INVITES.unsigned_abs()),
        answer: "403",
    },
];
