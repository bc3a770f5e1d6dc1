//! Searching dashboards and folders.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::content::search::{SearchHit, SearchQuery, SearchSort, Searches};
use kymograph_domain::{AccessLevel, OrgId, Uid};
use serde::Serialize;
use utoipa::ToSchema;

use crate::content::dashboard::dashboard_url;
use crate::content::folder::{folder_url, wanted_level};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, many, number, one_of, text, uid};
use crate::kernel::query::Query;
use crate::kernel::routes::{Group, Routes, get};

/// The default page size of hits.
const DEFAULT_PAGE: i64 = 1000;

/// Grafana's message for an unknown `type`.
const SEARCH_FAILED: &str = "Search failed";

const GROUP: Group = Group::new("search", "Dashboards and folders by name, tag and place");

/// The routes of the search.
pub fn routes(searches: Arc<Searches>) -> Routes {
    Routes::of(&GROUP)
        .add(
            get("/api/search", "search", "Search dashboards and folders")
                .at()
                .query("query", text(), "Part of the title")
                .query("tag", many(text()), "Tags; a hit has all of them")
                .query("type", one_of(&["dash-db", "dash-folder"]), "Only dashboards, or only folders")
                .query("dashboardUIDs", many(uid()), "Uids of dashboards")
                .query("dashboardIds", many(number(1)), "Numeric ids of dashboards")
                .query("folderUIDs", many(uid()), "Only the contents of these folders; `general` is the root")
                .query("folderIds", many(number(0)), "Only these folders and their contents")
                .query("starred", flag(), "Only dashboards that the caller has starred")
                .query("deleted", flag(), "Soft-deleted dashboards instead of all others")
                .query("sort", one_of(&["alpha-asc", "alpha-desc"]), "The sort order")
                .query("permission", text(), "`Edit`: only what the caller can edit")
                .pages("limit", DEFAULT_PAGE)
                .for_everybody()
                .fails(&[403])
                .fails_like_a_fault("The `type` is unknown, or an internal error occurred", SEARCH_FAILED)
                .to(&searches, search),
        )
        .add(
            get("/api/search/sorting", "listSortOptions", "List the sort orders of the search")
                .for_everybody()
                .to(&(), list_sort_options),
        )
}

/// A sort order by name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SortOptionBody {
    name: &'static str,
    display_name: &'static str,
    description: &'static str,
    /// The label of the sort value of a hit; titles need none.
    meta: &'static str,
    #[serde(skip)]
    sort: SearchSort,
}

const SORT_OPTIONS: [SortOptionBody; 2] = [
    SortOptionBody {
        name: "alpha-asc",
        display_name: "Alphabetically (A–Z)",
        description: "Titles in alphabetical order",
        meta: "",
        sort: SearchSort::TitleAscending,
    },
    SortOptionBody {
        name: "alpha-desc",
        display_name: "Alphabetically (Z–A)",
        description: "Titles in reverse alphabetical order",
        meta: "",
        sort: SearchSort::TitleDescending,
    },
];

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SortOptionsBody {
    #[schema(value_type = Vec<SortOptionBody>)]
    sort_options: [SortOptionBody; 2],
}

async fn list_sort_options(Caller(_): Caller) -> Json<SortOptionsBody> {
    Json(SortOptionsBody { sort_options: SORT_OPTIONS })
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

/// The folder of a hit, absent at the root.
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

fn hit_body(org_id: OrgId, is_deleted: bool, hit: SearchHit) -> SearchHitBody {
    let found = hit.found;
    let url = if found.is_folder { folder_url } else { dashboard_url };
    SearchHitBody {
        id: found.id,
        org_id,
        url: url(&found.uid, &found.slug),
        uid: found.uid,
        title: found.title,
        uri: format!("db/{}", found.slug),
        slug: "",
        r#type: if found.is_folder { HitType::Folder } else { HitType::Dashboard },
        tags: found.tags,
        is_starred: hit.is_starred,
        is_deleted,
        sort_meta: 0,
        folder: hit.folder.map(|folder| HitFolderBody {
            folder_id: folder.id,
            folder_url: folder_url(&folder.uid, &folder.slug),
            folder_uid: folder.uid.clone(),
            folder_title: folder.title.clone(),
        }),
    }
}

/// An unknown sort order is ignored, as in Grafana.
fn sort(name: &str) -> Option<SearchSort> {
    SORT_OPTIONS.iter().find(|option| option.name == name).map(|option| option.sort)
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
        // Grafana's answer, which clients compare.
        _ => return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, SEARCH_FAILED)),
    };
    let deleted = query.flag("deleted");
    let wanted = SearchQuery {
        text: query.text("query").unwrap_or_default().to_owned(),
        tags: query.texts("tag"),
        uids: query.texts("dashboardUIDs"),
        ids: query.numbers("dashboardIds"),
        folder_uids: query.texts("folderUIDs"),
        folder_ids: query.numbers("folderIds"),
        starred: query.flag("starred"),
        deleted,
        folders,
        dashboards,
        editable: wanted_level(&query) == AccessLevel::Edit,
        sort: query.text("sort").and_then(sort),
    };
    let hits = searches.search(&scope, wanted, query.text("at"), query.page("limit", DEFAULT_PAGE)).await?;
    Ok(Json(hits.into_iter().map(|hit| hit_body(scope.org(), deleted, hit)).collect()))
}
