//! What a projection is made of.

use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId};

use crate::kernel::statement::Statements;

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
    /// What people call it.
    fn name(&self) -> &'static str;

    /// The types of the aggregates whose events make it say something.
    fn listens_to(&self) -> &'static [&'static str];

    /// The tables that hold nothing but what this projector makes of the log.
    fn tables(&self) -> &'static [&'static str];

    /// Other tables that its statements name, checks aside: those that it reads, which another projector keeps, and those
    /// that it only deletes from, which no projector keeps.
    fn touches(&self) -> &'static [&'static str] {
        &[]
    }

    /// Adds the statements for an event.
    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements);

    /// Adds statements that come to the same as those for each of the events, one after the other. The events are of one
    /// org. A projector whose events come in numbers can say it in fewer statements, each of which has its price; nobody can
    /// tell then which event made one fail.
    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        recorded.iter().for_each(|recorded| self.project(recorded, statements));
    }
}

/// What some events come to, as far as it can be said in fewer statements than one for each.
pub(crate) trait Gathered<'a> {
    /// Takes an event, if it is one that can be said together with others.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool;

    /// Adds the statements that write what was taken, and forgets it.
    fn write(&mut self, statements: &mut Statements);
}

/// Projects events of which some are gathered. What the others say keeps its place between them.
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
