//! Annotations through HTTP. Permissions are in [`rights`], the end of annotations in [`ending`].

mod ending;
mod rights;

use kymograph_domain::content::annotation::{MAX_DATA_BYTES, MAX_TAGS, MAX_TEXT_BYTES};
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

/// Creates an annotation and returns its id.
async fn annotate(client: &Client, annotation: &Value) -> i64 {
    let created = client.post("/api/annotations", annotation).await.expect_message(200, "Annotation added");
    created.body["id"].as_i64().unwrap()
}

/// The texts of the annotations that a query finds, in their order.
async fn texts(client: &Client, query: &str) -> Vec<String> {
    let found = client.get(&format!("/api/annotations{query}")).await.expect(200).body;
    found.as_array().unwrap().iter().map(|found| found["text"].as_str().unwrap().to_owned()).collect()
}

/// The listed tags, with the number of annotations of each.
async fn tags(client: &Client, query: &str) -> Vec<(String, i64)> {
    let found = client.get(&format!("/api/annotations/tags{query}")).await.expect(200).body;
    let tag = |found: &Value| (found["tag"].as_str().unwrap().to_owned(), found["count"].as_i64().unwrap());
    found["result"]["tags"].as_array().unwrap().iter().map(tag).collect()
}

/// Whether an annotation has the time of its creation.
fn is_now(annotation: &Value) -> bool {
    let [time, created] = ["time", "created"].map(|name| annotation[name].as_i64().unwrap());
    (created - 10_000..=created).contains(&time)
}

/// Creates a dashboard, in a folder unless its name is empty.
async fn save(client: &Client, uid: &str, folder: &str) -> i64 {
    let dashboard = json!({"dashboard": {"uid": uid, "title": uid}, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &dashboard).await.expect(200).body["id"].as_i64().unwrap()
}

#[tokio::test]
async fn are_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let dashboard_id = save(&admin, "cpu", "").await;
    let region = json!({"dashboardUID": "cpu", "panelId": 2, "time": 1000, "timeEnd": 3000, "text": "deployed",
        "tags": ["deploy", " team : web", "deploy", ""], "data": {"by": ["ci", 1.5]}});
    let id = annotate(&admin, &region).await;
    let path = format!("/api/annotations/{id}");
    let read = admin.get(&path).await.expect(200).body;
    let expected = json!({
        "id": id, "alertId": 0, "alertName": "", "newState": "", "prevState": "", "dashboardId": dashboard_id,
        "dashboardUID": "cpu", "panelId": 2, "userId": 1, "login": "admin", "email": "admin@localhost",
        "time": 1000, "timeEnd": 3000, "text": "deployed", "tags": ["deploy", "team:web"], "data": {"by": ["ci", 1.5]},
        "created": read["created"], "updated": read["created"], "avatarUrl": read["avatarUrl"], "userUID": read["userUID"],
    });
    assert_eq!(read, expected);
    assert!(read["created"].as_i64().unwrap() > 1_600_000_000_000, "{read}");
    assert!(read["avatarUrl"].as_str().unwrap().contains("/avatar/") && read["userUID"] != "", "{read}");
    assert_eq!(admin.get("/api/annotations").await.expect(200).body, json!([read]));

    server.clock.advance(60);
    let update = json!({"text": "rolled back", "time": 2000, "timeEnd": 500});
    admin.put(&path, &update).await.expect_message(200, "Annotation updated");
    let updated = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&updated["time"], &updated["timeEnd"], &updated["tags"]),
        (&json!(500), &json!(2000), &read["tags"])
    );
    assert_eq!((&updated["data"], &updated["created"]), (&read["data"], &read["created"]));
    assert!(updated["updated"].as_i64() > read["updated"].as_i64(), "{updated}");
    let part = json!({"tags": [], "data": null, "text": ""});
    admin.patch(&path, &part).await.expect_message(200, "Annotation patched");
    let patched = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&patched["text"], &patched["tags"], &patched["data"]),
        (&json!("rolled back"), &json!([]), &read["data"])
    );
    admin.delete(&path).await.expect_message(200, "Annotation deleted");
    for answer in [
        admin.get(&path).await,
        admin.put(&path, &update).await,
        admin.patch(&path, &part).await,
        admin.delete(&path).await,
    ] {
        answer.expect_message(404, "Annotation not found");
    }
    assert_eq!(tags(&admin, "").await, []);
}

