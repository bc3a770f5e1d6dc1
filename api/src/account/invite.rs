//! Invites: those of an org for its admins, and a single one by its code.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kymograph_app::account::identity::Identity;
use kymograph_app::account::invite::{Acceptance, InviteView, Invited, Invites};
use kymograph_app::{Error, ErrorKind, RequestContext};
use kymograph_domain::account::invite::{Guest, InviteId};
use kymograph_domain::{OrgId, OrgRole, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::org::ORG;
use crate::account::session::CookieSettings;
use crate::account::user::text::NewPassword;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::text::{Name, ShortText};
use crate::kernel::query::Path;
use crate::kernel::routes::{Group, Routes, delete, get, patch, post};

#[derive(Clone)]
struct InviteState {
    invites: Arc<Invites>,
    identity: Arc<Identity>,
    cookie: Arc<CookieSettings>,
    /// The public URL of the server, with a trailing slash.
    root_url: Arc<str>,
}

/// The group of operations named `invites`.
pub(crate) const INVITES: Group = Group::new("invites", "Accepting invites");

/// The routes of invites.
pub fn routes(
    invites: Arc<Invites>,
    identity: Arc<Identity>,
    cookie: Arc<CookieSettings>,
    root_url: &str,
) -> Routes {
    let state = &InviteState { invites, identity, cookie, root_url: root_url.into() };
    Routes::of(&ORG)
        .add(
            get("/api/org/invites", "getPendingOrgInvites", "List the open invites")
                .to(state, get_pending_org_invites),
        )
        .add(
            post("/api/org/invites", "addOrgInvite", "Invite a person to the org")
                .details("An existing user becomes a member at once. The link for others is in the list of invites.")
                .fails(&[404, 412])
                .to(state, add_org_invite),
        )
        .add(
            delete("/api/org/invites/{invitation_code}/revoke", "revokeInvite", "Revoke an invite")
                .fails(&[404])
                .to(state, revoke_invite),
        )
        .add(
            patch(
                "/api/org/invites/{invitation_code}/revoke",
                "patchRevokeInvite",
                "Revoke an invite (as Grafana's front end does)",
            )
            .fails(&[404])
            .to(state, revoke_invite),
        )
        .group(&INVITES)
        .add(
            get("/api/user/invite/{code}", "getInviteInfoByCode", "Read an invite by its code")
                .fails(&[404])
                .public()
                .to(state, get_invite_info_by_code),
        )
        .add(
            post(
                "/api/user/invite/complete",
                "completeInvite",
                "Accept an invite: create an account and log in",
            )
            .answers::<CompletedInviteBody>(200, "The account is created, and the session cookie is set")
            .fails(&[404, 412, 429])
            .public()
            .to(state, complete_invite),
        )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InviteBody {
    id: InviteId,
    org_id: OrgId,
    name: String,
    email: String,
    role: OrgRole,
    invited_by_login: String,
    invited_by_email: String,
    invited_by_name: String,
    code: String,
    status: &'static str,
    url: String,
    email_sent: bool,
    email_sent_on: &'static str,
    #[schema(format = DateTime)]
    created_on: String,
}

fn invite_body(root_url: &str, invite: InviteView) -> InviteBody {
    InviteBody {
        id: invite.id,
        org_id: invite.org_id,
        name: invite.guest.name,
        email: invite.guest.email,
        role: invite.guest.role,
        invited_by_login: invite.invited_by.login,
        invited_by_email: invite.invited_by.email,
        invited_by_name: invite.invited_by.name,
        url: format!("{root_url}invite/{}", invite.code),
        code: invite.code,
        status: "InvitePending",
        email_sent: false,
        email_sent_on: "0001-01-01T00:00:00Z",
        created_on: invite.created.rfc3339(),
    }
}

/// The member `sendEmail` is ignored: no mail is sent, and the link is in the list of invites.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct InviteForm {
    #[schema(value_type = Name, required)]
    login_or_email: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    name: Option<String>,
    #[schema(value_type = OrgRole, required)]
    role: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AddedInviteBody {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
}

async fn get_pending_org_invites(
    State(state): State<InviteState>,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<InviteBody>>> {
    let invites = state.invites.list_invites(&scope).await?;
    Ok(Json(invites.into_iter().map(|invite| invite_body(&state.root_url, invite)).collect()))
}

async fn add_org_invite(
    State(state): State<InviteState>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<InviteForm>,
) -> ApiResult<Json<AddedInviteBody>> {
    let role = OrgRole::try_from_client(form.role.as_deref().unwrap_or_default()).map_err(Error::from)?;
    let email = form.login_or_email.unwrap_or_default().trim().to_owned();
    let guest = Guest { email, name: form.name.unwrap_or_default(), role };
    let is_member = format!("User {} is already added to organization", guest.email);
    let invited = state.invites.invite(&scope, &guest).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Taken, StatusCode::PRECONDITION_FAILED, &is_member)
    })?;
    Ok(Json(match invited {
        Invited::Invite => {
            AddedInviteBody { message: format!("Created invite for {}", guest.email), user_id: None }
        }
        Invited::Member { user_id, name, org_name } => AddedInviteBody {
            message: format!("Existing Grafana user {name} added to org {org_name}"),
            user_id: Some(user_id),
        },
    }))
}

