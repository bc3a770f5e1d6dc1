//! Whether the server can do its work.

use async_trait::async_trait;

use crate::error::Result;

/// Asks the database whether it answers and has the schema this server needs.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// Fails if requests that need the database would fail.
    async fn check_database(&self) -> Result<()>;
}
