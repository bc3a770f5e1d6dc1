//! Secrets under their master key: another server, another key, and rotation while the server is running and is killed.

use std::process::Stdio;

use kymograph_tests::{ServerProcess, TestServer};
use reqwest::Method;
use serde_json::json;

/// The ids of the master keys that encrypt the keys of orgs.
const MASTER_KEYS: &str =
    "SELECT coalesce(string_agg(DISTINCT master_key, ' '), ''), count(*) FROM secret_keys";

async fn master_keys(server: &ServerProcess) -> (String, i64) {
    let row = server.database().await.query_one(MASTER_KEYS, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_goes_on_while_the_server_serves_and_after_it_was_killed() {
    let mut server = ServerProcess::start("secret").await;
    let admin = server.admin();
    for number in 0..20 {
        let org = admin.post("/api/orgs", &json!({"name": format!("Org {number}")})).await.expect(200);
        let admin = admin.clone().in_org(org.body["orgId"].as_i64().unwrap());
        let source = json!({"name": "P", "type": "prometheus", "secureJsonData": {"token": "hunter2"}});
        admin.post("/api/datasources", &source).await.expect(200);
    }
    let file = server.data().join("secret.key");
    let (first, orgs) = master_keys(&server).await;
    assert_eq!((first.len(), orgs), (16, 21));
    let rotate = || {
        let mut command = server.command(&["secrets", "rotate"]);
        command.stdout(Stdio::null());
        command
    };
    assert!(rotate().status().unwrap().success());
    let (second, _) = master_keys(&server).await;
    assert_ne!(first, second);
    // The server has cached the previous key, and still reads and writes.
    let late =
        admin.post("/api/orgs", &json!({"name": "Late"})).await.expect(200).body["orgId"].as_i64().unwrap();
    let source = json!({"name": "P", "type": "prometheus", "secureJsonData": {"token": "hunter2"}});
    admin.clone().in_org(late).post("/api/datasources", &source).await.expect(200);
    let lines = || std::fs::read_to_string(&file).unwrap().lines().count();
    assert_eq!(lines(), 2);

    let mut killed = rotate().spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(rotate().status().unwrap().success());
    assert_eq!(master_keys(&server).await.0.split(' ').count(), 1);
    server.kill_server();
    server.restart().await;
    admin.get("/api/user").await.expect(200);
    admin
        .clone()
        .in_org(late)
        .post(
            "/api/datasources",
            &json!({"name": "Q", "type": "loki",
        "secureJsonData": {"token": "x"}}),
        )
        .await
        .expect(200);
    assert!(server.command(&["verify"]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_master_key_does_not_start() {
    let mut server = ServerProcess::start("another-secret").await;
    assert!(server.stop().await);
    let run = |key: &str| {
        let mut command = server.command(&["serve"]);
        let output = command.env("GF_SECURITY_SECRET_KEY", key).stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let file = server.data().join("secret.key");
    let kept = file.with_extension("kept");
    std::fs::rename(&file, &kept).unwrap();
    for (key, expected) in [
        ("quite-another-secret-key", "previous_secret_keys, or put back the key file"),
        ("short", "16 or more"),
        ("SW2YcwTIb9zpOOhoPsMm", "Grafana's default"),
    ] {
        let text = run(key);
        assert!(text.contains(expected), "{text}");
    }
    // Nor does a server without its key file: it creates no other key.
    let output = server.command(&["serve"]).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success() && !file.exists());
    // With the file, a rotation replaces the key by one derived from the text.
    std::fs::rename(&kept, &file).unwrap();
    let with_text = |arguments: &[&str]| {
        let mut command = server.command(arguments);
        command.env("GF_SECURITY_SECRET_KEY", "quite-another-secret-key");
        command
    };
    assert!(with_text(&["secrets", "rotate"]).status().unwrap().success());
    std::fs::remove_file(&file).unwrap();
    assert!(with_text(&["verify"]).status().unwrap().success());
    let output = server.command(&["serve"]).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success() && !file.exists());
}

#[tokio::test]
async fn a_secret_opens_only_where_it_was_sealed() {
    let server = TestServer::start().await;
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    server.client("ann", "secret").get("/api/user").await.expect(200);
    // The hash of the admin's password replaces that of Ann's.
    let client = server.database.connect().await;
    let swap = format!(
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE key = 'user/1/password')
            WHERE key = 'user/{ann}/password'"
    );
    assert_eq!(client.execute(&swap, &[]).await.unwrap(), 1);
    let server = TestServer::on_database(server.database.clone(), &[]).await;
    let ann = server.client("ann", "admin");
    let refused = ann.request(Method::GET, "/api/user").send().await.unwrap();
    assert_eq!(refused.status(), 500);
}
