//! Teams through HTTP.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn new_team(client: &Client, name: &str) -> String {
    let body = client.post("/api/teams", &json!({"name": name})).await.expect(200).body;
    format!("/api/teams/{}", body["teamId"])
}

fn names(teams: &Value) -> Vec<&str> {
    teams.as_array().unwrap().iter().map(|team| team["name"].as_str().unwrap()).collect()
}

fn members(answer: &Value) -> Vec<(&str, i64)> {
    let member = |member: &'_ Value| member["permission"].as_i64().unwrap();
    answer.as_array().unwrap().iter().map(|body| (body["login"].as_str().unwrap(), member(body))).collect()
}

#[tokio::test]
async fn is_created_changed_found_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let created =
        admin.post("/api/teams", &json!({"name": "Ops", "email": "o@x.org"})).await.expect(200).body;
    assert_eq!(created["message"], "Team created");
    let path = format!("/api/teams/{}", created["teamId"]);
    new_team(&admin, "Net ops").await;
    admin.post("/api/teams", &json!({"name": "Ops"})).await.expect_message(409, "Team name taken");
    admin.put(&path, &json!({"name": "Net ops"})).await.expect_message(409, "Team name taken");

    let by_id = admin.get(&format!("{path}?accesscontrol=true")).await.expect(200).body;
    assert_eq!((&by_id["email"], &by_id["memberCount"]), (&json!("o@x.org"), &json!(1)));
    assert_eq!((&by_id["orgId"], &by_id["accessControl"]["teams:delete"]), (&json!(1), &json!(true)));
    let by_uid = admin.get(&format!("/api/teams/{}", created["uid"].as_str().unwrap())).await.expect(200);
    assert_eq!((&by_uid.body["id"], &by_uid.body["accessControl"]), (&created["teamId"], &json!(null)));

    admin.put(&path, &json!({"email": "p@x.org"})).await.expect_message(200, "Team updated");
    let found = admin.get("/api/teams/search?query=OPS&perpage=1&page=2").await.expect(200).body;
    assert_eq!(names(&found["teams"]), ["Ops"]);
    assert_eq!(found["teams"][0]["email"], "p@x.org");
    assert_eq!((&found["totalCount"], &found["page"], &found["perPage"]), (&json!(2), &json!(2), &json!(1)));
    let named = admin.get("/api/teams/search?name=Ops").await.expect(200).body;
    assert_eq!((names(&named["teams"]), &named["perPage"]), (vec!["Ops"], &json!(1000)));

    admin.delete(&path).await.expect_message(200, "Team deleted");
    admin.delete(&path).await.expect_message(404, "Team not found");
    admin.get(&path).await.expect_message(404, "Team not found");
    new_team(&admin, "Ops").await;
}

#[tokio::test]
async fn members_come_change_and_go() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, viewer_id) = server.new_member(1, "viewer", "Viewer").await;
    let (_, editor_id) = server.new_member(1, "editor", "Editor").await;
    let team = new_team(&admin, "Ops").await;
    let list = format!("{team}/members");
    let one = format!("{list}/{viewer_id}");

    admin.post(&list, &json!({"userId": viewer_id})).await.expect_message(200, "Member added to Team");
    let again = admin.post(&list, &json!({"userId": viewer_id})).await;
    again.expect_message(400, "User is already added to this team");
    admin.put(&one, &json!({"permission": 4})).await.expect_message(200, "Team member updated");
    let listed = admin.get(&list).await.expect(200).body;
    assert_eq!(members(&listed), [("admin", 4), ("viewer", 4)]);
    assert_eq!((&listed[1]["userId"], &listed[1]["orgId"]), (&json!(viewer_id), &json!(1)));
    assert_eq!(names(&viewer.get("/api/user/teams").await.expect(200).body), ["Ops"]);
    let of_user = admin.get(&format!("/api/users/{viewer_id}/teams")).await.expect(200).body;
    assert_eq!(names(&of_user), ["Ops"]);

    let wanted = json!({"admins": ["EDITOR"], "members": ["admin", "editor"]});
    admin.put(&list, &wanted).await.expect(200);
    assert_eq!(members(&admin.get(&list).await.expect(200).body), [("admin", 0), ("editor", 4)]);
    admin.delete(&one).await.expect_message(404, "Team member not found");
    admin.put(&one, &json!({"permission": 0})).await.expect_message(404, "Team member not found");
    admin.delete(&format!("{list}/{editor_id}")).await.expect_message(200, "Team Member removed");
    assert_eq!(admin.get(&team).await.expect(200).body["memberCount"], 1);
}

