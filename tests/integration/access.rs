//! Refused requests and log-ins are in the log.

use std::time::Duration;

use axum::http::Method;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

/// The entries that a query finds, once there are this many: refusals are recorded after the response.
async fn entries(client: &Client, path: &str, expected: usize) -> Vec<Value> {
    for _ in 0..200 {
        let events = client.get(path).await.expect(200).body["events"].as_array().unwrap().clone();
        if events.len() >= expected {
            assert_eq!(events.len(), expected, "{path}: {events:?}");
            return events;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} never had {expected} entries");
}

#[tokio::test]
async fn a_denied_request_says_who_wanted_what() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let save = json!({"dashboard": {"title": "CPU", "uid": "cpu"}});
    admin.post("/api/dashboards/db", &save).await.expect(200);
    let (viewer, id) = server.new_member(1, "vic", "Viewer").await;
    let viewer = viewer.with_header("user-agent", "sneaky/1.0").with_header("x-request-id", "req-9");
    // Any client can send this header, and no proxy is configured as trusted.
    let viewer = viewer.with_header("x-forwarded-for", "192.0.2.1");
    viewer.delete("/api/dashboards/uid/cpu").await.expect(403);
    let denied = &entries(&admin, "/api/audit/events?outcome=denied", 1).await[0];
    assert_eq!(denied["action"], "access.denied");
    assert_eq!(denied["actor"], json!({"type": "user", "id": id, "login": "vic"}));
    assert_eq!(denied["targets"], json!([{"type": "dashboard", "uid": "cpu", "name": "CPU"}]));
    assert_eq!(denied["context"], json!({"ip": "127.0.0.1", "userAgent": "sneaky/1.0"}));
    assert_eq!((&denied["requestId"], &denied["authMethod"]), (&json!("req-9"), &json!("basic")));
    let access = &denied["access"];
    assert_eq!(
        (&access["method"], &access["route"]),
        (&json!("DELETE"), &json!("/api/dashboards/uid/{uid}"))
    );
    assert!(access["reason"].as_str().unwrap().contains("dashboards:delete"), "{access}");
    // The audit log of the dashboard includes the attempt to delete it.
    let path = "/api/audit/events?targetType=dashboard&targetUid=cpu";
    let actions: Vec<_> =
        entries(&admin, path, 2).await.iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["access.denied", "dashboard.created"]);
}

#[tokio::test]
async fn what_another_site_sends_says_whose_session_it_had() {
    let server = TestServer::start().await;
    let (_, id) = server.new_member(1, "ann", "Editor").await;
    let form = json!({"user": "ann", "password": "secret"});
    let answer = server.anonymous().post("/login", &form).await.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let evil =
        server.anonymous().with_header("cookie", &cookie).with_header("origin", "https://evil.example");
    evil.post("/api/folders", &json!({"title": "x"})).await.expect_message(403, "origin not allowed");
    let denied = &entries(&server.admin(), "/api/audit/events?outcome=denied", 1).await[0];
    assert_eq!(denied["actor"], json!({"type": "user", "id": id, "login": "ann"}));
    assert_eq!(denied["access"]["reason"], "origin not allowed");
    // A public route identifies no caller.
    evil.post("/login", &form).await.expect_message(403, "origin not allowed");
    let denied = &entries(&server.admin(), "/api/admin/audit/events?action=access.denied", 1).await[0];
    assert_eq!(
        (&denied["actor"]["type"], &denied["access"]["route"]),
        (&json!("anonymous"), &json!("/login"))
    );
    assert_eq!(denied["context"]["ip"], "127.0.0.1");
}

#[tokio::test]
async fn repetitions_are_counted_and_do_not_fill_the_log() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    for _ in 0..30 {
        viewer.post("/api/folders", &json!({"title": "x"})).await.expect(403);
    }
    for number in 0..60 {
        viewer.delete(&format!("/api/teams/{number}")).await.expect(403);
    }
    server.access.flush().await;
    let denied = admin.get("/api/audit/events?outcome=denied&limit=1000").await.expect(200).body;
    let denied = denied["events"].as_array().unwrap();
    assert!(denied.len() <= 23, "{} entries", denied.len());
    let count = |entry: &Value| entry["access"]["count"].as_i64().unwrap();
    assert_eq!(denied.iter().map(count).sum::<i64>(), 90);
    let posts = denied.iter().filter(|entry| entry["access"]["method"] == "POST");
    let mut counts: Vec<_> = posts.map(count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 29]);
}

