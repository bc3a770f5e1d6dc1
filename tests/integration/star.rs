//! Stars through HTTP.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn save(client: &Client, uid: &str) {
    let dashboard = json!({"dashboard": {"title": uid, "uid": uid}});
    client.post("/api/dashboards/db", &dashboard).await.expect(200);
}

async fn star(client: &Client, uid: &str) {
    let path = format!("/api/user/stars/dashboard/uid/{uid}");
    client.post(&path, &json!({})).await.expect_message(200, "Dashboard starred!");
}

async fn stars(client: &Client) -> Value {
    client.get("/api/user/stars").await.expect(200).body
}

/// Whether the dashboard and the search show it as starred.
async fn is_starred(client: &Client, uid: &str) -> [bool; 2] {
    let dashboard = client.get(&format!("/api/dashboards/uid/{uid}")).await.expect(200).body;
    let hits = client.get(&format!("/api/search?dashboardUIDs={uid}")).await.expect(200).body;
    [&dashboard["meta"]["isStarred"], &hits[0]["isStarred"]].map(|value| value.as_bool().unwrap())
}

#[tokio::test]
async fn a_star_is_the_users_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    save(&admin, "cpu").await;
    save(&admin, "ram").await;
    assert_eq!(is_starred(&viewer, "cpu").await, [false; 2]);
    star(&viewer, "ram").await;
    star(&viewer, "cpu").await;
    star(&viewer, "cpu").await;
    assert_eq!(stars(&viewer).await, json!(["cpu", "ram"]));
    assert_eq!(is_starred(&viewer, "cpu").await, [true; 2]);
    assert_eq!((stars(&admin).await, is_starred(&admin, "cpu").await), (json!([]), [false; 2]));

    let path = "/api/user/stars/dashboard/uid/cpu";
    viewer.delete(path).await.expect_message(200, "Dashboard unstarred");
    viewer.delete(path).await.expect_message(200, "Dashboard unstarred");
    viewer.delete("/api/user/stars/dashboard/uid/gone").await.expect(200);
    assert_eq!((stars(&viewer).await, is_starred(&viewer, "cpu").await), (json!(["ram"]), [false; 2]));
}

#[tokio::test]
async fn search_finds_what_is_starred() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu").await;
    save(&admin, "ram").await;
    // A folder may have the uid of a dashboard, and is not starred with it.
    admin.post("/api/folders", &json!({"title": "cpu", "uid": "cpu"})).await.expect(200);
    star(&admin, "cpu").await;
    for (query, found) in [("starred=true", 1), ("starred=True", 1), ("starred=false", 3), ("", 3)] {
        let hits = admin.get(&format!("/api/search?{query}")).await.expect(200).body;
        assert_eq!(hits.as_array().unwrap().len(), found, "{query}");
    }
    let hits = admin.get("/api/search?starred=true").await.expect(200).body;
    assert_eq!((&hits[0]["uid"], &hits[0]["type"]), (&json!("cpu"), &json!("dash-db")));
}

#[tokio::test]
async fn a_deleted_dashboard_keeps_its_stars_only_until_it_is_replaced() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu").await;
    star(&admin, "cpu").await;
    assert_eq!(is_starred(&admin, "cpu").await, [true; 2]);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    assert_eq!(stars(&admin).await, json!([]));
    admin.patch("/api/dashboards/uid/cpu/trash", &json!({})).await.expect(200);
    assert_eq!((stars(&admin).await, is_starred(&admin, "cpu").await), (json!(["cpu"]), [true; 2]));
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    save(&admin, "cpu").await;
    assert_eq!((stars(&admin).await, is_starred(&admin, "cpu").await), (json!([]), [false; 2]));
    star(&admin, "cpu").await;
    assert_eq!((stars(&admin).await, is_starred(&admin, "cpu").await), (json!(["cpu"]), [true; 2]));
}

#[tokio::test]
async fn what_cannot_be_read_cannot_be_starred() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu").await;
    for uid in ["gone", "a%20b"] {
        let path = format!("/api/user/stars/dashboard/uid/{uid}");
        admin.post(&path, &json!({})).await.expect_message(404, "Dashboard not found");
    }
    let path = "/api/user/stars/dashboard/uid/cpu";
    let other = server.new_org("Other").await;
    admin.clone().in_org(other).post(path, &json!({})).await.expect(404);
    let (nobody, _) = server.new_member(1, "nora", "None").await;
    nobody.post(path, &json!({})).await.expect(403);
    assert_eq!(stars(&nobody).await, json!([]));
    server.anonymous().post(path, &json!({})).await.expect(401);
}
