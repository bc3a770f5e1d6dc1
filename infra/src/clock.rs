//! The system clock.

use kymograph_app::kernel::clock::Clock;
use kymograph_domain::Timestamp;

/// The system clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> Timestamp {
        Timestamp::from_date(time::OffsetDateTime::now_utc())
    }
}
