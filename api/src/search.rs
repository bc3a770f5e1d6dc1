//! Searching dashboards and folders.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use kymograph_app::search::{SearchHit, SearchQuery, Searches};
use kymograph_domain::{OrgId, Uid};
use serde::Serialize;
use utoipa::ToSchema;

use crate::dashboard::dashboard_url;
use crate::error::{ApiError, ApiResult};
use crate::folder::folder_url;
use crate::layer::Caller;
use crate::openapi::operation;
use crate::openapi::parameter::{flag, many, number, one_of, text, uid};
use crate::query::Query;
use crate::routes::Routes;

/// How many hits a list has if the client does not say.
const DEFAULT_PAGE: i64 = 1000;

/// The routes of searching.
pub fn routes(searches: Arc<Searches>) -> Routes {
    Routes::default().group("search").private(Method::GET, "/api/search", &searches, search).describe(
        operation("search", "Find dashboards and folders")
            .query("query", text(), "A part of the title")
            .query("tag", many(text()), "A tag; of more than one, all")
            .query("type", one_of(&["dash-db", "dash-folder"]), "Dashboards or folders only")
            .query("dashboardUIDs", many(uid()), "Dashboards by uid")
            .query("dashboardIds", many(number(1)), "Dashboards by numeric id")
            .query("folderUIDs", many(uid()), "What is in these folders; `general` is the root")
            .query("folderIds", many(number(0)), "What is in these folders, and the folders themselves")
            .query("starred", flag(), "Only what the caller has starred")
            .pages("limit", DEFAULT_PAGE)
            .for_everybody()
            .fails_when(500, "The `type` is unknown, or a fault of the server's"),
    )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SearchHitBody {
    id: i64,
    org_id: OrgId,
    uid: Uid,
    title: String,
    uri: String,
    url: String,
    slug: &'static str,
    r#type: HitType,
    tags: Vec<String>,
    is_starred: bool,
    is_deleted: bool,
    sort_meta: i64,
    #[serde(flatten)]
    #[schema(value_type = HitFolderBody)]
    folder: Option<HitFolderBody>,
}

#[derive(Serialize, ToSchema)]
enum HitType {
    #[serde(rename = "dash-db")]
    Dashboard,
    #[serde(rename = "dash-folder")]
    Folder,
}

/// The folder that a hit is in, absent at the root.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HitFolderBody {
    #[schema(required = false)]
    folder_id: i64,
    #[schema(required = false)]
    folder_uid: Uid,
    #[schema(required = false)]
    folder_title: String,
    #[schema(required = false)]
    folder_url: String,
}

fn hit_body(org_id: OrgId, hit: SearchHit) -> SearchHitBody {
    let url =
        if hit.is_folder { folder_url(&hit.uid, &hit.slug) } else { dashboard_url(&hit.uid, &hit.slug) };
    SearchHitBody {
        id: hit.id,
        org_id,
        uid: hit.uid,
        title: hit.title,
        uri: format!("db/{}", hit.slug),
        url,
        slug: "",
        r#type: if hit.is_folder { HitType::Folder } else { HitType::Dashboard },
        tags: hit.tags,
        is_starred: hit.is_starred,
        is_deleted: false,
        sort_meta: 0,
        folder: hit.folder.map(|folder| HitFolderBody {
            folder_id: folder.id,
            folder_url: folder_url(&folder.uid, &folder.slug),
            folder_uid: folder.uid,
            folder_title: folder.title,
        }),
    }
}

async fn search(
    State(searches): State<Arc<Searches>>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<SearchHitBody>>> {
    let (folders, dashboards) = match query.text("type").unwrap_or_default() {
        "" => (true, true),
        "dash-folder" => (true, false),
        "dash-db" => (false, true),
        // Grafana's answer, which its clients test.
        _ => return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Search failed")),
    };
    let wanted = SearchQuery {
        text: query.text("query").unwrap_or_default().to_owned(),
        tags: query.texts("tag"),
        uids: query.texts("dashboardUIDs"),
        ids: query.numbers("dashboardIds"),
        folder_uids: query.texts("folderUIDs"),
        folder_ids: query.numbers("folderIds"),
        starred: query.text("starred").is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1"),
        folders,
        dashboards,
    };
    let hits = searches.search(&scope, wanted, query.page("limit", DEFAULT_PAGE)).await?;
    Ok(Json(hits.into_iter().map(|hit| hit_body(scope.org(), hit)).collect()))
}
