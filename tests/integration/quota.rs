//! Quotas through HTTP, and their enforcement.

use std::sync::Arc;

use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, Cluster, TestDatabase, TestServer};
use serde_json::{Value, json};

const REACHED: &str = "Quota reached";

async fn limited(settings: &[&str]) -> TestServer {
    TestServer::with_settings(&[&["quota.enabled=true"], settings].concat()).await
}

async fn set(server: &TestServer, path: &str, limit: i64) {
    let answer = server.admin().put(path, &json!({"limit": limit})).await;
    answer.expect_message(200, "Organization quota updated");
}

async fn save(client: &Client, uid: &str) -> Answer {
    let save = json!({"dashboard": {"title": uid, "uid": uid}, "overwrite": true});
    client.post("/api/dashboards/db", &save).await
}

/// The usage and the limit of a target in an org.
async fn quota(client: &Client, path: &str, target: &str) -> (i64, i64) {
    let quotas = client.get(path).await.expect(200).body;
    let quota = quotas.as_array().unwrap().iter().find(|quota| quota["target"] == target).unwrap();
    (quota["used"].as_i64().unwrap(), quota["limit"].as_i64().unwrap())
}

/// Runs requests at once, and returns how many succeeded; all others must have hit the limit.
async fn run_at_once<F>(requests: impl IntoIterator<Item = F>) -> usize
where
    F: Future<Output = Answer> + Send + 'static,
{
    let running: Vec<_> = requests.into_iter().map(tokio::spawn).collect();
    let mut done = 0;
    for request in running {
        let answer = request.await.unwrap();
        if answer.status < 300 {
            done += 1;
        } else {
            answer.expect_message(403, REACHED);
        }
    }
    done
}

