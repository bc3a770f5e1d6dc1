//! Exports of the audit log: their contents and their cost.

use std::time::Duration;

use kymograph_tests::{Client, ServerProcess, TestServer};
use serde_json::{Value, json};

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

#[tokio::test]
async fn exports_say_what_was_changed_if_that_is_asked_for() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    for number in 1..=12 {
        let title = format!("CPU {number}");
        let dashboard =
            json!({"uid": "changing", "title": title, "panels": [{"id": number, "title": title}]});
        let save = json!({"dashboard": dashboard, "overwrite": true});
        admin.post("/api/dashboards/db", &save).await.expect(200);
    }
    let export = "/api/audit/events/export?changes=true";
    for filter in ["", "&action=dashboard.*", "&order=newest", "&actor=nobody"] {
        let order = if filter.contains("newest") { "" } else { "&order=oldest" };
        let all = events(&admin, &format!("limit=100&changes=true{filter}{order}")).await;
        let text = admin.get(&format!("{export}{filter}")).await.expect(200).text;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, all, "{filter}");
        assert!(filter.contains("nobody") || lines.iter().any(|line| line["changes"].is_array()), "{filter}");
    }
    let filter = "&format=csv&targetType=dashboard&targetUid=changing&action=dashboard.updated";
    let csv = admin.get(&format!("{export}{filter}")).await.expect(200).text;
    let columns: Vec<_> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(columns.last(), Some(&"summary"));
    let version = columns.iter().position(|column| *column == "targetVersion").unwrap();
    for (index, line) in csv.lines().skip(1).enumerate() {
        assert_eq!(line.split(',').nth(version).unwrap(), (index + 2).to_string(), "{line}");
        let summary = line.rsplit(',').next().unwrap();
        assert!(summary.contains(&format!("CPU {}", index + 2)) && summary.contains("; "), "{line}");
    }
    let plain = admin.get("/api/audit/events/export?format=csv").await.expect(200).text;
    assert!(plain.lines().next().unwrap().ends_with(",reason,count,query"), "{plain}");
}

/// Adds many events to the log of an org, complete enough to be read as entries.
async fn fill_log(client: &tokio_postgres::Client, org: i64, number: i64) {
    let sql = format!(
        "INSERT INTO events SELECT org_id, pos + n, 'dashboard-filler', 'dashboard', n, 'dashboard.updated', 1,
            recorded_at + n * interval '1 second', actor_id, actor_login, 'filler', 'filler', meta, '{{}}', 0, ''
        FROM events, generate_series(1, {number}) AS n
        WHERE org_id = {org} AND pos = (SELECT max(pos) FROM events WHERE org_id = {org})"
    );
    client.batch_execute(&sql).await.unwrap();
    client
        .batch_execute(&format!("UPDATE heads SET pos = pos + {number} WHERE org_id = {org}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_long_export_is_complete_and_ends_with_what_was_there_when_it_began() {
    let server = TestServer::start().await;
    fill_log(&server.database.connect().await, 1, 9_990).await;
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
    fill_log(&server.database.connect().await, 1, 100_000).await;
    let admin = server.admin();
    let mut response = stall(&admin).await.unwrap();
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

/// Begins an export and reads only its beginning; returns the status if it fails.
async fn stall(client: &Client) -> Result<reqwest::Response, u16> {
    let request = client.request(reqwest::Method::GET, "/api/audit/events/export");
    let mut response = request.send().await.unwrap();
    if response.status() != 200 {
        return Err(response.status().as_u16());
    }
    assert!(response.chunk().await.unwrap().is_some());
    Ok(response)
}

#[tokio::test]
async fn no_org_keeps_another_from_its_exports() {
    let server = TestServer::start().await;
    let (admin, acme) = (server.admin(), server.admin().in_org(server.new_org("Acme").await));
    fill_log(&server.database.connect().await, 1, 100_000).await;
    let stalled = [stall(&admin).await.unwrap(), stall(&admin).await.unwrap()];
    let refused = admin.get("/api/audit/events/export").await;
    refused.expect_message(429, "Too many exports of this org at once, try again shortly");
    acme.get("/api/audit/events/export").await.expect(200);
    admin.get("/api/admin/audit/events/export").await.expect(200);
    let metrics = server.anonymous().get("/metrics").await.expect(200).text;
    assert!(metrics.contains("kymograph_overload_total{what=\"exports-of-org\"} 1\n"), "{metrics}");
    drop(stalled);
    export_again(&admin, "", 100_002).await;
}

/// Waits until an export is admitted again, which must be complete.
async fn export_again(client: &Client, filter: &str, entries: usize) {
    for _ in 0..300 {
        let answer = client.get(&format!("/api/audit/events/export{filter}")).await;
        if answer.status != 429 {
            assert_eq!(answer.expect(200).text.lines().count(), entries);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no export was begun any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_stalled_exports_than_slots_lock_nobody_out_and_cost_bounded_memory() {
    const MEBIBYTE: usize = 1024 * 1024;
    let server = ServerProcess::start_with("stalled", &[("GF_SERVER_WRITE_TIMEOUT", "8s")]).await;
    let (admin, database) = (server.admin(), server.database().await);
    let mut clients = vec![admin.clone()];
    for number in 0..4 {
        let org = json!({"name": format!("org {number}")});
        let org = admin.post("/api/orgs", &org).await.expect(200).body["orgId"].as_i64().unwrap();
        clients.push(admin.clone().in_org(org));
    }
    for org in 1..=5 {
        fill_log(&database, org, 60_000).await;
    }
    let before = server.resident_memory();
    // All at once, so that none is cut off before the last one is refused.
    let stall_each = |client: &Client| {
        let client = client.clone();
        tokio::spawn(async move { stall(&client).await })
    };
    let stalling: Vec<_> = clients.iter().chain(&clients).map(stall_each).collect();
    let (mut stalled, mut refused) = (Vec::new(), 0);
    for answer in stalling {
        match answer.await.unwrap() {
            Ok(response) => stalled.push(response),
            Err(status) => {
                assert_eq!(status, 429);
                refused += 1;
            }
        }
    }
    assert_eq!((stalled.len(), refused), (8, 2));
    // Within this time all of them could have been read to the end.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = server.resident_memory();
    assert!(during < before + 160 * MEBIBYTE, "{before} bytes became {during}");
    export_again(&admin, "", 60_002).await;
    for client in &clients {
        export_again(client, "?action=org.created", 1).await;
    }
    // The stalled clients were cut off.
    for mut response in stalled {
        let is_cut = loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                end => break end.is_err(),
            }
        };
        assert!(is_cut, "a part of an export must not look like the whole");
    }
}
