use std::sync::Arc;
use std::time::{Duration, Instant};

use kymograph_app::source::backend::{QueryResult, SourceSecrets, SourceSettings, TimeRange};
use kymograph_app::source::room::AnswerShare;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_domain::source::frame::{Column, Frame};
use kymograph_domain::{OrgId, Uid};
use serde_json::Value;

use super::*;
use crate::fixture::workers;

const HOUR_MS: i64 = 3_600_000;

fn context() -> SourceContext {
    let source = SourceSettings {
        org: OrgId(1),
        id: 1,
        uid: Uid::try_new("made-up").unwrap(),
        content: DataSourceContent {
            name: "Made up".to_owned(),
            kind: TYPES[0].to_owned(),
            ..DataSourceContent::default()
        },
        secrets: SourceSecrets::default(),
        version: 1,
        updated_ms: 0,
    };
    SourceContext {
        source: Arc::new(source),
        user: None,
        headers: Vec::new(),
        max_bytes: 1 << 20,
        share: Arc::new(AnswerShare::alone(OrgId(1))),
    }
}

fn query(ref_id: &str, model: &Value) -> Query {
    Query {
        ref_id: ref_id.to_owned(),
        query_type: String::new(),
        model: Arc::new(model.as_object().unwrap().clone()),
        range: TimeRange { from_ms: 0, to_ms: HOUR_MS },
        interval_ms: 60_000,
        max_data_points: 100,
    }
}

async fn ask(model: Value) -> QueryResult {
    TestDataBackend::new(workers()).query(&context(), &[query("A", &model)]).await.remove("A").unwrap()
}

async fn frames(model: Value) -> Vec<Frame> {
    ask(model.clone()).await.unwrap_or_else(|error| panic!("{model}: {error:?}"))
}

