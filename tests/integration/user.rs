//! Users through HTTP.

use kymograph_tests::TestServer;
use serde_json::json;

#[tokio::test]
async fn are_created_found_changed_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let ann = json!({"login": "ann", "email": "ann@example.org", "name": "Ann", "password": "secret"});
    let created = admin.post("/api/admin/users", &ann).await.expect_message(200, "User created").body;
    let id = created["id"].as_i64().unwrap();
    let taken =
        admin.post("/api/admin/users", &json!({"login": "ANN", "password": "secret"})).await.expect(412);
    assert_eq!(taken.body["message"], "User with email '' or username 'ANN' already exists");
    admin.post("/api/admin/users", &json!({"login": "bob", "password": "x"})).await.expect(400);
    admin.post("/api/admin/users", &json!({"password": "secret"})).await.expect(400);
    let lost = json!({"login": "bob", "password": "secret", "orgId": 999});
    admin.post("/api/admin/users", &lost).await.expect(400);

    for path in [
        format!("/api/users/{id}"),
        format!("/api/users/{}", created["uid"].as_str().unwrap()),
        "/api/users/lookup?loginOrEmail=ANN%40example.org".to_owned(),
    ] {
        assert_eq!(admin.get(&path).await.expect(200).body["login"], "ann", "{path}");
    }
    admin.get("/api/users/9999").await.expect_message(404, "User not found");
    admin.get("/api/users/nobody").await.expect(404);

    let path = format!("/api/users/{id}");
    admin.put(&path, &json!({})).await.expect_message(400, "Need to specify either username or email");
    admin.put(&path, &json!({"login": "admin"})).await.expect(409);
    admin.put(&path, &json!({"login": "anna", "theme": "light"})).await.expect_message(200, "User updated");
    let user = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&user["login"], &user["email"], &user["theme"]),
        (&json!("anna"), &json!("ann@example.org"), &json!("light"))
    );
    assert_eq!(admin.get(&format!("{path}/orgs")).await.expect(200).body[0]["role"], "Viewer");

    admin.delete(&format!("/api/admin/users/{id}")).await.expect_message(200, "User deleted");
    admin.delete(&format!("/api/admin/users/{id}")).await.expect(404);
    server.client("anna", "secret").get("/api/user").await.expect(401);
    let secrets: i64 = server
        .database
        .scalar(&format!("SELECT count(*) FROM secrets WHERE key = 'user/{id}/password'"))
        .await;
    assert_eq!(secrets, 0);
}

