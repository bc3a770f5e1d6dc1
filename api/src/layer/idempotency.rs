//! Repeated requests get the response of the first.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kymograph_app::event_store::KeptResponse;
use kymograph_app::{Commands, Error, Scope};

use crate::error::ApiResult;

/// The largest response that is kept, in bytes. Only what is not stored can be larger.
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
    let response = next.run(request).await;
    // A response that must not be stored, because it shows a secret once, is not stored here either.
    let is_stored = response.headers().get(header::CACHE_CONTROL).is_none_or(|value| value != "no-store");
    if !response.status().is_success() || !is_stored {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_KEPT_BYTES).await.map_err(Error::internal)?;
    let text = std::str::from_utf8(&body).map_err(Error::internal)?.to_owned();
    commands.keep_response(scope, &KeptResponse { status: parts.status.as_u16(), body: text }).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}
