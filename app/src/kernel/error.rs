//! The public error vocabulary: all errors of use cases.

use std::fmt;

use kymograph_domain::kernel::reason::Refusal;
use kymograph_domain::{Invariant, Reason, ReasonKind};

/// The message to the client for an internal error.
pub const FAULT: &str = "Internal server error";

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error codes of overload, by the resource that is exhausted.
pub mod overload {
    /// Commands of one org.
    pub const COMMANDS: &str = "overload.commands";
    /// Passwords to be hashed.
    pub const PASSWORDS: &str = "overload.passwords";
    /// Exports.
    pub const EXPORTS: &str = "overload.exports";
    /// Exports of one org.
    pub const EXPORTS_OF_ORG: &str = "overload.exports-of-org";
    /// Mails requested by a user, or sent to an address.
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
    /// Large responses.
    pub const ANSWERS: &str = "overload.answers";
    /// All codes.
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

    /// The code and the message of an overload error.
    pub type Refusal = (&'static str, &'static str);
}

/// The kind of an [`Error`]. The API maps each kind to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input breaks a rule.
    Invalid,
    /// The caller is not authenticated.
    Unauthenticated,
    /// The caller is authenticated but lacks the permission.
    Forbidden,
    /// The object does not exist, or the caller has no access to it.
    Missing,
    /// Another object already has a value that must be unique.
    Taken,
    /// The object has changed since it was read.
    Stale,
    /// The input is well-formed, but contradicts an earlier request.
    Contradictory,
    /// A quota or limit on the number of objects is reached.
    Exhausted,
    /// The feature is disabled by the settings of the server.
    Disabled,
    /// The request, or its result, exceeds a size limit.
    TooLarge,
    /// Too many concurrent requests.
    Overloaded,
    /// A dependency, such as the database, is unavailable.
    Unavailable,
    /// An internal error.
    Internal,
}

/// A failure of a use case: a message for the client, and details for the log only.
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

    /// The object does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Missing, message)
    }

    /// The request, or its result, exceeds a size limit.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// The caller is not authenticated.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// A resource is overloaded; [`overload`] has the codes.
    pub fn overloaded(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Overloaded, message).with_code(code)
    }

    /// An internal error. The text is for the log; the client gets a neutral message.
    pub fn internal(detail: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Internal, FAULT);
        error.internal = Some(detail.to_string());
        error
    }

    /// The database is unavailable. The text is for the log.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Unavailable, "The database is not available, try again shortly");
        error.internal = Some(detail.to_string());
        error
    }

    /// The database exceeded the time limit of a request. The text is for the log.
    pub fn timed_out(detail: impl fmt::Display) -> Self {
        let message = "The database took too long for this request: ask for less, or try again shortly";
        let mut error = Self::new(ErrorKind::Unavailable, message);
        error.internal = Some(detail.to_string());
        error
    }

    /// The refusal of a command that would break an invariant across aggregates.
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

    /// The same error, with its subject in front of the message.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The machine-readable code, if it has one.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// The details for the log only.
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
