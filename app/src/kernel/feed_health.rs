//! The health of the feed that reports the changes of other servers on the same database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The interval of the heartbeats that a server sends to itself over the feed of changes.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum time without a heartbeat. A connection can be dead without either end noticing.
pub const MAX_SILENCE: Duration = Duration::from_secs(5);

/// The health of the feed of changes. While no heartbeats arrive, caches may lack commits of other servers, so they
/// return nothing.
///
/// The feed becomes silent by time alone, without a task that has to notice: a process that was stopped for a minute
/// trusts no cache when it resumes.
pub struct FeedHealth {
    started: Instant,
    /// The time until which the feed counts as live, in milliseconds since the start.
    heard_until: AtomicU64,
}

impl Default for FeedHealth {
    /// A feed that is about to be connected. The caches are still empty, and are emptied once it is connected.
    fn default() -> Self {
        Self { started: Instant::now(), heard_until: AtomicU64::new(millis(MAX_SILENCE)) }
    }
}

impl FeedHealth {
    /// The current time, in the format of a heartbeat.
    #[must_use]
    pub fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// A heartbeat that was sent at this time has arrived, and with it all earlier notifications.
    pub fn heard(&self, sent_at: u64) {
        self.heard_until.fetch_max(sent_at.saturating_add(millis(MAX_SILENCE)), Ordering::AcqRel);
    }

    /// The connection was lost: the feed is not live until the next heartbeat.
    pub fn lost(&self) {
        self.heard_until.store(0, Ordering::Release);
    }

    /// Whether a heartbeat has arrived recently.
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
        // A late heartbeat does not make the feed live.
        health.heard(health.now() - millis(MAX_SILENCE));
        assert!(!health.is_live());
    }
}
