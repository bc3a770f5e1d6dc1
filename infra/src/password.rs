//! Hashes passwords with argon2id.

mod queue;

use std::io;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use async_trait::async_trait;
use kymograph_app::account::password::PasswordHasher;
use kymograph_app::kernel::error::overload;
use kymograph_app::kernel::work::run_on;
use kymograph_app::{Error, Result};

use crate::compute::ComputeThreads;
use queue::FairQueue;
pub(crate) use queue::MAX_WAITING;

/// Hashes passwords with argon2id (19 MiB, 2 passes, 1 lane) on as many threads as there are cores, so that a
/// storm of log-ins cannot take all memory.
pub struct Argon2Hasher {
    queue: FairQueue,
    threads: ComputeThreads,
}

impl Argon2Hasher {
    /// Starts the threads.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { queue: FairQueue::new(cores), threads: ComputeThreads::start("password", cores)? })
    }
}

impl Argon2Hasher {
    async fn compute<T: Send + 'static>(
        &self,
        ip: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let message = "Too many log-ins at once, try again shortly";
        let overloaded = || Error::overloaded(overload::PASSWORDS, message);
        let place = self.queue.enter(ip).await.ok_or_else(overloaded)?;
        run_on(&self.threads, place, work).await?
    }
}

fn hash(password: &[u8]) -> Result<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password).map_err(Error::internal)?;
    Ok(hash.to_string())
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &str, ip: &str) -> Result<String> {
        let password = password.as_bytes().to_vec();
        self.compute(ip, move || hash(&password)).await
    }

    async fn verify(&self, password: &str, hash: &str, ip: &str) -> Result<bool> {
        let (password, hash) = (password.as_bytes().to_vec(), hash.to_owned());
        self.compute(ip, move || {
            let parsed = PasswordHash::new(&hash).map_err(Error::internal)?;
            Ok(Argon2::default().verify_password(&password, &parsed).is_ok())
        })
        .await
    }

    async fn verify_nothing(&self, password: &str, ip: &str) -> Result<()> {
        self.hash(password, ip).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_right_from_wrong() {
        let hasher = Argon2Hasher::start().unwrap();
        let hash = hasher.hash("correct horse", "").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse", &hash, "").await.unwrap());
        assert!(!hasher.verify("battery staple", &hash, "").await.unwrap());
    }
}
