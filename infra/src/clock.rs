//! The time of the machine.

use kymograph_app::kernel::clock::Clock;
use kymograph_domain::Timestamp;

/// Tells the machine's time.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> Timestamp {
        Timestamp::from_date(time::OffsetDateTime::now_utc())
    }
}
