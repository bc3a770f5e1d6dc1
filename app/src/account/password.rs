//! Hashing and checking passwords.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// Hashes passwords for storage. Hashing is slow on purpose, so requests are queued: each call passes the client's
/// address, and addresses take turns.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// The hash of a password, in PHC format.
    async fn hash(&self, password: &str, ip: &str) -> Result<String>;

    /// Whether the password matches the hash.
    async fn verify(&self, password: &str, hash: &str, ip: &str) -> Result<bool>;

    /// Takes as long as a check, so that a login that does not exist cannot be distinguished from one that does.
    async fn verify_nothing(&self, password: &str, ip: &str) -> Result<()>;
}
