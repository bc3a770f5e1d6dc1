//! Queues work on one org while other work on it is running, for group commits and grouped reads.
//!
//! An org's log has one head, so its commits are serial; one flush each would bind a busy org to the speed of the disk.
//! During a flight of an org its commits queue up here, and the next flight takes all of them. Reads of an org for
//! commands are grouped in the same way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kymograph_app::kernel::budget::{Budget, Charge};
use kymograph_app::kernel::error::overload;
use kymograph_app::kernel::event_store::{CommitError, Committed, StreamState};
use kymograph_app::{Error, Result};
use kymograph_domain::{OrgId, StreamId};
use tokio::sync::oneshot;

use super::Inner;
use super::flight;
use super::pending::PendingEnds;
use super::prepared::Prepared;

/// The maximum size of a group.
const MAX_BATCH: usize = 64;
/// The maximum size of the payloads of a flight, in bytes; a single commit may be larger.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The maximum number of queued jobs of one org; more are rejected.
pub(crate) const MAX_WAITING: usize = 1024;

/// The limit of in-flight bytes of commits up to this size, for all orgs and for one.
pub(crate) const SMALL: usize = 64 * 1024;
pub(crate) const MAX_SMALL_BYTES: usize = 32 * 1024 * 1024;
pub(crate) const MAX_SMALL_BYTES_OF_ORG: usize = 8 * 1024 * 1024;
/// The limit of in-flight bytes of larger commits, for all orgs and for one.
pub(crate) const MAX_LARGE_BYTES: usize = 64 * 1024 * 1024;
pub(crate) const MAX_LARGE_BYTES_OF_ORG: usize = 24 * 1024 * 1024;

/// The error if the queue is full.
pub(super) fn too_many() -> Error {
    Error::overloaded(overload::COMMANDS, "Too many commands at once, try again shortly")
}

/// The memory budget for queued and running commits, of which a slow database causes many.
pub(super) struct CommitBudgets {
    small: Arc<Budget<OrgId>>,
    large: Arc<Budget<OrgId>>,
}

impl Default for CommitBudgets {
    fn default() -> Self {
        Self {
            small: Arc::new(Budget::new(MAX_SMALL_BYTES, MAX_SMALL_BYTES_OF_ORG)),
            large: Arc::new(Budget::new(MAX_LARGE_BYTES, MAX_LARGE_BYTES_OF_ORG)),
        }
    }
}

impl CommitBudgets {
    /// Reserves bytes for a commit of an org.
    pub(super) fn charge(&self, org: OrgId, bytes: usize) -> Result<Charge<OrgId>> {
        if bytes > MAX_LARGE_BYTES_OF_ORG {
            return Err(too_large());
        }
        let budget = if bytes <= SMALL { &self.small } else { &self.large };
        let mut charge = Charge::new(budget.clone(), org);
        if charge.try_grow_to(bytes) { Ok(charge) } else { Err(too_many()) }
    }
}

/// The error of a command whose states exceed the memory limit.
pub(super) fn too_large() -> Error {
    Error::too_large("this changes too much at once: change it in parts")
}

/// The work of an org: jobs with the senders of their results, and the knowledge of queued and running ones.
struct Lane<J, A, K> {
    waiting: VecDeque<(J, oneshot::Sender<A>)>,
    known: K,
}

impl<J, A, K: Default> Default for Lane<J, A, K> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), known: K::default() }
    }
}

/// The commits that wait to be written.
pub(super) type Commits = Lanes<Prepared, Result<Committed, CommitError>, PendingEnds>;
/// The streams that wait to be read.
pub(super) type Loads = Lanes<StreamId, Result<Option<StreamState>>, ()>;

/// The lanes by org. An org is in the map while a task serves it.
pub(super) struct Lanes<J, A, K>(Mutex<HashMap<OrgId, Lane<J, A, K>>>);

impl<J, A, K> Default for Lanes<J, A, K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<J, A, K: Default> Lanes<J, A, K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrgId, Lane<J, A, K>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job if the knowledge of the others admits it, and returns whether a task has to be started for the org.
    fn enqueue<E: From<Error>>(
        &self,
        org: OrgId,
        job: J,
        answer: oneshot::Sender<A>,
        admit: impl FnOnce(&J, &mut K) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut lanes = self.lock();
        let is_new = !lanes.contains_key(&org);
        let lane = lanes.entry(org).or_default();
        let is_full = lane.waiting.len() >= MAX_WAITING;
        let admitted = if is_full { Err(too_many().into()) } else { admit(&job, &mut lane.known) };
        if admitted.is_ok() {
            lane.waiting.push_back((job, answer));
        } else if is_new {
            lanes.remove(&org);
        }
        admitted.map(|()| is_new)
    }

    /// Reads the knowledge of an org's jobs; `None` if it has none.
    pub(super) fn known<T>(&self, org: OrgId, look: impl FnOnce(&mut K) -> T) -> Option<T> {
        self.lock().get_mut(&org).map(|lane| look(&mut lane.known))
    }

    /// The next group of an org, of up to this many bytes; an empty queue closes the lane.
    fn next_batch(&self, org: OrgId, size_of: fn(&J) -> usize) -> Option<(Vec<J>, Vec<oneshot::Sender<A>>)> {
        let mut lanes = self.lock();
        let waiting = &mut lanes.get_mut(&org)?.waiting;
        let (mut batch, mut answers, mut size) = (Vec::new(), Vec::new(), 0);
        while let Some((job, _)) = waiting.front() {
            size += size_of(job);
            if !batch.is_empty() && (batch.len() == MAX_BATCH || size > MAX_BATCH_BYTES) {
                break;
            }
            if let Some((job, answer)) = waiting.pop_front() {
                batch.push(job);
                answers.push(answer);
            }
        }
        if batch.is_empty() {
            lanes.remove(&org);
            return None;
        }
        Some((batch, answers))
    }
}

