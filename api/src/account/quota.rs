//! Quotas of orgs and users, and the usage of an org.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::account::quota::{OrgUsage, QuotaView, Quotas};
use kymograph_domain::account::quota::QuotaTarget;
use kymograph_domain::{OrgId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::one_of;
use crate::kernel::query::{Path, parse_org_id, parse_user_id};
use crate::kernel::routes::{Group, Routes, get, put};

const GROUP: Group = Group::new("quota", "Quotas of orgs and users");

/// The routes of quotas.
pub fn routes(quotas: &Arc<Quotas>) -> Routes {
    let state = quotas;
    let target =
        |targets: &[QuotaTarget]| one_of(&targets.iter().map(|target| target.as_str()).collect::<Vec<_>>());
    Routes::of(&GROUP)
        .add(
            get("/api/org/quotas", "getCurrentOrgQuota", "List the quotas of the org and their usage")
                .fails(&[404])
                .to(state, get_current_org_quota),
        )
        .add(
            get("/api/org/usage", "getOrgUsage", "Count the resources of the org")
                .details("The counts are exact, and maintained without quotas too.")
                .fails(&[404])
                .to(state, get_org_usage),
        )
        .add(
            get("/api/orgs/{org_id}/quotas", "getOrgQuota", "List the quotas of an org and their usage")
                .fails(&[404])
                .to(state, get_org_quota),
        )
        .add(
            put("/api/orgs/{org_id}/quotas/{quota_target}", "updateOrgQuota", "Change a quota of an org")
                .path("quota_target", target(QuotaTarget::OF_ORG), TARGET)
                .fails(&[404])
                .to(state, update_org_quota),
        )
        .add(
            get("/api/user/quotas", "getUserQuotas", "List the caller's quotas and their usage")
                .for_everybody()
                .fails(&[403, 404])
                .to(state, get_user_quotas),
        )
        .add(
            get(
                "/api/admin/users/{user_id}/quotas",
                "getUserQuota",
                "List the quotas of a user and their usage",
            )
            .fails(&[404])
            .to(state, get_user_quota),
        )
        .add(
            put(
                "/api/admin/users/{user_id}/quotas/{quota_target}",
                "updateUserQuota",
                "Change a quota of a user",
            )
            .path("quota_target", target(QuotaTarget::OF_USER), TARGET)
            .fails(&[404])
            .to(state, update_user_quota),
        )
}

const TARGET: &str = "The target of the quota";

type QuotaState = State<Arc<Quotas>>;

#[derive(Serialize, ToSchema)]
struct QuotaBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<OrgId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    target: &'static str,
    limit: i64,
    used: i64,
}

fn quota_bodies(
    quotas: Vec<QuotaView>,
    org_id: Option<OrgId>,
    user_id: Option<UserId>,
) -> Json<Vec<QuotaBody>> {
    let body = |quota: QuotaView| QuotaBody {
        org_id,
        user_id,
        target: quota.target.as_str(),
        limit: quota.limit,
        used: quota.used,
    };
    Json(quotas.into_iter().map(body).collect())
}

/// The target is taken from the path, as in Grafana.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct QuotaForm {
    /// The limit; -1 is unlimited.
    #[schema(required, value_type = i64)]
    limit: Option<i64>,
}

impl QuotaForm {
    /// An omitted limit must not become 0, which would lock its owner out.
    fn limit(&self) -> ApiResult<i64> {
        let missing = || ApiError::new(StatusCode::BAD_REQUEST, "bad request data: limit is missing");
        self.limit.ok_or_else(missing)
    }
}

async fn get_current_org_quota(
    State(quotas): QuotaState,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<QuotaBody>>> {
    let org = scope.org();
    Ok(quota_bodies(quotas.get_org_quotas(&scope, org).await?, Some(org), None))
}

#[derive(Serialize, ToSchema)]
struct OrgUsageBody {
    /// Soft-deleted dashboards are not counted.
    dashboards: i64,
    folders: i64,
    members: i64,
}

async fn get_org_usage(State(quotas): QuotaState, Caller(scope): Caller) -> ApiResult<Json<OrgUsageBody>> {
    let OrgUsage { dashboards, folders, members } = quotas.get_usage(&scope).await?;
    Ok(Json(OrgUsageBody { dashboards, folders, members }))
}

async fn get_org_quota(
    State(quotas): QuotaState,
    Caller(scope): Caller,
    Path(org): Path<String>,
) -> ApiResult<Json<Vec<QuotaBody>>> {
    let org = parse_org_id(&org)?;
    Ok(quota_bodies(quotas.get_org_quotas(&scope, org).await?, Some(org), None))
}

async fn update_org_quota(
    State(quotas): QuotaState,
    Caller(scope): Caller,
    Path((org, target)): Path<(String, String)>,
    JsonBody(form): JsonBody<QuotaForm>,
) -> ApiResult<Json<Message>> {
    quotas.set_org_quota(&scope, parse_org_id(&org)?, &target, form.limit()?).await?;
    Ok(Message::json("Organization quota updated"))
}

async fn get_user_quotas(
    State(quotas): QuotaState,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<QuotaBody>>> {
    let user = scope.actor().user_id;
    Ok(quota_bodies(quotas.get_own_quotas(&scope).await?, None, Some(user)))
}

async fn get_user_quota(
    State(quotas): QuotaState,
    Caller(scope): Caller,
    Path(user): Path<String>,
) -> ApiResult<Json<Vec<QuotaBody>>> {
    let user = parse_user_id(&user)?;
    Ok(quota_bodies(quotas.get_user_quotas(&scope, user).await?, None, Some(user)))
}

/// Grafana's message is the same for users as for orgs.
async fn update_user_quota(
    State(quotas): QuotaState,
    Caller(scope): Caller,
    Path((user, target)): Path<(String, String)>,
    JsonBody(form): JsonBody<QuotaForm>,
) -> ApiResult<Json<Message>> {
    quotas.set_user_quota(&scope, parse_user_id(&user)?, &target, form.limit()?).await?;
    Ok(Message::json("Organization quota updated"))
}
