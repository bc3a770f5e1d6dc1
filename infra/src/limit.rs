//! The bounds on what clients share: hashing, mail, the database.

use kymograph_domain::limit::{Amount, Limit};

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
        what: "Time to hand a mail to the mail server",
        at: "A mail",
        most: Amount::Time(mail::TIMEOUT),
        answer: "The mail is not sent",
    },
];
