//! Hashes passwords with argon2id.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use async_trait::async_trait;
use kymograph_app::error::overload;
use kymograph_app::password::PasswordHasher;
use kymograph_app::{Error, Result};
use tokio::sync::Semaphore;

/// How many requests may wait to have a password hashed before more are turned away.
pub(crate) const MAX_WAITING: usize = 256;

/// Hashes passwords with argon2id (19 MiB, 2 passes, 1 lane) on as many threads as there are cores, so that a
/// storm of log-ins cannot take all memory.
pub struct Argon2Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Argon2Hasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { running: Arc::new(Semaphore::new(cores)), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }
}

impl Argon2Hasher {
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let message = "Too many log-ins at once, try again shortly";
        let overloaded = |_| Error::overloaded(overload::PASSWORDS, message);
        let _place = self.waiting.try_acquire().map_err(overloaded)?;
        let permit = self.running.clone().acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the request is dropped meanwhile.
            let _permit = permit;
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}

fn hash(password: &[u8]) -> Result<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password).map_err(Error::internal)?;
    Ok(hash.to_string())
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &str) -> Result<String> {
        let password = password.as_bytes().to_vec();
        self.compute(move || hash(&password)).await
    }

    async fn verify(&self, password: &str, hash: &str) -> Result<bool> {
        let (password, hash) = (password.as_bytes().to_vec(), hash.to_owned());
        self.compute(move || {
            let parsed = PasswordHash::new(&hash).map_err(Error::internal)?;
            Ok(Argon2::default().verify_password(&password, &parsed).is_ok())
        })
        .await
    }

    async fn verify_nothing(&self, password: &str) -> Result<()> {
        self.hash(password).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_right_from_wrong() {
        let hasher = Argon2Hasher::default();
        let hash = hasher.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse", &hash).await.unwrap());
        assert!(!hasher.verify("battery staple", &hash).await.unwrap());
    }
}
