//! Correlations between data sources through HTTP.

use futures_util::future::join_all;
use kymograph_domain::source::correlation::{MAX_CONFIG_BYTES, MAX_CONTENTS_BYTES, MAX_CORRELATIONS};
use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn add_sources(admin: &Client, uids: &[&str]) {
    for uid in uids {
        admin.post("/api/datasources", &json!({"name": uid, "uid": uid, "type": "loki"})).await.expect(200);
    }
}

fn of(source: &str) -> String {
    format!("/api/datasources/uid/{source}/correlations")
}

fn to(target: &str) -> Value {
    json!({
        "targetUID": target, "label": "Traces", "description": "Logs to traces", "type": "query",
        "config": {"field": "message", "target": {"expr": "up", "step": 1.5}, "transformations": [
            {"type": "regex", "expression": "host=(.*)", "field": "line", "mapValue": "host"}, {"type": "logfmt"},
        ]},
    })
}

async fn add(client: &Client, source: &str, target: &str) -> Value {
    client.post(&of(source), &to(target)).await.expect(200).body["result"].clone()
}

fn path_of(correlation: &Value) -> String {
    format!("{}/{}", of(correlation["sourceUID"].as_str().unwrap()), correlation["uid"].as_str().unwrap())
}

#[tokio::test]
async fn are_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let created = admin.post(&of("loki"), &to("tempo")).await.expect_message(200, "Correlation created").body;
    let correlation = &created["result"];
    let mut expected = to("tempo");
    for (member, value) in [
        ("uid", correlation["uid"].clone()),
        ("orgId", json!(1)),
        ("sourceUID", json!("loki")),
        ("provisioned", json!(false)),
    ] {
        expected[member] = value;
    }
    assert_eq!(correlation, &expected);
    let path = path_of(correlation);
    assert_eq!(&admin.get(&path).await.expect(200).body, correlation);
    assert_eq!(admin.get(&of("loki")).await.expect(200).body, json!([correlation]));
    assert_eq!(admin.get(&of("tempo")).await.expect(200).body, json!([]));
    // The type in the config is deprecated.
    let page = json!({"config": {"type": "external", "field": "message", "target": {"url": "https://wiki"}}});
    let page = admin.post(&of("loki"), &page).await.expect(200).body["result"].clone();
    assert_eq!((&page["type"], page.get("targetUID")), (&json!("external"), None));
    assert_eq!(page["config"], json!({"field": "message", "target": {"url": "https://wiki"}}));

    let change = json!({"label": "Spans", "config": {"target": {"expr": "down"}, "transformations": []}});
    let updated = admin.patch(&path, &change).await.expect_message(200, "Correlation updated").body;
    expected["label"] = json!("Spans");
    expected["config"] = json!({"field": "message", "target": {"expr": "down"}});
    assert_eq!(updated["result"], expected);
    assert_eq!(admin.patch(&path, &change).await.expect(200).body["result"], expected);
    let change =
        json!({"description": "", "type": "external", "config": {"field": "line", "target": {"url": "/a"}}});
    let updated = admin.patch(&path, &change).await.expect(200).body["result"].clone();
    assert_eq!((&updated["type"], &updated["targetUID"]), (&json!("external"), &json!("tempo")));
    assert_eq!(admin.get(&path).await.expect(200).body, updated);
    let events = "SELECT count(*) FROM events WHERE type = 'correlation.changed'";
    assert_eq!(server.database.scalar::<i64>(events).await, 2);

    admin.delete(&path).await.expect_message(200, "Correlation deleted");
    admin.get(&path).await.expect_message(404, "Correlation not found");
    admin.patch(&path, &change).await.expect_message(404, "Correlation not found");
    admin.delete(&path).await.expect_message(404, "Correlation not found");
}

