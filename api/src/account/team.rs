//! Teams.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::team::{
    HISTORY, NewTeam, TeamFilter, TeamMemberView, TeamView, Teams, WantedMembers,
};
use kymograph_app::{Permission, Scope};
use kymograph_domain::account::team::TeamPermission;
use kymograph_domain::{OrgId, TeamId, Uid, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, Type};

use crate::account::user::SIGNED_IN_USER;
use crate::account::user::USERS;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, text};
use crate::kernel::openapi::text::{Name, ShortText};
use crate::kernel::query::{Path, Query, parse_user_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, post, put};
use crate::kernel::url::avatar_url;
use crate::rights::access_control::{AccessControl, asked_access_control};

/// The default page size of teams.
const DEFAULT_PAGE: i64 = 1000;

/// The group of operations named `teams`.
pub(crate) const TEAMS: Group = Group::new("teams", "Teams and their members").of_noun("teams", "team");

/// The routes of teams.
pub fn routes(teams: &Arc<Teams>) -> Routes {
    let state = teams;
    Routes::of(&TEAMS)
        .add(post("/api/teams", "createTeam", "Create a team").fails(&[409]).to(state, create_team))
        .add(
            get("/api/teams/search", "searchTeams", "List the teams of the org")
                .query("query", text(), "Part of the name")
                .query("name", text(), "The exact name")
                .pages("perpage", DEFAULT_PAGE)
                .query("accesscontrol", flag(), "Include the caller's permissions on the object")
                .to(state, search_teams),
        )
        .add(
            get("/api/teams/{team_id}", "getTeamByID", "Read a team")
                .query("accesscontrol", flag(), "Include the caller's permissions on the object")
                .fails(&[404])
                .to(state, get_team_by_id),
        )
        .add(
            put("/api/teams/{team_id}", "updateTeam", "Change a team")
                .details("A name that is left out stays; an e-mail address that is left out is cleared.")
                .fails(&[404, 409])
                .to(state, update_team),
        )
        .add(
            delete("/api/teams/{team_id}", "deleteTeamByID", "Delete a team")
                .fails(&[404])
                .to(state, delete_team_by_id),
        )
        .merge(member_routes(state))
        .group(&SIGNED_IN_USER)
        .add(
            get("/api/user/teams", "getSignedInUserTeamList", "List the caller's teams")
                .for_everybody()
                .to(state, get_signed_in_user_team_list),
        )
        .group(&USERS)
        .add(
            get("/api/users/{user_id}/teams", "getUserTeams", "List the teams of a user")
                .fails(&[404])
                .to(state, get_user_teams),
        )
        .with_history(history!(HISTORY, "/api/teams/{team_id}", "Team", "a team"))
}

/// The routes of members of teams.
fn member_routes(state: &Arc<Teams>) -> Routes {
    Routes::of(&TEAMS)
        .add(
            get("/api/teams/{team_id}/members", "getTeamMembers", "List the members of a team")
                .fails(&[404])
                .to(state, get_team_members),
        )
        .add(
            post("/api/teams/{team_id}/members", "addTeamMember", "Add a member of the org to a team")
                .fails(&[404])
                .to(state, add_team_member),
        )
        .add(
            put(
                "/api/teams/{team_id}/members",
                "setTeamMemberships",
                "Replace the members of a team, by e-mail address or login",
            )
            .fails(&[404])
            .to(state, set_team_memberships),
        )
        .add(
            put(
                "/api/teams/{team_id}/members/{user_id}",
                "updateTeamMember",
                "Change the permission of a team member",
            )
            .fails(&[404])
            .to(state, update_team_member),
        )
        .add(
            delete(
                "/api/teams/{team_id}/members/{user_id}",
                "removeTeamMember",
                "Remove a member from a team",
            )
            .fails(&[404])
            .to(state, remove_team_member),
        )
}

type TeamState = State<Arc<Teams>>;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TeamBody {
    id: TeamId,
    uid: Uid,
    org_id: OrgId,
    name: String,
    email: String,
    #[serde(rename = "externalUID")]
    external_uid: &'static str,
    is_provisioned: bool,
    avatar_url: String,
    member_count: i64,
    #[schema(schema_with = permission_numbers)]
    permission: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_control: Option<AccessControl>,
}

fn team_body(team: TeamView, access_control: Option<AccessControl>) -> TeamBody {
    TeamBody {
        id: team.id,
        uid: team.uid,
        org_id: team.org_id,
        // A team without an e-mail address still gets an avatar of its own.
        avatar_url: avatar_url(if team.email.is_empty() { &team.name } else { &team.email }),
        name: team.name,
        email: team.email,
        external_uid: "",
        is_provisioned: false,
        member_count: team.member_count,
        permission: permission_number(team.own_permission.unwrap_or_default()),
        access_control,
    }
}

fn team_access_control(query: &Query, scope: &Scope) -> Option<AccessControl> {
    use Permission as P;
    let permissions = [
        P::TEAMS_READ,
        P::TEAMS_WRITE,
        P::TEAMS_DELETE,
        P::TEAMS_PERMISSIONS_READ,
        P::TEAMS_PERMISSIONS_WRITE,
    ];
    asked_access_control(query, scope, &permissions)
}

/// The numeric permissions: 0 for a member, 4 for an admin.
fn permission_numbers() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 4]))
}

