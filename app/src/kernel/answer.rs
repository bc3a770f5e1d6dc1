//! Limits on the rows that a request reads for its response, and on the number of large responses built concurrently.
//!
//! The size of a list is unknown before its rows arrive. So the rows of each statement are counted as they arrive
//! ([`Room`]). A request whose rows exceed [`MEDIUM_BYTES`] releases its connection, waits for an admission of its org,
//! and reads again. With fewer rows it does so only if many such responses are being built already. A request whose
//! response would be too large is refused. Large responses are not processed on the threads that serve other requests.
//! For small lists the only cost is the counting.
//!
//! The request is identified by a task-local value, so that no list can omit the check. Writes and background work are
//! not limited here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kymograph_domain::OrgId;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::kernel::error::{Error, Result, overload};
use crate::kernel::work::{Admission, Admissions, INLINE_BYTES, MAX_WAIT};

/// The maximum bytes of rows of a statement with one of [`MAX_MEDIUM`] admissions. Up to [`INLINE_BYTES`] need none.
pub const MEDIUM_BYTES: usize = 512 * 1024;
/// The maximum bytes of rows of a statement with one of [`MAX_LARGE`] admissions.
pub const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum bytes of rows of any statement, with one of [`MAX_HUGE`] admissions.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of responses of up to [`MEDIUM_BYTES`] built concurrently for an org.
pub const MAX_MEDIUM_OF_ORG: usize = 16;
/// The maximum number of responses of up to [`MEDIUM_BYTES`] built concurrently.
pub const MAX_MEDIUM: usize = 64;
/// The maximum number of large responses built concurrently for an org.
pub const MAX_LARGE_OF_ORG: usize = 2;
/// The maximum number of large responses built concurrently.
pub const MAX_LARGE: usize = 4;
/// The maximum number of responses of more than [`LARGE_BYTES`] built concurrently.
pub const MAX_HUGE: usize = 1;

const TOO_LARGE: &str = "The answer would be too large: ask for a smaller page, or for less";
const TOO_MANY: overload::Refusal =
    (overload::ANSWERS, "Too many large answers of this org at once, try again shortly");

/// Limits the number of large responses that requests build concurrently.
pub struct Answers {
    medium: Admissions,
    large: Admissions,
    huge: Admissions,
    wait: Duration,
}

/// The size class of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    #[default]
    Small,
    Medium,
    Large,
    Huge,
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Small => INLINE_BYTES,
            Self::Medium => MEDIUM_BYTES,
            Self::Large => LARGE_BYTES,
            Self::Huge => MAX_BYTES,
        }
    }
}

/// The response that a request builds.
struct Answer {
    answers: Arc<Answers>,
    org: OrgId,
    turn: Mutex<Turn>,
    /// Held while a statement waits for an admission: concurrent statements share one.
    growing: tokio::sync::Mutex<()>,
    /// Whether processing it takes long.
    is_long: AtomicBool,
}

#[derive(Default)]
struct Turn {
    size: Size,
    admission: Option<Admission>,
}

tokio::task_local! {
    static CURRENT: Arc<Answer>;
}

impl Default for Answers {
    fn default() -> Self {
        Self::new(MAX_WAIT)
    }
}

impl Answers {
    fn new(wait: Duration) -> Self {
        let medium = Admissions::new(MAX_MEDIUM, MAX_MEDIUM_OF_ORG, TOO_MANY);
        let large = Admissions::new(MAX_LARGE, MAX_LARGE_OF_ORG, TOO_MANY);
        Self { medium, large, huge: Admissions::new(MAX_HUGE, MAX_HUGE, TOO_MANY), wait }
    }

