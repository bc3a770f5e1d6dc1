//! The bounds on what clients share: hashing, mail, the database.

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::database;

use crate::event_store::lane;
use crate::{mail, password};

/// The bounds on what clients share.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Requests that wait to have a password hashed",
        at: "A server",
        most: Amount::Count(password::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Commands that wait for those before them",
        at: "An org",
        most: Amount::Count(lane::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Time that a statement of a read takes",
        at: "Every request",
        most: Amount::Time(database::STATEMENT_TIMEOUT),
        answer: "503",
    },
    Limit {
        what: "Time to wait for a share of the database connections",
        at: "Every request",
        most: Amount::Time(database::WAIT_FOR_CONNECTION),
        answer: "429",
    },
    Limit {
        what: "Time to wait for a database connection",
        at: "Every request",
        most: Amount::Time(database::WAIT_FOR_CONNECTION),
        answer: "503",
    },
    Limit {
        what: "Time to hand a mail to the mail server",
        at: "A mail",
        most: Amount::Time(mail::TIMEOUT),
        answer: "The mail is not sent",
    },
];
