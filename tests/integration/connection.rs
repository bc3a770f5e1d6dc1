//! Connections: their maximum number, and their timeouts.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use kymograph_tests::{RawConnection, TestServer};
use serde_json::json;
use tokio::task::JoinSet;

const HALF_HEAD: &str = "GET /api/org HTTP/1.1\r\nHost: localhost\r\nX-Half: ";
const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

async fn metric(server: &TestServer, series: &str) -> u64 {
    let text = server.anonymous().get("/metrics").await.expect(200).text;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().unwrap()
}

/// Blocks saves, until this connection to the database is dropped.
async fn block_saves(server: &TestServer) -> tokio_postgres::Client {
    let client = server.database.connect().await;
    client.batch_execute("BEGIN; LOCK TABLE events IN EXCLUSIVE MODE").await.unwrap();
    client
}

/// A request that is handled for as long as saves are blocked.
async fn occupy(from: Ipv4Addr, server: &TestServer) -> RawConnection {
    let mut connection = RawConnection::from(from, server.address).await;
    let request = format!(
        "POST /api/folders HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 15\r\n\r\n{{\"title\":\"Ops\"}}",
        kymograph_tests::basic("admin", "admin")
    );
    assert!(connection.send(request).await);
    connection
}

#[tokio::test]
async fn bodies_that_do_not_come_keep_nobody_out() {
    const MAX: usize = 64;
    let server = TestServer::with_settings(&["server.max_connections=64"]).await;
    server.new_member(1, "viewer", "Viewer").await;
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n{";
    let (mut silent, mut slow) = (Vec::new(), JoinSet::new());
    for number in 0..MAX {
        let from = if number % 2 == 0 { OTHER } else { THIRD };
        let mut connection = RawConnection::from(from, server.address).await;
        assert!(connection.send(head).await);
        if number % 4 < 2 {
            silent.push(connection);
        } else {
            slow.spawn(async move {
                while connection.send(" ").await {
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
            });
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // They are evicted one by one.
    let request = format!(
        "GET /api/org HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        kymograph_tests::basic("viewer", "secret")
    );
    let mut served = Vec::new();
    for number in 0..MAX / 2 {
        let mut connection = RawConnection::open(server.address).await;
        assert!(connection.send(&request).await);
        assert_eq!(connection.answer().await.unwrap().status, 200, "{number}");
        served.push(connection);
    }
    assert!(
        metric(&server, "kymograph_http_connections_closed_total{reason=\"displaced\"}").await
            >= MAX as u64 / 2
    );
}

#[tokio::test]
async fn requests_without_bodies_do_not_take_the_places_of_health_checks() {
    let server = TestServer::with_settings(&["server.max_connections=2"]).await;
    let _blocked = block_saves(&server).await;
    let _busy = [occupy(OTHER, &server).await, occupy(THIRD, &server).await];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut refused = Vec::new();
    for _ in 0..40 {
        let mut connection = RawConnection::from(OTHER, server.address).await;
        connection.send("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n").await;
        refused.push(connection);
    }
    let mut health = RawConnection::open(server.address).await;
    assert!(health.send(HEALTH).await);
    assert_eq!(health.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn half_heads_keep_nobody_out_and_end() {
    let settings = ["server.max_connections=20", "server.header_timeout=2s"];
    let server = TestServer::with_settings(&settings).await;
    let mut halves = Vec::new();
    for _ in 0..60 {
        let mut half = RawConnection::open(server.address).await;
        half.send(HALF_HEAD).await;
        halves.push(half);
    }
    // From the same address and from another one.
    for address in [Ipv4Addr::LOCALHOST, OTHER] {
        let mut other = RawConnection::from(address, server.address).await;
        assert!(other.send(HEALTH).await);
        assert_eq!(other.answer().await.unwrap().status, 200, "{address}");
    }
    server.admin().get("/api/org").await.expect(200);
    let began = Instant::now();
    for half in &mut halves {
        half.send("x").await;
        assert!(half.is_closed_within(Duration::from_secs(4).saturating_sub(began.elapsed())).await);
    }
    assert!(metric(&server, "kymograph_http_connections_closed_total{reason=\"displaced\"}").await >= 40);
    assert!(metric(&server, "kymograph_http_connections_closed_total{reason=\"header_timeout\"}").await >= 1);
    assert!(metric(&server, "kymograph_http_connections").await < 5);
}

#[tokio::test]
async fn beyond_the_limit_only_health_is_served() {
    let server = TestServer::with_settings(&["server.max_connections=8"]).await;
    let blocked = block_saves(&server).await;
    // One address can use half of the connections.
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(occupy(Ipv4Addr::LOCALHOST, &server).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ask = async |from, request: &str| {
        let mut connection = RawConnection::from(from, server.address).await;
        assert!(connection.send(request).await);
        let answer = connection.answer().await.unwrap();
        (answer, connection)
    };
    let login_page = "GET /api/frontend/settings HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (refused, mut connection) = ask(Ipv4Addr::LOCALHOST, login_page).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after: 1") && refused.head.contains("connection: close"));
    assert_eq!(refused.body, r#"{"message":"Too many connections, try again shortly"}"#);
    assert!(connection.is_closed_within(Duration::from_secs(1)).await);
    let (served, other) = ask(OTHER, login_page).await;
    assert_eq!(served.status, 200, "{served:?}");
    drop(other);
    for _ in 0..4 {
        busy.push(occupy(OTHER, &server).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ask(THIRD, login_page).await.0.status, 503);
    for path in ["/livez", "/readyz", "/healthz", "/api/health", "/metrics"] {
        let (answer, mut connection) =
            ask(THIRD, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(connection.is_closed_within(Duration::from_secs(1)).await);
    }
    // Nor can incomplete heads take the places of health probes.
    let mut halves = Vec::new();
    for _ in 0..40 {
        let mut half = RawConnection::from(OTHER, server.address).await;
        half.send(HALF_HEAD).await;
        halves.push(half);
    }
    assert_eq!(ask(THIRD, HEALTH).await.0.status, 200);
    drop((busy, halves, blocked));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ask(THIRD, login_page).await.0.status, 200);
    assert!(metric(&server, "kymograph_http_connections_refused_total").await >= 7);
}

#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_there_are() {
    let settings = ["server.max_connections=8", "server.trusted_proxies=127.0.0.1"];
    let server = TestServer::with_settings(&settings).await;
    let _blocked = block_saves(&server).await;
    let mut busy = Vec::new();
    for _ in 0..7 {
        busy.push(occupy(Ipv4Addr::LOCALHOST, &server).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.admin().get("/api/org").await.expect(200);
}

#[tokio::test]
async fn idle_connections_end() {
    let server = TestServer::with_settings(&["server.idle_timeout=2s", "server.header_timeout=1s"]).await;
    let mut connection = RawConnection::open(server.address).await;
    for _ in 0..2 {
        assert!(connection.send(HEALTH).await);
        assert_eq!(connection.answer().await.unwrap().status, 200);
        // Longer than the head timeout, which does not apply between requests.
        assert!(!connection.is_closed_within(Duration::from_millis(1300)).await);
    }
    assert!(connection.is_closed_within(Duration::from_secs(3)).await);
    let mut silent = RawConnection::open(server.address).await;
    assert!(silent.is_closed_within(Duration::from_secs(3)).await);
    assert!(metric(&server, "kymograph_http_connections_closed_total{reason=\"idle_timeout\"}").await >= 1);
}

#[tokio::test]
async fn heads_have_a_size() {
    let server = TestServer::start().await;
    let request = |filling: usize, headers: usize| {
        let headers = "x-more: 1\r\n".repeat(headers - 1);
        let head = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{headers}x-fill: ");
        let filling = filling.saturating_sub(head.len() + 4);
        format!("{head}{}\r\n\r\n", "x".repeat(filling))
    };
    for (request, status) in [
        (request(32 * 1024 - 1, 1), 200),
        (request(32 * 1024 + 1, 1), 431),
        (request(0, 99), 200),
        (request(0, 100), 431),
    ] {
        let mut connection = RawConnection::open(server.address).await;
        connection.send(request).await;
        assert_eq!(connection.answer().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn who_does_not_take_answers_loses_them_when_there_are_too_many() {
    let server = TestServer::start().await;
    let text = "x".repeat(10 * 1024 * 1024);
    let save = json!({"dashboard": {"title": "Large", "uid": "large", "text": text}});
    server.admin().post("/api/dashboards/db", &save).await.expect(200);
    let head = format!(
        "GET /api/dashboards/uid/large HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        kymograph_tests::basic("admin", "admin")
    );
    let mut stalled = Vec::new();
    for _ in 0..9 {
        let mut connection = RawConnection::narrow(Ipv4Addr::LOCALHOST, server.address).await;
        assert!(connection.send(&head).await);
        stalled.push(connection);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Three of them are within the budget; a client that reads its responses is still served.
    let closed = metric(&server, "kymograph_http_connections_closed_total{reason=\"stalled\"}").await;
    assert!((5..=7).contains(&closed), "{closed}");
    server.admin().get("/api/dashboards/uid/large").await.expect(200);
}
