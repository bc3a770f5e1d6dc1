//! The history of all objects through HTTP: entries, their changes, and restoring.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn save(client: &Client, document: Value, message: &str) {
    let save = json!({"dashboard": document, "message": message, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

async fn history(client: &Client, path: &str) -> Vec<Value> {
    let body = client.get(&format!("{path}/history")).await.expect(200).body;
    body["entries"].as_array().unwrap().clone()
}

async fn actions(client: &Client, path: &str) -> Vec<String> {
    let entries = history(client, path).await;
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

async fn restore(client: &Client, path: &str, version: i64) -> Value {
    client.post(&format!("{path}/history/restore"), &json!({"version": version})).await.expect(200).body
}

fn panel(id: i64, title: &str, x: i64, expr: &str) -> Value {
    json!({"id": id, "title": title, "type": "timeseries", "gridPos": {"x": x, "y": 0, "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": expr}]})
}

#[tokio::test]
async fn a_dashboard_tells_what_was_changed_panel_by_panel() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, ann_id) = server.new_member(1, "ann", "Editor").await;
    let first = json!({"title": "Hosts", "uid": "hosts", "panels": [panel(1, "CPU", 0, "cpu"), panel(2, "RAM", 12, "ram")]});
    save(&admin, first, "first").await;
    let second = json!({"title": "Hosts", "uid": "hosts", "panels": [panel(2, "RAM", 12, "ram"), panel(1, "CPU", 0, "cpu{mode}")]});
    save(&ann, second, "filter").await;
    let path = "/api/dashboards/uid/hosts";
    let entries = history(&admin, path).await;
    assert_eq!(entries.len(), 2);
    let last = &entries[0];
    assert_eq!((&last["version"], &last["action"]), (&json!(2), &json!("dashboard.updated")));
    assert_eq!(last["actor"], json!({"type": "user", "id": ann_id, "login": "ann"}));
    assert_eq!((&last["message"], &entries[1]["message"]), (&json!("filter"), &json!("first")));
    assert!(last.get("changes").is_none());

    let diff = admin.get(&format!("{path}/history/diff")).await.expect(200).body;
    assert_eq!((&diff["from"]["version"], &diff["to"]["version"]), (&json!(1), &json!(2)));
    let expected = json!([
        {"op": "move", "path": "/dashboard/panels/0", "from": "/dashboard/panels/1"},
        {"op": "replace", "path": "/dashboard/panels/1/targets/0/expr", "from": "/dashboard/panels/0/targets/0/expr",
            "before": "cpu", "after": "cpu{mode}"},
    ]);
    assert_eq!(diff["changes"], expected);
    assert_eq!(diff["truncated"], false);
    assert_eq!(diff["summary"]["text"], "panel “CPU”: its query changed");
    assert_eq!(diff["summary"]["parts"][0]["changed"], json!(["query"]));
    let listed = admin.get(&format!("{path}/history?changes=true")).await.expect(200).body;
    assert_eq!(listed["entries"][0]["changes"], expected);
    assert_eq!(listed["entries"][1]["changes"][0]["op"], "replace");
    assert_eq!(listed["entries"][1]["changes"][0]["before"], Value::Null);
    // The audit log has the same changes.
    let audit = admin.get("/api/audit/events?action=dashboard.updated&changes=true").await.expect(200).body;
    assert_eq!(audit["events"][0]["changes"], expected);
    let one = admin.get(&format!("/api/audit/events/{}", last["position"])).await.expect(200).body;
    assert_eq!((&one["changes"], &one["summary"][0]), (&expected, &json!("panel “CPU”: its query changed")));
}

