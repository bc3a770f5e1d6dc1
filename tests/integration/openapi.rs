//! The OpenAPI document: it describes what the router serves, all of it and nothing else.

use std::collections::BTreeSet;

use kymograph_tests::{Contract, TestServer};
use serde_json::Value;

/// All operations of the document: method, path and description.
fn operations() -> Vec<(String, &'static str, &'static Value)> {
    let paths = Contract::get().document()["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(|(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    });
    operations.collect()
}

#[tokio::test]
async fn describes_every_route_and_nothing_else() {
    let server = TestServer::start().await;
    let served: BTreeSet<_> =
        server.routes.iter().map(|route| (route.method.to_string(), route.path)).collect();
    let described = operations().into_iter().map(|(method, path, _)| (method, path)).collect();
    assert_eq!(served, described);
    let served = server.anonymous().get("/api/openapi.json").await.expect(200).body;
    assert_eq!(&served, Contract::get().document());
}
