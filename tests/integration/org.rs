//! Orgs through HTTP.

use kymograph_tests::TestServer;
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
