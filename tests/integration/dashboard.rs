//! Dashboards and their versions through HTTP.

use kymograph_tests::TestServer;
use serde_json::{Value, json};

#[tokio::test]
async fn real_dashboards_come_back_equal_in_meaning() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dashboards");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document["id"] = Value::Null;
        let save = json!({"dashboard": document, "overwrite": true, "message": "imported"});
        let saved = admin.post("/api/dashboards/db", &save).await.expect(200).body;
        let uid = saved["uid"].as_str().unwrap();
        let path = format!("/api/dashboards/uid/{uid}");
        let read = admin.get(&path).await.expect(200).body;
        for member in ["id", "uid", "version"] {
            document[member] = saved[member].clone();
        }
        assert_eq!(read["dashboard"], document);

        let mut changed = document.clone();
        changed["title"] = json!("Changed");
        admin.post("/api/dashboards/db", &json!({"dashboard": changed})).await.expect(200);
        let restored = admin.post(&format!("{path}/restore"), &json!({"version": 1})).await.expect(200).body;
        document["version"] = json!(3);
        assert_eq!(restored["version"], 3);
        assert_eq!(admin.get(&path).await.expect(200).body["dashboard"], document);
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[tokio::test]
async fn versions_are_listed_in_pages_and_read() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for number in 1..=5 {
        let document = json!({"title": "CPU", "uid": "cpu", "number": number});
        let save = json!({"dashboard": document, "overwrite": true, "message": format!("change {number}")});
        let saved = admin.post("/api/dashboards/db", &save).await.expect(200).body;
        assert_eq!(saved["version"], number);
    }
    let path = "/api/dashboards/uid/cpu/versions";
    let numbers = |body: &Value| -> Vec<i64> {
        body["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version["version"].as_i64().unwrap())
            .collect()
    };
    let first = admin.get(&format!("{path}?limit=2")).await.expect(200).body;
    assert_eq!(numbers(&first), [5, 4]);
    assert_eq!(first["versions"][0]["message"], "change 5");
    assert_eq!(first["versions"][0]["createdBy"], "admin");
    let token = first["continueToken"].as_str().unwrap();
    let second = admin.get(&format!("{path}?limit=2&continueToken={token}")).await.expect(200).body;
    assert_eq!(numbers(&second), [3, 2]);
    assert_eq!(numbers(&admin.get(&format!("{path}?limit=2&start=4")).await.expect(200).body), [1]);
    let all = admin.get(&format!("{path}?limit=0")).await.expect(200).body;
    assert_eq!((numbers(&all).len(), all["continueToken"].as_str()), (5, Some("")));

    let third = admin.get(&format!("{path}/3")).await.expect(200).body;
    assert_eq!((&third["data"]["number"], &third["data"]["version"]), (&json!(3), &json!(3)));
    admin.get(&format!("{path}/9")).await.expect_message(404, "Dashboard version not found");
    admin.get(&format!("{path}/x")).await.expect(404);
    admin.post("/api/dashboards/uid/cpu/restore", &json!({"version": 9})).await.expect(404);
    admin.post("/api/dashboards/uid/cpu/restore", &json!({})).await.expect(400);
}

#[tokio::test]
async fn conflicts_are_told_as_clients_expect() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let save = |document: Value, overwrite: bool| json!({"dashboard": document, "overwrite": overwrite});
    let cpu = json!({"title": "CPU", "uid": "cpu"});
    admin.post("/api/dashboards/db", &save(cpu.clone(), false)).await.expect(200);
    let stale = admin.post("/api/dashboards/db", &save(cpu.clone(), false)).await.expect(412);
    assert_eq!(stale.body["status"], "version-mismatch");
    assert_eq!(stale.body["message"], "The dashboard has been changed by someone else");
    admin.post("/api/dashboards/db", &save(cpu.clone(), true)).await.expect(200);
    let seen = json!({"title": "CPU", "uid": "cpu", "version": 2});
    admin.post("/api/dashboards/db", &save(seen, false)).await.expect(200);

    let by_id = admin.get("/api/dashboards/uid/cpu").await.expect(200).body["dashboard"]["id"].clone();
    let by_id = json!({"title": "CPU", "id": by_id, "version": 3});
    let saved = admin.post("/api/dashboards/db", &save(by_id, false)).await.expect(200).body;
    assert_eq!((&saved["uid"], &saved["version"]), (&json!("cpu"), &json!(4)));
    admin.post("/api/dashboards/db", &save(json!({"title": "CPU", "id": 9999}), false)).await.expect(404);
}

