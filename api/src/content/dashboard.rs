//! Dashboards. Their versions are in [`version`].

mod diff;
mod document;
mod import;
mod text;
mod trash;
mod version;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kymograph_app::content::dashboard::{DashboardView, Dashboards, HISTORY, ParsedDashboard, SaveDashboard};
use kymograph_app::content::star::Stars;
use kymograph_domain::content::dashboard::resource::{is_classic, schema_of, version_of};
use kymograph_domain::kernel::text::shortened;
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::body::{JsonText, form};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::query::{Path, Query};
use crate::kernel::routes::{Routes, delete, get, history, post};
use crate::rights::resource_permission::DASHBOARDS;
use wire::{DashboardBody, DashboardMetaBody, DeletedDashboardBody, SaveDashboardForm, SavedDashboardBody};

pub(crate) use diff::MAX_DIFF_BYTES;
pub use document::WRITE_AT_BYTES;
pub(crate) use wire::dashboard_url;

/// How many characters of an unknown API version an error repeats.
const MAX_VERSION: usize = 50;

/// The conflicts of a save.
const CONFLICTS: &str = "Saving over a version other than the latest is answered with 412 and `version-mismatch`, unless `overwrite` is set.";

/// The routes of dashboards.
pub fn routes(dashboards: Arc<Dashboards>, stars: Arc<Stars>) -> Routes {
    let state = &dashboards;
    let read_state = &ReadState { dashboards: dashboards.clone(), stars };
    Routes::of(&DASHBOARDS)
        .add(
            post("/api/dashboards/db", "postDashboard", "Create a dashboard, or save a new version of one")
                .details(CONFLICTS)
                .takes::<SaveDashboardForm>()
                .fails(&[404, 412])
                .to(state, post_dashboard),
        )
        .add(
            get(
                "/api/dashboards/tags",
                "getDashboardTags",
                "List the tags of all dashboards with their counts",
            )
            .for_everybody()
            .fails(&[403])
            .to(state, get_dashboard_tags),
        )
        .add(
            get("/api/dashboards/uid/{uid}", "getDashboardByUID", "Read a dashboard")
                .at()
                .answers::<DashboardBody>(200, "The dashboard with its metadata")
                .query("apiVersion", text(), "The requested schema, like `v1`")
                .fails(&[404])
                .fails_when(406, "The requested schema is unknown")
                .to(read_state, get_dashboard_by_uid),
        )
        .add(
            delete("/api/dashboards/uid/{uid}", "deleteDashboardByUID", "Move a dashboard to the trash")
                .fails(&[404])
                .to(state, delete_dashboard_by_uid),
        )
        .merge(import::routes(state))
        .merge(trash::routes(state))
        .merge(version::routes(state))
        .merge(diff::routes(state))
        .with_history(history!(HISTORY, "/api/dashboards/uid/{uid}", "Dashboard", "a dashboard"))
}

type DashboardState = State<Arc<Dashboards>>;

/// The state for reading a dashboard; the answer includes whether the caller starred it.
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
    body.read(|form| {
        if form::read_member(form, "isFolder")? == Some(true) {
            let message = "folders are created with POST /api/folders";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        }
        let dashboard = form::member(form, "dashboard").ok_or_else(no_dashboard)?;
        Ok(SaveDashboard {
            dashboard: ParsedDashboard::try_new(dashboard, max_bytes)?,
            folder_uid: form::read_member(form, "folderUid")?,
            folder_id: form::read_member(form, "folderId")?,
            message: form::read_member::<String>(form, "message")?.unwrap_or_default(),
            overwrite: form::read_member(form, "overwrite")?.unwrap_or_default(),
        })
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
    let (opened, _admission) = match query.text("at") {
        Some(at) => state.dashboards.get_dashboard_at(&scope, &uid, at).await?,
        None => (state.dashboards.get_dashboard(&scope, &uid).await?, None),
    };
    check_api_version(&query, &opened.dashboard)?;
    let is_starred = state.stars.is_starred(&scope, &opened.dashboard).await?;
    let meta = DashboardMetaBody::of(&scope, &opened, is_starred);
    document::with_meta(&meta, &opened.dashboard)
}

/// A client can request a schema, but gets the stored one: the versions of the classic schema are equivalent, and no
/// other is converted.
fn check_api_version(query: &Query, dashboard: &DashboardView) -> ApiResult<()> {
    let asked = version_of(query.text("apiVersion").unwrap_or_default().trim());
    let message = match schema_of(&dashboard.data) {
        Some(schema) if asked == schema => return Ok(()),
        Some(schema) => {
            format!("the dashboard is served in the version it has: ask with apiVersion={schema}")
        }
        None if asked.is_empty() || is_classic(asked) => return Ok(()),
        None => format!("the dashboard is not served in the version {:?}", shortened(asked, MAX_VERSION)),
    };
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
