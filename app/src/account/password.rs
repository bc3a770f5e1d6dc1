//! Hashing and checking passwords.

use async_trait::async_trait;

use crate::kernel::error::Result;

/// Hashes passwords so that the hash can be kept. Hashing is slow on purpose, so clients wait for their turn: each call
/// says from which address it comes, and addresses take turns.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// The hash of a password, in PHC format.
    async fn hash(&self, password: &str, ip: &str) -> Result<String>;

    /// Whether the password is the one the hash was made of.
    async fn verify(&self, password: &str, hash: &str, ip: &str) -> Result<bool>;

    /// Takes as long as a check, for a login that does not exist, so that it cannot be told from one that does.
    async fn verify_nothing(&self, password: &str, ip: &str) -> Result<()>;
}
