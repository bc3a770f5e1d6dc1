//! The time, passed in so that tests and replays can choose it.

use kymograph_domain::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}
