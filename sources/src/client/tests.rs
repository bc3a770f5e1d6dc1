//! Outgoing requests, against servers on this machine.

mod bad_answer;
mod egress;
mod tls;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use kymograph_app::source::backend::SourceUser;
use kymograph_domain::OrgRole;

use super::*;
use crate::fixture::{Reply, Seen, StandIn, collected, context, local_egress, resource, source};

const GET: Call<'_> = Call { method: Method::GET, path: "x", parameters: String::new(), headers: &[] };

async fn fetch(clients: &HttpClients, context: &SourceContext) -> Result<Answer, QueryError> {
    clients.of(&context.source)?.fetch(context, GET).await
}

/// A server that records its requests.
async fn noting() -> (StandIn, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let server = StandIn::start(move |request| {
        noted.lock().unwrap().push(request.clone());
        Reply::text(200, "ok")
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn a_source_is_told_what_its_settings_say() {
    let (server, seen) = noting().await;
    let settings = ClientSettings { sends_user: true, ..ClientSettings::default() };
    let clients = HttpClients::new(local_egress(), settings);
    let mut source = source(&format!("{}/base/?key=1", server.url()));
    source.content.basic_auth = true;
    source.content.basic_auth_user = "ann".to_owned();
    source.secrets.0.insert("basicAuthPassword".to_owned(), "secret".to_owned().into());
    source.secrets.0.insert("httpHeaderValue1".to_owned(), "tenant".to_owned().into());
    source.content.json_data.insert("httpHeaderName1".to_owned(), "X-Scope-OrgID".into());
    source.content.json_data.insert("keepCookies".to_owned(), serde_json::json!(["kept"]));
    let mut context = context(source);
    context.headers = vec![
        ("authorization".to_owned(), "Bearer of-the-user".to_owned()),
        ("cookie".to_owned(), "grafana_session=x; kept=1".to_owned()),
    ];
    let user = SourceUser {
        login: "ann".to_owned(),
        name: String::new(),
        email: String::new(),
        role: OrgRole::Viewer,
    };
    context.user = Some(user);
    assert_eq!(fetch(&clients, &context).await.unwrap().body, b"ok");
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/base/x", "key=1"));
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("authorization"), Some("Basic YW5uOnNlY3JldA=="));
    assert_eq!(header("x-scope-orgid"), Some("tenant"));
    assert_eq!(header("x-grafana-user"), Some("ann"));
    assert_eq!(header("cookie"), Some("kept=1"));
    assert!(header("user-agent").unwrap().starts_with("Kymograph/"));
    assert_eq!(header("accept-encoding"), Some("identity"));

    let mut source = SourceSettings::clone(&context.source);
    source.content.json_data.insert("oauthPassThru".to_owned(), true.into());
    source.version += 1;
    context.source = Arc::new(source);
    fetch(&clients, &context).await.unwrap();
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!(request.headers["authorization"], "Bearer of-the-user");
}

#[tokio::test]
async fn a_user_in_the_address_becomes_a_header() {
    let (server, seen) = noting().await;
    let url = server.url().replace("http://", "http://ann:p%40ss@");
    let clients = server.clients();
    fetch(&clients, &context(source(&url))).await.unwrap();
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!(request.headers["authorization"], "Basic YW5uOnBAc3M=");
    assert!(!request.headers["host"].contains("ann"));
}

#[tokio::test]
async fn clients_are_kept_until_their_source_changes() {
    let (server, _) = noting().await;
    let clients = server.clients();
    let mut source = source(&server.url());
    for _ in 0..3 {
        fetch(&clients, &context(source.clone())).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    source.version = 2;
    fetch(&clients, &context(source.clone())).await.unwrap();
    assert_eq!(server.connections(), 2);
    // A source that was deleted and created again with the same uid begins at version 1, too.
    (source.id, source.version) = (2, 1);
    fetch(&clients, &context(source.clone())).await.unwrap();
    source.org = OrgId(2);
    fetch(&clients, &context(source)).await.unwrap();
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_ends() {
    let server = StandIn::start(|_| Reply::endless(b"x", Duration::from_millis(5))).await;
    let clients = server.clients();
    let context = context(source(&server.url()));
    let waiting = tokio::time::timeout(Duration::from_millis(200), fetch(&clients, &context)).await;
    assert!(waiting.is_err());
    let begin = Instant::now();
    while server.ended() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the source is still asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_named() {
    let clients = HttpClients::new(local_egress(), ClientSettings::default());
    for url in ["", "localhost:9090", "/path", "ftp://host", "file:///etc/passwd", "http://", "http://a b"] {
        let Err(error) = clients.of(&source(url)) else { panic!("{url}") };
        assert_eq!(error.status, 400, "{url}");
        assert!(error.message.contains("data source \"Test\""), "{}", error.message);
    }
}
