//! The versions of a dashboard.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kymograph_app::content::dashboard::{Dashboards, VersionView};
use kymograph_app::{Error, Page};
use kymograph_domain::Uid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{DashboardDocument, SavedDashboardBody};
use super::{DashboardState, document};
use crate::kernel::body::JsonBody;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{number, text};
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Routes, get, post};
use crate::rights::resource_permission::DASHBOARDS;

/// The default page size of versions.
const DEFAULT_PAGE: i64 = 1000;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    Routes::of(&DASHBOARDS)
        .add(
            get(
                "/api/dashboards/uid/{uid}/versions",
                "getDashboardVersionsByUID",
                "List the versions of a dashboard, newest first",
            )
            .limit("limit", DEFAULT_PAGE)
            .query("start", number(0), "The number of the newest versions to skip")
            .query("continueToken", text(), "The cursor: `continueToken` of the page before")
            .fails(&[404])
            .to(state, get_dashboard_versions_by_uid),
        )
        .add(
            get(
                "/api/dashboards/uid/{uid}/versions/{version}",
                "getDashboardVersionByUID",
                "Read a version of a dashboard with its document",
            )
            .answers::<VersionDocumentBody>(200, "The version")
            .fails(&[404])
            .to(state, get_dashboard_version_by_uid),
        )
        .add(
            post(
                "/api/dashboards/uid/{uid}/restore",
                "restoreDashboardVersionByUID",
                "Restore an earlier version of a dashboard as its latest",
            )
            .fails(&[404])
            .to(state, restore_dashboard_version_by_uid),
        )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VersionsBody {
    /// The cursor of the next page, for `continueToken`; empty on the last page.
    continue_token: String,
    versions: Vec<VersionBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VersionBody {
    id: i64,
    dashboard_id: i64,
    uid: Uid,
    parent_version: i64,
    restored_from: i64,
    version: i64,
    #[schema(format = DateTime)]
    created: String,
    created_by: String,
    message: String,
}

/// A version with its document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents pass as text, this describes them")]
struct VersionDocumentBody {
    #[serde(flatten)]
    version: VersionBody,
    data: DashboardDocument,
}

fn version_body(version: VersionView) -> VersionBody {
    VersionBody {
        id: version.id,
        dashboard_id: version.dashboard_id,
        uid: version.uid,
        parent_version: version.version - 1,
        restored_from: version.restored_from,
        version: version.version,
        created: version.created.rfc3339(),
        created_by: version.created_by,
        message: version.message,
    }
}

async fn get_dashboard_versions_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    query: Query,
) -> ApiResult<Json<VersionsBody>> {
    // `start` is the number of the newest versions to skip, not of pages.
    let start = query.number("start").unwrap_or_default().max(0);
    let size = Page::of(None, query.number("limit"), DEFAULT_PAGE).size;
    let before = match query.text("continueToken").filter(|token| !token.is_empty()) {
        Some(token) => Some(parse_id("continueToken", token)?),
        None => None,
    };
    let versions = dashboards.list_versions(&scope, &uid, before, start, size).await?;
    // Versions have no gaps, so the page is the last one if it contains the first version.
    let last = versions.last().map(|version| version.version).filter(|version| *version > 1);
    Ok(Json(VersionsBody {
        continue_token: last.map(|version| version.to_string()).unwrap_or_default(),
        versions: versions.into_iter().map(version_body).collect(),
    }))
}

async fn get_dashboard_version_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path((uid, version)): Path<(String, String)>,
) -> ApiResult<Response> {
    // An invalid version counts as missing; the operation has no 400.
    let version = version.parse().map_err(|_| Error::missing("Dashboard version not found"))?;
    let (found, _admission) = dashboards.get_version(&scope, &uid, version).await?;
    document::with_version(&version_body(found.view.clone()), &found)
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct RestoreVersionForm {
    #[schema(value_type = i64, required, minimum = 1)]
    version: Option<i64>,
}

async fn restore_dashboard_version_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<RestoreVersionForm>,
) -> ApiResult<Json<SavedDashboardBody>> {
    let version = form.version.ok_or_else(|| ApiError::invalid_parameter("version"))?;
    Ok(Json(SavedDashboardBody::of(dashboards.restore_version(&scope, &uid, version).await?)))
}
