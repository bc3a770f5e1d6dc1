//! Service accounts and their tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use kymograph_app::account::service_account::{
    HISTORY, NewServiceAccount, ServiceAccountChange, ServiceAccountView, ServiceAccounts, TokenView,
};
use kymograph_app::{Error, ErrorKind, Permission, Scope};
use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, text};
use crate::kernel::openapi::text::Name;
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, patch, post};
use crate::kernel::url::avatar_url;
use crate::rights::access_control::{AccessControl, asked_access_control};

/// The default page size of service accounts.
const DEFAULT_PAGE: i64 = 1000;

/// A note for clients that create a token.
const SHOWN_ONCE: &str = "The token is shown once and never stored: repeating the request with the same `Idempotency-Key` is answered with 409.";

const GROUP: Group = Group::new("service_accounts", "Accounts of programs, and their tokens")
    .of_noun("serviceaccounts", "service_account");

/// The routes of service accounts.
pub fn routes(accounts: &Arc<ServiceAccounts>) -> Routes {
    let state = accounts;
    let one = "/api/serviceaccounts/{service_account_id}";
    let tokens = "/api/serviceaccounts/{service_account_id}/tokens";
    Routes::of(&GROUP)
        .add(
            post("/api/serviceaccounts", "createServiceAccount", "Create a service account")
                .succeeds_with(StatusCode::CREATED)
                .to(state, create_service_account),
        )
        .add(
            get(
                "/api/serviceaccounts/search",
                "searchOrgServiceAccountsWithPaging",
                "List the service accounts of the org",
            )
            .query("query", text(), "Part of the name or login")
            .query("disabled", flag(), "Only disabled service accounts")
            .query("expiredTokens", flag(), "Only service accounts with an expired token")
            .pages("perpage", DEFAULT_PAGE)
            .query("accesscontrol", flag(), "Include the caller's permissions on the object")
            .to(state, search_org_service_accounts_with_paging),
        )
        .add(
            get(one, "retrieveServiceAccount", "Read a service account")
                .query("accesscontrol", flag(), "Include the caller's permissions on the object")
                .fails(&[404])
                .to(state, retrieve_service_account),
        )
        .add(
            patch(one, "updateServiceAccount", "Change a service account")
                .fails(&[404])
                .to(state, update_service_account),
        )
        .add(
            delete(one, "deleteServiceAccount", "Delete a service account with its tokens")
                .fails(&[404])
                .to(state, delete_service_account),
        )
        .add(get(tokens, "listTokens", "List the tokens of a service account").to(state, list_tokens))
        .add(
            post(tokens, "createToken", "Create a token of a service account")
                .details(SHOWN_ONCE)
                .fails(&[404, 409])
                .to(state, create_token),
        )
        .add(
            delete(
                "/api/serviceaccounts/{service_account_id}/tokens/{token_id}",
                "deleteToken",
                "Delete a token of a service account",
            )
            .fails(&[404])
            .to(state, delete_token),
        )
        .with_history(history!(
            HISTORY,
            "/api/serviceaccounts/{service_account_id}",
            "ServiceAccount",
            "a service account"
        ))
}

type AccountState = State<Arc<ServiceAccounts>>;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ServiceAccountBody {
    id: UserId,
    uid: String,
    name: String,
    login: String,
    org_id: OrgId,
    is_disabled: bool,
    is_external: bool,
    role: OrgRole,
    tokens: i64,
    avatar_url: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_control: Option<AccessControl>,
}

fn service_account_body(
    account: ServiceAccountView,
    access_control: Option<AccessControl>,
) -> ServiceAccountBody {
    ServiceAccountBody {
        id: account.id,
        uid: account.uid,
        avatar_url: avatar_url(&account.login),
        name: account.name,
        login: account.login,
        org_id: account.org_id,
        is_disabled: account.is_disabled,
        is_external: false,
        role: account.role,
        tokens: account.token_count,
        created_at: account.created.rfc3339(),
        updated_at: account.updated.rfc3339(),
        access_control,
    }
}

