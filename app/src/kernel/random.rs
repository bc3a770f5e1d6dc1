//! Random values from the operating system.

use kymograph_domain::Uid;

use crate::kernel::error::{Error, Result};

/// Unpredictable random bytes.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

/// A new uid.
pub fn random_uid() -> Result<Uid> {
    random_bytes().map(Uid::from_random)
}

/// The uid that a client requests, or a new one if it requests none.
pub fn uid_or_random(uid: Option<&str>) -> Result<Uid> {
    match uid.filter(|uid| !uid.is_empty()) {
        Some(uid) => Ok(Uid::try_new(uid)?),
        None => random_uid(),
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