#[tokio::test]
async fn what_is_left_out_has_a_default() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let id = annotate(&admin, &json!({"text": "now"})).await;
    let point = admin.get(&format!("/api/annotations/{id}")).await.expect(200).body;
    assert!(is_now(&point) && point["time"] == point["timeEnd"], "{point}");
    assert_eq!(
        (&point["dashboardId"], &point["dashboardUID"], &point["panelId"]),
        (&json!(0), &json!(""), &json!(0))
    );
    assert_eq!((&point["tags"], &point["data"]), (&json!([]), &json!({})));
    // A point that is moved remains a point.
    admin.patch(&format!("/api/annotations/{id}"), &json!({"time": 5000})).await.expect(200);
    let moved = admin.get(&format!("/api/annotations/{id}")).await.expect(200).body;
    assert_eq!((&moved["time"], &moved["timeEnd"]), (&json!(5000), &json!(5000)));
    let by_id = save(&admin, "cpu", "").await;
    let id = annotate(&admin, &json!({"text": "on cpu", "dashboardId": by_id, "time": 0})).await;
    assert_eq!(admin.get(&format!("/api/annotations/{id}")).await.expect(200).body["dashboardUID"], "cpu");
}

#[tokio::test]
async fn graphite_has_words_of_its_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (form, text, tags) in [
        (json!({"what": "Event", "tags": "a b", "when": 1700}), "Event", json!(["a", "b"])),
        (
            json!({"what": "Event", "tags": ["a b", "c"], "data": "more", "when": 1700}),
            "Event\nmore",
            json!(["a b", "c"]),
        ),
        (json!({"what": "Event", "data": "", "tags": null, "when": 1700}), "Event", json!([])),
        (json!({"what": "Event", "tags": "", "when": 1700}), "Event", json!([])),
    ] {
        let created = admin.post("/api/annotations/graphite", &form).await;
        let id = created.expect_message(200, "Graphite annotation added").body["id"].clone();
        let read = admin.get(&format!("/api/annotations/{id}")).await.expect(200).body;
        assert_eq!(
            (&read["text"], &read["tags"], &read["time"]),
            (&json!(text), &tags, &json!(1_700_000)),
            "{form}"
        );
    }
    let now =
        admin.post("/api/annotations/graphite", &json!({"what": "now"})).await.expect(200).body["id"].clone();
    let now = admin.get(&format!("/api/annotations/{now}")).await.expect(200).body;
    assert!(is_now(&now), "{now}");
    for bad in [
        json!({}),
        json!({"what": ""}),
        json!({"what": "e", "tags": 5}),
        json!({"what": "e", "tags": {"a": 1}}),
        json!({"what": "e", "tags": ["a", 5]}),
        json!({"what": "e", "when": i64::MAX}),
        json!({"what": "e", "when": "now"}),
        json!({"what": "x".repeat(MAX_TEXT_BYTES), "data": "x"}),
    ] {
        admin.post("/api/annotations/graphite", &bad).await.expect(400);
    }
}

