//! The backend, against a server on this machine that behaves like Prometheus.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::backend::CONCURRENCY;
use crate::fixture::{Reply, Seen, StandIn, collected, context, query, resource, source, workers};

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
const ONE: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"#;
const EXEMPLARS: &str = r#"{"status":"success","data":[]}"#;

async fn noting(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (StandIn, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let server = StandIn::start(move |request| {
        noted.lock().unwrap().push(request.clone());
        answer(request)
    })
    .await;
    (server, seen)
}

async fn ask(context: &SourceContext, server: &StandIn, model: Value) -> QueryResult {
    let backend = PrometheusBackend::new(server.clients(), workers());
    backend.query(context, &[query(model)]).await.remove("A").unwrap()
}

#[tokio::test]
async fn a_query_is_asked_in_each_way_that_it_says() {
    let (server, seen) = noting(|request| match request.path.as_str() {
        "/api/v1/query_range" => Reply::json(200, EMPTY),
        "/api/v1/query" => Reply::json(200, ONE),
        "/api/v1/query_exemplars" => Reply::json(200, EXEMPLARS),
        _ => Reply::text(404, "none"),
    })
    .await;
    let mut source = source(&server.url());
    source.content.json_data.insert("customQueryParameters".to_owned(), "dedup=true&a=b%20c".into());
    let context = context(source.clone());
    let model = json!({"expr": "up", "range": true, "instant": true, "exemplar": true});
    let frames = ask(&context, &server, model).await.unwrap();
    assert_eq!(frames.len(), 2);
    let mut asked = seen.lock().unwrap().split_off(0);
    asked.sort_by(|one, other| one.path.cmp(&other.path));
    let bodies: Vec<_> = asked.iter().map(|seen| (seen.method.as_str(), seen.body.as_str())).collect();
    let more = "&dedup=true&a=b+c";
    let times = "start=1699999995&end=1700003595";
    let expected = [
        format!("query=up&time=1700003600{more}"),
        format!("query=up&{times}{more}"),
        format!("query=up&{times}&step=15{more}"),
    ];
    assert_eq!(bodies, expected.each_ref().map(|body| ("POST", body.as_str())));
    source.content.json_data.insert("httpMethod".to_owned(), "GET".into());
    source.version = 2;
    ask(&crate::fixture::context(source), &server, json!({"expr": "up"})).await.unwrap();
    let asked = seen.lock().unwrap().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.query.as_str()), ("GET", expected[2].as_str()));
}

#[tokio::test]
async fn a_server_that_takes_no_post_is_asked_with_get() {
    let (server, seen) =
        noting(
            |request| {
                if request.method == "POST" { Reply::text(405, "no") } else { Reply::json(200, EMPTY) }
            },
        )
        .await;
    ask(&context(source(&server.url())), &server, json!({"expr": "up"})).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn every_failure_names_the_source_and_the_status() {
    let error = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#;
    let long = format!("<html>{}</html>", "x".repeat(100_000));
    let cases = [
        (Reply::json(400, error), 400, "data source \"Test\" answered 400: bad_data: 1:3: parse error"),
        (Reply::json(200, error), 502, "data source \"Test\" answered 200: bad_data: 1:3: parse error"),
        (Reply::text(503, "starting\nup"), 503, "data source \"Test\" answered 503: starting up"),
        (Reply::text(500, ""), 500, "data source \"Test\" answered 500"),
        (Reply::json(401, "{}"), 401, "data source \"Test\" answered 401: {}"),
        (
            Reply::new(200, &[("content-type", "text/html")], b"<html></html>"),
            502,
            "data source \"Test\" answered 200 with something else than the JSON of its API at byte 0",
        ),
        (
            Reply::json(200, &EMPTY[..EMPTY.len() - 2]),
            502,
            "data source \"Test\" answered 200 with something else than the JSON of its API at byte 61",
        ),
        (Reply::new(200, &[], b"\xff\xfe"), 502, "at byte 0"),
        (Reply::new(502, &[], long.as_bytes()), 502, "<html>xxx"),
    ];
    for (reply, status, message) in cases {
        let reply = Mutex::new(Some(reply));
        let server = StandIn::start(move |_| reply.lock().unwrap().take().unwrap()).await;
        let error = ask(&context(source(&server.url())), &server, json!({"expr": "up"})).await.unwrap_err();
        assert_eq!(error.status, status, "{}", error.message);
        assert!(error.message.contains(message) && error.message.len() < 700, "{}", error.message);
    }
}

#[tokio::test]
async fn each_query_has_an_answer_of_its_own() {
    let (server, _) =
        noting(
            |request| {
                if request.body.contains("bad") { Reply::text(500, "bad") } else { Reply::json(200, EMPTY) }
            },
        )
        .await;
    let backend = PrometheusBackend::new(server.clients(), workers());
    let queries: Vec<_> = (0..30)
        .map(|number| Query {
            ref_id: number.to_string(),
            ..query(json!({"expr": if number % 3 == 0 { "bad" } else { "good" }}))
        })
        .collect();
    let context = context(source(&server.url()));
    let answers = backend.query(&context, &queries).await;
    assert_eq!((answers.len(), answers.values().filter(|answer| answer.is_err()).count()), (30, 10));
    assert!(server.connections() <= CONCURRENCY, "{}", server.connections());
    let mut nowhere = source("");
    nowhere.version = 9;
    let answers = backend.query(&crate::fixture::context(nowhere), &queries).await;
    assert!(answers.len() == 30 && answers.values().all(Result::is_err));
}

#[tokio::test]
async fn health_is_that_of_a_query() {
    let (server, seen) = noting(|_| {
        Reply::json(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#)
    })
    .await;
    let context = context(source(&server.url()));
    let health = PrometheusBackend::new(server.clients(), workers()).check_health(&context).await;
    assert!(health.is_ok, "{}", health.message);
    assert!(seen.lock().unwrap()[0].body.starts_with("query=1%2B1&"));
    let (down, _) = noting(|_| Reply::text(200, "<html>")).await;
    let context = crate::fixture::context(source(&down.url()));
    let health = PrometheusBackend::new(down.clients(), workers()).check_health(&context).await;
    assert!(!health.is_ok && health.message.contains("data source \"Test\""));
}

#[tokio::test]
async fn resources_are_those_that_only_read() {
    let (server, seen) = noting(|_| Reply::json(200, r#"{"status":"success","data":["a"]}"#)).await;
    let backend = PrometheusBackend::new(server.clients(), workers());
    let context = context(source(&server.url()));
    let request = resource("GET", "api/v1/label/job/values", "start=1");
    let answer = backend.call_resource(&context, request).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(collected(answer).await.unwrap().ends_with(b"[\"a\"]}"));
    assert_eq!(seen.lock().unwrap()[0].query, "start=1");
    for (method, path, status) in [
        ("GET", "suggestions", 404),
        ("GET", "-/quit", 404),
        ("PUT", "api/v1/labels", 404),
        ("POST", "api/v1/admin/tsdb/snapshot", 404),
        ("POST", "api/v1/write", 403),
        ("GET", "api/v1/../../-/quit", 400),
        ("GET", "api/v1/%61dmin/../x", 400),
    ] {
        let error = backend.call_resource(&context, resource(method, path, "")).await.unwrap_err();
        assert_eq!(error.status, status, "{method} {path}");
    }
}
