//! The trash of dashboards through HTTP.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn save(client: &Client, uid: &str, folder: &str) -> Value {
    let document = json!({"title": uid.to_uppercase(), "uid": uid, "tags": ["host"]});
    let body = json!({"dashboard": document, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &body).await.expect(200).body
}

async fn found(client: &Client, query: &str) -> Vec<Value> {
    let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
    hits.as_array().unwrap().iter().map(|hit| hit["uid"].clone()).collect()
}

async fn restore(client: &Client, uid: &str, body: Value) -> kymograph_tests::Answer {
    client.patch(&format!("/api/dashboards/uid/{uid}/trash"), &body).await
}

#[tokio::test]
async fn a_deleted_dashboard_comes_back_with_its_history() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    save(&admin, "cpu", "ops").await;
    let saved = save(&admin, "cpu", "ops").await;
    save(&admin, "ram", "").await;
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    for query in ["type=dash-db", "folderUIDs=ops", "query=cpu", "tag=host", "dashboardUIDs=cpu"] {
        assert!(!found(&admin, query).await.contains(&json!("cpu")), "{query}");
    }
    assert_eq!(
        admin.get("/api/dashboards/tags").await.expect(200).body,
        json!([{"term": "host", "count": 1}])
    );
    assert_eq!(admin.get("/api/folders/ops/counts").await.expect(200).body["dashboard"], 0);

    let hits = admin.get("/api/search?deleted=true").await.expect(200).body;
    assert_eq!(hits.as_array().unwrap().len(), 1);
    assert_eq!((&hits[0]["uid"], &hits[0]["isDeleted"]), (&json!("cpu"), &json!(true)));
    assert_eq!((&hits[0]["folderUid"], &hits[0]["tags"]), (&json!("ops"), &json!(["host"])));
    for query in ["query=ram", "type=dash-folder", "folderUIDs=general", "page=2"] {
        assert_eq!(found(&admin, &format!("deleted=true&{query}")).await, Vec::<Value>::new(), "{query}");
    }

    let restored = restore(&admin, "cpu", json!({})).await.expect_message(200, "Dashboard CPU restored");
    assert_eq!((&restored.body["uid"], &restored.body["title"]), (&json!("cpu"), &json!("CPU")));
    assert_eq!(found(&admin, "deleted=true").await, Vec::<Value>::new());
    let read = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    assert_eq!((&read["dashboard"]["id"], &read["dashboard"]["version"]), (&saved["id"], &json!(2)));
    assert_eq!(read["meta"]["folderUid"], "ops");
    let versions = admin.get("/api/dashboards/uid/cpu/versions").await.expect(200).body;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    restore(&admin, "cpu", json!({})).await.expect_message(404, "Dashboard not found");
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_deleted_with_its_folder_needs_another_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (uid, parent) in [("ops", ""), ("inner", "ops"), ("other", "")] {
        let folder = json!({"title": uid, "uid": uid, "parentUid": parent});
        admin.post("/api/folders", &folder).await.expect(200);
    }
    save(&admin, "cpu", "inner").await;
    save(&admin, "ram", "ops").await;
    admin.delete("/api/folders/ops?forceDeleteRules=true").await.expect(200);
    assert_eq!(found(&admin, "deleted=true").await, [json!("cpu"), json!("ram")]);
    restore(&admin, "cpu", json!({})).await.expect_message(400, "folder not found");
    restore(&admin, "cpu", json!({"folderUid": "gone"})).await.expect(400);
    restore(&admin, "cpu", json!({"folderUid": "other"})).await.expect(200);
    restore(&admin, "ram", json!({"folderUid": ""})).await.expect(200);
    assert_eq!(found(&admin, "folderUIDs=other").await, [json!("cpu")]);
    assert_eq!(found(&admin, "folderUIDs=general&type=dash-db").await, [json!("ram")]);
}