#[tokio::test]
async fn missing_ones_are_not_found() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let uid = add(&admin, "loki", "tempo").await["uid"].as_str().unwrap().to_owned();
    for source in ["gone", "no%20uid", "%00"] {
        let path = format!("{}/{uid}", of(source));
        admin.get(&of(source)).await.expect_message(404, "Source data source not found");
        admin.get(&path).await.expect_message(404, "Source data source not found");
        admin.post(&of(source), &to("tempo")).await.expect_message(404, "Data source not found");
        admin.patch(&path, &json!({"label": "a"})).await.expect_message(404, "Data source not found");
        admin.delete(&path).await.expect_message(404, "Data source not found");
    }
    // A correlation belongs to its source only.
    for path in [format!("{}/{uid}", of("tempo")), of("loki") + "/no%20uid", of("loki") + "/gone"] {
        admin.get(&path).await.expect_message(404, "Correlation not found");
        admin.patch(&path, &json!({"label": "a"})).await.expect_message(404, "Correlation not found");
        admin.delete(&path).await.expect_message(404, "Correlation not found");
    }
    for target in ["gone", "no uid"] {
        admin.post(&of("loki"), &to(target)).await.expect_message(404, "Data source not found");
    }
    admin
        .get("/api/datasources/correlations/gone/history")
        .await
        .expect_message(404, "Correlation not found");
}

#[tokio::test]
async fn bad_ones_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let with = |pointer: &str, value: Value| {
        let mut form = to("tempo");
        *form.pointer_mut(pointer).unwrap() = value;
        form
    };
    let transformed = |transformation: Value| with("/config/transformations", json!([transformation]));
    let bad = [
        json!({}),
        json!([]),
        json!({"targetUID": "tempo"}),
        json!({"targetUID": "tempo", "config": {"field": "message"}}),
        json!({"targetUID": "tempo", "config": {"target": {}}}),
        json!({"config": {"field": "message", "target": {}}}),
        json!({"type": "external", "config": {"field": "message", "target": {}}}),
        with("/targetUID", json!(5)),
        with("/label", json!(5)),
        with("/label", json!("x".repeat(761))),
        with("/description", json!("x".repeat(16 * 1024 + 1))),
        with("/type", json!("graph")),
        with("/config", json!("x")),
        with("/config/field", json!("")),
        with("/config/field", json!(["message"])),
        with("/config/target", json!("{}")),
        with("/config/target", json!([])),
        with("/config/target", json!({"expr": "\0"})),
        with("/config/target", json!({"expr": "x".repeat(MAX_CONFIG_BYTES)})),
        with("/config/transformations", json!({})),
        transformed(json!({})),
        transformed(json!("logfmt")),
        transformed(json!({"type": "sql"})),
        transformed(json!({"type": "regex"})),
        transformed(json!({"type": "logfmt", "field": {}})),
    ];
    for form in bad {
        admin.post(&of("loki"), &form).await.expect(400);
    }
    assert_eq!(admin.get(&of("loki")).await.expect(200).body, json!([]));
    let path = path_of(&add(&admin, "loki", "tempo").await);
    let nothing = "At least one of label, description or config is required";
    for change in [json!({}), json!({"config": {}}), json!({"label": null, "targetUID": "loki"})] {
        admin.patch(&path, &change).await.expect_message(400, nothing);
    }
    for change in [json!({"type": "external"}), json!({"config": {"field": " "}}), json!({"label": {}})] {
        admin.patch(&path, &change).await.expect(400);
    }
}

