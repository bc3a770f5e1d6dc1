//! Permissions: every route by every role, compared with `tests/rights.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_tests::{Client, TestServer};
use serde_json::json;

use crate::route_examples::Objects;

/// The columns of the table: the roles in the org, and a server admin without a role in it.
const ROLES: [&str; 5] = ["None", "Viewer", "Editor", "Admin", "Server"];
const TABLE: &str = include_str!("../rights.tsv");

/// The permissions by method and path: a mark for each role.
fn table() -> BTreeMap<(&'static str, &'static str), Vec<bool>> {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        let route = (cells.next().unwrap(), cells.next().unwrap());
        (route, cells.map(|cell| cell == "yes").collect())
    };
    TABLE.lines().skip(1).map(row).collect()
}

fn login(role: &str) -> String {
    format!("the-{}", role.to_lowercase())
}

/// One user for each role. They are the same in all orgs, because hashing a password is slow.
async fn people(server: &TestServer) -> Vec<Client> {
    let mut people = Vec::new();
    for role in ROLES {
        let (client, id) = server.new_member(1, &login(role), "None").await;
        if role == "Server" {
            let rights = json!({"isGrafanaAdmin": true});
            server.admin().put(&format!("/api/admin/users/{id}/permissions"), &rights).await.expect(200);
        }
        people.push(client);
    }
    people
}

async fn objects_with_members(server: &TestServer, name: &str) -> Objects {
    let objects = Objects::make(server, name).await;
    for role in ROLES {
        let org_role = if role == "Server" { "None" } else { role };
        let member = json!({"loginOrEmail": login(role), "role": org_role});
        server.admin().post(&format!("/api/orgs/{}/users", objects.org), &member).await.expect(200);
    }
    objects
}

const RESOURCES: &str = "/api/datasources/uid/{data_source_uid}/resources/{*source_path}";

/// The responses of routes to permitted callers that cannot succeed with the example objects, and why.
const NO_SUCCESS: &[(&str, &str, u16, &str)] = &[
    ("POST", "/api/user/revoke-auth-token", 404, "the session of the examples is not the caller's"),
    ("DELETE", "/api/orgs/{org_id}", 400, "the org of the examples is the one that the caller works in"),
    ("POST", "/api/org/users", 409, "who is added is a member already"),
    ("POST", "/api/orgs/{org_id}/users", 409, "who is added is a member already"),
    ("POST", RESOURCES, 404, "the source of the examples has resources to be read only"),
    ("PUT", RESOURCES, 404, "the source of the examples has resources to be read only"),
    ("PATCH", RESOURCES, 404, "the source of the examples has resources to be read only"),
    ("DELETE", RESOURCES, 404, "the source of the examples has resources to be read only"),
    ("GET", "/api/user/preferences/history", 404, "the caller never had preferences"),
    ("GET", "/api/user/preferences/history/diff", 404, "the caller never had preferences"),
    ("POST", "/api/user/preferences/history/restore", 404, "the caller never had preferences"),
];

/// Whether a role may call a route: the call succeeds, or is refused for lack of permission. Any other response is
/// inconclusive.
async fn may(objects: &Objects, client: &Client, role: &str, route: &Route, number: usize) -> bool {
    let client = client.clone().in_org(objects.org);
    let mut request = client.request(route.method.clone(), &objects.path(route));
    if route.path == "/api/user" {
        request = request.json(&json!({"login": login(role)}));
    } else {
        request = request.json(&objects.body(route, number));
    }
    let answer = client.send(request).await;
    let (method, path) = (route.method.as_str(), route.path);
    let is_known = NO_SUCCESS.iter().any(|(known, route, status, reason)| {
        !reason.is_empty() && (*known, *route, *status) == (method, path, answer.status)
    });
    match answer.status {
        403 => false,
        200..400 => true,
        _ if is_known => true,
        status => panic!("{method} {path} as {role} is {status}: {}", answer.text),
    }
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let people = people(&server).await;
    let mut expected = table();
    let mut wrong = String::new();
    for (number, route) in server.routes.iter().filter(|route| !route.is_public).enumerate() {
        let mut objects = objects_with_members(&server, &format!("r{number}")).await;
        let named = expected.remove(&(route.method.as_str(), route.path)).unwrap_or_default();
        let expects = |role: usize| named.get(role).copied().unwrap_or_default();
        // Roles without permission come first, because a permitted call can delete the object, or be impossible to
        // repeat.
        let mut order: Vec<_> = (0..ROLES.len()).collect();
        order.sort_by_key(|role| expects(*role));
        let mut found = vec![false; ROLES.len()];
        for role in order {
            if found.contains(&true) && route.method != Method::GET {
                objects = objects_with_members(&server, &format!("r{number}x{role}")).await;
            }
            found[role] = may(&objects, &people[role], ROLES[role], route, number * 10 + role).await;
        }
        if found != named {
            let marks = found.iter().map(|may| if *may { "yes" } else { "no" });
            let marks = marks.collect::<Vec<_>>().join("\t");
            writeln!(wrong, "{}\t{}\t{marks}", route.method, route.path).unwrap();
        }
    }
    assert!(wrong.is_empty(), "these may do something else than tests/rights.tsv says:\n{wrong}");
    assert!(expected.is_empty(), "tests/rights.tsv has rows of no route: {:?}", expected.keys());
}
