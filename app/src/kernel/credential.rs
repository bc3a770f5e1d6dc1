//! The credentials of a request.

/// The credentials of a request.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A login, or e-mail address, and a password.
    Basic {
        /// The login or e-mail address.
        login: String,
        /// The password.
        password: String,
    },
    /// The token of a session.
    Session(String),
    /// The token of a service account.
    Token(String),
    /// A token of the identity provider.
    Jwt(String),
}
