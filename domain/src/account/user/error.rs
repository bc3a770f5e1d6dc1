//! The reason why a user rejects a command.

use crate::kernel::reason::{Reason, ReasonKind};

/// The reason why a user rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// It has neither login nor e-mail address.
    #[error("Need to specify either username or email")]
    LoginEmpty,
    /// A text is too long or cannot be stored.
    #[error("login, email or name is too long")]
    TextTooLong,
    /// A text has control or invisible characters.
    #[error("login, email or name has control or invisible characters")]
    TextHidden,
    /// The login has an `@`, but is not the user's own e-mail address.
    #[error("A login with @ must be the user's own e-mail address")]
    LoginNotOwnAddress,
    /// The user chose the login itself, perhaps to imitate the invited guest.
    #[error("The user chose this login: add it to the organization instead of inviting it")]
    LoginUnconfirmed,
    /// The user has not confirmed the e-mail address.
    #[error("The user has not confirmed this e-mail address: use the login instead")]
    EmailUnconfirmed,
    /// The theme does not exist.
    #[error("Invalid theme")]
    ThemeInvalid,
    /// The e-mail address is invalid.
    #[error("Invalid e-mail address")]
    EmailInvalid,
    /// The code of a mail is wrong, was used or has expired.
    #[error("Invalid or expired e-mail verification code")]
    EmailCodeInvalid,
    /// The number is not a valid set of help flags.
    #[error("Invalid help flag")]
    HelpFlagsInvalid,
    /// The password is too short.
    #[error("New password is too short")]
    PasswordTooShort,
    /// The password is too long.
    #[error("New password is too long")]
    PasswordTooLong,
    /// Another user has the login or e-mail address.
    #[error("user already exists")]
    Taken,
    /// It does not exist.
    #[error("user not found")]
    NotFound,
    /// The server would be left without a server admin.
    #[error("cannot remove last Grafana admin")]
    LastServerAdmin,
}

impl Reason for UserError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::Taken => ReasonKind::Taken,
            Self::NotFound => ReasonKind::Missing,
            _ => ReasonKind::Invalid,
        }
    }
}
