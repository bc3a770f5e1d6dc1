//! The older operations on permissions of folders and dashboards, which replace the whole list.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::rights::resource_permission::{
    GranteeView, PermissionView, ResourcePermissionView, WantedGrant,
};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{AccessLevel, OrgRole, TeamId, Uid, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{KindState, UrlOf};
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::query::Path;
use crate::kernel::routes::{Group, Routes, get, post};
use crate::kernel::url::avatar_url;

/// The group of operations named `dashboards`.
pub(crate) const DASHBOARDS: Group =
    Group::new("dashboards", "Dashboards and their versions").of_noun("dashboards", "dashboard");

/// The group of operations named `folders`.
pub(crate) const FOLDERS: Group = Group::new("folders", "Folders").of_noun("folders", "folder");

pub(super) fn routes(folders: &KindState, dashboards: &KindState) -> Routes {
    let (folder, dashboard) =
        ("/api/folders/{folder_uid}/permissions", "/api/dashboards/uid/{uid}/permissions");
    let replaces = "Permissions of parent folders are listed as inherited, and cannot be changed here.";
    Routes::of(&FOLDERS)
        .add(
            get(folder, "getFolderPermissionList", "List the permissions of a folder")
                .fails(&[404])
                .to(folders, get_permission_list),
        )
        .add(
            post(folder, "updateFolderPermissions", "Replace the permissions of a folder")
                .details(replaces)
                .fails(&[404])
                .to(folders, update_permissions),
        )
        .group(&DASHBOARDS)
        .add(
            get(dashboard, "getDashboardPermissionsListByUID", "List the permissions of a dashboard")
                .fails(&[404])
                .to(dashboards, get_permission_list),
        )
        .add(
            post(dashboard, "updateDashboardPermissionsByUID", "Replace the permissions of a dashboard")
                .details(replaces)
                .fails(&[404])
                .to(dashboards, update_permissions),
        )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AclBody {
    dashboard_id: i64,
    created: String,
    updated: String,
    user_id: UserId,
    user_uid: String,
    user_login: String,
    user_email: String,
    user_avatar_url: String,
    team_id: TeamId,
    team_uid: String,
    team: String,
    team_email: String,
    team_avatar_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<OrgRole>,
    permission: i16,
    permission_name: &'static str,
    uid: Uid,
    title: String,
    slug: String,
    is_folder: bool,
    url: String,
    inherited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder_uid: Option<Uid>,
}

fn acl_body(resource: &ResourcePermissionView, permission: PermissionView, url_of: UrlOf) -> AclBody {
    let is_folder = resource.kind == ResourceKind::Folder;
    let mut body = AclBody {
        dashboard_id: if is_folder { 0 } else { resource.id },
        created: permission.created.rfc3339(),
        updated: permission.updated.rfc3339(),
        user_id: UserId(0),
        user_uid: String::new(),
        user_login: String::new(),
        user_email: String::new(),
        user_avatar_url: String::new(),
        team_id: TeamId(0),
        team_uid: String::new(),
        team: String::new(),
        team_email: String::new(),
        team_avatar_url: String::new(),
        role: None,
        permission: permission.level.number(),
        permission_name: permission.level.as_str(),
        uid: resource.uid.clone(),
        title: resource.title.clone(),
        slug: resource.slug.clone(),
        is_folder,
        url: url_of(resource.kind, &resource.uid, &resource.slug),
        inherited: permission.is_inherited,
        folder_uid: resource.folder_uid.clone(),
    };
    match permission.grantee {
        GranteeView::User(user) => {
            body.user_avatar_url = avatar_url(&user.email);
            body.user_id = user.id;
            body.user_uid = user.uid;
            body.user_login = user.login;
            body.user_email = user.email;
        }
        GranteeView::Team(team) => {
            body.team_avatar_url = avatar_url(if team.email.is_empty() { &team.name } else { &team.email });
            body.team_id = team.id;
            body.team_uid = team.uid.to_string();
            body.team = team.name;
            body.team_email = team.email;
        }
        GranteeView::Role(role) => body.role = Some(role),
    }
    body
}

#[derive(Deserialize, Default, ToSchema)]
struct AclForm {
    items: Option<Vec<AclItemForm>>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct AclItemForm {
    user_id: Option<i64>,
    team_id: Option<i64>,
    role: Option<String>,
    permission: Option<i64>,
    inherited: Option<bool>,
}

/// Inherited grants are omitted if the own list grants at least as much.
async fn get_permission_list(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Vec<AclBody>>> {
    let mut found = state.permissions.get_permissions(&scope, state.kind, &uid).await?;
    let permissions = std::mem::take(&mut found.permissions);
    let (inherited, own): (Vec<_>, Vec<_>) =
        permissions.into_iter().partition(|permission| permission.is_inherited);
    let says_more = |inherited: &PermissionView| {
        own.iter().all(|own| own.grantee != inherited.grantee || own.level < inherited.level)
    };
    let inherited: Vec<_> = inherited.into_iter().filter(says_more).collect();
    let body = |permission| acl_body(&found, permission, state.url_of);
    Ok(Json(own.into_iter().chain(inherited).map(body).collect()))
}

async fn update_permissions(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<AclForm>,
) -> ApiResult<Json<Message>> {
    // A client that sends back what it read does not want to grant inherited permissions explicitly.
    let items = form.items.unwrap_or_default().into_iter().filter(|item| item.inherited != Some(true));
    let wanted = items.map(wanted_grant).collect::<Result<Vec<_>, _>>()?;
    state.permissions.replace_permissions(&scope, state.kind, &uid, &wanted).await?;
    Ok(Message::json(match state.kind {
        ResourceKind::Folder => "Folder permissions updated",
        ResourceKind::Dashboard => "Dashboard permissions updated",
        ResourceKind::DataSource => "Data source permissions updated",
    }))
}

fn wanted_grant(item: AclItemForm) -> Result<WantedGrant, ApiError> {
    let level = item.permission.and_then(AccessLevel::from_number);
    let level = level.ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "permission must be 1 (view), 2 (edit) or 4 (admin)")
    })?;
    Ok(WantedGrant { user_id: item.user_id, team_id: item.team_id, role: item.role, level: Some(level) })
}
