//! Pending or large commits: other requests are served, memory stays bounded, and permissions revoked meanwhile do not
//! apply.

use std::time::Duration;

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// A transaction that blocks commits to an org's log, until it is dropped.
pub(crate) async fn hold_log(server: &TestServer, org: i64) -> tokio_postgres::Client {
    let holder = server.database.connect().await;
    let lock = format!("BEGIN; SELECT pos FROM heads WHERE org_id = {org} FOR UPDATE");
    holder.batch_execute(&lock).await.unwrap();
    holder
}

fn large(number: usize) -> Value {
    json!({"dashboard": {"uid": format!("large{number}"), "title": format!("Large {number}"),
        "text": "x".repeat(8 * MIB)}})
}

async fn wait_for(client: &Client, path: &str) {
    for _ in 0..100 {
        if client.get(path).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} did not come");
}

#[tokio::test]
async fn commits_that_wait_are_a_bounded_number_of_bytes() {
    let server = TestServer::start().await;
    let org = server.new_org("Other").await;
    let (other, _) = server.new_member(org, "other", "Editor").await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
    let holder = hold_log(&server, 1).await;
    // Disconnecting clients does not cancel their commits.
    let (mut refused, mut waiting) = (0, 0);
    for number in 0..6 {
        let form = large(number);
        let saved = admin.post("/api/dashboards/db", &form);
        match tokio::time::timeout(Duration::from_secs(5), saved).await {
            Err(_) => waiting += 1,
            Ok(answer) => {
                assert_eq!(answer.expect(429).body["messageId"], "overload.commands");
                refused += 1;
            }
        }
    }
    assert_eq!((waiting, refused), (2, 4));
    other.post("/api/dashboards/db", &large(0)).await.expect(200);
    drop(holder);
    for number in 0..2 {
        wait_for(&admin, &format!("/api/dashboards/uid/large{number}")).await;
    }
    admin.post("/api/dashboards/db", &large(9)).await.expect(200);
}

#[tokio::test]
async fn an_org_that_cannot_record_refusals_delays_no_other() {
    let server = TestServer::start().await;
    let org = server.new_org("Other").await;
    let (viewer, _) = server.new_member(1, "viewer", "Viewer").await;
    let (other, _) = server.new_member(org, "other", "Viewer").await;
    let _holder = hold_log(&server, 1).await;
    viewer.post("/api/folders", &json!({"title": "Ops"})).await.expect(403);
    other.post("/api/folders", &json!({"title": "Ops"})).await.expect(403);
    let sql = format!("SELECT count(*) FROM events WHERE org_id = {org} AND type = 'access.denied'");
    for _ in 0..50 {
        if server.database.scalar::<i64>(&sql).await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the refusal was not recorded");
}

#[tokio::test]
async fn a_folder_with_too_much_in_it_is_deleted_in_parts() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"uid": "top", "title": "Top"})).await.expect(200);
    // Six bytes each when stored, and several copies of each are in memory.
    let description = "\u{1}".repeat(16 * 1024);
    for number in 0..90 {
        let inner = json!({"uid": format!("in{number}"), "title": format!("{number}"), "parentUid": "top",
            "description": description});
        admin.post("/api/folders", &inner).await.expect(200);
    }
    let message = "this changes too much at once: change it in parts";
    admin.delete("/api/folders/top").await.expect_message(413, message);
    for number in 0..20 {
        admin.delete(&format!("/api/folders/in{number}")).await.expect(200);
    }
    admin.delete("/api/folders/top").await.expect(200);
    admin.get("/api/folders/in50").await.expect(404);
}

