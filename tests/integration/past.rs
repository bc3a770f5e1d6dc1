//! Reads as of an earlier time.

use std::time::Duration;

use kymograph_tests::{Client, ServerProcess, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

async fn save(client: &Client, uid: &str, title: &str, tags: Value, folder: &str) {
    let document = json!({"title": title, "uid": uid, "tags": tags});
    let save = json!({"dashboard": document, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

/// The position of the last event of org 1.
async fn now(server: &TestServer) -> i64 {
    server.database.scalar("SELECT pos FROM heads WHERE org_id = 1").await
}

async fn found(client: &Client, query: &str) -> Vec<String> {
    let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
    hits.as_array().unwrap().iter().map(|hit| hit["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dashboard_is_read_as_it_was() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, _) = server.new_member(1, "ann", "Editor").await;
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let before = now(&server).await;
    save(&admin, "cpu", "CPU", json!([]), "ops").await;
    let first = now(&server).await;
    admin.put("/api/folders/ops", &json!({"title": "Renamed", "overwrite": true})).await.expect(200);
    save(&ann, "cpu", "CPU load", json!(["x"]), "").await;
    let second = now(&server).await;
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    let deleted = now(&server).await;
    save(&ann, "cpu", "Another", json!([]), "").await;

    let read = admin.get(&format!("/api/dashboards/uid/cpu?at={first}")).await.expect(200).body;
    let (document, meta) = (&read["dashboard"], &read["meta"]);
    assert_eq!((&document["title"], &document["version"]), (&json!("CPU"), &json!(1)));
    assert_eq!((&meta["folderUid"], &meta["folderTitle"]), (&json!("ops"), &json!("Ops")));
    assert_eq!((&meta["createdBy"], &meta["updatedBy"]), (&json!("admin"), &json!("admin")));
    let path = format!("/api/dashboards/uid/cpu?at={second}");
    let later = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&later["dashboard"]["title"], &later["meta"]["updatedBy"]),
        (&json!("CPU load"), &json!("ann"))
    );
    assert_eq!((&later["dashboard"]["id"], &later["meta"]["createdBy"]), (&document["id"], &json!("admin")));
    let path = format!("/api/dashboards/uid/cpu?at={}", now(&server).await);
    assert_eq!(admin.get(&path).await.expect(200).body, admin.get("/api/dashboards/uid/cpu").await.body);

    let never = "Dashboard not found: it did not exist yet at that time";
    for at in [
        before.to_string(),
        "0".into(),
        "-5".into(),
        "1970-01-01T00:00:00Z".into(),
        "2001-01-01T00:00:00Z".into(),
    ] {
        admin.get(&format!("/api/dashboards/uid/cpu?at={at}")).await.expect_message(404, never);
    }
    let gone = "Dashboard not found: it was deleted at that time";
    admin.get(&format!("/api/dashboards/uid/cpu?at={deleted}")).await.expect_message(404, gone);
    admin.get(&format!("/api/dashboards/uid/none?at={deleted}")).await.expect_message(404, never);
}

#[tokio::test]
async fn times_are_given_in_three_ways() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "One", json!([]), "").await;
    let sql = "UPDATE events SET recorded_at = recorded_at - interval '2 hours' WHERE org_id = 1";
    server.database.connect().await.batch_execute(sql).await.unwrap();
    save(&admin, "cpu", "Two", json!([]), "").await;
    let entries = admin.get("/api/dashboards/uid/cpu/history").await.expect(200).body["entries"].clone();
    let first = entries[1]["recordedAt"].as_str().unwrap();
    let milliseconds: i64 =
        server.database.scalar("SELECT (extract(epoch FROM now() - interval '1 hour') * 1000)::bigint").await;
    for at in [first.to_owned(), milliseconds.to_string(), entries[1]["position"].to_string()] {
        let read = admin.get(&format!("/api/dashboards/uid/cpu?at={at}")).await.expect(200).body;
        assert_eq!(read["dashboard"]["title"], "One", "{at}");
    }
    let position = now(&server).await;
    for at in ["2999-01-01T00:00:00Z".to_owned(), "32503680000000".to_owned(), (position + 1).to_string()] {
        for path in ["/api/dashboards/uid/cpu", "/api/search", "/api/folders", "/api/folders/x"] {
            admin.get(&format!("{path}?at={at}")).await.expect_message(400, "at is in the future");
        }
    }
    for at in ["yesterday", "", "1e3", "9223372036854775808"] {
        for path in ["/api/dashboards/uid/cpu", "/api/search", "/api/folders", "/api/folders/x"] {
            let body = admin.get(&format!("{path}?at={at}")).await.expect(400).body;
            assert!(body["message"].as_str().unwrap().starts_with("at is invalid"), "{path} {at}");
        }
    }
    let trash = admin.get(&format!("/api/search?deleted=true&at={position}")).await;
    trash.expect_message(400, "at cannot be combined with deleted: the trash has no history");
}

#[tokio::test]
async fn folders_are_read_and_listed_as_they_were() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (uid, parent) in [("a", ""), ("b", ""), ("c", "a")] {
        let folder =
            json!({"title": uid.to_uppercase(), "uid": uid, "parentUid": parent, "description": "first"});
        admin.post("/api/folders", &folder).await.expect(200);
    }
    let first = now(&server).await;
    admin.post("/api/folders/c/move", &json!({"parentUid": "b"})).await.expect(200);
    let beta = json!({"title": "Beta", "description": "second", "overwrite": true});
    admin.put("/api/folders/b", &beta).await.expect(200);
    let second = now(&server).await;
    admin.delete("/api/folders/b").await.expect(200);
    let third = now(&server).await;

    let titles = |answer: Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|folder| folder["title"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        (format!("at={first}"), vec!["A", "B"]),
        (format!("at={first}&parentUid=a"), vec!["C"]),
        (format!("at={first}&parentUid=b"), vec![]),
        (format!("at={second}"), vec!["A", "Beta"]),
        (format!("at={second}&limit=1&page=2"), vec!["Beta"]),
        (format!("at={second}&parentUid=b"), vec!["C"]),
        (format!("at={third}"), vec!["A"]),
        ("at=0".to_owned(), vec![]),
    ] {
        assert_eq!(
            titles(admin.get(&format!("/api/folders?{query}")).await.expect(200).body),
            expected,
            "{query}"
        );
    }
    let read = admin.get(&format!("/api/folders/c?at={first}")).await.expect(200).body;
    assert_eq!(
        (&read["title"], &read["version"], &read["parents"][0]["uid"]),
        (&json!("C"), &json!(1), &json!("a"))
    );
    let read = admin.get(&format!("/api/folders/c?at={second}")).await.expect(200).body;
    assert_eq!((&read["version"], &read["parents"][0]["title"]), (&json!(2), &json!("Beta")));
    for (at, description) in [(first, "first"), (second, "second")] {
        let read = admin.get(&format!("/api/folders/b?at={at}")).await.expect(200).body;
        assert_eq!(read["description"], description);
    }
    let gone = "folder not found: it was deleted at that time";
    let (ann, _) = server.new_member(1, "ann", "Viewer").await;
    for at in [1, first, third] {
        for path in [format!("/api/folders/a?at={at}"), format!("/api/folders?at={at}&parentUid=a")] {
            ann.get(&path).await.expect(403);
        }
        ann.get(&format!("/api/folders/b?at={at}")).await.expect_message(404, "folder not found");
    }
    admin.get(&format!("/api/folders/c?at={third}")).await.expect_message(404, gone);
    admin.get(&format!("/api/folders?at={third}&parentUid=b")).await.expect_message(404, gone);
    let never = "folder not found: it did not exist yet at that time";
    admin.get("/api/folders/c?at=1").await.expect_message(404, never);
}

#[tokio::test]
async fn a_search_finds_what_there_was() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for uid in ["ops", "net"] {
        admin.post("/api/folders", &json!({"title": uid.to_uppercase(), "uid": uid})).await.expect(200);
    }
    save(&admin, "cpu", "CPU", json!(["host"]), "ops").await;
    save(&admin, "ram", "RAM", json!([]), "").await;
    let first = now(&server).await;
    save(&admin, "cpu", "CPU load", json!(["core"]), "net").await;
    admin.delete("/api/dashboards/uid/ram").await.expect(200);
    admin.put("/api/folders/net", &json!({"title": "Network", "overwrite": true})).await.expect(200);
    let second = now(&server).await;
    admin.delete("/api/folders/net").await.expect(200);
    let third = now(&server).await;
    for (query, expected) in [
        (format!("at={first}"), vec!["NET", "OPS", "CPU", "RAM"]),
        (format!("at={first}&query=cpu"), vec!["CPU"]),
        (format!("at={first}&tag=host"), vec!["CPU"]),
        (format!("at={first}&tag=core"), vec![]),
        (format!("at={first}&folderUIDs=ops&type=dash-db"), vec!["CPU"]),
        (format!("at={first}&limit=2&page=2"), vec!["CPU", "RAM"]),
        (format!("at={second}"), vec!["Network", "OPS", "CPU load"]),
        (format!("at={second}&tag=c*"), vec!["CPU load"]),
        (format!("at={second}&folderUIDs=net&type=dash-db"), vec!["CPU load"]),
        (format!("at={third}"), vec!["OPS"]),
        ("at=0".to_owned(), vec![]),
    ] {
        assert_eq!(found(&admin, &query).await, expected, "{query}");
    }
    let hit = admin.get(&format!("/api/search?at={second}&query=cpu")).await.expect(200).body[0].clone();
    assert_eq!((&hit["url"], &hit["folderTitle"]), (&json!("/d/cpu/cpu-load"), &json!("Network")));
    assert!(hit["id"].is_i64());
    // A dashboard restored from the trash is in the folder it was restored to, until it is saved again.
    let now_at = |position: i64| format!("at={position}&query=ram");
    admin.patch("/api/dashboards/uid/ram/trash", &json!({"folderUid": "ops"})).await.expect(200);
    let in_ops = format!("at={}&folderUIDs=ops&type=dash-db", now(&server).await);
    assert_eq!(found(&admin, &in_ops).await, ["CPU", "RAM"][1..]);
    let read =
        admin.get(&format!("/api/dashboards/uid/ram?at={}", now(&server).await)).await.expect(200).body;
    assert_eq!((&read["meta"]["folderUid"], &read["dashboard"]["id"].is_i64()), (&json!("ops"), &true));
    assert_eq!(found(&admin, &now_at(now(&server).await)).await, ["RAM"]);
    assert_eq!(found(&admin, &now_at(third)).await, Vec::<String>::new());
    assert_eq!(found(&admin, &now_at(first)).await, ["RAM"]);
}

