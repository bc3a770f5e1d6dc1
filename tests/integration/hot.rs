//! Concurrent changes of one object: each is decided on the previous one, and none on an unwritten one.

use std::collections::BTreeMap;
use std::time::Duration;

use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, Cluster, TestDatabase, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::stuck::hold_log;

const SAVE: &str = "/api/dashboards/db";

fn cpu(message: &str) -> Value {
    json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "overwrite": true, "message": message})
}

/// A save based on a version.
fn cpu_after(version: i64) -> Value {
    json!({"dashboard": {"title": "CPU", "uid": "cpu", "version": version}})
}

async fn assert_sound(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

/// Sends a request, and gives the server time to process it as far as it can.
async fn begin(client: &Client, path: &str, form: Value) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    let sent = tokio::spawn(async move { client.post(&path, &form).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    sent
}

/// Lets writers save one dashboard repeatedly, and returns the message of each version.
async fn save_all(writers: Vec<Client>, saves: usize) -> BTreeMap<i64, String> {
    let writers = writers.into_iter().enumerate().map(|(writer, client)| {
        tokio::spawn(async move {
            let mut saved = Vec::new();
            for number in 0..saves {
                let message = format!("{writer}/{number}");
                let body = client.post(SAVE, &cpu(&message)).await.expect(200).body;
                saved.push((body["version"].as_i64().unwrap(), message));
            }
            saved
        })
    });
    let mut all = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        all.extend(writer.await.unwrap());
    }
    let count = all.len();
    let by_version: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(by_version.len(), count);
    by_version
}

#[tokio::test]
async fn many_writers_of_one_dashboard_all_get_their_version() {
    let server = TestServer::start().await;
    let mut authors = Vec::new();
    for author in 0..4 {
        authors.push(server.new_member(1, &format!("author{author}"), "Editor").await.0);
    }
    let admin = server.admin();
    admin.post(SAVE, &cpu("first")).await.expect(200);
    let writers = (0..16).map(|writer| authors[writer % 4].clone()).collect();
    let saved = save_all(writers, 8).await;
    assert_eq!(saved.keys().copied().collect::<Vec<_>>(), (2..=16 * 8 + 1).collect::<Vec<_>>());
    let versions = admin.get("/api/dashboards/uid/cpu/versions?limit=0").await.expect(200).body;
    let versions = versions["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 16 * 8 + 1);
    for version in &versions[..16 * 8] {
        let message = &saved[&version["version"].as_i64().unwrap()];
        let writer: usize = message.split('/').next().unwrap().parse().unwrap();
        assert_eq!(version["message"], *message);
        assert_eq!(version["createdBy"], format!("author{}", writer % 4));
    }
    assert_sound(&server).await;
}

#[tokio::test]
async fn of_many_writers_with_the_same_expected_version_one_wins() {
    let server = TestServer::start().await;
    server.admin().post(SAVE, &cpu_after(0)).await.expect(200);
    let writers = (0..16).map(|_| {
        let admin = server.admin();
        tokio::spawn(async move {
            let mut statuses = Vec::new();
            for version in 1..=6 {
                statuses.push(admin.post(SAVE, &cpu_after(version)).await.status);
            }
            statuses
        })
    });
    let mut won = [0; 6];
    for writer in writers.collect::<Vec<_>>() {
        for (won, status) in won.iter_mut().zip(writer.await.unwrap()) {
            match status {
                200 => *won += 1,
                status => assert_eq!(status, 412),
            }
        }
    }
    assert_eq!(won, [1; 6]);
    assert_sound(&server).await;
}

#[tokio::test]
async fn writers_of_one_dashboard_on_two_servers_all_get_their_version() {
    let database = Cluster::get().new_database().await;
    let same = TestDatabase { config: database.config.clone() };
    let one = TestServer::on_database(database, &[]).await;
    let two = TestServer::on_database(same, &[]).await;
    let writers = (0..16).map(|writer| if writer % 2 == 0 { one.admin() } else { two.admin() }).collect();
    let saved = save_all(writers, 4).await;
    assert_eq!(saved.into_keys().collect::<Vec<_>>(), (1..=64).collect::<Vec<_>>());
    assert_sound(&one).await;
}

#[tokio::test]
async fn those_who_wait_are_written_together() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post(SAVE, &cpu("first")).await.expect(200);
    let holder = hold_log(&server, 1).await;
    let before = begin(&admin, "/api/folders", json!({"title": "Before"})).await;
    let mut waiting = Vec::new();
    for number in 0..8 {
        waiting.push(begin(&admin, SAVE, cpu(&format!("{number}"))).await);
    }
    drop(holder);
    before.await.unwrap().expect(200);
    for (sent, version) in waiting.into_iter().zip(2..) {
        assert_eq!(sent.await.unwrap().expect(200).body["version"], version);
    }
    // Events of one transaction share its id, which the system column shows.
    let flights =
        "SELECT count(DISTINCT xmin::text) FROM events WHERE stream_id = 'dashboard-cpu' AND version > 1";
    assert_eq!(server.database.scalar::<i64>(flights).await, 1);
    assert_sound(&server).await;
}

/// Blocks the log with pending saves, the first of which moves the dashboard into a folder that will be deleted.
async fn hold_a_save_that_fails(server: &TestServer) -> (tokio_postgres::Client, [JoinHandle<Answer>; 2]) {
    let admin = server.admin();
    admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
    admin.post(SAVE, &cpu("first")).await.expect(200);
    let holder = hold_log(server, 1).await;
    let deleting = tokio::spawn({
        let admin = admin.clone();
        async move { admin.delete("/api/folders/ops").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut form = cpu("into the folder");
    form["folderUid"] = json!("ops");
    (holder, [deleting, begin(&admin, SAVE, form).await])
}

#[tokio::test]
async fn those_decided_on_what_fails_are_decided_again() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (holder, [deleted, failing]) = hold_a_save_that_fails(&server).await;
    let mut others = Vec::new();
    for number in 0..4 {
        others.push(begin(&admin, SAVE, cpu(&format!("{number}"))).await);
    }
    assert!(!others.iter().any(JoinHandle::is_finished));
    drop(holder);
    deleted.await.unwrap().expect(200);
    failing.await.unwrap().expect(400);
    let mut versions = Vec::new();
    for other in others {
        versions.push(other.await.unwrap().expect(200).body["version"].as_i64().unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4, 5]);
    assert_sound(&server).await;
}

#[tokio::test]
async fn nobody_is_refused_because_of_what_fails() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (holder, [deleted, failing]) = hold_a_save_that_fails(&server).await;
    // It is valid unless the pending one is written.
    let after_first = begin(&admin, SAVE, cpu_after(1)).await;
    let after_failing = begin(&admin, SAVE, cpu_after(2)).await;
    assert!(!after_first.is_finished());
    drop(holder);
    deleted.await.unwrap().expect(200);
    failing.await.unwrap().expect(400);
    assert_eq!(after_first.await.unwrap().expect(200).body["version"], 2);
    after_failing.await.unwrap().expect(412);
    assert_sound(&server).await;
}

#[tokio::test]
async fn what_keeps_secrets_is_changed_by_one_after_the_other() {
    let server = TestServer::start().await;
    let (_, user) = server.new_member(1, "ann", "Viewer").await;
    let changes = (0..8).map(|number| {
        let admin = server.admin();
        tokio::spawn(async move {
            let password = json!({"password": format!("secret{number}")});
            admin.put(&format!("/api/admin/users/{user}/password"), &password).await.expect(200);
            let named = json!({"login": "ann", "name": format!("Ann {number}"), "email": "ann@example.test"});
            admin.put(&format!("/api/users/{user}"), &named).await.expect(200);
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    assert_sound(&server).await;
}

#[tokio::test]
async fn what_is_moved_out_of_a_folder_is_not_deleted_with_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (uid, parent) in [("old", None), ("new", None), ("inner", Some("old"))] {
        let folder = json!({"uid": uid, "title": uid, "parentUid": parent});
        admin.post("/api/folders", &folder).await.expect(200);
    }
    let saved_in = |folder: &str| {
        let mut form = cpu("moved");
        form["folderUid"] = json!(folder);
        form
    };
    admin.post(SAVE, &saved_in("old")).await.expect(200);
    let holder = hold_log(&server, 1).await;
    let before = begin(&admin, "/api/folders", json!({"title": "Before"})).await;
    let moved = begin(&admin, SAVE, saved_in("new")).await;
    let inner = begin(&admin, "/api/folders/inner/move", json!({"parentUid": "new"})).await;
    let deleting = tokio::spawn({
        let admin = admin.clone();
        async move { admin.delete("/api/folders/old").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(holder);
    for sent in [before, moved, inner, deleting] {
        sent.await.unwrap().expect(200);
    }
    let dashboard = admin.get("/api/dashboards/uid/cpu").await.expect(200).body;
    assert_eq!(dashboard["meta"]["folderUid"], "new");
    assert_eq!(admin.get("/api/folders/inner").await.expect(200).body["parentUid"], "new");
    admin.get("/api/folders/old").await.expect(404);
    assert_sound(&server).await;
}

#[tokio::test]
async fn a_right_that_is_being_taken_away_gives_itself_nothing_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, user) = server.new_member(1, "ann", "Editor").await;
    admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
    let path = "/api/folders/ops/permissions";
    let viewers = json!({"role": "Viewer", "permission": 1});
    let own = json!({"userId": user, "permission": 4});
    admin.post(path, &json!({"items": [viewers, own]})).await.expect(200);
    let holder = hold_log(&server, 1).await;
    let before = begin(&admin, "/api/folders", json!({"title": "Before"})).await;
    let revoked = begin(&admin, path, json!({"items": [viewers]})).await;
    let editors = json!({"role": "Editor", "permission": 2});
    let back = begin(&ann, path, json!({"items": [viewers, own, editors]})).await;
    drop(holder);
    before.await.unwrap().expect(200);
    revoked.await.unwrap().expect(200);
    back.await.unwrap().expect(403);
    assert_sound(&server).await;
}
