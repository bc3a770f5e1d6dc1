//! Writes a group of commits in one pipelined transaction.

mod manifest;

use std::collections::{BTreeSet, HashMap};

use kymograph_app::kernel::event_store::{CommitError, Committed};
use kymograph_app::{Error, Result, TRACE_TARGET};
use kymograph_domain::OrgId;
use kymograph_projections::OnFailure;
use tokio_postgres::error::SqlState;
use tracing::{Instrument, Span};

use crate::metrics::Outcome;
use crate::pipeline::{PipelineError, Refusal};

use super::Inner;
use super::prepared::Prepared;
use manifest::{Manifest, Message, Owner};

/// How often a flight is retried, because another server had moved an org's head or PostgreSQL had to break a deadlock,
/// before its commits fail with a conflict.
const MAX_TRIES: usize = 8;
/// The minimum number of commits of a flight, however many of its group have failed.
const MIN_ROOM: usize = 4;

/// Writes the commits of a group, and returns the outcome of each.
pub(super) async fn fly(store: &Inner, batch: &mut [Prepared]) -> Vec<Result<Committed, CommitError>> {
    let span = span(batch);
    fly_until_landed(store, batch).instrument(span).await
}

/// The span of a flight, a child of the first commit's span and linked with the others.
fn span(batch: &[Prepared]) -> Span {
    let Some((first, others)) = batch.split_first() else { return Span::none() };
    let span = tracing::trace_span!(
        target: TRACE_TARGET,
        parent: &first.span,
        "flight",
        commits = batch.len(),
    );
    others.iter().for_each(|other| {
        span.follows_from(&other.span);
    });
    span
}

async fn fly_until_landed(store: &Inner, batch: &mut [Prepared]) -> Vec<Result<Committed, CommitError>> {
    let mut results: Vec<Option<Result<Committed, CommitError>>> = Vec::new();
    results.resize_with(batch.len(), || None);
    let (mut tries, mut may_share, mut room) = (0, true, batch.len());
    let _timer = store.metrics.start_flight(batch.len());
    loop {
        batch.iter_mut().for_each(Prepared::note_age);
        refuse_overtaken(batch, &mut results);
        let waiting = (0..batch.len()).filter(|index| results[*index].is_none());
        let aboard: Vec<usize> = waiting.take(room).collect();
        if aboard.is_empty() {
            break;
        }
        match try_fly(store, batch, &aboard, may_share).await {
            Ok(committed) => {
                for (index, committed) in aboard.into_iter().zip(committed) {
                    results[index] = Some(Ok(committed));
                }
            }
            // Each failure causes the others of its flight to be written again, so the next flights are shorter.
            Err(Crash::Commit(index, error)) => {
                results[index] = Some(Err(error));
                room = (room / 2).max(MIN_ROOM);
            }
            Err(Crash::Shared) => may_share = false,
            Err(Crash::Overtaken) if tries < MAX_TRIES => tries += 1,
            Err(Crash::Overtaken) => {
                aboard.into_iter().for_each(|index| results[index] = Some(Err(CommitError::Conflict)));
            }
            Err(Crash::All(error)) => {
                let failed = |result: &mut Option<_>| {
                    result.get_or_insert_with(|| Err(CommitError::Failed(error.clone())));
                };
                results.iter_mut().for_each(failed);
            }
        }
    }
    let results: Vec<_> =
        results.into_iter().map(|result| result.unwrap_or(Err(CommitError::Conflict))).collect();
    results.iter().for_each(|result| store.metrics.count(outcome(result)));
    results
}

fn outcome(result: &Result<Committed, CommitError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Written,
        Err(CommitError::Conflict) => Outcome::Conflict,
        Err(CommitError::Broken(_) | CommitError::Repeated) => Outcome::Refused,
        Err(CommitError::Failed(_)) => Outcome::Failed,
    }
}

/// Why a flight wrote nothing.
enum Crash {
    /// One commit cannot be written; the others can.
    Commit(usize, CommitError),
    /// One of the commits that share a statement cannot be written: retry with a statement for each.
    Shared,
    /// A conflict with another server: retry.
    Overtaken,
    /// None can be written.
    All(Error),
}

