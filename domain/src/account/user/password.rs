//! The rules for passwords.

use super::UserError;

/// The minimum length of a password, in characters.
pub const MIN_PASSWORD_CHARACTERS: usize = 4;

/// The maximum length of a password, in bytes, so that the cost of hashing is bounded.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Checks a new password.
pub fn check_password(password: &str) -> Result<(), UserError> {
    if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Err(UserError::PasswordTooShort);
    }
    if password.len() > MAX_PASSWORD_BYTES { Err(UserError::PasswordTooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_bounds() {
        assert_eq!(check_password("new"), Err(UserError::PasswordTooShort));
        assert_eq!(check_password("née"), Err(UserError::PasswordTooShort));
        assert_eq!(check_password("four"), Ok(()));
        assert_eq!(check_password("kymograph"), Ok(()));
        assert_eq!(check_password(&"x".repeat(1024)), Ok(()));
        assert_eq!(check_password(&"x".repeat(1025)), Err(UserError::PasswordTooLong));
    }
}
