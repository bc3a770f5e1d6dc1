//! The hints that the caller has seen.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::UserState;
use super::own::no_account;
use crate::account::user::SIGNED_IN_USER;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::query::{Path, parse_id};
use crate::kernel::routes::{Routes, get, put};

pub(super) fn routes(state: &UserState) -> Routes {
    Routes::of(&SIGNED_IN_USER)
        .add(
            put("/api/user/helpflags/{flag_id}", "setHelpFlag", "Mark a hint as seen by the caller")
                .for_everybody()
                .to(state, set_help_flag),
        )
        .add(
            get("/api/user/helpflags/clear", "clearHelpFlags", "Reset the caller's seen hints")
                .for_everybody()
                .fails_when(403, "The caller is a service account, which has no hints")
                .to(state, clear_help_flags),
        )
}

#[derive(Serialize, ToSchema)]
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
    let help_flags1 = state.users.add_help_flags(&scope, parse_id("id", &flag)?).await.map_err(no_account)?;
    Ok(Json(HelpFlagsBody { message: "Help flag set", help_flags1 }))
}

async fn clear_help_flags(
    State(state): State<UserState>,
    Caller(scope): Caller,
) -> ApiResult<Json<HelpFlagsBody>> {
    let help_flags1 = state.users.clear_help_flags(&scope).await.map_err(no_account)?;
    Ok(Json(HelpFlagsBody { message: "Help flag set", help_flags1 }))
}
