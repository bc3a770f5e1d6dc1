//! Differences between versions of dashboards, through HTTP.

use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};

async fn server() -> (TestServer, i64) {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (title, panels) in [
        ("CPU", json!([{"id": 1, "type": "text"}, {"id": 2}])),
        ("<script>alert('CPU')</script>", json!([{"id": 1, "type": "graph"}, {"id": 3}, {"id": 2}])),
    ] {
        let document = json!({"title": title, "uid": "cpu", "panels": panels, "\"<b>": 1});
        admin
            .post("/api/dashboards/db", &json!({"dashboard": document, "overwrite": true}))
            .await
            .expect(200);
    }
    let read = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    (server, read["dashboard"]["id"].as_i64().unwrap())
}

async fn diff(client: &Client, base: Value, new: Value, diff_type: Value) -> Answer {
    let body = json!({"base": base, "new": new, "diffType": diff_type});
    client.post("/api/dashboards/calculate-diff", &body).await
}

fn content_type(answer: &Answer) -> &str {
    answer.headers["content-type"].to_str().unwrap()
}

#[tokio::test]
async fn is_shown_to_people_with_everything_escaped() {
    let (server, id) = server().await;
    let admin = server.admin();
    let (base, new) = (json!({"dashboardId": id, "version": 1}), json!({"uid": "cpu", "version": 2}));
    for diff_type in [json!("basic"), Value::Null] {
        let basic = diff(&admin, base.clone(), new.clone(), diff_type).await.expect(200);
        assert_eq!(content_type(&basic), "text/html; charset=utf-8");
        assert!(basic.text.contains("<div class=\"diff-group\">"), "{}", basic.text);
        assert!(basic.text.contains("panels[0].type"), "{}", basic.text);
        assert!(basic.text.contains("&lt;script&gt;alert(&#39;CPU&#39;)"), "{}", basic.text);
        assert!(!basic.text.contains("<script") && !basic.text.contains("<b>"), "{}", basic.text);
    }
    let lines = diff(&admin, base, new, json!("json")).await.expect(200);
    assert_eq!(content_type(&lines), "text/html; charset=utf-8");
    for class in ["same", "added", "old", "new"] {
        assert!(lines.text.contains(&format!("diff-line diff-json-{class}")), "{class}: {}", lines.text);
    }
    assert!(lines.text.contains("<p id=\"l1\""), "{}", lines.text);
    assert!(!lines.text.contains("<script") && !lines.text.contains("<b>"), "{}", lines.text);
}

#[tokio::test]
async fn is_told_to_programs_as_a_delta() {
    let (server, id) = server().await;
    let admin = server.admin();
    let version = |version: i64| json!({"dashboardId": id, "version": version});
    let delta = diff(&admin, version(1), version(2), json!("delta")).await.expect(200);
    assert_eq!(content_type(&delta), "application/json");
    let expected = json!({
        "title": ["CPU", "<script>alert('CPU')</script>"],
        "panels": {"_t": "a", "0": {"type": ["text", "graph"]}, "1": [{"id": 3}]},
    });
    assert_eq!(delta.body, expected);
    let back = diff(&admin, version(2), version(1), json!("delta")).await.expect(200);
    assert_eq!(back.body["panels"]["_1"], json!([{"id": 3}, 0, 0]));
    assert_eq!(diff(&admin, version(1), version(1), json!("delta")).await.expect(200).body, json!({}));
}

#[tokio::test]
async fn needs_two_versions_that_are_there() {
    let (server, id) = server().await;
    let admin = server.admin();
    let version = |version: i64| json!({"dashboardId": id, "version": version});
    let basic = || json!("basic");
    diff(&admin, version(1), version(9), basic()).await.expect_message(404, "Dashboard version not found");
    diff(&admin, version(1), json!({"dashboardId": 9999, "version": 1}), basic())
        .await
        .expect_message(404, "Dashboard not found");
    diff(&admin, version(1), json!({"uid": "gone", "version": 1}), basic()).await.expect(404);
    diff(&admin, json!({"version": 1}), version(1), basic())
        .await
        .expect_message(400, "base.dashboardId is invalid");
    diff(&admin, version(1), json!({"uid": "cpu"}), basic())
        .await
        .expect_message(400, "new.version is invalid");
    diff(&admin, version(1), version(2), json!("other")).await.expect(400);
    diff(&admin, Value::Null, Value::Null, Value::Null).await.expect(400);
    let other = server.new_org("Other").await;
    diff(&admin.in_org(other), version(1), version(2), basic()).await.expect(404);
}
