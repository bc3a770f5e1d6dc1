//! Grafana's API as it is served: every operation listed as served is served, the others are listed as not served yet,
//! and that list only shrinks. The client of all tests checks the responses.

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_tests::{Answer, Client, Contract, ContractTable, Operation, TestServer};
use serde_json::json;

use crate::route_examples::Objects;

/// The number of operations of Grafana's API. A missing row would be an operation that is not checked.
const OPERATIONS: usize = 363;

/// The number of operations that are not served yet. It must only decrease.
const NOT_YET_SERVED: usize = 196;

/// The routes of any object's history, by the suffixes of their paths.
const HISTORY: [(&str, &str); 3] =
    [("GET", "/history"), ("GET", "/history/diff"), ("POST", "/history/restore")];

/// Routes that Grafana 13 does not document, with the reason for each.
const OUR_OWN: &[(&str, &str, &str)] = &[
    ("GET", "/livez", "what orchestrators ask"),
    ("GET", "/readyz", "what orchestrators ask"),
    ("GET", "/api/openapi.json", "the description of all operations"),
    ("GET", "/api/docs", "the same to be read"),
    ("GET", "/api/audit/events", "the audit log"),
    ("GET", "/api/audit/events/{}", "the audit log"),
    ("GET", "/api/audit/events/export", "the audit log"),
    ("GET", "/api/audit/events/{}/undo", "what undoing a request would do"),
    ("POST", "/api/audit/events/{}/undo", "undoing what a request did"),
    ("GET", "/api/admin/audit/events/{}/undo", "what undoing a request would do"),
    ("POST", "/api/admin/audit/events/{}/undo", "undoing what a request did"),
    ("GET", "/api/audit/activity", "the audit log"),
    ("GET", "/api/org/audit", "what the audit log records"),
    ("PUT", "/api/org/audit", "what the audit log records"),
    ("GET", "/api/admin/audit/events", "the audit log of the server"),
    ("GET", "/api/admin/audit/events/{}", "the audit log of the server"),
    ("GET", "/api/admin/audit/events/export", "the audit log of the server"),
    ("GET", "/api/admin/audit/activity", "the audit log of the server"),
    ("GET", "/api/admin/jobs", "the jobs of the server"),
    ("POST", "/api/admin/jobs/{}/retry", "trying a dead job again"),
    ("GET", "/api/org/usage", "how much an org has, also where there are no quotas"),
    ("PATCH", "/api/org/invites/{}/revoke", "as Grafana's pages revoke; what describes its API has DELETE"),
    ("PATCH", "/api/dashboards/uid/{}/trash", "as Grafana 11 had it; 13 has its trash in another API"),
    ("DELETE", "/api/dashboards/uid/{}/trash", "as Grafana 11 had it; 13 has its trash in another API"),
    ("GET", "/api/datasources/{}", "data sources by numeric id, as older clients want them"),
    ("PUT", "/api/datasources/{}", "data sources by numeric id, as older clients want them"),
    ("DELETE", "/api/datasources/{}", "data sources by numeric id, as older clients want them"),
    ("GET", "/api/datasources/name/{}", "data sources by name, as older clients want them"),
    ("DELETE", "/api/datasources/name/{}", "data sources by name, as older clients want them"),
    ("GET", "/api/datasources/proxy/{}/{}", "data sources by numeric id, as older clients want them"),
    ("POST", "/api/datasources/proxy/{}/{}", "data sources by numeric id, as older clients want them"),
    ("PUT", "/api/datasources/proxy/{}/{}", "data sources by numeric id, as older clients want them"),
    ("PATCH", "/api/datasources/proxy/{}/{}", "data sources by numeric id, as older clients want them"),
    ("DELETE", "/api/datasources/proxy/{}/{}", "data sources by numeric id, as older clients want them"),
    ("GET", "/api/datasources/id/{}", "data sources by name, as older clients want them"),
];

/// The kinds of `{resource}` in Grafana's enterprise operations on permissions, of which its pages use these.
const GUARDED: [&str; 3] = ["folders", "dashboards", "datasources"];

