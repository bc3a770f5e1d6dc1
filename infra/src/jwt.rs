//! Verification of JWTs by the keys of an identity provider.

mod crypto;
mod fetch;
mod key_set;
mod remote;
mod unique;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::identity::{Claims, JwtError, JwtVerifier};
use kymograph_app::{Error, Result};

pub use fetch::JwksEndpoint;
pub(crate) use fetch::{FETCH_TIMEOUT, MAX_JWKS_BYTES};
use key_set::KeySet;
pub(crate) use key_set::{MAX_KEYS, MAX_KEYS_OF_ID};
use remote::RemoteKeys;
pub(crate) use remote::{GRACE, UNKNOWN_INTERVAL};

/// The maximum length of a token, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The source of the keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A PEM file with one key, and its id.
    Pem {
        /// The file.
        path: PathBuf,
        /// The key id, empty if there is none.
        id: String,
    },
    /// A file with a JSON Web Key Set.
    Jwks(PathBuf),
    /// A URL of a JSON Web Key Set.
    Endpoint(JwksEndpoint),
}

/// Verifies tokens by keys from one source.
pub struct JwtKeys(Keys);

enum Keys {
    Fixed(KeySet),
    Remote(Arc<RemoteKeys>),
}

impl JwtKeys {
    /// Reads the keys. Those of a URL are fetched on demand.
    pub fn try_new(source: &KeySource) -> Result<Self> {
        crypto::install();
        Ok(Self(match source {
            KeySource::Pem { path, id } => Keys::Fixed(
                read("key_file", path)
                    .and_then(|pem| KeySet::from_pem(&pem, id).map_err(refused("key_file", path)))?,
            ),
            KeySource::Jwks(path) => Keys::Fixed(
                read("jwk_set_file", path)
                    .and_then(|json| KeySet::from_jwks(&json).map_err(refused("jwk_set_file", path)))?,
            ),
            KeySource::Endpoint(endpoint) => Keys::Remote(Arc::new(RemoteKeys::try_new(endpoint)?)),
        }))
    }

    /// Fetches the keys of a URL ahead of the first token.
    pub async fn warm_up(&self) {
        if let Keys::Remote(remote) = &self.0 {
            remote.clone().refresh().await;
        }
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| refused(setting, path)(error.to_string()))
}

/// The error of an unusable file.
fn refused(setting: &'static str, path: &Path) -> impl Fn(String) -> Error {
    move |why| Error::invalid(format!("[auth.jwt] {setting}: {} cannot be used: {why}", path.display()))
}

#[async_trait]
impl JwtVerifier for JwtKeys {
    async fn verify(&self, token: &str) -> std::result::Result<Claims, JwtError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtError::Refused("the token is too long"));
        }
        // Of the header only the key id counts, to find one of the configured keys: `jku`, `x5u` and `jwk` are ignored.
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| JwtError::Refused("the header of the token cannot be read"))?;
        if header.crit.is_some() {
            return Err(JwtError::Refused("the token asks for an extension"));
        }
        match &self.0 {
            Keys::Fixed(keys) => keys.verify(token, &header),
            Keys::Remote(remote) => {
                let id = header.kid.as_deref().unwrap_or_default();
                remote.keys_for(id).await?.verify(token, &header)
            }
        }
    }
}
