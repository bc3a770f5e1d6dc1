//! Sending mail.

use async_trait::async_trait;
use kymograph_domain::kernel::text::fold;
use kymograph_domain::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::kernel::error::Result;

/// The maximum number of mails that a user can request within the window, and that can be sent to an address.
pub const MAX_MAILS: i64 = 3;

/// The window in which mails are counted, in seconds.
pub const MAIL_WINDOW_SECONDS: i64 = 60 * 60;

/// The maximum number of characters stored of a mail server's error.
const MAX_REASON: usize = 300;

/// A mail to one person.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// The reason why a mail was not sent, for the log and for server admins.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct MailError {
    reason: String,
    is_final: bool,
}

impl MailError {
    /// An error with a reason, which is truncated and stripped of control characters that a mail server may have sent.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        let printable = reason.chars().map(|character| if character.is_control() { ' ' } else { character });
        Self { reason: printable.take(MAX_REASON).collect(), is_final: false }
    }

    /// The same error, as one that a retry would not fix.
    #[must_use]
    pub fn finally(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// Whether a retry would fail, too.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }
}

/// A mail that a user has requested.
#[derive(Clone, Copy, Debug)]
pub struct RequestedMail {
    /// The user.
    pub user: UserId,
    /// The SHA-256 of the folded address: only this is stored.
    pub address_hash: [u8; 32],
    /// The time of the request.
    pub at: Timestamp,
}

impl RequestedMail {
    /// A mail to an address.
    #[must_use]
    pub fn new(user: UserId, address: &str, at: Timestamp) -> Self {
        Self { user, address_hash: Sha256::digest(fold(address)).into(), at }
    }
}

/// Counts the mails that users have requested.
#[async_trait]
pub trait MailBudget: Send + Sync {
    /// Counts a mail before it is sent. Returns false if the user or the address has reached [`MAX_MAILS`] within
    /// [`MAIL_WINDOW_SECONDS`].
    async fn take(&self, mail: &RequestedMail) -> Result<bool>;

    /// Deletes expired counts.
    async fn delete_expired(&self, now: Timestamp) -> Result<()>;
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over to a mail server, or fails within seconds.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
