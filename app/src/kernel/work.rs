//! CPU-bound work, such as comparing large documents. It runs on separate threads with limited concurrency, so that
//! small requests are served in the meantime and no org blocks others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kymograph_domain::OrgId;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::kernel::by_key::ByOrg;
use crate::kernel::error::{Error, Result, overload};

/// Work on at most this many bytes takes less than a millisecond and runs inline.
pub const INLINE_BYTES: usize = 128 * 1024;
/// Work on more bytes than this takes so much memory that only one such work runs at a time.
pub const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of requests of an org that wait for a turn.
pub const MAX_WAITING_OF_ORG: usize = 32;
/// The maximum number of concurrent requests of an org that hold whole documents.
pub const MAX_ADMITTED_OF_ORG: usize = 2;
/// The maximum number of concurrent requests of all orgs that hold whole documents.
pub const MAX_ADMITTED: usize = 4;
/// The maximum number of documents of more than [`LARGE_BYTES`] read concurrently for an org.
pub const MAX_LARGE_READS_OF_ORG: usize = 1;
/// The maximum number of documents of more than [`LARGE_BYTES`] read concurrently for all orgs.
pub const MAX_LARGE_READS: usize = 2;
/// How long a request waits for a turn.
pub const MAX_WAIT: Duration = Duration::from_secs(10);

const TOO_MUCH_OF_ORG: overload::Refusal =
    (overload::WORK_OF_ORG, "Too much work on large documents of this org at once, try again shortly");

/// A piece of work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Threads for work that would block the serving of requests.
pub trait Threads: Send + Sync {
    /// Runs a job as soon as a thread is free.
    fn run(&self, job: Job);
}

/// Runs work on threads. `held`, such as a turn, is held until the work is done, even if the request is dropped before.
pub async fn run_on<T: Send + 'static>(
    threads: &dyn Threads,
    held: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, done) = oneshot::channel();
    threads.run(Box::new(move || {
        let done = work();
        drop(held);
        // Nobody waits for the result of a dropped request.
        drop(sender.send(done));
    }));
    done.await.map_err(|_| Error::internal("work ended without a result"))
}

/// Runs work, as much concurrently as there are cores. Clones share the turns.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    threads: Box<dyn Threads>,
    cores: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// The maximum number of concurrent turns of an org.
    share: usize,
    wait: Duration,
    queues: Mutex<HashMap<OrgId, Queue>>,
    requests: Admissions,
    large_reads: Admissions,
}

/// A limit on concurrency, of all orgs and of each.
pub(crate) struct Admissions {
    of_all: Arc<Semaphore>,
    of_org: ByOrg<Semaphore>,
    most_of_org: usize,
    /// The requests of an org that have or wait for an admission, up to `most_here`: a waiting one holds the data it
    /// has read so far.
    here: ByOrg<Semaphore>,
    most_here: usize,
    refusal: overload::Refusal,
}

/// The admission to hold whole documents or a large response in memory, which ends when it is dropped.
pub struct Admission {
    _of_org: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _here: OwnedSemaphorePermit,
}

/// The admission of a request that reads several documents one after the other, acquired when it first needs one.
#[derive(Clone, Default)]
pub(crate) struct Admitted(Arc<OnceCell<Admission>>);

impl Admitted {
    pub(crate) fn is_held(&self) -> bool {
        self.0.initialized()
    }

    /// Waits for the admission, unless it is held already.
    pub(crate) async fn wait(&self, workers: &Workers, org: OrgId) -> Result<()> {
        self.0.get_or_try_init(|| workers.admit(org)).await.map(drop)
    }
}

/// The turns of an org, and the number of requests that have or want one.
struct Queue {
    turns: Arc<Semaphore>,
    here: usize,
}

/// The right to do work, which ends when it is dropped and the work is done.
pub struct Turn(Arc<Held>);

struct Held {
    _core: OwnedSemaphorePermit,
    _large: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
    place: Place,
}

