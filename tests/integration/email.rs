//! Changing one's own e-mail address, and the mail that confirms it, with an SMTP server.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, MailServer, Manner, TestServer};
use serde_json::{Value, json};

async fn server_with(mail: &MailServer) -> TestServer {
    let host = format!("smtp.host=127.0.0.1:{}", mail.port);
    let settings = ["users.verify_email_enabled=true", "smtp.enabled=true", &host];
    TestServer::with_settings(&[&settings[..], &["server.root_url=http://kymograph.example/k/"]].concat())
        .await
}

async fn email_of(client: &Client) -> Value {
    client.get("/api/user").await.expect(200).body["email"].clone()
}

async fn ask(client: &Client, email: &str) -> Answer {
    client.put("/api/user", &json!({"email": email, "name": "Ann"})).await
}

/// Opens the link with a code, and returns the target of its redirect.
async fn open(client: &Client, code: &str) -> String {
    let request = client.request(reqwest::Method::GET, &format!("/api/user/email/update?code={code}"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.headers()["location"].to_str().unwrap().to_owned()
}

const CHANGED: &str = "/k/portal/profile?email=changed";
const REFUSED: &str = "/k/portal/profile?email=invalid";

#[tokio::test]
async fn an_address_counts_once_the_link_in_the_mail_was_opened() {
    let mail = MailServer::start(Manner::Takes).await;
    let server = server_with(&mail).await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let answer = ask(&ann, "ann@example.org").await.expect(200);
    assert!(answer.body["message"].as_str().unwrap().contains("verify"), "{}", answer.body);
    let user = ann.get("/api/user").await.expect(200).body;
    assert_eq!((&user["email"], &user["name"]), (&json!("ann"), &json!("Ann")));
    let text = mail.wait_for(1).await.pop().unwrap();
    for part in ["To: ann@example.org", "http://kymograph.example/k/user/email/update?code="] {
        assert!(text.contains(part), "{text}");
    }

    // It is not valid for other users, nor is an invalid or empty code.
    let code = mail.next_code().await;
    let (bob, _) = server.new_member(1, "bob", "Viewer").await;
    for (client, code) in [(&bob, code.as_str()), (&ann, ""), (&ann, "0123"), (&ann, &code[1..])] {
        assert_eq!(open(client, code).await, REFUSED);
    }
    let request = server.anonymous().request(reqwest::Method::GET, "/api/user/email/update");
    assert_eq!(request.send().await.unwrap().status(), 401);
    assert_eq!(email_of(&ann).await, "ann");

    assert_eq!(open(&ann, &code).await, CHANGED);
    assert_eq!(email_of(&ann).await, "ann@example.org");
    assert_eq!(open(&ann, &code).await, REFUSED);

    // The log contains what happened, but not the code.
    let path = format!("/api/admin/audit/events?targetType=user&targetUid={id}&changes=true");
    let events = server.admin().get(&path).await.expect(200).body;
    let actions: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert!(actions.contains(&json!("user.email_change_requested")), "{actions:?}");
    assert_eq!(actions[0], "user.profile_changed");
    assert!(!events.to_string().contains(&code));
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_the_next_change() {
    let mail = MailServer::start(Manner::Takes).await;
    let server = server_with(&mail).await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    ask(&ann, "old@example.org").await.expect(200);
    let old = mail.next_code().await;
    ask(&ann, "new@example.org").await.expect(200);
    let new = mail.next_code().await;
    assert_eq!(open(&ann, &old).await, REFUSED);
    server.clock.advance(60 * 60);
    assert_eq!(open(&ann, &new).await, REFUSED);
    assert_eq!(email_of(&ann).await, "ann");

    // A change by a server admin takes effect at once, and cancels the pending one.
    ask(&ann, "mine@example.org").await.expect(200);
    let mine = mail.next_code().await;
    let form = json!({"email": "given@example.org"});
    server.admin().put(&format!("/api/users/{id}"), &form).await.expect(200);
    assert_eq!(email_of(&ann).await, "given@example.org");
    assert_eq!(open(&ann, &mine).await, REFUSED);
    assert_eq!(mail.mails().len(), 3);

    // An unchanged address sends no mail, and the address of another user is refused, now or at the confirmation.
    ask(&ann, "given@example.org").await.expect(200);
    ask(&ann, "no address").await.expect(400);
    ask(&ann, "admin@localhost").await.expect(409);
    assert_eq!(mail.mails().len(), 3);
    ask(&ann, "wanted@example.org").await.expect(200);
    let wanted = mail.next_code().await;
    let (bob, bob_id) = server.new_member(1, "bob", "Viewer").await;
    let form = json!({"email": "wanted@example.org"});
    server.admin().put(&format!("/api/users/{bob_id}"), &form).await.expect(200);
    assert_eq!(open(&ann, &wanted).await, "/k/portal/profile?email=taken");
    assert_eq!(
        (email_of(&ann).await, email_of(&bob).await),
        (json!("given@example.org"), json!("wanted@example.org"))
    );
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

/// Waits until a query returns this number.
async fn wait_for(server: &TestServer, sql: &str, expected: i64) {
    for _ in 0..600 {
        if server.database.scalar::<i64>(sql).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{sql} never was {expected}");
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_tried_again_and_then_recorded() {
    for (manner, reason) in [(Manner::Refuses, "no such mailbox"), (Manner::SaysNothing, "timed out")] {
        let mail = MailServer::start(manner).await;
        let server = server_with(&mail).await;
        let (ann, id) = server.new_member(1, "ann", "Viewer").await;
        let begun = std::time::Instant::now();
        ask(&ann, "ann@example.org").await.expect(200);
        assert!(begun.elapsed().as_secs() < 3, "the request waited for the mail");
        if manner == Manner::SaysNothing {
            // The server may recover. The last attempt is an hour later.
            let waiting = "SELECT count(*) FROM jobs WHERE kind = 'confirmation-mail' AND state = 'waiting'
                AND attempts = 1 AND last_error LIKE '%timed out%' AND due_at > now()";
            wait_for(&server, waiting, 1).await;
            let last = "UPDATE jobs SET attempts = 11, due_at = now() WHERE kind = 'confirmation-mail'";
            server.database.connect().await.batch_execute(last).await.unwrap();
        }
        let dead = "SELECT count(*) FROM jobs WHERE kind = 'confirmation-mail' AND state = 'dead'";
        wait_for(&server, dead, 1).await;
        assert_eq!(email_of(&ann).await, "ann");
        let path =
            format!("/api/admin/audit/events?action=user.email_not_sent&targetType=user&targetUid={id}");
        let entries = server.admin().get(&path).await.expect(200).body;
        assert_eq!(entries["events"][0]["actor"]["login"], "server", "{entries}");
        let sql = "SELECT payload FROM events WHERE type = 'user.email_not_sent'";
        let payload: String = server.database.scalar(sql).await;
        assert!(payload.contains(reason) && !payload.contains("code="), "{payload}");
        // The job of the mail contains neither the address nor the code.
        let kept: String =
            server.database.scalar("SELECT payload FROM jobs WHERE kind = 'confirmation-mail'").await;
        assert!(!kept.contains('@') && kept.len() < 60, "{kept}");
    }
}

#[tokio::test]
async fn a_mail_of_a_change_that_is_over_is_not_sent() {
    let mail = MailServer::start(Manner::SaysNothing).await;
    let server = server_with(&mail).await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    ask(&ann, "old@example.org").await.expect(200);
    ask(&ann, "late@example.org").await.expect(200);
    let waiting = "SELECT count(*) FROM jobs WHERE kind = 'confirmation-mail' AND state = 'waiting'";
    wait_for(&server, waiting, 2).await;
    mail.change_manner(Manner::Takes);
    server.clock.advance(60 * 60);
    let due = "UPDATE jobs SET due_at = now() WHERE kind = 'confirmation-mail'";
    server.database.connect().await.batch_execute(due).await.unwrap();
    // The older change is completed and deleted, the other one has expired.
    wait_for(&server, waiting, 0).await;
    let jobs = server.admin().get("/api/admin/jobs?state=dead").await.expect(200).body;
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    assert!(jobs[0]["lastError"].as_str().unwrap().contains("before its link"), "{jobs}");
    let events =
        format!("SELECT count(*) FROM events WHERE type = 'user.email_not_sent' AND stream_id = 'user-{id}'");
    assert_eq!(server.database.scalar::<i64>(&events).await, 1);
    assert_eq!(mail.mails().len(), 0);
}

#[tokio::test]
async fn without_the_setting_nothing_is_confirmed() {
    let mail = MailServer::start(Manner::Takes).await;
    let host = format!("smtp.host=127.0.0.1:{}", mail.port);
    for settings in [&["users.verify_email_enabled=true", &*host][..], &["smtp.enabled=true", &*host]] {
        let server = TestServer::with_settings(settings).await;
        let (ann, _) = server.new_member(1, "ann", "Viewer").await;
        ask(&ann, "ann@example.org").await.expect(200);
        assert_eq!(email_of(&ann).await, "ann@example.org");
        assert_eq!(open(&ann, "0123").await, "/portal/profile?email=invalid");
    }
    assert_eq!(mail.mails().len(), 0);
}

#[tokio::test]
async fn the_link_of_a_mail_leads_to_the_operation_or_to_the_log_in() {
    let mail = MailServer::start(Manner::Takes).await;
    let server = server_with(&mail).await;
    let location = async |client: &Client, path: &str| {
        let response = client.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 302);
        response.headers()["location"].to_str().unwrap().to_owned()
    };
    let anonymous = server.anonymous();
    let path = "/user/email/update?code=0123";
    assert_eq!(location(&anonymous, path).await, "/k/portal/profile?email=log-in");
    let cookie = anonymous.request(reqwest::Method::GET, path).header("cookie", "grafana_session=x");
    let response = cookie.send().await.unwrap();
    assert_eq!(response.headers()["location"], "/k/api/user/email/update?code=0123");
}

#[tokio::test]
async fn nobody_makes_the_server_send_many_mails_or_words_of_their_own() {
    let mail = MailServer::start(Manner::Takes).await;
    let server = server_with(&mail).await;
    let user = json!({"login": "buy-now-at-evil.test", "password": "secret"});
    server.admin().post("/api/admin/users", &user).await.expect(200);
    let eve = server.client("buy-now-at-evil.test", "secret");
    for number in 0..3 {
        ask(&eve, &format!("vic{number}@corp.test")).await.expect(200);
        mail.wait_for(number + 1).await;
    }
    let refused = ask(&eve, "vic3@corp.test").await.expect(429);
    assert_eq!(refused.body["messageId"], "overload.mails");
    assert_eq!(mail.mails().len(), 3);
    assert!(mail.mails().iter().all(|mail| !mail.contains("evil")), "{:?}", mail.mails());
    // A profile with an unchanged address sends no mail.
    eve.put("/api/user", &json!({"name": "Eve", "email": "buy-now-at-evil.test"})).await.expect(200);

    // An address does not get more mails from several users.
    for number in 0..4 {
        let login = format!("user{number}");
        server.new_member(1, &login, "Viewer").await;
        let status = if number < 3 { 200 } else { 429 };
        ask(&server.client(&login, "secret"), ["ann@corp.test", " Ann@corp.test"][number % 2])
            .await
            .expect(status);
    }
    mail.wait_for(6).await;
    let aged = "UPDATE sent_mails SET at = at - interval '61 minutes'";
    server.database.connect().await.batch_execute(aged).await.unwrap();
    server.tidy().await;
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM sent_mails").await, 0);
    ask(&eve, "vic3@corp.test").await.expect(200);
}
