//! The messages of a flight, in the order in which they are sent.

use std::collections::{BTreeSet, HashMap};

use kymograph_app::account::housekeeping::TidyOrg;
use kymograph_app::kernel::event_store::{Append, CommitError, Committed};
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::{Invariant, OrgId, StoredEvent, Timestamp};
use kymograph_projections::account::identity::standing_check;
use kymograph_projections::kernel::statement::{Param, param};
use kymograph_projections::{OnFailure, Recorded, Statements, params};

use crate::pipeline::Step;

use super::super::append::{Payload, PlacedEvent, StreamAppend, append_statements};
use super::super::head::Head;
use super::super::prepared::Prepared;
use super::super::statements::{FORGET_ALL_ANSWERS, FORGET_ANSWERS, KEEP_ANSWER, MOVE_HEAD};
use super::super::{Inner, KEEP_ANSWER_SECONDS};
use super::Crash;

/// One message to the database.
pub(super) enum Message {
    /// Sets the tenant of the following messages.
    Tenant(String),
    /// A prepared statement.
    Statement {
        /// The text.
        sql: &'static str,
        /// The parameters.
        params: Vec<Param>,
        /// The commit or org that it belongs to.
        owner: Owner,
    },
}

impl Message {
    pub(super) fn step(&self) -> Step<'_> {
        match self {
            Self::Tenant(text) => Step::Command(text),
            Self::Statement { sql, params, .. } => Step::Statement { sql, params },
        }
    }
}

/// The cause of a failed statement. Numbers are indexes in the group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// The position of the whole flight in an org's log.
    Log,
    /// The versions and positions of a commit's events.
    Append(usize),
    /// The positions of the events of several commits, or the read models that they change.
    Shared,
    /// The stored response of a commit.
    Answer(usize),
    /// The read models that a commit changes, or another check or write of its slices.
    Projection(usize, OnFailure),
}

impl Owner {
    /// The commit that the statement belongs to.
    pub(super) fn commit(self) -> Option<usize> {
        match self {
            Self::Log | Self::Shared => None,
            Self::Append(commit) | Self::Answer(commit) | Self::Projection(commit, _) => Some(commit),
        }
    }
}

/// The messages of a flight, and the state after it.
pub(super) struct Manifest {
    pub(super) messages: Vec<Message>,
    /// The new heads of the orgs' logs.
    pub(super) heads: Vec<(OrgId, Head)>,
    /// The outcome of each commit in the flight.
    pub(super) committed: Vec<Committed>,
}

impl Manifest {
    /// Assigns positions in the logs and builds all messages. Commits share statements where possible; the cause of a
    /// failure is then unknown among them.
    pub(super) async fn load(
        store: &Inner,
        batch: &[Prepared],
        aboard: &[usize],
        orgs: &BTreeSet<OrgId>,
        may_share: bool,
    ) -> Result<Self, Crash> {
        let (mut messages, mut last) = (Vec::new(), Vec::new());
        let mut heads = Vec::new();
        let mut committed: HashMap<usize, Committed> = HashMap::new();
        // The server's log, which has the lowest number, comes last: a commit that waits for a long flight of another
        // org must not hold the head of the log that every log-in writes to.
        for org in orgs.iter().rev() {
            messages.push(Message::Tenant(format!("SET LOCAL app.org_id = '{org}'")));
            let before = store.heads.get(&store.database, *org).await?;
            let mut section =
                Section { store, org: *org, head: before, messages: &mut messages, last: &mut last };
            section.keep_answers(batch, aboard);
            let placed = section.place_events(batch, aboard)?;
            section.append(&placed, may_share);
            for (commit, last) in section.project(&placed, may_share) {
                committed.insert(commit, last);
            }
            for commit in aboard {
                section.write_all_beside(*commit, &batch[*commit]);
            }
            section.have_answers_forgotten(batch, aboard)?;
            let after = section.head;
            if after != before {
                messages.push(Message::Statement {
                    sql: MOVE_HEAD,
                    params: params![org.0, after.position, after.last_at.date(), before.position],
                    owner: Owner::Log,
                });
                heads.push((*org, after));
            }
        }
        messages.append(&mut last);
        let nowhere = Committed { position: 0, recorded_at: store.clock.now() };
        let committed =
            aboard.iter().map(|commit| committed.remove(commit).unwrap_or_else(|| nowhere.clone())).collect();
        Ok(Self { messages, heads, committed })
    }
}

/// An append of a commit with the positions of its events.
struct PlacedAppend<'a> {
    commit: usize,
    prepared: &'a Prepared,
    append: &'a Append,
    events: Vec<PlacedEvent<'a>>,
}

