//! The settings of the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use kymograph_app::kernel::setting::Settings;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Group, Routes, get};

/// The group of operations named `admin`.
pub(crate) const ADMIN: Group = Group::new("admin", "Settings and statistics of the server");

/// The routes of settings.
pub fn routes(settings: &Arc<Settings>) -> Routes {
    Routes::of(&ADMIN).add(
        get("/api/admin/settings", "adminGetSettings", "Read the settings of the server, secrets redacted")
            .answers::<BTreeMap<String, BTreeMap<String, String>>>(200, "The settings by section and name")
            .to(settings, admin_get_settings),
    )
}

async fn admin_get_settings(
    State(settings): State<Arc<Settings>>,
    Caller(scope): Caller,
) -> ApiResult<Response> {
    Ok(Json(settings.get_settings(&scope)?).into_response())
}
