//! Which hints the caller has seen.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Method;
use serde::Serialize;

use super::UserState;
use crate::error::ApiResult;
use crate::layer::Caller;
use crate::query::parse_id;
use crate::routes::Routes;

pub(super) fn routes(state: &UserState) -> Routes {
    Routes::default().private(Method::PUT, "/api/user/helpflags/{flag_id}", state, set_help_flag).private(
        Method::GET,
        "/api/user/helpflags/clear",
        state,
        clear_help_flags,
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HelpFlagsBody {
    message: &'static str,
    help_flags1: i64,
}

async fn set_help_flag(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(flag): Path<String>,
) -> ApiResult<Json<HelpFlagsBody>> {
    let help_flags1 = state.users.add_help_flags(&scope, parse_id("id", &flag)?).await?;
    Ok(Json(HelpFlagsBody { message: "Help flag set", help_flags1 }))
}

async fn clear_help_flags(
    State(state): State<UserState>,
    Caller(scope): Caller,
) -> ApiResult<Json<HelpFlagsBody>> {
    let help_flags1 = state.users.clear_help_flags(&scope).await?;
    Ok(Json(HelpFlagsBody { message: "Help flag set", help_flags1 }))
}
