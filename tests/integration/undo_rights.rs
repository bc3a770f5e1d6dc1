//! Undoing and restoring grant no more than before: neither access to closed objects, nor permissions lost since.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};

async fn create_folder(client: &Client, uid: &str, title: &str) {
    client.post("/api/folders", &json!({"title": title, "uid": uid})).await.expect(200);
}

async fn save(client: &Client, uid: &str, folder: &str, text: &str) {
    let dashboard = json!({"title": uid, "uid": uid, "text": text});
    let save = json!({"dashboard": dashboard, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

async fn close(client: &Client, path: &str) {
    client.post(&format!("{path}/permissions"), &json!({"items": []})).await.expect(200);
}

/// The newest entry of the log on an object with an action.
async fn entry(client: &Client, action: &str, uid: &str) -> i64 {
    let (noun, _) = action.split_once('.').unwrap();
    let path = format!("/api/audit/events?action={action}&targetType={noun}&targetUid={uid}&limit=1");
    client.get(&path).await.expect(200).body["events"][0]["id"].as_i64().unwrap()
}

async fn undo(client: &Client, entry: i64) -> Answer {
    client.post(&format!("/api/audit/events/{entry}/undo"), &json!({})).await
}

/// Removes a member from the org, and adds it again with a role.
async fn leave_and_return(admin: &Client, login: &str, id: i64, role: &str) {
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    admin.post("/api/org/users", &json!({"loginOrEmail": login, "role": role})).await.expect(200);
}

async fn unharmed(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_is_replaced_within_one_undertaking_is_another_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let apply = admin.clone().with_header("X-Correlation-Id", "apply-1");
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    for title in ["Closed", "Another title"] {
        create_folder(&admin, "f", "Closed").await;
        close(&admin, "/api/folders/f").await;
        save(&admin, "d", "f", "secret").await;
        apply.delete("/api/folders/f").await.expect(200);
        create_folder(&apply, "f", title).await;
        let deletion = entry(&admin, "dashboard.deleted", "d").await;
        let refused = undo(&admin, deletion).await;
        refused.expect_message(409, &format!("folder “{title}”: another folder uses its uid"));
        vic.get("/api/dashboards/uid/d").await.expect(404);
        admin.delete("/api/folders/f").await.expect(200);
        admin.delete("/api/dashboards/uid/d/trash").await.expect(200);
    }
}

#[tokio::test]
async fn dashboards_of_one_undertaking_come_from_different_folders() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let apply = admin.clone().with_header("X-Correlation-Id", "apply-1");
    let (eve, _) = server.new_member(1, "eve", "Editor").await;
    create_folder(&admin, "f", "Closed").await;
    close(&admin, "/api/folders/f").await;
    save(&admin, "secret", "f", "secret").await;
    apply.delete("/api/dashboards/uid/secret").await.expect(200);
    admin.delete("/api/folders/f").await.expect(200);
    create_folder(&eve, "f", "Mine").await;
    save(&eve, "open", "f", "open").await;
    apply.delete("/api/dashboards/uid/open").await.expect(200);
    let deletion = entry(&admin, "dashboard.deleted", "open").await;
    undo(&admin, deletion).await.expect(400);
    eve.get("/api/dashboards/uid/secret").await.expect(404);
}

#[tokio::test]
async fn a_creator_who_left_has_no_more_than_its_new_role() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Editor").await;
    create_folder(&eve, "f", "Eve's").await;
    leave_and_return(&admin, "eve", id, "Viewer").await;
    admin.delete("/api/folders/f").await.expect(200);
    undo(&admin, entry(&admin, "folder.deleted", "f").await).await.expect(200);
    let folder = eve.get("/api/folders/f").await.expect(200).body;
    assert_eq!((&folder["canAdmin"], &folder["canEdit"]), (&json!(false), &json!(false)));
    let listed = admin.get("/api/folders/f/permissions").await.expect(200).body;
    assert!(listed.as_array().unwrap().iter().all(|item| item["userId"] == 0), "{listed}");
    unharmed(&server).await;
}

#[tokio::test]
async fn a_team_comes_back_without_those_who_have_left() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    let (_, vic) = server.new_member(1, "vic", "Viewer").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    let members = format!("/api/teams/{team}/members");
    for user in [ann, vic] {
        admin.post(&members, &json!({"userId": user})).await.expect(200);
    }
    let logins = async || -> Vec<Value> {
        let members = admin.get(&members).await.expect(200).body;
        members.as_array().unwrap().iter().map(|member| member["login"].clone()).collect()
    };
    admin.delete(&format!("/api/teams/{team}")).await.expect(200);
    leave_and_return(&admin, "vic", vic, "Viewer").await;
    let deletion = entry(&admin, "team.deleted", &team.to_string()).await;
    let plan = admin.get(&format!("/api/audit/events/{deletion}/undo")).await.expect(200).body;
    let detail = "1 of its members are omitted, because they have left the org";
    assert!(plan["steps"].to_string().contains(detail), "{plan}");
    undo(&admin, deletion).await.expect(200);
    assert_eq!(logins().await, ["admin", "ann"]);

    // Its history also knows whose membership it was.
    admin.post(&members, &json!({"userId": vic})).await.expect(200);
    let version =
        admin.get(&format!("/api/teams/{team}/history")).await.expect(200).body["entries"][0]["version"]
            .clone();
    leave_and_return(&admin, "vic", vic, "Viewer").await;
    admin.post(&format!("/api/teams/{team}/history/restore"), &json!({"version": version})).await.expect(200);
    assert_eq!(logins().await, ["admin", "ann"]);
    unharmed(&server).await;
}

