//! An identity provider: signing keys, and the URL at which they are published.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// The PEM of a private RSA key for tests only. Generating one in each test would take seconds.
const RSA: &str = include_str!("../../keys/rsa.pem");

/// A signing key.
pub(super) struct Signer {
    /// The key id in tokens.
    pub(super) kid: String,
    key: Key,
    /// The public key in PEM format.
    pub(super) public_pem: String,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(super) fn rsa(kid: &str) -> Self {
        let pair = rcgen::KeyPair::from_pem(RSA).unwrap();
        let key = Key::Rsa(RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap());
        Self { kid: kid.into(), key, public_pem: pair.public_key_pem() }
    }

    pub(super) fn p256(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let scheme = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(scheme, &pair.serialize_der(), &SystemRandom::new()).unwrap();
        Self { kid: kid.into(), key: Key::P256(key), public_pem: pair.public_key_pem() }
    }

    pub(super) fn p384(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let scheme = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(scheme, &pair.serialize_der(), &SystemRandom::new()).unwrap();
        Self { kid: kid.into(), key: Key::P384(key), public_pem: pair.public_key_pem() }
    }

    pub(super) fn ed25519(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.serialize_der()).unwrap();
        Self { kid: kid.into(), key: Key::Ed25519(key), public_pem: pair.public_key_pem() }
    }

    /// The algorithm of its tokens, one of those of its key.
    pub(super) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::P384(_) => "ES384",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid}), &claims.to_string())
    }

    /// A token with this header and these claims, valid or not.
    pub(super) fn sign_with(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims));
        let signature = self.signature(message.as_bytes(), header["alg"].as_str().unwrap_or_default());
        format!("{message}.{}", base64(signature))
    }

    /// A signature over a message. An RSA key supports many algorithms; this selects one.
    fn signature(&self, message: &[u8], algorithm: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::P256(key) | Key::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as a JSON Web Key.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": base64(n), "e": base64(e)})
            }
            Key::P256(key) => point("P-256", key.public_key().as_ref()),
            Key::P384(key) => point("P-384", key.public_key().as_ref()),
            Key::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key())}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
}

/// A key set of these keys.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// Seconds since the epoch.
pub(super) fn now() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()
}

/// The identity claims of a user, valid for an hour.
pub(super) fn claims(login: &str) -> Value {
    json!({
        "iss": "https://idp.example", "aud": "kymograph", "sub": format!("id-of-{login}"),
        "preferred_username": login, "email": format!("{login}@example.org"), "name": format!("{login} Example"),
        "iat": now(), "nbf": now(), "exp": now() + 3600,
    })
}

/// The server that publishes keys.
pub(super) struct KeyServer {
    pub(super) url: String,
    answer: Arc<Mutex<Published>>,
    fetches: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

/// The response of the URL.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: String,
    pub(super) delay: Duration,
    /// The required `Authorization` header.
    pub(super) authorization: Option<String>,
}

impl Default for Published {
    fn default() -> Self {
        let (body, delay) = (String::new(), Duration::ZERO);
        Self { status: StatusCode::OK, location: None, body, delay, authorization: None }
    }
}

impl KeyServer {
    pub(super) async fn start(body: String) -> Self {
        let answer = Arc::new(Mutex::new(Published { body, ..Published::default() }));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (answers, counter) = (answer.clone(), fetches.clone());
        let serve = async move |headers: HeaderMap| {
            counter.fetch_add(1, Ordering::SeqCst);
            let Published { status, location, body, delay, authorization } = answers.lock().unwrap().clone();
            tokio::time::sleep(delay).await;
            let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
            if authorization.as_deref() != shown {
                return (StatusCode::UNAUTHORIZED, HeaderMap::new(), String::new()).into_response();
            }
            let location = location.map(|location| ("location".parse().unwrap(), location.parse().unwrap()));
            (status, location.into_iter().collect::<HeaderMap>(), body).into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks.json", get(serve));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, answer, fetches, task }
    }

    /// Publishes other keys from now on.
    pub(super) fn publish(&self, signers: &[&Signer]) {
        self.answer_with(|answer| answer.body = key_set(signers));
    }

    /// Changes the response from now on.
    pub(super) fn answer_with(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.answer.lock().unwrap());
    }

    /// The number of fetches of the keys.
    pub(super) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