#[tokio::test]
async fn lists_count_pages_from_one_and_end_with_an_empty_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for number in 0..3 {
        let user = json!({"login": format!("user{number}"), "password": "secret"});
        admin.post("/api/admin/users", &user).await.expect(200);
    }
    for (query, count) in
        [("perpage=3", 3), ("perpage=3&page=2", 1), ("perpage=3&page=3", 0), ("perpage=0&page=0", 4)]
    {
        let users = admin.get(&format!("/api/users?{query}")).await.expect(200).body;
        assert_eq!(users.as_array().unwrap().len(), count, "{query}");
    }
    let found = admin.get("/api/users/search?query=user&perpage=2&page=2").await.expect(200).body;
    assert_eq!(found["totalCount"], 3);
    assert_eq!(found["users"].as_array().unwrap().len(), 1);
    assert_eq!((&found["page"], &found["perPage"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn a_login_is_given_once_even_when_many_ask_at_once() {
    let server = TestServer::start().await;
    let tries = (0..8).map(|_| {
        let admin = server.admin();
        tokio::spawn(async move {
            admin.post("/api/admin/users", &json!({"login": "ann", "password": "secret"})).await.status
        })
    });
    let mut created = 0;
    for answer in tries.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            200 => created += 1,
            status => assert_eq!(status, 412),
        }
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_change_of_who_is_not_there_fails_as_clients_expect() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for id in [0, 9999] {
        let path = format!("/api/admin/users/{id}");
        let change = admin.put(&format!("{path}/password"), &json!({"password": "secret"})).await;
        change.expect_message(500, "Failed to update user password");
        let change = admin.put(&format!("{path}/permissions"), &json!({"isGrafanaAdmin": true})).await;
        change.expect_message(500, "Failed to update user permissions");
    }
    // A service account cannot use the routes of personal accounts.
    let account = json!({"name": "ci", "role": "Admin"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let path = format!("/api/serviceaccounts/{account}/tokens");
    let key = admin.post(&path, &json!({"name": "ci"})).await.expect(200).body["key"].clone();
    let robot = server.client("api_key", key.as_str().unwrap());
    robot.get("/api/user").await.expect(404);
    robot.put("/api/user", &json!({"login": "robot"})).await.expect(403);
    robot.put("/api/user/password", &json!({"oldPassword": "x", "newPassword": "secret"})).await.expect(401);
    robot.put("/api/user/helpflags/1", &json!({})).await.expect(403);
    robot.get("/api/user/helpflags/clear").await.expect(403);
    robot.post("/api/user/using/1", &json!({})).await.expect(401);
}

#[tokio::test]
async fn the_server_keeps_its_last_admin() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.put("/api/admin/users/1/permissions", &json!({"isGrafanaAdmin": false})).await.expect(400);
    admin.post("/api/admin/users/1/disable", &json!({})).await.expect(400);
    admin.delete("/api/admin/users/1").await.expect(400);
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    ann.get("/api/users").await.expect(403);
    let path = format!("/api/admin/users/{id}/permissions");
    admin.put(&path, &json!({"isGrafanaAdmin": true})).await.expect_message(200, "User permissions updated");
    ann.get("/api/users").await.expect(200);
    ann.put("/api/admin/users/1/permissions", &json!({"isGrafanaAdmin": false})).await.expect(200);
    admin.get("/api/users").await.expect(403);
}

#[tokio::test]
async fn look_after_their_own_account() {
    let server = TestServer::start().await;
    let (ann, _) = server.new_member(1, "ann", "Viewer").await;
    ann.put("/api/user", &json!({"login": "ann", "name": "Ann"})).await.expect_message(200, "User updated");
    assert_eq!(ann.get("/api/user").await.expect(200).body["name"], "Ann");
    let change = |old: &str, new: &str| json!({"oldPassword": old, "newPassword": new});
    ann.put("/api/user/password", &change("wrong", "new")).await.expect_message(400, "Invalid old password");
    ann.put("/api/user/password", &change("secret", "new"))
        .await
        .expect_message(400, "New password is too short");
    ann.put("/api/user/password", &change("secret", "kymograph"))
        .await
        .expect_message(200, "User password changed");
    ann.get("/api/user").await.expect(401);
    server.client("ann", "kymograph").get("/api/user").await.expect(200);
}

#[tokio::test]
async fn work_in_one_of_their_orgs() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    admin
        .post(&format!("/api/user/using/{acme}"), &json!({}))
        .await
        .expect_message(200, "Active organization changed");
    assert_eq!(admin.get("/api/org").await.expect(200).body["name"], "Acme");
    assert_eq!(admin.get("/api/user").await.expect(200).body["orgId"], acme);
    assert_eq!(admin.get("/api/org?orgId=1").await.expect(200).body["name"], "Main Org.");
    // Without switching the org: the query has precedence over the header.
    for path in ["/api/org?targetOrgId=1", "/api/org?a=b&targetOrgId=1"] {
        let client = admin.clone().in_org(acme);
        assert_eq!(client.get(path).await.expect(200).body["name"], "Main Org.");
    }
    admin.get("/api/org?targetOrgId=x").await.expect_message(400, "orgId is invalid");
    admin.get("/api/org?targetOrgId=9999").await.expect(401);
    admin.post("/api/user/using/9999", &json!({})).await.expect_message(401, "Unauthorized");
    admin.post("/api/user/using/x", &json!({})).await.expect_message(400, "id is invalid");
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    admin.post(&format!("/api/users/{id}/using/{acme}"), &json!({})).await.expect(401);
    admin
        .post(&format!("/api/users/{id}/using/acme"), &json!({}))
        .await
        .expect_message(400, "orgId is invalid");
    admin.post(&format!("/api/users/{id}/using/1"), &json!({})).await.expect(200);
}

#[tokio::test]
async fn help_flags_add_up_until_they_are_cleared() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    for (path, flags) in [("1", 1), ("4", 5), ("4", 5)] {
        let path = format!("/api/user/helpflags/{path}");
        let body = viewer.put(&path, &json!({})).await.expect_message(200, "Help flag set").body;
        assert_eq!(body["helpFlags1"], json!(flags));
    }
    let other = admin.put("/api/user/helpflags/2", &json!({})).await.expect(200).body;
    assert_eq!(other["helpFlags1"], json!(2));
    let cleared = viewer.get("/api/user/helpflags/clear").await.expect(200).body;
    assert_eq!(cleared["helpFlags1"], json!(0));
}

#[tokio::test]
async fn what_is_no_help_flag_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for flag in ["x", "-1", "9223372036854775808"] {
        admin.put(&format!("/api/user/helpflags/{flag}"), &json!({})).await.expect(400);
    }
    server.anonymous().put("/api/user/helpflags/1", &json!({})).await.expect(401);
}
