//! Requests with an `Idempotency-Key`, on any route that writes.

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::json;

use crate::route_examples::Objects;

/// Routes that get the input of a read in a body, and write nothing that could be written twice.
const READS: &[&str] = &[
    "/api/dashboards/calculate-diff",
    "/api/dashboards/interpolate",
    "/api/ds/query",
    "/api/datasources/uid/{data_source_uid}/resources/{*source_path}",
    "/api/datasources/proxy/uid/{data_source_uid}/{*source_path}",
    "/api/datasources/proxy/{data_source_id}/{*source_path}",
];

/// Routes whose response shows a secret once.
const SHOWS_SECRET: &[&str] = &["/api/serviceaccounts/{service_account_id}/tokens"];

/// The number of events in all logs.
async fn events(server: &TestServer) -> i64 {
    server.database.scalar("SELECT count(*) FROM events").await
}

/// A client that can call a route successfully: the owner of the objects for personal routes, otherwise the server
/// admin.
fn caller(server: &TestServer, objects: &Objects, route: &Route) -> Client {
    if route.path.starts_with("/api/user/") || route.path == "/api/user" {
        server.client(&format!("{}-user", objects.name), "secret")
    } else if route.path.starts_with("/api/orgs/{org_id}") {
        server.admin()
    } else if route.path.starts_with("/api/org/users") {
        server.admin().in_org(1)
    } else {
        server.admin().in_org(objects.org)
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_response_and_writes_nothing() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let is_write = |route: &&Route| route.method != Method::GET && !READS.contains(&route.path);
    let writes = server.routes.iter().filter(is_write).filter(|route| !route.is_public);
    for (number, route) in writes.enumerate() {
        let objects = Objects::make(&server, &format!("n{number}")).await;
        if route.path.starts_with("/api/org/users") {
            let member = json!({"loginOrEmail": format!("n{number}-user"), "role": "Editor"});
            if route.path.contains("{user_id}") {
                server.admin().post("/api/org/users", &member).await.expect(200);
            }
        }
        let client =
            caller(&server, &objects, route).with_header("Idempotency-Key", &format!("key-{number}"));
        let mut request = client.request(route.method.clone(), &objects.path(route));
        let mut body = objects.body(route, number);
        if route.path == "/api/org/users" {
            body["loginOrEmail"] = json!(format!("n{number}-user"));
        } else if route.path == "/api/orgs/{org_id}/users" {
            let other = json!({"login": format!("other{number}"), "password": "secret"});
            server.admin().post("/api/admin/users", &other).await.expect(200);
            body["loginOrEmail"] = other["login"].clone();
        }
        request = request.json(&body);
        let again = request.try_clone().unwrap();
        let other = request.try_clone().unwrap().json(&json!({"name": "something else"}));
        let first = client.send(request).await;
        assert!(first.status < 300, "{} {}: {} {}", route.method, route.path, first.status, first.text);
        let before = events(&server).await;
        let password_was_changed = route.path == "/api/user/password";
        if password_was_changed {
            assert_eq!(first.body["message"], "User password changed");
        }
        let second = client.send(again).await;
        if SHOWS_SECRET.contains(&route.path) && route.method == Method::POST {
            // A response that shows a secret once is not stored, so the retry can only be refused.
            assert_eq!(second.status, 409, "{}", first.request);
        } else {
            assert_eq!((second.status, &second.text), (first.status, &first.text), "{}", first.request);
        }
        client.send(other).await.expect(422);
        assert_eq!(events(&server).await, before, "{} wrote twice", first.request);
    }
}

#[tokio::test]
async fn a_response_that_was_lost_is_made_again_from_the_outcome() {
    let server = TestServer::start().await;
    let client = server.admin().with_header("Idempotency-Key", "lost");
    let body = json!({"dashboard": {"title": "CPU"}});
    let first = client.post("/api/dashboards/db", &body).await.expect(200);
    // As if the server had died between the commit and the response.
    let forget = "UPDATE idempotency SET status = NULL, response = NULL";
    server.database.connect().await.batch_execute(forget).await.unwrap();
    let second = client.post("/api/dashboards/db", &body).await.expect(200);
    assert_eq!(second.body, first.body);
}

#[tokio::test]
async fn a_key_belongs_to_one_user_and_a_refused_request_does_not_use_it_up() {
    let server = TestServer::start().await;
    let (other, _) = server.new_member(1, "ann", "Editor").await;
    let folder = |title: &str| json!({"title": title});
    let admin = server.admin().with_header("Idempotency-Key", "k");
    admin.post("/api/folders", &folder("")).await.expect(400);
    let mine = admin.post("/api/folders", &folder("Ops")).await.expect(200);
    let hers =
        other.with_header("Idempotency-Key", "k").post("/api/folders", &folder("Ops")).await.expect(200);
    assert_ne!(mine.body["uid"], hers.body["uid"]);
    let bad = server.admin().with_header("Idempotency-Key", &"k".repeat(200));
    bad.post("/api/folders", &folder("Ops")).await.expect(400);
}

#[tokio::test]
async fn the_answer_of_who_belongs_to_no_org_is_forgotten_in_the_turn_of_the_server() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (user, id) = server.new_member(1, "ann", "Viewer").await;
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    let keyed = |client: Client, key: &str| client.with_header("Idempotency-Key", key);
    keyed(user, "one").put("/api/user", &json!({"login": "ann", "name": "Ann"})).await.expect(200);
    let form = json!({"login": "admin", "name": "Admin"});
    keyed(admin.in_org(987_654), "two").put("/api/user", &form).await.expect(200);
    let turns = "SELECT count(*) FROM jobs WHERE id LIKE 'tidy-org-%' AND owner_org_id <> 0";
    assert_eq!(server.database.scalar::<i64>(turns).await, 0);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}
