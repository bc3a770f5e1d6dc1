//! Cross-site requests by browsers, and the security headers of all responses.

use axum::http::Method;
use kymograph_tests::TestServer;
use serde_json::json;

use crate::route_examples::Objects;

const EVIL: (&str, &str) = ("Origin", "https://evil.example");
const CROSS_SITE: (&str, &str) = ("Sec-Fetch-Site", "cross-site");
const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

#[tokio::test]
async fn another_site_can_neither_write_nor_read_nor_log_in_or_out() {
    let server = TestServer::with_settings(&["security.csrf_trusted_origins=admin.example.org"]).await;
    let login = json!({"user": "admin", "password": "admin"});
    let answer = server.anonymous().post("/login", &login).await.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let session = server.anonymous().with_header("Cookie", &cookie);
    let with = |client: &kymograph_tests::Client, headers: &[(&str, &str)]| {
        headers.iter().fold(client.clone(), |client, (name, value)| client.with_header(name, value))
    };
    let folder = |title: &str| json!({"title": title});
    for headers in [&[EVIL][..], &[CROSS_SITE], &[CROSS_SITE, NAVIGATE], &[EVIL, CROSS_SITE]] {
        with(&session, headers).post("/api/folders", &folder("evil")).await.expect(403);
        with(&server.anonymous(), headers).post("/login", &login).await.expect(403);
        let invite = json!({"inviteCode": "1-2-3", "password": "secret"});
        with(&server.anonymous(), headers).post("/api/user/invite/complete", &invite).await.expect(403);
    }
    with(&session, &[CROSS_SITE]).get("/api/folders").await.expect(403);
    with(&session, &[CROSS_SITE, NAVIGATE]).get("/api/folders").await.expect(200);
    with(&session, &[CROSS_SITE, NAVIGATE]).get("/logout").await.expect(403);
    let trusted = ("Origin", "https://admin.example.org");
    let own = ("Origin", &*server.url());
    with(&session, &[trusted, CROSS_SITE]).post("/api/folders", &folder("trusted")).await.expect(200);
    with(&session, &[own]).post("/api/folders", &folder("own")).await.expect(200);
    with(&server.anonymous(), &[own]).post("/login", &login).await.expect(200);
    with(&server.anonymous(), &[trusted, CROSS_SITE]).post("/login", &login).await.expect(200);
    // Another site cannot use credentials that a browser does not add by itself.
    with(&server.admin(), &[EVIL, CROSS_SITE]).post("/api/folders", &folder("script")).await.expect(200);
    with(&session, &[("Sec-Fetch-Site", "none"), NAVIGATE]).get("/logout").await.expect(302);
}

#[tokio::test]
async fn no_answer_is_stored_or_taken_for_something_else() {
    // The same for all callers.
    const PUBLIC: &[&str] = &["/avatar/{hash}", "/api/openapi.json", "/api/docs"];
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let objects = Objects::make(&server, "zebra").await;
    let mut statuses = std::collections::BTreeSet::new();
    for (number, route) in server.routes.iter().enumerate() {
        for client in [server.admin().in_org(objects.org), server.anonymous()] {
            let answer = objects.call(&client, route, number).await;
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{}", answer.request);
            if !PUBLIC.contains(&route.path) {
                assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.request);
            }
            statuses.insert(answer.status);
        }
    }
    assert!([200, 302, 401, 404].iter().all(|status| statuses.contains(status)), "{statuses:?}");
    let missing = server.anonymous().request(Method::GET, "/api/nowhere").send().await.unwrap();
    assert_eq!(missing.headers()["cache-control"], "no-store");
    assert_eq!(missing.headers()["x-content-type-options"], "nosniff");
}
