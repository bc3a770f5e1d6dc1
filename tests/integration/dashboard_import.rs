//! Importing dashboards through HTTP.

use kymograph_tests::TestServer;
use serde_json::{Value, json};

fn exported() -> Value {
    json!({
        "__inputs": [
            {"name": "DS_PROMETHEUS", "label": "prom", "type": "datasource", "pluginId": "prometheus"},
            {"name": "VAR_STEP", "type": "constant", "value": "5m"},
        ],
        "__requires": [{"type": "grafana", "id": "grafana", "version": "13.0.0"}],
        "__elements": {},
        "id": 4711,
        "uid": "node",
        "title": "Node of ${VAR_STEP}",
        "revision": 37,
        "panels": [{"datasource": {"uid": "${DS_PROMETHEUS}"}, "targets": [{"expr": "rate(x[${VAR_STEP}]) + $other ${also}"}]}],
    })
}

fn inputs() -> Value {
    json!([{"name": "DS_PROMETHEUS", "type": "datasource", "pluginId": "prometheus", "value": "p\"1"}])
}

#[tokio::test]
async fn inputs_are_filled_in() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let import = json!({"dashboard": exported(), "inputs": inputs(), "folderUid": "ops", "overwrite": true});
    let body = admin.post("/api/dashboards/import", &import).await.expect(200).body;
    for (member, value) in [
        ("uid", json!("node")),
        ("title", json!("Node of 5m")),
        ("slug", json!("node-of-5m")),
        ("imported", json!(true)),
        ("importedUrl", json!("/d/node/node-of-5m")),
        ("importedUri", json!("db/node-of-5m")),
        ("importedRevision", json!(37)),
        ("folderUid", json!("ops")),
    ] {
        assert_eq!(body[member], value, "{member}");
    }
    let read = admin.get("/api/dashboards/uid/node").await.expect(200).body;
    assert_eq!(read["dashboard"]["id"], body["dashboardId"]);
    assert_eq!(read["dashboard"]["panels"][0]["datasource"]["uid"], "p\"1");
    assert_eq!(read["dashboard"]["panels"][0]["targets"][0]["expr"], "rate(x[5m]) + $other ${also}");
    assert!(read["dashboard"].get("__inputs").is_none() && read["dashboard"].get("__requires").is_none());

    admin.post("/api/dashboards/import", &import).await.expect(200);
    let mut import = import;
    import["overwrite"] = json!(false);
    let stale = admin.post("/api/dashboards/import", &import).await.expect(412);
    assert_eq!(stale.body["status"], "version-mismatch");
}

#[tokio::test]
async fn a_document_can_be_filled_in_without_being_saved() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let body =
        json!({"dashboard": exported(), "inputs": [{"name": "*", "type": "datasource", "value": "p1"}]});
    let filled = admin.post("/api/dashboards/interpolate", &body).await.expect(200).body;
    assert_eq!((&filled["title"], &filled["uid"]), (&json!("Node of 5m"), &json!("node")));
    assert_eq!(filled["panels"][0]["datasource"]["uid"], "p1");
    assert_eq!(admin.get("/api/search").await.expect(200).body, json!([]));
    // A long response to a request with an idempotency key is forwarded unchanged.
    let long = json!({"dashboard": {"title": "x", "text": "y".repeat(2_000_000)}});
    let keyed = admin.with_header("Idempotency-Key", "long");
    let filled = keyed.post("/api/dashboards/interpolate", &long).await.expect(200).body;
    assert_eq!(filled, long["dashboard"]);
}

#[tokio::test]
async fn bad_imports_are_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for path in ["/api/dashboards/import", "/api/dashboards/interpolate"] {
        admin.post(path, &json!({})).await.expect_message(422, "Dashboard must be set");
        admin
            .post(path, &json!({"dashboard": null, "pluginId": "prometheus", "path": "x.json"}))
            .await
            .expect(422);
        let missing = "the input DS_PROMETHEUS of the dashboard is missing";
        admin.post(path, &json!({"dashboard": exported()})).await.expect_message(400, missing);
        admin.post(path, &json!({"dashboard": []})).await.expect(400);
        let (viewer, _) = server.new_member(1, &format!("v{}", path.len()), "Viewer").await;
        viewer.post(path, &json!({"dashboard": {"title": "x"}})).await.expect(403);
    }
    let unknown = json!({"dashboard": {"title": "x"}, "folderUid": "gone"});
    admin.post("/api/dashboards/import", &unknown).await.expect_message(400, "folder not found");
    admin.post("/api/dashboards/import", &json!({"dashboard": {}})).await.expect(400);
}

#[tokio::test]
async fn library_panels_are_refused_and_named() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let elements = json!({"lib-1": {"name": "CPU of all", "kind": 1, "model": {"type": "timeseries"}}});
    let dashboard =
        json!({"title": "CPU", "__elements": elements, "panels": [{"libraryPanel": {"uid": "lib-1"}}]});
    for path in ["/api/dashboards/import", "/api/dashboards/interpolate"] {
        let refused = admin.post(path, &json!({"dashboard": dashboard})).await.expect(400);
        assert!(refused.body["message"].as_str().unwrap().contains("CPU of all"), "{}", refused.text);
        admin.post(path, &json!({"dashboard": {"title": "CPU", "__elements": {}}})).await.expect(200);
    }
}