/// Closes a lane if its task panics: waiting callers get an error, and the next job opens a new lane.
struct Closer<'a, J, A, K: Default> {
    lanes: &'a Lanes<J, A, K>,
    org: OrgId,
}

impl<J, A, K: Default> Drop for Closer<'_, J, A, K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.lanes.lock().remove(&self.org);
        }
    }
}

/// Writes a commit, grouped with others of its org. It is written even if the caller stops waiting.
pub(super) fn commit(
    store: &Arc<Inner>,
    org: OrgId,
    prepared: Prepared,
    answer: oneshot::Sender<Result<Committed, CommitError>>,
) -> Result<(), CommitError> {
    let admit = |prepared: &Prepared, ends: &mut PendingEnds| {
        if !ends.admit(org, &prepared.appends, &prepared.grounds) {
            return Err(CommitError::Conflict);
        }
        ends.add(prepared);
        Ok(())
    };
    if store.commits.enqueue(org, prepared, answer, admit)? {
        tokio::spawn(fly_until_empty(store.clone(), org));
    }
    Ok(())
}

async fn fly_until_empty(store: Arc<Inner>, org: OrgId) {
    let _closer = Closer { lanes: &store.commits, org };
    while let Some((mut batch, answers)) = store.commits.next_batch(org, Prepared::size) {
        let results = flight::fly(&store, &mut batch).await;
        store.landed(&batch, &results);
        store.commits.known(org, PendingEnds::forget_settled);
        for (answer, result) in answers.into_iter().zip(results) {
            // An aborted request has no receiver.
            drop(answer.send(result));
        }
        // Callers that were just answered may have more to write: let them queue up first, or the next flight takes
        // only the fastest of them and the others wait for another flush.
        tokio::task::yield_now().await;
    }
}

/// Reads the state of a stream, grouped with others of its org.
pub(super) async fn load(store: &Arc<Inner>, org: OrgId, stream: &StreamId) -> Result<Option<StreamState>> {
    let (answer, answered) = oneshot::channel();
    if store.loads.enqueue(org, stream.clone(), answer, |_, ()| Ok::<_, Error>(()))? {
        tokio::spawn(load_until_empty(store.clone(), org));
    }
    answered.await.map_err(|_| Error::internal("a read ended without a result"))?
}

async fn load_until_empty(store: Arc<Inner>, org: OrgId) {
    let _closer = Closer { lanes: &store.loads, org };
    while let Some((streams, answers)) = store.loads.next_batch(org, |_| 0) {
        let found = store.fetch_streams(org, &streams, usize::MAX).await;
        for (index, answer) in answers.into_iter().enumerate() {
            let state = match &found {
                Ok(found) => Ok(found.get(index).cloned().flatten()),
                Err(error) => Err(error.clone()),
            };
            // An aborted request has no receiver.
            drop(answer.send(state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_an_org_wait_and_no_more() {
        let lanes = Lanes::<(), (), ()>::default();
        let enqueue = |org| lanes.enqueue(OrgId(org), (), oneshot::channel().0, |(), ()| Ok::<_, Error>(()));
        for number in 0..MAX_WAITING {
            assert_eq!(enqueue(1).unwrap(), number == 0);
        }
        assert_eq!(enqueue(1).unwrap_err().code(), Some(overload::COMMANDS));
        assert!(enqueue(2).unwrap());
    }

    #[test]
    fn what_is_not_admitted_opens_no_lane() {
        let lanes = Lanes::<u8, (), u8>::default();
        let enqueue = |job| {
            lanes.enqueue(OrgId(1), job, oneshot::channel().0, |job, last| {
                if *job <= *last {
                    return Err(too_many());
                }
                *last = *job;
                Ok(())
            })
        };
        assert!(enqueue(0).is_err());
        assert!(lanes.known(OrgId(1), |_| ()).is_none());
        assert!(enqueue(2).unwrap());
        assert!(enqueue(1).is_err());
        assert!(!enqueue(3).unwrap());
        let (batch, _) = lanes.next_batch(OrgId(1), |_| 0).unwrap();
        assert_eq!((batch, lanes.known(OrgId(1), |last| *last)), (vec![2, 3], Some(3)));
        assert!(lanes.next_batch(OrgId(1), |_| 0).is_none());
        assert!(lanes.known(OrgId(1), |_| ()).is_none());
    }
}
