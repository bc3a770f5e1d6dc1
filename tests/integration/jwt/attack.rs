//! Tokens of untrusted issuers, and tokens for other audiences.

use kymograph_tests::TestServer;
use ring::hmac;
use serde_json::{Value, json};

use super::signer::{KeyServer, Signer, base64, claims, key_set, now};
use super::{me, refused, server_trusting, server_with, with_token};

/// A token signed with a shared secret, which anyone who knows it can do.
fn sign_by_secret(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(signature))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", base64(header.to_string()), base64(claims.to_string()))
}

/// Tokens not signed by the key, each of which some library has accepted at some time.
fn forged(rsa: &Signer) -> Vec<(&'static str, String)> {
    let admin = &claims("admin");
    let (attacker, kid) = (Signer::p256("attacker"), &rsa.kid);
    let honest = rsa.sign(admin);
    let (message, signature) = honest.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let mut tampered = claims("admin");
    tampered["sub"] = json!("somebody else");
    let (modulus, key_set) = (rsa.jwk()["n"].as_str().unwrap().to_owned(), key_set(&[rsa]));
    let hs256 = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    let by_attacker = |header: Value| attacker.sign_with(&header, &admin.to_string());
    let mut forged = vec![
        ("none", unsigned(&json!({"alg": "none", "kid": kid}), admin)),
        ("None", unsigned(&json!({"alg": "None", "kid": kid}), admin)),
        (
            "nOnE with a signature",
            format!("{}{signature}", unsigned(&json!({"alg": "nOnE", "kid": kid}), admin)),
        ),
        ("no algorithm", unsigned(&json!({"kid": kid}), admin)),
        ("an algorithm that nobody knows", unsigned(&json!({"alg": "XS256", "kid": kid}), admin)),
        ("the right algorithm without a signature", unsigned(&json!({"alg": "RS256", "kid": kid}), admin)),
        ("HS256 by the public PEM", sign_by_secret(&hs256, admin, rsa.public_pem.as_bytes())),
        ("HS256 by the trimmed PEM", sign_by_secret(&hs256, admin, rsa.public_pem.trim().as_bytes())),
        ("HS256 by the modulus", sign_by_secret(&hs256, admin, modulus.as_bytes())),
        ("HS256 by the key set", sign_by_secret(&hs256, admin, key_set.as_bytes())),
        ("HS256 by nothing", sign_by_secret(&hs256, admin, b"")),
        ("another key under the id of ours", by_attacker(json!({"alg": "ES256", "kid": kid}))),
        ("another key that says it is of our kind", by_attacker(json!({"alg": "RS256", "kid": kid}))),
        ("another key without an id", by_attacker(json!({"alg": "ES256"}))),
        ("a key in the header", by_attacker(json!({"alg": "ES256", "kid": kid, "jwk": attacker.jwk()}))),
        ("a certificate in the header", by_attacker(json!({"alg": "ES256", "kid": kid, "x5c": ["MIIB"]}))),
        ("other claims", format!("{header}.{}.{signature}", base64(tampered.to_string()))),
        ("no claims", format!("{header}..{signature}")),
        ("a signature that is cut", honest[..honest.len() - 4].to_owned()),
        ("a signature with more", format!("{honest}AAAA")),
        ("another encoding of the signature", format!("{honest}=")),
        ("two signatures", format!("{honest}.{signature}")),
    ];
    let paths = ["../../../../dev/null", "/dev/null", "x' UNION SELECT 'a", "$(id)", "", "\u{0}", "A"];
    for path in paths {
        forged.push(("an id that leads somewhere", by_attacker(json!({"alg": "ES256", "kid": path}))));
        let header = json!({"alg": "HS256", "kid": path});
        forged.push(("an id of an empty file", sign_by_secret(&header, admin, b"")));
    }
    for text in ["", ".", "..", "...", "a.b.c", "null", "{}", "ä.b.c", "e30.e30.", "e30.e30.e30"] {
        forged.push(("no token", text.to_owned()));
    }
    forged
}