#[tokio::test]
async fn who_is_demoted_meanwhile_gives_no_rights() {
    let server = TestServer::start().await;
    let (ann, id) = server.new_member(1, "ann", "Admin").await;
    ann.get("/api/user").await.expect(200);
    let holder = hold_log(&server, 1).await;
    let admin = server.admin();
    let own = format!("/api/org/users/{id}");
    let demoted =
        tokio::spawn(async move { admin.patch(&own, &json!({"role": "Viewer"})).await.expect(200) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let late = json!({"name": "Late", "role": "Admin"});
    let given = [
        (ann.clone(), "/api/serviceaccounts".to_owned(), late),
        (
            ann.clone(),
            "/api/org/invites".to_owned(),
            json!({"loginOrEmail": "eve@evil.test", "role": "Admin"}),
        ),
    ];
    let given: Vec<_> = given
        .map(|(client, path, form)| tokio::spawn(async move { client.post(&path, &form).await.status }))
        .into();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(holder);
    for status in given {
        assert_eq!(status.await.unwrap(), 403);
    }
    demoted.await.unwrap();
    let accounts = server.admin().get("/api/serviceaccounts/search").await.expect(200).body;
    assert_eq!(accounts["totalCount"], 0);
    // An admin who gives up their own permissions had them until then.
    let (bob, id) = server.new_member(1, "bob", "Admin").await;
    bob.patch(&format!("/api/org/users/{id}"), &json!({"role": "Viewer"})).await.expect(200);
}

#[tokio::test]
async fn a_server_without_connections_for_commits_is_not_ready() {
    let server = TestServer::with_settings(&["database.max_open_conn=2"]).await;
    let org = server.new_org("Other").await;
    let holder = hold_log(&server, org).await;
    let admin = server.admin().in_org(org);
    let waiting = tokio::spawn(async move { admin.post("/api/folders", &json!({"title": "Ops"})).await });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(server.anonymous().get("/readyz").await.status);
        if statuses.last() == Some(&503) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(statuses.last(), Some(&503), "{statuses:?}");
    drop(holder);
    waiting.await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_right_is_taken_meanwhile_does_not_give_it_back_to_itself() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Editor").await;
    let path = "/api/folders/ops/permissions";
    let grant = move |level: i64| json!({"items": [{"userId": id, "permission": 4}, {"role": "Viewer", "permission": level}]});
    for _ in 0..4 {
        admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
        admin.post(path, &grant(1)).await.expect(200);
        eve.get(path).await.expect(200);
        let holder = hold_log(&server, 1).await;
        let taking = tokio::spawn({
            let admin = admin.clone();
            async move { admin.post(path, &json!({"items": []})).await.status }
        });
        wait_for_commit(&server).await;
        let giving: Vec<_> = (0..4)
            .map(|_| {
                let (eve, form) = (eve.clone(), grant(2));
                tokio::spawn(async move { eve.post(path, &form).await.status })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(holder);
        assert_eq!(taking.await.unwrap(), 200);
        for giving in giving {
            assert_eq!(giving.await.unwrap(), 403);
        }
        eve.get(path).await.expect(403);
        assert_eq!(admin.get(path).await.expect(200).body, json!([]));
        admin.delete("/api/folders/ops").await.expect(200);
    }
}

/// Waits until a commit is blocked by the lock of [`hold_log`].
async fn wait_for_commit(server: &TestServer) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while server.database.scalar::<i64>(waiting).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lets a request wait for another one that revokes its actor's permission through the same log, and returns its
/// status.
async fn status_after(
    server: &TestServer,
    log: i64,
    ending: impl Future<Output = u16> + Send + 'static,
    request: impl Future<Output = u16> + Send + 'static,
) -> u16 {
    let holder = hold_log(server, log).await;
    let ending = tokio::spawn(ending);
    wait_for_commit(server).await;
    let request = tokio::spawn(request);
    tokio::time::sleep(Duration::from_millis(250)).await;
    drop(holder);
    assert_eq!(ending.await.unwrap(), 200);
    request.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_a_right_takes_nothing_along_and_brings_nothing_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Editor").await;
    for (client, uid) in [(&admin, "ops"), (&eve, "mine"), (&admin, "gone")] {
        client.post("/api/folders", &json!({"uid": uid, "title": uid})).await.expect(200);
    }
    let list = json!({"items": [{"userId": id, "permission": 2}]});
    admin.post("/api/folders/ops/permissions", &list).await.expect(200);
    let inner = json!({"uid": "inner", "title": "inner", "parentUid": "ops"});
    admin.post("/api/folders", &inner).await.expect(200);
    admin.put("/api/folders/gone", &json!({"title": "Changed", "overwrite": true})).await.expect(200);

    let close = |admin: Client| async move {
        admin.post("/api/folders/ops/permissions", &json!({"items": []})).await.status
    };
    let take = |eve: Client| async move {
        eve.post("/api/folders/inner/move", &json!({"parentUid": "mine"})).await.status
    };
    assert_ne!(status_after(&server, 1, close(admin.clone()), take(eve.clone())).await, 200);
    eve.get("/api/folders/inner").await.expect(403);

    let delete = |admin: Client| async move { admin.delete("/api/folders/gone").await.status };
    let restore = |eve: Client| async move {
        eve.post("/api/folders/gone/history/restore", &json!({"version": 1})).await.status
    };
    assert_ne!(status_after(&server, 1, delete(admin.clone()), restore(eve.clone())).await, 200);
    admin.get("/api/folders/gone").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_while_a_request_waits_changes_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Editor").await;
    let remove = async move { admin.delete(&format!("/api/org/users/{id}")).await.status };
    let save = async move {
        let form = json!({"dashboard": {"uid": "late", "title": "Late"}});
        eve.post("/api/dashboards/db", &form).await.status
    };
    assert_ne!(status_after(&server, 1, remove, save).await, 200);
    server.admin().get("/api/dashboards/uid/late").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_disabled_while_its_new_password_waits_keeps_the_old_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Editor").await;
    let disable =
        async move { admin.post(&format!("/api/admin/users/{id}/disable"), &json!({})).await.status };
    let change = async move {
        let form = json!({"oldPassword": "secret", "newPassword": "mine-for-ever"});
        eve.put("/api/user/password", &form).await.status
    };
    let status = status_after(&server, 0, disable, change).await;
    // The password is wrong immediately if its check began after the revocation.
    assert!([400, 401, 403].contains(&status), "{status}");
    server.admin().post(&format!("/api/admin/users/{id}/enable"), &json!({})).await.expect(200);
    server.client("eve", "secret").get("/api/user").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_a_right_on_what_is_in_the_trash_does_nothing_with_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = server.new_member(1, "eve", "Viewer").await;
    let grant = move |level: i64| json!({"items": [{"userId": id, "permission": level}]});
    let [purge, restore, save] = ["purge", "restore", "save"];
    for name in [purge, restore, save] {
        admin.post("/api/folders", &json!({"uid": name, "title": name})).await.expect(200);
        admin.post(&format!("/api/folders/{name}/permissions"), &grant(2)).await.expect(200);
        let dashboard = json!({"dashboard": {"uid": format!("d-{name}"), "title": name}, "folderUid": name});
        admin.post("/api/dashboards/db", &dashboard).await.expect(200);
        admin.delete(&format!("/api/dashboards/uid/d-{name}")).await.expect(200);
    }
    for name in [purge, restore, save] {
        let (admin, eve) = (admin.clone(), eve.clone());
        let path = format!("/api/folders/{name}/permissions");
        let revoke = async move { admin.post(&path, &grant(1)).await.status };
        let deed = async move {
            let trash = format!("/api/dashboards/uid/d-{name}/trash");
            match name {
                "purge" => eve.delete(&trash).await.status,
                "restore" => eve.patch(&trash, &json!({})).await.status,
                _ => {
                    let form = json!({"dashboard": {"uid": "d-save", "title": "Mine"}, "folderUid": "save"});
                    eve.post("/api/dashboards/db", &form).await.status
                }
            }
        };
        assert_eq!(status_after(&server, 1, revoke, deed).await, 403, "{name}");
        let left = format!("SELECT count(*) FROM dashboards WHERE uid = 'd-{name}' AND deleted IS NOT NULL");
        assert_eq!(server.database.scalar::<i64>(&left).await, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_admin_who_is_removed_from_an_org_writes_no_more_content_there() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (sam, id) = server.new_member(1, "sam", "Editor").await;
    let permissions = format!("/api/admin/users/{id}/permissions");
    admin.put(&permissions, &json!({"isGrafanaAdmin": true})).await.expect(200);
    let remove = async move { admin.delete(&format!("/api/org/users/{id}")).await.status };
    let create = async move { sam.post("/api/folders", &json!({"title": "Mine"})).await.status };
    assert_eq!(status_after(&server, 1, remove, create).await, 403);
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM folders").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_on_a_folder_that_moves_does_not_open_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    for uid in ["closed", "moving"] {
        admin.post("/api/folders", &json!({"uid": uid, "title": uid})).await.expect(200);
    }
    admin.post("/api/folders/closed/permissions", &json!({"items": []})).await.expect(200);
    let (mover, granter) = (admin.clone(), admin.clone());
    let moving =
        async move { mover.post("/api/folders/moving/move", &json!({"parentUid": "closed"})).await.status };
    let granting = async move {
        let path = format!("/api/access-control/folders/moving/users/{ann}");
        granter.post(&path, &json!({"permission": "View"})).await.status
    };
    assert_eq!(status_after(&server, 1, moving, granting).await, 200);
    viewer.get("/api/folders/moving").await.expect(403);
    server.client("ann", "secret").get("/api/folders/moving").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_account_was_denied_is_recorded_however_long_that_waits() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let account = json!({"name": "robot", "role": "Viewer"});
    let id = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let token =
        admin.post(&format!("/api/serviceaccounts/{id}/tokens"), &json!({"name": "t"})).await.expect(200);
    let bearer = format!("Bearer {}", token.body["key"].as_str().unwrap());
    let robot = server.anonymous().with_header("Authorization", &bearer);
    robot.get("/api/folders").await.expect(200);
    let holder = hold_log(&server, 1).await;
    robot.post("/api/folders", &json!({"title": "Mine"})).await.expect(403);
    wait_for_commit(&server).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(holder);
    let denied = "SELECT count(*) FROM events WHERE org_id = 1 AND type = 'access.denied'";
    for _ in 0..100 {
        if server.database.scalar::<i64>(denied).await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the denial was not recorded");
}
