//! Failed log-ins, counted so that a password cannot be guessed.

use async_trait::async_trait;
use kymograph_domain::Timestamp;

use crate::error::Result;

/// For how long failed log-ins count, in seconds.
pub const WINDOW_SECONDS: i64 = 5 * 60;

/// Counts failed log-ins by lower-cased login.
#[async_trait]
pub trait LoginAttempts: Send + Sync {
    /// How many log-ins failed since then.
    async fn failures_since(&self, login: &str, since: Timestamp) -> Result<i64>;

    /// Counts a failed log-in, and forgets those that no longer count.
    async fn record_failure(&self, login: &str, at: Timestamp, ip: &str) -> Result<()>;

    /// Forgets the failed log-ins of a login.
    async fn clear(&self, login: &str) -> Result<()>;
}
