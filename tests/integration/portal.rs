//! The portal in a real browser, driven by its own tests.

use kymograph_tests::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

/// Settings of a server under a sub-path, which keeps quotas.
const HOSTED: &[&str] =
    &["quota.enabled=true", "server.root_url=http://localhost/kymo/", "server.serve_from_sub_path=true"];

/// As many members as a page of fifty makes 200 pages of.
const MEMBERS: i64 = 10_000;

/// The read model of users who are members of an org. To make them through the API would take minutes, because the
/// password of each is hashed.
const CROWD: &str = "WITH crowd AS (SELECT 1000000 + n AS id, 'crowd' || to_char(n, 'FM00000') AS login
        FROM generate_series(1, $2::bigint) AS n),
    added AS (INSERT INTO users (id, uid, login, email, name, theme, current_org_id, is_server_admin, is_disabled,
            created, updated)
        SELECT id, login, login, login || '@example.org', 'Member ' || login, '', $1, false, false, now(), now()
        FROM crowd),
    joined AS (INSERT INTO memberships (org_id, user_id, role, created, updated)
        SELECT $1, id, 'Viewer', now(), now() FROM crowd),
    listed AS (INSERT INTO user_orgs (user_id, member_org_id, role, since) SELECT id, $1, 'Viewer', now() FROM crowd)
    UPDATE quotas SET used = used + $2
    WHERE (owner_org_id, target) IN (($1, 'org_user'), (0, 'user'))";

async fn add_crowd(server: &TestServer) {
    let org = server.new_org("Crowd").await;
    let client = server.database.connect().await;
    client.execute(CROWD, &[&org, &MEMBERS]).await.unwrap();
    client.batch_execute("ANALYZE users, memberships, user_orgs").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portal_works_in_a_browser() {
    let (server, hosted) = (TestServer::start().await, TestServer::with_settings(HOSTED).await);
    let page = server.anonymous().get("/portal").await;
    assert_eq!(page.status, 200, "the portal is not built: run `scripts/portal build` and compile again");
    add_crowd(&server).await;
    let hosted = format!("{}/kymo", hosted.url());
    let (_provided, page) = crate::jwt::page_with_token().await;
    crate::client::run("../scripts/portal", &["e2e", &server.url(), &hosted, &page]).await;
}

#[tokio::test]
async fn a_server_under_a_sub_path_leads_there_and_stays_there() {
    let server = TestServer::with_settings(HOSTED).await;
    // The document of the API, which the client's other requests are held to, knows neither pages nor sub-paths.
    let get = async |path: &str| server.anonymous().request(Method::GET, path).send().await.unwrap();
    for (asked, location) in [
        ("/", "/kymo/"),
        ("/portal/people?page=2", "/kymo/portal/people?page=2"),
        ("//evil.example", "/kymo/evil.example"),
        ("/kymo", "/kymo/portal"),
        ("/kymo/", "/kymo/portal"),
        ("/kymo/logout", "/kymo/login"),
        ("/kymo/user/auth-tokens/rotate", "/kymo/login"),
    ] {
        let answer = get(asked).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (302, &location.parse().unwrap()),
            "{asked}"
        );
    }
    let login = server.anonymous().request(Method::POST, "/kymo/login");
    let answer = login.json(&json!({"user": "admin", "password": "admin"})).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["redirectUrl"], "/kymo/");
}
