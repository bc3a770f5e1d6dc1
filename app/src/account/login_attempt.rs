//! Attempts to log in, counted so that a password cannot be guessed.

use async_trait::async_trait;
use kymograph_domain::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::kernel::error::Result;
use crate::kernel::random::hex;

/// For how long an attempt counts, in seconds.
pub const WINDOW_SECONDS: i64 = 5 * 60;

/// One attempt to prove a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginAttempt {
    /// Whose password: see [`account`].
    pub account: String,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub ip: String,
}

/// What attempts are counted by: the user, whichever name was typed; where there is none, a hash of the folded name,
/// which may be a password that was typed into the wrong field.
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
    /// Counts an attempt before the password is checked, and returns whether it may be: not after `max` others within
    /// the window. Exact also for attempts that come at once, and on several servers.
    async fn begin(&self, attempt: &LoginAttempt, max: i64) -> Result<bool>;

    /// Takes back an attempt whose password was not checked.
    async fn withdraw(&self, attempt: &LoginAttempt) -> Result<()>;

    /// Deletes the attempts on an account, because the right password came.
    async fn clear(&self, account: &str) -> Result<()>;

    /// Deletes attempts that count no more.
    async fn delete_expired(&self, now: Timestamp) -> Result<()>;
}
