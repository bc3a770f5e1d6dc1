//! The OpenAPI document: it describes exactly the routes of the router, and contains what generated clients need. The
//! client of all tests checks every response against it.

use std::collections::BTreeSet;

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_tests::{Contract, TestServer, program};
use serde_json::Value;

use crate::route_examples::Objects;

/// All operations of the document by method and path.
fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = Contract::get().document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

/// The path of a route in the document, which has no parameters of several segments.
fn template(route: &Route) -> String {
    route.path.replace("{*", "{")
}

fn operation(route: &Route) -> &'static Value {
    &Contract::get().document()["paths"][template(route)][route.method.as_str().to_lowercase()]
}

/// The target of a reference, or the part itself.
fn resolve(part: &'static Value) -> &'static Value {
    match part["$ref"].as_str() {
        Some(reference) => Contract::get().document().pointer(&reference[1..]).unwrap(),
        None => part,
    }
}

fn parameters(operation: &'static Value) -> impl Iterator<Item = &'static Value> {
    operation["parameters"].as_array().into_iter().flatten().map(resolve)
}

#[tokio::test]
async fn describes_every_route_and_nothing_else() {
    let server = TestServer::start().await;
    let served: BTreeSet<_> =
        server.routes.iter().map(|route| (route.method.to_string(), template(route))).collect();
    let described = operations().map(|(method, path, _)| (method, path.to_owned())).collect();
    assert_eq!(served, described);
    let document = server.anonymous().get("/api/openapi.json").await.expect(200).body;
    assert_eq!(&document, Contract::get().document());
}

#[tokio::test]
async fn says_of_each_operation_what_clients_need() {
    let known: BTreeSet<_> = Contract::get().document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations() {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str();
        let id = id.unwrap_or_else(|| panic!("{name} has no description: add .describe(…) to its route"));
        assert!(id.chars().all(char::is_alphanumeric) && id.starts_with(char::is_lowercase), "{name}: {id}");
        assert!(ids.insert(id), "{name} has the same id as another operation: {id}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{name}: {summary:?} is no summary");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(
            known.contains(tag),
            "{name}: the group {tag:?} is not in api/src/kernel/openapi/document.rs"
        );
        for parameter in parameters(operation) {
            let told = parameter["description"].as_str().unwrap_or_default();
            let parameter = &parameter["name"];
            assert!(!told.is_empty(), "{name}: {parameter} is not in api/src/kernel/openapi/parameter.rs");
        }
        let mut statuses = operation["responses"].as_object().unwrap().keys();
        let succeeds = statuses.any(|status| status.starts_with(['2', '3']));
        assert!(succeeds, "{name} does not say what it answers with: add .answers(…)");
    }
}

#[tokio::test]
async fn says_what_the_handlers_read() {
    let server = TestServer::start().await;
    for route in &server.routes {
        let name = format!("{} {}", route.method, route.path);
        let operation = operation(route);
        let has_query = parameters(operation).any(|parameter| parameter["in"] == "query");
        let signature = (route.signature)();
        assert_eq!(has_query, signature.has_query, "{name} and its query string: add .query(…)");
        assert_eq!(operation["requestBody"].is_object(), signature.has_body, "{name} and its body");
    }
}

#[tokio::test]
async fn names_the_types_of_bodies() {
    let schemas = Contract::get().document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (method, path, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap().values().map(resolve);
        for body in responses.chain([&operation["requestBody"]]) {
            let schema = &body["content"]["application/json"]["schema"];
            let is_unnamed = schema["properties"].is_object() || schema["items"]["properties"].is_object();
            assert!(!is_unnamed, "{method} {path} has a body whose type has no name: {schema}");
        }
    }
}

/// Routes for any member. A server admin who is not a member may not use them; nor may a member list a closed folder;
/// and a service account has no hints.
const FOR_MEMBERS: [&str; 6] = [
    "/api/annotations",
    "/api/annotations/tags",
    "/api/dashboards/tags",
    "/api/folders",
    "/api/search",
    "/api/user/helpflags/clear",
];

#[tokio::test]
async fn who_may_do_nothing_is_refused_where_it_says_so() {
    let server = TestServer::start().await;
    let objects = Objects::make(&server, "zebra").await;
    let (nobody, _) = server.new_member(objects.org, "nobody", "None").await;
    for (number, route) in server.routes.iter().enumerate() {
        // Any caller's writes can be refused because of their origin.
        if route.is_public || route.method != Method::GET {
            continue;
        }
        let answer = objects.call(&nobody, route, number).await;
        // Public reads are refused to pages of other sites, which the document describes with a separate text.
        let is_named =
            operation(route)["responses"]["403"]["$ref"].is_string() && !FOR_MEMBERS.contains(&route.path);
        assert_eq!(answer.status == 403, is_named, "{} and .for_everybody(): {}", route.path, answer.status);
    }
}

#[tokio::test]
async fn costs_nothing_who_has_it() {
    let server = TestServer::start().await;
    for path in ["/api/openapi.json", "/api/docs"] {
        let first = server.anonymous().get(path).await.expect(200);
        let etag = first.headers["etag"].to_str().unwrap();
        for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            let again = server.anonymous().with_header("If-None-Match", &known).get(path).await.expect(304);
            assert_eq!(again.headers["etag"], etag);
        }
        server.anonymous().with_header("If-None-Match", "\"other\"").get(path).await.expect(200);
    }
}

#[tokio::test]
async fn can_be_browsed_without_script() {
    let server = TestServer::start().await;
    let page = server.anonymous().get("/api/docs").await.expect(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for forbidden in ["<script", "style=", " src=", "http://", "https://"] {
        assert!(!page.text.contains(forbidden), "the page has {forbidden}");
    }
    for (.., operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.text.contains(&format!("id=\"{id}\"")), "the page does not show {id}");
    }
    // Every link has a target.
    for link in page.text.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(page.text.contains(&format!("id=\"{id}\"")), "the page links to {id}, which does not exist");
    }
}

#[tokio::test]
async fn is_printed_without_a_server() {
    let output = std::process::Command::new(program())
        .args(["openapi"])
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(&printed, Contract::get().document());
}
