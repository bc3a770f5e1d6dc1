//! The public error vocabulary: everything a use case can answer instead of a result.

use std::fmt;

use kymograph_domain::kernel::reason::Refusal;
use kymograph_domain::{Invariant, Reason, ReasonKind};

/// What a client is told of a fault of ours.
pub const FAULT: &str = "Internal server error";

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What there can be too much of at once: the codes of errors that say so.
pub mod overload {
    /// Commands of one org.
    pub const COMMANDS: &str = "overload.commands";
    /// Passwords to be hashed.
    pub const PASSWORDS: &str = "overload.passwords";
    /// Exports.
    pub const EXPORTS: &str = "overload.exports";
    /// Exports of one org.
    pub const EXPORTS_OF_ORG: &str = "overload.exports-of-org";
    /// Mails that a user makes the server send, or that are sent to an address.
    pub const MAILS: &str = "overload.mails";
    /// Reads of one org.
    pub const READS: &str = "overload.reads";
    /// Work on large documents.
    pub const WORK: &str = "overload.work";
    /// Work on large documents of one org.
    pub const WORK_OF_ORG: &str = "overload.work-of-org";
    /// Bytes of request bodies.
    pub const BODIES: &str = "overload.bodies";
    /// Queries to data sources.
    pub const QUERIES: &str = "overload.queries";
    /// Large answers.
    pub const ANSWERS: &str = "overload.answers";
    /// All of them.
    pub const ALL: [&str; 11] = [
        COMMANDS,
        PASSWORDS,
        EXPORTS,
        EXPORTS_OF_ORG,
        MAILS,
        READS,
        WORK,
        WORK_OF_ORG,
        BODIES,
        QUERIES,
        ANSWERS,
    ];

    /// The code of such an error, and what the client is told.
    pub type Refusal = (&'static str, &'static str);
}

/// What kind of failure an [`Error`] is. The API gives each kind a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input breaks a rule.
    Invalid,
    /// Who asks is unknown.
    Unauthenticated,
    /// Who asks is known and may not do this.
    Forbidden,
    /// The object is not there, or not for who asks.
    Missing,
    /// Another object has what must be unique.
    Taken,
    /// The object has changed since it was read.
    Stale,
    /// The input is well-formed and contradicts what was said before.
    Contradictory,
    /// There is as much as there may be.
    Exhausted,
    /// The server is not set to do this for anybody.
    Disabled,
    /// What is sent, or what would come of it, is larger than it may be.
    TooLarge,
    /// More requests than can be taken in now.
    Overloaded,
    /// A part that is needed, such as the database, cannot be reached now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// A failure of a use case: what the client may read, and what only the log gets.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    code: Option<&'static str>,
    internal: Option<String>,
}

impl Error {
    /// An error with a message for the client.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, internal: None }
    }

    /// The input breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The object is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Missing, message)
    }

    /// What is sent, or what would come of it, is larger than it may be.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// Who asks is unknown.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// There is too much of something now, by the codes in [`overload`].
    pub fn overloaded(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Overloaded, message).with_code(code)
    }

    /// A fault of ours. The text is for the log; the client gets a neutral message.
    pub fn internal(detail: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Internal, FAULT);
        error.internal = Some(detail.to_string());
        error
    }

    /// A needed part cannot be reached. The text is for the log.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Unavailable, "The database is not available, try again shortly");
        error.internal = Some(detail.to_string());
        error
    }

    /// The database was at work for longer than a request may keep it. The text is for the log.
    pub fn timed_out(detail: impl fmt::Display) -> Self {
        let message = "The database took too long for this request: ask for less, or try again shortly";
        let mut error = Self::new(ErrorKind::Unavailable, message);
        error.internal = Some(detail.to_string());
        error
    }

    /// The answer to a command that would break a rule over more than one aggregate.
    #[must_use]
    pub fn broken(invariant: Invariant) -> Self {
        Self::refused(invariant.refusal())
    }

    /// A command was refused by the domain.
    fn refused(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            ReasonKind::Invalid => ErrorKind::Invalid,
            ReasonKind::Missing => ErrorKind::Missing,
            ReasonKind::Taken => ErrorKind::Taken,
            ReasonKind::Stale => ErrorKind::Stale,
            ReasonKind::Exhausted => ErrorKind::Exhausted,
            ReasonKind::Forbidden => ErrorKind::Forbidden,
        };
        Self { code: refusal.code, ..Self::new(kind, refusal.message) }
    }

    /// Adds the machine-readable code that clients test, like `version-mismatch`.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same failure, which names what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the client may read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The machine-readable code, if clients test one.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// What only the log gets.
    #[must_use]
    pub fn internal_detail(&self) -> Option<&str> {
        self.internal.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.internal {
            Some(detail) => write!(f, "{}: {detail}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl<R: Reason> From<R> for Error {
    fn from(reason: R) -> Self {
        Self::refused(reason.into())
    }
}
