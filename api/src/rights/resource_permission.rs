//! Permissions of folders and dashboards: the newer operations under `/api/access-control`, and in [`acl`] the older
//! ones.

mod acl;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::rights::authorization::permissions_of;
use kymograph_app::rights::resource_permission::{
    GranteeView, PermissionView, ResourcePermissions, WantedGrant, parse_level,
};
use kymograph_app::{Error, Permission, Scope};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{AccessLevel, OrgRole, TeamId, Uid, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::number;
use crate::kernel::query::{Path, parse_id};
use crate::kernel::routes::{Group, Routes, get, post};
use crate::kernel::url::avatar_url;

pub(crate) use acl::{DASHBOARDS, FOLDERS};

/// The routes of one kind of resource.
macro_rules! routes_of {
    ($state:expr, $plural:literal, $uid:literal, $noun:literal, $what:literal) => {{
        macro_rules! path {
            ($rest:literal) => {
                concat!("/api/access-control/", $plural, "/", $rest)
            };
        }
        let state = $state;
        Routes::of(&GROUP)
            .add(
                get(
                    path!("description"),
                    concat!("get", $noun, "ResourceDescription"),
                    concat!("Describe the permissions that can be granted on ", $what, ", and to whom"),
                )
                .to(state, get_resource_description),
            )
            .add(
                get(
                    concat!(path!(""), $uid),
                    concat!("get", $noun, "ResourcePermissions"),
                    concat!("List the permissions of ", $what, ", inherited ones included"),
                )
                .fails(&[404])
                .to(state, get_resource_permissions),
            )
            .add(
                post(
                    concat!(path!(""), $uid),
                    concat!("set", $noun, "ResourcePermissions"),
                    concat!("Change some permissions of ", $what),
                )
                .details(UNNAMED)
                .fails(&[404])
                .to(state, set_resource_permissions),
            )
            .add(
                post(
                    concat!(path!(""), $uid, "/users/{user_id}"),
                    concat!("set", $noun, "ResourcePermissionsForUser"),
                    concat!("Set the permission of a user or service account on ", $what),
                )
                .details(REMOVES)
                .fails(&[404])
                .to(state, set_resource_permissions_for_user),
            )
            .add(
                post(
                    concat!(path!(""), $uid, "/teams/{team_id}"),
                    concat!("set", $noun, "ResourcePermissionsForTeam"),
                    concat!("Set the permission of a team on ", $what),
                )
                .details(REMOVES)
                .path("team_id", number(1), "The id of a team")
                .fails(&[404])
                .to(state, set_resource_permissions_for_team),
            )
            .add(
                post(
                    concat!(path!(""), $uid, "/builtInRoles/{role}"),
                    concat!("set", $noun, "ResourcePermissionsForBuiltInRole"),
                    concat!("Set the permission of a role on ", $what),
                )
                .details(REMOVES)
                .fails(&[404])
                .to(state, set_resource_permissions_for_built_in_role),
            )
    }};
}

const GROUP: Group =
    Group::new("access_control", "Access-control lists of folders, dashboards and data sources");

/// The routes of permissions of folders, dashboards and data sources.
pub fn routes(permissions: &Arc<ResourcePermissions>, url_of: UrlOf) -> Routes {
    let of = |kind| KindState { permissions: permissions.clone(), kind, url_of };
    let [folders, dashboards, sources] = &ResourceKind::ALL.map(of);
    Routes::of(&GROUP)
        .add(
            get(
                "/api/access-control/user/permissions",
                "getUserPermissions",
                "List the caller's permissions: actions with their scopes",
            )
            .for_everybody()
            .to(permissions, get_user_permissions),
        )
        .add(
            get("/api/access-control/user/actions", "getUserActions", "List the caller's permitted actions")
                .for_everybody()
                .to(permissions, get_user_actions),
        )
        .merge(routes_of!(folders, "folders", "{folder_uid}", "Folder", "a folder"))
        .merge(routes_of!(dashboards, "dashboards", "{uid}", "Dashboard", "a dashboard"))
        .merge(routes_of!(sources, "datasources", "{data_source_uid}", "DataSource", "a data source"))
        .merge(acl::routes(folders, dashboards))
}

const UNNAMED: &str =
    "Permissions that are left out stay. The first change makes the default permissions explicit.";
const REMOVES: &str = "An empty `permission` removes the grant.";

/// The state of the operations on one kind of resource.
#[derive(Clone)]
struct KindState {
    permissions: Arc<ResourcePermissions>,
    kind: ResourceKind,
    url_of: UrlOf,
}

/// Builds the URL of the page of an object from its kind, uid and slug.
pub type UrlOf = fn(ResourceKind, &Uid, &str) -> String;

#[derive(Serialize, ToSchema)]
struct DescriptionBody {
    assignments: AssignmentsBody,
    permissions: [&'static str; 3],
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AssignmentsBody {
    users: bool,
    service_accounts: bool,
    teams: bool,
    built_in_roles: bool,
}

#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PermissionBody {
    id: i64,
    role_name: String,
    is_managed: bool,
    is_inherited: bool,
    is_service_account: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<TeamId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    built_in_role: Option<OrgRole>,
    actions: Vec<&'static str>,
    permission: &'static str,
}

fn permission_body(kind: ResourceKind, permission: PermissionView) -> PermissionBody {
    let mut body = PermissionBody {
        id: permission.position,
        is_managed: !permission.is_inherited,
        is_inherited: permission.is_inherited,
        actions: actions(kind, permission.level),
        permission: level_name(kind, permission.level),
        ..PermissionBody::default()
    };
    match permission.grantee {
        GranteeView::User(user) => {
            body.role_name = format!("managed:users:{}:permissions", user.id);
            body.is_service_account = user.is_service_account;
            body.user_avatar_url = Some(avatar_url(&user.email));
            body.user_id = Some(user.id);
            body.user_uid = Some(user.uid);
            body.user_login = Some(user.login);
        }
        GranteeView::Team(team) => {
            body.role_name = format!("managed:teams:{}:permissions", team.id);
            body.team_avatar_url =
                Some(avatar_url(if team.email.is_empty() { &team.name } else { &team.email }));
            body.team_id = Some(team.id);
            body.team_uid = Some(team.uid);
            body.team = Some(team.name);
        }
        GranteeView::Role(role) => {
            body.role_name = format!("managed:builtins:{}:permissions", role.as_str().to_lowercase());
            body.built_in_role = Some(role);
        }
    }
    body
}

/// Admins of the org have all permissions, which cannot be removed.
fn admins_body(kind: ResourceKind) -> PermissionBody {
    PermissionBody {
        built_in_role: Some(OrgRole::Admin),
        actions: actions(kind, AccessLevel::Admin),
        permission: level_name(kind, AccessLevel::Admin),
        ..PermissionBody::default()
    }
}

fn actions(kind: ResourceKind, level: AccessLevel) -> Vec<&'static str> {
    permissions_of(kind, level).map(Permission::action).collect()
}

/// The name of a level: who may look at a data source may ask it.
fn level_name(kind: ResourceKind, level: AccessLevel) -> &'static str {
    match (kind, level) {
        (ResourceKind::DataSource, AccessLevel::View) => "Query",
        (_, level) => level.as_str(),
    }
}

