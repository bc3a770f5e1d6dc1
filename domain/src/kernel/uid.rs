//! The short text ids that clients choose or have generated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kernel::reason::{Reason, ReasonKind};

/// The maximum length of a uid, in characters.
pub const MAX_UID_LENGTH: usize = 40;

/// A checked uid: 1 to 40 characters of `[a-zA-Z0-9_-]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 40, pattern = "^[a-zA-Z0-9_-]+$"))]
#[serde(transparent)]
pub struct Uid(String);

/// The reason why a text is not a uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// The text is empty.
    #[error("uid cannot be empty")]
    Empty,
    /// The text has more than [`MAX_UID_LENGTH`] characters.
    #[error("uid too long, max {MAX_UID_LENGTH} characters")]
    TooLong,
    /// The text has a character outside `[a-zA-Z0-9_-]`.
    #[error("uid contains illegal characters")]
    IllegalCharacters,
}

impl Reason for UidError {
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Uid {
    /// Checks a text that a client sent.
    pub fn try_new(text: &str) -> Result<Self, UidError> {
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > MAX_UID_LENGTH {
            return Err(UidError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(UidError::IllegalCharacters);
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes a 14 character uid of lower-case letters and digits out of random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 14]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
        Self(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// The text of the uid.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        Self::try_new(text)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_grafana_accepts() {
        assert_eq!(Uid::try_new("cIBg_cS-jkk9").unwrap().as_str(), "cIBg_cS-jkk9");
        assert!(Uid::try_new(&"x".repeat(40)).is_ok());
    }

    #[test]
    fn refuses_empty_long_and_foreign_characters() {
        assert_eq!(Uid::try_new(""), Err(UidError::Empty));
        assert_eq!(Uid::try_new(&"x".repeat(41)), Err(UidError::TooLong));
        assert_eq!(Uid::try_new("a/b"), Err(UidError::IllegalCharacters));
        assert_eq!(Uid::try_new("é"), Err(UidError::IllegalCharacters));
    }

    #[test]
    fn a_generated_uid_is_a_uid() {
        let uid = Uid::from_random([0, 31, 32, 255, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(Uid::try_new(uid.as_str()), Ok(uid));
    }

    #[test]
    fn a_generated_uid_has_a_letter_or_digit_for_each_byte() {
        let uid = Uid::from_random([0, 25, 26, 31, 32, 255, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(uid.to_string(), "az05a5hijklmno");
        assert_eq!("az05a5hijklmno".parse(), Ok(uid));
    }
}
