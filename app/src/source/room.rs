//! The memory of the answers of data sources, from reading them to sending the response to the client.
//!
//! The size of an answer is only known as it arrives. Small answers need no admission; larger ones wait for the org's
//! turn in a class of their size, and answers larger than any class are refused. All queries of a request share one
//! turn, so that none waits for another of the same request. A turn is released as soon as the remaining data fits into
//! a smaller class.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kymograph_domain::OrgId;

use crate::kernel::error::{Error, Result, overload};
use crate::kernel::work::{Admission, Admissions, INLINE_BYTES};

/// The maximum number of bytes that a request holds without a turn.
pub const SMALL_BYTES: usize = INLINE_BYTES;
/// The maximum number of bytes that a request holds in one of [`MAX_MEDIUM`] turns.
pub const MEDIUM_BYTES: usize = 2 * 1024 * 1024;
/// The maximum number of bytes that a request holds in one of [`MAX_LARGE`] turns.
pub const LARGE_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of bytes that a request holds, in one of [`MAX_HUGE`] turns.
pub const MAX_BYTES: usize = 48 * 1024 * 1024;
/// The maximum number of requests of an org that hold up to [`MEDIUM_BYTES`].
pub const MAX_MEDIUM_OF_ORG: usize = 8;
/// The maximum number of requests that hold up to [`MEDIUM_BYTES`].
pub const MAX_MEDIUM: usize = 24;
/// The maximum number of requests of an org that hold up to [`LARGE_BYTES`].
pub const MAX_LARGE_OF_ORG: usize = 3;
/// The maximum number of requests that hold up to [`LARGE_BYTES`].
pub const MAX_LARGE: usize = 6;
/// One in this many turns is for orgs that have another one already: a few orgs cannot take the turns of all.
const FURTHER: usize = 3;
/// The maximum number of requests that hold more.
pub const MAX_HUGE: usize = 1;
/// The timeout for a turn. It is short because the request may hold a connection that the holder of the turn
/// needs.
pub const MAX_WAIT: Duration = Duration::from_secs(3);

const TOO_LARGE: &str =
    "The answers of data sources to this request are too large: ask for fewer series, points or rows";
const TOO_MANY: overload::Refusal =
    (overload::ANSWERS, "Too many large answers of data sources at once for this org, try again shortly");

/// The classes of requests by the number of bytes that they hold.
pub(super) struct AnswerRooms {
    medium: Turns,
    large: Turns,
    huge: Turns,
    wait: Duration,
}

/// The turns of a class: each org's first one, and further ones.
struct Turns {
    first: Admissions,
    further: Admissions,
}

impl Turns {
    fn new(most: usize, most_of_org: usize) -> Self {
        let further = most / FURTHER;
        Self {
            first: Admissions::new(most - further, 1, TOO_MANY),
            further: Admissions::new(further, most_of_org - 1, TOO_MANY),
        }
    }

    fn try_admit(&self, org: OrgId) -> Option<Admission> {
        self.first.try_admit(org).or_else(|| self.further.try_admit(org))
    }

    async fn admit(&self, org: OrgId, wait: Duration) -> Result<Admission> {
        if let Some(admission) = self.try_admit(org) {
            return Ok(admission);
        }
        tokio::select! {
            first = self.first.admit(org, wait) => first,
            Ok(further) = self.further.admit(org, wait) => Ok(further),
        }
    }
}

impl Default for AnswerRooms {
    fn default() -> Self {
        Self::new(MAX_WAIT)
    }
}

impl AnswerRooms {
    fn new(wait: Duration) -> Self {
        let medium = Turns::new(MAX_MEDIUM, MAX_MEDIUM_OF_ORG);
        let large = Turns::new(MAX_LARGE, MAX_LARGE_OF_ORG);
        Self { medium, large, huge: Turns::new(MAX_HUGE, MAX_HUGE), wait }
    }

    /// The turns of a class; `None` if it needs none.
    fn turns(&self, class: Class) -> Option<&Turns> {
        match class {
            Class::Small => None,
            Class::Medium => Some(&self.medium),
            Class::Large => Some(&self.large),
            Class::Huge => Some(&self.huge),
        }
    }

