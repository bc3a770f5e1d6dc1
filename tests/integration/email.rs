//! A change of one's own e-mail address, and the mail that confirms it, with a mail server that speaks SMTP.

use std::sync::{Arc, Mutex};

use kymograph_infra::verify::verify;
use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a mail server does with its clients.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Takes,
    Refuses,
    SaysNothing,
}

/// A mail server that keeps what it is given.
struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl MailServer {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::<Mutex<Vec<String>>>::default();
        let kept = mails.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A client that hangs up is none of the server's business.
                tokio::spawn(serve(socket, manner, kept.clone()));
            }
        });
        Self { port, mails, task }
    }

    /// The mails so far.
    fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    /// The code in the last mail.
    fn last_code(&self) -> String {
        let mail = self.mails().pop().unwrap();
        let (_, code) = mail.split_once("/user/email/update?code=").unwrap();
        code.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: TcpStream, manner: Manner, mails: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (reader, mut writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    if manner == Manner::SaysNothing {
        while lines.next_line().await?.is_some() {}
        return Ok(());
    }
    writer.write_all(b"220 mail.example.org ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => b"250 mail.example.org\r\n",
            "RCPT" if manner == Manner::Refuses => b"550 no such\tmailbox\r\n",
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail += &line;
                    mail.push('\n');
                }
                // The one encoding that a mail of plain ASCII with a long line gets.
                mails.lock().unwrap().push(mail.replace("=\n", "").replace("=3D", "="));
                b"250 kept\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        writer.write_all(answer).await?;
    }
    Ok(())
}

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

/// Opens the link with a code, and says where it leads.
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
    assert!(answer.body["message"].as_str().unwrap().contains("confirm"), "{}", answer.body);
    let user = ann.get("/api/user").await.expect(200).body;
    assert_eq!((&user["email"], &user["name"]), (&json!("ann"), &json!("Ann")));
    let text = mail.mails().pop().unwrap();
    for part in ["To: ann@example.org", "http://kymograph.example/k/user/email/update?code="] {
        assert!(text.contains(part), "{text}");
    }

    // It is nobody else's code, and none at all is none.
    let code = mail.last_code();
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

    // What happened is in the log, and the code is not.
    let path = format!("/api/admin/audit/events?targetType=user&targetUid={id}&changes=true");
    let events = server.admin().get(&path).await.expect(200).body;
    let actions: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert!(actions.contains(&json!("user.email_change_requested")), "{actions:?}");
    assert_eq!(actions[0], "user.profile_changed");
    assert!(!events.to_string().contains(&code));
    assert_eq!(verify(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_the_next_change() {
    let mail = MailServer::start(Manner::Takes).await;
    let server = server_with(&mail).await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    ask(&ann, "old@example.org").await.expect(200);
    let old = mail.last_code();
    ask(&ann, "new@example.org").await.expect(200);
    let new = mail.last_code();
    assert_eq!(open(&ann, &old).await, REFUSED);
    server.clock.advance(60 * 60);
    assert_eq!(open(&ann, &new).await, REFUSED);
    assert_eq!(email_of(&ann).await, "ann");

    // A change by a server admin takes effect at once, and ends what was under way.
    ask(&ann, "mine@example.org").await.expect(200);
    let mine = mail.last_code();
    let form = json!({"email": "given@example.org"});
    server.admin().put(&format!("/api/users/{id}"), &form).await.expect(200);
    assert_eq!(email_of(&ann).await, "given@example.org");
    assert_eq!(open(&ann, &mine).await, REFUSED);
    assert_eq!(mail.mails().len(), 3);

    // What is no change sends nothing, and an address of another is refused, now or when it is confirmed.
    ask(&ann, "given@example.org").await.expect(200);
    ask(&ann, "no address").await.expect(400);
    ask(&ann, "admin@localhost").await.expect(409);
    assert_eq!(mail.mails().len(), 3);
    ask(&ann, "wanted@example.org").await.expect(200);
    let wanted = mail.last_code();
    let (bob, bob_id) = server.new_member(1, "bob", "Viewer").await;
    let form = json!({"email": "wanted@example.org"});
    server.admin().put(&format!("/api/users/{bob_id}"), &form).await.expect(200);
    assert_eq!(open(&ann, &wanted).await, "/k/portal/profile?email=taken");
    assert_eq!(
        (email_of(&ann).await, email_of(&bob).await),
        (json!("given@example.org"), json!("wanted@example.org"))
    );
    assert_eq!(verify(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_said_and_recorded() {
    for (manner, reason) in [(Manner::Refuses, "no such mailbox"), (Manner::SaysNothing, "time")] {
        let mail = MailServer::start(manner).await;
        let server = server_with(&mail).await;
        let (ann, id) = server.new_member(1, "ann", "Viewer").await;
        let begun = std::time::Instant::now();
        let answer = ask(&ann, "ann@example.org").await.expect(200);
        assert!(begun.elapsed().as_secs() < 10);
        assert!(answer.body["message"].as_str().unwrap().contains("could not be sent"), "{}", answer.body);
        assert_eq!(email_of(&ann).await, "ann");
        let path =
            format!("/api/admin/audit/events?action=user.email_not_sent&targetType=user&targetUid={id}");
        let entries = server.admin().get(&path).await.expect(200).body;
        assert_eq!(entries["events"][0]["actor"]["login"], "ann", "{entries}");
        let sql = "SELECT payload FROM events WHERE type = 'user.email_not_sent'";
        let payload: String = server.database.scalar(sql).await;
        assert!(payload.contains(reason) && !payload.contains("code="), "{payload}");
    }
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
    }
    let refused = ask(&eve, "vic3@corp.test").await.expect(429);
    assert_eq!(refused.body["messageId"], "overload.mails");
    assert_eq!(mail.mails().len(), 3);
    assert!(mail.mails().iter().all(|mail| !mail.contains("evil")), "{:?}", mail.mails());
    // A profile with the same address costs no mail.
    eve.put("/api/user", &json!({"name": "Eve", "email": "buy-now-at-evil.test"})).await.expect(200);

    // An address gets no more from several users.
    for number in 0..4 {
        let login = format!("user{number}");
        server.new_member(1, &login, "Viewer").await;
        let status = if number < 3 { 200 } else { 429 };
        ask(&server.client(&login, "secret"), ["ann@corp.test", " Ann@corp.test"][number % 2])
            .await
            .expect(status);
    }
    assert_eq!(mail.mails().len(), 6);
    let aged = "UPDATE sent_mails SET at = at - interval '61 minutes'";
    server.database.connect().await.batch_execute(aged).await.unwrap();
    server.housekeeping.tidy().await.unwrap();
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM sent_mails").await, 0);
    ask(&eve, "vic3@corp.test").await.expect(200);
}