#[tokio::test]
async fn who_leaves_the_org_leaves_its_teams() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let org = server.new_org("Other").await;
    let (_, leaver) = server.new_member(1, "leaver", "Viewer").await;
    let (_, deleted) = server.new_member(1, "deleted", "Viewer").await;
    server.new_member(org, "outsider", "Viewer").await;
    let list = format!("{}/members", new_team(&admin, "Ops").await);
    for user in [leaver, deleted] {
        admin.post(&list, &json!({"userId": user})).await.expect(200);
    }
    admin.post(&list, &json!({"userId": 999})).await.expect_message(404, "User not found");
    admin.put(&list, &json!({"members": ["outsider"]})).await.expect_message(404, "User not found");

    admin.delete(&format!("/api/org/users/{leaver}")).await.expect(200);
    admin.delete(&format!("/api/admin/users/{deleted}")).await.expect(200);
    assert_eq!(members(&admin.get(&list).await.expect(200).body), [("admin", 4)]);

    // A user who returns to the org is in no team, and can be added to one again.
    let member = json!({"loginOrEmail": "leaver", "role": "Viewer"});
    admin.post("/api/org/users", &member).await.expect(200);
    assert_eq!(members(&admin.get(&list).await.expect(200).body), [("admin", 4)]);
    admin.post(&list, &json!({"userId": leaver})).await.expect(200);
}

#[tokio::test]
async fn who_is_no_member_of_the_org_counts_for_nothing_in_a_team_until_it_is() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let org = server.new_org("Other").await;
    let (guest, id) = server.new_member(org, "guest", "Viewer").await;
    let team = new_team(&admin, "Ops").await;
    let list = format!("{team}/members");
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let team_id = admin.get(&team).await.expect(200).body["id"].clone();
    let grants = json!({"items": [{"teamId": team_id, "permission": 2}]});
    admin.post("/api/folders/ops/permissions", &grants).await.expect(200);

    admin.post(&list, &json!({"userId": id})).await.expect_message(200, "Member added to Team");
    admin.post(&list, &json!({"userId": id})).await.expect(400);
    // The admin cannot learn about users of other orgs by enumerating ids.
    let listed = admin.get(&list).await.expect(200).body;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let stranger = listed.as_array().unwrap().iter().find(|member| member["userId"] == id).unwrap();
    for name in ["login", "email", "name", "uid"] {
        assert_eq!(stranger[name].as_str().unwrap_or_default(), "", "{name}");
    }
    guest.clone().in_org(1).get("/api/folders/ops").await.expect(401);
    assert_eq!(guest.get("/api/user/teams").await.expect(200).body, json!([]));
    // A server admin can enter the org, but has no permission there through the team either.
    let rights = json!({"isGrafanaAdmin": true});
    admin.put(&format!("/api/admin/users/{id}/permissions"), &rights).await.expect(200);
    guest.clone().in_org(1).get("/api/folders/ops").await.expect(403);
    let hits = guest.clone().in_org(1).get("/api/search").await;
    assert!(hits.status == 403 || hits.body == json!([]), "{hits:?}");
    admin
        .put(&format!("/api/admin/users/{id}/permissions"), &json!({"isGrafanaAdmin": false}))
        .await
        .expect(200);

    admin.post("/api/org/users", &json!({"loginOrEmail": "guest", "role": "None"})).await.expect(200);
    let folder = guest.clone().in_org(1).get("/api/folders/ops").await.expect(200).body;
    assert_eq!(folder["canEdit"], true);
    let listed = admin.get(&list).await.expect(200).body;
    assert_eq!(members(&listed), [("admin", 4), ("guest", 0)]);
    // A member who leaves the org leaves the team, and a deleted user is not counted.
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    admin.post(&list, &json!({"userId": id})).await.expect(200);
    admin.delete(&format!("/api/admin/users/{id}")).await.expect(200);
    assert_eq!(members(&admin.get(&list).await.expect(200).body), [("admin", 4)]);
    assert_eq!(admin.get(&team).await.expect(200).body["memberCount"], 1);
}

#[tokio::test]
async fn belongs_to_one_org_and_is_for_admins() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let org = server.new_org("Other").await;
    let (other_admin, _) = server.new_member(org, "boss", "Admin").await;
    let (editor, _) = server.new_member(1, "editor", "Editor").await;
    let team = new_team(&admin, "Ops").await;

    other_admin.get(&team).await.expect(404);
    other_admin.delete(&team).await.expect(404);
    other_admin.get(&format!("{team}/members")).await.expect(404);
    // Names are unique, and ids are assigned, per org.
    assert_eq!(new_team(&other_admin, "Ops").await, team);

    for path in [&team, "/api/teams/search", "/api/users/1/teams", &format!("{team}/members")] {
        editor.get(path).await.expect(403);
    }
    editor.post("/api/teams", &json!({"name": "Mine"})).await.expect(403);
    assert_eq!(editor.get("/api/user/teams").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let team = new_team(&admin, "Ops").await;
    for name in [json!(null), json!(""), json!("  ")] {
        let answer = admin.post("/api/teams", &json!({"name": name})).await;
        answer.expect_message(400, "team name cannot be empty");
    }
    admin.post("/api/teams", &json!({"name": "x".repeat(1000)})).await.expect(400);
    admin.put(&team, &json!({"name": "a\u{0}b"})).await.expect(400);
    admin.get("/api/teams/no such").await.expect_message(404, "Team not found");
    admin.put("/api/teams/9999", &json!({})).await.expect_message(404, "Team not found");
    admin.post(&format!("{team}/members"), &json!({})).await.expect(400);
    admin.put(&format!("{team}/members/1"), &json!({"permission": 2})).await.expect(400);
    admin.delete(&format!("{team}/members/x")).await.expect(400);
}
