//! The end of annotations: with their dashboard, by age and by number.

use std::time::Duration;

use kymograph_server::verify::verify_database;
use kymograph_tests::TestServer;
use serde_json::json;

use super::{annotate, save, tags, texts};

const DAY: i64 = 24 * 60 * 60;

/// Waits until no annotation of a deleted dashboard is left.
async fn until_ended(server: &TestServer) {
    until_none(server, "end-annotations").await;
}

/// Waits until there is no job of a kind.
async fn until_none(server: &TestServer, kind: &str) {
    for _ in 0..600 {
        let jobs = format!("SELECT count(*) FROM jobs WHERE kind = '{kind}'");
        if server.database.scalar::<i64>(&jobs).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the jobs of the kind {kind} were not done in time");
}

async fn rows(server: &TestServer) -> [i64; 3] {
    let mut counts = [0; 3];
    for (count, table) in counts.iter_mut().zip(["annotations", "annotation_terms", "annotation_tag_counts"])
    {
        *count = server.database.scalar(&format!("SELECT count(*) FROM {table}")).await;
    }
    counts
}

async fn must_verify(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn come_out_of_the_trash_and_end_for_good_with_their_dashboard() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    let id =
        annotate(&admin, &json!({"text": "on cpu", "dashboardUID": "cpu", "panelId": 1, "tags": ["ops"]}))
            .await;
    let path = format!("/api/annotations/{id}");
    annotate(&admin, &json!({"text": "of the org"})).await;
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    assert_eq!(texts(&admin, "").await, ["of the org"]);
    assert_eq!(tags(&admin, "").await, []);
    admin.get(&path).await.expect_message(404, "Annotation not found");
    admin.patch(&path, &json!({"text": "x"})).await.expect_message(404, "Annotation not found");
    admin.delete(&path).await.expect_message(404, "Annotation not found");
    let in_trash = json!({"text": "x", "dashboardUID": "cpu"});
    admin.post("/api/annotations", &in_trash).await.expect_message(404, "Dashboard not found");
    admin.patch("/api/dashboards/uid/cpu/trash", &json!({})).await.expect(200);
    assert_eq!(texts(&admin, "?tags=ops").await, ["on cpu"]);

    // Once with another dashboard with its uid, once purged.
    for purges in [false, true] {
        admin.delete("/api/dashboards/uid/cpu").await.expect(200);
        if purges {
            admin.delete("/api/dashboards/uid/cpu/trash").await.expect(200);
        }
        save(&admin, "cpu", "").await;
        assert_eq!(texts(&admin, "").await, ["of the org"], "{purges}");
        until_ended(&server).await;
        assert_eq!(rows(&server).await, [1, 0, 1], "{purges}");
        must_verify(&server).await;
        annotate(&admin, &json!({"text": "on another", "dashboardUID": "cpu", "tags": ["ops"]})).await;
    }
    let by = "SELECT actor_login FROM events WHERE type = 'annotation.deleted' LIMIT 1";
    assert_eq!(server.database.scalar::<String>(by).await, "server");
    // An annotation that ended with its dashboard cannot be restored to another one.
    let log = admin.get("/api/audit/events?action=annotation.deleted").await.expect(200).body;
    let uid = id.to_string();
    let event = log["events"].as_array().unwrap().iter().find(|event| event["targets"][0]["uid"] == *uid);
    let undo = format!("/api/audit/events/{}/undo", event.unwrap()["id"]);
    let undone = admin.post(&undo, &json!({})).await;
    assert!((400..500).contains(&undone.status), "{}", undone.text);
    let restored = admin.post(&format!("{path}/history/restore"), &json!({"version": 1})).await;
    assert!((400..500).contains(&restored.status), "{}", restored.text);
    admin.get(&path).await.expect(404);
    must_verify(&server).await;
}

#[tokio::test]
async fn any_number_ends_with_a_dashboard() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    for number in 0..40 {
        let requests = (0..30).map(|other| {
            let annotation =
                json!({"text": "x", "dashboardUID": "cpu", "tags": ["ops", format!("t{number}:{other}")]});
            let admin = admin.clone();
            async move { annotate(&admin, &annotation).await }
        });
        futures_util::future::join_all(requests).await;
    }
    assert_eq!(tags(&admin, "?tag=ops").await, [("ops".to_owned(), 1200)]);
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    admin.delete("/api/dashboards/uid/cpu/trash").await.expect(200);
    until_ended(&server).await;
    assert_eq!(rows(&server).await, [0, 0, 0]);
    must_verify(&server).await;
}

#[tokio::test]
async fn go_with_their_org() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    annotate(&server.admin().in_org(acme), &json!({"text": "x", "tags": ["ops"]})).await;
    server.admin().delete(&format!("/api/orgs/{acme}")).await.expect(200);
    assert_eq!(rows(&server).await, [0, 0, 0]);
}

#[tokio::test]
async fn are_kept_unless_it_is_said() {
    let server = TestServer::start().await;
    annotate(&server.admin(), &json!({"text": "x"})).await;
    let jobs = "SELECT count(*) FROM jobs WHERE kind = 'tidy-annotations'";
    assert_eq!(server.database.scalar::<i64>(jobs).await, 0);
}

#[tokio::test]
async fn those_from_before_there_were_rules_are_cleaned_up_too() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    for text in ["one", "two"] {
        annotate(&server.admin().in_org(acme), &json!({"text": text})).await;
    }
    let database = server.database.clone();
    drop(server);
    let settings = ["annotations.api.max_annotations_to_keep=1"];
    let later = TestServer::on_database(database, &settings).await;
    until_none(&later, "sweep-annotations").await;
    let jobs = "SELECT string_agg(id, ' ') FROM jobs WHERE kind = 'tidy-annotations'";
    let expected = format!("tidy-annotations-{acme}");
    assert_eq!(later.database.scalar::<Option<String>>(jobs).await, Some(expected));
    later.tidy().await;
    assert_eq!(texts(&later.admin().in_org(acme), "").await, ["two"]);
}

#[tokio::test]
async fn are_cleaned_up_by_age_and_by_number() {
    let settings = ["annotations.dashboard.max_age=7d", "annotations.api.max_annotations_to_keep=2"];
    let server = TestServer::with_settings(&settings).await;
    let admin = server.admin();
    save(&admin, "cpu", "").await;
    let of_org = async |text: &str| annotate(&admin, &json!({"text": text, "time": 1})).await;
    let on_cpu =
        async |text: &str| annotate(&admin, &json!({"text": text, "dashboardUID": "cpu", "time": 2})).await;
    let jobs = "SELECT count(*) FROM jobs WHERE kind = 'tidy-annotations'";
    for text in ["one", "two", "three", "four"] {
        of_org(text).await;
    }
    on_cpu("old").await;
    server.clock.advance(6 * DAY);
    on_cpu("new").await;
    server.tidy().await;
    assert_eq!(texts(&admin, "").await, ["new", "old", "four", "three"]);
    assert_eq!(server.database.scalar::<i64>(jobs).await, 1);
    server.clock.advance(DAY + 1);
    server.tidy().await;
    assert_eq!(texts(&admin, "").await, ["new", "four", "three"]);
    server.clock.advance(6 * DAY);
    server.tidy().await;
    assert_eq!(texts(&admin, "").await, ["four", "three"]);
    // No remaining annotation expires, so the org has no job any more.
    assert_eq!(server.database.scalar::<i64>(jobs).await, 0);
    of_org("five").await;
    server.tidy().await;
    assert_eq!(texts(&admin, "").await, ["five", "four"]);
    must_verify(&server).await;
}