#[tokio::test]
async fn histories_are_paged_and_compared_at_will() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for number in 1..=5 {
        save(&admin, json!({"title": "CPU", "uid": "cpu", "number": number}), "").await;
    }
    let path = "/api/dashboards/uid/cpu/history";
    let versions = |body: &Value| -> Vec<i64> {
        body["entries"].as_array().unwrap().iter().map(|entry| entry["version"].as_i64().unwrap()).collect()
    };
    let page = admin.get(&format!("{path}?limit=2")).await.expect(200).body;
    assert_eq!((versions(&page), &page["next"]), (vec![5, 4], &json!(4)));
    let page = admin.get(&format!("{path}?limit=3&before=4&changes=true")).await.expect(200).body;
    assert_eq!((versions(&page), &page["next"]), (vec![3, 2, 1], &Value::Null));
    assert_eq!(page["entries"][0]["changes"][0]["after"], 3);
    assert_eq!(versions(&admin.get(&format!("{path}?before=1")).await.expect(200).body), Vec::<i64>::new());

    let diff = admin.get(&format!("{path}/diff?from=1&to=4")).await.expect(200).body;
    let change = json!([{"op": "replace", "path": "/dashboard/number", "before": 1, "after": 4}]);
    assert_eq!((&diff["changes"], &diff["from"]["version"]), (&change, &json!(1)));
    let back = admin.get(&format!("{path}/diff?from=4&to=1")).await.expect(200).body;
    assert_eq!(back["changes"][0]["after"], 1);
    let from_nothing = admin.get(&format!("{path}/diff?from=0&to=1")).await.expect(200).body;
    assert_eq!((&from_nothing["from"], &from_nothing["changes"][0]["op"]), (&Value::Null, &json!("replace")));
    for (query, status) in [("from=9", 404), ("to=6", 404), ("from=-1", 400), ("to=x", 400)] {
        admin.get(&format!("{path}/diff?{query}")).await.expect(status);
    }
    for version in [json!(9), json!(0), json!(-1)] {
        admin.post(&format!("{path}/restore"), &json!({"version": version})).await.expect(404);
    }
    admin.post(&format!("{path}/restore"), &json!({})).await.expect_message(400, "version is invalid");
    admin.get("/api/dashboards/uid/gone/history").await.expect_message(404, "Dashboard not found");
    admin.get("/api/folders/gone/history").await.expect_message(404, "folder not found");
    admin.get("/api/teams/x/history").await.expect_message(404, "Team not found");
}

#[tokio::test]
async fn a_dashboard_comes_back_as_it_was() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let save = json!({"dashboard": {"title": "CPU", "uid": "cpu", "n": 1}, "folderUid": "ops"});
    let created = admin.post("/api/dashboards/db", &save).await.expect(200).body;
    let save =
        json!({"dashboard": {"title": "CPU", "uid": "cpu", "n": 2}, "folderUid": "ops", "overwrite": true});
    admin.post("/api/dashboards/db", &save).await.expect(200);
    let path = "/api/dashboards/uid/cpu";
    assert_eq!(
        restore(&admin, path, 1).await,
        json!({"message": "Restored version 1", "version": 3, "changed": true})
    );
    let read = admin.get(path).await.expect(200).body;
    assert_eq!((&read["dashboard"]["n"], &read["dashboard"]["version"]), (&json!(1), &json!(3)));
    let versions = admin.get(&format!("{path}/versions")).await.expect(200).body;
    assert_eq!(versions["versions"][0]["restoredFrom"], 1);
    let nothing = json!({"message": "Nothing to restore", "version": 3, "changed": false});
    assert_eq!(restore(&admin, path, 3).await, nothing);

    admin.post("/api/user/stars/dashboard/uid/cpu", &json!({})).await.expect(200);
    admin.delete(path).await.expect(200);
    let deleted = admin.post(&format!("{path}/history/restore"), &json!({"version": 4})).await;
    deleted.expect_message(400, "it was deleted in version 4: choose another version");
    let diff = admin.get(&format!("{path}/history/diff")).await.expect(200).body;
    assert_eq!(
        (&diff["changes"][0]["after"], &diff["to"]["action"]),
        (&Value::Null, &json!("dashboard.deleted"))
    );
    restore(&admin, path, 2).await;
    let read = admin.get(path).await.expect(200).body;
    assert_eq!((&read["dashboard"]["n"], &read["dashboard"]["id"]), (&json!(2), &created["id"]));
    assert_eq!((&read["meta"]["folderUid"], &read["meta"]["isStarred"]), (&json!("ops"), &json!(true)));
    let expected = [
        "dashboard.version_restored",
        "dashboard.restored",
        "dashboard.deleted",
        "dashboard.version_restored",
        "dashboard.updated",
        "dashboard.created",
    ];
    assert_eq!(actions(&admin, path).await, expected);

    // A purged object is restored as a new one, with the old history.
    admin.delete(path).await.expect(200);
    admin.delete("/api/folders/ops").await.expect(200);
    let gone = admin.post(&format!("{path}/history/restore"), &json!({"version": 2})).await;
    gone.expect_message(400, "folder not found");
    restore(&admin, "/api/folders/ops", 1).await;
    admin.delete(&format!("{path}/trash")).await.expect(200);
    restore(&admin, path, 2).await;
    assert_eq!(actions(&admin, path).await[..2], ["dashboard.created", "dashboard.purged"]);
    assert_eq!(admin.get(path).await.expect(200).body["dashboard"]["n"], 2);
}

