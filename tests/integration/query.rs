//! Queries to data sources through HTTP: real sources, expressions over them, health, resources and the proxy.

use std::time::Duration;

use kymograph_app::kernel::clock::Clock;
use kymograph_app::source::query::{MAX_QUERIES, MAX_REQUESTS_OF_USER};
use kymograph_tests::{Client, PrometheusServer, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::tls::TlsPostgres;

async fn add(admin: &Client, uid: &str, kind: &str, url: &str, more: Value) {
    let mut source = json!({"name": uid, "uid": uid, "type": kind, "url": url, "access": "proxy"});
    source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.post("/api/datasources", &source).await.expect(200);
}

async fn add_postgres(admin: &Client, postgres: &TlsPostgres) {
    let settings = json!({"user": "ann", "jsonData": {"database": "kymograph", "sslmode": "require"},
        "secureJsonData": {"password": "secret"}});
    let address = format!("localhost:{}", postgres.port);
    add(admin, "pg", "grafana-postgresql-datasource", &address, settings).await;
}

fn ask(queries: &[Value]) -> Value {
    json!({"from": "now-1h", "to": "now", "queries": queries})
}

fn test_data(ref_id: &str, csv: &str) -> Value {
    json!({"refId": ref_id, "datasource": {"uid": "test"}, "scenarioId": "csv_content", "csvContent": csv})
}

fn expression(ref_id: &str, model: Value) -> Value {
    let mut query = json!({"refId": ref_id, "datasource": {"type": "__expr__", "uid": "__expr__"}});
    query.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
    query
}

/// The numbers of a frame's field.
fn numbers(frame: &Value, field: usize) -> Vec<f64> {
    let values = frame["data"]["values"][field].as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

#[tokio::test]
async fn an_expression_joins_a_prometheus_and_a_postgresql() {
    let prometheus = PrometheusServer::start("query", &[]).await;
    let postgres = TlsPostgres::start("query").await;
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "prom", "prometheus", &prometheus.url(), json!({})).await;
    add_postgres(&admin, &postgres).await;
    let queries = [
        json!({"refId": "A", "datasource": {"uid": "prom"}, "expr": "vector(20)", "instant": true, "range": false}),
        json!({"refId": "B", "datasource": {"uid": "pg"}, "rawSql": "SELECT 22::float8 AS value", "format": "table"}),
        expression("C", json!({"type": "math", "expression": "$A + $B"})),
        expression(
            "D",
            json!({"type": "threshold", "expression": "C",
            "conditions": [{"evaluator": {"type": "gt", "params": [41]}}]}),
        ),
    ];
    let answer = admin.post("/api/ds/query", &ask(&queries)).await.expect(200).body;
    let of = |ref_id: &str| answer["results"][ref_id]["frames"][0].clone();
    assert_eq!(numbers(&of("A"), 1), [20.0], "{answer}");
    assert_eq!(numbers(&of("B"), 0), [22.0]);
    assert_eq!((numbers(&of("C"), 0), numbers(&of("D"), 0)), (vec![42.0], vec![1.0]), "{answer}");

    // A range query has the values of Prometheus itself.
    let (to, step) = (server.clock.now().0 / 1_000_000, 15);
    let from = to - 300;
    let query = json!({"refId": "A", "datasource": {"uid": "prom"}, "expr": "vector(7)", "range": true, "interval": "15s"});
    let request =
        json!({"from": (from * 1000).to_string(), "to": (to * 1000).to_string(), "queries": [query]});
    let frame =
        admin.post("/api/ds/query", &request).await.expect(200).body["results"]["A"]["frames"][0].clone();
    let (start, end) = (from / step * step, to / step * step);
    let own = format!(
        "{}/api/v1/query_range?query=vector(7)&start={start}&end={end}&step={step}",
        prometheus.url()
    );
    let own: Value = reqwest::get(own).await.unwrap().json().await.unwrap();
    let own = own["data"]["result"][0]["values"].as_array().unwrap();
    let times: Vec<f64> = own.iter().map(|point| point[0].as_f64().unwrap() * 1000.0).collect();
    let values: Vec<f64> = own.iter().map(|point| point[1].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!((numbers(&frame, 0), numbers(&frame, 1)), (times, values), "{frame}");

    for uid in ["prom", "pg"] {
        let health = admin.get(&format!("/api/datasources/uid/{uid}/health")).await.expect(200).body;
        assert_eq!(health["status"], "OK", "{health}");
    }
    let labels = admin.get("/api/datasources/uid/prom/resources/api/v1/labels").await.expect(200).body;
    assert!(labels["data"].as_array().unwrap().contains(&json!("instance")), "{labels}");
    let query = "/api/datasources/proxy/uid/prom/api/v1/query?query=vector(1)";
    assert_eq!(admin.get(query).await.expect(200).body["data"]["result"][0]["value"][1], "1");
    let id = admin.get("/api/datasources/id/prom").await.expect(200).body["id"].clone();
    let query = format!("/api/datasources/proxy/{id}/api/v1/query?query=vector(1)");
    assert_eq!(admin.get(&query).await.expect(200).body["status"], "success");
    let refused = admin.request(Method::DELETE, "/api/datasources/proxy/uid/prom/api/v1/admin/tsdb/x");
    assert_eq!(refused.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_settings_limit_the_rows_of_a_database() {
    let postgres = TlsPostgres::start("query-rows").await;
    let server = TestServer::with_settings(&["dataproxy.row_limit=3"]).await;
    let admin = server.admin();
    add_postgres(&admin, &postgres).await;
    for (rows, notices) in [(3, 0), (4, 1)] {
        let sql = format!("SELECT n FROM generate_series(1, {rows}) AS n");
        let query = json!({"refId": "A", "datasource": {"uid": "pg"}, "rawSql": sql, "format": "table"});
        let answer = admin.post("/api/ds/query", &ask(&[query])).await.expect(200).body;
        let frame = &answer["results"]["A"]["frames"][0];
        assert_eq!(numbers(frame, 0), [1.0, 2.0, 3.0], "{answer}");
        let found = frame["schema"]["meta"]["notices"].as_array().map_or(0, Vec::len);
        assert_eq!(found, notices, "{answer}");
    }
}

#[tokio::test]
async fn errors_stand_beside_good_results() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "test", "grafana-testdata-datasource", "", json!({})).await;
    add(&admin, "odd", "cloudwatch", "", json!({})).await;
    add(&admin, "down", "prometheus", "http://127.0.0.1:9", json!({})).await;
    let queries = [
        test_data("A", "a,b\n1,2"),
        json!({"refId": "B", "datasource": {"uid": "odd"}}),
        json!({"refId": "C", "datasource": {"uid": "down"}, "expr": "up"}),
        expression("D", json!({"type": "math", "expression": "$C * 2"})),
    ];
    let answer = admin.post("/api/ds/query", &ask(&queries)).await.expect(400).body;
    let results = &answer["results"];
    assert_eq!((&results["A"]["status"], numbers(&results["A"]["frames"][0], 1)), (&json!(200), vec![2.0]));
    assert!(results["B"]["error"].as_str().unwrap().contains("cloudwatch"), "{answer}");
    assert!(results["C"]["error"].as_str().unwrap().contains("down"), "{answer}");
    assert_eq!(results["C"]["errorSource"], "downstream");
    assert!(results["D"]["error"].as_str().unwrap().contains('C'), "{answer}");
    for uid in ["odd", "down"] {
        let health = admin.get(&format!("/api/datasources/uid/{uid}/health")).await.expect(400).body;
        assert_eq!(health["status"], "ERROR", "{health}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "test", "testdata", "", json!({})).await;
    let post = async |body: &Value| admin.post("/api/ds/query", body).await;
    let refused = post(&ask(&[])).await.expect(400).body;
    assert_eq!(refused["messageId"], "query.noQueries");
    let refused = post(&ask(&[json!({"refId": "A"})])).await.expect(400).body;
    assert_eq!(refused["messageId"], "query.invalidDatasourceId");
    post(&ask(&[json!({"datasource": {"uid": "none"}})])).await.expect_message(404, "Data source not found");
    post(&ask(&vec![test_data("A", "a"); MAX_QUERIES + 1])).await.expect(400);
    post(&json!({"from": "yesterday", "to": "now", "queries": [test_data("A", "a")]})).await.expect(400);
    post(&json!({"queries": {}})).await.expect(400);
    post(&ask(&[test_data("A", "a"), test_data("A", "b")])).await.expect(400);
    let circle = [
        expression("B", json!({"type": "math", "expression": "$C"})),
        expression("C", json!({"type": "math", "expression": "$B"})),
    ];
    let refused = post(&ask(&circle)).await.expect(400).text;
    assert!(refused.contains('B') && refused.contains('C'), "{refused}");
}

#[tokio::test]
async fn who_may_not_ask_a_source_is_refused() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    add(&admin, "test", "testdata", "", json!({})).await;
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    let (nobody, _) = server.new_member(acme, "ned", "None").await;
    let request = ask(&[test_data("A", "a\n1")]);
    viewer.post("/api/ds/query", &request).await.expect(200);
    nobody.post("/api/ds/query", &request).await.expect(403);
    server.admin().post("/api/ds/query", &request).await.expect(404);
    nobody.get("/api/datasources/uid/test/health").await.expect(403);
}

#[tokio::test]
async fn the_address_decides_where_the_server_connects_to() {
    let server = TestServer::with_settings(&["data_sources.allow_loopback=false"]).await;
    let admin = server.admin();
    for (number, url) in [
        "http://127.0.0.1:9090",
        "http://2130706433:9090",
        "http://0x7f.1:9090",
        "http://0177.0.0.1:9090",
        "http://[::ffff:127.0.0.1]:9090",
        "http://[64:ff9b::7f00:1]:9090",
        "http://localhost:9090",
        "http://169.254.169.254",
    ]
    .into_iter()
    .enumerate()
    {
        let uid = format!("s{number}");
        add(&admin, &uid, "prometheus", url, json!({})).await;
        let query = json!({"refId": "A", "datasource": {"uid": uid}, "expr": "up"});
        let answer = admin.post("/api/ds/query", &ask(&[query])).await.expect(400).body;
        let error = answer["results"]["A"]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("where data sources are not allowed"), "{url}: {answer}");
        let proxied = admin.request(Method::GET, &format!("/api/datasources/proxy/uid/{uid}/api/v1/labels"));
        assert_eq!(proxied.send().await.unwrap().status(), 403, "{url}");
    }
    server.access.flush().await;
    let denied = admin.get("/api/audit/events?outcome=denied").await.expect(200).body;
    assert_eq!(denied["events"], json!([]), "it is no matter of rights");
}

/// A source that counts requests, records them, and responds after a delay.
async fn counting() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let heads = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 16 * 1024];
                let length = stream.read(&mut head).await.unwrap_or_default();
                heads.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
                tokio::time::sleep(Duration::from_millis(300)).await;
                let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
                let response = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=b\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(response.as_bytes()).await;
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn the_same_queries_at_once_reach_the_source_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (url, seen) = counting().await;
    add(&admin, "slow", "prometheus", &url, json!({})).await;
    let query = json!({"refId": "A", "datasource": {"uid": "slow"}, "expr": "up", "range": true});
    let request = json!({"from": "1700000000000", "to": "1700003600000", "queries": [query]});
    let asked = (0..32).map(|_| async { admin.post("/api/ds/query", &request).await.expect(200) });
    futures_util::future::join_all(asked).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// A source whose response never ends.
async fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 16 * 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
                while stream.write_all(b"more\n").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_streamed_response_ends_with_the_rights_of_its_caller() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "endless", "prometheus", &endless().await, json!({})).await;
    let (leaver, leaver_id) = server.new_member(1, "leaver", "Viewer").await;
    let (stayer, _) = server.new_member(1, "stayer", "Viewer").await;
    let open = async |client: &Client| {
        let request = client.request(Method::GET, "/api/datasources/proxy/uid/endless/api/v1/labels");
        request.send().await.unwrap().error_for_status().unwrap()
    };
    let (mut left, mut stayed) = (open(&leaver).await, open(&stayer).await);
    admin.delete(&format!("/api/org/users/{leaver_id}")).await.expect(200);
    let end = tokio::time::timeout(Duration::from_secs(25), async {
        while left.chunk().await.unwrap_or_default().is_some() {
            stayed.chunk().await.unwrap().expect("the rights of the other caller have not ended");
        }
    });
    end.await.expect("the response ends");
    stayed.chunk().await.unwrap().expect("the rights of the other caller have not ended");
}

