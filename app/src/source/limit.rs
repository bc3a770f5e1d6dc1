//! The limits of queries to data sources, and of lists of correlations.

use kymograph_domain::limit::{Amount, Limit};

use super::{correlation, query, room};

/// The limits of queries to data sources, and of lists of correlations.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Entries of a page",
        at: "`/api/datasources/correlations`",
        most: Amount::Count(correlation::MAX_PAGE as u64),
        answer: "A page of this size",
    },
    Limit {
        what: "Queries",
        at: "`/api/ds/query`",
        most: Amount::Count(query::MAX_QUERIES as u64),
        answer: "400",
    },
    Limit {
        what: "Concurrent calls of data sources",
        at: "A data source",
        most: Amount::Count(query::MAX_CALLS_OF_SOURCE as u64),
        answer: "Others wait, then 504 for the query",
    },
    Limit {
        what: "Concurrent requests to data sources, other than queries",
        at: "A user in an org",
        most: Amount::Count(query::MAX_REQUESTS_OF_USER as u64),
        answer: "Others wait, then 429 `overload.queries`",
    },
    Limit {
        what: "Concurrent calls of data sources",
        at: "An org",
        most: Amount::Count(query::MAX_CALLS_OF_ORG as u64),
        answer: "Others wait, then 429 `overload.queries`",
    },
    Limit {
        what: "Concurrent calls of data sources",
        at: "A server",
        most: Amount::Count(query::MAX_CALLS as u64),
        answer: "Others wait, then 429 `overload.queries`",
    },
    Limit {
        what: "Calls of data sources that wait",
        at: "An org",
        most: Amount::Count(query::MAX_WAITING_OF_ORG as u64),
        answer: "429 `overload.queries`",
    },
    Limit {
        what: "Memory of the settings of data sources",
        at: "A server",
        most: Amount::Bytes(query::MAX_OPENED_BYTES),
        answer: "They are read again",
    },
    Limit {
        what: "Memory of answers of data sources without admission",
        at: "A request",
        most: Amount::Bytes(room::SMALL_BYTES),
        answer: "It counts as a medium one",
    },
    Limit {
        what: "Memory of answers of data sources",
        at: "A medium request",
        most: Amount::Bytes(room::MEDIUM_BYTES),
        answer: "It counts as a large one",
    },
    Limit {
        what: "Memory of answers of data sources",
        at: "A large request",
        most: Amount::Bytes(room::LARGE_BYTES),
        answer: "It is processed while no other such request is",
    },
    Limit {
        what: "Memory of answers of data sources",
        at: "A request",
        most: Amount::Bytes(room::MAX_BYTES),
        answer: "413, or 413 for the query",
    },
    Limit {
        what: "Minimum rate of a response of a data source above 128 KiB, per second",
        at: "After 3 s",
        most: Amount::Bytes(room::MIN_BYTES_PER_SECOND),
        answer: "The query is 502 or 504",
    },
    Limit {
        what: "Concurrent medium requests to data sources",
        at: "An org",
        most: Amount::Count(room::MAX_MEDIUM_OF_ORG as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent medium requests to data sources",
        at: "A server",
        most: Amount::Count(room::MAX_MEDIUM as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent large requests to data sources",
        at: "An org",
        most: Amount::Count(room::MAX_LARGE_OF_ORG as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent large requests to data sources",
        at: "A server",
        most: Amount::Count(room::MAX_LARGE as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
];