/// The level of a name, `None` for an empty one.
fn level_of(kind: ResourceKind, name: Option<&str>) -> Result<Option<AccessLevel>, Error> {
    match (kind, name.unwrap_or_default()) {
        (ResourceKind::DataSource, "Query") => Ok(Some(AccessLevel::View)),
        (_, name) => parse_level(name),
    }
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct SetPermissionForm {
    permission: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
struct SetPermissionsForm {
    permissions: Option<Vec<GrantForm>>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct GrantForm {
    user_id: Option<i64>,
    team_id: Option<i64>,
    built_in_role: Option<String>,
    permission: Option<String>,
}

async fn get_resource_description(
    State(state): State<KindState>,
    Caller(scope): Caller,
) -> ApiResult<Json<DescriptionBody>> {
    state.permissions.require_some(&scope, state.kind).await?;
    let assignments =
        AssignmentsBody { users: true, service_accounts: true, teams: true, built_in_roles: true };
    let permissions = AccessLevel::ALL.map(|level| level_name(state.kind, level));
    Ok(Json(DescriptionBody { assignments, permissions }))
}

async fn get_resource_permissions(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Vec<PermissionBody>>> {
    let found = state.permissions.get_permissions(&scope, state.kind, &uid).await?;
    let listed = found.permissions.into_iter().map(|permission| permission_body(state.kind, permission));
    Ok(Json(listed.chain([admins_body(state.kind)]).collect()))
}

async fn set_resource_permissions(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<SetPermissionsForm>,
) -> ApiResult<Json<Message>> {
    let wanted = form.permissions.unwrap_or_default().into_iter().map(|grant| {
        let level = level_of(state.kind, grant.permission.as_deref())?;
        Ok(WantedGrant { user_id: grant.user_id, team_id: grant.team_id, role: grant.built_in_role, level })
    });
    let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
    state.permissions.change_permissions(&scope, state.kind, &uid, &wanted).await?;
    Ok(Message::json("Permissions updated"))
}

async fn set_resource_permissions_for_user(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path((uid, user)): Path<(String, String)>,
    JsonBody(form): JsonBody<SetPermissionForm>,
) -> ApiResult<Json<Message>> {
    let user_id = Some(parse_id("userID", &user)?);
    state.set_one(&scope, &uid, WantedGrant { user_id, ..form.into_grant(state.kind)? }).await
}

async fn set_resource_permissions_for_team(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path((uid, team)): Path<(String, String)>,
    JsonBody(form): JsonBody<SetPermissionForm>,
) -> ApiResult<Json<Message>> {
    let team_id = Some(parse_id("teamID", &team)?);
    state.set_one(&scope, &uid, WantedGrant { team_id, ..form.into_grant(state.kind)? }).await
}

async fn set_resource_permissions_for_built_in_role(
    State(state): State<KindState>,
    Caller(scope): Caller,
    Path((uid, role)): Path<(String, String)>,
    JsonBody(form): JsonBody<SetPermissionForm>,
) -> ApiResult<Json<Message>> {
    state.set_one(&scope, &uid, WantedGrant { role: Some(role), ..form.into_grant(state.kind)? }).await
}

impl SetPermissionForm {
    fn into_grant(self, kind: ResourceKind) -> Result<WantedGrant, Error> {
        let level = level_of(kind, self.permission.as_deref())?;
        Ok(WantedGrant { level, ..WantedGrant::default() })
    }
}

impl KindState {
    async fn set_one(&self, scope: &Scope, uid: &str, wanted: WantedGrant) -> ApiResult<Json<Message>> {
        let message = if wanted.level.is_none() { "Permission removed" } else { "Permission updated" };
        self.permissions.change_permissions(scope, self.kind, uid, &[wanted]).await?;
        Ok(Message::json(message))
    }
}

type PermissionsState = State<Arc<ResourcePermissions>>;

async fn get_user_permissions(
    State(permissions): PermissionsState,
    Caller(scope): Caller,
) -> ApiResult<Json<BTreeMap<&'static str, BTreeSet<String>>>> {
    Ok(Json(permissions.list_own_permissions(&scope).await?))
}

async fn get_user_actions(
    State(permissions): PermissionsState,
    Caller(scope): Caller,
) -> ApiResult<Json<BTreeMap<&'static str, bool>>> {
    let own = permissions.list_own_permissions(&scope).await?;
    Ok(Json(own.into_keys().map(|action| (action, true)).collect()))
}
