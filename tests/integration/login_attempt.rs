//! Guessing passwords, and log-ins concurrent with changes of the account.

use futures_util::future::join_all;
use kymograph_domain::OrgId;
use kymograph_tests::{Client, TestServer};
use serde_json::json;

async fn log_in(client: &Client, login: &str, password: &str) -> kymograph_tests::Answer {
    client.post("/login", &json!({"user": login, "password": password})).await
}

/// The number of failed log-ins in the server's log, by reason.
async fn failures(server: &TestServer, reason: &str) -> i64 {
    server.access.flush().await;
    let sql = format!(
        "SELECT coalesce(sum((payload::json ->> 'count')::bigint), 0)::bigint FROM events
        WHERE org_id = {} AND type = 'access.login_failed' AND payload::json ->> 'reason' = '{reason}'",
        OrgId::SERVER
    );
    server.database.scalar(&sql).await
}

#[tokio::test]
async fn guesses_that_come_at_once_are_counted_before_they_are_checked() {
    let server = TestServer::start().await;
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    let email = json!({"email": "ann@corp.test"});
    server.admin().put(&format!("/api/users/{id}"), &email).await.expect(200);
    // One budget for the user, irrespective of the name used.
    let anonymous = server.anonymous();
    let guesses = (0..60).map(|guess| {
        let name = ["ann", "ANN", "ann@corp.test", " Ann@corp.test"][guess % 4];
        log_in(&anonymous, name, "guess")
    });
    for answer in join_all(guesses).await {
        answer.expect(401);
    }
    assert_eq!(failures(&server, "wrong password").await, 5);
    assert_eq!(failures(&server, "too many failed log-ins").await, 55);
    let locked = log_in(&anonymous, "ann", "secret").await.expect(401);
    assert_eq!(locked.body["messageId"], "login-attempt.blocked");
    let unknown = (0..8).map(|_| log_in(&anonymous, "nobody", "guess"));
    for answer in join_all(unknown).await {
        answer.expect(401);
    }
    assert_eq!(failures(&server, "unknown login").await, 5);
}

#[tokio::test]
async fn right_passwords_that_come_at_once_are_no_guesses() {
    let server = TestServer::start().await;
    server.new_member(1, "ann", "Viewer").await;
    let ann = server.client("ann", "secret");
    for answer in join_all((0..40).map(|_| ann.get("/api/user"))).await {
        answer.expect(200);
    }
    let kept: i64 = server.database.scalar("SELECT count(*) FROM login_attempts").await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_remembered_password_answers_no_guesses() {
    let server = TestServer::with_settings(&["server.trusted_proxies=127.0.0.1"]).await;
    server.new_member(1, "ann", "Viewer").await;
    let from = |client: Client, address: &str| client.with_header("X-Forwarded-For", address);
    let ann = from(server.client("ann", "secret"), "192.0.2.1");
    ann.get("/api/user").await.expect(200);
    for address in ["192.0.2.1", "192.0.2.2"] {
        let guesser = from(server.anonymous(), address);
        let guesses =
            (0..60).map(|guess| log_in(&guesser, "ann", if guess == 40 { "secret" } else { "guess" }));
        for answer in join_all(guesses).await {
            answer.expect(401);
        }
    }
    assert_eq!(failures(&server, "wrong password").await, 5);
    // The lock does not affect existing users on a network without guesses.
    let server = TestServer::with_settings(&["server.trusted_proxies=127.0.0.1"]).await;
    server.new_member(1, "ann", "Viewer").await;
    let ann = from(server.client("ann", "secret"), "192.0.2.1");
    ann.get("/api/user").await.expect(200);
    let guesser = from(server.anonymous(), "192.0.2.2");
    for _ in 0..6 {
        log_in(&guesser, "ann", "guess").await.expect(401);
    }
    ann.get("/api/user").await.expect(200);
}

#[tokio::test]
async fn a_script_with_the_right_password_does_not_clear_the_way_for_guesses() {
    let server = TestServer::start().await;
    server.new_member(1, "ann", "Viewer").await;
    let ann = server.client("ann", "secret");
    ann.get("/api/user").await.expect(200);
    for guess in 0..20 {
        log_in(&server.anonymous(), "ann", "guess").await.expect(401);
        if guess % 4 == 3 {
            ann.get("/api/user").await;
        }
    }
    assert_eq!(failures(&server, "wrong password").await, 5);
}

#[tokio::test]
async fn the_old_password_is_guessed_as_seldom_as_any() {
    let server = TestServer::start().await;
    let (ann, _) = server.new_member(1, "ann", "Viewer").await;
    ann.get("/api/user").await.expect(200);
    let change = |old: &str| json!({"oldPassword": old, "newPassword": "other", "confirmNew": "other"});
    let wrong = change("guess");
    for answer in join_all((0..20).map(|_| ann.put("/api/user/password", &wrong))).await {
        answer.expect_message(400, "Invalid old password");
    }
    assert_eq!(failures(&server, "wrong old password").await, 5);
    ann.put("/api/user/password", &change("secret")).await.expect(400);
    let aged = "UPDATE login_attempts SET at = at - interval '6 minutes'";
    server.database.connect().await.batch_execute(aged).await.unwrap();
    ann.put("/api/user/password", &change(&"x".repeat(1025))).await.expect(400);
    ann.put("/api/user/password", &change("secret")).await.expect(200);
    server.client("ann", "other").get("/api/user").await.expect(200);
}

#[tokio::test]
async fn a_password_that_is_too_long_is_wrong_at_once() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    log_in(&anonymous, "admin", &"x".repeat(1025)).await.expect(401);
    log_in(&anonymous, &"x".repeat(761), "admin").await.expect(401);
    assert_eq!(failures(&server, "the login or password is too long").await, 2);
    let counted: i64 = server.database.scalar("SELECT count(*) FROM login_attempts").await;
    assert_eq!(counted, 0);
    // The longest allowed password can be set and used.
    let longest = "x".repeat(1024);
    let user = json!({"login": "ann", "password": longest});
    server.admin().post("/api/admin/users", &user).await.expect(200);
    log_in(&anonymous, "ann", &longest).await.expect(200);
}