#[tokio::test]
async fn rights_are_those_of_today_and_orgs_stay_apart() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = server.new_member(1, "ann", "Editor").await;
    save(&admin, "cpu", "CPU", json!([]), "").await;
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let at = now(&server).await;
    let paths = [format!("/api/dashboards/uid/cpu?at={at}"), format!("/api/folders/ops?at={at}")];
    for path in &paths {
        ann.get(path).await.expect(200);
    }
    admin.patch(&format!("/api/org/users/{id}"), &json!({"role": "None"})).await.expect(200);
    for path in &paths {
        assert!([403, 404].contains(&ann.get(path).await.status), "{path}");
    }
    assert_eq!(found(&ann, &format!("at={at}")).await, Vec::<String>::new());
    let other = server.new_org("Other").await;
    let (olga, _) = server.new_member(other, "olga", "Admin").await;
    for path in ["/api/dashboards/uid/cpu?at=1", "/api/folders/ops?at=1"] {
        olga.get(path).await.expect(404);
    }
    assert_eq!(found(&olga, "at=1").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_granted_today_opens_the_past() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, ann_id) = server.new_member(1, "ann", "Viewer").await;
    let (bob, bob_id) = server.new_member(1, "bob", "Viewer").await;
    admin.post("/api/folders", &json!({"title": "Closed", "uid": "closed"})).await.expect(200);
    for uid in ["cpu", "ram"] {
        save(&admin, uid, &uid.to_uppercase(), json!([]), "closed").await;
    }
    for (path, user) in [("/api/folders/closed", ann_id), ("/api/dashboards/uid/ram", bob_id)] {
        let list = json!({"items": [{"userId": user, "permission": 2}]});
        admin.post(&format!("{path}/permissions"), &list).await.expect(200);
    }
    // Before they were granted any permissions.
    let at = format!("at={}", now(&server).await - 4);
    let folder = format!("/api/folders/closed?{at}");
    let [cpu, ram] = ["cpu", "ram"].map(|uid| format!("/api/dashboards/uid/{uid}?{at}"));
    for (client, path, status) in [
        (&ann, &folder, 200),
        (&ann, &cpu, 200),
        (&ann, &ram, 200),
        (&bob, &folder, 403),
        (&bob, &cpu, 403),
        (&bob, &ram, 200),
    ] {
        client.get(path).await.expect(status);
    }
    assert_eq!(found(&ann, &at).await, ["Closed", "CPU", "RAM"]);
    assert_eq!(found(&bob, &at).await, ["RAM"]);
    // In the trash a dashboard has its own list and that of its folder, and after the deletion of the folder only its
    // own.
    admin.delete("/api/dashboards/uid/ram").await.expect(200);
    for client in [&ann, &bob] {
        client.get(&ram).await.expect(200);
        assert!(!found(client, &at).await.contains(&"RAM".to_owned()));
    }
    admin.delete("/api/folders/closed").await.expect(200);
    bob.get(&ram).await.expect(200);
    ann.get(&ram).await.expect(403);
    // A purged dashboard is in the log for callers who may see everything.
    admin.delete("/api/dashboards/uid/ram/trash").await.expect(200);
    bob.get(&ram).await.expect(403);
    admin.get(&ram).await.expect(200);
}