#[tokio::test]
async fn slow_clients_of_one_user_leave_room_for_others() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "endless", "prometheus", &endless().await, json!({})).await;
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    let open = |client: &Client| {
        client.request(Method::GET, "/api/datasources/proxy/uid/endless/api/v1/labels").send()
    };
    let mut held = Vec::new();
    for _ in 0..MAX_REQUESTS_OF_USER {
        held.push(open(&viewer).await.unwrap().error_for_status().unwrap());
    }
    let another = tokio::time::timeout(Duration::from_millis(300), open(&viewer));
    assert!(another.await.is_err(), "it waits for one of the others");
    let of_other = tokio::time::timeout(Duration::from_secs(5), open(&admin)).await.unwrap();
    assert_eq!(of_other.unwrap().status(), 200);
    held.pop();
    let next = tokio::time::timeout(Duration::from_secs(5), open(&viewer)).await.unwrap();
    assert_eq!(next.unwrap().status(), 200);
}

#[tokio::test]
async fn credentials_for_the_server_do_not_go_on() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (url, seen) = counting().await;
    let settings = json!({"basicAuth": true, "basicAuthUser": "scraper", "jsonData": {"keepCookies": ["kept"]},
        "secureJsonData": {"basicAuthPassword": "hunter2"}});
    add(&admin, "proxied", "prometheus", &url, settings).await;
    let path = "/api/datasources/proxy/uid/proxied/api/v1/labels";
    let request =
        admin.request(Method::GET, path).header("Cookie", "kept=1; other=2; grafana_session=secret");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("set-cookie").is_none());
    let head = seen.lock().unwrap()[0].clone();
    // `scraper:hunter2`
    assert!(head.contains("Basic c2NyYXBlcjpodW50ZXIy"), "{head}");
    assert!(
        head.contains("kept=1") && !head.contains("other") && !head.contains("grafana_session"),
        "{head}"
    );
    // `admin:admin`
    assert!(!head.contains("YWRtaW46YWRtaW4="), "{head}");
}