/// Those operations below `/api/access-control/{resource}`.
const OF_GUARDED: [(&str, &str); 6] = [
    ("GET", "description"),
    ("GET", "{}"),
    ("POST", "{}"),
    ("POST", "{}/users/{}"),
    ("POST", "{}/teams/{}"),
    ("POST", "{}/builtInRoles/{}"),
];

/// All routes that Grafana 13 does not document.
fn our_own() -> Vec<(&'static str, String)> {
    let guarded = GUARDED.into_iter().flat_map(|kind| {
        OF_GUARDED.map(|(method, rest)| (method, format!("/api/access-control/{kind}/{rest}")))
    });
    OUR_OWN.iter().map(|(method, path, _)| (*method, (*path).to_owned())).chain(guarded).collect()
}

/// A path without the names of its parameters, which may differ.
fn shape(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn route_of<'a>(server: &'a TestServer, operation: &Operation) -> Option<&'a Route> {
    let is_it = |route: &&Route| {
        operation.has_method(route.method.as_str()) && shape(route.path) == shape(operation.path)
    };
    server.routes.iter().find(is_it)
}

/// The response of the router to a call without credentials. The pages of the portal are not among its routes, and not
/// in our document.
async fn knock(server: &TestServer, operation: &Operation) -> (u16, String) {
    let method = if operation.has_method("GET") { "GET" } else { operation.method };
    let path = operation.path.replace(['{', '}'], "");
    let request = server.anonymous().request(method.parse().unwrap(), &path);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn every_operation_is_served_or_listed_as_not_yet() {
    let server = TestServer::start().await;
    let operations = &ContractTable::get().operations;
    assert_eq!(operations.len(), OPERATIONS, "operations.tsv has not all operations of Grafana");
    for operation in operations {
        let (status, text) = knock(&server, operation).await;
        let answers = status != 404 || text != r#"{"message":"Not found"}"#;
        // A path that another route matches by a parameter is answered, but not served.
        let is_taken =
            server.routes.iter().any(|route| operation.is_shadowed_by(route.method.as_str(), route.path));
        let is_there = route_of(&server, operation).is_some() || answers && !is_taken;
        let id = operation.id;
        assert!(answers || !is_there, "{id} has a route that is not reached");
        assert!(is_there || !operation.is_served, "{id} is said to be served, and has no route");
        assert!(
            !is_there || operation.is_served,
            "{id} has a route: say in operations.tsv that it is served"
        );
    }
    let not_yet = operations.iter().filter(|operation| !operation.is_served).count();
    assert_eq!(not_yet, NOT_YET_SERVED, "set NOT_YET_SERVED to {not_yet} if that is less");
}

#[tokio::test]
async fn every_route_is_an_operation_of_grafana_or_known_as_our_own() {
    let server = TestServer::start().await;
    let (operations, our_own) = (&ContractTable::get().operations, our_own());
    for route in &server.routes {
        let (method, path) = (route.method.as_str(), shape(route.path));
        let is_grafanas =
            operations.iter().any(|operation| operation.has_method(method) && shape(operation.path) == path);
        let is_history = HISTORY.iter().any(|(own, end)| *own == method && path.ends_with(end));
        let is_ours = is_history || our_own.iter().any(|(own, own_path)| *own == method && *own_path == path);
        assert_ne!(
            is_grafanas, is_ours,
            "{method} {path} is not just one of an operation of Grafana and our own"
        );
    }
    for (method, path) in &our_own {
        let is_there =
            server.routes.iter().any(|route| route.method == *method && shape(route.path) == *path);
        assert!(is_there, "{method} {path} is no route");
    }
}

#[tokio::test]
async fn what_is_documented_of_an_operation_is_what_the_contract_allows() {
    // An internal error can occur on any route, whatever Grafana documents.
    const FAULT: u16 = 500;
    let mut wrong = Vec::new();
    for (path, item) in Contract::get().document()["paths"].as_object().unwrap() {
        for (method, documented) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let is_it = |operation: &&Operation| {
                operation.has_method(&method) && shape(operation.path) == shape(path)
            };
            let Some(operation) = ContractTable::get().operations.iter().find(is_it) else { continue };
            let statuses = documented["responses"].as_object().unwrap().keys();
            let forbidden = statuses.map(|status| status.parse::<u16>().unwrap());
            let forbidden: Vec<_> =
                forbidden.filter(|status| *status != FAULT && !operation.allows(*status)).collect();
            if !forbidden.is_empty() {
                wrong.push(format!("{}: {forbidden:?}", operation.id));
            }
        }
    }
    assert!(wrong.is_empty(), "neither the table nor deviations.tsv allow these:\n{}", wrong.join("\n"));
}

