//! Random requests, generated from the OpenAPI document.

use kymograph_tests::TestServer;
use serde_json::json;

use crate::client::run;
use crate::route_examples::Objects;

/// The number of requests.
const CASES: u64 = 10_000;

/// The number of requests that the server has answered.
async fn answered(server: &TestServer) -> u64 {
    let text = server.anonymous().get("/metrics").await.expect(200).text;
    let counts = text.lines().filter(|line| line.starts_with("grafana_http_request_duration_seconds_count"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_a_fault_of_the_servers_or_takes_long() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    // Generated ids are mostly small: none of them may be the id of the caller or of its org.
    let far = "UPDATE counters SET value = 1000000007 WHERE org_id = 0";
    server.database.connect().await.batch_execute(far).await.unwrap();
    let objects = Objects::make(&server, "fuzz").await;
    let (_, id) = server.new_member(objects.org, "fuzzer", "Admin").await;
    let rights = json!({"isGrafanaAdmin": true});
    server.admin().put(&format!("/api/admin/users/{id}/permissions"), &rights).await.expect(200);
    server.new_member(objects.org, "viewer", "Viewer").await;
    let before = answered(&server).await;
    let (url, org, cases) = (server.url(), objects.org.to_string(), CASES.to_string());
    run("clients/schemathesis", &[&url, &org, &cases, "fuzzer:secret", "viewer:secret"]).await;
    let sent = answered(&server).await - before;
    assert!(sent >= CASES, "only {sent} requests arrived");
    server.client("fuzzer", "secret").in_org(objects.org).get("/api/org").await.expect(200);
}