/// The data that the migration must derive about existing dashboards.
async fn known_of_the_past(server: &TestServer) -> String {
    let rows = "SELECT dashboard_lives::text AS line FROM dashboard_lives UNION ALL
        SELECT (org_id, dashboard_uid, generation, version, title, tags, folder_uid)::text FROM dashboard_versions";
    server
        .database
        .scalar(&format!("SELECT string_agg(line, E'\n' ORDER BY line) FROM ({rows}) AS known"))
        .await
}

#[tokio::test]
async fn what_was_there_before_the_migration_is_filled_in() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for uid in ["ops", "net"] {
        admin.post("/api/folders", &json!({"title": uid, "uid": uid})).await.expect(200);
    }
    save(&admin, "cpu", "CPU", json!(["a", "b c"]), "ops").await;
    let document = json!({"title": "CPU load", "uid": "cpu", "text": "\0 and \\u0000"});
    admin.post("/api/dashboards/db", &json!({"dashboard": document, "overwrite": true})).await.expect(200);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    admin.patch("/api/dashboards/uid/cpu/trash", &json!({"folderUid": "net"})).await.expect(200);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    save(&admin, "cpu", "Another", json!([]), "").await;
    let other = server.new_org("Other").await;
    let (olga, _) = server.new_member(other, "olga", "Admin").await;
    save(&olga, "ram", "RAM", json!(["host"]), "").await;

    let known = known_of_the_past(&server).await;
    assert_eq!(known.lines().count(), 3 + 1 + 3 + 1, "{known}");
    let client = server.database.connect().await;
    let undo = "DROP TABLE dashboard_lives;
        ALTER TABLE dashboard_versions DROP COLUMN title, DROP COLUMN tags, DROP COLUMN folder_uid,
            DROP CONSTRAINT dashboard_versions_pkey,
            ADD PRIMARY KEY (org_id, dashboard_uid, generation, version)";
    client.batch_execute(undo).await.unwrap();
    let mut migrations = kymograph_migrations::MIGRATIONS.iter();
    let migration = migrations.find(|migration| migration.name.ends_with("_history")).unwrap();
    let redo = format!("BEGIN; SET LOCAL ROLE kymograph_owner; {}; COMMIT", migration.sql);
    client.batch_execute(&redo).await.unwrap();
    assert_eq!(known_of_the_past(&server).await, known);
    // A document with a character that PostgreSQL cannot represent has a history as well.
    let entries = admin.get("/api/dashboards/uid/cpu/history?changes=true").await.expect(200).body;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn who_may_only_view_sees_nothing_of_the_past() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    let (edith, _) = server.new_member(1, "edith", "Editor").await;
    admin.post("/api/folders", &json!({"title": "Closed", "uid": "closed"})).await.expect(200);
    admin.post("/api/folders/closed/permissions", &json!({"items": []})).await.expect(200);
    admin.post("/api/folders", &json!({"title": "Secret name", "uid": "open"})).await.expect(200);
    save(&admin, "cpu", "Secret", json!([]), "closed").await;
    let at = now(&server).await;
    save(&admin, "cpu", "CPU", json!([]), "").await;
    admin.put("/api/folders/open", &json!({"title": "Open", "overwrite": true})).await.expect(200);
    vic.get("/api/dashboards/uid/cpu").await.expect(200);
    vic.get("/api/folders/open").await.expect(200);
    for path in [
        "/api/dashboards/uid/cpu/versions".to_owned(),
        "/api/dashboards/uid/cpu/versions/1".to_owned(),
        "/api/dashboards/uid/cpu/history".to_owned(),
        "/api/dashboards/uid/cpu/history/diff".to_owned(),
        format!("/api/dashboards/uid/cpu?at={at}"),
        "/api/folders/open/history".to_owned(),
        "/api/folders/open/history/diff?from=0&to=1".to_owned(),
        format!("/api/folders/open?at={at}"),
        "/api/org/history".to_owned(),
    ] {
        let refused = vic.get(&path).await.expect(403);
        assert!(!refused.text.contains("Secret") && refused.text.contains(":write"), "{}", refused.text);
        if !path.starts_with("/api/org") {
            edith.get(&path).await.expect(200);
        }
    }
    let version = |version: i64| json!({"uid": "cpu", "version": version});
    let compare = json!({"base": version(1), "new": version(2)});
    vic.post("/api/dashboards/calculate-diff", &compare).await.expect(403);
    edith.post("/api/dashboards/calculate-diff", &compare).await.expect(200);
    assert_eq!(found(&vic, &format!("at={at}")).await, Vec::<String>::new());
    assert_eq!(found(&edith, &format!("at={at}")).await, ["Secret name", "Secret"]);
    let folders = format!("/api/folders?at={at}");
    assert_eq!(vic.get(&folders).await.expect(200).body, json!([]));
    assert_eq!(edith.get(&folders).await.expect(200).body[0]["title"], "Secret name");
}

