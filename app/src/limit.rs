//! The bounds on what use cases do for one request.

use kymograph_domain::limit::{Amount, Limit};

use crate::{audit, history, page};

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
];
