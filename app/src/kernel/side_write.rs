//! A slice's own statements that are part of a commit: checks of the premises of its decision, and writes in addition
//! to the log.
//!
//! The adapter of the slice creates them, so that neither a unit of work nor its executor depends on their subject.

use std::fmt;

use kymograph_domain::{Invariant, OrgId, Timestamp};

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A `bigint`, which can be missing.
    Int(Option<i64>),
    /// A `smallint`.
    SmallInt(i16),
    /// A text.
    Text(String),
    /// An array of texts.
    Texts(Vec<String>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A point in time, which can be missing.
    Time(Option<Timestamp>),
}

macro_rules! from {
    ($($type:ty => $variant:ident($value:ident => $into:expr)),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant($into)
            }
        })+
    };
}

from! {
    i64 => Int(value => Some(value)),
    Option<i64> => Int(value => value),
    i16 => SmallInt(value => value),
    String => Text(value => value),
    &str => Text(value => value.to_owned()),
    Vec<String> => Texts(value => value),
    Vec<u8> => Bytes(value => value),
    Option<Timestamp> => Time(value => value),
}

/// The meaning of a statement's failure on a database constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// An internal error, which no client can cause.
    Fault,
    /// A conflict: the command was decided on stale state and must be decided again.
    Conflict,
    /// The command breaks an invariant.
    Broken(Invariant),
}

/// A statement that is part of a commit.
#[derive(Clone, PartialEq, Eq)]
pub struct SideWrite {
    /// The org that owns the rows.
    pub org: OrgId,
    /// The text.
    pub sql: &'static str,
    /// The parameters.
    pub params: Vec<Value>,
    /// The meaning of its failure.
    pub on_failure: OnFailure,
}

// The parameters can be secret.
impl fmt::Debug for SideWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SideWrite").field("org", &self.org).field("sql", &self.sql).finish_non_exhaustive()
    }
}

/// Lists the parameters of a [`SideWrite`]: `values![org.0, uid.as_str()]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::kernel::side_write::Value::from($value)),*]
    };
}