#[tokio::test]
async fn a_recreated_one_starts_a_new_history() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let save = json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "overwrite": true});
    let first = admin.post("/api/dashboards/db", &save).await.expect(200).body;
    admin.post("/api/dashboards/db", &save).await.expect(200);
    admin.delete("/api/dashboards/uid/cpu").await.expect_message(200, "Dashboard CPU deleted");
    admin.get("/api/dashboards/uid/cpu").await.expect_message(404, "Dashboard not found");
    admin.delete("/api/dashboards/uid/cpu").await.expect(404);
    admin.get("/api/dashboards/uid/cpu/versions").await.expect(404);
    let again = admin.post("/api/dashboards/db", &save).await.expect(200).body;
    assert_eq!(again["version"], 1);
    assert_ne!(again["id"], first["id"]);
    let versions = admin.get("/api/dashboards/uid/cpu/versions").await.expect(200).body;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_input_is_told_clearly_and_loses_nothing() {
    let server = TestServer::with_settings(&["server.max_body=100KiB"]).await;
    let admin = server.admin();
    let post = |body: Value| {
        let admin = admin.clone();
        async move { admin.post("/api/dashboards/db", &body).await }
    };
    post(json!({})).await.expect(400);
    post(json!({"dashboard": []})).await.expect(400);
    post(json!({"dashboard": {"title": ""}})).await.expect_message(400, "Dashboard title cannot be empty");
    post(json!({"dashboard": {"title": "x", "uid": "a b"}})).await.expect(400);
    post(json!({"dashboard": {"title": "x", "uid": "x".repeat(41)}})).await.expect(400);
    post(json!({"dashboard": {"title": "x", "uid": 7}})).await.expect(400);
    post(json!({"dashboard": {"title": "x", "tags": ["a\u{0}b"]}})).await.expect(400);
    post(json!({"dashboard": {"title": "x"}, "folderUid": "gone"}))
        .await
        .expect_message(400, "folder not found");
    post(json!({"dashboard": {"title": "x", "text": "x".repeat(200_000)}})).await.expect(413);

    let request = admin.request(axum::http::Method::POST, "/api/dashboards/db");
    let malformed = request.header("content-type", "application/json").body("{\"dashboard\": ");
    admin.send(malformed).await.expect(400);
    let request = admin.request(axum::http::Method::POST, "/api/dashboards/db");
    admin.send(request.header("content-type", "text/plain").body("{}")).await.expect(415);
    let deep = "[".repeat(100_000);
    let request = admin.request(axum::http::Method::POST, "/api/dashboards/db");
    admin.send(request.header("content-type", "application/json").body(deep)).await.expect(400);
    assert_eq!(admin.get("/api/search").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn says_all_that_clients_read_in_meta() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Ops Team", "uid": "ops"})).await.expect(200);
    let save = json!({"dashboard": {"title": "CPU Load", "uid": "cpu"}, "folderUid": "ops"});
    let saved = admin.post("/api/dashboards/db", &save).await.expect(200).body;
    assert_eq!((&saved["url"], &saved["slug"]), (&json!("/d/cpu/cpu-load"), &json!("cpu-load")));
    let read = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    let meta = &read["meta"];
    assert_eq!(meta["folderUrl"], "/dashboards/f/ops/ops-team");
    assert_eq!(meta["folderTitle"], "Ops Team");
    assert_eq!(
        (&meta["canSave"], &meta["canDelete"], &meta["canAdmin"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert!(read["dashboard"]["id"].is_i64() && read["dashboard"]["version"].is_i64());

    admin.put("/api/folders/ops", &json!({"title": "Renamed", "overwrite": true})).await.expect(200);
    let read = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    assert_eq!(read["meta"]["folderTitle"], "Renamed");

    for version in ["", "v0alpha1", "v1", "dashboard.grafana.app/v1beta1"] {
        admin.get(&format!("/api/dashboards/uid/cpu?apiVersion={version}")).await.expect(200);
    }
    for version in ["v2", "v2beta1", "playlist.grafana.app/v1", "x"] {
        admin.get(&format!("/api/dashboards/uid/cpu?apiVersion={version}")).await.expect(406);
    }

    let (viewer, _) = server.new_member(1, "ann", "Viewer").await;
    let meta = viewer.get("/api/dashboards/uid/cpu").await.expect(200).body["meta"].clone();
    assert_eq!((&meta["canSave"], &meta["canDelete"]), (&json!(false), &json!(false)));
    let denied = viewer.post("/api/dashboards/db", &save).await.expect(403);
    assert!(denied.body["message"].as_str().unwrap().contains("dashboards:write"), "{}", denied.text);
    viewer.delete("/api/dashboards/uid/cpu").await.expect(403);
}

#[tokio::test]
async fn titles_need_not_be_unique() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    for overwrite in [false, true, false] {
        let save = json!({"dashboard": {"title": "CPU"}, "folderUid": "ops", "overwrite": overwrite});
        let saved = admin.post("/api/dashboards/db", &save).await.expect(200).body;
        assert_eq!(saved["version"], 1);
    }
    let hits = admin.get("/api/search?query=CPU").await.expect(200).body;
    assert_eq!(hits.as_array().unwrap().len(), 3);
    // The same applies to folders.
    for _ in 0..2 {
        admin.post("/api/folders", &json!({"title": "Same"})).await.expect(200);
    }
}

#[tokio::test]
async fn titles_and_messages_have_their_bounds() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let save = |title: &str, message: &str| json!({"dashboard": {"title": title}, "message": message});
    for (title, message, status, told) in [
        ("", "", "empty-name", "Dashboard title cannot be empty"),
        (" ", "", "empty-name", "Dashboard title cannot be empty"),
        (
            &*"é".repeat(5001),
            "",
            "title-too-long",
            "Dashboard title cannot contain more than 5000 characters",
        ),
    ] {
        let refused = admin.post("/api/dashboards/db", &save(title, message)).await.expect_message(400, told);
        assert_eq!(refused.body["status"], status);
    }
    let refused = admin.post("/api/dashboards/db", &save("CPU", &"é".repeat(501))).await;
    refused.expect_message(400, "message too long, max 500 characters");

    let title = "é".repeat(5000);
    let saved = admin.post("/api/dashboards/db", &save(&title, &"é".repeat(500))).await.expect(200).body;
    let path = format!("/api/dashboards/uid/{}", saved["uid"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.expect(200).body["dashboard"]["title"], *title);
    // Lists truncate it like other titles.
    let hits = admin.get("/api/search?type=dash-db").await.expect(200).body;
    assert_eq!(hits[0]["title"], "é".repeat(380));
    admin.delete(&path).await.expect(200);
}

#[tokio::test]
async fn one_of_another_schema_is_kept_and_read_back_as_it_is() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let spec = |title: &str| json!({"title": title, "tags": ["a"], "elements": {"p": {"kind": "Panel"}}, "layout": {"kind": "GridLayout"}});
    let resource = |title: &str, version: &str| {
        json!({
            "apiVersion": format!("dashboard.grafana.app/{version}"), "kind": "Dashboard",
            "metadata": {"name": "cpu", "annotations": {"a": "b"}}, "spec": spec(title),
        })
    };
    // The document of the API describes classic dashboards; a resource has no title of its own.
    let save = async |dashboard: Value, overwrite: bool| {
        let body = json!({"dashboard": dashboard, "overwrite": overwrite});
        let answer =
            admin.request(reqwest::Method::POST, "/api/dashboards/db").json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, saved) = save(resource("CPU", "v2beta1"), false).await;
    assert_eq!(
        (status, &saved["uid"], &saved["version"], &saved["title"]),
        (200, &json!("cpu"), &json!(1), &json!("CPU"))
    );
    let path = "/api/dashboards/uid/cpu";
    for asked in ["v2beta1", "dashboard.grafana.app/v2beta1"] {
        let read = admin.get(&format!("{path}?apiVersion={asked}")).await.expect(200).body;
        assert_eq!(read["meta"]["apiVersion"], "v2beta1");
        let mut expected = spec("CPU");
        expected["id"] = saved["id"].clone();
        expected["uid"] = json!("cpu");
        expected["version"] = json!(1);
        assert_eq!(read["dashboard"], expected);
    }
    for asked in ["", "?apiVersion=v1", "?apiVersion=v2alpha1"] {
        let refused = admin.get(&format!("{path}{asked}")).await.expect(406);
        assert!(refused.body["message"].as_str().unwrap().contains("apiVersion=v2beta1"), "{}", refused.text);
    }
    // It can be found, versioned and restored like any other.
    assert_eq!(admin.get("/api/search?query=cpu&tag=a").await.expect(200).body[0]["uid"], "cpu");
    assert_eq!(save(resource("CPU 2", "v2beta1"), false).await.0, 412);
    assert_eq!(save(resource("CPU 2", "v2beta1"), true).await.1["version"], 2);
    let first = admin.get(&format!("{path}/versions/1")).await.expect(200).body;
    assert_eq!((&first["data"]["title"], &first["data"]["elements"]), (&json!("CPU"), &spec("")["elements"]));
    admin.post(&format!("{path}/restore"), &json!({"version": 1})).await.expect(200);
    let read = admin.get(&format!("{path}?apiVersion=v2beta1")).await.expect(200).body;
    assert_eq!((&read["dashboard"]["title"], &read["dashboard"]["version"]), (&json!("CPU"), &json!(3)));

    // For the classic schema, the resource around it is removed, and it is read like any other.
    let classic = json!({
        "apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "metadata": {"name": "ram"},
        "spec": {"title": "RAM", "panels": []},
    });
    assert_eq!(save(classic, false).await.0, 200);
    let read = admin.get("/api/dashboards/uid/ram").await.expect(200).body;
    assert_eq!((&read["dashboard"]["title"], &read["dashboard"]["spec"]), (&json!("RAM"), &json!(null)));
    admin.get("/api/dashboards/uid/ram?apiVersion=v2beta1").await.expect(406);

    for wrong in [
        spec("Unnamed"),
        json!({"kind": "Dashboard", "metadata": {"name": "x"}, "spec": spec("x")}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {}}),
        json!({"apiVersion": "dashboard.grafana.app/v2beta1", "kind": "Dashboard", "metadata": {"name": "x"}}),
        json!({"apiVersion": "dashboard.grafana.app/v2beta1", "id": 5, "spec": spec("x")}),
    ] {
        let (status, answer) = save(wrong, true).await;
        assert_eq!(status, 400, "{answer}");
    }
}
