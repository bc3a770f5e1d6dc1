//! Permissions on annotations: those of the org by role, those of a dashboard by the permissions on that.

use kymograph_tests::{Client, TestServer};
use serde_json::json;

use super::{annotate, save, tags, texts};

#[tokio::test]
async fn follow_the_rights_on_their_dashboard() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    let (viewer, viewer_id) = server.new_member(acme, "vic", "Viewer").await;
    let (editor, _) = server.new_member(acme, "eve", "Editor").await;
    let (guest, guest_id) = server.new_member(acme, "gus", "None").await;
    admin.post("/api/folders", &json!({"uid": "closed", "title": "Closed"})).await.expect(200);
    admin.post("/api/folders", &json!({"uid": "shared", "title": "Shared"})).await.expect(200);
    let nobody = json!({"items": []});
    admin.post("/api/folders/closed/permissions", &nobody).await.expect(200);
    let some =
        json!({"items": [{"userId": viewer_id, "permission": 2}, {"userId": guest_id, "permission": 1}]});
    admin.post("/api/folders/shared/permissions", &some).await.expect(200);
    for (uid, folder) in [("open", ""), ("hidden", "closed"), ("common", "shared")] {
        save(&admin, uid, folder).await;
    }
    let mut ids = Vec::new();
    for (text, uid) in [("org", ""), ("open", "open"), ("hidden", "hidden"), ("common", "common")] {
        let annotation =
            json!({"text": text, "dashboardUID": uid, "panelId": 1, "tags": ["ops", text], "time": 1000});
        ids.push(annotate(&admin, &annotation).await);
    }
    // The clients, and which of the four annotations they may read and write.
    let cases = [
        (&admin, "admin", [true; 4], [true; 4]),
        (&viewer, "viewer", [true, true, false, true], [false, false, false, true]),
        (&editor, "editor", [true, true, false, false], [true, true, false, false]),
        (&guest, "guest", [false, false, false, true], [false; 4]),
    ];
    let names = NAMES;
    for (client, who, reads, writes) in cases {
        let visible: Vec<_> =
            names.iter().zip(reads).filter(|(_, reads)| *reads).map(|(name, _)| *name).collect();
        finds(client, who, &visible).await;
        let counted = i64::try_from(visible.len()).unwrap();
        assert_eq!(tags(client, "?tag=ops").await, [("ops".to_owned(), counted)], "{who}");
        assert_eq!(tags(client, "").await.len(), visible.len() + 1, "{who}");
        for (place, name) in names.iter().enumerate() {
            let path = format!("/api/annotations/{}", ids[place]);
            client.get(&path).await.expect(if reads[place] { 200 } else { 403 });
            let on = if place == 0 { "" } else { name };
            let listed = texts(client, &format!("?dashboardUID={name}")).await;
            assert_eq!(listed.len(), usize::from(reads[place] && place > 0), "{who} {name}");
            let status = if writes[place] { 200 } else { 403 };
            writes_or_not(&admin, client, (who, on), ids[place], status).await;
        }
    }
    viewer.post("/api/annotations/graphite", &json!({"what": "x"})).await.expect(403);
    editor.post("/api/annotations/graphite", &json!({"what": "x"})).await.expect(200);
    viewer.delete(&format!("/api/annotations/{}", ids[3])).await.expect(200);
    server.access.flush().await;
    let denied = admin.get("/api/audit/events?outcome=denied").await.expect(200).body;
    assert!(
        denied["events"].as_array().unwrap().iter().any(|event| event["targets"][0]["type"] == "annotation"),
        "{denied}"
    );
}

/// The names of the test's annotations.
const NAMES: [&str; 4] = ["org", "open", "hidden", "common"];

/// Checks that a client finds these annotations by every query.
async fn finds(client: &Client, who: &str, visible: &[&str]) {
    let queries =
        ["", "?tags=ops", "?from=1&to=2000", "?tags=ops&from=1&to=2000", "?userId=1", "?panelId=1&tags=ops"];
    for query in queries {
        let mut found = texts(client, query).await;
        found.sort_by_key(|text| NAMES.iter().position(|name| name == text));
        assert_eq!(found, visible, "{who} {query}");
    }
}

