//! Data sources. No org has one yet; the empty list is for clients that request it first.

use axum::Json;
use axum::response::{IntoResponse, Response};
use kymograph_app::Permission;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Group, Routes, get};

const GROUP: Group = Group::new("datasources", "Data sources");

/// The routes of data sources.
pub fn routes() -> Routes {
    Routes::of(&GROUP).add(
        get("/api/datasources", "getDataSources", "List the data sources of the org (always empty so far)")
            .answers::<Vec<String>>(200, "No data source")
            .to(&(), get_data_sources),
    )
}

async fn get_data_sources(Caller(scope): Caller) -> ApiResult<Response> {
    scope.require(Permission::DATA_SOURCES_READ)?;
    Ok(Json(Vec::<String>::new()).into_response())
}
