//! The settings the server runs with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use kymograph_app::kernel::setting::Settings;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::operation;
use crate::kernel::routes::Routes;

/// The routes of settings.
pub fn routes(settings: &Arc<Settings>) -> Routes {
    Routes::default()
        .group("admin")
        .private(Method::GET, "/api/admin/settings", settings, admin_get_settings)
        .describe(
            operation("adminGetSettings", "Read the settings of the server, without its secrets")
                .answers::<BTreeMap<String, BTreeMap<String, String>>>(
                    200,
                    "The settings by section and name",
                ),
        )
}

async fn admin_get_settings(
    State(settings): State<Arc<Settings>>,
    Caller(scope): Caller,
) -> ApiResult<Response> {
    Ok(Json(settings.get_settings(&scope)?).into_response())
}
