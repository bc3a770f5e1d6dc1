//! The caller's stars.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::content::star::Stars;
use kymograph_domain::Uid;

use crate::account::user::SIGNED_IN_USER;
use crate::kernel::body::Message;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::query::Path;
use crate::kernel::routes::{Routes, delete, get, post};

/// The routes of stars.
pub fn routes(stars: Arc<Stars>) -> Routes {
    let state = &stars;
    Routes::of(&SIGNED_IN_USER)
        .add(
            get("/api/user/stars", "getStars", "List the caller's starred dashboards")
                .for_everybody()
                .to(state, get_stars),
        )
        .add(
            post("/api/user/stars/dashboard/uid/{dashboard_uid}", "starDashboardByUID", "Star a dashboard")
                .fails(&[404])
                .to(state, star_dashboard_by_uid),
        )
        .add(
            delete(
                "/api/user/stars/dashboard/uid/{dashboard_uid}",
                "unstarDashboardByUID",
                "Unstar a dashboard",
            )
            .to(state, unstar_dashboard_by_uid),
        )
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
