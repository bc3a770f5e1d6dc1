//! `kymograph import`: files as programs write them, and existing folders of the org.

use std::path::Path;

use futures_util::TryStreamExt;
use kymograph_tests::{Client, ServerProcess, TestServer};
use serde_json::{Value, json};

use crate::import::{Said, file, file_of, import, lines, new_org, origin, verify};

/// Texts that JSON and `COPY` escape differently.
const TEXTS: [&str; 5] =
    [r"C:\new\table", "say \"hi\"", "a line\nand another\r\n\tindented", r#"\"\\n"#, "Grün \u{1}\u{2028}"];

/// The log as `COPY … TO STDOUT` writes it.
async fn copied(origin: &TestServer, condition: &str) -> String {
    let client = origin.database.connect().await;
    let sql = format!(
        "COPY (SELECT row_to_json(old_log) FROM old_log WHERE aggregate_type IN ('folder', 'dashboard')
            AND {condition} ORDER BY ctid) TO STDOUT"
    );
    let parts: Vec<_> = client.copy_out(&sql).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(parts.concat()).unwrap()
}

/// A server with dashboards of difficult texts, and its log.
async fn difficult_origin() -> TestServer {
    let (server, _) = origin().await;
    for (number, text) in TEXTS.iter().enumerate() {
        let dashboard = json!({"uid": format!("text-{number}"), "title": format!("Text {number} {}", text.trim()),
            "panels": [{"id": 1, "description": text}]});
        let save = json!({"dashboard": dashboard, "message": text});
        server.admin().post("/api/dashboards/db", &save).await.expect(200);
    }
    let append = "SET app.org_id = 1; INSERT INTO old_log
        SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload, '{}'::json
        FROM postgres_es_events WHERE aggregate_id LIKE 'dashboard-text-%'";
    server.database.connect().await.batch_execute(append).await.unwrap();
    server
}

async fn documents(client: &Client) -> Vec<Value> {
    let mut documents = Vec::new();
    for number in 0..TEXTS.len() {
        let body = client.get(&format!("/api/dashboards/uid/text-{number}")).await.expect(200).body;
        let mut document = body["dashboard"].clone();
        document["id"] = Value::Null;
        let versions = client.get(&format!("/api/dashboards/uid/text-{number}/versions")).await.expect(200);
        documents.push(json!([document, versions.body["versions"][0]["message"]]));
    }
    documents
}