    /// The budget of a request of an org.
    pub(super) fn of_request(self: &Arc<Self>, org: OrgId) -> Arc<AnswerRoom> {
        Arc::new(AnswerRoom {
            rooms: self.clone(),
            org,
            held: Mutex::default(),
            growing: tokio::sync::Mutex::default(),
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    #[default]
    Small,
    Medium,
    Large,
    Huge,
}

impl Class {
    const ALL: [Self; 4] = [Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// The smallest class for so many bytes; `None` if there is none.
    fn for_bytes(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| bytes <= class.bytes())
    }

    fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL_BYTES,
            Self::Medium => MEDIUM_BYTES,
            Self::Large => LARGE_BYTES,
            Self::Huge => MAX_BYTES,
        }
    }
}

/// The memory budget of one request.
pub(super) struct AnswerRoom {
    rooms: Arc<AnswerRooms>,
    org: OrgId,
    held: Mutex<Held>,
    /// Held while one part waits for a turn, which the other parts wait for, too.
    growing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    class: Class,
    admission: Option<Admission>,
}

impl AnswerRoom {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share of the budget, empty at first.
    pub(super) fn share(self: &Arc<Self>) -> AnswerShare {
        AnswerShare { room: self.clone(), bytes: AtomicUsize::new(0) }
    }

    async fn take(&self, bytes: usize) -> Result<()> {
        loop {
            let class = {
                let mut held = self.lock();
                let wanted = held.bytes.saturating_add(bytes);
                if wanted <= held.class.bytes() {
                    held.bytes = wanted;
                    return Ok(());
                }
                Class::for_bytes(wanted).ok_or_else(|| Error::too_large(TOO_LARGE))?
            };
            self.grow(class).await?;
        }
    }

    /// Waits for a turn in a class. The turn in the current one is kept meanwhile, because the data is in memory: the holder of
    /// a larger turn never waits for a smaller one.
    async fn grow(&self, class: Class) -> Result<()> {
        let _growing = self.growing.lock().await;
        if self.lock().class >= class {
            return Ok(());
        }
        let admission = match self.rooms.turns(class) {
            Some(turns) => Some(turns.admit(self.org, self.rooms.wait).await?),
            None => None,
        };
        let mut held = self.lock();
        (held.class, held.admission) = (class, admission);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        let mut held = self.lock();
        held.bytes = held.bytes.saturating_sub(bytes);
        let Some(class) = Class::for_bytes(held.bytes).filter(|class| *class < held.class) else { return };
        match self.rooms.turns(class).map(|turns| turns.try_admit(self.org)) {
            None => (held.class, held.admission) = (class, None),
            Some(Some(admission)) => (held.class, held.admission) = (class, Some(admission)),
            // Without a free turn in the smaller class it keeps the larger one.
            Some(None) => {}
        }
    }
}

/// The memory of a part of a request, such as the answer of one source. It is released on drop.
pub struct AnswerShare {
    room: Arc<AnswerRoom>,
    bytes: AtomicUsize,
}

impl AnswerShare {
    /// A share with a budget of its own, for calls that are not part of a request.
    #[must_use]
    pub fn alone(org: OrgId) -> Self {
        Arc::<AnswerRooms>::default().of_request(org).share()
    }

    /// Another part of the same request, which holds nothing.
    #[must_use]
    pub fn part(&self) -> Self {
        self.room.share()
    }

