//! Folders.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::content::folder::{FolderChange, FolderRight, FolderView, Folders, HISTORY, NewFolder};
use kymograph_app::rights::authorization::permissions_of;
use kymograph_app::{ErrorKind, Scope};
use kymograph_domain::content::folder::GENERAL_UID;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{AccessLevel, OrgId, Uid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::JsonBody;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, matching, text};
use crate::kernel::openapi::text::{LongText, Name, NewUid, ParentUid};
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Routes, delete, get, history, post, put};
use crate::kernel::url::address;
use crate::rights::access_control::{AccessControl, access_control, is_access_control_asked};
use crate::rights::resource_permission::FOLDERS;

/// The default page size of folders.
const DEFAULT_PAGE: i64 = 1000;

/// The routes of folders.
pub fn routes(folders: Arc<Folders>) -> Routes {
    let state = &folders;
    Routes::of(&FOLDERS)
        .add(
            get("/api/folders", "getFolders", "List the subfolders of a folder, or the folders at the root")
                .query("parentUid", matching("^[a-zA-Z0-9_-]*$"), "The parent folder")
                .query("permission", text(), "`Edit`: only folders that the caller can edit")
                .at()
                .pages("limit", DEFAULT_PAGE)
                .for_everybody()
                .fails(&[403, 404])
                .to(state, get_folders),
        )
        .add(
            post("/api/folders", "createFolder", "Create a folder")
                .details("A uid that is in use is answered with 412 and `version-mismatch`.")
                .fails(&[412])
                .to(state, create_folder),
        )
        .add(
            get("/api/folders/id/{folder_id}", "getFolderByID", "Read a folder by its numeric id")
                .query("accesscontrol", flag(), "Include the caller's permissions on the object")
                .fails(&[404])
                .to(state, get_folder_by_id),
        )
        .add(
            get("/api/folders/{folder_uid}", "getFolderByUID", "Read a folder and its parent folders")
                .at()
                .details("The uid and title of a parent folder that the caller cannot view are `redacted`.")
                .query("accesscontrol", flag(), "Include the caller's permissions on the object")
                .fails(&[404])
                .to(state, get_folder_by_uid),
        )
        .add(
            put("/api/folders/{folder_uid}", "updateFolder", "Update the title or description of a folder")
                .details("Requires the current `version`, or `overwrite`.")
                .fails(&[404, 412])
                .to(state, update_folder),
        )
        .add(
            delete("/api/folders/{folder_uid}", "deleteFolder", "Delete a folder with all its contents")
                .fails(&[404, 413])
                .to(state, delete_folder),
        )
        .add(
            get(
                "/api/folders/{folder_uid}/counts",
                "getFolderDescendantCounts",
                "Count the contents of a folder, at any depth",
            )
            .fails(&[404])
            .to(state, get_folder_descendant_counts),
        )
        .add(
            post(
                "/api/folders/{folder_uid}/move",
                "moveFolder",
                "Move a folder into another one, or to the root",
            )
            .fails(&[404])
            .to(state, move_folder),
        )
        .with_history(history!(HISTORY, "/api/folders/{folder_uid}", "Folder", "a folder"))
}

type FolderState = State<Arc<Folders>>;

#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FolderBody {
    id: i64,
    uid: String,
    org_id: OrgId,
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    url: String,
    has_acl: bool,
    can_save: bool,
    can_edit: bool,
    can_admin: bool,
    can_delete: bool,
    created_by: String,
    #[schema(format = DateTime)]
    created: String,
    updated_by: String,
    #[schema(format = DateTime)]
    updated: String,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    parents: Vec<FolderBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_control: Option<AccessControl>,
}

/// The placeholder for the uid and title of a parent folder that the caller must not see.
const REDACTED: &str = "redacted";
/// The placeholder for a missing date.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// The creator and editor of built-in objects.
const NOBODY: &str = "Anonymous";

