//! The caller's stars.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use kymograph_app::content::star::Stars;
use kymograph_domain::Uid;

use crate::kernel::body::Message;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::operation;
use crate::kernel::query::Path;
use crate::kernel::routes::Routes;

/// The routes of stars.
pub fn routes(stars: Arc<Stars>) -> Routes {
    let state = &stars;
    Routes::default()
        .group("signed_in_user")
        .private(Method::GET, "/api/user/stars", state, get_stars)
        .describe(operation("getStars", "List the dashboards that the caller has starred").for_everybody())
        .private(Method::POST, "/api/user/stars/dashboard/uid/{dashboard_uid}", state, star_dashboard_by_uid)
        .describe(operation("starDashboardByUID", "Star a dashboard").fails(&[404]))
        .private(
            Method::DELETE,
            "/api/user/stars/dashboard/uid/{dashboard_uid}",
            state,
            unstar_dashboard_by_uid,
        )
        .describe(operation("unstarDashboardByUID", "Take the star from a dashboard"))
}

type StarState = State<Arc<Stars>>;

async fn get_stars(State(stars): StarState, Caller(scope): Caller) -> ApiResult<Json<Vec<Uid>>> {
    Ok(Json(stars.list_stars(&scope).await?))
}

async fn star_dashboard_by_uid(
    State(stars): StarState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Message>> {
    stars.star_dashboard(&scope, &uid).await?;
    Ok(Message::json("Dashboard starred!"))
}

async fn unstar_dashboard_by_uid(
    State(stars): StarState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<Message>> {
    stars.unstar_dashboard(&scope, &uid).await?;
    Ok(Message::json("Dashboard unstarred"))
}
