//! Data sources, correlations between them, and their responses.

pub mod correlation;
pub mod data_source;
pub mod expression;
pub mod frame;
pub mod time_range;

use crate::kernel::text;
use crate::limit::{Amount, Limit};

/// The bounds on the data that data sources store, and on computations on their responses.
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
    Limit {
        what: "Secrets that are set at once",
        at: "A data source",
        most: Amount::Bytes(data_source::MAX_SECRETS_BYTES),
        answer: "400",
    },
    Limit {
        what: "Label or field",
        at: "A correlation",
        most: Amount::Bytes(text::MAX_NAME_BYTES),
        answer: "400",
    },
    Limit {
        what: "Description",
        at: "A correlation",
        most: Amount::Bytes(text::MAX_DESCRIPTION_BYTES),
        answer: "400",
    },
    Limit {
        what: "`config`",
        at: "A correlation",
        most: Amount::Bytes(correlation::MAX_CONFIG_BYTES),
        answer: "400",
    },
    Limit {
        what: "Correlations",
        at: "A data source, as their source or target",
        most: Amount::Count(correlation::MAX_CORRELATIONS as u64),
        answer: "400",
    },
    Limit {
        what: "Contents of all correlations",
        at: "A data source, as their source or target",
        most: Amount::Bytes(correlation::MAX_CONTENTS_BYTES),
        answer: "400",
    },
    Limit {
        what: "Expressions",
        at: "A request with queries",
        most: Amount::Count(expression::MAX_EXPRESSIONS as u64),
        answer: "400",
    },
    Limit {
        what: "`refId`",
        at: "A query",
        most: Amount::Bytes(expression::MAX_REF_ID_BYTES),
        answer: "400",
    },
    Limit {
        what: "Formula",
        at: "A `math` expression",
        most: Amount::Bytes(expression::MAX_BYTES),
        answer: "400",
    },
    Limit {
        what: "Levels of parentheses, functions and signs",
        at: "A formula",
        most: Amount::Count(expression::MAX_DEPTH as u64),
        answer: "400",
    },
    Limit {
        what: "Conditions",
        at: "A `classic_conditions` expression",
        most: Amount::Count(expression::MAX_CONDITIONS as u64),
        answer: "400",
    },
    Limit {
        what: "Points",
        at: "A series of a `resample` expression",
        most: Amount::Count(expression::MAX_POINTS as u64),
        answer: "400 for this `refId`",
    },
    Limit {
        what: "Series or numbers",
        at: "A join of two inputs, a table with texts",
        most: Amount::Count(expression::MAX_SERIES as u64),
        answer: "400 for this `refId`",
    },
    Limit {
        what: "Steps of work, of which adding two numbers is one",
        at: "The expressions of a request",
        most: Amount::Count(expression::MAX_WORK as u64),
        answer: "400 for the `refId` that needs more",
    },
    Limit {
        what: "Values of 8 bytes in memory",
        at: "The expressions of a request",
        most: Amount::Count(expression::MAX_VALUES as u64),
        answer: "400 for the `refId` that needs more",
    },
];
