//! The way to undo each type of event.

/// The way to undo an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// The object is restored to its earlier state, which reverts later changes as well.
    Reverted,
    /// The object is ended by its own command, including all later changes.
    Ended,
    /// The grant is revoked. Later changes stay.
    Revoked,
    /// It cannot be undone: the reason, the alternative, or both.
    Impossible(&'static str),
}

impl Undoing {
    /// For the choice that a user has made for itself.
    pub const OWN_CHOICE: Self = Self::Impossible("only the user can choose it again");
    /// For an event that only records an attempt.
    pub const ATTEMPT: Self = Self::Impossible("it records an attempt, which changed nothing");
}
