//! Cursors in a list. They are sealed for the client, and valid only for the org and the filter of their list.

use hmac::{Hmac, KeyInit, Mac};
use kymograph_domain::OrgId;
use sha2::Sha256;

use super::AuditSelect;
use crate::kernel::error::{Error, Result};
use crate::kernel::random::hex;
use crate::kernel::server_key::ServerKey;

/// The number of bytes of the seal that are kept.
const SEAL_BYTES: usize = 16;
/// The size of a cursor without its seal, in bytes.
const PLACE_BYTES: usize = 9;

/// A cursor: the entries newer, or older, than a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) newer: bool,
    pub(super) position: i64,
}

impl Cursor {
    /// Restricts a selection to the entries on one side of the cursor.
    pub(super) fn narrow(self, select: &mut AuditSelect) {
        if self.newer {
            select.after = select.after.max(self.position);
        } else {
            select.before = select.before.min(self.position);
        }
    }
}

/// Seals the cursors of one list.
pub(super) struct Seal {
    key: ServerKey,
    list: Vec<u8>,
}

impl Seal {
    /// A seal for the list of an org and a filter.
    pub(super) fn new(key: ServerKey, org: OrgId, filter: String) -> Self {
        let list = [&org.0.to_be_bytes(), filter.as_bytes()].concat();
        Self { key, list }
    }

    /// Encodes a cursor for the client.
    pub(super) fn close(&self, cursor: Cursor) -> String {
        let mut bytes = vec![u8::from(cursor.newer)];
        bytes.extend(cursor.position.to_be_bytes());
        let seal = self.compute(&bytes);
        bytes.extend(seal);
        hex(&bytes)
    }

    /// Decodes the cursor of a client, if this server created it for this list.
    pub(super) fn open(&self, text: &str) -> Result<Cursor> {
        let refused = || Error::invalid("cursor is invalid: it does not belong to this list");
        let bytes =
            unhex(text).filter(|bytes| bytes.len() == PLACE_BYTES + SEAL_BYTES).ok_or_else(refused)?;
        let (place, seal) = bytes.split_at(PLACE_BYTES);
        let position = place[1..].try_into().map(i64::from_be_bytes).map_err(|_| refused())?;
        // The comparison need not take constant time: the sealed content is not secret, and each guess costs a request.
        if self.compute(place) != seal {
            return Err(refused());
        }
        Ok(Cursor { newer: place[0] == 1, position })
    }

    fn compute(&self, place: &[u8]) -> [u8; SEAL_BYTES] {
        let mut seal = [0; SEAL_BYTES];
        // Only a key of a wrong length could fail, and this algorithm accepts any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            mac.update(place);
            mac.update(&self.list);
            seal.copy_from_slice(&mac.finalize().into_bytes()[..SEAL_BYTES]);
        }
        seal
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(org: i64, filter: &str) -> Seal {
        Seal::new([7; 32], OrgId(org), filter.to_owned())
    }

    #[test]
    fn a_place_comes_back_in_the_list_it_was_made_for() {
        let cursor = Cursor { newer: true, position: 4711 };
        let text = seal(1, "a").close(cursor);
        assert_eq!(seal(1, "a").open(&text).unwrap(), cursor);
        assert!(seal(2, "a").open(&text).is_err());
        assert!(seal(1, "b").open(&text).is_err());
        assert!(Seal::new([8; 32], OrgId(1), "a".into()).open(&text).is_err());
    }

    #[test]
    fn a_place_that_was_changed_is_refused() {
        let text = seal(1, "a").close(Cursor { newer: false, position: 5 });
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            assert!(seal(1, "a").open(std::str::from_utf8(&changed).unwrap()).is_err(), "{index}");
        }
        for wrong in ["", "0", "zz", &text[2..], &format!("{text}00"), "é"] {
            assert!(seal(1, "a").open(wrong).is_err(), "{wrong}");
        }
    }
}
