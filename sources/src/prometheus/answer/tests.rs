//! Responses as Prometheus documents them.

use kymograph_domain::source::frame::Column;
use serde_json::json;

use super::*;
use crate::fixture::{query, source};
use crate::json::JsonError;

fn asking() -> PrometheusQuery {
    let model = json!({"expr": "up", "legendFormat": "{{job}}"});
    PrometheusQuery::try_new(&query(model), &source("http://localhost")).unwrap()
}

fn read(text: &str, asked: Asked) -> Read<PrometheusAnswer> {
    PrometheusAnswer::read(text, 1 << 20, asked, &asking())
}

fn frames(text: &str, asked: Asked) -> Vec<Frame> {
    read(text, asked).unwrap().frames
}

fn floats(frame: &Frame, at: usize) -> &[f64] {
    let Column::Float64(cells) = &frame.fields[at].column else { panic!("no floats") };
    &cells.values
}

fn times(frame: &Frame, at: usize) -> &[i64] {
    let Column::Time(cells) = &frame.fields[at].column else { panic!("no times") };
    &cells.values
}

const MATRIX: &str = r#"{
    "status": "success", "warnings": ["half of it"], "infos": ["look"],
    "data": {"resultType": "matrix", "result": [
        {"metric": {"__name__": "up", "job": "a"}, "values": [[1435781430.781, "1"], [1435781445.781, "NaN"]]},
        {"metric": {"__name__": "up", "job": "b\u00e9"}, "values": [[1435781430, "+Inf"], [1435781445, "-1.5e-3"]]}
    ], "stats": {"seriesFetched": "2"}}
}"#;

#[test]
fn each_series_of_a_matrix_is_a_frame() {
    let frames = frames(MATRIX, Asked::Range);
    assert_eq!(frames.len(), 2);
    let first = &frames[0];
    assert_eq!(first.name, "a");
    assert_eq!(times(first, 0), [1_435_781_430_781_000_000, 1_435_781_445_781_000_000]);
    assert_eq!(floats(first, 1)[0].to_bits(), 1.0_f64.to_bits());
    assert!(floats(first, 1)[1].is_nan());
    assert_eq!((first.fields[0].name.as_str(), first.fields[1].name.as_str()), ("Time", "Value"));
    assert_eq!(first.fields[0].config.as_ref().unwrap().interval_ms, Some(15_000.0));
    assert_eq!(first.fields[1].config.as_ref().unwrap().display_name_from_ds.as_deref(), Some("a"));
    assert_eq!(first.fields[1].labels.as_ref().unwrap()["__name__"], "up");
    let meta = first.meta.as_ref().unwrap();
    assert_eq!((meta.kind, meta.kind_version), (Some("timeseries-multi"), [0, 1]));
    assert_eq!(meta.custom, Some(json!({"resultType": "matrix"})));
    assert_eq!(meta.executed_query.as_deref(), Some("Expr: up\nStep: 15s"));
    let notices: Vec<_> = meta.notices.iter().map(|notice| (notice.severity, notice.text.as_str())).collect();
    assert_eq!(notices, [("warning", "half of it"), ("info", "look")]);
    assert_eq!(frames[1].name, "bé");
    assert_eq!(floats(&frames[1], 1), [f64::INFINITY, -1.5e-3]);
    let second = frames[1].meta.as_ref().unwrap();
    assert!(second.executed_query.is_none() && second.notices.is_empty());
}

#[test]
fn the_order_of_members_does_not_matter() {
    let turned = r#"{"data": {"result": [{"values": [[1, "2"]], "metric": {"job": "a"}}], "resultType": "matrix"},
        "status": "success"}"#;
    let frames = frames(turned, Asked::Range);
    assert_eq!((frames.len(), frames[0].name.as_str(), floats(&frames[0], 1)), (1, "a", [2.0].as_slice()));
}

#[test]
fn vectors_and_scalars_are_numbers() {
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"job":"a"},"value":[1435781451.781,"1"]},{"metric":{"job":"b"},"value":[1435781451.781,"0"]}]}}"#;
    let vector = frames(vector, Asked::Instant);
    assert_eq!((vector.len(), floats(&vector[1], 1)), (2, [0.0].as_slice()));
    assert_eq!(vector[0].meta.as_ref().unwrap().kind, Some("numeric-multi"));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"2.5"]}}"#;
    let scalar = frames(scalar, Asked::Instant);
    assert_eq!(
        (floats(&scalar[0], 1), scalar[0].fields[1].labels.as_ref().unwrap().len()),
        ([2.5].as_slice(), 0)
    );
    let string = r#"{"status":"success","data":{"resultType":"string","result":[1435781451.781,"a text"]}}"#;
    let Column::Text(cells) = &frames(string, Asked::Instant)[0].fields[1].column else { panic!("no text") };
    assert_eq!(cells.values, ["a text"]);
}

