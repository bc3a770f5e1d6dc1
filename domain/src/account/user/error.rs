//! Why a user refuses a command.

use crate::kernel::reason::{Reason, ReasonKind};

/// Why a user refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// It has neither login nor e-mail address.
    #[error("Need to specify either username or email")]
    LoginEmpty,
    /// A text is too long or cannot be stored.
    #[error("login, email or name is too long")]
    TextTooLong,
    /// A text has characters that cannot be seen.
    #[error("login, email or name has control or invisible characters")]
    TextHidden,
    /// The login is the e-mail address of somebody else, or of nobody.
    #[error("A login with @ must be the user's own e-mail address")]
    LoginNotOwnAddress,
    /// The login could be chosen to look like somebody else.
    #[error("The user chose this login: add it to the organization instead of inviting it")]
    LoginUnconfirmed,
    /// The e-mail address could be anybody's.
    #[error("The user has not confirmed this e-mail address: use the login instead")]
    EmailUnconfirmed,
    /// The theme is none.
    #[error("Invalid theme")]
    ThemeInvalid,
    /// The address is none to which a mail could be sent.
    #[error("Invalid e-mail address")]
    EmailInvalid,
    /// The code of a mail is wrong, was used, or came too late.
    #[error("Invalid or expired e-mail verification code")]
    EmailCodeInvalid,
    /// The number is no set of help flags.
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
    /// It is not there.
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
