use kymograph_app::ErrorKind;
use kymograph_app::source::backend::{QueryError, QueryResults};
use kymograph_domain::source::frame::Labels;
use serde_json::{Value, json};

use super::*;

fn shown(results: &QueryResults) -> BTreeMap<&str, &QueryResult> {
    results.iter().map(|(ref_id, result)| (ref_id.as_str(), result)).collect()
}

fn written(results: &QueryResults) -> String {
    String::from_utf8(answer(&shown(results), 0, usize::MAX).unwrap()).unwrap()
}

/// The only frame of an answer.
fn frame(frame: Frame) -> Value {
    let written = written(&BTreeMap::from([("A".to_owned(), Ok(vec![frame]))]));
    let answer: Value = serde_json::from_str(&written).unwrap();
    answer["results"]["A"]["frames"][0].clone()
}

fn of(fields: Vec<Field>) -> Frame {
    Frame { fields, ..Frame::default() }
}

#[test]
fn an_answer_has_results_by_ref_id() {
    let results = BTreeMap::from([
        ("B".to_owned(), Err(QueryError::invalid("it \"makes\" no sense"))),
        ("A".to_owned(), Ok(vec![of(vec![])])),
        ("C\n".to_owned(), Err(QueryError::downstream(504, "it is slow"))),
    ]);
    let expected = concat!(
        r#"{"results":{"A":{"status":200,"frames":[{"schema":{"refId":"A","fields":[]},"data":{"values":[]}}]},"#,
        r#""B":{"error":"it \"makes\" no sense","errorSource":"plugin","status":400,"frames":[]},"#,
        r#""C\n":{"error":"it is slow","errorSource":"downstream","status":504,"frames":[]}}}"#,
    );
    assert_eq!(written(&results), expected);
    assert_eq!(written(&BTreeMap::new()), r#"{"results":{}}"#);
}

/// A frame of which everything is known.
fn series_of_prometheus() -> Frame {
    let config = FieldConfig {
        display_name_from_ds: Some("up{job=\"a\"}".into()),
        interval_ms: Some(15_000.0),
        unit: Some("s".into()),
        is_filterable: Some(true),
        links: Some(json!([{ "title": "x" }])),
    };
    let interval = FieldConfig { interval_ms: Some(0.5), ..FieldConfig::default() };
    let times = Column::Time(Cells::new(vec![1_600_000_000_000_000_000, 1_600_000_015_000_000_000]));
    let value = Field {
        labels: Some(Labels::from([("job".into(), "a\\b".into()), ("host".into(), "ä".into())])),
        config: Some(Box::new(config)),
        ..Field::new("Value", Column::Float64(Cells::new(vec![1.0, 0.25])))
    };
    let meta = FrameMeta {
        kind: Some("timeseries-multi"),
        kind_version: [0, 1],
        executed_query: Some("Expr: up\nStep: 15s".into()),
        preferred_visualisation: Some("graph"),
        notices: vec![
            Notice { severity: "info", text: "one".into() },
            Notice { severity: "warning", text: "two".into() },
        ],
        custom: Some(json!({ "resultType": "matrix" })),
    };
    Frame {
        name: "up".into(),
        meta: Some(Box::new(meta)),
        fields: vec![Field { config: Some(Box::new(interval)), ..Field::new("Time", times) }, value],
    }
}

#[test]
fn a_series_as_prometheus_has_it() {
    let expected = json!({
        "schema": {
            "name": "up",
            "refId": "A",
            "meta": {
                "type": "timeseries-multi",
                "typeVersion": [0, 1],
                "custom": { "resultType": "matrix" },
                "notices": [{ "severity": "info", "text": "one" }, { "severity": "warning", "text": "two" }],
                "preferredVisualisationType": "graph",
                "executedQueryString": "Expr: up\nStep: 15s",
            },
            "fields": [
                { "name": "Time", "type": "time", "typeInfo": { "frame": "time.Time" }, "config": { "interval": 0.5 } },
                {
                    "name": "Value",
                    "type": "number",
                    "typeInfo": { "frame": "float64" },
                    "labels": { "host": "ä", "job": "a\\b" },
                    "config": {
                        "displayNameFromDS": "up{job=\"a\"}",
                        "filterable": true,
                        "unit": "s",
                        "interval": 15000,
                        "links": [{ "title": "x" }],
                    },
                },
            ],
        },
        "data": { "values": [[1_600_000_000_000_i64, 1_600_000_015_000_i64], [1, 0.25]] },
    });
    assert_eq!(frame(series_of_prometheus()), expected);
}

#[test]
fn what_is_there_and_empty_is_written() {
    let empty = Frame {
        meta: Some(Box::default()),
        fields: vec![Field {
            config: Some(Box::default()),
            labels: Some(Labels::new()),
            ..Field::new("", Column::Int16(Cells::new(vec![])))
        }],
        ..Frame::default()
    };
    let expected = json!({
        "schema": {
            "refId": "A",
            "meta": { "typeVersion": [0, 0] },
            "fields": [{ "name": "", "type": "number", "typeInfo": { "frame": "int16" }, "labels": {}, "config": {} }],
        },
        "data": { "values": [[]] },
    });
    assert_eq!(frame(empty), expected);
}

#[test]
fn each_type_of_cells() {
    let texts = |texts: &[Option<&str>]| texts.iter().map(|text| text.map(str::to_owned)).collect();
    let columns = [
        (Column::Float32([Some(0.1), None].into_iter().collect()), "number", "float32", json!([0.1, null])),
        (
            Column::Int64([Some(i64::MIN), None].into_iter().collect()),
            "number",
            "int64",
            json!([i64::MIN, null]),
        ),
        (Column::Int32([None, Some(-3)].into_iter().collect()), "number", "int32", json!([null, -3])),
        (Column::Int16([Some(1), Some(2)].into_iter().collect()), "number", "int16", json!([1, 2])),
        (
            Column::Bool([Some(true), Some(false)].into_iter().collect()),
            "boolean",
            "bool",
            json!([true, false]),
        ),
        (Column::Text(texts(&[Some("a\"\u{1}"), None])), "string", "string", json!(["a\"\u{1}", null])),
        (
            Column::Json(texts(&[Some("{\"a\": [1]}"), None])),
            "other",
            "json.RawMessage",
            json!([{ "a": [1] }, null]),
        ),
        (
            Column::Json(texts(&[Some("{\"a\""), Some("1 2")])),
            "other",
            "json.RawMessage",
            json!(["{\"a\"", "1 2"]),
        ),
        (Column::Time([Some(5_000_000), None].into_iter().collect()), "time", "time.Time", json!([5, null])),
    ];
    let fields = columns.iter().map(|(column, ..)| Field::new("x", column.clone())).collect();
    let frame = frame(of(fields));
    for (at, (_, kind, type_of_cells, values)) in columns.iter().enumerate() {
        let field =
            json!({ "name": "x", "type": kind, "typeInfo": { "frame": type_of_cells, "nullable": true } });
        assert_eq!(frame["schema"]["fields"][at], field);
        assert_eq!(frame["data"]["values"][at], *values);
    }
    assert_eq!(frame["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["values"]);
}

#[test]
fn what_is_no_json_number_is_told_beside_the_values() {
    let special =
        [Some(f64::NAN), Some(1.0), None, Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(f64::NAN)];
    let one = [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(f32::INFINITY), Some(1.0)];
    let fields = vec![
        Field::new("none", Column::Float64(Cells::new(vec![1.0; 6]))),
        Field::new("all", Column::Float64(special.into_iter().collect())),
        Field::new("one", Column::Float32(one.into_iter().collect())),
        Field::new("text", Column::Text(Cells::new(vec![String::new(); 6]))),
    ];
    let data = &frame(of(fields))["data"];
    assert_eq!(data["values"][1], json!([null, 1, null, null, null, null]));
    assert_eq!(
        data["entities"],
        json!([null, { "NaN": [0, 5], "Inf": [3], "NegInf": [4] }, { "Inf": [4] }, null])
    );
    assert_eq!(data.get("nanos"), None);
    // What is null has no number, whatever is in its place.
    let null = Cells { values: vec![f64::NAN], is_nullable: true, nulls: vec![true] };
    assert_eq!(
        frame(of(vec![Field::new("x", Column::Float64(null))]))["data"],
        json!({ "values": [[null]] })
    );
}

#[test]
fn times_are_milliseconds_and_the_rest_of_them() {
    let times = |times: &[Option<i64>]| Field::new("t", Column::Time(times.iter().copied().collect()));
    let fields = vec![
        times(&[Some(1_000_001), Some(-1), None, Some(2_000_000)]),
        times(&[Some(1_000_000), None, None, Some(0)]),
        Field::new("v", Column::Int16(Cells::new(vec![1; 4]))),
    ];
    let data = &frame(of(fields))["data"];
    assert_eq!(data["values"], json!([[1, -1, null, 2], [1, null, null, 0], [1, 1, 1, 1]]));
    assert_eq!(data["nanos"], json!([[1, 999_999, 0, 0], null, null]));
    assert_eq!(data.get("entities"), None);
}

#[test]
fn times_that_repeat_are_written_each_time() {
    let series = |times: &[Option<i64>], value: f64| {
        let times = times.iter().map(|time| time.map(|time| time * NANOS_OF_MS)).collect();
        let rows = vec![value; 2];
        of(vec![Field::new("t", Column::Time(times)), Field::new("v", Column::Float64(Cells::new(rows)))])
    };
    let same = [Some(1), Some(2)];
    let frames = vec![
        series(&same, 1.0),
        series(&same, 2.0),
        series(&[Some(1), Some(3)], 3.0),
        series(&same, 4.0),
        series(&[Some(1), None], 5.0),
        series(&[Some(1), Some(0)], 6.0),
    ];
    let results = BTreeMap::from([("A".to_owned(), Ok(frames.clone())), ("B".to_owned(), Ok(frames))]);
    let answer: Value = serde_json::from_str(&written(&results)).unwrap();
    let times = [json!([1, 2]), json!([1, 2]), json!([1, 3]), json!([1, 2]), json!([1, null]), json!([1, 0])];
    for ref_id in ["A", "B"] {
        for (at, times) in times.iter().enumerate() {
            let values = &answer["results"][ref_id]["frames"][at]["data"]["values"];
            assert_eq!((&values[0], &values[1][1]), (times, &json!(at + 1)));
        }
    }
}

#[test]
fn long_columns_are_whole() {
    let rows = 3 * CELLS + 1;
    let values: Vec<_> =
        (0..rows).map(|row| Some(i64::try_from(row).unwrap()).filter(|row| row % 300 != 0)).collect();
    let frame = frame(of(vec![Field::new("v", Column::Int64(values.iter().copied().collect()))]));
    assert_eq!(frame["data"]["values"][0], json!(values));
}

/// An answer of exactly the bytes that it may have is whole, one more is refused, wherever that one is.
#[test]
fn an_answer_is_bounded() {
    let many = |count: usize| {
        let special = vec![f64::NAN; count];
        let times = Cells::new((0..count).map(|at| i64::try_from(at).unwrap()).collect());
        of(vec![
            Field::new("t", Column::Time(times)),
            Field::new("v", Column::Float64(Cells::new(special))),
            Field::new("x", Column::Text(Cells::new(vec!["\n".to_owned(); count]))),
            Field::new("j", Column::Json(Cells::new(vec!["[1]".to_owned(); count]))),
        ])
    };
    let results = BTreeMap::from([
        ("A".to_owned(), Ok(vec![many(3), many(3)])),
        ("B".to_owned(), Err(QueryError::invalid("x"))),
    ]);
    let whole = answer(&shown(&results), 0, usize::MAX).unwrap();
    assert_eq!(answer(&shown(&results), 0, whole.len()).unwrap(), whole);
    for max_bytes in 0..whole.len() {
        let refused = answer(&shown(&results), 0, max_bytes).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge, "{max_bytes}");
    }
    // It stops early: the buffer does not grow to what the answer would be.
    let huge = BTreeMap::from([("A".to_owned(), Ok(vec![many(100_000)]))]);
    for max_bytes in [100, 10_000, 300_000, 700_000] {
        assert!(answer(&shown(&huge), 0, max_bytes).is_err());
    }
}