#[tokio::test]
async fn bad_ones_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let tags = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
    let with = |member: &str, value: Value| json!({"text": "x", member: value});
    annotate(&admin, &json!({"text": "x".repeat(MAX_TEXT_BYTES)})).await;
    annotate(&admin, &with("tags", json!(tags(MAX_TAGS)))).await;
    let id = annotate(&admin, &with("data", json!("x".repeat(MAX_DATA_BYTES - 2)))).await;
    let bad = [
        json!({}),
        json!({"text": ""}),
        json!({"text": null, "tags": ["a"]}),
        json!({"text": 5}),
        json!({"text": "a\0b"}),
        json!({"text": "x".repeat(MAX_TEXT_BYTES + 1)}),
        with("tags", json!(tags(MAX_TAGS + 1))),
        with("tags", json!(["x".repeat(101)])),
        with("tags", json!("a")),
        with("time", json!("now")),
        with("time", json!(1.5)),
        with("dashboardId", json!("1")),
        with("data", json!("x".repeat(MAX_DATA_BYTES - 1))),
        json!(["text"]),
    ];
    for form in &bad {
        admin.post("/api/annotations", form).await.expect(400);
    }
    let message = "Failed to save annotation: text field should not be empty";
    admin.post("/api/annotations", &json!({})).await.expect_message(400, message);
    admin
        .put(&format!("/api/annotations/{id}"), &json!({}))
        .await
        .expect_message(400, "Failed to update annotation: text field should not be empty");
    admin.patch(&format!("/api/annotations/{id}"), &json!({"tags": tags(MAX_TAGS + 1)})).await.expect(400);
    for named in
        [json!({"dashboardUID": "gone"}), json!({"dashboardId": 99}), json!({"dashboardUID": "no uid"})]
    {
        let mut form = named.clone();
        form["text"] = json!("x");
        admin.post("/api/annotations", &form).await.expect_message(404, "Dashboard not found");
        form["panelId"] = json!(1);
        admin.post("/api/annotations/mass-delete", &form).await.expect_message(404, "Dashboard not found");
    }
    for form in [
        json!({}),
        json!({"panelId": 1}),
        json!({"dashboardUID": "cpu"}),
        json!({"dashboardId": 0, "panelId": 1}),
    ] {
        let message = "DashboardId and PanelId are both required for mass delete";
        admin.post("/api/annotations/mass-delete", &form).await.expect_message(400, message);
    }
    let message = json!({"annotationId": 99});
    admin.post("/api/annotations/mass-delete", &message).await.expect_message(404, "Annotation not found");
    admin.get("/api/annotations/x").await.expect_message(400, "annotationId is invalid");
    admin.get("/api/annotations/99").await.expect_message(404, "Annotation not found");
    let many: Vec<_> = (0..21).map(|number| format!("tags=t{number}")).collect();
    admin.get(&format!("/api/annotations?{}", many[1..].join("&"))).await.expect(200);
    admin.get(&format!("/api/annotations?{}", many.join("&"))).await.expect(400);
    let kept = admin.get("/api/annotations?limit=-1").await.expect(200).body;
    assert_eq!(kept.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn are_found_by_what_they_say_and_where_they_are() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, vic_id) = server.new_member(1, "vic", "Editor").await;
    let (cpu, disk) = (save(&admin, "cpu", "").await, save(&admin, "disk", "").await);
    for (text, more) in [
        ("point", json!({"time": 1000, "tags": ["deploy", "team:web"]})),
        ("region", json!({"time": 2000, "timeEnd": 9000, "tags": ["deploy", "team:db"]})),
        ("on cpu", json!({"time": 4000, "dashboardUID": "cpu", "panelId": 1, "tags": ["deploy"]})),
        ("on cpu too", json!({"time": 5000, "timeEnd": 9000, "dashboardId": cpu, "panelId": 2})),
        ("on disk", json!({"time": 6000, "dashboardUID": "disk", "panelId": 1, "tags": ["team:db:eu"]})),
    ] {
        let mut annotation = more;
        annotation["text"] = json!(text);
        annotate(&admin, &annotation).await;
    }
    annotate(&vic, &json!({"text": "vic's", "time": 7000, "tags": ["team"]})).await;
    let all = ["on cpu too", "region", "vic's", "on disk", "on cpu", "point"];
    let cases: &[(String, &[&str])] = &[
        (String::new(), &all),
        ("?limit=2".to_owned(), &all[..2]),
        ("?limit=0".to_owned(), &all),
        ("?type=annotation".to_owned(), &all),
        ("?type=alert".to_owned(), &[]),
        ("?alertId=1".to_owned(), &[]),
        ("?alertUID=rule".to_owned(), &[]),
        ("?from=4000&to=6000".to_owned(), &["on cpu too", "region", "on disk", "on cpu"]),
        ("?from=4000&to=6000&limit=3".to_owned(), &["on cpu too", "region", "on disk"]),
        ("?from=1000&to=1999".to_owned(), &["point"]),
        ("?from=9000&to=9500".to_owned(), &["on cpu too", "region"]),
        ("?from=9001&to=9500".to_owned(), &[]),
        ("?from=9001".to_owned(), &all),
        ("?dashboardUID=cpu".to_owned(), &["on cpu too", "on cpu"]),
        (format!("?dashboardId={cpu}&panelId=1"), &["on cpu"]),
        (format!("?dashboardUID=cpu&dashboardId={disk}"), &["on cpu too", "on cpu"]),
        ("?dashboardUID=cpu&tags=deploy".to_owned(), &["on cpu"]),
        ("?dashboardUID=cpu&from=4500&to=4600".to_owned(), &[]),
        ("?dashboardUID=gone".to_owned(), &[]),
        ("?dashboardUID=no%20uid".to_owned(), &[]),
        ("?dashboardId=99".to_owned(), &[]),
        ("?panelId=1".to_owned(), &["on disk", "on cpu"]),
        (format!("?userId={vic_id}"), &["vic's"]),
        (format!("?userId={vic_id}&tags=deploy"), &[]),
        ("?userId=1&tags=team&from=1&to=6000".to_owned(), &["region", "on disk", "point"]),
        ("?tags=deploy".to_owned(), &["region", "on cpu", "point"]),
        ("?tags=deploy&limit=1".to_owned(), &["region"]),
        ("?tags=deploy&from=1&to=4000".to_owned(), &["region", "on cpu", "point"]),
        ("?tags=deploy&from=3000&to=3500".to_owned(), &["region"]),
        ("?tags=deploy&tags=team:db".to_owned(), &["region"]),
        ("?tags=deploy&tags=team".to_owned(), &["region", "point"]),
        ("?tags=team".to_owned(), &["region", "vic's", "on disk", "point"]),
        ("?tags=team:db".to_owned(), &["region"]),
        ("?tags=%20team:&tags=team".to_owned(), &["region", "vic's", "on disk", "point"]),
        ("?tags=deploy&tags=gone".to_owned(), &[]),
        ("?tags=team:web&tags=team:db&matchAny=true".to_owned(), &["region", "point"]),
        (
            "?tags=team&tags=deploy&matchAny=true".to_owned(),
            &["region", "vic's", "on disk", "on cpu", "point"],
        ),
        ("?tags=team&tags=deploy&matchAny=true&panelId=1".to_owned(), &["on disk", "on cpu"]),
    ];
    for client in [&admin, &vic] {
        for (query, expected) in cases {
            assert_eq!(texts(client, query).await, *expected, "{query}");
        }
    }
    for client in [&admin, &vic] {
        counts_tags(client).await;
    }
}

