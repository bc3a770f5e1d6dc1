//! The backend, against a server that responds with files in the formats that Loki documents.

use std::sync::Mutex;

use kymograph_domain::source::frame::{Column, Frame};
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Reply, Seen, StandIn, collected, context, query, resource, source, workers};

const STREAMS: &str = include_str!("tests/streams.json");
const MATRIX: &str = include_str!("tests/matrix.json");
const VECTOR: &str = include_str!("tests/vector.json");

async fn loki() -> (StandIn, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let server = StandIn::start(move |request| {
        noted.lock().unwrap().push(request.clone());
        let query: std::collections::HashMap<_, _> =
            form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        let expression = query.get("query").map(String::as_str).unwrap_or_default();
        match (request.path.as_str(), expression) {
            (_, "too many") => Reply::text(
                400,
                "max entries limit per query exceeded, limit > max_entries_limit (10000 > 5000)\n",
            ),
            (_, "broken") => {
                Reply::json(500, r#"{"code":500,"status":"error","message":"the ring is empty"}"#)
            }
            (_, "none") => {
                Reply::json(200, r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#)
            }
            (_, "html") => Reply::text(200, "<html>"),
            ("/loki/api/v1/query_range", text) if text.starts_with('{') => Reply::json(200, STREAMS),
            ("/loki/api/v1/query_range", _) => Reply::json(200, MATRIX),
            ("/loki/api/v1/query", _) => Reply::json(200, VECTOR),
            ("/loki/api/v1/labels" | "/loki/api/v1/label/app/values" | "/loki/api/v1/index/stats", _) => {
                Reply::json(200, r#"{"status":"success","data":["app"]}"#)
            }
            _ => Reply::text(404, "404 page not found\n"),
        }
    })
    .await;
    (server, seen)
}

async fn ask(server: &StandIn, model: Value) -> QueryResult {
    let backend = LokiBackend::new(server.clients(), workers());
    backend.query(&context(source(&server.url())), &[query(model)]).await.remove("A").unwrap()
}

fn texts(frame: &Frame, name: &str) -> Vec<String> {
    let field = frame.fields.iter().find(|field| field.name == name).unwrap();
    match &field.column {
        Column::Text(cells) | Column::Json(cells) => cells.values.clone(),
        _ => panic!("{name} has no texts"),
    }
}

#[tokio::test]
async fn lines_are_one_frame_with_the_newest_first() {
    let (server, seen) = loki().await;
    let frames = ask(&server, json!({"expr": "{app=~\".+\"}"})).await.unwrap();
    assert_eq!(frames.len(), 1);
    let frame = &frames[0];
    let names: Vec<_> = frame.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["labels", "Time", "Line", "tsNs", "labelTypes", "id"]);
    assert_eq!(texts(frame, "Line"), ["third line", "third line", "second \"line\"", "first line"]);
    assert_eq!(texts(frame, "tsNs")[2], "1700000002000000001");
    let Column::Time(times) = &frame.fields[1].column else { panic!("no times") };
    assert_eq!(times.values[2], 1_700_000_002_000_000_001);
    let labels = r#"{"app":"web","level":"info","status":"200","trace_id":"t2"}"#;
    assert_eq!(
        serde_json::from_str::<Value>(&texts(frame, "labels")[2]).unwrap(),
        serde_json::from_str::<Value>(labels).unwrap()
    );
    let types = r#"{"app":"I","level":"I","status":"P","trace_id":"S"}"#;
    assert_eq!(
        serde_json::from_str::<Value>(&texts(frame, "labelTypes")[2]).unwrap(),
        serde_json::from_str::<Value>(types).unwrap()
    );
    let mut ids = texts(frame, "id");
    assert!(ids[2].starts_with("1700000002000000001_"));
    assert_eq!(ids, texts(&ask(&server, json!({"expr": "{app=~\".+\"}"})).await.unwrap()[0], "id"));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let meta = frame.meta.as_ref().unwrap();
    assert_eq!(meta.preferred_visualisation, Some("logs"));
    assert_eq!(meta.custom, Some(json!({"frameType": "LabeledTimeValues"})));
    assert_eq!(meta.executed_query.as_deref(), Some("Expr: {app=~\".+\"}"));
    assert_eq!(seen.lock().unwrap()[0].headers["x-loki-response-encoding-flags"], "categorize-labels");
    let forward = ask(&server, json!({"expr": "{a=\"b\"}", "direction": "forward"})).await.unwrap();
    assert_eq!(texts(&forward[0], "Line")[0], "first line");
    let none = ask(&server, json!({"expr": "none"})).await.unwrap();
    assert_eq!((none.len(), none[0].fields.len(), none[0].fields[0].column.len()), (1, 5, 0));
}

#[tokio::test]
async fn numbers_are_frames_of_series() {
    let (server, _) = loki().await;
    let model = json!({"expr": "sum by (app) (rate({a=\"b\"}[$__auto]))", "legendFormat": "{{app}}"});
    let frames = ask(&server, model).await.unwrap();
    assert_eq!(frames.iter().map(|frame| frame.name.as_str()).collect::<Vec<_>>(), ["web", "db"]);
    let meta = frames[0].meta.as_ref().unwrap();
    assert_eq!(meta.kind, Some("timeseries-multi"));
    let executed = "Expr: sum by (app) (rate({a=\"b\"}[15s]))\nStep: 15s";
    assert_eq!(meta.executed_query.as_deref(), Some(executed));
    let Column::Time(times) = &frames[0].fields[0].column else { panic!("no times") };
    assert_eq!(times.values, [1_700_000_000_000_000_000, 1_700_000_015_500_000_000]);
    let instant =
        ask(&server, json!({"expr": "count_over_time({a=\"b\"}[1h])", "queryType": "instant"})).await;
    let instant = instant.unwrap();
    assert_eq!(instant[0].meta.as_ref().unwrap().kind, Some("numeric-multi"));
    assert_eq!(instant[0].name, "{app=\"web\"}");
}

#[tokio::test]
async fn errors_are_texts_or_json() {
    let (server, _) = loki().await;
    for (expression, status, message) in [
        (
            "too many",
            400,
            "data source \"Test\" answered 400: max entries limit per query exceeded, limit > ",
        ),
        ("broken", 500, "data source \"Test\" answered 500: the ring is empty"),
        (
            "html",
            502,
            "data source \"Test\" answered 200 with something else than the JSON of its API at byte 0",
        ),
    ] {
        let error = ask(&server, json!({ "expr": expression })).await.unwrap_err();
        assert_eq!(error.status, status);
        assert!(error.message.starts_with(message), "{}", error.message);
    }
}

#[test]
fn no_damage_is_taken_for_an_answer() {
    let model = json!({"expr": "{a=\"b\"}"});
    let query = LokiQuery::try_new(&query(model), &source("http://localhost")).unwrap();
    for text in [STREAMS, MATRIX, VECTOR] {
        let text = text.trim_end();
        assert!(answer::read(text, 1 << 20, &query).is_ok());
        assert!((0..text.len()).all(|end| answer::read(&text[..end], 1 << 20, &query).is_err()));
    }
    // Each line is counted with the labels of its stream.
    let lines = r#"["1","x"],"#.repeat(1_000);
    let stream = format!(
        r#"{{"data":{{"resultType":"streams","result":[{{"stream":{{"a":"{}"}},"values":[{}]}}]}}}}"#,
        "b".repeat(10_000),
        lines.trim_end_matches(',')
    );
    assert!(answer::read(&stream, 1 << 20, &query).is_err());
    assert!(answer::read(&stream, 16 << 20, &query).is_ok());
}

#[tokio::test]
async fn health_and_resources_are_those_of_its_api() {
    let (server, seen) = loki().await;
    let backend = LokiBackend::new(server.clients(), workers());
    let context = context(source(&server.url()));
    assert!(backend.check_health(&context).await.is_ok);
    assert_eq!(seen.lock().unwrap()[0].query, "query=vector%281%29%2Bvector%281%29");
    for path in ["labels", "label/app/values", "index/stats"] {
        let answer = backend.call_resource(&context, resource("GET", path, "start=1")).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(!collected(answer).await.unwrap().is_empty());
    }
    for (method, path) in [
        ("GET", "push"),
        ("POST", "labels"),
        ("GET", "label/a/b/values"),
        ("GET", "label//values"),
        ("GET", "../labels"),
        ("GET", "label/..%2f..%2f..%2fdelete/values"),
    ] {
        let error = backend.call_resource(&context, resource(method, path, "")).await.unwrap_err();
        assert!(matches!(error.status, 400 | 404), "{method} {path}");
    }
}
