//! Log-ins with the tokens of an identity provider: by header and by URL, in addition to all other credentials.

mod attack;
mod provision;
mod rotation;
mod signer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use kymograph_server::config::{Config, Sources};
use kymograph_tests::{Answer, Client, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use signer::{Signer, claims, key_set};

/// The header of tokens in these tests.
const HEADER: &str = "X-JWT-Assertion";

/// A file that is removed after the test.
struct TestFile(PathBuf);

impl TestFile {
    fn new(content: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kymograph-jwt-{}-{number}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn setting(&self, name: &str) -> String {
        format!("{name}={}", self.0.display())
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // A leftover file must not fail a test.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The settings of all servers of these tests, and further ones.
fn settings(more: &[&str]) -> Vec<String> {
    let all = [
        "enabled=true",
        "header_name=X-JWT-Assertion",
        "username_claim=preferred_username",
        "email_claim=email",
        r#"expect_claims={"iss": "https://idp.example", "aud": ["kymograph", "other"]}"#,
        "auto_sign_up=true",
    ];
    // Later settings have precedence.
    all.iter().chain(more).map(|setting| format!("auth.jwt.{setting}")).collect()
}

async fn server_with(more: &[&str]) -> TestServer {
    let settings = settings(more);
    TestServer::with_settings(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// A server that trusts one key, configured by a file.
async fn server_trusting(signer: &Signer, more: &[&str]) -> TestServer {
    let file = TestFile::new(&key_set(&[signer]));
    server_with(&[&[file.setting("jwk_set_file").as_str()], more].concat()).await
}

/// A server, and the URL of a page that contains a token.
pub(crate) async fn page_with_token() -> (TestServer, String) {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["url_login=true"]).await;
    let page =
        format!("{}/portal/dashboards?auth_token={}&query=cpu", server.url(), signer.sign(&claims("ann")));
    (server, page)
}

fn with_token(server: &TestServer, token: &str) -> Client {
    server.anonymous().with_header(HEADER, token)
}

/// The user that a token logs in.
async fn me(server: &TestServer, token: &str) -> Value {
    with_token(server, token).get("/api/user").await.expect(200).body
}

/// The number of events.
async fn events(server: &TestServer) -> i64 {
    server.database.scalar("SELECT count(*) FROM events").await
}

#[tokio::test]
async fn a_script_sends_a_token_with_each_request() {
    let signers =
        [Signer::rsa("rsa"), Signer::p256("p256"), Signer::p384("p384"), Signer::ed25519("ed25519")];
    let file = TestFile::new(&key_set(&signers.iter().collect::<Vec<_>>()));
    let server = server_with(&[&file.setting("jwk_set_file")]).await;
    for signer in &signers {
        let login = format!("script-{}", signer.kid);
        let token = signer.sign(&claims(&login));
        let user = me(&server, &token).await;
        assert_eq!((&user["login"], &user["email"]), (&json!(login), &json!(format!("{login}@example.org"))));
        assert_eq!(user["name"], format!("{login} Example"));
        assert_eq!(me(&server, &format!("Bearer {token}")).await["id"], user["id"]);
    }
    for algorithm in ["RS512", "PS256"] {
        let header = json!({"alg": algorithm, "kid": "rsa"});
        let token = signers[0].sign_with(&header, &claims("script-rsa").to_string());
        assert_eq!(me(&server, &token).await["login"], "script-rsa");
    }
}

#[tokio::test]
async fn a_repeated_token_writes_nothing() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["role_attribute_path=role"]).await;
    let mut ann = claims("ann");
    ann["role"] = json!("Editor");
    let token = signer.sign(&ann);
    me(&server, &token).await;
    let before = events(&server).await;
    for _ in 0..20 {
        me(&server, &token).await;
    }
    ann["jti"] = json!("another token of the same user");
    me(&server, &signer.sign(&ann)).await;
    assert_eq!(events(&server).await, before);
    // Except for the time at which the user was seen, a repeated token writes nothing.
    let created: i64 =
        server.database.scalar("SELECT count(*) FROM events WHERE type = 'user.created'").await;
    assert_eq!(created, 2, "the first user and ann");
}

#[tokio::test]
async fn one_key_comes_from_a_pem_file() {
    for signer in [Signer::rsa("k"), Signer::p256("k"), Signer::p384("k"), Signer::ed25519("k")] {
        let file = TestFile::new(&signer.public_pem);
        let server = server_with(&[&file.setting("key_file"), "key_id=k"]).await;
        assert_eq!(me(&server, &signer.sign(&claims("ann"))).await["login"], "ann");
        let other = json!({"alg": signer.algorithm(), "kid": "other"});
        let token = signer.sign_with(&other, &claims("ann").to_string());
        refused(with_token(&server, &token).get("/api/user").await);
    }
}

/// The response to every invalid token.
#[track_caller]
fn refused(answer: Answer) {
    let answer = answer.expect_message(401, "Failed to verify JWT");
    assert_eq!(answer.body, json!({"message": "Failed to verify JWT", "messageId": "jwt.invalid"}));
}

#[tokio::test]
async fn authorization_is_shared_with_passwords_service_accounts_and_sessions() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["header_name=Authorization"]).await;
    let bearer = |token: &str| server.anonymous().with_header("authorization", &format!("Bearer {token}"));
    let token = signer.sign(&claims("ann"));
    assert_eq!(bearer(&token).get("/api/user").await.expect(200).body["login"], "ann");
    assert_eq!(server.admin().get("/api/user").await.expect(200).body["login"], "admin");
    let account = json!({"name": "backup", "role": "Viewer"});
    let account = server.admin().post("/api/serviceaccounts", &account).await.expect(201).body;
    let path = format!("/api/serviceaccounts/{}/tokens", account["id"]);
    let key = server.admin().post(&path, &json!({"name": "k"})).await.expect(200).body["key"].clone();
    bearer(key.as_str().unwrap()).get("/api/folders").await.expect(200);
    bearer("glsa_x").get("/api/user").await.expect_message(401, "Invalid API key");
    refused(bearer("a.b.c").get("/api/user").await);
}

#[tokio::test]
async fn a_token_counts_before_everything_else_and_is_not_fallen_back_from() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["url_login=true"]).await;
    let token = signer.sign(&claims("ann"));
    let session = log_in(&server, "admin").await;
    for other in [server.admin(), server.anonymous().with_header("cookie", &session)] {
        let both = other.clone().with_header(HEADER, &token);
        assert_eq!(both.get("/api/user").await.expect(200).body["login"], "ann");
        refused(other.clone().with_header(HEADER, "nonsense").get("/api/user").await);
        let path = format!("/api/user?auth_token={token}");
        assert_eq!(other.get(&path).await.expect(200).body["login"], "ann");
        assert_eq!(other.get("/api/user").await.expect(200).body["login"], "admin");
        assert_eq!(other.with_header(HEADER, "").get("/api/user").await.expect(200).body["login"], "admin");
    }
}