impl PlacedAppend<'_> {
    fn recorded(&self, org: OrgId) -> impl Iterator<Item = Recorded<'_>> {
        self.append.events.iter().zip(&self.events).map(move |(event, placed)| Recorded {
            org,
            position: placed.position,
            recorded_at: placed.recorded_at,
            actor_id: self.prepared.actor.user_id,
            actor_login: &self.prepared.actor.login,
            event: &**event,
        })
    }

    fn stream_append(&self) -> StreamAppend<'_> {
        StreamAppend {
            stream_id: &self.append.stream_id,
            stream_type: self.append.stream_type,
            expected_version: self.append.expected_version,
            state: &self.append.state,
            events: &self.events,
            actor_id: self.prepared.actor.user_id.0,
            actor_login: &self.prepared.actor.login,
            causation_id: &self.prepared.causation_id,
            correlation_id: &self.prepared.correlation_id,
            meta: &self.prepared.meta,
            trace_id: &self.prepared.trace_id,
        }
    }
}

/// The part of a flight that belongs to one org.
struct Section<'a> {
    store: &'a Inner,
    org: OrgId,
    head: Head,
    messages: &'a mut Vec<Message>,
    /// Messages after those of all orgs.
    last: &'a mut Vec<Message>,
}

impl Section<'_> {
    fn push(&mut self, sql: &'static str, params: Vec<Param>, owner: Owner) {
        self.messages.push(Message::Statement { sql, params, owner });
    }

    fn keep_answers(&mut self, batch: &[Prepared], aboard: &[usize]) {
        let now = self.store.clock.now();
        for commit in aboard {
            let prepared = &batch[*commit];
            let Some((key, answer)) = prepared.answer.as_ref().filter(|_| prepared.home == self.org) else {
                continue;
            };
            let expires = now.plus_seconds(KEEP_ANSWER_SECONDS).date();
            self.push(FORGET_ANSWERS, params![self.org.0, now.date()], Owner::Log);
            self.push(
                KEEP_ANSWER,
                params![self.org.0, key.key.clone(), key.request_hash.to_vec(), answer.clone(), expires],
                Owner::Answer(*commit),
            );
        }
    }

    /// Starts the job that deletes the responses stored here. Like all locks of jobs this comes after the events, whose
    /// positions serialize the flights of an org.
    fn have_answers_forgotten(&mut self, batch: &[Prepared], aboard: &[usize]) -> Result<(), Crash> {
        let keeps_answer =
            |commit: &&usize| batch[**commit].answer.is_some() && batch[**commit].home == self.org;
        if let Some(commit) = aboard.iter().find(keeps_answer) {
            let write = self.store.jobs.write(TidyOrg::of_answers(self.org, batch[*commit].turn)?);
            self.write_beside(*commit, &write);
        }
        Ok(())
    }

    /// Assigns positions to the events of this org, unless a commit writes after its end or before its beginning.
    fn place_events<'a>(
        &mut self,
        batch: &'a [Prepared],
        aboard: &[usize],
    ) -> Result<Vec<PlacedAppend<'a>>, Crash> {
        let mut placed = Vec::new();
        for commit in aboard {
            let prepared = &batch[*commit];
            for (append, payloads) in prepared.appends.iter().zip(&prepared.payloads) {
                if append.org == self.org {
                    self.open_or_close(append).map_err(|error| Crash::Commit(*commit, error))?;
                    let events = append.events.iter().zip(payloads);
                    let events = events.map(|(event, payload)| self.place(&**event, payload)).collect();
                    placed.push(PlacedAppend { commit: *commit, prepared, append, events });
                }
            }
        }
        Ok(placed)
    }

    /// Rejects events after the deletion of the org, or before its creation.
    fn open_or_close(&mut self, append: &Append) -> Result<(), CommitError> {
        for event in &append.events {
            let is_open = self.head.is_open;
            match event.of::<OrgEvent>() {
                Some(OrgEvent::Created(_)) => self.head.is_open = true,
                _ if !is_open => return Err(CommitError::Broken(Invariant::ORG_EXISTS)),
                Some(OrgEvent::Deleted(_)) => self.head.is_open = false,
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the statements that append.
    fn append(&mut self, placed: &[PlacedAppend<'_>], may_share: bool) {
        let appends = placed.iter().map(PlacedAppend::stream_append).collect();
        for statement in append_statements(self.org, appends, may_share) {
            let mut commits = statement.appends.iter().filter_map(|index| placed.get(*index));
            let owner = match commits.next() {
                Some(first) if commits.all(|other| other.commit == first.commit) => {
                    Owner::Append(first.commit)
                }
                _ => Owner::Shared,
            };
            self.push(statement.sql, statement.params, owner);
        }
    }

    /// Adds the statements of the read models, and records where each commit's part of this org's log ends.
    ///
    /// Consecutive events of one aggregate type share statements where possible. A commit with a check of its actor's
    /// rights or another premise shares none with those before it: the check runs before its own events and after all
    /// earlier ones. Events are not reordered across aggregate types, so all checks run in the order of the log.
    fn project(&mut self, placed: &[PlacedAppend<'_>], may_share: bool) -> HashMap<usize, Committed> {
        let of_type = |append: &PlacedAppend<'_>| append.append.stream_type;
        let shares = |one: &PlacedAppend<'_>, other: &PlacedAppend<'_>| {
            let may_share = may_share && of_type(one) == of_type(other);
            let is_checked =
                other.prepared.standing_to_check().is_some() || !other.prepared.premises.is_empty();
            may_share && (one.commit == other.commit || !is_checked)
        };
        let mut before = None;
        for run in placed.chunk_by(shares) {
            let commit = run[0].commit;
            if before.replace(run[run.len() - 1].commit) != Some(commit) {
                self.check_standing(&run[0]);
                self.check_premises(&run[0]);
            }
            let owner = run.iter().all(|append| append.commit == commit).then_some(commit);
            let recorded: Vec<_> = run.iter().flat_map(|append| append.recorded(self.org)).collect();
            let mut statements = Statements::on(self.store.database.tables());
            if may_share {
                let projectors = self.store.projectors.iter();
                projectors.for_each(|projector| projector.project_many(&recorded, &mut statements));
            } else {
                for recorded in &recorded {
                    let projectors = self.store.projectors.iter();
                    projectors.for_each(|projector| projector.project(recorded, &mut statements));
                }
            }
            for statement in statements.into_vec() {
                let owner = match owner {
                    Some(commit) => Owner::Projection(commit, statement.on_failure),
                    None => Owner::Shared,
                };
                let (sql, params) = (statement.sql, statement.params);
                let message = Message::Statement { sql, params, owner };
                if statement.is_last { self.last.push(message) } else { self.messages.push(message) }
            }
        }
        let end = |append: &PlacedAppend<'_>| {
            let last = append.events.last()?;
            Some((append.commit, Committed { position: last.position, recorded_at: last.recorded_at }))
        };
        placed.iter().filter_map(end).collect()
    }

    /// Checks that the actor of a commit still has the rights that it was decided on, in each log that it writes to.
    /// The positions of its events have serialized the transaction after the earlier ones by then.
    fn check_standing(&mut self, append: &PlacedAppend<'_>) {
        let standing = append.prepared.standing_to_check();
        if let Some(standing) = standing.and_then(|standing| standing.seen_from(self.org)) {
            let (sql, params) = standing_check(standing);
            let broken = OnFailure::Broken(Invariant::ACTOR_KEEPS_RIGHTS);
            self.push(sql, params, Owner::Projection(append.commit, broken));
        }
    }

    /// Checks the other premises of a commit, before any of its own events.
    fn check_premises(&mut self, append: &PlacedAppend<'_>) {
        let org = self.org;
        for premise in append.prepared.premises.iter().filter(|premise| premise.org == org) {
            self.write_beside(append.commit, premise);
        }
    }

    /// Adds the side writes of a commit.
    fn write_all_beside(&mut self, commit: usize, prepared: &Prepared) {
        let org = self.org;
        let mut events =
            prepared.appends.iter().filter(|append| append.org == org).flat_map(|append| &append.events);
        if events.any(|event| event.ending() == Some(Ending::Org)) {
            self.push(FORGET_ALL_ANSWERS, params![org.0], Owner::Projection(commit, OnFailure::Fault));
        }
        for write in prepared.writes.iter().filter(|write| write.org == org) {
            self.write_beside(commit, write);
        }
    }

    fn write_beside(&mut self, commit: usize, write: &SideWrite) {
        let params = write.params.iter().cloned().map(param).collect();
        self.push(write.sql, params, Owner::Projection(commit, write.on_failure));
    }

    /// Assigns the next position to an event.
    fn place<'a>(&mut self, event: &dyn StoredEvent, payload: &'a Payload) -> PlacedEvent<'a> {
        let now = self.store.clock.now().max(Timestamp(self.head.last_at.0 + 1));
        self.head = Head { position: self.head.position + 1, last_at: now, ..self.head };
        PlacedEvent {
            position: self.head.position,
            recorded_at: now,
            stored_type: event.stored_type(),
            schema_version: event.schema_version(),
            payload,
        }
    }
}