#[tokio::test]
async fn pages_have_what_the_caller_may_read() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    let (nobody, ned) = server.new_member(acme, "ned", "None").await;
    let all = "/api/datasources/correlations";
    let empty = json!({"correlations": [], "totalCount": 0, "page": 1, "limit": 100});
    assert_eq!(admin.get(all).await.expect(200).body, empty);
    add_sources(&admin, &["loki", "mimir", "tempo"]).await;
    for source in ["loki", "loki", "mimir"] {
        add(&admin, source, "tempo").await;
    }
    let sources = async |client: &Client, query: &str| {
        let page = client.get(&format!("{all}{query}")).await.expect(200).body;
        let listed = page["correlations"].as_array().unwrap().iter();
        let names: Vec<_> = listed.map(|entry| entry["sourceUID"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), page["totalCount"].as_i64().unwrap())
    };
    let cases = [
        ("", "loki loki mimir", 3),
        ("?limit=2", "loki loki", 3),
        ("?limit=2&page=2", "mimir", 3),
        ("?limit=2&page=9", "", 3),
        ("?page=0&limit=0", "loki loki mimir", 3),
        ("?sourceUID=mimir", "mimir", 1),
        ("?sourceUID=mimir&sourceUID=loki&limit=1", "loki", 3),
        ("?sourceUID=tempo", "", 0),
        ("?sourceUID=%00", "", 0),
    ];
    for (query, expected, total) in cases {
        assert_eq!(sources(&admin, query).await, (expected.to_owned(), total), "{query}");
    }
    let most = admin.get(&format!("{all}?limit=5000&page=3")).await.expect(200).body;
    assert_eq!((&most["limit"], &most["page"]), (&json!(1000), &json!(3)));

    assert_eq!(sources(&viewer, "").await, ("loki loki mimir".to_owned(), 3));
    assert_eq!(sources(&nobody, "").await, (String::new(), 0));
    let rights = "/api/access-control/datasources/loki";
    admin.post(&format!("{rights}/builtInRoles/Viewer"), &json!({"permission": ""})).await.expect(200);
    admin.post(&format!("{rights}/users/{ned}"), &json!({"permission": "Query"})).await.expect(200);
    assert_eq!(sources(&viewer, "").await, ("mimir".to_owned(), 1));
    assert_eq!(sources(&viewer, "?sourceUID=loki").await, (String::new(), 0));
    assert_eq!(sources(&nobody, "").await, ("loki loki".to_owned(), 2));
    viewer.get(&of("loki")).await.expect(403);
    nobody.get(&of("loki")).await.expect(200);
    assert_eq!(server.admin().get(all).await.expect(200).body, empty);
    server.admin().get(&of("loki")).await.expect(404);
}

#[tokio::test]
async fn whoever_may_change_a_data_source_changes_its_correlations() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    let (editor, eve) = server.new_member(acme, "eve", "Editor").await;
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    add_sources(&admin, &["loki", "mimir", "tempo"]).await;
    let path = path_of(&add(&admin, "loki", "tempo").await);
    for client in [&editor, &viewer] {
        client.get(&path).await.expect(200);
        client.get(&of("loki")).await.expect(200);
        client.post(&of("loki"), &to("tempo")).await.expect(403);
        client.patch(&path, &json!({"label": "a"})).await.expect(403);
        client.delete(&path).await.expect(403);
    }
    let edit = format!("/api/access-control/datasources/loki/users/{eve}");
    admin.post(&edit, &json!({"permission": "Edit"})).await.expect(200);
    add(&editor, "loki", "mimir").await;
    editor.post(&of("mimir"), &to("loki")).await.expect(403);
    editor.patch(&path, &json!({"label": "a"})).await.expect(200);
    editor.delete(&path).await.expect(200);
    // The past of correlations is for those who may change all data sources.
    let uid = path.rsplit('/').next().unwrap();
    let history = format!("/api/datasources/correlations/{uid}/history");
    editor.get(&history).await.expect(403);
    viewer.post(&format!("{history}/restore"), &json!({"version": 1})).await.expect(403);
    admin.get(&history).await.expect(200);
    server.admin().get(&history).await.expect(404);
}

#[tokio::test]
async fn those_of_a_read_only_source_stay() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let path = path_of(&add(&admin, "loki", "tempo").await);
    let state = r#"UPDATE streams SET state = replace(state, '"read_only":false', '"read_only":true')
        WHERE stream_id = 'data_source-loki'; UPDATE data_sources SET read_only = true WHERE uid = 'loki'"#;
    let read_only = TestServer::on_database(server.database.clone(), &[]).await;
    server.database.connect().await.batch_execute(state).await.unwrap();
    let admin = read_only.admin();
    let message = "Data source is read only";
    admin.post(&of("loki"), &to("tempo")).await.expect_message(403, message);
    admin.patch(&path, &json!({"label": "a"})).await.expect_message(403, message);
    admin.delete(&path).await.expect_message(403, message);
    add(&admin, "tempo", "loki").await;
    // They end with their target.
    admin.delete("/api/datasources/uid/tempo").await.expect(200);
    assert_eq!(admin.get(&of("loki")).await.expect(200).body, json!([]));
}

