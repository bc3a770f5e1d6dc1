//! The way to undo each type of event.

/// The way to undo an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// The object is made what it was before, which takes later changes with it.
    Reverted,
    /// The object is ended by its own command, with all that was done to it since.
    Ended,
    /// The grant is taken back. Later changes stay.
    Revoked,
    /// It cannot be undone: why, and what can be done instead.
    Impossible(&'static str),
}

impl Undoing {
    /// Of what a user has chosen for itself.
    pub const OWN_CHOICE: Self = Self::Impossible("only the user can choose it again");
    /// Of an event that only records what was tried.
    pub const ATTEMPT: Self = Self::Impossible("it records an attempt, which changed nothing");
}
