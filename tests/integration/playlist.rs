//! Playlists through HTTP.

use kymograph_domain::content::playlist::MAX_ITEMS;
use kymograph_tests::TestServer;
use serde_json::{Value, json};

fn tv(name: &str) -> Value {
    json!({"name": name, "interval": "10m", "items": [
        {"type": "dashboard_by_uid", "value": "cpu", "title": "CPU"}, {"type": "dashboard_by_tag", "value": "prod"},
    ]})
}

#[tokio::test]
async fn are_created_listed_changed_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let created = admin.post("/api/playlists", &tv("TV")).await.expect(200).body;
    let path = format!("/api/playlists/{}", created["uid"].as_str().unwrap());
    let lobby = admin.post("/api/playlists", &json!({"name": "Lobby"})).await.expect(200).body;
    assert_eq!((&lobby["interval"], lobby["items"].as_array().map(Vec::len)), (&json!("5m"), Some(0)));
    let playlist = admin.get(&path).await.expect(200).body;
    assert_eq!(playlist, created);
    assert_eq!((&playlist["name"], &playlist["interval"]), (&json!("TV"), &json!("10m")));
    let items = admin.get(&format!("{path}/items")).await.expect(200).body;
    assert_eq!(items, playlist["items"]);
    assert_eq!(items[1], json!({"type": "dashboard_by_tag", "value": "prod", "title": ""}));
    for (query, expected) in
        [("", vec!["Lobby", "TV"]), ("?query=tv", vec!["TV"]), ("?limit=1", vec!["Lobby"])]
    {
        let listed = admin.get(&format!("/api/playlists{query}")).await.expect(200).body;
        let names: Vec<_> =
            listed.as_array().unwrap().iter().map(|playlist| playlist["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    let changed = json!({"name": "TV 2", "interval": "1h", "items": []});
    assert_eq!(admin.put(&path, &changed).await.expect(200).body["name"], "TV 2");
    assert_eq!(admin.get(&path).await.expect(200).body["items"], json!([]));
    admin.delete(&path).await.expect_message(200, "Playlist deleted");
    admin.get(&path).await.expect_message(404, "Playlist not found");
    admin.delete(&path).await.expect_message(404, "Playlist not found");
    admin.put(&path, &changed).await.expect_message(404, "Playlist not found");
}

#[tokio::test]
async fn bad_ones_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let item = json!({"type": "dashboard_by_tag", "value": "prod"});
    let with_items = |count| json!({"name": "TV", "items": vec![item.clone(); count]});
    admin.post("/api/playlists", &with_items(MAX_ITEMS)).await.expect(200);
    let bad = [
        json!({}),
        json!({"name": " "}),
        json!({"name": "x".repeat(761)}),
        json!({"name": "TV", "interval": 5}),
        json!({"name": "TV", "items": [{"type": "dashboard_by_name", "value": "x"}]}),
        json!({"name": "TV", "items": [{"type": "dashboard_by_tag"}]}),
        json!({"name": "TV", "items": {}}),
        with_items(MAX_ITEMS + 1),
    ];
    for form in bad {
        admin.post("/api/playlists", &form).await.expect(400);
    }
    admin.get("/api/playlists/no%20uid").await.expect_message(404, "Playlist not found");
    assert_eq!(admin.get("/api/playlists").await.expect(200).body.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn are_undone_looked_back_at_and_kept_apart() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (editor, _) = server.new_member(acme, "eve", "Editor").await;
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    let uid = editor.post("/api/playlists", &tv("TV")).await.expect(200).body["uid"].clone();
    let path = format!("/api/playlists/{}", uid.as_str().unwrap());
    editor.put(&path, &json!({"name": "Lobby"})).await.expect(200);
    editor.delete(&path).await.expect(200);
    let history = editor.get(&format!("{path}/history")).await.expect(200).body;
    let actions: Vec<_> =
        history["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["playlist.deleted", "playlist.changed", "playlist.created"]);
    let undo = format!("/api/audit/events/{}/undo", history["entries"][0]["position"]);
    let preview = server.admin().in_org(acme).get(&undo).await.expect(200).body;
    assert_eq!(
        (&preview["steps"][0]["name"], &preview["steps"][0]["effect"]),
        (&json!("Lobby"), &json!("restore"))
    );
    server.admin().in_org(acme).post(&undo, &json!({})).await.expect(200);
    assert_eq!(viewer.get(&path).await.expect(200).body["name"], "Lobby");
    viewer.get(&format!("{path}/history")).await.expect(403);
    editor.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(200);
    assert_eq!(viewer.get(&format!("{path}/items")).await.expect(200).body.as_array().map(Vec::len), Some(2));
    viewer.put(&path, &tv("Mine")).await.expect(403);
    viewer.post(&format!("{path}/history/restore"), &json!({"version": 2})).await.expect(403);
    let denied = "/api/audit/events?outcome=denied";
    server.access.flush().await;
    let denied = server.admin().in_org(acme).get(denied).await.expect(200).body;
    assert_eq!(denied["events"][0]["targets"][0]["uid"], uid, "{denied}");
    server.admin().get(&path).await.expect(404);
    let begun = format!("/api/audit/events/{}/undo", history["entries"][2]["position"]);
    server.admin().in_org(acme).post(&begun, &json!({})).await.expect(200);
    editor.get(&path).await.expect(404);
}
