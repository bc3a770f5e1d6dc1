//! Traces of requests, as received by a collector.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use kymograph_tests::ServerProcess;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;

/// The spans that a collector received.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<Span>>>);

impl Collected {
    fn take(&self, request: ExportTraceServiceRequest) {
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
    }

    /// Spans of a trace.
    fn of(&self, trace: &str) -> Vec<Span> {
        self.0.lock().unwrap().iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect()
    }
}

/// A collector that receives traces over HTTP.
async fn collect() -> (SocketAddr, Collected) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, collected) = (listener.local_addr().unwrap(), Collected::default());
    let taking = collected.clone();
    let take = async move |body: Bytes| {
        taking.take(ExportTraceServiceRequest::decode(body).unwrap());
        ExportTraceServiceResponse::default().encode_to_vec()
    };
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, collected)
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The only span with this name.
fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    assert_eq!(found.len(), 1, "{name} in {names:?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_arrive_and_continue_those_of_clients() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const CLIENT: &str = "b7ad6b7169203331";
    let (address, collected) = collect().await;
    let env = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    let mut server = ServerProcess::start_with("trace", &[(env.0, &env.1)]).await;
    let admin = server.admin();
    let traced = admin.clone().with_header("traceparent", &format!("00-{TRACE}-{CLIENT}-01"));
    let dashboard = json!({"dashboard": {"title": "CPU", "uid": "cpu"}});
    let saved = traced.post("/api/dashboards/db", &dashboard).await.expect(200);
    let answer = saved.headers["traceresponse"].to_str().unwrap().to_owned();
    assert!(answer.starts_with(&format!("00-{TRACE}-")) && answer.ends_with("-01"), "{answer}");
    let read = admin.get("/api/search?query=cpu").await.expect(200);
    let own = read.headers["traceresponse"].to_str().unwrap().split('-').nth(1).unwrap().to_owned();
    let unsampled = admin.clone().with_header("traceparent", &format!("00-{}-{CLIENT}-00", "1".repeat(32)));
    unsampled.get("/api/search").await.expect(200);
    // Remaining spans are exported before the server ends.
    assert!(server.stop().await);

    let spans = collected.of(TRACE);
    let request = find(&spans, "POST /api/dashboards/db");
    assert_eq!(hex(&request.parent_span_id), CLIENT);
    assert!(answer.contains(&hex(&request.span_id)));
    let save = find(&spans, "save_dashboard");
    assert_eq!(save.parent_span_id, request.span_id);
    let command = find(&spans, "command");
    assert_eq!(command.parent_span_id, save.span_id);
    let flight = find(&spans, "flight");
    assert_eq!(flight.parent_span_id, command.span_id);
    assert!(spans.iter().any(|span| span.name == "sql" && span.parent_span_id == flight.span_id));
    let attribute = |name: &str| request.attributes.iter().find(|attribute| attribute.key == name).cloned();
    assert!(attribute("http.response.status_code").is_some() && attribute("http.route").is_some());

    let spans = collected.of(&own);
    let search = find(&spans, "search");
    assert_eq!(search.parent_span_id, find(&spans, "GET /api/search").span_id);
    assert!(spans.iter().any(|span| span.name == "sql" && span.parent_span_id == search.span_id));
    assert_eq!(collected.of(&"1".repeat(32)).len(), 0, "what the client does not trace is not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_can_continue_the_trace_of_a_query() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319d";
    let (address, collected) = collect().await;
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("GF_DATA_SOURCES_ALLOW_LOOPBACK", "true".to_owned()),
    ];
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = ServerProcess::start_with("trace-source", &env).await;
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let receiving = received.clone();
    let answer = async move |headers: HeaderMap| {
        receiving.lock().unwrap().push(headers["traceparent"].to_str().unwrap().to_owned());
        r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    let admin = server.admin();
    let source = json!({"name": "prom", "uid": "prom", "type": "prometheus", "url": url, "access": "proxy"});
    admin.post("/api/datasources", &source).await.expect(200);
    let traced = admin.with_header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01"));
    let query =
        json!({"refId": "A", "datasource": {"uid": "prom"}, "expr": "up", "instant": true, "range": false});
    let queries = json!({"from": "now-1h", "to": "now", "queries": [query]});
    traced.post("/api/ds/query", &queries).await.expect(200);
    assert!(server.stop().await);

    let spans = collected.of(TRACE);
    let (source, request) = (find(&spans, "data source"), find(&spans, "source request"));
    assert_eq!(source.parent_span_id, find(&spans, "query_metrics").span_id);
    assert_eq!(request.parent_span_id, source.span_id);
    let expected = format!("00-{TRACE}-{}-01", hex(&request.span_id));
    assert_eq!(*received.lock().unwrap(), [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_disturbs_nobody() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let env = ("GF_TRACING_OPENTELEMETRY_OTLP_ADDRESS", format!("127.0.0.1:{port}"));
    let mut server = ServerProcess::start_with("trace-nowhere", &[(env.0, &env.1)]).await;
    server.admin().get("/api/search").await.expect(200);
    assert!(server.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_traced_unless_a_collector_is_named() {
    // The default address of exporters. Another program may listen there; then this is not checked.
    let default = TcpListener::bind("127.0.0.1:4318").await;
    let mut server = ServerProcess::start_with("trace-off", &[]).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for client in [server.admin(), server.admin().with_header("traceparent", parent)] {
        let answer = client.get("/api/search").await.expect(200);
        assert!(!answer.headers.contains_key("traceresponse"), "{:?}", answer.headers);
    }
    // Collected spans would be exported at the end.
    assert!(server.stop().await);
    if let Ok(listener) = default {
        let connected = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(connected.is_err(), "something was sent");
    }
}
