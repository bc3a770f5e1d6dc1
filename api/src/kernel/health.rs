//! Health and readiness probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kymograph_app::kernel::health::HealthCheck;
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::routes::{Group, Routes, get};

/// Whether the server is ready for requests. It is not during start and stop.
#[derive(Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Sets whether the server is ready.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Whether a path is a probe, which is served beyond all limits.
#[must_use]
pub fn is_probe(path: &str) -> bool {
    ["/livez", "/readyz", "/healthz", "/api/health", "/metrics"].contains(&path)
}

/// The response on a connection beyond the limit.
#[must_use]
pub fn too_many_connections() -> Response {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Too many connections, try again shortly").into_response()
}

#[derive(Clone)]
struct HealthState {
    check: Arc<dyn HealthCheck>,
    readiness: Arc<Readiness>,
    version: Arc<str>,
}

/// The group of operations named `health`.
pub(crate) const GROUP: Group = Group::new("health", "Health and readiness probes");

/// The routes of health.
pub fn routes(check: Arc<dyn HealthCheck>, readiness: Arc<Readiness>, grafana_version: &str) -> Routes {
    let state = &HealthState { check, readiness, version: grafana_version.into() };
    Routes::of(&GROUP)
        .add(
            get("/api/health", "getHealth", "Check the server and its database")
                .answers::<HealthBody>(200, "Both are up")
                .answers::<HealthBody>(503, "The database is unavailable")
                .public()
                .to(state, get_health),
        )
        .add(get("/healthz", "healthz", "Liveness probe").public().to(&(), live))
        .add(get("/livez", "livez", "Liveness probe").public().to(&(), live))
        .add(get("/readyz", "readyz", "Readiness probe").public().to(state, ready))
}

#[derive(Serialize, ToSchema)]
struct HealthBody<'a> {
    commit: &'static str,
    database: &'static str,
    version: &'a str,
    kymograph: &'static str,
}

async fn get_health(State(state): State<HealthState>) -> Response {
    let is_healthy = state.check.check_database().await.is_ok();
    let body = HealthBody {
        commit: "kymograph",
        database: if is_healthy { "ok" } else { "failing" },
        version: &state.version,
        kymograph: env!("CARGO_PKG_VERSION"),
    };
    let status = if is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn live() -> &'static str {
    "Ok"
}

async fn ready(State(state): State<HealthState>) -> ApiResult<&'static str> {
    if !state.readiness.get() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting or stopping"));
    }
    state.check.check_database().await?;
    state.check.check_writes().await?;
    state.check.check_feed()?;
    Ok("Ok")
}
