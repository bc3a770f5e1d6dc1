//! Spans of requests to sources. A source can continue their traces.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use kymograph_app::TRACE_TARGET;
use kymograph_app::source::backend::SourceSettings;
use opentelemetry::global;
use opentelemetry::propagation::Injector;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Begins the span of a request. It ends when the response begins.
pub(super) fn start(source: &SourceSettings, method: &Method) -> Span {
    tracing::trace_span!(
        target: TRACE_TARGET,
        "source request",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
        kymograph.data_source.uid = source.uid.as_str(),
        kymograph.data_source.type = source.content.kind,
    )
}

/// Adds the trace of a span to the headers of its request.
pub(super) fn propagate(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        let context = span.context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut Headers(headers));
        });
    }
}

/// Ends the span of a request, with the status of its response if it had one.
pub(super) fn finish(span: &Span, status: Option<StatusCode>) {
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    if status.is_none_or(|status| status.is_client_error() || status.is_server_error()) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Headers, as a propagator writes them.
struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
