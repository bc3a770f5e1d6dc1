//! Writes a batch of commits in one pipelined transaction.

mod manifest;

use std::collections::{BTreeSet, HashSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::Object;
use kymograph_app::event_store::{CommitError, Committed};
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_projections::OnFailure;
use kymograph_projections::database::{database_error, prepare_all};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::Inner;
use super::prepared::Prepared;
use manifest::{Manifest, Message, Owner};

/// How often a flight starts again, because another server had moved an org's head or PostgreSQL had to break
/// a deadlock, before its commits are told that there is a conflict.
const MAX_TRIES: usize = 8;

/// Writes the commits of a batch that can be written, and says for each what became of it.
pub(super) async fn fly(store: &Inner, batch: &mut [Prepared]) -> Vec<Result<Committed, CommitError>> {
    let mut results: Vec<Option<Result<Committed, CommitError>>> = Vec::new();
    results.resize_with(batch.len(), || None);
    refuse_overtaken(batch, &mut results);
    let mut tries = 0;
    loop {
        let aboard: Vec<usize> = (0..batch.len()).filter(|index| results[*index].is_none()).collect();
        if aboard.is_empty() {
            break;
        }
        match try_fly(store, batch, &aboard).await {
            Ok(committed) => {
                for (index, committed) in aboard.into_iter().zip(committed) {
                    results[index] = Some(Ok(committed));
                }
            }
            Err(Crash::Commit(index, error)) => results[index] = Some(Err(error)),
            Err(Crash::Overtaken) if tries < MAX_TRIES => tries += 1,
            Err(Crash::Overtaken) => {
                aboard.into_iter().for_each(|index| results[index] = Some(Err(CommitError::Conflict)));
            }
            Err(Crash::All(error)) => {
                let detail = error.to_string();
                for index in aboard {
                    let error = if error.kind() == kymograph_app::ErrorKind::Unavailable {
                        Error::unavailable(&detail)
                    } else {
                        Error::internal(&detail)
                    };
                    results[index] = Some(Err(CommitError::Failed(error)));
                }
            }
        }
    }
    results.into_iter().map(|result| result.unwrap_or(Err(CommitError::Conflict))).collect()
}

/// Why a flight wrote nothing.
enum Crash {
    /// One commit cannot be written; the others can.
    Commit(usize, CommitError),
    /// Another server was faster: try again.
    Overtaken,
    /// None can be written.
    All(Error),
}

impl From<Error> for Crash {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

/// Of two commits on one stream, decided on the same state, the later one has to be decided again.
fn refuse_overtaken(batch: &[Prepared], results: &mut [Option<Result<Committed, CommitError>>]) {
    let mut touched = HashSet::new();
    for (prepared, result) in batch.iter().zip(results) {
        let keys: Vec<_> = prepared.appends.iter().map(|append| (append.org, &append.stream_id)).collect();
        if keys.iter().any(|key| touched.contains(key)) {
            *result = Some(Err(CommitError::Conflict));
        } else {
            touched.extend(keys);
        }
    }
}

async fn try_fly(store: &Inner, batch: &[Prepared], aboard: &[usize]) -> Result<Vec<Committed>, Crash> {
    let orgs: BTreeSet<OrgId> = aboard.iter().flat_map(|index| batch[*index].orgs()).collect();
    let manifest = Manifest::load(store, batch, aboard, &orgs).await?;
    let connection = store.database.connection().await?;
    let sent = send(&connection, &manifest).await;
    let first_failure =
        sent?.into_iter().enumerate().find_map(|(index, result)| Some((index, result.err()?)));
    let Some((index, error)) = first_failure else {
        for (org, head) in manifest.heads {
            store.heads.set(org, head);
        }
        return Ok(manifest.committed);
    };
    orgs.iter().for_each(|org| store.heads.forget(*org));
    Err(explain(&manifest.messages[index], &error))
}

/// The answer to a message, to be awaited.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send + 'a>>;

/// Sends all messages at the first poll, before any answer is awaited, and returns the answers in order.
///
/// Nothing can come between the messages of a transaction: either this is never polled and nothing is sent, or
/// all of it is, its end included. So a flight that is dropped leaves no transaction open.
async fn send(connection: &Object, manifest: &Manifest) -> Result<Vec<Result<(), tokio_postgres::Error>>> {
    let texts: Vec<&'static str> = manifest.messages.iter().filter_map(Message::sql).collect();
    let prepared = prepare_all(connection, &texts).await?;
    let mut prepared = prepared.iter();
    let mut answers: Vec<Answer<'_>> = Vec::with_capacity(manifest.messages.len());
    for message in &manifest.messages {
        answers.push(match message {
            Message::Control(text) => Box::pin(connection.batch_execute(text)),
            Message::Statement { params, .. } => {
                let statement = prepared.next().ok_or_else(|| Error::internal("a statement is missing"))?;
                let params = params.iter().map(|param| &**param as &(dyn ToSql + Sync));
                Box::pin(async move { connection.execute_raw(statement, params).await.map(drop) })
            }
        });
    }
    let mut done: Vec<Option<Result<(), tokio_postgres::Error>>> = Vec::new();
    poll_fn(|context| {
        done = answers
            .iter_mut()
            .map(|answer| match answer.as_mut().poll(context) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            })
            .collect();
        Poll::Ready(())
    })
    .await;
    let mut results = Vec::with_capacity(answers.len());
    for (answer, done) in answers.into_iter().zip(done) {
        results.push(match done {
            Some(result) => result,
            None => answer.await,
        });
    }
    Ok(results)
}

/// What the failure of a message means for whom.
fn explain(message: &Message, error: &tokio_postgres::Error) -> Crash {
    let Some(code) = error.code() else { return Crash::All(database_error(error)) };
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Crash::Overtaken;
    }
    let broke_rule =
        [SqlState::UNIQUE_VIOLATION, SqlState::CHECK_VIOLATION, SqlState::DIVISION_BY_ZERO].contains(code);
    match message {
        // The check is on the stream's version; what must be unique is the place in the log.
        Message::Statement { owner: Owner::Append(commit), .. } if *code == SqlState::CHECK_VIOLATION => {
            Crash::Commit(*commit, CommitError::Conflict)
        }
        Message::Statement { owner: Owner::Log | Owner::Append(_), .. } if broke_rule => Crash::Overtaken,
        Message::Statement { owner: Owner::Answer(commit), .. } if broke_rule => {
            Crash::Commit(*commit, CommitError::Repeated)
        }
        Message::Statement { owner: Owner::Projection(commit, on_failure), .. } if broke_rule => {
            let reason = match on_failure {
                OnFailure::Conflict => CommitError::Conflict,
                OnFailure::Broken(invariant) => CommitError::Broken(*invariant),
                OnFailure::Fault => CommitError::Failed(database_error(error)),
            };
            Crash::Commit(*commit, reason)
        }
        // What only one commit can have caused, such as a text that cannot be stored, fails that one alone.
        Message::Statement { owner, .. } if code.code().starts_with("22") => match owner.commit() {
            Some(commit) => Crash::Commit(commit, CommitError::Failed(database_error(error))),
            None => Crash::All(database_error(error)),
        },
        _ => Crash::All(database_error(error)),
    }
}