#[tokio::test]
async fn failed_and_successful_log_ins_are_in_the_servers_log() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    let log_in = |user: &str, password: &str| {
        let (client, body) = (server.anonymous(), json!({"user": user, "password": password}));
        async move { client.post("/login", &body).await }
    };
    log_in("ann", "guess").await.expect(401);
    log_in("my-secret-password", "ann").await.expect(401);
    let path = "/api/admin/audit/events?outcome=failure";
    let failed = entries(&admin, path, 2).await;
    let known = failed.iter().find(|entry| entry["targets"][0]["uid"] != "").unwrap();
    assert_eq!(known["action"], "access.login_failed");
    assert_eq!(known["targets"], json!([{"type": "user", "uid": id.to_string(), "name": "ann"}]));
    assert_eq!(known["actor"], json!({"type": "anonymous", "id": 0, "login": ""}));
    assert_eq!(known["context"]["ip"], "127.0.0.1");
    assert_eq!(
        (&known["authMethod"], &known["access"]["reason"]),
        (&json!("password"), &json!("wrong password"))
    );
    // A password typed into the wrong field must not appear in a log.
    let all = admin.get("/api/admin/audit/events?limit=1000").await.expect(200);
    assert!(!all.text.contains("my-secret-password"));

    let session = log_in("ann", "secret").await.expect(200);
    let cookie = session.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let path = "/api/admin/audit/events?action=access.logged_in";
    let logged_in = &entries(&admin, path, 1).await[0];
    assert_eq!((&logged_in["actor"]["id"], &logged_in["outcome"]), (&json!(id), &json!("success")));
    let token = &logged_in["tokenId"];
    assert!(token.is_i64());
    let ann = server.anonymous().with_header("cookie", &cookie);
    ann.get("/logout").await.expect(302);
    let ended =
        admin.get("/api/admin/audit/events?action=user.session_revoked&actor=ann").await.expect(200).body;
    assert_eq!(&ended["events"][0]["tokenId"], token);
}

#[tokio::test]
async fn a_locked_login_and_a_disabled_user_are_told_apart_in_the_log_only() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    admin.post(&format!("/api/admin/users/{id}/disable"), &json!({})).await.expect(200);
    for _ in 0..5 {
        ann.get("/api/user").await.expect(401);
    }
    ann.get("/api/user").await.expect(401);
    server.access.flush().await;
    let path = format!("/api/admin/audit/events?outcome=failure&targetType=user&targetUid={id}");
    let failed = admin.get(&path).await.expect(200).body;
    let mut reasons: Vec<_> = failed["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["access"]["reason"].to_string())
        .collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons, ["\"the user is disabled\"", "\"too many failed log-ins\""]);
}

#[tokio::test]
async fn a_refused_token_is_in_the_log_of_its_org() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (admin, _) = server.new_member(acme, "olga", "Admin").await;
    let account = json!({"name": "ci", "role": "Viewer"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].as_i64().unwrap();
    let path = format!("/api/serviceaccounts/{account}/tokens");
    let token = admin.post(&path, &json!({"name": "t"})).await.expect(200).body;
    let bearer = format!("Bearer {}", token["key"].as_str().unwrap());
    let client = server.anonymous().with_header("authorization", &bearer);
    client.get("/api/folders").await.expect(200);
    client.post("/api/folders", &json!({"title": "x"})).await.expect(403);
    admin.delete(&format!("{path}/{}", token["id"])).await.expect(200);
    client.get("/api/folders").await.expect(401);
    let denied = &entries(&admin, "/api/audit/events?outcome=denied", 1).await[0];
    assert_eq!((&denied["actor"]["type"], &denied["tokenId"]), (&json!("serviceAccount"), &token["id"]));
    let refused = &entries(&admin, "/api/audit/events?outcome=failure", 1).await[0];
    assert_eq!((&refused["action"], &refused["tokenId"]), (&json!("access.token_refused"), &token["id"]));
    assert_eq!(
        refused["targets"][0],
        json!({"type": "service_account", "uid": account.to_string(), "name": "ci"})
    );
    assert_eq!(refused["access"]["reason"], "the token was deleted");
    server.anonymous().with_header("authorization", "Bearer glsa_x").get("/api/folders").await.expect(401);
    let unknown = &entries(&server.admin(), "/api/admin/audit/events?outcome=failure", 1).await[0];
    assert_eq!(
        (&unknown["access"]["reason"], &unknown["targets"][0]["uid"]),
        (&json!("unknown token"), &json!(""))
    );
}

