//! The bounds on what comes with a request.

use kymograph_domain::limit::{Amount, Limit};

use crate::layer;

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
];
