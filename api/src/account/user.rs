//! Users: all of them for server admins, and the caller's own account, which is in [`own`].

mod email;
mod help_flag;
mod own;
pub(crate) mod text;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::identity::Identity;
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::user::{HISTORY, NewUser, Users};
use kymograph_app::{Error, ErrorKind, Scope};
use kymograph_domain::account::user::Profile;
use kymograph_domain::{OrgId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{matching, text};
use crate::kernel::openapi::text::ShortText;
use crate::kernel::query::{Path, Query, parse_id, parse_org_id, parse_user_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, post, put};
use text::NewPassword;
use wire::{ProfileBody, ProfileForm, UserHitBody, UserOrgBody};

pub(crate) use own::SIGNED_IN_USER;

/// The default page size of users.
const DEFAULT_PAGE: i64 = 1000;

/// The description of the parameter `query`.
const QUERY: &str = "Part of the login, name or e-mail address";

/// Grafana's answer to an update of a missing user.
const NO_USER: &str = "The user does not exist, or an internal error occurred";
const PASSWORD_FAILED: &str = "Failed to update user password";
const PERMISSIONS_FAILED: &str = "Failed to update user permissions";

#[derive(Clone)]
struct UserState {
    users: Arc<Users>,
    memberships: Arc<Memberships>,
    identity: Arc<Identity>,
    /// The public URL of the server.
    root_url: Arc<str>,
}

/// The group of operations named `users`.
pub(crate) const USERS: Group = Group::new("users", "All users, for server admins").of_noun("users", "user");

/// The group of operations named `admin_users`.
pub(crate) const ADMIN_USERS: Group = Group::new("admin_users", "Administration of users, for server admins");

/// The routes of users.
pub fn routes(
    users: Arc<Users>,
    memberships: Arc<Memberships>,
    identity: Arc<Identity>,
    root_url: &str,
) -> Routes {
    let state = &UserState { users, memberships, identity, root_url: root_url.into() };
    Routes::of(&USERS)
        .add(
            get("/api/users", "searchUsers", "List the users of the server")
                .query("query", text(), QUERY)
                .pages("perpage", DEFAULT_PAGE)
                .to(state, search_users),
        )
        .add(
            get(
                "/api/users/search",
                "searchUsersWithPaging",
                "List the users of the server with their count",
            )
            .query("query", text(), QUERY)
            .pages("perpage", DEFAULT_PAGE)
            .to(state, search_users_with_paging),
        )
        .add(
            get("/api/users/lookup", "getUserByLoginOrEmail", "Read a user by login or e-mail address")
                .required_query("loginOrEmail", text(), "The login or the e-mail address")
                .fails(&[404])
                .to(state, get_user_by_login_or_email),
        )
        .add(
            get("/api/users/{user_id}", "getUserByID", "Read a user")
                .path("user_id", matching("^[a-zA-Z0-9_-]+$"), "The id or uid of a user")
                .fails(&[404])
                .to(state, get_user_by_id),
        )
        .add(
            put("/api/users/{user_id}", "updateUser", "Update the profile of a user")
                .path("user_id", matching("^[a-zA-Z0-9_-]+$"), "The id or uid of a user")
                .fails(&[404, 409])
                .to(state, update_user),
        )
        .add(
            get("/api/users/{user_id}/orgs", "getUserOrgList", "List the orgs of a user")
                .path("user_id", matching("^[a-zA-Z0-9_-]+$"), "The id or uid of a user")
                .fails(&[404])
                .to(state, get_user_org_list),
        )
        .add(
            post(
                "/api/users/{user_id}/using/{org_id}",
                "adminSetUserUsingOrg",
                "Switch the current org of a user",
            )
            .to(state, admin_set_user_using_org),
        )
        .merge(admin_routes(state))
        .merge(own::routes(state))
        .merge(email::routes(state))
        .merge(help_flag::routes(state))
        .with_history(history!(HISTORY, "/api/users/{user_id}", "User", "a user"))
}

/// The routes for server admins.
fn admin_routes(state: &UserState) -> Routes {
    Routes::of(&ADMIN_USERS)
        .add(
            post("/api/admin/users", "adminCreateUser", "Create a user")
                .fails(&[412])
                .to(state, admin_create_user),
        )
        .add(
            delete("/api/admin/users/{user_id}", "adminDeleteUser", "Delete a user")
                .fails(&[404])
                .to(state, admin_delete_user),
        )
        .add(
            put(
                "/api/admin/users/{user_id}/password",
                "adminUpdateUserPassword",
                "Change the password of a user",
            )
            .fails_like_a_fault(NO_USER, PASSWORD_FAILED)
            .to(state, admin_update_user_password),
        )
        .add(
            put(
                "/api/admin/users/{user_id}/permissions",
                "adminUpdateUserPermissions",
                "Grant or revoke the server admin role of a user",
            )
            .fails_like_a_fault(NO_USER, PERMISSIONS_FAILED)
            .to(state, admin_update_user_permissions),
        )
        .add(
            post("/api/admin/users/{user_id}/disable", "adminDisableUser", "Disable a user")
                .fails(&[404])
                .to(state, admin_disable_user),
        )
        .add(
            post("/api/admin/users/{user_id}/enable", "adminEnableUser", "Enable a user")
                .fails(&[404])
                .to(state, admin_enable_user),
        )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserSearchBody {
    total_count: i64,
    users: Vec<UserHitBody>,
    page: i64,
    per_page: i64,
}

#[derive(Serialize, ToSchema)]
struct CreatedUserBody {
    id: UserId,
    uid: String,
    message: &'static str,
}

/// Names of members are matched in any case, as clients rely on it for `OrgId`.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct NewUserForm {
    #[schema(value_type = Option<ShortText>)]
    name: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    login: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    email: Option<String>,
    #[schema(value_type = NewPassword, required)]
    password: Option<String>,
    #[serde(rename = "orgId")]
    org_id: Option<i64>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct PasswordForm {
    #[schema(value_type = NewPassword, required)]
    password: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct ServerAdminForm {
    #[schema(required)]
    is_grafana_admin: bool,
}

async fn search_users(
    State(state): State<UserState>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<UserHitBody>>> {
    let text = query.text("query").unwrap_or_default();
    let users = state.users.search_users(&scope, text, query.page("perpage", DEFAULT_PAGE)).await?;
    Ok(Json(users.into_iter().map(UserHitBody::of).collect()))
}

async fn search_users_with_paging(
    State(state): State<UserState>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<UserSearchBody>> {
    let text = query.text("query").unwrap_or_default();
    let page = query.page("perpage", DEFAULT_PAGE);
    let users = state.users.search_users(&scope, text, page).await?;
    let total_count = state.users.count_users(&scope, text).await?;
    let users = users.into_iter().map(UserHitBody::of).collect();
    Ok(Json(UserSearchBody { total_count, users, page: page.number, per_page: page.size }))
}

async fn get_user_by_login_or_email(
    State(state): State<UserState>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<ProfileBody>> {
    let login = query.text("loginOrEmail").unwrap_or_default();
    Ok(Json(ProfileBody::of(state.users.get_user_by_login(&scope, login).await?)))
}

/// The user in a path, by id or uid.
async fn named_user(users: &Users, scope: &Scope, text: &str) -> ApiResult<UserId> {
    match text.parse() {
        Ok(id) => Ok(UserId(id)),
        Err(_) => Ok(users.get_user_by_uid(scope, text).await?.id),
    }
}

async fn get_user_by_id(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<ProfileBody>> {
    let id = named_user(&state.users, &scope, &user).await.map_err(user_not_found)?;
    let user = state.users.get_user(&scope, id).await.map_err(|error| user_not_found(error.into()))?;
    Ok(Json(ProfileBody::of(user)))
}

fn user_not_found(error: ApiError) -> ApiError {
    error.when(ErrorKind::Missing, StatusCode::NOT_FOUND, "User not found")
}

async fn update_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
    JsonBody(form): JsonBody<ProfileForm>,
) -> ApiResult<Json<Message>> {
    let id = named_user(&state.users, &scope, &user).await.map_err(user_not_found)?;
    let change = form.into_change()?;
    state.users.update_user(&scope, id, &change).await.map_err(|error| user_not_found(error.into()))?;
    Ok(Message::json("User updated"))
}

async fn get_user_org_list(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Vec<UserOrgBody>>> {
    let id = named_user(&state.users, &scope, &user).await.map_err(user_not_found)?;
    let orgs = state.memberships.list_orgs_of_user(&scope, id).await?;
    Ok(Json(orgs.into_iter().map(UserOrgBody::of).collect()))
}

async fn admin_set_user_using_org(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path((user, org)): Path<(String, String)>,
) -> ApiResult<Json<Message>> {
    let (user, org) = (UserId(parse_id("id", &user)?), parse_org_id(&org)?);
    state.users.switch_org_of_user(&scope, user, org).await.map_err(not_in_org)?;
    Ok(Message::json("Active organization changed"))
}

/// A user that was deleted just now is treated like any non-member.
fn not_in_org(error: Error) -> ApiError {
    ApiError::from(error).when(ErrorKind::Missing, StatusCode::UNAUTHORIZED, "Unauthorized")
}

/// Grafana's answer, which clients compare.
fn could_not(error: Error, message: &str) -> ApiError {
    ApiError::from(error).when(ErrorKind::Missing, StatusCode::INTERNAL_SERVER_ERROR, message)
}

async fn admin_create_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<NewUserForm>,
) -> ApiResult<Json<CreatedUserBody>> {
    let profile = Profile {
        login: form.login.unwrap_or_default(),
        email: form.email.unwrap_or_default(),
        name: form.name.unwrap_or_default(),
        theme: String::new(),
    };
    let taken = format!("User with email '{}' or username '{}' already exists", profile.email, profile.login);
    let new = NewUser {
        profile,
        password: form.password.unwrap_or_default(),
        org_id: form.org_id.filter(|id| *id != 0).map(OrgId),
    };
    let created = state.users.create_user(&scope, &new).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Taken, StatusCode::PRECONDITION_FAILED, &taken)
    })?;
    Ok(Json(CreatedUserBody { id: created.id, uid: created.uid, message: "User created" }))
}

async fn admin_delete_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Message>> {
    state.users.delete_user(&scope, parse_user_id(&user)?).await?;
    Ok(Message::json("User deleted"))
}

async fn admin_update_user_password(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
    JsonBody(form): JsonBody<PasswordForm>,
) -> ApiResult<Json<Message>> {
    let (id, password) = (parse_user_id(&user)?, form.password.unwrap_or_default());
    let changed = state.users.set_password(&scope, id, &password).await;
    changed.map_err(|error| could_not(error, PASSWORD_FAILED))?;
    Ok(Message::json("User password updated"))
}

async fn admin_update_user_permissions(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
    JsonBody(form): JsonBody<ServerAdminForm>,
) -> ApiResult<Json<Message>> {
    let changed = state.users.set_server_admin(&scope, parse_user_id(&user)?, form.is_grafana_admin).await;
    changed.map_err(|error| could_not(error, PERMISSIONS_FAILED))?;
    Ok(Message::json("User permissions updated"))
}

async fn set_disabled(
    state: &UserState,
    scope: &Scope,
    user: &str,
    is_disabled: bool,
) -> Result<(), ApiError> {
    let changed: Result<(), Error> = state.users.set_disabled(scope, parse_user_id(user)?, is_disabled).await;
    Ok(changed?)
}

async fn admin_disable_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Message>> {
    set_disabled(&state, &scope, &user, true).await?;
    Ok(Message::json("User disabled"))
}

async fn admin_enable_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Message>> {
    set_disabled(&state, &scope, &user, false).await?;
    Ok(Message::json("User enabled"))
}