#[tokio::test]
async fn a_folder_comes_back_to_its_place_and_name() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (uid, parent) in [("a", ""), ("b", ""), ("c", "a")] {
        let folder = json!({"title": uid.to_uppercase(), "uid": uid, "parentUid": parent});
        admin.post("/api/folders", &folder).await.expect(200);
    }
    admin.post("/api/folders/c/move", &json!({"parentUid": "b"})).await.expect(200);
    admin
        .put("/api/folders/c", &json!({"title": "Renamed", "description": "x", "overwrite": true}))
        .await
        .expect(200);
    let path = "/api/folders/c";
    let diff = admin.get(&format!("{path}/history/diff?from=1&to=3")).await.expect(200).body;
    let paths: Vec<_> =
        diff["changes"].as_array().unwrap().iter().map(|change| change["path"].clone()).collect();
    assert_eq!(paths, ["/description", "/parentUid", "/title", "/version"]);
    let restored = restore(&admin, path, 1).await;
    assert_eq!(restored["version"], 5);
    let read = admin.get(path).await.expect(200).body;
    assert_eq!((&read["title"], &read["parentUid"]), (&json!("C"), &json!("a")));
    assert_eq!(restore(&admin, path, 1).await["changed"], false);

    admin.delete(path).await.expect(200);
    admin.delete("/api/folders/b").await.expect(200);
    let gone = admin.post(&format!("{path}/history/restore"), &json!({"version": 3})).await.expect(400);
    assert_eq!(gone.body["message"], "folder not found");
    restore(&admin, path, 1).await;
    let again = admin.get(path).await.expect(200).body;
    assert_eq!(again["parentUid"], "a");
    assert_ne!(again["id"], read["id"]);
    // Restoring a state that would violate a rule is refused.
    admin.post("/api/folders/a/move", &json!({"parentUid": ""})).await.expect(200);
    admin.post("/api/folders/c/move", &json!({"parentUid": ""})).await.expect(200);
    admin.post("/api/folders/a/move", &json!({"parentUid": "c"})).await.expect(200);
    admin.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(400);
}

#[tokio::test]
async fn orgs_members_and_preferences_have_histories() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.put("/api/org", &json!({"name": "Renamed"})).await.expect(200);
    admin.put("/api/org/address", &json!({"city": "Bern"})).await.expect(200);
    assert_eq!(actions(&admin, "/api/org").await, ["org.address_changed", "org.renamed", "org.created"]);
    restore(&admin, "/api/org", 1).await;
    let org = admin.get("/api/org").await.expect(200).body;
    assert_eq!((&org["name"], &org["address"]["city"]), (&json!("Main Org."), &json!("")));

    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    admin.patch(&format!("/api/org/users/{id}"), &json!({"role": "Admin"})).await.expect(200);
    let path = format!("/api/org/users/{id}");
    let diff = admin.get(&format!("{path}/history/diff")).await.expect(200).body;
    assert_eq!(
        diff["changes"],
        json!([{"op": "replace", "path": "/role", "before": "Viewer", "after": "Admin"}])
    );
    let first = history(&admin, &path).await.last().unwrap()["version"].as_i64().unwrap();
    restore(&admin, &path, first).await;
    ann.get(&format!("{path}/history")).await.expect(403);
    admin.delete(&path).await.expect(200);
    let left = admin.post(&format!("{path}/history/restore"), &json!({"version": first})).await;
    left.expect_message(400, "a membership cannot be restored");

    admin.get("/api/org/preferences/history").await.expect_message(404, "no preferences were ever set");
    for theme in ["dark", "light"] {
        for path in ["/api/org/preferences", "/api/user/preferences"] {
            admin.put(path, &json!({"theme": theme, "weekStart": "monday"})).await.expect(200);
        }
    }
    for path in ["/api/org/preferences", "/api/user/preferences"] {
        let diff = admin.get(&format!("{path}/history/diff?from=0&to=1")).await.expect(200).body;
        assert_eq!(diff["changes"][0]["after"]["weekStart"], "monday");
        restore(&admin, path, 1).await;
        assert_eq!(admin.get(path).await.expect(200).body["theme"], "dark");
    }
}