#[tokio::test]
async fn end_with_their_source_and_their_target_and_come_back_with_them() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "mimir", "tempo"]).await;
    let mut all = Vec::new();
    for (source, target) in [("loki", "tempo"), ("tempo", "loki"), ("loki", "loki"), ("mimir", "tempo")] {
        all.push(add(&admin, source, target).await);
    }
    admin.delete("/api/datasources/uid/loki").await.expect(200);
    assert_eq!(admin.get(&of("tempo")).await.expect(200).body, json!([]));
    assert_eq!(admin.get(&of("mimir")).await.expect(200).body, json!([all[3]]));
    let listed = admin.get("/api/datasources/correlations").await.expect(200).body;
    assert_eq!(listed["correlations"], json!([all[3]]));
    // An undo restores the data source with its correlations.
    let deleted = admin.get("/api/audit/events?action=data_source.deleted").await.expect(200).body;
    let undo = format!("/api/audit/events/{}/undo", deleted["events"][0]["id"]);
    let preview = admin.get(&undo).await.expect(200).body;
    assert_eq!(preview["steps"].as_array().unwrap().len(), 4, "{preview}");
    admin.post(&undo, &json!({})).await.expect(200);
    for correlation in &all {
        assert_eq!(&admin.get(&path_of(correlation)).await.expect(200).body, correlation);
    }
    admin.delete("/api/datasources/uid/mimir").await.expect(200);
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_undo_of_a_new_data_source_ends_its_correlations() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let together = admin.clone().with_header("X-Correlation-Id", "together");
    add_sources(&together, &["mimir"]).await;
    add(&together, "mimir", "tempo").await;
    let later = add(&admin, "loki", "mimir").await;
    let created = admin
        .get("/api/audit/events?action=data_source.created&targetType=data_source&targetUid=mimir")
        .await
        .expect(200);
    let undo = format!("/api/audit/events/{}/undo", created.body["events"][0]["id"]);
    admin.post(&undo, &json!({})).await.expect(200);
    admin.get(&of("mimir")).await.expect(404);
    admin.get(&path_of(&later)).await.expect(404);
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

#[tokio::test]
async fn are_undone_and_looked_back_at() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let correlation = add(&admin, "loki", "tempo").await;
    let path = path_of(&correlation);
    admin.patch(&path, &json!({"label": "Spans"})).await.expect(200);
    admin.delete(&path).await.expect(200);
    let history = format!("/api/datasources/correlations/{}/history", correlation["uid"].as_str().unwrap());
    let told = admin.get(&format!("{history}?changes=true")).await.expect(200).body;
    let entries = told["entries"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["correlation.deleted", "correlation.changed", "correlation.created"]);
    assert_eq!(entries[1]["changes"][0]["path"], "/content/label", "{told}");
    let diff = admin.get(&format!("{history}/diff?from=1&to=2")).await.expect(200).body;
    assert_eq!(
        (&diff["changes"][0]["before"], &diff["changes"][0]["after"]),
        (&json!("Traces"), &json!("Spans"))
    );
    let undo = format!("/api/audit/events/{}/undo", entries[0]["position"]);
    let step = admin.get(&undo).await.expect(200).body["steps"][0].clone();
    assert_eq!((&step["name"], &step["effect"]), (&json!("Spans"), &json!("restore")));
    admin.post(&undo, &json!({})).await.expect(200);
    assert_eq!(admin.get(&path).await.expect(200).body["label"], "Spans");
    admin.post(&format!("{history}/restore"), &json!({"version": 1})).await.expect(200);
    assert_eq!(admin.get(&path).await.expect(200).body, correlation);
    let undo = format!("/api/audit/events/{}/undo", entries[2]["position"]);
    admin.post(&undo, &json!({})).await.expect(200);
    admin.get(&path).await.expect(404);

    // Another data source with the uid of the deleted one does not get its correlations.
    admin.post(&format!("{history}/restore"), &json!({"version": 1})).await.expect(200);
    admin.delete(&path).await.expect(200);
    admin.delete("/api/datasources/uid/tempo").await.expect(200);
    let lost = admin.post(&format!("{history}/restore"), &json!({"version": 1})).await;
    lost.expect_message(400, "a data source of this correlation was deleted since");
    add_sources(&admin, &["tempo"]).await;
    let lost = admin.post(&format!("{history}/restore"), &json!({"version": 1})).await;
    lost.expect_message(400, "a data source of this correlation was deleted since");
}

