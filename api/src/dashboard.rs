//! Dashboards. Their versions are in [`version`].

mod document;
mod version;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use kymograph_app::dashboard::{Dashboards, SaveDashboard};
use kymograph_app::star::Stars;
use kymograph_domain::Uid;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::body::JsonBody;
use crate::error::{ApiError, ApiResult};
use crate::layer::Caller;
use crate::routes::Routes;
use wire::{MetaBody, SavedBody};

pub(crate) use wire::dashboard_url;

/// The routes of dashboards.
pub fn routes(dashboards: Arc<Dashboards>, stars: Arc<Stars>) -> Routes {
    let state = &dashboards;
    let read_state = &ReadState { dashboards: dashboards.clone(), stars };
    Routes::default()
        .private(Method::POST, "/api/dashboards/db", state, post_dashboard)
        .private(Method::GET, "/api/dashboards/tags", state, get_dashboard_tags)
        .private(Method::GET, "/api/dashboards/uid/{uid}", read_state, get_dashboard_by_uid)
        .private(Method::DELETE, "/api/dashboards/uid/{uid}", state, delete_dashboard_by_uid)
        .merge(version::routes(state))
}

type DashboardState = State<Arc<Dashboards>>;

/// What reading a dashboard needs, because the answer says whether the caller starred it.
#[derive(Clone)]
struct ReadState {
    dashboards: Arc<Dashboards>,
    stars: Arc<Stars>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SaveForm {
    dashboard: Option<Map<String, Value>>,
    folder_uid: Option<String>,
    folder_id: Option<i64>,
    message: Option<String>,
    overwrite: bool,
    is_folder: bool,
}

#[derive(Serialize)]
struct DeletedBody {
    message: String,
    title: String,
    uid: Uid,
}

async fn post_dashboard(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<SaveForm>,
) -> ApiResult<Json<SavedBody>> {
    let Some(dashboard) = form.dashboard else {
        return Err(ApiError::new(axum::http::StatusCode::BAD_REQUEST, "bad request data: no dashboard"));
    };
    if form.is_folder {
        let message = "folders are created with POST /api/folders";
        return Err(ApiError::new(axum::http::StatusCode::BAD_REQUEST, message));
    }
    let save = SaveDashboard {
        dashboard,
        folder_uid: form.folder_uid,
        folder_id: form.folder_id,
        message: form.message.unwrap_or_default(),
        overwrite: form.overwrite,
    };
    Ok(Json(SavedBody::of(dashboards.save_dashboard(&scope, save).await?)))
}

async fn get_dashboard_by_uid(
    State(state): State<ReadState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Response> {
    let (dashboard, folder) = state.dashboards.get_dashboard(&scope, &uid).await?;
    let is_starred = state.stars.is_starred(&scope, &dashboard).await?;
    let meta = MetaBody::of(&scope, &dashboard, folder.as_deref(), is_starred);
    document::with_meta(&meta, dashboard.clone())
}

#[derive(Serialize)]
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
) -> ApiResult<Json<DeletedBody>> {
    let deleted = dashboards.delete_dashboard(&scope, &uid).await?;
    let message = format!("Dashboard {} deleted", deleted.title);
    Ok(Json(DeletedBody { message, title: deleted.title, uid: deleted.uid }))
}
