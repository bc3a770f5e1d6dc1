//! Repeated requests get the response of the first.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kymograph_app::event_store::KeptResponse;
use kymograph_app::{Commands, Error, Scope};

use crate::error::ApiResult;

/// The largest response that is kept, in bytes. No write answers with a document.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Answers a repeated request, and keeps the response to one that may be repeated.
pub(super) async fn repeat(
    commands: &Commands,
    scope: &Scope,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    if scope.request().idempotency.is_some() {
        try_repeat(commands, scope, request, next).await
    } else {
        Ok(next.run(request).await)
    }
}

async fn try_repeat(commands: &Commands, scope: &Scope, request: Request, next: Next) -> ApiResult<Response> {
    if let Some(kept) = commands.repeated_response(scope).await? {
        let status = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
        let json = HeaderValue::from_static("application/json");
        return Ok((status, [(header::CONTENT_TYPE, json)], kept.body).into_response());
    }
    let (parts, body) = next.run(request).await.into_parts();
    let body = to_bytes(body, MAX_KEPT_BYTES).await.map_err(Error::internal)?;
    // A response that must not be stored, because it shows a secret once, is not stored here either.
    let is_secret = parts.headers.get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store");
    if parts.status.is_success() && !is_secret {
        let body = std::str::from_utf8(&body).map_err(Error::internal)?.to_owned();
        commands.keep_response(scope, &KeptResponse { status: parts.status.as_u16(), body }).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}
