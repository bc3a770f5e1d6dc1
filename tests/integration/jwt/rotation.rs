//! Keys at a URL: fetched once for all requests, rotated under load, and unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kymograph_tests::TestServer;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::signer::{KeyServer, Signer, claims, key_set};
use super::{TestFile, me, refused, server_with, with_token};

async fn server_at(keys: &KeyServer, more: &[&str]) -> TestServer {
    server_with(&[&[format!("jwk_set_url={}", keys.url).as_str()], more].concat()).await
}

/// A token that was not used before.
fn new_token(signer: &Signer) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let mut claims = claims("ann");
    claims["jti"] = json!(NUMBER.fetch_add(1, Ordering::Relaxed));
    signer.sign(&claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_under_load_and_no_good_token_fails() {
    const CLIENTS: usize = 8;
    let mut signers: Vec<_> = ["a", "b", "c", "d"].map(Signer::p256).into_iter().map(Arc::new).collect();
    signers[2] = Arc::new(Signer::ed25519("c"));
    let keys = KeyServer::start(key_set(&[&signers[0]])).await;
    // Long enough for all clients to need the new key at once.
    keys.answer_with(|answer| answer.delay = Duration::from_millis(200));
    let server = Arc::new(server_at(&keys, &[]).await);
    me(&server, &new_token(&signers[0])).await;
    assert_eq!(keys.fetches(), 1);

    let (turn, turns) = watch::channel(signers[0].clone());
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (server, turns) = (server.clone(), turns.clone());
            let (is_over, served) = (is_over.clone(), served.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let signer = turns.borrow().clone();
                    assert_eq!(me(&server, &new_token(&signer)).await["login"], "ann");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for pair in signers.windows(2) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = served.load(Ordering::Relaxed);
        // First both are published, then the new one signs, then the old one is removed.
        keys.publish(&[&pair[0], &pair[1]]);
        turn.send(pair[1].clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        keys.publish(&[&pair[1]]);
        assert!(served.load(Ordering::Relaxed) > before + CLIENTS, "nobody was served meanwhile");
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(keys.fetches(), signers.len(), "each rotation is fetched once for all");
}

#[tokio::test]
async fn a_key_that_was_withdrawn_counts_no_longer_than_the_cache() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let keys = KeyServer::start(key_set(&[&old])).await;
    let server = server_at(&keys, &["cache_ttl=1s"]).await;
    let known = new_token(&old);
    me(&server, &known).await;
    keys.publish(&[&new]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    refused(with_token(&server, &new_token(&old)).get("/api/user").await);
    me(&server, &new_token(&new)).await;
    // The user of a token is cached for a minute.
    server.clock.advance(45);
    me(&server, &known).await;
    server.clock.advance(15);
    refused(with_token(&server, &known).get("/api/user").await);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_again_go_on_counting() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let keys = KeyServer::start(key_set(&[&old])).await;
    let server = server_at(&keys, &["cache_ttl=1s"]).await;
    me(&server, &new_token(&old)).await;
    let fetched = keys.fetches();
    keys.answer_with(|answer| answer.status = StatusCode::BAD_GATEWAY);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..5 {
        me(&server, &new_token(&old)).await;
        refused(with_token(&server, &new_token(&new)).get("/api/user").await);
    }
    assert_eq!(keys.fetches(), fetched + 1, "a provider in trouble is left alone for a while");
}

#[tokio::test]
async fn without_keys_a_token_can_be_sent_again_later() {
    let signer = Signer::p256("a");
    let keys = KeyServer::start(key_set(&[&signer])).await;
    for change in [
        |answer: &mut super::signer::Published| answer.status = StatusCode::NOT_FOUND,
        |answer: &mut super::signer::Published| answer.body = "{}".to_owned(),
        |answer: &mut super::signer::Published| answer.authorization = Some("Bearer other".to_owned()),
        |answer: &mut super::signer::Published| {
            answer.status = StatusCode::FOUND;
            answer.location = Some("/jwks.json".to_owned());
        },
        |answer: &mut super::signer::Published| answer.body = answer.body.clone() + &" ".repeat(256 * 1024),
    ] {
        keys.publish(&[&signer]);
        keys.answer_with(change);
        let server = server_at(&keys, &[]).await;
        let token = new_token(&signer);
        let answer = with_token(&server, &token).get("/api/user").await.expect(503);
        assert_eq!(answer.headers["retry-after"], "1");
        keys.answer_with(|answer| *answer = super::signer::Published::default());
        // Passwords do not depend on the provider.
        server.admin().get("/api/user").await.expect(200);
    }
}

#[tokio::test]
async fn a_slow_provider_holds_nobody_longer_than_five_seconds() {
    let signer = Signer::p256("a");
    let keys = KeyServer::start(key_set(&[&signer])).await;
    keys.answer_with(|answer| answer.delay = Duration::from_secs(60));
    let server = server_at(&keys, &[]).await;
    let started = std::time::Instant::now();
    with_token(&server, &new_token(&signer)).get("/api/user").await.expect(503);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_key_set_has_256_kib_at_most_and_a_provider_may_ask_who_we_are() {
    let signer = Signer::rsa("a");
    let body = key_set(&[&signer]);
    let padding = 256 * 1024 - body.len();
    let keys = KeyServer::start(body + &" ".repeat(padding)).await;
    keys.answer_with(|answer| answer.authorization = Some("Bearer who-we-are".to_owned()));
    let file = TestFile::new("who-we-are\n");
    let server = server_at(&keys, &[&file.setting("jwk_set_bearer_token_file")]).await;
    me(&server, &new_token(&signer)).await;
}

/// Publishes keys over TLS, with a certificate for a name, and returns the URL and the certificate authority.
async fn publish_over_tls(body: String, name: &str) -> (String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "the root");
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/jwks.json", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that does not trust us closes the connection.
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].ends_with(b"\r\n\r\n"));
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, pem)
}

#[tokio::test]
async fn a_provider_is_known_by_its_certificate() {
    let signer = Signer::p256("a");
    let (url, authority) = publish_over_tls(key_set(&[&signer]), "localhost").await;
    let (other_url, other_authority) = publish_over_tls(key_set(&[&signer]), "idp.example").await;
    let (trusted, other) = (TestFile::new(&authority), TestFile::new(&other_authority));
    for (url, authorities, status) in [
        (&url, Some(&trusted), 200),
        (&url, Some(&other), 503),
        (&url, None, 503),
        (&other_url, Some(&other), 503),
    ] {
        let authorities = authorities.map(|file| file.setting("tls_client_ca"));
        let url = format!("jwk_set_url={url}");
        let settings: Vec<_> =
            [Some(&url), authorities.as_ref()].into_iter().flatten().map(String::as_str).collect();
        let server = server_with(&settings).await;
        with_token(&server, &new_token(&signer)).get("/api/user").await.expect(status);
    }
}