#[tokio::test]
async fn a_new_one_takes_the_place_of_the_deleted_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    let again = save(&admin, "cpu", "").await;
    assert_eq!(again["version"], 1);
    assert_eq!(found(&admin, "deleted=true").await, Vec::<Value>::new());
    restore(&admin, "cpu", json!({})).await.expect(404);
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect(404);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    restore(&admin, "cpu", json!({})).await.expect(200);
    let read = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    assert_eq!(read["dashboard"]["id"], again["id"]);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_purged_is_only_in_the_log() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect(404);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect_message(200, "Dashboard CPU deleted");
    assert_eq!(found(&admin, "deleted=true").await, Vec::<Value>::new());
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect(404);
    restore(&admin, "cpu", json!({})).await.expect(404);
    let events = "SELECT string_agg(type, ' ' ORDER BY pos) FROM events WHERE stream_id = 'dashboard-cpu'";
    let events: String = server.database.scalar(events).await;
    assert_eq!(events, "dashboard.created dashboard.deleted dashboard.purged");
    assert_eq!(save(&admin, "cpu", "").await["version"], 1);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_trash_is_for_who_may_change_dashboards() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    let (editor, _) = server.new_member(1, "edith", "Editor").await;
    save(&admin, "cpu", "").await;
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    assert_eq!(found(&viewer, "deleted=true").await, Vec::<Value>::new());
    restore(&viewer, "cpu", json!({})).await.expect(403);
    viewer.delete("/api/dashboards/uid/cpu/trash").await.expect(403);
    assert_eq!(found(&editor, "deleted=true").await, [json!("cpu")]);
    restore(&editor, "cpu", json!({})).await.expect(200);
}

#[tokio::test]
async fn another_folder_with_the_uid_of_a_deleted_one_opens_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (edith, edith_id) = server.new_member(1, "edith", "Editor").await;
    admin.post("/api/folders", &json!({"title": "Secret", "uid": "secret"})).await.expect(200);
    admin.post("/api/folders/secret/permissions", &json!({"items": []})).await.expect(200);
    for uid in ["alone", "with", "granted"] {
        save(&admin, uid, "secret").await;
    }
    let list = json!({"items": [{"userId": edith_id, "permission": 2}]});
    admin.post("/api/dashboards/uid/granted/permissions", &list).await.expect(200);
    let position = "SELECT pos FROM heads WHERE org_id = 1";
    let position: i64 = server.database.scalar(position).await;
    admin.delete("/api/dashboards/uid/alone").await.expect(200);
    admin.delete("/api/folders/secret").await.expect(200);
    edith.post("/api/folders", &json!({"title": "Mine", "uid": "secret"})).await.expect(200);

    assert_eq!(found(&edith, "deleted=true").await, [json!("granted")]);
    assert_eq!(found(&edith, "deleted=true&folderUIDs=secret").await, [json!("granted")]);
    for uid in ["alone", "with"] {
        let path = format!("/api/dashboards/uid/{uid}");
        restore(&edith, uid, json!({})).await.expect(403);
        restore(&edith, uid, json!({"folderUid": ""})).await.expect(403);
        edith.delete(&format!("{path}/trash")).await.expect(403);
        edith.get(&format!("{path}?at={position}")).await.expect(403);
        let save = json!({"dashboard": {"title": "Mine", "uid": uid}, "overwrite": true});
        edith.post("/api/dashboards/db", &save).await.expect(403);
        admin.get(&format!("{path}?at={position}")).await.expect(200);
        admin.delete(&format!("{path}/trash")).await.expect(200);
        // A version that is only in the log does not become readable through a new dashboard with its uid, either.
        edith.get(&format!("{path}?at={position}")).await.expect(403);
        edith.post("/api/dashboards/db", &save).await.expect(200);
        edith.get(&format!("{path}?at={position}")).await.expect(403);
    }
    edith.get(&format!("/api/dashboards/uid/granted?at={position}")).await.expect(200);
    edith.get(&format!("/api/folders/secret?at={position}")).await.expect(403);
    // The new folder is independent of the old one: nothing is restored into it unless it is named explicitly.
    let there = json!({"folderUid": "secret"});
    restore(&admin, "granted", json!({})).await.expect_message(400, "folder not found");
    admin.post("/api/folders/secret/permissions", &json!({"items": []})).await.expect(200);
    restore(&edith, "granted", there.clone()).await.expect(403);
    admin.post("/api/folders/secret/permissions", &list).await.expect(200);
    restore(&edith, "granted", json!({})).await.expect_message(400, "folder not found");
    restore(&edith, "granted", there).await.expect(200);
    // Restoring a dashboard to the folder it was in requires no permission on that.
    admin.post("/api/folders/secret/permissions", &json!({"items": []})).await.expect(200);
    edith.delete("/api/dashboards/uid/granted").await.expect(200);
    restore(&edith, "granted", json!({})).await.expect(200);
}
