//! Secret keys that all servers on one database share.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// A key.
pub type ServerKey = [u8; 32];

/// Stores keys.
#[async_trait]
pub trait ServerKeys: Send + Sync {
    /// The key with this name, generated at its first use.
    async fn server_key(&self, name: &str) -> Result<ServerKey>;
}
