//! Sending mail.

use async_trait::async_trait;

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
#[error("{0}")]
pub struct MailError(String);

impl MailError {
    /// An error with a reason, of which a bounded part is kept. It has no control characters, which a mail server may
    /// have put into what it said.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        let printable = reason.chars().map(|character| if character.is_control() { ' ' } else { character });
        Self(printable.take(MAX_REASON).collect())
    }
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over to a mail server, or says within seconds that it could not.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