async fn revoke_invite(
    State(state): State<InviteState>,
    Caller(scope): Caller,
    Path(code): Path<String>,
) -> ApiResult<Json<Message>> {
    state.invites.revoke_invite(&scope, &code).await?;
    Ok(Message::json("Invite revoked"))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InviteInfoBody {
    email: String,
    name: String,
    username: String,
    invited_by: String,
}

async fn get_invite_info_by_code(
    State(state): State<InviteState>,
    Extension(context): Extension<RequestContext>,
    Path(code): Path<String>,
) -> ApiResult<Json<InviteInfoBody>> {
    let InviteView { guest, invited_by, .. } = state.invites.get_invite(&code, context).await?;
    let names = [invited_by.name, invited_by.login, invited_by.email];
    Ok(Json(InviteInfoBody {
        username: guest.email.clone(),
        email: guest.email,
        name: guest.name,
        invited_by: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
    }))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct CompleteInviteForm {
    #[schema(value_type = String, required)]
    invite_code: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    email: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    name: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    username: Option<String>,
    #[schema(value_type = NewPassword, required)]
    password: Option<String>,
    confirm_password: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct CompletedInviteBody {
    message: &'static str,
    id: UserId,
}

/// Creates the user and logs it in.
async fn complete_invite(
    State(state): State<InviteState>,
    Extension(context): Extension<RequestContext>,
    JsonBody(form): JsonBody<CompleteInviteForm>,
) -> ApiResult<Response> {
    let acceptance = Acceptance {
        code: form.invite_code.unwrap_or_default(),
        login: form.username.unwrap_or_default().trim().to_owned(),
        email: form.email.unwrap_or_default().trim().to_owned(),
        name: form.name.unwrap_or_default(),
        password: form.password.unwrap_or_default(),
    };
    if form.confirm_password.is_some_and(|confirmed| confirmed != acceptance.password) {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "Passwords do not match"));
    }
    let Acceptance { email, login, password, .. } = &acceptance;
    let taken = format!("User with email '{email}' or username '{login}' already exists");
    let accepted = state.invites.accept_invite(&acceptance, context.clone()).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Taken, StatusCode::PRECONDITION_FAILED, &taken)
    })?;
    // The invite is used up now: a failed log-in, for example because of too many concurrent ones, must not look like a
    // failure of the acceptance.
    let id = accepted.user_id;
    let Ok(token) = state.identity.log_in(&accepted.login, password, &context).await else {
        return Ok(Json(CompletedInviteBody { message: "User created", id }).into_response());
    };
    let mut response =
        Json(CompletedInviteBody { message: "User created and logged in", id }).into_response();
    state.cookie.set(response.headers_mut(), &token);
    Ok(response)
}
