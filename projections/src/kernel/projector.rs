//! The parts of a projection.

use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId};

use crate::kernel::statement::Statements;

/// An event with its metadata in the log.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The org whose log it is in.
    pub org: OrgId,
    /// Its position in that log.
    pub position: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The id of the actor.
    pub actor_id: UserId,
    /// The login of the actor.
    pub actor_login: &'a str,
    /// The event.
    pub event: &'a dyn StoredEvent,
}

/// Turns events into statements that keep tables up to date.
///
/// A projector is a function of the event alone: it reads nothing, so that its statements can be sent together with the
/// append, and a replay of the log produces the same tables.
pub trait Projector: Send + Sync {
    /// The name for users.
    fn name(&self) -> &'static str;

    /// The types of the aggregates whose events it projects.
    fn listens_to(&self) -> &'static [&'static str];

    /// The tables that contain nothing but this projection.
    fn tables(&self) -> &'static [&'static str];

    /// Other tables that its statements name, except in checks: tables of another projector that it reads, and tables
    /// of no projector that it only deletes from.
    fn touches(&self) -> &'static [&'static str] {
        &[]
    }

    /// Adds the statements for an event.
    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements);

    /// Adds statements with the same result as those for each of the events, one after the other. The events are of one
    /// org. A projector with many events can use fewer statements, each of which has a cost; if one fails, the event
    /// that caused it is unknown.
    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        recorded.iter().for_each(|recorded| self.project(recorded, statements));
    }
}

/// Events that can be projected together by fewer statements than one for each.
pub(crate) trait Gathered<'a> {
    /// Takes an event, if it can be projected together with others.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool;

    /// Adds the statements for the events that were taken, and clears them.
    fn write(&mut self, statements: &mut Statements);
}

/// Projects events, gathering those that can be. The statements of the others keep their order relative to these.
pub(crate) fn project_gathered<'a>(
    projector: &impl Projector,
    mut gathered: impl Gathered<'a>,
    recorded: &[Recorded<'a>],
    statements: &mut Statements,
) {
    if let [only] = recorded {
        return projector.project(only, statements);
    }
    for recorded in recorded {
        if gathered.take(recorded) {
            continue;
        }
        let mut others = Statements::on(statements.tables());
        projector.project(recorded, &mut others);
        if !others.is_empty() {
            gathered.write(statements);
            statements.append(others);
        }
    }
    gathered.write(statements);
}