/// Checks the listed usage counts of the tags of these annotations.
async fn counts_tags(client: &Client) {
    let found = |tags: &[(&str, i64)]| {
        tags.iter().map(|(tag, count)| ((*tag).to_owned(), *count)).collect::<Vec<_>>()
    };
    let all = [("deploy", 3), ("team", 1), ("team:db", 1), ("team:db:eu", 1), ("team:web", 1)];
    assert_eq!(tags(client, "").await, found(&all));
    assert_eq!(tags(client, "?tag=DB").await, found(&all[2..4]));
    assert_eq!(tags(client, "?tag=team&limit=1").await, found(&all[1..2]));
    assert_eq!(tags(client, "?tag=%25").await, []);
}

#[tokio::test]
async fn those_of_a_panel_are_deleted_together_and_undone_together() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let cpu = save(&admin, "cpu", "").await;
    let on = |panel: i64| json!({"text": format!("on {panel}"), "dashboardUID": "cpu", "panelId": panel, "tags": ["ops"]});
    for panel in [1, 1, 2] {
        annotate(&admin, &on(panel)).await;
    }
    let only = annotate(&admin, &json!({"text": "of the org"})).await;
    let panel = json!({"dashboardUID": "cpu", "panelId": 1});
    let deleted = admin.post("/api/annotations/mass-delete", &panel).await;
    deleted.expect_message(200, "Annotations deleted");
    assert_eq!(texts(&admin, "").await, ["of the org", "on 2"]);
    assert_eq!(tags(&admin, "").await, [("ops".to_owned(), 1)]);
    // Deleting nothing succeeds.
    admin.post("/api/annotations/mass-delete", &panel).await.expect(200);
    admin.post("/api/annotations/mass-delete", &json!({"annotationId": only})).await.expect(200);
    let by_id = json!({"dashboardId": cpu, "panelId": 2});
    admin.post("/api/annotations/mass-delete", &by_id).await.expect(200);
    assert_eq!(texts(&admin, "").await, [] as [&str; 0]);

    let log = "/api/audit/events?action=annotation.deleted";
    let events = admin.get(log).await.expect(200).body["events"].clone();
    assert_eq!(events.as_array().map(Vec::len), Some(4));
    let undo = format!("/api/audit/events/{}/undo", events[3]["id"]);
    assert_eq!(admin.get(&undo).await.expect(200).body["steps"].as_array().map(Vec::len), Some(2));
    admin.post(&undo, &json!({})).await.expect(200);
    assert_eq!(texts(&admin, "").await, ["on 1", "on 1"]);
    assert_eq!(tags(&admin, "").await, [("ops".to_owned(), 2)]);

    // More annotations than can be deleted together are unchanged.
    let many = format!(
        "INSERT INTO annotations SELECT org_id, id + n, dashboard_id, dashboard_uid, panel_id, user_id, time,
        time_end, text, tags, terms, data, created, updated FROM (SELECT * FROM annotations LIMIT 1) AS one,
        generate_series(10001, 15000) AS n WHERE dashboard_id = {cpu}"
    );
    server.database.connect().await.batch_execute(&many).await.unwrap();
    admin.post("/api/annotations/mass-delete", &panel).await.expect(413);
    assert_eq!(texts(&admin, "?limit=5000").await.len(), 5000);
}