fn import_file(server: &ServerProcess, org: i64, path: &Path, more: &[&str]) -> Said {
    let said = import(server, org, path.to_str().unwrap(), more);
    std::fs::remove_file(path).unwrap();
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_mean_the_same_whoever_wrote_the_file() {
    let origin = difficult_origin().await;
    let expected = documents(&origin.admin()).await;
    assert_eq!(expected[2][0]["panels"][0]["description"], TEXTS[2]);
    let server = ServerProcess::start("import-form").await;
    let (json, copy) = (lines(&origin).await, copied(&origin, "true").await);
    assert_ne!(json.join("\n"), copy.trim_end());
    let forms = [
        ("json", json.join("\n") + "\n"),
        ("mark", format!("\u{feff}{}", json.join("\r\n"))),
        ("copy", copy.clone()),
        ("copy-mark", format!("\u{feff}{}", copy.replace('\n', "\r\n"))),
    ];
    for (name, text) in forms {
        let org = new_org(&server, name).await;
        let said = import_file(&server, org, &file_of(name, &text), &[]);
        assert!(said.is_ok, "{name}: {}", said.error);
        assert_eq!(documents(&server.admin().in_org(org)).await, expected, "{name}");
    }
    verify(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_read_in_two_ways_is_refused() {
    let origin = difficult_origin().await;
    let server = ServerProcess::start("import-unclear").await;
    let org = new_org(&server, "Acme").await;
    // In this line only the line breaks are escaped.
    let copy = copied(&origin, "aggregate_id = 'dashboard-text-2'").await;
    let copy = copy.replace("Text 2", "T\\\\nT");
    let said = import_file(&server, org, &file_of("unclear", &copy), &[]);
    assert!(!said.is_ok && said.error.contains("line 1: its backslashes"), "{}{}", said.out, said.error);
    assert!(said.error.contains("psql -qAtX -c 'SELECT row_to_json"), "{}", said.error);
    let said = import_file(&server, org, &file_of("clear", &copy), &["--lines", "copy"]);
    assert!(said.is_ok, "{}", said.error);
    let body = server.admin().in_org(org).get("/api/dashboards/uid/text-2").await.expect(200).body;
    assert_eq!(body["dashboard"]["panels"][0]["description"], TEXTS[2]);
    let title = body["dashboard"]["title"].as_str().unwrap();
    assert!(title.starts_with("T\nT"), "{title:?}");

    // A file must have one format throughout.
    let json: Vec<_> = lines(&origin).await.into_iter().filter(|line| !line.contains("text-1")).collect();
    let mixed = json.join("\n") + "\n" + &copied(&origin, "aggregate_id ~ 'text-1'").await;
    let said = import_file(&server, org, &file_of("mixed", &mixed), &[]);
    assert!(!said.is_ok && said.error.contains("not an event"), "{}", said.error);
    let path = std::env::temp_dir().join(format!("kymograph-import-utf16-{}", std::process::id()));
    std::fs::write(&path, b"\xff\xfe{\0}\0").unwrap();
    let said = import_file(&server, org, &path, &[]);
    assert!(!said.is_ok && said.error.contains("line 1: the file is written in UTF-16"), "{}", said.error);
    verify(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_imported_can_be_in_folders_of_the_org() {
    let (origin, _) = origin().await;
    let server = ServerProcess::start("import-into").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    let lines = lines(&origin).await;
    let net = lines.iter().find(|line| line.contains("dashboard-net")).unwrap();
    let inner = lines.iter().find(|line| line.contains("folder-ops") && line.contains("created")).unwrap();
    let inner = inner.replace("\"parent_uid\":null", "\"parent_uid\":\"e4\"");
    let net = net.replace("\"folder_uid\":null", "\"folder_uid\":\"e4\"");
    assert!(inner.contains("\"e4\"") && net.contains("\"e4\""), "{inner} {net}");
    let all = [inner.clone(), net.clone()];
    let said = import_file(&server, org, &file("nowhere-yet", &all), &[]);
    assert!(
        said.error.contains("line 2: dashboard-net is in the folder e4, which does not exist"),
        "{}",
        said.error
    );

    let mut parent = Value::Null;
    for number in 1..=4 {
        let uid = format!("e{number}");
        let folder = json!({"uid": uid, "title": uid, "parentUid": parent});
        acme.post("/api/folders", &folder).await.expect(200);
        parent = json!(uid);
    }
    // The depth includes the existing folders.
    let deeper = net.replace("\"e4\"", "\"ops\"");
    let below = inner.replace("folder-ops", "folder-below").replace("\"uid\":\"ops\"", "\"uid\":\"below\"");
    let too_deep = [inner, below.replace("\"e4\"", "\"ops\""), deeper];
    let said = import_file(&server, org, &file("too-deep", &too_deep), &["--dry-run"]);
    assert!(
        said.error.contains("line 2: folder-below is in the folder e4, which is too deep"),
        "{}",
        said.error
    );
    let said = import_file(&server, org, &file("into", &all), &[]);
    assert!(said.is_ok, "{}", said.error);
    let net = acme.get("/api/dashboards/uid/net").await.expect(200).body;
    assert_eq!(net["meta"]["folderUid"], "e4");
    let ops = acme.get("/api/folders/ops").await.expect(200).body;
    assert_eq!(ops["parents"].as_array().unwrap().len(), 4, "{ops}");
    verify(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_deleted_meanwhile_refuses_what_is_in_it() {
    let (origin, _) = origin().await;
    let server = ServerProcess::start("import-gone").await;
    let org = new_org(&server, "Acme").await;
    let acme = server.admin().in_org(org);
    acme.post("/api/folders", &json!({"uid": "there", "title": "There"})).await.expect(200);
    let lines = lines(&origin).await;
    let net = lines.iter().find(|line| line.contains("dashboard-net")).unwrap();
    let path = file("gone", &[net.replace("\"folder_uid\":null", "\"folder_uid\":\"there\"")]);

    // Another writer is about to take the import's position, so the import waits after its first check.
    let (holder, other) = (server.database().await, server.database().await);
    let hold = format!(
        "BEGIN; INSERT INTO events (org_id, pos, stream_id, stream_type, version, type, schema_version, recorded_at, actor_id,
            actor_login, causation_id, correlation_id, meta, payload, checksum)
        SELECT org_id, pos + 1, 'held', 'folder', 1, 'held', 1, now(), 0, '', '', '', '', '', 0 FROM heads WHERE org_id = {org}"
    );
    holder.batch_execute(&hold).await.unwrap();
    let importing = path.to_str().unwrap().to_owned();
    let said = std::thread::scope(|scope| {
        let importing = scope.spawn(|| import(&server, org, &importing, &[]));
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            handle.block_on(async {
                let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'";
                for attempt in 0.. {
                    let waiting: i64 = other.query_one(waits, &[]).await.unwrap().get(0);
                    if waiting > 0 {
                        break;
                    }
                    assert!(attempt < 1000 && !importing.is_finished(), "the import does not wait");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                let delete = "DELETE FROM folders WHERE org_id = $1 AND uid = 'there'";
                assert_eq!(other.execute(delete, &[&org]).await.unwrap(), 1);
                holder.batch_execute("ROLLBACK").await.unwrap();
            });
        });
        importing.join().unwrap()
    });
    let expected = "dashboard-net is in the folder there, which does not exist";
    assert!(!said.is_ok && said.error.contains(expected), "{}{}", said.out, said.error);
    acme.get("/api/dashboards/uid/net").await.expect(404);
    std::fs::remove_file(path).unwrap();
}
