//! The bounds on what comes with a request.

use kymograph_domain::limit::{Amount, Limit};

use crate::{dashboard, layer};

/// The bounds on what comes with a request.
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
        answer: "An id of the server's instead",
    },
    Limit {
        what: "Answer",
        at: "`calculate-diff`",
        most: Amount::Bytes(dashboard::MAX_DIFF_BYTES),
        answer: "HTML ends early, JSON is 413",
    },
];