#[tokio::test]
async fn what_stored_data_lack_is_a_fault_and_no_panic() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "CPU", json!([]), "").await;
    let at = now(&server).await;
    server.database.connect().await.batch_execute("UPDATE dashboard_lives SET id = 0").await.unwrap();
    for path in ["/api/dashboards/uid/cpu", "/api/search"] {
        // The tests' own client does not accept internal errors.
        let request = reqwest::Client::new().get(format!("{}{path}?at={at}", server.url()));
        let answer = request.basic_auth("admin", Some("admin")).send().await.unwrap();
        assert_eq!(answer.status(), 500, "{path}");
    }
    let metrics = server.anonymous().get("/metrics").await.expect(200).text;
    assert!(metrics.contains("kymograph_panics_total 0\n"), "{metrics}");
}

/// Adds this many folders with long descriptions to the log.
async fn fill_folders(server: &ServerProcess, folders: i64) {
    let form = json!({"uid": "first", "title": "First", "description": "d".repeat(16_000)});
    server.admin().post("/api/folders", &form).await.expect(200);
    let copies = "INSERT INTO events SELECT (e).* FROM (
            SELECT jsonb_populate_record(e, jsonb_build_object('pos', pos + n, 'stream_id', 'folder-copy' || n,
                'payload', replace(replace(payload, '\"first\"', '\"copy' || n || '\"'), '\"id\":', '\"id\":9' || n))) AS e
            FROM events e, generate_series(1, $1::bigint) AS n
            WHERE e.org_id = 1 AND e.pos = (SELECT max(pos) FROM events WHERE org_id = 1)) AS copies";
    let database = server.database().await;
    database.execute(copies, &[&folders]).await.unwrap();
    let head = "UPDATE heads SET pos = pos + $1 WHERE org_id = 1";
    database.execute(head, &[&folders]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_looks_at_the_past_of_many_folders_do_not_use_up_the_memory() {
    let server = ServerProcess::start("past").await;
    fill_folders(&server, 500).await;
    let head = "SELECT pos FROM heads WHERE org_id = 1";
    let last: i64 = server.database().await.query_one(head, &[]).await.unwrap().get(0);
    let before = server.resident_memory();
    let mut reads = JoinSet::new();
    for at in last - 30..last {
        let admin = server.admin();
        reads.spawn(async move { admin.get(&format!("/api/search?limit=1&at={at}")).await.status });
    }
    let (mut most, mut given) = (0, 0);
    while !reads.is_empty() {
        most = most.max(server.resident_memory());
        if let Ok(Some(read)) = tokio::time::timeout(Duration::from_millis(10), reads.join_next()).await {
            let status = read.unwrap();
            assert!([200, 429].contains(&status), "{status}");
            given += usize::from(status == 200);
        }
    }
    assert!(given > 0);
    assert!(most < before + 80 * 1024 * 1024, "{before} {most}");
}