/// Checks that all changes by a client to an annotation, and new ones on the same object, have this status.
async fn writes_or_not(admin: &Client, client: &Client, (who, on): (&str, &str), id: i64, status: u16) {
    let path = format!("/api/annotations/{id}");
    let own = json!({"text": "own", "dashboardUID": on, "panelId": 7, "time": 1});
    client.post("/api/annotations", &own).await.expect(status);
    let text = if on.is_empty() { "org" } else { on };
    client.put(&path, &json!({"text": text})).await.expect(status);
    client.patch(&path, &json!({"data": {"by": who}})).await.expect(status);
    if !on.is_empty() {
        let panel = json!({"dashboardUID": on, "panelId": 7});
        client.post("/api/annotations/mass-delete", &panel).await.expect(status);
    } else if status == 200 {
        admin.delete(&format!("/api/annotations/{}", last(client).await)).await.expect(200);
    }
    if status != 200 {
        client.delete(&path).await.expect(403);
        client.post("/api/annotations/mass-delete", &json!({"annotationId": id})).await.expect(403);
    }
}

/// The annotation of the org that the client has just created.
async fn last(client: &Client) -> i64 {
    let found = client.get("/api/annotations?panelId=7").await.expect(200).body;
    found[0]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_right_that_is_taken_counts_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, viewer_id) = server.new_member(1, "vic", "Viewer").await;
    save(&admin, "cpu", "").await;
    let id = annotate(&admin, &json!({"text": "deployed", "dashboardUID": "cpu", "tags": ["ops"]})).await;
    let path = format!("/api/annotations/{id}");
    for (permission, status) in [(2, 200), (1, 403)] {
        let list = json!({"items": [{"userId": viewer_id, "permission": permission}]});
        admin.post("/api/dashboards/uid/cpu/permissions", &list).await.expect(200);
        viewer.patch(&path, &json!({"text": format!("by vic {permission}")})).await.expect(status);
        assert_eq!(texts(&viewer, "?tags=ops").await, ["by vic 2"]);
    }
    admin.post("/api/dashboards/uid/cpu/permissions", &json!({"items": []})).await.expect(200);
    viewer.get(&path).await.expect(403);
    assert_eq!(texts(&viewer, "").await, [] as [&str; 0]);
    assert_eq!(tags(&viewer, "").await, []);
}

#[tokio::test]
async fn a_member_finds_what_is_behind_many_that_it_may_not_see() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    admin.post("/api/folders", &json!({"uid": "closed", "title": "Closed"})).await.expect(200);
    admin.post("/api/folders/closed/permissions", &json!({"items": []})).await.expect(200);
    let (open, hidden) = (save(&admin, "open", "").await, save(&admin, "hidden", "closed").await);
    annotate(&admin, &json!({"text": "old", "dashboardUID": "open", "time": 1, "tags": ["ops"]})).await;
    annotate(&admin, &json!({"text": "older", "time": 1, "tags": ["ops"]})).await;
    // So many that the first batch ends before them.
    let many = format!("INSERT INTO annotations SELECT 1, n, {hidden}, 'hidden', 0, 1, n, n + n % 2, 'hidden', '{{ops}}', '{{ops}}', '',
            now(), now() FROM generate_series(10001, 16000) AS n;
        INSERT INTO annotation_terms SELECT 1, 'ops', time_end, time, id, dashboard_id FROM annotations WHERE id > 10000;
        INSERT INTO annotation_tag_counts VALUES (1, '', {hidden}, 6000), (1, 'ops', {hidden}, 6000)");
    server.database.connect().await.batch_execute(&many).await.unwrap();
    let id =
        annotate(&admin, &json!({"text": "open", "dashboardUID": "open", "time": 15_500, "tags": ["ops"]}))
            .await;
    assert!(id > open);
    for query in [
        "",
        "?tags=ops",
        "?userId=1",
        "?tags=ops&userId=1",
        "?from=1&to=20000",
        "?tags=ops&tags=gone&matchAny=true",
    ] {
        let found = texts(&viewer, query).await;
        assert_eq!((found.len(), &found[0]), (3, &"open".to_owned()), "{query}");
    }
    assert_eq!(texts(&viewer, "?limit=1").await, ["open"]);
    assert_eq!(tags(&viewer, "").await, [("ops".to_owned(), 3)]);
    assert_eq!(texts(&admin, "?limit=5000").await.len(), 5000);
}
