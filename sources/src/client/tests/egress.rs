//! Addresses that requests must not reach.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::policy::{EgressPolicy, Names};

/// Names that resolve to another address each time.
struct Rebinding {
    answers: Vec<&'static str>,
    count: Arc<AtomicUsize>,
}

impl Names for Rebinding {
    fn look_up(&self, _: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let at = self.count.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let address = self.answers[at].parse().unwrap();
        async move { Ok(vec![address]) }.boxed()
    }
}

fn clients(policy: EgressPolicy) -> HttpClients {
    let settings = ClientSettings { dial_timeout: Duration::from_millis(500), ..ClientSettings::default() };
    HttpClients::new(Egress::new(policy), settings)
}

#[tokio::test]
async fn every_notation_of_a_refused_address_is_refused() {
    let (server, seen) = noting().await;
    let port = server.port();
    let clients = clients(EgressPolicy { allows_private: true, ..EgressPolicy::default() });
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.01",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "①②⑦.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "0",
        "[::]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
    ] {
        let error = fetch(&clients, &context(source(&format!("http://{host}:{port}/")))).await.err().unwrap();
        assert_eq!(error.status, 403, "{host}: {}", error.message);
        assert!(error.message.contains("where data sources are not allowed"), "{host}: {}", error.message);
        // The clients are cached by the uid of the source, which is the same for all of them here.
        clients.clients.invalidate_all();
    }
    assert!(seen.lock().unwrap().is_empty() && server.connections() == 0);
}

#[tokio::test]
async fn a_name_that_moves_inside_is_not_followed() {
    let (server, _) = noting().await;
    let count = Arc::new(AtomicUsize::new(0));
    let names = Rebinding { answers: vec!["127.0.0.1", "169.254.169.254", "10.0.0.1"], count: count.clone() };
    let policy = EgressPolicy { allows_loopback: true, ..EgressPolicy::default() };
    let clients = HttpClients::new(Egress::with_names(policy, Arc::new(names)), ClientSettings::default());
    let mut source = source(&format!("http://rebinding.example:{}/", server.port()));
    fetch(&clients, &context(source.clone())).await.unwrap();
    // One lookup decides both whether to connect and to which address.
    assert_eq!((count.load(Ordering::SeqCst), server.connections()), (1, 1));
    let allowing = "allow_private_networks or allowed_hosts";
    for (class, setting) in
        [("metadata", String::new()), ("private", format!(" ([data_sources] {allowing})"))]
    {
        source.version += 1;
        let error = fetch(&clients, &context(source.clone())).await.err().unwrap();
        assert_eq!(error.status, 403);
        let message = format!(
            "rebinding.example resolves to a {class} address, where data sources are not allowed{setting}"
        );
        assert!(error.message.ends_with(&message), "{}", error.message);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server =
        StandIn::start(|_| Reply::new(302, &[("location", "http://169.254.169.254/latest/meta-data/")], b""))
            .await;
    let clients = server.clients();
    let context = context(source(&server.url()));
    let error = fetch(&clients, &context).await.err().unwrap();
    assert_eq!(error.message, "data source \"Test\" answered 302, a redirect, which is not followed");
    let client = clients.of(&context.source).unwrap();
    let passed_on = client.open(&context, resource("GET", "x", ""), None).await.unwrap();
    assert_eq!(passed_on.status, 302);
    assert_eq!(
        header_value(&passed_on.headers, "location"),
        Some("http://169.254.169.254/latest/meta-data/")
    );
}

#[tokio::test]
async fn a_list_of_destinations_is_exact() {
    let (server, _) = noting().await;
    let destinations = vec![format!("127.0.0.1:{}", server.port())];
    let policy = EgressPolicy { allows_loopback: true, destinations, ..EgressPolicy::default() };
    let clients = clients(policy);
    fetch(&clients, &context(source(&server.url()))).await.unwrap();
    let mut other = source(&server.url().replace("127.0.0.1", "127.0.0.2"));
    other.version = 2;
    let error = fetch(&clients, &context(other)).await.err().unwrap();
    assert_eq!(error.status, 403);
    assert!(error.message.contains("is not on the list of hosts"), "{}", error.message);
}

#[tokio::test]
async fn a_proxy_does_not_lead_around_the_policy() {
    let (proxy, seen) = noting().await;
    let settings = ClientSettings {
        proxy: ForwardProxy::parse(&proxy.url().replace("http://", "http://ann:secret@")),
        ..ClientSettings::default()
    };
    let count = Arc::new(AtomicUsize::new(0));
    let names = Rebinding { answers: vec!["93.184.215.14", "10.0.0.1"], count };
    let clients = HttpClients::new(Egress::with_names(EgressPolicy::default(), Arc::new(names)), settings);
    let mut source = source("http://outside.example/base");
    fetch(&clients, &context(source.clone())).await.unwrap();
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!(request.path, "http://outside.example/base/x");
    assert_eq!(request.headers["proxy-authorization"], "Basic YW5uOnNlY3JldA==");
    for url in
        ["http://inside.example/", "http://169.254.169.254/", "https://169.254.169.254/", "http://127.0.0.1/"]
    {
        source.content.url = url.to_owned();
        source.version += 1;
        let error = fetch(&clients, &context(source.clone())).await.err().unwrap();
        assert_eq!(error.status, 403, "{url}: {}", error.message);
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn what_cannot_be_reached_is_named() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let clients = clients(EgressPolicy { allows_loopback: true, ..EgressPolicy::default() });
    let error = fetch(&clients, &context(source(&url))).await.err().unwrap();
    assert_eq!(error.status, 502);
    assert!(error.message.starts_with("data source \"Test\" cannot be reached: "), "{}", error.message);
    let mut nowhere = source("http://nowhere.invalid/");
    nowhere.version = 2;
    let error = fetch(&clients, &context(nowhere)).await.err().unwrap();
    assert!(matches!(error.status, 502 | 504), "{}", error.message);
}