/// Calls a route successfully, and returns the path.
async fn call(server: &TestServer, objects: &Objects, route: &Route, number: usize) -> (String, Answer) {
    let login = format!("{}-user", objects.name);
    let client = match route.path {
        path if path.contains("/auth-tokens/rotate") => with_session(server, &login).await,
        _ if route.is_public => server.anonymous(),
        path if path.starts_with("/api/user/") || path == "/api/user" => server.client(&login, "secret"),
        path if path.starts_with("/api/orgs/{org_id}") => server.admin(),
        _ => server.admin().in_org(objects.org),
    };
    let mut body = objects.body(route, number);
    match (route.method.as_str(), route.path) {
        // An added user must exist, and not be a member yet.
        ("POST", "/api/org/users" | "/api/orgs/{org_id}/users") => {
            let other = json!({"login": format!("other{number}"), "password": "secret"});
            server.admin().post("/api/admin/users", &other).await.expect(200);
            body["loginOrEmail"] = other["login"].clone();
        }
        ("POST", "/login") => body = json!({"user": login, "password": "secret"}),
        ("POST", "/api/user/invite/complete") => {
            body = json!({
                "inviteCode": objects.invite, "username": format!("invited{number}"), "password": "secret",
                "confirmPassword": "secret", "email": format!("{}@example.org", objects.name),
            });
        }
        _ => {}
    }
    let path = objects.path(route).replace(&format!("{}-1-0", objects.org), &objects.invite);
    let mut request = client.request(route.method.clone(), &path);
    if route.method != Method::GET && route.method != Method::DELETE {
        request = request.json(&body);
    }
    (path, client.send(request).await)
}

async fn with_session(server: &TestServer, login: &str) -> Client {
    let form = json!({"user": login, "password": "secret"});
    let answer = server.anonymous().post("/login", &form).await.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    server.anonymous().with_header("Cookie", &cookie)
}

#[tokio::test]
async fn every_served_operation_succeeds() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let table = ContractTable::get();
    let shared = Objects::make(&server, "shared").await;
    for (number, operation) in table.operations.iter().filter(|operation| operation.is_served).enumerate() {
        let Some(route) = route_of(&server, operation) else {
            let (status, text) = knock(&server, operation).await;
            assert!(status < 400, "{}: {status}", operation.id);
            assert_eq!(table.check(operation.method, operation.path, status, &text), Ok(()));
            continue;
        };
        // Operations that change or delete an object, or prevent a user from logging in as before, get their own
        // objects.
        let is_about_people = ["/user", "/org"].iter().any(|noun| route.path.contains(noun));
        let ends_one = is_about_people || route.path.ends_with("/mass-delete");
        let is_the_end = route.method != Method::GET && (route.method != Method::POST || ends_one);
        let own = if is_the_end { Some(Objects::make(&server, &format!("n{number}")).await) } else { None };
        let (path, answer) = call(&server, own.as_ref().unwrap_or(&shared), route, number).await;
        assert!(answer.status < 400, "{}: {} {}", operation.id, answer.status, answer.text);
        // The client can check a response against the contract only if it finds the called operation.
        let found = table.find(operation.method, &path);
        assert_eq!(found.map(|found| found.id), Some(operation.id), "{path}");
    }
}
