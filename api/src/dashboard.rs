//! Dashboards. Their versions are in [`version`].

mod diff;
mod document;
mod import;
mod trash;
mod version;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use kymograph_app::dashboard::{Dashboards, ParsedDashboard, SaveDashboard};
use kymograph_app::star::Stars;
use kymograph_domain::json::JsonValue;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::JsonText;
use crate::error::{ApiError, ApiResult};
use crate::layer::Caller;
use crate::openapi::operation;
use crate::openapi::parameter::text;
use crate::query::{Path, Query};
use crate::routes::Routes;
use wire::{DashboardBody, DashboardMetaBody, DeletedDashboardBody, SaveDashboardForm, SavedDashboardBody};

pub(crate) use diff::MAX_DIFF_BYTES;
pub(crate) use wire::dashboard_url;

/// When saving is refused, and how it is not.
const CONFLICTS: &str = "Saving over a version other than the current one is 412 with `version-mismatch`, \
    beside another dashboard of the same title in the folder 412 with `name-exists`; both unless `overwrite` is set.";

/// The routes of dashboards.
pub fn routes(dashboards: Arc<Dashboards>, stars: Arc<Stars>) -> Routes {
    let state = &dashboards;
    let read_state = &ReadState { dashboards: dashboards.clone(), stars };
    Routes::default()
        .group("dashboards")
        .private(Method::POST, "/api/dashboards/db", state, post_dashboard)
        .describe(
            operation("postDashboard", "Create a dashboard, or save a new version of it")
                .details(CONFLICTS)
                .takes::<SaveDashboardForm>()
                .fails(&[404, 412]),
        )
        .private(Method::GET, "/api/dashboards/tags", state, get_dashboard_tags)
        .describe(
            operation("getDashboardTags", "List the tags of all dashboards, and how many have each")
                .for_everybody()
                .fails(&[403]),
        )
        .private(Method::GET, "/api/dashboards/uid/{uid}", read_state, get_dashboard_by_uid)
        .describe(
            operation("getDashboardByUID", "Read a dashboard")
                .at()
                .answers::<DashboardBody>(200, "The dashboard, and what is said of it")
                .query("apiVersion", text(), "The schema that the caller wants, like `v1`")
                .fails(&[404])
                .fails_when(406, "The schema that the caller wants is not known"),
        )
        .private(Method::DELETE, "/api/dashboards/uid/{uid}", state, delete_dashboard_by_uid)
        .describe(operation("deleteDashboardByUID", "Delete a dashboard").fails(&[404]))
        .merge(import::routes(state))
        .merge(trash::routes(state))
        .merge(version::routes(state))
        .merge(diff::routes(state))
}

type DashboardState = State<Arc<Dashboards>>;

/// What reading a dashboard needs, because the answer says whether the caller starred it.
#[derive(Clone)]
struct ReadState {
    dashboards: Arc<Dashboards>,
    stars: Arc<Stars>,
}

async fn post_dashboard(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    body: JsonText,
) -> ApiResult<Json<SavedDashboardBody>> {
    let max_bytes = dashboards.max_document_bytes();
    let save = dashboards.work(&scope, body.bytes(), move || parse_save(body, max_bytes)).await??;
    Ok(Json(SavedDashboardBody::of(dashboards.save_dashboard(&scope, save).await?)))
}

fn parse_save(mut body: JsonText, max_bytes: usize) -> ApiResult<SaveDashboard> {
    let document = body.document()?;
    let form = document.root();
    if form.get("isFolder").and_then(JsonValue::as_bool) == Some(true) {
        let message = "folders are created with POST /api/folders";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let text = |name| form.get(name).and_then(JsonValue::as_str).map(str::to_owned);
    let dashboard = form.get("dashboard").ok_or_else(no_dashboard)?;
    Ok(SaveDashboard {
        dashboard: ParsedDashboard::try_new(dashboard, max_bytes)?,
        folder_uid: text("folderUid"),
        folder_id: form.get("folderId").and_then(JsonValue::as_i64),
        message: text("message").unwrap_or_default(),
        overwrite: form.get("overwrite").and_then(JsonValue::as_bool).unwrap_or_default(),
    })
}

fn no_dashboard() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "bad request data: no dashboard")
}

async fn get_dashboard_by_uid(
    State(state): State<ReadState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    query: Query,
) -> ApiResult<Response> {
    check_api_version(&query)?;
    let (opened, _admission) = match query.text("at") {
        Some(at) => state.dashboards.get_dashboard_at(&scope, &uid, at).await?,
        None => (state.dashboards.get_dashboard(&scope, &uid).await?, None),
    };
    let is_starred = state.stars.is_starred(&scope, &opened.dashboard).await?;
    let meta = DashboardMetaBody::of(&scope, &opened, is_starred);
    document::with_meta(&meta, &opened.dashboard)
}

/// A client can ask for a schema of dashboards. All versions up to 1 share the one that is stored here.
fn check_api_version(query: &Query) -> ApiResult<()> {
    let asked = query.text("apiVersion").unwrap_or_default();
    let version = asked.strip_prefix("dashboard.grafana.app/").unwrap_or(asked);
    if matches!(version, "" | "v0alpha1" | "v1alpha1" | "v1beta1" | "v1") {
        return Ok(());
    }
    let message = format!("dashboards are not served in the version {version:?}");
    Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, message))
}

#[derive(Serialize, ToSchema)]
struct TagBody {
    term: String,
    count: i64,
}

async fn get_dashboard_tags(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<TagBody>>> {
    let tags = dashboards.list_tags(&scope).await?;
    Ok(Json(tags.into_iter().map(|tag| TagBody { term: tag.term, count: tag.count }).collect()))
}

async fn delete_dashboard_by_uid(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DeletedDashboardBody>> {
    let deleted = dashboards.delete_dashboard(&scope, &uid).await?;
    Ok(Json(DeletedDashboardBody::of(deleted, "deleted")))
}