async fn must_verify(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn without_being_enabled_there_are_none() {
    let server = TestServer::with_settings(&["quota.org_dashboard=0", "quota.global_session=0"]).await;
    let admin = server.admin();
    save(&admin, "cpu").await.expect(200);
    server.anonymous().post("/login", &json!({"user": "admin", "password": "admin"})).await.expect(200);
    for path in ["/api/org/quotas", "/api/orgs/1/quotas", "/api/user/quotas", "/api/admin/users/1/quotas"] {
        let refused = admin.get(path).await.expect_message(403, "Quotas not enabled");
        assert_eq!(refused.body["messageId"], "quota.disabled", "{path}");
    }
    for path in ["/api/orgs/1/quotas/dashboard", "/api/admin/users/1/quotas/org"] {
        admin.put(path, &json!({"limit": 1})).await.expect_message(403, "Quotas not enabled");
    }
}

#[tokio::test]
async fn what_an_org_has_is_told_to_its_admins_with_quotas_or_without() {
    for settings in [&["quota.enabled=true"][..], &[]] {
        let server = TestServer::with_settings(settings).await;
        let usage = async |client: &Client| client.get("/api/org/usage").await.expect(200).body;
        let expected = |dashboards: i64, folders: i64, members: i64| json!({"dashboards": dashboards, "folders": folders, "members": members});
        let (admin, acme) = (server.admin(), server.new_org("Acme").await);
        assert_eq!(usage(&admin).await, expected(0, 0, 1));
        admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
        save(&admin, "cpu").await.expect(200);
        save(&admin, "ram").await.expect(200);
        save(&admin, "ram").await.expect(200);
        let (editor, ed) = server.new_member(1, "ed", "Editor").await;
        assert_eq!(usage(&admin).await, expected(2, 1, 2));
        admin.delete("/api/dashboards/uid/ram").await.expect(200);
        admin.delete("/api/folders/ops").await.expect(200);
        assert_eq!(usage(&admin).await, expected(1, 0, 2));
        editor.get("/api/org/usage").await.expect(403);
        admin.delete(&format!("/api/org/users/{ed}")).await.expect(200);
        assert_eq!(usage(&admin).await, expected(1, 0, 1));
        // The quotas of one org do not show those of another.
        let (olga, _) = server.new_member(acme, "olga", "Admin").await;
        assert_eq!(usage(&olga).await, expected(0, 0, 2));
    }
}

#[tokio::test]
async fn are_shown_and_changed() {
    let server = limited(&["quota.org_dashboard=5", "quota.user_org=3"]).await;
    let admin = server.admin();
    save(&admin, "cpu").await.expect(200);
    let shown = admin.get("/api/org/quotas").await.expect(200).body;
    let expected = [("org_user", -1, 1), ("dashboard", 5, 1), ("folder", -1, 0)];
    let rest = [("data_source", -1, 0), ("api_key", -1, 0), ("alert_rule", -1, 0)];
    let expected: Vec<_> = expected
        .iter()
        .chain(&rest)
        .map(|(target, limit, used)| json!({"org_id": 1, "target": target, "limit": limit, "used": used}))
        .collect();
    assert_eq!(shown, Value::Array(expected));
    let of_user = json!([{"user_id": 1, "target": "org", "limit": 3, "used": 1}]);
    assert_eq!(admin.get("/api/user/quotas").await.expect(200).body, of_user);
    assert_eq!(admin.get("/api/admin/users/1/quotas").await.expect(200).body, of_user);

    set(&server, "/api/orgs/1/quotas/dashboard", 7).await;
    set(&server, "/api/admin/users/1/quotas/org", -9).await;
    assert_eq!(quota(&admin, "/api/orgs/1/quotas", "dashboard").await, (1, 7));
    assert_eq!(quota(&admin, "/api/user/quotas", "org").await, (1, -1));
    // The quotas of one org do not show those of another.
    let acme = server.new_org("Acme").await;
    assert_eq!(quota(&admin, &format!("/api/orgs/{acme}/quotas"), "dashboard").await, (0, 5));
    must_verify(&server).await;
}

#[tokio::test]
async fn bad_input_and_missing_rights_are_told_clearly() {
    let server = limited(&[]).await;
    let (admin, limit) = (server.admin(), json!({"limit": 1}));
    for (path, message) in [
        ("/api/orgs/1/quotas/comet", "Invalid quota target"),
        ("/api/orgs/1/quotas/org", "Invalid quota target"),
        ("/api/admin/users/1/quotas/dashboard", "Invalid quota target"),
        ("/api/orgs/99/quotas/dashboard", "Organization not found"),
        ("/api/admin/users/99/quotas/org", "user not found"),
    ] {
        admin.put(path, &limit).await.expect_message(404, message);
    }
    admin.get("/api/orgs/99/quotas").await.expect(404);
    admin.get("/api/admin/users/99/quotas").await.expect(404);
    for body in [json!({}), json!({"limit": "five"}), json!({"limit": 1.5})] {
        admin.put("/api/orgs/1/quotas/dashboard", &body).await.expect(400);
    }
    admin.put("/api/orgs/x/quotas/dashboard", &limit).await.expect(400);

    let acme = server.new_org("Acme").await;
    let (viewer, id) = server.new_member(1, "vic", "Viewer").await;
    let (org_admin, _) = server.new_member(1, "ann", "Admin").await;
    viewer.get("/api/org/quotas").await.expect(200);
    viewer.get("/api/user/quotas").await.expect(200);
    viewer.get(&format!("/api/admin/users/{id}/quotas")).await.expect(403);
    org_admin.get(&format!("/api/orgs/{acme}/quotas")).await.expect(403);
    org_admin.put("/api/orgs/1/quotas/dashboard", &limit).await.expect(403);
    org_admin.put("/api/admin/users/1/quotas/org", &limit).await.expect(403);
}

#[tokio::test]
async fn many_creators_on_two_servers_reach_exactly_the_limit() {
    let settings = ["quota.enabled=true", "quota.org_dashboard=20"];
    let database = Cluster::get().new_database().await;
    let same = TestDatabase { config: database.config.clone() };
    let servers = [
        Arc::new(TestServer::on_database(database, &settings).await),
        Arc::new(TestServer::on_database(same, &settings).await),
    ];
    let create = |number: usize| {
        let server = servers[number % 2].clone();
        async move { save(&server.admin(), &format!("d{number}")).await }
    };
    assert_eq!(run_at_once((0..32).map(create)).await, 20);
    let admin = servers[0].admin();
    let path = "/api/org/quotas";
    assert_eq!(quota(&admin, path, "dashboard").await, (20, 20));

    // Existing objects can be saved, deleted and, within the limit, created again.
    let hits = admin.get("/api/search?type=dash-db").await.expect(200).body;
    let uid = hits[0]["uid"].as_str().unwrap();
    save(&admin, uid).await.expect(200);
    admin.delete(&format!("/api/dashboards/uid/{uid}")).await.expect(200);
    assert_eq!(run_at_once((40..44).map(create)).await, 1);

    // A limit below the usage deletes nothing, and prevents new objects.
    set(&servers[1], "/api/orgs/1/quotas/dashboard", 3).await;
    save(&admin, "one-more").await.expect_message(403, REACHED);
    assert_eq!(quota(&admin, path, "dashboard").await, (20, 3));
    set(&servers[1], "/api/orgs/1/quotas/dashboard", 22).await;
    assert_eq!(run_at_once((50..60).map(create)).await, 2);
    set(&servers[0], "/api/orgs/1/quotas/dashboard", -1).await;
    assert_eq!(run_at_once((60..70).map(create)).await, 10);
    must_verify(&servers[0]).await;
}

#[tokio::test]
async fn every_way_to_create_something_of_an_org_is_limited() {
    let server = limited(&["quota.org_folder=1", "quota.org_api_key=1"]).await;
    let admin = server.admin();
    let folder = json!({"title": "Ops"});
    admin.post("/api/folders", &folder).await.expect(200);
    admin.post("/api/folders", &folder).await.expect_message(403, REACHED);

    let account = json!({"name": "ci", "role": "Viewer"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let path = format!("/api/serviceaccounts/{account}");
    let tokens = format!("{path}/tokens");
    admin.post(&tokens, &json!({"name": "one"})).await.expect(200);
    admin.post(&tokens, &json!({"name": "two"})).await.expect_message(403, REACHED);
    // The tokens of an account are deleted with it.
    admin.delete(&path).await.expect(200);
    assert_eq!(quota(&admin, "/api/org/quotas", "api_key").await, (0, 1));

    set(&server, "/api/orgs/1/quotas/dashboard", 0).await;
    save(&admin, "cpu").await.expect_message(403, REACHED);
    must_verify(&server).await;
}

#[tokio::test]
async fn every_way_to_bring_something_in_or_back_is_limited() {
    let server = limited(&["quota.org_folder=1", "quota.org_dashboard=1"]).await;
    let admin = server.admin();
    save(&admin, "deleted").await.expect(200);
    admin.delete("/api/dashboards/uid/deleted").await.expect(200);
    admin.post("/api/folders", &json!({"title": "Deleted", "uid": "deleted"})).await.expect(200);
    admin.delete("/api/folders/deleted").await.expect(200);
    save(&admin, "there").await.expect(200);
    admin.post("/api/folders", &json!({"title": "There", "uid": "there"})).await.expect(200);

    let import = json!({"dashboard": {"title": "imported", "uid": "imported"}, "overwrite": true});
    let first = json!({"version": 1});
    let refused = async || {
        admin.post("/api/dashboards/import", &import).await.expect_message(403, REACHED);
        admin.patch("/api/dashboards/uid/deleted/trash", &json!({})).await.expect_message(403, REACHED);
        for path in ["/api/dashboards/uid/deleted", "/api/folders/deleted"] {
            admin.post(&format!("{path}/history/restore"), &first).await.expect_message(403, REACHED);
            admin.get(path).await.expect(404);
        }
    };
    refused().await;
    assert_eq!(admin.get("/api/org/usage").await.expect(200).body["dashboards"], 1);
    // An existing object can be overwritten by an import, and an earlier version of it restored.
    let over = json!({"dashboard": {"title": "there", "uid": "there"}, "overwrite": true});
    admin.post("/api/dashboards/import", &over).await.expect(200);
    admin.post("/api/dashboards/uid/there/history/restore", &first).await.expect(200);
    refused().await;

    // Below the limit, each of these operations succeeds.
    admin.delete("/api/dashboards/uid/there").await.expect(200);
    admin.delete("/api/folders/there").await.expect(200);
    admin.patch("/api/dashboards/uid/deleted/trash", &json!({})).await.expect(200);
    admin.post("/api/folders/deleted/history/restore", &first).await.expect(200);
    admin.delete("/api/dashboards/uid/deleted").await.expect(200);
    admin.post("/api/dashboards/import", &import).await.expect(200);
    admin.delete("/api/dashboards/uid/imported").await.expect(200);
    admin.post("/api/dashboards/uid/deleted/history/restore", &first).await.expect(200);
    must_verify(&server).await;
}

#[tokio::test]
async fn many_creators_of_anything_reach_exactly_the_limit() {
    let settings = ["quota.org_folder=20", "quota.org_user=20", "quota.org_api_key=20"];
    let server = Arc::new(limited(&settings).await);
    let admin = server.admin();
    let mut accounts = Vec::new();
    for number in 0..8 {
        let account = json!({"name": format!("ci {number}"), "role": "Viewer"});
        let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body;
        accounts.push(account["id"].as_i64().unwrap());
    }
    // They are first members of another org, which has no limit of its own.
    let acme = server.new_org("Acme").await;
    set(&server, &format!("/api/orgs/{acme}/quotas/org_user"), -1).await;
    for number in 0..32 {
        let user = json!({"login": format!("user{number}"), "password": "secret", "OrgId": acme});
        admin.post("/api/admin/users", &user).await.expect(200);
    }
    let post = |path: String, body: Value| {
        let admin = server.admin();
        async move { admin.post(&path, &body).await }
    };
    let folder = |number: usize| post("/api/folders".into(), json!({"title": format!("f{number}")}));
    assert_eq!(run_at_once((0..32).map(folder)).await, 20);
    let token = |number: usize| {
        let path = format!("/api/serviceaccounts/{}/tokens", accounts[number % accounts.len()]);
        post(path, json!({"name": format!("t{number}")}))
    };
    assert_eq!(run_at_once((0..32).map(token)).await, 20);
    let member = |number: usize| {
        post("/api/org/users".into(), json!({"loginOrEmail": format!("user{number}"), "role": "Viewer"}))
    };
    // The admin is one of the members.
    assert_eq!(run_at_once((0..32).map(member)).await, 19);
    for target in ["folder", "org_user", "api_key"] {
        assert_eq!(quota(&admin, "/api/org/quotas", target).await, (20, 20), "{target}");
    }
    must_verify(&server).await;
}

#[tokio::test]
async fn every_way_to_become_a_member_is_limited() {
    let server = limited(&["quota.org_user=2"]).await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let (_, bob) = server.new_member(acme, "bob", "Viewer").await;
    let invite = json!({"loginOrEmail": "eve@example.org", "role": "Viewer"});
    admin.post("/api/org/invites", &invite).await.expect(200);
    let code = admin.get("/api/org/invites").await.expect(200).body[0]["code"].clone();
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;

    let member = json!({"loginOrEmail": "bob", "role": "Viewer"});
    for path in ["/api/org/users", "/api/orgs/1/users", "/api/org/invites"] {
        admin.post(path, &member).await.expect_message(403, REACHED);
    }
    let user = json!({"login": "carl", "password": "secret"});
    admin.post("/api/admin/users", &user).await.expect_message(403, REACHED);
    let complete = json!({"inviteCode": code, "username": "eve", "password": "secret"});
    server.anonymous().post("/api/user/invite/complete", &complete).await.expect_message(403, REACHED);
    server.access.flush().await;
    let path = "/api/admin/audit/events?action=access.denied";
    // A reached quota applies to all callers, so it is not recorded as a denial.
    assert_eq!(admin.get(path).await.expect(200).body["events"], json!([]));
    // A refused user was not created partially.
    for login in ["carl", "eve"] {
        admin.get(&format!("/api/users/lookup?loginOrEmail={login}")).await.expect(404);
    }
    admin.delete(&format!("/api/org/users/{ann}")).await.expect(200);
    server.anonymous().post("/api/user/invite/complete", &complete).await.expect(200);
    admin.delete(&format!("/api/admin/users/{bob}")).await.expect(200);
    assert_eq!(quota(&admin, &format!("/api/orgs/{acme}/quotas"), "org_user").await, (1, 2));
    must_verify(&server).await;
}

#[tokio::test]
async fn a_user_is_a_member_of_as_many_orgs_as_it_may() {
    let server = Arc::new(limited(&["quota.user_org=8"]).await);
    set(&server, "/api/admin/users/1/quotas/org", -1).await;
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    let mut orgs = Vec::new();
    for number in 0..16 {
        orgs.push(server.new_org(&format!("org {number}")).await);
    }
    let join = |org: &i64| {
        let (server, path) = (server.clone(), format!("/api/orgs/{org}/users"));
        async move { server.admin().post(&path, &json!({"loginOrEmail": "ann", "role": "Viewer"})).await }
    };
    // Different orgs, whose transactions do not wait for each other.
    assert_eq!(run_at_once(orgs.iter().map(join)).await, 7);
    let path = format!("/api/admin/users/{ann}/quotas");
    assert_eq!(quota(&server.admin(), &path, "org").await, (8, 8));

    // Creating an org adds a membership, and deleting an org removes one.
    set(&server, "/api/admin/users/1/quotas/org", 17).await;
    let one_more = json!({"name": "one more"});
    server.admin().post("/api/orgs", &one_more).await.expect_message(403, REACHED);
    server.admin().delete(&format!("/api/orgs/{}", orgs[0])).await.expect(200);
    server.admin().post("/api/orgs", &one_more).await.expect(200);
    assert_eq!(quota(&server.admin(), "/api/user/quotas", "org").await, (17, 17));
    must_verify(&server).await;
}

#[tokio::test]
async fn the_server_as_a_whole_is_limited() {
    let settings = ["global_org=2", "global_user=2", "global_dashboard=10", "global_session=1"];
    let settings = settings.map(|setting| format!("quota.{setting}"));
    let server = Arc::new(limited(&settings.each_ref().map(String::as_str)).await);
    let (admin, acme) = (server.admin(), server.new_org("Acme").await);
    admin.post("/api/orgs", &json!({"name": "Other"})).await.expect_message(403, REACHED);
    let user = |login: &str| json!({"login": login, "password": "secret"});
    let ann = admin.post("/api/admin/users", &user("ann")).await.expect(200).body["id"].clone();
    admin.post("/api/admin/users", &user("bob")).await.expect_message(403, REACHED);
    admin.delete(&format!("/api/admin/users/{ann}")).await.expect(200);
    admin.post("/api/admin/users", &user("bob")).await.expect(200);

    // Two orgs, whose transactions do not wait for each other.
    let create = |number: i64| {
        let (server, org) = (server.clone(), if number % 2 == 0 { 1 } else { acme });
        async move { save(&server.admin().in_org(org), &format!("d{number}")).await }
    };
    assert_eq!(run_at_once((0..32).map(create)).await, 10);
    admin.delete(&format!("/api/orgs/{acme}")).await.expect(200);
    save(&admin, "one-more").await.expect(200);

    let log_in = |_| {
        let server = server.clone();
        async move { server.anonymous().post("/login", &json!({"user": "admin", "password": "admin"})).await }
    };
    assert_eq!(run_at_once((0..8).map(log_in)).await, 1);
    must_verify(&server).await;
}
