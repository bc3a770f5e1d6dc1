//! The histories that nouns have.

use crate::{Permission, Scope};

/// The history of a noun: what its objects are called, who may look at it, and who may bring back an earlier state.
#[derive(Clone, Copy, Debug)]
pub struct HistoryOf {
    /// The type of the aggregate.
    pub noun: &'static str,
    /// What the client is told when there is no such object.
    pub missing: &'static str,
    /// The name of the object in a request.
    pub key: KeyOf,
    /// The permission to look at the history: that to change the object where others may view it; none for one's own.
    pub read: Option<Permission>,
    /// What is needed to bring back an earlier state.
    pub write: Option<Permission>,
    /// What is needed as well if the object has been deleted.
    pub create: Option<Permission>,
}

/// The name of an object in a request.
#[derive(Clone, Copy, Debug)]
pub enum KeyOf {
    /// By a uid in the path. If permissions can be granted on the object itself, they decide who may do what.
    Uid,
    /// By a number in the path.
    Number,
    /// By a number in the path, of what can be on a dashboard. Its history is for those who administer all content.
    NumberOfContent,
    /// By a number in the path, of what belongs to no org.
    ServerNumber,
    /// Not at all: the caller has one of it, which this names.
    Caller(fn(&Scope) -> String),
}
