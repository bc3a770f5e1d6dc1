//! The trusted keys with their algorithms.

use std::collections::HashMap;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Header, Validation};
use kymograph_app::account::identity::{Claims, JwtError};
use serde::Deserialize;
use serde_json::Value;

use super::unique::UniqueClaims;

/// The maximum number of keys of a set.
pub(crate) const MAX_KEYS: usize = 100;

/// The maximum number of keys with the same id, which is the maximum number of signature checks per token.
pub(crate) const MAX_KEYS_OF_ID: usize = 4;

/// The minimum length of an RSA modulus in bytes.
const MIN_RSA_BYTES: usize = 2048 / 8;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Keys by id; keys without an id have the empty one.
#[derive(Debug)]
pub(super) struct KeySet(HashMap<String, Vec<Key>>);

/// A key with its algorithms, which a token cannot override.
#[derive(Debug)]
struct Key {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// A published set.
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// The one key of a PEM file.
    pub(super) fn from_pem(pem: &[u8], id: &str) -> Result<Self, String> {
        if pem.windows(PRIVATE.len()).any(|window| window == PRIVATE) {
            return Err("it holds a private key; verifying needs the public one only".into());
        }
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| "it holds no PEM public key of RSA, of the curves P-256 and P-384, or of Ed25519")?;
        let algorithms = match (key.family(), key.kind()) {
            (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) if der.len() < MIN_RSA_BYTES => {
                return Err("its RSA key is shorter than 2048 bits".into());
            }
            (AlgorithmFamily::Rsa, _) => RSA.to_vec(),
            // An uncompressed point: a byte, and twice the size of the curve.
            (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) if point.len() == 65 => {
                vec![Algorithm::ES256]
            }
            (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) if point.len() == 97 => {
                vec![Algorithm::ES384]
            }
            (AlgorithmFamily::Ed, _) => vec![Algorithm::EdDSA],
            _ => return Err("its curve is neither P-256 nor P-384".into()),
        };
        Ok(Self(HashMap::from([(id.to_owned(), vec![Key { key, algorithms }])])))
    }

    /// The signature keys of a JSON Web Key Set with a supported type.
    pub(super) fn from_jwks(json: &[u8]) -> Result<Self, String> {
        let published: Published =
            serde_json::from_slice(json).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
        if published.keys.len() > MAX_KEYS {
            return Err(format!("more than {MAX_KEYS} keys"));
        }
        let mut keys = HashMap::<String, Vec<Key>>::new();
        // Unsupported keys are skipped.
        for jwk in published.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            let Some(key) = usable(&jwk) else { continue };
            let of_id = keys.entry(jwk.common.key_id.unwrap_or_default()).or_default();
            if of_id.len() == MAX_KEYS_OF_ID {
                return Err(format!("more than {MAX_KEYS_OF_ID} keys with the same id"));
            }
            of_id.push(key);
        }
        if keys.is_empty() { Err("it has no key that can verify a signature".into()) } else { Ok(Self(keys)) }
    }

    /// Whether a key has this id.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The claims of a token that is signed by a key with the id in its header.
    pub(super) fn verify(&self, token: &str, header: &Header) -> Result<Claims, JwtError> {
        let id = header.kid.as_deref().unwrap_or_default();
        let mut refused = "no key has the id and the algorithm that the token names";
        for Key { key, algorithms } in self.0.get(id).map(Vec::as_slice).unwrap_or_default() {
            if !algorithms.contains(&header.alg) {
                continue;
            }
            let mut validation = Validation::new(header.alg);
            // The use case validates claims: it has the clock and the settings.
            validation.required_spec_claims.clear();
            validation.validate_exp = false;
            validation.validate_aud = false;
            match jsonwebtoken::decode::<UniqueClaims>(token, key, &validation) {
                Ok(verified) => return Ok(verified.claims.0),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                    refused = "the signature is not of a trusted key";
                }
                Err(_) => return Err(JwtError::Refused("the token is malformed")),
            }
        }
        Err(JwtError::Refused(refused))
    }
}

/// Marks the first line of every PEM file of a private key.
const PRIVATE: &[u8] = b"PRIVATE KEY-----";

/// A key of a set, if it is for signatures.
fn usable(jwk: &Jwk) -> Option<Key> {
    let is_for_signatures =
        jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && jwk.common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA.to_vec(),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(curve) if curve.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    if let Some(named) = jwk.common.key_algorithm {
        let named = Algorithm::try_from(named).ok()?;
        algorithms.retain(|algorithm| *algorithm == named);
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_long_enough = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= MIN_RSA_BYTES,
        DecodingKeyKind::SecretOrDer(_) => true,
    };
    (is_for_signatures && is_long_enough && !algorithms.is_empty()).then_some(Key { key, algorithms })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A public key, which is the same each time.
    fn jwk(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn set(keys: &[Value]) -> Result<KeySet, String> {
        KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn a_set_has_so_many_keys_and_so_many_of_one_id() {
        let many: Vec<_> = (0..=MAX_KEYS).map(|number| jwk(&number.to_string())).collect();
        assert!(set(&many[..MAX_KEYS]).is_ok());
        assert_eq!(set(&many).unwrap_err(), "more than 100 keys");
        let same: Vec<_> = (0..=MAX_KEYS_OF_ID).map(|_| jwk("a")).collect();
        assert!(set(&same[..MAX_KEYS_OF_ID]).is_ok());
        assert_eq!(set(&same).unwrap_err(), "more than 4 keys with the same id");
    }

    #[test]
    fn keys_that_cannot_verify_are_left_out() {
        let changed = |name: &str, value: Value| {
            let mut key = jwk("b");
            key[name] = value;
            key
        };
        let short = json!({"kty": "RSA", "kid": "b", "e": "AQAB", "n": "AQAB".repeat(40)});
        for unusable in [
            changed("use", json!("enc")),
            changed("key_ops", json!(["encrypt"])),
            changed("alg", json!("HS256")),
            changed("alg", json!("RS256")),
            changed("crv", json!("X25519")),
            changed("kty", json!("unknown")),
            json!({"kty": "oct", "kid": "b", "k": "c2VjcmV0"}),
            json!({"kty": "RSA", "kid": "b"}),
            short,
            json!(7),
        ] {
            let keys = set(&[jwk("a"), unusable.clone()]).unwrap();
            assert!(keys.knows("a") && !keys.knows("b"), "{unusable}");
            assert_eq!(set(&[unusable]).unwrap_err(), "it has no key that can verify a signature");
        }
        assert!(set(&[changed("alg", json!("EdDSA"))]).unwrap().knows("b"));
    }
}
