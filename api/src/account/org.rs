//! The caller's org, and for server admins all orgs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::org::{HISTORY, OrgView, Orgs};
use kymograph_app::{Error, ErrorKind, Page};
use kymograph_domain::OrgId;
use kymograph_domain::account::org::{Address, AuditSettings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::text;
use crate::kernel::openapi::text::{Name, ShortText};
use crate::kernel::query::{Path, Query, parse_org_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, post, put};

/// The default page size of orgs.
const DEFAULT_PAGE: i64 = 1000;

/// Grafana's answer to an update of a missing object.
const NO_ORG: &str = "The org does not exist, or an internal error occurred";
/// Grafana's message for it.
const RENAME_FAILED: &str = "Failed to update organization";
const ADDRESS_FAILED: &str = "Failed to update org address";

/// The group of operations named `org`.
pub(crate) const ORG: Group =
    Group::new("org", "The caller's current org: members, invites and preferences").of_noun("org", "org");

/// The group of operations named `orgs`.
pub(crate) const ORGS: Group = Group::new("orgs", "All orgs, for server admins").of_noun("orgs", "org");

/// The routes of orgs.
pub fn routes(orgs: Arc<Orgs>) -> Routes {
    Routes::of(&ORG)
        .add(get("/api/org", "getCurrentOrg", "Read the org").to(&orgs, get_current_org))
        .add(
            put("/api/org", "updateCurrentOrg", "Rename the org")
                .fails_like_a_fault(NO_ORG, RENAME_FAILED)
                .to(&orgs, update_current_org),
        )
        .add(
            put("/api/org/address", "updateCurrentOrgAddress", "Change the address of the org")
                .fails_like_a_fault(NO_ORG, ADDRESS_FAILED)
                .to(&orgs, update_current_org_address),
        )
        .add(
            get("/api/org/audit", "getOrgAudit", "Read what the audit log of the org records")
                .to(&orgs, get_org_audit),
        )
        .add(
            put("/api/org/audit", "updateOrgAudit", "Change what the audit log of the org records")
                .fails(&[404])
                .to(&orgs, update_org_audit),
        )
        .group(&ORGS)
        .add(
            get("/api/orgs", "searchOrgs", "List the orgs of the server")
                .details("Unlike in all other lists, the first page is 0.")
                .query("query", text(), "Part of the name")
                .query("name", text(), "The exact name")
                .pages_from_zero("perpage", DEFAULT_PAGE)
                .to(&orgs, search_orgs),
        )
        .add(post("/api/orgs", "createOrg", "Create an org").fails(&[409]).to(&orgs, create_org))
        .add(
            get("/api/orgs/name/{org_name}", "getOrgByName", "Read an org by its name")
                .fails(&[404])
                .to(&orgs, get_org_by_name),
        )
        .add(get("/api/orgs/{org_id}", "getOrgByID", "Read an org").fails(&[404]).to(&orgs, get_org_by_id))
        .add(
            put("/api/orgs/{org_id}", "updateOrg", "Rename an org")
                .fails_like_a_fault(NO_ORG, RENAME_FAILED)
                .to(&orgs, update_org),
        )
        .add(
            delete("/api/orgs/{org_id}", "deleteOrgByID", "Delete an org with all its data")
                .fails(&[404])
                .to(&orgs, delete_org_by_id),
        )
        .add(
            put("/api/orgs/{org_id}/address", "updateOrgAddress", "Change the address of an org")
                .fails_like_a_fault(NO_ORG, ADDRESS_FAILED)
                .to(&orgs, update_org_address),
        )
        .with_history(history!(HISTORY, "/api/org", "Org", "the org"))
}

#[derive(Serialize, ToSchema)]
struct OrgDetailsBody {
    id: OrgId,
    name: String,
    address: AddressBody,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AddressBody {
    address1: String,
    address2: String,
    city: String,
    zip_code: String,
    state: String,
    country: String,
}

impl From<Address> for AddressBody {
    fn from(address: Address) -> Self {
        let Address { address1, address2, city, zip_code, state, country } = address;
        Self { address1, address2, city, zip_code, state, country }
    }
}

#[derive(Serialize, ToSchema)]
struct OrgBody {
    id: OrgId,
    name: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedOrgBody {
    message: &'static str,
    org_id: OrgId,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct OrgForm {
    #[schema(value_type = Name, required)]
    name: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct AddressForm {
    #[schema(value_type = Option<ShortText>)]
    address1: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    address2: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    city: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    zipcode: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    state: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    country: Option<String>,
}

impl From<AddressForm> for Address {
    fn from(form: AddressForm) -> Self {
        Self {
            address1: form.address1.unwrap_or_default(),
            address2: form.address2.unwrap_or_default(),
            city: form.city.unwrap_or_default(),
            zip_code: form.zipcode.unwrap_or_default(),
            state: form.state.unwrap_or_default(),
            country: form.country.unwrap_or_default(),
        }
    }
}

/// What the audit log of an org records besides changes, refusals and log-ins.
#[derive(Serialize, ToSchema)]
struct AuditSettingsBody {
    /// Whether queries to data sources are recorded: who sent what to which source, but not the results.
    queries: bool,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct AuditSettingsForm {
    /// Whether queries to data sources are recorded.
    #[schema(value_type = bool, required)]
    queries: Option<bool>,
}

fn details_body(org: OrgView) -> Json<OrgDetailsBody> {
    Json(OrgDetailsBody { id: org.id, name: org.name, address: org.address.into() })
}

async fn get_current_org(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
) -> ApiResult<Json<OrgDetailsBody>> {
    // An org that was deleted just now is not available to the caller, as for the next request.
    let org = orgs.get_own_org(&scope).await.map_err(|error| {
        ApiError::from(error).when(ErrorKind::Missing, StatusCode::UNAUTHORIZED, "Unauthorized")
    });
    Ok(details_body(org?))
}

async fn get_org_by_id(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    Path(org): Path<String>,
) -> ApiResult<Json<OrgDetailsBody>> {
    Ok(details_body(orgs.get_org(&scope, parse_org_id(&org)?).await?))
}

async fn get_org_by_name(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<OrgDetailsBody>> {
    Ok(details_body(orgs.get_org_by_name(&scope, &name).await?))
}

/// Unlike in all other lists, the first page is 0.
async fn search_orgs(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<OrgBody>>> {
    let number = query.number("page").unwrap_or_default().max(0).saturating_add(1);
    let page = Page::of(Some(number), query.number("perpage"), DEFAULT_PAGE);
    let (name, text) = (query.text("name").unwrap_or_default(), query.text("query").unwrap_or_default());
    let found = orgs.search_orgs(&scope, name, text, page).await?;
    Ok(Json(found.into_iter().map(|org| OrgBody { id: org.id, name: org.name }).collect()))
}

async fn create_org(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<OrgForm>,
) -> ApiResult<Json<CreatedOrgBody>> {
    let org_id = orgs.create_org(&scope, &form.name.unwrap_or_default()).await?;
    Ok(Json(CreatedOrgBody { message: "Organization created", org_id }))
}

async fn update_current_org(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<OrgForm>,
) -> ApiResult<Json<Message>> {
    rename(&orgs, &scope, scope.org(), form).await
}

async fn update_org(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    Path(org): Path<String>,
    JsonBody(form): JsonBody<OrgForm>,
) -> ApiResult<Json<Message>> {
    rename(&orgs, &scope, parse_org_id(&org)?, form).await
}

async fn rename(
    orgs: &Orgs,
    scope: &kymograph_app::Scope,
    org: OrgId,
    form: OrgForm,
) -> ApiResult<Json<Message>> {
    let renamed = orgs.rename_org(scope, org, &form.name.unwrap_or_default()).await;
    renamed.map_err(|error| update_error(error, RENAME_FAILED))?;
    Ok(Message::json("Organization updated"))
}

async fn update_current_org_address(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<AddressForm>,
) -> ApiResult<Json<Message>> {
    change_address(&orgs, &scope, scope.org(), form).await
}

async fn update_org_address(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    Path(org): Path<String>,
    JsonBody(form): JsonBody<AddressForm>,
) -> ApiResult<Json<Message>> {
    change_address(&orgs, &scope, parse_org_id(&org)?, form).await
}

async fn change_address(
    orgs: &Orgs,
    scope: &kymograph_app::Scope,
    org: OrgId,
    form: AddressForm,
) -> ApiResult<Json<Message>> {
    let changed = orgs.change_address(scope, org, &form.into()).await;
    changed.map_err(|error| update_error(error, ADDRESS_FAILED))?;
    Ok(Message::json("Address updated"))
}

/// Grafana answers an update of a missing org with 500, and a name in use with 400.
fn update_error(error: Error, missing: &str) -> ApiError {
    ApiError::from(error).when(ErrorKind::Missing, StatusCode::INTERNAL_SERVER_ERROR, missing).when(
        ErrorKind::Taken,
        StatusCode::BAD_REQUEST,
        "",
    )
}

async fn get_org_audit(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
) -> ApiResult<Json<AuditSettingsBody>> {
    let AuditSettings { queries } = orgs.get_audit(&scope).await?;
    Ok(Json(AuditSettingsBody { queries }))
}

async fn update_org_audit(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<AuditSettingsForm>,
) -> ApiResult<Json<Message>> {
    let queries = form.queries.ok_or_else(|| Error::invalid("queries is missing: true or false"))?;
    orgs.set_audit(&scope, AuditSettings { queries }).await?;
    Ok(Message::json("Audit settings updated"))
}

async fn delete_org_by_id(
    State(orgs): State<Arc<Orgs>>,
    Caller(scope): Caller,
    Path(org): Path<String>,
) -> ApiResult<Json<Message>> {
    orgs.delete_org(&scope, parse_org_id(&org)?).await.map_err(|error| {
        let message = "Failed to delete organization. ID not found";
        ApiError::from(error).when(ErrorKind::Missing, StatusCode::NOT_FOUND, message)
    })?;
    Ok(Message::json("Organization deleted"))
}