/// Logs in with a password, and returns the cookie.
async fn log_in(server: &TestServer, login: &str) -> String {
    let answer = server.anonymous().post("/login", &json!({"user": login, "password": "admin"})).await;
    cookie(&answer.expect(200))
}

fn cookie(answer: &Answer) -> String {
    answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn open(server: &TestServer, path: &str) -> reqwest::Response {
    server.anonymous().request(Method::GET, path).send().await.unwrap()
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> &'a str {
    answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn a_page_with_a_token_in_its_address_begins_a_session_and_forgets_the_token() {
    let signer = Signer::rsa("a");
    let server = server_trusting(&signer, &["url_login=true"]).await;
    let token = signer.sign(&claims("ann"));
    for (path, location) in [
        (format!("/?auth_token={token}"), "/"),
        (format!("/login?auth_token={token}"), "/login"),
        (format!("/portal?auth_token={token}"), "/portal"),
        (
            format!("/portal/dashboards?query=a%26b&auth_token={token}&at=1"),
            "/portal/dashboards?query=a%26b&at=1",
        ),
    ] {
        let answer = open(&server, &path).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (302, location));
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer");
        let set = header(&answer, "set-cookie");
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let session = server.anonymous().with_header("cookie", set.split(';').next().unwrap());
        assert_eq!(session.get("/api/user").await.expect(200).body["login"], "ann");
        assert!(!answer.headers().values().any(|value| value.to_str().unwrap().contains(&token)));
    }
    let mut wrong = claims("ann");
    wrong["aud"] = json!("somebody else");
    let answer = open(&server, &format!("/portal?auth_token={}&x=1", signer.sign(&wrong))).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (302, "/portal?x=1"));
    assert!(!answer.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_server_under_a_sub_path_takes_tokens_there_and_carries_none_along() {
    let signer = Signer::p256("a");
    let file = TestFile::new(&key_set(&[&signer]));
    let mut settings = settings(&["url_login=true", &file.setting("jwk_set_file")]);
    settings.extend(
        ["server.root_url=http://localhost/kymo/", "server.serve_from_sub_path=true"].map(str::to_owned),
    );
    let server = TestServer::with_settings(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let token = signer.sign(&claims("ann"));
    for (path, location, logs_in) in [
        ("/kymo/portal/people?page=2&", "/kymo/portal/people?page=2", true),
        ("/kymo?", "/kymo/", true),
        ("/portal?x=1&", "/kymo/portal?x=1", false),
        ("//evil.example?", "/kymo/evil.example", false),
    ] {
        let answer = open(&server, &format!("{path}auth_token={token}")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (302, location), "{path}");
        assert_eq!(answer.headers().contains_key("set-cookie"), logs_in, "{path}");
    }
}

#[tokio::test]
async fn addresses_have_no_tokens_unless_that_is_allowed() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let token = signer.sign(&claims("ann"));
    server
        .anonymous()
        .get(&format!("/api/user?auth_token={token}"))
        .await
        .expect_message(401, "Unauthorized");
    let answer = open(&server, &format!("/portal?auth_token={token}")).await;
    assert!(!answer.headers().contains_key("set-cookie") && answer.status() != 302);
}

#[tokio::test]
async fn nothing_that_is_kept_has_a_token_in_it() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["url_login=true"]).await;
    let token = signer.sign(&claims("ann"));
    let mut late = claims("ann");
    late["exp"] = json!(1);
    let refused_token = signer.sign(&late);
    for token in [&token, &refused_token] {
        let client = with_token(&server, token);
        client.send(client.request(Method::POST, "/api/folders").json(&json!({"title": "A"}))).await;
        let path = format!("/api/folders?auth_token={token}");
        let client = server.anonymous().with_header("idempotency-key", token.split('.').next().unwrap());
        client.post(&path, &json!({"title": "B"})).await;
        open(&server, &format!("/portal?auth_token={token}")).await;
    }
    server.access.flush().await;
    let client = server.database.connect().await;
    let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = client.query(sql, &[]).await.unwrap();
    assert!(tables.len() > 20);
    for table in tables {
        let table: &str = table.get(0);
        for token in [&token, &refused_token] {
            let signature = token.rsplit('.').next().unwrap();
            let sql = format!(r#"SELECT count(*) FROM "{table}" AS kept WHERE strpos(kept::text, $1) > 0"#);
            let found: i64 = client.query_one(&sql, &[&signature]).await.unwrap().get(0);
            assert_eq!(found, 0, "{table} has a token");
        }
    }
}

#[tokio::test]
async fn log_ins_and_refusals_are_in_the_audit_log() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["url_login=true"]).await;
    open(&server, &format!("/portal?auth_token={}", signer.sign(&claims("ann")))).await;
    refused(with_token(&server, "a.b.c").get("/api/user").await);
    server.access.flush().await;
    let sql = "SELECT actor_login, meta, org_id FROM events WHERE type = 'access.logged_in' ORDER BY org_id";
    let rows = server.database.connect().await.query(sql, &[]).await.unwrap();
    // In the server's log, and in that of the org that it assigns.
    assert_eq!(rows.iter().map(|row| row.get("org_id")).collect::<Vec<i64>>(), [0, 1]);
    for row in rows {
        let meta: Value = serde_json::from_str(row.get("meta")).unwrap();
        assert_eq!((row.get::<_, &str>("actor_login"), &meta["auth_method"]), ("ann", &json!("jwt")));
    }
    let sql =
        "SELECT count(*) FROM events WHERE type LIKE 'access.%' AND payload::text LIKE '%cannot be read%'";
    assert_eq!(server.database.scalar::<i64>(sql).await, 1);
}

