//! Data sources, and what they answer with.

pub mod data_source;
pub mod frame;

use crate::limit::{Amount, Limit};

/// The bounds on what the nouns of the area keep.
pub(crate) const LIMITS: &[Limit] = &[
    Limit {
        what: "Name, type, user or database",
        at: "A data source",
        most: Amount::Bytes(data_source::MAX_TEXT_BYTES),
        answer: "400",
    },
    Limit {
        what: "Address",
        at: "A data source",
        most: Amount::Bytes(data_source::MAX_URL_BYTES),
        answer: "400",
    },
    Limit {
        what: "`jsonData`",
        at: "A data source",
        most: Amount::Bytes(data_source::MAX_JSON_DATA_BYTES),
        answer: "400",
    },
    Limit {
        what: "Secrets",
        at: "A data source",
        most: Amount::Count(data_source::MAX_SECRETS as u64),
        answer: "400",
    },
    Limit {
        what: "Secret",
        at: "A data source",
        most: Amount::Bytes(data_source::MAX_SECRET_BYTES),
        answer: "400",
    },
];
