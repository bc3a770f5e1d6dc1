//! The health of the server.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// Checks that the database responds, has the schema this server needs, and accepts writes.
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// Fails if requests that need the database would fail.
    async fn check_database(&self) -> Result<()>;
    /// Fails if requests that write would fail. It is cheap, however often it is called.
    async fn check_writes(&self) -> Result<()>;
    /// Fails if the server does not receive the changes of other servers, and so reads everything from the database.
    fn check_feed(&self) -> Result<()>;
}