fn numbers(column: &Column) -> &[f64] {
    match column {
        Column::Float64(cells) => &cells.values,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_scenario_answers_with_columns_of_one_length() {
    for known in
        scenario::SCENARIOS.iter().filter(|known| !["server_error_500", "slow_query"].contains(&known.id))
    {
        let model = json!({"scenarioId": known.id, "csvContent": "a,b\n1,2", "csvFileName": "daily_visits.csv",
            "csvWave": [{"valuesCSV": "1,2"}]});
        let answer = frames(model.clone()).await;
        assert_eq!(answer.is_empty(), known.id == "no_data_points", "{}", known.id);
        for frame in &answer {
            let lengths: Vec<_> = frame.fields.iter().map(|field| field.column.len()).collect();
            assert!(
                lengths[0] > 0 && lengths.iter().all(|length| *length == lengths[0]),
                "{}: {lengths:?}",
                known.id
            );
        }
        assert_eq!(answer, frames(model).await, "{}", known.id);
    }
}

#[tokio::test]
async fn a_walk_keeps_to_what_was_asked_for() {
    let walk =
        frames(json!({"seriesCount": 3, "min": 10, "max": 12, "startValue": 11, "spread": 50, "noise": 1,
        "alias": "walk $seriesIndex", "labels": "host=h$seriesIndex"}))
        .await;
    assert_eq!(walk.len(), 3);
    assert_eq!(
        (walk[2].name.as_str(), walk[2].fields[1].labels.as_ref().unwrap()["host"].as_str()),
        ("walk 2", "h2")
    );
    for frame in &walk {
        let values = numbers(&frame.fields[1].column);
        assert!(values.len() == 60 && values.iter().all(|value| (10.0..=12.0).contains(value)), "{values:?}");
    }
    assert_ne!(walk[0].fields[1].column, walk[1].fields[1].column);
    let one = frames(json!({"scenarioId": "random_walk", "startValue": 5, "spread": 0})).await;
    assert_eq!((one[0].name.as_str(), numbers(&one[0].fields[1].column)), ("A-series", [5.0; 60].as_slice()));
    let sparse = frames(json!({"drop": 50})).await;
    assert!((10..50).contains(&sparse[0].fields[1].column.len()));
    assert_eq!(frames(json!({"drop": 100})).await[0].fields[1].column.len(), 0);
}

#[tokio::test]
async fn streams_begin_with_bands_around_a_signal() {
    let stream = frames(
        json!({"scenarioId": "streaming_client", "stream": {"type": "signal", "speed": 1000, "bands": 2}}),
    )
    .await;
    let names: Vec<_> = stream[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["Time", "Value", "Min 1", "Max 1", "Min 2", "Max 2"]);
    let columns: Vec<_> = stream[0].fields[1..].iter().map(|field| numbers(&field.column)).collect();
    assert!(
        columns[0].len() == 100
            && (0..100).all(|row| columns[1][row] <= columns[0][row] && columns[2][row] >= columns[0][row])
    );
    let Column::Time(times) = &stream[0].fields[0].column else { panic!("no times") };
    assert_eq!(times.values.last(), Some(&(HOUR_MS * 1_000_000)));
    let logs =
        frames(json!({"scenarioId": "streaming_client", "stream": {"type": "logs"}, "lines": 4})).await;
    assert_eq!(logs[0].fields[1].column.len(), 4);
}

#[tokio::test]
async fn logs_have_as_many_lines_as_wanted() {
    let logs = frames(json!({"scenarioId": "logs", "lines": 25, "levelColumn": true})).await;
    let names: Vec<_> = logs[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        (names.as_slice(), logs[0].fields[0].column.len()),
        (["time", "message", "hostname", "level"].as_slice(), 25)
    );
    assert_eq!(logs[0].meta.as_ref().unwrap().preferred_visualisation, Some("logs"));
}

#[tokio::test]
async fn slow_queries_are_slow_side_by_side_and_within_limits() {
    let slow = json!({"scenarioId": "slow_query", "stringInput": "500ms"});
    let queries: Vec<_> = (0..5).map(|number| query(&number.to_string(), &slow)).collect();
    let begun = Instant::now();
    let answers = TestDataBackend::new(workers()).query(&context(), &queries).await;
    assert!(answers.len() == 5 && answers.values().all(Result::is_ok));
    assert!((500..2400).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    for input in ["31s", "x", "-1s", "1y"] {
        let error = ask(json!({"scenarioId": "slow_query", "stringInput": input})).await.unwrap_err();
        assert!(error.status == 400 && error.message.contains("at most 30s"), "{error:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_is_too_much_or_unknown_is_told() {
    let error = ask(json!({"scenarioId": "server_error_500"})).await.unwrap_err();
    assert_eq!(error.status, 500);
    for (model, told) in [
        (json!({"scenarioId": "nothing"}), "there is no scenario nothing"),
        (json!({"seriesCount": 101}), "seriesCount must be from 1 to 100"),
        (json!({"seriesCount": -1}), "seriesCount must be from 1 to 100"),
        (json!({"spread": "wide"}), "spread must be a number"),
        (json!({"min": 2, "max": 1}), "min is above max"),
        (json!({"labels": "host"}), "must be written as name=value"),
        (json!({"scenarioId": "logs", "lines": 10_001}), "lines must be from 1 to 10000"),
        (json!({"scenarioId": "csv_file", "csvFileName": "../secret"}), "csvFileName must be one of"),
        (json!({"scenarioId": "csv_content", "csvContent": "a\n1,2"}), "cannot be read"),
        (json!({"scenarioId": "streaming_client", "stream": {"type": "fetch"}}), "must be signal or logs"),
        (json!({"scenarioId": "streaming_client", "stream": {"bands": 11}}), "bands must be from 1 to 10"),
    ] {
        let error = ask(model).await.unwrap_err();
        assert!(error.status == 400 && error.message.contains(told), "{error:?}");
    }
    let many = Query { max_data_points: 10_000, interval_ms: 1, ..query("A", &json!({"seriesCount": 100})) };
    let error =
        TestDataBackend::new(workers()).query(&context(), &[many]).await.remove("A").unwrap().unwrap_err();
    assert!(error.message.contains("more than 200000 points"), "{error:?}");
}

#[tokio::test]
async fn scenarios_are_listed_for_editors() {
    let request = |path: &str| ResourceRequest {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let answer =
        TestDataBackend::new(workers()).call_resource(&context(), request("scenarios")).await.unwrap();
    let parts: Vec<_> = answer.body.collect().await;
    let list: Value = serde_json::from_slice(parts[0].as_ref().unwrap()).unwrap();
    assert_eq!(
        (list.as_array().unwrap().len(), list[0]["id"].as_str()),
        (scenario::SCENARIOS.len(), Some("random_walk"))
    );
    assert_eq!(
        TestDataBackend::new(workers()).call_resource(&context(), request("files")).await.unwrap_err().status,
        404
    );
    assert!(TestDataBackend::new(workers()).check_health(&context()).await.is_ok);
}
