//! The reasons why queries cannot be planned, and why an expression has no result.

use super::join::MAX_SERIES;
use super::meter::{MAX_VALUES, MAX_WORK};
use super::resample::MAX_POINTS;
use super::{MAX_EXPRESSIONS, MAX_REF_ID_BYTES};

/// The reason why queries cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// There are too many expressions.
    #[error("a request has at most {MAX_EXPRESSIONS} expressions")]
    TooMany,
    /// A query has no name, or too long a one.
    #[error("every query needs a refId of at most {MAX_REF_ID_BYTES} bytes")]
    RefId,
    /// Two queries have the same name.
    #[error("refId {0} is used by more than one query")]
    Duplicate(String),
    /// An expression is invalid.
    #[error("expression {ref_id}: {fault}")]
    Invalid {
        /// The expression.
        ref_id: String,
        /// The error.
        fault: String,
    },
    /// An expression has itself as input.
    #[error("expression {0} cannot have itself as input")]
    OwnInput(String),
    /// An expression has an input that does not exist.
    #[error("expression {ref_id} has {input} as input, and there is no such query")]
    UnknownInput {
        /// The expression.
        ref_id: String,
        /// Its input.
        input: String,
    },
    /// Expressions have each other as input.
    #[error("expressions have each other as input: {}", .0.join(" <- "))]
    Circle(Vec<String>),
}

/// The error of an expression that has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expression {ref_id}: {reason}")]
pub struct ExpressionFault {
    /// The expression.
    pub ref_id: String,
    /// The reason.
    pub reason: Reason,
}

/// The reason why an expression has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An input has no result.
    #[error("its input {0} failed")]
    InputFailed(String),
    /// An input cannot be worked on.
    #[error("its input {input} cannot be used: {reason}")]
    Unusable {
        /// The input.
        input: String,
        /// The error.
        reason: Box<Reason>,
    },
    /// A frame is neither series nor numbers.
    #[error("frame {0} has no column of numbers, and is neither a time series nor a table of numbers")]
    NoNumbers(String),
    /// A table has more than one column of numbers.
    #[error("frame {0} is a table with more than one column of numbers, of which it may have one")]
    ManyNumbers(String),
    /// The rows of a table cannot be distinguished.
    #[error("frame {0} has more than one row with the same texts, so that its numbers cannot be told apart")]
    SameLabels(String),
    /// The columns of a frame have different lengths.
    #[error("the columns of frame {0} have different lengths")]
    Uneven(String),
    /// A number where a series is needed.
    #[error("only time series can be resampled, not numbers")]
    NotSeries,
    /// The range is shorter than the window.
    #[error("the time range is shorter than the window")]
    ShortRange,
    /// There would be too many points.
    #[error("a series would have more than {MAX_POINTS} points: use a longer window or a shorter time range")]
    TooManyPoints,
    /// There would be too many series or numbers.
    #[error("it has more than {MAX_SERIES} series or numbers")]
    TooManySeries,
    /// It would take too long.
    #[error("the expressions of the request take more than {MAX_WORK} steps: ask for fewer series or points")]
    TooMuchWork,
    /// It would need too much memory.
    #[error(
        "the expressions of the request make more than {MAX_VALUES} values: ask for fewer series or points"
    )]
    TooManyValues,
    /// SQL expressions are not supported.
    #[error("SQL expressions are not supported")]
    NoSql,
}
