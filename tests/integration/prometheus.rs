//! The Prometheus backend against a real Prometheus: the values of its frames equal those of Prometheus itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Query, QueryError, ResourceRequest, SourceContext, SourceProxy, SourceSecrets, SourceSettings,
    TimeRange,
};
use kymograph_app::source::room::AnswerShare;
use kymograph_domain::OrgId;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_domain::source::frame::{Column, Frame};
use kymograph_infra::compute::ComputeThreads;
use kymograph_sources::client::{ClientSettings, HttpClients};
use kymograph_sources::policy::{Egress, EgressPolicy};
use kymograph_sources::prometheus::PrometheusBackend;
use kymograph_sources::proxy::HttpProxy;
use kymograph_tests::PrometheusServer;
use serde_json::{Value, json};

fn clients() -> Arc<HttpClients> {
    let policy = EgressPolicy { allows_loopback: true, ..EgressPolicy::default() };
    Arc::new(HttpClients::new(Egress::new(policy), ClientSettings::default()))
}

fn workers() -> Workers {
    Workers::on(ComputeThreads::start("source-test", Workers::turns()).unwrap())
}

fn context(url: &str, json_data: Value) -> SourceContext {
    let source = SourceSettings {
        org: OrgId(1),
        id: 1,
        uid: "prometheus".parse().unwrap(),
        content: DataSourceContent {
            name: "Prometheus".to_owned(),
            kind: "prometheus".to_owned(),
            url: url.to_owned(),
            json_data: json_data.as_object().unwrap().clone(),
            ..DataSourceContent::default()
        },
        secrets: SourceSecrets::default(),
        version: 1,
        updated_ms: 0,
    };
    let share = Arc::new(AnswerShare::alone(source.org));
    SourceContext { source: Arc::new(source), user: None, headers: Vec::new(), max_bytes: 64 << 20, share }
}

async fn ask(context: &SourceContext, model: Value, range: TimeRange) -> Result<Vec<Frame>, QueryError> {
    let query = Query {
        ref_id: "A".to_owned(),
        query_type: String::new(),
        model: Arc::new(model.as_object().unwrap().clone()),
        range,
        interval_ms: 1_000,
        max_data_points: 1_000,
    };
    PrometheusBackend::new(clients(), workers()).query(context, &[query]).await.remove("A").unwrap()
}

/// The response of Prometheus itself.
async fn own_answer(server: &PrometheusServer, path: &str, parameters: &[(&str, &str)]) -> Value {
    let request = reqwest::Client::new().get(format!("{}/api/v1/{path}", server.url())).query(parameters);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "success", "{answer}");
    answer["data"]["result"].clone()
}

/// Times in nanoseconds and values, as bits, so that NaN equals itself.
type Points = Vec<(i64, u64)>;

fn points_of_frames(frames: &[Frame]) -> BTreeMap<String, Points> {
    let points = |frame: &Frame| {
        let (Column::Time(times), Column::Float64(values)) =
            (&frame.fields[0].column, &frame.fields[1].column)
        else {
            panic!("the columns are of other types")
        };
        let labels = json!(frame.fields[1].labels.as_ref().unwrap()).to_string();
        let values = values.values.iter().map(|value| value.to_bits());
        (labels, times.values.iter().copied().zip(values).collect())
    };
    frames.iter().map(points).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the times of a test are whole milliseconds")]
fn point(sample: &Value) -> (i64, u64) {
    let millis = (sample[0].as_f64().unwrap() * 1_000.0).round() as i64;
    (millis * 1_000_000, sample[1].as_str().unwrap().parse::<f64>().unwrap().to_bits())
}

fn points_of_answer(result: &Value) -> BTreeMap<String, Points> {
    let series = |series: &Value| {
        let labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
        let points = match series["values"].as_array() {
            Some(samples) => samples.iter().map(point).collect(),
            None => vec![point(&series["value"])],
        };
        (json!(labels).to_string(), points)
    };
    result.as_array().unwrap().iter().map(series).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_numbers_are_those_of_prometheus() {
    let server = PrometheusServer::start("prometheus", &[]).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let now = own_answer(&server, "query", &[("query", "time()")]).await;
    let to_ms = now[0].as_f64().unwrap().floor() * 1_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "the time of a test is a whole second")]
    let to_ms = to_ms as i64;
    let range = TimeRange { from_ms: to_ms - 10_000, to_ms };
    let (start, end) = ((range.from_ms / 1_000).to_string(), (to_ms / 1_000).to_string());
    for method in ["GET", "POST"] {
        let context = context(&server.url(), json!({"httpMethod": method, "timeInterval": "1s"}));
        for expression in [
            "up",
            "prometheus_http_requests_total",
            "rate(process_cpu_seconds_total[5s])",
            "0 / (up - 1)",
            "1 / (up - 1)",
            "label_replace(up, \"text\", \"a\\\"\\\\é\", \"\", \"\")",
            "no_such_metric",
        ] {
            let frames = ask(&context, json!({ "expr": expression }), range).await.unwrap();
            let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", "1")];
            let expected = points_of_answer(&own_answer(&server, "query_range", &parameters).await);
            let frames = if frames[0].fields.is_empty() { &[] } else { frames.as_slice() };
            assert_eq!(points_of_frames(frames), expected, "{method} {expression}");
            assert_eq!(expected.is_empty(), expression == "no_such_metric");
            let instant = json!({"expr": expression, "instant": true});
            let frames = ask(&context, instant, range).await.unwrap();
            let expected = own_answer(&server, "query", &[("query", expression), ("time", &end)]).await;
            let frames = if frames[0].fields.is_empty() { &[] } else { frames.as_slice() };
            assert_eq!(points_of_frames(frames), points_of_answer(&expected), "{method} {expression}");
        }
        let error = ask(&context, json!({"expr": "sum("}), range).await.unwrap_err();
        assert_eq!(error.status, 400);
        let beginning = "data source \"Prometheus\" answered 400: bad_data: ";
        assert!(error.message.starts_with(beginning), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_resources_and_the_proxy_are_prometheus_itself() {
    let server = PrometheusServer::start("prometheus-resources", &[]).await;
    let context = context(&server.url(), json!({}));
    let backend = PrometheusBackend::new(clients(), workers());
    let health = backend.check_health(&context).await;
    assert!(health.is_ok, "{}", health.message);
    let request = |method: &str, path: &str| ResourceRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: axum::body::Bytes::new(),
    };
    let own = reqwest::get(format!("{}/api/v1/label/job/values", server.url())).await.unwrap();
    let own = own.bytes().await.unwrap();
    let resource = backend.call_resource(&context, request("GET", "api/v1/label/job/values")).await.unwrap();
    let proxy = HttpProxy::new(clients());
    let forwarded = proxy.forward(&context, request("GET", "api/v1/label/job/values")).await.unwrap();
    for answer in [resource, forwarded] {
        assert_eq!(answer.status, 200);
        let parts: Vec<_> = answer.body.try_collect().await.unwrap();
        assert_eq!(parts.concat(), own);
    }
    let refused = proxy.forward(&context, request("POST", "-/quit")).await.unwrap_err();
    assert_eq!(refused.status, 403);
}