#[tokio::test]
async fn what_happens_in_no_org_or_in_one_that_is_not_there_is_the_servers() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    viewer.clone().in_org(acme).get("/api/folders").await.expect(401);
    let denied = &entries(&admin, "/api/admin/audit/events?outcome=denied", 1).await[0];
    assert_eq!(denied["actor"]["login"], "vic");
    assert_eq!(denied["access"]["reason"], format!("not a member of organization {acme}"));
    // A server admin may select any org, but not read dashboards in a missing one.
    admin.clone().in_org(9999).get("/api/folders").await.expect(403);
    entries(&admin, "/api/admin/audit/events?outcome=denied", 2).await;
    let heads: i64 = server.database.scalar("SELECT count(*) FROM heads WHERE org_id = 9999").await;
    assert_eq!(heads, 0);
}

#[tokio::test]
async fn a_request_that_was_denied_does_not_use_up_its_idempotency_key() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, id) = server.new_member(1, "vic", "Viewer").await;
    let vic = vic.with_header("Idempotency-Key", "once");
    let folder = json!({"title": "Ops", "uid": "ops"});
    vic.post("/api/folders", &folder).await.expect(403);
    entries(&admin, "/api/audit/events?outcome=denied", 1).await;
    admin.patch(&format!("/api/org/users/{id}"), &json!({"role": "Editor"})).await.expect(200);
    vic.post("/api/folders", &folder).await.expect(200);
    vic.send(vic.request(Method::POST, "/api/folders").json(&folder)).await.expect(200);
}

#[tokio::test]
async fn log_ins_of_members_are_in_the_log_of_the_org_that_they_lead_to() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let other = server.new_org("Other").await;
    let (_, ann) = server.new_member(acme, "ann", "Viewer").await;
    let log_in = async |password: &str, status: u16| {
        let form = json!({"user": "ann", "password": password});
        server.anonymous().post("/login", &form).await.expect(status);
    };
    log_in("secret", 200).await;
    let path = "/api/audit/events?action=access.logged_in";
    let entry = entries(&admin.clone().in_org(acme), path, 1).await[0].clone();
    assert_eq!(entry["targets"], json!([{"type": "user", "uid": ann.to_string(), "name": "ann"}]));
    assert_eq!((&entry["outcome"], &entry["actor"]["login"]), (&json!("success"), &json!("ann")));
    entries(&admin, "/api/admin/audit/events?action=access.logged_in", 1).await;

    // Noise from the same address hides neither the attacked login nor the number of attempts.
    for number in 0..30 {
        let form = json!({"user": format!("noise{number}"), "password": "x".repeat(number + 1)});
        server.anonymous().post("/login", &form).await.expect(401);
        server
            .anonymous()
            .with_header("authorization", "Bearer glsa_x")
            .get("/api/folders")
            .await
            .expect(401);
    }
    for _ in 0..4 {
        log_in("guess", 401).await;
    }
    server.access.flush().await;
    let failed = format!("/api/audit/events?outcome=failure&targetType=user&targetUid={ann}");
    for (client, path) in [
        (admin.clone().in_org(acme), failed.clone()),
        (admin.clone(), failed.replace("/api/", "/api/admin/")),
    ] {
        let found = client.get(&path).await.expect(200).body;
        let count = |entry: &Value| entry["access"]["count"].as_i64().unwrap();
        assert_eq!(found["events"].as_array().unwrap().iter().map(count).sum::<i64>(), 4, "{found}");
    }
    // No other org's log has it, and refusals of non-members are in the server's log only.
    for org in [1, other] {
        let found = admin.clone().in_org(org).get("/api/audit/events?action=access.*").await.expect(200).body;
        assert_eq!(found["events"], json!([]));
    }
    let counted = server.access.refusals();
    assert_eq!(counted.logins, 34);
}

#[tokio::test]
async fn what_is_off_or_used_up_denies_nobody_anything() {
    let server = TestServer::start().await;
    server.admin().get("/api/orgs/1/quotas").await.expect_message(403, "Quotas not enabled");
    server.admin().get("/api/user/quotas").await.expect(403);
    server.access.flush().await;
    let denied = server.admin().get("/api/audit/events?outcome=denied").await.expect(200).body;
    assert_eq!(denied["events"], json!([]));

    let limited = TestServer::with_settings(&["quota.enabled=true", "quota.org_dashboard=0"]).await;
    let admin = limited.admin();
    let dashboard = json!({"dashboard": {"title": "CPU"}});
    admin.post("/api/dashboards/db", &dashboard).await.expect_message(403, "Quota reached");
    let (vic, _) = limited.new_member(1, "vic", "Viewer").await;
    vic.post("/api/dashboards/db", &dashboard).await.expect(403);
    limited.access.flush().await;
    let denied = admin.get("/api/audit/events?outcome=denied").await.expect(200).body;
    let events = denied["events"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["actor"]["login"]), (1, &json!("vic")));
    assert_eq!(limited.access.refusals().denied, 1);
}
