//! The span of a request for a trace collector, which continues the trace of the client.
//!
//! Spans for a collector have the level `trace` and a target of their own, so without a collector each costs one check
//! of a flag.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use kymograph_app::{RequestContext, TRACE_TARGET};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The response header with the trace of the request.
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Begins the span of a request, and stores its trace in the context.
pub(super) fn start(request: &Request, context: &mut RequestContext) -> Span {
    let method = request.method().as_str();
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = tracing::trace_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = path,
        http.response.status_code = Empty,
        kymograph.request_id = context.request_id,
    );
    if span.is_disabled() {
        return span;
    }
    span.record("otel.name", format!("{method} {path}"));
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    // It fails only if the span has begun already.
    let _ = span.set_parent(parent);
    context.trace_id = span.context().span().span_context().trace_id().to_string();
    span
}

/// Ends the span of a request.
pub(super) fn finish(span: &Span, response: &mut Response) {
    if span.is_disabled() {
        return;
    }
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(value) = trace_response(&span.context()) {
        response.headers_mut().insert(TRACE_RESPONSE, value);
    }
}

fn trace_response(context: &Context) -> Option<HeaderValue> {
    let span = context.span();
    let span = span.span_context();
    let flags = span.trace_flags().to_u8();
    HeaderValue::try_from(format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())).ok()
}

/// Headers, as a propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
