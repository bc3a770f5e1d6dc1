//! The unread rest of a request, which is thrown away after the answer. To close a socket with unread bytes sends a reset,
//! which can destroy the answer before the client reads it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How many bytes of one request are thrown away.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How many bytes of all requests are thrown away in a second. Clients that send refused bodies as fast as they can would
/// keep all cores busy with that.
pub(crate) const MAX_BYTES_PER_SECOND: usize = 64 * 1024 * 1024;
/// The time in which a part of them can be thrown away, in milliseconds.
const PERIOD_MILLISECONDS: u64 = 10;
const PERIOD: Duration = Duration::from_millis(PERIOD_MILLISECONDS);
const MAX_BYTES_OF_PERIOD: usize = MAX_BYTES_PER_SECOND / 100;

/// Counts what all connections throw away.
#[derive(Default)]
pub(super) struct Pace(Mutex<Period>);

#[derive(Default)]
struct Period {
    number: u64,
    bytes: usize,
}

impl Pace {
    /// Counts bytes at a time in milliseconds. Whether more may follow at once.
    pub(super) fn count(&self, bytes: usize, now: u64) -> bool {
        let number = now / PERIOD_MILLISECONDS;
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.number != number {
            *period = Period { number, bytes: 0 };
        }
        period.bytes = period.bytes.saturating_add(bytes);
        period.bytes < MAX_BYTES_OF_PERIOD
    }
}

/// What is left to throw away of one request.
pub(super) struct Rest {
    bytes: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { bytes: MAX_BYTES, pause: None }
    }

    /// Waits until more may be thrown away. Whether there is more.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(self.bytes > 0)
    }

    /// Bytes were thrown away; none if there are no more.
    pub(super) fn discarded(&mut self, bytes: usize, pace: &Pace, now: u64) {
        self.bytes = if bytes == 0 { 0 } else { self.bytes.saturating_sub(bytes) };
        if !pace.count(bytes, now) {
            self.pause = Some(Box::pin(sleep(PERIOD)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_thrown_away_in_a_period_and_more_in_the_next() {
        let pace = Pace::default();
        assert!(pace.count(MAX_BYTES_OF_PERIOD - 1, 1_000));
        assert!(!pace.count(1, 1_009));
        assert!(pace.count(1, 1_010));
    }

    #[tokio::test]
    async fn a_client_that_is_too_fast_waits() {
        let (pace, mut rest) = (Pace::default(), Rest::new());
        rest.discarded(MAX_BYTES_OF_PERIOD, &pace, 0);
        let begun = std::time::Instant::now();
        assert!(std::future::poll_fn(|context| rest.poll_more(context)).await);
        assert!(begun.elapsed() >= PERIOD);
        rest.discarded(0, &pace, 20);
        assert!(!std::future::poll_fn(|context| rest.poll_more(context)).await);
    }
}
