//! Repeated requests with an idempotency key get the stored response of the first.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kymograph_app::kernel::event_store::KeptResponse;
use kymograph_app::{Commands, Error, Scope};
use sha2::{Digest, Sha256};

use super::context::{MAX_ID_LENGTH, is_write};
use crate::kernel::body;
use crate::kernel::error::{ApiError, ApiResult};

/// The header of the idempotency key.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The size limit of a stored response, in bytes. Larger responses are not stored.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Answers a repeated request, and stores the response to a request with a key. This reads the body, so it comes after
/// authentication.
pub(super) async fn repeat(
    commands: &Commands,
    scope: &Scope,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let key = request.headers().get(&IDEMPOTENCY_KEY).filter(|_| is_write(request.method()));
    let Some(key) = key.map(checked_key).transpose()? else { return Ok(next.run(request).await) };
    let digest = hash(&mut request).await?;
    let scope = scope.with_idempotency(&key, commands.hash_request(&digest).await?);
    request.extensions_mut().insert(scope.clone());
    try_repeat(commands, &scope, request, next).await
}

fn checked_key(value: &HeaderValue) -> ApiResult<String> {
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_ID_LENGTH);
    key.map(str::to_owned).ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "Idempotency-Key must have 1 to 128 visible characters")
    })
}

/// A hash that distinguishes requests with the same key.
async fn hash(request: &mut Request) -> ApiResult<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(request.method().as_str());
    hash.update(b" ");
    hash.update(request.uri().path_and_query().map_or("", |path| path.as_str()));
    hash.update(b"\n");
    body::peek(request, |text| hash.update(text)).await?;
    Ok(hash.finalize().into())
}

async fn try_repeat(commands: &Commands, scope: &Scope, request: Request, next: Next) -> ApiResult<Response> {
    if let Some(kept) = commands.repeated_response(scope).await? {
        let status = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
        let json = HeaderValue::from_static("application/json");
        return Ok((status, [(header::CONTENT_TYPE, json)], kept.body).into_response());
    }
    let response = next.run(request).await;
    // A response with `no-store`, because it contains a secret, is not stored here either.
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
