//! The portal in a real browser, driven by its own tests.

use std::path::Path;
use std::process::Command;

use kymograph_tests::TestServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portal_works_in_a_browser() {
    let server = TestServer::start().await;
    let page = server.anonymous().get("/portal").await;
    assert_eq!(page.status, 200, "the portal is not built: run `scripts/portal build` and compile again");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/portal");
    let mut command = Command::new(program);
    command.arg("e2e").arg(server.url());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