impl From<Error> for Crash {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

/// Returns commits as conflicts that were not decided on their predecessors in the flight: on the state that a commit
/// before them writes, or on one that will not be written. A rule that they violate, or a request that they repeat, may
/// only have existed because of an unwritten commit before them.
fn refuse_overtaken(batch: &[Prepared], results: &mut [Option<Result<Committed, CommitError>>]) {
    let (mut ends, mut has_failed) = (HashMap::new(), false);
    for (prepared, result) in batch.iter().zip(results) {
        let is_overtaken = || {
            prepared.appends.iter().any(|append| {
                let end = ends.get(&(append.org, &append.stream_id));
                end.is_some_and(|end| *end != append.expected_version)
            })
        };
        let is_refused = match result {
            None => prepared.is_unfounded() || is_overtaken(),
            Some(Err(CommitError::Broken(_) | CommitError::Repeated)) => {
                has_failed || prepared.is_unfounded()
            }
            Some(_) => false,
        };
        if is_refused {
            *result = Some(Err(CommitError::Conflict));
        }
        if let Some(Err(_)) = result {
            prepared.verdict.tell(false);
            has_failed = true;
            continue;
        }
        for append in &prepared.appends {
            ends.insert((append.org, &append.stream_id), append.end().version);
        }
    }
}

async fn try_fly(
    store: &Inner,
    batch: &[Prepared],
    aboard: &[usize],
    may_share: bool,
) -> Result<Vec<Committed>, Crash> {
    let orgs: BTreeSet<OrgId> = aboard.iter().flat_map(|index| batch[*index].orgs()).collect();
    let manifest = Manifest::load(store, batch, aboard, &orgs, may_share).await?;
    let mut pipeline = store.pipelines.get().await?;
    let steps: Vec<_> = manifest.messages.iter().map(Message::step).collect();
    let transaction = tracing::trace_span!(
        target: TRACE_TARGET,
        "sql",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.batch.size = steps.len(),
    );
    match pipeline.transaction(&steps).instrument(transaction).await {
        Ok(()) => {
            store.health.succeeded();
            for (org, head) in manifest.heads {
                store.heads.set(org, head);
            }
            Ok(manifest.committed)
        }
        Err(error) => {
            orgs.iter().for_each(|org| store.heads.forget(*org));
            Err(match error {
                PipelineError::Refused { step, refusal } => {
                    store.health.refused(&refusal.code);
                    explain(manifest.messages.get(step), &refusal)
                }
                PipelineError::Failed(error) => Crash::All(error),
            })
        }
    }
}

/// Maps the failure of a message to the commits that it concerns.
fn explain(message: Option<&Message>, refusal: &Refusal) -> Crash {
    let code = &refusal.code;
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Crash::Overtaken;
    }
    let broke_rule =
        [SqlState::UNIQUE_VIOLATION, SqlState::CHECK_VIOLATION, SqlState::DIVISION_BY_ZERO].contains(code);
    // An error that only one commit can have caused, such as a text that cannot be stored, fails that commit alone.
    let is_of_data = code.code().starts_with("22");
    let Some(Message::Statement { owner, .. }) = message else { return Crash::All(refusal.error()) };
    match *owner {
        Owner::Shared if broke_rule || is_of_data => Crash::Shared,
        // The check is on the stream's version; the unique constraint is on the position in the log.
        Owner::Append(commit) if *code == SqlState::CHECK_VIOLATION => {
            Crash::Commit(commit, CommitError::Conflict)
        }
        Owner::Log | Owner::Append(_) if broke_rule => Crash::Overtaken,
        Owner::Answer(commit) if broke_rule => Crash::Commit(commit, CommitError::Repeated),
        Owner::Projection(commit, on_failure) if broke_rule => Crash::Commit(
            commit,
            match on_failure {
                OnFailure::Conflict => CommitError::Conflict,
                OnFailure::Broken(invariant) => CommitError::Broken(invariant),
                OnFailure::Fault => CommitError::Failed(refusal.error()),
            },
        ),
        owner => match owner.commit().filter(|_| is_of_data) {
            Some(commit) => Crash::Commit(commit, CommitError::Failed(refusal.error())),
            None => Crash::All(refusal.error()),
        },
    }
}

#[cfg(test)]
mod tests {
    use kymograph_app::kernel::event_store::Fate;
    use kymograph_domain::{Invariant, Timestamp};

    use super::super::prepared::tests::{append, prepared};
    use super::*;

    type Results = Vec<Option<Result<Committed, CommitError>>>;

    /// A commit on a stream, decided on other commits.
    fn on(name: &str, expected_version: i64, grounds: &[&Prepared]) -> Prepared {
        let fates: Vec<Fate> = grounds.iter().map(|ground| ground.verdict.fate()).collect();
        prepared(vec![append(name, expected_version)], fates)
    }

    fn refused(batch: &[Prepared], results: &mut Results) -> Vec<usize> {
        results.resize_with(batch.len(), || None);
        refuse_overtaken(batch, results);
        (0..batch.len()).filter(|index| matches!(results[*index], Some(Err(CommitError::Conflict)))).collect()
    }

    #[test]
    fn those_decided_on_each_other_fly_together() {
        let first = on("a", 5, &[]);
        let second = on("a", 6, &[&first]);
        let third = prepared(vec![append("a", 7), append("b", 0)], vec![second.verdict.fate()]);
        let stale = on("a", 5, &[]);
        let other = on("b", 1, &[&third]);
        let batch = [first, second, third, stale, other];
        assert_eq!(refused(&batch, &mut Vec::new()), [3]);
        assert_eq!(
            batch.each_ref().map(|prepared| prepared.verdict.fate().has_failed()),
            [false, false, false, true, false]
        );
    }

    #[test]
    fn whatever_was_decided_on_a_failed_one_is_decided_again() {
        let first = on("a", 5, &[]);
        let second = on("a", 6, &[&first]);
        // It only read the stream.
        let third = on("b", 0, &[&second]);
        let other = on("c", 0, &[]);
        let batch = [first, second, third, other];
        let mut results = Results::new();
        assert_eq!(refused(&batch, &mut results), [0; 0]);
        // The second was told that it breaks a rule before the first one failed.
        results[1] = Some(Err(CommitError::Broken(Invariant::ORG_EXISTS)));
        assert_eq!(refused(&batch, &mut results), [2]);
        results[0] = Some(Err(CommitError::Failed(Error::internal("full"))));
        assert_eq!(refused(&batch, &mut results), [1, 2]);
        assert!(results[3].is_none());
    }

    #[test]
    fn a_version_that_another_led_to_is_not_enough() {
        let first = on("a", 5, &[]);
        let second = on("a", 6, &[&first]);
        first.verdict.tell(false);
        let instead = on("a", 5, &[]);
        assert_eq!(refused(&[instead, second], &mut Vec::new()), [1]);
    }

    #[test]
    fn what_has_landed_stays() {
        let first = on("a", 5, &[]);
        let mut results = vec![Some(Ok(Committed { position: 1, recorded_at: Timestamp(1) }))];
        assert_eq!(refused(std::slice::from_ref(&first), &mut results), [0; 0]);
        assert!(first.verdict.fate().is_open());
    }
}