fn folder_body(right: &FolderRight, with_access_control: bool) -> FolderBody {
    let FolderRight { folder, level } = right;
    let can = |needed| *level >= Some(needed);
    let allowed = level.iter().flat_map(|level| permissions_of(ResourceKind::Folder, *level));
    let access_control = with_access_control.then(|| access_control(allowed));
    FolderBody {
        id: folder.id,
        uid: folder.uid.to_string(),
        org_id: folder.org_id,
        title: folder.title.clone(),
        description: folder.description.clone(),
        url: folder_url(&folder.uid, &folder.slug),
        has_acl: false,
        can_save: can(AccessLevel::Edit),
        can_edit: can(AccessLevel::Edit),
        can_admin: can(AccessLevel::Admin),
        can_delete: can(AccessLevel::Edit),
        created_by: folder.created_by.clone(),
        created: folder.created.rfc3339(),
        updated_by: folder.updated_by.clone(),
        updated: folder.updated.rfc3339(),
        version: folder.version,
        parent_uid: folder.parent_uid.clone(),
        parents: Vec::new(),
        access_control,
    }
}

/// The root as a folder, for old clients.
fn root_body(org_id: OrgId, level: AccessLevel) -> FolderBody {
    FolderBody {
        uid: GENERAL_UID.to_owned(),
        org_id,
        title: "Dashboards".to_owned(),
        url: address(format_args!("/dashboards")),
        can_save: level >= AccessLevel::Edit,
        can_edit: level >= AccessLevel::Edit,
        can_admin: level >= AccessLevel::Admin,
        created_by: NOBODY.to_owned(),
        created: NEVER.to_owned(),
        updated_by: NOBODY.to_owned(),
        updated: NEVER.to_owned(),
        ..FolderBody::default()
    }
}

/// A parent folder. One that the caller must not see is redacted.
fn parent_body(org_id: OrgId, parent: Option<&FolderRight>) -> FolderBody {
    match parent {
        Some(parent) => folder_body(parent, false),
        None => FolderBody {
            uid: REDACTED.to_owned(),
            title: REDACTED.to_owned(),
            org_id,
            created: NEVER.to_owned(),
            updated: NEVER.to_owned(),
            ..FolderBody::default()
        },
    }
}