#[tokio::test]
async fn teams_service_accounts_and_users_have_histories() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops", "email": "ops@x"})).await.expect(200).body;
    let path = format!("/api/teams/{}", team["teamId"]);
    admin.post(&format!("{path}/members"), &json!({"userId": ann})).await.expect(200);
    admin.put(&path, &json!({"name": "Net"})).await.expect(200);
    admin.delete(&format!("{path}/members/{ann}")).await.expect(200);
    assert_eq!(
        actions(&admin, &path).await[..3],
        ["team.member_removed", "team.updated", "team.member_added"]
    );
    restore(&admin, &path, 3).await;
    let read = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&read["name"], &read["email"], &read["memberCount"]),
        (&json!("Ops"), &json!("ops@x"), &json!(2))
    );
    admin.delete(&path).await.expect(200);
    restore(&admin, &path, 3).await;
    let again = admin.get(&path).await.expect(200).body;
    assert_eq!((&again["uid"], &again["memberCount"]), (&read["uid"], &json!(2)));

    let account = json!({"name": "ci", "role": "Viewer"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let path = format!("/api/serviceaccounts/{account}");
    admin.patch(&path, &json!({"role": "Admin", "name": "cd"})).await.expect(200);
    restore(&admin, &path, 1).await;
    let read = admin.get(&path).await.expect(200).body;
    assert_eq!((&read["name"], &read["role"]), (&json!("ci"), &json!("Viewer")));
    admin.delete(&path).await.expect(200);
    let gone = admin.post(&format!("{path}/history/restore"), &json!({"version": 1})).await;
    gone.expect_message(400, "a service account cannot be restored");

    let path = format!("/api/users/{ann}");
    admin.put(&path, &json!({"login": "maria", "name": "Maria"})).await.expect(200);
    admin
        .put(&format!("/api/admin/users/{ann}/permissions"), &json!({"isGrafanaAdmin": true}))
        .await
        .expect(200);
    let diff = admin.get(&format!("{path}/history/diff?from=1&to=3")).await.expect(200).body;
    assert_eq!(diff["changes"][0]["path"], "/isServerAdmin");
    restore(&admin, &path, 1).await;
    let read = admin.get(&path).await.expect(200).body;
    // Restoring a profile changes no permissions.
    assert_eq!((&read["login"], &read["isGrafanaAdmin"]), (&json!("ann"), &json!(true)));
    let (bob, _) = server.new_member(1, "bob", "Admin").await;
    bob.get(&format!("{path}/history")).await.expect(403);
}

#[tokio::test]
async fn who_may_look_may_not_bring_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    save(&admin, json!({"title": "CPU", "uid": "cpu"}), "").await;
    // Nor may a viewer: the current content may have been different earlier, in a folder closed to the viewer.
    let (edith, _) = server.new_member(1, "edith", "Editor").await;
    edith.get("/api/dashboards/uid/cpu/history?changes=true").await.expect(200);
    let body = json!({"version": 1});
    viewer.post("/api/dashboards/uid/cpu/history/restore", &body).await.expect(403);
    viewer.post("/api/org/history/restore", &body).await.expect(403);
    edith.post("/api/org/history/restore", &body).await.expect(403);
    let other = server.new_org("Other").await;
    let (olga, _) = server.new_member(other, "olga", "Admin").await;
    olga.get("/api/dashboards/uid/cpu/history").await.expect(404);
    olga.post("/api/dashboards/uid/cpu/history/restore", &body).await.expect(404);
}

#[tokio::test]
async fn a_restoration_is_carried_out_once_and_as_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "A", "uid": "a"})).await.expect(200);
    admin.post("/api/folders", &json!({"title": "C", "uid": "c"})).await.expect(200);
    admin.put("/api/folders/c", &json!({"title": "D", "overwrite": true})).await.expect(200);
    admin.post("/api/folders/c/move", &json!({"parentUid": "a"})).await.expect(200);
    let keyed = admin.clone().with_header("Idempotency-Key", "undo");
    let first = restore(&keyed, "/api/folders/c", 1).await;
    assert_eq!(restore(&keyed, "/api/folders/c", 1).await, first);
    assert_eq!(history(&admin, "/api/folders/c").await.len(), 5);
    let sql = "SELECT count(DISTINCT xmin::text) FROM events WHERE stream_id = 'folder-c' AND version > 3";
    assert_eq!(server.database.scalar::<i64>(sql).await, 1);
}