#[tokio::test]
async fn what_the_key_has_not_signed_is_refused_with_one_answer() {
    let rsa = Signer::rsa("a");
    let server = server_trusting(&rsa, &["url_login=true"]).await;
    let users: i64 = server.database.scalar("SELECT count(*) FROM users").await;
    for (what, token) in forged(&rsa) {
        // An empty header counts as absent.
        if token.is_empty() {
            continue;
        }
        let anonymous = server.anonymous();
        let request = anonymous.request(reqwest::Method::GET, "/api/user");
        let value = reqwest::header::HeaderValue::from_bytes(token.as_bytes()).unwrap();
        let by_header = anonymous.send(request.header(super::HEADER, value)).await;
        let request = anonymous.request(reqwest::Method::GET, "/api/user");
        let by_address = anonymous.send(request.query(&[("auth_token", &token)])).await;
        for answer in [by_header, by_address] {
            assert_eq!(answer.status, 401, "{what}");
            refused(answer);
        }
    }
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM users").await, users);
    assert_eq!(me(&server, &rsa.sign(&claims("admin"))).await["login"], "admin");
}

#[tokio::test]
async fn addresses_in_a_header_are_not_fetched_and_made_up_ids_cost_one_fetch() {
    let (ours, attacker) = (Signer::p256("a"), Signer::p256("a"));
    let keys = KeyServer::start(key_set(&[&ours])).await;
    let theirs = KeyServer::start(key_set(&[&attacker])).await;
    let server = server_with(&[&format!("jwk_set_url={}", keys.url)]).await;
    assert_eq!(me(&server, &ours.sign(&claims("ann"))).await["login"], "ann");
    let before = keys.fetches();
    for field in ["jku", "x5u"] {
        let header = json!({"alg": "ES256", "kid": "a", field: theirs.url});
        let forged = attacker.sign_with(&header, &claims("ann").to_string());
        refused(with_token(&server, &forged).get("/api/user").await);
        // The fields have no effect, in any token.
        let honest = ours.sign_with(&header, &claims("ann").to_string());
        assert_eq!(me(&server, &honest).await["login"], "ann");
    }
    assert_eq!((keys.fetches(), theirs.fetches()), (before, 0));
    let made_up = (0..30).map(|number| {
        let header = json!({"alg": "ES256", "kid": format!("made up {number}")});
        (with_token(&server, &attacker.sign_with(&header, &claims("ann").to_string())), number)
    });
    let tasks: Vec<_> = made_up
        .map(|(client, _)| tokio::spawn(async move { refused(client.get("/api/user").await) }))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // One fetch for all of them, and another one if they took longer than the interval.
    assert!((1..=2).contains(&(keys.fetches() - before)), "{}", keys.fetches() - before);
}

/// The claims of ann with changes; `null` removes a claim.
fn with(changes: Value) -> String {
    let mut claims = claims("ann");
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims.to_string()
}

#[tokio::test]
async fn what_is_signed_but_not_for_us_or_not_for_now_is_refused() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let header = &json!({"alg": "ES256", "kid": "a"});
    let twice = |claim: &str| format!("{}{claim}}}", with(json!({})).trim_end_matches('}'));
    for claims in [
        with(json!({"aud": "kymograph2"})),
        with(json!({"aud": ["kymograph2"]})),
        with(json!({"aud": []})),
        with(json!({"aud": {"kymograph": true}})),
        with(json!({"aud": null})),
        with(json!({"iss": "https://idp.example/"})),
        with(json!({"iss": ["https://idp.example"]})),
        with(json!({"iss": null})),
        with(json!({"exp": null})),
        with(json!({"exp": now() - 61})),
        with(json!({"exp": (now() + 900).to_string()})),
        with(json!({"nbf": now() + 120})),
        with(json!({"iat": now() + 120})),
        twice(r#","aud":"kymograph""#),
        twice(r#","exp":9999999999"#),
        twice(r#","preferred_username":"admin""#),
        "[]".to_owned(),
        "null".to_owned(),
        "not JSON".to_owned(),
        format!("{}1{}", "[".repeat(2000), "]".repeat(2000)),
    ] {
        let token = signer.sign_with(header, &claims);
        refused(with_token(&server, &token).get("/api/user").await);
    }
    for extended in [
        json!({"alg": "ES256", "kid": "a", "crit": ["exp"]}),
        json!({"alg": "ES256", "kid": "a", "crit": []}),
        json!({"alg": "ES256", "kid": "a", "crit": ["b64"], "b64": true}),
        json!({"alg": "ES256", "kid": "a", "b64": false}),
    ] {
        let token = signer.sign_with(&extended, &with(json!({})));
        refused(with_token(&server, &token).get("/api/user").await);
    }
    let missing = "Missing mandatory claim in JWT";
    for claims in [
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"preferred_username": null, "email": null}),
        json!({"preferred_username": " ", "email": "ann"}),
        json!({"preferred_username": ["ann"], "email": {"value": "ann@example.org"}}),
        json!({"preferred_username": null, "email_verified": false}),
        json!({"preferred_username": null, "email_verified": "false"}),
    ] {
        let token = signer.sign_with(header, &with(claims));
        with_token(&server, &token).get("/api/user").await.expect_message(401, missing);
    }
    for name in ["a\u{0}b".to_owned(), "a".repeat(761)] {
        let token = signer.sign_with(header, &with(json!({"preferred_username": name})));
        refused(with_token(&server, &token).get("/api/user").await);
    }
    let edge = json!({"exp": now() - 30, "nbf": now() + 30, "iat": now() + 30, "aud": ["x", "other"]});
    assert_eq!(me(&server, &signer.sign_with(header, &with(edge))).await["login"], "ann");
}

