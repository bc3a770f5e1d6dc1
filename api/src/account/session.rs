//! Logging in and out, the session cookie, and the lists of sessions.

mod client;
mod cookie;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::account::identity::Identity;
use kymograph_app::account::session::{Session, Sessions};
use kymograph_app::kernel::credential::Credentials;
use kymograph_app::{Error, ErrorKind, RequestContext};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::user::ADMIN_USERS;
use crate::account::user::SIGNED_IN_USER;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::query::{Path, Query, parse_user_id};
use crate::kernel::routes::{Group, Routes, get, post};
use crate::kernel::url::sub_path;
use client::SessionClientBody;

pub use cookie::{CookieSettings, session_token};

#[derive(Clone)]
struct LoginState {
    identity: Arc<Identity>,
    sessions: Arc<Sessions>,
    cookie: Arc<CookieSettings>,
    /// The public path of the server, without a trailing slash.
    sub_path: Arc<str>,
}

const GROUP: Group = Group::new("session", "Logging in and out, and sessions");

/// The routes of sessions. `root_url` is the public URL of the server.
pub fn routes(
    identity: Arc<Identity>,
    sessions: Arc<Sessions>,
    cookie: Arc<CookieSettings>,
    root_url: &str,
) -> Routes {
    let login =
        LoginState { identity, sessions: sessions.clone(), cookie, sub_path: sub_path(root_url).into() };
    Routes::of(&GROUP)
        .add(
            post("/login", "loginPost", "Log in with a login and password")
                .answers::<LoginBody>(200, "The session cookie is set")
                .fails(&[401, 429])
                .public()
                .to(&login, log_in),
        )
        .add(
            get("/logout", "logout", "Log out and redirect to the log-in page")
                .answers_nothing(302, "The session is revoked, if there was one")
                .fails(&[403, 429])
                .public()
                .to(&login, log_out),
        )
        .add(
            post("/api/user/auth-tokens/rotate", "rotateUserAuthToken", "Rotate the session token")
                .answers::<Message>(200, "The session cookie is replaced")
                .fails(&[401])
                .public()
                .to(&login, rotate_user_auth_token),
        )
        .add(
            get(
                "/user/auth-tokens/rotate",
                "rotateUserAuthTokenRedirect",
                "Rotate the session token and redirect to a page",
            )
            .query("redirectTo", text(), "The path of the page")
            .answers_nothing(302, "A redirect to the page, or without a session to the log-in page")
            .fails(&[403, 429])
            .public()
            .to(&login, rotate_user_auth_token_redirect),
        )
        .add(get("/api/login/ping", "loginPing", "Check the credentials").for_everybody().to(&(), login_ping))
        .group(&SIGNED_IN_USER)
        .add(
            get("/api/user/auth-tokens", "getUserAuthTokens", "List the caller's sessions")
                .for_everybody()
                .to(&sessions, get_user_auth_tokens),
        )
        .add(
            post("/api/user/revoke-auth-token", "revokeUserAuthToken", "Revoke one of the caller's sessions")
                .for_everybody()
                .fails(&[404])
                .to(&sessions, revoke_user_auth_token),
        )
        .merge(admin_routes(&sessions))
}

/// The routes for server admins.
fn admin_routes(sessions: &Arc<Sessions>) -> Routes {
    Routes::of(&ADMIN_USERS)
        .add(
            get(
                "/api/admin/users/{user_id}/auth-tokens",
                "adminGetUserAuthTokens",
                "List the sessions of a user",
            )
            .fails(&[404])
            .to(sessions, admin_get_user_auth_tokens),
        )
        .add(
            post(
                "/api/admin/users/{user_id}/revoke-auth-token",
                "adminRevokeUserAuthToken",
                "Revoke a session of a user",
            )
            .fails(&[404])
            .to(sessions, admin_revoke_user_auth_token),
        )
        .add(
            post("/api/admin/users/{user_id}/logout", "adminLogoutUser", "Revoke all sessions of a user")
                .fails(&[404])
                .to(sessions, admin_logout_user),
        )
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct LoginForm {
    #[schema(required, min_length = 1)]
    user: String,
    #[schema(required, min_length = 1)]
    password: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LoginBody {
    message: &'static str,
    redirect_url: String,
}

async fn log_in(
    State(state): State<LoginState>,
    Extension(context): Extension<RequestContext>,
    JsonBody(form): JsonBody<LoginForm>,
) -> ApiResult<Response> {
    if form.user.is_empty() || form.password.is_empty() {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "user and password are required"));
    }
    let token = state.identity.log_in(&form.user, &form.password, &context).await?;
    let redirect_url = format!("{}/", state.sub_path);
    let mut response = Json(LoginBody { message: "Logged in", redirect_url }).into_response();
    state.cookie.set(response.headers_mut(), &token);
    Ok(response)
}

