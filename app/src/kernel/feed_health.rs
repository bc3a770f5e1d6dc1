//! Whether this server hears of what other servers on the same database change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a server tells itself that it lives, over the feed that tells of changes.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// For how long the feed may be silent. A connection can be dead without either end knowing.
pub const MAX_SILENCE: Duration = Duration::from_secs(5);

/// The health of the feed of changes. While nothing is heard of it, caches may be behind what other servers have
/// committed, so they give nothing away.
///
/// Only time makes a feed silent, not a task that would have to notice: a process that was stopped for a minute trusts no
/// cache when it goes on.
pub struct FeedHealth {
    started: Instant,
    /// Until when the feed counts as heard, in milliseconds since the start.
    heard_until: AtomicU64,
}

impl Default for FeedHealth {
    /// A feed that is about to be connected. There is nothing in the caches yet, and they are emptied once it is.
    fn default() -> Self {
        Self { started: Instant::now(), heard_until: AtomicU64::new(millis(MAX_SILENCE)) }
    }
}

impl FeedHealth {
    /// The time, as a beat carries it.
    #[must_use]
    pub fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// A beat was heard that was sent at this time, and with it all that was told before.
    pub fn heard(&self, sent_at: u64) {
        self.heard_until.fetch_max(sent_at.saturating_add(millis(MAX_SILENCE)), Ordering::AcqRel);
    }

    /// The connection was lost: until the next beat nothing is heard.
    pub fn lost(&self) {
        self.heard_until.store(0, Ordering::Release);
    }

    /// Whether the feed was heard of lately.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.now() < self.heard_until.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_live_as_long_as_it_may_be_silent() {
        let started = Instant::now().checked_sub(MAX_SILENCE * 10).unwrap();
        let health = FeedHealth { started, heard_until: AtomicU64::new(0) };
        assert!(!health.is_live());
        health.heard(health.now());
        assert!(health.is_live());
        health.lost();
        assert!(!health.is_live());
        // A late heartbeat says nothing of now.
        health.heard(health.now() - millis(MAX_SILENCE));
        assert!(!health.is_live());
    }
}