#[tokio::test]
async fn nothing_is_restored_into_another_one_with_its_uid() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, _) = server.new_member(1, "eve", "Editor").await;
    save(&admin, "d", "", "secret").await;
    close(&admin, "/api/dashboards/uid/d").await;
    admin.delete("/api/dashboards/uid/d").await.expect(200);
    admin.delete("/api/dashboards/uid/d/trash").await.expect(200);
    create_folder(&admin, "f", "Secret").await;
    close(&admin, "/api/folders/f").await;
    admin.delete("/api/folders/f").await.expect(200);
    save(&eve, "d", "", "mine").await;
    create_folder(&eve, "f", "Mine").await;
    let first = json!({"version": 1});
    let restore = async |path: &str| admin.post(&format!("{path}/history/restore"), &first).await;
    let message = |noun| format!("another {noun} uses its uid: delete that one permanently first");
    restore("/api/folders/f").await.expect_message(409, &message("folder"));
    restore("/api/dashboards/uid/d").await.expect_message(409, &message("dashboard"));
    admin.delete("/api/dashboards/uid/d").await.expect(200);
    restore("/api/dashboards/uid/d").await.expect_message(409, &message("dashboard"));
    admin.delete("/api/dashboards/uid/d/trash").await.expect(200);
    restore("/api/dashboards/uid/d").await.expect(200);
    eve.get("/api/dashboards/uid/d").await.expect(403);
    admin.delete("/api/folders/f").await.expect(200);
    restore("/api/folders/f").await.expect(200);
    eve.get("/api/folders/f").await.expect(403);
    // A restored object is the same one.
    restore("/api/folders/f").await.expect(200);
    unharmed(&server).await;
}

#[tokio::test]
async fn a_move_is_undone_for_dashboards_as_for_folders() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    create_folder(&admin, "closed", "Closed").await;
    close(&admin, "/api/folders/closed").await;
    create_folder(&admin, "open", "Open").await;
    save(&admin, "d", "closed", "secret").await;
    save(&admin, "d", "open", "secret").await;
    vic.get("/api/dashboards/uid/d").await.expect(200);
    undo(&admin, entry(&admin, "dashboard.updated", "d").await).await.expect(200);
    vic.get("/api/dashboards/uid/d").await.expect(403);
    let read = admin.get("/api/dashboards/uid/d").await.expect(200).body;
    assert_eq!(read["meta"]["folderUid"], "closed");
    unharmed(&server).await;
}

#[tokio::test]
async fn who_came_back_keeps_the_role_that_it_came_back_with() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, bob) = server.new_member(1, "bob", "Admin").await;
    let path = format!("/api/org/users/{bob}");
    admin.patch(&path, &json!({"role": "Viewer"})).await.expect(200);
    let demotion = entry(&admin, "membership.role_changed", &bob.to_string()).await;
    leave_and_return(&admin, "bob", bob, "Viewer").await;
    undo(&admin, demotion).await.expect_message(200, "Nothing to undo");
    let users = admin.get("/api/org/users").await.expect(200).body;
    let user = users.as_array().unwrap().iter().find(|user| user["login"] == "bob").unwrap();
    assert_eq!(user["role"], "Viewer");
}

#[tokio::test]
async fn what_came_back_is_the_same_for_earlier_changes() {
    let server = TestServer::start().await;
    let admin = server.admin();
    create_folder(&admin, "f", "One").await;
    admin.put("/api/folders/f", &json!({"title": "Two", "overwrite": true})).await.expect(200);
    let renaming = entry(&admin, "folder.updated", "f").await;
    admin.delete("/api/folders/f").await.expect(200);
    undo(&admin, entry(&admin, "folder.deleted", "f").await).await.expect(200);
    undo(&admin, renaming).await.expect(200);
    assert_eq!(admin.get("/api/folders/f").await.expect(200).body["title"], "One");
    unharmed(&server).await;
}

#[tokio::test]
async fn undoing_a_change_of_text_leaves_things_where_they_were_put_since() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, _) = server.new_member(1, "eve", "Editor").await;
    for uid in ["open", "closed"] {
        create_folder(&admin, uid, uid).await;
    }
    close(&admin, "/api/folders/closed").await;
    admin.post("/api/folders", &json!({"uid": "f", "title": "One", "parentUid": "open"})).await.expect(200);
    admin.put("/api/folders/f", &json!({"title": "Two", "overwrite": true})).await.expect(200);
    let renaming = entry(&admin, "folder.updated", "f").await;
    admin.post("/api/folders/f/move", &json!({"parentUid": "closed"})).await.expect(200);
    save(&admin, "d", "open", "a").await;
    save(&admin, "d", "open", "b").await;
    let change = entry(&admin, "dashboard.updated", "d").await;
    save(&admin, "d", "closed", "secret").await;
    for entry in [renaming, change] {
        undo(&admin, entry).await.expect(200);
    }
    for path in ["/api/dashboards/uid/d", "/api/folders/f"] {
        eve.get(path).await.expect(403);
    }
    let read = admin.get("/api/dashboards/uid/d").await.expect(200).body;
    assert_eq!((&read["dashboard"]["text"], &read["meta"]["folderUid"]), (&json!("a"), &json!("closed")));
    let folder = admin.get("/api/folders/f").await.expect(200).body;
    assert_eq!((&folder["title"], &folder["parentUid"]), (&json!("One"), &json!("closed")));
    unharmed(&server).await;
}