#[tokio::test]
async fn no_log_in_under_way_outlives_a_change_of_the_account() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.get("/api/user").await.expect(200);
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    let path = format!("/api/admin/users/{id}");
    let anonymous = server.anonymous();
    let live = "SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.login = 'ann'";

    let old = join_all((0..20).map(|_| log_in(&anonymous, "ann", "secret")));
    let new = json!({"password": "other"});
    let password = format!("{path}/password");
    let (_, changed) = tokio::join!(old, admin.put(&password, &new));
    changed.expect(200);
    assert_eq!(server.database.scalar::<i64>(live).await, 0);

    let old = join_all((0..20).map(|_| log_in(&anonymous, "ann", "other")));
    let nothing = json!({});
    let disable = format!("{path}/disable");
    let (_, disabled) = tokio::join!(old, admin.post(&disable, &nothing));
    disabled.expect(200);
    assert_eq!(server.database.scalar::<i64>(live).await, 0);
}

#[tokio::test]
async fn two_changes_of_a_password_at_once_have_one_winner() {
    let server = TestServer::start().await;
    let (ann, _) = server.new_member(1, "ann", "Viewer").await;
    ann.get("/api/user").await.expect(200);
    let change = |new: &str| json!({"oldPassword": "secret", "newPassword": new, "confirmNew": new});
    let changes = ["first", "second", "third"].map(change);
    let answers = join_all(changes.iter().map(|change| ann.put("/api/user/password", change))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn the_session_used_longest_ago_ends_when_there_are_too_many() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let first = log_in(&anonymous, "admin", "admin").await.expect(200);
    let cookie = first.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let session = server.anonymous().with_header("cookie", &cookie);
    session.get("/api/user").await.expect(200);
    for _ in 0..100 {
        log_in(&anonymous, "admin", "admin").await.expect(200);
    }
    session.get("/api/user").await.expect(401);
    let count: i64 = server.database.scalar("SELECT count(*) FROM sessions").await;
    assert_eq!(count, 100);
}

#[tokio::test]
async fn a_session_is_found_by_its_id_however_many_there_are() {
    let server = TestServer::start().await;
    let answer = log_in(&server.anonymous(), "admin", "admin").await.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    // As many as could be created before there was a limit, all of them used later.
    let many = "INSERT INTO sessions SELECT user_id, -n, sha256(n::text::bytea), sha256(n::text::bytea), created, rotated,
        seen + interval '1 hour', client_ip, user_agent FROM sessions, generate_series(1, 1500) AS n";
    server.database.connect().await.batch_execute(many).await.unwrap();
    let session = server.anonymous().with_header("cookie", &cookie);
    session.get("/logout").await.expect(302);
    session.get("/api/user").await.expect(401);
}

#[tokio::test]
async fn what_was_typed_as_a_login_is_kept_nowhere() {
    let server = TestServer::start().await;
    log_in(&server.anonymous(), "my-secret-password", "x").await.expect(401);
    server.access.flush().await;
    let sql = "SELECT count(*) FROM login_attempts WHERE account LIKE '%secret%'";
    assert_eq!(server.database.scalar::<i64>(sql).await, 0);
    let sql = "SELECT count(*) FROM events WHERE payload || meta LIKE '%my-secret%'";
    assert_eq!(server.database.scalar::<i64>(sql).await, 0);
}

#[tokio::test]
async fn a_flood_from_one_address_does_not_keep_others_from_logging_in() {
    let server = TestServer::start().await;
    for user in 0..12 {
        server.new_member(1, &format!("user{user}"), "Viewer").await;
    }
    let http =
        reqwest::Client::builder().local_address("127.0.0.2".parse::<std::net::IpAddr>().ok()).no_proxy();
    let http = http.build().unwrap();
    let guess = async |number: usize| {
        let form = json!({"user": format!("nobody{number}"), "password": "guess"});
        http.post(format!("{}/login", server.url())).json(&form).send().await.unwrap().status().as_u16()
    };
    let right = async |user: usize| {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        log_in(&server.anonymous(), &format!("user{user}"), "secret").await
    };
    let (flood, others) = tokio::join!(join_all((0..300).map(guess)), join_all((0..12).map(right)));
    for answer in others {
        answer.expect(200);
    }
    assert!(flood.iter().all(|status| [401, 429].contains(status)), "{flood:?}");
}
