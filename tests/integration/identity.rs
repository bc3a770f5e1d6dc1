//! Credentials through HTTP: passwords, sessions, lockout and forged requests.

use axum::http::Method;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

/// Logs in and returns a client that sends the session's cookie, and the cookie.
async fn log_in(server: &TestServer, login: &str, password: &str) -> (Client, String) {
    let answer = server.anonymous().post("/login", &json!({"user": login, "password": password})).await;
    let answer = answer.expect_message(200, "Logged in");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (server.anonymous().with_header("cookie", &cookie), cookie)
}

#[tokio::test]
async fn a_session_lives_until_it_is_logged_out() {
    let server = TestServer::start().await;
    let (session, _) = log_in(&server, "admin@LOCALHOST", "admin").await;
    assert_eq!(session.get("/api/user").await.expect(200).body["login"], "admin");
    session.get("/api/login/ping").await.expect(200);
    let out = session.get("/logout").await.expect(302);
    assert!(out.headers["set-cookie"].to_str().unwrap().starts_with("grafana_session=;"));
    session.get("/api/user").await.expect_message(401, "Unauthorized");
    session.get("/logout").await.expect(302);
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let server = TestServer::start().await;
    let (one, _) = log_in(&server, "admin", "admin").await;
    let (two, _) = log_in(&server, "admin", "admin").await;
    let list = one.get("/api/user/auth-tokens").await.expect(200).body;
    assert_eq!(list.as_array().unwrap().len(), 2);
    let id = |active: bool| -> Value {
        list.as_array().unwrap().iter().find(|session| session["isActive"] == active).unwrap()["id"].clone()
    };
    one.post("/api/user/revoke-auth-token", &json!({"authTokenId": id(true)})).await.expect(400);
    let other = json!({"authTokenId": id(false)});
    one.post("/api/user/revoke-auth-token", &other).await.expect_message(200, "User auth token revoked");
    one.post("/api/user/revoke-auth-token", &other).await.expect(404);
    two.get("/api/user").await.expect(401);
    one.get("/api/user").await.expect(200);

    let (_, ann_id) = server.new_member(1, "ann", "Viewer").await;
    let (ann, _) = log_in(&server, "ann", "secret").await;
    let path = format!("/api/admin/users/{ann_id}");
    let list = one.get(&format!("{path}/auth-tokens")).await.expect(200).body;
    assert_eq!(list[0]["isActive"], false);
    one.post(&format!("{path}/logout"), &json!({})).await.expect_message(200, "User logged out");
    ann.get("/api/user").await.expect(401);
    one.post("/api/admin/users/1/logout", &json!({})).await.expect(400);
    one.get("/api/admin/users/9999/auth-tokens").await.expect(404);
}

#[tokio::test]
async fn tokens_rotate_and_the_previous_one_is_accepted() {
    let server = TestServer::start().await;
    let (old, cookie) = log_in(&server, "admin", "admin").await;
    let aged = "UPDATE sessions SET rotated = rotated - interval '11 minutes'";
    // The server has not cached the session yet, so it reads the aged one.
    server.database.connect().await.batch_execute(aged).await.unwrap();
    let rotated = old.get("/api/user").await.expect(200);
    let new = rotated.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_ne!(new, cookie);
    let new = server.anonymous().with_header("cookie", &new);
    assert!(!new.get("/api/user").await.expect(200).headers.contains_key("set-cookie"));
    assert!(!old.get("/api/user").await.expect(200).headers.contains_key("set-cookie"));
    let again = new.post("/api/user/auth-tokens/rotate", &json!({})).await.expect(200);
    assert!(again.headers.contains_key("set-cookie"));
    old.get("/api/user").await.expect(401);
    new.get("/api/user").await.expect(200);
    server.anonymous().post("/api/user/auth-tokens/rotate", &json!({})).await.expect(401);
}

#[tokio::test]
async fn an_unused_session_ends() {
    let server = TestServer::start().await;
    let (session, _) = log_in(&server, "admin", "admin").await;
    let aged = "UPDATE sessions SET rotated = rotated - interval '8 days', seen = seen - interval '8 days'";
    server.database.connect().await.batch_execute(aged).await.unwrap();
    session.get("/api/user").await.expect(401);
}

