//! Sending mail.

use async_trait::async_trait;
use kymograph_domain::kernel::text::fold;
use kymograph_domain::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::kernel::error::Result;

/// How many mails a user can make the server send within the window, and how many can be sent to an address.
pub const MAX_MAILS: i64 = 3;

/// For how long a mail counts, in seconds.
pub const MAIL_WINDOW_SECONDS: i64 = 60 * 60;

/// How much of what a mail server says is kept, in characters.
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

/// Why a mail was not sent, in words for the log and for who administers the server.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct MailError {
    reason: String,
    is_final: bool,
}

impl MailError {
    /// An error with a reason, of which a bounded part is kept. It has no control characters, which a mail server may
    /// have put into what it said.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        let printable = reason.chars().map(|character| if character.is_control() { ' ' } else { character });
        Self { reason: printable.take(MAX_REASON).collect(), is_final: false }
    }

    /// The same of a mail that would not be sent another time either.
    #[must_use]
    pub fn finally(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// Whether the mail would not be sent another time either.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }
}

/// A mail that a user makes the server send.
#[derive(Clone, Copy, Debug)]
pub struct RequestedMail {
    /// The user.
    pub user: UserId,
    /// The SHA-256 of the folded address: all that has to be kept of it.
    pub address_hash: [u8; 32],
    /// When.
    pub at: Timestamp,
}

impl RequestedMail {
    /// A mail to an address.
    #[must_use]
    pub fn new(user: UserId, address: &str, at: Timestamp) -> Self {
        Self { user, address_hash: Sha256::digest(fold(address)).into(), at }
    }
}

/// Counts the mails that users make the server send.
#[async_trait]
pub trait MailBudget: Send + Sync {
    /// Counts a mail before it is sent, and returns whether it may be: not after [`MAX_MAILS`] of the user or to the
    /// address within [`MAIL_WINDOW_SECONDS`].
    async fn take(&self, mail: &RequestedMail) -> Result<bool>;

    /// Deletes what counts no more.
    async fn delete_expired(&self, now: Timestamp) -> Result<()>;
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over to a mail server, or says within seconds that it could not.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
