//! Metrics, as Prometheus reads them.

use axum::http::Method;
use kymograph_tests::{Client, TestServer, upstream_url};
use serde_json::json;

async fn metrics(client: &Client) -> String {
    client.get("/metrics").await.expect(200).text
}

/// The value of a series, which must occur exactly once.
fn value(text: &str, series: &str) -> f64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = lines.next().unwrap_or_else(|| panic!("{series} is not in\n{text}"));
    value.parse().unwrap()
}

#[tokio::test]
async fn requests_commits_and_connections_are_counted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for title in ["CPU", "RAM"] {
        let dashboard = json!({"dashboard": {"title": title, "uid": title}});
        admin.post("/api/dashboards/db", &dashboard).await.expect(200);
    }
    admin.get("/api/dashboards/uid/CPU").await.expect(200);
    admin.get("/api/dashboards/uid/DISK").await.expect(404);
    admin.get("/api/search?query=cpu").await.expect(200);
    admin.get("/api/nowhere/zebra").await.expect(404);
    server.anonymous().post("/login", &json!({"user": "admin", "password": "admin"})).await.expect(200);
    server.anonymous().post("/login", &json!({"user": "admin", "password": "zebra"})).await.expect(401);
    server.client("api_key", "glsa_zebra").get("/api/org").await.expect(401);
    let (viewer, _) = server.new_member(1, "viewer", "Viewer").await;
    viewer.post("/api/folders", &json!({"title": "Ops"})).await.expect(403);

    let answer = server.anonymous().get("/metrics").await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4");
    let text = answer.text;
    let requests =
        |labels: &str| value(&text, &format!("grafana_http_request_duration_seconds_count{{{labels}}}"));
    let handler = "handler=\"/api/dashboards/uid/{uid}\",method=\"GET\"";
    assert!((requests(&format!("{handler},status_code=\"200\"")) - 1.0).abs() < f64::EPSILON);
    assert!((requests(&format!("{handler},status_code=\"404\"")) - 1.0).abs() < f64::EPSILON);
    for (series, least) in [
        ("grafana_api_dashboard_save_milliseconds_count", 2.0),
        ("grafana_api_dashboard_get_milliseconds_count", 2.0),
        ("grafana_api_dashboard_search_milliseconds_count", 1.0),
        ("grafana_api_response_status_total{code=\"404\"}", 2.0),
        ("grafana_api_login_post_total", 1.0),
        ("kymograph_access_refused_total{what=\"denied\"}", 1.0),
        ("kymograph_access_refused_total{what=\"login_failed\"}", 1.0),
        ("kymograph_access_refused_total{what=\"token_refused\"}", 1.0),
        ("kymograph_access_unrecorded_total", 0.0),
        ("kymograph_overload_total{what=\"commands\"}", 0.0),
        ("kymograph_overload_total{what=\"passwords\"}", 0.0),
        ("kymograph_overload_total{what=\"exports\"}", 0.0),
        ("kymograph_panics_total", 0.0),
        ("kymograph_changes_waiting", 0.0),
        ("kymograph_commits_total{outcome=\"written\"}", 2.0),
        ("kymograph_flight_seconds_count", 2.0),
        ("grafana_database_conn_open", 1.0),
        ("grafana_database_conn_max_open", 16.0),
        ("grafana_http_request_in_flight", 1.0),
    ] {
        assert!(value(&text, series) >= least, "{series} is {}", value(&text, series));
    }
    assert!(text.contains("grafana_build_info{") && text.contains("version=\"13.0.1\""), "{text}");
    assert!(!text.contains("zebra"), "what somebody made up became a series");
    let again = metrics(&server.anonymous()).await;
    let refused = "kymograph_access_refused_total{what=\"login_failed\"}";
    assert!((value(&again, refused) - 1.0).abs() < f64::EPSILON, "asking does not count");
}

#[tokio::test]
async fn what_there_is_in_all_orgs_is_counted() {
    let server = TestServer::with_settings(&["metrics.total_stats_collector_interval_seconds=1"]).await;
    let other = server.new_org("Other").await;
    for client in [server.admin(), server.admin().in_org(other)] {
        client.post("/api/dashboards/db", &json!({"dashboard": {"title": "CPU"}})).await.expect(200);
        client.post("/api/folders", &json!({"title": "Ops"})).await.expect(200);
    }
    let expected = [
        ("grafana_stat_totals_dashboard", 2),
        ("grafana_stat_totals_folder", 2),
        ("grafana_stat_total_users", 1),
        ("grafana_stat_total_orgs", 2),
    ];
    let is_counted =
        |text: &str| expected.iter().all(|(series, count)| text.contains(&format!("{series} {count}\n")));
    for _ in 0..100 {
        if is_counted(&metrics(&server.anonymous()).await) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{}", metrics(&server.anonymous()).await);
}

#[tokio::test]
async fn the_page_can_be_closed_to_others_and_left_out() {
    let settings = ["metrics.basic_auth_username=prom", "metrics.basic_auth_password=secret"];
    let server = TestServer::with_settings(&settings).await;
    let answer = server.anonymous().get("/metrics").await.expect(401);
    assert!(answer.headers.contains_key("www-authenticate"));
    server.admin().get("/metrics").await.expect(401);
    metrics(&server.client("prom", "secret")).await;
    let server = TestServer::with_settings(&["metrics.enabled=false"]).await;
    let request = server.anonymous().request(Method::GET, "/metrics");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn calls_of_data_sources_are_counted_by_type_and_not_by_source() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for kind in ["testdata", "zebra"] {
        let source = json!({"name": kind, "uid": kind, "type": kind, "url": upstream_url()});
        admin.post("/api/datasources", &source).await.expect(200);
    }
    let query = |scenario: &str| {
        let query = json!({"refId": "A", "datasource": {"uid": "testdata"}, "scenarioId": scenario});
        json!({"from": "now-1h", "to": "now", "queries": [query]})
    };
    admin.post("/api/ds/query", &query("random_walk")).await.expect(200);
    admin.post("/api/ds/query", &query("server_error_500")).await.expect(400);
    admin.get("/api/datasources/uid/testdata/health").await.expect(200);
    admin.get("/api/datasources/uid/testdata/resources/nothing").await.expect(404);
    admin.get("/api/datasources/proxy/uid/zebra/x").await.expect(200);
    let text = metrics(&server.anonymous()).await;
    for (labels, expected) in [
        ("code=\"200\",datasource_type=\"testdata\",endpoint=\"query\"", 1.0),
        ("code=\"500\",datasource_type=\"testdata\",endpoint=\"query\"", 1.0),
        ("code=\"200\",datasource_type=\"testdata\",endpoint=\"health\"", 1.0),
        ("code=\"404\",datasource_type=\"testdata\",endpoint=\"resource\"", 1.0),
        ("code=\"200\",datasource_type=\"other\",endpoint=\"proxy\"", 1.0),
    ] {
        let found = value(&text, &format!("grafana_datasource_request_total{{{labels}}}"));
        assert!((found - expected).abs() < f64::EPSILON, "{labels}: {found}");
    }
    assert!(value(&text, "grafana_datasource_request_in_flight").abs() < f64::EPSILON);
    let timed = "datasource_type=\"testdata\",endpoint=\"query\"";
    let timed = value(&text, &format!("grafana_datasource_request_duration_seconds_count{{{timed}}}"));
    assert!((timed - 2.0).abs() < f64::EPSILON);
    assert!(!text.contains("zebra"));
}
