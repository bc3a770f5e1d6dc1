//! The unread rest of a request, which is thrown away after the answer. To close a socket with unread bytes sends a reset,
//! which can destroy the answer before the client reads it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::table::Client;

/// How many bytes of one request are thrown away.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How many bytes of all requests are thrown away in a second. Clients that send refused bodies as fast as they can would
/// keep all cores busy with that.
pub(crate) const MAX_BYTES_PER_SECOND: usize = 64 * 1024 * 1024;
/// The time in which a part of them can be thrown away, in milliseconds.
const PERIOD_MILLISECONDS: u64 = 10;
const PERIOD: Duration = Duration::from_millis(PERIOD_MILLISECONDS);
const MAX_BYTES_OF_PERIOD: usize = MAX_BYTES_PER_SECOND / 100;

/// How many bytes are thrown away at once.
pub(super) const PART: usize = 16 * 1024;

/// Lets connections throw away so much in each period: all together, and the clients of a network half of it.
#[derive(Default)]
pub(super) struct Pace(Mutex<Period>);

#[derive(Default)]
struct Period {
    number: u64,
    bytes: usize,
    by_client: HashMap<Client, usize>,
}

impl Pace {
    /// Takes a part for a client at a time in milliseconds, if there is one left in this period.
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

/// The rest of one request that is yet to be thrown away.
pub(super) struct Rest {
    bytes: usize,
    /// Whether a part was taken that is yet to be read.
    has_part: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { bytes: MAX_BYTES, has_part: false, pause: None }
    }

    /// Waits until a part may be thrown away, for which `take` asks. Whether there is more.
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

    /// Bytes of a part were thrown away; none if there are no more.
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
