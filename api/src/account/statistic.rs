//! Statistics of the server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::account::statistic::{ServerStatistics, Statistics};
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Routes, get};
use crate::kernel::setting::ADMIN;

/// The routes of statistics.
pub fn routes(statistics: &Arc<Statistics>) -> Routes {
    Routes::of(&ADMIN).add(
        get("/api/admin/stats", "adminGetStats", "Read the statistics of the server")
            .to(statistics, admin_get_stats),
    )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatsBody {
    orgs: i64,
    dashboards: i64,
    snapshots: i64,
    tags: i64,
    datasources: i64,
    playlists: i64,
    stars: i64,
    alerts: i64,
    users: i64,
    admins: i64,
    editors: i64,
    viewers: i64,
    active_users: i64,
    active_admins: i64,
    active_editors: i64,
    active_viewers: i64,
    active_sessions: i64,
    daily_active_users: i64,
    daily_active_admins: i64,
    daily_active_editors: i64,
    daily_active_viewers: i64,
    daily_active_sessions: i64,
    monthly_active_users: i64,
    active_devices: i64,
}

/// Playlists are not counted. Snapshots and devices of anonymous users do not exist.
fn stats_body(found: ServerStatistics) -> StatsBody {
    let ServerStatistics { users, active, active_today, .. } = found;
    StatsBody {
        orgs: found.orgs,
        dashboards: found.dashboards,
        snapshots: 0,
        tags: found.tags,
        datasources: found.data_sources,
        playlists: 0,
        stars: found.stars,
        alerts: found.alert_rules,
        users: users.all,
        admins: users.admins,
        editors: users.editors,
        viewers: users.viewers,
        active_users: active.all,
        active_admins: active.admins,
        active_editors: active.editors,
        active_viewers: active.viewers,
        active_sessions: found.sessions,
        daily_active_users: active_today.all,
        daily_active_admins: active_today.admins,
        daily_active_editors: active_today.editors,
        daily_active_viewers: active_today.viewers,
        daily_active_sessions: found.sessions_today,
        monthly_active_users: found.users_this_month,
        active_devices: 0,
    }
}

async fn admin_get_stats(
    State(statistics): State<Arc<Statistics>>,
    Caller(scope): Caller,
) -> ApiResult<Json<StatsBody>> {
    Ok(Json(stats_body(statistics.get_statistics(&scope).await?)))
}
