//! The bounds on what use cases do for one request.

use std::time::Duration;

use kymograph_domain::limit::{Amount, Limit};
use kymograph_domain::user::MAX_PASSWORD_BYTES;

use crate::{audit, history, login_attempt, mail, page, search, session, text};

/// The bounds on what use cases do for one request.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Entries of a page",
        at: "Lists that are paged by number",
        most: Amount::Count(page::MAX_PER_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Entries of a page",
        at: "Histories",
        most: Amount::Count(history::MAX_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Entries of a page",
        at: "The audit log",
        most: Amount::Count(audit::MAX_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Login and password",
        at: "A log-in",
        most: Amount::Bytes(MAX_PASSWORD_BYTES),
        answer: "401, like a wrong password",
    },
    Limit {
        what: "Checks of a password at once",
        at: "A user",
        most: Amount::Count(1),
        answer: "The others wait",
    },
    Limit {
        what: "Time in which failed log-ins of a user count",
        at: "`[security] brute_force_login_protection_max_attempts`",
        most: Amount::Time(Duration::from_secs(login_attempt::WINDOW_SECONDS.unsigned_abs())),
        answer: "401 `login-attempt.blocked`",
    },
    Limit {
        what: "Sessions",
        at: "A user",
        most: Amount::Count(session::MAX_SESSIONS as u64),
        answer: "The one used longest ago ends",
    },
    Limit {
        what: "Mails within an hour",
        at: "A user, and an address",
        most: Amount::Count(mail::MAX_MAILS.unsigned_abs()),
        answer: "429 `overload.mails`",
    },
    Limit {
        what: "Text that is searched for",
        at: "Every search, every list with a `query`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "What comes after that does not count",
    },
    Limit {
        what: "Words that are searched for",
        at: "`/api/search`",
        most: Amount::Count(text::MAX_SEARCHED_WORDS as u64),
        answer: "Words after that do not count",
    },
    Limit {
        what: "Tags that are asked for",
        at: "`/api/search`",
        most: Amount::Count(search::MAX_TAGS as u64),
        answer: "400",
    },
    Limit {
        what: "A tag that is asked for",
        at: "`/api/search`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "400",
    },
    Limit {
        what: "Uids or ids that are asked for",
        at: "`/api/search`",
        most: Amount::Count(search::MAX_NAMED as u64),
        answer: "400",
    },
    Limit {
        what: "Values of a filter",
        at: "The audit log",
        most: Amount::Count(audit::MAX_FILTER_VALUES as u64),
        answer: "400",
    },
    Limit {
        what: "A value of a filter",
        at: "The audit log",
        most: Amount::Bytes(audit::MAX_FILTER_BYTES),
        answer: "400",
    },
    Limit {
        what: "Actors that a filter means",
        at: "The audit log",
        most: Amount::Count(audit::MAX_FILTER_ACTORS.unsigned_abs()),
        answer: "400",
    },
    Limit {
        what: "Exports at a time",
        at: "The audit log of an org",
        most: Amount::Count(audit::MAX_EXPORTS_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Exports at a time",
        at: "The audit logs of a server",
        most: Amount::Count(audit::MAX_EXPORTS as u64),
        answer: "429",
    },
];
