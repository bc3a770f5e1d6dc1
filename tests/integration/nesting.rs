//! The nesting depth of documents: limited to what everything that parses them supports.

use kymograph_domain::kernel::json::MAX_DEPTH;
use kymograph_infra::event_store::checksum;
use kymograph_server::verify::verify_database;
use kymograph_tests::TestServer;
use serde_json::{Value, json};

/// A value with this nesting depth.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(0), |inner, _| json!([inner]))
}

#[tokio::test]
async fn what_is_saved_is_read_by_everything() {
    let server = TestServer::start().await;
    let admin = server.admin();
    // The body adds one level around the document, and the document one around its members.
    let save = |depth: usize| json!({"dashboard": {"uid": "deep", "title": "Deep", "x": nested(depth - 2)}, "overwrite": true});
    admin.post("/api/dashboards/db", &save(MAX_DEPTH)).await.expect(200);
    let import = json!({"dashboard": {"uid": "imported", "title": "Imported", "x": nested(MAX_DEPTH - 2)}});
    admin.post("/api/dashboards/import", &import).await.expect(200);
    for path in ["/api/dashboards/db", "/api/dashboards/import"] {
        admin.post(path, &save(MAX_DEPTH + 1)).await.expect(400);
    }
    let changed = json!({"dashboard": {"uid": "deep", "title": "Deep"}, "overwrite": true});
    admin.post("/api/dashboards/db", &changed).await.expect(200);
    admin.post("/api/dashboards/uid/deep/restore", &json!({"version": 1})).await.expect(200);
    admin.get("/api/dashboards/uid/deep").await.expect(200);
    admin.get("/api/dashboards/uid/deep/history/diff?from=1&to=2").await.expect(200);
    admin.get("/api/audit/events?changes=true").await.expect(200);
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

/// Documents of up to 127 levels were once accepted. Responses add one level, so the deepest exceed what this client
/// can parse.
#[tokio::test]
async fn a_document_that_is_too_deep_is_a_finding_and_does_not_come_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for uid in ["old", "other"] {
        let save = json!({"dashboard": {"uid": uid, "title": uid, "x": "deep"}});
        admin.post("/api/dashboards/db", &save).await.expect(200);
    }
    let database = server.database.connect().await;
    let sql = "SELECT payload FROM events WHERE type = 'dashboard.created' AND stream_id = 'dashboard-old'";
    let payload: String = database.query_one(sql, &[]).await.unwrap().get(0);
    let deep = payload.replace("\"deep\"", &nested(124).to_string());
    let write = "UPDATE events SET payload = $1, checksum = $2 WHERE stream_id = 'dashboard-old'";
    database.execute(write, &[&deep, &checksum(&deep)]).await.unwrap();

    let again = TestServer::on_database(server.database.clone(), &[]).await;
    let admin = again.admin();
    admin.get("/api/dashboards/uid/old").await.expect(200);
    let save = json!({"dashboard": {"uid": "old", "title": "New"}, "overwrite": true});
    admin.post("/api/dashboards/db", &save).await.expect(200);
    admin.get("/api/dashboards/uid/old/history/diff?from=1&to=2").await.expect(200);
    for path in ["/api/dashboards/uid/old/restore", "/api/dashboards/uid/old/history/restore"] {
        let refused = "dashboard is nested more than 100 levels deep";
        admin.post(path, &json!({"version": 1})).await.expect_message(400, refused);
    }
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.fault_count, 1, "{:?}", report.faults);
    assert!(report.faults[0].contains("is nested 127 levels deep"), "{:?}", report.faults);
    assert!(report.streams_by_reference > 0);
}