/// The numeric permission on the wire.
fn permission_number(permission: TeamPermission) -> i32 {
    match permission {
        TeamPermission::Member => 0,
        TeamPermission::Admin => 4,
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TeamMemberBody {
    org_id: OrgId,
    team_id: TeamId,
    #[serde(rename = "teamUID")]
    team_uid: Uid,
    user_id: UserId,
    #[serde(rename = "userUID")]
    user_uid: String,
    #[serde(rename = "auth_module")]
    auth_module: &'static str,
    email: String,
    name: String,
    login: String,
    avatar_url: String,
    labels: [&'static str; 0],
    #[schema(schema_with = permission_numbers)]
    permission: i32,
}

fn team_member_body(team: &TeamView, member: TeamMemberView) -> TeamMemberBody {
    TeamMemberBody {
        org_id: team.org_id,
        team_id: team.id,
        team_uid: team.uid.clone(),
        user_id: member.user_id,
        user_uid: member.uid,
        auth_module: "",
        avatar_url: avatar_url(&member.email),
        email: member.email,
        name: member.name,
        login: member.login,
        labels: [],
        permission: permission_number(member.permission),
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedTeamBody {
    team_id: TeamId,
    uid: Uid,
    message: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TeamSearchBody {
    total_count: i64,
    teams: Vec<TeamBody>,
    page: i64,
    per_page: i64,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct NewTeamForm {
    #[schema(value_type = Name, required)]
    name: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    email: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct TeamForm {
    #[schema(value_type = Option<ShortText>)]
    name: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    email: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct NewTeamMemberForm {
    #[schema(value_type = UserId, required)]
    user_id: Option<i64>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct TeamPermissionForm {
    #[schema(schema_with = permission_numbers)]
    permission: Option<i64>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct TeamMembersForm {
    #[schema(max_items = 5000)]
    admins: Option<Vec<String>>,
    #[schema(max_items = 5000)]
    members: Option<Vec<String>>,
}

async fn create_team(
    State(teams): TeamState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<NewTeamForm>,
) -> ApiResult<Json<CreatedTeamBody>> {
    let new = NewTeam { name: form.name.unwrap_or_default(), email: form.email.unwrap_or_default() };
    let (team_id, uid) = teams.create_team(&scope, &new).await?;
    Ok(Json(CreatedTeamBody { team_id, uid, message: "Team created" }))
}

async fn search_teams(
    State(teams): TeamState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<TeamSearchBody>> {
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    let filter = TeamFilter { name: text("name"), query: text("query") };
    let page = query.page("perpage", DEFAULT_PAGE);
    let (found, total_count) = teams.search_teams(&scope, &filter, page).await?;
    let access_control = team_access_control(&query, &scope);
    let teams = found.into_iter().map(|team| team_body(team, access_control.clone())).collect();
    Ok(Json(TeamSearchBody { total_count, teams, page: page.number, per_page: page.size }))
}

async fn get_team_by_id(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
    query: Query,
) -> ApiResult<Json<TeamBody>> {
    let team = teams.get_team(&scope, &team).await?;
    Ok(Json(team_body(team, team_access_control(&query, &scope))))
}

/// Grafana keeps an omitted name, and clears an omitted e-mail address.
async fn update_team(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
    JsonBody(form): JsonBody<TeamForm>,
) -> ApiResult<Json<Message>> {
    let name = form.name.as_deref().filter(|name| !name.is_empty());
    teams.update_team(&scope, &team, name, Some(form.email.as_deref().unwrap_or_default())).await?;
    Ok(Message::json("Team updated"))
}

async fn delete_team_by_id(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
) -> ApiResult<Json<Message>> {
    teams.delete_team(&scope, &team).await?;
    Ok(Message::json("Team deleted"))
}

async fn get_team_members(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
) -> ApiResult<Json<Vec<TeamMemberBody>>> {
    let (team, members) = teams.list_team_members(&scope, &team).await?;
    Ok(Json(members.into_iter().map(|member| team_member_body(&team, member)).collect()))
}

async fn add_team_member(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
    JsonBody(form): JsonBody<NewTeamMemberForm>,
) -> ApiResult<Json<Message>> {
    let user_id = form.user_id.ok_or_else(|| ApiError::invalid_parameter("userId"))?;
    teams.add_team_member(&scope, &team, UserId(user_id)).await?;
    Ok(Message::json("Member added to Team"))
}

async fn set_team_memberships(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(team): Path<String>,
    JsonBody(form): JsonBody<TeamMembersForm>,
) -> ApiResult<Json<Message>> {
    let (admins, members) = (form.admins.unwrap_or_default(), form.members.unwrap_or_default());
    teams.set_team_members(&scope, &team, &WantedMembers { admins, members }).await?;
    Ok(Message::json("Team memberships have been updated"))
}

async fn update_team_member(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path((team, user)): Path<(String, String)>,
    JsonBody(form): JsonBody<TeamPermissionForm>,
) -> ApiResult<Json<Message>> {
    let permission = match form.permission {
        None | Some(0) => TeamPermission::Member,
        Some(4) => TeamPermission::Admin,
        Some(_) => {
            let message = "permission must be 0 (member) or 4 (admin)";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        }
    };
    teams.update_team_member(&scope, &team, parse_user_id(&user)?, permission).await?;
    Ok(Message::json("Team member updated"))
}

async fn remove_team_member(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path((team, user)): Path<(String, String)>,
) -> ApiResult<Json<Message>> {
    teams.remove_team_member(&scope, &team, parse_user_id(&user)?).await?;
    Ok(Message::json("Team Member removed"))
}

async fn get_signed_in_user_team_list(
    State(teams): TeamState,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<TeamBody>>> {
    let found = teams.list_own_teams(&scope).await?;
    Ok(Json(found.into_iter().map(|team| team_body(team, None)).collect()))
}

async fn get_user_teams(
    State(teams): TeamState,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Vec<TeamBody>>> {
    let found = teams.list_teams_of_user(&scope, parse_user_id(&user)?).await?;
    Ok(Json(found.into_iter().map(|team| team_body(team, None)).collect()))
}