    /// Builds the response of a read-only request. Also returns the admission that the response needed, to be held
    /// while the response is in memory.
    pub async fn make<T>(
        self: &Arc<Self>,
        org: OrgId,
        request: impl Future<Output = T>,
    ) -> (T, Option<Admission>) {
        let answer = Arc::new(Answer {
            answers: self.clone(),
            org,
            turn: Mutex::default(),
            growing: tokio::sync::Mutex::default(),
            is_long: AtomicBool::default(),
        });
        let mut request = pin!(request);
        let made = CURRENT.scope(
            answer.clone(),
            poll_fn(|context| {
                if answer.is_long.load(Ordering::Relaxed) && may_block() {
                    tokio::task::block_in_place(|| request.as_mut().poll(context))
                } else {
                    request.as_mut().poll(context)
                }
            }),
        );
        let made = made.await;
        (made, answer.lock().admission.take())
    }
}

/// Whether other tasks of this thread can continue on another one.
fn may_block() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

impl Answer {
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it a medium response, if an admission for that is available at once.
    fn try_medium(&self) -> bool {
        let mut turn = self.lock();
        if turn.size > Size::Small {
            return true;
        }
        let admission = self.answers.medium.try_admit(self.org);
        let is_admitted = admission.is_some();
        if is_admitted {
            *turn = Turn { size: Size::Medium, admission };
        }
        is_admitted
    }

    /// Waits for an admission to build a response larger than this size.
    async fn grow(&self, than: Size) -> Result<()> {
        let _growing = self.growing.lock().await;
        if self.lock().size > than {
            return Ok(());
        }
        // Its current admission is released first: while it waits for the next one, others can use it.
        let (size, admissions) = {
            let mut turn = self.lock();
            let larger = match turn.size {
                Size::Small => (Size::Medium, &self.answers.medium),
                Size::Medium => (Size::Large, &self.answers.large),
                Size::Large => (Size::Huge, &self.answers.huge),
                Size::Huge => return Err(Error::too_large(TOO_LARGE)),
            };
            turn.admission = None;
            larger
        };
        let admission = admissions.admit(self.org, self.answers.wait).await?;
        *self.lock() = Turn { size, admission: Some(admission) };
        Ok(())
    }
}

/// Releases the admission that the response of this request has needed so far, if the rows read are not part of the
/// response.
pub(crate) fn give_back() {
    // A write has no such admission.
    CURRENT.try_with(|answer| *answer.lock() = Turn::default()).unwrap_or_default();
}

/// The budget of row bytes for the next statement of this request.
pub struct Room {
    answer: Option<(Arc<Answer>, Size)>,
    used: usize,
}

impl Room {
    /// The budget of the current request. Without a request there is no limit.
    #[must_use]
    pub fn current() -> Self {
        let answer = CURRENT.try_with(Arc::clone).ok();
        let answer = answer.map(|answer| {
            let size = answer.lock().size;
            (answer, size)
        });
        Self { answer, used: 0 }
    }

    /// An unlimited budget, for statements with a limit of their own.
    #[must_use]
    pub fn unbounded() -> Self {
        Self { answer: None, used: 0 }
    }

    /// Charges this many bytes. Returns false if they exceed the budget.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.used = self.used.saturating_add(bytes);
        let Some((answer, size)) = &mut self.answer else { return true };
        if *size == Size::Small
            && (INLINE_BYTES + 1..=MEDIUM_BYTES).contains(&self.used)
            && answer.try_medium()
        {
            *size = Size::Medium;
        }
        self.used <= size.bytes()
    }

    /// Resets the charged bytes, before the same rows are read again.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Waits for an admission with a larger budget, after the rows exceeded this one. Fails if none is available.
    pub async fn grow(self) -> Result<Self> {
        if let Some((answer, size)) = &self.answer {
            answer.grow(*size).await?;
        }
        Ok(Self::current())
    }

    /// Ends the reading. If processing this many bytes takes long, the request continues off the async threads.
    pub async fn finish(self) {
        if let Some((answer, _)) = self.answer.filter(|_| self.used > INLINE_BYTES) {
            answer.is_long.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }
}

