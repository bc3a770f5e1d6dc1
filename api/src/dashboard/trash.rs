//! The trash of dashboards.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::http::Method;
use kymograph_app::dashboard::Dashboards;
use serde::Deserialize;

use super::DashboardState;
use super::wire::DeletedBody;
use crate::body::JsonBody;
use crate::error::ApiResult;
use crate::layer::Caller;
use crate::routes::Routes;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    const PATH: &str = "/api/dashboards/uid/{uid}/trash";
    Routes::default().private(Method::PATCH, PATH, state, restore_deleted_dashboard_by_uid).private(
        Method::DELETE,
        PATH,
        state,
        hard_delete_dashboard_by_uid,
    )
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RestoreDeletedForm {
    /// Nothing puts it where it was; an empty text means the root.
    folder_uid: Option<String>,
}

async fn restore_deleted_dashboard_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<RestoreDeletedForm>,
) -> ApiResult<Json<DeletedBody>> {
    let restored = dashboards.restore_deleted_dashboard(&scope, &uid, form.folder_uid.as_deref()).await?;
    Ok(Json(DeletedBody::of(restored, "restored")))
}

async fn hard_delete_dashboard_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DeletedBody>> {
    let purged = dashboards.purge_dashboard(&scope, &uid).await?;
    Ok(Json(DeletedBody::of(purged, "deleted")))
}
