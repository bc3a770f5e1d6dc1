//! Real-world clients, unmodified, against a running server.

use std::path::Path;
use std::process::Command;

use kymograph_tests::{Client, PrometheusServer, TestServer};
use serde_json::{Value, json};

/// Runs a program of the repository, given by its path relative to `tests`, which must succeed. Returns its output.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
    let mut command = Command::new(program);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

/// The number of tests with an outcome, according to the last line: `157 passed, 16 skipped in 75.94s`.
fn count(text: &str, outcome: &str) -> Option<usize> {
    let (summary, _) = text.lines().rev().find_map(|line| line.split_once(" in "))?;
    summary.split(", ").find_map(|part| part.strip_suffix(outcome)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_clients_own_tests_pass() {
    let files = [
        "test_admin.py",
        "test_annotations.py",
        "test_async.py",
        "test_dashboard.py",
        "test_dashboard_versions.py",
        "test_datasource_base.py",
        "test_folder.py",
        "test_health.py",
        "test_organization.py",
        "test_search.py",
        "test_service_account.py",
        "test_team.py",
        "test_user.py",
    ];
    let prometheus = PrometheusServer::start("client", &[]).await;
    for (version, expected) in [("12.4.3", [196, 21]), ("13.0.1", [193, 24])] {
        let server = TestServer::with_settings(&[&format!("compatibility.grafana_version={version}")]).await;
        let (url, prometheus) = (server.url(), prometheus.url());
        let text = run("clients/grafana-client", &[&[&*url, &prometheus], &files[..]].concat()).await;
        // A test skips itself if it is for another version, or for a client alone. Their numbers show whether all
        // others ran.
        let counted = ["passed", "skipped"].map(|outcome| count(&text, outcome));
        assert_eq!(counted, expected.map(Some), "{version}: {text}");
    }
}

async fn token(admin: &Client) -> String {
    let account = json!({"name": "backup", "role": "Admin"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body;
    let path = format!("/api/serviceaccounts/{}/tokens", account["id"]);
    let token = admin.post(&path, &json!({"name": "backup"})).await.expect(200).body;
    token["key"].as_str().unwrap().to_owned()
}

/// All folders with their parents, and all dashboards with their folders.
async fn contents(admin: &Client) -> Vec<Value> {
    let hits = admin.get("/api/search?sort=alpha-asc").await.expect(200).body;
    let mut contents = Vec::new();
    for hit in hits.as_array().unwrap() {
        let uid = hit["uid"].as_str().unwrap();
        if hit["type"] == "dash-folder" {
            let folder = admin.get(&format!("/api/folders/{uid}")).await.expect(200).body;
            contents.push(json!([uid, folder["title"], folder["parentUid"]]));
        } else {
            let mut saved = admin.get(&format!("/api/dashboards/uid/{uid}")).await.expect(200).body;
            for counted in ["id", "version"] {
                saved["dashboard"][counted] = Value::Null;
            }
            contents.push(json!([uid, saved["dashboard"], saved["meta"]["folderUid"]]));
        }
    }
    contents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_backup_saves_an_org_and_restores_it() {
    let (from, to) = (TestServer::start().await, TestServer::start().await);
    let admin = from.admin();
    for (uid, parent) in [("ops", ""), ("linux", "ops"), ("kernel", "linux"), ("team", "")] {
        let folder = json!({"title": format!("The {uid} folder"), "uid": uid, "parentUid": parent});
        admin.post("/api/folders", &folder).await.expect(200);
    }
    for (uid, folder) in
        [("cpu", "kernel"), ("ram", "linux"), ("disk", "ops"), ("sales", "team"), ("all", "")]
    {
        let panels = json!([{"id": 1, "type": "graph", "title": "Σ of all", "targets": [{"expr": "a < b"}]}]);
        let dashboard =
            json!({"title": format!("The {uid} dashboard"), "uid": uid, "panels": panels, "tags": ["x"]});
        let save = json!({"dashboard": dashboard, "folderUid": folder});
        admin.post("/api/dashboards/db", &save).await.expect(200);
    }
    let (from_token, to_token) = (token(&admin).await, token(&to.admin()).await);
    run("clients/grafana-backup", &[&from.url(), &from_token, &to.url(), &to_token]).await;
    let saved = contents(&admin).await;
    assert_eq!(saved.len(), 9);
    assert_eq!(contents(&to.admin()).await, saved);
}
