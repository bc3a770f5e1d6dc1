//! `kymograph import`: the log of a postgres-es application becomes part of an org's log, completely or not at all.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use kymograph_tests::{Client, ServerProcess, TestServer};
use serde_json::{Value, json};
use tokio_postgres::config::Host;

/// The output of a command, and whether it succeeded.
pub(crate) struct Said {
    pub(crate) is_ok: bool,
    pub(crate) out: String,
    pub(crate) error: String,
}

pub(crate) fn import(server: &ServerProcess, org: i64, from: &str, more: &[&str]) -> Said {
    let org = org.to_string();
    let args = [&["import", "--org", &org, "--from", from], more].concat();
    let output = server.command(&args).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { is_ok: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

fn import_input(server: &ServerProcess, org: i64, input: &str) -> Said {
    let org = org.to_string();
    let mut command = server.command(&["import", "--org", &org, "--from", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { is_ok: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

pub(crate) fn verify(server: &ServerProcess) {
    let verified = server.command(&["verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// A server with some content, whose log is in the table `old_log` in the layout of postgres-es.
pub(crate) async fn origin() -> (TestServer, String) {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
    let inside = json!({"uid": "disks", "title": "Disks", "parentUid": "ops"});
    admin.post("/api/folders", &inside).await.expect(200);
    admin.put("/api/folders/ops", &json!({"title": "Operations", "overwrite": true})).await.expect(200);
    for (uid, title, folder) in
        [("cpu", "CPU", "disks"), ("cpu", "CPU load", "disks"), ("net", "Network", ""), ("old", "Old", "")]
    {
        let save = json!({"dashboard": {"uid": uid, "title": title, "panels": [{"id": 1}]},
            "folderUid": folder, "overwrite": true, "message": title});
        admin.post("/api/dashboards/db", &save).await.expect(200);
    }
    admin.delete("/api/dashboards/uid/old").await.expect(200);
    admin.delete("/api/folders/disks").await.expect(200);
    admin.post("/api/folders", &json!({"uid": "disks", "title": "Disks again"})).await.expect(200);
    let client = server.database.connect().await;
    let copy = r#"SET app.org_id = 1;
        CREATE TABLE old_log AS SELECT aggregate_type, aggregate_id, sequence, event_type, event_version,
            postgres_es_events.payload,
            ('{"actor": "ada", "time": "2024-05-06T07:08:09Z"}')::json AS metadata
        FROM postgres_es_events JOIN events ON org_id = 1 AND stream_id = aggregate_id AND events.version = sequence
        ORDER BY pos"#;
    client.batch_execute(copy).await.unwrap();
    let config = server.database.config.config();
    let Some(Host::Unix(folder)) = config.get_hosts().first() else { panic!("no socket") };
    let url = format!(
        "postgresql:///{}?host={}&port={}&user={}",
        config.get_dbname().unwrap(),
        folder.display(),
        config.get_ports()[0],
        config.get_user().unwrap(),
    );
    (server, url)
}

pub(crate) async fn new_org(server: &ServerProcess, name: &str) -> i64 {
    let answer = server.admin().post("/api/orgs", &json!({"name": name})).await;
    answer.expect(200).body["orgId"].as_i64().unwrap()
}

/// The log as lines, in the order in which it was written.
pub(crate) async fn lines(origin: &TestServer) -> Vec<String> {
    let client = origin.database.connect().await;
    let sql = "SELECT row_to_json(old_log)::text FROM old_log
        WHERE aggregate_type IN ('folder', 'dashboard') ORDER BY ctid";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

pub(crate) fn file(name: &str, lines: &[String]) -> PathBuf {
    file_of(name, &(lines.join("\n") + "\n"))
}

pub(crate) fn file_of(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("kymograph-import-{name}-{}.ndjson", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn log_of(client: &Client) -> Vec<Value> {
    let body = client.get("/api/audit/events?limit=5000&order=oldest").await.expect(200).body;
    body["events"].as_array().unwrap().clone()
}

async fn expect_imported(client: &Client) {
    let cpu = client.get("/api/dashboards/uid/cpu").await.expect(404);
    assert!(cpu.text.contains("not found"), "it went with its folder");
    let net = client.get("/api/dashboards/uid/net").await.expect(200).body;
    assert_eq!((&net["dashboard"]["title"], &net["meta"]["createdBy"]), (&json!("Network"), &json!("ada")));
    assert_eq!(net["dashboard"]["panels"], json!([{"id": 1}]));
    assert_eq!(client.get("/api/folders/ops").await.expect(200).body["title"], "Operations");
    assert_eq!(client.get("/api/folders/disks").await.expect(200).body["title"], "Disks again");
    let versions = client.get("/api/dashboards/uid/net/versions").await.expect(200).body;
    assert_eq!(versions["versions"][0]["message"], "Network");
    let trash = client.get("/api/search?deleted=true").await.expect(200).body;
    assert_eq!(trash.as_array().unwrap().len(), 2, "{trash}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_and_a_file_are_imported_beside_a_server_and_without_one() {
    let (origin, url) = origin().await;
    let mut server = ServerProcess::start("import").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    // The server's caches remember that these objects are missing.
    acme.get("/api/dashboards/uid/net").await.expect(404);
    acme.get("/api/folders/ops").await.expect(404);
    let before = log_of(&acme).await;

    let table = ["--table", "old_log"];
    let said = import(&server, org, &url, &table);
    assert!(!said.is_ok && said.error.contains("cannot be imported"), "{}", said.error);
    let only = [&table[..], &["--only", "folder", "--only", "dashboard"]].concat();
    let said = import(&server, org, &url, &[&only[..], &["--dry-run"]].concat());
    assert!(said.is_ok && said.out.contains("dry run: "), "{}{}", said.out, said.error);
    assert_eq!(log_of(&acme).await, before);

    let said = import(&server, org, &url, &only);
    assert!(said.is_ok, "{}", said.error);
    for line in ["folder.created: 3 read, 3 written", "dashboard.updated: 1 read, 1 written", "skipped: "] {
        assert!(said.out.contains(line), "{}", said.out);
    }
    // Notifications travel on their own connection.
    for attempt in 0.. {
        if acme.get("/api/dashboards/uid/net").await.status == 200 {
            break;
        }
        assert!(attempt < 100, "the server did not notice");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    expect_imported(&acme).await;

    let log = log_of(&acme).await;
    assert_eq!(log.len(), before.len() + lines(&origin).await.len());
    let last = log.last().unwrap();
    assert_eq!(last["authMethod"], "import");
    assert_eq!(last["actor"], json!({"type": "imported", "id": 0, "login": "ada"}));
    assert_eq!(last["imported"], json!({"occurredAt": "2024-05-06T07:08:09.000000Z", "actor": "ada"}));

    // The org can be used from there on.
    let save = json!({"dashboard": {"uid": "net", "title": "Net"}, "overwrite": true});
    assert_eq!(acme.post("/api/dashboards/db", &save).await.expect(200).body["version"], 2);
    acme.post("/api/folders", &json!({"title": "New"})).await.expect(200);
    let before = log_of(&acme).await;
    let said = import(&server, org, &url, &only);
    assert!(said.is_ok && said.out.contains("nothing to import"), "{}{}", said.out, said.error);
    assert!(said.out.contains("already had 5 of the objects from an earlier run"), "{}", said.out);
    // It counts as the same import only if it has the same events.
    let said = import(&server, org, &url, &[&table[..], &["--only", "folder"]].concat());
    assert!(!said.is_ok && said.error.contains("already exists in org"), "{}", said.error);
    assert!(said.error.contains(", sequence "), "{}", said.error);
    assert_eq!(log_of(&acme).await, before);
    verify(&server);

    // The numeric ids of the first import are used in its org only; a pipe works like a file.
    let second = new_org(&server, "Second").await;
    let said = import_input(&server, second, &(lines(&origin).await.join("\n") + "\n"));
    assert!(said.is_ok, "{}", said.error);
    expect_imported(&server.admin().in_org(second)).await;

    let third = new_org(&server, "Third").await;
    assert!(server.stop().await);
    let path = file("good", &lines(&origin).await);
    let said = import(&server, third, path.to_str().unwrap(), &[]);
    assert!(said.is_ok, "{}", said.error);
    verify(&server);
    assert!(!server.postgres_runs());
    server.restart().await;
    expect_imported(&server.admin().in_org(third)).await;
    std::fs::remove_file(path).unwrap();
}

/// The line of a dashboard's creation with another number, uid and folder.
fn renumbered(line: &Value, number: usize) -> String {
    fn rename(value: &mut Value, number: usize) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| match name.as_str() {
                "id" if value.is_number() => *value = json!(1_000_000 + number),
                "folder_uid" => *value = json!("ops"),
                _ => rename(value, number),
            }),
            Value::String(text) => *text = text.replace("net", &format!("n{number}")),
            _ => {}
        }
    }
    let mut line = line.clone();
    rename(&mut line, number);
    line.to_string()
}

#[tokio::test]
async fn a_folder_with_thousands_of_dashboards_is_deleted_at_once() {
    const DASHBOARDS: usize = 6000;
    let (origin, _) = origin().await;
    let server = ServerProcess::start("big-folder").await;
    let org = new_org(&server, "Acme").await;
    let lines = lines(&origin).await;
    let is_of = |line: &&String, name: &str, kind: &str| line.contains(name) && line.contains(kind);
    let find = |name: &str, kind: &str| lines.iter().find(|line| is_of(line, name, kind)).unwrap();
    let dashboard: Value = serde_json::from_str(find("dashboard-net", "dashboard.created")).unwrap();
    let mut input = vec![find("folder-ops", "folder.created").clone()];
    input.extend((0..DASHBOARDS).map(|number| renumbered(&dashboard, number)));
    let said = import_input(&server, org, &(input.join("\n") + "\n"));
    assert!(said.is_ok, "{}", said.error);
    let acme = server.admin().in_org(org);
    let counts = acme.get("/api/folders/ops/counts").await.expect(200).body;
    assert_eq!(counts["dashboard"], json!(DASHBOARDS));
    // More statements than the sockets can buffer responses for. The number of dashboards is written once: each version
    // of that row would stay until the end of the transaction.
    acme.delete("/api/folders/ops").await.expect(200);
    let size = "SELECT pg_relation_size('quotas'), (SELECT used FROM quotas WHERE owner_org_id = $1 AND target = 'dashboard')";
    let quotas = server.database().await.query_one(size, &[&org]).await.unwrap();
    let (size, used): (i64, i64) = (quotas.get(0), quotas.get(1));
    assert!(size <= 5 * 8192 && used == 0, "{size} bytes, {used} dashboards");
    acme.get("/api/dashboards/uid/n0").await.expect(404);
    acme.post("/api/folders", &json!({"title": "New"})).await.expect(200);
}

/// Lines, one of them changed.
fn with_changed(good: &[String], index: usize, change: &dyn Fn(&mut Value)) -> Vec<String> {
    let mut lines = good.to_vec();
    let mut line: Value = serde_json::from_str(&lines[index]).unwrap();
    change(&mut line);
    lines[index] = line.to_string();
    lines
}

/// Files with one line whose value cannot be stored, and the expected message.
fn files_with_bad_values(good: &[String]) -> Vec<(&'static str, Vec<String>, &'static str)> {
    let changed = |index, change: &dyn Fn(&mut Value)| with_changed(good, index, change);
    vec![
        (
            "root",
            changed(0, &|line| {
                line["payload"]["folder.created"]["uid"] = json!("general");
                line["aggregate_id"] = json!("general");
            }),
            "line 1: the uid of a folder names the root",
        ),
        (
            "metadata",
            changed(0, &|line| line["metadata"] = json!({"user_agent": "x".repeat(9000)})),
            "line 1: its metadata is too long",
        ),
    ]
}

/// Files with one invalid line, and the expected message.
fn bad_files(good: &[String]) -> Vec<(&'static str, Vec<String>, &'static str)> {
    let changed = |index, change: &dyn Fn(&mut Value)| with_changed(good, index, change);
    let without = |index: usize| [&good[..index], &good[index + 1..]].concat();
    vec![
        ("hole", without(4), "line 8: sequence 3 follows 1: 1 events are missing"),
        ("duplicate", [good, &good[1..2]].concat(), "line 12: duplicate sequence 1"),
        (
            "type",
            changed(3, &|line| line["event_type"] = json!("dashboard.exploded")),
            "line 4: payload is not an object with the one member dashboard.exploded",
        ),
        (
            "unknown",
            changed(3, &|line| {
                line["event_type"] = json!("dashboard.exploded");
                line["payload"] = json!({"dashboard.exploded": {}});
            }),
            "line 4: unknown event type dashboard.exploded",
        ),
        (
            "aggregate",
            changed(3, &|line| line["aggregate_type"] = json!("comet")),
            "line 4: comet is not an aggregate type",
        ),
        ("version", changed(3, &|line| line["event_version"] = json!("77")), "line 4: event type"),
        (
            "mixed",
            changed(0, &|line| line["aggregate_type"] = json!("dashboard")),
            "line 1: folder.created is not",
        ),
        (
            "shape",
            changed(0, &|line| line["payload"]["folder.created"]["uid"] = json!(7)),
            "line 1: invalid payload",
        ),
        (
            "uid",
            changed(0, &|line| line["payload"]["folder.created"]["uid"] = json!("a b")),
            "line 1: the uid",
        ),
        (
            "other",
            changed(0, &|line| line["aggregate_id"] = json!("net")),
            "line 1: the event refers to \"ops\"",
        ),
        ("start", good[4..5].to_vec(), "line 1: sequence 2 follows 0"),
        (
            "user",
            changed(5, &|line| line["aggregate_type"] = json!("user")),
            "line 6: an aggregate of type user",
        ),
        ("folder", good[1..2].to_vec(), "line 1: folder-disks is in the folder ops, which does not exist"),
        ("json", [&good[..2], &["{\"aggregate_type\": ".to_owned()]].concat(), "line 3: not an event"),
        ("empty line", [&good[..2], &[String::new()], &good[2..]].concat(), "line 3: not an event"),
        (
            "document",
            changed(3, &|line| line["payload"]["dashboard.created"]["content"]["data"] = json!([1])),
            "line 4: the document is not a JSON object",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_whole_with_the_line() {
    let (origin, url) = origin().await;
    let server = ServerProcess::start("import-bad").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    let before = log_of(&acme).await;
    let good = lines(&origin).await;
    for (name, lines, expected) in bad_files(&good).into_iter().chain(files_with_bad_values(&good)) {
        let path = file(name, &lines);
        for more in [&[][..], &["--dry-run"][..]] {
            let said = import(&server, org, path.to_str().unwrap(), more);
            assert!(!said.is_ok && said.error.contains(expected), "{name}: {}{}", said.out, said.error);
        }
        std::fs::remove_file(path).unwrap();
    }
    let path = file("nowhere", &good);
    let said = import(&server, 99, path.to_str().unwrap(), &[]);
    assert!(!said.is_ok && said.error.contains("org 99 does not exist"), "{}", said.error);
    std::fs::remove_file(path).unwrap();
    let said = import(&server, org, "/nonexistent/file", &[]);
    assert!(!said.is_ok && said.error.contains("No such file"), "{}", said.error);
    for (table, expected) in [
        ("nothing", "does not exist"),
        ("x; DROP TABLE users", "is not the name"),
        ("streams", "does not exist"),
    ] {
        let said = import(&server, org, &url, &["--table", table]);
        assert!(!said.is_ok && said.error.contains(expected), "{table}: {}", said.error);
    }
    // For a table, the message identifies the event by its key.
    let client = origin.database.connect().await;
    let damage = "DELETE FROM old_log WHERE aggregate_id = 'folder-ops' AND sequence = 1";
    client.batch_execute(damage).await.unwrap();
    let only = ["--table", "old_log", "--only", "folder", "--only", "dashboard"];
    let said = import(&server, org, &url, &only);
    assert!(said.error.contains("folder folder-ops, sequence 2: sequence 2 follows 0"), "{}", said.error);

    assert_eq!(log_of(&acme).await, before);
    assert_eq!(acme.get("/api/search").await.expect(200).body, json!([]));
    verify(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_beyond_a_quota_is_refused_whole() {
    let (origin, _) = origin().await;
    let limits = [
        ("GF_QUOTA_ENABLED", "true"),
        ("GF_QUOTA_ORG_FOLDER", "1"),
        ("GF_QUOTA_ORG_DASHBOARD", "1"),
        ("GF_QUOTA_GLOBAL_DASHBOARD", "1"),
    ];
    let server = ServerProcess::start_with("import-quota", &limits).await;
    let (org, other) = (new_org(&server, "Acme").await, new_org(&server, "Other").await);
    let acme = server.admin().in_org(org);
    let before = log_of(&acme).await;
    let path = file("quota", &lines(&origin).await);
    let path = path.to_str().unwrap();
    for more in [&["--dry-run"][..], &[]] {
        let said = import(&server, org, path, more);
        let expected = format!("Quota reached: org {org} would have 2 (folder), the limit is 1");
        assert!(!said.is_ok && said.error.contains(&expected), "{}{}", said.out, said.error);
    }
    assert_eq!(log_of(&acme).await, before);
    verify(&server);

    // The quota of the org itself and the final state count: during the import there were more dashboards.
    for org in [org, other] {
        let quota = format!("/api/orgs/{org}/quotas/folder");
        server.admin().put(&quota, &json!({"limit": 2})).await.expect(200);
    }
    let said = import(&server, org, path, &[]);
    assert!(said.is_ok, "{}", said.error);
    expect_imported(&acme).await;
    for more in [&["--dry-run"][..], &[]] {
        let said = import(&server, other, path, more);
        let expected = "Quota reached: the server would have 2 (dashboard), the limit is 1";
        assert!(!said.is_ok && said.error.contains(expected), "{}{}", said.out, said.error);
    }
    // Folders alone are only subject to the quota of folders.
    let said = import(&server, other, path, &["--only", "folder"]);
    assert!(said.is_ok, "{}", said.error);
    verify(&server);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_write_to_the_same_org_meanwhile() {
    let server = ServerProcess::start("import-busy").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    let lines: Vec<_> = (0..3000)
        .map(|number| {
            let uid = format!("f{number}");
            let created = json!({"id": 1, "uid": uid, "title": uid, "description": "", "parent_uid": null});
            json!({"aggregate_type": "folder", "aggregate_id": uid, "sequence": 1,
                "event_type": "folder.created", "event_version": "1",
                "payload": {"folder.created": created}, "metadata": {}})
            .to_string()
        })
        .collect();
    let path = file("busy", &lines);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let acme = acme.clone();
            tokio::spawn(async move {
                for number in 0..40 {
                    let folder = json!({"uid": format!("w{writer}-{number}"), "title": "x"});
                    acme.post("/api/folders", &folder).await.expect(200);
                }
            })
        })
        .collect();
    let said = import(&server, org, path.to_str().unwrap(), &[]);
    assert!(said.is_ok, "{}", said.error);
    assert!(said.out.contains("folder.created: 3000 read, 3000 written"), "{}", said.out);
    for writer in writers {
        writer.await.unwrap();
    }
    let quota = acme.get(&format!("/api/orgs/{org}/quotas")).await;
    if quota.status == 200 {
        assert!(quota.text.contains("3320"), "{}", quota.text);
    }
    verify(&server);
    std::fs::remove_file(path).unwrap();
}
