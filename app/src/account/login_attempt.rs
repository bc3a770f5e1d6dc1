//! Attempts to log in, counted to prevent password guessing.

use async_trait::async_trait;
use kymograph_domain::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::kernel::error::Result;
use crate::kernel::random::hex;

/// The window in which attempts are counted, in seconds.
pub const WINDOW_SECONDS: i64 = 5 * 60;

/// One attempt with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginAttempt {
    /// The account: see [`account`].
    pub account: String,
    /// The time.
    pub at: Timestamp,
    /// The client's address.
    pub ip: String,
}

/// The account that attempts are counted for: the user, whichever name was typed; if there is none, a hash of the
/// folded name, which may be a password that was typed into the wrong field.
#[must_use]
pub fn account(user: Option<UserId>, name: &str) -> String {
    match user {
        Some(id) => format!("user/{id}"),
        None => format!("login/{}", hex(&Sha256::digest(name))),
    }
}

/// Counts attempts to log in.
#[async_trait]
pub trait LoginAttempts: Send + Sync {
    /// Counts an attempt before the password is checked. Returns false after `max` others within the window. Exact also
    /// for concurrent attempts, and on several servers.
    async fn begin(&self, attempt: &LoginAttempt, max: i64) -> Result<bool>;

    /// Withdraws an attempt whose password was correct, or was not checked.
    async fn withdraw(&self, attempt: &LoginAttempt) -> Result<()>;

    /// Deletes the attempts on an account, because the password was correct.
    async fn clear(&self, account: &str) -> Result<()>;

    /// Deletes expired attempts.
    async fn delete_expired(&self, now: Timestamp) -> Result<()>;
}