/// A place among the requests of an org that have or want a turn.
struct Place {
    workers: Workers,
    org: OrgId,
}

impl Workers {
    /// Workers on these threads, of which there are at least [`Self::turns`].
    #[must_use]
    pub fn on(threads: impl Threads + 'static) -> Self {
        Self::new(threads, Self::turns(), MAX_WAIT)
    }

    /// The number of concurrent turns: one per core, and at least two.
    #[must_use]
    pub fn turns() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).max(2)
    }

    /// An org gets half of the turns, so that at least one is left for others, even on a single core.
    fn new(threads: impl Threads + 'static, turns: usize, wait: Duration) -> Self {
        Self(Arc::new(Shared {
            threads: Box::new(threads),
            cores: Arc::new(Semaphore::new(turns)),
            large: Arc::new(Semaphore::new(1)),
            share: turns / 2,
            wait,
            queues: Mutex::default(),
            requests: Admissions::new(MAX_ADMITTED, MAX_ADMITTED_OF_ORG, TOO_MUCH_OF_ORG),
            large_reads: Admissions::new(MAX_LARGE_READS, MAX_LARGE_READS_OF_ORG, TOO_MUCH_OF_ORG),
        }))
    }

    /// Waits until a request of an org may read whole documents to compare or restore them, or to show older ones.
    /// Documents of at most [`INLINE_BYTES`] are read without an admission, so that they do not wait for large ones.
    /// Requests that wait here hold no more than that. It has to be acquired before any turn.
    pub async fn admit(&self, org: OrgId) -> Result<Admission> {
        self.0.requests.admit(org, self.0.wait).await
    }

    /// The same for documents of this many bytes; `None` if they need no admission.
    pub async fn admit_for(&self, org: OrgId, bytes: usize) -> Result<Option<Admission>> {
        if bytes <= INLINE_BYTES { Ok(None) } else { self.admit(org).await.map(Some) }
    }

    /// Waits until a document of more than [`LARGE_BYTES`] may be read for an org. It has to be acquired before any
    /// turn and after [`Self::admit`], whose holders read such documents, too.
    pub async fn admit_large_read(&self, org: OrgId) -> Result<Admission> {
        self.0.large_reads.admit(org, self.0.wait).await
    }

    /// Runs work on this many bytes: inline if they are few, otherwise on another thread in a turn of the org.
    pub async fn run<T: Send + 'static>(
        &self,
        org: OrgId,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if bytes <= INLINE_BYTES {
            return Ok(work());
        }
        self.turn(org, bytes).await?.run(work).await
    }

    /// Waits for a turn to work on this many bytes. The holder of a turn must not wait for another.
    pub async fn turn(&self, org: OrgId, bytes: usize) -> Result<Turn> {
        let place = self.place(org)?;
        let turns = self.queue(org, |queue| queue.turns.clone());
        let held = async {
            // The turn of the org is acquired first, so that its requests wait for each other without blocking others.
            let turn = turns.acquire_owned().await.map_err(Error::internal)?;
            let mut large = None;
            if bytes > LARGE_BYTES {
                large = Some(self.0.large.clone().acquire_owned().await.map_err(Error::internal)?);
            }
            let core = self.0.cores.clone().acquire_owned().await.map_err(Error::internal)?;
            Ok(Turn(Arc::new(Held { _core: core, _large: large, _turn: turn, place })))
        };
        tokio::time::timeout(self.0.wait, held).await.unwrap_or_else(|_| {
            Err(Error::overloaded(
                overload::WORK,
                "Too much work on large documents at once, try again shortly",
            ))
        })
    }

    fn place(&self, org: OrgId) -> Result<Place> {
        let has_place = self.queue(org, |queue| {
            let has_place = queue.here < self.0.share + MAX_WAITING_OF_ORG;
            queue.here += usize::from(has_place);
            has_place
        });
        if has_place {
            return Ok(Place { workers: self.clone(), org });
        }
        Err(refused(TOO_MUCH_OF_ORG))
    }

    fn queue<T>(&self, org: OrgId, look: impl FnOnce(&mut Queue) -> T) -> T {
        let new = || Queue { turns: Arc::new(Semaphore::new(self.0.share)), here: 0 };
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        look(queues.entry(org).or_insert_with(new))
    }
}

