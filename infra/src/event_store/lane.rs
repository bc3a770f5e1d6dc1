//! Gathers commits of one org.
//!
//! An org's log has one end, so its commits follow each other; one flush each would bind a busy org to the
//! speed of a disk. While one flight of an org is under way its commits queue up here, and the next flight
//! takes all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kymograph_app::event_store::{CommitError, Committed};
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::OrgId;
use tokio::sync::oneshot;

use super::Inner;
use super::flight;
use super::prepared::Prepared;

/// How many commits share a flight.
const MAX_BATCH: usize = 64;
/// How many bytes of payload share a flight; a single commit may be larger.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How many commits of one org may wait before more are turned away.
const MAX_WAITING: usize = 1024;

/// Where the answer to a commit goes.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// The commits that wait, by org. An org is in the map while a task flies for it.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<OrgId, VecDeque<(Prepared, Reply)>>>);

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrgId, VecDeque<(Prepared, Reply)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch of an org; without one, the org's lane is closed.
    fn next_batch(&self, org: OrgId) -> Option<(Vec<Prepared>, Vec<Reply>)> {
        let mut lanes = self.lock();
        let waiting = lanes.get_mut(&org)?;
        let (mut batch, mut replies, mut size) = (Vec::new(), Vec::new(), 0);
        while let Some((prepared, _)) = waiting.front() {
            size += prepared.size();
            if !batch.is_empty() && (batch.len() == MAX_BATCH || size > MAX_BATCH_BYTES) {
                break;
            }
            if let Some((prepared, reply)) = waiting.pop_front() {
                batch.push(prepared);
                replies.push(reply);
            }
        }
        if batch.is_empty() {
            lanes.remove(&org);
            return None;
        }
        Some((batch, replies))
    }
}

/// Queues a commit, and starts a task for the org if none is flying for it.
pub(super) fn enqueue(
    store: &Arc<Inner>,
    org: OrgId,
    prepared: Prepared,
    reply: Reply,
) -> Result<(), CommitError> {
    let mut lanes = store.lanes.lock();
    let is_new = !lanes.contains_key(&org);
    let waiting = lanes.entry(org).or_default();
    if waiting.len() >= MAX_WAITING {
        let overloaded = Error::new(ErrorKind::Overloaded, "Too many writes at once, try again shortly");
        return Err(CommitError::Failed(overloaded));
    }
    waiting.push_back((prepared, reply));
    drop(lanes);
    if is_new {
        tokio::spawn(fly_until_empty(store.clone(), org));
    }
    Ok(())
}

async fn fly_until_empty(store: Arc<Inner>, org: OrgId) {
    // Should a flight panic, the lane is closed: whoever waits is told, and the next commit opens a new one.
    let _closer = Closer { store: store.clone(), org };
    while let Some((mut batch, replies)) = store.lanes.next_batch(org) {
        let results = flight::fly(&store, &mut batch).await;
        store.landed(&batch, &results);
        for (reply, result) in replies.into_iter().zip(results) {
            // Nobody waits for the answer of a dropped request.
            drop(reply.send(result));
        }
        // Those who were just answered may have more to write: let them queue up first, or the next flight takes
        // the fastest of them alone and the others wait for another flush.
        tokio::task::yield_now().await;
    }
}

struct Closer {
    store: Arc<Inner>,
    org: OrgId,
}

impl Drop for Closer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.store.lanes.lock().remove(&self.org);
            self.store.heads.forget(self.org);
        }
    }
}
