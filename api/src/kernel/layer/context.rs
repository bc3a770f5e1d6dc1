//! The context of a request: its ids, its origin, and the span of its log lines.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::RequestContext;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_app::kernel::random::{hex, random_bytes};
use tracing::Instrument;

use super::client_address::client_address;
use super::{Common, Network, trace};
use crate::kernel::error::{ApiError, Failure};
use crate::kernel::metrics::HttpMetrics;
use crate::kernel::panic::caught;
use crate::kernel::url;

/// The header of the request id, in requests and responses.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of the correlation id.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The maximum stored length of a `User-Agent`.
const MAX_USER_AGENT_LENGTH: usize = 500;
/// The maximum length of an id or key of a client.
pub(crate) const MAX_ID_LENGTH: usize = 128;

/// Handles a request with a context, a span and the limits of all requests.
pub(super) async fn with_context<W>(common: &Common, request: Request, work: W) -> Response
where
    W: AsyncFnOnce(Request, RequestContext) -> Result<Response, ApiError>,
{
    let Common { settings, sub_path, metrics } = common;
    let counted = metrics.as_ref().map(|metrics| metrics.start(&request));
    let mut context = request_context(&request, &settings.trusted_proxies);
    let trace = trace::start(&request, &mut context);
    let request_id = context.request_id.clone();
    let span = request_span(&request, &request_id);
    // Boxed, because each wrapper below contains its inner future once for each await point.
    let work = Box::pin(async {
        let timeout = settings.request_timeout;
        let work = caught(work(request, context), metrics.as_ref().map(HttpMetrics::panics));
        let result = tokio::time::timeout(timeout, url::under(sub_path.clone(), work));
        let result = result
            .await
            .unwrap_or_else(|_| Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "the request took too long")));
        let mut response = result.unwrap_or_else(ApiError::into_response);
        log_failure(&response, &request_id);
        set_protective_headers(response.headers_mut());
        if let Ok(value) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        tracing::debug!(status = response.status().as_u16(), "request completed");
        response
    });
    let work = async { if span.is_disabled() { work.await } else { work.instrument(span).await } };
    let mut response = if trace.is_disabled() { work.await } else { work.instrument(trace.clone()).await };
    trace::finish(&trace, &mut response);
    if let Some(counted) = counted {
        counted.finish(&response);
    }
    response
}

/// The span of a request. Reads have one at the level `debug` only: it would be a tenth of their work. The path is the
/// matched one, because a raw path can contain a secret, such as the code of an invite.
fn request_span(request: &Request, request_id: &str) -> tracing::Span {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    macro_rules! request_span {
        ($macro:ident) => {
            tracing::$macro!(
                "request",
                request_id,
                method = %request.method(),
                path,
                org = tracing::field::Empty,
                actor = tracing::field::Empty,
            )
        };
    }
    if is_write(request.method()) { request_span!(info_span) } else { request_span!(debug_span) }
}

/// Logs a server error. Rate-limited, because all requests fail while the database is unavailable or read-only.
fn log_failure(response: &Response, request_id: &str) {
    static UNAVAILABLE: LogLimit = LogLimit::new();
    static FAULT: LogLimit = LogLimit::new();
    let Some(Failure(detail)) = response.extensions().get() else { return };
    let detail = &**detail;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        if let Some(suppressed) = UNAVAILABLE.admit() {
            tracing::warn!(request_id, detail, suppressed, "a dependency is unavailable");
        }
    } else if let Some(suppressed) = FAULT.admit() {
        tracing::error!(request_id, detail, suppressed, "a request failed with an internal error");
    }
}

/// Responses are private by default: no cache stores them, and no browser guesses another content type. A handler can
/// override the header.
fn set_protective_headers(headers: &mut HeaderMap) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}

pub(crate) fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

pub(crate) fn request_context(request: &Request, proxies: &[Network]) -> RequestContext {
    let headers = request.headers();
    let request_id = taken_over(headers, &REQUEST_ID).unwrap_or_else(new_request_id);
    let trace_id = trace_id(headers);
    let correlation_id = taken_over(headers, &CORRELATION_ID)
        .or_else(|| Some(trace_id.clone()).filter(|id| !id.is_empty()))
        .unwrap_or_else(|| request_id.clone());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let user_agent =
        headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    RequestContext {
        request_id,
        trace_id,
        correlation_id,
        ip: peer.map(|ConnectInfo(peer)| client_address(peer.ip(), headers, proxies)).unwrap_or_default(),
        // `to_str` accepts ASCII only, so every index is a character boundary.
        user_agent: user_agent[..user_agent.len().min(MAX_USER_AGENT_LENGTH)].to_owned(),
        ..RequestContext::default()
    }
}

/// A unique id: 16 random digits of this process and the number of the request.
fn new_request_id() -> String {
    static PROCESS: LazyLock<String> =
        LazyLock::new(|| random_bytes::<8>().map(|bytes| hex(&bytes)).unwrap_or_default());
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("{}{:016x}", *PROCESS, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// An id of a client, if it is safe in a log line.
fn taken_over(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let id = headers.get(name)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    (!id.is_empty() && id.len() <= MAX_ID_LENGTH && id.bytes().all(is_plain)).then(|| id.to_owned())
}

/// The trace id of a W3C `traceparent` header: 32 hexadecimal digits, second of four parts.
fn trace_id(headers: &HeaderMap) -> String {
    let Some(parent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) else {
        return String::new();
    };
    let id = parent.split('-').nth(1).unwrap_or_default();
    let is_trace_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_trace_id { id.to_ascii_lowercase() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::extract::State;
    use axum::middleware::{Next, from_fn_with_state};
    use axum::routing::get;
    use prometheus::{Registry, TextEncoder};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::kernel::layer::LayerSettings;

    fn common(registry: &Registry) -> Common {
        let settings = LayerSettings {
            max_body_bytes: 1024,
            request_timeout: Duration::from_secs(5),
            trusted_origins: Vec::new(),
            trusted_proxies: Vec::new(),
        };
        let metrics = HttpMetrics::try_new(registry, &[], "").unwrap();
        Common { settings, sub_path: "".into(), metrics: Some(metrics) }
    }

    async fn within(State(common): State<Arc<Common>>, request: Request, next: Next) -> Response {
        with_context(&common, request, async |request, _| Ok(next.run(request).await)).await
    }

    async fn fail() -> &'static str {
        panic!("nobody expected this")
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_counted_and_the_connection_goes_on() {
        let registry = Registry::new();
        let router = Router::new()
            .route("/panic", get(fail))
            .route("/fine", get(async || "all is well"))
            .layer(from_fn_with_state(Arc::new(common(&registry)), within));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let serving = tokio::spawn(axum::serve(listener, router).into_future());
        let requests = "GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        serving.abort();
        let (failed, fine) = answers.split_once("HTTP/1.1 200").unwrap();
        assert!(failed.starts_with("HTTP/1.1 500") && failed.contains("x-request-id"), "{failed}");
        assert!(!failed.contains("nobody expected"), "{failed}");
        assert!(fine.ends_with("all is well"), "{fine}");
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "kymograph_panics_total 1",
            "grafana_api_response_status_total{code=\"500\"} 1",
            "grafana_http_request_in_flight 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_logged_as_a_fault() {
        let error = caught(async { Ok(fail().await.into_response()) }, None).await.unwrap_err();
        let response = error.into_response();
        let Some(Failure(detail)) = response.extensions().get() else { panic!("nothing is logged") };
        assert_eq!(&**detail, "a handler panicked: nobody expected this");
    }
}
