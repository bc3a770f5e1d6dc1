//! Whether the server can do its work.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// Asks the database whether it answers, has the schema this server needs, and takes writes.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// Fails if requests that need the database would fail.
    async fn check_database(&self) -> Result<()>;
    /// Fails if requests that write would fail. It may be asked as often as anybody likes.
    async fn check_writes(&self) -> Result<()>;
    /// Fails if the server does not hear of what other servers change, and so goes by what the database says each time.
    fn check_feed(&self) -> Result<()>;
}