/// Charges data that the response repeats, such as the folder of each of many dashboards.
pub async fn reserve(bytes: usize) -> Result<()> {
    let mut room = Room::current();
    while !room.take(bytes) {
        room = room.grow().await?;
    }
    room.finish().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// Builds a response of this many bytes and returns whether that was possible.
    async fn make(answers: &Arc<Answers>, org: i64, bytes: usize) -> (Result<()>, Option<Admission>) {
        answers.make(OrgId(org), reserve(bytes)).await
    }

    #[tokio::test]
    async fn small_answers_need_no_turn() {
        let answers = Arc::new(Answers::new(SHORT));
        let (made, admission) = make(&answers, 1, INLINE_BYTES).await;
        assert!(made.is_ok() && admission.is_none());
        let (made, admission) = make(&answers, 1, INLINE_BYTES + 1).await;
        assert!(made.is_ok() && admission.is_some());
    }

    #[tokio::test]
    async fn answers_of_medium_size_are_a_bounded_number() {
        let answers = Arc::new(Answers::new(SHORT));
        let mut held = Vec::new();
        for _ in 0..MAX_MEDIUM_OF_ORG {
            held.push(make(&answers, 1, MEDIUM_BYTES).await.1.unwrap());
        }
        let refused = make(&answers, 1, INLINE_BYTES + 1).await.0.unwrap_err();
        assert_eq!(refused.code(), Some(overload::ANSWERS));
        assert!(make(&answers, 1, INLINE_BYTES).await.0.is_ok());
        assert!(make(&answers, 2, MEDIUM_BYTES).await.0.is_ok());
        held.clear();
        assert!(make(&answers, 1, MEDIUM_BYTES).await.0.is_ok());
    }

    #[tokio::test]
    async fn few_large_answers_are_made_at_a_time() {
        let answers = Arc::new(Answers::new(SHORT));
        let mut held = Vec::new();
        for org in [1, 1, 2, 2] {
            held.push(make(&answers, org, LARGE_BYTES).await.1.unwrap());
        }
        for org in [1, 3] {
            let refused = make(&answers, org, MEDIUM_BYTES + 1).await.0.unwrap_err();
            assert_eq!(refused.code(), Some(overload::ANSWERS));
        }
        assert!(make(&answers, 1, MEDIUM_BYTES).await.0.is_ok());
        held.clear();
        assert!(make(&answers, 3, LARGE_BYTES).await.0.is_ok());
    }

    #[tokio::test]
    async fn one_huge_answer_is_made_at_a_time_and_none_beyond() {
        let answers = Arc::new(Answers::new(SHORT));
        let (made, held) = make(&answers, 1, MAX_BYTES).await;
        assert!(made.is_ok());
        assert!(make(&answers, 2, LARGE_BYTES + 1).await.0.is_err());
        assert!(make(&answers, 2, LARGE_BYTES).await.0.is_ok());
        drop(held);
        assert!(make(&answers, 2, LARGE_BYTES + 1).await.0.is_ok());
        let refused = make(&answers, 2, MAX_BYTES + 1).await.0.unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn what_is_read_beside_each_other_shares_a_turn() {
        let answers = Arc::new(Answers::new(SHORT));
        let _other = make(&answers, 1, LARGE_BYTES).await.1.unwrap();
        let both = async { tokio::join!(reserve(LARGE_BYTES), reserve(LARGE_BYTES)) };
        let ((one, two), admission) = answers.make(OrgId(1), both).await;
        assert!(one.is_ok() && two.is_ok() && admission.is_some());
    }

    #[tokio::test]
    async fn without_a_request_there_is_no_bound() {
        reserve(usize::MAX).await.unwrap();
    }

    /// Whether another task of this thread runs while a response of this many bytes is processed.
    async fn leaves_thread(bytes: usize) -> bool {
        let (started, answers) = (Arc::new(AtomicBool::default()), Arc::new(Answers::default()));
        let other = started.clone();
        let request = async move {
            reserve(bytes).await.unwrap();
            tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
            std::thread::sleep(Duration::from_millis(300));
            started.load(Ordering::Relaxed)
        };
        answers.make(OrgId(1), request).await.0
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn long_work_leaves_the_thread_to_others() {
        let run = async |bytes| tokio::spawn(leaves_thread(bytes)).await.unwrap();
        assert!(!run(INLINE_BYTES).await);
        assert!(run(INLINE_BYTES + 1).await);
    }
}
