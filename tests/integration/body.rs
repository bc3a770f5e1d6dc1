//! Request bodies: size limits by caller, and that nothing is read before authentication.

use std::time::Duration;

use axum::http::Method;
use kymograph_tests::{Client, RawConnection, TestServer, basic};
use serde_json::{Value, json};

const SAVE: &str = "POST /api/dashboards/db HTTP/1.1\r\nHost: localhost\r\n";

#[tokio::test]
async fn no_body_is_read_before_authentication() {
    let server = TestServer::start().await;
    let wrong = basic("nobody", "wrong");
    for credentials in ["", "Cookie: grafana_session=1\r\n", "Authorization: Bearer glsa_1\r\n", &wrong] {
        for more in ["", "Idempotency-Key: k\r\n", "Expect: 100-continue\r\n"] {
            for length in
                ["Content-Length: 1000000", "Content-Length: 99999999999", "Transfer-Encoding: chunked"]
            {
                let mut connection = RawConnection::open(server.address).await;
                assert!(connection.send(format!("{SAVE}{credentials}{more}{length}\r\n\r\n")).await);
                let answer = connection.answer().await.unwrap();
                assert_eq!(answer.status, 401, "{credentials}{more}{length}: {answer:?}");
            }
        }
    }
    // An authenticated client is asked to send its body; an oversized one is refused before it is sent.
    let known = basic("admin", "admin");
    let mut connection = RawConnection::open(server.address).await;
    connection.send(format!("{SAVE}{known}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")).await;
    assert_eq!(connection.answer().await.unwrap().status, 100);
    connection.send("{}").await;
    assert_eq!(connection.answer().await.unwrap().status, 400);
    let mut connection = RawConnection::open(server.address).await;
    connection.send(format!("{SAVE}{known}Content-Length: 99999999999\r\n\r\n")).await;
    assert_eq!(connection.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn who_sends_on_after_the_answer_gets_to_read_it() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.address).await;
    assert!(connection.send(format!("{SAVE}Content-Length: 600000\r\n\r\n")).await);
    for _ in 0..10 {
        connection.send(vec![b'x'; 60_000]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connection.answer().await.unwrap().status, 401);
    assert!(connection.is_closed_within(Duration::from_secs(3)).await);
}

/// A request with a JSON object of this many bytes as its body.
async fn post(client: &Client, path: &str, bytes: usize) -> u16 {
    let filling = "x".repeat(bytes - r#"{"a":""}"#.len());
    let request = client.request(Method::POST, path).header("content-type", "application/json");
    let request = request.body(format!(r#"{{"a":"{filling}"}}"#));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn bodies_have_a_size_by_where_they_go() {
    let server = TestServer::with_settings(&["server.max_body=2MiB"]).await;
    let (anonymous, admin) = (server.anonymous(), server.admin());
    for path in ["/login", "/api/user/invite/complete"] {
        assert_ne!(post(&anonymous, path, 64 * 1024).await, 413, "{path}");
        assert_eq!(post(&anonymous, path, 64 * 1024 + 1).await, 413, "{path}");
    }
    assert_eq!(post(&admin, "/api/folders", 1024 * 1024).await, 400);
    assert_eq!(post(&admin, "/api/folders", 1024 * 1024 + 1).await, 413);
    assert_eq!(post(&admin, "/api/dashboards/db", 2 * 1024 * 1024).await, 400);
    assert_eq!(post(&admin, "/api/dashboards/db", 2 * 1024 * 1024 + 1).await, 413);
    let keyed = admin.with_header("Idempotency-Key", "k");
    assert_eq!(post(&keyed, "/api/folders", 1024 * 1024 + 1).await, 413);
    assert_eq!(post(&keyed, "/api/dashboards/db", 2 * 1024 * 1024 + 1).await, 413);
}

/// Sends a request, up to the first byte of its body.
async fn begin(
    server: &TestServer,
    request: &str,
    credentials: &str,
    body: &Value,
) -> (RawConnection, String) {
    let mut connection = RawConnection::open(server.address).await;
    let body = body.to_string();
    let (first, rest) = body.split_at(1);
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\n{credentials}Content-Length: {length}\r\n\r\n{first}"
    );
    assert!(connection.send(head).await);
    (connection, rest.to_owned())
}

#[tokio::test]
async fn rights_that_end_while_a_body_arrives_are_none() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = server.new_member(1, "ann", "Admin").await;
    ann.get("/api/user").await.expect(200);
    let account = json!({"name": "Robot", "role": "Admin"});
    let account = ann.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let tokens = format!("/api/serviceaccounts/{account}/tokens");
    let token = ann.post(&tokens, &json!({"name": "one"})).await.expect(200).body;
    let (bearer, token) =
        (format!("Authorization: Bearer {}\r\n", token["key"].as_str().unwrap()), &token["id"]);
    let credentials = basic("ann", "secret");
    let own = format!("PATCH /api/org/users/{id}");
    let again = json!({"role": "Admin"});
    let new_account = json!({"name": "Other", "role": "Admin"});
    let mut pending = vec![
        (begin(&server, &own, &credentials, &again).await, 403),
        (begin(&server, "POST /api/serviceaccounts", &credentials, &new_account).await, 403),
        (begin(&server, &format!("POST {tokens}"), &bearer, &json!({"name": "two"})).await, 401),
    ];
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.patch(&format!("/api/org/users/{id}"), &json!({"role": "Viewer"})).await.expect(200);
    admin.delete(&format!("{tokens}/{token}")).await.expect(200);
    for ((connection, rest), status) in &mut pending {
        connection.send(rest.as_str()).await;
        assert_eq!(connection.answer().await.unwrap().status, *status, "{rest}");
    }
    // Likewise after a change of the password, and for a former member.
    let name = json!({"name": "Ann"});
    let mut renamed = begin(&server, "PUT /api/user", &credentials, &name).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.put(&format!("/api/admin/users/{id}/password"), &json!({"password": "other"})).await.expect(200);
    renamed.0.send(renamed.1.as_str()).await;
    assert_eq!(renamed.0.answer().await.unwrap().status, 401);
    let member = json!({"loginOrEmail": "ann", "role": "Admin"});
    let mut joining = begin(&server, "POST /api/org/users", &basic("ann", "other"), &member).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    joining.0.send(joining.1.as_str()).await;
    assert!(matches!(joining.0.answer().await.unwrap().status, 401 | 403));
    let members = admin.get("/api/org/users").await.expect(200).body;
    assert_eq!(members.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_public_body_has_to_come_in_time() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.address).await;
    connection.send("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{").await;
    let began = std::time::Instant::now();
    assert_eq!(connection.answer().await.unwrap().status, 504);
    assert!((9..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_org_that_sends_slowly_leaves_the_budget_to_others() {
    let server = TestServer::start().await;
    let org = server.new_org("Other").await;
    let (other, _) = server.new_member(org, "other", "Editor").await;
    // Two unfinished bodies of 15 MiB exceed the limit of an org.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut connection = RawConnection::open(server.address).await;
        let length = 15 * 1024 * 1024;
        connection.send(format!("{SAVE}{}Content-Length: {length}\r\n\r\n", basic("admin", "admin"))).await;
        slow.push(connection);
    }
    for connection in &mut slow {
        for _ in 0..15 {
            if !connection.send(vec![b' '; 1024 * 1024 - 1]).await {
                break;
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(post(&server.admin(), "/api/dashboards/db", 15 * 1024 * 1024).await, 429);
    assert_eq!(post(&other, "/api/dashboards/db", 15 * 1024 * 1024).await, 400);
    other.post("/api/dashboards/db", &json!({"dashboard": {"title": "Small"}})).await.expect(200);
    server.admin().post("/api/dashboards/db", &json!({"dashboard": {"title": "Small"}})).await.expect(200);
    drop(slow);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(post(&server.admin(), "/api/dashboards/db", 15 * 1024 * 1024).await, 400);
    let metrics = server.anonymous().get("/metrics").await.expect(200).text;
    assert!(metrics.contains("kymograph_overload_total{what=\"bodies\"}"), "{metrics}");
}