impl Admissions {
    /// Limits of all orgs and of an org, and the refusal of requests that waited too long.
    pub(crate) fn new(most: usize, most_of_org: usize, refusal: overload::Refusal) -> Self {
        let of_all = Arc::new(Semaphore::new(most));
        let (of_org, here, most_here) = (ByOrg::default(), ByOrg::default(), Semaphore::MAX_PERMITS);
        Self { of_all, of_org, most_of_org, here, most_here, refusal }
    }

    /// The same limits, with a maximum number of waiting requests of an org.
    pub(crate) fn with_waiting(self, most_waiting: usize) -> Self {
        Self { most_here: self.most_of_org + most_waiting, ..self }
    }

    /// A place among the requests of an org that have or wait for an admission.
    fn place(&self, org: OrgId) -> Option<OwnedSemaphorePermit> {
        self.here.get_or(org, || Semaphore::new(self.most_here)).try_acquire_owned().ok()
    }

    /// An admission, if one is available at once.
    pub(crate) fn try_admit(&self, org: OrgId) -> Option<Admission> {
        let here = self.place(org)?;
        let of_org = self.of_org.get_or(org, || Semaphore::new(self.most_of_org));
        let of_org = of_org.try_acquire_owned().ok()?;
        let of_all = self.of_all.clone().try_acquire_owned().ok()?;
        Some(Admission { _of_org: of_org, _of_all: of_all, _here: here })
    }

    pub(crate) async fn admit(&self, org: OrgId, wait: Duration) -> Result<Admission> {
        let here = self.place(org).ok_or_else(|| refused(self.refusal))?;
        let of_org = self.of_org.get_or(org, || Semaphore::new(self.most_of_org));
        let admitted = async {
            // The org's share is acquired first, so that its requests wait for each other without blocking others.
            let of_org = of_org.acquire_owned().await.map_err(Error::internal)?;
            let of_all = self.of_all.clone().acquire_owned().await.map_err(Error::internal)?;
            Ok(Admission { _of_org: of_org, _of_all: of_all, _here: here })
        };
        let admitted = tokio::time::timeout(wait, admitted).await;
        admitted.unwrap_or_else(|_| Err(refused(self.refusal)))
    }
}

fn refused((code, message): overload::Refusal) -> Error {
    Error::overloaded(code, message)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.workers.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&self.org) {
            queue.here -= 1;
            if queue.here == 0 {
                queues.remove(&self.org);
            }
        }
    }
}

impl Turn {
    /// Runs work on another thread.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        run_on(&*self.0.place.workers.0.threads, self.0.clone(), work).await
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    /// Starts a thread for each job.
    struct NewThreads;

    impl Threads for NewThreads {
        fn run(&self, job: Job) {
            std::thread::spawn(job);
        }
    }

