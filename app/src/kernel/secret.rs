//! Secrets, which are stored outside the log, because the log is shown, exported and append-only.

use std::fmt;

use async_trait::async_trait;
use kymograph_domain::OrgId;
use zeroize::Zeroizing;

use crate::kernel::error::Result;
use crate::kernel::side_write::SideWrite;

/// A secret to be stored or deleted.
#[derive(Clone)]
pub struct SecretWrite {
    /// The org that owns it.
    pub org: OrgId,
    /// Its name, like `user/1/password`.
    pub key: String,
    /// Its value, `None` to delete it.
    pub value: Option<String>,
}

impl fmt::Debug for SecretWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretWrite").field("org", &self.org).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Encrypts secrets with a key of their org, and writes them as parts of commits. A secret is bound to its org and
/// name: a value sealed for another one cannot be opened.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Encrypts a secret for storage.
    async fn seal(&self, org: OrgId, key: &str, value: &str) -> Result<Vec<u8>>;
    /// Decrypts a stored secret.
    async fn open(&self, org: OrgId, key: &str, sealed: &[u8]) -> Result<Zeroizing<String>>;
    /// Stores a sealed secret.
    fn keep(&self, org: OrgId, key: String, sealed: Vec<u8>) -> SideWrite;
    /// Deletes a secret.
    fn delete(&self, org: OrgId, key: String) -> SideWrite;
    /// Deletes all secrets whose names begin with a prefix.
    fn delete_below(&self, org: OrgId, prefix: String) -> SideWrite;
    /// Deletes all secrets of an org that ends, and the key that they are sealed with.
    fn delete_all(&self, org: OrgId) -> [SideWrite; 2];
}
