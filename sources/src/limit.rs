//! The bounds on what sources are asked, and on what they may answer.

use kymograph_domain::limit::{Amount, Limit};

use crate::{backend, client, interval, loki, policy, prometheus, series, template};

/// The bounds on what sources are asked, and on what they may answer.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Expression of a query",
        at: "Prometheus and Loki",
        most: Amount::Bytes(backend::MAX_EXPRESSION),
        answer: "The query is 400",
    },
    Limit {
        what: "Points of a series that are asked for",
        at: "Prometheus and Loki",
        most: Amount::Count(interval::MAX_POINTS.unsigned_abs()),
        answer: "The time between them is longer",
    },
    Limit {
        what: "Lines that are asked for",
        at: "Loki",
        most: Amount::Count(loki::MAX_LINES.unsigned_abs()),
        answer: "So many",
    },
    Limit {
        what: "Queries of a request that a source is asked at a time",
        at: "Prometheus and Loki",
        most: Amount::Count(backend::CONCURRENCY as u64),
        answer: "The others wait",
    },
    Limit {
        what: "Bytes that a series counts for, beside its labels and points",
        at: "The bytes that a source may answer with",
        most: Amount::Bytes(series::SERIES),
        answer: "The query is 502",
    },
    Limit {
        what: "Name that a legend gives to a series",
        at: "Prometheus and Loki",
        most: Amount::Bytes(template::MAX_LEGEND),
        answer: "It ends there",
    },
    Limit {
        what: "Warnings of an answer",
        at: "Prometheus",
        most: Amount::Count(prometheus::MAX_NOTICES as u64),
        answer: "The others are left out",
    },
    Limit {
        what: "Time-out that a data source may have",
        at: "`jsonData.timeout`",
        most: Amount::Time(client::MAX_TIMEOUT),
        answer: "This time-out",
    },
    Limit {
        what: "Time of an answer that is passed on",
        at: "The proxy and the resources of data sources",
        most: Amount::Time(client::LIFETIME),
        answer: "It breaks off",
    },
    Limit {
        what: "Data sources with connections",
        at: "A server",
        most: Amount::Count(client::MAX_CLIENTS),
        answer: "Those that were not used for the longest time connect again",
    },
    Limit {
        what: "Names that are looked up at a time",
        at: "A server",
        most: Amount::Count(policy::LOOKUPS as u64),
        answer: "The others wait, then 504",
    },
];