    fn workers(turns: usize, wait: Duration) -> Workers {
        Workers::new(NewThreads, turns, wait)
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    fn thread() -> ThreadId {
        std::thread::current().id()
    }

    #[tokio::test]
    async fn what_takes_long_is_done_elsewhere() {
        let workers = workers(2, LONG);
        assert_eq!(workers.run(OrgId(1), INLINE_BYTES, thread).await.unwrap(), thread());
        assert_ne!(workers.run(OrgId(1), INLINE_BYTES + 1, thread).await.unwrap(), thread());
        assert!(workers.0.queues.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_org_takes_the_turns_of_others() {
        let workers = workers(2, SHORT);
        let turn = |org| workers.turn(OrgId(org), 1);
        let first = turn(1).await.unwrap();
        assert_eq!(turn(1).await.err().unwrap().code(), Some(overload::WORK));
        let second = turn(2).await.unwrap();
        assert_eq!(turn(3).await.err().unwrap().code(), Some(overload::WORK));
        drop(first);
        drop(turn(3).await.unwrap());
        drop(second);
        assert!(workers.0.queues.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn few_requests_hold_whole_documents() {
        let workers = workers(2, SHORT);
        let admit = |org| workers.admit(OrgId(org));
        let mut held = Vec::new();
        for org in [1, 1, 2, 2] {
            held.push(admit(org).await.unwrap());
        }
        assert_eq!(admit(1).await.err().unwrap().code(), Some(overload::WORK_OF_ORG));
        assert!(admit(3).await.is_err());
        // Small documents need no admission.
        assert!(workers.admit_for(OrgId(3), INLINE_BYTES).await.unwrap().is_none());
        assert!(workers.admit_for(OrgId(3), INLINE_BYTES + 1).await.is_err());
        held.clear();
        drop(admit(3).await.unwrap());
    }

    #[tokio::test]
    async fn few_large_documents_are_read_at_a_time() {
        let workers = workers(2, SHORT);
        let read = |org| workers.admit_large_read(OrgId(org));
        let _requests = (workers.admit(OrgId(1)).await.unwrap(), workers.admit(OrgId(1)).await.unwrap());
        let first = read(1).await.unwrap();
        assert_eq!(read(1).await.err().unwrap().code(), Some(overload::WORK_OF_ORG));
        let _second = read(2).await.unwrap();
        assert!(read(3).await.is_err());
        drop(first);
        read(3).await.unwrap();
    }

    #[tokio::test]
    async fn so_many_of_an_org_wait_for_an_admission_and_no_more() {
        let refusal = (overload::COMMANDS, "");
        let admissions = Arc::new(Admissions::new(4, 1, refusal).with_waiting(2));
        let held = admissions.admit(OrgId(1), LONG).await.unwrap();
        let wait = |_| {
            let admissions = admissions.clone();
            tokio::spawn(async move { admissions.admit(OrgId(1), LONG).await.map(drop) })
        };
        let waiting: Vec<_> = (0..2).map(wait).collect();
        tokio::task::yield_now().await;
        assert!(admissions.admit(OrgId(1), LONG).await.is_err());
        admissions.admit(OrgId(2), LONG).await.unwrap();
        drop(held);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn so_many_of_an_org_wait_and_no_more() {
        let workers = workers(2, LONG);
        let held = workers.turn(OrgId(1), 1).await.unwrap();
        let waiting: Vec<_> = (0..MAX_WAITING_OF_ORG)
            .map(|_| {
                let workers = workers.clone();
                tokio::spawn(async move { workers.run(OrgId(1), INLINE_BYTES + 1, || ()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let refused = workers.turn(OrgId(1), 1).await.err().unwrap();
        assert_eq!(refused.code(), Some(overload::WORK_OF_ORG));
        drop(held);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn what_takes_much_memory_is_done_one_at_a_time() {
        let workers = workers(8, SHORT);
        let large = workers.turn(OrgId(1), LARGE_BYTES + 1).await.unwrap();
        assert!(workers.turn(OrgId(2), LARGE_BYTES + 1).await.is_err());
        workers.turn(OrgId(2), LARGE_BYTES).await.unwrap();
        drop(large);
        workers.turn(OrgId(2), LARGE_BYTES + 1).await.unwrap();
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_its_work() {
        let workers = workers(2, SHORT);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let dropped = workers.run(OrgId(1), INLINE_BYTES + 1, move || ended.recv());
        assert!(tokio::time::timeout(SHORT, dropped).await.is_err());
        assert!(workers.turn(OrgId(1), 1).await.is_err());
        end.send(()).unwrap();
        while workers.turn(OrgId(1), 1).await.is_err() {}
    }
}
