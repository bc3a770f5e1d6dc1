//! The reasons why a command is refused, seen from outside.

/// The kind of refusal of a domain error. The public error vocabulary is built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// The input breaks a rule whatever the state is.
    Invalid,
    /// The object does not exist.
    Missing,
    /// Another object already has a value that must be unique.
    Taken,
    /// The object has changed since the client read it.
    Stale,
    /// A limit is reached.
    Exhausted,
    /// The actor is not allowed to do this.
    Forbidden,
}

/// An error by which the domain refuses a command. Its `Display` text is what the client reads.
pub trait Reason: std::error::Error {
    /// The kind of refusal.
    fn kind(&self) -> ReasonKind;

    /// The machine-readable code that clients test, if there is one.
    fn code(&self) -> Option<&'static str> {
        None
    }
}

/// A refusal without the type of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub kind: ReasonKind,
    /// The text that the client reads.
    pub message: String,
    /// The machine-readable code that clients test, if there is one.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// A refusal without a code.
    pub fn new(kind: ReasonKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None }
    }
}

impl<R: Reason> From<R> for Refusal {
    fn from(reason: R) -> Self {
        Self { kind: reason.kind(), message: reason.to_string(), code: reason.code() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::uid::UidError;

    #[test]
    fn a_refusal_says_what_the_error_said() {
        let refusal = Refusal::from(UidError::Empty);
        assert_eq!(refusal, Refusal::new(ReasonKind::Invalid, "uid cannot be empty"));
        assert_eq!(refusal.code, None);
    }
}
