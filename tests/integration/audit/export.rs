//! Exports of the audit log: what is in them, and what they cost.

use std::time::Duration;

use kymograph_tests::TestServer;
use serde_json::Value;

use super::{busy_server, events, save};

#[tokio::test]
async fn exports_have_all_that_the_filter_finds() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    let evil = admin.clone().with_header("user-agent", "=HYPERLINK(\"http://evil\")");
    save(&evil, "evil", 1).await;
    for filter in ["", "&action=dashboard.*", "&actor=ann", "&order=newest"] {
        let order = if filter.contains("newest") { "" } else { "&order=oldest" };
        let all = events(&admin, &format!("limit=1000{filter}{order}")).await;
        let answer = admin.get(&format!("/api/audit/events/export?format=ndjson{filter}")).await.expect(200);
        assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, all, "{filter}");
        let csv = admin.get(&format!("/api/audit/events/export?format=csv{filter}")).await.expect(200);
        assert_eq!(csv.text.lines().count(), all.len() + 1, "{filter}");
    }
    let csv = admin.get("/api/audit/events/export?format=csv").await.expect(200);
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("audit.csv"));
    assert!(csv.text.starts_with("id,orgId,occurredAt,action,"));
    assert!(csv.text.contains(",\"'=HYPERLINK(\"\"http://evil\"\")\","), "{}", csv.text);
    let none = admin.get("/api/audit/events/export?format=csv&actor=nobody").await.expect(200);
    assert_eq!(none.text.lines().count(), 1);
    let server_log = admin.get("/api/admin/audit/events/export").await.expect(200).text;
    assert!(
        server_log.lines().all(|line| line.contains("\"orgId\":0")) && server_log.contains("user.created")
    );
}

/// Adds many events to the log of an org, as far as reading them as entries goes.
async fn fill_log(server: &TestServer, number: i64) {
    let sql = format!(
        "INSERT INTO events SELECT org_id, pos + n, 'dashboard-filler', 'dashboard', n, 'dashboard.updated', 1,
            recorded_at + n * interval '1 second', actor_id, actor_login, 'filler', 'filler', meta, '{{}}', 0, ''
        FROM events, generate_series(1, {number}) AS n
        WHERE org_id = 1 AND pos = (SELECT max(pos) FROM events WHERE org_id = 1)"
    );
    let client = server.database.connect().await;
    client.batch_execute(&sql).await.unwrap();
    client.batch_execute(&format!("UPDATE heads SET pos = pos + {number} WHERE org_id = 1")).await.unwrap();
}

#[tokio::test]
async fn a_long_export_is_complete_and_ends_with_what_was_there_when_it_began() {
    let server = TestServer::start().await;
    fill_log(&server, 9_990).await;
    let answer = server.admin().get("/api/audit/events/export").await.expect(200);
    let ids: Vec<_> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, (1..=9_992).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_stops_reading_keeps_neither_memory_nor_a_connection() {
    let server = TestServer::with_settings(&["server.write_timeout=1s"]).await;
    fill_log(&server, 100_000).await;
    let admin = server.admin();
    let request = admin.request(reqwest::Method::GET, "/api/audit/events/export");
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    // The client holds the connection open and reads no more, so that the kernel's buffers fill up.
    let connections = || server.open_connections();
    assert!(connections() > 0);
    for attempt in 0.. {
        if connections() == 0 {
            break;
        }
        assert!(attempt < 300, "the connection was kept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut is_whole = false;
    while let Ok(chunk) = response.chunk().await {
        if chunk.is_none() {
            is_whole = true;
            break;
        }
    }
    assert!(!is_whole, "a part of an export must not look like the whole");
    admin.get("/api/audit/events").await.expect(200);
}
