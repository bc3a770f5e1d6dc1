//! `kymograph import` in several steps: other clients continue meanwhile, and an aborted import can be continued.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kymograph_tests::ServerProcess;
use serde_json::{Value, json};

use crate::import::{file, import, new_org, verify};

const VERSIONS: i64 = 3;

fn line(kind: &str, uid: &str, sequence: i64, event_type: &str, payload: &Value) -> String {
    json!({"aggregate_type": kind, "aggregate_id": uid, "sequence": sequence, "event_type": event_type,
        "event_version": "1", "payload": {event_type: payload}, "metadata": {}})
    .to_string()
}

/// Dashboards with several versions each, followed by their folders.
fn log(dashboards: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for version in 1..=VERSIONS {
        for number in 0..dashboards {
            let uid = format!("d{number:06}");
            let title = format!("{number} v{version}");
            let content = json!({"uid": uid, "title": title, "tags": ["a"], "folder_uid": format!("f{}", number % 50),
                "message": "", "data": {"title": title, "panels": [{"id": number}]}});
            lines.push(if version == 1 {
                let payload = json!({"id": 1, "generation": 1, "content": content});
                line("dashboard", &uid, 1, "dashboard.created", &payload)
            } else {
                let payload = json!({"generation": 1, "version": version, "content": content});
                line("dashboard", &uid, version, "dashboard.updated", &payload)
            });
        }
    }
    for number in 0..50 {
        let (uid, parent) = (format!("f{number}"), (number < 49).then_some("f49"));
        let payload = json!({"id": 1, "uid": uid, "title": uid, "description": "", "parent_uid": parent});
        lines.push(line("folder", &uid, 1, "folder.created", &payload));
    }
    lines
}

/// The number of imported events in the log of an org.
async fn imported(server: &ServerProcess, org: i64) -> i64 {
    let sql = "SELECT count(*) FROM events WHERE org_id = $1 AND correlation_id LIKE 'import-%'";
    server.database().await.query_one(sql, &[&org]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_wait_for_a_step_and_not_for_the_import() {
    const DASHBOARDS: usize = 15_000;
    let server = ServerProcess::start("import-steps").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    let path = file("steps", &log(DASHBOARDS));
    let is_over = Arc::new(AtomicBool::new(false));
    let (writing, over) = (acme.clone(), is_over.clone());
    let writer = tokio::spawn(async move {
        let (mut longest, mut count) = (Duration::ZERO, 0_usize);
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let folder = json!({"uid": format!("w{count}"), "title": "x"});
            writing.post("/api/folders", &folder).await.expect(200);
            longest = longest.max(begun.elapsed());
            count += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (longest, count)
    });
    let begun = Instant::now();
    let said = tokio::task::block_in_place(|| import(&server, org, path.to_str().unwrap(), &[]));
    let took = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (longest, count) = writer.await.unwrap();
    assert!(said.is_ok, "{}", said.error);
    assert!(longest < took / 3, "somebody waited for {longest:?} of {took:?}");
    // Some commits came between the steps.
    let between = "SELECT count(*) FROM events WHERE org_id = $1 AND pos > (SELECT min(pos) FROM events WHERE org_id = $1
        AND correlation_id LIKE 'import-%') AND pos < (SELECT max(pos) FROM events WHERE org_id = $1
        AND correlation_id LIKE 'import-%') AND type = 'folder.created' AND correlation_id NOT LIKE 'import-%'";
    let between: i64 = server.database().await.query_one(between, &[&org]).await.unwrap().get(0);
    assert!(between > 3, "{between} of {count} writes came between the steps");
    let counts = acme.get("/api/folders/f49/counts").await.expect(200).body;
    assert_eq!((&counts["dashboard"], &counts["folder"]), (&json!(DASHBOARDS), &json!(49)));
    let last = acme.get("/api/dashboards/uid/d014999").await.expect(200).body;
    assert_eq!((&last["dashboard"]["title"], &last["dashboard"]["version"]), (&json!("14999 v3"), &json!(3)));
    verify(&server);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_leaves_whole_objects_and_goes_on() {
    const DASHBOARDS: usize = 12_000;
    let server = ServerProcess::start("import-killed").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    let mut log = log(DASHBOARDS);
    let path = file("killed", &log);
    let (from, org_id) = (path.to_str().unwrap(), org.to_string());
    let mut command = server.command(&["import", "--org", &org_id, "--from", from]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while imported(&server, org).await == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the import ended without a step");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let total = i64::try_from(log.len()).unwrap();
    let before = imported(&server, org).await;
    assert!(before > 0 && before < total, "{before} of {total}");
    verify(&server);
    let folder = acme.get("/api/folders/f7").await.expect(200).body;
    let first = acme.get("/api/dashboards/uid/d000000").await.expect(200).body;
    assert_eq!(first["dashboard"]["version"], json!(VERSIONS));
    acme.get("/api/dashboards/uid/d011999").await.expect(404);
    // Changes to the imported objects do not prevent the import of the rest.
    let save =
        json!({"dashboard": {"uid": "d000000", "title": "Mine"}, "folderUid": "f0", "overwrite": true});
    acme.post("/api/dashboards/db", &save).await.expect(200);
    acme.post("/api/folders", &json!({"uid": "mine", "title": "Mine", "parentUid": "f7"})).await.expect(200);

    // Different events are another import, whose uids are taken.
    let other = file("other", &log[..log.len() - 1]);
    let said = import(&server, org, other.to_str().unwrap(), &["--only", "dashboard"]);
    assert!(!said.is_ok && said.error.contains("already exists in org"), "{}", said.error);
    // The order does not matter: a table returns its events in any order.
    log.rotate_left(usize::try_from(total).unwrap() - 50);
    std::fs::write(&path, log.join("\n")).unwrap();
    let said = import(&server, org, from, &["--dry-run"]);
    assert!(said.is_ok && said.out.contains("from an earlier run"), "{}{}", said.out, said.error);
    let said = import(&server, org, from, &[]);
    assert!(said.is_ok && said.out.contains("from an earlier run"), "{}{}", said.out, said.error);
    assert_eq!(imported(&server, org).await, total);
    // Only one import can run at a time.
    let lock = format!("SELECT pg_advisory_lock(hashtextextended('kymograph/import', {org}))");
    let holder = server.database().await;
    holder.batch_execute(&lock).await.unwrap();
    let said = import(&server, org, from, &[]);
    assert!(!said.is_ok && said.error.contains("another import into"), "{}{}", said.out, said.error);
    holder.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    let said = import(&server, org, from, &[]);
    assert!(said.is_ok && said.out.contains("nothing to import"), "{}{}", said.out, said.error);

    assert_eq!(acme.get("/api/folders/f7").await.expect(200).body["id"], folder["id"]);
    assert_eq!(acme.get("/api/dashboards/uid/d000000").await.expect(200).body["dashboard"]["title"], "Mine");
    let counts = acme.get("/api/folders/f49/counts").await.expect(200).body;
    assert_eq!((&counts["dashboard"], &counts["folder"]), (&json!(DASHBOARDS), &json!(50)));
    verify(&server);
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(other).unwrap();
}
