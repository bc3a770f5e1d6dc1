//! How much a request may read to make its answer, and how many large answers are made at a time.
//!
//! A list can be small or have many megabytes, which nobody knows before its rows come. So the rows of each statement are
//! counted while they come ([`Room`]). A request whose rows are more than [`MEDIUM_BYTES`] gives its connection back, waits
//! for its org's turn, and reads again; with fewer it does so only where many such answers are made already. A request whose
//! answer would be too large is refused. The work on a large answer is not done on the threads that serve other requests.
//! Small lists cost nothing but the counting.
//!
//! The request is known by a task-local value, so that no list can be forgotten. Writes, and work that no request waits for,
//! are not bounded here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kymograph_domain::OrgId;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::kernel::error::{Error, Result, overload};
use crate::kernel::work::{Admission, Admissions, INLINE_BYTES, MAX_WAIT};

/// How many bytes of rows a statement may give in one of [`MAX_MEDIUM`] turns. Up to [`INLINE_BYTES`] need none.
pub const MEDIUM_BYTES: usize = 512 * 1024;
/// How many bytes of rows it may give in one of [`MAX_LARGE`] turns.
pub const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes of rows it may give at all, in one of [`MAX_HUGE`] turns.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How many answers of up to [`MEDIUM_BYTES`] are made for an org at a time.
pub const MAX_MEDIUM_OF_ORG: usize = 16;
/// How many answers of up to [`MEDIUM_BYTES`] are made at a time.
pub const MAX_MEDIUM: usize = 64;
/// How many large answers are made for an org at a time.
pub const MAX_LARGE_OF_ORG: usize = 2;
/// How many large answers are made at a time.
pub const MAX_LARGE: usize = 4;
/// How many answers of more than [`LARGE_BYTES`] are made at a time.
pub const MAX_HUGE: usize = 1;

const TOO_LARGE: &str = "The answer would be too large: ask for a smaller page, or for less";
const TOO_MANY: overload::Refusal =
    (overload::ANSWERS, "Too many large answers of this org at once, try again shortly");

/// Lets requests make their answers, the large ones in turns.
pub struct Answers {
    medium: Admissions,
    large: Admissions,
    huge: Admissions,
    wait: Duration,
}

/// How large an answer may be.
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

/// The answer that a request makes.
struct Answer {
    answers: Arc<Answers>,
    org: OrgId,
    turn: Mutex<Turn>,
    /// Held by who waits for a turn: statements that run beside each other share one.
    growing: tokio::sync::Mutex<()>,
    /// Whether working on it takes long.
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

    /// Makes the answer of a request that only reads. With it comes the turn that the answer needed, to be kept while the
    /// answer is in memory.
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

/// Whether other tasks of this thread can go on elsewhere.
fn may_block() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

impl Answer {
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it an answer of medium size, if there is a turn for that at once.
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

    /// Waits for a turn to make a larger answer than of that size.
    async fn grow(&self, than: Size) -> Result<()> {
        let _growing = self.growing.lock().await;
        if self.lock().size > than {
            return Ok(());
        }
        // The turn that it has ends first: while it waits for the other one, others may use it.
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

/// Gives back the turn that the answer of this request has needed so far, where what was read is not part of the answer.
pub(crate) fn give_back() {
    // A write has no such answer.
    CURRENT.try_with(|answer| *answer.lock() = Turn::default()).unwrap_or_default();
}

/// How many bytes of rows the next statement of this request may give.
pub struct Room {
    answer: Option<(Arc<Answer>, Size)>,
    used: usize,
}

impl Room {
    /// The room that the request has which is being answered. Without one there is no bound.
    #[must_use]
    pub fn current() -> Self {
        let answer = CURRENT.try_with(Arc::clone).ok();
        let answer = answer.map(|answer| {
            let size = answer.lock().size;
            (answer, size)
        });
        Self { answer, used: 0 }
    }

    /// Room without a bound, for what has one of its own.
    #[must_use]
    pub fn unbounded() -> Self {
        Self { answer: None, used: 0 }
    }

    /// Takes room for so many bytes. Whether they fit.
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

    /// Takes back what was taken, before the same is read again.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Waits for a turn with more room, after what was taken did not fit. It fails if there is none.
    pub async fn grow(self) -> Result<Self> {
        if let Some((answer, size)) = &self.answer {
            answer.grow(*size).await?;
        }
        Ok(Self::current())
    }

    /// Ends the reading. If working on so many bytes takes long, the request goes on off the async threads.
    pub async fn finish(self) {
        if let Some((answer, _)) = self.answer.filter(|_| self.used > INLINE_BYTES) {
            answer.is_long.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }
}

/// Takes room for what the answer repeats of what was read, such as the folder that each of many dashboards is in.
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

    /// Makes an answer of so many bytes and says whether that was possible.
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

    /// Whether another task of this thread runs while an answer of so many bytes is worked on.
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
