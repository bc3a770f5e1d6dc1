//! Encryption with XChaCha20-Poly1305. Nonces are random: with 24 bytes, none repeats.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use kymograph_app::kernel::random::random_bytes;
use kymograph_app::{Error, Result};
use zeroize::Zeroizing;

/// The format of encrypted bytes: this byte, the nonce, and the ciphertext with its tag.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// The bytes of a key, which are overwritten when they are dropped.
pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// Generates a key.
pub(crate) fn draw_key() -> Result<KeyBytes> {
    random_bytes().map(Zeroizing::new)
}

/// An encryption key. The cipher overwrites it when it is dropped.
pub(crate) struct SealingKey(XChaCha20Poly1305);

impl SealingKey {
    pub(crate) fn new(bytes: &KeyBytes) -> Self {
        Self(XChaCha20Poly1305::new(Key::from_slice(&**bytes)))
    }

    /// Encrypts bytes, which can be decrypted only with the same context.
    pub(crate) fn seal(&self, bound_to: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random_bytes()?;
        let payload = Payload { msg: bytes, aad: bound_to.as_bytes() };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal(format!("{bound_to} could not be sealed")))?;
        Ok([&[FORM][..], &nonce, &sealed].concat())
    }

    /// Decrypts bytes.
    pub(crate) fn open(&self, bound_to: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let failed = || Error::internal(format!("{bound_to} does not open: its key or its bytes are others"));
        let (form, rest) = sealed.split_first().ok_or_else(failed)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or_else(failed)?;
        if *form != FORM {
            return Err(failed());
        }
        let payload = Payload { msg: sealed, aad: bound_to.as_bytes() };
        self.0.decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_as_what_it_was_sealed() {
        let key = SealingKey::new(&draw_key().unwrap());
        let sealed = key.seal("secret/1/a", b"hunter2").unwrap();
        assert_eq!(**key.open("secret/1/a", &sealed).unwrap(), *b"hunter2");
        assert_ne!(sealed, key.seal("secret/1/a", b"hunter2").unwrap());
        for other in ["secret/2/a", "secret/1/b", ""] {
            assert!(key.open(other, &sealed).is_err(), "{other}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open("secret/1/a", &damaged).is_err(), "{at}");
            assert!(key.open("secret/1/a", &sealed[..at]).is_err(), "{at}");
        }
        assert!(SealingKey::new(&draw_key().unwrap()).open("secret/1/a", &sealed).is_err());
    }
}
