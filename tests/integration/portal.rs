//! The portal in a real browser, driven by its own tests.

use kymograph_tests::TestServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portal_works_in_a_browser() {
    let server = TestServer::start().await;
    let page = server.anonymous().get("/portal").await;
    assert_eq!(page.status, 200, "the portal is not built: run `scripts/portal build` and compile again");
    crate::client::run("../scripts/portal", &["e2e", &server.url()]).await;
}