/// The audit entries of queries, once there are this many.
async fn audited(server: &TestServer, expected: usize) -> Vec<Value> {
    server.access.flush().await;
    let path = "/api/audit/events?action=access.queried";
    let events = server.admin().get(path).await.expect(200).body["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), expected, "{events:?}");
    events
}

#[tokio::test]
async fn queries_are_audited_if_the_org_wants_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "test", "testdata", "", json!({})).await;
    let query = ask(&[test_data("A", "a\n1\n"), test_data("B", "b\n2\n")]);
    admin.post("/api/ds/query", &query).await.expect(200);
    assert_eq!(admin.get("/api/org/audit").await.expect(200).body, json!({"queries": false}));
    admin.put("/api/org/audit", &json!({})).await.expect(400);
    admin.put("/api/org/audit", &json!({"queries": "true"})).await.expect(400);
    let (viewer, id) = server.new_member(1, "vic", "Viewer").await;
    viewer.put("/api/org/audit", &json!({"queries": false})).await.expect(403);
    audited(&server, 0).await;
    admin.put("/api/org/audit", &json!({"queries": true})).await.expect(200);
    assert_eq!(admin.get("/api/org/audit").await.expect(200).body, json!({"queries": true}));
    for _ in 0..3 {
        viewer.post("/api/ds/query", &query).await.expect(200);
    }
    viewer.get("/api/datasources/uid/test/resources/scenarios?a=b").await;
    let entries = audited(&server, 5).await;
    let recorded = |entry: &Value| {
        let queried = &entry["access"];
        assert_eq!(entry["actor"]["id"], id);
        assert_eq!(entry["targets"], json!([{"type": "data_source", "uid": "test", "name": "test"}]));
        (queried["query"].as_str().unwrap().to_owned(), queried["count"].as_i64().unwrap())
    };
    let mut recorded: Vec<_> = entries.iter().map(recorded).collect();
    recorded.sort();
    let text = |csv: &str| format!(r#"{{"csvContent":"{csv}","scenarioId":"csv_content"}}"#);
    let (a, b) = (text("a\\n1\\n"), text("b\\n2\\n"));
    let expected = [("GET scenarios?a=b".to_owned(), 1), (a.clone(), 1), (a, 2), (b.clone(), 1), (b, 2)];
    assert_eq!(recorded, expected);
    // The other org did not ask for it, and what was turned on can be undone.
    let other = server.new_org("Other").await;
    let (bob, _) = server.new_member(other, "bob", "Admin").await;
    add(&bob, "test", "testdata", "", json!({})).await;
    bob.post("/api/ds/query", &query).await.expect(200);
    assert_eq!(
        bob.get("/api/audit/events?action=access.queried").await.expect(200).body["events"],
        json!([])
    );
    let path = "/api/audit/events?action=org.audit_changed";
    let event = admin.get(path).await.expect(200).body["events"][0]["id"].as_i64().unwrap();
    admin.post(&format!("/api/audit/events/{event}/undo"), &json!({})).await.expect(200);
    viewer.post("/api/ds/query", &ask(&[test_data("A", "c\n3\n")])).await.expect(200);
    audited(&server, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_queries_displaces_no_refusal() {
    let server = TestServer::start().await;
    let admin = server.admin();
    add(&admin, "test", "testdata", "", json!({})).await;
    admin.put("/api/org/audit", &json!({"queries": true})).await.expect(200);
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    let other = server.new_org("Other").await;
    let (bob, _) = server.new_member(other, "bob", "Viewer").await;
    let flood = (0..100).map(|request| {
        let viewer = viewer.clone();
        let queries: Vec<_> =
            (0..MAX_QUERIES).map(|query| test_data(&format!("Q{query}"), &format!("a\n{request}"))).collect();
        async move { viewer.post("/api/ds/query", &ask(&queries)).await.expect(200) }
    });
    let denied = (0..50).map(|_| {
        let bob = bob.clone();
        async move { bob.post("/api/folders", &json!({"title": "Ops"})).await.expect(403) }
    });
    tokio::join!(futures_util::future::join_all(flood), futures_util::future::join_all(denied));
    server.access.flush().await;
    assert_eq!(server.access.refusals().unrecorded, 0);
    let path = "/api/audit/events?action=access.denied";
    let events = admin.in_org(other).get(path).await.expect(200).body["events"].as_array().unwrap().clone();
    let counts = events.iter().map(|event| event["access"]["count"].as_i64().unwrap());
    assert_eq!(counts.sum::<i64>(), 50);
}
