//! Searching through HTTP.

use kymograph_tests::TestServer;
use serde_json::{Value, json};

fn titles(body: &Value) -> Vec<&str> {
    body.as_array().unwrap().iter().map(|hit| hit["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn finds_by_words_tags_type_place_and_page() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Network", "uid": "net"})).await.expect(200);
    for (title, uid, tags, folder) in [
        ("CPU load", "cpu", json!(["host", "core"]), ""),
        ("Network load", "load", json!(["host"]), "net"),
        ("100% of it", "all", json!([]), "net"),
    ] {
        let document = json!({"title": title, "uid": uid, "tags": tags});
        admin
            .post("/api/dashboards/db", &json!({"dashboard": document, "folderUid": folder}))
            .await
            .expect(200);
    }
    for (query, expected) in [
        ("", vec!["Network", "100% of it", "CPU load", "Network load"]),
        ("query=LOAD+net", vec!["Network load"]),
        ("query=100%25", vec!["100% of it"]),
        ("query=_", vec![]),
        ("tag=host", vec!["CPU load", "Network load"]),
        ("tag=host&tag=core", vec!["CPU load"]),
        ("type=dash-folder", vec!["Network"]),
        ("type=dash-db&folderUIDs=net", vec!["100% of it", "Network load"]),
        ("folderUIDs=general&type=dash-db", vec!["CPU load"]),
        ("dashboardUIDs=cpu&dashboardUIDs=all", vec!["100% of it", "CPU load"]),
        ("limit=2", vec!["Network", "100% of it"]),
        ("limit=2&page=2", vec!["CPU load", "Network load"]),
        ("limit=2&page=3", vec![]),
        ("limit=0&page=0&query=cpu", vec!["CPU load"]),
    ] {
        let answer = admin.get(&format!("/api/search?{query}")).await.expect(200);
        assert_eq!(titles(&answer.body), expected, "{query}");
        admin.get(&format!("/api/search/?{query}")).await.expect(200);
    }
    let hit = admin.get("/api/search?query=network+load").await.expect(200).body[0].clone();
    assert_eq!((&hit["url"], &hit["type"]), (&json!("/d/load/network-load"), &json!("dash-db")));
    assert_eq!((&hit["folderUid"], &hit["folderTitle"]), (&json!("net"), &json!("Network")));
    admin.get("/api/search?type=unknown").await.expect_message(500, "Search failed");
}