#[test]
fn nothing_is_a_frame_without_fields() {
    let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let frames = frames(nothing, Asked::Range);
    assert_eq!((frames.len(), frames[0].fields.len()), (1, 0));
    let meta = frames[0].meta.as_ref().unwrap();
    assert!(meta.executed_query.is_some() && meta.custom.is_some());
}

#[test]
fn histograms_are_cells_of_a_heatmap() {
    let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"histograms":[
        [1435781430, {"count":"3","sum":"4","buckets":[[0,"1","2","1"],[3,"-0.5","0.5","2"]]}]]}]}}"#;
    let frames = frames(text, Asked::Range);
    assert_eq!(frames.len(), 1);
    let names: Vec<_> = frames[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["xMax", "yMin", "yMax", "count", "yLayout"]);
    assert_eq!(times(&frames[0], 0), [1_435_781_430_000_000_000; 2]);
    assert_eq!(
        (floats(&frames[0], 1), floats(&frames[0], 2)),
        ([1.0, -0.5].as_slice(), [2.0, 0.5].as_slice())
    );
    assert_eq!(floats(&frames[0], 3), [1.0, 2.0]);
    assert_eq!(frames[0].meta.as_ref().unwrap().kind, Some("heatmap-cells"));
}

#[test]
fn exemplars_are_one_frame() {
    let text = r#"{"status":"success","data":[
        {"seriesLabels":{"job":"a"},"exemplars":[
            {"labels":{"trace_id":"t1"},"value":"6","timestamp":1600096945.479},
            {"labels":{"trace_id":"t2"},"value":"5.9","timestamp":1600096945.5}]},
        {"seriesLabels":{"job":"b"},"exemplars":[
            {"labels":{"trace_id":"t3"},"value":"1","timestamp":1600096900}]}]}"#;
    let frames = frames(text, Asked::Exemplars);
    let names: Vec<_> = frames[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["Time", "Value", "job", "trace_id"]);
    // Of the two in one step the larger is kept: the difference is small.
    assert_eq!(floats(&frames[0], 1), [1.0, 6.0]);
    let Column::Text(traces) = &frames[0].fields[3].column else { panic!("no text") };
    assert_eq!(traces.values, ["t3", "t1"]);
    assert_eq!(frames[0].meta.as_ref().unwrap().custom, Some(json!({"resultType": "exemplar"})));
}

#[test]
fn errors_are_told() {
    let text = r#"{"status":"error","errorType":"bad_data","error":"parse error:\nno","data":null}"#;
    assert_eq!(read(text, Asked::Range).unwrap().error.as_deref(), Some("bad_data: parse error: no"));
}

#[test]
fn no_damage_is_taken_for_an_answer() {
    for end in 0..MATRIX.len() {
        if let Some(beginning) = MATRIX.get(..end) {
            assert!(read(beginning, Asked::Range).is_err(), "{beginning}");
        }
    }
    for text in [
        "<html>",
        "[]",
        "null",
        "{}",
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":{"resultType":"matrix"}}"#,
        r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,2]]}]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[["1","2"]]}]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":{}}}"#,
    ] {
        assert!(matches!(read(text, Asked::Range), Err(JsonError::Malformed(_))), "{text}");
    }
}

#[test]
fn whatever_comes_is_read_or_refused() {
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    let bytes = br#"{}[]",:\0123456789.-+eE untfaIN"#;
    for _ in 0..20_000 {
        let mut text = MATRIX.as_bytes().to_vec();
        for _ in 0..=next(4) {
            let at = next(text.len());
            match next(3) {
                0 => text[at] = bytes[next(bytes.len())],
                1 => drop(text.remove(at)),
                _ => text.insert(at, bytes[next(bytes.len())]),
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        for asked in [Asked::Range, Asked::Exemplars] {
            // A parsed frame has columns of equal length.
            let frames = read(&text, asked).map(|answer| answer.frames).unwrap_or_default();
            for frame in frames {
                let lengths: Vec<_> = frame.fields.iter().map(|field| field.column.len()).collect();
                assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
            }
        }
    }
}

#[test]
fn small_texts_make_no_large_frames() {
    let series = r#"{"metric":{},"values":[]},"#.repeat(2_000);
    let text = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#,
        series.trim_end_matches(',')
    );
    let query = asking();
    assert!(PrometheusAnswer::read(&text, 4 << 20, Asked::Range, &query).is_ok());
    let refused = PrometheusAnswer::read(&text, 1 << 20, Asked::Range, &query);
    assert_eq!(refused.unwrap_err(), JsonError::TooMuch);
}
