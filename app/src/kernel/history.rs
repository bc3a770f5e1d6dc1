//! The histories of nouns.

use crate::{Permission, Scope};

/// The history of a noun: the names of its objects, and the permissions to read it and to restore an earlier state.
#[derive(Clone, Copy, Debug)]
pub struct HistoryOf {
    /// The type of the aggregate.
    pub noun: &'static str,
    /// The message to the client if the object does not exist.
    pub missing: &'static str,
    /// The kind of identifier of the object in requests.
    pub key: KeyOf,
    /// The permission to read the history: the one to change the object where others may view it; `None` for the
    /// caller's own.
    pub read: Option<Permission>,
    /// The permission to restore an earlier state.
    pub write: Option<Permission>,
    /// The additional permission to restore a deleted object.
    pub create: Option<Permission>,
}

/// The kinds of identifiers of objects in requests.
#[derive(Clone, Copy, Debug)]
pub enum KeyOf {
    /// By a uid in the path. If permissions can be granted on the object itself, they decide about access.
    Uid,
    /// By a number in the path.
    Number,
    /// By a number in the path, for objects that can be on a dashboard. Only actors who administer all content may read
    /// the history.
    NumberOfContent,
    /// By a number in the path, for objects that belong to no org.
    ServerNumber,
    /// Not at all: the caller has one such object, whose key this returns.
    Caller(fn(&Scope) -> String),
}
