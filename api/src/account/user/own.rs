//! The caller's own account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::user::ProfileUpdate;
use kymograph_app::{Error, ErrorKind};
use serde::Deserialize;
use utoipa::ToSchema;

use super::text::NewPassword;
use super::wire::{ProfileBody, ProfileForm, UserOrgBody};
use super::{UserState, not_in_org};
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::query::{Path, parse_id};
use crate::kernel::routes::{Group, Routes, get, post, put};

/// The group of operations named `signed_in_user`.
pub(crate) const SIGNED_IN_USER: Group =
    Group::new("signed_in_user", "The caller's account, stars, preferences and sessions")
        .of_noun("user", "user");

pub(super) fn routes(state: &UserState) -> Routes {
    Routes::of(&SIGNED_IN_USER)
        .add(
            get("/api/user", "getSignedInUser", "Read the caller's account")
                .for_everybody()
                .fails(&[404])
                .to(state, get_signed_in_user),
        )
        .add(
            put("/api/user", "updateSignedInUser", "Update the caller's profile")
                .for_everybody()
                .fails(&[409])
                .to(state, update_signed_in_user),
        )
        .add(
            get("/api/user/orgs", "getSignedInUserOrgList", "List the caller's orgs")
                .for_everybody()
                .to(state, get_signed_in_user_org_list),
        )
        .add(
            put("/api/user/password", "changeUserPassword", "Change the caller's password")
                .for_everybody()
                .to(state, change_user_password),
        )
        .add(
            post("/api/user/using/{org_id}", "userSetUsingOrg", "Switch the caller's current org")
                .for_everybody()
                .to(state, user_set_using_org),
        )
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct ChangePasswordForm {
    #[schema(value_type = String, required)]
    old_password: Option<String>,
    #[schema(value_type = NewPassword, required)]
    new_password: Option<String>,
}

/// A service account has no user profile to update.
pub(super) fn no_account(error: Error) -> ApiError {
    let message = "Only users have a profile";
    ApiError::from(error).when(ErrorKind::Missing, StatusCode::FORBIDDEN, message)
}

async fn get_signed_in_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
) -> ApiResult<Json<ProfileBody>> {
    let mut user = state.users.get_own_user(&scope).await?;
    user.org_id = scope.org();
    Ok(Json(ProfileBody::of(user)))
}

async fn update_signed_in_user(
    State(state): State<UserState>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<ProfileForm>,
) -> ApiResult<Json<Message>> {
    let updated = state.users.update_own_profile(&scope, &form.into_change()?).await;
    Ok(Message::json(match updated.map_err(no_account)? {
        ProfileUpdate::Done => "User updated",
        ProfileUpdate::EmailToConfirm => {
            "User updated. Open the link in the mail to verify the new e-mail address"
        }
    }))
}

async fn get_signed_in_user_org_list(
    State(state): State<UserState>,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<UserOrgBody>>> {
    let orgs = state.memberships.list_own_orgs(&scope).await?;
    Ok(Json(orgs.into_iter().map(UserOrgBody::of).collect()))
}

async fn change_user_password(
    State(state): State<UserState>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<ChangePasswordForm>,
) -> ApiResult<Json<Message>> {
    let (old, new) = (form.old_password.unwrap_or_default(), form.new_password.unwrap_or_default());
    state.identity.change_own_password(&scope, &old, &new).await.map_err(no_account)?;
    Ok(Message::json("User password changed"))
}

async fn user_set_using_org(
    State(state): State<UserState>,
    Caller(scope): Caller,
    Path(org): Path<String>,
) -> ApiResult<Json<Message>> {
    let org = kymograph_domain::OrgId(parse_id("id", &org)?);
    state.users.switch_org(&scope, org).await.map_err(not_in_org)?;
    Ok(Message::json("Active organization changed"))
}
