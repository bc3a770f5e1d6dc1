//! Keys that all servers on one database share, and nobody else has.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// A key.
pub type ServerKey = [u8; 32];

/// Keeps keys.
#[async_trait]
pub trait ServerKeys: Send + Sync {
    /// The key of that name, which is drawn when it is first asked for.
    async fn server_key(&self, name: &str) -> Result<ServerKey>;
}
