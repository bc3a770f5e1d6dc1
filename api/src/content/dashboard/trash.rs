//! The trash of dashboards.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::content::dashboard::Dashboards;
use serde::Deserialize;
use utoipa::ToSchema;

use super::DashboardState;
use super::wire::DeletedDashboardBody;
use crate::kernel::body::JsonBody;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::query::Path;
use crate::kernel::routes::{Routes, delete, patch};
use crate::rights::resource_permission::DASHBOARDS;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    const PATH: &str = "/api/dashboards/uid/{uid}/trash";
    Routes::of(&DASHBOARDS)
        .add(
            patch(PATH, "restoreDeletedDashboardByUID", "Restore a soft-deleted dashboard")
                .fails(&[404])
                .to(state, restore_deleted_dashboard_by_uid),
        )
        .add(
            delete(PATH, "hardDeleteDashboardByUID", "Delete a soft-deleted dashboard permanently")
                .fails(&[404])
                .to(state, hard_delete_dashboard_by_uid),
        )
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RestoreDeletedForm {
    /// The folder to restore to, by default the former one; an empty text is the root.
    folder_uid: Option<String>,
}

async fn restore_deleted_dashboard_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<RestoreDeletedForm>,
) -> ApiResult<Json<DeletedDashboardBody>> {
    let restored = dashboards.restore_deleted_dashboard(&scope, &uid, form.folder_uid.as_deref()).await?;
    Ok(Json(DeletedDashboardBody::of(restored, "restored")))
}

async fn hard_delete_dashboard_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DeletedDashboardBody>> {
    let purged = dashboards.purge_dashboard(&scope, &uid).await?;
    Ok(Json(DeletedDashboardBody::of(purged, "deleted")))
}