/// The URL of a folder's page.
pub(crate) fn folder_url(uid: &Uid, slug: &str) -> String {
    address(format_args!("/dashboards/f/{uid}/{slug}"))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FolderHitBody {
    id: i64,
    uid: Uid,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_uid: Option<Uid>,
}

#[derive(Serialize, ToSchema)]
struct DeletedFolderBody {
    message: String,
    id: i64,
    title: String,
}

#[derive(Serialize, ToSchema)]
struct FolderCountsBody {
    folder: i64,
    dashboard: i64,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct NewFolderForm {
    #[schema(value_type = Option<NewUid>)]
    uid: Option<String>,
    #[schema(value_type = Name, required)]
    title: Option<String>,
    #[schema(value_type = Option<LongText>)]
    description: Option<String>,
    #[schema(value_type = Option<ParentUid>)]
    parent_uid: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct FolderForm {
    #[schema(value_type = Option<Name>)]
    title: Option<String>,
    #[schema(value_type = Option<LongText>)]
    description: Option<String>,
    /// The version that the change is based on.
    version: Option<i64>,
    /// Whether to update the object whatever its version is.
    overwrite: bool,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct MoveFolderForm {
    #[schema(value_type = Option<ParentUid>)]
    parent_uid: Option<String>,
}

async fn get_folders(
    State(folders): FolderState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<FolderHitBody>>> {
    let level = wanted_level(&query);
    let page = query.page("limit", DEFAULT_PAGE);
    let parent = query.text("parentUid");
    let found = match query.text("at") {
        Some(at) => folders.list_folders_at(&scope, parent, page, at).await?,
        None => folders.list_folders(&scope, parent, level, page).await?,
    };
    let body = |folder: FolderView| FolderHitBody {
        id: folder.id,
        uid: folder.uid,
        title: folder.title,
        parent_uid: folder.parent_uid,
    };
    Ok(Json(found.into_iter().map(body).collect()))
}

/// The level by which a list is filtered.
pub(crate) fn wanted_level(query: &Query) -> AccessLevel {
    match query.text("permission") {
        Some("Edit") => AccessLevel::Edit,
        _ => AccessLevel::View,
    }
}

fn with_parents(
    folder: &FolderRight,
    parents: &[Option<FolderRight>],
    with_access_control: bool,
) -> Json<FolderBody> {
    let mut body = folder_body(folder, with_access_control);
    let org_id = folder.folder.org_id;
    body.parents = parents.iter().map(|parent| parent_body(org_id, parent.as_ref())).collect();
    Json(body)
}

async fn read_changed(folders: &Folders, scope: &Scope, uid: &str) -> ApiResult<Json<FolderBody>> {
    let (folder, parents) = folders.get_changed_folder(scope, uid).await?;
    Ok(with_parents(&folder, &parents, false))
}

async fn get_folder_by_uid(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    query: Query,
) -> ApiResult<Json<FolderBody>> {
    if uid == GENERAL_UID {
        return Ok(Json(root_body(scope.org(), folders.get_root(&scope)?)));
    }
    let (folder, parents) = match query.text("at") {
        Some(at) => folders.get_folder_at(&scope, &uid, at).await?,
        None => folders.get_folder(&scope, &uid).await?,
    };
    Ok(with_parents(&folder, &parents, is_access_control_asked(&query)))
}

async fn get_folder_by_id(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    query: Query,
) -> ApiResult<Json<FolderBody>> {
    let id = parse_id("id", &id)?;
    if id == 0 {
        return Ok(Json(root_body(scope.org(), folders.get_root(&scope)?)));
    }
    let folder = folders.get_folder_by_id(&scope, id).await?;
    Ok(Json(folder_body(&folder, is_access_control_asked(&query))))
}

async fn create_folder(
    State(folders): FolderState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<NewFolderForm>,
) -> ApiResult<Json<FolderBody>> {
    let new = NewFolder {
        uid: form.uid,
        title: form.title.unwrap_or_default(),
        description: form.description.unwrap_or_default(),
        parent_uid: form.parent_uid,
    };
    // The operation has no 404: a missing parent is invalid input.
    let uid = folders
        .create_folder(&scope, &new)
        .await
        .map_err(|error| ApiError::from(error).when(ErrorKind::Missing, StatusCode::BAD_REQUEST, ""))?;
    // Nor for a folder that was deleted before it was read.
    read_changed(&folders, &scope, uid.as_str()).await.map_err(|error| {
        error.when(
            ErrorKind::Missing,
            StatusCode::PRECONDITION_FAILED,
            "the folder was deleted by someone else",
        )
    })
}

async fn update_folder(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<FolderForm>,
) -> ApiResult<Json<FolderBody>> {
    let change = FolderChange {
        title: form.title,
        description: form.description,
        expected_version: (!form.overwrite).then(|| form.version.unwrap_or_default()),
    };
    folders.update_folder(&scope, &uid, &change).await?;
    read_changed(&folders, &scope, &uid).await
}

async fn move_folder(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<MoveFolderForm>,
) -> ApiResult<Json<FolderBody>> {
    folders.move_folder(&scope, &uid, form.parent_uid.as_deref()).await?;
    read_changed(&folders, &scope, &uid).await
}

async fn delete_folder(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DeletedFolderBody>> {
    let deleted = folders.delete_folder(&scope, &uid).await?;
    let message = format!("Folder {} deleted", deleted.title);
    Ok(Json(DeletedFolderBody { message, id: deleted.id, title: deleted.title }))
}

async fn get_folder_descendant_counts(
    State(folders): FolderState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<FolderCountsBody>> {
    let counts = folders.count_descendants(&scope, &uid).await?;
    Ok(Json(FolderCountsBody { folder: counts.folders, dashboard: counts.dashboards }))
}
