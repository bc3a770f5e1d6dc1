//! Memberships through HTTP.

use kymograph_tests::{Cluster, TestDatabase, TestServer};
use serde_json::json;

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
    admin.delete(&one).await.expect(404);
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
