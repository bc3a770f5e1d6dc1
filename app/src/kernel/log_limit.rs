//! Rate limit for log lines that clients can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines of a kind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Lets one line of a kind through in each interval, and counts those in between.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// A limit that has admitted nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State { last: None, suppressed: 0 }))
    }

    /// The number of lines suppressed since the last one, if another one is admitted now.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_an_interval_and_the_next_says_how_many_did_not() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        assert_eq!(limit.admit_at(start), Some(0));
        assert_eq!(limit.admit_at(start + INTERVAL / 2), None);
        assert_eq!(limit.admit_at(start + INTERVAL.mul_f64(0.9)), None);
        assert_eq!(limit.admit_at(start + INTERVAL), Some(2));
        assert_eq!(limit.admit_at(start + 2 * INTERVAL), Some(0));
    }
}
