//! Panics of handlers. Each is a bug; the client gets a 500, and other requests of the connection are unaffected.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use kymograph_app::Error;
use prometheus::IntCounter;

use crate::kernel::error::{ApiError, ApiResult};

/// Converts a panic to an error, and counts it. Locks are used so that shared state stays consistent after a panic.
pub(crate) async fn caught(
    work: impl Future<Output = ApiResult<Response>>,
    panics: Option<&IntCounter>,
) -> ApiResult<Response> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        panics.inspect(|panics| panics.inc());
        Err(Error::internal(format!("a handler panicked: {}", message(&*panic))).into())
    })
}

/// A middleware for routes outside of the API's layers.
pub(crate) async fn catch_panics(
    State(panics): State<Option<IntCounter>>,
    request: Request,
    next: Next,
) -> Response {
    let response = caught(async { Ok(next.run(request).await) }, panics.as_ref()).await;
    response.unwrap_or_else(ApiError::into_response)
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
