//! A clock that tests can advance.

use std::sync::atomic::{AtomicI64, Ordering};

use kymograph_app::kernel::clock::Clock;
use kymograph_domain::Timestamp;
use kymograph_infra::clock::SystemClock;

/// The system time plus an offset.
#[derive(Default)]
pub struct TestClock {
    ahead_seconds: AtomicI64,
}

impl TestClock {
    /// Advances the clock.
    pub fn advance(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_seconds(self.ahead_seconds.load(Ordering::SeqCst))
    }
}
