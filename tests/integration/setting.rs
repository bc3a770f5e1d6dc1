//! The settings of the server through HTTP.

use kymograph_tests::TestServer;
use serde_json::json;

const PATH: &str = "/api/admin/settings";

#[tokio::test]
async fn shows_what_is_in_force_and_no_secret() {
    let settings = ["server.domain=example.org", "security.admin_password=hunter2"];
    let server = TestServer::with_settings(&settings).await;
    let answer = server.admin().get(PATH).await.expect(200);
    assert_eq!(answer.body["server"]["root_url"], json!("http://example.org:3000/"));
    assert_eq!(answer.body["security"]["admin_user"], json!("admin"));
    assert_eq!(answer.body["security"]["admin_password"], json!("*********"));
    assert_eq!(answer.body["users"]["auto_assign_org_role"], json!("Viewer"));
    assert_eq!(answer.body["auth.basic"]["enabled"], json!("true"));
    assert_eq!(answer.body["DEFAULT"]["app_mode"], json!("production"));
    for section in ["auth", "database", "log", "paths", "plugins"] {
        assert!(answer.body[section].is_object(), "{section} is missing: {}", answer.text);
    }
    assert!(!answer.text.contains("hunter2"), "{}", answer.text);
}

#[tokio::test]
async fn belongs_to_who_administers_the_server() {
    let server = TestServer::start().await;
    let (org_admin, _) = server.new_member(1, "ann", "Admin").await;
    org_admin.get(PATH).await.expect(403);
    server.anonymous().get(PATH).await.expect(401);
}
