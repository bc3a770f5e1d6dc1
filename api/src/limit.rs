//! The limits of requests.

use kymograph_domain::limit::{Amount, Limit};

use crate::content::dashboard;
use crate::kernel::body;
use crate::kernel::layer::{self, budget};

/// The limits of requests.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "`Idempotency-Key`",
        at: "Every write",
        most: Amount::Characters(layer::MAX_ID_LENGTH),
        answer: "400",
    },
    Limit {
        what: "`X-Request-Id` and `X-Correlation-Id`",
        at: "Every request",
        most: Amount::Characters(layer::MAX_ID_LENGTH),
        answer: "The server generates an id instead",
    },
    Limit {
        what: "Answer",
        at: "`calculate-diff`",
        most: Amount::Bytes(dashboard::MAX_DIFF_BYTES),
        answer: "HTML is truncated, JSON is 413",
    },
    Limit {
        what: "Values and names of members",
        at: "A request body without a dashboard",
        most: Amount::Count(body::MAX_FORM_NODES as u64),
        answer: "400",
    },
    Limit {
        what: "Request body",
        at: "Routes without authentication",
        most: Amount::Bytes(body::MAX_PUBLIC_BODY),
        answer: "413",
    },
    Limit {
        what: "Time to receive a request body",
        at: "Routes without authentication",
        most: Amount::Time(body::PUBLIC_BODY_TIMEOUT),
        answer: "504",
    },
    Limit {
        what: "Request body",
        at: "All routes except saving dashboards",
        most: Amount::Bytes(body::MAX_FORM),
        answer: "413",
    },
    Limit {
        what: "Bytes of request bodies in flight",
        at: "All orgs (or twice `[server] max_body`); an org has a quarter of it, or one body of `max_body`",
        most: Amount::Bytes(budget::MAX_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of request bodies of at most 64 KiB in flight",
        at: "All orgs; a quarter of it per org",
        most: Amount::Bytes(budget::MAX_SMALL_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of request bodies in flight",
        at: "Routes without authentication",
        most: Amount::Bytes(budget::MAX_PUBLIC_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of request bodies in flight",
        at: "Routes without authentication, per address or IPv6 /64",
        most: Amount::Bytes(budget::MAX_BYTES_OF_ADDRESS),
        answer: "429",
    },
];
