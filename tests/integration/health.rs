//! Health: reports of a read-only database, and of the default password.

use std::time::Duration;

use kymograph_tests::ServerProcess;
use serde_json::json;

async fn set_read_only(server: &ServerProcess, is_read_only: bool) {
    let database = server.database().await;
    let state = if is_read_only { "on" } else { "off" };
    let setting = format!("ALTER SYSTEM SET default_transaction_read_only = {state}");
    database.batch_execute(&setting).await.unwrap();
    database.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

async fn wait_for_readiness(server: &ServerProcess, status: u16) -> String {
    for _ in 0..300 {
        let answer = server.anonymous().get("/readyz").await;
        if answer.status == status {
            return answer.text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/readyz did not become {status}");
}

#[tokio::test]
async fn who_cannot_write_is_not_ready_and_says_so_in_few_lines() {
    let server = ServerProcess::start("read-only").await;
    let admin = server.admin();
    admin.get("/api/folders").await.expect(200);
    let form = json!({"user": "admin", "password": "admin"});
    let cookies = server.anonymous().post("/login", &form).await.expect(200).headers;
    let cookies = cookies.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ");
    let session = server.anonymous().with_header("cookie", &session);
    // So that each request with the session would rotate its token.
    let age = "UPDATE sessions SET rotated = rotated - interval '1 hour'";
    assert_eq!(server.database().await.execute(age, &[]).await.unwrap(), 1);
    set_read_only(&server, true).await;
    let text = wait_for_readiness(&server, 503).await;
    assert_eq!(text, r#"{"message":"The database accepts no writes"}"#);
    server.anonymous().get("/livez").await.expect(200);
    admin.get("/api/folders").await.expect(200);
    for number in 0..100 {
        admin.post("/api/folders", &json!({"title": format!("{number}")})).await.expect(503);
        session.get("/api/folders").await.expect(200);
    }
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("could not rotate the token of a session")).count();
    assert!((1..20).contains(&lines), "{lines} lines:\n{log}");
    let lines = log.lines().filter(|line| line.contains("a dependency is unavailable")).count();
    assert!((1..20).contains(&lines), "{lines} lines:\n{log}");
    assert_eq!(log.matches("the database accepts no writes").count(), 1, "{log}");
    set_read_only(&server, false).await;
    assert_eq!(wait_for_readiness(&server, 200).await, "Ok");
    admin.post("/api/folders", &json!({"title": "Ops"})).await.expect(200);
}

#[tokio::test]
async fn the_default_password_is_warned_of_where_others_can_use_it() {
    const WARNING: &str = "the admin still has the default password";
    let mut server =
        ServerProcess::start_with("default-password", &[("GF_SERVER_HTTP_ADDR", "0.0.0.0")]).await;
    for _ in 0..100 {
        if server.log().contains(WARNING) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.log().matches(WARNING).count(), 1, "{}", server.log());
    let password = json!({"oldPassword": "admin", "newPassword": "correct horse"});
    server.admin().put("/api/user/password", &password).await.expect(200);
    assert!(server.stop().await);
    server.restart().await;
    server.anonymous().with_basic("admin", "correct horse").get("/api/org").await.expect(200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.log().matches(WARNING).count(), 1, "{}", server.log());

    let local = ServerProcess::start("default-password-local").await;
    local.admin().get("/api/org").await.expect(200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!local.log().contains(WARNING), "{}", local.log());
}
