//! Metrics of requests, and the page of all metrics for Prometheus.
//!
//! Their names are Grafana's, so that existing dashboards and alerts for Grafana work.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kymograph_app::Error;
use kymograph_app::kernel::error::overload;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use sha2::{Digest, Sha256};

use crate::kernel::error::{ApiError, ApiResult, Overload};
use crate::kernel::health::GROUP;
use crate::kernel::routes::{Route, Routes, get};

/// The settings of the metrics page.
#[derive(Clone, Debug)]
pub struct MetricsSettings {
    /// A hash of the required `Authorization` header, if any.
    authorization: Option<[u8; 32]>,
}

impl MetricsSettings {
    /// A public page, or one that requires credentials.
    #[must_use]
    pub fn new(credentials: Option<(&str, &str)>) -> Self {
        let basic = |(login, password)| format!("Basic {}", STANDARD.encode(format!("{login}:{password}")));
        Self { authorization: credentials.map(|credentials| hash(basic(credentials).as_bytes())) }
    }

    /// Hashes are compared, because the duration of that reveals nothing.
    fn admit(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(|value| hash(value.as_bytes()));
        self.authorization.is_none() || self.authorization == given
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[derive(Clone)]
struct MetricsState {
    registry: Registry,
    settings: Arc<MetricsSettings>,
}

/// The route of the metrics in a registry.
pub fn routes(registry: Registry, settings: MetricsSettings) -> Routes {
    let state = MetricsState { registry, settings: Arc::new(settings) };
    Routes::of(&GROUP).add(
        get("/metrics", "metrics", "Read the metrics")
            .answers_text(200, "The metrics in the Prometheus text format", "text/plain")
            .fails(&[401])
            .public()
            .to(&state, get_metrics),
    )
}

async fn get_metrics(State(state): State<MetricsState>, headers: HeaderMap) -> ApiResult<Response> {
    if !state.settings.admit(&headers) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")];
        return Ok((ask, ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized")).into_response());
    }
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder.encode(&state.registry.gather(), &mut text).map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}

/// The statuses with a series of their own, frequent ones first.
const STATUSES: [(u16, &str); 21] = [
    (200, "200"),
    (404, "404"),
    (401, "401"),
    (412, "412"),
    (400, "400"),
    (403, "403"),
    (409, "409"),
    (201, "201"),
    (302, "302"),
    (422, "422"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (406, "406"),
    (413, "413"),
    (415, "415"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// Durations in milliseconds, for some metrics of Grafana.
const MILLISECONDS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];

/// The routes with an additional metric of their own.
const OPERATIONS: &[(Method, &str, &str)] = &[
    (Method::POST, "/api/dashboards/db", "grafana_api_dashboard_save_milliseconds"),
    (Method::GET, "/api/dashboards/uid/{uid}", "grafana_api_dashboard_get_milliseconds"),
    (Method::GET, "/api/search", "grafana_api_dashboard_search_milliseconds"),
];

/// Counts requests and measures their duration. No text is built for a lookup, so a request costs one map access and a
/// few additions.
pub struct HttpMetrics {
    routes: HashMap<String, Vec<(Method, RouteMetrics)>>,
    unknown: RouteMetrics,
    durations: HistogramVec,
    in_flight: IntGauge,
    /// The responses of the API by status: 200, 404, 500, and all others.
    responses: [IntCounter; 4],
    logins: IntCounter,
    /// The responses with 429, by [`overload::ALL`].
    overloads: [IntCounter; overload::ALL.len()],
    panics: IntCounter,
}

/// The metrics of one route.
struct RouteMetrics {
    handler: String,
    is_api: bool,
    /// The durations by status, created lazily.
    durations: [OnceLock<Histogram>; STATUSES.len() + 1],
    operation: Option<Histogram>,
    is_login: bool,
}

/// A request in flight. It is counted until this is dropped.
pub(crate) struct RequestTimer<'a> {
    metrics: &'a HttpMetrics,
    method: Method,
    path: Option<MatchedPath>,
    started: Instant,
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

impl HttpMetrics {
    /// Metrics of these routes, served under a path.
    pub fn try_new(registry: &Registry, routes: &[Route], sub_path: &str) -> prometheus::Result<Self> {
        let opts = HistogramOpts::new("grafana_http_request_duration_seconds", "Duration of requests.");
        let durations = HistogramVec::new(opts, &["handler", "method", "status_code"])?;
        let opts = Opts::new("grafana_api_response_status_total", "Responses of the API by status.");
        let responses = IntCounterVec::new(opts, &["code"])?;
        let in_flight = IntGauge::new("grafana_http_request_in_flight", "Requests in flight.")?;
        let logins = IntCounter::new("grafana_api_login_post_total", "Log-ins with login and password.")?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(responses.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(logins.clone()))?;
        let panics = IntCounter::new("kymograph_panics_total", "Panics of request handlers.")?;
        registry.register(Box::new(panics.clone()))?;
        let opts =
            Opts::new("kymograph_overload_total", "Requests rejected with 429, by the exceeded limit.");
        let overloads = IntCounterVec::new(opts, &["what"])?;
        registry.register(Box::new(overloads.clone()))?;
        let overloads = overload::ALL
            .map(|code| overloads.with_label_values(&[code.strip_prefix("overload.").unwrap_or(code)]));
        let mut by_path: HashMap<String, Vec<(Method, RouteMetrics)>> = HashMap::new();
        for route in routes {
            let metrics = RouteMetrics::try_new(registry, route)?;
            let path = format!("{sub_path}{}", route.path);
            by_path.entry(path).or_default().push((route.method.clone(), metrics));
        }
        let responses = ["200", "404", "500", "unknown"].map(|code| responses.with_label_values(&[code]));
        let unknown = RouteMetrics::unknown();
        Ok(Self { routes: by_path, unknown, durations, in_flight, responses, logins, overloads, panics })
    }

    /// The panics of handlers.
    pub(crate) fn panics(&self) -> &IntCounter {
        &self.panics
    }

    /// Begins to count a request.
    pub(crate) fn start(&self, request: &Request) -> RequestTimer<'_> {
        self.in_flight.inc();
        let (method, path) = (request.method().clone(), request.extensions().get().cloned());
        RequestTimer { metrics: self, method, path, started: Instant::now() }
    }

    fn route(&self, method: &Method, path: &str) -> &RouteMetrics {
        let route =
            self.routes.get(path).and_then(|methods| methods.iter().find(|(known, _)| known == method));
        route.map_or(&self.unknown, |(_, route)| route)
    }
}

impl RequestTimer<'_> {
    /// Counts the response.
    pub(crate) fn finish(self, response: &Response) {
        let path = self.path.as_ref().map_or("", MatchedPath::as_str);
        self.metrics.count(&self.method, path, response.status(), self.started);
        if let Some(Overload(code)) = response.extensions().get() {
            let known = overload::ALL.iter().position(|known| known == code);
            known.and_then(|index| self.metrics.overloads.get(index)).inspect(|counter| counter.inc());
        }
    }
}

impl HttpMetrics {
    /// Counts a request on a matched path.
    fn count(&self, method: &Method, path: &str, status: StatusCode, started: Instant) {
        let (metrics, status) = (self, status.as_u16());
        let route = metrics.route(method, path);
        let seconds = started.elapsed().as_secs_f64();
        let index = STATUSES.iter().position(|(known, _)| *known == status).unwrap_or(STATUSES.len());
        if let Some(histogram) = route.durations.get(index) {
            let label = STATUSES.get(index).map_or("other", |(_, label)| *label);
            let make = || metrics.durations.with_label_values(&[&route.handler, method.as_str(), label]);
            histogram.get_or_init(make).observe(seconds);
        }
        if route.is_api {
            let index = [200, 404, 500].iter().position(|known| *known == status).unwrap_or(3);
            metrics.responses[index].inc();
        }
        if let Some(operation) = &route.operation {
            operation.observe(seconds * 1000.0);
        }
        if route.is_login && status == 200 {
            metrics.logins.inc();
        }
    }
}

impl RouteMetrics {
    fn try_new(registry: &Registry, route: &Route) -> prometheus::Result<Self> {
        let is_route =
            |(method, path, _): &&(Method, &str, &str)| *method == route.method && *path == route.path;
        let operation = match OPERATIONS.iter().find(is_route) {
            Some((_, _, name)) => {
                let opts = HistogramOpts::new(*name, "Duration of requests, in milliseconds.");
                let histogram = Histogram::with_opts(opts.buckets(MILLISECONDS.to_vec()))?;
                registry.register(Box::new(histogram.clone()))?;
                Some(histogram)
            }
            None => None,
        };
        Ok(Self {
            handler: route.path.to_owned(),
            is_api: route.path.starts_with("/api/"),
            durations: Default::default(),
            operation,
            is_login: route.method == Method::POST && route.path == "/login",
        })
    }

    /// All unmatched paths: arbitrary paths must not become series.
    fn unknown() -> Self {
        Self {
            handler: "notfound".to_owned(),
            is_api: true,
            durations: Default::default(),
            operation: None,
            is_login: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::routes::post;

    #[test]
    fn a_request_is_counted_where_it_belongs() {
        let registry = Registry::new();
        let routes = [get("/api/search", "search", "Search"), post("/login", "login", "Log in")];
        let metrics = HttpMetrics::try_new(&registry, &routes, "/grafana").unwrap();
        let request = |method, path, status| metrics.count(&method, path, status, Instant::now());
        request(Method::GET, "/grafana/api/search", StatusCode::OK);
        request(Method::GET, "/grafana/api/search", StatusCode::IM_A_TEAPOT);
        request(Method::POST, "/grafana/api/search", StatusCode::NOT_FOUND);
        request(Method::POST, "/grafana/login", StatusCode::OK);
        request(Method::POST, "/grafana/login", StatusCode::UNAUTHORIZED);
        let under_way = metrics.start(&Request::default());
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        drop(under_way);
        let count = "grafana_http_request_duration_seconds_count";
        for line in [
            format!("{count}{{handler=\"/api/search\",method=\"GET\",status_code=\"200\"}} 1"),
            format!("{count}{{handler=\"/api/search\",method=\"GET\",status_code=\"other\"}} 1"),
            format!("{count}{{handler=\"notfound\",method=\"POST\",status_code=\"404\"}} 1"),
            "grafana_api_response_status_total{code=\"200\"} 1".to_owned(),
            "grafana_api_response_status_total{code=\"404\"} 1".to_owned(),
            "grafana_api_response_status_total{code=\"unknown\"} 1".to_owned(),
            "grafana_api_dashboard_search_milliseconds_count 2".to_owned(),
            "grafana_api_login_post_total 1".to_owned(),
            "grafana_http_request_in_flight 1".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[test]
    fn the_page_is_for_who_knows_the_password_if_there_is_one() {
        let headers =
            |value: &'static str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        let settings = MetricsSettings::new(Some(("prom", "secret")));
        assert!(settings.admit(&headers("Basic cHJvbTpzZWNyZXQ=")));
        assert!(!settings.admit(&headers("Basic cHJvbTpzZWNyZXg=")));
        assert!(!settings.admit(&HeaderMap::new()));
        assert!(MetricsSettings::new(None).admit(&HeaderMap::new()));
    }
}