/// Adds rows of correlations from one data source to another, with contents of this length.
async fn fill(server: &TestServer, count: usize, bytes: usize) {
    let sql = format!(
        "INSERT INTO correlations (org_id, uid, source_uid, target_uid, content)
            SELECT 1, 'x' || n, 'loki', 'tempo', repeat('x', {bytes}) FROM generate_series(1, {count}) n"
    );
    server.database.connect().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_data_source_has_a_limited_number_of_them() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo", "mimir"]).await;
    let message = format!(
        "a data source can have at most {MAX_CORRELATIONS} correlations, as source or target, and of at most {MAX_CONTENTS_BYTES} bytes together"
    );
    fill(&server, MAX_CORRELATIONS - 1, 1).await;
    let last = path_of(&add(&admin, "mimir", "tempo").await);
    // A data source counts as source and as target.
    add(&admin, "loki", "mimir").await;
    for (source, target) in [("loki", "mimir"), ("mimir", "loki"), ("mimir", "tempo")] {
        admin.post(&of(source), &to(target)).await.expect_message(400, &message);
    }
    admin.patch(&last, &json!({"label": "a"})).await.expect(200);
    add(&admin, "mimir", "mimir").await;
    let clear = "DELETE FROM correlations WHERE uid LIKE 'x%'";
    server.database.connect().await.execute(clear, &[]).await.unwrap();
    fill(&server, 1, MAX_CONTENTS_BYTES - 2000).await;
    add(&admin, "loki", "tempo").await;
    let long = json!({"description": "x".repeat(2000)});
    admin.patch(&last, &long).await.expect_message(400, &message);
    admin.patch(&last, &json!({"label": "b"})).await.expect(200);
}

#[tokio::test]
async fn a_data_source_with_as_many_as_it_can_have_is_deleted_and_restored() {
    const COUNT: usize = 60;
    let server = TestServer::start().await;
    let admin = server.admin();
    add_sources(&admin, &["loki", "tempo"]).await;
    let mut longest = to("tempo");
    longest["config"]["target"]["expr"] = json!("x".repeat(MAX_CONFIG_BYTES - 1000));
    for _ in 0..COUNT {
        admin.post(&of("loki"), &longest).await.expect(200);
    }
    let listed = admin.get(&of("loki")).await.expect(200).body;
    assert_eq!(listed.as_array().unwrap().len(), COUNT);
    admin.delete("/api/datasources/uid/loki").await.expect(200);
    let deleted = admin.get("/api/audit/events?action=data_source.deleted").await.expect(200).body;
    let undo = format!("/api/audit/events/{}/undo", deleted["events"][0]["id"]);
    admin.post(&undo, &json!({})).await.expect(200);
    assert_eq!(admin.get(&of("loki")).await.expect(200).body, listed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_left_of_a_data_source_that_is_deleted_meanwhile() {
    let server = TestServer::start().await;
    let other = TestServer::on_database(server.database.clone(), &[]).await;
    let (admin, other) = (server.admin(), other.admin());
    add_sources(&admin, &["loki"]).await;
    let mut added = 0;
    for _ in 0..20 {
        add_sources(&admin, &["tempo"]).await;
        let (deleted, answers) = tokio::join!(
            other.delete("/api/datasources/uid/tempo"),
            join_all([("loki", "tempo"), ("tempo", "loki"), ("loki", "tempo")].map(|(source, target)| {
                let (client, path, form) = (admin.clone(), of(source), to(target));
                async move { client.post(&path, &form).await }
            })),
        );
        deleted.expect(200);
        for answer in answers {
            assert!([200, 404].contains(&answer.status), "{} {}", answer.status, answer.text);
            added += usize::from(answer.status == 200);
        }
        let listed = admin.get("/api/datasources/correlations").await.expect(200).body;
        assert_eq!(listed["totalCount"], 0, "{listed}");
    }
    assert!(added > 0, "no correlation was created before the end: this was no race");
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}