    /// The number of bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Reserves `bytes` as soon as the org may hold them. Fails after some seconds, or at once if they exceed the
    /// maximum.
    pub async fn take(&self, bytes: usize) -> Result<()> {
        self.room.take(bytes).await?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Releases up to `bytes` of the reserved bytes.
    pub fn give_back(&self, bytes: usize) {
        let mut given = 0;
        let left = |held: usize| {
            given = held.min(bytes);
            Some(held - given)
        };
        // The closure never returns `None`, so this cannot fail.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        self.room.give_back(given);
    }

    /// Takes over what another part of the same request holds.
    pub fn absorb(&self, part: &Self) {
        self.bytes.fetch_add(part.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Releases all but `bytes`.
    pub fn keep(&self, bytes: usize) {
        self.give_back(self.bytes().saturating_sub(bytes));
    }
}

impl std::fmt::Debug for AnswerShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerShare").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Drop for AnswerShare {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// The time that a source may send nothing after its response first needs a turn.
const GRACE: Duration = Duration::from_secs(3);
/// The minimum rate of such a response, in bytes per second: a slow source must not hold a turn for long.
pub const MIN_BYTES_PER_SECOND: usize = 512 * 1024;

/// The pace at which a response must arrive while it holds a turn.
#[derive(Debug, Default)]
pub struct Pace {
    begun: Option<Instant>,
    waited: Duration,
}

impl Pace {
    /// The time by which more must arrive, after so many bytes; `None` while the response needs no turn.
    pub fn deadline(&mut self, bytes: usize) -> Option<Instant> {
        if bytes <= SMALL_BYTES {
            return None;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let millis = (bytes - SMALL_BYTES) as u64 * 1000 / MIN_BYTES_PER_SECOND as u64;
        Some(begun + self.waited + GRACE + Duration::from_millis(millis))
    }

    /// Reserves bytes. The time that this takes is not the source's.
    pub async fn take(&mut self, share: &AnswerShare, bytes: usize) -> Result<()> {
        let begun = Instant::now();
        let taken = share.take(bytes).await;
        if self.begun.is_some() {
            self.waited += begun.elapsed();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::error::ErrorKind;

    fn rooms(wait: Duration) -> Arc<AnswerRooms> {
        Arc::new(AnswerRooms::new(wait))
    }

    const SHORT: Duration = Duration::from_millis(20);
    const ORG: OrgId = OrgId(1);

    #[tokio::test]
    async fn small_answers_need_no_turn_and_larger_ones_wait_for_their_org_s() {
        let rooms = rooms(SHORT);
        let mut held = Vec::new();
        for _ in 0..MAX_MEDIUM_OF_ORG {
            let share = rooms.of_request(ORG).share();
            share.take(SMALL_BYTES + 1).await.unwrap();
            held.push(share);
        }
        let next = rooms.of_request(ORG).share();
        next.take(SMALL_BYTES).await.unwrap();
        let refused = next.take(1).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Overloaded, Some(overload::ANSWERS)));
        rooms.of_request(OrgId(2)).share().take(MEDIUM_BYTES).await.unwrap();
        held.pop();
        next.take(1).await.unwrap();
    }

    #[tokio::test]
    async fn two_orgs_do_not_take_the_turns_of_others() {
        let rooms = rooms(SHORT);
        let mut held = Vec::new();
        for org in [2, 2, 2, 3, 3, 3] {
            let share = rooms.of_request(OrgId(org)).share();
            if share.take(MEDIUM_BYTES + 1).await.is_ok() {
                held.push(share);
            }
        }
        assert_eq!(held.len(), 2 + MAX_LARGE / FURTHER);
        rooms.of_request(ORG).share().take(LARGE_BYTES).await.unwrap();
    }

    #[test]
    fn a_response_with_a_turn_must_keep_pace() {
        let mut pace = Pace::default();
        assert_eq!(pace.deadline(SMALL_BYTES), None);
        let first = pace.deadline(SMALL_BYTES + 1).unwrap();
        let later = pace.deadline(SMALL_BYTES + 2 * MIN_BYTES_PER_SECOND).unwrap();
        assert_eq!(later - first, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn the_parts_of_a_request_share_a_turn() {
        let rooms = rooms(SHORT);
        let room = rooms.of_request(ORG);
        let (one, other) = (room.share(), room.share());
        one.take(MEDIUM_BYTES).await.unwrap();
        other.take(MEDIUM_BYTES).await.unwrap();
        assert_eq!(room.lock().class, Class::Large);
        other.take(MAX_BYTES - 2 * MEDIUM_BYTES).await.unwrap();
        assert_eq!(room.lock().class, Class::Huge);
        assert_eq!(one.part().take(1).await.unwrap_err().kind(), ErrorKind::TooLarge);
        // Another request waits for the only turn of this class.
        let another = rooms.of_request(OrgId(2)).share();
        assert!(another.take(LARGE_BYTES + 1).await.is_err());
        drop(other);
        assert_eq!(room.lock().class, Class::Medium);
        another.take(LARGE_BYTES + 1).await.unwrap();
        one.keep(SMALL_BYTES);
        assert_eq!(room.lock().class, Class::Small);
        assert_eq!(room.lock().bytes, SMALL_BYTES);
        drop(one);
        assert_eq!(room.lock().bytes, 0);
    }

    #[tokio::test]
    async fn no_more_is_given_back_than_was_taken() {
        let room = rooms(SHORT).of_request(ORG);
        let (one, other) = (room.share(), room.share());
        one.take(10).await.unwrap();
        other.take(5).await.unwrap();
        one.give_back(100);
        assert_eq!(room.lock().bytes, 5);
    }
}
