//! Requests of clients and browsers besides the core API, through HTTP.

use kymograph_tests::TestServer;
use serde_json::json;

#[tokio::test]
async fn boot_data_and_settings_say_the_same() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let settings = anonymous.get("/api/frontend/settings").await.expect(200).body;
    let boot = anonymous.get("/bootdata").await.expect(200).body;
    assert_eq!(boot["settings"], settings);
    assert_eq!((&settings["namespace"], &boot["navTree"]), (&json!("default"), &json!([])));
    assert!(anonymous.get("/robots.txt").await.expect(200).text.contains("Disallow: /"));
}

#[tokio::test]
async fn users_have_pictures() {
    let server = TestServer::start().await;
    let user = server.admin().get("/api/user").await.expect(200).body;
    let picture = server.anonymous().get(user["avatarUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(picture.headers["content-type"], "image/png");
}

#[tokio::test]
async fn a_browser_is_sent_on_to_its_page_only() {
    let server = TestServer::with_settings(&["auth.token_rotation_interval_minutes=2"]).await;
    let login =
        server.anonymous().post("/login", &json!({"user": "admin", "password": "admin"})).await.expect(200);
    let cookie = login.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let browser = server.anonymous().with_header("Cookie", &cookie);
    let path = "/user/auth-tokens/rotate?redirectTo=";
    for (wanted, target) in [
        ("%2Fd%2Fcpu%2Fcpu%3FfullScreen", "/d/cpu/cpu?fullScreen"),
        ("https:%2F%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2Fa%0D%0AX:%20y", "/"),
        ("", "/"),
    ] {
        let answer = browser.get(&format!("{path}{wanted}")).await.expect(302);
        assert_eq!(answer.headers["location"], target, "{wanted}");
    }
    let answer = server.anonymous().get(&format!("{path}%2Fd%2Fcpu")).await.expect(302);
    assert_eq!(answer.headers["location"], "/login");
}
