//! Tokens of service accounts: generating them, and recognising their format without a database query.

use crate::account::session::{TokenHash, hash_token};
use crate::kernel::error::Result;
use crate::kernel::random::{hex, random_bytes};

/// The prefix of all tokens, by which they are recognised where they have leaked to, such as in a repository.
const PREFIX: &str = "glsa_";
/// The number of secret characters of a token.
const SECRET_LENGTH: usize = 32;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new token, which the client gets once, and its hash, which is stored.
#[must_use = "an unsent token is of no use"]
pub struct NewApiToken {
    /// The token.
    pub token: String,
    /// Its hash.
    pub hash: TokenHash,
}

impl NewApiToken {
    /// Generates a token.
    pub fn try_random() -> Result<Self> {
        let mut token = PREFIX.to_owned();
        while token.len() < PREFIX.len() + SECRET_LENGTH {
            // The largest multiple of 62 that fits into a byte: bytes above it would make some characters likelier.
            let bytes = random_bytes::<SECRET_LENGTH>()?.into_iter().filter(|byte| *byte < 248);
            let room = PREFIX.len() + SECRET_LENGTH - token.len();
            token.extend(bytes.take(room).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
        }
        let checksum = checksum(&token);
        let token = format!("{token}_{checksum}");
        let hash = hash_token(&token);
        Ok(Self { token, hash })
    }
}

/// Whether a text has the format of a token and the right checksum. Such a token need not exist.
#[must_use]
pub fn is_well_formed(token: &str) -> bool {
    let Some((payload, given)) = token.rsplit_once('_') else { return false };
    payload.len() == PREFIX.len() + SECRET_LENGTH && payload.starts_with(PREFIX) && checksum(payload) == given
}

/// The CRC32 of a text in little-endian order, as hexadecimal digits.
fn checksum(text: &str) -> String {
    hex(&crc32fast::hash(text.as_bytes()).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("123456789"), "2639f4cb");
    }

    #[test]
    fn a_new_token_is_well_formed_and_no_two_are_alike() {
        let (one, other) = (NewApiToken::try_random().unwrap(), NewApiToken::try_random().unwrap());
        assert_eq!(one.token.len(), 46);
        assert!(is_well_formed(&one.token));
        assert_ne!(one.token, other.token);
        assert_eq!(one.hash, hash_token(&one.token));
    }

    #[test]
    fn a_changed_token_is_not() {
        let token = NewApiToken::try_random().unwrap().token;
        let mut changed = token.clone().into_bytes();
        changed[10] = if changed[10] == b'A' { b'B' } else { b'A' };
        for wrong in [String::from_utf8(changed).unwrap().as_str(), &token[..45], "glsa__", "", "é"] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
