//! Orgs through HTTP.

use std::time::Duration;

use kymograph_tests::{Client, TestServer};
use serde_json::json;

#[tokio::test]
async fn are_created_changed_and_deleted_with_all_they_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let path = format!("/api/orgs/{acme}");
    admin.post("/api/orgs", &json!({"name": "Acme"})).await.expect_message(409, "Organization name taken");
    admin.post("/api/orgs", &json!({"name": " "})).await.expect(400);
    admin.put(&path, &json!({"name": "Acme Inc."})).await.expect_message(200, "Organization updated");
    admin.put(&path, &json!({"name": "Main Org."})).await.expect_message(400, "Organization name taken");
    let address = json!({"city": "Vienna", "zipcode": "1010"});
    admin.put(&format!("{path}/address"), &address).await.expect_message(200, "Address updated");
    let org = admin.get(&path).await.expect(200).body;
    assert_eq!((&org["name"], &org["address"]["zipCode"]), (&json!("Acme Inc."), &json!("1010")));
    assert_eq!(admin.get("/api/orgs/name/Acme%20Inc.").await.expect(200).body["id"], acme);

    let inside = admin.clone().in_org(acme);
    inside
        .post("/api/dashboards/db", &json!({"dashboard": {"title": "CPU", "uid": "cpu"}}))
        .await
        .expect(200);
    admin.delete(&path).await.expect_message(200, "Organization deleted");
    admin.delete(&path).await.expect_message(404, "Failed to delete organization. ID not found");
    admin.put(&path, &json!({"name": "x"})).await.expect_message(500, "Failed to update organization");
    admin.get(&path).await.expect(404);
    for table in ["dashboards", "dashboard_versions", "memberships"] {
        let rows: i64 =
            server.database.scalar(&format!("SELECT count(*) FROM {table} WHERE org_id = {acme}")).await;
        assert_eq!(rows, 0, "{table}");
    }
    let events: i64 =
        server.database.scalar(&format!("SELECT count(*) FROM events WHERE org_id = {acme}")).await;
    assert!(events >= 4, "the log of a deleted org is kept");
    admin.delete("/api/orgs/1").await.expect_message(400, "Cannot delete your active organization");
    admin.get("/api/orgs/x").await.expect_message(400, "orgId is invalid");
}

#[tokio::test]
async fn lists_count_pages_from_zero_and_end_with_an_empty_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for name in ["Alpha", "Beta"] {
        server.new_org(name).await;
    }
    let names = |body: &serde_json::Value| -> Vec<String> {
        body.as_array().unwrap().iter().map(|org| org["name"].as_str().unwrap().to_owned()).collect()
    };
    let pages = [
        ("?perpage=2&page=0", vec!["Alpha", "Beta"]),
        ("?perpage=2&page=1", vec!["Main Org."]),
        ("?perpage=2&page=2", vec![]),
        ("?query=a", vec!["Alpha", "Beta", "Main Org."]),
        ("?name=Beta", vec!["Beta"]),
        ("?query=%25", vec![]),
    ];
    for (query, expected) in pages {
        let answer = admin.get(&format!("/api/orgs{query}")).await.expect(200);
        assert_eq!(names(&answer.body), expected, "{query}");
    }
}

#[tokio::test]
async fn are_administered_by_server_admins_and_their_own_admins_only() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (editor, _) = server.new_member(acme, "eve", "Editor").await;
    let (owner, _) = server.new_member(acme, "olga", "Admin").await;
    editor.put("/api/org", &json!({"name": "x"})).await.expect(403);
    owner.put("/api/org", &json!({"name": "Acme 2"})).await.expect(200);
    assert_eq!(editor.get("/api/org").await.expect(200).body["name"], "Acme 2");
    for path in ["/api/orgs", "/api/orgs/1", "/api/orgs/name/Acme"] {
        owner.get(path).await.expect(403);
    }
    owner.post("/api/orgs", &json!({"name": "Mine"})).await.expect(403);
    owner.delete("/api/orgs/1").await.expect(403);
    owner.put("/api/orgs/1", &json!({"name": "Mine"})).await.expect(403);
}

/// Whether reads are answered while all tables are locked.
async fn answered_from_memory(server: &TestServer, reads: &[(&Client, &str)]) -> Vec<bool> {
    let mut holder = server.database.connect().await;
    let tables =
        "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = 'public'";
    let tables = server.database.scalar::<String>(tables).await;
    let lock = holder.transaction().await.unwrap();
    lock.batch_execute(&format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    let answers = reads.iter().map(|(client, path)| async move {
        let answer = tokio::time::timeout(Duration::from_secs(2), client.get(path)).await;
        answer.is_ok_and(|answer| answer.status == 200)
    });
    futures_util::future::join_all(answers).await
}

#[tokio::test]
async fn an_org_that_comes_or_goes_leaves_in_memory_what_belongs_to_others() {
    let server = TestServer::start().await;
    let (acme, beta) = (server.new_org("Acme").await, server.new_org("Beta").await);
    let admin = server.admin();
    let mut readers = Vec::new();
    for (org, login) in [(acme, "ann"), (beta, "ben")] {
        let (reader, _) = server.new_member(org, login, "Admin").await;
        reader.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
        let dashboard = json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "folderUid": "ops"});
        reader.post("/api/dashboards/db", &dashboard).await.expect(200);
        reader.get("/api/folders/ops").await.expect(200);
        reader.get("/api/dashboards/uid/cpu").await.expect(200);
        readers.push(reader);
    }
    let [ann, ben] = &readers[..] else { panic!() };
    let reads =
        [(ann, "/api/folders/ops"), (ann, "/api/dashboards/uid/cpu"), (ben, "/api/dashboards/uid/cpu")];
    assert_eq!(answered_from_memory(&server, &reads).await, [true, true, true]);
    server.new_org("Gamma").await;
    admin.put(&format!("/api/orgs/{beta}"), &json!({"name": "Beta 2"})).await.expect(200);
    assert_eq!(answered_from_memory(&server, &reads).await, [true, true, false]);
    admin.delete(&format!("/api/orgs/{beta}")).await.expect(200);
    assert_eq!(answered_from_memory(&server, &reads[..2]).await, [true, true]);
    ben.get("/api/dashboards/uid/cpu").await.expect(404);
    for path in ["/api/dashboards/uid/cpu", "/api/folders/ops"] {
        let answer = admin.clone().in_org(beta).get(path).await;
        assert!([403, 404].contains(&answer.status), "{path} of an org that is gone: {}", answer.text);
    }
}