fn account_access_control(query: &Query, scope: &Scope) -> Option<AccessControl> {
    use Permission as P;
    let permissions = [
        P::SERVICE_ACCOUNTS_READ,
        P::SERVICE_ACCOUNTS_WRITE,
        P::SERVICE_ACCOUNTS_DELETE,
        P::SERVICE_ACCOUNTS_PERMISSIONS_READ,
        P::SERVICE_ACCOUNTS_PERMISSIONS_WRITE,
    ];
    asked_access_control(query, scope, &permissions)
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ServiceAccountSearchBody {
    total_count: i64,
    service_accounts: Vec<ServiceAccountBody>,
    page: i64,
    per_page: i64,
}

#[derive(Serialize, ToSchema)]
struct UpdatedServiceAccountBody {
    id: UserId,
    name: String,
    message: &'static str,
    serviceaccount: ServiceAccountBody,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenBody {
    id: i64,
    name: String,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
    #[schema(format = DateTime, required)]
    expiration: Option<String>,
    seconds_until_expiration: i64,
    has_expired: bool,
    is_revoked: bool,
}

fn token_body(token: TokenView, now: Timestamp) -> TokenBody {
    let remaining = token.expires.map_or(0, |expires| expires.seconds() - now.seconds());
    TokenBody {
        id: token.id,
        name: token.name,
        created: token.created.rfc3339(),
        last_used_at: token.last_used.map(Timestamp::rfc3339),
        expiration: token.expires.map(Timestamp::rfc3339),
        seconds_until_expiration: remaining.max(0),
        has_expired: token.expires.is_some_and(|expires| expires <= now),
        is_revoked: false,
    }
}

#[derive(Serialize, ToSchema)]
struct NewTokenBody {
    id: i64,
    name: String,
    key: String,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct NewServiceAccountForm {
    #[schema(value_type = Name, required)]
    name: Option<String>,
    #[schema(value_type = Option<OrgRole>)]
    role: Option<String>,
    is_disabled: Option<bool>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct ServiceAccountForm {
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[schema(value_type = Option<OrgRole>)]
    role: Option<String>,
    is_disabled: Option<bool>,
}

fn parse_role(role: Option<&str>) -> ApiResult<Option<OrgRole>> {
    let role = role.filter(|role| !role.is_empty());
    role.map(|role| OrgRole::try_from_client(role).map_err(|error| Error::from(error).into())).transpose()
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default, rename_all = "camelCase")]
struct TokenForm {
    #[schema(value_type = Name, required)]
    name: Option<String>,
    /// The lifetime in seconds; 0 is unlimited.
    #[schema(minimum = 0, maximum = 3_162_240_000_i64)]
    seconds_to_live: Option<i64>,
}

async fn create_service_account(
    State(accounts): AccountState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<NewServiceAccountForm>,
) -> ApiResult<(StatusCode, Json<ServiceAccountBody>)> {
    let new = NewServiceAccount {
        role: parse_role(form.role.as_deref())?.unwrap_or(OrgRole::Viewer),
        name: form.name.unwrap_or_default(),
        is_disabled: form.is_disabled.unwrap_or_default(),
    };
    let account = accounts.create_service_account(&scope, &new).await?;
    Ok((StatusCode::CREATED, Json(service_account_body(account, None))))
}

async fn search_org_service_accounts_with_paging(
    State(accounts): AccountState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<ServiceAccountSearchBody>> {
    let page = query.page("perpage", DEFAULT_PAGE);
    let is_set = |name| query.text(name) == Some("true");
    // Grafana's description says `Disabled`, its own pages ask for `disabled`.
    let (is_disabled, has_expired) = (is_set("Disabled") || is_set("disabled"), is_set("expiredTokens"));
    let text = query.text("query").unwrap_or_default();
    let (found, total_count) =
        accounts.search_service_accounts(&scope, text, is_disabled, has_expired, page).await?;
    let access_control = account_access_control(&query, &scope);
    let body = |account| service_account_body(account, access_control.clone());
    let service_accounts = found.into_iter().map(body).collect();
    Ok(Json(ServiceAccountSearchBody {
        total_count,
        service_accounts,
        page: page.number,
        per_page: page.size,
    }))
}

async fn retrieve_service_account(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    query: Query,
) -> ApiResult<Json<ServiceAccountBody>> {
    let account =
        accounts.get_service_account(&scope, accounts.resolve_service_account(&scope, &id).await?).await?;
    Ok(Json(service_account_body(account, account_access_control(&query, &scope))))
}

async fn update_service_account(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<ServiceAccountForm>,
) -> ApiResult<Json<UpdatedServiceAccountBody>> {
    let id = accounts.resolve_service_account(&scope, &id).await?;
    let role = parse_role(form.role.as_deref())?;
    let change = ServiceAccountChange { role, name: form.name, is_disabled: form.is_disabled };
    accounts.update_service_account(&scope, id, &change).await?;
    let account = accounts.get_service_account(&scope, id).await?;
    Ok(Json(UpdatedServiceAccountBody {
        id,
        name: account.name.clone(),
        message: "Service account updated",
        serviceaccount: service_account_body(account, None),
    }))
}

async fn delete_service_account(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Message>> {
    let id = accounts.resolve_service_account(&scope, &id).await?;
    accounts.delete_service_account(&scope, id).await?;
    Ok(Message::json("Service account deleted"))
}

async fn list_tokens(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Vec<TokenBody>>> {
    // An unknown id has no tokens, but an unknown uid is invalid input.
    let id = accounts
        .resolve_service_account(&scope, &id)
        .await
        .map_err(|error| ApiError::from(error).when(ErrorKind::Missing, StatusCode::BAD_REQUEST, ""))?;
    let (tokens, now) = accounts.list_tokens(&scope, id).await?;
    Ok(Json(tokens.into_iter().map(|token| token_body(token, now)).collect()))
}

async fn create_token(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<TokenForm>,
) -> ApiResult<([(HeaderName, &'static str); 1], Json<NewTokenBody>)> {
    let name = form.name.unwrap_or_default();
    let id = accounts.resolve_service_account(&scope, &id).await?;
    let token = accounts.create_token(&scope, id, &name, form.seconds_to_live).await?;
    let (id, name) = (token.id, token.name.clone());
    let body = NewTokenBody { id, name, key: token.key()? };
    // No proxy may store the token, nor does the layer for idempotency keys.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)))
}

async fn delete_token(
    State(accounts): AccountState,
    Caller(scope): Caller,
    Path((id, token_id)): Path<(String, String)>,
) -> ApiResult<Json<Message>> {
    let token_id = parse_id("tokenId", &token_id)?;
    let id = accounts.resolve_service_account(&scope, &id).await?;
    accounts.delete_token(&scope, id, token_id).await?;
    Ok(Message::json("Service account token deleted"))
}
