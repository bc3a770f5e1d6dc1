//! What a projection is made of.

use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId};

use crate::statement::Statements;

/// An event with its place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The org whose log it is in.
    pub org: OrgId,
    /// Its position in that log.
    pub position: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor_id: UserId,
    /// The login of who caused it.
    pub actor_login: &'a str,
    /// The event.
    pub event: &'a dyn StoredEvent,
}

/// Turns events into statements that keep tables up to date.
///
/// A projector is a function of the event alone: it reads nothing, so that its statements can travel in one
/// flight with the append, and so that replaying the log gives the same tables.
pub trait Projector: Send + Sync {
    /// The tables that hold nothing but what this projector makes of the log.
    fn tables(&self) -> &'static [&'static str];

    /// Adds the statements for an event.
    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements);
}
