//! The portal in a real browser, driven by its own tests.

use kymograph_tests::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

/// Settings of a server under a sub-path, with quotas.
const HOSTED: &[&str] =
    &["quota.enabled=true", "server.root_url=http://localhost/kymo/", "server.serve_from_sub_path=true"];

/// The number of members for 200 pages of fifty.
const MEMBERS: i64 = 10_000;

/// The read model of users who are members of an org. Creating them through the API would take minutes, because each
/// password is hashed.
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
    // The document of the API, against which the client's other requests are checked, contains neither pages nor
    // sub-paths.
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
    // A request to the API is never redirected.
    for (method, path) in
        [(Method::POST, "/api/folders"), (Method::GET, "/api/org"), (Method::POST, "/login")]
    {
        let answer = server.anonymous().request(method, path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{path}");
    }
    let login = server.anonymous().request(Method::POST, "/kymo/login");
    let answer = login.json(&json!({"user": "admin", "password": "admin"})).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["redirectUrl"], "/kymo/");
}

#[tokio::test]
async fn addresses_in_answers_lead_to_pages() {
    for (settings, sub_path) in [(&[][..], ""), (HOSTED, "/kymo")] {
        let server = TestServer::with_settings(settings).await;
        // The document of the API, against which the client's other requests are checked, contains neither pages nor
        // sub-paths.
        let send = async |method: Method, path: &str, body: Value| {
            let request = server.admin().request(method, &format!("{sub_path}{path}")).json(&body);
            request.send().await.unwrap().json::<Value>().await.unwrap()
        };
        let open = async |url: &str| {
            let path = url.strip_prefix("http://localhost").unwrap_or(url);
            let path = path.strip_prefix(":3000").unwrap_or(path);
            server.anonymous().request(Method::GET, path).send().await.unwrap()
        };
        let folder = send(Method::POST, "/api/folders", json!({"title": "Ops team", "uid": "ops"})).await;
        let save = json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "folderUid": "ops"});
        let saved = send(Method::POST, "/api/dashboards/db", save).await;
        let invite = json!({"loginOrEmail": "ann@example.org", "role": "Viewer"});
        send(Method::POST, "/api/org/invites", invite).await;
        let invites = send(Method::GET, "/api/org/invites", json!({})).await;
        let code = invites[0]["code"].as_str().unwrap();
        let root = send(Method::GET, "/api/folders/general", json!({})).await;
        for (url, page) in [
            (&folder["url"], "dashboards?folder=ops"),
            (&saved["url"], "dashboards/cpu"),
            (&invites[0]["url"], &format!("invite/{code}")),
            (&root["url"], "dashboards"),
        ] {
            let answer = open(url.as_str().unwrap()).await;
            assert_eq!(answer.status().as_u16(), 302, "{url}");
            assert_eq!(answer.headers()["location"], format!("{sub_path}/portal/{page}"), "{url}");
            assert_eq!(open(&format!("{sub_path}/portal/{page}")).await.status().as_u16(), 200, "{page}");
        }
        assert_eq!(open(&format!("{sub_path}/login")).await.status().as_u16(), 200);
        let settings = send(Method::GET, "/api/frontend/settings", json!({})).await;
        assert_eq!(settings["appSubUrl"], sub_path);
        // All other URLs have the same prefix.
        let read = send(Method::GET, "/api/dashboards/uid/cpu", json!({})).await;
        let hits = send(Method::GET, "/api/search?type=dash-db", json!({})).await;
        let user = send(Method::GET, "/api/user", json!({})).await;
        let acl = send(Method::GET, "/api/folders/ops/permissions", json!({})).await;
        for url in [
            &read["meta"]["url"],
            &read["meta"]["folderUrl"],
            &hits[0]["url"],
            &hits[0]["folderUrl"],
            &user["avatarUrl"],
            &acl[0]["url"],
        ] {
            let url = url.as_str().unwrap();
            assert!(url.starts_with(&format!("{sub_path}/")) && !url.starts_with("/kymo/kymo"), "{url}");
        }
    }
}
