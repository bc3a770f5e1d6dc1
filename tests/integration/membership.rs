//! Memberships through HTTP.

use kymograph_tests::{Cluster, TestDatabase, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn members_are_added_changed_and_removed() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let path = format!("/api/orgs/{acme}/users");
    let member = json!({"loginOrEmail": "ANN", "role": "Editor"});
    admin.post(&path, &member).await.expect_message(200, "User added to organization");
    admin.post(&path, &member).await.expect_message(409, "User is already member of this organization");
    admin
        .post(&path, &json!({"loginOrEmail": "bob", "role": "Editor"}))
        .await
        .expect_message(404, "User not found");
    admin.post(&path, &json!({"loginOrEmail": "ann", "role": "King"})).await.expect(400);
    let orgs = ann.get("/api/user/orgs").await.expect(200).body;
    assert_eq!(orgs[0], json!({"orgId": acme, "name": "Acme", "role": "Editor"}));

    let one = format!("{path}/{id}");
    admin.patch(&one, &json!({"role": "Admin"})).await.expect_message(200, "Organization user updated");
    admin
        .patch(&format!("{path}/9999"), &json!({"role": "Admin"}))
        .await
        .expect_message(500, "Failed update org user");
    let found = admin.get(&format!("{path}/search?query=an&perpage=1&page=1")).await.expect(200).body;
    assert_eq!((&found["totalCount"], &found["orgUsers"][0]["role"]), (&json!(1), &json!("Admin")));
    admin.delete(&one).await.expect_message(200, "User removed from organization");
}

#[tokio::test]
async fn an_org_keeps_its_last_admin_even_when_two_leave_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.delete("/api/org/users/1").await.expect_message(400, "Cannot remove last organization admin");
    admin.patch("/api/org/users/1", &json!({"role": "Viewer"})).await.expect(400);
    let acme = server.new_org("Acme").await;
    let mut ids = vec![1];
    for number in 0..7 {
        ids.push(server.new_member(acme, &format!("admin{number}"), "Admin").await.1);
    }
    let removals = ids.iter().map(|id| {
        let admin = server.admin();
        let path = format!("/api/orgs/{acme}/users/{id}");
        tokio::spawn(async move { admin.delete(&path).await.status })
    });
    let mut refused = 0;
    for removal in removals.collect::<Vec<_>>() {
        refused += i32::from(removal.await.unwrap() == 400);
    }
    assert_eq!(refused, 1);
    let members = admin.get(&format!("/api/orgs/{acme}/users")).await.expect(200).body;
    assert_eq!(members.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_member_is_refused_on_the_next_request() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (ann, id) = server.new_member(acme, "ann", "Editor").await;
    ann.get("/api/org").await.expect(200);
    server
        .admin()
        .patch(&format!("/api/orgs/{acme}/users/{id}"), &json!({"role": "Viewer"}))
        .await
        .expect(200);
    ann.post("/api/folders", &json!({"title": "x"})).await.expect(403);
    server.admin().delete(&format!("/api/orgs/{acme}/users/{id}")).await.expect(200);
    ann.clone().in_org(acme).get("/api/folders").await.expect(401);
    ann.get("/api/folders").await.expect(403);
    assert_eq!(ann.get("/api/user/orgs").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn a_change_that_is_none_for_a_server_that_has_not_heard_of_another_is_made() {
    let database = Cluster::get().new_database().await;
    let same = TestDatabase { config: database.config.clone() };
    let one = TestServer::on_database(database, &[]).await;
    let two = TestServer::on_database(same, &[]).await;
    let (_, id) = one.new_member(1, "ann", "Viewer").await;
    let path = format!("/api/orgs/1/users/{id}");
    for _ in 0..5 {
        two.admin().patch(&path, &json!({"role": "Admin"})).await.expect(200);
        one.admin().patch(&path, &json!({"role": "Viewer"})).await.expect(200);
        let sql = format!("SELECT role FROM memberships WHERE org_id = 1 AND user_id = {id}");
        assert_eq!(one.database.scalar::<String>(&sql).await, "Viewer");
    }
}

#[tokio::test]
async fn who_is_no_member_can_be_removed_by_who_knows_all_users() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let org = server.new_org("Other").await;
    let (org_admin, _) = server.new_member(org, "boss", "Admin").await;
    let (_, stranger) = server.new_member(1, "stranger", "Viewer").await;
    let removed = "User removed from organization";
    for _ in 0..2 {
        admin.delete(&format!("/api/orgs/{org}/users/{stranger}")).await.expect_message(200, removed);
    }
    admin.delete(&format!("/api/org/users/{stranger}")).await.expect_message(200, removed);
    admin.delete(&format!("/api/orgs/{org}/users/9999")).await.expect_message(404, "User not found");
    admin.delete(&format!("/api/orgs/9999/users/{stranger}")).await.expect(404);
    // The admin of the org cannot use this to find out which other users exist.
    for id in [stranger, 9999] {
        org_admin.delete(&format!("/api/org/users/{id}")).await.expect_message(404, "User not found");
    }
}

#[tokio::test]
async fn roles_are_read_in_either_case() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    // The document has the roles as responses spell them, so these bodies bypass its check.
    let send = async |method: Method, path: String, body: Value| {
        admin.request(method, &path).json(&body).send().await.unwrap().status().as_u16()
    };
    let (member, org) = (format!("/api/org/users/{id}"), server.new_org("Other").await);
    assert_eq!(send(Method::PATCH, member.clone(), json!({"role": "editor"})).await, 200);
    let added = json!({"loginOrEmail": "ann", "role": "ADMIN"});
    assert_eq!(send(Method::POST, format!("/api/orgs/{org}/users"), added).await, 200);
    let invite = json!({"loginOrEmail": "new@example.org", "role": "viewer"});
    assert_eq!(send(Method::POST, "/api/org/invites".to_owned(), invite).await, 200);
    let account = json!({"name": "ci", "role": "editor"});
    assert_eq!(send(Method::POST, "/api/serviceaccounts".to_owned(), account).await, 201);
    let roles = admin.get("/api/org/users").await.expect(200).body;
    assert!(roles.as_array().unwrap().iter().any(|user| user["userId"] == id && user["role"] == "Editor"));
    let roles = admin.get(&format!("/api/orgs/{org}/users")).await.expect(200).body;
    assert!(roles.as_array().unwrap().iter().any(|user| user["userId"] == id && user["role"] == "Admin"));
    assert_eq!(admin.get("/api/org/invites").await.expect(200).body[0]["role"], "Viewer");
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    let grant = json!({"items": [{"role": "viewer", "permission": 1}]});
    assert_eq!(send(Method::POST, "/api/folders/ops/permissions".to_owned(), grant).await, 200);
    let by_role = "/api/access-control/folders/ops/builtInRoles/editor".to_owned();
    assert_eq!(send(Method::POST, by_role, json!({"permission": "Edit"})).await, 200);
    let listed = admin.get("/api/folders/ops/permissions").await.expect(200).body;
    assert_eq!((&listed[0]["role"], &listed[1]["role"]), (&json!("Viewer"), &json!("Editor")));
    assert_eq!(send(Method::PATCH, member, json!({"role": "king"})).await, 400);
}
