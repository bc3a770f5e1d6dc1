//! Playlists.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::content::playlist::{HISTORY, ListedPlaylist, PlaylistView, Playlists};
use kymograph_domain::Uid;
use kymograph_domain::content::playlist::{PlaylistContent, PlaylistItem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::openapi::text::Name;
use crate::kernel::query::{Path, Query};
use crate::kernel::routes::{Group, Routes, delete, get, history, post, put};

const GROUP: Group =
    Group::new("playlists", "Playlists: dashboards shown one after another").of_noun("playlists", "playlist");

/// The default limit of a list of playlists.
const DEFAULT_LIMIT: i64 = 1000;
/// The default interval of a playlist.
const DEFAULT_INTERVAL: &str = "5m";

/// The routes of playlists.
pub fn routes(playlists: Arc<Playlists>) -> Routes {
    let state = &playlists;
    Routes::of(&GROUP)
        .add(
            get("/api/playlists", "searchPlaylists", "List the playlists of the org")
                .query("query", text(), "Part of the name")
                .limit("limit", DEFAULT_LIMIT)
                .to(state, search_playlists),
        )
        .add(post("/api/playlists", "createPlaylist", "Create a playlist").to(state, create_playlist))
        .add(
            get("/api/playlists/{uid}", "getPlaylist", "Read a playlist")
                .fails(&[404])
                .to(state, get_playlist),
        )
        .add(
            put("/api/playlists/{uid}", "updatePlaylist", "Change a playlist")
                .fails(&[404])
                .to(state, update_playlist),
        )
        .add(
            delete("/api/playlists/{uid}", "deletePlaylist", "Delete a playlist")
                .fails(&[404])
                .to(state, delete_playlist),
        )
        .add(
            get("/api/playlists/{uid}/items", "getPlaylistItems", "List the items of a playlist")
                .fails(&[404])
                .to(state, get_playlist_items),
        )
        .with_history(history!(HISTORY, "/api/playlists/{uid}", "Playlist", "a playlist"))
}

type PlaylistState = State<Arc<Playlists>>;

#[derive(Serialize, ToSchema)]
struct PlaylistBody {
    id: i64,
    uid: Uid,
    name: String,
    interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<PlaylistItem>>,
}

fn body(playlist: PlaylistView) -> PlaylistBody {
    let PlaylistView { uid, id, content: PlaylistContent { name, interval, items } } = playlist;
    PlaylistBody { id, uid, name, interval, items: Some(items) }
}

fn listed_body(playlist: ListedPlaylist) -> PlaylistBody {
    let ListedPlaylist { uid, id, name, interval } = playlist;
    PlaylistBody { id, uid, name, interval, items: None }
}

#[derive(Deserialize, Default, ToSchema)]
struct PlaylistForm {
    #[schema(value_type = Name, required)]
    name: Option<String>,
    interval: Option<String>,
    items: Option<Vec<PlaylistItemForm>>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct PlaylistItemForm {
    r#type: Option<String>,
    value: Option<String>,
    title: Option<String>,
}

fn content(form: PlaylistForm) -> ApiResult<PlaylistContent> {
    let item = |PlaylistItemForm { r#type, value, title }| {
        let kind = serde_json::from_value(r#type.into()).map_err(|_| ApiError::invalid_parameter("type"))?;
        Ok(PlaylistItem { kind, value: value.unwrap_or_default(), title: title.unwrap_or_default() })
    };
    let interval = form.interval.filter(|interval| !interval.is_empty());
    Ok(PlaylistContent {
        name: form.name.unwrap_or_default(),
        interval: interval.unwrap_or_else(|| DEFAULT_INTERVAL.to_owned()),
        items: form.items.unwrap_or_default().into_iter().map(item).collect::<ApiResult<_>>()?,
    })
}

async fn search_playlists(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<PlaylistBody>>> {
    let page = query.page("limit", DEFAULT_LIMIT);
    let found = playlists.list_playlists(&scope, query.text("query").unwrap_or_default(), page).await?;
    Ok(Json(found.into_iter().map(listed_body).collect()))
}

async fn create_playlist(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<PlaylistForm>,
) -> ApiResult<Json<PlaylistBody>> {
    Ok(Json(body(playlists.create_playlist(&scope, &content(form)?).await?)))
}

async fn get_playlist(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<PlaylistBody>> {
    Ok(Json(body(playlists.get_playlist(&scope, &uid).await?)))
}

async fn update_playlist(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<PlaylistForm>,
) -> ApiResult<Json<PlaylistBody>> {
    Ok(Json(body(playlists.update_playlist(&scope, &uid, &content(form)?).await?)))
}

async fn delete_playlist(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Message>> {
    playlists.delete_playlist(&scope, &uid).await?;
    Ok(Message::json("Playlist deleted"))
}

async fn get_playlist_items(
    State(playlists): PlaylistState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Vec<PlaylistItem>>> {
    Ok(Json(playlists.get_playlist(&scope, &uid).await?.content.items))
}
