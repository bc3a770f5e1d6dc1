//! The link of a verification mail.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::ErrorKind;

use super::UserState;
use crate::kernel::body::Message;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::query::Query;
use crate::kernel::routes::{Group, Routes, get};
use crate::kernel::url::profile_path;

const GROUP: Group = Group::new("user", "Targets of links in mails");

pub(super) fn routes(state: &UserState) -> Routes {
    Routes::of(&GROUP).add(
        get("/api/user/email/update", "updateUserEmail", "Confirm a new e-mail address of the caller")
            .details("Redirects to the portal, which shows the result.")
            .query("code", text(), "The code in the mail")
            .for_everybody()
            .answers::<Message>(302, "A redirect to the account page of the portal")
            .to(state, update_user_email),
    )
}

/// A browser has opened the link: it is redirected to a page that shows the result.
async fn update_user_email(
    State(state): State<UserState>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Response> {
    let (outcome, message) =
        match state.users.confirm_email(&scope, query.text("code").unwrap_or_default()).await {
            Ok(()) => ("changed", "User email updated".to_owned()),
            Err(error) => match error.kind() {
                ErrorKind::Invalid | ErrorKind::Missing => ("invalid", error.message().to_owned()),
                ErrorKind::Taken => ("taken", error.message().to_owned()),
                _ => return Err(error.into()),
            },
        };
    let location = profile_path(&state.root_url, outcome);
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::FOUND, headers, Message::json(message)).into_response())
}