#[tokio::test]
async fn are_looked_back_at_and_restored() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    let (editor, editor_id) = server.new_member(1, "eve", "Editor").await;
    let id = annotate(&editor, &json!({"text": "first", "dashboardUID": "cpu", "time": 1000, "tags": ["a"]}))
        .await;
    let path = format!("/api/annotations/{id}");
    editor.put(&path, &json!({"text": "second", "tags": ["b"]})).await.expect(200);
    editor.put(&path, &json!({"text": "second"})).await.expect(200);
    editor.delete(&path).await.expect(200);
    let history = admin.get(&format!("{path}/history")).await.expect(200).body;
    let actions: Vec<_> =
        history["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["annotation.deleted", "annotation.changed", "annotation.created"]);
    editor.get(&format!("{path}/history")).await.expect(403);
    editor.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(403);
    admin.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(200);
    let back = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&back["text"], &back["tags"], &back["userId"]),
        (&json!("first"), &json!(["a"]), &json!(editor_id))
    );
    admin.post(&format!("{path}/history/restore"), &json!({"version": 2})).await.expect(200);
    assert_eq!(texts(&admin, "?tags=b").await, ["second"]);
    assert_eq!(texts(&admin, "?tags=a").await, [] as [&str; 0]);
    let undo = |entry: usize| format!("/api/audit/events/{}/undo", history["entries"][entry]["position"]);
    let preview = admin.get(&undo(2)).await.expect(200).body;
    assert_eq!(preview["steps"][0]["name"], "second", "{preview}");
    editor.post(&undo(2), &json!({})).await.expect(403);
    admin.post(&undo(2), &json!({})).await.expect(200);
    admin.get(&path).await.expect(404);
}
