//! A circuit breaker for each data source: a dead source occupies few call slots, and soon none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kymograph_domain::OrgId;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::kernel::work::MAX_WAIT;
use crate::source::backend::{ErrorOrigin, QueryError, SourceSettings};

/// The maximum number of concurrent calls of one source.
pub(crate) const MAX_CALLS_OF_SOURCE: usize = 6;
/// The number of consecutive failures to reach a source after which calls are suspended.
const MAX_FAILURES: u32 = 3;
/// The time after a response during which a time-out is no failure to reach the source: more likely the query was a slow
/// one, which must not keep others from the source.
const ALIVE_FOR: Duration = Duration::from_secs(60);
/// How long calls are suspended.
const OPEN_FOR: Duration = Duration::from_secs(10);
/// The maximum number of cached circuits, and how long an unused one is cached.
const MAX_CIRCUITS: u64 = 10_000;
const IDLE_FOR: Duration = Duration::from_secs(300);

/// The circuits of all sources.
pub(super) struct Circuits(Cache<(OrgId, i64), Arc<Circuit>>);

impl Default for Circuits {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_CIRCUITS).time_to_idle(IDLE_FOR).build())
    }
}

impl Circuits {
    /// The circuit of a source.
    pub(super) fn of(&self, source: &SourceSettings) -> Arc<Circuit> {
        self.0.get_with((source.org, source.id), Arc::default)
    }
}

/// The circuit of a source: its call slots and its recent failures.
pub(super) struct Circuit {
    turns: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    /// The time of the last response.
    reached: Option<Instant>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_CALLS_OF_SOURCE)), state: Mutex::default() }
    }
}

/// A call slot of a source, released on drop.
pub(super) struct Entered {
    circuit: Arc<Circuit>,
    _turn: OwnedSemaphorePermit,
}

impl Circuit {
    /// Waits for a call slot of the source; fails while its calls are suspended.
    pub(super) async fn enter(self: &Arc<Self>, name: &str) -> Result<Entered, QueryError> {
        self.must_be_closed(name)?;
        let turn = tokio::time::timeout(MAX_WAIT, self.turns.clone().acquire_owned()).await;
        let busy = || QueryError::downstream(504, format!("{name}: too many calls are under way"));
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        // Earlier calls may have suspended the source meanwhile.
        self.must_be_closed(name)?;
        Ok(Entered { circuit: self.clone(), _turn: turn })
    }

    fn must_be_closed(&self, name: &str) -> Result<(), QueryError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.open_until.and_then(|until| until.checked_duration_since(Instant::now()));
        match left {
            Some(left) if !left.is_zero() => {
                let message = format!(
                    "{name}: it was not reached several times, and is tried again in {} s",
                    left.as_secs() + 1
                );
                Err(QueryError::downstream(503, message))
            }
            _ => Ok(()),
        }
    }

    fn note(&self, failure: Option<ErrorOrigin>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match failure {
            Some(ErrorOrigin::Timeout) if state.reached.is_some_and(|last| now < last + ALIVE_FOR) => return,
            Some(ErrorOrigin::Network | ErrorOrigin::Timeout) => state.failures += 1,
            _ => *state = State { reached: Some(now), ..State::default() },
        }
        if state.failures >= MAX_FAILURES {
            state.open_until = Some(now + OPEN_FOR);
        }
    }
}

impl Entered {
    /// Records the outcome of queries. A source that responds with an error counts as reached.
    pub(super) fn note(&self, error: Option<&QueryError>) {
        self.circuit.note(error.map(|error| error.origin));
    }

    /// Records the outcome of a request of the caller's choice, whose time-out says nothing about the source.
    pub(super) fn note_request(&self, error: Option<&QueryError>) {
        if error.is_none_or(|error| error.origin != ErrorOrigin::Timeout) {
            self.note(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_that_is_not_reached_is_no_longer_tried() {
        let circuit = Arc::new(Circuit::default());
        let lost = QueryError::unreached(502, "there is no route to it");
        for _ in 1..MAX_FAILURES {
            circuit.enter("P").await.ok().unwrap().note(Some(&lost));
        }
        circuit.enter("P").await.ok().unwrap().note(Some(&QueryError::downstream(502, "too large")));
        for _ in 0..MAX_FAILURES {
            circuit.enter("P").await.ok().unwrap().note(Some(&lost));
        }
        let refused = circuit.enter("P").await.err().unwrap();
        assert_eq!((refused.status, refused.message.starts_with("P: ")), (503, true));
    }

    #[tokio::test]
    async fn a_slow_query_does_not_keep_others_from_a_source() {
        let circuit = Arc::new(Circuit::default());
        let late = QueryError::timed_out("it took too long");
        for _ in 0..2 * MAX_FAILURES {
            circuit.enter("P").await.ok().unwrap().note_request(Some(&late));
        }
        circuit.enter("P").await.ok().unwrap().note(None);
        for _ in 0..2 * MAX_FAILURES {
            circuit.enter("P").await.ok().unwrap().note(Some(&late));
        }
        // A source that has not responded yet may be one that never does.
        let circuit = Arc::new(Circuit::default());
        for _ in 0..MAX_FAILURES {
            circuit.enter("P").await.ok().unwrap().note(Some(&late));
        }
        assert_eq!(circuit.enter("P").await.err().unwrap().status, 503);
    }

    #[tokio::test]
    async fn calls_of_a_source_take_turns() {
        let circuit = Arc::new(Circuit::default());
        let mut entered = Vec::new();
        for _ in 0..MAX_CALLS_OF_SOURCE {
            entered.push(circuit.enter("P").await.ok().unwrap());
        }
        let next = tokio::time::timeout(Duration::from_millis(50), circuit.enter("P"));
        assert!(next.await.is_err());
        entered.pop();
        assert!(circuit.enter("P").await.is_ok());
    }
}
