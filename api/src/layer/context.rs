//! The context of a request: its ids, where it came from, and the span that its log lines belong to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kymograph_app::RequestContext;
use kymograph_app::random::{hex, random_bytes};
use kymograph_app::scope::IdempotencyKey;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::{LayerSettings, csrf};
use crate::error::ApiError;

/// The header that carries the id of a request, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that connects the requests of one undertaking.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The header under whose value a request may be repeated.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest id or key that is taken over from a client.
const MAX_ID_LENGTH: usize = 128;

/// Gives a request its context, its span and its limits.
pub(super) async fn with_context(
    State(settings): State<Arc<LayerSettings>>,
    request: Request,
    next: Next,
) -> Response {
    let context = match request_context(&request) {
        Ok(context) => context,
        Err(error) => return error.into_response(),
    };
    let request_id = context.request_id.clone();
    let span = tracing::info_span!(
        "request",
        request_id,
        method = %request.method(),
        path = request.uri().path(),
        org = tracing::field::Empty,
        actor = tracing::field::Empty,
    );
    let work = async {
        let result = tokio::time::timeout(settings.request_timeout, admit(&settings, context, request, next));
        let response = result.await.unwrap_or_else(|_| {
            let message = "the request took too long";
            Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, message))
        });
        let mut response = response.unwrap_or_else(ApiError::into_response);
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        tracing::debug!(status = response.status().as_u16(), "request completed");
        response
    };
    work.instrument(span).await
}

async fn admit(
    settings: &LayerSettings,
    mut context: RequestContext,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    csrf::check(&request, &settings.trusted_origins)?;
    if is_write(request.method())
        && let Some(key) = request.headers().get(&IDEMPOTENCY_KEY).cloned()
    {
        let key = checked_key(&key)?;
        let (with_body, request_hash) = hash_request(request, settings.max_body_bytes).await?;
        request = with_body;
        context.idempotency = Some(IdempotencyKey { key, request_hash });
    }
    request.extensions_mut().insert(context);
    Ok(next.run(request).await)
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn checked_key(value: &HeaderValue) -> Result<String, ApiError> {
    value
        .to_str()
        .ok()
        .filter(|key| !key.is_empty() && key.len() <= MAX_ID_LENGTH)
        .map(str::to_owned)
        .ok_or_else(|| {
            ApiError::new(StatusCode::BAD_REQUEST, "Idempotency-Key must have 1 to 128 visible characters")
        })
}

/// Reads the body, so that a request can be told from another under the same key, and puts it back.
async fn hash_request(request: Request, max_bytes: usize) -> Result<(Request, [u8; 32]), ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, max_bytes)
        .await
        .map_err(|_| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request body is too large"))?;
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update(b" ");
    hash.update(parts.uri.path_and_query().map_or("", |path| path.as_str()));
    hash.update(b"\n");
    hash.update(&bytes);
    Ok((Request::from_parts(parts, Body::from(bytes)), hash.finalize().into()))
}

fn request_context(request: &Request) -> Result<RequestContext, ApiError> {
    let headers = request.headers();
    let request_id = match taken_over(headers, &REQUEST_ID) {
        Some(id) => id,
        None => hex(&random_bytes::<16>()?),
    };
    let trace_id = trace_id(headers);
    let correlation_id = taken_over(headers, &CORRELATION_ID)
        .or_else(|| Some(trace_id.clone()).filter(|id| !id.is_empty()))
        .unwrap_or_else(|| request_id.clone());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let user_agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(RequestContext {
        request_id,
        trace_id,
        correlation_id,
        ip: peer.map(|ConnectInfo(address)| address.ip().to_canonical().to_string()).unwrap_or_default(),
        user_agent: user_agent.chars().take(500).collect(),
        ..RequestContext::default()
    })
}

/// An id that a client chose, if it is one that can stand in a log line.
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
