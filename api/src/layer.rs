//! What all requests go through: limits, ids and log context, protection against forged requests, and
//! authentication.

mod authentication;
mod context;
mod csrf;
mod idempotency;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;

use crate::error::ApiError;

pub use authentication::{Authentication, Caller, authenticated};

/// What can be set about all requests.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Origins from which a browser may send a session cookie, besides the server's own, like `admin.example.org`.
    pub trusted_origins: Vec<String>,
    /// Whether a login and password may come with each request.
    pub is_basic_auth_enabled: bool,
}

/// Puts what every request goes through before a router.
pub fn all_requests(router: Router, settings: &LayerSettings) -> Router {
    let state = std::sync::Arc::new(settings.clone());
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(settings.max_body_bytes))
        .layer(from_fn_with_state(state, context::with_context))
}

/// Grafana answers a method that a path does not have like a path that there is not.
async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not found")
}
