//! Callers without permissions neither learn nor change anything, on all routes of the router.

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_tests::{Answer, Client, TestServer};
use serde_json::json;

use crate::route_examples::Objects;

/// The callers from another org: one with each role there, and a server admin who is not a member of the org.
const STRANGERS: [&str; 5] = ["None", "Viewer", "Editor", "Admin", "Server"];
/// The operations of a server admin on users and orgs, from any org. `tests/rights.tsv` lists the permissions.
const OF_THE_SERVER: [&str; 3] = ["/api/admin/", "/api/orgs", "/api/users"];

/// The number of events in the log of an org.
async fn head(server: &TestServer, org: i64) -> i64 {
    let sql = format!("SELECT coalesce((SELECT pos FROM heads WHERE org_id = {org}), 0)");
    server.database.scalar(&sql).await
}

#[tokio::test]
async fn without_credentials_nothing_is_given_away() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let before = head(&server, zebra.org).await;
    for (number, route) in server.routes.iter().enumerate() {
        let anonymous = server.anonymous().in_org(zebra.org);
        let answer = zebra.call(&anonymous, route, number).await;
        if !route.is_public {
            assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
        }
        assert!(!answer.text.contains("zebra"), "{}: {}", answer.request, answer.text);
    }
    assert_eq!(head(&server, zebra.org).await, before);
}

async fn stranger(server: &TestServer, org: i64, role: &str) -> Client {
    let org_role = if role == "Server" { "Admin" } else { role };
    let (client, id) = server.new_member(org, &login(role), org_role).await;
    if role == "Server" {
        let rights = json!({"isGrafanaAdmin": true});
        server.admin().put(&format!("/api/admin/users/{id}/permissions"), &rights).await.expect(200);
    }
    client
}

fn login(role: &str) -> String {
    format!("lion-{}", role.to_lowercase())
}

/// Calls a route with the names of the zebras, but without giving the lions' objects their name.
async fn call(zebra: &Objects, client: &Client, role: &str, route: &Route, number: usize) -> Answer {
    if route.path == "/api/user" && route.method == Method::PUT {
        // A user with another login could not log in as before, and all following requests would be refused.
        return client.put(route.path, &json!({"login": login(role)})).await;
    }
    // Names that the lions choose themselves are not secrets of the zebras.
    let mut example = zebra.clone();
    if route.method != Method::GET && !route.path.contains('{') {
        example.name = "lion".into();
    }
    example.call(client, route, number).await
}

#[tokio::test]
async fn who_is_of_another_org_gets_and_changes_nothing() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let lion = server.new_org("lion org").await;
    for (index, role) in STRANGERS.into_iter().enumerate() {
        let client = stranger(&server, lion, role).await;
        let (before, users_before) = (head(&server, zebra.org).await, head(&server, 0).await);
        for (number, route) in server.routes.iter().enumerate() {
            let is_of_the_server = OF_THE_SERVER.iter().any(|path| route.path.starts_with(path));
            if role == "Server" && is_of_the_server {
                continue;
            }
            let number = index * server.routes.len() + number;
            let answer = call(&zebra, &client, role, route, number).await;
            assert!(!answer.text.contains("zebra"), "{role}: {}: {}", answer.request, answer.text);
            // A server admin may select any org, and can only use the administration of its users there.
            if role != "Server" {
                let named = call(&zebra, &client.clone().in_org(zebra.org), role, route, number).await;
                assert!(route.is_public || named.status == 401, "{role}: {} in the other org", named.request);
            }
        }
        client.get("/api/user").await.expect(200);
        assert_eq!(head(&server, zebra.org).await, before, "{role} has moved the other org's log");
        let sql = "SELECT count(*) FROM events WHERE org_id = 0 AND pos > $1 AND actor_login <> $2
            AND stream_id NOT LIKE 'user-%'";
        let client = server.database.connect().await;
        let foreign: i64 = client.query_one(sql, &[&users_before, &login(role)]).await.unwrap().get(0);
        assert_eq!(foreign, 0, "{role}");
    }
}

/// The reads of a server admin in an org without membership: its members, and its usage and quotas.
const OF_PEOPLE: [&str; 3] = ["/api/org", "/api/access-control/user/", "/api/user"];

#[tokio::test]
async fn who_administers_the_server_finds_no_content_of_orgs() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let lion = server.new_org("lion org").await;
    let client = stranger(&server, lion, "Server").await.in_org(zebra.org);
    let before = head(&server, zebra.org).await;
    for (number, route) in server.routes.iter().enumerate() {
        let is_of_people = OF_THE_SERVER.iter().chain(&OF_PEOPLE).any(|path| route.path.starts_with(path));
        if route.is_public || is_of_people || route.path == "/api/login/ping" {
            continue;
        }
        let answer = zebra.call(&client, route, number).await;
        let is_empty = answer.status == 200 && !answer.text.contains("zebra");
        assert!(is_empty || answer.status == 403, "{}: {}", answer.request, answer.text);
    }
    server.access.flush().await;
    let sql = "SELECT count(*) FROM events WHERE org_id = $1 AND pos > $2 AND type <> 'access.denied'";
    let database = server.database.connect().await;
    let changes: i64 = database.query_one(sql, &[&zebra.org, &before]).await.unwrap().get(0);
    assert_eq!(changes, 0);
}

#[tokio::test]
async fn what_is_another_orgs_looks_like_what_is_not_there() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let lion = server.new_org("lion org").await;
    let (admin, _) = server.new_member(lion, "lion-admin", "Admin").await;
    let (name, invite) = ("nobody".to_owned(), "9999-1-0".to_owned());
    let (org, user, session, team, service_account, token) = (9999, 9999, 9999, 9999, 9999, 9999);
    // An entry is identified by its position in the log of the caller's org.
    let nobody = Objects { name, org, user, session, invite, team, service_account, token, ..zebra.clone() };
    for (number, route) in server.routes.iter().enumerate() {
        let names_one_object = route.path.contains('{') && !route.is_public;
        if !names_one_object {
            continue;
        }
        let foreign = zebra.call(&admin, route, number).await;
        let missing = nobody.call(&admin, route, number).await;
        assert_eq!(foreign.status, missing.status, "{} {}", route.method, route.path);
        assert_eq!(foreign.body, missing.body, "{} {}", route.method, route.path);
    }
}