/// Revokes the session, if there is one, and redirects to the log-in page.
async fn log_out(
    State(state): State<LoginState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    if let Some(token) = session_token(&headers, &state.cookie.name) {
        let credentials = Credentials::Session(token.to_owned());
        if let Ok(authenticated) = state.identity.authenticate(&credentials, None, context).await {
            state.sessions.log_out(&authenticated.scope).await?;
        }
    }
    let location = format!("{}/login", state.sub_path);
    let mut response = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    state.cookie.clear(response.headers_mut());
    Ok(response)
}

async fn rotate_user_auth_token(
    State(state): State<LoginState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let token = session_token(&headers, &state.cookie.name);
    let token = token.ok_or_else(|| Error::unauthenticated("Unauthorized"))?;
    let new_token = state.identity.rotate_session(token, &context).await?;
    let mut response = Message::json("Token rotated").into_response();
    if let Some(token) = new_token {
        state.cookie.set(response.headers_mut(), &token);
    }
    Ok(response)
}

/// Rotates the token of a browser and redirects it to its page; without a session, to the log-in page.
async fn rotate_user_auth_token_redirect(
    State(state): State<LoginState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    query: Query,
) -> ApiResult<Response> {
    let rotated = match session_token(&headers, &state.cookie.name) {
        Some(token) => state.identity.rotate_session(token, &context).await,
        None => Err(Error::unauthenticated("Unauthorized")),
    };
    let (target, new_token) = match rotated {
        Ok(new_token) => {
            let wanted = query.text("redirectTo").filter(|path| is_own_path(path));
            (wanted.map_or_else(|| format!("{}/", state.sub_path), str::to_owned), new_token)
        }
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            (format!("{}/login", state.sub_path), None)
        }
        Err(error) => return Err(error.into()),
    };
    let location = HeaderValue::from_bytes(target.as_bytes()).map_err(Error::internal)?;
    let mut response = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    if let Some(token) = new_token {
        state.cookie.set(response.headers_mut(), &token);
    }
    Ok(response)
}

/// Whether a target is on this server. Browsers interpret `//` and `/\` as the start of another host.
fn is_own_path(target: &str) -> bool {
    let mut characters = target.chars();
    characters.next() == Some('/')
        && !matches!(characters.next(), Some('/' | '\\'))
        && !target.contains(|character: char| character.is_ascii_control())
}

async fn login_ping() -> Json<Message> {
    Message::json("Logged in")
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionBody {
    id: i64,
    is_active: bool,
    client_ip: String,
    #[serde(flatten)]
    client: SessionClientBody,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    seen_at: String,
}

fn session_body(session: Session, current: Option<i64>) -> SessionBody {
    SessionBody {
        id: session.id,
        is_active: current == Some(session.id),
        client: SessionClientBody::of(&session.user_agent),
        client_ip: session.client_ip,
        created_at: session.created.rfc3339(),
        seen_at: session.seen.rfc3339(),
    }
}

async fn get_user_auth_tokens(
    State(sessions): State<Arc<Sessions>>,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<SessionBody>>> {
    let current = scope.request().token_id;
    let list = sessions.list_own_sessions(&scope).await?;
    Ok(Json(list.into_iter().map(|session| session_body(session, current)).collect()))
}

async fn admin_get_user_auth_tokens(
    State(sessions): State<Arc<Sessions>>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Vec<SessionBody>>> {
    let current = scope.request().token_id;
    let list = sessions.list_sessions(&scope, parse_user_id(&user)?).await?;
    Ok(Json(list.into_iter().map(|session| session_body(session, current)).collect()))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct RevokeAuthTokenForm {
    #[schema(required)]
    auth_token_id: i64,
}

async fn revoke_user_auth_token(
    State(sessions): State<Arc<Sessions>>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<RevokeAuthTokenForm>,
) -> ApiResult<Json<Message>> {
    sessions.revoke_own_session(&scope, form.auth_token_id).await?;
    Ok(Message::json("User auth token revoked"))
}

async fn admin_revoke_user_auth_token(
    State(sessions): State<Arc<Sessions>>,
    Caller(scope): Caller,
    Path(user): Path<String>,
    JsonBody(form): JsonBody<RevokeAuthTokenForm>,
) -> ApiResult<Json<Message>> {
    sessions.revoke_session(&scope, parse_user_id(&user)?, form.auth_token_id).await?;
    Ok(Message::json("User auth token revoked"))
}

async fn admin_logout_user(
    State(sessions): State<Arc<Sessions>>,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Message>> {
    sessions.log_user_out(&scope, parse_user_id(&user)?).await?;
    Ok(Message::json("User logged out"))
}