/// Composes a server that never serves.
fn put_together(more: &[&str]) -> Result<(), String> {
    let overrides = settings(more).into_iter().map(|setting| format!("cfg:{setting}")).collect();
    let sources =
        Sources { config_file: None, env: Vec::new(), overrides, working_dir: std::env::temp_dir() };
    let config = Config::load(&sources).map_err(|error| error.to_string())?;
    kymograph_server::openapi::document(&config).map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn keys_that_cannot_verify_stop_the_start_with_the_reason() {
    let short = TestFile::new(include_str!("../keys/short_rsa.pub.pem"));
    let private = TestFile::new(include_str!("../keys/rsa.pem"));
    let symmetric =
        TestFile::new(r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}]}"#);
    let mut encrypting = Signer::p256("a").jwk();
    encrypting["use"] = json!("enc");
    let encrypting = TestFile::new(&json!({"keys": [encrypting]}).to_string());
    let text = TestFile::new("hello");
    for (file, name, reason) in [
        (&short, "key_file", "its RSA key is shorter than 2048 bits"),
        (&private, "key_file", "it holds a private key; verifying needs the public one only"),
        (&text, "key_file", "it holds no PEM public key"),
        (&text, "jwk_set_file", "not a JSON Web Key Set"),
        (&symmetric, "jwk_set_file", "it has no key that can verify a signature"),
        (&encrypting, "jwk_set_file", "it has no key that can verify a signature"),
    ] {
        let error = put_together(&[&file.setting(name)]).unwrap_err();
        assert!(error.starts_with(&format!("[auth.jwt] {name}: ")) && error.contains(reason), "{error}");
    }
    let missing = put_together(&["key_file=/nonexistent/key.pem"]).unwrap_err();
    assert!(missing.contains("/nonexistent/key.pem cannot be used: "), "{missing}");
    let url = "jwk_set_url=https://idp.example/jwks";
    for setting in ["tls_client_ca=/nonexistent/ca.pem", "jwk_set_bearer_token_file=/nonexistent/token"] {
        let error = put_together(&[url, setting]).unwrap_err();
        assert!(error.contains("/nonexistent/"), "{error}");
    }
}
