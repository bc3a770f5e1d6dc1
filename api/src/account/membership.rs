//! The members of the caller's org, and for server admins of any org.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::membership::{HISTORY, MemberView, Memberships};
use kymograph_app::{ErrorKind, Page, Scope};
use kymograph_domain::{OrgId, OrgRole, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::org::ORG;
use crate::account::org::ORGS;
use crate::account::user::wire::last_seen;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::openapi::text::Name;
use crate::kernel::query::{Path, Query, parse_org_id, parse_user_id};
use crate::kernel::routes::{Routes, delete, get, history, patch, post};
use crate::kernel::url::avatar_url;

/// The default page size of members.
const DEFAULT_PAGE: i64 = 1000;

/// The description of the parameter `query`.
const QUERY: &str = "Part of the login, name or e-mail address";

/// Grafana's answer to an update of a missing object.
const NO_MEMBER: &str = "The user is not a member, or an internal error occurred";
/// Grafana's message for it.
const UPDATE_FAILED: &str = "Failed update org user";

/// The routes of memberships.
pub fn routes(memberships: Arc<Memberships>) -> Routes {
    let state = &memberships;
    Routes::of(&ORG)
        .add(
            get("/api/org/users", "getOrgUsersForCurrentOrg", "List the members of the org")
                .query("query", text(), QUERY)
                .limit("limit", DEFAULT_PAGE)
                .to(state, get_org_users_for_current_org),
        )
        .add(
            post("/api/org/users", "addOrgUserToCurrentOrg", "Add a user to the org")
                .fails(&[404, 409])
                .to(state, add_org_user_to_current_org),
        )
        .add(
            get(
                "/api/org/users/lookup",
                "getOrgUsersForCurrentOrgLookup",
                "List the members of the org: id, login and avatar",
            )
            .query("query", text(), QUERY)
            .limit("limit", DEFAULT_PAGE)
            .to(state, get_org_users_for_current_org_lookup),
        )
        .add(
            get(
                "/api/org/users/search",
                "searchOrgUsersForCurrentOrg",
                "List the members of the org by page",
            )
            .query("query", text(), QUERY)
            .pages("perpage", DEFAULT_PAGE)
            .to(state, search_org_users_for_current_org),
        )
        .add(
            patch("/api/org/users/{user_id}", "updateOrgUserForCurrentOrg", "Change the role of a member")
                .fails_like_a_fault(NO_MEMBER, UPDATE_FAILED)
                .to(state, update_org_user_for_current_org),
        )
        .add(
            delete("/api/org/users/{user_id}", "removeOrgUserForCurrentOrg", "Remove a member from the org")
                .fails(&[404])
                .to(state, remove_org_user_for_current_org),
        )
        .merge(routes_of_any_org(state))
        .with_history(history!(HISTORY, "/api/org/users/{user_id}", "OrgUser", "the membership of a user"))
}

/// The routes for server admins.
fn routes_of_any_org(state: &Arc<Memberships>) -> Routes {
    Routes::of(&ORGS)
        .add(
            get("/api/orgs/{org_id}/users", "getOrgUsers", "List the members of an org")
                .query("query", text(), QUERY)
                .limit("limit", DEFAULT_PAGE)
                .to(state, get_org_users),
        )
        .add(
            post("/api/orgs/{org_id}/users", "addOrgUser", "Add a user to an org")
                .fails(&[404, 409])
                .to(state, add_org_user),
        )
        .add(
            get("/api/orgs/{org_id}/users/search", "searchOrgUsers", "List the members of an org by page")
                .query("query", text(), QUERY)
                .pages("perpage", DEFAULT_PAGE)
                .to(state, search_org_users),
        )
        .add(
            patch(
                "/api/orgs/{org_id}/users/{user_id}",
                "updateOrgUser",
                "Change the role of a member of an org",
            )
            .fails_like_a_fault(NO_MEMBER, UPDATE_FAILED)
            .to(state, update_org_user),
        )
        .add(
            delete("/api/orgs/{org_id}/users/{user_id}", "removeOrgUser", "Remove a member from an org")
                .fails(&[404])
                .to(state, remove_org_user),
        )
}

type Members = State<Arc<Memberships>>;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberBody {
    org_id: OrgId,
    user_id: UserId,
    uid: String,
    email: String,
    name: String,
    avatar_url: String,
    login: String,
    role: OrgRole,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_seen_at: String,
    last_seen_at_age: String,
    is_disabled: bool,
    is_externally_synced: bool,
    is_provisioned: bool,
    auth_labels: [&'static str; 0],
}

fn member_body(member: MemberView) -> MemberBody {
    let (last_seen_at, last_seen_at_age) = last_seen(member.last_seen);
    MemberBody {
        org_id: member.org_id,
        user_id: member.user_id,
        uid: member.uid,
        avatar_url: avatar_url(&member.email),
        email: member.email,
        name: member.name,
        login: member.login,
        role: member.role,
        created: member.created.rfc3339(),
        last_seen_at,
        last_seen_at_age,
        is_disabled: member.is_disabled,
        is_externally_synced: false,
        is_provisioned: false,
        auth_labels: [],
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberSearchBody {
    total_count: i64,
    org_users: Vec<MemberBody>,
    page: i64,
    per_page: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberLookupBody {
    user_id: UserId,
    uid: String,
    login: String,
    avatar_url: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AddedMemberBody {
    message: &'static str,
    user_id: UserId,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct NewMemberForm {
    #[schema(value_type = Name, required)]
    login_or_email: Option<String>,
    #[schema(value_type = OrgRole, required)]
    role: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct RoleForm {
    #[schema(value_type = OrgRole, required)]
    role: Option<String>,
}

fn parse_role(role: Option<&str>) -> ApiResult<OrgRole> {
    let role = OrgRole::try_from_client(role.unwrap_or_default());
    role.map_err(|error| kymograph_app::Error::from(error).into())
}

async fn list(
    memberships: &Memberships,
    scope: &Scope,
    org: OrgId,
    query: &Query,
) -> ApiResult<Vec<MemberView>> {
    let page = Page::of(None, query.number("limit"), DEFAULT_PAGE);
    Ok(memberships.list_members(scope, org, query.text("query").unwrap_or_default(), page).await?)
}

async fn get_org_users_for_current_org(
    State(memberships): Members,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<MemberBody>>> {
    let members = list(&memberships, &scope, scope.org(), &query).await?;
    Ok(Json(members.into_iter().map(member_body).collect()))
}

async fn get_org_users(
    State(memberships): Members,
    Caller(scope): Caller,
    Path(org): Path<String>,
    query: Query,
) -> ApiResult<Json<Vec<MemberBody>>> {
    let members = list(&memberships, &scope, parse_org_id(&org)?, &query).await?;
    Ok(Json(members.into_iter().map(member_body).collect()))
}

async fn get_org_users_for_current_org_lookup(
    State(memberships): Members,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<MemberLookupBody>>> {
    let members = list(&memberships, &scope, scope.org(), &query).await?;
    let body = |member: MemberView| MemberLookupBody {
        user_id: member.user_id,
        uid: member.uid,
        avatar_url: avatar_url(&member.email),
        login: member.login,
    };
    Ok(Json(members.into_iter().map(body).collect()))
}

async fn search(
    memberships: &Memberships,
    scope: &Scope,
    org: OrgId,
    query: &Query,
) -> ApiResult<Json<MemberSearchBody>> {
    let page = query.page("perpage", DEFAULT_PAGE);
    let text = query.text("query").unwrap_or_default();
    let (members, total_count) = memberships.search_members(scope, org, text, page).await?;
    let org_users = members.into_iter().map(member_body).collect();
    Ok(Json(MemberSearchBody { total_count, org_users, page: page.number, per_page: page.size }))
}

async fn search_org_users_for_current_org(
    State(memberships): Members,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<MemberSearchBody>> {
    search(&memberships, &scope, scope.org(), &query).await
}

async fn search_org_users(
    State(memberships): Members,
    Caller(scope): Caller,
    Path(org): Path<String>,
    query: Query,
) -> ApiResult<Json<MemberSearchBody>> {
    search(&memberships, &scope, parse_org_id(&org)?, &query).await
}

async fn add(
    memberships: &Memberships,
    scope: &Scope,
    org: OrgId,
    form: NewMemberForm,
) -> ApiResult<Json<AddedMemberBody>> {
    let role = parse_role(form.role.as_deref())?;
    let login = form.login_or_email.unwrap_or_default();
    let added = memberships.add_member(scope, org, &login, role).await.map_err(|error| {
        // The message for a missing org starts with an upper-case letter.
        let is_user = error.message() == "user not found";
        let message = if is_user { "User not found" } else { "" };
        ApiError::from(error).when(ErrorKind::Missing, StatusCode::NOT_FOUND, message)
    })?;
    Ok(Json(AddedMemberBody { message: "User added to organization", user_id: added.user_id }))
}

async fn add_org_user_to_current_org(
    State(memberships): Members,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<NewMemberForm>,
) -> ApiResult<Json<AddedMemberBody>> {
    add(&memberships, &scope, scope.org(), form).await
}

async fn add_org_user(
    State(memberships): Members,
    Caller(scope): Caller,
    Path(org): Path<String>,
    JsonBody(form): JsonBody<NewMemberForm>,
) -> ApiResult<Json<AddedMemberBody>> {
    add(&memberships, &scope, parse_org_id(&org)?, form).await
}

/// Grafana answers an update of a missing membership with 500.
async fn update(
    memberships: &Memberships,
    scope: &Scope,
    org: OrgId,
    user: &str,
    form: &RoleForm,
) -> ApiResult<Json<Message>> {
    let role = parse_role(form.role.as_deref())?;
    memberships.change_role(scope, org, parse_user_id(user)?, role).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Missing, StatusCode::INTERNAL_SERVER_ERROR, UPDATE_FAILED)
    })?;
    Ok(Message::json("Organization user updated"))
}

async fn update_org_user_for_current_org(
    State(memberships): Members,
    Caller(scope): Caller,
    Path(user): Path<String>,
    JsonBody(form): JsonBody<RoleForm>,
) -> ApiResult<Json<Message>> {
    update(&memberships, &scope, scope.org(), &user, &form).await
}

async fn update_org_user(
    State(memberships): Members,
    Caller(scope): Caller,
    Path((org, user)): Path<(String, String)>,
    JsonBody(form): JsonBody<RoleForm>,
) -> ApiResult<Json<Message>> {
    update(&memberships, &scope, parse_org_id(&org)?, &user, &form).await
}

async fn remove(
    memberships: &Memberships,
    scope: &Scope,
    org: OrgId,
    user: &str,
) -> ApiResult<Json<Message>> {
    memberships.remove_member(scope, org, parse_user_id(user)?).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Missing, StatusCode::NOT_FOUND, "User not found")
    })?;
    Ok(Message::json("User removed from organization"))
}

async fn remove_org_user_for_current_org(
    State(memberships): Members,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Message>> {
    remove(&memberships, &scope, scope.org(), &user).await
}

async fn remove_org_user(
    State(memberships): Members,
    Caller(scope): Caller,
    Path((org, user)): Path<(String, String)>,
) -> ApiResult<Json<Message>> {
    remove(&memberships, &scope, parse_org_id(&org)?, &user).await
}
