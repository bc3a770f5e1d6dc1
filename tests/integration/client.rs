//! Clients that people use, unmodified, against a running server.

use std::path::Path;
use std::process::Command;

use kymograph_tests::TestServer;

/// Runs test files of grafana-client, whose tests make and delete what they like on the server.
async fn run_grafana_client(server: &TestServer, files: &[&str]) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/run");
    let mut command = Command::new(program);
    command.arg(server.url()).args(files);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_clients_own_tests_pass() {
    let server = TestServer::start().await;
    let files = [
        "test_admin.py",
        "test_dashboard.py",
        "test_dashboard_versions.py",
        "test_folder.py",
        "test_health.py",
        "test_organization.py",
        "test_search.py",
        "test_service_account.py",
        "test_team.py",
        "test_user.py",
    ];
    run_grafana_client(&server, &files).await;
}