#[tokio::test]
async fn who_reuses_a_uid_learns_nothing_of_what_had_it_before() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (edith, _) = server.new_member(1, "edith", "Editor").await;
    admin.post("/api/folders", &json!({"title": "Secret plans", "uid": "reused"})).await.expect(200);
    admin.post("/api/folders/reused/permissions", &json!({"items": []})).await.expect(200);
    let secret = json!({"dashboard": {"title": "Secret", "uid": "cpu"}, "folderUid": "reused"});
    admin.post("/api/dashboards/db", &secret).await.expect(200);
    admin.delete("/api/folders/reused").await.expect(200);

    // A dashboard in the trash cannot be replaced by a user without permission to edit it.
    let mine = json!({"title": "Mine", "uid": "cpu"});
    edith.post("/api/dashboards/db", &json!({"dashboard": mine, "overwrite": true})).await.expect(403);
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect(200);
    edith.post("/api/folders", &json!({"title": "Mine", "uid": "reused"})).await.expect(200);
    for message in ["first", "second"] {
        save(&edith, mine.clone(), message).await;
    }
    for (path, last) in [("/api/dashboards/uid/cpu", 5), ("/api/folders/reused", 3)] {
        let first = if path.contains("cpu") { last - 1 } else { last };
        let entries = edith.get(&format!("{path}/history?changes=true")).await.expect(200);
        assert!(!entries.text.contains("Secret"), "{}", entries.text);
        let listed = entries.body["entries"].as_array().unwrap();
        assert_eq!(listed.last().unwrap()["version"], first);
        assert_eq!(
            (&listed.last().unwrap()["changes"][0]["before"], &entries.body["next"]),
            (&Value::Null, &Value::Null)
        );
        for query in
            [format!("from=0&to={first}"), format!("from={}&to={first}", first - 1), format!("to={first}")]
        {
            let diff = edith.get(&format!("{path}/history/diff?{query}")).await.expect(200);
            assert!(!diff.text.contains("Secret") && diff.body["from"].is_null(), "{}", diff.text);
        }
        for query in ["from=0&to=1".to_owned(), format!("from=1&to={last}"), format!("to={}", first - 2)] {
            edith.get(&format!("{path}/history/diff?{query}")).await.expect(404);
        }
        edith.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(404);
        // An admin of all content sees its whole history.
        assert!(admin.get(&format!("{path}/history?changes=true")).await.expect(200).text.contains("Secret"));
    }
    restore(&edith, "/api/dashboards/uid/cpu", 4).await;
}

#[tokio::test]
async fn what_was_closed_comes_back_closed_and_can_be_opened() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    admin.post("/api/folders", &json!({"title": "Closed", "uid": "closed"})).await.expect(200);
    save(&admin, json!({"title": "Closed", "uid": "cpu"}), "").await;
    for (path, lists) in [
        ("/api/folders/closed", "/api/folders/closed/permissions"),
        ("/api/dashboards/uid/cpu", "/api/dashboards/uid/cpu/permissions"),
    ] {
        let viewers = json!({"items": [{"role": "Viewer", "permission": 1}]});
        for (list, status) in [(&json!({"items": []}), 403), (&viewers, 200)] {
            admin.post(lists, list).await.expect(200);
            vic.get(path).await.expect(status);
            admin.delete(path).await.expect(200);
            if path.contains("cpu") {
                admin.delete(&format!("{path}/trash")).await.expect(200);
            }
            restore(&admin, path, 1).await;
            vic.get(path).await.expect(403);
            admin.post(lists, &viewers).await.expect(200);
            vic.get(path).await.expect(200);
        }
    }
    // An object without an access-control list is restored without one.
    admin.post("/api/folders", &json!({"title": "Open", "uid": "open"})).await.expect(200);
    admin.delete("/api/folders/open").await.expect(200);
    restore(&admin, "/api/folders/open", 1).await;
    vic.get("/api/folders/open").await.expect(200);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn who_is_demoted_by_a_restoration_has_invited_nobody() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let path = format!("/api/org/users/{id}");
    let first = history(&admin, &path).await[0]["version"].as_i64().unwrap();
    admin.patch(&path, &json!({"role": "Admin"})).await.expect(200);
    let invite = json!({"loginOrEmail": "eve@example.org", "role": "Viewer"});
    ann.post("/api/org/invites", &invite).await.expect(200);
    restore(&admin, &path, first).await;
    let log = admin.get("/api/audit/events?action=invite.*").await.expect(200).body;
    let actions: Vec<_> = log["events"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["invite.revoked", "invite.created"]);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}