/// A token of exactly this many bytes.
fn long_token(signer: &Signer, bytes: usize) -> String {
    for padding in 0..4 {
        let header = json!({"alg": "ES256", "kid": "a", "pad": "x".repeat(padding)});
        let mut claims = claims("ann");
        claims["pad"] = json!("");
        let rest = bytes - signer.sign_with(&header, &claims.to_string()).len();
        for length in (rest / 4 * 3).saturating_sub(4)..rest {
            claims["pad"] = json!("x".repeat(length));
            let token = signer.sign_with(&header, &claims.to_string());
            if token.len() == bytes {
                return token;
            }
            if token.len() > bytes {
                break;
            }
        }
    }
    panic!("no token has {bytes} bytes")
}

#[tokio::test]
async fn a_token_has_16_kib_at_most() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    assert_eq!(me(&server, &long_token(&signer, 16 * 1024)).await["login"], "ann");
    refused(with_token(&server, &long_token(&signer, 16 * 1024 + 1)).get("/api/user").await);
}

#[tokio::test]
async fn a_token_that_was_taken_is_refused_once_its_time_is_over() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let mut short = claims("ann");
    short["exp"] = json!(now() + 30);
    let token = signer.sign(&short);
    me(&server, &token).await;
    server.clock.advance(30 + 60 - 5);
    me(&server, &token).await;
    server.clock.advance(10);
    refused(with_token(&server, &token).get("/api/user").await);
}

#[tokio::test]
async fn a_disabled_user_is_refused_at_once() {
    let signer = Signer::p256("a");
    let server: TestServer = server_trusting(&signer, &["url_login=true"]).await;
    let token = signer.sign(&claims("ann"));
    let id = me(&server, &token).await["id"].clone();
    let path = format!("/api/admin/users/{id}");
    server.admin().post(&format!("{path}/disable"), &json!({})).await.expect(200);
    // A cached token, and a new one.
    with_token(&server, &token).get("/api/user").await.expect_message(401, "Unauthorized");
    let mut other = claims("ann");
    other["jti"] = json!("new");
    refused(with_token(&server, &signer.sign(&other)).get("/api/user").await);
    let answer = super::open(&server, &format!("/portal?auth_token={token}")).await;
    assert!(!answer.headers().contains_key("set-cookie"));
    server.admin().post(&format!("{path}/enable"), &json!({})).await.expect(200);
    me(&server, &token).await;
}

#[tokio::test]
async fn names_that_only_look_alike_are_not_one_user() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    server.new_member(1, "kelly", "Editor").await;
    for login in ["\u{FF4B}elly", "\u{212A}elly", "\u{FF41}dmin"] {
        let mut other = claims("attacker");
        other["preferred_username"] = json!(login);
        refused(with_token(&server, &signer.sign(&other)).get("/api/user").await);
    }
    let mut same = claims("kelly");
    same["preferred_username"] = json!("KELLY");
    assert_eq!(me(&server, &signer.sign(&same)).await["name"], "kelly Example");
}