#[tokio::test]
async fn wrong_credentials_do_not_tell_which_part_and_lock_the_login() {
    let server = TestServer::start().await;
    let unknown = server.client("nobody", "secret").get("/api/user").await.expect(401);
    let wrong = server.client("admin", "secret").get("/api/user").await.expect(401);
    assert_eq!(unknown.body, wrong.body);
    assert_eq!(wrong.body["message"], "Invalid username or password");
    for _ in 0..3 {
        server.client("ADMIN", "guess").get("/api/user").await.expect(401);
    }
    server.anonymous().post("/login", &json!({"user": "admin", "password": "guess"})).await.expect(401);
    let locked =
        server.anonymous().post("/login", &json!({"user": "admin", "password": "admin"})).await.expect(401);
    assert_eq!(locked.body["messageId"], "login-attempt.blocked");
    let aged = "UPDATE login_attempts SET at = at - interval '6 minutes'";
    server.database.connect().await.batch_execute(aged).await.unwrap();
    server.admin().get("/api/user").await.expect(200);
    for malformed in ["Basic !!!", "Basic YWRtaW4=", "Bearer x", "Basic"] {
        server.anonymous().with_header("authorization", malformed).get("/api/user").await.expect(401);
    }
}

#[tokio::test]
async fn a_changed_password_and_a_disabled_user_are_refused_on_the_next_request() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let (session, _) = log_in(&server, "ann", "secret").await;
    ann.get("/api/user").await.expect(200);
    let path = format!("/api/admin/users/{id}");
    admin
        .put(&format!("{path}/password"), &json!({"password": "other"}))
        .await
        .expect_message(200, "User password updated");
    ann.get("/api/user").await.expect(401);
    session.get("/api/user").await.expect(401);
    let ann = server.client("ann", "other");
    let (session, _) = log_in(&server, "ann", "other").await;
    ann.get("/api/user").await.expect(200);
    admin.post(&format!("{path}/disable"), &json!({})).await.expect_message(200, "User disabled");
    ann.get("/api/user").await.expect(401);
    session.get("/api/user").await.expect(401);
    admin.post(&format!("{path}/enable"), &json!({})).await.expect_message(200, "User enabled");
    ann.get("/api/user").await.expect(200);
    session.get("/api/user").await.expect(401);
}

#[tokio::test]
async fn events_on_a_user_leave_the_sessions_of_others_in_memory() {
    let server = TestServer::start().await;
    let (ann, _) = server.new_member(1, "ann", "Viewer").await;
    let (session, _) = log_in(&server, "admin", "admin").await;
    session.get("/api/user").await.expect(200);
    // No event notifies the server, so a cached session is still valid.
    let database = server.database.connect().await;
    database.execute("DELETE FROM sessions", &[]).await.unwrap();
    ann.put("/api/user", &json!({"login": "ann", "name": "Ann"})).await.expect(200);
    session.get("/api/user").await.expect(200);
    server.admin().put("/api/user", &json!({"login": "admin", "name": "Admin"})).await.expect(200);
    session.get("/api/user").await.expect(401);
}

#[tokio::test]
async fn another_site_cannot_use_a_session() {
    let server = TestServer::start().await;
    let (session, _) = log_in(&server, "admin", "admin").await;
    let body = json!({"title": "x"});
    let evil = session.clone().with_header("origin", "https://evil.example");
    evil.post("/api/folders", &body).await.expect_message(403, "origin not allowed");
    session.clone().with_header("origin", &server.url()).post("/api/folders", &body).await.expect(200);
}

#[tokio::test]
async fn a_repeated_password_is_not_hashed_again() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.get("/api/user").await.expect(200);
    let started = std::time::Instant::now();
    for _ in 0..50 {
        admin.get("/api/user").await.expect(200);
    }
    // Fifty hashes take seconds of work; this is only a wide bound, not a measurement.
    assert!(started.elapsed().as_secs_f64() < 1.5, "{:?}", started.elapsed());
}

#[tokio::test]
async fn every_event_says_who_from_where_and_why() {
    let server = TestServer::start().await;
    let (session, _) = log_in(&server, "admin", "admin").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let client = session
        .with_header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"))
        .with_header("x-request-id", "req-1")
        .with_header("x-correlation-id", "import-7")
        .with_header("user-agent", "tester/1.0");
    let answer =
        client.send(client.request(Method::POST, "/api/folders").json(&json!({"title": "Ops"}))).await;
    assert_eq!(answer.expect(200).headers["x-request-id"], "req-1");
    let sql = "SELECT actor_id, actor_login, causation_id, correlation_id, meta FROM events WHERE type = 'folder.created'";
    let row = server.database.connect().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1, "admin"));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("req-1", "import-7"));
    let meta: Value = serde_json::from_str(row.get(4)).unwrap();
    assert_eq!((&meta["auth_method"], &meta["trace_id"]), (&json!("session"), &json!(trace)));
    assert_eq!((&meta["ip"], &meta["user_agent"]), (&json!("127.0.0.1"), &json!("tester/1.0")));
    assert_ne!(meta["token_id"], "");
}
