//! Discards the unread rest of a request after the response. Closing a socket with unread bytes sends a reset, which
//! can destroy the response before the client reads it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::table::Client;

/// The maximum number of discarded bytes of one request.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The maximum number of discarded bytes of all requests per second. Otherwise clients that send rejected bodies as
/// fast as they can would keep all cores busy.
pub(crate) const MAX_BYTES_PER_SECOND: usize = 64 * 1024 * 1024;
/// The period of the rate limit, in milliseconds.
const PERIOD_MILLISECONDS: u64 = 10;
const PERIOD: Duration = Duration::from_millis(PERIOD_MILLISECONDS);
const MAX_BYTES_OF_PERIOD: usize = MAX_BYTES_PER_SECOND / 100;

/// The size of a discarded part.
pub(super) const PART: usize = 16 * 1024;

/// Limits the discarded bytes per period, for all connections, and to half of that per network.
#[derive(Default)]
pub(super) struct Pace(Mutex<Period>);

#[derive(Default)]
struct Period {
    number: u64,
    bytes: usize,
    by_client: HashMap<Client, usize>,
}

impl Pace {
    /// Takes a part for a client at a time in milliseconds, if the period has one left.
    pub(super) fn take(&self, client: Client, now: u64) -> bool {
        let number = now / PERIOD_MILLISECONDS;
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.number != number {
            *period = Period { number, ..Period::default() };
        }
        let of_client = period.by_client.get(&client).copied().unwrap_or_default();
        if period.bytes + PART > MAX_BYTES_OF_PERIOD || of_client + PART > MAX_BYTES_OF_PERIOD / 2 {
            return false;
        }
        period.bytes += PART;
        period.by_client.insert(client, of_client + PART);
        true
    }
}

/// The remaining bytes of one request to discard.
pub(super) struct Rest {
    bytes: usize,
    /// Whether a taken part has not been read yet.
    has_part: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { bytes: MAX_BYTES, has_part: false, pause: None }
    }

    /// Waits until `take` grants a part. Returns whether there is more.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>, take: impl Fn() -> bool) -> Poll<bool> {
        while self.bytes > 0 && !self.has_part {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            self.has_part = take();
            if !self.has_part {
                self.pause = Some(Box::pin(sleep(PERIOD)));
            }
        }
        Poll::Ready(self.bytes > 0)
    }

    /// Reports discarded bytes; zero at the end.
    pub(super) fn discarded(&mut self, bytes: usize) {
        self.bytes = if bytes == 0 { 0 } else { self.bytes.saturating_sub(bytes) };
        self.has_part = false;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_client_has_half_of_a_period_and_all_clients_the_whole() {
        let pace = Pace::default();
        let taken = |last, now| {
            (0..MAX_BYTES_OF_PERIOD / PART).filter(|_| pace.take(Some(client(last)), now)).count()
        };
        assert_eq!(taken(1, 1_000), MAX_BYTES_OF_PERIOD / 2 / PART);
        assert_eq!(taken(2, 1_009), MAX_BYTES_OF_PERIOD / 2 / PART);
        assert_eq!(taken(3, 1_009), 0);
        assert_eq!(taken(1, 1_010), MAX_BYTES_OF_PERIOD / 2 / PART);
    }

    #[tokio::test]
    async fn without_a_part_a_connection_waits_for_the_next_period() {
        let mut rest = Rest::new();
        let begun = std::time::Instant::now();
        let take = || begun.elapsed() >= PERIOD;
        assert!(std::future::poll_fn(|context| rest.poll_more(context, take)).await);
        assert!(begun.elapsed() >= PERIOD);
        rest.discarded(0);
        assert!(!std::future::poll_fn(|context| rest.poll_more(context, || true)).await);
    }
}
